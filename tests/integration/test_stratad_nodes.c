/* SPDX-License-Identifier: MIT
 *
 * stratad before a cluster tells of each node: its state, as the worst that a worker saw, what it
 * was asked, and who of them is unwell; in its statistics, its metrics, its health, and `strata
 * top`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "integration/admin_rig.h"
#include "integration/stratad_cluster_rig.h"
#include "strata_program.h"
#include "support/port.h"
#include "support/wait.h"

#define PATIENT_MS 60000u
#define PRIMARIES  3u

static struct bench {
    struct cluster_rig *rig;
    struct stratad_process *stratad;
    redisContext *clients[2]; /* of two workers */
    char url[160];
    int port; /* of the administration */
} bench;

/* Without replicas: nobody takes over from a node that hangs for a while. */
static int start(void **state)
{
    const struct redis_cluster_config config = {.no_replicas = true, .node_timeout_ms = 60000};
    char address[64];
    const char *const args[] = {"--admin-listen", address, "--metrics-detailed", "true", NULL};
    if (cluster_rig_start_with(state, &config) != 0)
        return -1;
    bench.rig = *state;
    bench.port = port_choose("127.0.0.1");
    (void)snprintf(address, sizeof address, "127.0.0.1:%d", bench.port);
    bench.stratad = stratad_cluster_start(bench.rig, args);
    for (unsigned i = 0; i < 2; i++)
        bench.clients[i] = rig_client(bench.stratad);
    (void)snprintf(bench.url, sizeof bench.url, "unix://%s", stratad_process_socket(bench.stratad));
    return 0;
}

static int stop(void **state)
{
    for (unsigned i = 0; i < 2; i++)
        redisFree(bench.clients[i]);
    stratad_process_stop(&bench.stratad);
    return cluster_rig_stop(state);
}

/* Each worker asks each node `times` times, for keys that are not in L1. */
static void ask_all(const char *prefix, unsigned times)
{
    unsigned n = 0;
    char key[64];
    for (unsigned node = 0; node < PRIMARIES; node++)
        for (unsigned i = 0; i < 2 * times; i++) {
            stratad_cluster_key_of(bench.rig->cluster, node, prefix, &n, key, sizeof key);
            freeReplyObject(redisCommand(bench.clients[i % 2], "GET %s", key));
        }
}

static json_t *page(const char *path)
{
    char *text = admin_rig_page(bench.port, path, 200);
    json_t *document = json_loads(text, 0, NULL);
    assert_non_null(document);
    free(text);
    return document;
}

/* Of a list of nodes the one that is this of the cluster; borrowed, NULL: it is not in it. */
static const json_t *node_in(const json_t *nodes, unsigned node)
{
    size_t i;
    const json_t *one;
    json_array_foreach(nodes, i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "address")),
                   redis_cluster_address(bench.rig->cluster, node)) == 0)
            return one;
    }
    return NULL;
}

static const json_t *nodes_of(const json_t *statistics)
{
    return json_object_get(json_object_get(statistics, "l2_cache"), "nodes");
}

static bool all_were_asked(void *arg)
{
    json_t *document = page("/stats");
    const json_t *nodes = nodes_of(document);
    bool all = json_array_size(nodes) == PRIMARIES;
    (void)arg;
    for (unsigned i = 0; i < PRIMARIES && all; i++) {
        const json_t *node = node_in(nodes, i);
        assert_non_null(node);
        all = json_integer_value(json_object_get(node, "replies")) >= 20 &&
              json_number_value(json_object_get(node, "latency_seconds")) > 0 &&
              json_number_value(json_object_get(node, "latency_p99_seconds")) > 0 &&
              strcmp(json_string_value(json_object_get(node, "state")), "up") == 0;
    }
    json_decref(document);
    return all;
}

static void each_node_has_its_own_numbers(void **state)
{
    (void)state;
    char series[160];
    ask_all("first", 10);
    assert_true(wait_until(all_were_asked, NULL, PATIENT_MS));
    for (unsigned i = 0; i < PRIMARIES; i++) {
        (void)snprintf(series, sizeof series, "\nstrata_l2_node_state{node=\"%s\"} 0\n",
                       redis_cluster_address(bench.rig->cluster, i));
        admin_rig_assert_page_has(bench.port, "/metrics", 200, series);
    }
    admin_rig_assert_page_has(bench.port, "/metrics", 200, "\nstrata_l2_cluster 1\n");
    admin_rig_assert_page_has(bench.port, "/metrics", 200, "\nstrata_l2_nodes 3\n");
    admin_rig_assert_page_has(bench.port, "/metrics", 200, "\nredis_cluster_nodes_healthy 3\n");
    admin_rig_assert_page_has(bench.port, "/metrics", 200, "\nredis_cluster_slots_ok 16384\n");
    admin_rig_assert_page_has(bench.port, "/health", 200, "\"overall\":{\"state\":\"healthy\"");
}

/* ---- one that is unwell ---- */

struct wanted {
    unsigned node;
    const char *state; /* of that node; the others are up */
};

static bool top_shows(void *arg)
{
    const struct wanted *wanted = arg;
    struct command_result result;
    assert_int_equal(
        strata_run(&result, NULL, bench.url, "top", "--once", "--interval", "0.05", "--json", NULL),
        0);
    json_t *document = strata_json(&result);
    command_result_fini(&result);
    const json_t *nodes = json_object_get(document, "nodes");
    bool so = json_array_size(nodes) == PRIMARIES;
    for (unsigned i = 0; i < PRIMARIES && so; i++) {
        const json_t *node = node_in(nodes, i);
        so = node != NULL && strcmp(json_string_value(json_object_get(node, "state")),
                                    i == wanted->node ? wanted->state : "up") == 0;
    }
    json_decref(document);
    return so;
}

static bool is_healthy_again(void *arg)
{
    char *text = admin_rig_page(bench.port, "/health", 200);
    bool so = strstr(text, "\"overall\":{\"state\":\"healthy\"") != NULL;
    (void)arg;
    free(text);
    return so;
}

static void assert_top_shows(unsigned node, const char *state)
{
    struct wanted wanted = {node, state};
    if (!wait_until(top_shows, &wanted, PATIENT_MS))
        fail_msg("%s is not shown as %s", redis_cluster_address(bench.rig->cluster, node), state);
}

static void assert_degraded(unsigned node, const char *reason)
{
    char text[160];
    (void)snprintf(text, sizeof text, "\"l2_cache\":{\"state\":\"degraded\",\"reason\":\"%s\",",
                   reason);
    admin_rig_assert_page_has(bench.port, "/health", 200, text);
    admin_rig_assert_page_has(bench.port, "/health", 200,
                              redis_cluster_address(bench.rig->cluster, node));
    admin_rig_assert_page_has(bench.port, "/health", 200, "(2 of 3 nodes are well)");
    admin_rig_assert_page_has(bench.port, "/metrics", 200, "\nredis_cluster_nodes_healthy 2\n");
}

static void a_node_that_hangs_or_dies_is_told_of_alone(void **state)
{
    (void)state;
    struct redis_cluster *cluster = bench.rig->cluster;
    ask_all("second", 1);
    assert_top_shows(0, "up");
    redis_cluster_freeze(cluster, 1);
    assert_top_shows(1, "sick");
    assert_degraded(1, "silent");
    redis_cluster_thaw(cluster, 1);
    assert_top_shows(1, "up");
    assert_true(wait_until(is_healthy_again, NULL, PATIENT_MS));
    redis_cluster_kill9(cluster, 2);
    assert_top_shows(2, "down");
    assert_degraded(2, "unreachable");
    assert_int_equal(redis_cluster_restart(cluster, 2), 0);
    assert_top_shows(2, "up");
    assert_true(wait_until(is_healthy_again, NULL, PATIENT_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_node_has_its_own_numbers),
        cmocka_unit_test(a_node_that_hangs_or_dies_is_told_of_alone),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
