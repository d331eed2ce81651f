/* SPDX-License-Identifier: MIT
 *
 * Whether a connection notices that its peer is not there any more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/clock.h"
#include "rig.h"
#include "strata/status.h"

#define LONG (20 * STA_NS_SEC)

/* Longer than a slow machine takes for an answer that is meant to be in time. */
#define SILENCE (400 * STA_NS_MS)

static bool is_silent(struct rig *rig)
{
    return strstr(rig->events, "silent;") != NULL;
}

static bool speaks(struct rig *rig)
{
    return strstr(rig->events, "speaks;") != NULL;
}

static void rig_init_watched(struct rig *rig)
{
    rig_init(rig);
    rig->config.silence_ns = SILENCE;
    rig->config.dead_ns = LONG;
    rig->config.ping_ns = LONG;
    rig_open(rig);
    rig_greet(rig);
}

static void who_owes_an_answer_and_says_nothing_is_silent_until_he_speaks(void **state)
{
    (void)state;
    struct rig rig;
    rig_init_watched(&rig);
    (void)rig_ask(&rig, "A\r\n", 1, LONG);
    uint64_t began_ns = sta_clock_now_ns();
    rig_run_until(&rig, is_silent);
    assert_true(sta_clock_now_ns() - began_ns >= SILENCE);
    assert_int_equal(rig.asks[0].done, 0);
    rig_expect(&rig, "A\r\n");
    rig_say(&rig, "$5\r\nhal"); /* half an answer is a sign of life */
    rig_run_until(&rig, speaks);
    rig_say(&rig, "lo\r\n");
    rig_run_until(&rig, rig_all_done);
    assert_string_equal(rig.events, "ready;silent;speaks;");
    rig_fini(&rig);
}

static void who_owes_nothing_may_be_quiet(void **state)
{
    (void)state;
    struct rig rig;
    rig_init_watched(&rig);
    (void)rig_ask(&rig, "A\r\n", 1, LONG);
    rig_expect(&rig, "A\r\n");
    rig_say(&rig, "+a\r\n");
    rig_run_until(&rig, rig_all_done);
    rig_run_ms(&rig, 1000);
    (void)rig_ask(&rig, "B\r\n", 1, LONG); /* owed only from now on */
    rig_run_ms(&rig, 5);
    rig_say(&rig, "+b\r\n");
    rig_run_until(&rig, rig_all_done);
    assert_string_equal(rig.events, "ready;");
    rig_fini(&rig);
}

static void a_quiet_link_is_pinged_and_the_answer_is_nobodys(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig.config.silence_ns = SILENCE;
    rig.config.ping_ns = 40 * STA_NS_MS;
    rig_open(&rig);
    rig_greet(&rig);
    for (unsigned i = 0; i < 3; i++) {
        rig_expect(&rig, PING);
        rig_say(&rig, "+PONG\r\n");
    }
    rig_run_ms(&rig, 5);
    assert_int_equal(rig_statistics(&rig).replies, 0);
    assert_string_equal(rig.events, "ready;");
    rig_expect(&rig, PING); /* not answered */
    rig_run_until(&rig, is_silent);
    rig_hang_up(&rig);
    rig_run_until(&rig, rig_is_in_backoff);
    assert_int_equal(rig_statistics(&rig).lost, 0);
    rig_fini(&rig);
}

static void who_stays_silent_is_given_up(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig.config.silence_ns = 20 * STA_NS_MS;
    rig.config.dead_ns = 60 * STA_NS_MS;
    rig_open(&rig);
    rig_greet(&rig);
    struct ask *lost = rig_ask(&rig, "A\r\n", 1, LONG);
    uint64_t began_ns = sta_clock_now_ns();
    rig_run_until(&rig, rig_all_done);
    assert_true(sta_clock_now_ns() - began_ns >= 60 * STA_NS_MS);
    assert_int_equal(lost->status, STRATA_ERR_LOST);
    assert_string_equal(rig.events, "ready;silent;backoff;");
    assert_non_null(strstr(rig.logged, "connection lost: no answer for 0."));
    rig_fini(&rig);
}

static void silence_while_our_own_loop_slept_is_no_evidence(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig.config.silence_ns = SILENCE;
    rig.config.dead_ns = 2 * SILENCE;
    rig_open(&rig);
    rig_greet(&rig);
    (void)rig_ask(&rig, "A\r\n", 1, LONG);
    rig_expect(&rig, "A\r\n");
    const struct timespec nap = {.tv_sec = 2};
    (void)nanosleep(&nap, NULL); /* what is tested: nobody runs the loop */
    rig_run_ms(&rig, 15);
    rig_say(&rig, "+a\r\n");
    rig_run_until(&rig, rig_all_done);
    assert_int_equal(rig.asks[0].status, STRATA_OK);
    assert_string_equal(rig.events, "ready;");
    rig_fini(&rig);
}

/* Else a link that died would stay for ever on a host that stands still once a second. */
static void who_stays_silent_is_given_up_however_often_our_loop_slept(void **state)
{
    (void)state;
    struct rig rig;
    const struct timespec nap = {.tv_nsec = 150 * STA_NS_MS};
    rig_init(&rig);
    rig.config.silence_ns = 100 * STA_NS_MS;
    rig.config.dead_ns = 200 * STA_NS_MS;
    rig_open(&rig);
    rig_greet(&rig);
    (void)rig_ask(&rig, "A\r\n", 1, LONG);
    for (unsigned naps = 0; !rig_all_done(&rig) && naps < 100; naps++) {
        (void)nanosleep(&nap, NULL); /* what is tested: nobody runs the loop */
        rig_run_ms(&rig, 50);
    }
    assert_int_equal(rig.asks[0].status, STRATA_ERR_LOST);
    rig_fini(&rig);
}

#define LARGE (12 * 1024 * 1024)

/* The peer reads 4 KiB per half millisecond: longer than anybody may be silent. */
static void a_slow_line_is_not_silent_while_it_takes_something(void **state)
{
    (void)state;
    struct rig rig;
    static char large[LARGE + 1];
    memset(large, 'x', LARGE);
    rig_init(&rig);
    rig.config.silence_ns = 2 * SILENCE; /* the kernel's buffers empty in less, unseen */
    rig_open(&rig);
    rig_greet(&rig);
    (void)rig_ask(&rig, large, 1, LONG);
    uint64_t began_ns = sta_clock_now_ns();
    rig_expect(&rig, large);
    assert_true(sta_clock_now_ns() - began_ns > 2 * SILENCE);
    assert_string_equal(rig.events, "ready;");
    rig_say(&rig, "+a\r\n");
    rig_run_until(&rig, rig_all_done);
    rig_fini(&rig);
}

static void then_close(struct rig *rig)
{
    if (is_silent(rig))
        sta_connection_close(&rig->connection);
}

static void a_connection_may_be_closed_when_it_is_silent_and_when_it_speaks(void **state)
{
    (void)state;
    for (unsigned speaks_first = 0; speaks_first < 2; speaks_first++) {
        struct rig rig;
        rig_init_watched(&rig);
        (void)rig_ask(&rig, "A\r\n", 1, LONG);
        if (speaks_first) {
            rig_run_until(&rig, is_silent);
            rig.then = then_close;
            rig_say(&rig, "$5\r\nhal");
        } else {
            rig.then = then_close;
        }
        rig_run_until(&rig, rig_is_gone);
        assert_int_equal(rig.asks[0].status, STRATA_ERR_CLOSED);
        rig_fini(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_owes_an_answer_and_says_nothing_is_silent_until_he_speaks),
        cmocka_unit_test(who_owes_nothing_may_be_quiet),
        cmocka_unit_test(a_quiet_link_is_pinged_and_the_answer_is_nobodys),
        cmocka_unit_test(who_stays_silent_is_given_up),
        cmocka_unit_test(silence_while_our_own_loop_slept_is_no_evidence),
        cmocka_unit_test(who_stays_silent_is_given_up_however_often_our_loop_slept),
        cmocka_unit_test(a_slow_line_is_not_silent_while_it_takes_something),
        cmocka_unit_test(a_connection_may_be_closed_when_it_is_silent_and_when_it_speaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
