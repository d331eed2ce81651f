/* SPDX-License-Identifier: MIT
 *
 * The delay between attempts to connect, as tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "l2/backoff.h"

static void the_ceiling_doubles_up_to_the_maximum(void **state)
{
    (void)state;
    static const struct {
        uint64_t min_ns;
        uint64_t max_ns;
        unsigned failures;
        uint64_t ceiling_ns;
    } rows[] = {
        {10, 2000, 0, 10},
        {10, 2000, 1, 20},
        {10, 2000, 2, 40},
        {10, 2000, 7, 1280},
        {10, 2000, 8, 2000},
        {10, 2000, 63, 2000},
        {10, 2000, 64, 2000},
        {10, 2000, 4000000000u, 2000},
        {10, 5, 0, 5}, /* the maximum rules */
        {1, UINT64_MAX, 63, UINT64_C(1) << 63},
        {3, UINT64_MAX, 63, UINT64_MAX}, /* no overflow */
        {0, 2000, 5, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sta_backoff backoff = {
            .min_ns = rows[i].min_ns, .max_ns = rows[i].max_ns, .failures = rows[i].failures};
        assert_int_equal(sta_backoff_ceiling(&backoff), rows[i].ceiling_ns);
    }
}

static void delays_are_spread_evenly_from_zero_to_the_ceiling(void **state)
{
    (void)state;
    enum { CEILING = 7, DRAWS = 80000 };
    unsigned seen[CEILING + 1] = {0};
    struct sta_backoff backoff = {.min_ns = CEILING, .max_ns = CEILING, .random = 42};
    for (unsigned i = 0; i < DRAWS; i++) {
        uint64_t delay_ns = sta_backoff_next(&backoff);
        assert_true(delay_ns <= CEILING);
        seen[delay_ns]++;
    }
    for (unsigned i = 0; i <= CEILING; i++) /* the seed is fixed, so this cannot flicker */
        assert_in_range(seen[i], DRAWS / 8 * 95 / 100, DRAWS / 8 * 105 / 100);
}

static void each_failure_raises_the_ceiling_and_success_resets_it(void **state)
{
    (void)state;
    struct sta_backoff backoff = {.min_ns = 1000, .max_ns = 64000, .random = 7};
    for (unsigned round = 0; round < 3; round++) {
        uint64_t ceiling_ns = 1000;
        for (unsigned i = 0; i < 200; i++) {
            assert_int_equal(sta_backoff_ceiling(&backoff), ceiling_ns);
            assert_true(sta_backoff_next(&backoff) <= ceiling_ns);
            ceiling_ns = ceiling_ns < 64000 ? ceiling_ns * 2 : ceiling_ns;
        }
        sta_backoff_reset(&backoff);
    }
}

static void clients_with_different_seeds_come_back_apart(void **state)
{
    (void)state;
    struct sta_backoff one = {.min_ns = 1000000, .max_ns = 1000000, .random = 1};
    struct sta_backoff other = {.min_ns = 1000000, .max_ns = 1000000, .random = 2};
    struct sta_backoff same = one;
    bool apart = false;
    for (unsigned i = 0; i < 10; i++) {
        uint64_t delay_ns = sta_backoff_next(&one);
        assert_int_equal(delay_ns, sta_backoff_next(&same));
        apart |= delay_ns != sta_backoff_next(&other);
    }
    assert_true(apart);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ceiling_doubles_up_to_the_maximum),
        cmocka_unit_test(delays_are_spread_evenly_from_zero_to_the_ceiling),
        cmocka_unit_test(each_failure_raises_the_ceiling_and_success_resets_it),
        cmocka_unit_test(clients_with_different_seeds_come_back_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
