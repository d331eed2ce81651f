/* SPDX-License-Identifier: MIT
 *
 * Commands that block through stratad before a cluster: on every node, and while slots move, roles
 * change and a node dies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "integration/own_rig.h"
#include "integration/stratad_cluster_rig.h"
#include "support/wait.h"

#define LOST                                                                                       \
    "-LOST strata: the connection to redis broke before the answer; a write may have happened\n"

static void wait_for_blocked_at(const struct redis_cluster *cluster, unsigned node, long clients)
{
    redisContext *direct = redis_cluster_connect(cluster, node);
    assert_non_null(direct);
    wait_for_blocked(direct, clients);
    redisFree(direct);
}

static void push(redisContext *client, const char *key, const char *value)
{
    redisReply *reply = redisCommand(client, "RPUSH %s %s", key, value);
    assert_non_null(reply);
    if (reply->type != REDIS_REPLY_INTEGER)
        fail_msg("RPUSH %s: %s", key, reply->str);
    freeReplyObject(reply);
}

/* What BLPOP of a list answers. */
static void expect_popped(int fd, const char *key, const char *value)
{
    char lines[256];
    (void)snprintf(lines, sizeof lines, "*2\n$%zu\n%s\n$%zu\n%s\n", strlen(key), key, strlen(value),
                   value);
    expect(fd, lines);
}

/* ---- all of them, on all nodes ---- */

/* L1 is told of nothing here, so what it has of the keys is old until the command drops it. */
static void block_on(const struct redis_cluster *cluster, redisContext *client, unsigned node,
                     const char *tag, const char *const formats[2])
{
    char line[256], key[96];
    (void)snprintf(key, sizeof key, "{%s}:a", tag);
    freeReplyObject(redisCommand(client, "DEL {%s}:a {%s}:b", tag, tag));
    ASSERT_SAYS(client, "OK", "SET %s old", key);
    ASSERT_SAYS(client, "old", "GET %s", key);
    assert_int_equal(redis_cluster_tell(cluster, node, "DEL %s", key), 0);
    (void)snprintf(line, sizeof line, formats[0], tag, tag);
    assert_int_equal(redisAppendCommand(client, line), REDIS_OK);
    int done = 0;
    while (done == 0)
        assert_int_equal(redisBufferWrite(client, &done), REDIS_OK);
    wait_for_blocked_at(cluster, node, 1);
    (void)snprintf(line, sizeof line, formats[1], tag);
    assert_int_equal(redis_cluster_tell(cluster, node, line), 0);
    redisReply *reply;
    assert_int_equal(redisGetReply(client, (void **)&reply), REDIS_OK);
    if (reply->type != REDIS_REPLY_ARRAY && reply->type != REDIS_REPLY_STRING)
        fail_msg("%s answers %s", formats[0], reply->str);
    freeReplyObject(reply);
    reply = redisCommand(client, "GET %s", key);
    if (reply->str != NULL && strcmp(reply->str, "old") == 0)
        fail_msg("%s, and L1 has %s", formats[0], reply->str);
    freeReplyObject(reply);
}

static void what_blocks_goes_to_the_owner_of_its_keys(void **state)
{
    static const char *const formats[][2] = {
        {"BLPOP {%s}:a 0", "RPUSH {%s}:a x"},
        {"BRPOP {%s}:none {%s}:a 0", "RPUSH {%s}:a x"},
        {"BLMPOP 0 2 {%s}:none {%s}:a LEFT", "RPUSH {%s}:a x"},
        {"BLMOVE {%s}:a {%s}:b LEFT RIGHT 0", "RPUSH {%s}:a x"},
        {"BRPOPLPUSH {%s}:a {%s}:b 0", "RPUSH {%s}:a x"},
        {"BZPOPMIN {%s}:a 0", "ZADD {%s}:a 1 x"},
        {"BZPOPMAX {%s}:none {%s}:a 0", "ZADD {%s}:a 1 x"},
        {"BZMPOP 0 2 {%s}:none {%s}:a MIN", "ZADD {%s}:a 1 x"},
        {"XREAD COUNT 1 BLOCK 0 STREAMS {%s}:a $", "XADD {%s}:a * f x"},
    };
    struct stratad_cluster_bench bench = stratad_cluster_bench_open_untracked(state);
    unsigned nodes = 0;
    for (unsigned node = 0; node < redis_cluster_count(bench.cluster); node++) {
        unsigned n = 0;
        char tag[64];
        if (!redis_cluster_is_primary(bench.cluster, node))
            continue;
        stratad_cluster_key_of(bench.cluster, node, "tag", &n, tag, sizeof tag);
        for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
            block_on(bench.cluster, bench.client, node, tag, formats[i]);
        nodes++;
    }
    assert_int_equal(nodes, 3);
    stratad_cluster_bench_close(&bench);
}

static void a_group_of_a_stream_is_read_where_it_is(void **state)
{
    struct stratad_cluster_bench bench = stratad_cluster_bench_open(state);
    int fd = rig_socket(bench.stratad);
    ASSERT_SAYS(bench.client, "OK", "XGROUP CREATE stream block $ MKSTREAM");
    say(fd, "XREADGROUP GROUP block 5 BLOCK 0 STREAMS stream >\nPING\n");
    wait_for_blocked_at(bench.cluster, stratad_cluster_owner_of(bench.cluster, "stream"), 1);
    ASSERT_SAYS(bench.client, "1-1", "XADD stream 1-1 f v");
    expect(fd, "*1\n*2\n$6\nstream\n*1\n*2\n$3\n1-1\n*2\n$1\nf\n$1\nv\n+PONG\n");
    (void)close(fd);
    stratad_cluster_bench_close(&bench);
}

static void what_redis_refuses_it_refuses_here(void **state)
{
    struct stratad_cluster_bench bench = stratad_cluster_bench_open(state);
    int fd = rig_socket(bench.stratad);
    say(fd, "BLPOP a b 0\nBLPOP a x\nBLPOP a -1\nBLPOP\nBLPOP a 0.01\n"
            "MULTI\nBLPOP a 0\nEXEC\nSET a 1\nBLPOP a 0\nPING\n");
    expect(fd, "-CROSSSLOT Keys in request don't hash to the same slot\n"
               "-ERR timeout is not a float or out of range\n"
               "-ERR timeout is negative\n"
               "-ERR wrong number of arguments for 'blpop' command\n"
               "*-1\n+OK\n+QUEUED\n*1\n*-1\n+OK\n"
               "-WRONGTYPE Operation against a key holding the wrong kind of value\n+PONG\n");
    (void)close(fd);
    fd = rig_socket(bench.stratad);
    say(fd, "HELLO 3\nSUBSCRIBE news\n");
    expect_until(fd, ">3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    say(fd, "BLPOP a 0\nUNSUBSCRIBE\nBLPOP none 0.01\n");
    expect(fd, "-ERR strata: before a Redis Cluster 'blpop' and what the client is subscribed to "
               "need a connection each\n>3\n$11\nunsubscribe\n$4\nnews\n:0\n_\n");
    (void)close(fd);
    stratad_cluster_bench_close(&bench);
}

/* ---- slots that move ---- */

/* Reads the node's MONITOR until it shows the command; the number that is its last word. */
static double watched_time(redisContext *monitor, const char *command)
{
    for (;;) {
        redisReply *reply;
        assert_int_equal(redisGetReply(monitor, (void **)&reply), REDIS_OK);
        char *found = strcasestr(reply->str, command);
        char *last = found != NULL ? strrchr(found, ' ') : NULL;
        double time = last != NULL ? strtod(last + 2, NULL) : 0;
        freeReplyObject(reply);
        if (found != NULL)
            return time;
    }
}

/* Twice, and there is and back again: with an end that is to come, and without one. */
static void a_slot_that_moves_takes_along_who_waits(void **state)
{
    struct stratad_cluster_bench bench = stratad_cluster_bench_open(state);
    int fd = rig_socket(bench.stratad), ends = rig_socket(bench.stratad),
        stream = rig_socket(bench.stratad);
    const struct stratad_cluster_move move = stratad_cluster_move_of(bench.cluster, "{m}q");
    redisContext *monitor = redis_cluster_connect(bench.cluster, move.to);
    ASSERT_SAYS(monitor, "OK", "MONITOR");
    say(fd, "BLPOP {m}q 0\nPING\n");
    say(ends, "BLPOP {m}other {m}ends 600\nPING\n");
    say(stream, "XREAD BLOCK 600000 STREAMS {m}block $\nPING\n");
    wait_for_blocked_at(bench.cluster, move.from, 3);
    stratad_cluster_move_there(&move);
    wait_for_blocked_at(bench.cluster, move.to, 3);
    wait_for_blocked_at(bench.cluster, move.from, 0);
    double left = watched_time(monitor, "\"{m}ends\"");
    assert_true(left > 0 && left < 600);
    redisFree(monitor);
    push(bench.client, "{m}q", "one");
    expect_popped(fd, "{m}q", "one");
    say(fd, "BLPOP {m}q 0\nPING\n");
    expect(fd, "+PONG\n");
    wait_for_blocked_at(bench.cluster, move.to, 3);
    stratad_cluster_move_back(&move);
    wait_for_blocked_at(bench.cluster, move.from, 3);
    push(bench.client, "{m}q", "two");
    push(bench.client, "{m}ends", "three");
    ASSERT_SAYS(bench.client, "1-1", "XADD {m}block 1-1 f v");
    expect_popped(fd, "{m}q", "two");
    expect_popped(ends, "{m}ends", "three");
    expect(stream, "*1\n*2\n$8\n{m}block\n*1\n*2\n$3\n1-1\n*2\n$1\nf\n$1\nv\n+PONG\n");
    expect(fd, "+PONG\n");
    expect(ends, "+PONG\n");
    (void)close(fd);
    (void)close(ends);
    (void)close(stream);
    stratad_cluster_bench_close(&bench);
}

/* The list is not there, so who asks for it now is asked to ask the other one (ASK). */
static void a_slot_on_its_way_is_waited_for_where_it_goes(void **state)
{
    struct stratad_cluster_bench bench = stratad_cluster_bench_open(state);
    int early = rig_socket(bench.stratad), fd = rig_socket(bench.stratad),
        more = rig_socket(bench.stratad);
    const struct stratad_cluster_move move = stratad_cluster_move_of(bench.cluster, "half");
    say(early, "BLPOP half 0\n");
    wait_for_blocked_at(bench.cluster, move.from, 1);
    stratad_cluster_move_begin(&move);
    say(fd, "BLPOP half 0\nPING\n");
    wait_for_blocked_at(bench.cluster, move.to, 1);
    say(more, "BLPOP half 0.01\nPING\n");
    expect(more, "*-1\n+PONG\n");
    push(bench.client, "half", "one");
    expect_popped(fd, "half", "one");
    expect(fd, "+PONG\n");
    wait_for_blocked_at(bench.cluster, move.from, 1);
    stratad_cluster_move_finish(&move);
    wait_for_blocked_at(bench.cluster, move.to, 1);
    push(bench.client, "half", "two");
    expect_popped(early, "half", "two");
    (void)close(early);
    (void)close(fd);
    (void)close(more);
    stratad_cluster_bench_close(&bench);
}

/* ---- nodes ---- */

static void who_waits_follows_a_fail_over(void **state)
{
    struct stratad_cluster_bench bench = stratad_cluster_bench_open(state);
    int fd = rig_socket(bench.stratad), ends = rig_socket(bench.stratad);
    unsigned from = stratad_cluster_owner_of(bench.cluster, "{o}q");
    int replica = redis_cluster_replica(bench.cluster, from);
    assert_true(replica >= 0);
    say(fd, "BLPOP {o}q 0\nPING\n");
    say(ends, "BZPOPMIN {o}z 600\nPING\n");
    wait_for_blocked_at(bench.cluster, from, 2);
    assert_int_equal(redis_cluster_failover(bench.cluster, (unsigned)replica, ""), 0);
    wait_for_blocked_at(bench.cluster, (unsigned)replica, 2);
    push(bench.client, "{o}q", "x");
    expect_popped(fd, "{o}q", "x");
    freeReplyObject(redisCommand(bench.client, "ZADD {o}z 1 m"));
    expect(ends, "*3\n$4\n{o}z\n$1\nm\n$1\n1\n+PONG\n");
    expect(fd, "+PONG\n");
    (void)close(fd);
    (void)close(ends);
    stratad_cluster_bench_close(&bench);
}

/* Nobody knows whether it was served. Who asks anew waits for the new primary. */
static void a_node_that_dies_ends_what_waits_on_it(void **state)
{
    struct stratad_cluster_bench bench = stratad_cluster_bench_open(state);
    unsigned n = 0, victim = stratad_cluster_owner_of(bench.cluster, "dies"),
             other = stratad_cluster_other_primary(bench.cluster, victim);
    int replica = redis_cluster_replica(bench.cluster, victim);
    char key[64];
    stratad_cluster_key_of(bench.cluster, other, "lives", &n, key, sizeof key);
    int fd = rig_socket(bench.stratad), stays = rig_socket(bench.stratad);
    char line[128];
    (void)snprintf(line, sizeof line, "BLPOP %s 0\n", key);
    say(fd, "BLPOP dies 0\n");
    say(stays, line);
    wait_for_blocked_at(bench.cluster, victim, 1);
    wait_for_blocked_at(bench.cluster, other, 1);
    redis_cluster_kill9(bench.cluster, victim);
    expect(fd, LOST);
    say(fd, "BLPOP dies 0\n");
    wait_for_blocked_at(bench.cluster, (unsigned)replica, 1);
    assert_int_equal(redis_cluster_tell(bench.cluster, (unsigned)replica, "RPUSH dies back"), 0);
    expect_popped(fd, "dies", "back");
    push(bench.client, key, "x");
    expect_popped(stays, key, "x");
    (void)close(fd);
    (void)close(stays);
    stratad_cluster_bench_close(&bench);
}

/* It can be connected to, and so it is not said that it cannot. */
static void who_does_not_answer_is_named(void **state)
{
    static const char *const args[] = {"--socket-timeout", "0.3", NULL};
    struct cluster_rig *rig = *state;
    struct redis_cluster *cluster = rig->cluster;
    struct stratad_process *stratad = stratad_cluster_start(rig, args);
    redisContext *client = rig_client(stratad), *other = rig_client(stratad);
    char late[128], silent[128];
    unsigned owner = stratad_cluster_owner_of(cluster, "frozen");
    const char *address = redis_cluster_address(cluster, owner);
    assert_true(wait_until(answers_ok, client, OWN_RIG_PATIENCE_MS));
    push(client, "frozen", "x");
    (void)snprintf(silent, sizeof silent, "UNAVAILABLE strata: node %s did not answer within ",
                   address);
    (void)snprintf(late, sizeof late, "TIMEOUT strata: no answer from node %s within 300 ms",
                   address);
    redis_cluster_freeze(cluster, owner);
    ASSERT_SAYS(other, silent, "BLPOP none{frozen} 1"); /* on a connection of its own, */
    for (bool told = false; !told;) {                   /* and on one that there is */
        redisReply *reply = redisCommand(client, "STRLEN {frozen}none");
        assert_non_null(reply);
        told = reply->str != NULL && strncmp(reply->str, silent, strlen(silent)) == 0;
        if (told)
            freeReplyObject(reply);
        else
            rig_assert_says(reply, late);
    }
    redis_cluster_thaw(cluster, owner);
    redisFree(other);
    redisFree(client);
    stratad_process_stop(&stratad);
}

/* ---- ends ---- */

static void who_leaves_takes_it_along(void **state)
{
    struct stratad_cluster_bench bench = stratad_cluster_bench_open(state);
    const struct stratad_cluster_move move = stratad_cluster_move_of(bench.cluster, "left");
    int fd = rig_socket(bench.stratad), moved = rig_socket(bench.stratad),
        last = rig_socket(bench.stratad);
    say(fd, "BLPOP left 0\nGET a\n");
    say(moved, "BLPOP left 0\nGET a\n");
    wait_for_blocked_at(bench.cluster, move.from, 2);
    (void)close(fd);
    wait_for_blocked_at(bench.cluster, move.from, 1);
    stratad_cluster_move_there(&move);
    wait_for_blocked_at(bench.cluster, move.to, 1);
    (void)close(moved);
    wait_for_blocked_at(bench.cluster, move.to, 0);
    struct fact fact = {bench.client, "open", 0};
    assert_true(wait_until(own_is, &fact, OWN_RIG_PATIENCE_MS));
    say(last, "BLPOP left 0\n");
    wait_for_blocked_at(bench.cluster, move.to, 1);
    assert_int_equal(stratad_process_terminate(bench.stratad, OWN_RIG_PATIENCE_MS), 0);
    expect(last, LOST);
    expect_closed(last);
    stratad_cluster_bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_blocks_goes_to_the_owner_of_its_keys, cluster_rig_settle),
        cmocka_unit_test_setup(a_group_of_a_stream_is_read_where_it_is, cluster_rig_settle),
        cmocka_unit_test_setup(what_redis_refuses_it_refuses_here, cluster_rig_settle),
        cmocka_unit_test_setup(a_slot_that_moves_takes_along_who_waits, cluster_rig_settle),
        cmocka_unit_test_setup(a_slot_on_its_way_is_waited_for_where_it_goes, cluster_rig_settle),
        cmocka_unit_test_setup(who_waits_follows_a_fail_over, cluster_rig_settle),
        cmocka_unit_test_setup(a_node_that_dies_ends_what_waits_on_it, cluster_rig_settle),
        cmocka_unit_test_setup(who_does_not_answer_is_named, cluster_rig_settle),
        cmocka_unit_test_setup(who_leaves_takes_it_along, cluster_rig_settle),
    };
    return cmocka_run_group_tests(tests, cluster_rig_start, cluster_rig_stop);
}
