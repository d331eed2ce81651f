/* SPDX-License-Identifier: MIT
 *
 * Rests by share (core/pace.h).
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_rests_are_saved_up),
        cmocka_unit_test(long_ones_stay_owed),
        cmocka_unit_test(the_whole_share_never_rests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
