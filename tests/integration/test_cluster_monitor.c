/* SPDX-License-Identifier: MIT
 *
 * Watching a real cluster through the public calls: what is seen, and what is told when nodes
 * die, freeze, come back, move, and when slots change hands. And single servers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "core/clock.h"
#include "strata/strata.h"
#include "support/redis_cluster.h"
#include "support/redis_server.h"
#include "support/stall.h"
#include "support/wait.h"

#define WAIT_MS 30000u

/* ---- what happened ---- */

struct watch {
    struct redis_cluster *servers;
    struct strata_cluster *cluster;
    pthread_mutex_t lock;
    char events[8192]; /* "failover 127.0.0.1:7001<127.0.0.1:7002 5461;" */
    const char *wanted;
    struct strata_cluster_info *info;
    unsigned heir;
};

static void note(void *arg, const struct strata_cluster_event *event)
{
    struct watch *watch = arg;
    pthread_mutex_lock(&watch->lock);
    size_t len = strlen(watch->events);
    snprintf(watch->events + len, sizeof watch->events - len, "%s %s<%s %u;",
             strata_cluster_event_name(event->kind), event->node, event->from, event->slots);
    pthread_mutex_unlock(&watch->lock);
}

static bool was_told(void *arg)
{
    struct watch *watch = arg;
    pthread_mutex_lock(&watch->lock);
    bool told = strstr(watch->events, watch->wanted) != NULL;
    pthread_mutex_unlock(&watch->lock);
    return told;
}

static void expect_event(struct watch *watch, const char *kind, const char *node, const char *from,
                         unsigned slots)
{
    char wanted[700];
    snprintf(wanted, sizeof wanted, "%s %s<%s %u;", kind, node, from, slots);
    watch->wanted = wanted;
    if (!wait_until(was_told, watch, WAIT_MS))
        fail_msg("\"%s\" was not told, but: %s", wanted, watch->events);
}

static unsigned count_events(struct watch *watch, const char *kind)
{
    unsigned count = 0;
    pthread_mutex_lock(&watch->lock);
    for (const char *at = watch->events; (at = strstr(at, kind)) != NULL; at++)
        count++;
    pthread_mutex_unlock(&watch->lock);
    return count;
}

/* ---- the cluster of all tests ---- */

static struct redis_cluster *servers;

static int start(void **state)
{
    (void)state;
    return redis_cluster_start(&servers, NULL);
}

static int stop(void **state)
{
    (void)state;
    redis_cluster_stop(&servers);
    return 0;
}

static int settle(void **state)
{
    (void)state;
    for (unsigned i = 0; i < redis_cluster_count(servers) && i < 6; i++) {
        if (!redis_cluster_runs(servers, i) && redis_cluster_restart(servers, i) != 0)
            return -1;
    }
    return redis_cluster_settle(servers, REDIS_CLUSTER_WAIT_MS);
}

static void watch_open(struct watch *watch)
{
    const char *seeds[] = {redis_cluster_address(servers, 0), redis_cluster_address(servers, 4)};
    *watch = (struct watch){.servers = servers};
    pthread_mutex_init(&watch->lock, NULL);
    const struct strata_cluster_options options = {.cluster_nodes = seeds,
                                                   .cluster_node_count = 2,
                                                   .interval_ms = 200,
                                                   .on_event = note,
                                                   .event_arg = watch};
    struct strata_error error;
    if (strata_cluster_open(&watch->cluster, &options, &error) != STRATA_OK)
        fail_msg("%s", error.text);
}

static const struct strata_cluster_info *look(struct watch *watch)
{
    strata_cluster_info_free(&watch->info);
    assert_int_equal(strata_cluster_get_info(watch->cluster, &watch->info), STRATA_OK);
    return watch->info;
}

static void watch_close(struct watch *watch)
{
    strata_cluster_close(&watch->cluster);
    assert_null(watch->cluster);
    strata_cluster_info_free(&watch->info);
    pthread_mutex_destroy(&watch->lock);
}

static const struct strata_cluster_node *node_of(const struct strata_cluster_info *info,
                                                 unsigned number)
{
    for (unsigned i = 0; i < info->total_nodes; i++) {
        if (strcmp(info->nodes[i].id, redis_cluster_id(servers, number)) == 0)
            return &info->nodes[i];
    }
    return NULL;
}

/* ---- what is seen ---- */

static void check_node(const struct strata_cluster_info *info, unsigned number)
{
    const struct strata_cluster_node *node = node_of(info, number);
    bool primary = redis_cluster_is_primary(servers, number);
    assert_non_null(node);
    assert_string_equal(node->address, redis_cluster_address(servers, number));
    assert_int_equal(node->state, STRATA_NODE_UP);
    assert_int_equal(node->role, primary ? STRATA_NODE_PRIMARY : STRATA_NODE_REPLICA);
    assert_int_equal(node->replicas, primary ? 1 : 0);
    assert_int_equal(node->primary_id[0] == '\0', primary);
    assert_int_equal(node->slots > 0, primary);
    assert_in_range(node->latency_ns, 1000, 5 * STA_NS_SEC);
    assert_true(node->latency_p99_ns >= node->latency_ns * 7 / 8);
    assert_in_range(node->silent_ms, 0, 5000);
    assert_int_equal(node->reconnects, 0);
}

static void the_first_look_shows_all_of_the_cluster(void **state)
{
    (void)state;
    struct watch watch;
    watch_open(&watch);
    const struct strata_cluster_info *info = look(&watch);
    assert_string_equal(info->cluster_state, "ok");
    assert_int_equal(info->healthy_nodes, 6);
    assert_int_equal(info->total_nodes, 6);
    assert_int_equal(info->slots_assigned, 16384);
    assert_int_equal(info->slots_ok, 16384);
    assert_int_equal(info->slots_pfail + info->slots_fail, 0);
    assert_true(info->current_epoch > 0);
    for (unsigned number = 0; number < 6; number++)
        check_node(info, number);
    for (unsigned i = 0; i < 6; i += 2) { /* each primary before its replica */
        assert_int_equal(info->nodes[i].role, STRATA_NODE_PRIMARY);
        assert_string_equal(info->nodes[i + 1].primary_id, info->nodes[i].id);
    }
    assert_int_equal(count_events(&watch, ";"), 0);
    watch_close(&watch);
}

static void ranges_cover_all_slots_in_order(void **state)
{
    (void)state;
    struct watch watch;
    watch_open(&watch);
    const struct strata_cluster_info *info = look(&watch);
    unsigned next = 0;
    for (size_t i = 0; i < info->range_count; i++) {
        const struct strata_cluster_range *range = &info->ranges[i];
        int primary = redis_cluster_primary(servers, range->first);
        assert_int_equal(range->first, next);
        assert_true(range->last >= range->first && range->node < info->total_nodes);
        assert_string_equal(info->nodes[range->node].id,
                            redis_cluster_id(servers, (unsigned)primary));
        next = range->last + 1u;
    }
    assert_int_equal(next, 16384);
    watch_close(&watch);
}

/* ---- what happens ---- */

static bool all_are_healthy(void *arg)
{
    const struct strata_cluster_info *info = look(arg);
    return info->healthy_nodes == 6 && strcmp(info->cluster_state, "ok") == 0;
}

static bool one_is_down(void *arg)
{
    return look(arg)->healthy_nodes == 5;
}

/* The one that came back follows the one that took over. */
static bool has_three_replicas(void *arg)
{
    const struct strata_cluster_info *info = look(arg);
    unsigned replicas = 0;
    for (unsigned i = 0; i < info->total_nodes; i++)
        replicas += info->nodes[i].role == STRATA_NODE_REPLICA;
    return replicas == 3 && info->healthy_nodes == 6;
}

static bool the_heir_leads(void *arg)
{
    struct watch *watch = arg;
    return node_of(look(watch), watch->heir)->role == STRATA_NODE_PRIMARY;
}

static void a_primary_that_dies_is_down_fails_over_and_comes_back(void **state)
{
    (void)state;
    struct watch watch;
    watch_open(&watch);
    const struct strata_cluster_info *info = look(&watch);
    unsigned dies = (unsigned)redis_cluster_primary(servers, 0);
    unsigned heir = (unsigned)redis_cluster_replica(servers, dies);
    unsigned slots = node_of(info, dies)->slots;
    const char *address = redis_cluster_address(servers, dies);
    redis_cluster_kill9(servers, dies);
    expect_event(&watch, "node_down", address, "", 0);
    expect_event(&watch, "failover", redis_cluster_address(servers, heir), address, slots);
    assert_true(wait_until(one_is_down, &watch, WAIT_MS));
    watch.heir = heir;
    assert_true(wait_until(the_heir_leads, &watch, WAIT_MS)); /* the node asked may be behind */
    assert_int_equal(watch.info->total_nodes, 6);
    assert_int_equal(redis_cluster_restart(servers, dies), 0);
    expect_event(&watch, "node_up", address, "", 0);
    assert_true(wait_until(has_three_replicas, &watch, WAIT_MS));
    assert_true(node_of(look(&watch), dies)->reconnects > 0);
    assert_int_equal(count_events(&watch, "node_down"), 1);
    assert_int_equal(count_events(&watch, "failover"), 1);
    assert_int_equal(count_events(&watch, "node_up"), 1);
    watch_close(&watch);
}

static void a_planned_failover_is_told_and_nobody_is_down(void **state)
{
    (void)state;
    struct watch watch;
    watch_open(&watch);
    unsigned old = (unsigned)redis_cluster_primary(servers, 16383);
    unsigned heir = (unsigned)redis_cluster_replica(servers, old);
    unsigned slots = node_of(look(&watch), old)->slots;
    assert_int_equal(redis_cluster_failover(servers, heir, ""), 0);
    expect_event(&watch, "failover", redis_cluster_address(servers, heir),
                 redis_cluster_address(servers, old), slots);
    assert_int_equal(count_events(&watch, "node_down"), 0);
    watch_close(&watch);
}

static void a_frozen_replica_is_down_until_it_thaws(void **state)
{
    (void)state;
    struct watch watch;
    watch_open(&watch);
    (void)look(&watch);
    unsigned frozen =
        (unsigned)redis_cluster_replica(servers, (unsigned)redis_cluster_primary(servers, 0));
    const char *address = redis_cluster_address(servers, frozen);
    redis_cluster_freeze(servers, frozen);
    expect_event(&watch, "node_down", address, "", 0);
    assert_true(wait_until(one_is_down, &watch, WAIT_MS));
    redis_cluster_thaw(servers, frozen);
    expect_event(&watch, "node_up", address, "", 0);
    assert_true(wait_until(all_are_healthy, &watch, WAIT_MS));
    watch_close(&watch);
}

static void slots_that_are_handed_over_are_told_with_both_owners(void **state)
{
    (void)state;
    struct watch watch;
    watch_open(&watch);
    (void)look(&watch);
    unsigned from = (unsigned)redis_cluster_primary(servers, 100);
    unsigned to = (unsigned)redis_cluster_primary(servers, 8000);
    assert_int_equal(redis_cluster_move_slot(servers, 100, to), 0);
    expect_event(&watch, "slots_moved", redis_cluster_address(servers, to),
                 redis_cluster_address(servers, from), 1);
    assert_int_equal(redis_cluster_move_slot(servers, 100, from), 0);
    expect_event(&watch, "slots_moved", redis_cluster_address(servers, from),
                 redis_cluster_address(servers, to), 1);
    watch_close(&watch);
}

static bool sees_seven(void *arg)
{
    return look(arg)->total_nodes == 7 && look(arg)->healthy_nodes == 7;
}

static void nodes_that_join_and_leave_are_told(void **state)
{
    (void)state;
    struct watch watch;
    watch_open(&watch);
    (void)look(&watch);
    int added = redis_cluster_add(servers, -1);
    assert_true(added >= 0);
    char address[64];
    snprintf(address, sizeof address, "%s", redis_cluster_address(servers, (unsigned)added));
    expect_event(&watch, "node_added", address, "", 0);
    assert_true(wait_until(sees_seven, &watch, WAIT_MS));
    assert_int_equal(redis_cluster_remove(servers, (unsigned)added), 0);
    expect_event(&watch, "node_removed", address, "", 0);
    assert_true(wait_until(all_are_healthy, &watch, WAIT_MS));
    watch_close(&watch);
}

static void a_node_at_another_address_is_the_same_node(void **state)
{
    (void)state;
    struct watch watch;
    watch_open(&watch);
    (void)look(&watch);
    unsigned moves =
        (unsigned)redis_cluster_replica(servers, (unsigned)redis_cluster_primary(servers, 0));
    char before[64];
    snprintf(before, sizeof before, "%s", redis_cluster_address(servers, moves));
    redis_cluster_kill9(servers, moves);
    expect_event(&watch, "node_down", before, "", 0);
    assert_int_equal(redis_cluster_relocate(servers, moves), 0);
    expect_event(&watch, "node_up", redis_cluster_address(servers, moves), "", 0);
    assert_int_equal(count_events(&watch, "node_added"), 0);
    assert_int_equal(count_events(&watch, "node_removed"), 0);
    watch_close(&watch);
}

/* Each node's link tells for itself: a look in between may show some of them healthy yet. */
static bool all_are_gone(void *arg)
{
    const struct strata_cluster_info *info = look(arg);
    return strcmp(info->cluster_state, "unknown") == 0 && info->healthy_nodes == 0;
}

static void a_cluster_that_is_gone_is_unknown_with_all_nodes_down(void **state)
{
    (void)state;
    struct watch watch;
    watch_open(&watch);
    (void)look(&watch);
    for (unsigned i = 0; i < 6; i++)
        redis_cluster_kill9(servers, i);
    assert_true(wait_until(all_are_gone, &watch, WAIT_MS));
    const struct strata_cluster_info *info = look(&watch);
    assert_string_equal(info->cluster_state, "unknown");
    assert_int_equal(info->healthy_nodes, 0);
    assert_int_equal(info->total_nodes, 6);
    assert_int_equal(info->slots_ok, 0);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(redis_cluster_restart(servers, i), 0);
    assert_true(wait_until(all_are_healthy, &watch, WAIT_MS));
    watch_close(&watch);
}

/* ---- threads ---- */

static void *ask_often(void *arg)
{
    for (unsigned i = 0; i < 300; i++) {
        struct strata_cluster_info *info = NULL;
        if (strata_cluster_get_info(arg, &info) != STRATA_OK || info->total_nodes != 6)
            return arg;
        strata_cluster_info_free(&info);
    }
    return NULL;
}

static void many_threads_may_ask_at_once(void **state)
{
    (void)state;
    struct watch watch;
    pthread_t threads[4];
    watch_open(&watch);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, watch.cluster), 0);
    for (unsigned i = 0; i < 4; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    watch_close(&watch);
}

static void closing_at_any_moment_is_clean(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        struct watch watch;
        watch_open(&watch);
        if (i % 4 == 3)
            (void)look(&watch);
        watch_close(&watch);
    }
    strata_cluster_close(NULL);
}

/* ---- single servers, and nobody ---- */

static int open_at(struct strata_cluster **out, const char *url, struct strata_error *error)
{
    const struct strata_cluster_options options = {.redis_url = url, .interval_ms = 100};
    return strata_cluster_open(out, &options, error);
}

static bool single_is_down(void *arg)
{
    struct watch *watch = arg;
    return look(watch)->healthy_nodes == 0;
}

static bool single_is_up(void *arg)
{
    struct watch *watch = arg;
    return look(watch)->healthy_nodes == 1;
}

static void a_single_redis_is_its_one_node(void **state)
{
    (void)state;
    struct redis_server *server = NULL;
    struct watch watch = {.servers = NULL};
    char address[64], url[300];
    assert_int_equal(redis_server_start(&server, NULL), 0);
    snprintf(address, sizeof address, "127.0.0.1:%d", redis_server_port(server));
    assert_int_equal(open_at(&watch.cluster, redis_server_url(server), NULL), STRATA_OK);
    const struct strata_cluster_info *info = look(&watch);
    assert_string_equal(info->cluster_state, "standalone");
    assert_int_equal(info->total_nodes, 1);
    assert_int_equal(info->healthy_nodes, 1);
    assert_int_equal(info->range_count, 0);
    assert_string_equal(info->nodes[0].address, address);
    assert_string_equal(info->nodes[0].id, "");
    redis_server_kill9(server);
    assert_true(wait_until(single_is_down, &watch, WAIT_MS));
    assert_string_equal(look(&watch)->cluster_state, "standalone");
    assert_int_equal(redis_server_restart(server), 0);
    assert_true(wait_until(single_is_up, &watch, WAIT_MS));
    strata_cluster_close(&watch.cluster);

    snprintf(url, sizeof url, "unix://%s", redis_server_socket(server));
    assert_int_equal(open_at(&watch.cluster, url, NULL), STRATA_OK);
    assert_memory_equal(look(&watch)->nodes[0].address, "unix:/", 6);
    strata_cluster_close(&watch.cluster);
    strata_cluster_info_free(&watch.info);
    redis_server_stop(&server);
}

static void who_is_not_let_in_is_told_so(void **state)
{
    (void)state;
    struct redis_server *server = NULL;
    struct strata_cluster *cluster = NULL;
    struct strata_cluster_info *info = NULL;
    const char *const args[] = {"--requirepass", "secret", NULL};
    char url[128];
    assert_int_equal(redis_server_start(&server, args), 0);
    snprintf(url, sizeof url, "redis://:wrong@127.0.0.1:%d/0", redis_server_port(server));
    assert_int_equal(open_at(&cluster, url, NULL), STRATA_OK);
    assert_int_equal(strata_cluster_get_info(cluster, &info), STRATA_ERR_DENIED);
    assert_null(info);
    strata_cluster_close(&cluster);
    snprintf(url, sizeof url, "redis://:secret@127.0.0.1:%d/0", redis_server_port(server));
    assert_int_equal(open_at(&cluster, url, NULL), STRATA_OK);
    assert_int_equal(strata_cluster_get_info(cluster, &info), STRATA_OK);
    strata_cluster_info_free(&info);
    strata_cluster_close(&cluster);
    redis_server_stop(&server);
}

static void where_nobody_listens_the_answer_does_not_take_the_whole_time(void **state)
{
    (void)state;
    struct redis_server *server = NULL;
    struct strata_cluster *cluster = NULL;
    struct strata_cluster_info *info = NULL;
    assert_int_equal(redis_server_start(&server, NULL), 0);
    redis_server_kill9(server);
    struct stall_mark begin = stall_mark();
    assert_int_equal(open_at(&cluster, redis_server_url(server), NULL), STRATA_OK);
    assert_int_equal(strata_cluster_get_info(cluster, &info), STRATA_ERR_UNAVAILABLE);
    assert_true(stall_took_ns(begin) < 3 * STA_NS_SEC); /* of 5 s */
    strata_cluster_close(&cluster);
    redis_server_stop(&server);
}

static void options_that_are_not_valid_are_refused(void **state)
{
    (void)state;
    const char *bad[] = {"localhost"};
    const struct {
        struct strata_cluster_options options;
        int status;
        const char *part;
    } rows[] = {
        {{.cluster_nodes = bad, .cluster_node_count = 1}, STRATA_ERR_CONFIG, "localhost"},
        {{.redis_url = "http://a"}, STRATA_ERR_CONFIG, "redis_url"},
        {{.interval_ms = 99}, STRATA_ERR_CONFIG, "interval_ms=99"},
        {{.interval_ms = 3600001}, STRATA_ERR_CONFIG, "interval_ms"},
        {{.timeout_ms = 3600001}, STRATA_ERR_CONFIG, "timeout_ms"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct strata_cluster *cluster = NULL;
        struct strata_error error = {0};
        assert_int_equal(strata_cluster_open(&cluster, &rows[i].options, &error), rows[i].status);
        assert_null(cluster);
        if (strstr(error.text, rows[i].part) == NULL)
            fail_msg("row %zu: %s", i, error.text);
    }
}

static void event_names_are_constants(void **state)
{
    (void)state;
    assert_string_equal(strata_cluster_event_name(STRATA_CLUSTER_STATE), "state");
    assert_string_equal(strata_cluster_event_name((enum strata_cluster_event_kind)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_first_look_shows_all_of_the_cluster, settle),
        cmocka_unit_test_setup(ranges_cover_all_slots_in_order, settle),
        cmocka_unit_test_setup(a_primary_that_dies_is_down_fails_over_and_comes_back, settle),
        cmocka_unit_test_setup(a_planned_failover_is_told_and_nobody_is_down, settle),
        cmocka_unit_test_setup(a_frozen_replica_is_down_until_it_thaws, settle),
        cmocka_unit_test_setup(slots_that_are_handed_over_are_told_with_both_owners, settle),
        cmocka_unit_test_setup(nodes_that_join_and_leave_are_told, settle),
        cmocka_unit_test_setup(a_node_at_another_address_is_the_same_node, settle),
        cmocka_unit_test_setup(many_threads_may_ask_at_once, settle),
        cmocka_unit_test_setup(closing_at_any_moment_is_clean, settle),
        cmocka_unit_test_setup(a_cluster_that_is_gone_is_unknown_with_all_nodes_down, settle),
        cmocka_unit_test(a_single_redis_is_its_one_node),
        cmocka_unit_test(who_is_not_let_in_is_told_so),
        cmocka_unit_test(where_nobody_listens_the_answer_does_not_take_the_whole_time),
        cmocka_unit_test(options_that_are_not_valid_are_refused),
        cmocka_unit_test(event_names_are_constants),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
