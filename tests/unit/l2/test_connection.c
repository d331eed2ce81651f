/* SPDX-License-Identifier: MIT
 *
 * Connections to a server that the test plays: greeting, replies, deadlines, bounds, losses,
 * closing from within callbacks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <stdio.h>

#include "core/clock.h"
#include "rig.h"
#include "strata/status.h"

#define LONG (20 * STA_NS_SEC)

static bool has_failed(struct rig *rig)
{
    return rig_statistics(rig).failures > 0;
}

/* ---- greeting ---- */

static void requests_wait_for_the_greeting_and_leave_in_order(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig.url.db = 7;
    rig.config.name = "me";
    strcpy(rig.url.user, "u");
    strcpy(rig.url.password, "pw");
    rig_open(&rig);
    struct ask *first = rig_ask(&rig, "FIRST\r\n", 1, LONG);
    rig_accept(&rig);
    struct ask *second = rig_ask(&rig, "SECOND\r\n", 1, LONG);
    rig_expect(&rig, "*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$2\r\npw\r\n"
                     "$7\r\nSETNAME\r\n$2\r\nme\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n7\r\n" PING);
    rig_say(&rig, "%1\r\n$5\r\nproto\r\n:3\r\n+OK\r\n");
    rig_run_some_ticks(&rig);
    assert_int_equal(sta_connection_state(rig.connection), STA_CONNECTION_GREETING);
    rig_say(&rig, "+PONG\r\n");
    rig_expect(&rig, "FIRST\r\nSECOND\r\n");
    rig_say(&rig, "+1\r\n+2\r\n");
    rig_run_until(&rig, rig_all_done);
    assert_string_equal(first->replies, "+1\r\n");
    assert_string_equal(second->replies, "+2\r\n");
    assert_int_equal(rig_statistics(&rig).replies, 2);
    assert_int_equal(rig_statistics(&rig).requests, 2);
    assert_int_equal(rig_statistics(&rig).connects, 1);
    assert_string_equal(rig.events, "ready;");
    assert_int_equal(rig.lines[STRATA_LOG_INFO], 1);
    assert_null(strstr(rig.logged, "pw"));
    rig_fini(&rig);
}

static void say_first(struct rig *rig)
{
    rig->then = NULL;
    (void)rig_ask(rig, "TRACK\r\n", 1, LONG);
}

static void what_the_owner_says_on_ready_goes_before_what_waited(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_open(&rig);
    (void)rig_ask(&rig, "GET\r\n", 1, LONG);
    rig.then = say_first;
    rig_greet(&rig);
    rig_expect(&rig, "TRACK\r\nGET\r\n");
    rig_fini(&rig);
}

/* A server that answers the greeting with `answer` and keeps the line open. */
static void assert_greeting_fails(const char *answer, int failure, enum strata_log_level level)
{
    struct rig rig;
    rig_init(&rig);
    strcpy(rig.url.password, "pw");
    rig.config.backoff_min_ns = LONG;
    rig.config.backoff_max_ns = LONG;
    rig_open(&rig);
    struct ask *waits = rig_ask(&rig, "GET\r\n", 1, LONG);
    rig_accept(&rig);
    rig_say(&rig, answer);
    rig_run_until(&rig, rig_is_in_backoff);
    assert_int_equal(waits->status, STRATA_ERR_UNAVAILABLE);
    struct ask *late = rig_ask(&rig, "GET\r\n", 1, LONG);
    assert_int_equal(late->done, 1); /* at once */
    assert_int_equal(late->status, STRATA_ERR_UNAVAILABLE);
    assert_int_equal(rig_statistics(&rig).last_failure, failure);
    assert_int_equal(rig_statistics(&rig).failures, 1);
    assert_int_equal(rig_statistics(&rig).refused, 2);
    assert_int_equal(rig.lines[level], 1);
    assert_null(strstr(rig.logged, "pw"));
    assert_string_equal(rig.events, "backoff;");
    rig_fini(&rig);
}

static void a_refused_greeting_names_its_reason(void **state)
{
    (void)state;
    static const char old[] = "-ERR unknown command `HELLO`, with args beginning with: `3`, "
                              "`AUTH`, `default`, `pw`, \r\n+PONG\r\n";
    assert_greeting_fails(old, STRATA_ERR_UNSUPPORTED, STRATA_LOG_WARNING);
    assert_greeting_fails("-WRONGPASS invalid username-password pair\r\n-NOAUTH\r\n",
                          STRATA_ERR_DENIED, STRATA_LOG_ERROR);
    assert_greeting_fails("-NOPERM this user has no permissions\r\n-NOAUTH\r\n", STRATA_ERR_DENIED,
                          STRATA_LOG_ERROR);
    assert_greeting_fails("%0\r\n-LOADING Redis is loading\r\n", STRATA_ERR_UNAVAILABLE,
                          STRATA_LOG_WARNING);
    assert_greeting_fails("-ERR max number of clients reached\r\n", STRATA_ERR_UNAVAILABLE,
                          STRATA_LOG_WARNING);
    assert_greeting_fails("HTTP/1.1 400 Bad Request\r\n", STRATA_ERR_PROTOCOL, STRATA_LOG_WARNING);
}

static void a_server_that_refuses_hello_is_greeted_in_resp2_where_that_will_do(void **state)
{
    (void)state;
    static const char *const refusals[] = {
        "-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n-NOAUTH first\r\n",
        "-NOPROTO unsupported protocol version\r\n+PONG\r\n",
        "-NOPERM this user has no permissions to run the 'hello' command\r\n-NOPERM\r\n",
        "-ERR unsupported command 'HELLO'\r\n+PONG\r\n",
    };
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct rig rig;
        rig_init(&rig);
        rig.config.or_protocol_2 = true;
        (void)snprintf(rig.url.password, sizeof rig.url.password, "pw");
        rig_open(&rig);
        rig_accept(&rig);
        rig_expect(&rig, "*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n"
                         "$2\r\npw\r\n" PING);
        rig_say(&rig, refusals[i]);
        rig_expect(&rig, "*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n" PING);
        rig_say(&rig, "+OK\r\n+PONG\r\n");
        rig_run_until(&rig, rig_is_ready);
        assert_int_equal(sta_connection_protocol(rig.connection), 2);
        assert_false(sta_connection_is_tracked(rig.connection));
        assert_non_null(strstr(rig.logged, "ready (protocol 2)"));
        assert_int_equal(rig_statistics(&rig).failures, 0);
        assert_int_equal(rig_statistics(&rig).replies, 0); /* nobody asked for any */
        rig_fini(&rig);
    }
}

static void in_resp2_the_password_counts_and_the_next_connection_begins_with_hello(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig.config.or_protocol_2 = true;
    rig.config.backoff_max_ns = STA_NS_MS;
    rig_open(&rig);
    rig_accept(&rig);
    rig_expect(&rig, HELLO3 PING);
    rig_say(&rig, "-NOPROTO sorry\r\n+PONG\r\n");
    rig_expect(&rig, PING);
    rig_say(&rig, "-NOAUTH Authentication required.\r\n");
    rig_run_until(&rig, rig_is_in_backoff);
    assert_int_equal(rig_statistics(&rig).last_failure, STRATA_ERR_DENIED);
    rig_hang_up(&rig);
    rig_greet(&rig);
    assert_int_equal(sta_connection_protocol(rig.connection), 3);
    rig_fini(&rig);
}

static void a_loading_server_is_tried_again(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig.config.backoff_min_ns = STA_NS_MS;
    rig.config.backoff_max_ns = STA_NS_MS;
    rig_open(&rig);
    for (unsigned i = 0; i < 5; i++) {
        rig_accept(&rig);
        rig_expect(&rig, HELLO3 PING);
        rig_say(&rig, "%0\r\n-LOADING Redis is loading the dataset in memory\r\n");
        rig_run_until(&rig, rig_is_in_backoff);
        rig_hang_up(&rig);
    }
    rig_greet(&rig);
    assert_int_equal(rig_statistics(&rig).failures, 5);
    assert_int_equal(rig_statistics(&rig).last_failure, STRATA_OK);
    assert_int_equal(rig.lines[STRATA_LOG_WARNING], 1); /* the same failure five times */
    rig_fini(&rig);
}

static void a_silent_server_fails_when_connecting_takes_too_long(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig.config.connect_timeout_ns = 50 * STA_NS_MS;
    rig.config.backoff_min_ns = LONG;
    rig_open(&rig);
    struct ask *waits = rig_ask(&rig, "GET\r\n", 1, LONG);
    uint64_t began_ns = sta_clock_now_ns();
    rig_accept(&rig);
    rig_run_until(&rig, has_failed);
    assert_true(sta_clock_now_ns() - began_ns >= 45 * STA_NS_MS);
    assert_int_equal(waits->status, STRATA_ERR_UNAVAILABLE);
    assert_int_equal(rig_statistics(&rig).last_failure, STRATA_ERR_TIMEOUT);
    rig_fini(&rig);
}

static void nobody_at_home_is_logged_once_however_often_it_is_tried(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    close(rig.listener);
    rig.listener = -1;
    rig.config.backoff_min_ns = STA_NS_MS;
    rig.config.backoff_max_ns = STA_NS_MS;
    rig_open(&rig);
    struct ask *waits = rig_ask(&rig, "GET\r\n", 1, LONG);
    for (unsigned i = 0; rig_statistics(&rig).failures < 5; i++)
        rig_run_some_ticks(&rig);
    assert_int_equal(waits->status, STRATA_ERR_UNAVAILABLE);
    assert_int_equal(rig.lines[STRATA_LOG_WARNING], 1);
    rig_fini(&rig);
}

static void a_url_of_tls_is_never_taken_in_the_clear(void **state)
{
    (void)state;
    struct rig rig;
    const struct sta_connection_events events = {.state = NULL};
    rig_init(&rig);
    rig.url.tls = true;
    assert_int_equal(
        sta_connection_open(&rig.connection, rig.loop, NULL, &rig.config, &events, NULL),
        STRATA_ERR_UNSUPPORTED);
    assert_null(rig.connection);
    rig_fini(&rig);
}

/* ---- replies ---- */

static void replies_cut_anywhere_and_mixed_with_pushes_reach_their_requests(void **state)
{
    (void)state;
    static const char said[] = "+a\r\n>1\r\n+p\r\n:1\r\n>1\r\n+q\r\n:2\r\n";
    struct rig rig;
    rig_init_ready(&rig);
    for (size_t cut = 0; cut < sizeof said; cut++) {
        char first[64];
        rig.asked = 0;
        memset(rig.asks, 0, sizeof rig.asks);
        strcpy(rig.events, "");
        struct ask *one = rig_ask(&rig, "ONE\r\n", 1, LONG);
        struct ask *two = rig_ask(&rig, "TWO\r\nTHREE\r\n", 2, LONG);
        rig_expect(&rig, "ONE\r\nTWO\r\nTHREE\r\n");
        memcpy(first, said, cut);
        first[cut] = 0;
        rig_say(&rig, first);
        rig_run_some_ticks(&rig);
        rig_say(&rig, said + cut);
        rig_run_until(&rig, rig_all_done);
        assert_string_equal(one->replies, "+a\r\n");
        assert_string_equal(two->replies, ":1\r\n:2\r\n");
        assert_string_equal(rig.events, "push >1\r\n+p\r\n;push >1\r\n+q\r\n;");
    }
    rig_fini(&rig);
}

static void error_replies_are_replies(void **state)
{
    (void)state;
    struct rig rig;
    rig_init_ready(&rig);
    struct ask *ask = rig_ask(&rig, "X\r\n", 1, LONG);
    rig_expect(&rig, "X\r\n");
    rig_say(&rig, "-ERR no\r\n");
    rig_run_until(&rig, rig_all_done);
    assert_int_equal(ask->status, STRATA_OK);
    assert_string_equal(ask->replies, "-ERR no\r\n");
    rig_fini(&rig);
}

static void assert_ends_connection(struct rig *rig, const char *said, int failure)
{
    struct ask *first = rig_ask(rig, "ONE\r\n", 1, LONG);
    struct ask *second = rig_ask(rig, "TWO\r\n", 1, LONG);
    rig_expect(rig, "ONE\r\nTWO\r\n");
    rig_say(rig, said);
    rig_run_until(rig, rig_all_done);
    assert_int_equal(first->status, STRATA_OK);
    assert_int_equal(second->status, STRATA_ERR_LOST);
    assert_int_equal(rig_statistics(rig).last_failure, failure);
    assert_int_equal(rig_statistics(rig).lost, 1);
    rig_hang_up(rig);
    rig_greet(rig); /* and it comes back */
    rig_fini(rig);
}

static void a_broken_reply_ends_the_connection(void **state)
{
    (void)state;
    struct rig rig;
    rig_init_ready(&rig);
    assert_ends_connection(&rig, "+ok\r\n?what\r\n", STRATA_ERR_PROTOCOL);
}

static void a_reply_beyond_the_limit_ends_the_connection(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig.config.max_reply_bytes = 100;
    rig_open(&rig);
    rig_greet(&rig);
    assert_ends_connection(&rig, "+ok\r\n$101\r\n", STRATA_ERR_TOO_BIG); /* as soon as announced */
}

static void a_reply_without_a_request_ends_the_connection(void **state)
{
    (void)state;
    struct rig rig;
    rig_init_ready(&rig);
    rig_say(&rig, "+surprise\r\n");
    rig_run_until(&rig, rig_is_in_backoff);
    assert_int_equal(rig_statistics(&rig).last_failure, STRATA_ERR_PROTOCOL);
    rig_fini(&rig);
}

/* ---- deadlines ---- */

static void a_late_reply_is_dropped_and_the_next_one_finds_its_request(void **state)
{
    (void)state;
    struct rig rig;
    rig_init_ready(&rig);
    uint64_t began_ns = sta_clock_now_ns();
    struct ask *slow = rig_ask(&rig, "SLOW\r\n", 1, 30 * STA_NS_MS);
    struct ask *patient = rig_ask(&rig, "PATIENT\r\n", 1, LONG);
    struct ask *slower = rig_ask(&rig, "SLOWER\r\n", 1, 40 * STA_NS_MS);
    rig_expect(&rig, "SLOW\r\nPATIENT\r\nSLOWER\r\n");
    while (slow->done == 0 || slower->done == 0)
        rig_run_some_ticks(&rig);
    assert_true(sta_clock_now_ns() - began_ns >= 40 * STA_NS_MS);
    assert_int_equal(slow->status, STRATA_ERR_TIMEOUT);
    assert_int_equal(slower->status, STRATA_ERR_TIMEOUT);
    assert_int_equal(patient->done, 0);
    rig_say(&rig, "+slow\r\n+patient\r\n+slower\r\n");
    rig_run_until(&rig, rig_all_done);
    assert_string_equal(patient->replies, "+patient\r\n");
    struct ask *next = rig_ask(&rig, "NEXT\r\n", 1, LONG);
    rig_say(&rig, "+next\r\n");
    rig_run_until(&rig, rig_all_done);
    assert_string_equal(next->replies, "+next\r\n");
    assert_int_equal(rig_statistics(&rig).timeouts, 2);
    assert_int_equal(rig_statistics(&rig).late, 2);
    assert_int_equal(rig_statistics(&rig).in_flight, 0);
    rig_fini(&rig);
}

static void a_request_times_out_while_it_waits_for_the_greeting(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_open(&rig);
    struct ask *slow = rig_ask(&rig, "SLOW\r\n", 1, 10 * STA_NS_MS);
    struct ask *patient = rig_ask(&rig, "PATIENT\r\n", 1, LONG);
    while (slow->done == 0)
        rig_run_some_ticks(&rig);
    assert_int_equal(slow->status, STRATA_ERR_TIMEOUT);
    assert_int_equal(patient->done, 0);
    rig_greet(&rig);
    rig_expect(&rig, "PATIENT\r\n"); /* the other one is not sent */
    rig_fini(&rig);
}

static void a_deadline_that_has_passed_is_a_timeout_at_once(void **state)
{
    (void)state;
    struct rig rig;
    rig_init_ready(&rig);
    struct ask *ask = rig_ask(&rig, "X\r\n", 1, 0);
    while (ask->done == 0)
        rig_run_some_ticks(&rig);
    assert_int_equal(ask->status, STRATA_ERR_TIMEOUT);
    rig_fini(&rig);
}

static void many_deadlines_are_all_met(void **state)
{
    (void)state;
    struct rig rig;
    rig_init_ready(&rig);
    for (unsigned i = 0; i < RIG_ASKS; i++) /* in no order */
        (void)rig_ask(&rig, "X\r\n", 1, (5 + i * 37 % 50) * STA_NS_MS);
    rig_run_until(&rig, rig_all_done);
    for (unsigned i = 0; i < RIG_ASKS; i++)
        assert_int_equal(rig.asks[i].status, STRATA_ERR_TIMEOUT);
    assert_int_equal(rig_statistics(&rig).timeouts, RIG_ASKS);
    assert_int_equal(rig_statistics(&rig).in_flight, RIG_ASKS); /* their places */
    rig_fini(&rig);
}

/* ---- bounds ---- */

static void a_full_queue_is_busy_at_once(void **state)
{
    (void)state;
    for (unsigned ready = 0; ready <= 1; ready++) {
        struct rig rig;
        rig_init(&rig);
        rig.config.max_pending_requests = 3;
        rig_open(&rig);
        if (ready)
            rig_greet(&rig);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(rig_ask(&rig, "X\r\n", 1, LONG)->done, 0);
        assert_int_equal(rig_ask(&rig, "X\r\n", 1, LONG)->status, STRATA_ERR_BUSY);
        assert_int_equal(rig_statistics(&rig).refused, 1);
        assert_int_equal(rig_statistics(&rig).in_flight, 3);
        rig_fini(&rig);
    }
}

static void too_many_unsent_bytes_are_busy_at_once(void **state)
{
    (void)state;
    static char wire[1001];
    memset(wire, 'x', sizeof wire - 1);
    for (unsigned ready = 0; ready <= 1; ready++) {
        struct rig rig;
        rig_init(&rig);
        rig.config.max_pending_bytes = 2999;
        rig_open(&rig);
        if (ready)
            rig_greet(&rig);
        assert_int_equal(rig_ask(&rig, wire, 1, LONG)->done, 0);
        assert_int_equal(rig_ask(&rig, wire, 1, LONG)->done, 0);
        assert_int_equal(rig_ask(&rig, wire, 1, LONG)->status, STRATA_ERR_BUSY);
        if (ready) {
            rig_run_some_ticks(&rig); /* sent: room again */
            assert_int_equal(rig_ask(&rig, wire, 1, LONG)->done, 0);
        }
        rig_fini(&rig);
    }
}

static void what_can_never_be_sent_is_refused(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig.config.max_pending_bytes = 4;
    rig_open(&rig);
    rig_greet(&rig);
    assert_int_equal(rig_ask(&rig, "12345", 1, LONG)->status, STRATA_ERR_TOO_BIG);
    assert_int_equal(rig_ask(&rig, "1", 0, LONG)->status, STRATA_ERR_INVALID);
    assert_int_equal(rig_ask(&rig, "", 1, LONG)->status, STRATA_ERR_INVALID);
    rig_fini(&rig);
}

/* ---- losses ---- */

static void a_loss_tells_sent_from_unsent_requests(void **state)
{
    (void)state;
    const size_t big = 4u << 20; /* more than a socket takes */
    char *wire = malloc(big + 1);
    struct rig rig;
    assert_non_null(wire);
    memset(wire, 'x', big);
    wire[big] = 0;
    rig_init_ready(&rig);
    struct ask *sent = rig_ask(&rig, "SENT\r\n", 1, LONG);
    struct ask *partly = rig_ask(&rig, wire, 1, LONG);
    struct ask *unsent = rig_ask(&rig, "UNSENT\r\n", 1, LONG);
    rig_run_some_ticks(&rig);
    rig_hang_up(&rig);
    rig_run_until(&rig, rig_all_done);
    assert_int_equal(sent->status, STRATA_ERR_LOST);
    assert_int_equal(partly->status, STRATA_ERR_LOST);
    assert_int_equal(unsent->status, STRATA_ERR_UNAVAILABLE);
    assert_int_equal(rig_statistics(&rig).lost, 2);
    rig_fini(&rig);
    free(wire);
}

static void after_a_loss_requests_wait_for_one_attempt_and_then_fail_at_once(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig.config.backoff_min_ns = 40 * STA_NS_MS;
    rig.config.backoff_max_ns = 40 * STA_NS_MS;
    rig_open(&rig);
    rig_greet(&rig);
    rig_hang_up(&rig);
    rig_run_until(&rig, rig_is_in_backoff);
    assert_string_equal(rig.events, "ready;backoff;");
    struct ask *before = rig_ask(&rig, "X\r\n", 1, LONG);
    rig_accept(&rig); /* the first attempt after READY: there is hope */
    struct ask *hopes = rig_ask(&rig, "X\r\n", 1, LONG);
    assert_int_equal(before->done, 0);
    assert_int_equal(hopes->done, 0);
    rig_hang_up(&rig);
    rig_run_until(&rig, rig_all_done);
    assert_int_equal(before->status, STRATA_ERR_UNAVAILABLE);
    assert_int_equal(hopes->status, STRATA_ERR_UNAVAILABLE);
    rig_accept(&rig); /* the second: none */
    assert_int_equal(rig_ask(&rig, "X\r\n", 1, LONG)->status, STRATA_ERR_UNAVAILABLE);
    rig_expect(&rig, HELLO3 PING);
    rig_say(&rig, WELCOME3);
    rig_run_until(&rig, rig_is_ready);
    assert_int_equal(rig_ask(&rig, "X\r\n", 1, LONG)->done, 0);
    assert_string_equal(rig.events, "ready;backoff;backoff;ready;");
    assert_int_equal(rig_statistics(&rig).connects, 2);
    rig_fini(&rig);
}

static void a_half_reply_of_the_lost_connection_does_not_reach_the_next(void **state)
{
    (void)state;
    struct rig rig;
    rig_init_ready(&rig);
    struct ask *lost = rig_ask(&rig, "A\r\nB\r\n", 2, LONG);
    rig_expect(&rig, "A\r\nB\r\n");
    rig_say(&rig, "+a\r\n>1\r\n_\r\n$100\r\nhalf");
    rig_run_some_ticks(&rig);
    rig_hang_up(&rig);
    rig_run_until(&rig, rig_all_done);
    assert_int_equal(lost->status, STRATA_ERR_LOST);
    rig_greet(&rig);
    struct ask *next = rig_ask(&rig, "C\r\n", 1, LONG);
    rig_expect(&rig, "C\r\n");
    rig_say(&rig, "+c\r\n");
    rig_run_until(&rig, rig_all_done);
    assert_string_equal(next->replies, "+c\r\n");
    rig_fini(&rig);
}

/* The delay may be an hour from the second failure on: not reset, that would be reached. */
static void each_success_resets_the_backoff_and_bytes_are_counted_over_all(void **state)
{
    (void)state;
    const unsigned rounds = 45;
    struct rig rig;
    rig_init(&rig);
    rig.config.backoff_min_ns = 1;
    rig.config.backoff_max_ns = 3600 * STA_NS_SEC;
    rig_open(&rig);
    for (unsigned i = 0; i < rounds; i++) {
        rig_greet(&rig);
        (void)rig_ask(&rig, "X\r\n", 1, LONG);
        rig_expect(&rig, "X\r\n");
        rig_say(&rig, "+x\r\n");
        rig_run_until(&rig, rig_all_done);
        rig_hang_up(&rig);
    }
    rig_greet(&rig);
    struct sta_connection_statistics statistics = rig_statistics(&rig);
    assert_int_equal(statistics.connects, rounds + 1);
    assert_int_equal(statistics.bytes_out, (rounds + 1) * strlen(HELLO3 PING) + rounds * 3);
    assert_int_equal(statistics.bytes_in, (rounds + 1) * strlen(WELCOME3) + rounds * 4);
    rig_fini(&rig);
}

/* ---- closing, and submitting from within ---- */

static void closing_ends_what_waits_before_it_returns(void **state)
{
    (void)state;
    for (unsigned ready = 0; ready <= 1; ready++) {
        struct rig rig;
        rig_init(&rig);
        rig_open(&rig);
        if (ready)
            rig_greet(&rig);
        struct ask *one = rig_ask(&rig, "X\r\n", 1, LONG);
        struct ask *two = rig_ask(&rig, "X\r\n", 1, LONG);
        sta_connection_close(&rig.connection);
        assert_null(rig.connection);
        assert_int_equal(one->status, STRATA_ERR_CLOSED);
        assert_int_equal(two->status, STRATA_ERR_CLOSED);
        rig_run_some_ticks(&rig);
        rig_fini(&rig);
    }
}

static void then_close(struct ask *ask)
{
    sta_connection_close(&ask->rig->connection);
}

static void then_close_rig(struct rig *rig)
{
    sta_connection_close(&rig->connection);
}

static void a_connection_may_be_closed_from_done(void **state)
{
    (void)state;
    struct rig rig;
    rig_init_ready(&rig);
    rig_ask(&rig, "A\r\n", 1, LONG)->then = then_close;
    struct ask *other = rig_ask(&rig, "B\r\n", 1, LONG);
    rig_expect(&rig, "A\r\nB\r\n");
    rig_say(&rig, "+a\r\n+b\r\n");
    rig_run_until(&rig, rig_is_gone);
    assert_int_equal(other->status, STRATA_ERR_CLOSED);
    rig_fini(&rig);
}

static void a_connection_may_be_closed_from_a_timeout(void **state)
{
    (void)state;
    for (unsigned ready = 0; ready <= 1; ready++) {
        struct rig rig;
        rig_init(&rig);
        rig_open(&rig);
        if (ready)
            rig_greet(&rig);
        rig_ask(&rig, "A\r\n", 1, 10 * STA_NS_MS)->then = then_close;
        struct ask *other = rig_ask(&rig, "B\r\n", 1, LONG);
        rig_run_until(&rig, rig_is_gone);
        assert_int_equal(other->status, STRATA_ERR_CLOSED);
        rig_fini(&rig);
    }
}

static void a_connection_may_be_closed_from_a_loss(void **state)
{
    (void)state;
    struct rig rig;
    rig_init_ready(&rig);
    rig_ask(&rig, "A\r\n", 1, LONG)->then = then_close;
    (void)rig_ask(&rig, "B\r\n", 1, LONG);
    rig_expect(&rig, "A\r\nB\r\n");
    rig_hang_up(&rig);
    rig_run_until(&rig, rig_is_gone);
    rig_fini(&rig);
}

static void a_connection_may_be_closed_from_push_and_state(void **state)
{
    (void)state;
    for (unsigned by = 0; by < 3; by++) {
        struct rig rig;
        rig_init(&rig);
        rig_open(&rig);
        (void)rig_ask(&rig, "A\r\n", 1, LONG);
        if (by == 0) { /* READY */
            rig.then = then_close_rig;
            rig_accept(&rig);
            rig_say(&rig, WELCOME3);
        } else {
            rig_greet(&rig);
            rig.then = then_close_rig;
            if (by == 1)
                rig_say(&rig, ">1\r\n+p\r\n+a\r\n");
            else
                rig_hang_up(&rig);
        }
        rig_run_until(&rig, rig_is_gone);
        assert_int_equal(rig.asks[0].status, STRATA_ERR_CLOSED);
        rig_fini(&rig);
    }
}

static void then_ask_again(struct ask *ask)
{
    ask->then = NULL;
    (void)rig_ask(ask->rig, "AGAIN\r\n", 1, LONG);
}

static void done_may_submit_again(void **state)
{
    (void)state;
    struct rig rig;
    rig_init_ready(&rig);
    struct ask *first = rig_ask(&rig, "A\r\n", 1, LONG);
    struct ask *times_out = rig_ask(&rig, "B\r\n", 1, 20 * STA_NS_MS);
    first->then = then_ask_again;
    times_out->then = then_ask_again;
    rig_expect(&rig, "A\r\nB\r\n");
    rig_say(&rig, "+a\r\n");
    rig_expect(&rig, "AGAIN\r\nAGAIN\r\n");
    struct ask *lost = rig_ask(&rig, "C\r\n", 1, LONG);
    lost->then = then_ask_again;
    rig_run_some_ticks(&rig);
    rig_hang_up(&rig);
    rig_greet(&rig);
    rig_expect(&rig, "AGAIN\r\n");
    rig_say(&rig, "+again\r\n");
    rig_run_until(&rig, rig_all_done);
    assert_int_equal(lost->status, STRATA_ERR_LOST);
    assert_int_equal(rig.asks[rig.asked - 1].status, STRATA_OK);
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_wait_for_the_greeting_and_leave_in_order),
        cmocka_unit_test(what_the_owner_says_on_ready_goes_before_what_waited),
        cmocka_unit_test(a_refused_greeting_names_its_reason),
        cmocka_unit_test(a_server_that_refuses_hello_is_greeted_in_resp2_where_that_will_do),
        cmocka_unit_test(in_resp2_the_password_counts_and_the_next_connection_begins_with_hello),
        cmocka_unit_test(a_loading_server_is_tried_again),
        cmocka_unit_test(a_silent_server_fails_when_connecting_takes_too_long),
        cmocka_unit_test(nobody_at_home_is_logged_once_however_often_it_is_tried),
        cmocka_unit_test(a_url_of_tls_is_never_taken_in_the_clear),
        cmocka_unit_test(replies_cut_anywhere_and_mixed_with_pushes_reach_their_requests),
        cmocka_unit_test(error_replies_are_replies),
        cmocka_unit_test(a_broken_reply_ends_the_connection),
        cmocka_unit_test(a_reply_beyond_the_limit_ends_the_connection),
        cmocka_unit_test(a_reply_without_a_request_ends_the_connection),
        cmocka_unit_test(a_late_reply_is_dropped_and_the_next_one_finds_its_request),
        cmocka_unit_test(a_request_times_out_while_it_waits_for_the_greeting),
        cmocka_unit_test(a_deadline_that_has_passed_is_a_timeout_at_once),
        cmocka_unit_test(many_deadlines_are_all_met),
        cmocka_unit_test(a_full_queue_is_busy_at_once),
        cmocka_unit_test(too_many_unsent_bytes_are_busy_at_once),
        cmocka_unit_test(what_can_never_be_sent_is_refused),
        cmocka_unit_test(a_loss_tells_sent_from_unsent_requests),
        cmocka_unit_test(after_a_loss_requests_wait_for_one_attempt_and_then_fail_at_once),
        cmocka_unit_test(a_half_reply_of_the_lost_connection_does_not_reach_the_next),
        cmocka_unit_test(each_success_resets_the_backoff_and_bytes_are_counted_over_all),
        cmocka_unit_test(closing_ends_what_waits_before_it_returns),
        cmocka_unit_test(a_connection_may_be_closed_from_done),
        cmocka_unit_test(a_connection_may_be_closed_from_a_timeout),
        cmocka_unit_test(a_connection_may_be_closed_from_a_loss),
        cmocka_unit_test(a_connection_may_be_closed_from_push_and_state),
        cmocka_unit_test(done_may_submit_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
