/* SPDX-License-Identifier: MIT
 *
 * The delay between attempts to connect, as tables; and a thousand clients whose server restarts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/random.h"
#include "l2/backoff.h"

#define MS STA_NS_MS

static void the_ceiling_is_the_minimum_once_and_then_the_maximum(void **state)
{
    (void)state;
    static const struct {
        uint64_t min_ns;
        uint64_t max_ns;
        unsigned failures;
        uint64_t ceiling_ns;
    } rows[] = {
        {10, 2000, 0, 10}, {10, 2000, 1, 2000}, {10, 2000, 2, 2000}, {10, 2000, UINT32_MAX, 2000},
        {10, 5, 0, 5}, /* the maximum rules */
        {10, 5, 1, 5},     {0, 2000, 0, 0},     {0, 0, 3, 0},
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
        uint64_t delay_ns = sta_backoff_next(&backoff, 0);
        assert_true(delay_ns <= CEILING);
        seen[delay_ns]++;
    }
    for (unsigned i = 0; i <= CEILING; i++) /* the seed is fixed, so this cannot flicker */
        assert_in_range(seen[i], DRAWS / 8 * 95 / 100, DRAWS / 8 * 105 / 100);
}

static void a_failure_raises_the_ceiling_and_success_resets_it(void **state)
{
    (void)state;
    struct sta_backoff backoff = {.min_ns = 1000, .max_ns = 64000, .random = 7};
    for (unsigned round = 0; round < 3; round++) {
        uint64_t most = 0;
        assert_int_equal(sta_backoff_ceiling(&backoff), 1000);
        assert_true(sta_backoff_next(&backoff, 0) <= 1000);
        for (unsigned i = 0; i < 200; i++) {
            uint64_t delay_ns = sta_backoff_next(&backoff, 0);
            assert_true(delay_ns <= 64000);
            most = delay_ns > most ? delay_ns : most;
        }
        assert_true(most > 60000);
        sta_backoff_reset(&backoff);
    }
}

static void what_the_attempt_took_counts_as_waited(void **state)
{
    (void)state;
    struct sta_backoff backoff = {.min_ns = 10, .max_ns = 2000, .random = 7, .failures = 1};
    for (unsigned i = 0; i < 1000; i++) {
        struct sta_backoff same = backoff;
        uint64_t whole_ns = sta_backoff_next(&backoff, 0);
        uint64_t rest_ns = sta_backoff_next(&same, 1000);
        assert_int_equal(rest_ns, whole_ns > 1000 ? whole_ns - 1000 : 0);
        assert_int_equal(sta_backoff_next(&same, 2000), 0);
        assert_int_equal(sta_backoff_next(&same, UINT64_MAX), 0);
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
        uint64_t delay_ns = sta_backoff_next(&one, 0);
        assert_int_equal(delay_ns, sta_backoff_next(&same, 0));
        apart |= delay_ns != sta_backoff_next(&other, 0);
    }
    assert_true(apart);
}

/* ---- herds ---- */

#define CLIENTS 1000u

/* When a client that lost its server at 0 reaches it again, where it is away until `up_ns`: each
 * attempt takes half a millisecond, to be refused or to succeed. */
static uint64_t comes_back_ns(uint64_t random, uint64_t up_ns)
{
    struct sta_backoff backoff = {.min_ns = 10 * MS, .max_ns = 2000 * MS, .random = random};
    uint64_t now_ns = sta_backoff_next(&backoff, 0);
    while (now_ns < up_ns) {
        now_ns += MS / 2;
        now_ns += sta_backoff_next(&backoff, MS / 2);
    }
    return now_ns;
}

static int by_time(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

/* The most that come back within any 100 ms. */
static unsigned largest_herd(uint64_t seed, uint64_t up_ns)
{
    uint64_t times_ns[CLIENTS];
    unsigned largest = 0;
    for (unsigned i = 0; i < CLIENTS; i++)
        times_ns[i] = comes_back_ns(sta_random_next(&seed), up_ns);
    qsort(times_ns, CLIENTS, sizeof times_ns[0], by_time);
    for (unsigned first = 0, last = 0; last < CLIENTS; last++) {
        while (times_ns[last] - times_ns[first] >= 100 * MS)
            first++;
        largest = last - first + 1 > largest ? last - first + 1 : largest;
    }
    return largest;
}

/* A server needs more than 10 ms to die and to listen again. */
static void after_a_restart_at_most_15_percent_come_back_within_100_ms(void **state)
{
    (void)state;
    static const uint64_t away_ms[] = {12,  15,  20,   30,   50,   75,   100,  150,  200,   300,
                                       500, 700, 1000, 1500, 1800, 2000, 3000, 5000, 10000, 60000};
    unsigned largest = 0;
    for (size_t i = 0; i < sizeof away_ms / sizeof away_ms[0]; i++) {
        for (uint64_t seed = 0; seed < 20; seed++) {
            unsigned herd = largest_herd(seed, away_ms[i] * MS);
            if (herd > CLIENTS * 15 / 100)
                fail_msg("%u of %u after %llu ms", herd, CLIENTS, (unsigned long long)away_ms[i]);
            largest = herd > largest ? herd : largest;
        }
    }
    print_message("at most %u of %u within 100 ms\n", largest, CLIENTS);
}

static void all_come_back_within_the_maximum(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        uint64_t random = seed, up_ns = sta_random_below(&random, 30000) * MS;
        assert_true(comes_back_ns(random, up_ns) - up_ns <= 2001 * MS);
    }
}

/* One that is frozen takes connections and answers nothing, so that each attempt costs a
 * time-out of 1 s; when it thaws, an attempt that is under way succeeds. */
static void a_server_that_was_frozen_is_back_within_a_second(void **state)
{
    (void)state;
    uint64_t sum_ns = 0;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        uint64_t random = seed, thaw_ns = 5000 * MS + sta_random_below(&random, 20000) * MS;
        struct sta_backoff backoff = {.min_ns = 10 * MS, .max_ns = 2000 * MS, .random = random};
        uint64_t begin_ns = sta_backoff_next(&backoff, 0);
        while (begin_ns + 1000 * MS <= thaw_ns)
            begin_ns += 1000 * MS + sta_backoff_next(&backoff, 1000 * MS);
        uint64_t wait_ns = begin_ns > thaw_ns ? begin_ns - thaw_ns : 0;
        assert_true(wait_ns <= 1000 * MS);
        sum_ns += wait_ns;
    }
    assert_true(sum_ns / 20000 < 100 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ceiling_is_the_minimum_once_and_then_the_maximum),
        cmocka_unit_test(delays_are_spread_evenly_from_zero_to_the_ceiling),
        cmocka_unit_test(a_failure_raises_the_ceiling_and_success_resets_it),
        cmocka_unit_test(what_the_attempt_took_counts_as_waited),
        cmocka_unit_test(clients_with_different_seeds_come_back_apart),
        cmocka_unit_test(after_a_restart_at_most_15_percent_come_back_within_100_ms),
        cmocka_unit_test(all_come_back_within_the_maximum),
        cmocka_unit_test(a_server_that_was_frozen_is_back_within_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
