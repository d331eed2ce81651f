/* SPDX-License-Identifier: MIT
 *
 * See sim_plan.h.
 */
#include "sim/sim_plan.h"

#include <inttypes.h>

#include "core/clock.h"

#define PREFIX "s:"

static void plan_cluster(struct sim *sim, struct sim_plan *plan)
{
    plan->redis.nodes = (unsigned)sim_between(sim, 2, SIM_NODES_MOST);
    plan->cache.cluster = true;
    /* The map is asked for at most every 200 ms, and has to be as young. */
    plan->cache.max_staleness_ms = sim_chance(sim, 700) ? 600 : 1500;
    plan->fault_ns = sim_between(sim, 50, 500) * STA_NS_MS;
}

/* Of a guard that is on, what it promises takes a journal that is sure of what it has. */
static enum sta_journal_sync plan_sync(struct sim *sim, const struct sta_behind_config *behind)
{
    bool sure = behind->guard == STA_BEHIND_GUARD_ON || sim_chance(sim, 700);
    return sure ? STA_JOURNAL_ALWAYS : STA_JOURNAL_INTERVAL;
}

/* What is deleted by pattern is not for caches whose keys have one writer each. */
static void plan_behind(struct sim *sim, struct sim_plan *plan)
{
    static const enum sta_behind_full full[] = {STA_BEHIND_BLOCK, STA_BEHIND_THROUGH,
                                                STA_BEHIND_REJECT};
    static const enum sta_behind_guarding guards[] = {STA_BEHIND_UNGUARDED, STA_BEHIND_GUARD_LAX,
                                                      STA_BEHIND_GUARD_ON};
    plan->cache.writes_behind = true;
    plan->cache.journals = sim_chance(sim, 500);
    plan->cache.behind = (struct sta_behind_config){
        .interval_ms = sim_below(sim, sim_chance(sim, 500) ? 20 : 300),
        .max_entries = sim_chance(sim, 300) ? sim_between(sim, 1, 4) : 100,
        .max_bytes = UINT64_C(8) << 20,
        .rate = sim_chance(sim, 200) ? sim_between(sim, 20, 200) : 0,
        .batch = sim_between(sim, 1, 8),
        .full = full[sim_below(sim, 3)],
        .guard = guards[sim_below(sim, 3)],
    };
    plan->cache.behind.sync = plan_sync(sim, &plan->cache.behind);
    plan->purging = 0;
    uint64_t others = sim_below(sim, 1000);
    plan->foreign = others < 500 ? 100 : others < 900 ? 10 : SIM_OTHERS_MANY;
}

static void plan_tags(struct sim *sim, struct sim_plan *plan)
{
    plan->tags = (unsigned)sim_between(sim, 1, SIM_TAGS_MOST);
    plan->tagged = (unsigned)sim_between(sim, 300, 900);
    plan->falling = (unsigned)sim_between(sim, 10, 60);
}

void sim_plan_draw(struct sim *sim, const struct sim_shares *shares, struct sim_plan *plan)
{
    static const uint64_t staleness_ms[] = {150, 300, 1500};
    bool bcast = sim_chance(sim, 300);
    *plan = (struct sim_plan){
        .caches = (unsigned)sim_between(sim, 2, SIM_READERS_MOST),
        .keys = (unsigned)sim_between(sim, 2, SIM_KEYS_MOST),
        .large = sim_chance(sim, 400) ? 200 : 0,
        .expiring = sim_chance(sim, 500) ? 400 : 0,
        .purging = sim_chance(sim, 400) ? 20 : 0,
        .foreign = 250,
        .fault_ns = sim_chance(sim, 200) ? 0 : sim_between(sim, 200, 2000) * STA_NS_MS,
        .net = {.latency_ns = sim_between(sim, 20, 1000) * 1000,
                .jitter_ns = sim_between(sim, 20, 5000) * 1000,
                .split = sim_chance(sim, 500) ? 500 : 20},
        .redis = {.nodes = 1, .prefix = PREFIX, .expiry_most_ns = 3 * STA_NS_SEC},
        .cache = {.prefix = PREFIX,
                  .tracking = bcast ? STA_TRACKING_BCAST : STA_TRACKING_READS,
                  .max_staleness_ms = staleness_ms[sim_below(sim, 3)],
                  .budget_ms = sim_between(sim, 50, 500),
                  .l1_ttl_ms = sim_chance(sim, 500) ? 60000 : 3000,
                  .null_values = sim_chance(sim, 700)},
    };
    plan->cache.keys = plan->keys;
    if (sim_chance(sim, shares->clusters))
        plan_cluster(sim, plan);
    if (plan->cache.budget_ms % 2 == 0) /* of every second one */
        plan->cache.repair_rate = 500 + 10 * plan->cache.budget_ms;
    if (plan->large > 0)
        plan->net.split = 800;
    if (!bcast && sim_chance(sim, 300))
        plan->redis.table_most = (unsigned)sim_between(sim, 1, plan->keys);
    if (sim_chance(sim, shares->behind))
        plan_behind(sim, plan);
    else if (sim_chance(sim, shares->tags)) /* which write-behind has not */
        plan_tags(sim, plan);
    plan->redis.met = sim_chance(sim, 400) ? 150 : 0;
}

static void behind_tell(struct sim *sim, const struct sim_plan *plan)
{
    static const char *const guards[] = {"no guard", "a lax guard", "a guard"};
    static const char *const full[] = {"blocks", "goes through", "is rejected"};
    const struct sta_behind_config *behind = &plan->cache.behind;
    sim_log(sim, "write-behind after %" PRIu64 " ms, %" PRIu64 " entries, then %s, %s, %s",
            behind->interval_ms, behind->max_entries, full[behind->full], guards[behind->guard],
            !plan->cache.journals                ? "no journal"
            : behind->sync == STA_JOURNAL_ALWAYS ? "a journal that is always synced"
                                                 : "a journal");
}

void sim_plan_tell(struct sim *sim, const struct sim_plan *plan)
{
    sim_log(sim, "%u caches, %u keys, %s, max_staleness %" PRIu64 " ms, budget %" PRIu64 " ms%s",
            plan->caches, plan->keys,
            plan->cache.tracking == STA_TRACKING_BCAST ? "broadcast" : "reads are tracked",
            plan->cache.max_staleness_ms, plan->cache.budget_ms,
            plan->fault_ns == 0 ? ", no faults" : "");
    if (plan->cache.cluster)
        sim_log(sim, "a cluster of %u nodes", plan->redis.nodes);
    if (plan->redis.table_most > 0)
        sim_log(sim, "the tracking table holds %u keys", plan->redis.table_most);
    if (plan->tags > 0)
        sim_log(sim, "%u tags", plan->tags);
    if (plan->cache.writes_behind)
        behind_tell(sim, plan);
}
