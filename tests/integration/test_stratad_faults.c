/* SPDX-License-Identifier: MIT
 *
 * stratad while its Redis dies, freezes, restarts, or is not there at all: it stays up, answers
 * within the budget with an error that says what happened, never gives one client's reply to
 * another, and L1 is right again afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <hiredis/hiredis.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/random.h"
#include "support/redis_server.h"
#include "support/stall.h"
#include "support/stratad_process.h"
#include "support/wait.h"

#define BUDGET_MS 500
#define SLACK_MS  5000 /* sanitizers and a busy machine */

struct bench {
    struct redis_server *server;
    struct stratad_process *stratad;
};

static int start(void **state)
{
    /* A stall of the machine beside a frozen Redis must not be what makes L1 silent. */
    static const char *const args[] = {"--socket-timeout", "0.5", "--workers", "2",
                                       "--max-staleness",  "60",  NULL};
    struct bench *bench = calloc(1, sizeof *bench);
    *state = bench;
    (void)signal(SIGPIPE, SIG_IGN); /* hiredis writes to whoever has closed */
    if (redis_server_start(&bench->server, NULL) != 0)
        return -1;
    return stratad_process_start(&bench->stratad, redis_server_url(bench->server), args);
}

static int stop(void **state)
{
    struct bench *bench = *state;
    stratad_process_stop(&bench->stratad);
    redis_server_stop(&bench->server);
    free(bench);
    return 0;
}

/* Whatever a failed test has left frozen. */
static int thaw(void **state)
{
    const struct bench *bench = *state;
    redis_server_thaw(bench->server);
    return 0;
}

static redisContext *connect_to(const char *path)
{
    const struct timeval patience = {.tv_sec = 30};
    redisContext *context = redisConnectUnix(path);
    assert_non_null(context);
    assert_int_equal(context->err, 0);
    assert_int_equal(redisSetTimeout(context, patience), REDIS_OK);
    return context;
}

static redisContext *through(const struct bench *bench)
{
    return connect_to(stratad_process_socket(bench->stratad));
}

static redisContext *direct(const struct bench *bench)
{
    return connect_to(redis_server_socket(bench->server));
}

static bool begins(const redisReply *reply, const char *text)
{
    return reply != NULL && reply->str != NULL && strncmp(reply->str, text, strlen(text)) == 0;
}

static void assert_begins(redisReply *reply, const char *text)
{
    if (!begins(reply, text))
        fail_msg("\"%s\", not \"%s\"", reply != NULL ? reply->str : "closed", text);
    freeReplyObject(reply);
}

#define ASSERT_BEGINS(context, text, ...) assert_begins(redisCommand(context, __VA_ARGS__), text)

static bool answers_ok(void *arg)
{
    redisReply *reply = redisCommand(arg, "SET back yes");
    bool ok = begins(reply, "OK");
    freeReplyObject(reply);
    return ok;
}

static void wait_until_back(redisContext *context)
{
    assert_true(wait_until(answers_ok, context, 20000));
}

/* ---- not there ---- */

static void without_redis_it_listens_and_says_so(void **state)
{
    (void)state;
    struct redis_server *server = NULL;
    struct stratad_process *stratad = NULL;
    assert_int_equal(redis_server_start(&server, NULL), 0);
    redis_server_kill9(server);
    assert_int_equal(stratad_process_start(&stratad, redis_server_url(server), NULL), 0);
    assert_true(stratad_process_says(stratad, "cannot be reached"));
    assert_false(stratad_process_said(stratad, "is ready"));
    redisContext *context = connect_to(stratad_process_socket(stratad));
    ASSERT_BEGINS(context, "PONG", "PING");
    ASSERT_BEGINS(context, "UNAVAILABLE strata: ", "GET k");
    ASSERT_BEGINS(context, "UNAVAILABLE strata: ", "SET k v");
    ASSERT_BEGINS(context, "UNAVAILABLE strata: ", "FLUSHALL");
    assert_int_equal(redis_server_restart(server), 0);
    assert_true(stratad_process_says(stratad, "is ready"));
    wait_until_back(context);
    ASSERT_BEGINS(context, "yes", "GET back");
    redisFree(context);
    stratad_process_stop(&stratad);
    redis_server_stop(&server);
}

/* ---- frozen ---- */

static void a_frozen_redis_costs_the_budget_and_no_more(void **state)
{
    struct bench *bench = *state;
    redisContext *context = through(bench);
    wait_until_back(context);
    ASSERT_BEGINS(context, "OK", "SET warm 1");
    ASSERT_BEGINS(context, "1", "GET warm");
    redis_server_freeze(bench->server);
    struct stall_mark begun = stall_mark();
    ASSERT_BEGINS(context, "1", "GET warm"); /* L1 does not care */
    ASSERT_BEGINS(context, "TIMEOUT strata: ", "GET cold");
    stall_assert_took_ms(begun, BUDGET_MS - 10, BUDGET_MS + SLACK_MS);
    ASSERT_BEGINS(context, "1", "GET warm");
    redis_server_thaw(bench->server);
    wait_until_back(context);
    redisFree(context);
}

static void send_now(redisContext *context)
{
    int done = 0;
    while (!done)
        assert_int_equal(redisBufferWrite(context, &done), REDIS_OK);
}

static void forget_reply(redisContext *context)
{
    void *reply = NULL;
    assert_int_equal(redisGetReply(context, &reply), REDIS_OK);
    freeReplyObject(reply);
}

/* Clients go to the workers in turn. A thawed Redis serves connections in the order in which they
 * got something to say, and each to its end: the other client makes the reader's worker come first,
 * so that the read is carried out before the write, which by then nobody waits for. */
static void a_write_whose_time_ran_out_is_not_outlived_by_what_was_read_before_it(void **state)
{
    struct bench *bench = *state;
    redisContext *writer = through(bench), *reader = through(bench), *between = through(bench),
                 *other = through(bench), *truth = direct(bench);
    wait_until_back(writer);
    wait_until_back(reader);
    for (unsigned round = 0; round < 6; round++) {
        char after[16];
        (void)snprintf(after, sizeof after, "after%u", round);
        ASSERT_BEGINS(writer, "OK", "SET frozen before");
        ASSERT_BEGINS(reader, "before", "GET frozen");
        redis_server_freeze(bench->server);
        ASSERT_BEGINS(other, "TIMEOUT", "GET first");
        ASSERT_BEGINS(writer, "TIMEOUT", "SET frozen %s", after);
        (void)redisAppendCommand(reader, "PING"); /* answered when the next one has been sent on */
        (void)redisAppendCommand(reader, "GET frozen");
        send_now(reader);
        forget_reply(reader);
        redis_server_thaw(bench->server);
        forget_reply(reader); /* the old value, which was right when the read was carried out */
        ASSERT_BEGINS(truth, after, "GET frozen");
        ASSERT_BEGINS(reader, after, "GET frozen");
        ASSERT_BEGINS(writer, after, "GET frozen");
    }
    redisContext *all[] = {writer, reader, between, other, truth};
    for (size_t i = 0; i < 5; i++)
        redisFree(all[i]);
}

static void while_a_flush_is_under_way_l1_answers_nothing(void **state)
{
    struct bench *bench = *state;
    redisContext *flusher = through(bench), *reader = through(bench);
    wait_until_back(flusher);
    ASSERT_BEGINS(flusher, "OK", "SET flushed v");
    ASSERT_BEGINS(reader, "v", "GET flushed");
    freeReplyObject(redisCommand(flusher, "DBSIZE")); /* opens the lane that FLUSHALL takes */
    redis_server_freeze(bench->server);
    (void)redisAppendCommand(flusher, "PING"); /* answered when the next one has been sent on */
    (void)redisAppendCommand(flusher, "FLUSHALL");
    send_now(flusher);
    forget_reply(flusher);
    ASSERT_BEGINS(reader, "TIMEOUT", "GET flushed");
    redis_server_thaw(bench->server);
    forget_reply(flusher);
    wait_until_back(reader);
    redisReply *reply = redisCommand(reader, "GET flushed");
    assert_int_equal(reply->type, REDIS_REPLY_NIL);
    freeReplyObject(reply);
    redisFree(flusher);
    redisFree(reader);
}

/* Asks while the outcome of a write to another key is unknown. Whether there was an answer: on a
 * slow machine the time may be over before. */
static bool is_answered_in_doubt(const struct bench *bench, redisContext *writer,
                                 redisContext *reader)
{
    void *reply = NULL;
    wait_until_back(writer);
    wait_until_back(reader);
    redis_server_freeze(bench->server);
    ASSERT_BEGINS(writer, "TIMEOUT", "SET doubt 0");
    (void)redisAppendCommand(reader, "PING"); /* answered when the next one has been sent on */
    (void)redisAppendCommand(reader, "GET asked");
    send_now(reader);
    forget_reply(reader);
    redis_server_thaw(bench->server);
    assert_int_equal(redisGetReply(reader, &reply), REDIS_OK);
    bool answered = begins(reply, "v");
    freeReplyObject(reply);
    return answered;
}

/* Redis hangs once more, so that what is answered then was kept. */
static void what_was_asked_in_a_doubt_is_not_kept(void **state)
{
    struct bench *bench = *state;
    redisContext *writer = through(bench), *reader = through(bench), *truth = direct(bench);
    unsigned attempts = 0;
    ASSERT_BEGINS(truth, "OK", "SET asked v");
    while (!is_answered_in_doubt(bench, writer, reader))
        assert_true(++attempts < 20);
    redis_server_freeze(bench->server);
    redisReply *reply = redisCommand(reader, "GET asked");
    assert_int_equal(reply->type, REDIS_REPLY_ERROR);
    freeReplyObject(reply);
    redis_server_thaw(bench->server);
    wait_until_back(reader);
    ASSERT_BEGINS(reader, "v", "GET asked");
    redisFree(writer);
    redisFree(reader);
    redisFree(truth);
}

static bool is_kept_again(void *arg)
{
    redisContext *const *contexts = arg;
    freeReplyObject(redisCommand(contexts[1], "SET kept one"));
    freeReplyObject(redisCommand(contexts[0], "DEL kept"));
    freeReplyObject(redisCommand(contexts[1], "SET kept one"));
    freeReplyObject(redisCommand(contexts[0], "GET kept"));
    freeReplyObject(redisCommand(contexts[1], "SET kept two"));
    redisReply *reply = redisCommand(contexts[0], "GET kept");
    bool kept = begins(reply, "one");
    freeReplyObject(reply);
    return kept;
}

static void after_a_doubt_l1_takes_in_values_again(void **state)
{
    struct bench *bench = *state;
    redisContext *contexts[2] = {through(bench), direct(bench)};
    wait_until_back(contexts[0]);
    redis_server_freeze(bench->server);
    ASSERT_BEGINS(contexts[0], "TIMEOUT", "SET doubt 1");
    redis_server_thaw(bench->server);
    assert_true(wait_until(is_kept_again, contexts, 10000));
    redis_server_kill9(bench->server);
    freeReplyObject(redisCommand(contexts[0], "SET doubt 2"));
    assert_int_equal(redis_server_restart(bench->server), 0);
    wait_until_back(contexts[0]);
    redisFree(contexts[1]);
    contexts[1] = direct(bench);
    assert_true(wait_until(is_kept_again, contexts, 10000));
    redisFree(contexts[0]);
    redisFree(contexts[1]);
}

/* ---- under load ---- */

#define CLIENTS 8
#define KEYS    50
#define DEPTH   16

struct client {
    struct bench *bench;
    pthread_t thread;
    unsigned number;
    uint64_t random;
    atomic_bool *over;
    uint64_t answered; /* with values */
    uint64_t errors;
    uint64_t slowest_ms;
    char wrong[256]; /* the first wrong reply */
};

static bool is_known_error(const redisReply *reply)
{
    static const char *const prefixes[] = {"UNAVAILABLE", "LOST", "TIMEOUT", "BUSY strata"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (begins(reply, prefixes[i]))
            return true;
    return false;
}

/* Every value says whose key it is: "client:key:number". Keys belong to one client, so what comes
 * back for another key, or as a reply to another command, shows. */
static void check(struct client *client, bool is_get, unsigned key, const redisReply *reply)
{
    char expected[32];
    (void)snprintf(expected, sizeof expected, "%u:%u:", client->number, key);
    bool fine;
    if (is_get)
        fine = reply->type == REDIS_REPLY_NIL ||
               (reply->type == REDIS_REPLY_STRING && begins(reply, expected));
    else
        fine = reply->type == REDIS_REPLY_STATUS && begins(reply, "OK");
    if (fine) {
        client->answered++;
    } else if (reply->type == REDIS_REPLY_ERROR && is_known_error(reply)) {
        client->errors++;
    } else if (client->wrong[0] == '\0') {
        (void)snprintf(client->wrong, sizeof client->wrong, "%s of %s: type %d, %s",
                       is_get ? "GET" : "SET", expected, reply->type, reply->str);
    }
}

static void run_pipeline(struct client *client, redisContext *context)
{
    bool is_get[DEPTH];
    unsigned keys[DEPTH];
    for (unsigned i = 0; i < DEPTH; i++) {
        is_get[i] = sta_random_below(&client->random, 3) != 0;
        keys[i] = (unsigned)sta_random_below(&client->random, KEYS);
        if (is_get[i])
            (void)redisAppendCommand(context, "GET %u:%u", client->number, keys[i]);
        else
            (void)redisAppendCommand(context, "SET %u:%u %u:%u:%llu", client->number, keys[i],
                                     client->number, keys[i],
                                     (unsigned long long)sta_random_next(&client->random));
    }
    struct stall_mark begun = stall_mark();
    for (unsigned i = 0; i < DEPTH; i++) {
        void *reply = NULL;
        if (redisGetReply(context, &reply) != REDIS_OK) {
            (void)snprintf(client->wrong, sizeof client->wrong, "closed: %s", context->errstr);
            return;
        }
        check(client, is_get[i], keys[i], reply);
        freeReplyObject(reply);
    }
    uint64_t took = stall_took_ns(begun) / STA_NS_MS;
    client->slowest_ms = took > client->slowest_ms ? took : client->slowest_ms;
}

static void *load(void *arg)
{
    struct client *client = arg;
    redisContext *context = through(client->bench);
    while ((!atomic_load(client->over) || client->answered == 0) && client->wrong[0] == '\0')
        run_pipeline(client, context);
    redisFree(context);
    return NULL;
}

static void faults(struct bench *bench, redisContext *probe)
{
    for (unsigned i = 0; i < 3; i++) {
        redis_server_kill9(bench->server);
        ASSERT_BEGINS(probe, "PONG", "PING");
        assert_int_equal(redis_server_restart(bench->server), 0);
        wait_until_back(probe);
        redis_server_freeze(bench->server);
        redisReply *reply = redisCommand(probe, "GET cold:%u", i);
        assert_true(reply != NULL && is_known_error(reply));
        freeReplyObject(reply);
        redis_server_thaw(bench->server);
        wait_until_back(probe);
    }
    redis_server_freeze(bench->server);
    freeReplyObject(redisCommand(probe, "SET frozen:k v"));
    redis_server_kill9(bench->server);
    assert_int_equal(redis_server_restart(bench->server), 0);
    wait_until_back(probe);
}

static void under_load_faults_cost_errors_and_never_a_wrong_reply(void **state)
{
    struct bench *bench = *state;
    struct client clients[CLIENTS];
    atomic_bool over = false;
    redisContext *probe = through(bench);
    wait_until_back(probe);
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.bench = bench, .number = i, .random = i, .over = &over};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, load, &clients[i]), 0);
    }
    faults(bench, probe);
    atomic_store(&over, true);
    for (unsigned i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_join(clients[i].thread, NULL), 0);
    for (unsigned i = 0; i < CLIENTS; i++) {
        assert_string_equal(clients[i].wrong, "");
        assert_true(clients[i].answered > 0);
        assert_true(clients[i].errors > 0);
        assert_true(clients[i].slowest_ms < BUDGET_MS + SLACK_MS);
    }
    redisFree(probe);
}

/* ---- what clients had under way ---- */

static void clients_that_leave_while_redis_is_frozen_harm_nobody(void **state)
{
    struct bench *bench = *state;
    redisContext *stays = through(bench);
    wait_until_back(stays);
    redis_server_freeze(bench->server);
    for (unsigned i = 0; i < 50; i++) {
        redisContext *leaves = through(bench);
        (void)redisAppendCommand(leaves, "SET left:%u x", i);
        (void)redisAppendCommand(leaves, "GET left:none:%u", i);
        (void)redisAppendCommand(leaves, "HGETALL left");
        send_now(leaves);
        redisFree(leaves);
    }
    ASSERT_BEGINS(stays, "TIMEOUT", "GET whatever");
    redis_server_thaw(bench->server);
    wait_until_back(stays);
    ASSERT_BEGINS(stays, "OK", "SET stays yes");
    ASSERT_BEGINS(stays, "yes", "GET stays");
    redisFree(stays);
}

/* ---- too much at once ---- */

#define WAITING_MOST 65536 /* requests that one connection holds */

static bool has_taken_all(void *arg)
{
    redisReply *reply = redisCommand(arg, "STRATA STATS");
    const char *total = strstr(reply->str, "\"commands\":{\"total\":");
    bool taken =
        total != NULL && atoi(total + strlen("\"commands\":{\"total\":")) >= WAITING_MOST + 2000;
    freeReplyObject(reply);
    return taken;
}

static void append_reads(redisContext *context, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        (void)redisAppendCommand(context, "GETRANGE busy:%u 0 1", i);
}

/* Whether the next reply is Redis' answer; else it is that there was no room. */
static bool next_is_answered(redisContext *context)
{
    void *reply = NULL;
    assert_int_equal(redisGetReply(context, &reply), REDIS_OK);
    bool answered = ((redisReply *)reply)->type == REDIS_REPLY_STRING;
    if (!answered && !begins(reply, "BUSY strata: "))
        fail_msg("%s", ((redisReply *)reply)->str);
    freeReplyObject(reply);
    return answered;
}

static void what_is_too_much_for_the_lane_is_busy_and_in_its_place(void **state)
{
    struct bench *bench = *state;
    static const char *const args[] = {
        "--workers", "1", "--pipeline-limit", "65536", "--socket-timeout", "60", "--tracking",
        "off",       NULL};
    struct stratad_process *stratad = NULL;
    unsigned answered = 0;
    assert_int_equal(stratad_process_start(&stratad, redis_server_url(bench->server), args), 0);
    redisContext *most = connect_to(stratad_process_socket(stratad));
    redisContext *rest = connect_to(stratad_process_socket(stratad));
    redisContext *probe = connect_to(stratad_process_socket(stratad));
    append_reads(most, WAITING_MOST - 1000);
    append_reads(rest, 3000);
    wait_until_back(probe);
    redis_server_freeze(bench->server); /* not for long, or it is taken for dead */
    send_now(most);
    send_now(rest);
    assert_true(wait_until(has_taken_all, probe, 20000));
    redis_server_thaw(bench->server);
    for (unsigned i = 0; i < WAITING_MOST - 1000; i++)
        assert_true(next_is_answered(most));
    while (answered < 3000 && next_is_answered(rest))
        answered++;
    assert_in_range(answered, 999, 1000); /* the lane's own PING may have been first */
    for (unsigned i = answered + 1; i < 3000; i++)
        assert_false(next_is_answered(rest));
    redisFree(most);
    redisFree(rest);
    redisFree(probe);
    stratad_process_stop(&stratad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(without_redis_it_listens_and_says_so, thaw),
        cmocka_unit_test_teardown(a_frozen_redis_costs_the_budget_and_no_more, thaw),
        cmocka_unit_test_teardown(
            a_write_whose_time_ran_out_is_not_outlived_by_what_was_read_before_it, thaw),
        cmocka_unit_test_teardown(while_a_flush_is_under_way_l1_answers_nothing, thaw),
        cmocka_unit_test_teardown(what_was_asked_in_a_doubt_is_not_kept, thaw),
        cmocka_unit_test_teardown(after_a_doubt_l1_takes_in_values_again, thaw),
        cmocka_unit_test_teardown(under_load_faults_cost_errors_and_never_a_wrong_reply, thaw),
        cmocka_unit_test_teardown(clients_that_leave_while_redis_is_frozen_harm_nobody, thaw),
        cmocka_unit_test_teardown(what_is_too_much_for_the_lane_is_busy_and_in_its_place, thaw),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
