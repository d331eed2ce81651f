/* SPDX-License-Identifier: MIT
 *
 * Primaries that die, freeze and change under load. Redis decides when a replica takes over; what
 * is asked of us is that calls fail no longer than that takes, and none afterwards. A kill may lose
 * what the replica had not got yet, and no client can help that; a planned fail-over loses
 * nothing. Long form (STRATA_LONG=1): 50 fail-overs in place of 3.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "integration/cluster_rig.h"
#include "support/fault_proxy.h"
#include "support/long_form.h"
#include "support/stall.h"
#include "support/wait.h"

#define PATIENT_MS CLUSTER_RIG_PATIENT_MS
#define BUDGET_MS  1000u /* for a slow machine; what is waited for takes 3 s and more */
#define SLACK_MS   500u

static unsigned primary_of_shard(const struct redis_cluster *cluster, unsigned shard)
{
    int node = redis_cluster_primary(cluster, shard * 5462);
    assert_true(node >= 0);
    return (unsigned)node;
}

struct heir {
    const struct redis_cluster *cluster;
    unsigned node;
};

static bool is_promoted(void *arg)
{
    const struct heir *heir = arg;
    return redis_cluster_is_primary(heir->cluster, heir->node);
}

/* Whether some calls of all end well. Where the machine took so much away meanwhile that budgets
 * may have run out, they are made once more. */
static bool is_quiet(const struct load *load)
{
    for (;;) {
        assert_true(load_recovers(load, 100, PATIENT_MS));
        struct stall_mark start = stall_mark();
        uint64_t failed = load_look(load).failed;
        assert_true(load_goes_on(load, 300, PATIENT_MS));
        if (load_look(load).failed == failed)
            return true;
        if (stall_lost_ns(start) < BUDGET_MS / 4 * STA_NS_MS)
            return false;
    }
}

/* After everything has been mended: not one error more. */
static void assert_quiet(const struct redis_cluster *cluster, const struct load *load)
{
    assert_int_equal(redis_cluster_settle(cluster, PATIENT_MS), 0);
    assert_true(is_quiet(load));
}

static void a_killed_primary_costs_errors_until_its_replica_has_taken_over(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache =
        cluster_rig_open(rig, NULL, 0, (struct strata_options){.socket_timeout_ms = BUDGET_MS});
    struct load *load =
        load_start(&(struct load_config){.cache = cache, .prefix = "killed", .batch = 20});
    assert_true(load_recovers(load, 100, PATIENT_MS));
    unsigned victim = primary_of_shard(rig->cluster, 1);
    unsigned heir = (unsigned)redis_cluster_replica(rig->cluster, victim);
    uint64_t start_ns = sta_clock_now_ns();
    redis_cluster_kill9(rig->cluster, victim);
    assert_true(wait_until(is_promoted, &(struct heir){rig->cluster, heir}, PATIENT_MS));
    struct stall_mark promoted = stall_mark();
    assert_true(load_recovers(load, 30, PATIENT_MS));
    uint64_t recovered_ns = stall_took_ns(promoted);
    print_message("# promoted after %.1f s, served %.1f s later\n",
                  (double)(promoted.at_ns - start_ns) / 1e9, (double)recovered_ns / 1e9);
    assert_in_range(recovered_ns / STA_NS_MS, 0, 3000);
    assert_quiet(rig->cluster, load);
    assert_int_equal(redis_cluster_restart(rig->cluster, victim), 0);
    assert_quiet(rig->cluster, load);
    struct load_result result = load_stop(&load);
    load_assert_right(&result);
    assert_in_range(result.longest_ns / STA_NS_MS, 0, BUDGET_MS + SLACK_MS);
    strata_close(&cache);
}

/* The proof that a client need not see it: Redis pauses its clients, and then redirects them. */
static void a_planned_fail_over_costs_nothing(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache = cluster_rig_open_plainly(rig);
    struct load *load =
        load_start(&(struct load_config){.cache = cache, .prefix = "planned", .batch = 20});
    for (unsigned shard = 0; shard < 3; shard++) {
        assert_true(load_recovers(load, 50, PATIENT_MS));
        unsigned primary = primary_of_shard(rig->cluster, shard);
        unsigned replica = (unsigned)redis_cluster_replica(rig->cluster, primary);
        assert_int_equal(redis_cluster_failover(rig->cluster, replica, ""), 0);
    }
    assert_true(load_goes_on(load, 100, PATIENT_MS));
    struct load_result result = load_stop(&load);
    load_assert_right(&result);
    load_assert_none_lost(&result);
    print_message("# %llu failed, LOST %llu\n", (unsigned long long)result.failed,
                  (unsigned long long)result.errors[-STRATA_ERR_LOST]);
    assert_int_equal(result.failed, 0);
    strata_close(&cache);
}

static void kill_and_restart(struct redis_cluster *cluster, unsigned primary, unsigned replica)
{
    redis_cluster_kill9(cluster, primary);
    assert_int_equal(redis_cluster_settle(cluster, PATIENT_MS), 0);
    assert_true(redis_cluster_is_primary(cluster, replica));
    assert_int_equal(redis_cluster_restart(cluster, primary), 0);
}

static void fail_overs_of_all_kinds_in_a_row_are_survived(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache =
        cluster_rig_open(rig, NULL, 0, (struct strata_options){.socket_timeout_ms = 2000});
    struct load *load =
        load_start(&(struct load_config){.cache = cache, .prefix = "many", .batch = 20});
    for (unsigned i = 0; i < (is_long_form() ? 50 : 3); i++) {
        unsigned primary = primary_of_shard(rig->cluster, i % 3);
        unsigned replica = (unsigned)redis_cluster_replica(rig->cluster, primary);
        if (i % 3 == 0)
            kill_and_restart(rig->cluster, primary, replica);
        else
            assert_int_equal(
                redis_cluster_failover(rig->cluster, replica, i % 3 == 1 ? "" : "TAKEOVER"), 0);
        assert_quiet(rig->cluster, load);
    }
    struct load_result result = load_stop(&load);
    load_assert_right(&result);
    strata_close(&cache);
}

static void a_frozen_primary_is_left_when_its_replica_has_taken_over(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache =
        cluster_rig_open(rig, NULL, 0, (struct strata_options){.socket_timeout_ms = BUDGET_MS});
    struct load *load = load_start(&(struct load_config){.cache = cache, .prefix = "frozen"});
    assert_true(load_recovers(load, 50, PATIENT_MS));
    unsigned victim = primary_of_shard(rig->cluster, 2);
    redis_cluster_freeze(rig->cluster, victim);
    assert_int_equal(redis_cluster_settle(rig->cluster, PATIENT_MS), 0);
    assert_true(load_recovers(load, 100, 10000)); /* nobody redirects us away from a frozen node */
    redis_cluster_thaw(rig->cluster, victim);
    assert_quiet(rig->cluster, load);
    struct load_result result = load_stop(&load);
    load_assert_right(&result);
    assert_in_range(result.longest_ns / STA_NS_MS, 0, BUDGET_MS + SLACK_MS);
    strata_close(&cache);
}

/* The only seed is frozen for good; what the others know must reach us all the same. */
static void topology_is_asked_of_nodes_that_answer(void **state)
{
    struct cluster_rig *rig = *state;
    unsigned victim = primary_of_shard(rig->cluster, 0);
    unsigned seed =
        (unsigned)redis_cluster_replica(rig->cluster, primary_of_shard(rig->cluster, 1));
    const char *seeds[] = {redis_cluster_address(rig->cluster, seed)};
    struct strata *cache =
        cluster_rig_open(rig, seeds, 1, (struct strata_options){.socket_timeout_ms = BUDGET_MS});
    struct load *load = load_start(&(struct load_config){.cache = cache, .prefix = "asked"});
    assert_true(load_recovers(load, 50, PATIENT_MS));
    redis_cluster_freeze(rig->cluster, seed);
    redis_cluster_kill9(rig->cluster, victim);
    assert_int_equal(redis_cluster_settle(rig->cluster, PATIENT_MS), 0);
    assert_true(load_recovers(load, 100, 10000));
    struct load_result result = load_stop(&load);
    load_assert_right(&result);
    strata_close(&cache);
}

/* As in a cluster of containers whose addresses are all new after an update: what stays is the
 * seeds, here two proxies. The data is gone with the old nodes. */
static void all_addresses_may_change_behind_the_seeds(void **state)
{
    struct cluster_rig *rig = *state;
    static const struct redis_cluster_config elsewhere = {.no_replicas = true, .host = "127.0.0.2"};
    struct cluster_rig first = {0};
    struct redis_cluster *second = NULL;
    struct fault_proxy *proxies[2];
    const char *seeds[2];
    (void)rig;
    log_record_init(&first.log);
    assert_int_equal(
        redis_cluster_start(&first.cluster, &(struct redis_cluster_config){.no_replicas = true}),
        0);
    for (unsigned i = 0; i < 2; i++) {
        proxies[i] = fault_proxy_start(NULL, redis_cluster_address(first.cluster, i));
        seeds[i] = fault_proxy_address(proxies[i]);
    }
    struct strata *cache =
        cluster_rig_open(&first, seeds, 2, (struct strata_options){.socket_timeout_ms = BUDGET_MS});
    struct load *load = load_start(&(struct load_config){.cache = cache, .prefix = "replaced"});
    assert_true(load_recovers(load, 50, PATIENT_MS));
    assert_int_equal(redis_cluster_start(&second, &elsewhere), 0);
    for (unsigned i = 0; i < 2; i++) {
        fault_proxy_set_target(proxies[i], redis_cluster_address(second, i));
        fault_proxy_cut(proxies[i]);
    }
    uint64_t start_ns = sta_clock_now_ns();
    redis_cluster_stop(&first.cluster);
    assert_true(load_recovers(load, 50, 10000));
    print_message("# served %.1f s after the old nodes had gone\n",
                  (double)(sta_clock_now_ns() - start_ns) / 1e9);
    struct load_result result = load_stop(&load);
    load_assert_right(&result);
    strata_close(&cache);
    for (unsigned i = 0; i < 2; i++)
        fault_proxy_stop(&proxies[i]);
    redis_cluster_stop(&second);
}

static bool is_asked(void *arg)
{
    return redis_cluster_calls(arg, "cluster|slots:") +
               redis_cluster_calls(arg, "cluster|shards:") >
           0;
}

/* Nobody calls, no redirect comes: a fail-over is seen all the same, before it hurts. */
static void a_quiet_cache_looks_after_the_cluster_by_itself(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache = cluster_rig_open_plainly(rig);
    assert_true(rig_answers(cache, "any", PATIENT_MS));
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(redis_cluster_tell(rig->cluster, i, "CONFIG RESETSTAT"), 0);
    assert_true(wait_until(is_asked, rig->cluster, PATIENT_MS));
    strata_close(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_killed_primary_costs_errors_until_its_replica_has_taken_over,
                               cluster_rig_settle),
        cmocka_unit_test_setup(a_planned_fail_over_costs_nothing, cluster_rig_settle),
        cmocka_unit_test_setup(fail_overs_of_all_kinds_in_a_row_are_survived, cluster_rig_settle),
        cmocka_unit_test_setup(a_frozen_primary_is_left_when_its_replica_has_taken_over,
                               cluster_rig_settle),
        cmocka_unit_test_setup(topology_is_asked_of_nodes_that_answer, cluster_rig_settle),
        cmocka_unit_test(all_addresses_may_change_behind_the_seeds),
        cmocka_unit_test_setup(a_quiet_cache_looks_after_the_cluster_by_itself, cluster_rig_settle),
    };
    return cmocka_run_group_tests_name("cluster_failover", tests, cluster_rig_start,
                                       cluster_rig_stop);
}
