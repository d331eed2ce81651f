/* SPDX-License-Identifier: MIT
 *
 * The circuit breaker: each state against each event, what opens it, when it probes, and a server
 * that freezes and thaws, in virtual time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/random.h"
#include "l2/breaker.h"

#define MS STA_NS_MS

static struct sta_breaker closed_at(uint64_t now_ns)
{
    static const struct sta_breaker_config defaults = {0};
    struct sta_breaker breaker;
    sta_breaker_init(&breaker, &defaults, 42, now_ns);
    return breaker;
}

static struct sta_breaker in_state(enum sta_breaker_state state, uint64_t now_ns)
{
    struct sta_breaker breaker = closed_at(now_ns);
    if (state != STA_BREAKER_CLOSED)
        sta_breaker_step(&breaker, STA_BREAKER_SILENT, now_ns);
    if (state == STA_BREAKER_HALF_OPEN) {
        breaker.probe_at_ns = now_ns;
        assert_int_equal(sta_breaker_step(&breaker, STA_BREAKER_ASK, now_ns), STA_BREAKER_PROBE);
    }
    assert_int_equal(breaker.state, state);
    return breaker;
}

#define C STA_BREAKER_CLOSED
#define O STA_BREAKER_OPEN
#define H STA_BREAKER_HALF_OPEN

static void each_event_has_its_effect_in_each_state(void **state)
{
    (void)state;
    static const struct {
        enum sta_breaker_state before;
        enum sta_breaker_event event;
        enum sta_breaker_state after;
        enum sta_breaker_answer answer;
    } rows[] = {
        {C, STA_BREAKER_ASK, C, STA_BREAKER_PASS},
        {C, STA_BREAKER_OK, C, STA_BREAKER_PASS},
        {C, STA_BREAKER_LATE, C, STA_BREAKER_PASS},
        {C, STA_BREAKER_FAILED, C, STA_BREAKER_PASS},
        {C, STA_BREAKER_SILENT, O, STA_BREAKER_REFUSE},
        {C, STA_BREAKER_PROBE_OK, C, STA_BREAKER_PASS},
        {C, STA_BREAKER_PROBE_FAILED, C, STA_BREAKER_PASS},
        {O, STA_BREAKER_ASK, O, STA_BREAKER_REFUSE}, /* not due yet */
        {O, STA_BREAKER_OK, O, STA_BREAKER_REFUSE},
        {O, STA_BREAKER_LATE, O, STA_BREAKER_REFUSE},
        {O, STA_BREAKER_FAILED, O, STA_BREAKER_REFUSE},
        {O, STA_BREAKER_SILENT, O, STA_BREAKER_REFUSE},
        {O, STA_BREAKER_PROBE_OK, O, STA_BREAKER_REFUSE},
        {O, STA_BREAKER_PROBE_FAILED, O, STA_BREAKER_REFUSE},
        {H, STA_BREAKER_ASK, H, STA_BREAKER_REFUSE}, /* one probe only */
        {H, STA_BREAKER_OK, C, STA_BREAKER_PASS},
        {H, STA_BREAKER_LATE, H, STA_BREAKER_REFUSE},
        {H, STA_BREAKER_FAILED, H, STA_BREAKER_REFUSE},
        {H, STA_BREAKER_SILENT, H, STA_BREAKER_REFUSE},
        {H, STA_BREAKER_PROBE_OK, C, STA_BREAKER_PASS},
        {H, STA_BREAKER_PROBE_FAILED, O, STA_BREAKER_REFUSE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sta_breaker breaker = in_state(rows[i].before, 1000 * MS);
        enum sta_breaker_answer answer = sta_breaker_step(&breaker, rows[i].event, 1000 * MS);
        if (breaker.state != rows[i].after || answer != rows[i].answer)
            fail_msg("row %zu: state %d, answer %d", i, (int)breaker.state, (int)answer);
    }
}

#undef C
#undef O
#undef H

static void five_failures_in_a_row_open_it(void **state)
{
    (void)state;
    struct sta_breaker breaker = closed_at(0);
    for (unsigned round = 0; round < 4; round++) { /* four, and successes between */
        for (unsigned i = 0; i < 4; i++)
            sta_breaker_step(&breaker, STA_BREAKER_FAILED, 0);
        for (unsigned i = 0; i < 7; i++)
            sta_breaker_step(&breaker, STA_BREAKER_OK, 0);
        assert_int_equal(breaker.state, STA_BREAKER_CLOSED);
    }
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(sta_breaker_step(&breaker, STA_BREAKER_FAILED, 0), STA_BREAKER_PASS);
    assert_int_equal(sta_breaker_step(&breaker, STA_BREAKER_FAILED, 7), STA_BREAKER_REFUSE);
    assert_int_equal(breaker.opened, 1);
    assert_int_equal(breaker.opened_ns, 7);
}

/* Failures that never come five in a row. */
static enum sta_breaker_state after_mix(unsigned failed, unsigned ok, unsigned rounds,
                                        uint64_t apart_ns)
{
    struct sta_breaker breaker = closed_at(0);
    uint64_t now_ns = 0;
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < ok; i++)
            sta_breaker_step(&breaker, STA_BREAKER_OK, now_ns);
        for (unsigned i = 0; i < failed; i++)
            sta_breaker_step(&breaker, STA_BREAKER_FAILED, now_ns);
        now_ns += apart_ns;
    }
    return breaker.state;
}

static void half_of_the_results_in_the_window_open_it(void **state)
{
    (void)state;
    static const struct {
        unsigned failed;
        unsigned ok;
        unsigned rounds;
        uint64_t apart_ns;
        enum sta_breaker_state after;
    } rows[] = {
        {1, 1, 9, 0, STA_BREAKER_CLOSED},          /* 18 results: too few to tell */
        {1, 1, 10, 0, STA_BREAKER_OPEN},           /* 20 */
        {4, 5, 1000, 0, STA_BREAKER_CLOSED},       /* 44 % */
        {4, 4, 3, 0, STA_BREAKER_OPEN},            /* 50 % */
        {4, 3, 3, 4000 * MS, STA_BREAKER_OPEN},    /* 21 in 8 s, two halves of the window */
        {4, 3, 30, 6000 * MS, STA_BREAKER_CLOSED}, /* 14 in any 10 s */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum sta_breaker_state after =
            after_mix(rows[i].failed, rows[i].ok, rows[i].rounds, rows[i].apart_ns);
        if (after != rows[i].after)
            fail_msg("row %zu: state %d", i, (int)after);
    }
}

static void probes_are_drawn_from_the_upper_half_of_a_growing_interval(void **state)
{
    (void)state;
    static const uint64_t ceilings_ms[] = {50, 100, 200, 400, 500, 500, 500};
    for (uint64_t seed = 0; seed < 200; seed++) {
        static const struct sta_breaker_config defaults = {0};
        struct sta_breaker breaker;
        uint64_t now_ns = 1000 * MS;
        sta_breaker_init(&breaker, &defaults, seed, now_ns);
        sta_breaker_step(&breaker, STA_BREAKER_SILENT, now_ns);
        for (size_t i = 0; i < sizeof ceilings_ms / sizeof ceilings_ms[0]; i++) {
            uint64_t wait_ns = breaker.probe_at_ns - now_ns;
            assert_in_range(wait_ns, ceilings_ms[i] * MS / 2, ceilings_ms[i] * MS);
            now_ns = breaker.probe_at_ns;
            assert_int_equal(sta_breaker_step(&breaker, STA_BREAKER_ASK, now_ns - 1),
                             STA_BREAKER_REFUSE);
            assert_int_equal(sta_breaker_step(&breaker, STA_BREAKER_ASK, now_ns),
                             STA_BREAKER_PROBE);
            assert_int_equal(sta_breaker_step(&breaker, STA_BREAKER_ASK, now_ns),
                             STA_BREAKER_REFUSE);
            sta_breaker_step(&breaker, STA_BREAKER_PROBE_FAILED, now_ns);
        }
        assert_int_equal(breaker.opened, 1);
        assert_int_equal(breaker.refused, 2 * sizeof ceilings_ms / sizeof ceilings_ms[0]);
    }
}

static void probes_of_different_clients_come_apart(void **state)
{
    (void)state;
    uint64_t least = UINT64_MAX, most = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        static const struct sta_breaker_config defaults = {0};
        struct sta_breaker breaker;
        sta_breaker_init(&breaker, &defaults, seed, 0);
        sta_breaker_step(&breaker, STA_BREAKER_SILENT, 0);
        least = breaker.probe_at_ns < least ? breaker.probe_at_ns : least;
        most = breaker.probe_at_ns > most ? breaker.probe_at_ns : most;
    }
    assert_true(most - least > 20 * MS);
}

static void a_sign_of_life_makes_the_probe_due(void **state)
{
    (void)state;
    static const enum sta_breaker_event signs[] = {STA_BREAKER_OK, STA_BREAKER_LATE,
                                                   STA_BREAKER_PROBE_OK};
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        struct sta_breaker breaker = in_state(STA_BREAKER_OPEN, 1000 * MS);
        sta_breaker_step(&breaker, signs[i], 1001 * MS);
        assert_int_equal(sta_breaker_step(&breaker, STA_BREAKER_ASK, 1001 * MS), STA_BREAKER_PROBE);
    }
    /* It never puts a probe off. */
    struct sta_breaker breaker = in_state(STA_BREAKER_OPEN, 1000 * MS);
    uint64_t due_ns = breaker.probe_at_ns;
    sta_breaker_step(&breaker, STA_BREAKER_LATE, due_ns + 500 * MS);
    assert_int_equal(breaker.probe_at_ns, due_ns);
}

static void closing_forgets_what_was(void **state)
{
    (void)state;
    struct sta_breaker breaker = closed_at(0);
    for (unsigned i = 0; i < 5; i++)
        sta_breaker_step(&breaker, STA_BREAKER_FAILED, 0);
    uint64_t now_ns = breaker.probe_at_ns;
    sta_breaker_step(&breaker, STA_BREAKER_ASK, now_ns);
    sta_breaker_step(&breaker, STA_BREAKER_PROBE_OK, now_ns);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(sta_breaker_step(&breaker, STA_BREAKER_FAILED, now_ns), STA_BREAKER_PASS);
}

/* A client that asks 100 times a second; the server answers within 1 ms, or not at all while it is
 * frozen, and answers what it owes when it thaws. Time-outs after 1 s, probes time out after
 * 250 ms, silence is noticed after 1 s. Returns when the first call passes after the thaw. */
struct world {
    struct sta_breaker breaker;
    uint64_t freeze_ns, thaw_ns;
    uint64_t probe_sent_ns; /* 0: none in the air */
    uint64_t oldest_ns;     /* sent and unanswered; 0: none */
    uint64_t slow_calls;    /* that were sent while it was frozen */
    uint64_t opened_ns;
    uint64_t back_ns; /* first call passed after the thaw */
    bool told_silent;
};

static bool is_frozen(const struct world *world, uint64_t now_ns)
{
    return now_ns >= world->freeze_ns && now_ns < world->thaw_ns;
}

static void answer(struct world *world, uint64_t now_ns)
{
    bool probe_late = world->probe_sent_ns != 0 && now_ns - world->probe_sent_ns >= 250 * MS;
    if (world->probe_sent_ns != 0 && !is_frozen(world, now_ns) && !probe_late) {
        world->probe_sent_ns = 0;
        sta_breaker_step(&world->breaker, STA_BREAKER_PROBE_OK, now_ns);
    } else if (probe_late) {
        world->probe_sent_ns = 0;
        sta_breaker_step(&world->breaker, STA_BREAKER_PROBE_FAILED, now_ns);
    }
    if (world->oldest_ns != 0 && !is_frozen(world, now_ns)) {
        bool late = now_ns - world->oldest_ns >= 1000 * MS;
        sta_breaker_step(&world->breaker, late ? STA_BREAKER_LATE : STA_BREAKER_OK, now_ns);
        world->oldest_ns = 0;
        world->told_silent = false;
    } else if (world->oldest_ns != 0 && now_ns - world->oldest_ns >= 1000 * MS &&
               !world->told_silent) {
        world->told_silent = true;
        sta_breaker_step(&world->breaker, STA_BREAKER_SILENT, now_ns);
        world->opened_ns = now_ns;
    }
}

static void call(struct world *world, uint64_t now_ns)
{
    enum sta_breaker_answer may = sta_breaker_step(&world->breaker, STA_BREAKER_ASK, now_ns);
    if (may == STA_BREAKER_PROBE)
        world->probe_sent_ns = now_ns;
    if (may != STA_BREAKER_PASS)
        return;
    world->slow_calls += is_frozen(world, now_ns);
    if (world->oldest_ns == 0)
        world->oldest_ns = now_ns;
    if (now_ns >= world->thaw_ns && world->back_ns == 0)
        world->back_ns = now_ns;
}

static void a_frozen_server_costs_one_silence_and_is_back_within_a_second(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 500; seed++) {
        static const struct sta_breaker_config defaults = {0};
        uint64_t random = seed;
        struct world world = {.freeze_ns = 2000 * MS,
                              .thaw_ns = 3500 * MS + sta_random_below(&random, 20000) * MS};
        sta_breaker_init(&world.breaker, &defaults, seed, 0);
        for (uint64_t now_ns = MS; now_ns < 30000 * MS; now_ns += MS) {
            answer(&world, now_ns);
            if (now_ns % (10 * MS) == 0)
                call(&world, now_ns);
        }
        assert_in_range(world.opened_ns - world.freeze_ns, 1000 * MS, 1020 * MS);
        assert_in_range(world.slow_calls, 100, 103); /* all of them before it opened */
        assert_in_range(world.back_ns - world.thaw_ns, 0, 20 * MS); /* the late answer told */
        assert_int_equal(world.breaker.opened, 1);
    }
}

/* The same without a late answer: the link was cut, and only probes can tell. */
static void a_server_that_comes_back_in_silence_is_noticed_within_a_second(void **state)
{
    (void)state;
    uint64_t longest_ns = 0;
    for (uint64_t seed = 0; seed < 500; seed++) {
        static const struct sta_breaker_config defaults = {0};
        struct sta_breaker breaker;
        uint64_t random = seed, now_ns = 0, probe_until_ns = 0;
        uint64_t back_ns = 1000 * MS + sta_random_below(&random, 20000) * MS;
        sta_breaker_init(&breaker, &defaults, seed, 0);
        sta_breaker_step(&breaker, STA_BREAKER_SILENT, 0);
        while (breaker.state != STA_BREAKER_CLOSED) {
            now_ns += MS;
            if (probe_until_ns == 0 &&
                sta_breaker_step(&breaker, STA_BREAKER_ASK, now_ns) == STA_BREAKER_PROBE)
                probe_until_ns = now_ns + (now_ns >= back_ns ? 1 : 250) * MS;
            if (now_ns == probe_until_ns) {
                bool alive = now_ns - 1 * MS >= back_ns;
                sta_breaker_step(&breaker, alive ? STA_BREAKER_PROBE_OK : STA_BREAKER_PROBE_FAILED,
                                 now_ns);
                probe_until_ns = 0;
            }
        }
        longest_ns = now_ns - back_ns > longest_ns ? now_ns - back_ns : longest_ns;
    }
    assert_in_range(longest_ns, 400 * MS, 760 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_event_has_its_effect_in_each_state),
        cmocka_unit_test(five_failures_in_a_row_open_it),
        cmocka_unit_test(half_of_the_results_in_the_window_open_it),
        cmocka_unit_test(probes_are_drawn_from_the_upper_half_of_a_growing_interval),
        cmocka_unit_test(probes_of_different_clients_come_apart),
        cmocka_unit_test(a_sign_of_life_makes_the_probe_due),
        cmocka_unit_test(closing_forgets_what_was),
        cmocka_unit_test(a_frozen_server_costs_one_silence_and_is_back_within_a_second),
        cmocka_unit_test(a_server_that_comes_back_in_silence_is_noticed_within_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
