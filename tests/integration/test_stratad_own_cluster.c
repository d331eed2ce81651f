/* SPDX-License-Identifier: MIT
 *
 * Subscriptions through stratad before a cluster: whatever node a message is published on, and
 * while roles change, slots move and a node dies.
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

#define LISTENERS 6u

static void subscribe(int fd)
{
    say(fd, "SUBSCRIBE news\n");
    expect(fd, "*3\n$9\nsubscribe\n$4\nnews\n:1\n");
}

/* Until one is confirmed: what dies this moment may still be asked. */
static int subscribe_patiently(const struct stratad_process *stratad)
{
    static const char unavailable[] = "UNAVAILABLE strata: node ";
    for (;;) {
        char first, rest[512];
        int fd = rig_socket(stratad);
        say(fd, "SUBSCRIBE news\n");
        assert_int_equal(recv(fd, &first, 1, 0), 1);
        if (first == '*') {
            expect(fd, "3\n$9\nsubscribe\n$4\nnews\n:1\n");
            return fd;
        }
        assert_int_equal(first, '-');
        assert_true(recv(fd, rest, sizeof rest, 0) >= (ssize_t)sizeof unavailable);
        assert_memory_equal(rest, unavailable, sizeof unavailable - 1);
        (void)close(fd);
    }
}

/* Both workers have a main connection to all primaries: the keys are one of each. */
static void ask_all(const struct stratad_process *stratad)
{
    for (int i = 0; i < 2; i++) {
        redisContext *client = rig_client(stratad);
        redisReply *reply;
        bool answered;
        do {
            reply = redisCommand(client, "MSET a 1 b 2 c 3");
            assert_non_null(reply);
            answered = reply->type == REDIS_REPLY_STATUS;
            freeReplyObject(reply);
        } while (!answered);
        redisFree(client);
    }
}

static void message(char *text, size_t cap, const char *word)
{
    (void)snprintf(text, cap, "*3\n$7\nmessage\n$4\nnews\n$%zu\n%s\n", strlen(word), word);
}

/* Says a word on each node that runs, and each listener hears all of them, in order: one node's is
 * heard before the next one's is said. */
static void every_nodes_word_is_heard(const struct redis_cluster *cluster, const int *fds,
                                      unsigned count, const char *when)
{
    char word[64], text[128];
    for (unsigned node = 0; node < redis_cluster_count(cluster); node++) {
        if (!redis_cluster_runs(cluster, node))
            continue;
        (void)snprintf(word, sizeof word, "%s-%u", when, node);
        message(text, sizeof text, word);
        assert_int_equal(redis_cluster_tell(cluster, node, "PUBLISH news %s", word), 0);
        for (unsigned i = 0; i < count; i++)
            expect(fds[i], text);
    }
}

static long long subscribers_of(const struct redis_cluster *cluster, unsigned node)
{
    redisReply *reply = redis_cluster_ask(cluster, node, "PUBSUB NUMSUB news");
    assert_non_null(reply);
    long long count = reply->element[1]->integer;
    freeReplyObject(reply);
    return count;
}

static long long all_subscribers(const struct redis_cluster *cluster)
{
    long long sum = 0;
    for (unsigned node = 0; node < redis_cluster_count(cluster); node++)
        if (redis_cluster_runs(cluster, node))
            sum += subscribers_of(cluster, node);
    return sum;
}

static bool nobody_is_subscribed(void *cluster)
{
    return all_subscribers(cluster) == 0;
}

/* Subscribed in RESP3, a client reads and writes keys of all nodes as ever. */
static void what_is_published_on_any_node_is_heard(void **state)
{
    struct cluster_rig *rig = *state;
    struct stratad_process *stratad = stratad_cluster_start(rig, NULL);
    redisContext *client = rig_client(stratad);
    int fds[2] = {rig_socket(stratad), rig_socket(stratad)}, pattern = rig_socket(stratad),
        three = rig_socket(stratad);
    assert_true(wait_until(answers_ok, client, OWN_RIG_PATIENCE_MS));
    subscribe(fds[0]);
    subscribe(fds[1]);
    say(pattern, "PSUBSCRIBE n*\nSSUBSCRIBE shard\n");
    expect(pattern, "*3\n$10\npsubscribe\n$2\nn*\n:1\n-ERR strata: before a Redis Cluster "
                    "'ssubscribe' and what the client is subscribed to need a connection each\n");
    every_nodes_word_is_heard(rig->cluster, fds, 2, "word");
    expect_until(pattern, "\r\nword-0\r\n");
    say(three, "HELLO 3\nSUBSCRIBE other\n");
    expect_until(three, ">3\r\n$9\r\nsubscribe\r\n$5\r\nother\r\n:1\r\n");
    say(three, "MSET a 1 b 2 c 3\nGET a\nGET b\nMULTI\nINCR c\nEXEC\n");
    expect(three, "+OK\n$1\n1\n$1\n2\n+OK\n+QUEUED\n*1\n:4\n");
    freeReplyObject(redisCommand(client, "PUBLISH other x"));
    expect(three, ">3\n$7\nmessage\n$5\nother\n$1\nx\n");
    say(three, "UNSUBSCRIBE\nGET a\n");
    expect(three, ">3\n$11\nunsubscribe\n$5\nother\n:0\n$1\n1\n");
    (void)close(three);
    (void)close(pattern);
    (void)close(fds[0]);
    (void)close(fds[1]);
    assert_true(wait_until(nobody_is_subscribed, rig->cluster, OWN_RIG_PATIENCE_MS));
    redisFree(client);
    stratad_process_stop(&stratad);
}

static void subscriptions_stay_while_roles_change_and_slots_move(void **state)
{
    struct cluster_rig *rig = *state;
    struct redis_cluster *cluster = rig->cluster;
    struct stratad_process *stratad = stratad_cluster_start(rig, NULL);
    redisContext *client = rig_client(stratad);
    int fds[LISTENERS];
    assert_true(wait_until(answers_ok, client, OWN_RIG_PATIENCE_MS));
    for (unsigned i = 0; i < LISTENERS; i++)
        subscribe(fds[i] = rig_socket(stratad));
    assert_int_equal(all_subscribers(cluster), LISTENERS);
    for (unsigned primary = 0; primary < 3; primary++) {
        if (!redis_cluster_is_primary(cluster, primary))
            continue;
        int replica = redis_cluster_replica(cluster, primary);
        assert_true(replica >= 0);
        assert_int_equal(redis_cluster_failover(cluster, (unsigned)replica, ""), 0);
        every_nodes_word_is_heard(cluster, fds, LISTENERS, "failover");
    }
    unsigned slot = redis_cluster_slot(cluster, "news");
    int from = redis_cluster_primary(cluster, slot);
    for (unsigned to = 0; to < redis_cluster_count(cluster); to++)
        if ((int)to != from && redis_cluster_is_primary(cluster, to)) {
            assert_int_equal(redis_cluster_move_slot(cluster, slot, to), 0);
            every_nodes_word_is_heard(cluster, fds, LISTENERS, "moved");
            break;
        }
    for (unsigned i = 0; i < LISTENERS; i++)
        (void)close(fds[i]);
    redisFree(client);
    stratad_process_stop(&stratad);
}

/* Those whose node it was are closed, all others stay; who subscribes anew is heard of by a node
 * that lives. */
static void a_node_that_dies_closes_its_listeners_and_no_others(void **state)
{
    struct cluster_rig *rig = *state;
    struct redis_cluster *cluster = rig->cluster;
    struct stratad_process *stratad = stratad_cluster_start(rig, NULL);
    int fds[LISTENERS], left[LISTENERS];
    unsigned victim = 0, kept = 0;
    ask_all(stratad);
    for (unsigned i = 0; i < LISTENERS; i++)
        subscribe(fds[i] = rig_socket(stratad));
    while (subscribers_of(cluster, victim) == 0)
        assert_true(++victim < redis_cluster_count(cluster));
    const long long theirs = subscribers_of(cluster, victim);
    redis_cluster_kill9(cluster, victim);
    unsigned other = victim == 0 ? 1 : 0;
    assert_int_equal(redis_cluster_tell(cluster, other, "PUBLISH news after"), 0);
    char text[128];
    message(text, sizeof text, "after");
    for (unsigned i = 0; i < LISTENERS; i++) {
        char first;
        ssize_t got = recv(fds[i], &first, 1, MSG_PEEK);
        assert_true(got >= 0);
        if (got == 0) {
            expect_closed(fds[i]);
            continue;
        }
        expect(fds[i], text);
        left[kept++] = fds[i];
    }
    assert_int_equal(kept, LISTENERS - theirs);
    assert_true(theirs < (long long)LISTENERS);
    for (; kept < LISTENERS; kept++)
        left[kept] = subscribe_patiently(stratad);
    every_nodes_word_is_heard(cluster, left, LISTENERS, "again");
    for (unsigned i = 0; i < LISTENERS; i++)
        (void)close(left[i]);
    stratad_process_stop(&stratad);
}

/* ---- shard channels ---- */

struct shard {
    const struct redis_cluster *cluster;
    unsigned node;
    long long wanted;
};

static bool has_listeners(void *arg)
{
    const struct shard *shard = arg;
    redisReply *reply = redis_cluster_ask(shard->cluster, shard->node, "PUBSUB SHARDNUMSUB {s}a");
    assert_non_null(reply);
    long long count = reply->element[1]->integer;
    freeReplyObject(reply);
    return count == shard->wanted;
}

static void wait_for_listeners(const struct redis_cluster *cluster, unsigned node, long long count)
{
    struct shard shard = {cluster, node, count};
    assert_true(wait_until(has_listeners, &shard, OWN_RIG_PATIENCE_MS));
}

/* What comes next is the word on both channels, and nothing before it. */
static void shards_word_is_heard(redisContext *client, const int fds[3], const char *word)
{
    char text[256];
    for (unsigned i = 0; i < 2; i++) {
        const char *channel = i == 0 ? "{s}a" : "{s}b";
        redisReply *reply = redisCommand(client, "SPUBLISH %s %s", channel, word);
        if (reply->type != REDIS_REPLY_INTEGER)
            fail_msg("SPUBLISH: %s", reply->str);
        freeReplyObject(reply);
    }
    (void)snprintf(text, sizeof text,
                   "*3\n$8\nsmessage\n$4\n{s}a\n$%zu\n%s\n*3\n$8\nsmessage\n$4\n{s}b\n$%zu\n%s\n",
                   strlen(word), word, strlen(word), word);
    expect(fds[0], text);
    (void)snprintf(text, sizeof text, ">3\n$8\nsmessage\n$4\n{s}a\n$%zu\n%s\n", strlen(word), word);
    expect(fds[1], text);
    text[0] = '*';
    expect(fds[2], text);
}

/* In both protocols. Who has become a replica tells its listeners all the same. */
static void shard_channels_follow_their_slot(void **state)
{
    struct stratad_cluster_bench bench = stratad_cluster_bench_open(state);
    int fds[3] = {rig_socket(bench.stratad), rig_socket(bench.stratad), rig_socket(bench.stratad)};
    const struct stratad_cluster_move move = stratad_cluster_move_of(bench.cluster, "{s}a");
    say(fds[0], "SSUBSCRIBE {s}a other\nSSUBSCRIBE {s}a {s}b\n");
    expect(fds[0], "-CROSSSLOT Keys in request don't hash to the same slot\n"
                   "*3\n$10\nssubscribe\n$4\n{s}a\n:1\n*3\n$10\nssubscribe\n$4\n{s}b\n:2\n");
    say(fds[1], "HELLO 3\nSSUBSCRIBE {s}a\n");
    expect_until(fds[1], ">3\r\n$10\r\nssubscribe\r\n$4\r\n{s}a\r\n:1\r\n");
    say(fds[2], "SSUBSCRIBE {s}a\n");
    expect(fds[2], "*3\n$10\nssubscribe\n$4\n{s}a\n:1\n");
    shards_word_is_heard(bench.client, fds, "first");
    stratad_cluster_move_there(&move);
    wait_for_listeners(bench.cluster, move.to, 3);
    shards_word_is_heard(bench.client, fds, "moved");
    stratad_cluster_move_back(&move);
    wait_for_listeners(bench.cluster, move.from, 3);
    shards_word_is_heard(bench.client, fds, "back");
    int replica = redis_cluster_replica(bench.cluster, move.from);
    assert_int_equal(redis_cluster_failover(bench.cluster, (unsigned)replica, ""), 0);
    shards_word_is_heard(bench.client, fds, "failover");
    stratad_cluster_move_there(&move);
    wait_for_listeners(bench.cluster, move.to, 3);
    shards_word_is_heard(bench.client, fds, "again");
    say(fds[0], "SUNSUBSCRIBE {s}b\nPING\nSUNSUBSCRIBE\nPING\n");
    expect(fds[0], "*3\n$12\nsunsubscribe\n$4\n{s}b\n:1\n*2\n$4\npong\n$0\n\n"
                   "*3\n$12\nsunsubscribe\n$4\n{s}a\n:0\n+PONG\n");
    say(fds[1], "GET none\nSSUBSCRIBE other\nSUNSUBSCRIBE {s}a\nSSUBSCRIBE other\n");
    expect(fds[1], "_\n-ERR strata: before a Redis Cluster 'ssubscribe' and what the client is "
                   "subscribed to need a connection each\n"
                   ">3\n$12\nsunsubscribe\n$4\n{s}a\n:0\n>3\n$10\nssubscribe\n$5\nother\n:1\n");
    redis_cluster_kill9(bench.cluster, move.to);
    expect_closed(fds[2]);
    fds[2] = rig_socket(bench.stratad);
    say(fds[2], "SSUBSCRIBE {s}a\n");
    expect(fds[2], "*3\n$10\nssubscribe\n$4\n{s}a\n:1\n");
    wait_for_listeners(bench.cluster, stratad_cluster_owner_of(bench.cluster, "{s}a"), 1);
    for (unsigned i = 0; i < 3; i++)
        (void)close(fds[i]);
    stratad_cluster_bench_close(&bench);
}

/* ---- SUNSUBSCRIBE that crosses its slot ---- */

static bool has_forwarded(void *arg)
{
    const struct fact *fact = arg;
    return stratad_cluster_number(fact->client, "forwarded") >= fact->wanted;
}

static void hand_over(const struct stratad_cluster_move *move)
{
    assert_int_equal(redis_cluster_tell(move->cluster, move->to, "CLUSTER SETSLOT %u NODE %s",
                                        move->slot, redis_cluster_id(move->cluster, move->to)),
                     0);
}

/* Each says its lines to a node that stands still, which then learns that the slot has another
 * owner, before it reads them or behind them. */
static void cross(const struct stratad_cluster_bench *bench,
                  const struct stratad_cluster_move *move, const int *fds, const char *const *lines,
                  unsigned count, bool moved_first)
{
    struct fact fact = {bench->client, NULL, 0};
    fact.wanted = (long)stratad_cluster_number(bench->client, "forwarded") + (long)count;
    stratad_cluster_move_begin(move);
    redis_cluster_freeze(move->cluster, move->from);
    if (moved_first)
        hand_over(move);
    for (unsigned i = 0; i < count; i++)
        say(fds[i], lines[i]);
    assert_true(wait_until(has_forwarded, &fact, OWN_RIG_PATIENCE_MS));
    if (!moved_first)
        hand_over(move);
    redis_cluster_thaw(move->cluster, move->from);
    stratad_cluster_move_finish(move);
}

static void say_on_shard(const struct stratad_cluster_bench *bench, const char *channel,
                         long long listeners)
{
    redisReply *reply = redisCommand(bench->client, "SPUBLISH %s word", channel);
    assert_non_null(reply);
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    assert_int_equal(reply->integer, listeners);
    freeReplyObject(reply);
}

/* What is left goes along, what was ended does not, and each is confirmed once. */
static void part_of_it_is_ended(const struct stratad_cluster_bench *bench, bool moved_first)
{
    static const char *const lines[] = {"SUNSUBSCRIBE {s}b\nPING\n",
                                        "PING\nSUNSUBSCRIBE {s}c {s}b\nGET none\n"};
    const struct stratad_cluster_move move = stratad_cluster_move_of(bench->cluster, "{s}a");
    int fds[2] = {rig_socket(bench->stratad), rig_socket(bench->stratad)};
    say(fds[0], "SSUBSCRIBE {s}a {s}b\n");
    expect_until(fds[0], "{s}b\r\n:2\r\n");
    say(fds[1], "HELLO 3\nSSUBSCRIBE {s}a {s}b {s}c\n");
    expect_until(fds[1], "{s}c\r\n:3\r\n");
    cross(bench, &move, fds, lines, 2, moved_first);
    expect(fds[0], "*3\n$12\nsunsubscribe\n$4\n{s}b\n:1\n*2\n$4\npong\n$0\n\n");
    expect(fds[1], "+PONG\n>3\n$12\nsunsubscribe\n$4\n{s}c\n:2\n"
                   ">3\n$12\nsunsubscribe\n$4\n{s}b\n:1\n_\n");
    wait_for_listeners(bench->cluster, move.to, 2);
    say_on_shard(bench, "{s}b", 0);
    say_on_shard(bench, "{s}a", 2);
    expect(fds[0], "*3\n$8\nsmessage\n$4\n{s}a\n$4\nword\n");
    expect(fds[1], ">3\n$8\nsmessage\n$4\n{s}a\n$4\nword\n");
    say(fds[0], "SUNSUBSCRIBE\nPING\n");
    expect(fds[0], "*3\n$12\nsunsubscribe\n$4\n{s}a\n:0\n+PONG\n");
    say(fds[1], "SSUBSCRIBE {s}b\nPING\n");
    expect(fds[1], ">3\n$10\nssubscribe\n$4\n{s}b\n:2\n+PONG\n");
    wait_for_listeners(bench->cluster, move.to, 1);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

/* What is said behind it gets its own answer, and not one that is about what was ended. */
static void all_of_it_is_ended(const struct stratad_cluster_bench *bench, bool moved_first)
{
    static const char *const lines[] = {"SUNSUBSCRIBE {s}b {s}none {s}b {s}a\nBLPOP {s}q 0.01\n",
                                        "SUNSUBSCRIBE\nSUNSUBSCRIBE\nBLPOP {s}q 0.01\n"};
    const struct stratad_cluster_move move = stratad_cluster_move_of(bench->cluster, "{s}a");
    int fds[2] = {rig_socket(bench->stratad), rig_socket(bench->stratad)};
    say(fds[0], "SSUBSCRIBE {s}a {s}b\n");
    expect_until(fds[0], "{s}b\r\n:2\r\n");
    say(fds[1], "HELLO 3\nSSUBSCRIBE {s}a\n");
    expect_until(fds[1], "{s}a\r\n:1\r\n");
    cross(bench, &move, fds, lines, 2, moved_first);
    expect(fds[0], "*3\n$12\nsunsubscribe\n$4\n{s}b\n:1\n"
                   "*3\n$12\nsunsubscribe\n$7\n{s}none\n:1\n"
                   "*3\n$12\nsunsubscribe\n$4\n{s}b\n:1\n"
                   "*3\n$12\nsunsubscribe\n$4\n{s}a\n:0\n*-1\n");
    expect(fds[1], ">3\n$12\nsunsubscribe\n$4\n{s}a\n:0\n"
                   ">3\n$12\nsunsubscribe\n_\n:0\n_\n");
    say(fds[0], "SSUBSCRIBE {s}a\nSUNSUBSCRIBE {s}a\nPING\n");
    expect(fds[0], "*3\n$10\nssubscribe\n$4\n{s}a\n:1\n"
                   "*3\n$12\nsunsubscribe\n$4\n{s}a\n:0\n+PONG\n");
    wait_for_listeners(bench->cluster, move.to, 0);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void what_ends_a_subscription_may_cross_its_slot(void **state)
{
    struct stratad_cluster_bench bench = stratad_cluster_bench_open(state);
    part_of_it_is_ended(&bench, true);
    part_of_it_is_ended(&bench, false);
    all_of_it_is_ended(&bench, true);
    all_of_it_is_ended(&bench, false);
    stratad_cluster_bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_published_on_any_node_is_heard, cluster_rig_settle),
        cmocka_unit_test_setup(subscriptions_stay_while_roles_change_and_slots_move,
                               cluster_rig_settle),
        cmocka_unit_test_setup(a_node_that_dies_closes_its_listeners_and_no_others,
                               cluster_rig_settle),
        cmocka_unit_test_setup(shard_channels_follow_their_slot, cluster_rig_settle),
        cmocka_unit_test_setup(what_ends_a_subscription_may_cross_its_slot, cluster_rig_settle),
    };
    return cmocka_run_group_tests(tests, cluster_rig_start, cluster_rig_stop);
}
