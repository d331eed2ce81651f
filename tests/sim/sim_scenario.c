/* SPDX-License-Identifier: MIT
 *
 * See sim_scenario.h.
 */
#include "sim/sim_scenario.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "sim/sim_disk.h"
#include "sim/sim_plan.h"
#include "sim/sim_purge.h"
#include "sim/sim_redis.h"

#define STEPS           300u
#define LATE_MOST_NS    (700 * STA_NS_MS)
#define DEAF_NS         (4 * STA_NS_SEC)
#define SILENT_MOST_NS  (300 * STA_NS_MS)
#define CALM_NS         (16 * STA_NS_SEC) /* after the last fault: links end, backoffs too */
#define KEPT_TRIES      3u
#define KEPT_TRIES_MANY 60u /* a node with one slot seeks a canary's name for seconds */
#define PROMPT_NS       (100 * STA_NS_MS) /* all hear of a barrier, without faults */
#define SETTLED_NS      (200 * STA_NS_MS) /* for what is pushed or answered in peace */

struct run {
    struct sim *sim;
    struct sim_plan plan;
    struct sim_net *net;
    struct sim_oracle *oracle;
    struct sim_redis *redis;
    struct sim_disk *disk;
    struct sim_owed *owed; /* NULL: nobody writes behind */
    struct sim_cache *caches[SIM_READERS_MOST];
    unsigned steps_left;
    unsigned silent_key;    /* see on_silence() */
    struct sim_cache *deaf; /* see purge_unheard() */
    unsigned deaf_key;
    unsigned held_key;      /* see die_unheard() */
    uint64_t calm_until_ns; /* no other fault comes before */
    uint64_t faults;
};

/* ---- calls ---- */

/* Some are hot. */
static unsigned pick_key(struct run *run)
{
    unsigned among = sim_chance(run->sim, 600) ? 2 : run->plan.keys;
    return (unsigned)sim_below(run->sim, among);
}

static struct sim_cache *pick_cache(struct run *run)
{
    return run->caches[sim_below(run->sim, run->plan.caches)];
}

/* Where caches write behind, each key has one that writes it. */
static struct sim_cache *pick_writer(struct run *run, unsigned key)
{
    return run->owed != NULL ? run->caches[sim_owed_writer(run->owed, key)] : pick_cache(run);
}

static size_t pick_len(struct run *run)
{
    if (!sim_chance(run->sim, run->plan.large))
        return 0;
    return (size_t)sim_between(run->sim, 10, 160) << 10;
}

static uint64_t pick_ttl(struct run *run, uint64_t none)
{
    return sim_chance(run->sim, run->plan.expiring) ? sim_between(run->sim, 1, 1500) : none;
}

static unsigned pick_tags(struct run *run)
{
    return (unsigned)sim_between(run->sim, 1, (1u << run->plan.tags) - 1);
}

static void set_step(struct run *run, struct sim_cache *cache, unsigned key)
{
    size_t len = pick_len(run);
    uint64_t ttl_ms = pick_ttl(run, 0);
    if (run->plan.tags > 0 && sim_chance(run->sim, run->plan.tagged))
        sim_cache_set_tagged(
            cache, key, &(struct sim_tagged){.tags = pick_tags(run), .len = len, .ttl_ms = ttl_ms});
    else
        sim_cache_set(cache, key, len, ttl_ms);
}

static void read_batch(struct run *run, struct sim_cache *cache)
{
    unsigned keys[SIM_BATCH_MOST];
    unsigned first = pick_key(run);
    size_t count = run->plan.keys < SIM_BATCH_MOST ? run->plan.keys : SIM_BATCH_MOST;
    for (size_t i = 0; i < count; i++)
        keys[i] = (first + (unsigned)i) % run->plan.keys;
    sim_cache_read(cache, keys, count, false);
}

static void cache_step(struct run *run)
{
    struct sim_cache *cache = pick_cache(run);
    unsigned key = pick_key(run);
    uint64_t what = sim_below(run->sim, 100);
    if (what >= 70)
        cache = pick_writer(run, key);
    if (what < 62)
        sim_cache_read(cache, &key, 1, false);
    else if (what < 70)
        read_batch(run, cache);
    else if (what < 93)
        set_step(run, cache, key);
    else
        sim_cache_delete(cache, key, (struct sim_deleted){NULL, NULL});
    /* What begins and ends with the write is where things go wrong. */
    if (what >= 70 && sim_chance(run->sim, 300))
        sim_cache_read(cache, &key, 1, false);
}

static void foreign_step(struct run *run)
{
    unsigned key = pick_key(run);
    uint64_t what = sim_below(run->sim, 100);
    if (what < 80)
        sim_redis_set(run->redis, key, pick_len(run), pick_ttl(run, SIM_NO_TTL));
    else if (what < 90)
        sim_redis_delete(run->redis, key);
    else
        sim_redis_expire(run->redis, key, pick_ttl(run, SIM_NO_TTL));
}

/* Any client may do it. */
static void fall_step(struct run *run)
{
    unsigned tag = (unsigned)sim_below(run->sim, run->plan.tags);
    if (sim_chance(run->sim, 300))
        sim_redis_delete(run->redis, SIM_KEYS_MOST + tag);
    else
        sim_cache_fell(pick_cache(run), tag, false);
}

/* Most are quick; some take long enough for the barrier to be renewed, a few longer than it would
 * live. */
static void purge_by(struct run *run, struct sim_cache *cache,
                     const struct sim_purge_config *config)
{
    if (sim_barriers_have_room(sim_oracle_barriers(run->oracle)))
        sim_purge_start(cache, config);
}

static void purge(struct run *run)
{
    static const char *const patterns[] = {"*", "key?", "key[0-3]", "key1*", "key0"};
    uint64_t kind = sim_below(run->sim, 100);
    uint64_t walk_ms = sim_below(run->sim, kind < 80 ? 20 : 5000);
    const struct sim_purge_config config = {
        .pattern = patterns[sim_below(run->sim, sizeof patterns / sizeof patterns[0])],
        .walk_ns = (kind < 95 ? walk_ms : sim_between(run->sim, 10000, 11000)) * STA_NS_MS,
        .patience_ns = sim_between(run->sim, 100, 2000) * STA_NS_MS,
        .gives_up = sim_chance(run->sim, 100),
    };
    purge_by(run, pick_cache(run), &config);
}

static void on_deaf(void *arg)
{
    struct run *run = arg;
    sim_cache_read(run->deaf, &run->deaf_key, 1, false);
    if (sim_now_ns(run->sim) < run->calm_until_ns)
        sim_at(run->sim, sim_now_ns(run->sim) + DEAF_NS / 40, on_deaf, run);
}

/* The node that has the barriers answers one cache nothing, and another raises one for a key that
 * lies on a node which is well: L1 of the first one has to close. */
static void purge_unheard(struct run *run)
{
    char pattern[SIM_PATTERN_CAP];
    uint64_t now_ns = sim_now_ns(run->sim);
    unsigned deaf = (unsigned)sim_below(run->sim, run->plan.caches);
    unsigned key = (unsigned)sim_below(run->sim, run->plan.keys);
    unsigned node = sim_cluster_barriers(run->redis);
    if (now_ns < run->calm_until_ns || sim_cluster_owner(run->redis, key) == node)
        return;
    run->deaf = run->caches[deaf];
    run->deaf_key = key;
    run->calm_until_ns = now_ns + DEAF_NS;
    sim_log(run->sim, "node %u answers c%u nothing", node, deaf);
    sim_cache_deafen(run->deaf, (uint16_t)(SIM_PORT + node), run->calm_until_ns);
    (void)snprintf(pattern, sizeof pattern, "key%u", key);
    const struct sim_purge_config config = {
        .pattern = pattern, .walk_ns = DEAF_NS, .patience_ns = DEAF_NS / 4};
    purge_by(run, run->caches[(deaf + 1) % run->plan.caches], &config);
    on_deaf(run);
}

static void read_silent_key(void *arg)
{
    struct run *run = arg;
    for (unsigned c = 0; c < run->plan.caches; c++)
        sim_cache_read(run->caches[c], &run->silent_key, 1, false);
}

/* What becomes of the key is told nobody from now on, and what is asked is answered late, when
 * all may be over for who deletes; of the barrier they hear all the same, by another node or when
 * they look. */
static void on_silence(void *arg)
{
    struct run *run = arg;
    unsigned node = sim_cluster_owner(run->redis, run->silent_key);
    uint64_t until_ns = sim_now_ns(run->sim) + sim_below(run->sim, SILENT_MOST_NS);
    struct sim_cache *deletes = pick_cache(run);
    read_silent_key(run);
    sim_redis_swallow(run->redis, node);
    for (unsigned c = 0; c < run->plan.caches && run->plan.cache.cluster; c++)
        if (run->caches[c] != deletes)
            sim_cache_deafen(run->caches[c], (uint16_t)(SIM_PORT + node), until_ns);
    char pattern[SIM_PATTERN_CAP];
    (void)snprintf(pattern, sizeof pattern, "key%u", run->silent_key);
    const struct sim_purge_config config = {
        .pattern = pattern,
        .walk_ns = sim_below(run->sim, SETTLED_NS / 8),
        .patience_ns = SILENT_MOST_NS,
    };
    purge_by(run, deletes, &config);
    sim_at(run->sim, until_ns + SETTLED_NS / 8, read_silent_key, run);
}

/* A while before that it changes, so that all have to ask. */
static void purge_in_silence(struct run *run)
{
    if (sim_now_ns(run->sim) < run->calm_until_ns)
        return;
    run->calm_until_ns = sim_now_ns(run->sim) + SETTLED_NS + SILENT_MOST_NS;
    run->silent_key = pick_key(run);
    sim_redis_set(run->redis, run->silent_key, 0, SIM_NO_TTL);
    sim_at(run->sim, sim_now_ns(run->sim) + SETTLED_NS / 8, on_silence, run);
}

static void purge_step(struct run *run)
{
    if (run->plan.cache.cluster && sim_chance(run->sim, 300))
        purge_unheard(run);
    else if (run->plan.fault_ns > 0 && sim_chance(run->sim, 300))
        purge_in_silence(run);
    else
        purge(run);
}

static uint64_t pause_ns(struct run *run)
{
    uint64_t kind = sim_below(run->sim, 100);
    if (kind < 70)
        return sim_below(run->sim, STA_NS_MS);
    return sim_below(run->sim, kind < 96 ? 20 * STA_NS_MS : STA_NS_SEC);
}

static void on_step(void *arg)
{
    struct run *run = arg;
    if (run->steps_left == 0)
        return;
    run->steps_left--;
    if (sim_chance(run->sim, run->plan.purging))
        purge_step(run);
    else if (run->plan.tags > 0 && sim_chance(run->sim, run->plan.falling))
        fall_step(run);
    else if (sim_chance(run->sim, run->plan.foreign))
        foreign_step(run);
    else
        cache_step(run);
    sim_at(run->sim, sim_now_ns(run->sim) + pause_ns(run), on_step, run);
}

/* ---- faults ---- */

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
        sim_cluster_move(run->redis, pick_key(run), to, some_time_ns(run));
    } else if (what < 50) {
        slot_there_and_back(run, pick_key(run), to);
    } else if (what < 80) {
        /* Who is asked for the map may be the one that hangs. */
        if (from != to && sim_chance(run->sim, 500))
            sim_redis_freeze(run->redis, from, some_time_ns(run));
        sim_cluster_take(run->redis, pick_key(run), to);
    } else {
        sim_redis_freeze(run->redis, from, some_time_ns(run));
        sim_cluster_fail_over(run->redis, from, to);
    }
}

static void on_successor(void *arg)
{
    struct run *run = arg;
    sim_cache_set(pick_writer(run, run->held_key), run->held_key, 0, 0);
}

static void on_death(void *arg)
{
    struct run *run = arg;
    sim_cache_restart(pick_writer(run, run->held_key));
    sim_at(run->sim, sim_now_ns(run->sim) + sim_below(run->sim, SETTLED_NS / 4), on_successor, run);
}

/* What a process has sent just before it dies comes after what the next one writes. */
static void die_unheard(struct run *run)
{
    uint64_t now_ns = sim_now_ns(run->sim);
    run->held_key = pick_key(run);
    struct sim_cache *cache = pick_writer(run, run->held_key);
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
        sim_cache_fill_disk(pick_cache(run), some_time_ns(run));
    else if (config->journals && sim_chance(run->sim, 500))
        die_unheard(run);
    else
        sim_cache_restart(pick_cache(run));
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
        sim_cache_stall(pick_cache(run), some_time_ns(run));
    else
        fault_of_process(run);
    sim_at(run->sim, sim_now_ns(run->sim) + sim_below(run->sim, 2 * run->plan.fault_ns), on_fault,
           run);
}

/* ---- afterwards ---- */

static void run_for(struct run *run, uint64_t ns)
{
    sim_run_until(run->sim, sim_now_ns(run->sim) + ns);
}

static void read_all(struct run *run)
{
    for (unsigned c = 0; c < run->plan.caches; c++)
        for (unsigned key = 0; key < run->plan.keys; key++)
            sim_cache_read(run->caches[c], &key, 1, true);
}

static uint64_t all_hits(const struct run *run)
{
    uint64_t hits = 0;
    for (unsigned c = 0; c < run->plan.caches; c++)
        hits += sim_cache_numbers(run->caches[c])->hits;
    return hits;
}

/* Whether L1 answers all of what was read a moment before. */
static bool is_kept(struct run *run)
{
    read_all(run);
    run_for(run, SETTLED_NS);
    uint64_t before = all_hits(run);
    read_all(run);
    bool kept = all_hits(run) - before == (uint64_t)run->plan.caches * run->plan.keys;
    run_for(run, SETTLED_NS);
    return kept;
}

/* Where the table is full L1 need not have them. Where a key shares its generation with a canary, a
 * fill may be refused now and then: of a tag's version, which several ask for at once, often. */
static void must_answer(struct run *run)
{
    bool tags = run->plan.tags > 0 && run->plan.redis.table_most == 0;
    bool many = run->plan.cache.cluster || tags;
    unsigned tries = many ? KEPT_TRIES_MANY : KEPT_TRIES;
    while (!is_kept(run) && tries > 0 && sim_failure(run->sim) == NULL)
        tries--;
    if (tries == 0 && run->plan.redis.table_most == 0)
        sim_fail(run->sim, "L1 does not answer what was read just now, though nothing is amiss");
}

static void set_by_others(struct run *run)
{
    for (unsigned key = 0; key < run->plan.keys; key++)
        sim_redis_set(run->redis, key, 0, SIM_NO_TTL);
    run_for(run, SETTLED_NS);
}

/* Values with tags are kept as others are, and fall everywhere at once. */
static void must_converge_tagged(struct run *run)
{
    for (unsigned key = 0; key < run->plan.keys; key++)
        sim_cache_set_tagged(pick_cache(run), key,
                             &(struct sim_tagged){.tags = pick_tags(run), .strict = true});
    run_for(run, SETTLED_NS);
    must_answer(run);
    for (unsigned tag = 0; tag < run->plan.tags; tag++)
        sim_cache_fell(pick_cache(run), tag, true);
    run_for(run, SETTLED_NS);
    read_all(run);
    run_for(run, SETTLED_NS);
}

/* Bounded time after the last fault all is well again, and what others write is seen. */
static void must_converge(struct run *run)
{
    sim_log(run->sim, "faults end");
    sim_net_heal(run->net);
    sim_redis_heal(run->redis);
    sim_disk_heal(run->disk);
    run_for(run, CALM_NS);
    if (run->owed != NULL)
        sim_owed_must_be_empty(run->owed);
    read_all(run);
    run_for(run, SETTLED_NS);
    set_by_others(run);
    must_answer(run);
    if (run->plan.tags > 0) {
        must_converge_tagged(run);
        return;
    }
    set_by_others(run);
    must_answer(run);
}

/* ---- life ---- */

static struct sim_owed_queued on_queued(void *arg, unsigned writer, unsigned key)
{
    const struct run *run = arg;
    return sim_cache_queued(run->caches[writer], key);
}

static bool on_saved(void *arg, unsigned writer, unsigned key, uint64_t serial)
{
    const struct run *run = arg;
    return sim_cache_saved(run->caches[writer], key, serial);
}

static void run_open(struct run *run, const struct sim_shares *shares)
{
    struct sim_plan *plan = &run->plan;
    sim_plan_draw(run->sim, shares, plan);
    sim_plan_tell(run->sim, plan);
    const struct sim_oracle_config oracle = {.keys = plan->keys,
                                             .bound_ns = plan->cache.max_staleness_ms * STA_NS_MS,
                                             .prompt_ns = plan->fault_ns == 0 ? PROMPT_NS : 0};
    run->net = sim_net_create(run->sim, &plan->net, &sim_redis_events);
    run->oracle = sim_oracle_create(run->sim, &oracle);
    run->disk = sim_disk_create(run->sim);
    if (plan->cache.writes_behind)
        run->owed = sim_owed_create(run->oracle,
                                    &(struct sim_owed_config){.caches = plan->caches,
                                                              .keys = plan->keys,
                                                              .guard = plan->cache.behind.guard},
                                    &(struct sim_owed_events){on_queued, on_saved, run});
    sim_oracle_owes(run->oracle, run->owed);
    run->redis = sim_redis_create(run->sim, run->net, run->oracle, &plan->redis);
    for (unsigned i = 0; i < plan->caches; i++)
        run->caches[i] = sim_cache_create(run->sim, run->oracle, i, &plan->cache);
    run->steps_left = STEPS;
}

static void run_close(struct run *run, struct sim_result *result)
{
    for (unsigned i = 0; i < run->plan.caches; i++) {
        const struct sim_cache_numbers *numbers = sim_cache_numbers(run->caches[i]);
        result->reads += numbers->reads;
        result->hits += numbers->hits;
        result->failed_reads += numbers->failed;
        result->writes += numbers->writes;
        sim_cache_destroy(&run->caches[i]);
    }
    result->operations = STEPS - run->steps_left;
    sim_redis_destroy(&run->redis);
    sim_owed_destroy(&run->owed);
    sim_disk_destroy(&run->disk);
    sim_oracle_destroy(&run->oracle);
    sim_net_destroy(&run->net);
}

void sim_scenario_run(uint64_t seed, const struct sim_shares *shares, struct sim_hearing hearing,
                      struct sim_result *result)
{
    struct run run = {.sim = sim_create(seed, hearing)};
    uint64_t began_ns = sim_now_ns(run.sim);
    *result = (struct sim_result){0};
    run_open(&run, shares);
    sim_at(run.sim, began_ns, on_step, &run);
    if (run.plan.fault_ns > 0)
        sim_at(run.sim, began_ns + sim_below(run.sim, run.plan.fault_ns), on_fault, &run);
    while (run.steps_left > 0 && sim_failure(run.sim) == NULL)
        run_for(&run, STA_NS_SEC);
    must_converge(&run);
    result->virtual_ns = sim_now_ns(run.sim) - began_ns;
    result->faults = run.faults;
    run_close(&run, result);
    result->hash = sim_hash(run.sim);
    result->failed = sim_failure(run.sim) != NULL;
    if (result->failed)
        (void)snprintf(result->reason, sizeof result->reason, "%s", sim_failure(run.sim));
    sim_destroy(&run.sim);
}
