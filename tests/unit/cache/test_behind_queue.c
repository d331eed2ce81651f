/* SPDX-License-Identifier: MIT
 *
 * The queue of write-behind, beside a model: a Redis that answers, refuses, is away, carries writes
 * out without an answer, at once or later, in virtual time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/behind_queue.h"
#include "core/clock.h"
#include "core/random.h"
#include "strata/status.h"
#include "support/long_form.h"

#define SEC STA_NS_SEC
#define MS  STA_NS_MS

static const struct sta_behind_queue_config calm = {
    .max_entries = 100,
    .max_bytes = 1 << 20,
    .interval_ns = 100 * MS,
    .backoff_min_ns = 50 * MS,
    .backoff_max_ns = 2 * SEC,
    .park_ns = 10 * SEC,
    .settle_ns = SEC,
    .seed = 7,
};

static struct sta_behind_queue *queue_with(struct sta_behind_queue_config config)
{
    struct sta_behind_queue *queue = NULL;
    assert_int_equal(sta_behind_queue_create(&queue, &config), STRATA_OK);
    return queue;
}

static int push(struct sta_behind_queue *queue, const char *key, const char *value, uint64_t now_ns)
{
    struct sta_key hashed = sta_key_make(strata_text(key), 1);
    struct sta_behind_push what = {
        .value = value != NULL ? strata_text(value) : strata_bytes(NULL, 0),
        .is_delete = value == NULL,
        .expires_ns = STA_NEVER,
    };
    return sta_behind_queue_push(queue, &hashed, &what, now_ns, NULL);
}

static void assert_next(struct sta_behind_queue *queue, uint64_t now_ns, const char *key,
                        struct sta_behind_entry **out)
{
    *out = sta_behind_queue_next(queue, now_ns);
    assert_non_null(*out);
    assert_int_equal((*out)->key_len, strlen(key));
    assert_memory_equal((*out)->key, key, strlen(key));
}

static void written(struct sta_behind_queue *queue, struct sta_behind_entry *entry, uint64_t now_ns)
{
    assert_true(sta_behind_queue_settle(queue, entry, STA_BEHIND_WRITTEN, now_ns));
    sta_behind_queue_free_entry(entry);
}

static struct sta_behind_queue_statistics numbers(const struct sta_behind_queue *queue)
{
    struct sta_behind_queue_statistics out;
    sta_behind_queue_statistics(queue, &out);
    return out;
}

static void a_key_is_due_an_interval_after_its_first_push_with_its_last_value(void **state)
{
    (void)state;
    struct sta_behind_queue *queue = queue_with(calm);
    struct sta_behind_entry *entry;
    assert_int_equal(push(queue, "k", "1", SEC), STRATA_OK);
    assert_int_equal(push(queue, "k", "22", SEC + 90 * MS), STRATA_OK);
    assert_null(sta_behind_queue_next(queue, SEC + 100 * MS - 1));
    assert_true(sta_behind_queue_due_ns(queue) == SEC + 100 * MS);
    assert_next(queue, SEC + 100 * MS, "k", &entry);
    assert_int_equal(entry->value_len, 2);
    assert_memory_equal(entry->value, "22", 2);
    assert_int_equal(numbers(queue).coalesced, 1);
    written(queue, entry, SEC + 101 * MS);
    assert_int_equal(numbers(queue).entries, 0);
    assert_int_equal(numbers(queue).bytes, 0);
    assert_true(sta_behind_queue_due_ns(queue) == STA_NEVER);
    sta_behind_queue_destroy(&queue);
}

static void a_key_is_under_way_once_and_again_an_interval_later(void **state)
{
    (void)state;
    struct sta_behind_queue *queue = queue_with(calm);
    struct sta_behind_entry *entry;
    assert_int_equal(push(queue, "k", "1", 0), STRATA_OK);
    assert_next(queue, 100 * MS, "k", &entry);
    assert_int_equal(push(queue, "k", NULL, 101 * MS), STRATA_OK);
    assert_null(sta_behind_queue_next(queue, 10 * SEC));
    assert_int_equal(numbers(queue).coalesced, 0); /* the first one was sent */
    assert_false(sta_behind_queue_settle(queue, entry, STA_BEHIND_WRITTEN, 102 * MS));
    assert_null(sta_behind_queue_next(queue, 199 * MS));
    assert_next(queue, 200 * MS, "k", &entry);
    assert_true(entry->is_delete);
    written(queue, entry, 201 * MS);
    sta_behind_queue_destroy(&queue);
}

static void bounds_hold_and_a_key_that_is_owed_is_replaced_though_it_is_full(void **state)
{
    (void)state;
    struct sta_behind_queue_config config = calm;
    config.max_entries = 2;
    struct sta_behind_queue *queue = queue_with(config);
    assert_int_equal(push(queue, "a", "1", 0), STRATA_OK);
    assert_int_equal(push(queue, "b", "1", 0), STRATA_OK);
    assert_int_equal(push(queue, "c", "1", 0), STRATA_ERR_BUSY);
    assert_int_equal(push(queue, "b", "2", 0), STRATA_OK);
    assert_int_equal(numbers(queue).entries, 2);
    assert_true(sta_behind_queue_valid(queue));
    sta_behind_queue_destroy(&queue);
    config.max_bytes = 600;
    queue = queue_with(config);
    char *large = calloc(1, 700);
    memset(large, 'x', 650);
    assert_int_equal(push(queue, "a", large, 0), STRATA_ERR_TOO_BIG);
    large[300] = '\0';
    assert_int_equal(push(queue, "a", large, 0), STRATA_OK);
    assert_int_equal(push(queue, "b", large, 0), STRATA_ERR_BUSY);
    assert_true(sta_behind_queue_valid(queue));
    free(large);
    sta_behind_queue_destroy(&queue);
}

/* Of `len` bytes. */
static int push_sized(struct sta_behind_queue *queue, const char *key, size_t len, uint64_t now_ns)
{
    char *value = calloc(1, len + 1);
    assert_non_null(value);
    memset(value, 'x', len);
    int status = push(queue, key, value, now_ns);
    free(value);
    return status;
}

static void what_fills_more_than_half_is_due_at_once_be_it_new_or_grown(void **state)
{
    (void)state;
    struct sta_behind_queue_config config = calm;
    struct sta_behind_entry *entry;
    config.max_bytes = 10000;
    struct sta_behind_queue *queue = queue_with(config);
    assert_int_equal(push_sized(queue, "new", 6000, SEC), STRATA_OK);
    assert_next(queue, SEC, "new", &entry);
    written(queue, entry, SEC);
    assert_int_equal(push_sized(queue, "grown", 10, SEC), STRATA_OK);
    assert_null(sta_behind_queue_next(queue, SEC));
    assert_int_equal(push_sized(queue, "grown", 6000, SEC), STRATA_OK);
    assert_true(sta_behind_queue_valid(queue));
    assert_next(queue, SEC, "grown", &entry);
    /* But not after a failure. */
    assert_false(sta_behind_queue_settle(queue, entry, STA_BEHIND_NOT_SENT, SEC));
    assert_int_equal(push_sized(queue, "grown", 6001, SEC), STRATA_OK);
    assert_null(sta_behind_queue_next(queue, SEC));
    assert_true(sta_behind_queue_valid(queue));
    sta_behind_queue_destroy(&queue);
}

static void while_room_is_wanted_nothing_waits_for_its_interval_and_the_rate_holds(void **state)
{
    (void)state;
    struct sta_behind_queue_config config = calm;
    struct sta_behind_entry *entry;
    struct sta_behind_queue *queue = queue_with(config);
    assert_int_equal(push(queue, "a", "1", SEC), STRATA_OK);
    assert_null(sta_behind_queue_next(queue, SEC));
    sta_behind_queue_want(queue, true, SEC);
    assert_true(sta_behind_queue_valid(queue));
    assert_next(queue, SEC, "a", &entry);
    assert_int_equal(push(queue, "a", "2", SEC), STRATA_OK);
    assert_false(sta_behind_queue_settle(queue, entry, STA_BEHIND_WRITTEN, SEC));
    assert_next(queue, SEC, "a", &entry);
    written(queue, entry, SEC);
    sta_behind_queue_want(queue, false, SEC);
    assert_int_equal(push(queue, "b", "1", SEC), STRATA_OK);
    assert_null(sta_behind_queue_next(queue, SEC));
    sta_behind_queue_destroy(&queue);
    config.rate = 1;
    queue = queue_with(config);
    sta_behind_queue_want(queue, true, SEC);
    assert_int_equal(push(queue, "a", "1", SEC), STRATA_OK);
    assert_int_equal(push(queue, "b", "1", SEC), STRATA_OK);
    assert_next(queue, SEC, "a", &entry);
    written(queue, entry, SEC);
    assert_null(sta_behind_queue_next(queue, SEC + 100 * MS));
    sta_behind_queue_destroy(&queue);
}

/* A value that replaces a larger one may stay in its place: that place counts. */
static void bytes_are_those_that_are_allocated(void **state)
{
    (void)state;
    struct sta_behind_queue_config config = calm;
    config.max_bytes = 100000;
    struct sta_behind_queue *queue = queue_with(config);
    assert_int_equal(push_sized(queue, "k", 60000, 0), STRATA_OK);
    uint64_t large = numbers(queue).bytes;
    assert_int_equal(push_sized(queue, "k", 20000, 0), STRATA_OK);
    assert_true(numbers(queue).bytes == large);
    assert_int_equal(push_sized(queue, "other", 50000, 0), STRATA_ERR_BUSY);
    assert_true(sta_behind_queue_valid(queue));
    assert_int_equal(push_sized(queue, "k", 1000, 0), STRATA_OK); /* a place of its own */
    assert_true(numbers(queue).bytes == large - 59000);
    assert_int_equal(push_sized(queue, "other", 50000, 0), STRATA_OK);
    assert_int_equal(push_sized(queue, "k", 60000, 0), STRATA_ERR_BUSY);
    assert_true(sta_behind_queue_valid(queue));
    sta_behind_queue_destroy(&queue);
}

static void what_is_restored_is_not_bounded_and_leaves_no_room(void **state)
{
    (void)state;
    struct sta_behind_queue_config config = calm;
    struct sta_behind_entry *entry;
    char key[16];
    config.max_entries = 2;
    struct sta_behind_queue *queue = queue_with(config);
    for (int i = 0; i < 4; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        struct sta_key hashed = sta_key_make(strata_text(key), 1);
        struct sta_behind_push what = {.value = strata_text("old"), .expires_ns = STA_NEVER};
        assert_int_equal(sta_behind_queue_restore(queue, &hashed, &what, 0), STRATA_OK);
    }
    assert_true(sta_behind_queue_valid(queue));
    while ((entry = sta_behind_queue_next(queue, 100 * MS)) != NULL)
        assert_false(sta_behind_queue_settle(queue, entry, STA_BEHIND_WRITTEN, 100 * MS));
    for (int left = 4; left > 2; left--) {
        assert_int_equal(push(queue, "new", "1", 0), STRATA_ERR_BUSY);
        assert_int_equal(push(queue, "k3", "new", 0), STRATA_OK);
        entry = sta_behind_queue_next(queue, 1100 * MS);
        assert_non_null(entry);
        written(queue, entry, 1100 * MS);
        assert_true(sta_behind_queue_valid(queue));
    }
    assert_int_equal(push(queue, "new", "1", 0), STRATA_ERR_BUSY);
    entry = sta_behind_queue_next(queue, 1100 * MS);
    assert_non_null(entry);
    written(queue, entry, 1100 * MS);
    assert_int_equal(push(queue, "new", "1", 0), STRATA_OK);
    assert_true(sta_behind_queue_valid(queue));
    sta_behind_queue_destroy(&queue);
}

static void what_is_refused_is_parked_and_others_do_not_wait_for_it(void **state)
{
    (void)state;
    struct sta_behind_queue *queue = queue_with(calm);
    struct sta_behind_entry *bad, *good;
    uint64_t now_ns = 0;
    assert_int_equal(push(queue, "bad", "1", now_ns), STRATA_OK);
    for (unsigned i = 0; i < STA_BEHIND_REFUSALS; i++) {
        now_ns = sta_behind_queue_due_ns(queue);
        assert_next(queue, now_ns, "bad", &bad);
        assert_int_equal(push(queue, "good", "1", now_ns - 100 * MS), STRATA_OK);
        assert_next(queue, now_ns, "good", &good);
        assert_false(sta_behind_queue_settle(queue, bad, STA_BEHIND_REFUSED, now_ns));
        written(queue, good, now_ns);
    }
    assert_int_equal(numbers(queue).parked, 1);
    assert_int_equal(numbers(queue).refused, STA_BEHIND_REFUSALS);
    assert_true(sta_behind_queue_due_ns(queue) == now_ns + calm.park_ns);
    assert_int_equal(push(queue, "bad", "2", now_ns), STRATA_OK); /* a new write, a new chance */
    assert_int_equal(numbers(queue).parked, 0);
    assert_next(queue, now_ns + calm.interval_ns, "bad", &bad);
    written(queue, bad, now_ns + calm.interval_ns);
    sta_behind_queue_destroy(&queue);
}

static void while_redis_is_away_only_probes_go_and_afterwards_all(void **state)
{
    (void)state;
    struct sta_behind_queue *queue = queue_with(calm);
    struct sta_behind_entry *flying[101];
    char key[8];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(push(queue, key, "1", 0), STRATA_OK);
    }
    for (int i = 0; i < 100; i++)
        flying[i] = sta_behind_queue_next(queue, SEC);
    for (int i = 0; i < 100; i++)
        assert_false(sta_behind_queue_settle(queue, flying[i], STA_BEHIND_NOT_SENT, SEC));
    assert_null(sta_behind_queue_next(queue, SEC));
    unsigned probes = 0;
    while ((flying[probes] = sta_behind_queue_next(queue, 10 * SEC)) != NULL)
        probes++;
    assert_int_equal(probes, STA_BEHIND_PROBES);
    written(queue, flying[0], 10 * SEC);
    unsigned rest = 0;
    while ((flying[probes + rest] = sta_behind_queue_next(queue, 10 * SEC)) != NULL)
        rest++;
    assert_int_equal(probes + rest, 100);
    assert_true(sta_behind_queue_valid(queue));
    for (unsigned i = 1; i < 100; i++)
        written(queue, flying[i], 10 * SEC);
    sta_behind_queue_destroy(&queue);
}

static void what_may_be_carried_out_late_is_repeated_until_it_no_longer_can(void **state)
{
    (void)state;
    struct sta_behind_queue *queue = queue_with(calm);
    struct sta_behind_entry *entry;
    assert_int_equal(push(queue, "k", "1", 0), STRATA_OK);
    assert_next(queue, SEC, "k", &entry);
    assert_int_equal(push(queue, "k", "2", SEC), STRATA_OK);
    assert_false(sta_behind_queue_settle(queue, entry, STA_BEHIND_UNKNOWN, 2 * SEC));
    assert_next(queue, 3 * SEC, "k", &entry);
    assert_false(sta_behind_queue_settle(queue, entry, STA_BEHIND_WRITTEN, 3 * SEC));
    assert_null(sta_behind_queue_next(queue, 4 * SEC - 1));
    assert_next(queue, 4 * SEC, "k", &entry);
    assert_memory_equal(entry->value, "2", 1);
    written(queue, entry, 4 * SEC);
    sta_behind_queue_destroy(&queue);
}

/* The process before may have sent it, or an older write of the key, just before it died. */
static void what_is_restored_may_be_carried_out_late_as_well(void **state)
{
    (void)state;
    struct sta_behind_queue *queue = queue_with(calm);
    struct sta_behind_entry *entry;
    struct sta_key key = sta_key_make(strata_text("k"), 1);
    const struct sta_behind_push what = {.value = strata_text("1"), .expires_ns = STA_NEVER};
    assert_int_equal(sta_behind_queue_restore(queue, &key, &what, 0), STRATA_OK);
    assert_next(queue, SEC, "k", &entry);
    assert_int_equal(push(queue, "k", "2", SEC), STRATA_OK);
    assert_false(sta_behind_queue_settle(queue, entry, STA_BEHIND_WRITTEN, SEC));
    assert_next(queue, 3 * SEC / 2, "k", &entry);
    assert_false(sta_behind_queue_settle(queue, entry, STA_BEHIND_WRITTEN, 3 * SEC / 2));
    assert_null(sta_behind_queue_next(queue, 2 * SEC - 1));
    assert_next(queue, 2 * SEC, "k", &entry);
    assert_memory_equal(entry->value, "2", 1);
    written(queue, entry, 2 * SEC);
    sta_behind_queue_destroy(&queue);
}

static void a_rate_is_kept(void **state)
{
    (void)state;
    struct sta_behind_queue_config config = calm;
    config.max_entries = 2000;
    config.rate = 100;
    struct sta_behind_queue *queue = queue_with(config);
    struct sta_behind_entry *entry;
    char key[8];
    unsigned sent = 0;
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(push(queue, key, "1", 0), STRATA_OK);
    }
    for (uint64_t now_ns = SEC; now_ns < 6 * SEC; now_ns += MS) {
        while ((entry = sta_behind_queue_next(queue, now_ns)) != NULL) {
            written(queue, entry, now_ns);
            sent++;
        }
    }
    assert_in_range(sent, 500, 512);
    sta_behind_queue_hurry(queue, true, 6 * SEC);
    while ((entry = sta_behind_queue_next(queue, 6 * SEC)) != NULL)
        written(queue, entry, 6 * SEC);
    assert_int_equal(numbers(queue).entries, 0);
    sta_behind_queue_destroy(&queue);
}

static void in_a_hurry_nothing_waits(void **state)
{
    (void)state;
    struct sta_behind_queue *queue = queue_with(calm);
    struct sta_behind_entry *entry;
    assert_int_equal(push(queue, "a", "1", SEC), STRATA_OK);
    sta_behind_queue_hurry(queue, true, SEC);
    assert_next(queue, SEC, "a", &entry);
    written(queue, entry, SEC);
    assert_int_equal(push(queue, "b", "1", SEC), STRATA_OK);
    assert_next(queue, SEC, "b", &entry);
    written(queue, entry, SEC);
    sta_behind_queue_hurry(queue, false, SEC);
    assert_int_equal(push(queue, "c", "1", SEC), STRATA_OK);
    assert_null(sta_behind_queue_next(queue, SEC));
    sta_behind_queue_destroy(&queue);
}

static void versions_say_what_is_still_owed(void **state)
{
    (void)state;
    struct sta_behind_queue *queue = queue_with(calm);
    struct sta_behind_entry *entry;
    assert_true(sta_behind_queue_oldest(queue) == STA_NEVER);
    assert_int_equal(push(queue, "a", "1", 0), STRATA_OK);
    assert_int_equal(push(queue, "b", "1", 0), STRATA_OK);
    uint64_t newest = sta_behind_queue_newest(queue);
    assert_int_equal(newest, 2);
    assert_int_equal(push(queue, "a", "2", 0), STRATA_OK); /* version 3; 1 is not owed any more */
    assert_int_equal(sta_behind_queue_oldest(queue), 2);
    for (int i = 0; i < 2; i++) {
        entry = sta_behind_queue_next(queue, SEC);
        assert_non_null(entry);
        written(queue, entry, SEC);
    }
    assert_true(sta_behind_queue_oldest(queue) > newest);
    sta_behind_queue_destroy(&queue);
}

/* ---- the model ---- */

#define MODEL_KEYS 64u
#define MODEL_MOST 32u /* under way */

/* A write that a server still has in its buffers, of a connection that was given up. */
struct straggler {
    bool waiting;
    unsigned key;
    uint64_t version;
    uint64_t at_ns;
};

struct model {
    struct sta_behind_queue *queue;
    uint64_t random;
    uint64_t now_ns;
    uint64_t pushed[MODEL_KEYS]; /* the last version; what must be in Redis at last */
    uint64_t redis[MODEL_KEYS];
    uint64_t seen[MODEL_KEYS]; /* the newest that came in order */
    uint64_t sent_ns[MODEL_KEYS];
    bool owed[MODEL_KEYS];
    struct sta_behind_entry *flying[MODEL_MOST];
    unsigned flying_count;
    struct straggler stragglers[MODEL_MOST];
    bool calm; /* no more faults */
};

static unsigned chance(struct model *model, unsigned below)
{
    return (unsigned)sta_random_below(&model->random, below);
}

static struct sta_key model_key(unsigned key, char *text)
{
    (void)snprintf(text, 16, "key:%u", key);
    return sta_key_make(strata_text(text), 3);
}

static unsigned model_number(const struct sta_behind_entry *entry)
{
    char text[16] = {0};
    memcpy(text, entry->key, entry->key_len);
    return (unsigned)atoi(text + 4);
}

/* The value says which version it is, so that what is sent can be told from what was pushed. */
static void model_push(struct model *model)
{
    char text[16];
    char value[200];
    unsigned key = chance(model, 4) == 0 ? 0 : chance(model, MODEL_KEYS);
    struct sta_key hashed = model_key(key, text);
    struct sta_behind_entry *entry = NULL;
    uint64_t version = sta_behind_queue_newest(model->queue) + 1;
    memset(value, 'v', sizeof value);
    memcpy(value, &version, sizeof version);
    struct sta_behind_push what = {
        .value = strata_bytes(value, sizeof version + chance(model, 150)),
        .is_delete = chance(model, 5) == 0,
        .expires_ns = STA_NEVER,
    };
    int status = sta_behind_queue_push(model->queue, &hashed, &what, model->now_ns, &entry);
    if (status == STRATA_ERR_BUSY)
        return;
    assert_int_equal(status, STRATA_OK);
    assert_int_equal(entry->version, version);
    assert_ptr_equal(sta_behind_queue_find(model->queue, &hashed), entry);
    assert_int_equal(entry->is_delete, what.is_delete);
    model->pushed[key] = version;
    model->owed[key] = true;
}

static void model_apply(struct model *model, unsigned key, uint64_t version)
{
    model->redis[key] = version;
}

static void model_send(struct model *model)
{
    struct sta_behind_entry *entry;
    if (model->flying_count == MODEL_MOST ||
        (entry = sta_behind_queue_next(model->queue, model->now_ns)) == NULL)
        return;
    unsigned key = model_number(entry);
    for (unsigned i = 0; i < model->flying_count; i++)
        assert_ptr_not_equal(model->flying[i], entry);
    assert_int_equal(entry->sent_version, model->pushed[key]); /* always the newest */
    if (!entry->is_delete)
        assert_memory_equal(entry->value, &entry->sent_version, sizeof entry->sent_version);
    assert_true(entry->sent_version >= model->seen[key]); /* in order */
    model->seen[key] = entry->sent_version;
    model->flying[model->flying_count++] = entry;
}

static void model_straggle(struct model *model, unsigned key, uint64_t version)
{
    for (unsigned i = 0; i < MODEL_MOST; i++) {
        struct straggler *straggler = &model->stragglers[i];
        if (straggler->waiting)
            continue;
        *straggler = (struct straggler){.waiting = true, .key = key, .version = version};
        return;
    }
    model_apply(model, key, version);
}

/* What a server has in its buffers it reads soon after it has come back: that is when the first
 * answer for the key comes. */
static void model_release(struct model *model, unsigned key)
{
    for (unsigned i = 0; i < MODEL_MOST; i++) {
        struct straggler *straggler = &model->stragglers[i];
        if (straggler->waiting && straggler->key == key && straggler->at_ns == 0)
            straggler->at_ns = model->now_ns + sta_random_below(&model->random, 900 * MS);
    }
}

static void model_carry_out(struct model *model)
{
    for (unsigned i = 0; i < MODEL_MOST; i++) {
        struct straggler *straggler = &model->stragglers[i];
        if (!straggler->waiting || straggler->at_ns == 0 || straggler->at_ns > model->now_ns)
            continue;
        straggler->waiting = false;
        model_apply(model, straggler->key, straggler->version);
    }
}

static enum sta_behind_outcome model_outcome(struct model *model, unsigned key, uint64_t version)
{
    unsigned dice = model->calm ? 0 : chance(model, 20);
    if (dice >= 19) { /* the answer was lost */
        if (chance(model, 2) == 0)
            model_straggle(model, key, version);
        else if (chance(model, 2) == 0)
            model_apply(model, key, version);
        return STA_BEHIND_UNKNOWN;
    }
    if (dice >= 17)
        return STA_BEHIND_NOT_SENT;
    if (dice >= 15)
        return STA_BEHIND_REFUSED;
    model_release(model, key);
    model_apply(model, key, version);
    return STA_BEHIND_WRITTEN;
}

static void model_answer(struct model *model)
{
    if (model->flying_count == 0)
        return;
    unsigned which = chance(model, model->flying_count);
    struct sta_behind_entry *entry = model->flying[which];
    unsigned key = model_number(entry);
    model->flying[which] = model->flying[--model->flying_count];
    enum sta_behind_outcome outcome = model_outcome(model, key, entry->sent_version);
    if (sta_behind_queue_settle(model->queue, entry, outcome, model->now_ns)) {
        assert_int_equal(outcome, STA_BEHIND_WRITTEN);
        assert_int_equal(entry->version, model->pushed[key]);
        model->owed[key] = false;
        sta_behind_queue_free_entry(entry);
    }
}

/* What nobody owes any more is in Redis, and stays there. */
static void model_check(const struct model *model)
{
    char text[16];
    uint64_t owed = 0;
    assert_true(sta_behind_queue_valid(model->queue));
    for (unsigned key = 0; key < MODEL_KEYS; key++) {
        struct sta_key hashed = model_key(key, text);
        bool found = sta_behind_queue_find(model->queue, &hashed) != NULL;
        assert_int_equal(found, model->owed[key]);
        if (!found)
            assert_int_equal(model->redis[key], model->pushed[key]);
        owed += found;
    }
    assert_int_equal(numbers(model->queue).entries, owed);
}

static void model_step(struct model *model)
{
    unsigned dice = chance(model, 10);
    if (dice < 4 && !model->calm)
        model_push(model);
    else if (dice < 6)
        model_send(model);
    else if (dice < 9)
        model_answer(model);
    else
        model->now_ns += sta_random_below(&model->random, 60 * MS);
    model_carry_out(model);
}

static void model_run(uint64_t seed, unsigned steps)
{
    struct model model = {.random = seed, .now_ns = SEC};
    struct sta_behind_queue_config config = calm;
    config.seed = seed;
    config.max_entries = 48;
    config.max_bytes = 12000;
    model.queue = queue_with(config);
    for (unsigned i = 0; i < steps; i++) {
        model_step(&model);
        if (i % 512 == 0)
            model_check(&model);
    }
    model.calm = true;
    while (numbers(model.queue).entries > 0)
        model_step(&model);
    model_check(&model);
    sta_behind_queue_destroy(&model.queue);
}

/* Long form (STRATA_LONG=1): twenty times as many steps. */
static void after_any_run_redis_has_the_last_write_of_each_key_and_saw_them_in_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        print_message("seed %u\n", (unsigned)seed);
        model_run(seed, is_long_form() ? 4000000 : 200000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_due_an_interval_after_its_first_push_with_its_last_value),
        cmocka_unit_test(a_key_is_under_way_once_and_again_an_interval_later),
        cmocka_unit_test(bounds_hold_and_a_key_that_is_owed_is_replaced_though_it_is_full),
        cmocka_unit_test(what_fills_more_than_half_is_due_at_once_be_it_new_or_grown),
        cmocka_unit_test(while_room_is_wanted_nothing_waits_for_its_interval_and_the_rate_holds),
        cmocka_unit_test(bytes_are_those_that_are_allocated),
        cmocka_unit_test(what_is_restored_is_not_bounded_and_leaves_no_room),
        cmocka_unit_test(what_is_refused_is_parked_and_others_do_not_wait_for_it),
        cmocka_unit_test(while_redis_is_away_only_probes_go_and_afterwards_all),
        cmocka_unit_test(what_may_be_carried_out_late_is_repeated_until_it_no_longer_can),
        cmocka_unit_test(what_is_restored_may_be_carried_out_late_as_well),
        cmocka_unit_test(a_rate_is_kept),
        cmocka_unit_test(in_a_hurry_nothing_waits),
        cmocka_unit_test(versions_say_what_is_still_owed),
        cmocka_unit_test(after_any_run_redis_has_the_last_write_of_each_key_and_saw_them_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
