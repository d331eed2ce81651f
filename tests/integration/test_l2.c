/* SPDX-License-Identifier: MIT
 *
 * The engine against real Redis servers: that it greets, answers, refuses, and that through
 * kill -9, SIGSTOP and restarts under load from several threads every request ends exactly once,
 * within its budget, and none with the answer to another.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "l2/l2.h"
#include "strata/status.h"
#include "support/redis_server.h"
#include "support/wait.h"

#define BUDGET_NS (5 * STA_NS_SEC)
#define WAIT_MS   20000

struct engine {
    struct redis_server *server;
    struct sta_redis_url url;
    struct sta_l2_config config;
    struct sta_log log;
    char last_line[512]; /* of the log; written on the loop's thread */
    unsigned lines;      /* of the log */
    unsigned errors;     /* of them of level error */
    struct sta_loop *loop;
    struct sta_l2 *l2;
};

static void log_sink(void *arg, enum strata_log_level level, const char *room, const char *line)
{
    struct engine *engine = arg;
    (void)room;
    engine->lines++;
    engine->errors += level == STRATA_LOG_ERROR;
    (void)snprintf(engine->last_line, sizeof engine->last_line, "%s", line);
}

static void engine_start_server(struct engine *engine, const char *const *args)
{
    *engine = (struct engine){.server = NULL};
    sta_log_init(&engine->log, log_sink, engine, STRATA_LOG_INFO);
    assert_int_equal(redis_server_start(&engine->server, args), 0);
}

/* `url` NULL: the server's unix socket. */
static void engine_open(struct engine *engine, const char *url)
{
    char text[256];
    if (url == NULL)
        (void)snprintf(text, sizeof text, "unix://%s", redis_server_socket(engine->server));
    assert_int_equal(sta_redis_url_parse(url != NULL ? url : text, &engine->url, NULL), STRATA_OK);
    engine->config.router.node.connection.url = &engine->url;
    assert_int_equal(sta_loop_create(&engine->loop), STRATA_OK);
    assert_int_equal(sta_l2_create(&engine->l2, engine->loop, &engine->config, &engine->log),
                     STRATA_OK);
    assert_int_equal(sta_loop_start(engine->loop, "test-l2"), STRATA_OK);
}

static void engine_stop_loop(struct engine *engine)
{
    sta_loop_stop(engine->loop);
    sta_loop_join(engine->loop);
}

static void engine_close(struct engine *engine)
{
    engine_stop_loop(engine);
    sta_l2_destroy(&engine->l2);
    sta_loop_destroy(&engine->loop);
}

static void engine_fini(struct engine *engine)
{
    engine_close(engine);
    redis_server_stop(&engine->server);
}

static int call_text(struct engine *engine, const char *wire, unsigned commands, char *answer,
                     size_t cap)
{
    struct strata_bytes replies = {0};
    int status = sta_l2_call(engine->l2, strata_text(wire), commands,
                             sta_clock_now_ns() + BUDGET_NS, &replies);
    if (status == STRATA_OK)
        (void)snprintf(answer, cap, "%.*s", (int)replies.len, (const char *)replies.data);
    free((void *)(uintptr_t)replies.data);
    return status;
}

static bool has_failed(void *arg)
{
    struct engine *engine = arg;
    struct sta_connection_statistics statistics;
    sta_l2_statistics(engine->l2, &statistics);
    return statistics.failures > 0;
}

/* ---- answers ---- */

static void assert_answers(struct engine *engine, const char *wire, unsigned commands,
                           const char *expected)
{
    char answer[256];
    assert_int_equal(call_text(engine, wire, commands, answer, sizeof answer), STRATA_OK);
    assert_string_equal(answer, expected);
}

static void a_call_brings_the_replies_of_all_its_commands(void **state)
{
    (void)state;
    struct engine engine;
    engine_start_server(&engine, NULL);
    engine_open(&engine, NULL);
    assert_answers(&engine, "PING\r\n", 1, "+PONG\r\n");
    assert_answers(&engine, "SET a 1\r\nGET a\r\nGET b\r\nINCR a\r\n", 4,
                   "+OK\r\n$1\r\n1\r\n_\r\n:2\r\n");
    assert_answers(&engine, "NOSUCH\r\n", 1,
                   "-ERR unknown command 'NOSUCH', with args beginning with: \r\n");
    engine_fini(&engine);
}

static void a_host_name_a_database_and_a_name_are_understood(void **state)
{
    (void)state;
    char url[64];
    char answer[512];
    struct engine engine;
    engine_start_server(&engine, NULL);
    (void)snprintf(url, sizeof url, "redis://localhost:%d/3", redis_server_port(engine.server));
    engine.config.router.node.connection.name = "somebody";
    engine_open(&engine, url);
    assert_int_equal(call_text(&engine, "CLIENT INFO\r\n", 1, answer, sizeof answer), STRATA_OK);
    assert_non_null(strstr(answer, " name=somebody "));
    assert_non_null(strstr(answer, " db=3 "));
    assert_answers(&engine, "GET nothing\r\n", 1, "_\r\n"); /* the null of protocol 3 */
    engine_fini(&engine);
}

static void protocol_2_is_spoken_where_asked_for(void **state)
{
    (void)state;
    static const char *const args[] = {"--requirepass", "secret", NULL};
    char url[64];
    struct engine engine;
    engine_start_server(&engine, args);
    (void)snprintf(url, sizeof url, "redis://:secret@127.0.0.1:%d/1",
                   redis_server_port(engine.server));
    engine.config.router.node.connection.protocol = 2;
    engine.config.router.node.connection.name = "old";
    engine_open(&engine, url);
    assert_answers(&engine, "GET nothing\r\n", 1, "$-1\r\n");
    assert_answers(&engine, "CLIENT GETNAME\r\n", 1, "$3\r\nold\r\n");
    engine_fini(&engine);
}

/* ---- refusals ---- */

static void assert_denied(const char *const *args, const char *userinfo)
{
    char url[64];
    char answer[64];
    struct engine engine;
    struct sta_connection_statistics statistics;
    engine_start_server(&engine, args);
    (void)snprintf(url, sizeof url, "redis://%s127.0.0.1:%d", userinfo,
                   redis_server_port(engine.server));
    engine_open(&engine, url);
    assert_int_equal(call_text(&engine, "PING\r\n", 1, answer, sizeof answer),
                     STRATA_ERR_UNAVAILABLE);
    assert_true(wait_until(has_failed, &engine, WAIT_MS));
    sta_l2_statistics(engine.l2, &statistics);
    assert_int_equal(statistics.last_failure, STRATA_ERR_DENIED);
    assert_int_equal(statistics.connects, 0);
    engine_stop_loop(&engine);
    assert_int_equal(engine.errors, 1); /* however often it was tried again */
    assert_null(strstr(engine.last_line, "wrong"));
    engine_fini(&engine);
}

static void a_wrong_password_is_a_denial_that_is_logged_once(void **state)
{
    (void)state;
    static const char *const args[] = {"--requirepass", "secret", NULL};
    assert_denied(args, ":wrong@");
}

static void a_missing_password_is_a_denial(void **state)
{
    (void)state;
    static const char *const args[] = {"--requirepass", "secret", NULL};
    assert_denied(args, "");
}

static void an_unknown_user_is_a_denial(void **state)
{
    (void)state;
    assert_denied(NULL, "nobody:wrong@");
}

/* ---- faults under load ---- */

#define CALLERS     4
#define CALL_NS     (300 * STA_NS_MS)
#define OVERTIME_NS STA_NS_SEC /* far below the fault's length, far above a busy machine's delays */

struct callers;

struct caller {
    struct callers *all;
    pthread_t thread;
    unsigned number;
    atomic_ullong answered;
    atomic_ullong refused;
    unsigned long long statuses[32]; /* by -status */
    bool wrong;
    bool overtime;
};

struct callers {
    struct engine *engine;
    atomic_bool stop;
    struct caller callers[CALLERS];
    unsigned long long answered_before[CALLERS];
};

static void *keep_calling(void *arg)
{
    struct caller *caller = arg;
    for (unsigned i = 0; !atomic_load(&caller->all->stop); i++) {
        char wire[128];
        char expected[64];
        struct strata_bytes replies = {0};
        int len = snprintf(expected, sizeof expected, "$16\r\n%07u:%08u\r\n", caller->number, i);
        (void)snprintf(wire, sizeof wire, "*2\r\n$4\r\nECHO\r\n%s", expected);
        uint64_t began_ns = sta_clock_now_ns();
        int status = sta_l2_call(caller->all->engine->l2, strata_text(wire), 1, began_ns + CALL_NS,
                                 &replies);
        caller->overtime |= sta_clock_now_ns() - began_ns > CALL_NS + OVERTIME_NS;
        caller->statuses[-status]++;
        if (status == STRATA_ERR_UNAVAILABLE)
            atomic_fetch_add(&caller->refused, 1);
        if (status == STRATA_OK) {
            caller->wrong |=
                replies.len != (size_t)len || memcmp(replies.data, expected, replies.len);
            atomic_fetch_add(&caller->answered, 1);
        }
        free((void *)(uintptr_t)replies.data);
    }
    return NULL;
}

static bool all_were_answered_again(void *arg)
{
    struct callers *all = arg;
    for (unsigned i = 0; i < CALLERS; i++)
        if (atomic_load(&all->callers[i].answered) < all->answered_before[i] + 10)
            return false;
    return true;
}

/* From now on: a few answers for each. */
static void await_answers(struct callers *all)
{
    for (unsigned i = 0; i < CALLERS; i++)
        all->answered_before[i] = atomic_load(&all->callers[i].answered);
    assert_true(wait_until(all_were_answered_again, all, WAIT_MS));
}

static void callers_start(struct callers *all, struct engine *engine)
{
    *all = (struct callers){.engine = engine};
    for (unsigned i = 0; i < CALLERS; i++) {
        all->callers[i].all = all;
        all->callers[i].number = i;
        assert_int_equal(
            pthread_create(&all->callers[i].thread, NULL, keep_calling, &all->callers[i]), 0);
    }
    await_answers(all);
}

static void callers_stop(struct callers *all)
{
    atomic_store(&all->stop, true);
    for (unsigned i = 0; i < CALLERS; i++) {
        pthread_join(all->callers[i].thread, NULL);
        assert_false(all->callers[i].wrong);
        assert_false(all->callers[i].overtime);
    }
}

static unsigned long long callers_count(const struct callers *all, int status)
{
    unsigned long long count = 0;
    for (unsigned i = 0; i < CALLERS; i++)
        count += all->callers[i].statuses[-status];
    return count;
}

static void a_killed_server_is_an_error_at_once_and_a_restart_is_noticed(void **state)
{
    (void)state;
    struct engine engine;
    struct callers callers;
    engine_start_server(&engine, NULL);
    engine.config.router.node.connection.backoff_max_ns = 50 * STA_NS_MS;
    engine_open(&engine, NULL);
    callers_start(&callers, &engine);
    for (unsigned round = 0; round < 5; round++) {
        redis_server_kill9(engine.server);
        assert_int_equal(redis_server_restart(engine.server), 0);
        await_answers(&callers);
    }
    callers_stop(&callers);
    assert_true(callers_count(&callers, STRATA_ERR_UNAVAILABLE) > 0);
    engine_fini(&engine);
}

/* The breaker is open: each caller has been refused often. */
static bool all_are_refused(void *arg)
{
    struct callers *all = arg;
    for (unsigned i = 0; i < CALLERS; i++)
        if (atomic_load(&all->callers[i].refused) < 1000)
            return false;
    return true;
}

static uint64_t refusal_ns(struct engine *engine)
{
    char answer[64];
    uint64_t began_ns = sta_clock_now_ns();
    assert_int_equal(call_text(engine, "PING\r\n", 1, answer, sizeof answer),
                     STRATA_ERR_UNAVAILABLE);
    return sta_clock_now_ns() - began_ns;
}

/* A machine that is busy with other things makes single refusals slow, but not ten in a row. */
static uint64_t fastest_refusal_ns(struct engine *engine)
{
    uint64_t fastest_ns = UINT64_MAX;
    for (unsigned i = 0; i < 10; i++) {
        uint64_t took_ns = refusal_ns(engine);
        fastest_ns = took_ns < fastest_ns ? took_ns : fastest_ns;
    }
    return fastest_ns;
}

static void a_frozen_server_costs_a_few_calls_their_budget_and_then_none(void **state)
{
    (void)state;
    struct engine engine;
    struct callers callers;
    struct sta_connection_statistics statistics;
    engine_start_server(&engine, NULL);
    engine_open(&engine, NULL);
    callers_start(&callers, &engine);
    redis_server_freeze(engine.server);
    assert_true(wait_until(all_are_refused, &callers, WAIT_MS));
    uint64_t refused_ns = fastest_refusal_ns(&engine);
    redis_server_thaw(engine.server);
    uint64_t thawed_ns = sta_clock_now_ns();
    await_answers(&callers);
    uint64_t back_ns = sta_clock_now_ns() - thawed_ns;
    callers_stop(&callers);
    print_message("refused within %.3f ms, back %.0f ms after the thaw, %llu time-outs\n",
                  (double)refused_ns / STA_NS_MS, (double)back_ns / STA_NS_MS,
                  callers_count(&callers, STRATA_ERR_TIMEOUT));
    assert_true(refused_ns < STA_NS_MS);
    assert_true(back_ns < STA_NS_SEC);
    assert_int_equal(callers_count(&callers, STRATA_ERR_LOST), 0);
    engine_stop_loop(&engine);
    sta_l2_statistics(engine.l2, &statistics);
    assert_int_equal(statistics.connects, 1); /* the same connection goes on */
    engine_fini(&engine);
    assert_in_range(engine.lines, 2, 3); /* ready, no answer, answers again: one line a second */
    assert_non_null(strstr(engine.last_line, "answers again after "));
}

static void a_host_that_comes_up_later_is_found(void **state)
{
    (void)state;
    struct engine engine;
    struct callers callers;
    engine_start_server(&engine, NULL);
    engine.config.router.node.connection.backoff_max_ns = 50 * STA_NS_MS;
    redis_server_kill9(engine.server);
    engine_open(&engine, redis_server_url(engine.server));
    assert_true(wait_until(has_failed, &engine, WAIT_MS));
    assert_int_equal(redis_server_restart(engine.server), 0);
    callers_start(&callers, &engine);
    callers_stop(&callers);
    engine_fini(&engine);
}

/* ---- the end ---- */

#define LEFTOVERS 100

struct leftover {
    struct sta_operation operation;
    unsigned done;
    int status;
};

static void on_leftover(struct sta_operation *operation, int status, struct strata_bytes replies)
{
    struct leftover *leftover = STA_CONTAINER(operation, struct leftover, operation);
    (void)replies;
    leftover->done++;
    leftover->status = status;
}

static void leftover_submit(struct engine *engine, struct leftover *leftover)
{
    *leftover = (struct leftover){
        .operation = {.request = {.wire = strata_text("PING\r\n"),
                                  .commands = 1,
                                  .deadline_ns = STA_NEVER},
                      .done = on_leftover},
    };
    sta_l2_submit(engine->l2, &leftover->operation);
}

static bool all_in_flight(void *arg)
{
    struct engine *engine = arg;
    struct sta_connection_statistics statistics;
    sta_l2_statistics(engine->l2, &statistics);
    return statistics.in_flight == LEFTOVERS / 2;
}

/* Half of them are in flight to a frozen server, half are posted when the loop has ended. */
static void destroying_ends_what_is_in_flight_and_what_is_posted(void **state)
{
    (void)state;
    static struct leftover leftovers[LEFTOVERS];
    struct engine engine;
    engine_start_server(&engine, NULL);
    engine_open(&engine, NULL);
    assert_answers(&engine, "PING\r\n", 1, "+PONG\r\n");
    redis_server_freeze(engine.server);
    for (unsigned i = 0; i < LEFTOVERS / 2; i++)
        leftover_submit(&engine, &leftovers[i]);
    assert_true(wait_until(all_in_flight, &engine, WAIT_MS));
    engine_stop_loop(&engine);
    for (unsigned i = LEFTOVERS / 2; i < LEFTOVERS; i++)
        leftover_submit(&engine, &leftovers[i]);
    sta_l2_destroy(&engine.l2);
    assert_null(engine.l2);
    for (unsigned i = 0; i < LEFTOVERS; i++) {
        assert_int_equal(leftovers[i].done, 1);
        assert_int_equal(leftovers[i].status, STRATA_ERR_CLOSED);
    }
    redis_server_thaw(engine.server);
    engine_fini(&engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_brings_the_replies_of_all_its_commands),
        cmocka_unit_test(a_host_name_a_database_and_a_name_are_understood),
        cmocka_unit_test(protocol_2_is_spoken_where_asked_for),
        cmocka_unit_test(a_wrong_password_is_a_denial_that_is_logged_once),
        cmocka_unit_test(a_missing_password_is_a_denial),
        cmocka_unit_test(an_unknown_user_is_a_denial),
        cmocka_unit_test(a_killed_server_is_an_error_at_once_and_a_restart_is_noticed),
        cmocka_unit_test(a_frozen_server_costs_a_few_calls_their_budget_and_then_none),
        cmocka_unit_test(a_host_that_comes_up_later_is_found),
        cmocka_unit_test(destroying_ends_what_is_in_flight_and_what_is_posted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
