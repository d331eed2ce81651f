/* SPDX-License-Identifier: MIT
 *
 * Naming what is in the tier (l1/scan.c): whole, once, filtered, and while it changes.
 */
#include <pthread.h>

#include "unit/l1/tier_rig.h"

#define KEYS_MOST 20000u

/* How often each numbered key ("<name><number>") was named by a whole scan. */
struct census {
    const char *name;
    uint16_t times[KEYS_MOST];
    uint64_t others;
    uint64_t steps;
    uint64_t most_in_step;
};

static void count_name(struct census *census, struct strata_bytes name)
{
    char text[64] = {0};
    size_t prefix = strlen(census->name);
    if (name.len >= sizeof text || name.len <= prefix ||
        memcmp(name.data, census->name, prefix) != 0) {
        census->others++;
        return;
    }
    memcpy(text, name.data, name.len);
    unsigned long number = strtoul(text + prefix, NULL, 10);
    assert_true(number < KEYS_MOST);
    census->times[number]++;
}

static void scan(struct sta_l1 *l1, const char *pattern, uint64_t now_ms, struct census *census)
{
    struct sta_buffer names;
    struct sta_glob glob;
    uint64_t cursor = 0;
    sta_buffer_init(&names, 1 << 20);
    if (pattern != NULL)
        assert_int_equal(sta_glob_init(&glob, strata_text(pattern)), STRATA_OK);
    do {
        sta_buffer_clear(&names);
        assert_int_equal(sta_l1_scan(l1, &cursor, pattern != NULL ? &glob : NULL, now_ms, &names),
                         STRATA_OK);
        struct strata_bytes rest = sta_buffer_bytes(&names);
        struct strata_bytes name;
        uint64_t in_step = 0;
        for (; sta_l1_scan_next(&rest, &name); in_step++)
            count_name(census, name);
        census->steps++;
        census->most_in_step = in_step > census->most_in_step ? in_step : census->most_in_step;
    } while (cursor != 0);
    sta_buffer_fini(&names);
    if (pattern != NULL)
        sta_glob_fini(&glob);
}

static struct census *census_of(const char *name)
{
    struct census *census = calloc(1, sizeof *census);
    assert_non_null(census);
    census->name = name;
    return census;
}

static void put(struct sta_l1 *l1, const char *prefix, uint64_t number, uint64_t deadline_ms)
{
    char name[64];
    snprintf(name, sizeof name, "%s%llu", prefix, (unsigned long long)number);
    assert_int_equal(rig_set_until(l1, name, "value", deadline_ms), STRATA_OK);
}

static void take(struct sta_l1 *l1, const char *prefix, uint64_t number)
{
    char name[64];
    snprintf(name, sizeof name, "%s%llu", prefix, (unsigned long long)number);
    rig_invalidate(l1, name);
}

static void a_scan_of_nothing_ends_at_once(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 1 << 20});
    struct census *census = census_of("k");
    scan(l1, NULL, RIG_NOW, census);
    assert_int_equal(census->others, 0);
    assert_true(census->steps <= 2);
    free(census);
    rig_destroy(l1);
}

static void a_scan_names_every_key_once_where_nothing_grows(void **state)
{
    (void)state;
    static const uint64_t counts[] = {1, 10, 21, 100, 1000, 1500, 20000};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 64 << 20});
        struct census *census = census_of("k");
        for (uint64_t i = 0; i < counts[c]; i++)
            put(l1, "k", i, STA_NEVER);
        scan(l1, NULL, RIG_NOW, census);
        for (uint64_t i = 0; i < KEYS_MOST; i++)
            assert_int_equal(census->times[i], i < counts[c]);
        assert_int_equal(census->others, 0);
        assert_true(census->most_in_step < 100); /* a step is small */
        free(census);
        rig_destroy(l1);
    }
}

/* Keys of any length and any bytes, the empty one and those of values in blocks among them. */
static void names_are_the_keys_bytes_whatever_they_are(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 64 << 20});
    struct sta_buffer names;
    uint64_t cursor = 0;
    uint8_t *bytes = malloc(STA_KEY_MAX);
    size_t lens[] = {0, 1, 255, 256, 40000, STA_KEY_MAX};
    bool seen[sizeof lens / sizeof lens[0]] = {0};
    for (size_t i = 0; i < STA_KEY_MAX; i++)
        bytes[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        struct sta_key key = sta_l1_key(l1, strata_bytes(bytes, lens[i]));
        struct sta_l1_entry entry = {.value = strata_text("v"), .deadline_ms = STA_NEVER};
        assert_int_equal(sta_l1_set(l1, &key, &entry, RIG_NOW), STRATA_OK);
    }
    sta_buffer_init(&names, 1 << 20);
    do {
        assert_int_equal(sta_l1_scan(l1, &cursor, NULL, RIG_NOW, &names), STRATA_OK);
    } while (cursor != 0);
    struct strata_bytes rest = sta_buffer_bytes(&names);
    struct strata_bytes name;
    size_t count = 0;
    for (; sta_l1_scan_next(&rest, &name); count++) {
        size_t at = 0;
        while (lens[at] != name.len)
            at++;
        assert_false(seen[at]);
        seen[at] = true;
        assert_true(name.len == 0 || memcmp(name.data, bytes, name.len) == 0);
    }
    assert_int_equal(count, sizeof lens / sizeof lens[0]);
    sta_buffer_fini(&names);
    free(bytes);
    rig_destroy(l1);
}

static void a_scan_names_what_is_live_and_matches(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 16 << 20});
    struct census *all = census_of("k");
    struct census *some = census_of("k");
    struct census *none = census_of("k");
    for (uint64_t i = 0; i < 1000; i++) {
        put(l1, "k", i, i % 3 == 0 ? RIG_NOW + 10 : STA_NEVER);
        put(l1, "other:", i, STA_NEVER);
    }
    scan(l1, "k*", RIG_NOW + 10, all);
    scan(l1, "k[1-2]?", RIG_NOW, some);
    scan(l1, "nothing*", RIG_NOW, none);
    for (uint64_t i = 0; i < KEYS_MOST; i++) {
        assert_int_equal(all->times[i], i < 1000 && i % 3 != 0);
        assert_int_equal(some->times[i], i >= 10 && i < 30);
        assert_int_equal(none->times[i], 0);
    }
    assert_int_equal(all->others + some->others + none->others, 0);
    assert_int_equal(rig_numbers(l1).entries, 2000); /* nothing was removed */
    assert_int_equal(rig_numbers(l1).hits + rig_numbers(l1).misses, 0);
    free(all);
    free(some);
    free(none);
    rig_destroy(l1);
}

static void a_step_without_room_leaves_everything_as_it_was(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 1 << 20});
    struct sta_buffer names;
    uint64_t cursor = 0;
    for (uint64_t i = 0; i < 15; i++)
        put(l1, "a key of some length, number ", i, STA_NEVER);
    sta_buffer_init(&names, 64);
    assert_int_equal(sta_buffer_append(&names, strata_text("mine")), STRATA_OK);
    assert_int_equal(sta_l1_scan(l1, &cursor, NULL, RIG_NOW, &names), STRATA_ERR_TOO_BIG);
    assert_int_equal(cursor, 0);
    assert_int_equal(sta_buffer_len(&names), 4);
    assert_memory_equal(sta_buffer_bytes(&names).data, "mine", 4);
    sta_buffer_fini(&names);
    rig_destroy(l1);
}

/* ---- while it changes ---- */

/* Steps of growing and shrinking between the steps of one scan, in one thread: each pair of sizes
 * is met at each cursor, sooner or later. */
static void a_scan_between_whose_steps_the_tier_grows_and_shrinks_names_what_stays(void **state)
{
    (void)state;
    enum { STAY = 300, ROUNDS = 60 / RIG_SHORTER };
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 4 << 20});
    uint64_t random = 9;
    struct sta_buffer names;
    sta_buffer_init(&names, 1 << 20);
    for (uint64_t i = 0; i < STAY; i++)
        put(l1, "k", i, STA_NEVER);
    for (int round = 0; round < ROUNDS; round++) {
        struct census *census = census_of("k");
        uint64_t cursor = 0;
        do {
            sta_buffer_clear(&names);
            assert_int_equal(sta_l1_scan(l1, &cursor, NULL, RIG_NOW, &names), STRATA_OK);
            struct strata_bytes rest = sta_buffer_bytes(&names);
            struct strata_bytes name;
            while (sta_l1_scan_next(&rest, &name))
                count_name(census, name);
            uint64_t from = sta_random_below(&random, 1000);
            bool more = sta_random_below(&random, 2) == 0;
            for (uint64_t i = from; i < from + 300; i++) {
                if (more)
                    put(l1, "o", i, STA_NEVER);
                else
                    take(l1, "o", i);
            }
            /* the index shrinks when it takes too large a part of the tier */
            if (sta_random_below(&random, 4) == 0) {
                assert_int_equal(sta_l1_resize(l1, 100000, 0), STRATA_OK);
                assert_int_equal(sta_l1_resize(l1, 4 << 20, 0), STRATA_OK);
            }
        } while (cursor != 0);
        for (uint64_t i = 0; i < STAY; i++) {
            char name[32];
            snprintf(name, sizeof name, "k%llu", (unsigned long long)i);
            assert_true(census->times[i] > 0 || rig_peek(l1, name) == RIG_NONE);
            if (rig_peek(l1, name) == RIG_NONE)
                put(l1, "k", i, STA_NEVER); /* a resize took it */
        }
        free(census);
    }
    sta_buffer_fini(&names);
    rig_destroy(l1);
}

struct change {
    struct sta_l1 *l1;
    _Atomic int stop;
    _Atomic uint64_t moving; /* the key that gets another deadline */
    _Atomic uint64_t lost;   /* keys that went because there was no room while the tier was small */
};

/* Other keys come and go, and those that stay are rewritten and get other deadlines. */
static void *grow_and_shrink(void *arg)
{
    struct change *change = arg;
    while (atomic_load(&change->stop) == 0) {
        for (uint64_t i = 0; i < 8000; i++) {
            put(change->l1, "o", i, STA_NEVER);
            if (i % 16 == 0)
                put(change->l1, "k", i / 16, STA_NEVER);
        }
        for (uint64_t i = 0; i < 8000; i++)
            take(change->l1, "o", i);
        sta_l1_resize(change->l1, 2 << 20, 0);
        sta_l1_resize(change->l1, 16 << 20, 0);
    }
    return NULL;
}

static void *move_on(void *arg)
{
    struct change *change = arg;
    char name[32];
    for (uint64_t i = 0; atomic_load(&change->stop) == 0; i++) {
        snprintf(name, sizeof name, "k%llu", (unsigned long long)(i % 500));
        atomic_store(&change->moving, i % 500);
        if (rig_set_deadline(change->l1, name, i % 2 == 0 ? STA_NEVER : RIG_NOW + 1000, RIG_NOW) ==
            STRATA_SKIPPED)
            atomic_fetch_add(&change->lost, 1);
    }
    return NULL;
}

/* How many keys a scan missed of those that were there before it, and that nothing took meanwhile:
 * 0 where something did. */
static uint64_t scan_beside(struct change *change, uint64_t *stayed)
{
    uint64_t missed = 0, there = 0;
    bool before[500];
    uint64_t lost = atomic_load(&change->lost);
    for (uint64_t i = 0; i < 500; i++) {
        char name[32];
        snprintf(name, sizeof name, "k%llu", (unsigned long long)i);
        before[i] = rig_peek(change->l1, name) != RIG_NONE;
        there += before[i];
    }
    struct census *census = census_of("k");
    scan(change->l1, "k*", RIG_NOW, census);
    before[atomic_load(&change->moving)] = false; /* it may be gone, and not counted yet */
    for (uint64_t i = 0; i < 500; i++)
        missed += before[i] && census->times[i] == 0;
    free(census);
    if (lost != atomic_load(&change->lost))
        return 0;
    *stayed += there;
    return missed;
}

static void a_scan_beside_threads_names_every_key_that_stays(void **state)
{
    (void)state;
    struct change change = {.l1 = rig_create((struct sta_l1_config){.max_bytes = 16 << 20})};
    pthread_t threads[2];
    for (uint64_t i = 0; i < 500; i++)
        put(change.l1, "k", i, STA_NEVER);
    assert_int_equal(pthread_create(&threads[0], NULL, grow_and_shrink, &change), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, move_on, &change), 0);
    uint64_t missed = 0, stayed = 0;
    for (int round = 0; round < 100 / RIG_SHORTER; round++)
        missed += scan_beside(&change, &stayed);
    atomic_store(&change.stop, 1);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    assert_int_equal(rig_numbers(change.l1).evictions, 0); /* nothing left otherwise */
    assert_int_equal(missed, 0);
    assert_true(stayed > 0);
    rig_destroy(change.l1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scan_of_nothing_ends_at_once),
        cmocka_unit_test(a_scan_names_every_key_once_where_nothing_grows),
        cmocka_unit_test(names_are_the_keys_bytes_whatever_they_are),
        cmocka_unit_test(a_scan_names_what_is_live_and_matches),
        cmocka_unit_test(a_step_without_room_leaves_everything_as_it_was),
        cmocka_unit_test(a_scan_between_whose_steps_the_tier_grows_and_shrinks_names_what_stays),
        cmocka_unit_test(a_scan_beside_threads_names_every_key_that_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
