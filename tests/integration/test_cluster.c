/* SPDX-License-Identifier: MIT
 *
 * The library before a real cluster: keys over all slots, slots that move under load, primaries that
 * are killed and failed over under load, addresses that change.
 *
 * STRATA_TEST_LONG=1 makes the long form: 200 slot moves, 50 failovers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster_load.h"
#include "core/clock.h"
#include "strata/strata.h"
#include "support/redis_cluster.h"
#include "support/wait.h"

#define NODE_TIMEOUT_MS 2000
#define WAIT_MS         30000
#define MANY            500
/* Beyond a call's budget, on a machine that is busy with other things; alone it is a tenth. */
#define OVERTIME_NS (500 * STA_NS_MS)

static struct redis_cluster *cluster;

static int start(void **state)
{
    static const struct redis_cluster_config config = {.node_timeout_ms = NODE_TIMEOUT_MS};
    (void)state;
    return redis_cluster_start(&cluster, &config);
}

static int stop(void **state)
{
    (void)state;
    redis_cluster_stop(&cluster);
    return 0;
}

/* Every node runs, and all agree. */
static int mend(void **state)
{
    (void)state;
    for (unsigned i = 0; i < redis_cluster_count(cluster); i++)
        if (!redis_cluster_runs(cluster, i) && redis_cluster_restart(cluster, i) != 0)
            return -1;
    return redis_cluster_settle(cluster, WAIT_MS);
}

static bool is_long(void)
{
    return getenv("STRATA_TEST_LONG") != NULL;
}

static void print_line(void *arg, enum strata_log_level level, const char *room, const char *line)
{
    (void)arg;
    (void)level;
    if (getenv("STRATA_TEST_LOG") != NULL)
        fprintf(stderr, "%llu %s: %s\n", (unsigned long long)(sta_clock_now_ns() / STA_NS_MS), room,
                line);
}

static void options_begin(struct strata_l2_options *options, const char **nodes)
{
    for (unsigned i = 0; i < 3; i++)
        nodes[i] = redis_cluster_address(cluster, i);
    *options = (struct strata_l2_options){
        .cluster_enabled = STRATA_ON,
        .cluster_nodes = nodes,
        .cluster_node_count = 3,
        .key_prefix = "t:",
        .log_level = STRATA_LOG_DEBUG,
        .log_sink = print_line,
    };
}

static struct strata_l2 *open_l2(void)
{
    struct strata_l2_options options;
    const char *nodes[3];
    struct strata_l2 *l2;
    struct strata_error error;
    options_begin(&options, nodes);
    if (strata_l2_open(&l2, &options, &error) < 0)
        fail_msg("%s", error.text);
    return l2;
}

/* ---- keys over all slots ---- */

struct many {
    char text[MANY][32];
    struct strata_bytes keys[MANY];
    struct strata_item items[MANY];
    struct strata_value values[MANY];
    int statuses[MANY];
};

static void many_fill(struct many *many)
{
    memset(many, 0, sizeof *many);
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(many->text[i], sizeof many->text[i], "many:%u", i);
        many->keys[i] = strata_text(many->text[i]);
        many->items[i].key = many->items[i].value = many->keys[i];
    }
}

static void a_batch_is_spread_over_the_nodes_and_comes_back_in_order(void **state)
{
    (void)state;
    static struct many many;
    struct strata_options options = {.l1_enabled = STRATA_OFF, .cluster_enabled = STRATA_ON};
    const char *nodes[] = {redis_cluster_address(cluster, 1)};
    struct strata *cache;
    options.cluster_nodes = nodes;
    options.cluster_node_count = 1;
    assert_int_equal(strata_open(&cache, &options, NULL), STRATA_OK);
    many_fill(&many);
    assert_int_equal(strata_set_many(cache, many.items, MANY, many.statuses), STRATA_OK);
    assert_int_equal(strata_get_many(cache, many.keys, MANY, many.values, many.statuses),
                     STRATA_OK);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(many.statuses[i], STRATA_OK);
        assert_int_equal(many.values[i].bytes.len, many.keys[i].len);
        assert_memory_equal(many.values[i].bytes.data, many.keys[i].data, many.keys[i].len);
        strata_release(&many.values[i]);
    }
    for (unsigned node = 0; node < 3; node++) { /* each has its share */
        redisReply *reply = redis_cluster_ask(cluster, node, "DBSIZE");
        assert_non_null(reply);
        assert_true(reply->integer > MANY / 6);
        freeReplyObject(reply);
    }
    assert_int_equal(strata_delete_many(cache, many.keys, MANY, many.statuses), STRATA_OK);
    assert_int_equal(strata_get_many(cache, many.keys, MANY, many.values, many.statuses),
                     STRATA_OK);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(many.statuses[i], STRATA_MISS);
    strata_close(&cache);
}

static void assert_get(struct strata_l2 *l2, const char *key, const char *expected)
{
    struct strata_value value;
    assert_int_equal(strata_l2_get(l2, strata_text(key), &value), STRATA_OK);
    assert_int_equal(value.bytes.len, strlen(expected));
    assert_memory_equal(value.bytes.data, expected, value.bytes.len);
    strata_release(&value);
}

static void a_key_is_found_while_its_slot_is_half_moved(void **state)
{
    (void)state;
    struct strata_l2 *l2 = open_l2();
    unsigned slot = redis_cluster_slot(cluster, "t:{half}1");
    int from = redis_cluster_primary(cluster, slot);
    unsigned to = from == 0 ? 1 : 0;
    for (unsigned i = 0; i < 20; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "{half}%u", i);
        assert_int_equal(strata_l2_set(l2, strata_text(key), strata_text("old"), 0), STRATA_OK);
    }
    assert_int_equal(redis_cluster_begin_move(cluster, slot, to), 0);
    assert_int_equal(redis_cluster_move_keys(cluster, slot, to, 10), 0);
    for (unsigned i = 0; i < 20; i++) { /* half of them by ASK */
        char key[16];
        (void)snprintf(key, sizeof key, "{half}%u", i);
        assert_get(l2, key, "old");
        assert_int_equal(strata_l2_set(l2, strata_text(key), strata_text("new"), 0), STRATA_OK);
        assert_get(l2, key, "new");
    }
    assert_int_equal(redis_cluster_move_keys(cluster, slot, to, 100), 0);
    assert_int_equal(redis_cluster_finish_move(cluster, slot, to), 0);
    for (unsigned i = 0; i < 20; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "{half}%u", i);
        assert_get(l2, key, "new");
        assert_int_equal(strata_l2_delete(l2, strata_text(key)), STRATA_OK);
    }
    strata_l2_close(&l2);
}

/* ---- under load ---- */

static void assert_right(struct cluster_load *load)
{
    struct cluster_load_counts counts = cluster_load_counts(load);
    if (counts.wrong > 0)
        fail_msg("%llu wrong: %s", (unsigned long long)counts.wrong, counts.first_wrong);
}

static void slots_move_under_load_and_nobody_notices(void **state)
{
    (void)state;
    const unsigned moves = is_long() ? 200 : 10;
    struct strata_l2 *l2 = open_l2();
    struct cluster_load *load = cluster_load_start(l2, 4, false);
    assert_true(cluster_load_await(load, 100, WAIT_MS));
    uint64_t asked_before = redis_cluster_calls(cluster, "cluster|slots");
    uint64_t began_ns = sta_clock_now_ns();
    for (unsigned i = 0; i < moves; i++) {
        char key[64] = "t:";
        cluster_load_key(load, i % 4, i, key + 2, sizeof key - 2);
        unsigned slot = redis_cluster_slot(cluster, key);
        int from = redis_cluster_primary(cluster, slot);
        assert_int_equal(redis_cluster_move_slot(cluster, slot, (unsigned)(from + 1) % 3), 0);
    }
    double seconds = (double)(sta_clock_now_ns() - began_ns) / STA_NS_SEC;
    uint64_t asked = redis_cluster_calls(cluster, "cluster|slots") - asked_before;
    struct cluster_load_counts counts = cluster_load_counts(load);
    cluster_load_stop(&load);
    print_message("%u moves, %llu answers, %llu errors, the map asked for %.1f times a second\n",
                  moves, (unsigned long long)counts.answered, (unsigned long long)counts.errors,
                  (double)asked / seconds);
    assert_string_equal(counts.first_wrong, "");
    assert_int_equal(counts.errors, 0);
    assert_true((double)asked / seconds <= 20);
    strata_l2_close(&l2);
}

static void a_manual_failover_under_load_costs_no_error(void **state)
{
    (void)state;
    struct strata_l2 *l2 = open_l2();
    struct cluster_load *load = cluster_load_start(l2, 4, false);
    const unsigned failovers = is_long() ? 17 : 1;
    assert_true(cluster_load_await(load, 100, WAIT_MS));
    for (unsigned i = 0; i < failovers; i++) {
        int primary = redis_cluster_primary(cluster, 0);
        int replica = redis_cluster_replica(cluster, (unsigned)primary);
        assert_true(replica >= 0);
        assert_int_equal(redis_cluster_failover(cluster, (unsigned)replica, ""), 0);
        assert_true(cluster_load_await(load, 100, WAIT_MS));
    }
    struct cluster_load_counts counts = cluster_load_counts(load);
    cluster_load_stop(&load);
    print_message("%u failovers, %llu answers, %llu errors, slowest call %.1f ms\n", failovers,
                  (unsigned long long)counts.answered, (unsigned long long)counts.errors,
                  (double)counts.slowest_ns / STA_NS_MS);
    assert_string_equal(counts.first_wrong, "");
    assert_int_equal(counts.errors, 0);
    strata_l2_close(&l2);
}

struct heir {
    unsigned slot;
    int before;
};

static bool has_an_heir(void *arg)
{
    const struct heir *heir = arg;
    int primary = redis_cluster_primary(cluster, heir->slot);
    return primary >= 0 && primary != heir->before;
}

/* From the kill until a call fails for the last time, beside what the cluster itself takes to
 * promote the replica. */
static void kill_and_measure(struct cluster_load *load, unsigned slot)
{
    struct heir heir = {.slot = slot, .before = redis_cluster_primary(cluster, slot)};
    assert_true(cluster_load_await(load, 100, WAIT_MS));
    cluster_load_reset(load);
    uint64_t killed_ns = sta_clock_now_ns();
    redis_cluster_kill9(cluster, (unsigned)heir.before);
    assert_true(wait_until(has_an_heir, &heir, WAIT_MS));
    uint64_t promoted_ns = sta_clock_now_ns();
    assert_true(cluster_load_await(load, 5000, WAIT_MS));
    assert_int_equal(redis_cluster_settle(cluster, WAIT_MS), 0);
    assert_true(cluster_load_await(load, 5000, WAIT_MS));
    struct cluster_load_counts counts = cluster_load_counts(load);
    print_message("killed node %d: promoted after %.2f s, errors for %.2f s: %llu of %llu, %llu "
                  "lost, slowest call %.0f ms\n",
                  heir.before, (double)(promoted_ns - killed_ns) / STA_NS_SEC,
                  (double)(counts.last_error_ns - killed_ns) / STA_NS_SEC,
                  (unsigned long long)counts.errors,
                  (unsigned long long)(counts.answered + counts.errors),
                  (unsigned long long)counts.by_status[-STRATA_ERR_LOST],
                  (double)counts.slowest_ns / STA_NS_MS);
    assert_true(counts.errors > 0);
    assert_true(counts.last_error_ns < promoted_ns + STA_NS_SEC);
    assert_int_equal(redis_cluster_restart(cluster, (unsigned)heir.before), 0);
    assert_int_equal(redis_cluster_settle(cluster, WAIT_MS), 0);
}

static void a_killed_primary_is_replaced_and_then_nothing_fails_any_more(void **state)
{
    (void)state;
    const unsigned kills = is_long() ? 17 : 2;
    struct strata_l2 *l2 = open_l2();
    struct cluster_load *load = cluster_load_start(l2, 4, true);
    for (unsigned i = 0; i < kills; i++)
        kill_and_measure(load, i * 5461 % REDIS_CLUSTER_SLOTS);
    assert_right(load);
    cluster_load_stop(&load);
    strata_l2_close(&l2);
}

/* ---- a primary that hangs ---- */

static void a_frozen_primary_is_replaced_and_no_call_waits_longer_than_its_budget(void **state)
{
    (void)state;
    struct strata_l2_options options;
    const char *nodes[3];
    struct strata_l2 *l2;
    options_begin(&options, nodes);
    options.socket_timeout_ms = 1000;
    assert_int_equal(strata_l2_open(&l2, &options, NULL), STRATA_OK);
    struct cluster_load *load = cluster_load_start(l2, 4, true);
    struct heir heir = {.slot = 0, .before = redis_cluster_primary(cluster, 0)};
    assert_true(cluster_load_await(load, 100, WAIT_MS));
    cluster_load_reset(load);
    redis_cluster_freeze(cluster, (unsigned)heir.before);
    assert_true(wait_until(has_an_heir, &heir, WAIT_MS));
    uint64_t promoted_ns = sta_clock_now_ns();
    assert_true(cluster_load_await(load, 10000, WAIT_MS));
    redis_cluster_thaw(cluster, (unsigned)heir.before);
    assert_int_equal(redis_cluster_settle(cluster, WAIT_MS), 0);
    assert_true(cluster_load_await(load, 1000, WAIT_MS));
    struct cluster_load_counts counts = cluster_load_counts(load);
    print_message("slowest call %.0f ms, %llu time-outs, %llu refused at once\n",
                  (double)counts.slowest_ns / STA_NS_MS,
                  (unsigned long long)counts.by_status[-STRATA_ERR_TIMEOUT],
                  (unsigned long long)counts.by_status[-STRATA_ERR_UNAVAILABLE]);
    assert_true(counts.slowest_ns < 1000 * STA_NS_MS + OVERTIME_NS);
    assert_true(counts.last_error_ns < promoted_ns + 2 * STA_NS_SEC);
    assert_right(load);
    cluster_load_stop(&load);
    strata_l2_close(&l2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_batch_is_spread_over_the_nodes_and_comes_back_in_order, mend),
        cmocka_unit_test_setup(a_key_is_found_while_its_slot_is_half_moved, mend),
        cmocka_unit_test_setup(slots_move_under_load_and_nobody_notices, mend),
        cmocka_unit_test_setup(a_manual_failover_under_load_costs_no_error, mend),
        cmocka_unit_test_setup(a_killed_primary_is_replaced_and_then_nothing_fails_any_more, mend),
        cmocka_unit_test_setup(
            a_frozen_primary_is_replaced_and_no_call_waits_longer_than_its_budget, mend),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
