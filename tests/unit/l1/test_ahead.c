/* SPDX-License-Identifier: MIT
 *
 * Memory that is touched before stores need it (l1/ahead.h): asked of the kernel, page by page.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/mman.h>

#include "l1/tier.h"
#include "tier_rig.h"

#define MIB       (UINT64_C(1) << 20)
#define VALUE_LEN 1000u

static bool is_resident(const uint8_t *at)
{
    unsigned char there = 0;
    uintptr_t page = (uintptr_t)at & ~(uintptr_t)4095;
    assert_int_equal(mincore((void *)page, 4096, &there), 0);
    return (there & 1) != 0;
}

static void store(struct sta_l1 *l1, uint64_t number)
{
    static uint8_t value[VALUE_LEN];
    struct sta_key key = sta_l1_key(l1, strata_bytes(&number, sizeof number));
    struct sta_l1_entry entry = {.value = strata_bytes(value, sizeof value),
                                 .deadline_ms = STA_NEVER};
    assert_int_equal(sta_l1_set(l1, &key, &entry, RIG_NOW), STRATA_OK);
}

static uint64_t touched(const struct sta_l1 *l1, enum sta_tier_ahead what)
{
    return sta_tier_load(&l1->ahead[what].touched);
}

static uint64_t used(const struct sta_l1 *l1, enum sta_tier_ahead what)
{
    uint64_t buckets = what == STA_TIER_BUCKETS ? sta_tier_load(&l1->index.bucket_count)
                                                : atomic_load(&l1->index.overflow_fresh);
    return what == STA_TIER_SEGMENTS ? sta_arena_used(&l1->arena)
                                     : buckets * sizeof(struct sta_bucket);
}

static void a_page_is_touched_and_keeps_what_it_has(void **state)
{
    (void)state;
    struct sta_ahead ahead = {0};
    uint8_t *base = sta_arena_reserve(3 * STA_AHEAD_PAGE, true);
    assert_non_null(base);
    sta_ahead_init(&ahead, base, 2 * STA_AHEAD_PAGE + 4096);
    base[STA_AHEAD_PAGE] = 7;
    assert_true(sta_ahead_is_short(&ahead, 1));
    assert_false(is_resident(base));
    sta_ahead_touch(&ahead);
    assert_true(is_resident(base));
    assert_false(sta_ahead_is_short(&ahead, STA_AHEAD_PAGE));
    assert_true(sta_ahead_is_short(&ahead, STA_AHEAD_PAGE + 1));
    sta_ahead_touch(&ahead);
    assert_int_equal(base[STA_AHEAD_PAGE], 7);
    assert_false(sta_ahead_is_short(&ahead, 3 * STA_AHEAD_PAGE)); /* whole pages are all there is */
    sta_ahead_touch(&ahead);
    assert_false(is_resident(base + 2 * STA_AHEAD_PAGE));
    munmap(base, 3 * STA_AHEAD_PAGE);
}

/* One that begins a huge page of its own finds it there. */
static void what_a_store_begins_is_touched_before_it_comes(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 64 * MIB});
    for (uint64_t i = 0; i < 40000; i++) {
        for (uint32_t what = 0; what < STA_TIER_AHEADS; what++) {
            assert_true(used(l1, what) <= touched(l1, what));
            assert_true(is_resident(l1->ahead[what].base + touched(l1, what) - STA_AHEAD_PAGE));
        }
        store(l1, i);
    }
    assert_true(used(l1, STA_TIER_SEGMENTS) > 30 * MIB);
    rig_destroy(l1);
}

static void one_store_touches_one_page(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 64 * MIB});
    for (uint32_t what = 0; what < STA_TIER_AHEADS; what++)
        atomic_store(&l1->ahead[what].touched, 0); /* as if all were behind */
    for (uint64_t i = 0; i < 40000; i++) {
        uint64_t before = 0;
        uint64_t after = 0;
        for (uint32_t what = 0; what < STA_TIER_AHEADS; what++)
            before += touched(l1, what);
        store(l1, i);
        for (uint32_t what = 0; what < STA_TIER_AHEADS; what++)
            after += touched(l1, what);
        assert_true(after <= before + STA_AHEAD_PAGE);
    }
    rig_destroy(l1);
}

static void nothing_is_touched_that_the_bound_keeps_from_being_used(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 32 * MIB});
    for (uint64_t i = 0; i < 60000; i++)
        store(l1, i);
    assert_true(rig_numbers(l1).evictions > 0);
    assert_true(touched(l1, STA_TIER_SEGMENTS) <= 32 * MIB);
    rig_destroy(l1);
}

static void nothing_is_touched_while_a_tier_is_resized(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 64 * MIB});
    const uint64_t before = touched(l1, STA_TIER_SEGMENTS);
    atomic_fetch_add(&l1->resizes, 1);
    for (uint64_t i = 0; i < 20000; i++)
        store(l1, i);
    assert_true(used(l1, STA_TIER_SEGMENTS) > 0);
    assert_int_equal(touched(l1, STA_TIER_SEGMENTS), before);
    atomic_fetch_sub(&l1->resizes, 1);
    rig_destroy(l1);
}

static void a_small_tier_touches_nothing_ahead(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 8 * MIB});
    for (uint64_t i = 0; i < 4000; i++)
        store(l1, i);
    for (uint32_t what = 0; what < STA_TIER_AHEADS; what++)
        assert_int_equal(touched(l1, what), 0);
    rig_destroy(l1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_touched_and_keeps_what_it_has),
        cmocka_unit_test(what_a_store_begins_is_touched_before_it_comes),
        cmocka_unit_test(one_store_touches_one_page),
        cmocka_unit_test(nothing_is_touched_that_the_bound_keeps_from_being_used),
        cmocka_unit_test(nothing_is_touched_while_a_tier_is_resized),
        cmocka_unit_test(a_small_tier_touches_nothing_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
