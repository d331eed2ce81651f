/* SPDX-License-Identifier: MIT
 *
 * Slots, topology and redirects compared with what a real cluster does: CLUSTER KEYSLOT, the
 * three ways in which nodes tell of their cluster, and the error replies of a slot on its way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "core/random.h"
#include "integration/raw_redis.h"
#include "l2/redirect.h"
#include "l2/slot.h"
#include "l2/topology.h"
#include "resp/resp.h"
#include "strata/status.h"
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

static int settle(void **state)
{
    struct redis_cluster *cluster = *state;
    for (unsigned i = 0; i < 6; i++) {
        if (!redis_cluster_runs(cluster, i) && redis_cluster_restart(cluster, i) != 0)
            return -1;
    }
    return redis_cluster_settle(cluster, REDIS_CLUSTER_WAIT_MS);
}

/* ---- key slots ---- */

/* Mostly braces and a few letters, so that every rule of hash tags is met; rarely any bytes. */
static size_t make_key(char *key, size_t cap, uint64_t *random)
{
    static const char letters[] = "{}{}ab";
    bool any = sta_random_below(random, 8) == 0;
    size_t len = sta_random_below(random, any ? cap + 1 : 12);
    for (size_t i = 0; i < len; i++)
        key[i] = any ? (char)sta_random_next(random)
                     : letters[sta_random_below(random, sizeof letters - 1)];
    return len;
}

static void the_slot_of_a_key_is_the_servers(void **state)
{
    enum { ROUNDS = 60, BATCH = 500 };
    static char keys[BATCH][64];
    size_t lens[BATCH];
    redisContext *redis = redis_cluster_connect(*state, 0);
    uint64_t random = 20260101;
    assert_non_null(redis);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < BATCH; i++) {
            lens[i] = make_key(keys[i], sizeof keys[i], &random);
            const char *words[] = {"CLUSTER", "KEYSLOT", keys[i]};
            const size_t word_lens[] = {7, 7, lens[i]};
            assert_int_equal(redisAppendCommandArgv(redis, 3, words, word_lens), REDIS_OK);
        }
        for (unsigned i = 0; i < BATCH; i++) {
            void *reply = NULL;
            assert_int_equal(redisGetReply(redis, &reply), REDIS_OK);
            long long theirs = ((redisReply *)reply)->integer;
            unsigned ours = sta_slot_of(strata_bytes(keys[i], lens[i]));
            if (theirs != (long long)ours)
                fail_msg("\"%.*s\": %u, not %lld", (int)lens[i], keys[i], ours, theirs);
            freeReplyObject(reply);
        }
    }
    redisFree(redis);
}

/* ---- topology ---- */

typedef int parse_fn(struct sta_slot_map **, struct strata_bytes, const struct sta_topology_query *,
                     const char **);

static struct sta_slot_map *ask_map(const struct redis_cluster *cluster, unsigned node,
                                    int protocol, const char *line, parse_fn *parse)
{
    struct sta_endpoint asked = {.kind = STA_ENDPOINT_TCP, .address = "127.0.0.1"};
    const struct sta_topology_query query = {.asked = &asked};
    struct sta_slot_map *map = NULL;
    struct sta_buffer frame;
    const char *reason = NULL;
    asked.port = (uint16_t)redis_cluster_port(cluster, node);
    sta_buffer_init(&frame, 1u << 20);
    struct raw_redis *redis = raw_redis_connect(redis_cluster_socket(cluster, node), protocol);
    raw_redis_call(redis, line, &frame);
    if (parse(&map, sta_buffer_bytes(&frame), &query, &reason) != STRATA_OK)
        fail_msg("%s: %s", line, reason);
    assert_true(sta_slot_map_valid(map));
    raw_redis_close(&redis);
    sta_buffer_fini(&frame);
    return map;
}

static struct sta_topology_info ask_info(const struct redis_cluster *cluster, unsigned node,
                                         int protocol)
{
    struct sta_topology_info info;
    struct sta_buffer frame;
    sta_buffer_init(&frame, 1u << 20);
    struct raw_redis *redis = raw_redis_connect(redis_cluster_socket(cluster, node), protocol);
    raw_redis_call(redis, "CLUSTER INFO", &frame);
    assert_int_equal(sta_topology_parse_info(&info, sta_buffer_bytes(&frame), NULL), STRATA_OK);
    raw_redis_close(&redis);
    sta_buffer_fini(&frame);
    return info;
}

static const struct {
    const char *line;
    parse_fn *parse;
} ways[] = {
    {"CLUSTER SLOTS", sta_topology_parse_slots},
    {"CLUSTER SHARDS", sta_topology_parse_shards},
    {"CLUSTER NODES", sta_topology_parse_nodes},
};

/* The map is what the cluster is: every slot with its primary, every node with its role. */
static void check_map(const struct redis_cluster *cluster, const struct sta_slot_map *map)
{
    static const unsigned slots[] = {0, 1, 5460, 5461, 8000, 10922, 10923, 16383};
    assert_int_equal(map->covered, STA_SLOT_COUNT);
    assert_int_equal(map->node_count, 6);
    for (size_t i = 0; i < sizeof slots / sizeof slots[0]; i++) {
        int primary = redis_cluster_primary(cluster, slots[i]);
        const struct sta_slot_node *owner = &map->nodes[sta_slot_map_owner(map, slots[i])];
        assert_string_equal(owner->id, redis_cluster_id(cluster, (unsigned)primary));
        assert_int_equal(owner->endpoint.port, redis_cluster_port(cluster, (unsigned)primary));
        assert_string_equal(owner->endpoint.address, "127.0.0.1");
    }
    for (unsigned node = 0; node < 6; node++) {
        uint16_t index = sta_slot_map_find_id(map, redis_cluster_id(cluster, node));
        assert_true(index != STA_SLOT_MAP_NONE);
        bool replica = (map->nodes[index].flags & STA_SLOT_MAP_REPLICA) != 0;
        assert_int_equal(replica, !redis_cluster_is_primary(cluster, node));
        assert_int_equal(map->nodes[index].primary != STA_SLOT_MAP_NONE, replica);
    }
}

struct telling {
    const struct redis_cluster *cluster;
    unsigned node;
    int protocol;
    size_t way;
    struct sta_slot_map *map;
};

/* A replica that has only just been heard of may not be listed yet. */
static bool all_nodes_are_told(void *arg)
{
    struct telling *telling = arg;
    sta_slot_map_destroy(&telling->map);
    telling->map = ask_map(telling->cluster, telling->node, telling->protocol,
                           ways[telling->way].line, ways[telling->way].parse);
    return telling->map->node_count == 6;
}

static struct sta_slot_map *ask_whole_map(const struct redis_cluster *cluster, unsigned node,
                                          int protocol, size_t way)
{
    struct telling telling = {cluster, node, protocol, way, NULL};
    (void)wait_until(all_nodes_are_told, &telling, REDIS_CLUSTER_WAIT_MS);
    return telling.map;
}

static void all_ways_of_all_nodes_tell_the_same(void **state)
{
    struct redis_cluster *cluster = *state;
    struct sta_slot_map *first = ask_whole_map(cluster, 0, 2, 0);
    for (unsigned node = 0; node < 6; node++) {
        for (size_t way = 0; way < 3; way++) {
            for (int protocol = 2; protocol <= 3; protocol++) {
                struct sta_slot_map *map = ask_whole_map(cluster, node, protocol, way);
                check_map(cluster, map);
                assert_int_equal(sta_slot_map_changes(first, map, NULL), 0);
                sta_slot_map_destroy(&map);
            }
        }
        struct sta_topology_info info = ask_info(cluster, node, 2 + (int)node % 2);
        assert_int_equal(info.state, STA_TOPOLOGY_OK);
        assert_int_equal(info.slots_ok, STA_SLOT_COUNT);
        assert_int_equal(info.known_nodes, 6);
        assert_int_equal(info.size, 3);
    }
    sta_slot_map_destroy(&first);
}

static void after_a_failover_the_slots_of_that_primary_have_changed(void **state)
{
    struct redis_cluster *cluster = *state;
    int old = redis_cluster_primary(cluster, 0);
    int replica = redis_cluster_replica(cluster, (unsigned)old);
    struct sta_slot_map *before =
        ask_map(cluster, (unsigned)old, 3, "CLUSTER SLOTS", sta_topology_parse_slots);
    uint64_t epoch = ask_info(cluster, (unsigned)old, 2).current_epoch;
    uint16_t owner = sta_slot_map_owner(before, 0);
    assert_int_equal(redis_cluster_failover(cluster, (unsigned)replica, ""), 0);
    for (size_t way = 0; way < 3; way++) {
        struct sta_slot_set changed;
        struct sta_slot_map *now =
            ask_map(cluster, (unsigned)old, 3, ways[way].line, ways[way].parse);
        check_map(cluster, now);
        assert_int_equal(sta_slot_map_changes(before, now, &changed), before->nodes[owner].slots);
        for (unsigned slot = 0; slot < STA_SLOT_COUNT; slot++)
            assert_int_equal(sta_slot_set_has(&changed, slot),
                             sta_slot_map_owner(before, slot) == owner);
        sta_slot_map_destroy(&now);
    }
    assert_true(ask_info(cluster, (unsigned)old, 3).current_epoch > epoch);
    sta_slot_map_destroy(&before);
}

struct view {
    const struct redis_cluster *cluster;
    unsigned asked;
    const char *id;
    uint32_t flags; /* seen so far */
    unsigned pfail_slots;
    unsigned fail_slots;
};

static bool has_failed(void *arg)
{
    struct view *view = arg;
    struct sta_topology_info info = ask_info(view->cluster, view->asked, 2);
    struct sta_slot_map *map =
        ask_map(view->cluster, view->asked, 2, "CLUSTER NODES", sta_topology_parse_nodes);
    view->flags |= map->nodes[sta_slot_map_find_id(map, view->id)].flags;
    view->pfail_slots = info.slots_pfail > 0 ? info.slots_pfail : view->pfail_slots;
    view->fail_slots = info.slots_fail > 0 ? info.slots_fail : view->fail_slots;
    sta_slot_map_destroy(&map);
    return (view->flags & STA_SLOT_MAP_FAIL) != 0;
}

/* With two of the three primaries away there is no majority: what is suspected stays so. */
static bool is_suspected(void *arg)
{
    struct view *view = arg;
    (void)has_failed(arg);
    return (view->flags & STA_SLOT_MAP_PFAIL) != 0 && view->pfail_slots > 0;
}

static void frozen_nodes_are_suspected_and_then_failed(void **state)
{
    struct redis_cluster *cluster = *state;
    int one = redis_cluster_primary(cluster, 0), two = redis_cluster_primary(cluster, 8000);
    int three = redis_cluster_primary(cluster, 16383);
    int replica = redis_cluster_replica(cluster, (unsigned)one);
    struct view view = {.cluster = cluster,
                        .asked = (unsigned)three,
                        .id = redis_cluster_id(cluster, (unsigned)one)};
    redis_cluster_freeze(cluster, (unsigned)one);
    redis_cluster_freeze(cluster, (unsigned)two);
    assert_true(wait_until(is_suspected, &view, REDIS_CLUSTER_WAIT_MS));
    assert_int_equal(view.flags & STA_SLOT_MAP_FAIL, 0);
    assert_in_range(view.pfail_slots, 5461, 10923);
    redis_cluster_freeze(cluster, (unsigned)replica); /* so that nobody takes over */
    redis_cluster_thaw(cluster, (unsigned)two);
    assert_true(wait_until(has_failed, &view, REDIS_CLUSTER_WAIT_MS));
    struct sta_slot_map *map =
        ask_map(cluster, (unsigned)three, 3, "CLUSTER SHARDS", sta_topology_parse_shards);
    uint16_t index = sta_slot_map_find_id(map, view.id);
    assert_true((map->nodes[index].flags & STA_SLOT_MAP_FAIL) != 0);
    assert_int_equal(map->covered, STA_SLOT_COUNT); /* it owns its slots all the same */
    sta_slot_map_destroy(&map);
    redis_cluster_thaw(cluster, (unsigned)one);
    redis_cluster_thaw(cluster, (unsigned)replica);
}

/* ---- redirects ---- */

static struct sta_redirect ask_redirect(const struct redis_cluster *cluster, unsigned node,
                                        const char *line)
{
    struct sta_endpoint asked = {.kind = STA_ENDPOINT_TCP, .address = "127.0.0.1"};
    struct sta_redirect redirect;
    struct sta_buffer frame;
    struct sta_resp_value value;
    sta_buffer_init(&frame, 1u << 20);
    struct raw_redis *redis = raw_redis_connect(redis_cluster_socket(cluster, node), 3);
    raw_redis_call(redis, line, &frame);
    struct sta_resp_walk walk = sta_resp_walk(sta_buffer_bytes(&frame));
    assert_int_equal(sta_resp_next(&walk, &value), STRATA_OK);
    assert_int_equal(value.type, STA_RESP_ERROR);
    sta_redirect_parse(&redirect, value.bytes, &asked);
    raw_redis_close(&redis);
    sta_buffer_fini(&frame);
    return redirect;
}

static void moved_leads_to_the_owner_and_a_patch_remembers_it(void **state)
{
    struct redis_cluster *cluster = *state;
    struct sta_slot_map *map = ask_map(cluster, 0, 3, "CLUSTER SLOTS", sta_topology_parse_slots);
    unsigned slot = redis_cluster_slot(cluster, "k1");
    unsigned from = (unsigned)redis_cluster_primary(cluster, slot);
    unsigned to = (unsigned)redis_cluster_primary(cluster, (slot + 5461) % STA_SLOT_COUNT);
    assert_int_equal(slot, sta_slot_of(strata_text("k1")));
    assert_int_equal(redis_cluster_move_slot(cluster, slot, to), 0);
    struct sta_redirect redirect = ask_redirect(cluster, from, "GET k1");
    assert_int_equal(redirect.kind, STA_REDIRECT_MOVED);
    assert_int_equal(redirect.slot, slot);
    assert_int_equal(redirect.endpoint.port, redis_cluster_port(cluster, to));
    assert_int_equal(sta_slot_map_patch(map, redirect.slot, &redirect.endpoint, NULL), STRATA_OK);
    struct sta_slot_map *now = ask_map(cluster, 0, 3, "CLUSTER SLOTS", sta_topology_parse_slots);
    assert_int_equal(sta_slot_map_changes(map, now, NULL), 0);
    sta_slot_map_destroy(&now);
    sta_slot_map_destroy(&map);
}

static void a_slot_on_its_way_asks_and_tries_again(void **state)
{
    struct redis_cluster *cluster = *state;
    unsigned slot = redis_cluster_slot(cluster, "{tag}");
    unsigned from = (unsigned)redis_cluster_primary(cluster, slot);
    unsigned to = (unsigned)redis_cluster_primary(cluster, (slot + 5461) % STA_SLOT_COUNT);
    assert_int_equal(redis_cluster_tell(cluster, from, "SET {tag}1 v"), 0);
    assert_int_equal(redis_cluster_begin_move(cluster, slot, to), 0);
    struct sta_redirect redirect = ask_redirect(cluster, from, "GET {tag}2");
    assert_int_equal(redirect.kind, STA_REDIRECT_ASKED);
    assert_int_equal(redirect.slot, slot);
    assert_int_equal(redirect.endpoint.port, redis_cluster_port(cluster, to));
    redirect = ask_redirect(cluster, from, "MGET {tag}1 {tag}2");
    assert_int_equal(redirect.kind, STA_REDIRECT_TRYAGAIN);
    struct sta_slot_map *map = ask_map(cluster, from, 3, "CLUSTER NODES", sta_topology_parse_nodes);
    uint16_t index = sta_slot_map_find_id(map, redis_cluster_id(cluster, from));
    assert_int_equal(map->nodes[index].migrating, 1);
    assert_true((map->nodes[index].flags & STA_SLOT_MAP_MYSELF) != 0);
    sta_slot_map_destroy(&map);
    map = ask_map(cluster, to, 2, "CLUSTER NODES", sta_topology_parse_nodes);
    index = sta_slot_map_find_id(map, redis_cluster_id(cluster, to));
    assert_int_equal(map->nodes[index].importing, 1);
    sta_slot_map_destroy(&map);
    assert_int_equal(redis_cluster_move_keys(cluster, slot, to, 10), 0);
    assert_int_equal(redis_cluster_finish_move(cluster, slot, to), 0);
}

static void other_errors_of_a_cluster_are_told_apart(void **state)
{
    struct redis_cluster *cluster = *state;
    unsigned node = (unsigned)redis_cluster_primary(cluster, 0);
    assert_int_equal(ask_redirect(cluster, node, "MGET a b c").kind, STA_REDIRECT_CROSSSLOT);
    assert_int_equal(ask_redirect(cluster, node, "NOSUCH").kind, STA_REDIRECT_OTHER);
    assert_int_equal(redis_cluster_tell(cluster, node, "ACL SETUSER weak on >pw -@all +hello"), 0);
    struct sta_redirect redirect = ask_redirect(cluster, node, "AUTH weak wrong");
    assert_int_equal(redirect.kind, STA_REDIRECT_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_slot_of_a_key_is_the_servers),
        cmocka_unit_test_setup(all_ways_of_all_nodes_tell_the_same, settle),
        cmocka_unit_test_setup(after_a_failover_the_slots_of_that_primary_have_changed, settle),
        cmocka_unit_test_setup(frozen_nodes_are_suspected_and_then_failed, settle),
        cmocka_unit_test_setup(moved_leads_to_the_owner_and_a_patch_remembers_it, settle),
        cmocka_unit_test_setup(a_slot_on_its_way_asks_and_tries_again, settle),
        cmocka_unit_test_setup(other_errors_of_a_cluster_are_told_apart, settle),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
