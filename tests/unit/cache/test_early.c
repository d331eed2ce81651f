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

/* ---- loading before the end ---- */

static void ahead_begins_after_its_share_of_the_time(void **state)
{
    (void)state;
    assert_false(sta_early_ahead(201, 1000, 0.8));
    assert_true(sta_early_ahead(200, 1000, 0.8));
    assert_true(sta_early_ahead(0, 1000, 0.8));
    assert_true(sta_early_ahead(0, 1000, 1));
    assert_false(sta_early_ahead(1, 1000, 1));
    assert_false(sta_early_ahead(0, 1000, 0));
}

static double share_of_early_loads(uint64_t left_ms, uint64_t load_us, double beta)
{
    uint64_t seed = 7, early = 0;
    for (unsigned i = 0; i < DRAWS; i++)
        early += sta_early_xfetch(left_ms, load_us, beta, sta_random_next(&seed));
    return (double)early / DRAWS;
}

/* P(early) = exp(-left / (load * beta)). */
static void xfetch_is_as_likely_as_the_paper_says(void **state)
{
    (void)state;
    static const struct {
        uint64_t left_ms, load_us;
        double beta, expected;
    } cases[] = {
        {100, 100000, 1, 0.3679}, {200, 100000, 1, 0.1353}, {200, 100000, 2, 0.3679},
        {50, 100000, 1, 0.6065},  {0, 100000, 1, 1},        {10000, 100000, 1, 0},
        {100, 100000, 0, 0},      {100, 0, 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double share = share_of_early_loads(cases[i].left_ms, cases[i].load_us, cases[i].beta);
        assert_true(share > cases[i].expected - 0.02 && share < cases[i].expected + 0.02);
    }
}

static void xfetch_takes_any_chance(void **state)
{
    (void)state;
    assert_true(sta_early_xfetch(3600, 100000, 1, 0)); /* -ln(2^-53): 36.7 loads ahead at most */
    assert_false(sta_early_xfetch(3700, 100000, 1, 0));
    assert_false(sta_early_xfetch(1, 100000, 1, UINT64_MAX));
    assert_false(sta_early_xfetch(UINT64_MAX, 100000, 1, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_jitter_a_ttl_is_what_it_was),
        cmocka_unit_test(jitter_shortens_by_its_share_at_most_and_never_to_nothing),
        cmocka_unit_test(jitter_spreads_evenly),
        cmocka_unit_test(ahead_begins_after_its_share_of_the_time),
        cmocka_unit_test(xfetch_is_as_likely_as_the_paper_says),
        cmocka_unit_test(xfetch_takes_any_chance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
