/* SPDX-License-Identifier: MIT
 *
 * A cluster whose nodes tell their clients other addresses than they listen on, which are then all
 * changed at once: only the seed leads back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "strata/strata.h"
#include "support/fault_proxy.h"
#include "support/redis_cluster.h"
#include "support/stall.h"
#include "support/wait.h"

#define NODES   3
#define WAIT_MS 30000

static struct redis_cluster *cluster;

static int start(void **state)
{
    static const struct redis_cluster_config config = {.no_replicas = true,
                                                       .client_host = "127.0.0.9"};
    (void)state;
    return redis_cluster_start(&cluster, &config);
}

static int stop(void **state)
{
    (void)state;
    redis_cluster_stop(&cluster);
    return 0;
}

/* Before each node, under its own port on another host. */
static void proxies_start(struct fault_proxy **proxies, const char *host)
{
    for (unsigned i = 0; i < NODES; i++) {
        char listen[64];
        char target[64];
        (void)snprintf(listen, sizeof listen, "%s:%d", host, redis_cluster_port(cluster, i));
        (void)snprintf(target, sizeof target, "127.0.0.1:%d", redis_cluster_port(cluster, i));
        proxies[i] = fault_proxy_start(listen, target);
    }
}

static void proxies_stop(struct fault_proxy **proxies)
{
    for (unsigned i = 0; i < NODES; i++)
        fault_proxy_stop(&proxies[i]);
}

/* Every node has some of the keys. */
static bool all_nodes_serve(void *arg)
{
    for (unsigned i = 0; i < 30; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "key:%u", i);
        if (strata_l2_set(arg, strata_text(key), strata_text("x"), 0) != STRATA_OK)
            return false;
    }
    return true;
}

static void when_all_addresses_change_the_seed_leads_back_within_seconds(void **state)
{
    (void)state;
    struct fault_proxy *before[NODES];
    struct fault_proxy *after[NODES];
    char target[64];
    (void)snprintf(target, sizeof target, "127.0.0.1:%d", redis_cluster_port(cluster, 0));
    struct fault_proxy *seed = fault_proxy_start("127.0.0.8:0", target);
    const char *seeds[] = {fault_proxy_address(seed)};
    const struct strata_l2_options options = {
        .cluster_enabled = STRATA_ON, .cluster_nodes = seeds, .cluster_node_count = 1};
    struct strata_l2 *l2;
    proxies_start(before, "127.0.0.9");
    assert_int_equal(strata_l2_open(&l2, &options, NULL), STRATA_OK);
    assert_true(wait_until(all_nodes_serve, l2, WAIT_MS));
    for (unsigned i = 0; i < NODES; i++)
        assert_true(fault_proxy_statistics(before[i]).accepted > 0);
    for (unsigned i = 0; i < NODES; i++)
        assert_int_equal(
            redis_cluster_tell(cluster, i, "CONFIG SET cluster-announce-hostname %s", "127.0.0.10"),
            0);
    proxies_start(after, "127.0.0.10");
    proxies_stop(before);
    struct stall_mark changed = stall_mark();
    assert_true(wait_until(all_nodes_serve, l2, WAIT_MS));
    uint64_t back_ns = stall_took_ns(changed);
    print_message("back after %.2f s\n", (double)back_ns / STA_NS_SEC);
    assert_true(back_ns < 5 * STA_NS_SEC);
    for (unsigned i = 0; i < NODES; i++)
        assert_true(fault_proxy_statistics(after[i]).accepted > 0);
    strata_l2_close(&l2);
    proxies_stop(after);
    fault_proxy_stop(&seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(when_all_addresses_change_the_seed_leads_back_within_seconds),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
