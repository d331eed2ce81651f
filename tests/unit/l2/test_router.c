/* SPDX-License-Identifier: MIT
 *
 * A router before a single Redis that the test plays: what is sent again, and what is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "core/clock.h"
#include "router_rig.h"
#include "strata/status.h"

#define ANY STA_OPERATION_ANY_NODE

static void assert_answer(struct ask *ask, const char *replies)
{
    rig_run_until(ask->rig, rig_all_done);
    assert_int_equal(ask->status, STRATA_OK);
    assert_string_equal(ask->replies, replies);
}

static void assert_failure(struct ask *ask, int status)
{
    rig_run_until(ask->rig, rig_all_done);
    assert_int_equal(ask->status, status);
}

static void replies_are_passed_on_errors_too(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 1);
    rig_open(&rig);
    fake_answers(rig.fakes, "GET a", "$1\r\nx\r\n", 1);
    fake_answers(rig.fakes, "GET b", "-WRONGTYPE no string\r\n", 1);
    fake_answers(rig.fakes, "GET c", "!9\r\nERR large\r\n", 1);
    assert_answer(rig_ask(&rig, ANY, true, "GET a"), "$1\r\nx\r\n");
    assert_answer(rig_ask(&rig, ANY, true, "GET b"), "-WRONGTYPE no string\r\n");
    assert_answer(rig_ask(&rig, ANY, true, "GET c"), "!9\r\nERR large\r\n");
    assert_string_equal(rig.fakes[0].heard, "GET a;GET b;GET c;");
    rig_fini(&rig);
}

static void a_server_that_is_not_ready_is_asked_again(void **state)
{
    (void)state;
    static const char *const errors[] = {
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-MASTERDOWN Link with MASTER is down\r\n",
        "-READONLY You can't write against a read only replica.\r\n",
        "-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
        "-CLUSTERDOWN The cluster is down\r\n",
    };
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct rig rig;
        rig_init(&rig, 1);
        rig_open(&rig);
        fake_answers(rig.fakes, "SET a 1", errors[i], 3);
        fake_answers(rig.fakes, "SET a 1", "+OK\r\n", 1);
        assert_answer(rig_ask(&rig, ANY, false, "SET a 1"), "+OK\r\n");
        assert_string_equal(rig.fakes[0].heard, "SET a 1;SET a 1;SET a 1;SET a 1;");
        rig_fini(&rig);
    }
}

/* A name that leads to a replica since the fail-over. Nothing that is under way is cut off. */
static void a_server_that_is_read_only_is_looked_up_again(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 1);
    rig_open(&rig);
    fake_answers(rig.fakes, "SET a 1", "-READONLY You can't write against a replica.\r\n", 1);
    (void)rig_ask(&rig, ANY, false, "SET a 1");
    for (unsigned i = 0; i < 5; i++)
        (void)rig_ask(&rig, ANY, false, "SET b 1");
    struct ask *late = rig_ask(&rig, ANY, true, "GET c");
    fake_answers(rig.fakes, "SET b 1", "+OK\r\n", 5);
    rig_run_ms(&rig, 100);
    assert_int_equal(rig.fakes[0].accepted, 1); /* "GET c" is still owed */
    fake_says(rig.fakes, "$1\r\nc\r\n");
    fake_answers(rig.fakes, "SET a 1", "+OK\r\n", 1);
    rig_run_until(&rig, rig_all_done);
    for (unsigned i = 0; i < rig.asked; i++)
        assert_int_equal(rig.asks[i].status, STRATA_OK);
    assert_string_equal(rig.asks[0].replies, "+OK\r\n");
    assert_string_equal(late->replies, "$1\r\nc\r\n");
    assert_int_equal(rig.fakes[0].accepted, 2);
    rig_fini(&rig);
}

static void what_it_says_last_is_passed_on_when_there_is_no_time_left(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 1);
    rig_open(&rig);
    fake_answers(rig.fakes, "GET a", "-LOADING later\r\n", 1000);
    uint64_t began_ns = sta_clock_now_ns();
    struct ask *ask = rig_ask_within(&rig, ANY, true, "GET a", STA_NS_SEC);
    assert_answer(ask, "-LOADING later\r\n");
    assert_true(sta_clock_now_ns() - began_ns < 5 * STA_NS_SEC); /* nor does it go on */
    assert_true(ask->operation.attempts > 1);
    rig_fini(&rig);
}

static void a_redirect_is_no_business_of_who_knows_no_cluster(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 1);
    rig_open(&rig);
    fake_answers(rig.fakes, "GET a", "-MOVED 15495 127.0.0.1:1\r\n", 1);
    assert_answer(rig_ask(&rig, ANY, true, "GET a"), "-MOVED 15495 127.0.0.1:1\r\n");
    rig_fini(&rig);
}

static void what_changes_nothing_is_sent_again_after_a_loss(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 1);
    rig_open(&rig);
    fake_answers(rig.fakes, "GET a", NULL, 1);
    fake_answers(rig.fakes, "GET a", "$1\r\nx\r\n", 1);
    assert_answer(rig_ask(&rig, ANY, true, "GET a"), "$1\r\nx\r\n");
    assert_string_equal(rig.fakes[0].heard, "GET a;GET a;");
    rig_fini(&rig);
}

static void what_breaks_every_connection_is_given_up(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 1);
    rig_open(&rig);
    fake_answers(rig.fakes, "GET a", NULL, 1000);
    assert_failure(rig_ask(&rig, ANY, true, "GET a"), STRATA_ERR_LOST);
    assert_string_equal(rig.fakes[0].heard, "GET a;GET a;GET a;");
    rig_fini(&rig);
}

static void a_write_that_may_have_been_carried_out_is_not_sent_again(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 1);
    rig_open(&rig);
    fake_answers(rig.fakes, "SET a 1", NULL, 1);
    fake_answers(rig.fakes, "SET a 1", "+OK\r\n", 1);
    assert_failure(rig_ask(&rig, ANY, false, "SET a 1"), STRATA_ERR_LOST);
    rig_run_ms(&rig, 50);
    assert_string_equal(rig.fakes[0].heard, "SET a 1;");
    rig_fini(&rig);
}

static bool is_up_again(struct rig *rig)
{
    struct sta_connection_statistics statistics;
    sta_router_statistics(rig->router, &statistics);
    return statistics.connects == 2;
}

static void what_waited_for_a_server_that_is_gone_fails_and_finds_it_when_it_is_back(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 1);
    rig.config.node.connection.backoff_max_ns = 20 * STA_NS_MS;
    rig_open(&rig);
    fake_answers(rig.fakes, "GET a", "$1\r\nx\r\n", 100);
    assert_answer(rig_ask(&rig, ANY, true, "GET a"), "$1\r\nx\r\n");
    fake_leaves(rig.fakes);
    assert_failure(rig_ask(&rig, ANY, true, "GET a"), STRATA_ERR_UNAVAILABLE);
    struct ask *at_once = rig_ask(&rig, ANY, true, "GET a");
    assert_int_equal(at_once->done, 1);
    assert_int_equal(at_once->status, STRATA_ERR_UNAVAILABLE);
    fake_returns(rig.fakes);
    rig_run_until(&rig, is_up_again);
    assert_answer(rig_ask(&rig, ANY, true, "GET a"), "$1\r\nx\r\n");
    rig_fini(&rig);
}

/* ---- lanes ---- */

#define LARGE (256 * 1024)

static void what_is_new_does_not_wait_behind_a_large_reply(void **state)
{
    (void)state;
    static char half[LARGE];
    static char rest[64];
    struct rig rig;
    rig_init(&rig, 1);
    rig_open(&rig);
    memset(half, 'x', sizeof half - 1);
    memcpy(half, "$262144\r\n", 9);
    (void)snprintf(rest, sizeof rest, "%.*s\r\n", LARGE - (int)(sizeof half - 1 - 9), half + 20);
    struct ask *large = rig_ask(&rig, ANY, true, "GET large");
    rig_run_ms(&rig, 20);
    fake_says(rig.fakes, half);
    rig_run_ms(&rig, 20);
    fake_answers(rig.fakes, "GET a", "+a\r\n", 10);
    assert_int_equal(rig.fakes[0].accepted, 1);
    struct ask *small = rig_ask(&rig, ANY, true, "GET a");
    rig_run_ms(&rig, 50);
    assert_string_equal(small->replies, "+a\r\n");
    assert_int_equal(large->done, 0);
    assert_int_equal(rig.fakes[0].accepted, 2);
    for (unsigned p = 0; p < 1; p++) /* the first connection is the main lane */
        assert_int_equal(send(rig.fakes[0].peers[p].fd, rest, strlen(rest), MSG_NOSIGNAL),
                         strlen(rest));
    rig_run_until(&rig, rig_all_done);
    assert_int_equal(large->status, STRATA_OK);
    rig_fini(&rig);
}

static const char *large_text(void)
{
    static char text[100000 + 16];
    size_t head = (size_t)snprintf(text, sizeof text, "$100000\r\n");
    memset(text + head, 'x', 100000);
    memcpy(text + head + 100000, "\r\n", 3);
    return text;
}

static bool goes_aside(struct rig *rig, const char *command)
{
    struct ask *ask = rig_ask(rig, ANY, true, command);
    rig_run_until(rig, rig_all_done);
    assert_int_equal(ask->status, STRATA_OK);
    return ask->operation.aside;
}

static void what_had_a_large_answer_goes_aside_the_next_time(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 1);
    rig_open(&rig);
    fake_answers(rig.fakes, "GET large", large_text(), 2);
    fake_answers(rig.fakes, "GET large", "$1\r\nx\r\n", 10);
    fake_answers(rig.fakes, "GET a", "$1\r\na\r\n", 10);
    assert_false(goes_aside(&rig, "GET large"));
    assert_int_equal(rig.fakes[0].accepted, 1);
    assert_true(goes_aside(&rig, "GET large"));
    assert_false(goes_aside(&rig, "GET a"));
    assert_int_equal(rig.fakes[0].accepted, 2);
    assert_true(goes_aside(&rig, "GET large")); /* it has become small, which nobody knew */
    assert_false(goes_aside(&rig, "GET large"));
    rig_fini(&rig);
}

static void with_one_connection_everything_goes_by_it(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 1);
    rig.config.node.max_connections = 1;
    rig_open(&rig);
    static char large[100 * 1024];
    memset(large, 'x', sizeof large - 1);
    struct ask *ask = rig_ask(&rig, ANY, false, "SET a 1");
    ask->operation.request.wire = strata_text(ask->wire);
    fake_answers(rig.fakes, "SET a 1", "+OK\r\n", 1);
    assert_answer(ask, "+OK\r\n");
    assert_int_equal(rig.fakes[0].accepted, 1);
    rig_fini(&rig);
}

/* ---- the breaker ---- */

static void rig_begin_watched(struct rig *rig, uint64_t silence_ns)
{
    rig_init(rig, 1);
    rig->config.node.connection.silence_ns = silence_ns;
    rig->config.node.connection.dead_ns = 100 * STA_NS_SEC;
    rig_open(rig);
    fake_answers(rig->fakes, "GET a", "+a\r\n", 1);
    assert_answer(rig_ask(rig, ANY, true, "GET a"), "+a\r\n");
}

static bool breaker_is_open(struct rig *rig)
{
    return strstr(rig->logged, "calls fail at once") != NULL;
}

static bool breaker_is_closed_again(struct rig *rig)
{
    return strstr(rig->logged, "answers again after") != NULL;
}

static void assert_refused_at_once(struct rig *rig)
{
    struct ask *ask = rig_ask(rig, ANY, true, "GET refused");
    assert_int_equal(ask->done, 1);
    assert_int_equal(ask->status, STRATA_ERR_UNAVAILABLE);
}

static void a_silent_server_is_left_alone_until_it_speaks(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin_watched(&rig, 1200 * STA_NS_MS);
    struct ask *waits = rig_ask(&rig, ANY, true, "GET b");
    rig_run_until(&rig, breaker_is_open);
    assert_int_equal(waits->done, 0); /* what is under way has its own time */
    assert_refused_at_once(&rig);
    assert_string_equal(rig.fakes[0].heard, "GET a;GET b;");
    fake_says(rig.fakes, "+b\r\n");
    rig_run_until(&rig, breaker_is_closed_again);
    assert_string_equal(waits->replies, "+b\r\n");
    fake_answers(rig.fakes, "GET c", "+c\r\n", 1);
    assert_answer(rig_ask(&rig, ANY, true, "GET c"), "+c\r\n");
    rig_fini(&rig);
}

static void time_outs_in_a_row_are_enough(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin_watched(&rig, 100 * STA_NS_SEC);
    for (unsigned i = 0; i < 5; i++)
        (void)rig_ask_within(&rig, ANY, true, "GET b", 1200 * STA_NS_MS);
    rig_run_until(&rig, rig_all_done);
    assert_refused_at_once(&rig);
    fake_says(rig.fakes, "+b\r\n+b\r\n+b\r\n+b\r\n+b\r\n");
    rig_run_until(&rig, breaker_is_closed_again);
    rig_fini(&rig);
}

static void impatience_is_no_evidence(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin_watched(&rig, 100 * STA_NS_SEC);
    for (unsigned i = 0; i < 50; i++)
        (void)rig_ask_within(&rig, ANY, true, "GET b", 20 * STA_NS_MS);
    rig_run_until(&rig, rig_all_done);
    fake_says(rig.fakes, "+b\r\n");
    struct ask *patient = rig_ask(&rig, ANY, true, "GET b");
    assert_int_equal(patient->done, 0);
    sta_router_destroy(&rig.router);
    rig_fini(&rig);
}

static void a_lost_connection_counts_once_whatever_it_takes_with_it(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin_watched(&rig, 100 * STA_NS_SEC);
    for (unsigned i = 0; i < 50; i++)
        (void)rig_ask(&rig, ANY, false, "SET b 1");
    rig_run_ms(&rig, 10);
    fake_hangs_up(rig.fakes);
    rig_run_until(&rig, rig_all_done);
    fake_answers(rig.fakes, "GET a", "+a\r\n", 1);
    assert_answer(rig_ask(&rig, ANY, true, "GET a"), "+a\r\n");
    rig_fini(&rig);
}

static void connections_that_break_again_and_again_are_left_alone(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin_watched(&rig, 100 * STA_NS_SEC);
    fake_answers(rig.fakes, "SET b 1", NULL, 5);
    for (unsigned i = 0; i < 5; i++)
        assert_failure(rig_ask(&rig, ANY, false, "SET b 1"), STRATA_ERR_LOST);
    assert_refused_at_once(&rig);
    rig_run_until(&rig, breaker_is_closed_again);
    rig_fini(&rig);
}

static void destroying_ends_what_waits_to_be_sent_again(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 1);
    rig_open(&rig);
    fake_answers(rig.fakes, "GET a", "-LOADING later\r\n", 1000);
    struct ask *waits = rig_ask(&rig, ANY, true, "GET a");
    struct ask *flies = rig_ask(&rig, ANY, true, "GET b");
    rig_run_ms(&rig, 50);
    sta_router_destroy(&rig.router);
    assert_int_equal(waits->status, STRATA_ERR_CLOSED);
    assert_int_equal(flies->status, STRATA_ERR_CLOSED);
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_passed_on_errors_too),
        cmocka_unit_test(a_server_that_is_not_ready_is_asked_again),
        cmocka_unit_test(a_server_that_is_read_only_is_looked_up_again),
        cmocka_unit_test(what_it_says_last_is_passed_on_when_there_is_no_time_left),
        cmocka_unit_test(a_redirect_is_no_business_of_who_knows_no_cluster),
        cmocka_unit_test(what_changes_nothing_is_sent_again_after_a_loss),
        cmocka_unit_test(what_breaks_every_connection_is_given_up),
        cmocka_unit_test(a_write_that_may_have_been_carried_out_is_not_sent_again),
        cmocka_unit_test(what_waited_for_a_server_that_is_gone_fails_and_finds_it_when_it_is_back),
        cmocka_unit_test(what_is_new_does_not_wait_behind_a_large_reply),
        cmocka_unit_test(what_had_a_large_answer_goes_aside_the_next_time),
        cmocka_unit_test(with_one_connection_everything_goes_by_it),
        cmocka_unit_test(a_silent_server_is_left_alone_until_it_speaks),
        cmocka_unit_test(time_outs_in_a_row_are_enough),
        cmocka_unit_test(impatience_is_no_evidence),
        cmocka_unit_test(a_lost_connection_counts_once_whatever_it_takes_with_it),
        cmocka_unit_test(connections_that_break_again_and_again_are_left_alone),
        cmocka_unit_test(destroying_ends_what_waits_to_be_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
