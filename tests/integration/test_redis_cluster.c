/* SPDX-License-Identifier: MIT
 *
 * The private Redis Cluster of the tests keeps its promises, so that other tests may trust them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "support/redis_cluster.h"
#include "support/wait.h"

static int start(void **state)
{
    return redis_cluster_start((struct redis_cluster **)state, NULL);
}

static int stop(void **state)
{
    redis_cluster_stop((struct redis_cluster **)state);
    return 0;
}

/* Whatever the test before has done: all nodes run, and agree. */
static int settle(void **state)
{
    struct redis_cluster *cluster = *state;
    for (unsigned i = 0; i < 6; i++)
        if (!redis_cluster_runs(cluster, i) && redis_cluster_restart(cluster, i) != 0)
            return -1;
    return redis_cluster_settle(cluster, REDIS_CLUSTER_WAIT_MS);
}

/* What a node answers, as text; "" for a null. */
static void assert_says(const struct redis_cluster *cluster, unsigned node, const char *command,
                        const char *expected)
{
    redisReply *reply = redis_cluster_ask(cluster, node, command);
    assert_non_null(reply);
    const char *text = reply->str != NULL ? reply->str : "";
    assert_memory_equal(text, expected, strlen(expected));
    freeReplyObject(reply);
}

static void three_primaries_own_all_slots_and_have_a_replica_each(void **state)
{
    struct redis_cluster *cluster = *state;
    assert_int_equal(redis_cluster_count(cluster), 6);
    assert_int_equal(redis_cluster_primary(cluster, 0), 0);
    assert_int_equal(redis_cluster_primary(cluster, 5461), 1);
    assert_int_equal(redis_cluster_primary(cluster, 16383), 2);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(redis_cluster_is_primary(cluster, i));
        assert_false(redis_cluster_is_primary(cluster, i + 3));
        assert_int_equal(redis_cluster_replica(cluster, i), i + 3);
    }
}

static void clients_are_sent_to_the_ports_of_the_nodes(void **state)
{
    struct redis_cluster *cluster = *state;
    char moved[64];
    unsigned slot = redis_cluster_slot(cluster, "{a}key");
    assert_int_equal(slot, 15495); /* redis-cli says so */
    (void)snprintf(moved, sizeof moved, "MOVED 15495 %s", redis_cluster_address(cluster, 2));
    assert_says(cluster, 0, "GET a", moved);
    assert_says(cluster, 2, "SET a 1", "OK");
    redisContext *redis = redisConnect("127.0.0.1", redis_cluster_port(cluster, 2));
    redisReply *reply = redisCommand(redis, "GET a");
    assert_string_equal(reply->str, "1");
    freeReplyObject(reply);
    redisFree(redis);
}

static void a_killed_primary_is_followed_by_its_replica(void **state)
{
    struct redis_cluster *cluster = *state;
    int replica = redis_cluster_replica(cluster, 0);
    assert_true(replica > 0);
    assert_int_equal(redis_cluster_tell(cluster, 0, "SET {b}1 kept"), 0);
    assert_int_equal(redis_cluster_tell(cluster, 0, "WAIT 1 5000"), 0);
    redis_cluster_kill9(cluster, 0);
    assert_int_equal(redis_cluster_pid(cluster, 0), 0);
    assert_int_equal(redis_cluster_settle(cluster, REDIS_CLUSTER_WAIT_MS), 0);
    assert_int_equal(redis_cluster_primary(cluster, 0), replica);
    assert_says(cluster, (unsigned)replica, "GET {b}1", "kept");
    assert_int_equal(redis_cluster_restart(cluster, 0), 0);
    assert_int_equal(redis_cluster_settle(cluster, REDIS_CLUSTER_WAIT_MS), 0);
    assert_int_equal(redis_cluster_replica(cluster, (unsigned)replica), 0);
}

static void fail_overs_of_all_kinds_change_the_roles(void **state)
{
    struct redis_cluster *cluster = *state;
    static const char *const kinds[] = {"", "FORCE", "TAKEOVER"};
    for (size_t i = 0; i < 3; i++) {
        int primary = redis_cluster_primary(cluster, 0);
        int replica = redis_cluster_replica(cluster, (unsigned)primary);
        assert_int_equal(redis_cluster_failover(cluster, (unsigned)replica, kinds[i]), 0);
        assert_int_equal(redis_cluster_primary(cluster, 0), replica);
        assert_int_equal(redis_cluster_replica(cluster, (unsigned)replica), primary);
    }
}

static void a_frozen_node_is_silent_and_comes_back(void **state)
{
    struct redis_cluster *cluster = *state;
    const struct timeval patience = {.tv_usec = 200000};
    redisContext *redis =
        redisConnectWithTimeout("127.0.0.1", redis_cluster_port(cluster, 1), patience);
    (void)redisSetTimeout(redis, patience);
    redis_cluster_freeze(cluster, 1);
    assert_false(redis_cluster_runs(cluster, 1));
    assert_null(redisCommand(redis, "PING"));
    redisFree(redis);
    redis_cluster_thaw(cluster, 1);
    assert_true(redis_cluster_runs(cluster, 1));
    assert_says(cluster, 1, "PING", "PONG");
}

static void a_slot_moves_with_its_keys(void **state)
{
    struct redis_cluster *cluster = *state;
    unsigned slot = redis_cluster_slot(cluster, "{move}");
    unsigned from = (unsigned)redis_cluster_primary(cluster, slot);
    unsigned to = from == 1 ? 2 : 1;
    to = redis_cluster_is_primary(cluster, to) ? to : (unsigned)redis_cluster_primary(cluster, 0);
    for (int i = 0; i < 250; i++)
        assert_int_equal(redis_cluster_tell(cluster, from, "SET {move}%d %d", i, i), 0);
    assert_int_equal(redis_cluster_move_slot(cluster, slot, to), 0);
    assert_int_equal(redis_cluster_settle(cluster, REDIS_CLUSTER_WAIT_MS), 0);
    assert_int_equal(redis_cluster_primary(cluster, slot), to);
    assert_says(cluster, to, "GET {move}249", "249");
    assert_says(cluster, from, "GET {move}249", "MOVED ");
}

static void a_slot_that_is_half_moved_asks_and_wants_to_be_tried_again(void **state)
{
    struct redis_cluster *cluster = *state;
    char ask[64];
    unsigned slot = redis_cluster_slot(cluster, "{half}");
    unsigned from = (unsigned)redis_cluster_primary(cluster, slot);
    unsigned to = (unsigned)redis_cluster_primary(cluster, (slot + 6000) % REDIS_CLUSTER_SLOTS);
    (void)snprintf(ask, sizeof ask, "ASK %u %s", slot, redis_cluster_address(cluster, to));
    assert_int_equal(redis_cluster_tell(cluster, from, "MSET {half}a 1 {half}b 2"), 0);
    assert_int_equal(redis_cluster_begin_move(cluster, slot, to), 0);
    assert_says(cluster, from, "GET {half}none", ask);
    assert_int_equal(redis_cluster_move_keys(cluster, slot, to, 1), 0);
    assert_says(cluster, from, "MGET {half}a {half}b", "TRYAGAIN");
    assert_int_equal(redis_cluster_move_keys(cluster, slot, to, 10), 0);
    assert_int_equal(redis_cluster_finish_move(cluster, slot, to), 0);
    assert_says(cluster, to, "GET {half}a", "1");
    assert_says(cluster, to, "GET {half}b", "2");
}

static void empty_slots_change_hands_by_the_thousand(void **state)
{
    struct redis_cluster *cluster = *state;
    unsigned to = (unsigned)redis_cluster_primary(cluster, 0);
    for (unsigned i = 0; i < 6; i++)
        if (redis_cluster_is_primary(cluster, i))
            assert_int_equal(redis_cluster_tell(cluster, i, "FLUSHALL"), 0);
    assert_int_equal(redis_cluster_assign(cluster, 6000, 9999, to), 0);
    assert_int_equal(redis_cluster_settle(cluster, REDIS_CLUSTER_WAIT_MS), 0);
    assert_int_equal(redis_cluster_primary(cluster, 6000), to);
    assert_int_equal(redis_cluster_primary(cluster, 9999), to);
}

static void a_node_joins_moves_and_leaves(void **state)
{
    struct redis_cluster *cluster = *state;
    int node = redis_cluster_add(cluster, -1);
    assert_int_equal(node, 6);
    assert_true(redis_cluster_is_primary(cluster, 6));
    assert_int_equal(redis_cluster_move_slot(cluster, 77, 6), 0);
    unsigned back = (unsigned)redis_cluster_primary(cluster, 78);
    int before = redis_cluster_port(cluster, 6);
    assert_int_equal(redis_cluster_relocate(cluster, 6), 0);
    assert_int_not_equal(redis_cluster_port(cluster, 6), before);
    assert_int_equal(redis_cluster_settle(cluster, REDIS_CLUSTER_WAIT_MS), 0);
    assert_int_equal(redis_cluster_primary(cluster, 77), 6);
    assert_int_equal(redis_cluster_move_slot(cluster, 77, back), 0);
    assert_int_equal(redis_cluster_remove(cluster, 6), 0);
    assert_int_equal(redis_cluster_settle(cluster, REDIS_CLUSTER_WAIT_MS), 0);
}

static void calls_are_counted_by_name(void **state)
{
    struct redis_cluster *cluster = *state;
    uint64_t before = redis_cluster_calls(cluster, "cluster|slots");
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(redis_cluster_tell(cluster, i, "CLUSTER SLOTS"), 0);
    assert_int_equal(redis_cluster_calls(cluster, "cluster|slots"), before + 3);
}

static void nodes_may_listen_elsewhere_and_be_called_otherwise(void **state)
{
    (void)state;
    static const struct redis_cluster_config config = {
        .no_replicas = true,
        .host = "127.0.0.2",
        .client_host = "127.0.0.9",
        .password = "secret",
    };
    char moved[64];
    struct redis_cluster *cluster = NULL;
    assert_int_equal(redis_cluster_start(&cluster, &config), 0);
    (void)snprintf(moved, sizeof moved, "MOVED 15495 127.0.0.9:%d", redis_cluster_port(cluster, 2));
    assert_says(cluster, 0, "GET a", moved);
    assert_int_equal(redis_cluster_tell(cluster, 2, "SET a 1"), 0);
    assert_int_equal(redis_cluster_move_slot(cluster, 15495, 1), 0);
    assert_says(cluster, 1, "GET a", "1");
    redis_cluster_stop(&cluster);
}

static bool is_gone(void *arg)
{
    return kill(*(pid_t *)arg, 0) != 0 && errno == ESRCH;
}

static void nothing_is_left_after_it_was_stopped(void **state)
{
    (void)state;
    static const struct redis_cluster_config config = {.no_replicas = true, .host = "::1"};
    pid_t pids[3];
    struct redis_cluster *cluster = NULL;
    assert_int_equal(redis_cluster_start(&cluster, &config), 0);
    assert_memory_equal(redis_cluster_address(cluster, 0), "[::1]:", 6);
    for (unsigned i = 0; i < 3; i++)
        pids[i] = redis_cluster_pid(cluster, i);
    redis_cluster_freeze(cluster, 1);
    redis_cluster_stop(&cluster);
    assert_null(cluster);
    for (unsigned i = 0; i < 3; i++)
        assert_true(wait_until(is_gone, &pids[i], 5000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(three_primaries_own_all_slots_and_have_a_replica_each, settle),
        cmocka_unit_test_setup(clients_are_sent_to_the_ports_of_the_nodes, settle),
        cmocka_unit_test_setup(a_killed_primary_is_followed_by_its_replica, settle),
        cmocka_unit_test_setup(fail_overs_of_all_kinds_change_the_roles, settle),
        cmocka_unit_test_setup(a_frozen_node_is_silent_and_comes_back, settle),
        cmocka_unit_test_setup(a_slot_moves_with_its_keys, settle),
        cmocka_unit_test_setup(a_slot_that_is_half_moved_asks_and_wants_to_be_tried_again, settle),
        cmocka_unit_test_setup(empty_slots_change_hands_by_the_thousand, settle),
        cmocka_unit_test_setup(calls_are_counted_by_name, settle),
        cmocka_unit_test_setup(a_node_joins_moves_and_leaves, settle),
        cmocka_unit_test(nodes_may_listen_elsewhere_and_be_called_otherwise),
        cmocka_unit_test(nothing_is_left_after_it_was_stopped),
    };
    return cmocka_run_group_tests_name("redis_cluster", tests, start, stop);
}
