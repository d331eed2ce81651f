/* SPDX-License-Identifier: MIT
 *
 * What stratad keeps in L1, for how long, and what makes it let go. Whether a value came from L1
 * is seen by changing it in Redis directly, which stratad, told not to listen (--tracking off),
 * does not hear of: L1 then still has the old one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <hiredis/hiredis.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "support/redis_server.h"
#include "support/stratad_process.h"
#include "support/wait.h"

struct bench {
    struct redis_server *server;
    struct stratad_process *stratad;
    redisContext *direct;  /* to Redis */
    redisContext *through; /* to stratad */
};

static redisContext *connect_to(const char *path)
{
    const struct timeval patience = {.tv_sec = 20};
    redisContext *context = redisConnectUnix(path);
    assert_non_null(context);
    assert_int_equal(context->err, 0);
    assert_int_equal(redisSetTimeout(context, patience), REDIS_OK);
    return context;
}

static int start_with(void **state, const char *const *args)
{
    struct bench *bench = calloc(1, sizeof *bench);
    *state = bench;
    (void)signal(SIGPIPE, SIG_IGN); /* hiredis writes to whoever has closed */
    if (redis_server_start(&bench->server, NULL) != 0 ||
        stratad_process_start(&bench->stratad, redis_server_url(bench->server), args) != 0)
        return -1;
    bench->direct = connect_to(redis_server_socket(bench->server));
    bench->through = connect_to(stratad_process_socket(bench->stratad));
    return 0;
}

static int start(void **state)
{
    static const char *const args[] = {"--tracking", "off", NULL};
    return start_with(state, args);
}

static int start_listening(void **state)
{
    static const char *const args[] = {"--workers", "2", NULL};
    return start_with(state, args);
}

static int start_with_short_ttl(void **state)
{
    static const char *const args[] = {"--tracking", "off", "--l1-ttl", "2", NULL};
    return start_with(state, args);
}

static int start_without_l1(void **state)
{
    static const char *const args[] = {"--l1-enabled", "no", NULL};
    return start_with(state, args);
}

static int start_with_small_l1(void **state)
{
    static const char *const args[] = {"--l1-max-bytes", "9MiB", NULL};
    return start_with(state, args);
}

static int start_with_small_output(void **state)
{
    static const char *const args[] = {"--workers", "1", "--output-limit", "1MiB", NULL};
    return start_with(state, args);
}

static int stop(void **state)
{
    struct bench *bench = *state;
    redisFree(bench->through);
    redisFree(bench->direct);
    stratad_process_stop(&bench->stratad);
    redis_server_stop(&bench->server);
    free(bench);
    return 0;
}

/* ---- asking ---- */

static redisReply *ask(redisContext *context, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = redisvCommand(context, format, args);
    va_end(args);
    assert_non_null(reply);
    return reply;
}

#define RUN(context, ...) freeReplyObject(ask(context, __VA_ARGS__))

/* `expected` NULL: nil. */
static void assert_reply(redisReply *reply, const char *expected)
{
    if (expected == NULL) {
        assert_int_equal(reply->type, REDIS_REPLY_NIL);
    } else {
        assert_non_null(reply->str);
        assert_string_equal(reply->str, expected);
    }
    freeReplyObject(reply);
}

#define ASSERT_GET(context, key, expected) assert_reply(ask(context, "GET %s", key), expected)

/* Puts `old` into L1 and `new` into Redis. */
static void make_stale(struct bench *bench, const char *key)
{
    RUN(bench->through, "DEL %s", key);
    RUN(bench->direct, "SET %s old", key);
    ASSERT_GET(bench->through, key, "old");
    RUN(bench->direct, "SET %s new", key);
    ASSERT_GET(bench->through, key, "old");
}

static json_int_t statistic(struct bench *bench, const char *group, const char *name)
{
    redisReply *reply = ask(bench->through, "STRATA STATS");
    assert_int_equal(reply->type, REDIS_REPLY_STRING);
    json_t *root = json_loadb(reply->str, reply->len, 0, NULL);
    assert_non_null(root);
    json_t *value = json_object_get(json_object_get(root, group), name);
    assert_true(json_is_integer(value));
    json_int_t number = json_integer_value(value);
    json_decref(root);
    freeReplyObject(reply);
    return number;
}

/* ---- reading ---- */

static void a_value_that_was_read_is_answered_from_l1(void **state)
{
    struct bench *bench = *state;
    make_stale(bench, "read");
    json_int_t hits = statistic(bench, "l1", "hits");
    ASSERT_GET(bench->through, "read", "old");
    assert_int_equal(statistic(bench, "l1", "hits"), hits + 1);
}

static void a_value_that_was_set_is_answered_from_l1(void **state)
{
    struct bench *bench = *state;
    static const char *const known[] = {"SET set:a mine", "SET set:b mine EX 1000",
                                        "SET set:c mine NX PX 100000"};
    for (size_t i = 0; i < 3; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "set:%c", (char)('a' + i));
        RUN(bench->through, known[i]);
        RUN(bench->direct, "SET %s theirs", key);
        ASSERT_GET(bench->through, key, "mine");
    }
}

static void what_is_not_certain_after_a_set_is_asked_for(void **state)
{
    struct bench *bench = *state;
    static const char *const unknown[] = {"SET k mine KEEPTTL", "SET k mine GET",
                                          "SET k mine EXAT 33177117420", "SET k mine NX",
                                          "SET k mine EX nonsense"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        RUN(bench->direct, "SET k before");
        RUN(bench->through, unknown[i]);
        RUN(bench->direct, "SET k theirs");
        ASSERT_GET(bench->through, "k", "theirs");
        RUN(bench->through, "DEL k");
    }
}

static void a_missing_key_is_asked_for_every_time(void **state)
{
    struct bench *bench = *state;
    ASSERT_GET(bench->through, "missing", NULL);
    RUN(bench->direct, "SET missing here");
    ASSERT_GET(bench->through, "missing", "here");
}

static void errors_are_not_kept(void **state)
{
    struct bench *bench = *state;
    RUN(bench->direct, "HSET wrong f v");
    redisReply *reply = ask(bench->through, "GET wrong");
    assert_int_equal(reply->type, REDIS_REPLY_ERROR);
    assert_memory_equal(reply->str, "WRONGTYPE", 9);
    freeReplyObject(reply);
    RUN(bench->direct, "DEL wrong");
    RUN(bench->direct, "SET wrong right");
    ASSERT_GET(bench->through, "wrong", "right");
}

static void mget_puts_both_tiers_together_in_order(void **state)
{
    struct bench *bench = *state;
    RUN(bench->direct, "MSET m:a 1 m:b 2 m:c 3 m:d 4");
    RUN(bench->direct, "HSET m:h f v");
    ASSERT_GET(bench->through, "m:b", "2");
    ASSERT_GET(bench->through, "m:d", "4");
    RUN(bench->direct, "MSET m:b two m:d four");
    static const char *const expected[] = {"1", "2", NULL, "3", NULL, "4", "2", "1"};
    for (unsigned round = 0; round < 2; round++) {
        redisReply *reply = ask(bench->through, "MGET m:a m:b m:none m:c m:h m:d m:b m:a");
        assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
        assert_int_equal(reply->elements, 8);
        for (size_t i = 0; i < 8; i++) {
            if (expected[i] == NULL)
                assert_int_equal(reply->element[i]->type, REDIS_REPLY_NIL);
            else
                assert_string_equal(reply->element[i]->str, expected[i]);
        }
        freeReplyObject(reply);
        RUN(bench->direct, "MSET m:a one m:c three"); /* the first round filled L1 */
    }
}

static void an_mget_of_more_keys_than_l1_looks_up_is_passed_on(void **state)
{
    struct bench *bench = *state;
    enum { KEYS = 3000 };
    const char **argv = calloc(KEYS + 1, sizeof *argv);
    assert_non_null(argv);
    argv[0] = "MGET";
    for (size_t i = 1; i <= KEYS; i++)
        argv[i] = i % 2 == 0 ? "even" : "odd";
    RUN(bench->direct, "MSET even 2 odd 1");
    redisReply *reply = redisCommandArgv(bench->through, KEYS + 1, argv, NULL);
    assert_non_null(reply);
    assert_int_equal(reply->elements, KEYS);
    assert_string_equal(reply->element[0]->str, "1");
    assert_string_equal(reply->element[KEYS - 1]->str, "2");
    freeReplyObject(reply);
    free(argv);
}

/* ---- letting go ---- */

/* All arguments of the command are the key: whatever Redis makes of it, the key may have been
 * changed. */
static void run_with_key_everywhere(struct bench *bench, const char *name, long long arity)
{
    const char *argv[16];
    int argc = (int)(arity < 0 ? -arity + 1 : arity);
    assert_true(argc <= 16);
    argv[0] = name;
    for (int i = 1; i < argc; i++)
        argv[i] = "probe";
    redisReply *reply = redisCommandArgv(bench->through, argc, argv, NULL);
    assert_non_null(reply);
    freeReplyObject(reply);
}

static bool has_flag(const redisReply *command, const char *flag)
{
    const redisReply *flags = command->element[2];
    for (size_t i = 0; i < flags->elements; i++)
        if (strcmp(flags->element[i]->str, flag) == 0)
            return true;
    return false;
}

static void every_write_command_of_the_server_drops_its_keys(void **state)
{
    struct bench *bench = *state;
    redisReply *commands = ask(bench->direct, "COMMAND");
    unsigned tried = 0;
    for (size_t i = 0; i < commands->elements; i++) {
        const redisReply *command = commands->element[i];
        const char *name = command->element[0]->str;
        if (!has_flag(command, "write") || has_flag(command, "blocking"))
            continue;
        make_stale(bench, "probe");
        run_with_key_everywhere(bench, name, command->element[1]->integer);
        redisReply *truth = ask(bench->direct, "GET probe");
        redisReply *answer = ask(bench->through, "GET probe");
        if (answer->type != truth->type ||
            (truth->str != NULL && strcmp(answer->str, truth->str) != 0))
            fail_msg("%s has left %s in L1; Redis has %s", name, answer->str, truth->str);
        freeReplyObject(truth);
        freeReplyObject(answer);
        tried++;
    }
    assert_true(tried > 80);
    freeReplyObject(commands);
}

static void scripts_drop_the_keys_they_name(void **state)
{
    struct bench *bench = *state;
    make_stale(bench, "script");
    RUN(bench->through, "EVAL %s 1 script", "return 1");
    ASSERT_GET(bench->through, "script", "new");
    make_stale(bench, "script");
    RUN(bench->through, "EVALSHA 1234 1 script");
    ASSERT_GET(bench->through, "script", "new");
    make_stale(bench, "script");
    RUN(bench->through, "FCALL nothing 1 script");
    ASSERT_GET(bench->through, "script", "new");
}

static void an_unknown_command_drops_all_its_arguments(void **state)
{
    struct bench *bench = *state;
    make_stale(bench, "unknown");
    RUN(bench->through, "MODULE.WRITE something unknown");
    ASSERT_GET(bench->through, "unknown", "new");
}

static void reads_drop_nothing(void **state)
{
    struct bench *bench = *state;
    static const char *const reads[] = {"STRLEN calm",
                                        "EXISTS calm",
                                        "TTL calm",
                                        "DUMP calm",
                                        "GETRANGE calm 0 1",
                                        "TYPE calm",
                                        "OBJECT ENCODING calm",
                                        "EVAL_RO 'return\t1' 1 calm"};
    make_stale(bench, "calm");
    for (size_t i = 0; i < sizeof reads / sizeof reads[0]; i++) {
        RUN(bench->through, reads[i]);
        ASSERT_GET(bench->through, "calm", "old");
    }
}

static void flushing_empties_l1(void **state)
{
    struct bench *bench = *state;
    static const char *const flushes[] = {"FLUSHALL", "FLUSHDB", "FLUSHALL ASYNC", "SWAPDB 0 1"};
    for (size_t i = 0; i < sizeof flushes / sizeof flushes[0]; i++) {
        make_stale(bench, "flushed");
        RUN(bench->through, flushes[i]);
        ASSERT_GET(bench->through, "flushed", NULL);
        RUN(bench->direct, "FLUSHALL");
    }
    make_stale(bench, "flushed");
    RUN(bench->through, "FLUSHALL NONSENSE");
    ASSERT_GET(bench->through, "flushed", "new");
}

/* ---- bounds ---- */

/* What a client may ask for in one breath: a thousand hits of half a megabyte each. */
#define BIG_LEN   ((size_t)512 << 10)
#define BIG_COUNT 1000

static void put_big_into_l1(struct bench *bench)
{
    char *value = malloc(BIG_LEN);
    assert_non_null(value);
    memset(value, 'x', BIG_LEN);
    RUN(bench->through, "SET big %b", value, BIG_LEN);
    RUN(bench->through, "GET big");
    free(value);
}

/* The most memory that stratad ever had. */
static long peak_kib(const struct bench *bench)
{
    char path[64], line[256];
    long kib = -1;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)stratad_process_pid(bench->stratad));
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (kib < 0 && fgets(line, sizeof line, file) != NULL)
        (void)sscanf(line, "VmHWM: %ld", &kib);
    (void)fclose(file);
    assert_true(kib > 0);
    return kib;
}

static void an_mget_is_not_put_together_beyond_the_output_limit(void **state)
{
    struct bench *bench = *state;
    const char *argv[1 + BIG_COUNT] = {"MGET"};
    for (size_t i = 1; i <= BIG_COUNT; i++)
        argv[i] = "big";
    put_big_into_l1(bench);
    long before = peak_kib(bench);
    redisContext *greedy = connect_to(stratad_process_socket(bench->stratad));
    assert_null(redisCommandArgv(greedy, 1 + BIG_COUNT, argv, NULL)); /* closed */
    assert_in_range(peak_kib(bench) - before, 0, 64 << 10);
    redisFree(greedy);
}

/* Sends `request` a thousand times behind a command that a frozen Redis does not answer. */
static void assert_does_not_pile_up(struct bench *bench, const char *request)
{
    put_big_into_l1(bench);
    redisContext *greedy = connect_to(stratad_process_socket(bench->stratad));
    RUN(greedy, "PING"); /* it has been let in */
    long before = peak_kib(bench);
    redis_server_freeze(bench->server);
    assert_int_equal(redisAppendCommand(greedy, "GET absent"), REDIS_OK);
    for (size_t i = 0; i < BIG_COUNT; i++)
        assert_int_equal(redisAppendCommand(greedy, request), REDIS_OK);
    int done = 0;
    while (!done)
        assert_int_equal(redisBufferWrite(greedy, &done), REDIS_OK);
    RUN(bench->through, "PING"); /* the one worker has turned, */
    RUN(bench->through, "PING"); /* and read what was there before */
    long after = peak_kib(bench);
    redis_server_thaw(bench->server);
    assert_in_range(after - before, 0, 64 << 10);
    redisFree(greedy);
}

/* A hit behind an unanswered command waits in stratad's memory for its turn. */
static void hits_behind_an_unanswered_command_do_not_pile_up(void **state)
{
    assert_does_not_pile_up(*state, "GET big");
}

/* What an MGET had from L1 is kept until Redis has answered for the rest. */
static void hits_of_unanswered_mgets_do_not_pile_up(void **state)
{
    assert_does_not_pile_up(*state, "MGET big missing");
}

/* ---- time ---- */

static bool is_gone_from_redis(void *arg)
{
    redisReply *reply = ask(arg, "EXISTS timed");
    bool gone = reply->integer == 0;
    freeReplyObject(reply);
    return gone;
}

static void l1_never_outlives_redis(void **state)
{
    struct bench *bench = *state;
    RUN(bench->through, "SET timed v PX 60"); /* published */
    assert_true(wait_until(is_gone_from_redis, bench->direct, 10000));
    ASSERT_GET(bench->through, "timed", NULL);
    RUN(bench->direct, "SET timed v PX 60");
    RUN(bench->through, "GET timed"); /* filled */
    assert_true(wait_until(is_gone_from_redis, bench->direct, 10000));
    ASSERT_GET(bench->through, "timed", NULL);
    RUN(bench->through, "SET timed v");
    RUN(bench->through, "PEXPIRE timed 60");
    RUN(bench->through, "GET timed");
    assert_true(wait_until(is_gone_from_redis, bench->direct, 10000));
    ASSERT_GET(bench->through, "timed", NULL);
    RUN(bench->through, "MSET timed v other w");
    RUN(bench->through, "PEXPIRE timed 60");
    RUN(bench->through, "MGET timed other"); /* filled by MGET */
    assert_true(wait_until(is_gone_from_redis, bench->direct, 10000));
    ASSERT_GET(bench->through, "timed", NULL);
    ASSERT_GET(bench->through, "other", "w");
}

static bool is_asked_for_anew(void *arg)
{
    redisReply *reply = ask(arg, "GET short");
    bool fresh = strcmp(reply->str, "new") == 0;
    freeReplyObject(reply);
    return fresh;
}

static void after_the_l1_ttl_redis_is_asked_again(void **state)
{
    struct bench *bench = *state;
    make_stale(bench, "short");
    assert_true(wait_until(is_asked_for_anew, bench->through, 10000));
}

static void without_l1_every_read_is_asked_for(void **state)
{
    struct bench *bench = *state;
    RUN(bench->direct, "SET k 1");
    ASSERT_GET(bench->through, "k", "1");
    RUN(bench->direct, "SET k 2");
    ASSERT_GET(bench->through, "k", "2");
    RUN(bench->through, "SET k 3");
    RUN(bench->direct, "SET k 4");
    ASSERT_GET(bench->through, "k", "4");
    redisReply *reply = ask(bench->through, "STRATA STATS");
    assert_non_null(strstr(reply->str, "\"l1\":{\"enabled\":false}"));
    freeReplyObject(reply);
}

static void values_larger_than_l1_pass_by(void **state)
{
    struct bench *bench = *state;
    const size_t len = (size_t)20 << 20;
    char *value = malloc(len);
    assert_non_null(value);
    memset(value, 'x', len);
    value[len - 1] = 'y';
    RUN(bench->through, "SET large %b", value, len);
    for (unsigned i = 0; i < 2; i++) {
        redisReply *reply = ask(bench->through, "GET large");
        assert_int_equal(reply->len, len);
        assert_memory_equal(reply->str, value, len);
        freeReplyObject(reply);
    }
    free(value);
}

/* ---- own writes, seen by all ---- */

#define CLIENTS        6
#define ROUNDS         3000
#define COUNTERS       3
#define PIPELINE_DEPTH 8

struct client {
    struct bench *bench;
    pthread_t thread;
    uint64_t random;
    long long seen[COUNTERS];
    bool failed;
};

static void see(struct client *client, unsigned counter, redisReply *reply)
{
    long long value = reply->type == REDIS_REPLY_INTEGER ? reply->integer
                      : reply->str != NULL               ? atoll(reply->str)
                                                         : 0;
    if (reply->type == REDIS_REPLY_ERROR || value < client->seen[counter]) {
        (void)fprintf(stderr, "counter %u: %lld after %lld\n", counter, value,
                      client->seen[counter]);
        client->failed = true;
    }
    client->seen[counter] = value;
}

/* Half of the reads as GET, which L1 may answer, half in ways that only Redis can. */
static void append_one(struct client *client, redisContext *context, unsigned counter)
{
    static const char *const commands[] = {"GET n:%u", "GET n:%u",           "GET n:%u",
                                           "GET n:%u", "GETRANGE n:%u 0 -1", "INCR n:%u"};
    (void)redisAppendCommand(context, commands[sta_random_below(&client->random, 6)], counter);
}

static void *count_up(void *arg)
{
    struct client *client = arg;
    redisContext *context = connect_to(stratad_process_socket(client->bench->stratad));
    for (unsigned round = 0; round < ROUNDS && !client->failed; round++) {
        unsigned counters[PIPELINE_DEPTH];
        size_t depth = 1 + sta_random_below(&client->random, PIPELINE_DEPTH);
        for (size_t i = 0; i < depth; i++) {
            counters[i] = (unsigned)sta_random_below(&client->random, COUNTERS);
            append_one(client, context, counters[i]);
        }
        for (size_t i = 0; i < depth; i++) {
            void *reply = NULL;
            if (redisGetReply(context, &reply) != REDIS_OK) {
                client->failed = true;
                break;
            }
            see(client, counters[i], reply);
            freeReplyObject(reply);
        }
    }
    redisFree(context);
    return NULL;
}

static void no_client_sees_a_counter_run_backwards(void **state)
{
    struct bench *bench = *state;
    struct client clients[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.bench = bench, .random = i};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, count_up, &clients[i]), 0);
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_join(clients[i].thread, NULL), 0);
    for (unsigned i = 0; i < CLIENTS; i++)
        assert_false(clients[i].failed);
    assert_true(statistic(bench, "l1", "hits") > ROUNDS);
}

static void a_write_is_seen_by_other_clients_when_it_is_acknowledged(void **state)
{
    struct bench *bench = *state;
    redisContext *other = connect_to(stratad_process_socket(bench->stratad));
    for (unsigned i = 0; i < 200; i++) {
        char value[16];
        (void)snprintf(value, sizeof value, "%u", i);
        RUN(bench->through, "SET seen %s", value);
        ASSERT_GET(other, "seen", value);
        RUN(other, "APPEND seen x");
        (void)snprintf(value, sizeof value, "%ux", i);
        ASSERT_GET(bench->through, "seen", value);
    }
    redisFree(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_that_was_read_is_answered_from_l1),
        cmocka_unit_test(a_value_that_was_set_is_answered_from_l1),
        cmocka_unit_test(what_is_not_certain_after_a_set_is_asked_for),
        cmocka_unit_test(a_missing_key_is_asked_for_every_time),
        cmocka_unit_test(errors_are_not_kept),
        cmocka_unit_test(mget_puts_both_tiers_together_in_order),
        cmocka_unit_test(an_mget_of_more_keys_than_l1_looks_up_is_passed_on),
        cmocka_unit_test(every_write_command_of_the_server_drops_its_keys),
        cmocka_unit_test(scripts_drop_the_keys_they_name),
        cmocka_unit_test(an_unknown_command_drops_all_its_arguments),
        cmocka_unit_test(reads_drop_nothing),
        cmocka_unit_test(flushing_empties_l1),
        cmocka_unit_test(l1_never_outlives_redis),
        cmocka_unit_test(no_client_sees_a_counter_run_backwards),
        cmocka_unit_test(a_write_is_seen_by_other_clients_when_it_is_acknowledged),
    };
    const struct CMUnitTest short_ttl[] = {cmocka_unit_test(after_the_l1_ttl_redis_is_asked_again)};
    const struct CMUnitTest without[] = {cmocka_unit_test(without_l1_every_read_is_asked_for)};
    const struct CMUnitTest output[] = {
        cmocka_unit_test(an_mget_is_not_put_together_beyond_the_output_limit),
        cmocka_unit_test(hits_behind_an_unanswered_command_do_not_pile_up),
        cmocka_unit_test(hits_of_unanswered_mgets_do_not_pile_up),
    };
    const struct CMUnitTest small[] = {cmocka_unit_test(values_larger_than_l1_pass_by)};
    const struct CMUnitTest listening[] = {
        cmocka_unit_test(l1_never_outlives_redis),
        cmocka_unit_test(no_client_sees_a_counter_run_backwards),
        cmocka_unit_test(a_write_is_seen_by_other_clients_when_it_is_acknowledged),
    };
    int failed = cmocka_run_group_tests(tests, start, stop);
    failed += cmocka_run_group_tests_name("listening", listening, start_listening, stop);
    failed += cmocka_run_group_tests_name("short ttl", short_ttl, start_with_short_ttl, stop);
    failed += cmocka_run_group_tests_name("no l1", without, start_without_l1, stop);
    failed += cmocka_run_group_tests_name("small output", output, start_with_small_output, stop);
    return failed + cmocka_run_group_tests_name("small l1", small, start_with_small_l1, stop);
}
