/* SPDX-License-Identifier: MIT
 *
 * What befalls a run: links, nodes, slots, processes.
 */
#include "core/clock.h"
#include "sim/sim_scenario_inside.h"

#define LATE_MOST_NS (700 * STA_NS_MS)

static uint64_t some_time_ns(struct run *run)
{
    uint64_t most_ms = sim_chance(run->sim, 500) ? 50 : 4000;
    return sim_now_ns(run->sim) + sim_below(run->sim, most_ms * STA_NS_MS);
}

/* With write-behind a write that is under way for longer than a second may win over a newer one
 * that went by another connection: that is not promised otherwise. */
static uint64_t frozen_until_ns(struct run *run, enum sim_way way)
{
    uint64_t until_ns = some_time_ns(run);
    uint64_t most_ns = sim_now_ns(run->sim) + LATE_MOST_NS;
    bool bounded = run->owed != NULL && way == SIM_TO_SERVER;
    return bounded && until_ns > most_ns ? most_ns : until_ns;
}

static void fault_of_link(struct run *run)
{
    struct sim_link *link = sim_net_link(run->net, sim_below(run->sim, run->plan.caches + 1));
    enum sim_way way = sim_chance(run->sim, 300) ? SIM_TO_SERVER : SIM_TO_CLIENT;
    if (link == NULL)
        return;
    if (sim_chance(run->sim, 400)) {
        sim_link_cut(link, sim_below(run->sim, STA_NS_SEC));
        return;
    }
    sim_log(run->sim, "link %u: frozen on the way to the %s", sim_link_id(link),
            way == SIM_TO_SERVER ? "server" : "client");
    sim_link_freeze(link, way, frozen_until_ns(run, way));
}

static void fault_of_node(struct run *run)
{
    unsigned node = (unsigned)sim_below(run->sim, run->plan.redis.nodes);
    uint64_t what = sim_below(run->sim, 100);
    if (what < 25)
        sim_redis_freeze(run->redis, node, some_time_ns(run));
    else if (what < 40)
        sim_redis_restart(run->redis, node, some_time_ns(run), sim_chance(run->sim, 500));
    else if (what < 60)
        sim_redis_swallow(run->redis, node);
    else if (what < 75)
        sim_redis_flush(run->redis);
    else
        sim_redis_kill_client(run->redis, node, sim_below(run->sim, run->plan.caches));
}

/* It goes, somebody writes there, and it comes back. */
static void slot_there_and_back(struct run *run, unsigned key, unsigned to)
{
    unsigned from = sim_cluster_owner(run->redis, key);
    sim_cluster_take(run->redis, key, to);
    sim_redis_set(run->redis, key, 0, SIM_NO_TTL);
    sim_cluster_take(run->redis, key, from);
}

static void fault_of_cluster(struct run *run)
{
    unsigned from = (unsigned)sim_below(run->sim, run->plan.redis.nodes);
    unsigned to = (unsigned)sim_below(run->sim, run->plan.redis.nodes);
    uint64_t what = sim_below(run->sim, 100);
    if (what < 40) {
        sim_cluster_move(run->redis, sim_scenario_pick_key(run), to, some_time_ns(run));
    } else if (what < 50) {
        slot_there_and_back(run, sim_scenario_pick_key(run), to);
    } else if (what < 80) {
        /* Who is asked for the map may be the one that hangs. */
        if (from != to && sim_chance(run->sim, 500))
            sim_redis_freeze(run->redis, from, some_time_ns(run));
        sim_cluster_take(run->redis, sim_scenario_pick_key(run), to);
    } else {
        sim_redis_freeze(run->redis, from, some_time_ns(run));
        sim_cluster_fail_over(run->redis, from, to);
    }
}

static void on_successor(void *arg)
{
    struct run *run = arg;
    sim_cache_set(sim_scenario_pick_writer(run, run->held_key), run->held_key, 0, 0);
}

static void on_death(void *arg)
{
    struct run *run = arg;
    sim_cache_restart(sim_scenario_pick_writer(run, run->held_key));
    sim_at(run->sim, sim_now_ns(run->sim) + sim_below(run->sim, SETTLED_NS / 4), on_successor, run);
}

/* What a process has sent just before it dies comes after what the next one writes. */
static void die_unheard(struct run *run)
{
    uint64_t now_ns = sim_now_ns(run->sim);
    run->held_key = sim_scenario_pick_key(run);
    struct sim_cache *cache = sim_scenario_pick_writer(run, run->held_key);
    unsigned node = sim_cluster_owner(run->redis, run->held_key);
    run->calm_until_ns = now_ns + LATE_MOST_NS;
    sim_log(run->sim, "node %u hears late of what was sent", node);
    sim_cache_mute(cache, (uint16_t)(SIM_PORT + node), run->calm_until_ns);
    sim_cache_set(cache, run->held_key, 0, 0);
    sim_at(run->sim, now_ns + sim_below(run->sim, LATE_MOST_NS / 2), on_death, run);
}

/* Where nothing is lost that was acknowledged, and no longer than the journal is broken it tells
 * so. */
static void fault_of_process(struct run *run)
{
    const struct sim_cache_config *config = &run->plan.cache;
    bool full = config->journals && config->behind.sync == STA_JOURNAL_ALWAYS;
    if (full && sim_chance(run->sim, 400))
        sim_cache_fill_disk(sim_scenario_pick_cache(run), some_time_ns(run));
    else if (config->journals && sim_chance(run->sim, 500))
        die_unheard(run);
    else
        sim_cache_restart(sim_scenario_pick_cache(run));
}

static void on_fault(void *arg)
{
    struct run *run = arg;
    uint64_t what = sim_below(run->sim, run->owed == NULL ? 100 : 120);
    if (run->steps_left == 0)
        return;
    if (sim_now_ns(run->sim) < run->calm_until_ns) {
        sim_at(run->sim, run->calm_until_ns, on_fault, run);
        return;
    }
    run->faults++;
    if (run->plan.cache.cluster && sim_chance(run->sim, 500))
        fault_of_cluster(run);
    if (what < 45)
        fault_of_link(run);
    else if (what < 88)
        fault_of_node(run);
    else if (what < 96)
        sim_cache_stall(sim_scenario_pick_cache(run), some_time_ns(run));
    else
        fault_of_process(run);
    sim_at(run->sim, sim_now_ns(run->sim) + sim_below(run->sim, 2 * run->plan.fault_ns), on_fault,
           run);
}

void sim_faults_begin(struct run *run, uint64_t at_ns)
{
    sim_at(run->sim, at_ns, on_fault, run);
}
