/* SPDX-License-Identifier: MIT
 *
 * WATCH through stratad before a cluster: on every node, and where the slot of what is watched
 * moves, its owner becomes a replica or dies. Nothing is carried out then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "integration/own_rig.h"
#include "integration/stratad_cluster_rig.h"
#include "support/wait.h"

#define WRITERS 4u
#define STEPS   40u

/* Of the owner himself. */
static void assert_has(const struct redis_cluster *cluster, const char *key, const char *value)
{
    redisReply *reply =
        redis_cluster_ask(cluster, stratad_cluster_owner_of(cluster, key), "GET %s", key);
    assert_non_null(reply);
    if (value == NULL)
        assert_int_equal(reply->type, REDIS_REPLY_NIL);
    else
        assert_string_equal(reply->str, value);
    freeReplyObject(reply);
}

/* A transaction that sets the key to "carried out"; what EXEC says. */
static redisReply *set_in_transaction(redisContext *client, const char *key)
{
    ASSERT_SAYS(client, "OK", "MULTI");
    ASSERT_SAYS(client, "QUEUED", "SET %s carried-out", key);
    redisReply *reply = redisCommand(client, "EXEC");
    assert_non_null(reply);
    return reply;
}

static void assert_carried_out(redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY)
        fail_msg("EXEC: %s", reply->str);
    assert_string_equal(reply->element[0]->str, "OK");
    freeReplyObject(reply);
}

static void assert_nil(redisReply *reply)
{
    if (reply->type != REDIS_REPLY_NIL)
        fail_msg("EXEC: type %d, %s", reply->type, reply->str);
    freeReplyObject(reply);
}

/* ---- on every node ---- */

struct steps {
    redisContext *client;
    char keys[3][64]; /* of the three primaries */
    unsigned done[3];
    char wrong[128];
};

static bool step(struct steps *steps, const char *key)
{
    char value[32];
    freeReplyObject(redisCommand(steps->client, "WATCH %s", key));
    redisReply *reply = redisCommand(steps->client, "GET %s", key);
    (void)snprintf(value, sizeof value, "%u",
                   reply->str != NULL ? (unsigned)atoi(reply->str) + 1 : 1);
    freeReplyObject(reply);
    freeReplyObject(redisCommand(steps->client, "MULTI"));
    freeReplyObject(redisCommand(steps->client, "SET %s %s", key, value));
    reply = redisCommand(steps->client, "EXEC");
    bool done = reply->type == REDIS_REPLY_ARRAY;
    if (reply->type == REDIS_REPLY_ERROR)
        (void)snprintf(steps->wrong, sizeof steps->wrong, "%s", reply->str);
    freeReplyObject(reply);
    return done;
}

static void *step_on(void *arg)
{
    struct steps *steps = arg;
    for (unsigned i = 0; i < 3 * STEPS && steps->wrong[0] == '\0'; i++)
        steps->done[i % 3] += step(steps, steps->keys[i % 3]);
    return NULL;
}

static void nothing_is_lost_among_those_who_watch(void **state)
{
    static struct steps steps[WRITERS];
    pthread_t threads[WRITERS];
    unsigned done[3] = {0}, keys = 0;
    struct stratad_cluster_bench bench = stratad_cluster_bench_open(state);
    for (unsigned node = 0; node < redis_cluster_count(bench.cluster); node++) {
        unsigned n = 0;
        if (!redis_cluster_is_primary(bench.cluster, node))
            continue;
        stratad_cluster_key_of(bench.cluster, node, "steps", &n, steps[0].keys[keys],
                               sizeof steps[0].keys[keys]);
        keys++;
    }
    assert_int_equal(keys, 3);
    for (unsigned i = 0; i < WRITERS; i++) {
        memcpy(steps[i].keys, steps[0].keys, sizeof steps[0].keys);
        steps[i].client = rig_client(bench.stratad);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, step_on, &steps[i]), 0);
    for (unsigned i = 0; i < WRITERS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_string_equal(steps[i].wrong, "");
        for (unsigned key = 0; key < 3; key++)
            done[key] += steps[i].done[key];
        redisFree(steps[i].client);
    }
    for (unsigned key = 0; key < 3; key++) {
        char value[32];
        (void)snprintf(value, sizeof value, "%u", done[key]);
        assert_true(done[key] > 0);
        assert_has(bench.cluster, steps[0].keys[key], value);
    }
    stratad_cluster_bench_close(&bench);
}

/* L1 is told of nothing here: what it has is old, and is not read behind WATCH. */
static void behind_watch_all_is_of_one_slot_and_of_redis(void **state)
{
    static const char crossed[] = "CROSSSLOT Keys in request don't hash to the same slot",
                      several[] = "ERR strata: behind WATCH and inside a transaction before a "
                                  "cluster all must concern one slot";
    struct stratad_cluster_bench bench = stratad_cluster_bench_open_untracked(state);
    ASSERT_SAYS(bench.client, "OK", "SET {w}k old");
    ASSERT_SAYS(bench.client, "OK", "SET elsewhere old");
    ASSERT_SAYS(bench.client, "old", "GET {w}k");
    ASSERT_SAYS(bench.client, crossed, "WATCH {w}k elsewhere");
    ASSERT_SAYS(bench.client, "OK", "WATCH {w}k {w}other");

    ASSERT_SAYS(bench.client, crossed, "WATCH elsewhere");
    ASSERT_SAYS(bench.client, crossed, "GET elsewhere");
    ASSERT_SAYS(bench.client, crossed, "MGET {w}k elsewhere");
    ASSERT_SAYS(bench.client, crossed, "BLPOP elsewhere 0");
    ASSERT_SAYS(bench.client, several, "DBSIZE");
    ASSERT_SAYS(bench.client, several, "FLUSHALL");
    ASSERT_SAYS(bench.client, "PONG", "PING");
    freeReplyObject(redisCommand(bench.client, "PUBLISH nobody x"));
    ASSERT_SAYS(bench.client, "old", "GET {w}k");
    assert_carried_out(set_in_transaction(bench.client, "{w}k"));
    ASSERT_SAYS(bench.client, "carried-out", "GET {w}k");
    ASSERT_SAYS(bench.client, "old", "GET elsewhere");
    ASSERT_SAYS(bench.client, "OK", "WATCH {w}k");
    assert_int_equal(redis_cluster_tell(bench.cluster,
                                        stratad_cluster_owner_of(bench.cluster, "{w}k"),
                                        "SET {w}k new"),
                     0);
    ASSERT_SAYS(bench.client, "new", "GET {w}k");
    assert_nil(set_in_transaction(bench.client, "{w}k"));
    ASSERT_SAYS(bench.client, "OK", "WATCH {w}k");
    ASSERT_SAYS(bench.client, "OK", "MULTI");
    ASSERT_SAYS(bench.client, crossed, "SET elsewhere inside");
    ASSERT_SAYS(bench.client, "EXECABORT ", "EXEC");
    ASSERT_SAYS(bench.client, "OK", "WATCH elsewhere");
    ASSERT_SAYS(bench.client, "OK", "UNWATCH");
    ASSERT_SAYS(bench.client, "new", "GET {w}k");
    assert_has(bench.cluster, "{w}k", "new");
    assert_has(bench.cluster, "elsewhere", "old");
    stratad_cluster_bench_close(&bench);
}

/* ---- slots that move ---- */

/* With a key that is there (`value`), or not: nothing happens to that in its old node. */
static void move_behind_watch(const struct stratad_cluster_bench *bench, const char *key,
                              const char *value, bool asks)
{
    const struct stratad_cluster_move move = stratad_cluster_move_of(bench->cluster, key);
    if (value != NULL)
        ASSERT_SAYS(bench->client, "OK", "SET %s %s", key, value);
    ASSERT_SAYS(bench->client, "OK", "WATCH %s", key);
    stratad_cluster_move_there(&move);
    if (asks)
        ASSERT_SAYS(bench->client, "UNAVAILABLE strata: ", "GET %s", key);
    redisReply *reply = set_in_transaction(bench->client, key);
    if (reply->type != REDIS_REPLY_NIL && reply->type != REDIS_REPLY_ERROR)
        fail_msg("%s: carried out", key);
    if (reply->type == REDIS_REPLY_ERROR)
        assert_memory_equal(reply->str, "EXECABORT ", 10);
    freeReplyObject(reply);
    assert_has(bench->cluster, key, value);
    ASSERT_SAYS(bench->client, "OK", "WATCH %s", key);
    assert_carried_out(set_in_transaction(bench->client, key));
    assert_has(bench->cluster, key, "carried-out");
}

static void a_slot_that_moves_behind_watch_ends_the_transaction(void **state)
{
    struct stratad_cluster_bench bench = stratad_cluster_bench_open(state);
    move_behind_watch(&bench, "move:a", NULL, false);
    move_behind_watch(&bench, "move:b", "old", false);
    move_behind_watch(&bench, "move:c", NULL, true);
    move_behind_watch(&bench, "move:d", "old", true);
    stratad_cluster_bench_close(&bench);
}

/* What was sent behind one another, when the slot had moved already: the first is told so, and
 * nothing of the rest is carried out. */
static void what_is_pipelined_behind_it_is_not_carried_out(void **state)
{
    struct stratad_cluster_bench bench = stratad_cluster_bench_open(state);
    int fd = rig_socket(bench.stratad);
    const struct stratad_cluster_move move = stratad_cluster_move_of(bench.cluster, "piped");
    say(fd, "WATCH piped\n");
    expect(fd, "+OK\n");
    stratad_cluster_move_there(&move);
    say(fd, "GET piped\nMULTI\nSET piped carried-out\nEXEC\nPING\n");
    expect_until(fd, "+PONG\r\n");
    assert_has(bench.cluster, "piped", NULL);
    say(fd, "WATCH piped\nGET piped\nMULTI\nSET piped carried-out\nEXEC\n");
    expect(fd, "+OK\n$-1\n+OK\n+QUEUED\n*1\n+OK\n");
    assert_has(bench.cluster, "piped", "carried-out");
    (void)close(fd);
    stratad_cluster_bench_close(&bench);
}

static void a_slot_on_its_way_is_not_written_to_as_if_it_were_not(void **state)
{
    struct stratad_cluster_bench bench = stratad_cluster_bench_open(state);
    const struct stratad_cluster_move move = stratad_cluster_move_of(bench.cluster, "half");
    ASSERT_SAYS(bench.client, "OK", "WATCH half");
    stratad_cluster_move_begin(&move);
    redisReply *reply = set_in_transaction(bench.client, "half");
    rig_assert_says(reply, "EXECABORT Transaction discarded because of: ASK ");
    ASSERT_SAYS(bench.client, "OK", "SET half old");
    stratad_cluster_move_finish(&move);
    assert_has(bench.cluster, "half", "old");
    ASSERT_SAYS(bench.client, "OK", "WATCH half");
    ASSERT_SAYS(bench.client, "old", "GET half");
    assert_carried_out(set_in_transaction(bench.client, "half"));
    stratad_cluster_bench_close(&bench);
}

/* Another client's SET, wherever the key is. */
static void set_by_another(const struct stratad_cluster_bench *bench, const char *key)
{
    redisContext *other = rig_client(bench->stratad);
    ASSERT_SAYS(other, "OK", "SET %s others", key);
    redisFree(other);
}

/* Who asks for it is sent on by ASK: for one key, and for one command. A WATCH that went there
 * would be one whose reads and whose EXEC go elsewhere; so it waits for the slot, which comes (the
 * first time), or says that it did not (the second). */
static void a_key_that_has_moved_before_its_slot_is_watched_where_it_stays(void **state)
{
    static const char *const args[] = {"--socket-timeout", "0.3", NULL};
    struct cluster_rig *rig = *state;
    struct stratad_cluster_bench bench = stratad_cluster_bench_open(state);
    struct stratad_process *hasty = stratad_cluster_start(rig, args);
    redisContext *client = rig_client(hasty);
    const struct stratad_cluster_move move = stratad_cluster_move_of(bench.cluster, "{h}gone");
    int fd = rig_socket(bench.stratad);
    ASSERT_SAYS(bench.client, "OK", "SET {h}gone old");
    assert_true(wait_until(answers_ok, client, OWN_RIG_PATIENCE_MS));
    stratad_cluster_move_begin(&move);
    assert_int_equal(redis_cluster_move_keys(bench.cluster, move.slot, move.to, 1), 0);
    ASSERT_SAYS(bench.client, "old", "GET {h}gone");

    ASSERT_SAYS(client, "UNAVAILABLE strata: the slot is on its way to another node; nothing was",
                "WATCH {h}gone");
    rig_assert_says(set_in_transaction(client, "{h}gone"), "EXECABORT strata: ");
    set_by_another(&bench, "{h}gone");

    say(fd, "WATCH {h}gone\nGET {h}gone\nMULTI\nSET {h}gone carried-out\nPING\n");
    stratad_cluster_move_finish(&move);
    expect(fd, "+OK\n$6\nothers\n+OK\n+QUEUED\n+QUEUED\n");
    set_by_another(&bench, "{h}gone");
    say(fd, "EXEC\nWATCH {h}gone\nGET {h}gone\nMULTI\nSET {h}gone carried-out\nEXEC\n");
    expect(fd, "*-1\n+OK\n$6\nothers\n+OK\n+QUEUED\n*1\n+OK\n");
    assert_has(bench.cluster, "{h}gone", "carried-out");
    (void)close(fd);
    redisFree(client);
    stratad_process_stop(&hasty);
    stratad_cluster_bench_close(&bench);
}

/* The first is there still, the second has moved: the watch of both is lost, and that is said. */
static void a_key_that_has_moved_ends_what_is_watched_with_it(void **state)
{
    struct stratad_cluster_bench bench = stratad_cluster_bench_open(state);
    const struct stratad_cluster_move move = stratad_cluster_move_of(bench.cluster, "{i}gone");
    ASSERT_SAYS(bench.client, "OK", "SET {i}gone old");
    stratad_cluster_move_begin(&move);
    assert_int_equal(redis_cluster_move_keys(bench.cluster, move.slot, move.to, 1), 0);
    assert_int_equal(
        redis_cluster_tell(bench.cluster, move.from, "CLUSTER SETSLOT %u STABLE", move.slot), 0);
    ASSERT_SAYS(bench.client, "OK", "SET {i}here old");
    assert_int_equal(redis_cluster_tell(bench.cluster, move.from, "CLUSTER SETSLOT %u MIGRATING %s",
                                        move.slot, redis_cluster_id(bench.cluster, move.to)),
                     0);
    ASSERT_SAYS(bench.client, "OK", "WATCH {i}here");
    ASSERT_SAYS(bench.client, "UNAVAILABLE strata: ", "WATCH {i}gone");
    rig_assert_says(set_in_transaction(bench.client, "{i}here"), "EXECABORT strata: ");
    assert_int_equal(redis_cluster_move_keys(bench.cluster, move.slot, move.to, 1), 0);
    stratad_cluster_move_finish(&move);
    assert_has(bench.cluster, "{i}here", "old");
    ASSERT_SAYS(bench.client, "OK", "WATCH {i}here {i}gone");
    assert_carried_out(set_in_transaction(bench.client, "{i}here"));
    stratad_cluster_bench_close(&bench);
}

/* ---- nodes ---- */

static void a_fail_over_behind_watch_ends_the_transaction(void **state)
{
    struct stratad_cluster_bench bench = stratad_cluster_bench_open(state);
    int replica =
        redis_cluster_replica(bench.cluster, stratad_cluster_owner_of(bench.cluster, "role"));
    assert_true(replica >= 0);
    ASSERT_SAYS(bench.client, "OK", "SET role old");
    ASSERT_SAYS(bench.client, "OK", "WATCH role");
    ASSERT_SAYS(bench.client, "old", "GET role");
    assert_int_equal(redis_cluster_failover(bench.cluster, (unsigned)replica, ""), 0);
    redisReply *reply = set_in_transaction(bench.client, "role");
    if (reply->type != REDIS_REPLY_NIL)
        assert_memory_equal(reply->str, "EXECABORT ", 10);
    freeReplyObject(reply);
    assert_has(bench.cluster, "role", "old");
    ASSERT_SAYS(bench.client, "OK", "WATCH role");
    assert_carried_out(set_in_transaction(bench.client, "role"));
    assert_has(bench.cluster, "role", "carried-out");
    stratad_cluster_bench_close(&bench);
}

/* What was asked for between MULTI and the death is not carried out by the new primary, and WATCH
 * waits for that. */
static void a_node_that_dies_behind_watch_ends_the_transaction(void **state)
{
    struct stratad_cluster_bench bench = stratad_cluster_bench_open(state);
    int inside = rig_socket(bench.stratad);
    unsigned victim = stratad_cluster_owner_of(bench.cluster, "dead");
    ASSERT_SAYS(bench.client, "OK", "WATCH dead");
    say(inside, "WATCH dead\nMULTI\nSET dead carried-out\n");
    expect(inside, "+OK\n+OK\n+QUEUED\n");
    redis_cluster_kill9(bench.cluster, victim);
    redisContext *other = rig_client(bench.stratad);
    struct fact fact = {other, "open", 0};
    assert_true(wait_until(own_is, &fact, OWN_RIG_PATIENCE_MS));
    redisReply *reply = set_in_transaction(bench.client, "dead");
    rig_assert_says(reply, "EXECABORT strata: the connection to redis on which keys were watched");
    say(inside, "EXEC\n");
    expect_until(inside, "nothing was carried out\r\n");
    ASSERT_SAYS(bench.client, "OK", "WATCH dead");
    assert_has(bench.cluster, "dead", NULL);
    assert_carried_out(set_in_transaction(bench.client, "dead"));
    assert_has(bench.cluster, "dead", "carried-out");
    (void)close(inside);
    redisFree(other);
    stratad_cluster_bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_is_lost_among_those_who_watch, cluster_rig_settle),
        cmocka_unit_test_setup(behind_watch_all_is_of_one_slot_and_of_redis, cluster_rig_settle),
        cmocka_unit_test_setup(a_slot_that_moves_behind_watch_ends_the_transaction,
                               cluster_rig_settle),
        cmocka_unit_test_setup(what_is_pipelined_behind_it_is_not_carried_out, cluster_rig_settle),
        cmocka_unit_test_setup(a_slot_on_its_way_is_not_written_to_as_if_it_were_not,
                               cluster_rig_settle),
        cmocka_unit_test_setup(a_key_that_has_moved_before_its_slot_is_watched_where_it_stays,
                               cluster_rig_settle),
        cmocka_unit_test_setup(a_key_that_has_moved_ends_what_is_watched_with_it,
                               cluster_rig_settle),
        cmocka_unit_test_setup(a_fail_over_behind_watch_ends_the_transaction, cluster_rig_settle),
        cmocka_unit_test_setup(a_node_that_dies_behind_watch_ends_the_transaction,
                               cluster_rig_settle),
    };
    return cmocka_run_group_tests(tests, cluster_rig_start, cluster_rig_stop);
}
