/* SPDX-License-Identifier: MIT
 *
 * stratad before a cluster, as clients that take it for one Redis see it: each key by its owner,
 * what has keys everywhere or nowhere, slots on their way, and what others write on any node.
 * Whether all commands answer as Redis' is test_stratad_parity's question.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "integration/stratad_cluster_rig.h"
#include "support/wait.h"

#define PATIENT_MS CLUSTER_RIG_PATIENT_MS
#define PRIMARIES  3u

struct bench {
    struct cluster_rig *rig;
    struct redis_cluster *cluster;
    struct stratad_process *stratad;
    redisContext *client, *other; /* of two workers */
};

/* With the long time nothing but a push, a lost connection or another map makes L1 let go. */
static struct bench open_bench(void **state)
{
    static const char *const args[] = {"--max-staleness", "60", NULL};
    struct bench bench = {.rig = *state};
    bench.cluster = bench.rig->cluster;
    bench.stratad = stratad_cluster_start(bench.rig, args);
    bench.client = rig_client(bench.stratad);
    bench.other = rig_client(bench.stratad);
    return bench;
}

static void close_bench(struct bench *bench)
{
    redisFree(bench->client);
    redisFree(bench->other);
    stratad_process_stop(&bench->stratad);
}

static void assert_integer(redisReply *reply, long long expected)
{
    assert_non_null(reply);
    if (reply->type != REDIS_REPLY_INTEGER)
        fail_msg("no integer: %s", reply->str != NULL ? reply->str : "");
    assert_int_equal(reply->integer, expected);
    freeReplyObject(reply);
}

#define ASSERT_INTEGER(context, expected, ...)                                                     \
    assert_integer(redisCommand(context, __VA_ARGS__), expected)

/* Elements, each with a comma behind it; "-" is a null. */
static void assert_array(redisReply *reply, const char *expected)
{
    char seen[128] = "";
    assert_non_null(reply);
    if (reply->type != REDIS_REPLY_ARRAY)
        fail_msg("no array: %s", reply->str != NULL ? reply->str : "");
    for (size_t i = 0; i < reply->elements; i++) {
        size_t len = strlen(seen);
        (void)snprintf(seen + len, sizeof seen - len, "%s,",
                       reply->element[i]->str != NULL ? reply->element[i]->str : "-");
    }
    assert_string_equal(seen, expected);
    freeReplyObject(reply);
}

#define ASSERT_ARRAY(context, expected, ...)                                                       \
    assert_array(redisCommand(context, __VA_ARGS__), expected)

/* The numbers of the nodes that are primaries now. */
static void primaries(const struct redis_cluster *cluster, unsigned out[PRIMARIES])
{
    unsigned count = 0;
    for (unsigned i = 0; i < redis_cluster_count(cluster) && count < PRIMARIES; i++)
        if (redis_cluster_runs(cluster, i) && redis_cluster_is_primary(cluster, i))
            out[count++] = i;
    assert_int_equal(count, PRIMARIES);
}

/* A key of each primary. */
static void keys_of_all(const struct redis_cluster *cluster, const char *prefix,
                        char keys[PRIMARIES][32], unsigned nodes[PRIMARIES])
{
    primaries(cluster, nodes);
    for (unsigned i = 0; i < PRIMARIES; i++) {
        unsigned n = 0;
        stratad_cluster_key_of(cluster, nodes[i], prefix, &n, keys[i], sizeof keys[i]);
    }
}

static void each_key_is_with_its_owner_and_then_in_l1(void **state)
{
    struct bench bench = open_bench(state);
    char keys[PRIMARIES][32];
    unsigned nodes[PRIMARIES];
    keys_of_all(bench.cluster, "k", keys, nodes);
    for (unsigned i = 0; i < PRIMARIES; i++) {
        ASSERT_SAYS(bench.client, "OK", "SET %s before", keys[i]);
        ASSERT_SAYS(bench.client, "OK", "SET %s value", keys[i]); /* over one that is tracked */
        rig_assert_says(redis_cluster_ask(bench.cluster, nodes[i], "GET %s", keys[i]), "value");
        ASSERT_INTEGER(bench.client, 1, "HSET h:%s f v", keys[i]);
    }
    long long asked = stratad_cluster_number(bench.client, "misses");
    for (unsigned i = 0; i < PRIMARIES; i++) {
        ASSERT_SAYS(bench.client, "value", "GET %s", keys[i]);
        ASSERT_SAYS(bench.other, "value", "GET %s", keys[i]);
    }
    assert_int_equal(stratad_cluster_number(bench.client, "misses"), asked);
    close_bench(&bench);
}

/* ---- keys in several slots ---- */

static void keys_everywhere_are_answered_together(void **state)
{
    struct bench bench = open_bench(state);
    ASSERT_SAYS(bench.client, "OK", "MSET a 1 b 2 c 3 a 4 {a}x 5");
    for (unsigned again = 0; again < 2; again++) { /* from Redis, and from L1 */
        redisReply *reply = redisCommand(bench.other, "MGET c none a b a {a}x");
        assert_int_equal(reply->elements, 6);
        const char *const expected[] = {"3", NULL, "4", "2", "4", "5"};
        for (unsigned i = 0; i < 6; i++) {
            if (expected[i] == NULL)
                assert_int_equal(reply->element[i]->type, REDIS_REPLY_NIL);
            else
                assert_string_equal(reply->element[i]->str, expected[i]);
        }
        freeReplyObject(reply);
    }
    ASSERT_INTEGER(bench.client, 4, "EXISTS a b c none a");
    ASSERT_INTEGER(bench.client, 3, "TOUCH a b c none");
    ASSERT_INTEGER(bench.client, 2, "DEL a none c");
    ASSERT_INTEGER(bench.client, 2, "UNLINK b a {a}x");
    ASSERT_INTEGER(bench.other, 0, "EXISTS a b c {a}x");
    close_bench(&bench);
}

static void what_cannot_be_split_is_refused_as_redis_does(void **state)
{
    static const char crossed[] = "CROSSSLOT Keys in request don't hash to the same slot";
    struct bench bench = open_bench(state);
    ASSERT_SAYS(bench.client, "OK", "SET a 1");
    ASSERT_SAYS(bench.client, crossed, "RENAME a b");
    ASSERT_SAYS(bench.client, crossed, "MSETNX a 2 b 2");
    ASSERT_SAYS(bench.client, crossed, "SUNIONSTORE a b c");
    ASSERT_SAYS(bench.client, crossed, "EVAL %s 2 a b", "return 1");
    ASSERT_SAYS(bench.client, "1", "GET a");
    ASSERT_SAYS(bench.client, "OK", "RENAME a {a}b");
    ASSERT_SAYS(bench.client, "1", "GET {a}b");
    close_bench(&bench);
}

static void what_concerns_one_node_is_refused(void **state)
{
    static const char *const commands[] = {
        "CONFIG GET maxmemory", "CLUSTER SLOTS", "CLIENT LIST", "SWAPDB 0 1", "DEBUG SLEEP 0",
        "REPLICAOF NO ONE",     "SLOWLOG GET",   "BGSAVE",      "SELECT 1",   "SCRIPT KILL",
    };
    struct bench bench = open_bench(state);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        ASSERT_SAYS(bench.client, "ERR strata: ", commands[i]);
    ASSERT_SAYS(bench.client, "ERR strata: 'monitor' shows what one node of the cluster is told",
                "MONITOR");
    ASSERT_SAYS(bench.client, "ERR strata: before a Redis Cluster 'wait' has nothing to count",
                "WAIT 1 100");
    ASSERT_SAYS(bench.client, "ERR strata: before a Redis Cluster 'waitaof' has nothing to count",
                "WAITAOF 1 1 100");
    close_bench(&bench);
}

/* ---- transactions ---- */

static void a_transaction_of_one_slot_is_carried_out_by_its_owner(void **state)
{
    struct bench bench = open_bench(state);
    for (unsigned i = 0; i < 30; i++) {
        ASSERT_SAYS(bench.client, "OK", "MULTI");
        ASSERT_SAYS(bench.client, "QUEUED", "MSET {t%u}a %u {t%u}b %u", i, i, i, i);
        ASSERT_SAYS(bench.client, "QUEUED", "PING");
        ASSERT_SAYS(bench.client, "QUEUED", "INCR {t%u}a", i);
        ASSERT_SAYS(bench.client, "QUEUED", "DEL {t%u}b {t%u}c", i, i);
        redisReply *reply = redisCommand(bench.client, "EXEC");
        assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
        assert_int_equal(reply->elements, 4);
        assert_int_equal(reply->element[2]->integer, i + 1);
        assert_int_equal(reply->element[3]->integer, 1);
        freeReplyObject(reply);
        ASSERT_INTEGER(bench.other, i + 2, "INCR {t%u}a", i);
    }
    ASSERT_SAYS(bench.client, "OK", "MULTI");
    ASSERT_SAYS(bench.client, "QUEUED", "SET a inside");
    ASSERT_SAYS(bench.client, "CROSSSLOT", "SET b inside");
    ASSERT_SAYS(bench.client, "EXECABORT", "EXEC");
    ASSERT_SAYS(bench.client, "OK", "MULTI");
    ASSERT_SAYS(bench.client, "ERR strata: behind WATCH and inside a transaction", "FLUSHALL");
    ASSERT_SAYS(bench.client, "EXECABORT", "EXEC");
    ASSERT_INTEGER(bench.client, 0, "EXISTS a b");
    ASSERT_SAYS(bench.client, "OK", "MULTI");
    ASSERT_SAYS(bench.client, "QUEUED", "PING");
    redisReply *reply = redisCommand(bench.client, "EXEC");
    assert_int_equal(reply->elements, 1);
    freeReplyObject(reply);
    close_bench(&bench);
}

static redisReply *increment_in_transaction(redisContext *client, const char *key)
{
    ASSERT_SAYS(client, "OK", "MULTI");
    ASSERT_SAYS(client, "QUEUED", "INCR %s", key);
    ASSERT_SAYS(client, "QUEUED", "GET %s", key);
    return redisCommand(client, "EXEC");
}

/* It follows its slot, once it is there; while that is on its way it may fail,
 * and is then carried out nowhere. */
static void a_transaction_follows_its_slot(void **state)
{
    struct bench bench = open_bench(state);
    unsigned n = 0;
    char key[64];
    stratad_cluster_key_of(bench.cluster, 0, "moved", &n, key, sizeof key);
    const unsigned slot = redis_cluster_slot(bench.cluster, key);
    redisReply *reply = increment_in_transaction(bench.client, key);
    assert_int_equal(reply->element[0]->integer, 1);
    freeReplyObject(reply);
    for (unsigned to = 1; to < 4; to++) {
        assert_int_equal(redis_cluster_begin_move(bench.cluster, slot, to % PRIMARIES), 0);
        reply = increment_in_transaction(bench.client, key);
        assert_int_equal(reply->element[0]->integer, 2 * to);
        freeReplyObject(reply);
        assert_int_equal(redis_cluster_move_keys(bench.cluster, slot, to % PRIMARIES, 1000), 0);
        rig_assert_says(increment_in_transaction(bench.client, key), "EXECABORT");
        assert_int_equal(redis_cluster_finish_move(bench.cluster, slot, to % PRIMARIES), 0);
        reply = increment_in_transaction(bench.client, key);
        assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
        assert_int_equal(reply->element[0]->integer, 2 * to + 1);
        freeReplyObject(reply);
    }
    close_bench(&bench);
}

/* ---- no keys ---- */

#define MANY 300u

static void put_many(redisContext *client)
{
    for (unsigned i = 0; i < MANY; i++)
        ASSERT_SAYS(client, "OK", "SET many:%u %u", i, i);
}

/* Each key once; how many pages that took. */
static unsigned scan_many(redisContext *client)
{
    bool seen[MANY] = {false};
    unsigned pages = 0, count = 0;
    char cursor[32] = "0";
    do {
        redisReply *reply = redisCommand(client, "SCAN %s MATCH many:* COUNT 20", cursor);
        assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
        for (size_t i = 0; i < reply->element[1]->elements; i++) {
            unsigned n = MANY;
            (void)sscanf(reply->element[1]->element[i]->str, "many:%u", &n);
            assert_true(n < MANY);
            count += !seen[n];
            seen[n] = true;
        }
        (void)snprintf(cursor, sizeof cursor, "%s", reply->element[0]->str);
        freeReplyObject(reply);
        pages++;
    } while (strcmp(cursor, "0") != 0);
    assert_int_equal(count, MANY);
    return pages;
}

static void the_keyspace_is_that_of_all_nodes(void **state)
{
    struct bench bench = open_bench(state);
    put_many(bench.client);
    ASSERT_INTEGER(bench.client, MANY, "DBSIZE");
    redisReply *reply = redisCommand(bench.client, "KEYS many:*");
    assert_int_equal(reply->elements, MANY);
    freeReplyObject(reply);
    assert_true(scan_many(bench.client) > PRIMARIES);
    ASSERT_SAYS(bench.client, "OK", "FLUSHALL");
    ASSERT_INTEGER(bench.other, 0, "DBSIZE");
    reply = redisCommand(bench.other, "GET many:1");
    assert_int_equal(reply->type, REDIS_REPLY_NIL);
    freeReplyObject(reply);
    close_bench(&bench);
}

static void a_scan_notices_that_slots_have_moved(void **state)
{
    struct bench bench = open_bench(state);
    unsigned slot = redis_cluster_slot(bench.cluster, "many:7");
    int from = redis_cluster_primary(bench.cluster, slot);
    unsigned to = ((unsigned)from + 1) % PRIMARIES;
    put_many(bench.client);
    redisReply *reply = redisCommand(bench.client, "SCAN 0 COUNT 10");
    assert_string_not_equal(reply->element[0]->str, "0");
    assert_int_equal(redis_cluster_move_slot(bench.cluster, slot, to), 0);
    ASSERT_SAYS(bench.client, "OK", "SET many:7 new"); /* so it hears of it */
    ASSERT_SAYS(bench.client, "UNAVAILABLE strata: slots have another owner", "SCAN %s",
                reply->element[0]->str);
    ASSERT_SAYS(bench.client, "ERR invalid cursor", "SCAN x");
    freeReplyObject(reply);
    assert_true(scan_many(bench.client) > PRIMARIES);
    close_bench(&bench);
}

static void a_script_is_known_to_all_nodes(void **state)
{
    static const char body[] = "return redis.call('incr', KEYS[1])";
    struct bench bench = open_bench(state);
    char keys[PRIMARIES][32];
    unsigned nodes[PRIMARIES];
    keys_of_all(bench.cluster, "s", keys, nodes);
    redisReply *sha = redisCommand(bench.client, "SCRIPT LOAD %s", body);
    assert_int_equal(sha->type, REDIS_REPLY_STRING);
    for (unsigned i = 0; i < PRIMARIES; i++)
        ASSERT_INTEGER(bench.client, 1, "EVALSHA %s 1 %s", sha->str, keys[i]);
    assert_int_equal(redis_cluster_tell(bench.cluster, nodes[1], "SCRIPT FLUSH"), 0);
    redisReply *exist = redisCommand(bench.client, "SCRIPT EXISTS %s", sha->str);
    assert_int_equal(exist->element[0]->integer, 0); /* not everywhere */
    freeReplyObject(exist);
    freeReplyObject(sha);
    close_bench(&bench);
}

/* ---- order ---- */

/* A pipeline that comes back to one key again and again, whose slot moves when half of it is
 * answered. */
static void run_pipeline(struct bench *bench, const char *key)
{
    unsigned slot = redis_cluster_slot(bench->cluster, key);
    unsigned to = ((unsigned)redis_cluster_primary(bench->cluster, slot) + 1) % PRIMARIES;
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(redisAppendCommand(bench->client, "INCR %s", key), REDIS_OK);
        assert_int_equal(redisAppendCommand(bench->client, "SET k:%u %u", i, i), REDIS_OK);
        assert_int_equal(redisAppendCommand(bench->client, "GET %s", key), REDIS_OK);
    }
    for (unsigned i = 0; i < 100; i++) {
        void *incr, *set, *get;
        if (i == 50)
            assert_int_equal(redis_cluster_move_slot(bench->cluster, slot, to), 0);
        assert_int_equal(redisGetReply(bench->client, &incr), REDIS_OK);
        assert_int_equal(redisGetReply(bench->client, &set), REDIS_OK);
        assert_int_equal(redisGetReply(bench->client, &get), REDIS_OK);
        assert_int_equal(((redisReply *)incr)->integer, i + 1);
        assert_int_equal(atoi(((redisReply *)get)->str), i + 1);
        rig_assert_says(set, "OK");
        freeReplyObject(incr);
        freeReplyObject(get);
    }
    assert_int_equal(redis_cluster_settle(bench->cluster, PATIENT_MS), 0);
}

static void one_clients_commands_on_a_key_are_in_order(void **state)
{
    struct bench bench = open_bench(state);
    run_pipeline(&bench, "n:1");
    run_pipeline(&bench, "n:2");
    run_pipeline(&bench, "n:3");
    close_bench(&bench);
}

/* Keys that L1 was asked for, and keys for which it was not. */
static long long reads_counted(redisContext *client)
{
    long long hits, misses, unasked = stratad_cluster_number(client, "unasked");
    redisReply *reply = redisCommand(client, "STRATA STATS");
    assert_non_null(reply);
    const char *metrics = strstr(reply->str, "\"metrics\":");
    assert_non_null(metrics);
    const char *l1 = strstr(metrics, "\"l1\":{");
    assert_non_null(l1);
    assert_int_equal(sscanf(l1, "\"l1\":{\"hits\":%lld,\"misses\":%lld", &hits, &misses), 2);
    freeReplyObject(reply);
    return hits + misses + unasked;
}

/* Behind a write of its key, which is unanswered, a read waits, and is looked at again. */
static void a_read_that_waits_is_counted_once(void **state)
{
    struct bench bench = open_bench(state);
    ASSERT_SAYS(bench.client, "OK", "SET once:b value");
    for (unsigned i = 0; i < 20; i++) {
        long long before = reads_counted(bench.client);
        for (unsigned j = 0; j < 3; j++) {
            assert_int_equal(redisAppendCommand(bench.client, "SET once:a %u", i), REDIS_OK);
            assert_int_equal(redisAppendCommand(bench.client, "GET once:a"), REDIS_OK);
            assert_int_equal(redisAppendCommand(bench.client, "SET once:a %u", i), REDIS_OK);
            assert_int_equal(redisAppendCommand(bench.client, "MGET once:b once:a once:c"),
                             REDIS_OK);
        }
        for (unsigned j = 0; j < 12; j++) {
            void *reply;
            assert_int_equal(redisGetReply(bench.client, &reply), REDIS_OK);
            freeReplyObject(reply);
        }
        assert_int_equal(reads_counted(bench.client), before + 3 * 4);
    }
    close_bench(&bench);
}

/* ---- what others write ---- */

struct expectation {
    redisContext *client;
    const char *key, *value; /* NULL: none */
};

static bool has_value(void *arg)
{
    const struct expectation *expected = arg;
    redisReply *reply = redisCommand(expected->client, "GET %s", expected->key);
    bool is =
        reply != NULL &&
        (expected->value == NULL ? reply->type == REDIS_REPLY_NIL
                                 : reply->str != NULL && strcmp(reply->str, expected->value) == 0);
    freeReplyObject(reply);
    return is;
}

static void assert_becomes(redisContext *client, const char *key, const char *value)
{
    struct expectation expected = {client, key, value};
    assert_true(wait_until(has_value, &expected, PATIENT_MS));
}

static void what_others_write_on_any_node_is_heard_of(void **state)
{
    struct bench bench = open_bench(state);
    char keys[PRIMARIES][32];
    unsigned nodes[PRIMARIES];
    keys_of_all(bench.cluster, "others", keys, nodes);
    for (unsigned i = 0; i < PRIMARIES; i++) {
        ASSERT_SAYS(bench.client, "OK", "SET %s old", keys[i]);
        ASSERT_SAYS(bench.other, "old", "GET %s", keys[i]);
        assert_int_equal(redis_cluster_tell(bench.cluster, nodes[i], "SET %s new", keys[i]), 0);
        assert_becomes(bench.client, keys[i], "new");
        assert_becomes(bench.other, keys[i], "new");
        assert_int_equal(redis_cluster_tell(bench.cluster, nodes[i], "FLUSHALL"), 0);
        assert_becomes(bench.client, keys[i], NULL);
        assert_becomes(bench.other, keys[i], NULL);
    }
    redisReply *stats = redisCommand(bench.client, "STRATA STATS");
    assert_non_null(strstr(stats->str, "\"mode\":\"tracking\""));
    freeReplyObject(stats);
    close_bench(&bench);
}

/* ---- slots on their way ---- */

static bool l1_has(struct bench *bench, const char *key, const char *value)
{
    long long before = stratad_cluster_number(bench->client, "misses");
    ASSERT_SAYS(bench->client, value, "GET %s", key);
    return stratad_cluster_number(bench->client, "misses") == before;
}

static void a_slot_that_is_half_moved_is_followed_and_not_kept(void **state)
{
    struct bench bench = open_bench(state);
    unsigned slot = redis_cluster_slot(bench.cluster, "{m}a");
    int from = redis_cluster_primary(bench.cluster, slot);
    unsigned to = ((unsigned)from + 1) % PRIMARIES;
    ASSERT_SAYS(bench.client, "OK", "MSET {m}a 1 {m}b 2 {m}c 3");
    assert_int_equal(redis_cluster_begin_move(bench.cluster, slot, to), 0);
    assert_int_equal(redis_cluster_move_keys(bench.cluster, slot, to, 100), 0);
    ASSERT_SAYS(bench.client, "1", "GET {m}a"); /* by an ASK */
    assert_false(l1_has(&bench, "{m}a", "1"));
    ASSERT_SAYS(bench.client, "OK", "SET {m}a 4");
    assert_false(l1_has(&bench, "{m}a", "4"));
    rig_assert_says(redis_cluster_ask(bench.cluster, (unsigned)from, "GET {m}a"), "ASK");
    assert_int_equal(redis_cluster_finish_move(bench.cluster, slot, to), 0);
    ASSERT_SAYS(bench.client, "4", "GET {m}a"); /* by a MOVED */
    assert_true(l1_has(&bench, "{m}a", "4"));
    assert_int_equal(redis_cluster_tell(bench.cluster, to, "SET {m}a 5"), 0);
    assert_becomes(bench.client, "{m}a", "5");
    assert_int_equal(redis_cluster_settle(bench.cluster, PATIENT_MS), 0);
    assert_int_equal(redis_cluster_move_slot(bench.cluster, slot, (unsigned)from), 0);
    assert_becomes(bench.other, "{m}a", "5");
    close_bench(&bench);
}

/* {h}a has gone, {h}b has not, {h}none is nowhere: no node has all, and Redis would be tried again
 * until the slot has moved. */
static void several_keys_of_a_slot_that_is_half_moved_are_found_one_by_one(void **state)
{
    static const char *const commands[] = {"MGET {h}a {h}b", "EXISTS {h}a {h}b", "DEL {h}a {h}b"};
    struct bench bench = open_bench(state);
    unsigned slot = redis_cluster_slot(bench.cluster, "{h}");
    unsigned from = (unsigned)redis_cluster_primary(bench.cluster, slot);
    unsigned to = (from + 1) % PRIMARIES;
    ASSERT_SAYS(bench.client, "OK", "MSET {h}a 1 {h}b 2");
    assert_int_equal(redis_cluster_begin_move(bench.cluster, slot, to), 0);
    assert_int_equal(redis_cluster_tell(bench.cluster, from, "MIGRATE 127.0.0.1 %d {h}a 0 5000",
                                        redis_cluster_port(bench.cluster, to)),
                     0);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        rig_assert_says(redis_cluster_ask(bench.cluster, from, commands[i]), "TRYAGAIN");

    for (unsigned round = 0; round < 2; round++) { /* the second: nothing of it was kept */
        ASSERT_ARRAY(bench.other, "1,2,-,", "MGET {h}a {h}b {h}none");
        ASSERT_ARRAY(bench.other, "2,-,1,", "MGET {h}b x {h}a");
    }
    ASSERT_INTEGER(bench.client, 2, "EXISTS {h}a {h}none {h}b");
    ASSERT_INTEGER(bench.client, 2, "TOUCH {h}a {h}b x");
    ASSERT_SAYS(bench.client, "OK", "MSET {h}a 3 {h}b 4 {h}c 5");
    ASSERT_ARRAY(bench.client, "3,4,5,", "MGET {h}a {h}b {h}c");
    rig_assert_says(redis_cluster_ask(bench.cluster, from, "GET {h}b"), "4");
    rig_assert_says(redis_cluster_ask(bench.cluster, from, "GET {h}c"), "ASK");
    ASSERT_INTEGER(bench.client, 2, "UNLINK {h}b {h}none {h}c");
    ASSERT_SAYS(bench.client, "OK", "SET {h}b 6");
    ASSERT_INTEGER(bench.client, 1, "DEL {h}none {h}a");
    assert_int_equal(redis_cluster_move_keys(bench.cluster, slot, to, 100), 0);
    assert_int_equal(redis_cluster_finish_move(bench.cluster, slot, to), 0);
    ASSERT_ARRAY(bench.client, "-,6,-,", "MGET {h}a {h}b {h}c");
    assert_int_equal(redis_cluster_settle(bench.cluster, PATIENT_MS), 0);
    close_bench(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_key_is_with_its_owner_and_then_in_l1, cluster_rig_settle),
        cmocka_unit_test_setup(keys_everywhere_are_answered_together, cluster_rig_settle),
        cmocka_unit_test_setup(what_cannot_be_split_is_refused_as_redis_does, cluster_rig_settle),
        cmocka_unit_test_setup(what_concerns_one_node_is_refused, cluster_rig_settle),
        cmocka_unit_test_setup(a_transaction_of_one_slot_is_carried_out_by_its_owner,
                               cluster_rig_settle),
        cmocka_unit_test_setup(a_transaction_follows_its_slot, cluster_rig_settle),
        cmocka_unit_test_setup(the_keyspace_is_that_of_all_nodes, cluster_rig_settle),
        cmocka_unit_test_setup(a_scan_notices_that_slots_have_moved, cluster_rig_settle),
        cmocka_unit_test_setup(a_script_is_known_to_all_nodes, cluster_rig_settle),
        cmocka_unit_test_setup(one_clients_commands_on_a_key_are_in_order, cluster_rig_settle),
        cmocka_unit_test_setup(a_read_that_waits_is_counted_once, cluster_rig_settle),
        cmocka_unit_test_setup(what_others_write_on_any_node_is_heard_of, cluster_rig_settle),
        cmocka_unit_test_setup(a_slot_that_is_half_moved_is_followed_and_not_kept,
                               cluster_rig_settle),
        cmocka_unit_test_setup(several_keys_of_a_slot_that_is_half_moved_are_found_one_by_one,
                               cluster_rig_settle),
    };
    return cmocka_run_group_tests(tests, cluster_rig_start, cluster_rig_stop);
}
