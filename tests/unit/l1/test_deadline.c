/* SPDX-License-Identifier: MIT
 *
 * Other deadlines for what is there (l1/deadline.c).
 */
#include <pthread.h>

#include "unit/l1/tier_rig.h"

#define LARGE 300000u /* in a block */

static struct sta_l1 *tier(void)
{
    return rig_create((struct sta_l1_config){.max_bytes = 16 << 20});
}

static uint64_t deadline_of(struct sta_l1 *l1, const char *key)
{
    struct sta_key k = sta_l1_key(l1, strata_text(key));
    struct sta_l1_lease lease;
    assert_int_equal(sta_l1_get(l1, &k, RIG_NOW, &lease), STRATA_OK);
    uint64_t deadline_ms = lease.deadline_ms;
    sta_l1_release(l1, &lease);
    return deadline_ms;
}

/* From each to each, of small values and of large ones. */
static void a_deadline_becomes_shorter_longer_none_and_some_again(void **state)
{
    (void)state;
    static const uint64_t deadlines[] = {RIG_NOW + 1, RIG_NOW + 500, STA_NEVER - 1, STA_NEVER};
    for (size_t from = 0; from < 4; from++) {
        for (size_t to = 0; to < 4; to++) {
            struct sta_l1 *l1 = tier();
            rig_set_until(l1, "small", "value", deadlines[from]);
            rig_set_len(l1, "large", LARGE);
            rig_set_deadline(l1, "large", deadlines[from], RIG_NOW);
            struct sta_l1_statistics before = rig_numbers(l1);
            assert_int_equal(rig_set_deadline(l1, "small", deadlines[to], RIG_NOW), STRATA_OK);
            assert_int_equal(rig_set_deadline(l1, "large", deadlines[to], RIG_NOW), STRATA_OK);
            struct sta_l1_statistics after = rig_numbers(l1);
            assert_int_equal(after.entries, before.entries);
            assert_int_equal(after.fills, before.fills);
            assert_int_equal(deadline_of(l1, "small"), deadlines[to]);
            assert_int_equal(deadline_of(l1, "large"), deadlines[to]);
            assert_true(rig_has_at(l1, "small", deadlines[to] - 1));
            assert_true(rig_has_at(l1, "large", deadlines[to] - 1));
            bool never = deadlines[to] == STA_NEVER;
            assert_int_equal(rig_has_at(l1, "small", deadlines[to]), never);
            assert_int_equal(rig_has_at(l1, "large", deadlines[to]), never);
            rig_destroy(l1);
        }
    }
}

static void value_and_flags_stay(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier();
    static uint8_t bytes[LARGE];
    static const size_t lens[] = {0, 1, 100, 5000, LARGE};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        struct sta_key key = sta_l1_key(l1, strata_bytes(&i, sizeof i));
        memset(bytes, (int)i + 1, lens[i]);
        struct sta_l1_entry entry = {
            .value = strata_bytes(bytes, lens[i]), .deadline_ms = STA_NEVER, .flags = 0x5a};
        struct sta_l1_lease lease;
        assert_int_equal(sta_l1_set(l1, &key, &entry, RIG_NOW), STRATA_OK);
        for (uint64_t round = 0; round < 4; round++) {
            uint64_t deadline_ms = round % 2 == 0 ? RIG_NOW + 7 : STA_NEVER;
            assert_int_equal(sta_l1_set_deadline(l1, &key, deadline_ms, RIG_NOW), STRATA_OK);
            assert_int_equal(sta_l1_get(l1, &key, RIG_NOW, &lease), STRATA_OK);
            assert_int_equal(lease.value.len, lens[i]);
            assert_true(lens[i] == 0 || memcmp(lease.value.data, bytes, lens[i]) == 0);
            assert_int_equal(lease.flags, 0x5a);
            assert_int_equal(lease.deadline_ms, deadline_ms);
            sta_l1_release(l1, &lease);
        }
    }
    rig_destroy(l1);
}

static void a_deadline_that_is_over_removes_the_entry(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier();
    rig_set(l1, "now", "v");
    rig_set(l1, "past", "v");
    rig_set_len(l1, "large", LARGE);
    assert_int_equal(rig_set_deadline(l1, "now", RIG_NOW, RIG_NOW), STRATA_OK);
    assert_int_equal(rig_set_deadline(l1, "past", 0, RIG_NOW), STRATA_OK);
    assert_int_equal(rig_set_deadline(l1, "large", RIG_NOW - 1, RIG_NOW), STRATA_OK);
    assert_int_equal(rig_numbers(l1).entries, 0);
    assert_int_equal(rig_numbers(l1).block_bytes, 0);
    assert_int_equal(rig_numbers(l1).expirations, 3);
    rig_destroy(l1);
}

static void what_is_not_there_or_has_expired_is_a_miss_and_stays_one(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier();
    assert_int_equal(rig_set_deadline(l1, "k", STA_NEVER, RIG_NOW), STRATA_MISS);
    assert_int_equal(rig_set_deadline(l1, "k", 0, RIG_NOW), STRATA_MISS);
    rig_set_until(l1, "k", "v", RIG_NOW + 5);
    assert_int_equal(rig_set_deadline(l1, "k", STA_NEVER, RIG_NOW + 5), STRATA_MISS);
    assert_false(rig_has(l1, "k"));
    rig_set_until(l1, "k", "v", RIG_NOW + 5);
    assert_int_equal(rig_set_deadline(l1, "k", RIG_NOW + 5, RIG_NOW + 5), STRATA_MISS);
    assert_false(rig_has(l1, "k"));
    assert_int_equal(rig_numbers(l1).entries, 0);
    rig_destroy(l1);
}

/* A lease is what it was when it was given. */
static void a_lease_keeps_its_bytes_and_its_deadline(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier();
    struct sta_key key = sta_l1_key(l1, strata_text("k"));
    struct sta_l1_lease lease;
    rig_set_until(l1, "k", "value", RIG_NOW + 50);
    assert_int_equal(sta_l1_get(l1, &key, RIG_NOW, &lease), STRATA_OK);
    for (uint64_t i = 0; i < 100000; i++)
        rig_set_deadline(l1, "k", RIG_NOW + 100 + i, RIG_NOW);
    assert_int_equal(lease.deadline_ms, RIG_NOW + 50);
    assert_memory_equal(lease.value.data, "value", 5);
    sta_l1_release(l1, &lease);
    rig_destroy(l1);
}

static void tokens_stay_current(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier();
    struct sta_key key = sta_l1_key(l1, strata_text("k"));
    rig_set(l1, "k", "v");
    struct sta_l1_token token = sta_l1_token(l1, &key);
    rig_set_deadline(l1, "k", RIG_NOW + 5, RIG_NOW);
    assert_int_equal(sta_l1_token(l1, &key).generation, token.generation);
    rig_destroy(l1);
}

/* Renewing the same few, over and over, must not cost others their place for long: bounds hold, and
 * the tier stays valid where it is full. */
static void a_full_tier_takes_new_deadlines_within_its_bounds(void **state)
{
    (void)state;
    const uint64_t most = 300000;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = most, .max_entries = 500});
    char name[32];
    uint64_t random = 4;
    uint64_t there = 0;
    for (int i = 0; i < 60000; i++) {
        snprintf(name, sizeof name, "k%d", (int)sta_random_below(&random, 3000));
        if (i % 3 == 0) {
            assert_int_equal(rig_set_len(l1, name, sta_random_below(&random, 600)), STRATA_OK);
            continue;
        }
        bool had = rig_peek(l1, name) == RIG_FINE;
        uint64_t deadline_ms =
            sta_random_below(&random, 2) == 0 ? STA_NEVER : RIG_NOW + 1 + (uint64_t)i;
        int status = rig_set_deadline(l1, name, deadline_ms, RIG_NOW);
        assert_true(had ? status != STRATA_ERR_BUSY : status == STRATA_MISS);
        if (status == STRATA_OK) {
            there++;
            assert_int_equal(deadline_of(l1, name), deadline_ms);
        } else {
            assert_int_equal(rig_peek(l1, name), RIG_NONE);
        }
        assert_true(rig_numbers(l1).memory_bytes <= most);
        assert_true(rig_numbers(l1).entries <= 500);
        if (i % 1000 == 0)
            assert_true(sta_l1_valid(l1));
    }
    assert_true(there > 1000);
    rig_destroy(l1);
}

/* ---- threads ---- */

#define SHARED 8u

/* Each value says until when it may be answered at the most: whoever moves its deadline only makes
 * it shorter than that, and the clock of a reader is one that all share. */
struct world {
    struct sta_l1 *l1;
    _Atomic uint64_t now_ms;
    _Atomic uint64_t wrong;
    _Atomic uint64_t hits;
    _Atomic int stop;
};

static struct sta_key key_at(const struct world *world, uint64_t index, char name[16])
{
    int len = snprintf(name, 16, "shared:%u", (unsigned)index);
    return sta_l1_key(world->l1, strata_bytes(name, (size_t)len));
}

/* The version is the deadline that its first entry had; later ones are not longer. */
static void look(struct world *world, uint64_t index, bool copies)
{
    char name[16];
    static _Thread_local uint8_t bytes[4096];
    struct sta_key key = key_at(world, index, name);
    uint64_t version = 0;
    uint64_t now_ms = atomic_load(&world->now_ms);
    bool good = true;
    struct sta_l1_copy copy = {.buffer = bytes, .cap = sizeof bytes};
    struct sta_l1_lease lease;
    if (copies && sta_l1_copy(world->l1, &key, now_ms, &copy) == STRATA_OK) {
        good = rig_value_read(strata_bytes(bytes, copy.len), index, &version) &&
               copy.deadline_ms <= version && now_ms < copy.deadline_ms;
    } else if (sta_l1_get(world->l1, &key, now_ms, &lease) == STRATA_OK) {
        good = rig_value_read(lease.value, index, &version) && lease.deadline_ms <= version &&
               now_ms < lease.deadline_ms;
        sta_l1_release(world->l1, &lease);
    } else {
        return;
    }
    atomic_fetch_add(&world->hits, 1);
    if (!good || now_ms >= version)
        atomic_fetch_add(&world->wrong, 1);
}

static void *read_on(void *arg)
{
    struct world *world = arg;
    uint64_t random = (uint64_t)(uintptr_t)&random;
    while (atomic_load(&world->stop) == 0)
        look(world, sta_random_below(&random, SHARED), sta_random_below(&random, 2) == 0);
    return NULL;
}

static void *shorten_on(void *arg)
{
    struct world *world = arg;
    uint64_t random = (uint64_t)(uintptr_t)&random + 1;
    char name[16];
    while (atomic_load(&world->stop) == 0) {
        uint64_t now_ms = atomic_load(&world->now_ms);
        struct sta_key key = key_at(world, sta_random_below(&random, SHARED), name);
        struct sta_l1_lease lease;
        if (sta_l1_peek(world->l1, &key, now_ms, &lease) != STRATA_OK)
            continue;
        uint64_t deadline_ms = lease.deadline_ms - sta_random_below(&random, 2);
        sta_l1_release(world->l1, &lease);
        sta_l1_set_deadline(world->l1, &key, deadline_ms, now_ms);
    }
    return NULL;
}

/* Stores, and moves the clock: an older value's deadlines are all before a newer one's. */
static void *store_on(void *arg)
{
    struct world *world = arg;
    static uint8_t bytes[4096];
    char name[16];
    uint64_t random = 77;
    for (uint64_t i = 0; i < 60000 / RIG_SHORTER; i++) {
        uint64_t now_ms = atomic_fetch_add(&world->now_ms, 1) + 1;
        uint64_t index = sta_random_below(&random, SHARED);
        uint64_t until_ms = now_ms + 40;
        uint64_t len = sizeof(struct rig_value) + sta_random_below(&random, 2000);
        struct sta_key key = key_at(world, index, name);
        rig_value_make(bytes, index, until_ms, len);
        struct sta_l1_entry entry = {.value = strata_bytes(bytes, len), .deadline_ms = until_ms};
        sta_l1_set(world->l1, &key, &entry, now_ms);
    }
    atomic_store(&world->stop, 1);
    return NULL;
}

/* Small enough that memory is used again all the time. A deadline that was read from one value may
 * meet the next, which it makes shorter still. */
static void beside_readers_no_value_is_torn_or_answered_after_its_deadline(void **state)
{
    (void)state;
    struct world *world = calloc(1, sizeof *world);
    world->l1 = rig_create((struct sta_l1_config){.max_bytes = 200000});
    world->now_ms = 1000;
    pthread_t threads[6];
    assert_int_equal(pthread_create(&threads[0], NULL, store_on, world), 0);
    for (int i = 1; i < 6; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i < 3 ? shorten_on : read_on, world), 0);
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&world->wrong), 0);
    assert_true(atomic_load(&world->hits) > 0);
    rig_destroy(world->l1);
    free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deadline_becomes_shorter_longer_none_and_some_again),
        cmocka_unit_test(value_and_flags_stay),
        cmocka_unit_test(a_deadline_that_is_over_removes_the_entry),
        cmocka_unit_test(what_is_not_there_or_has_expired_is_a_miss_and_stays_one),
        cmocka_unit_test(a_lease_keeps_its_bytes_and_its_deadline),
        cmocka_unit_test(tokens_stay_current),
        cmocka_unit_test(a_full_tier_takes_new_deadlines_within_its_bounds),
        cmocka_unit_test(beside_readers_no_value_is_torn_or_answered_after_its_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
