/* SPDX-License-Identifier: MIT
 *
 * Rests by share, and by rate (core/pace.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/pace.h"

#define MS STA_NS_MS

static void short_rests_are_saved_up(void **state)
{
    (void)state;
    uint64_t owed_ns = 0;
    assert_int_equal(sta_pace_rest_ns(&owed_ns, 50, MS / 2), 0);
    assert_int_equal(sta_pace_rest_ns(&owed_ns, 50, MS / 2), MS);
    assert_int_equal(owed_ns, 0);
}

static void long_ones_stay_owed(void **state)
{
    (void)state;
    uint64_t owed_ns = 0, rested_ns = sta_pace_rest_ns(&owed_ns, 1, 50 * MS);
    assert_int_equal(rested_ns, 1000 * MS);
    for (unsigned i = 0; i < 10; i++)
        rested_ns += sta_pace_rest_ns(&owed_ns, 1, 0);
    assert_int_equal(rested_ns, 99 * 50 * MS);
}

static void the_whole_share_never_rests(void **state)
{
    (void)state;
    uint64_t owed_ns = 0;
    assert_int_equal(sta_pace_rest_ns(&owed_ns, 100, 1000 * MS), 0);
}

static void a_rate_says_when_the_next_piece_is_due(void **state)
{
    (void)state;
    assert_int_equal(sta_pace_due_ns(5, 0, 1000), 5);
    assert_int_equal(sta_pace_due_ns(0, 50, 1000), 50 * MS);
    assert_int_equal(sta_pace_due_ns(7, 2500, 1000), 7 + 2500 * MS);
    assert_true(sta_pace_due_ns(0, UINT64_MAX, 1) == STA_NEVER);
    assert_true(sta_pace_due_ns(UINT64_MAX - 1, 10, 1) == STA_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_rests_are_saved_up),
        cmocka_unit_test(long_ones_stay_owed),
        cmocka_unit_test(the_whole_share_never_rests),
        cmocka_unit_test(a_rate_says_when_the_next_piece_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
