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

static void after_a_loss_it_is_short_and_after_a_refusal_long(void **state)
{
    (void)state;
    static const struct {
        uint64_t min_ns;
        uint64_t max_ns;
        unsigned failures;
        uint64_t from_ns;
        uint64_t to_ns;
    } rows[] = {
        {10, 2000, 0, 0, 10},      {10, 2000, 1, 0, 2000},
        {10, 2000, 2, 1000, 2000}, {10, 2000, UINT32_MAX, 1000, 2000},
        {10, 7, 0, 0, 7}, /* the maximum rules */
        {10, 7, 1, 0, 7},          {10, 7, 2, 3, 7},
        {0, 2000, 0, 0, 0},        {0, 0, 3, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t random = 42, least = UINT64_MAX, most = 0;
        for (unsigned k = 0; k < 10000; k++) {
            struct sta_backoff backoff = {.min_ns = rows[i].min_ns,
                                          .max_ns = rows[i].max_ns,
                                          .failures = rows[i].failures,
                                          .random = sta_random_next(&random)};
            uint64_t delay_ns = sta_backoff_next(&backoff, 0);
            least = delay_ns < least ? delay_ns : least;
            most = delay_ns > most ? delay_ns : most;
        }
        uint64_t edge_ns = rows[i].to_ns / 20; /* so near to its ends, and never beyond */
        assert_in_range(least, rows[i].from_ns, rows[i].from_ns + edge_ns);
        assert_in_range(most, rows[i].to_ns - edge_ns, rows[i].to_ns);
    }
}

/* Of the later ones, and of the first after a loss. */
static void delays_are_spread_evenly(void **state)
{
    (void)state;
    enum { WIDTH = 7, DRAWS = 80000 };
    unsigned seen[WIDTH + 1] = {0};
    unsigned lost[WIDTH + 1] = {0};
    struct sta_backoff backoff = {
        .min_ns = WIDTH, .max_ns = 2 * WIDTH, .failures = 2, .random = 42};
    for (unsigned i = 0; i < DRAWS; i++) {
        seen[sta_backoff_next(&backoff, 0) - WIDTH]++;
        struct sta_backoff first = backoff;
        sta_backoff_reset(&first);
        lost[sta_backoff_next(&first, 0)]++;
    }
    for (unsigned i = 0; i <= WIDTH; i++) { /* the seed is fixed, so this cannot flicker */
        assert_in_range(seen[i], DRAWS / 8 * 95 / 100, DRAWS / 8 * 105 / 100);
        assert_in_range(lost[i], DRAWS / 8 * 95 / 100, DRAWS / 8 * 105 / 100);
    }
}

/* In eighths of the maximum: what is left of a wait of four to eight of them. */
static void after_the_first_refusal_it_is_the_rest_of_a_wait(void **state)
{
    (void)state;
    static const unsigned per_mille[] = {167, 167, 167, 167, 146, 104, 62, 21};
    enum { EIGHTH = 250, DRAWS = 100000 };
    unsigned seen[8] = {0};
    uint64_t random = 42;
    for (unsigned i = 0; i < DRAWS; i++) {
        struct sta_backoff backoff = {
            .max_ns = 8 * EIGHTH, .failures = 1, .random = sta_random_next(&random)};
        uint64_t eighth = sta_backoff_next(&backoff, 0) / EIGHTH;
        seen[eighth < 8 ? eighth : 7]++;
    }
    for (unsigned i = 0; i < 8; i++) {
        unsigned wanted = DRAWS / 1000 * per_mille[i];
        assert_in_range(seen[i], wanted - DRAWS / 200, wanted + DRAWS / 200);
    }
}

static void success_makes_the_next_failure_the_first(void **state)
{
    (void)state;
    struct sta_backoff backoff = {.min_ns = 1000, .max_ns = 64000, .random = 7};
    for (unsigned round = 0; round < 3; round++) {
        assert_true(sta_backoff_next(&backoff, 0) <= 1000);
        (void)sta_backoff_next(&backoff, 0);
        for (unsigned i = 0; i < 200; i++)
            assert_in_range(sta_backoff_next(&backoff, 0), 32000, 64000);
        sta_backoff_reset(&backoff);
    }
}

static void what_the_attempt_took_counts_as_waited_twice(void **state)
{
    (void)state;
    struct sta_backoff backoff = {.min_ns = 10, .max_ns = 2000, .random = 7, .failures = 1};
    for (unsigned i = 0; i < 1000; i++) {
        struct sta_backoff same = backoff, again = backoff;
        uint64_t whole_ns = sta_backoff_next(&backoff, 0);
        uint64_t rest_ns = sta_backoff_next(&same, 600);
        assert_int_equal(rest_ns, whole_ns > 1200 ? whole_ns - 1200 : 0);
        assert_int_equal(sta_backoff_next(&same, 1000), 0);
        assert_int_equal(sta_backoff_next(&again, UINT64_MAX), 0);
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

/* A server that is lost at 0, takes connections until `killed_ns` and never answers, refuses them
 * from then on, and answers from `up_ns` on. */
struct outage {
    uint64_t killed_ns;
    uint64_t up_ns;
};

/* When an attempt ends that began at `now_ns`, in vain: half a millisecond to be refused, the
 * time-out of a second, or when the server is killed. */
static uint64_t ends_ns(const struct outage *outage, uint64_t now_ns)
{
    uint64_t over_ns = now_ns + 1000 * MS;
    if (now_ns >= outage->killed_ns)
        return now_ns + MS / 2;
    return over_ns < outage->killed_ns ? over_ns : outage->killed_ns;
}

/* When a client reaches it again. */
static uint64_t comes_back_ns(uint64_t random, const struct outage *outage)
{
    struct sta_backoff backoff = {.min_ns = 10 * MS, .max_ns = 2000 * MS, .random = random};
    uint64_t now_ns = sta_backoff_next(&backoff, 0);
    while (now_ns < outage->up_ns) {
        uint64_t end_ns = ends_ns(outage, now_ns);
        now_ns = end_ns + sta_backoff_next(&backoff, end_ns - now_ns);
    }
    return now_ns;
}

static int by_time(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

/* The most that come back within any 100 ms. */
static unsigned largest_herd(uint64_t seed, const struct outage *outage)
{
    uint64_t times_ns[CLIENTS];
    unsigned largest = 0;
    for (unsigned i = 0; i < CLIENTS; i++)
        times_ns[i] = comes_back_ns(sta_random_next(&seed), outage);
    qsort(times_ns, CLIENTS, sizeof times_ns[0], by_time);
    for (unsigned first = 0, last = 0; last < CLIENTS; last++) {
        while (times_ns[last] - times_ns[first] >= 100 * MS)
            first++;
        largest = last - first + 1 > largest ? last - first + 1 : largest;
    }
    return largest;
}

/* A server needs more than 10 ms to die and to listen again. */
static const uint64_t away_ms[] = {12,  15,   20,   30,   50,   75,   100,  150,  200,   300,  500,
                                   700, 1000, 1500, 1800, 1900, 2000, 3000, 5000, 10000, 60000};

static unsigned largest_of_many(uint64_t killed_ns)
{
    unsigned largest = 0;
    for (size_t i = 0; i < sizeof away_ms / sizeof away_ms[0]; i++) {
        struct outage outage = {killed_ns, killed_ns + away_ms[i] * MS};
        for (uint64_t seed = 0; seed < 20; seed++) {
            unsigned herd = largest_herd(seed, &outage);
            largest = herd > largest ? herd : largest;
        }
    }
    return largest;
}

static void after_a_restart_at_most_10_percent_come_back_within_100_ms(void **state)
{
    (void)state;
    unsigned largest = largest_of_many(0);
    print_message("at most %u of %u within 100 ms\n", largest, CLIENTS);
    assert_in_range(largest, CLIENTS * 6 / 100, CLIENTS * 10 / 100);
}

/* All who wait for its answer are refused in one moment then. */
static void after_a_frozen_server_was_killed_at_most_15_percent_do(void **state)
{
    (void)state;
    static const uint64_t killed_ms[] = {5, 50, 300, 700, 1000, 1003, 1500, 2500, 10000};
    unsigned largest = 0;
    for (size_t i = 0; i < sizeof killed_ms / sizeof killed_ms[0]; i++) {
        unsigned herd = largest_of_many(killed_ms[i] * MS);
        largest = herd > largest ? herd : largest;
    }
    print_message("at most %u of %u within 100 ms\n", largest, CLIENTS);
    assert_in_range(largest, CLIENTS * 6 / 100, CLIENTS * 15 / 100);
}

static void all_come_back_within_the_maximum(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        uint64_t random = seed;
        struct outage outage = {0, sta_random_below(&random, 30000) * MS};
        assert_true(comes_back_ns(random, &outage) - outage.up_ns <= 2001 * MS);
    }
}

/* One that is frozen takes connections and answers nothing, so that each attempt costs a
 * time-out of 1 s; when it thaws, the attempt that is under way succeeds. */
static void a_server_that_was_frozen_finds_an_attempt_under_way(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        uint64_t random = seed, thaw_ns = 5000 * MS + sta_random_below(&random, 20000) * MS;
        struct sta_backoff backoff = {.min_ns = 10 * MS, .max_ns = 2000 * MS, .random = random};
        uint64_t begin_ns = sta_backoff_next(&backoff, 0);
        while (begin_ns + 1000 * MS <= thaw_ns)
            begin_ns += 1000 * MS + sta_backoff_next(&backoff, 1000 * MS);
        assert_true(begin_ns <= thaw_ns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_loss_it_is_short_and_after_a_refusal_long),
        cmocka_unit_test(delays_are_spread_evenly),
        cmocka_unit_test(after_the_first_refusal_it_is_the_rest_of_a_wait),
        cmocka_unit_test(success_makes_the_next_failure_the_first),
        cmocka_unit_test(what_the_attempt_took_counts_as_waited_twice),
        cmocka_unit_test(clients_with_different_seeds_come_back_apart),
        cmocka_unit_test(after_a_restart_at_most_10_percent_come_back_within_100_ms),
        cmocka_unit_test(after_a_frozen_server_was_killed_at_most_15_percent_do),
        cmocka_unit_test(all_come_back_within_the_maximum),
        cmocka_unit_test(a_server_that_was_frozen_finds_an_attempt_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
