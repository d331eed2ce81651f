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
    struct cluster_rig *rig = *state;
    static struct steps steps[WRITERS];
    pthread_t threads[WRITERS];
    unsigned done[3] = {0}, keys = 0;
    redisContext *client;
    struct stratad_process *stratad = stratad_cluster_start_patient(rig, &client);
    for (unsigned node = 0; node < redis_cluster_count(rig->cluster); node++) {
        unsigned n = 0;
        if (!redis_cluster_is_primary(rig->cluster, node))
            continue;
        stratad_cluster_key_of(rig->cluster, node, "steps", &n, steps[0].keys[keys],
                               sizeof steps[0].keys[keys]);
        keys++;
    }
    assert_int_equal(keys, 3);
    for (unsigned i = 0; i < WRITERS; i++) {
        memcpy(steps[i].keys, steps[0].keys, sizeof steps[0].keys);
        steps[i].client = rig_client(stratad);
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
        assert_has(rig->cluster, steps[0].keys[key], value);
    }
    redisFree(client);
    stratad_process_stop(&stratad);
}

/* L1 is told of nothing here: what it has is old, and is not read behind WATCH. */
static void behind_watch_all_is_of_one_slot_and_of_redis(void **state)
{
    static const char crossed[] = "CROSSSLOT Keys in request don't hash to the same slot",
                      several[] = "ERR strata: behind WATCH and inside a transaction before a "
                                  "cluster all must concern one slot";
    struct cluster_rig *rig = *state;
    struct redis_cluster *cluster = rig->cluster;
    redisContext *client;
    assert_int_equal(setenv("STRATA_TRACKING", "off", 1), 0);
    struct stratad_process *stratad = stratad_cluster_start_patient(rig, &client);
    (void)unsetenv("STRATA_TRACKING");
    ASSERT_SAYS(client, "OK", "SET {w}k old");
    ASSERT_SAYS(client, "OK", "SET elsewhere old");
    ASSERT_SAYS(client, "old", "GET {w}k");
    ASSERT_SAYS(client, crossed, "WATCH {w}k elsewhere");
    ASSERT_SAYS(client, "OK", "WATCH {w}k {w}other");

    ASSERT_SAYS(client, crossed, "WATCH elsewhere");
    ASSERT_SAYS(client, crossed, "GET elsewhere");
    ASSERT_SAYS(client, crossed, "MGET {w}k elsewhere");
    ASSERT_SAYS(client, crossed, "BLPOP elsewhere 0");
    ASSERT_SAYS(client, several, "DBSIZE");
    ASSERT_SAYS(client, several, "FLUSHALL");
    ASSERT_SAYS(client, "PONG", "PING");
    freeReplyObject(redisCommand(client, "PUBLISH nobody x"));
    ASSERT_SAYS(client, "old", "GET {w}k");
    assert_carried_out(set_in_transaction(client, "{w}k"));
    ASSERT_SAYS(client, "carried-out", "GET {w}k");
    ASSERT_SAYS(client, "old", "GET elsewhere");
    ASSERT_SAYS(client, "OK", "WATCH {w}k");
    assert_int_equal(
        redis_cluster_tell(cluster, stratad_cluster_owner_of(cluster, "{w}k"), "SET {w}k new"), 0);
    ASSERT_SAYS(client, "new", "GET {w}k");
    assert_nil(set_in_transaction(client, "{w}k"));
    ASSERT_SAYS(client, "OK", "WATCH {w}k");
    ASSERT_SAYS(client, "OK", "MULTI");
    ASSERT_SAYS(client, crossed, "SET elsewhere inside");
    ASSERT_SAYS(client, "EXECABORT ", "EXEC");
    ASSERT_SAYS(client, "OK", "WATCH elsewhere");
    ASSERT_SAYS(client, "OK", "UNWATCH");
    ASSERT_SAYS(client, "new", "GET {w}k");
    assert_has(cluster, "{w}k", "new");
    assert_has(cluster, "elsewhere", "old");
    redisFree(client);
    stratad_process_stop(&stratad);
}

/* ---- slots that move ---- */

/* With a key that is there (`value`), or not: nothing happens to that in its old node. */
static void move_behind_watch(struct redis_cluster *cluster, redisContext *client, const char *key,
                              const char *value, bool asks)
{
    unsigned from = stratad_cluster_owner_of(cluster, key),
             to = stratad_cluster_other_primary(cluster, from);
    if (value != NULL)
        ASSERT_SAYS(client, "OK", "SET %s %s", key, value);
    ASSERT_SAYS(client, "OK", "WATCH %s", key);
    assert_int_equal(redis_cluster_move_slot(cluster, redis_cluster_slot(cluster, key), to), 0);
    if (asks)
        ASSERT_SAYS(client, "UNAVAILABLE strata: ", "GET %s", key);
    redisReply *reply = set_in_transaction(client, key);
    if (reply->type != REDIS_REPLY_NIL && reply->type != REDIS_REPLY_ERROR)
        fail_msg("%s: carried out", key);
    if (reply->type == REDIS_REPLY_ERROR)
        assert_memory_equal(reply->str, "EXECABORT ", 10);
    freeReplyObject(reply);
    assert_has(cluster, key, value);
    ASSERT_SAYS(client, "OK", "WATCH %s", key);
    assert_carried_out(set_in_transaction(client, key));
    assert_has(cluster, key, "carried-out");
}

static void a_slot_that_moves_behind_watch_ends_the_transaction(void **state)
{
    struct cluster_rig *rig = *state;
    redisContext *client;
    struct stratad_process *stratad = stratad_cluster_start_patient(rig, &client);
    move_behind_watch(rig->cluster, client, "move:a", NULL, false);
    move_behind_watch(rig->cluster, client, "move:b", "old", false);
    move_behind_watch(rig->cluster, client, "move:c", NULL, true);
    move_behind_watch(rig->cluster, client, "move:d", "old", true);
    redisFree(client);
    stratad_process_stop(&stratad);
}

/* What was sent behind one another, when the slot had moved already: the first is told so, and
 * nothing of the rest is carried out. */
static void what_is_pipelined_behind_it_is_not_carried_out(void **state)
{
    struct cluster_rig *rig = *state;
    struct redis_cluster *cluster = rig->cluster;
    redisContext *client;
    struct stratad_process *stratad = stratad_cluster_start_patient(rig, &client);
    int fd = rig_socket(stratad);
    unsigned from = stratad_cluster_owner_of(cluster, "piped"),
             to = stratad_cluster_other_primary(cluster, from);
    say(fd, "WATCH piped\n");
    expect(fd, "+OK\n");
    assert_int_equal(redis_cluster_move_slot(cluster, redis_cluster_slot(cluster, "piped"), to), 0);
    say(fd, "GET piped\nMULTI\nSET piped carried-out\nEXEC\nPING\n");
    expect_until(fd, "+PONG\r\n");
    assert_has(cluster, "piped", NULL);
    say(fd, "WATCH piped\nGET piped\nMULTI\nSET piped carried-out\nEXEC\n");
    expect(fd, "+OK\n$-1\n+OK\n+QUEUED\n*1\n+OK\n");
    assert_has(cluster, "piped", "carried-out");
    (void)close(fd);
    redisFree(client);
    stratad_process_stop(&stratad);
}

static void a_slot_on_its_way_is_not_written_to_as_if_it_were_not(void **state)
{
    struct cluster_rig *rig = *state;
    struct redis_cluster *cluster = rig->cluster;
    redisContext *client;
    struct stratad_process *stratad = stratad_cluster_start_patient(rig, &client);
    unsigned slot = redis_cluster_slot(cluster, "half");
    unsigned from = stratad_cluster_owner_of(cluster, "half"),
             to = stratad_cluster_other_primary(cluster, from);
    ASSERT_SAYS(client, "OK", "WATCH half");
    assert_int_equal(redis_cluster_begin_move(cluster, slot, to), 0);
    redisReply *reply = set_in_transaction(client, "half");
    rig_assert_says(reply, "EXECABORT Transaction discarded because of: ASK ");
    ASSERT_SAYS(client, "OK", "SET half old");
    assert_int_equal(redis_cluster_finish_move(cluster, slot, to), 0);
    assert_has(cluster, "half", "old");
    ASSERT_SAYS(client, "OK", "WATCH half");
    ASSERT_SAYS(client, "old", "GET half");
    assert_carried_out(set_in_transaction(client, "half"));
    redisFree(client);
    stratad_process_stop(&stratad);
}

/* ---- nodes ---- */

static void a_fail_over_behind_watch_ends_the_transaction(void **state)
{
    struct cluster_rig *rig = *state;
    struct redis_cluster *cluster = rig->cluster;
    redisContext *client;
    struct stratad_process *stratad = stratad_cluster_start_patient(rig, &client);
    int replica = redis_cluster_replica(cluster, stratad_cluster_owner_of(cluster, "role"));
    assert_true(replica >= 0);
    ASSERT_SAYS(client, "OK", "SET role old");
    ASSERT_SAYS(client, "OK", "WATCH role");
    ASSERT_SAYS(client, "old", "GET role");
    assert_int_equal(redis_cluster_failover(cluster, (unsigned)replica, ""), 0);
    redisReply *reply = set_in_transaction(client, "role");
    if (reply->type != REDIS_REPLY_NIL)
        assert_memory_equal(reply->str, "EXECABORT ", 10);
    freeReplyObject(reply);
    assert_has(cluster, "role", "old");
    ASSERT_SAYS(client, "OK", "WATCH role");
    assert_carried_out(set_in_transaction(client, "role"));
    assert_has(cluster, "role", "carried-out");
    redisFree(client);
    stratad_process_stop(&stratad);
}

/* What was asked for between MULTI and the death is not carried out by the new primary, and WATCH
 * waits for that. */
static void a_node_that_dies_behind_watch_ends_the_transaction(void **state)
{
    struct cluster_rig *rig = *state;
    struct redis_cluster *cluster = rig->cluster;
    redisContext *client;
    struct stratad_process *stratad = stratad_cluster_start_patient(rig, &client);
    int inside = rig_socket(stratad);
    unsigned victim = stratad_cluster_owner_of(cluster, "dead");
    ASSERT_SAYS(client, "OK", "WATCH dead");
    say(inside, "WATCH dead\nMULTI\nSET dead carried-out\n");
    expect(inside, "+OK\n+OK\n+QUEUED\n");
    redis_cluster_kill9(cluster, victim);
    redisContext *other = rig_client(stratad);
    struct fact fact = {other, "open", 0};
    assert_true(wait_until(own_is, &fact, OWN_RIG_PATIENCE_MS));
    redisReply *reply = set_in_transaction(client, "dead");
    rig_assert_says(reply, "EXECABORT strata: the connection to redis on which keys were watched");
    say(inside, "EXEC\n");
    expect_until(inside, "nothing was carried out\r\n");
    ASSERT_SAYS(client, "OK", "WATCH dead");
    assert_has(cluster, "dead", NULL);
    assert_carried_out(set_in_transaction(client, "dead"));
    assert_has(cluster, "dead", "carried-out");
    (void)close(inside);
    redisFree(other);
    redisFree(client);
    stratad_process_stop(&stratad);
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
        cmocka_unit_test_setup(a_fail_over_behind_watch_ends_the_transaction, cluster_rig_settle),
        cmocka_unit_test_setup(a_node_that_dies_behind_watch_ends_the_transaction,
                               cluster_rig_settle),
    };
    return cmocka_run_group_tests(tests, cluster_rig_start, cluster_rig_stop);
}
