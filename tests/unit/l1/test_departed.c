/* SPDX-License-Identifier: MIT
 *
 * Why a get missed (l1/departed.h, l1/counters.h): each miss has one reason, and the right one.
 */
#include "l1/departed.h"
#include "unit/l1/tier_rig.h"

struct reasons {
    uint64_t absent;
    uint64_t expired;
    uint64_t invalidated;
    uint64_t evicted;
    uint64_t suspect;
};

/* A get of `key` that must miss, and the one reason that it counted. */
static struct reasons missing_at(struct sta_l1 *l1, const char *key, uint64_t now_ms)
{
    struct sta_l1_statistics before = rig_numbers(l1);
    assert_false(rig_has_at(l1, key, now_ms));
    struct sta_l1_statistics after = rig_numbers(l1);
    assert_int_equal(after.misses - before.misses, 1);
    assert_int_equal(after.hits, before.hits);
    return (struct reasons){
        after.misses_absent - before.misses_absent, after.misses_expired - before.misses_expired,
        after.misses_invalidated - before.misses_invalidated,
        after.misses_evicted - before.misses_evicted, after.misses_suspect - before.misses_suspect};
}

static struct reasons missing(struct sta_l1 *l1, const char *key)
{
    return missing_at(l1, key, RIG_NOW);
}

static struct sta_l1 *tier(void)
{
    return rig_create((struct sta_l1_config){.max_bytes = 16 << 20, .sources = 2});
}

static void what_was_never_here_is_absent(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier();
    rig_set(l1, "k", "v");
    assert_int_equal(missing(l1, "other").absent, 1);
    rig_destroy(l1);
}

/* What no tier takes never was here, however often it is delivered. */
static void what_was_refused_and_never_here_is_absent(void **state)
{
    (void)state;
    static uint8_t large[8 << 20];
    struct sta_l1 *l1 = tier();
    struct sta_key key = sta_l1_key(l1, strata_text("k"));
    const struct sta_l1_entry entry = {.value = strata_bytes(large, sizeof large),
                                       .deadline_ms = STA_NEVER};
    assert_int_equal(sta_l1_deliver(l1, &key, &entry, sta_l1_token(l1, &key), RIG_NOW),
                     STRATA_SKIPPED);
    assert_int_equal(missing(l1, "k").absent, 1);
    rig_set(l1, "k", "v");
    assert_int_equal(sta_l1_deliver(l1, &key, &entry, sta_l1_token(l1, &key), RIG_NOW),
                     STRATA_SKIPPED);
    assert_int_equal(missing(l1, "k").invalidated, 1);
    rig_destroy(l1);
}

static void what_expired_says_so_whoever_removed_it(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier();
    rig_set_until(l1, "read", "v", RIG_NOW + 10);
    rig_set_until(l1, "swept", "v", RIG_NOW + 10);
    rig_set_until(l1, "shortened", "v", STA_NEVER);
    rig_set_until(l1, "ended", "v", STA_NEVER);
    assert_int_equal(missing_at(l1, "read", RIG_NOW + 10).expired, 1);
    assert_int_equal(missing_at(l1, "read", RIG_NOW + 10).expired, 1); /* and later on */
    assert_int_equal(sta_l1_sweep(l1, RIG_NOW + 10, UINT64_MAX), 1);
    assert_int_equal(missing_at(l1, "swept", RIG_NOW + 10).expired, 1);
    assert_int_equal(rig_set_deadline(l1, "shortened", RIG_NOW + 1, RIG_NOW), STRATA_OK);
    assert_int_equal(missing_at(l1, "shortened", RIG_NOW + 1).expired, 1);
    assert_int_equal(rig_set_deadline(l1, "ended", RIG_NOW, RIG_NOW), STRATA_OK);
    assert_int_equal(missing(l1, "ended").expired, 1);
    assert_int_equal(rig_numbers(l1).expirations, 4);
    rig_destroy(l1);
}

static void what_was_invalidated_or_cleared_says_so(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier();
    rig_set(l1, "k", "v");
    rig_set(l1, "cleared", "v");
    rig_invalidate(l1, "k");
    assert_int_equal(missing(l1, "k").invalidated, 1);
    sta_l1_clear(l1);
    assert_int_equal(missing(l1, "cleared").invalidated, 1);
    rig_destroy(l1);
}

/* The last thing that happened counts. */
static void a_reason_is_that_of_the_newest_departure(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier();
    rig_set_until(l1, "k", "v", RIG_NOW + 1);
    assert_int_equal(missing_at(l1, "k", RIG_NOW + 1).expired, 1);
    rig_set(l1, "k", "v");
    rig_invalidate(l1, "k");
    assert_int_equal(missing(l1, "k").invalidated, 1);
    rig_set_until(l1, "k", "v", RIG_NOW + 1);
    assert_int_equal(missing_at(l1, "k", RIG_NOW + 1).expired, 1);
    rig_set_until(l1, "k", "v", RIG_NOW + 1);
    assert_int_equal(sta_l1_sweep(l1, RIG_NOW + 1, UINT64_MAX), 1);
    assert_int_equal(missing(l1, "k").expired, 1);
    rig_set(l1, "k", "v");
    sta_l1_clear(l1);
    assert_int_equal(missing(l1, "k").invalidated, 1);
    rig_destroy(l1);
}

static void what_had_to_make_room_says_so(void **state)
{
    (void)state;
    enum { ROOM = 100, KEYS = 300, ALIKE = 5 }; /* some overwrite others' marks */
    struct sta_l1 *l1 =
        rig_create((struct sta_l1_config){.max_bytes = 16 << 20, .max_entries = ROOM});
    char name[32];
    for (int i = 0; i < KEYS; i++) {
        snprintf(name, sizeof name, "k%d", i);
        rig_set(l1, name, "v");
    }
    unsigned evicted = 0;
    for (int i = 0; i < KEYS; i++) {
        snprintf(name, sizeof name, "k%d", i);
        if (rig_peek(l1, name) == RIG_NONE)
            evicted += (unsigned)missing(l1, name).evicted;
    }
    assert_in_range(evicted, KEYS - ROOM - ALIKE, KEYS - ROOM);
    /* a resize is no other reason */
    assert_int_equal(sta_l1_resize(l1, 16 << 20, 10), STRATA_OK);
    evicted = 0;
    for (int i = 0; i < KEYS; i++) {
        snprintf(name, sizeof name, "k%d", i);
        if (rig_peek(l1, name) == RIG_NONE)
            evicted += (unsigned)missing(l1, name).evicted;
    }
    assert_in_range(evicted, KEYS - 10 - 2 * ALIKE, KEYS - 10);
    rig_destroy(l1);
}

static void what_is_in_doubt_says_so_and_its_removal_something_else(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier();
    struct sta_key key = sta_l1_key(l1, strata_text("k"));
    struct sta_l1_entry entry = {.value = strata_text("v"), .deadline_ms = RIG_NOW + 5};
    assert_int_equal(sta_l1_fill(l1, &key, &entry, sta_l1_token_from(l1, &key, 1), RIG_NOW),
                     STRATA_OK);
    sta_l1_doubt(l1, 1);
    assert_int_equal(missing(l1, "k").suspect, 1);
    assert_int_equal(missing_at(l1, "k", RIG_NOW + 5).expired, 1); /* that is for certain */
    rig_destroy(l1);
}

/* A long run of everything, in a tier that remembers all of it: the reference knows each reason. */
static void a_long_run_has_one_reason_for_each_miss(void **state)
{
    (void)state;
    enum { KEYS = 60, STEPS = 60000 }; /* so few that none overwrites another's mark */
    enum why { HERE, ABSENT, EXPIRED, INVALIDATED } why[KEYS];
    uint64_t deadline_ms[KEYS] = {0};
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 64 << 20});
    uint64_t random = 5;
    uint64_t now_ms = 1;
    struct reasons want = {0};
    for (int i = 0; i < KEYS; i++)
        why[i] = ABSENT;
    for (int step = 0; step < STEPS; step++) {
        uint64_t at = sta_random_below(&random, KEYS);
        char name[32];
        int len = snprintf(name, sizeof name, "key:%d", (int)at);
        struct sta_key key = sta_l1_key(l1, strata_bytes(name, (size_t)len));
        struct sta_l1_entry entry = {.value = strata_text("v")};
        switch (sta_random_below(&random, 5)) {
        case 0:
            entry.deadline_ms = deadline_ms[at] = now_ms + 1 + sta_random_below(&random, 200);
            assert_int_equal(sta_l1_set(l1, &key, &entry, now_ms), STRATA_OK);
            why[at] = HERE;
            break;
        case 1:
            sta_l1_invalidate(l1, &key, now_ms, NULL);
            why[at] = why[at] == HERE ? INVALIDATED : why[at];
            break;
        case 2:
            now_ms++;
            break;
        default:
            if (why[at] == HERE && deadline_ms[at] <= now_ms)
                why[at] = EXPIRED;
            assert_int_equal(rig_has_at(l1, name, now_ms), why[at] == HERE);
            want.absent += why[at] == ABSENT;
            want.expired += why[at] == EXPIRED;
            want.invalidated += why[at] == INVALIDATED;
        }
    }
    struct sta_l1_statistics is = rig_numbers(l1);
    assert_int_equal(is.misses_absent, want.absent);
    assert_int_equal(is.misses_expired, want.expired);
    assert_int_equal(is.misses_invalidated, want.invalidated);
    assert_int_equal(is.misses_evicted + is.misses_suspect, 0);
    assert_int_equal(is.misses, want.absent + want.expired + want.invalidated);
    rig_destroy(l1);
}

/* ---- the marks themselves ---- */

static void a_mark_is_of_its_hash_and_the_newest_one_stands(void **state)
{
    (void)state;
    struct sta_departed departed;
    assert_int_equal(sta_departed_init(&departed, 1 << 20), STRATA_OK);
    uint64_t hash = UINT64_C(0x1234567890abcdef);
    assert_int_equal(sta_departed_why(&departed, hash), STA_DEPARTED_UNKNOWN);
    sta_departed_note(&departed, hash, STA_DEPARTED_EVICTED);
    assert_int_equal(sta_departed_why(&departed, hash), STA_DEPARTED_EVICTED);
    sta_departed_note(&departed, hash, STA_DEPARTED_EXPIRED);
    assert_int_equal(sta_departed_why(&departed, hash), STA_DEPARTED_EXPIRED);
    uint64_t alike = hash ^ UINT64_C(1) << 60; /* the same place, another mark */
    assert_int_equal(sta_departed_why(&departed, alike), STA_DEPARTED_UNKNOWN);
    sta_departed_note(&departed, alike, STA_DEPARTED_INVALIDATED);
    assert_int_equal(sta_departed_why(&departed, alike), STA_DEPARTED_INVALIDATED);
    assert_int_equal(sta_departed_why(&departed, hash), STA_DEPARTED_UNKNOWN); /* forgotten */
    sta_departed_fini(&departed);
}

static void the_marks_are_a_small_part_of_the_tier_and_bounded(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1, 64 << 10, 1 << 20, 64 << 20, UINT64_C(1) << 40};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct sta_departed departed;
        assert_int_equal(sta_departed_init(&departed, sizes[i]), STRATA_OK);
        assert_true(sta_departed_bytes(&departed) <= 128 << 10);
        assert_true(sizes[i] < 64 << 10 || sta_departed_bytes(&departed) <= sizes[i] / 256);
        sta_departed_fini(&departed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_never_here_is_absent),
        cmocka_unit_test(what_was_refused_and_never_here_is_absent),
        cmocka_unit_test(what_expired_says_so_whoever_removed_it),
        cmocka_unit_test(what_was_invalidated_or_cleared_says_so),
        cmocka_unit_test(a_reason_is_that_of_the_newest_departure),
        cmocka_unit_test(what_had_to_make_room_says_so),
        cmocka_unit_test(what_is_in_doubt_says_so_and_its_removal_something_else),
        cmocka_unit_test(a_long_run_has_one_reason_for_each_miss),
        cmocka_unit_test(a_mark_is_of_its_hash_and_the_newest_one_stands),
        cmocka_unit_test(the_marks_are_a_small_part_of_the_tier_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
