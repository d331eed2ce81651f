/* SPDX-License-Identifier: MIT
 *
 * Answers to two workers of stratad that overtake each other (docs/design/0011). A proxy is late
 * with what one worker is sent, and takes away the pushes that would mend it a moment later, so
 * that what is wrong stays to be seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "integration/push_thief.h"
#include "integration/stratad_rig.h"
#include "support/wait.h"

#define PATIENT_MS 20000u
#define LATE       0u /* the connection of the one worker, as the proxy counts them, */
#define PROMPT     1u /*   and of the other */

struct bench {
    struct push_thief *thief;
    struct stratad_process *stratad;
    redisContext *direct;
    redisContext *late, *prompt; /* clients of those workers */
};

static void begin(redisContext *client, const char *command)
{
    int done = 0;
    assert_int_equal(redisAppendCommand(client, command), REDIS_OK);
    while (!done)
        assert_int_equal(redisBufferWrite(client, &done), REDIS_OK);
}

/* `expected` NULL: nil. */
static void assert_answer(redisContext *client, const char *expected)
{
    void *got = NULL;
    assert_int_equal(redisGetReply(client, &got), REDIS_OK);
    redisReply *reply = got;
    if (expected == NULL)
        assert_int_equal(reply->type, REDIS_REPLY_NIL);
    else
        assert_string_equal(reply->str, expected);
    freeReplyObject(reply);
}

static void assert_get(redisContext *client, const char *expected)
{
    begin(client, "GET k");
    assert_answer(client, expected);
}

struct expectation {
    const struct bench *bench;
    unsigned connection;
    unsigned frames;
};

static bool are_held(void *arg)
{
    const struct expectation *expected = arg;
    return push_thief_held(expected->bench->thief, expected->connection) >= expected->frames;
}

static void await_held(const struct bench *bench, unsigned connection, unsigned frames)
{
    struct expectation expected = {bench, connection, frames};
    assert_true(wait_until(are_held, &expected, PATIENT_MS));
}

static bool is_stolen(void *arg)
{
    const struct bench *bench = arg;
    return push_thief_stolen(bench->thief) > 0;
}

/* Others write, and the late worker is not told. */
static void write_unheard(struct bench *bench, const char *command)
{
    push_thief_steal(bench->thief, true);
    freeReplyObject(redisCommand(bench->direct, command));
    assert_true(wait_until(is_stolen, bench, PATIENT_MS));
}

/* Each worker keeps something, and its first canary has come back: there will be no other. */
static bool are_proven(void *arg)
{
    redisReply *reply = redisCommand(arg, "STRATA STATS");
    const char *canaries = strstr(reply->str, "\"canaries\":");
    bool both = canaries != NULL && atoi(canaries + strlen("\"canaries\":")) == 2;
    freeReplyObject(reply);
    return both;
}

/* Which of two clients is answered though the one connection is held? */
static void tell_apart(struct bench *bench, redisContext *first, redisContext *second)
{
    push_thief_hold(bench->thief, LATE, true);
    begin(first, "GET first:again");
    begin(second, "GET second:again");
    struct pollfd fds[] = {{.fd = first->fd, .events = POLLIN},
                           {.fd = second->fd, .events = POLLIN}};
    assert_int_equal(poll(fds, 2, (int)PATIENT_MS), 1);
    bench->prompt = fds[0].revents != 0 ? first : second;
    bench->late = fds[0].revents != 0 ? second : first;
    assert_answer(bench->prompt, NULL);
    push_thief_hold(bench->thief, LATE, false);
    assert_answer(bench->late, NULL);
}

static void open_bench(struct bench *bench)
{
    static const char *const args[] = {
        "--workers", "2", "--max-staleness", "3600", "--socket-timeout", "60", NULL};
    char url[64];
    *bench = (struct bench){.thief = push_thief_start(redis_server_port(rig_server)),
                            .direct = rig_connect(redis_server_socket(rig_server))};
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d/0", push_thief_port(bench->thief));
    assert_int_equal(stratad_process_start(&bench->stratad, url, args), 0);
    redisContext *first = rig_client(bench->stratad);
    redisContext *second = rig_client(bench->stratad);
    freeReplyObject(redisCommand(bench->direct, "MSET first 1 second 1 k 1"));
    freeReplyObject(redisCommand(first, "GET first"));
    freeReplyObject(redisCommand(second, "GET second"));
    assert_true(wait_until(are_proven, first, PATIENT_MS));
    tell_apart(bench, first, second);
}

static void close_bench(struct bench *bench)
{
    redisFree(bench->late);
    redisFree(bench->prompt);
    redisFree(bench->direct);
    stratad_process_stop(&bench->stratad);
    push_thief_stop(&bench->thief);
}

/* ---- what may not be ---- */

static void an_older_answer_is_not_put_over_one_that_was_handed_out(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench);
    push_thief_hold(bench.thief, LATE, true);
    begin(bench.late, "GET k");
    await_held(&bench, LATE, 2); /* the value, and its PTTL */
    write_unheard(&bench, "SET k 2");
    assert_get(bench.prompt, "2");
    push_thief_hold(bench.thief, LATE, false);
    assert_answer(bench.late, "1");
    assert_get(bench.prompt, "2");
    assert_get(bench.late, "2");
    close_bench(&bench);
}

/* The late worker's answer is in L1 first; `now` is what the other one is answered then. */
static void assert_older_goes(const char *write, const char *now)
{
    struct bench bench;
    open_bench(&bench);
    push_thief_hold(bench.thief, LATE, true);
    push_thief_hold(bench.thief, PROMPT, true);
    begin(bench.late, "GET k");
    await_held(&bench, LATE, 2);
    write_unheard(&bench, write);
    begin(bench.prompt, "GET k");
    await_held(&bench, PROMPT, 2);
    push_thief_hold(bench.thief, LATE, false);
    assert_answer(bench.late, "1");
    push_thief_hold(bench.thief, PROMPT, false);
    assert_answer(bench.prompt, now);
    assert_get(bench.prompt, now);
    close_bench(&bench);
}

static void an_answer_that_is_handed_out_takes_an_older_one_out_of_l1(void **state)
{
    (void)state;
    assert_older_goes("SET k 2", "2");
}

static void so_does_the_answer_that_there_is_no_value(void **state)
{
    (void)state;
    assert_older_goes("DEL k", NULL);
}

/* The push that a SET causes on its own connection does not refuse its value. Whatever was handed
 * out meanwhile does. */
static void a_value_that_was_set_is_not_put_over_one_that_was_handed_out(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench);
    assert_get(bench.late, "1"); /* Redis tracks it on that connection */
    push_thief_hold(bench.thief, LATE, true);
    begin(bench.late, "SET k own");
    await_held(&bench, LATE, 4); /* OK, the push, and what is read back */
    write_unheard(&bench, "SET k 2");
    assert_get(bench.prompt, "2");
    push_thief_hold(bench.thief, LATE, false);
    assert_answer(bench.late, "OK");
    assert_get(bench.prompt, "2");
    close_bench(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_older_answer_is_not_put_over_one_that_was_handed_out),
        cmocka_unit_test(an_answer_that_is_handed_out_takes_an_older_one_out_of_l1),
        cmocka_unit_test(so_does_the_answer_that_there_is_no_value),
        cmocka_unit_test(a_value_that_was_set_is_not_put_over_one_that_was_handed_out),
    };
    return cmocka_run_group_tests(tests, rig_start_server, rig_stop_server);
}
