/* SPDX-License-Identifier: MIT
 *
 * MULTI, EXEC and DISCARD through stratad, and what L1 holds of their keys.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "integration/stratad_rig.h"

/* Sends the lines in one write and compares all that comes until stratad closes behind QUIT. */
static void assert_pipeline(const struct stratad_process *stratad, const char *lines,
                            const char *expected)
{
    int fd = rig_socket(stratad);
    size_t len;
    rig_send(fd, lines, strlen(lines));
    char *got = rig_read_to_end(fd, &len);
    assert_string_equal(got, expected);
    assert_int_equal(len, strlen(expected));
    free(got);
    (void)close(fd);
}

static void a_pipelined_transaction_is_answered_as_by_redis(void **state)
{
    (void)state;
    struct stratad_process *stratad = rig_start(NULL);
    assert_pipeline(stratad,
                    "SET k 1\r\nMULTI\r\nINCR k\r\nGET k\r\nPING\r\nHSET h f v\r\nEXEC\r\nGET k\r\n"
                    "MULTI\r\nMULTI\r\nEXEC\r\nEXEC\r\nMULTI\r\nSET k 9\r\nDISCARD\r\nDISCARD\r\n"
                    "GET k\r\nQUIT\r\n",
                    "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
                    "*4\r\n:2\r\n$1\r\n2\r\n+PONG\r\n:1\r\n$1\r\n2\r\n"
                    "+OK\r\n-ERR MULTI calls can not be nested\r\n*0\r\n-ERR EXEC without MULTI\r\n"
                    "+OK\r\n+QUEUED\r\n+OK\r\n-ERR DISCARD without MULTI\r\n$1\r\n2\r\n+OK\r\n");
    stratad_process_stop(&stratad);
}

static void resp3_clients_get_resp3_inside(void **state)
{
    (void)state;
    static const char lines[] =
        "HELLO 3\r\nMULTI\r\nHSET map f v\r\nHGETALL map\r\nEXEC\r\nQUIT\r\n";
    struct stratad_process *stratad = rig_start(NULL);
    int fd = rig_socket(stratad);
    size_t len;
    rig_send(fd, lines, sizeof lines - 1);
    char *got = rig_read_to_end(fd, &len);
    assert_non_null(strstr(got, "+OK\r\n+QUEUED\r\n+QUEUED\r\n"
                                "*2\r\n:1\r\n%1\r\n$1\r\nf\r\n$1\r\nv\r\n+OK\r\n"));
    free(got);
    (void)close(fd);
    stratad_process_stop(&stratad);
}

/* What was refused inside, by stratad or by Redis, lets nothing of the rest happen. */
static void one_refused_command_ends_the_whole(void **state)
{
    (void)state;
    static const char *const wrong[] = {"SUBSCRIBE c",   "MONITOR",  "CLIENT GETNAME",
                                        "HELLO 3",       "SELECT 0", "READONLY",
                                        "NOSUCHCOMMAND", "INCR k k", "EXEC k"};
    struct stratad_process *stratad = rig_start(NULL);
    redisContext *client = rig_client(stratad);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ASSERT_SAYS(client, "OK", "SET k before");
        ASSERT_SAYS(client, "OK", "MULTI");
        ASSERT_SAYS(client, "QUEUED", "SET k inside");
        freeReplyObject(redisCommand(client, wrong[i]));
        ASSERT_SAYS(client, "QUEUED", "SET k behind");
        ASSERT_SAYS(client, "EXECABORT Transaction discarded because of", "EXEC");
        ASSERT_SAYS(client, "before", "GET k");
    }
    ASSERT_SAYS(client, "OK", "MULTI");
    ASSERT_SAYS(client, "RESET", "RESET");
    ASSERT_SAYS(client, "ERR EXEC without MULTI", "EXEC");
    redisFree(client);
    stratad_process_stop(&stratad);
}

static void nothing_inside_and_nothing_behind_is_answered_from_before(void **state)
{
    (void)state;
    static const char *const args[] = {"--workers", "2", "--max-staleness", "60", NULL};
    struct stratad_process *stratad = rig_start(args);
    redisContext *one = rig_client(stratad), *other = rig_client(stratad);
    for (unsigned round = 0; round < 200; round++) {
        char value[16];
        (void)snprintf(value, sizeof value, "%u", round);
        ASSERT_SAYS(one, "OK", "MULTI");
        ASSERT_SAYS(one, "QUEUED", round % 10 == 9 ? "FLUSHALL" : "PING");
        ASSERT_SAYS(one, "QUEUED", "SET a %s", value);
        ASSERT_SAYS(one, "QUEUED", "GET a");
        redisReply *reply = redisCommand(one, "EXEC");
        assert_int_equal(reply->elements, 3);
        assert_string_equal(reply->element[2]->str, value);
        freeReplyObject(reply);
        ASSERT_SAYS(other, value, "GET a");
        ASSERT_SAYS(one, value, "GET a");
    }
    redisFree(one);
    redisFree(other);
    stratad_process_stop(&stratad);
}

/* ---- readers beside it ---- */

#define VERSIONS 1500

struct reader {
    struct stratad_process *stratad;
    atomic_bool *over;
    unsigned long reads;
    bool backwards;
};

static long version_of(redisContext *context, const char *key)
{
    redisReply *reply = redisCommand(context, "GET %s", key);
    long version = reply != NULL && reply->type == REDIS_REPLY_STRING ? atol(reply->str) : -1;
    freeReplyObject(reply);
    return version;
}

/* a is written before b in each transaction: what b shows, a has reached. */
static void *read_versions(void *arg)
{
    struct reader *reader = arg;
    redisContext *context = rig_client(reader->stratad);
    long least = 0;
    while (!atomic_load(reader->over)) {
        long b = version_of(context, "b"), a = version_of(context, "a");
        reader->backwards = reader->backwards || b < least || a < b;
        least = a;
        if (version_of(context, "b") < least)
            reader->backwards = true;
        reader->reads++;
    }
    redisFree(context);
    return NULL;
}

static void no_reader_sees_a_version_go_backwards(void **state)
{
    (void)state;
    static const char *const args[] = {"--workers", "2", "--max-staleness", "60", NULL};
    struct stratad_process *stratad = rig_start(args);
    redisContext *writer = rig_client(stratad);
    atomic_bool over = false;
    struct reader readers[3];
    pthread_t threads[3];
    ASSERT_SAYS(writer, "OK", "MSET a 0 b 0");
    for (size_t i = 0; i < 3; i++) {
        readers[i] = (struct reader){.stratad = stratad, .over = &over};
        assert_int_equal(pthread_create(&threads[i], NULL, read_versions, &readers[i]), 0);
    }
    for (int version = 1; version <= VERSIONS; version++) {
        ASSERT_SAYS(writer, "OK", "MULTI");
        ASSERT_SAYS(writer, "QUEUED", "SET a %d", version);
        ASSERT_SAYS(writer, "QUEUED", "SET b %d", version);
        freeReplyObject(redisCommand(writer, "EXEC"));
        assert_int_equal(version_of(writer, "a"), version);
        assert_int_equal(version_of(writer, "b"), version);
    }
    atomic_store(&over, true);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_false(readers[i].backwards);
        assert_true(readers[i].reads > 0);
    }
    redisFree(writer);
    stratad_process_stop(&stratad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipelined_transaction_is_answered_as_by_redis),
        cmocka_unit_test(resp3_clients_get_resp3_inside),
        cmocka_unit_test(one_refused_command_ends_the_whole),
        cmocka_unit_test(nothing_inside_and_nothing_behind_is_answered_from_before),
        cmocka_unit_test(no_reader_sees_a_version_go_backwards),
    };
    return cmocka_run_group_tests(tests, rig_start_server, rig_stop_server);
}
