/* SPDX-License-Identifier: MIT
 *
 * What a snapshot says of the health, fact by fact.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "observe/health.h"

static struct strata_l2_node nodes[2];
static struct strata_l2_health l2;

/* A cache of both tiers before one Redis that is well, and names what changes. */
static struct sta_snapshot well(void)
{
    nodes[0] = (struct strata_l2_node){.address = "one:6379", .state = STRATA_L2_UP};
    nodes[1] = (struct strata_l2_node){.address = "two:6379", .state = STRATA_L2_UP};
    l2 = (struct strata_l2_health){
        .healthy_nodes = 1, .total_nodes = 1, .nodes = nodes, .slots_ok = 16384};
    return (struct sta_snapshot){
        .parts = STA_SNAPSHOT_ALWAYS | STA_SNAPSHOT_L1 | STA_SNAPSHOT_L2 | STA_SNAPSHOT_COHERENCE,
        .tracking = true,
        .budget_ns = 5 * STA_NS_SEC,
        .statistics = {.coherence = STRATA_COHERENCE_TRACKING},
        .nodes = &l2,
    };
}

/* Node `index` is in this state. */
static void node_is(size_t index, enum strata_l2_state state)
{
    nodes[index].state = state;
    l2.state = state > l2.state ? state : l2.state;
    l2.healthy_nodes -= state != STRATA_L2_UP;
}

static void assert_part(struct strata_health_part part, enum strata_health_state state,
                        const char *reason)
{
    if (part.state != state || strcmp(part.reason, reason) != 0)
        fail_msg("%s, %s; not %s, %s", strata_health_state_name(part.state), part.reason,
                 strata_health_state_name(state), reason);
    assert_int_equal(part.text[0] != '\0', state != STRATA_HEALTHY);
}

static void assert_health(const struct sta_snapshot *snapshot, enum strata_health_state l1_cache,
                          enum strata_health_state l2_cache, enum strata_health_state overall,
                          const char *reason)
{
    struct strata_health health = sta_health_judge(snapshot);
    assert_int_equal(health.l1_cache.state, l1_cache);
    assert_int_equal(health.l2_cache.state, l2_cache);
    assert_part(health.overall, overall, reason);
}

static void all_is_well(void **state)
{
    (void)state;
    struct sta_snapshot snapshot = well();
    assert_health(&snapshot, STRATA_HEALTHY, STRATA_HEALTHY, STRATA_HEALTHY, "");
}

static void a_silent_redis_leaves_l1_in_doubt(void **state)
{
    (void)state;
    struct sta_snapshot snapshot = well();
    node_is(0, STRATA_L2_SICK);
    assert_health(&snapshot, STRATA_UNHEALTHY, STRATA_UNHEALTHY, STRATA_UNHEALTHY, "silent");
    assert_part(sta_health_judge(&snapshot).l1_cache, STRATA_UNHEALTHY, "in_doubt");
    assert_non_null(strstr(sta_health_judge(&snapshot).l2_cache.text, "one:6379"));
    snapshot.serve_stale = STRATA_SERVE_STALE_ON;
    assert_health(&snapshot, STRATA_DEGRADED, STRATA_UNHEALTHY, STRATA_DEGRADED, "silent");
    assert_part(sta_health_judge(&snapshot).l1_cache, STRATA_DEGRADED, "stale");
}

static void entries_that_live_by_their_ttl_are_answered_without_redis(void **state)
{
    (void)state;
    struct sta_snapshot snapshot = well();
    snapshot.tracking = false;
    snapshot.statistics.coherence = STRATA_COHERENCE_TTL;
    assert_health(&snapshot, STRATA_HEALTHY, STRATA_HEALTHY, STRATA_HEALTHY, "");
    node_is(0, STRATA_L2_DOWN);
    assert_health(&snapshot, STRATA_HEALTHY, STRATA_UNHEALTHY, STRATA_DEGRADED, "unreachable");
}

static void a_server_that_does_not_track_is_told(void **state)
{
    (void)state;
    struct sta_snapshot snapshot = well();
    snapshot.statistics.coherence = STRATA_COHERENCE_TTL;
    assert_health(&snapshot, STRATA_DEGRADED, STRATA_HEALTHY, STRATA_DEGRADED, "untracked");
}

static void before_the_first_connection_l2_is_unhealthy(void **state)
{
    (void)state;
    struct sta_snapshot snapshot = well();
    snapshot.statistics.coherence = STRATA_COHERENCE_UNKNOWN;
    node_is(0, STRATA_L2_CONNECTING);
    assert_health(&snapshot, STRATA_UNHEALTHY, STRATA_UNHEALTHY, STRATA_UNHEALTHY, "connecting");
    snapshot.refused = true;
    assert_health(&snapshot, STRATA_UNHEALTHY, STRATA_UNHEALTHY, STRATA_UNHEALTHY, "refused");
    l2.total_nodes = 0;
    snapshot.refused = false;
    assert_health(&snapshot, STRATA_UNHEALTHY, STRATA_UNHEALTHY, STRATA_UNHEALTHY, "connecting");
}

static void one_node_of_two_is_half_of_it(void **state)
{
    (void)state;
    struct sta_snapshot snapshot = well();
    l2.healthy_nodes = l2.total_nodes = 2;
    l2.slots_ok = 8192;
    node_is(1, STRATA_L2_DOWN);
    assert_health(&snapshot, STRATA_DEGRADED, STRATA_DEGRADED, STRATA_DEGRADED, "unreachable");
    assert_non_null(strstr(sta_health_judge(&snapshot).l2_cache.text, "two:6379"));
}

static void slots_without_a_server_are_told(void **state)
{
    (void)state;
    struct sta_snapshot snapshot = well();
    l2.slots_ok = 16383;
    assert_health(&snapshot, STRATA_HEALTHY, STRATA_DEGRADED, STRATA_DEGRADED, "slots");
}

static void answers_that_take_half_the_budget_are_slow(void **state)
{
    (void)state;
    struct sta_snapshot snapshot = well();
    nodes[0].latency_p99_ns = snapshot.budget_ns / 2 - 1;
    assert_health(&snapshot, STRATA_HEALTHY, STRATA_HEALTHY, STRATA_HEALTHY, "");
    nodes[0].latency_p99_ns++;
    assert_health(&snapshot, STRATA_HEALTHY, STRATA_DEGRADED, STRATA_DEGRADED, "slow");
}

static void tiers_that_are_off_are_disabled(void **state)
{
    (void)state;
    struct sta_snapshot snapshot = well();
    snapshot.parts = STA_SNAPSHOT_ALWAYS | STA_SNAPSHOT_L1;
    assert_health(&snapshot, STRATA_HEALTHY, STRATA_HEALTH_DISABLED, STRATA_HEALTHY, "");
    snapshot.parts = STA_SNAPSHOT_ALWAYS | STA_SNAPSHOT_L2;
    assert_health(&snapshot, STRATA_HEALTH_DISABLED, STRATA_HEALTHY, STRATA_HEALTHY, "");
    node_is(0, STRATA_L2_DOWN);
    assert_health(&snapshot, STRATA_HEALTH_DISABLED, STRATA_UNHEALTHY, STRATA_UNHEALTHY,
                  "unreachable");
    snapshot.parts = STA_SNAPSHOT_ALWAYS;
    assert_health(&snapshot, STRATA_HEALTH_DISABLED, STRATA_HEALTH_DISABLED, STRATA_HEALTH_DISABLED,
                  "disabled");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_well),
        cmocka_unit_test(a_silent_redis_leaves_l1_in_doubt),
        cmocka_unit_test(entries_that_live_by_their_ttl_are_answered_without_redis),
        cmocka_unit_test(a_server_that_does_not_track_is_told),
        cmocka_unit_test(before_the_first_connection_l2_is_unhealthy),
        cmocka_unit_test(one_node_of_two_is_half_of_it),
        cmocka_unit_test(slots_without_a_server_are_told),
        cmocka_unit_test(answers_that_take_half_the_budget_are_slow),
        cmocka_unit_test(tiers_that_are_off_are_disabled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
