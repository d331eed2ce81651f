/* SPDX-License-Identifier: MIT
 *
 * Barriers before a cluster: the hash is on one node, what it hides on all of them, and its slot may go
 * elsewhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "integration/cluster_rig.h"
#include "integration/held_pattern.h"
#include "support/wait.h"

#define PATIENT_MS CLUSTER_RIG_PATIENT_MS
#define HASH       "atp:cache:strata:barriers"
#define KEYS       9000u
#define BATCH      500u
#define WARM       60u

static struct strata *open_with_l1(struct cluster_rig *rig)
{
    return cluster_rig_open(rig, NULL, 0, (struct strata_options){.l1_enabled = STRATA_ON});
}

static const char *name_of(unsigned n)
{
    static char name[16];
    (void)snprintf(name, sizeof name, "s:%u", n);
    return name;
}

static void fill(struct cluster_rig *rig)
{
    static char names[BATCH][16];
    struct strata_item items[BATCH];
    struct strata *cache = cluster_rig_open_plainly(rig);
    for (unsigned n = 0; n < KEYS; n += BATCH) {
        for (unsigned i = 0; i < BATCH; i++) {
            (void)snprintf(names[i], sizeof names[i], "s:%u", n + i);
            items[i] = (struct strata_item){.key = strata_text(names[i]),
                                            .value = strata_text("old"),
                                            .ttl_ms = STRATA_UNLIMITED};
        }
        assert_int_equal(strata_set_many(cache, items, BATCH, NULL), STRATA_OK);
    }
    assert_int_equal(rig_set(cache, "other", "x"), STRATA_OK);
    strata_close(&cache);
}

static void warm(struct strata *cache)
{
    for (unsigned n = 0; n < WARM; n++)
        rig_assert_value(cache, name_of(n), "old");
}

static bool misses_all(void *arg)
{
    for (unsigned n = 0; n < WARM; n++)
        if (rig_get(arg, name_of(n)) != STRATA_MISS)
            return false;
    return true;
}

static unsigned owner_of(struct cluster_rig *rig, const char *name)
{
    int owner = redis_cluster_primary(rig->cluster, redis_cluster_slot(rig->cluster, name));
    assert_true(owner >= 0);
    return (unsigned)owner;
}

/* How many of the warm keys are in Redis still. */
static unsigned left_in_redis(struct cluster_rig *rig)
{
    unsigned left = 0;
    for (unsigned n = 0; n < WARM; n++) {
        char name[32];
        (void)snprintf(name, sizeof name, "atp:cache:%s", name_of(n));
        redisReply *reply = redis_cluster_ask(rig->cluster, owner_of(rig, name), "EXISTS %s", name);
        left += reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
        if (reply != NULL)
            freeReplyObject(reply);
    }
    return left;
}

/* Held, something happens, and what matches stays hidden: from who knew, and from who comes. */
static void hide_while(struct cluster_rig *rig, void (*happens)(struct cluster_rig *rig))
{
    struct strata *cache = open_with_l1(rig), *other = open_with_l1(rig);
    struct held_pattern held = {.cache = cache, .pattern = "s:*"};
    fill(rig);
    warm(other);
    held_pattern_begin(&held);
    assert_true(wait_until(misses_all, other, PATIENT_MS));
    happens(rig);
    assert_true(wait_until(misses_all, other, PATIENT_MS));
    struct strata *late = open_with_l1(rig);
    assert_true(wait_until(misses_all, late, PATIENT_MS));
    assert_true(left_in_redis(rig) > 0);
    rig_assert_value(late, "other", "x");
    held_pattern_end(&held);
    assert_int_equal(held.status, STRATA_OK);
    assert_int_equal(left_in_redis(rig), 0);
    strata_close(&late);
    strata_close(&other);
    strata_close(&cache);
}

static void nothing_happens(struct cluster_rig *rig)
{
    (void)rig;
}

static void what_matches_is_hidden_on_every_node(void **state)
{
    hide_while(*state, nothing_happens);
}

static void the_slot_of_the_hash_moves(struct cluster_rig *rig)
{
    unsigned slot = redis_cluster_slot(rig->cluster, HASH);
    unsigned from = owner_of(rig, HASH);
    for (unsigned to = 0; to < redis_cluster_count(rig->cluster); to++) {
        if (to == from || !redis_cluster_is_primary(rig->cluster, to))
            continue;
        assert_int_equal(redis_cluster_move_slot(rig->cluster, slot, to), 0);
        return;
    }
    fail();
}

static void it_goes_along_when_its_slot_moves(void **state)
{
    hide_while(*state, the_slot_of_the_hash_moves);
}

static bool hash_is_there(void *arg)
{
    struct cluster_rig *rig = arg;
    redisReply *reply = redis_cluster_ask(rig->cluster, owner_of(rig, HASH), "EXISTS " HASH);
    bool there = reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
    if (reply != NULL)
        freeReplyObject(reply);
    return there;
}

static void its_node_fails_over_and_loses_it(struct cluster_rig *rig)
{
    int replica = redis_cluster_replica(rig->cluster, owner_of(rig, HASH));
    assert_true(replica >= 0);
    assert_int_equal(redis_cluster_failover(rig->cluster, (unsigned)replica, "TAKEOVER"), 0);
    assert_int_equal(redis_cluster_tell(rig->cluster, owner_of(rig, HASH), "DEL " HASH), 0);
    assert_true(wait_until(hash_is_there, rig, PATIENT_MS));
}

static void it_is_put_up_again_where_a_failover_lost_it(void **state)
{
    hide_while(*state, its_node_fails_over_and_loses_it);
}

struct question {
    struct strata *cache;
    const char *key;
};

/* A get is answered, and not from L1. */
static bool asks_redis(void *arg)
{
    const struct question *question = arg;
    struct strata_statistics before, after;
    strata_statistics(question->cache, &before);
    int status = rig_get(question->cache, question->key);
    strata_statistics(question->cache, &after);
    return status == STRATA_OK && after.l1.hits == before.l1.hits;
}

static bool asks_l1(void *arg)
{
    return !asks_redis(arg);
}

static void while_its_node_hangs_l1_is_closed_and_other_nodes_answer(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache = open_with_l1(rig);
    char key[32];
    unsigned n = 0, hangs = owner_of(rig, HASH), elsewhere = (hangs + 1) % 3;
    assert_true(redis_cluster_is_primary(rig->cluster, elsewhere));
    cluster_rig_key_of(rig->cluster, elsewhere, "k", &n, key, sizeof key);
    assert_int_equal(rig_set(cache, key, "v"), STRATA_OK);
    struct question question = {cache, key};
    assert_true(wait_until(asks_l1, &question, PATIENT_MS));
    redis_cluster_freeze(rig->cluster, hangs);
    assert_true(wait_until(asks_redis, &question, PATIENT_MS));
    redis_cluster_thaw(rig->cluster, hangs);
    assert_int_equal(redis_cluster_settle(rig->cluster, PATIENT_MS), 0);
    assert_true(wait_until(asks_l1, &question, PATIENT_MS));
    strata_close(&cache);
}

#define CASE(name) cmocka_unit_test_setup(name, cluster_rig_settle)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_matches_is_hidden_on_every_node),
        CASE(while_its_node_hangs_l1_is_closed_and_other_nodes_answer),
        CASE(it_goes_along_when_its_slot_moves),
        CASE(it_is_put_up_again_where_a_failover_lost_it),
    };
    return cmocka_run_group_tests(tests, cluster_rig_start, cluster_rig_stop);
}
