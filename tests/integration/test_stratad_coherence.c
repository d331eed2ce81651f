/* SPDX-License-Identifier: MIT
 *
 * What others write to Redis, as clients of stratad see it: through each of its workers, which
 * share one L1 and have a tracked connection each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "integration/stratad_rig.h"
#include "support/wait.h"

#define PATIENT_MS 20000u
#define WORKERS    3u

struct bench {
    struct stratad_process *stratad;
    redisContext *direct;
    redisContext *clients[WORKERS]; /* one for each worker: sockets are given out by turns */
};

static struct bench open_bench(const char *const *args)
{
    struct bench bench = {.stratad = rig_start(args),
                          .direct = rig_connect(redis_server_socket(rig_server))};
    for (unsigned i = 0; i < WORKERS; i++)
        bench.clients[i] = rig_client(bench.stratad);
    return bench;
}

/* With the long time nothing but a push, or a lost connection, makes L1 let go while we wait. */
static struct bench open_usual(void)
{
    static const char *const args[] = {"--workers", "3", "--max-staleness", "60", NULL};
    return open_bench(args);
}

static void close_bench(struct bench *bench)
{
    for (unsigned i = 0; i < WORKERS; i++)
        redisFree(bench->clients[i]);
    redisFree(bench->direct);
    stratad_process_stop(&bench->stratad);
}

static void run(redisContext *context, const char *command)
{
    redisReply *reply = redisCommand(context, command);
    assert_non_null(reply);
    if (reply->type == REDIS_REPLY_ERROR)
        fail_msg("%s: %s", command, reply->str);
    freeReplyObject(reply);
}

/* The value of a key as text; "" where there is none, or no answer. */
static const char *get(redisContext *context, const char *key)
{
    static char text[64];
    redisReply *reply = redisCommand(context, "GET %s", key);
    assert_non_null(reply);
    (void)snprintf(text, sizeof text, "%s", reply->type == REDIS_REPLY_STRING ? reply->str : "");
    freeReplyObject(reply);
    return text;
}

static json_t *statistics(redisContext *client)
{
    redisReply *reply = redisCommand(client, "STRATA STATS");
    assert_non_null(reply);
    json_t *root = json_loadb(reply->str, reply->len, 0, NULL);
    assert_non_null(root);
    freeReplyObject(reply);
    return root;
}

static json_int_t statistic(const struct bench *bench, const char *group, const char *name)
{
    json_t *root = statistics(bench->clients[0]);
    json_t *value = json_object_get(json_object_get(root, group), name);
    assert_true(json_is_integer(value));
    json_int_t number = json_integer_value(value);
    json_decref(root);
    return number;
}

static bool mode_is(const struct bench *bench, const char *mode)
{
    json_t *root = statistics(bench->clients[0]);
    json_t *value = json_object_get(json_object_get(root, "coherence"), "mode");
    bool is = json_is_string(value) && strcmp(json_string_value(value), mode) == 0;
    json_decref(root);
    return is;
}

struct expectation {
    redisContext *client;
    const char *key;
    const char *value;
};

static bool is_seen(void *arg)
{
    const struct expectation *expected = arg;
    return strcmp(get(expected->client, expected->key), expected->value) == 0;
}

static void assert_sees(redisContext *client, const char *key, const char *value)
{
    struct expectation expected = {client, key, value};
    assert_true(wait_until(is_seen, &expected, PATIENT_MS));
}

static bool is_hit(void *arg)
{
    const struct bench *bench = arg;
    json_int_t hits = statistic(bench, "l1", "hits");
    (void)get(bench->clients[0], "k");
    return statistic(bench, "l1", "hits") == hits + 1;
}

/* Every worker has read the key, and L1 has it. */
static void warm(struct bench *bench, const char *value)
{
    for (unsigned i = 0; i < WORKERS; i++)
        assert_sees(bench->clients[i], "k", value);
    assert_true(wait_until(is_hit, bench, PATIENT_MS));
}

/* ---- while nothing breaks ---- */

static void what_others_write_is_seen_through_every_worker(void **state)
{
    (void)state;
    struct bench bench = open_usual();
    char value[16];
    for (unsigned round = 0; round < 100; round++) {
        (void)snprintf(value, sizeof value, "%u", round);
        ASSERT_SAYS(bench.direct, "OK", "SET k %s", value);
        for (unsigned i = 0; i < WORKERS; i++)
            assert_sees(bench.clients[(round + i) % WORKERS], "k", value);
    }
    warm(&bench, value);
    assert_true(statistic(&bench, "coherence", "invalidations") > 0);
    assert_true(mode_is(&bench, "tracking"));
    close_bench(&bench);
}

/* The answer that L1 has came to one worker, and the push goes to that one alone. */
static void what_one_worker_has_read_is_renewed_for_the_others(void **state)
{
    (void)state;
    struct bench bench = open_usual();
    ASSERT_SAYS(bench.direct, "OK", "SET k old");
    assert_sees(bench.clients[1], "k", "old");
    assert_true(wait_until(is_hit, &bench, PATIENT_MS));
    ASSERT_SAYS(bench.direct, "OK", "SET k new");
    for (unsigned i = 0; i < WORKERS; i++)
        assert_sees(bench.clients[i], "k", "new");
    close_bench(&bench);
}

static void whatever_others_do_to_a_key_is_seen(void **state)
{
    (void)state;
    static const struct {
        const char *command;
        const char *after; /* "": there is no value */
    } changes[] = {
        {"APPEND k x", "1x"},
        {"INCR k", "2"},
        {"SETRANGE k 1 y", "1y"},
        {"GETSET k g", "g"},
        {"MSET other 1 k m", "m"},
        {"DEL k", ""},
        {"UNLINK k", ""},
        {"PEXPIRE k 1", ""},
        {"RENAME k elsewhere", ""},
        {"COPY source k REPLACE", "copied"},
        {"RENAME source k", "copied"},
        {"EVAL return(redis.call('SET','k','script')) 0", "script"},
        {"FLUSHDB", ""},
        {"FLUSHALL ASYNC", ""},
    };
    struct bench bench = open_usual();
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        run(bench.direct, "SET k 1");
        run(bench.direct, "SET source copied");
        warm(&bench, "1");
        run(bench.direct, changes[i].command);
        for (unsigned j = 0; j < WORKERS; j++)
            assert_sees(bench.clients[j], "k", changes[i].after);
    }
    close_bench(&bench);
}

static void a_transaction_of_others_is_seen(void **state)
{
    (void)state;
    struct bench bench = open_usual();
    run(bench.direct, "SET k 1");
    warm(&bench, "1");
    run(bench.direct, "MULTI");
    run(bench.direct, "SET k 2");
    run(bench.direct, "EXEC");
    for (unsigned i = 0; i < WORKERS; i++)
        assert_sees(bench.clients[i], "k", "2");
    close_bench(&bench);
}

/* Scripts may write keys that they do not name. */
static void what_a_script_of_our_own_writes_unnamed_is_seen(void **state)
{
    (void)state;
    struct bench bench = open_usual();
    run(bench.direct, "SET k 1");
    warm(&bench, "1");
    run(bench.clients[0], "EVAL return(redis.call('SET','k','2')) 0");
    for (unsigned i = 0; i < WORKERS; i++)
        assert_sees(bench.clients[i], "k", "2");
    close_bench(&bench);
}

static void a_key_that_was_not_there_is_seen_when_others_make_it(void **state)
{
    (void)state;
    struct bench bench = open_usual();
    run(bench.direct, "DEL k");
    for (unsigned i = 0; i < WORKERS; i++)
        assert_sees(bench.clients[i], "k", "");
    run(bench.direct, "SET k 1");
    for (unsigned i = 0; i < WORKERS; i++)
        assert_string_equal(get(bench.clients[i], "k"), "1");
    close_bench(&bench);
}

static void assert_next_is_a_hit(struct bench *bench, const char *value)
{
    json_int_t hits = statistic(bench, "l1", "hits");
    assert_string_equal(get(bench->clients[0], "k"), value);
    assert_int_equal(statistic(bench, "l1", "hits"), hits + 1);
}

/* Redis names our own SET to us where it tracks the key: the value stays all the same, and what
 * others write over it is seen. */
static void what_was_set_stays_in_l1_and_is_tracked(void **state)
{
    (void)state;
    struct bench bench = open_usual();
    run(bench.direct, "DEL k");
    for (unsigned round = 0; round < 20; round++) {
        char value[16];
        (void)snprintf(value, sizeof value, "mine %u", round);
        ASSERT_SAYS(bench.clients[0], "OK", "SET k %b", value, strlen(value));
        assert_next_is_a_hit(&bench, value);
    }
    run(bench.direct, "SET k theirs");
    for (unsigned i = 0; i < WORKERS; i++)
        assert_sees(bench.clients[i], "k", "theirs");
    close_bench(&bench);
}

static void a_large_value_that_was_set_is_tracked_once_it_was_read(void **state)
{
    (void)state;
    struct bench bench = open_usual();
    static char large[100000];
    memset(large, 'x', sizeof large);
    json_int_t hits = statistic(&bench, "l1", "hits");
    ASSERT_SAYS(bench.clients[0], "OK", "SET k %b", large, sizeof large);
    (void)get(bench.clients[0], "k");
    assert_int_equal(statistic(&bench, "l1", "hits"), hits);
    (void)get(bench.clients[0], "k");
    assert_int_equal(statistic(&bench, "l1", "hits"), hits + 1);
    run(bench.direct, "SET k theirs");
    for (unsigned i = 0; i < WORKERS; i++)
        assert_sees(bench.clients[i], "k", "theirs");
    close_bench(&bench);
}

static void an_mget_beyond_what_l1_looks_up_leaves_nothing_older_behind(void **state)
{
    (void)state;
    struct bench bench = open_usual();
    enum { KEYS = 2000 };
    const char *argv[1 + KEYS] = {"MGET"};
    for (size_t i = 1; i <= KEYS; i++)
        argv[i] = "k";
    run(bench.direct, "SET k 1");
    warm(&bench, "1");
    json_int_t hits = statistic(&bench, "l1", "hits");
    freeReplyObject(redisCommandArgv(bench.clients[0], 1 + KEYS, argv, NULL));
    (void)get(bench.clients[0], "k");
    assert_int_equal(statistic(&bench, "l1", "hits"), hits);
    close_bench(&bench);
}

static void what_others_write_is_seen_by_broadcast(void **state)
{
    (void)state;
    static const char *const args[] = {"--workers", "3", "--max-staleness", "60", "--tracking",
                                       "bcast",     NULL};
    struct bench bench = open_bench(args);
    char value[16];
    for (unsigned round = 0; round < 30; round++) {
        (void)snprintf(value, sizeof value, "%u", round);
        ASSERT_SAYS(bench.direct, "OK", "SET k %s", value);
        warm(&bench, value);
    }
    ASSERT_SAYS(bench.clients[0], "OK", "SET k own");
    warm(&bench, "own");
    assert_true(mode_is(&bench, "bcast"));
    close_bench(&bench);
}

/* ---- what is promised where Redis refuses, or is not asked ---- */

/* Fixtures of who changes what Redis allows: a server of his own. */
static int start_own_server(void **state)
{
    *state = rig_server;
    return redis_server_start(&rig_server, NULL);
}

static int start_old_server(void **state)
{
    static const char *const without_hello[] = {"--rename-command", "HELLO", "", NULL};
    *state = rig_server;
    return redis_server_start(&rig_server, without_hello);
}

static int stop_own_server(void **state)
{
    redis_server_stop(&rig_server);
    rig_server = *state;
    return 0;
}

static bool mode_is_ttl(void *arg)
{
    return mode_is(arg, "ttl");
}

static void a_redis_that_does_not_track_is_served_by_ttl_and_that_is_told(void **state)
{
    (void)state;
    redisContext *admin = rig_connect(redis_server_socket(rig_server));
    run(admin, "ACL SETUSER default -client|tracking");
    struct bench bench = open_usual();
    assert_true(stratad_process_says(bench.stratad, "redis does not track reads"));
    assert_true(stratad_process_said(bench.stratad, "NOPERM"));
    assert_true(wait_until(mode_is_ttl, &bench, PATIENT_MS));
    run(bench.direct, "SET k old");
    warm(&bench, "old");
    run(bench.direct, "SET k new");
    assert_next_is_a_hit(&bench, "old");
    run(bench.clients[0], "SET k own");
    assert_next_is_a_hit(&bench, "own");
    close_bench(&bench);
    redisFree(admin);
}

static void a_redis_without_resp3_is_served_by_ttl_and_so_are_its_clients(void **state)
{
    (void)state;
    struct bench bench = open_usual();
    assert_true(stratad_process_says(bench.stratad, "redis does not track reads"));
    assert_true(stratad_process_said(bench.stratad, "unknown command"));
    assert_true(wait_until(mode_is_ttl, &bench, PATIENT_MS));
    run(bench.direct, "SET k old");
    warm(&bench, "old");
    run(bench.direct, "SET k new");
    assert_next_is_a_hit(&bench, "old");
    run(bench.clients[0], "SET k own");
    assert_next_is_a_hit(&bench, "own");
    ASSERT_SAYS(bench.clients[0], "NOPROTO", "HELLO 3");
    redisReply *reply = redisCommand(bench.clients[0], "MGET nobody:there k");
    assert_int_equal(reply->elements, 2);
    assert_int_equal(reply->element[0]->type, REDIS_REPLY_NIL);
    assert_string_equal(reply->element[1]->str, "own");
    freeReplyObject(reply);
    close_bench(&bench);
}

#define CANARY_FAILS "a canary cannot be read and written"

static bool has_proofs(void *arg)
{
    return statistic(arg, "coherence", "canaries") > 0;
}

static bool told_again(void *arg)
{
    const struct bench *bench = arg;
    return stratad_process_times_said(bench->stratad, CANARY_FAILS) > 1;
}

/* The first worker reads nothing. */
static void a_user_who_may_not_write_canaries_is_told_by_any_worker(void **state)
{
    (void)state;
    static const char *const args[] = {"--workers", "3", "--max-staleness", "1", NULL};
    struct bench bench = open_bench(args);
    run(bench.direct, "MSET k1 value k2 value");
    run(bench.direct, "ACL SETUSER default -set");
    for (unsigned i = 1; i < WORKERS; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "k%u", i);
        assert_string_equal(get(bench.clients[i], key), "value");
        assert_true(stratad_process_says(bench.stratad, CANARY_FAILS));
    }
    assert_true(stratad_process_said(bench.stratad, "NOPERM"));
    assert_int_equal(stratad_process_times_said(bench.stratad, CANARY_FAILS), 1);
    run(bench.direct, "ACL SETUSER default +set");
    assert_true(wait_until(has_proofs, &bench, PATIENT_MS));
    run(bench.direct, "ACL SETUSER default -set");
    assert_true(wait_until(told_again, &bench, PATIENT_MS));
    close_bench(&bench);
}

static void without_tracking_entries_live_for_their_ttl(void **state)
{
    (void)state;
    static const char *const args[] = {"--workers", "3", "--tracking", "off", NULL};
    struct bench bench = open_bench(args);
    run(bench.direct, "SET k old");
    warm(&bench, "old");
    run(bench.direct, "SET k new");
    assert_next_is_a_hit(&bench, "old");
    assert_true(mode_is(&bench, "ttl"));
    assert_int_equal(statistic(&bench, "coherence", "invalidations"), 0);
    close_bench(&bench);
}

/* ---- while things break ---- */

static bool is_tracked_again(void *arg)
{
    return mode_is(arg, "tracking");
}

static void a_lost_connection_makes_everything_suspect_that_came_on_it(void **state)
{
    (void)state;
    struct bench bench = open_usual();
    for (unsigned round = 0; round < 10; round++) {
        run(bench.direct, "SET k old");
        warm(&bench, "old");
        run(bench.direct, "CLIENT KILL TYPE normal SKIPME yes");
        run(bench.direct, "SET k new");
        for (unsigned i = 0; i < WORKERS; i++)
            assert_sees(bench.clients[i], "k", "new");
    }
    assert_true(wait_until(is_tracked_again, &bench, PATIENT_MS));
    assert_true(statistic(&bench, "coherence", "invalidations_of_all") > 0);
    close_bench(&bench);
}

static bool is_old_no_more(void *arg)
{
    return strcmp(get(arg, "k"), "old") != 0;
}

/* With the short time it is no matter of the commands' time-out. */
static struct bench open_frozen(const char *serve_stale)
{
    const char *const args[] = {
        "--workers", "3", "--max-staleness", "0.5", "--socket-timeout", "0.3", "--serve-stale",
        serve_stale, NULL};
    struct bench bench = open_bench(args);
    run(bench.direct, "SET k old");
    warm(&bench, "old");
    redis_server_freeze(rig_server);
    return bench;
}

static bool is_error(redisContext *client, const char *command)
{
    redisReply *reply = redisCommand(client, command);
    assert_non_null(reply);
    bool error = reply->type == REDIS_REPLY_ERROR;
    freeReplyObject(reply);
    return error;
}

static void a_frozen_redis_is_not_believed_for_longer_than_the_bound(void **state)
{
    (void)state;
    struct bench bench = open_frozen("no");
    assert_true(wait_until(is_old_no_more, bench.clients[0], PATIENT_MS));
    /* Not because a connection was given up, which takes far longer. */
    assert_int_equal(statistic(&bench, "coherence", "invalidations_of_all"), 0);
    for (unsigned i = 1; i < WORKERS; i++)
        assert_true(wait_until(is_old_no_more, bench.clients[i], PATIENT_MS));
    assert_true(is_error(bench.clients[0], "GET k"));
    assert_true(is_error(bench.clients[0], "MGET k k"));
    redis_server_thaw(rig_server);
    for (unsigned i = 0; i < WORKERS; i++)
        assert_sees(bench.clients[i], "k", "old");
    close_bench(&bench);
}

static bool is_stale_answer(void *arg)
{
    (void)get(((struct bench *)arg)->clients[1], "k");
    return statistic(arg, "coherence", "stale_answers") > 0;
}

static void what_is_stale_is_answered_where_that_is_wanted_and_counted(void **state)
{
    (void)state;
    struct bench bench = open_frozen("yes");
    assert_true(wait_until(is_stale_answer, &bench, PATIENT_MS));
    for (unsigned i = 0; i < WORKERS; i++)
        assert_string_equal(get(bench.clients[i], "k"), "old");
    redisReply *reply = redisCommand(bench.clients[2], "MGET k k");
    assert_int_equal(reply->elements, 2);
    assert_string_equal(reply->element[1]->str, "old");
    freeReplyObject(reply);
    assert_true(is_error(bench.clients[2], "GET never:seen"));
    assert_true(is_error(bench.clients[2], "MGET k never:seen"));
    redis_server_thaw(rig_server);
    run(bench.direct, "SET k new");
    for (unsigned i = 0; i < WORKERS; i++)
        assert_sees(bench.clients[i], "k", "new");
    close_bench(&bench);
}

/* A Redis that lives is believed, however quiet it is. */
static bool is_proven_some_more(void *arg)
{
    return statistic(arg, "coherence", "canaries") >= 20;
}

static bool is_unproven(void *arg)
{
    redisReply *reply = redisCommand(arg, "GET k");
    assert_non_null(reply);
    bool unproven = reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "UNPROVEN ", 9) == 0;
    freeReplyObject(reply);
    return unproven;
}

static void what_is_not_proven_is_an_error_where_that_is_wanted(void **state)
{
    (void)state;
    struct bench bench = open_frozen("error");
    for (unsigned i = 0; i < WORKERS; i++)
        assert_true(wait_until(is_unproven, bench.clients[i], PATIENT_MS));
    ASSERT_SAYS(bench.clients[2], "UNPROVEN ", "MGET never:seen k");
    redisReply *reply = redisCommand(bench.clients[2], "GET never:seen");
    assert_int_equal(reply->type, REDIS_REPLY_ERROR);
    assert_null(strstr(reply->str, "UNPROVEN"));
    freeReplyObject(reply);
    redis_server_thaw(rig_server);
    run(bench.direct, "SET k new");
    for (unsigned i = 0; i < WORKERS; i++)
        assert_sees(bench.clients[i], "k", "new");
    close_bench(&bench);
}

static void a_live_redis_is_believed_for_as_long_as_it_lives(void **state)
{
    (void)state;
    static const char *const args[] = {"--workers", "3", "--max-staleness", "1", NULL};
    struct bench bench = open_bench(args);
    run(bench.direct, "SET k old");
    warm(&bench, "old");
    assert_true(wait_until(is_proven_some_more, &bench, PATIENT_MS));
    assert_next_is_a_hit(&bench, "old");
    assert_int_equal(statistic(&bench, "coherence", "canaries_lost"), 0);
    close_bench(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_others_write_is_seen_through_every_worker),
        cmocka_unit_test(what_one_worker_has_read_is_renewed_for_the_others),
        cmocka_unit_test(whatever_others_do_to_a_key_is_seen),
        cmocka_unit_test(a_transaction_of_others_is_seen),
        cmocka_unit_test(what_a_script_of_our_own_writes_unnamed_is_seen),
        cmocka_unit_test(a_key_that_was_not_there_is_seen_when_others_make_it),
        cmocka_unit_test(what_was_set_stays_in_l1_and_is_tracked),
        cmocka_unit_test(a_large_value_that_was_set_is_tracked_once_it_was_read),
        cmocka_unit_test(an_mget_beyond_what_l1_looks_up_leaves_nothing_older_behind),
        cmocka_unit_test(what_others_write_is_seen_by_broadcast),
        cmocka_unit_test_setup_teardown(
            a_redis_that_does_not_track_is_served_by_ttl_and_that_is_told, start_own_server,
            stop_own_server),
        cmocka_unit_test_setup_teardown(
            a_redis_without_resp3_is_served_by_ttl_and_so_are_its_clients, start_old_server,
            stop_own_server),
        cmocka_unit_test_setup_teardown(a_user_who_may_not_write_canaries_is_told_by_any_worker,
                                        start_own_server, stop_own_server),
        cmocka_unit_test(without_tracking_entries_live_for_their_ttl),
        cmocka_unit_test(a_lost_connection_makes_everything_suspect_that_came_on_it),
        cmocka_unit_test(a_frozen_redis_is_not_believed_for_longer_than_the_bound),
        cmocka_unit_test(what_is_stale_is_answered_where_that_is_wanted_and_counted),
        cmocka_unit_test(what_is_not_proven_is_an_error_where_that_is_wanted),
        cmocka_unit_test(a_live_redis_is_believed_for_as_long_as_it_lives),
    };
    return cmocka_run_group_tests(tests, rig_start_server, rig_stop_server);
}
