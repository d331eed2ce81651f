/* SPDX-License-Identifier: MIT
 *
 * The names of keys before a real cluster whose slots move and whose primaries fail while they are
 * being listed: none that is there throughout is missing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "integration/cluster_rig.h"
#include "integration/name_list.h"
#include "support/long_form.h"

#define KEYS     6000u
#define BATCH    500u
#define NAME_LEN 400 /* so that what is fetched ahead is a small part of all names */
#define NAME_CAP 512

static void key_text(unsigned n, char text[static NAME_CAP])
{
    (void)snprintf(text, NAME_CAP, "key:%u-%0*d", n, NAME_LEN - 10, 0);
}

/* By our own way, many at a time. */
static void fill(struct strata *cache)
{
    static char texts[BATCH][NAME_CAP];
    struct strata_item items[BATCH];
    for (unsigned n = 0; n < KEYS; n += BATCH) {
        for (unsigned i = 0; i < BATCH; i++) {
            key_text(n + i, texts[i]);
            items[i] = (struct strata_item){.key = strata_text(texts[i]),
                                            .value = strata_text("x"),
                                            .ttl_ms = STRATA_UNLIMITED};
        }
        assert_int_equal(strata_set_many(cache, items, BATCH, NULL), STRATA_OK);
    }
}

static struct name_list expected_names(void)
{
    struct name_list list = {.count = 0};
    for (unsigned n = 0; n < KEYS; n++) {
        char text[NAME_CAP];
        key_text(n, text);
        name_list_add(&list, strata_text(text));
    }
    return list;
}

/* Takes the names in `parts` parts, and does something after each but the last. */
static void list_in_parts(struct cluster_rig *rig, struct strata *cache, unsigned parts,
                          void (*disturb)(struct cluster_rig *rig, unsigned part))
{
    struct name_list named = {.count = 0}, expected = expected_names();
    struct strata_keys *keys = NULL;
    struct strata_bytes name;
    struct strata_error error = {.text = ""};
    int status = STRATA_OK;
    assert_int_equal(strata_keys_open(&keys, cache, &(struct strata_keys_options){.page = 100}),
                     STRATA_OK);
    for (unsigned part = 0; part < parts && status == STRATA_OK; part++) {
        while (part < parts - 1 && named.count < KEYS * (part + 1) / (parts + 1) &&
               (status = strata_keys_next(keys, &name, &error)) == STRATA_OK)
            name_list_add(&named, name);
        if (part < parts - 1)
            disturb(rig, part);
    }
    while (status == STRATA_OK && (status = strata_keys_next(keys, &name, &error)) == STRATA_OK)
        name_list_add(&named, name);
    if (status != STRATA_MISS)
        fail_msg("%s: %s", strata_status_name(status), error.text);
    strata_keys_close(&keys);
    name_list_assert_equal(&named, &expected);
    name_list_clear(&named);
    name_list_clear(&expected);
}

static void nothing_happens(struct cluster_rig *rig, unsigned part)
{
    (void)rig;
    (void)part;
}

/* Slots of all primaries, each to the next one. */
static void a_slot_moves(struct cluster_rig *rig, unsigned part)
{
    unsigned slot = (part * 5461u + part * 7u) % REDIS_CLUSTER_SLOTS;
    int owner = redis_cluster_primary(rig->cluster, slot);
    assert_true(owner >= 0);
    for (unsigned to = 0; to < redis_cluster_count(rig->cluster); to++) {
        unsigned next = ((unsigned)owner + 1 + to) % redis_cluster_count(rig->cluster);
        if (!redis_cluster_is_primary(rig->cluster, next) || next == (unsigned)owner)
            continue;
        assert_int_equal(redis_cluster_move_slot(rig->cluster, slot, next), 0);
        return;
    }
    fail();
}

static void a_replica_takes_over(struct cluster_rig *rig, unsigned part)
{
    static const char *const kinds[] = {"", "FORCE", "TAKEOVER"};
    unsigned slot = part * 5461u % REDIS_CLUSTER_SLOTS;
    int owner = redis_cluster_primary(rig->cluster, slot);
    int replica = redis_cluster_replica(rig->cluster, (unsigned)owner);
    assert_true(replica >= 0);
    assert_int_equal(redis_cluster_failover(rig->cluster, (unsigned)replica, kinds[part % 3]), 0);
}

static void a_primary_dies(struct cluster_rig *rig, unsigned part)
{
    int owner = redis_cluster_primary(rig->cluster, part * 5461u % REDIS_CLUSTER_SLOTS);
    assert_true(owner >= 0);
    redis_cluster_kill9(rig->cluster, (unsigned)owner);
}

static void every_key_of_every_primary_is_named(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache = cluster_rig_open_plainly(rig);
    fill(cache);
    list_in_parts(rig, cache, 2, nothing_happens);
    strata_close(&cache);
}

static void slots_that_move_in_the_middle_lose_no_key(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache = cluster_rig_open_plainly(rig);
    fill(cache);
    list_in_parts(rig, cache, is_long_form() ? 200 : 10, a_slot_moves);
    strata_close(&cache);
}

static void replicas_that_take_over_in_the_middle_lose_no_key(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache = cluster_rig_open_plainly(rig);
    fill(cache);
    assert_int_equal(redis_cluster_settle(rig->cluster, CLUSTER_RIG_PATIENT_MS), 0);
    list_in_parts(rig, cache, is_long_form() ? 50 : 4, a_replica_takes_over);
    strata_close(&cache);
}

static void a_primary_that_dies_in_the_middle_loses_no_key(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache = cluster_rig_open_plainly(rig);
    fill(cache);
    assert_int_equal(redis_cluster_settle(rig->cluster, CLUSTER_RIG_PATIENT_MS), 0);
    list_in_parts(rig, cache, 2, a_primary_dies);
    strata_close(&cache);
}

/* Half of its keys are here, half there: nobody can tell when all have been seen. */
static void a_slot_that_is_left_half_moved_is_told(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache = cluster_rig_open_plainly(rig);
    struct strata_keys *keys = NULL;
    struct strata_bytes name;
    struct strata_error error = {.text = ""};
    char text[NAME_CAP];
    int status;
    fill(cache);
    key_text(1, text);
    char stored[NAME_CAP + 16];
    (void)snprintf(stored, sizeof stored, "atp:cache:%s", text);
    unsigned slot = redis_cluster_slot(rig->cluster, stored);
    unsigned to = redis_cluster_primary(rig->cluster, slot) == 0 ? 1 : 0;
    while (!redis_cluster_is_primary(rig->cluster, to) ||
           (int)to == redis_cluster_primary(rig->cluster, slot))
        to++;
    assert_int_equal(redis_cluster_begin_move(rig->cluster, slot, to), 0);
    assert_int_equal(redis_cluster_move_keys(rig->cluster, slot, to, 1), 0);
    assert_int_equal(
        strata_keys_open(&keys, cache, &(struct strata_keys_options){.patience_ms = 500}),
        STRATA_OK);
    while ((status = strata_keys_next(keys, &name, &error)) == STRATA_OK)
        ;
    assert_int_equal(status, STRATA_ERR_UNAVAILABLE);
    assert_non_null(strstr(error.text, "on the move"));
    strata_keys_close(&keys);
    assert_int_equal(redis_cluster_move_keys(rig->cluster, slot, to, 10000), 0);
    assert_int_equal(redis_cluster_finish_move(rig->cluster, slot, to), 0);
    list_in_parts(rig, cache, 2, nothing_happens);
    strata_close(&cache);
}

/* A slot without keys, which may be given away by a word. */
static unsigned empty_slot(struct cluster_rig *rig)
{
    for (unsigned slot = 0;; slot++) {
        int owner = redis_cluster_primary(rig->cluster, slot);
        redisReply *reply =
            redis_cluster_ask(rig->cluster, (unsigned)owner, "CLUSTER COUNTKEYSINSLOT %u", slot);
        bool empty = reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer == 0;
        freeReplyObject(reply);
        if (empty)
            return slot;
    }
}

/* The others say that it owns the slot, for it was the last to say so, and it says that another
 * does. */
static void a_slot_that_its_owner_denies_is_told(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache = cluster_rig_open_plainly(rig);
    struct strata_keys *keys = NULL;
    struct strata_bytes name;
    struct strata_error error = {.text = ""};
    int status;
    fill(cache);
    unsigned slot = empty_slot(rig);
    unsigned owner = (unsigned)redis_cluster_primary(rig->cluster, slot);
    unsigned other = owner == 0 ? 1 : 0;
    while (!redis_cluster_is_primary(rig->cluster, other) || other == owner)
        other++;
    assert_int_equal(redis_cluster_tell(rig->cluster, owner, "CLUSTER SETSLOT %u NODE %s", slot,
                                        redis_cluster_id(rig->cluster, other)),
                     0);
    assert_int_equal(
        strata_keys_open(&keys, cache, &(struct strata_keys_options){.patience_ms = 500}),
        STRATA_OK);
    while ((status = strata_keys_next(keys, &name, &error)) == STRATA_OK)
        ;
    assert_int_equal(status, STRATA_ERR_UNAVAILABLE);
    assert_non_null(strstr(error.text, "on the move"));
    strata_keys_close(&keys);
    assert_int_equal(redis_cluster_finish_move(rig->cluster, slot, owner), 0);
    list_in_parts(rig, cache, 2, nothing_happens);
    strata_close(&cache);
}

struct disturbed {
    struct cluster_rig *rig;
    void (*disturb)(struct cluster_rig *rig, unsigned part);
    unsigned parts, most;
};

static int on_progress(void *arg, const struct strata_pattern_progress *progress)
{
    struct disturbed *disturbed = arg;
    (void)progress;
    if (disturbed->parts < disturbed->most)
        disturbed->disturb(disturbed->rig, disturbed->parts++);
    return 0;
}

/* Deletes all, and `disturb` happens meanwhile, so often at the most. */
static void delete_while(struct cluster_rig *rig, unsigned most,
                         void (*disturb)(struct cluster_rig *rig, unsigned part))
{
    struct strata *cache = cluster_rig_open_plainly(rig);
    struct disturbed disturbed = {.rig = rig, .disturb = disturb, .most = most};
    struct strata_pattern_options options = {
        .share = 50, .progress = on_progress, .progress_arg = &disturbed};
    struct strata_pattern_progress result;
    struct strata_error error = {.text = ""};
    fill(cache);
    assert_int_equal(redis_cluster_settle(rig->cluster, CLUSTER_RIG_PATIENT_MS), 0);
    int status =
        strata_invalidate_pattern_with(cache, strata_text("key:*"), &options, &result, &error);
    if (status != STRATA_OK)
        fail_msg("%s: %s", strata_status_name(status), error.text);
    assert_true(disturbed.parts > 0);
    /* More, where a replica that takes over has not heard of all deletions yet. */
    assert_true(result.deleted + result.unsure >= KEYS);
    struct name_list left = {.count = 0};
    name_list_collect(&left, cache, NULL);
    assert_int_equal(left.count, 0);
    name_list_clear(&left);
    strata_close(&cache);
}

static void slots_that_move_while_keys_are_deleted_leave_none(void **state)
{
    delete_while(*state, is_long_form() ? 200 : 10, a_slot_moves);
}

static void replicas_that_take_over_while_keys_are_deleted_leave_none(void **state)
{
    delete_while(*state, 2, a_replica_takes_over);
}

static void a_primary_that_dies_while_keys_are_deleted_leaves_none(void **state)
{
    delete_while(*state, 1, a_primary_dies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_key_of_every_primary_is_named, cluster_rig_settle),
        cmocka_unit_test_setup(slots_that_move_in_the_middle_lose_no_key, cluster_rig_settle),
        cmocka_unit_test_setup(replicas_that_take_over_in_the_middle_lose_no_key,
                               cluster_rig_settle),
        cmocka_unit_test_setup(a_primary_that_dies_in_the_middle_loses_no_key, cluster_rig_settle),
        cmocka_unit_test_setup(slots_that_move_while_keys_are_deleted_leave_none,
                               cluster_rig_settle),
        cmocka_unit_test_setup(replicas_that_take_over_while_keys_are_deleted_leave_none,
                               cluster_rig_settle),
        cmocka_unit_test_setup(a_primary_that_dies_while_keys_are_deleted_leaves_none,
                               cluster_rig_settle),
        cmocka_unit_test_setup(a_slot_that_is_left_half_moved_is_told, cluster_rig_settle),
        cmocka_unit_test_setup(a_slot_that_its_owner_denies_is_told, cluster_rig_settle),
    };
    return cmocka_run_group_tests(tests, cluster_rig_start, cluster_rig_stop);
}
