/* SPDX-License-Identifier: MIT
 *
 * See health.h. docs/metrics.md has the reasons and what to do about each.
 */
#include "observe/health.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/clock.h"
#include "l2/slot.h"

static struct strata_health_part healthy(void)
{
    return (struct strata_health_part){.state = STRATA_HEALTHY, .reason = ""};
}

static struct strata_health_part part(enum strata_health_state state, const char *reason,
                                      const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static struct strata_health_part part(enum strata_health_state state, const char *reason,
                                      const char *format, ...)
{
    struct strata_health_part made = {.state = state, .reason = reason};
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(made.text, sizeof made.text, format, arguments);
    va_end(arguments);
    return made;
}

static struct strata_health_part disabled(void)
{
    return part(STRATA_HEALTH_DISABLED, "disabled", "switched off by configuration");
}

/* ---- L2 ---- */

/* Some node, the first of the worst. */
static const struct strata_l2_node *worst_node(const struct strata_l2_health *nodes)
{
    for (size_t i = 0; i < nodes->total_nodes; i++) {
        if (nodes->nodes[i].state == nodes->state)
            return &nodes->nodes[i];
    }
    return NULL;
}

static const char *reason_of(const struct sta_snapshot *snapshot)
{
    switch (snapshot->nodes->state) {
    case STRATA_L2_SICK:
        return "silent";
    case STRATA_L2_DOWN:
        return snapshot->refused ? "refused" : "unreachable";
    default:
        return snapshot->refused ? "refused" : "connecting";
    }
}

static const char *text_of(const struct sta_snapshot *snapshot)
{
    switch (snapshot->nodes->state) {
    case STRATA_L2_SICK:
        return "is connected to and does not answer";
    case STRATA_L2_DOWN:
        return snapshot->refused ? "refuses user, password or certificate"
                                 : "cannot be connected to";
    default:
        return snapshot->refused ? "refuses user, password or certificate"
                                 : "is not connected to yet";
    }
}

/* `state` for the reason that the worst node gives. */
static struct strata_health_part judge_nodes(const struct sta_snapshot *snapshot,
                                             enum strata_health_state state)
{
    const struct strata_l2_health *nodes = snapshot->nodes;
    const struct strata_l2_node *node = worst_node(nodes);
    if (node == NULL)
        return part(state, "connecting", "no Redis is connected to yet");
    return part(state, reason_of(snapshot), "%.120s %s (%zu of %zu nodes are well)", node->address,
                text_of(snapshot), nodes->healthy_nodes, nodes->total_nodes);
}

static uint64_t slowest_ns(const struct strata_l2_health *nodes)
{
    uint64_t most_ns = 0;
    for (size_t i = 0; i < nodes->total_nodes; i++) {
        uint64_t p99_ns = nodes->nodes[i].latency_p99_ns;
        most_ns = p99_ns > most_ns ? p99_ns : most_ns;
    }
    return most_ns;
}

static struct strata_health_part judge_l2(const struct sta_snapshot *snapshot)
{
    const struct strata_l2_health *nodes = snapshot->nodes;
    if ((snapshot->parts & STA_SNAPSHOT_L2) == 0 || nodes == NULL)
        return disabled();
    if (nodes->healthy_nodes == 0)
        return judge_nodes(snapshot, STRATA_UNHEALTHY);
    if (nodes->state >= STRATA_L2_SICK)
        return judge_nodes(snapshot, STRATA_DEGRADED);
    if (nodes->slots_ok < STA_SLOT_COUNT)
        return part(STRATA_DEGRADED, "slots", "%u of %u slots are served by nobody",
                    STA_SLOT_COUNT - nodes->slots_ok, STA_SLOT_COUNT);
    uint64_t p99_ns = slowest_ns(nodes);
    if (snapshot->budget_ns > 0 && p99_ns >= snapshot->budget_ns / 2)
        return part(STRATA_DEGRADED, "slow",
                    "one answer in a hundred takes %" PRIu64 " ms, of %" PRIu64
                    " ms that a call has",
                    p99_ns / STA_NS_MS, snapshot->budget_ns / STA_NS_MS);
    return healthy();
}

/* ---- L1 ---- */

/* What L1 has came from Redis, and whether it is still so nobody tells. */
static struct strata_health_part judge_doubt(const struct sta_snapshot *snapshot,
                                             const struct strata_health_part *l2)
{
    bool untold = snapshot->statistics.coherence == STRATA_COHERENCE_TTL;
    if (snapshot->tracking && untold)
        return part(STRATA_DEGRADED, "untracked",
                    "Redis does not tell what others change: entries are as good as their TTL");
    bool all_well = snapshot->nodes->healthy_nodes > 0 &&
                    snapshot->nodes->healthy_nodes == snapshot->nodes->total_nodes;
    if (!snapshot->tracking || all_well)
        return healthy();
    if (snapshot->serve_stale == STRATA_SERVE_STALE_ON)
        return part(STRATA_DEGRADED, "stale", "what Redis does not confirm is answered as stale");
    if (snapshot->serve_stale == STRATA_SERVE_STALE_ERROR)
        return part(l2->state, "unproven", "what Redis does not confirm is answered as an error");
    return part(l2->state, "in_doubt", "what Redis does not confirm is not answered");
}

static struct strata_health_part judge_l1(const struct sta_snapshot *snapshot,
                                          const struct strata_health_part *l2)
{
    if ((snapshot->parts & STA_SNAPSHOT_L1) == 0)
        return disabled();
    return (snapshot->parts & STA_SNAPSHOT_COHERENCE) != 0 ? judge_doubt(snapshot, l2) : healthy();
}

/* ---- both ---- */

static struct strata_health_part judge_overall(const struct strata_health_part *l1,
                                               const struct strata_health_part *l2)
{
    const struct strata_health_part *worse = l2;
    bool l1_on = l1->state != STRATA_HEALTH_DISABLED, l2_on = l2->state != STRATA_HEALTH_DISABLED;
    if (!l1_on && !l2_on)
        return part(STRATA_HEALTH_DISABLED, "disabled", "both tiers are switched off");
    if (!l2_on || (l1_on && l1->state > l2->state))
        worse = l1;
    struct strata_health_part made = *worse;
    if (l1_on && l2_on && made.state == STRATA_UNHEALTHY && l1->state != l2->state)
        made.state = STRATA_DEGRADED;
    return made;
}

struct strata_health sta_health_judge(const struct sta_snapshot *snapshot)
{
    struct strata_health health;
    health.l2_cache = judge_l2(snapshot);
    health.l1_cache = judge_l1(snapshot, &health.l2_cache);
    health.overall = judge_overall(&health.l1_cache, &health.l2_cache);
    return health;
}

static json_t *part_json(const struct strata_health_part *from)
{
    return json_pack("{ss ss ss}", "state", strata_health_state_name(from->state), "reason",
                     from->reason, "text", from->text);
}

json_t *sta_health_json(const struct strata_health *health)
{
    return json_pack("{so so so}", "l1_cache", part_json(&health->l1_cache), "l2_cache",
                     part_json(&health->l2_cache), "overall", part_json(&health->overall));
}
