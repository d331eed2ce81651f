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
#include "sim/sim_purge.h"
#include "sim/sim_scenario_inside.h"

#define STEPS           300u
#define DEAF_NS         (4 * STA_NS_SEC)
#define SILENT_MOST_NS  (300 * STA_NS_MS)
#define CALM_NS         (16 * STA_NS_SEC) /* after the last fault: links end, backoffs too */
#define KEPT_TRIES      3u
#define KEPT_TRIES_MANY 60u /* a node with one slot seeks a canary's name for seconds */
#define PROMPT_NS       (100 * STA_NS_MS)        /* all hear of a barrier, without faults */
#define LONG_MS         (30 * UINT64_C(3600000)) /* more than a tag lives that was made for less */
#define SCENE_NS        (40 * STA_NS_MS)         /* for a set with tags */

/* ---- calls ---- */

unsigned sim_scenario_pick_key(struct run *run)
{
    unsigned among = sim_chance(run->sim, 600) ? 2 : run->plan.keys;
    return (unsigned)sim_below(run->sim, among);
}

struct sim_cache *sim_scenario_pick_cache(struct run *run)
{
    return run->caches[sim_below(run->sim, run->plan.caches)];
}

struct sim_cache *sim_scenario_pick_writer(struct run *run, unsigned key)
{
    return run->owed != NULL ? run->caches[sim_owed_writer(run->owed, key)]
                             : sim_scenario_pick_cache(run);
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
    bool tagged = run->plan.tags > 0 && sim_chance(run->sim, run->plan.tagged);
    if (tagged && sim_chance(run->sim, 100))
        ttl_ms = LONG_MS;
    if (tagged)
        sim_cache_set_tagged(
            cache, key, &(struct sim_tagged){.tags = pick_tags(run), .len = len, .ttl_ms = ttl_ms});
    else
        sim_cache_set(cache, key, len, ttl_ms);
}

static void read_batch(struct run *run, struct sim_cache *cache)
{
    unsigned keys[SIM_BATCH_MOST];
    unsigned first = sim_scenario_pick_key(run);
    size_t count = run->plan.keys < SIM_BATCH_MOST ? run->plan.keys : SIM_BATCH_MOST;
    for (size_t i = 0; i < count; i++)
        keys[i] = (first + (unsigned)i) % run->plan.keys;
    sim_cache_read(cache, keys, count, false);
}

static void cache_step(struct run *run)
{
    struct sim_cache *cache = sim_scenario_pick_cache(run);
    unsigned key = sim_scenario_pick_key(run);
    uint64_t what = sim_below(run->sim, 100);
    if (what >= 70)
        cache = sim_scenario_pick_writer(run, key);
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
    unsigned key = sim_scenario_pick_key(run);
    uint64_t what = sim_below(run->sim, 100);
    if (what < 80)
        sim_redis_set(run->redis, key, pick_len(run), pick_ttl(run, SIM_NO_TTL));
    else if (what < 90)
        sim_redis_delete(run->redis, key);
    else
        sim_redis_expire(run->redis, key, pick_ttl(run, SIM_NO_TTL));
}

static void on_scene_again(void *arg)
{
    const struct run *run = arg;
    sim_cache_read(run->scene.reader, run->scene.keys, 2, false);
}

static void on_scene_silence(void *arg)
{
    const struct run *run = arg;
    unsigned node = sim_cluster_owner(run->redis, SIM_KEYS_MOST + run->scene.tag);
    if (run->steps_left > 0)
        sim_redis_swallow(run->redis, node);
}

/* For each of the two the version is asked for: where the tag has one that is old, by a process
 * that has just begun. */
static void on_scene_read(void *arg)
{
    struct run *run = arg;
    const struct scene *scene = &run->scene;
    uint64_t over_ns = sim_now_ns(run->sim) + sim_below(run->sim, SCENE_NS);
    if (run->steps_left == 0)
        return; /* the tag might not be asked for before all is to be well */
    if (scene->silent) {
        sim_cache_restart(scene->reader);
        sim_at(run->sim, over_ns, on_scene_silence, run);
        over_ns += SCENE_NS;
    }
    sim_redis_fall_when_asked(run->redis, scene->tag, (unsigned)sim_between(run->sim, 1, 4));
    sim_cache_read(scene->reader, scene->keys, 2, false);
    sim_at(run->sim, over_ns, on_scene_again, run);
}

static void on_scene_set(void *arg)
{
    struct run *run = arg;
    const struct scene *scene = &run->scene;
    for (unsigned i = 0; i < 2; i++)
        sim_cache_set_tagged(scene->writer, scene->keys[i],
                             &(struct sim_tagged){.tags = 1u << scene->tag});
    sim_at(run->sim, sim_now_ns(run->sim) + SCENE_NS, on_scene_read, run);
}

/* Of two keys that have the tag a cache reads the values, then asks for its version twice. The tag
 * falls in the middle of that, and perhaps nobody is told. What is answered afterwards is not
 * older. */
static void fall_while_asked(struct run *run)
{
    struct scene *scene = &run->scene;
    unsigned reader = (unsigned)sim_below(run->sim, run->plan.caches);
    unsigned key = (unsigned)sim_below(run->sim, run->plan.keys);
    if (sim_now_ns(run->sim) < run->calm_until_ns)
        return;
    run->calm_until_ns = sim_now_ns(run->sim) + 4 * SCENE_NS;
    scene->tag = (unsigned)sim_below(run->sim, run->plan.tags);
    scene->keys[0] = key;
    scene->keys[1] = (key + 1) % run->plan.keys;
    scene->reader = run->caches[reader];
    scene->writer = run->caches[(reader + 1) % run->plan.caches];
    scene->silent = run->plan.fault_ns > 0 && sim_chance(run->sim, 500);
    if (!scene->silent) /* then nobody knows its version */
        sim_redis_delete(run->redis, SIM_KEYS_MOST + scene->tag);
    sim_at(run->sim, sim_now_ns(run->sim) + SCENE_NS / 4, on_scene_set, run);
}

/* Any client may do it. */
static void fall_step(struct run *run)
{
    unsigned tag = (unsigned)sim_below(run->sim, run->plan.tags);
    if (sim_chance(run->sim, 300))
        fall_while_asked(run);
    else if (sim_chance(run->sim, 300))
        sim_redis_delete(run->redis, SIM_KEYS_MOST + tag);
    else
        sim_cache_fell(sim_scenario_pick_cache(run), tag, false);
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
    purge_by(run, sim_scenario_pick_cache(run), &config);
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
    struct sim_cache *deletes = sim_scenario_pick_cache(run);
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
    run->silent_key = sim_scenario_pick_key(run);
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
        sim_cache_set_tagged(sim_scenario_pick_cache(run), key,
                             &(struct sim_tagged){.tags = pick_tags(run), .strict = true});
    run_for(run, SETTLED_NS);
    must_answer(run);
    for (unsigned tag = 0; tag < run->plan.tags; tag++)
        sim_cache_fell(sim_scenario_pick_cache(run), tag, true);
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
        sim_faults_begin(&run, began_ns + sim_below(run.sim, run.plan.fault_ns));
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
