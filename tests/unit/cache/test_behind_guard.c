/* SPDX-License-Identifier: MIT
 *
 * The version guard of write-behind's queue, beside a model: a Redis that others write, that loses
 * answers, and that carries writes out late, in virtual time.
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

#define SEC STA_NS_SEC
#define MS  STA_NS_MS

static const struct sta_behind_queue_config guarded = {
    .max_entries = 100,
    .max_bytes = 1 << 20,
    .interval_ns = 100 * MS,
    .backoff_min_ns = 50 * MS,
    .backoff_max_ns = 2 * SEC,
    .park_ns = 10 * SEC,
    .settle_ns = SEC,
    .seed = 7,
    .guarded = true,
};

static struct sta_behind_queue *queue_with(struct sta_behind_queue_config config)
{
    struct sta_behind_queue *queue = NULL;
    assert_int_equal(sta_behind_queue_create(&queue, &config), STRATA_OK);
    return queue;
}

static struct sta_guard_state value_state(const char *value)
{
    return value != NULL ? sta_guard_value(strata_text(value), STA_NEVER) : sta_guard_none();
}

/* `known`: what Redis has, NULL: it is not known. */
static void push_known(struct sta_behind_queue *queue, const char *value, const char *known,
                       uint64_t now_ns)
{
    struct sta_key hashed = sta_key_make(strata_text("k"), 1);
    struct sta_guard_basis basis = {0};
    const struct sta_guard_state state = value_state(known);
    struct sta_behind_push what = {
        .value = value != NULL ? strata_text(value) : strata_bytes(NULL, 0),
        .is_delete = value == NULL,
        .expires_ns = STA_NEVER,
        .basis = known != NULL ? &basis : NULL,
    };
    sta_guard_set(&basis, &state);
    assert_int_equal(sta_behind_queue_push(queue, &hashed, &what, now_ns, NULL), STRATA_OK);
    assert_true(sta_behind_queue_valid(queue));
}

static struct sta_behind_entry *next(struct sta_behind_queue *queue, bool looking, uint64_t now_ns)
{
    struct sta_behind_entry *entry = sta_behind_queue_next(queue, now_ns);
    assert_non_null(entry);
    assert_int_equal(entry->guard->looking, looking);
    return entry;
}

static bool seen(struct sta_behind_queue *queue, struct sta_behind_entry *entry, const char *value,
                 uint64_t now_ns)
{
    const struct sta_guard_state state = value_state(value);
    bool gone = sta_behind_queue_settle_seen(queue, entry, &state, now_ns);
    if (gone)
        sta_behind_queue_free_entry(entry);
    assert_true(sta_behind_queue_valid(queue));
    return gone;
}

static bool holds(const struct sta_behind_entry *entry, const char *value)
{
    const struct sta_guard_state state = value_state(value);
    return sta_guard_holds(&entry->guard->basis, &state, 0);
}

static uint64_t overtaken(const struct sta_behind_queue *queue)
{
    struct sta_behind_queue_statistics numbers;
    sta_behind_queue_statistics(queue, &numbers);
    return numbers.overtaken;
}

static void what_is_not_known_is_looked_at_at_once_and_written_after_its_interval(void **state)
{
    (void)state;
    struct sta_behind_queue_config config = guarded;
    config.rate = 1;
    struct sta_behind_queue *queue = queue_with(config);
    push_known(queue, "1", NULL, SEC);
    assert_true(sta_behind_queue_due_ns(queue) == 0);
    struct sta_behind_entry *entry = next(queue, true, SEC);
    assert_false(seen(queue, entry, "old", SEC + 5 * MS));
    assert_true(holds(entry, "old") && !holds(entry, NULL));
    assert_true(sta_behind_queue_due_ns(queue) ==
                SEC + 100 * MS); /* of the rate nothing is spent */
    entry = next(queue, false, SEC + 100 * MS);
    assert_true(sta_behind_queue_settle(queue, entry, STA_BEHIND_WRITTEN, SEC + 101 * MS));
    sta_behind_queue_free_entry(entry);
    sta_behind_queue_destroy(&queue);
}

static void a_look_that_fails_is_tried_again(void **state)
{
    (void)state;
    struct sta_behind_queue *queue = queue_with(guarded);
    push_known(queue, "1", NULL, SEC);
    struct sta_behind_entry *entry = next(queue, true, SEC);
    assert_false(sta_behind_queue_settle(queue, entry, STA_BEHIND_UNKNOWN, SEC));
    entry = next(queue, true, 4 * SEC);
    assert_false(seen(queue, entry, NULL, 4 * SEC));
    entry = next(queue, false, 4 * SEC);
    assert_true(sta_behind_queue_settle(queue, entry, STA_BEHIND_WRITTEN, 4 * SEC)); /* is sure */
    sta_behind_queue_free_entry(entry);
    sta_behind_queue_destroy(&queue);
}

static void who_pushes_over_a_look_that_is_parked_waits_for_no_interval(void **state)
{
    (void)state;
    struct sta_behind_queue *queue = queue_with(guarded);
    uint64_t now_ns = SEC;
    push_known(queue, "1", NULL, now_ns);
    for (unsigned i = 0; i < STA_BEHIND_REFUSALS; i++, now_ns += 10 * SEC) {
        struct sta_behind_entry *entry = next(queue, true, now_ns);
        assert_false(sta_behind_queue_settle(queue, entry, STA_BEHIND_REFUSED, now_ns));
    }
    now_ns -= 10 * SEC;
    assert_null(sta_behind_queue_next(queue, now_ns)); /* it is parked */
    push_known(queue, "2", NULL, now_ns);
    struct sta_behind_entry *entry = next(queue, true, now_ns);
    assert_false(seen(queue, entry, "old", now_ns));
    assert_true(sta_behind_queue_due_ns(queue) == now_ns + 100 * MS);
    entry = next(queue, false, now_ns + 100 * MS);
    assert_true(sta_behind_queue_settle(queue, entry, STA_BEHIND_WRITTEN, now_ns + 100 * MS));
    sta_behind_queue_free_entry(entry);
    sta_behind_queue_destroy(&queue);
}

static void what_was_acknowledged_is_the_basis_of_what_came_meanwhile(void **state)
{
    (void)state;
    struct sta_behind_queue *queue = queue_with(guarded);
    push_known(queue, "1", "old", 0);
    struct sta_behind_entry *entry = next(queue, false, SEC);
    push_known(queue, "22", NULL, SEC);
    push_known(queue, "333", NULL, SEC);
    assert_true(holds(entry, "old") && !holds(entry, "1"));
    assert_false(sta_behind_queue_settle(queue, entry, STA_BEHIND_WRITTEN, SEC));
    assert_true(holds(entry, "1") && !holds(entry, "old") && !holds(entry, "22"));
    entry = next(queue, false, 2 * SEC);
    assert_true(seen(queue, entry, "theirs", 2 * SEC));
    assert_int_equal(overtaken(queue), 1);
    sta_behind_queue_destroy(&queue);
}

static void what_others_have_written_takes_a_newer_push_along(void **state)
{
    (void)state;
    struct sta_behind_queue *queue = queue_with(guarded);
    push_known(queue, "1", "old", 0);
    struct sta_behind_entry *entry = next(queue, false, SEC);
    push_known(queue, "2", NULL, SEC);
    assert_true(seen(queue, entry, "theirs", SEC));
    assert_true(sta_behind_queue_oldest(queue) == STA_NEVER);
    assert_int_equal(overtaken(queue), 1);
    sta_behind_queue_destroy(&queue);
}

static void what_may_have_been_written_is_ours_until_that_is_sure(void **state)
{
    (void)state;
    struct sta_behind_queue *queue = queue_with(guarded);
    push_known(queue, "1", "old", 0);
    struct sta_behind_entry *entry = next(queue, false, SEC);
    assert_false(sta_behind_queue_settle(queue, entry, STA_BEHIND_UNKNOWN, SEC));
    assert_true(holds(entry, "old") && holds(entry, "1"));
    push_known(queue, NULL, NULL, SEC);
    entry = next(queue, false, 2 * SEC);
    assert_false(sta_behind_queue_settle(queue, entry, STA_BEHIND_WRITTEN, 2 * SEC));
    assert_true(holds(entry, "old") && holds(entry, "1") && holds(entry, NULL));
    assert_null(sta_behind_queue_next(queue, 3 * SEC - 1));
    entry = next(queue, false, 3 * SEC);
    assert_true(seen(queue, entry, "theirs", 3 * SEC)); /* after ours had been there */
    assert_int_equal(overtaken(queue), 0);
    sta_behind_queue_destroy(&queue);
}

static void too_many_that_may_have_been_written_are_looked_at_first(void **state)
{
    (void)state;
    char value[2] = "a";
    struct sta_behind_queue *queue = queue_with(guarded);
    push_known(queue, value, "old", 0);
    uint64_t now_ns = 0;
    for (unsigned i = 0; i < STA_GUARD_MOST; i++) {
        now_ns += 10 * SEC;
        struct sta_behind_entry *entry = next(queue, false, now_ns);
        value[0]++;
        push_known(queue, value, NULL, now_ns);
        assert_false(sta_behind_queue_settle(queue, entry, STA_BEHIND_UNKNOWN, now_ns));
    }
    now_ns += 10 * SEC;
    struct sta_behind_entry *entry = next(queue, true, now_ns);
    assert_false(seen(queue, entry, "c", now_ns)); /* and may be "d" in a moment */
    assert_true(holds(entry, "d"));
    entry = next(queue, true, now_ns + SEC);
    assert_false(seen(queue, entry, "d", now_ns + SEC));
    assert_true(holds(entry, "d") && !holds(entry, "c"));
    entry = next(queue, false, now_ns + SEC);
    assert_true(sta_behind_queue_settle(queue, entry, STA_BEHIND_WRITTEN, now_ns + SEC));
    sta_behind_queue_free_entry(entry);
    sta_behind_queue_destroy(&queue);
}

static void what_has_expired_is_not_the_work_of_others(void **state)
{
    (void)state;
    struct sta_behind_queue *queue = queue_with(guarded);
    for (int expired = 0; expired < 2; expired++) {
        push_known(queue, "1", NULL, SEC);
        struct sta_behind_entry *entry = next(queue, true, SEC);
        const struct sta_guard_state old = sta_guard_value(strata_text("old"), 3 * SEC);
        assert_false(sta_behind_queue_settle_seen(queue, entry, &old, SEC));
        entry = next(queue, false, 2 * SEC);
        assert_int_equal(seen(queue, entry, NULL, expired ? 3 * SEC : 2 * SEC), !expired);
        if (!expired)
            continue;
        entry = next(queue, false, 3 * SEC);
        assert_true(holds(entry, NULL));
        assert_true(sta_behind_queue_settle(queue, entry, STA_BEHIND_WRITTEN, 3 * SEC));
        sta_behind_queue_free_entry(entry);
    }
    assert_int_equal(overtaken(queue), 1);
    sta_behind_queue_destroy(&queue);
}

/* ---- bases ---- */

static void a_basis_comes_back_from_its_bytes_older_than_it_was(void **state)
{
    (void)state;
    uint8_t bytes[STA_GUARD_BYTES_MOST];
    struct sta_guard_basis basis = {0}, got;
    const struct sta_guard_state states[] = {
        sta_guard_none(),
        sta_guard_value(strata_text("for good"), STA_NEVER),
        sta_guard_value(strata_text("for a while"), 10 * SEC),
        {.expires_ns = STA_NEVER, .kind = STA_GUARD_OTHER},
    };
    for (size_t i = 0; i < 4; i++)
        sta_guard_add(&basis, &states[i]);
    sta_guard_add(&basis, &states[2]);
    assert_int_equal(basis.count, 4);
    size_t len = sta_guard_encode(&basis, 4 * SEC, bytes);
    sta_guard_decode(strata_bytes(bytes, len), 2000, 50 * SEC, &got);
    assert_int_equal(got.count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_true(sta_guard_holds(&got, &states[i], 0));
    assert_true(got.states[1].expires_ns == STA_NEVER && got.states[2].expires_ns == 54 * SEC);
    sta_guard_decode(strata_bytes(bytes, len - 1), 0, SEC, &got);
    assert_int_equal(got.count, 0);
    sta_guard_decode(strata_bytes(NULL, 0), 0, SEC, &got);
    assert_int_equal(got.count, 0);
}

static void what_redis_tells_is_read_and_nothing_else(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "none",
                                        "none ",
                                        " -2",
                                        "a9993e36 -1",
                                        "A9993E364706816ABA3E25717850C26C9CD0D89D -1",
                                        "a9993e364706816aba3e25717850c26c9cd0d89dx -1"};
    struct sta_guard_state seen;
    const struct sta_guard_state abc = sta_guard_value(strata_text("abc"), 0);
    const char *text = "a9993e364706816aba3e25717850c26c9cd0d89d 1500";
    assert_int_equal(sta_guard_read(strata_text(text), SEC, &seen), STRATA_OK);
    assert_int_equal(seen.kind, STA_GUARD_VALUE);
    assert_memory_equal(seen.digest, abc.digest, STA_SHA1_LEN);
    assert_true(seen.expires_ns == SEC + 1500 * MS);
    assert_int_equal(sta_guard_read(strata_text("none -2"), SEC, &seen), STRATA_OK);
    assert_true(seen.kind == STA_GUARD_NONE && seen.expires_ns == STA_NEVER);
    assert_int_equal(sta_guard_read(strata_text("other -1"), SEC, &seen), STRATA_OK);
    assert_true(seen.kind == STA_GUARD_OTHER && seen.expires_ns == STA_NEVER);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(sta_guard_read(strata_text(wrong[i]), SEC, &seen), STRATA_ERR_PROTOCOL);
}

/* ---- the model ---- */

#define MODEL_KEYS 16u
#define MODEL_MOST 24u /* under way */

/* Every write has a version, and a value that only it has; 0: there is none. */
struct model_key {
    uint64_t redis;
    bool theirs;       /* what Redis has */
    uint64_t pushed;   /* ours, the newest; */
    bool deletes;      /*   and whether it is a delete */
    uint64_t looked;   /* the version up to which all was known when Redis was looked at last */
    unsigned at_large; /* writes of ours that may yet be carried out */
};

struct model_write {
    struct sta_behind_entry *entry;
    unsigned key;
    uint64_t version;
    bool deletes;
    bool looking;
    struct sta_guard_basis basis;
    bool waiting; /* in the buffers of a server, of a connection that was given up */
    uint64_t at_ns;
};

struct model {
    struct sta_behind_queue *queue;
    uint64_t random;
    uint64_t now_ns;
    uint64_t version;
    struct model_key keys[MODEL_KEYS];
    struct model_write flying[MODEL_MOST];
    unsigned flying_count;
    struct model_write late[MODEL_MOST];
    uint64_t overtaken;
    bool calm;
};

static unsigned chance(struct model *model, unsigned below)
{
    return (unsigned)sta_random_below(&model->random, below);
}

static struct sta_guard_state state_of(uint64_t version)
{
    return version == 0 ? sta_guard_none()
                        : sta_guard_value(strata_bytes(&version, sizeof version), STA_NEVER);
}

static void model_push(struct model *model)
{
    char text[16];
    unsigned number = chance(model, MODEL_KEYS);
    struct model_key *key = &model->keys[number];
    (void)snprintf(text, sizeof text, "%u", number);
    struct sta_key hashed = sta_key_make(strata_text(text), 3);
    uint64_t version = ++model->version;
    struct sta_guard_basis basis = {0};
    const struct sta_guard_state state = state_of(key->redis);
    sta_guard_set(&basis, &state);
    struct sta_behind_push what = {
        .value = strata_bytes(&version, sizeof version),
        .is_delete = key->at_large == 0 && chance(model, 5) == 0,
        .expires_ns = STA_NEVER,
        .basis = chance(model, 2) == 0 ? &basis : NULL,
    };
    int status = sta_behind_queue_push(model->queue, &hashed, &what, model->now_ns, NULL);
    if (status == STRATA_ERR_BUSY)
        return;
    assert_int_equal(status, STRATA_OK);
    key->pushed = version;
    key->deletes = what.is_delete;
}

static void model_foreign(struct model *model)
{
    struct model_key *key = &model->keys[chance(model, MODEL_KEYS)];
    key->redis = ++model->version;
    key->theirs = true;
}

static void model_send(struct model *model)
{
    struct sta_behind_entry *entry;
    if (model->flying_count == MODEL_MOST ||
        (entry = sta_behind_queue_next(model->queue, model->now_ns)) == NULL)
        return;
    char text[16] = {0};
    memcpy(text, entry->key, entry->key_len);
    unsigned key = (unsigned)atoi(text);
    assert_true(entry->guard->looking || entry->guard->basis.count <= STA_GUARD_MOST);
    model->flying[model->flying_count++] = (struct model_write){
        .entry = entry,
        .key = key,
        .version = model->keys[key].pushed,
        .deletes = model->keys[key].deletes,
        .looking = entry->guard->looking,
        .basis = entry->guard->basis,
    };
}

/* As the script: true, it was written. A version of theirs gives way only to one that was accepted,
 * or looked for what is there, after it. */
static bool model_carry_out(struct model *model, const struct model_write *write)
{
    struct model_key *key = &model->keys[write->key];
    const struct sta_guard_state state = state_of(key->redis);
    if (write->looking) {
        if (write->basis.count == 0)
            key->looked = model->version;
        return false;
    }
    if (!sta_guard_holds(&write->basis, &state, 0) && !(write->deletes && key->redis == 0))
        return false;
    if (key->theirs && key->redis > write->version)
        assert_true(key->redis <= key->looked);
    key->redis = write->deletes ? 0 : write->version;
    key->theirs = false;
    return true;
}

static void model_lose(struct model *model, struct model_write *write)
{
    unsigned i = 0;
    switch (chance(model, 3)) {
    case 0:
        (void)model_carry_out(model, write);
        break;
    case 1:
        while (i < MODEL_MOST && model->late[i].waiting)
            i++;
        if (i == MODEL_MOST || write->looking)
            break;
        write->waiting = true;
        model->late[i] = *write;
        model->keys[write->key].at_large++;
        break;
    default:
        break;
    }
}

/* The first answer for a key is when a server reads what it still has of it. */
static void model_release(struct model *model, unsigned key)
{
    for (unsigned i = 0; i < MODEL_MOST; i++) {
        struct model_write *write = &model->late[i];
        if (write->waiting && write->key == key && write->at_ns == 0)
            write->at_ns = model->now_ns + sta_random_below(&model->random, 900 * MS);
    }
}

static void model_late(struct model *model)
{
    for (unsigned i = 0; i < MODEL_MOST; i++) {
        struct model_write *write = &model->late[i];
        if (!write->waiting || write->at_ns == 0 || write->at_ns > model->now_ns)
            continue;
        write->waiting = false;
        model->keys[write->key].at_large--;
        (void)model_carry_out(model, write);
    }
}

static void model_settle(struct model *model, const struct model_write *write, bool written,
                         bool theirs, uint64_t there)
{
    bool gone;
    const struct sta_guard_state state = state_of(there);
    if (written) {
        gone =
            sta_behind_queue_settle(model->queue, write->entry, STA_BEHIND_WRITTEN, model->now_ns);
    } else {
        gone = sta_behind_queue_settle_seen(model->queue, write->entry, &state, model->now_ns);
        assert_true(!gone || theirs); /* what is ours is not taken for theirs */
        model->overtaken += gone;
    }
    if (gone)
        sta_behind_queue_free_entry(write->entry);
}

static void model_answer(struct model *model)
{
    if (model->flying_count == 0)
        return;
    unsigned which = chance(model, model->flying_count);
    struct model_write write = model->flying[which];
    model->flying[which] = model->flying[--model->flying_count];
    unsigned dice = model->calm ? 0 : chance(model, 20);
    if (dice >= 17) {
        model_lose(model, &write);
        assert_false(
            sta_behind_queue_settle(model->queue, write.entry, STA_BEHIND_UNKNOWN, model->now_ns));
        return;
    }
    model_release(model, write.key);
    bool written = model_carry_out(model, &write);
    const struct model_key *key = &model->keys[write.key];
    model_settle(model, &write, written, key->theirs, key->redis);
}

static void model_step(struct model *model)
{
    unsigned dice = chance(model, 20);
    if (dice < 6 && !model->calm)
        model_push(model);
    else if (dice < 7 && !model->calm)
        model_foreign(model);
    else if (dice < 12)
        model_send(model);
    else if (dice < 18)
        model_answer(model);
    else
        model->now_ns += sta_random_below(&model->random, 60 * MS);
    model_late(model);
}

static void model_run(uint64_t seed, unsigned steps)
{
    struct model model = {.random = seed, .now_ns = SEC};
    struct sta_behind_queue_config config = guarded;
    struct sta_behind_queue_statistics numbers;
    config.seed = seed;
    config.max_entries = 12;
    model.queue = queue_with(config);
    for (unsigned i = 0; i < steps; i++) {
        model_step(&model);
        if (i % 512 == 0)
            assert_true(sta_behind_queue_valid(model.queue));
    }
    model.calm = true;
    do {
        model_step(&model);
        sta_behind_queue_statistics(model.queue, &numbers);
    } while (numbers.entries > 0);
    assert_true(numbers.overtaken > 0 && numbers.overtaken <= model.overtaken);
    assert_true(numbers.written > 0);
    sta_behind_queue_destroy(&model.queue);
}

/* STRATA_TEST_STEPS: more of it. */
static void in_any_run_theirs_is_not_overwritten_and_ours_is_not_taken_for_theirs(void **state)
{
    (void)state;
    const char *more = getenv("STRATA_TEST_STEPS");
    unsigned steps = more != NULL ? (unsigned)strtoul(more, NULL, 10) : 1000000;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        print_message("seed %u\n", (unsigned)seed);
        model_run(seed, steps / 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_known_is_looked_at_at_once_and_written_after_its_interval),
        cmocka_unit_test(a_look_that_fails_is_tried_again),
        cmocka_unit_test(who_pushes_over_a_look_that_is_parked_waits_for_no_interval),
        cmocka_unit_test(what_was_acknowledged_is_the_basis_of_what_came_meanwhile),
        cmocka_unit_test(what_others_have_written_takes_a_newer_push_along),
        cmocka_unit_test(what_may_have_been_written_is_ours_until_that_is_sure),
        cmocka_unit_test(too_many_that_may_have_been_written_are_looked_at_first),
        cmocka_unit_test(what_has_expired_is_not_the_work_of_others),
        cmocka_unit_test(a_basis_comes_back_from_its_bytes_older_than_it_was),
        cmocka_unit_test(what_redis_tells_is_read_and_nothing_else),
        cmocka_unit_test(in_any_run_theirs_is_not_overwritten_and_ours_is_not_taken_for_theirs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
