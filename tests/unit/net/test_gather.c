/* SPDX-License-Identifier: MIT
 *
 * When a leader yields before it sends, as tables; and that what yielding costs has a bound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/random.h"
#include "net/gather.h"

#define US (STA_NS_MS / 1000)

static void a_caller_alone_does_not_yield(void **state)
{
    (void)state;
    struct sta_gather gather = {0};
    assert_false(sta_gather_has_company(&gather));
    sta_gather_add(&gather);
    assert_true(sta_gather_has_company(&gather));
    assert_true(sta_gather_pays(&gather, 1));
    assert_false(sta_gather_has_company(&gather)); /* each is waited for once */
}

static void a_yield_that_did_not_pay_is_followed_by_a_time_without(void **state)
{
    (void)state;
    static const struct {
        uint64_t took_us;
        unsigned came;
        uint64_t rest_us;
    } rows[] = {
        {0, 0, 0},          {1, 0, 16},       {20, 1, 0},           {21, 1, 16},    {300, 15, 0},
        {310, 15, 10 * 16}, {3000, 0, 48000}, {3000, 2, 2960 * 16}, {3000, 150, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sta_gather gather = {0};
        uint64_t from_ns = STA_NS_SEC, to_ns = from_ns + rows[i].took_us * US;
        sta_gather_note(&gather, from_ns, to_ns, rows[i].came);
        assert_true(sta_gather_pays(&gather, to_ns + rows[i].rest_us * US));
        if (rows[i].rest_us > 0)
            assert_false(sta_gather_pays(&gather, to_ns + rows[i].rest_us * US - 1));
    }
}

/* 15 that come in 50 us earn 250 of them: three milliseconds now and then are paid of that. */
static void what_was_earned_before_is_paid_with_first(void **state)
{
    (void)state;
    struct sta_gather gather = {0};
    for (unsigned i = 0; i < 12; i++)
        sta_gather_note(&gather, 0, 50 * US, 15);
    sta_gather_note(&gather, 0, 3000 * US, 0);
    assert_true(sta_gather_pays(&gather, 3000 * US));
    sta_gather_note(&gather, 0, 3000 * US, 0);
    assert_false(sta_gather_pays(&gather, 51000 * US - 1));
    assert_true(sta_gather_pays(&gather, 51000 * US));
    for (unsigned i = 0; i < 1000000; i++)
        sta_gather_note(&gather, 0, 50 * US, 15);
    const uint64_t from_ns = STA_NS_SEC, to_ns = from_ns + 8001 * US;
    sta_gather_note(&gather, from_ns, to_ns, 0); /* not more than eight */
    assert_false(sta_gather_pays(&gather, to_ns + 16 * US - 1));
    assert_true(sta_gather_pays(&gather, to_ns + 16 * US));
}

static void a_rest_doubles_as_long_as_yields_are_in_vain(void **state)
{
    (void)state;
    struct sta_gather gather = {0};
    uint64_t now_ns = 0;
    for (unsigned i = 0; i < 10; i++) {
        uint64_t rest_ns = (uint64_t)16 * STA_NS_MS << (i < 5 ? i : 5);
        sta_gather_note(&gather, now_ns, now_ns + STA_NS_MS, 0);
        now_ns += STA_NS_MS + rest_ns;
        assert_false(sta_gather_pays(&gather, now_ns - 1));
        assert_true(sta_gather_pays(&gather, now_ns));
    }
    for (unsigned i = 0; i < 5; i++) /* those that paid take it back */
        sta_gather_note(&gather, now_ns, now_ns + 19 * US, 1);
    sta_gather_note(&gather, now_ns, now_ns + STA_NS_MS + 5 * US, 0);
    assert_true(sta_gather_pays(&gather, now_ns + 17 * STA_NS_MS + 5 * US));
}

/* Beside a process that never sleeps, to which each yield gives some milliseconds. */
static void yields_in_vain_cost_a_small_part_of_the_time(void **state)
{
    (void)state;
    struct sta_gather gather = {0};
    uint64_t random = 7, now_ns = 1, lost_ns = 0, yields = 0;
    while (now_ns < 100 * STA_NS_SEC) {
        sta_gather_add(&gather);
        if (sta_gather_pays(&gather, now_ns)) {
            uint64_t took_ns = sta_random_below(&random, 6 * STA_NS_MS);
            sta_gather_note(&gather, now_ns, now_ns + took_ns, 1);
            now_ns += took_ns;
            lost_ns += took_ns;
            yields++;
        }
        now_ns += 30 * US; /* a call */
    }
    assert_true(yields > 50); /* it goes on looking */
    assert_true(lost_ns < now_ns / 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_caller_alone_does_not_yield),
        cmocka_unit_test(a_yield_that_did_not_pay_is_followed_by_a_time_without),
        cmocka_unit_test(what_was_earned_before_is_paid_with_first),
        cmocka_unit_test(a_rest_doubles_as_long_as_yields_are_in_vain),
        cmocka_unit_test(yields_in_vain_cost_a_small_part_of_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
