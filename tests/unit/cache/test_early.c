/* SPDX-License-Identifier: MIT
 *
 * How long loaded values live, with chance given.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/early.h"
#include "core/random.h"

#define DRAWS 10000u

static void without_jitter_a_ttl_is_what_it_was(void **state)
{
    (void)state;
    assert_int_equal(sta_early_jitter(1000, 0, UINT64_MAX), 1000);
    assert_int_equal(sta_early_jitter(1000, -1, UINT64_MAX), 1000);
    assert_int_equal(sta_early_jitter(UINT64_MAX, 0.5, UINT64_MAX), UINT64_MAX);
    assert_int_equal(sta_early_jitter(0, 0.5, UINT64_MAX), 0);
}

static void jitter_shortens_by_its_share_at_most_and_never_to_nothing(void **state)
{
    (void)state;
    assert_int_equal(sta_early_jitter(1000, 0.25, 0), 1000);
    assert_int_equal(sta_early_jitter(1000, 0.25, UINT64_MAX), 750);
    assert_int_equal(sta_early_jitter(1000, 1, UINT64_MAX), 1);
    assert_int_equal(sta_early_jitter(1000, 7, UINT64_MAX), 1);
    assert_int_equal(sta_early_jitter(1, 1, UINT64_MAX), 1);
}

static void jitter_spreads_evenly(void **state)
{
    (void)state;
    uint64_t seed = 1, quarters[4] = {0};
    for (unsigned i = 0; i < DRAWS; i++) {
        uint64_t ttl_ms = sta_early_jitter(1000000, 0.4, sta_random_next(&seed));
        assert_in_range(ttl_ms, 600000, 1000000);
        quarters[(ttl_ms - 600000) / 100001]++;
    }
    for (unsigned i = 0; i < 4; i++)
        assert_in_range(quarters[i], DRAWS / 4 - DRAWS / 20, DRAWS / 4 + DRAWS / 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_jitter_a_ttl_is_what_it_was),
        cmocka_unit_test(jitter_shortens_by_its_share_at_most_and_never_to_nothing),
        cmocka_unit_test(jitter_spreads_evenly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
