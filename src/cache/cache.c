/* SPDX-License-Identifier: MIT
 *
 * Building and taking down the two tiers and the loop they share, and their numbers.
 *
 * Order of life: l1, loop, l2, write-behind and sweeper on the loop, loop's thread; and in reverse.
 * Once the thread is joined, everything that is left ends on the calling thread.
 */
#include "cache/cache.h"

#include <stdlib.h>
#include <string.h>

#include "cache/behind.h"
#include "cache/coherence.h"
#include "cache/tiers.h"
#include "core/clock.h"
#include "core/random.h"
#include "strata/status.h"

/* Relaxed: see sta_live(). */
static void set(_Atomic uint64_t *live, uint64_t value)
{
    atomic_store_explicit(live, value, memory_order_relaxed);
}

static void cache_set_live(struct sta_cache *cache, const struct sta_cache_config *config)
{
    struct sta_tiers_live *live = &cache->live;
    set(&live->l1_ttl_ms, config->l1_ttl_ms);
    set(&live->l2_ttl_ms, config->l2_ttl_ms);
    set(&live->null_ttl_ms, config->null_ttl_ms);
    set(&live->budget_ns, config->budget_ms * STA_NS_MS);
    set(&live->null_values, config->null_values);
    set(&live->serve_stale, config->serve_stale);
    set(&live->invalidation, config->invalidation);
}

static int cache_create_prefix(struct sta_cache *cache, const char *prefix)
{
    char *copy = strdup(prefix != NULL ? prefix : "");
    if (copy == NULL)
        return STRATA_ERR_NOMEM;
    cache->prefix = strata_text(copy);
    cache->config.key_prefix = copy;
    return STRATA_OK;
}

static int cache_create_l1(struct sta_cache *cache)
{
    if (!cache->config.l1_enabled)
        return STRATA_OK;
    sta_coherence_plan(cache);
    if (cache->config.l1.hash_seed == 0)
        cache->config.l1.hash_seed = sta_random_seed();
    cache->config.l1.veil = (struct sta_l1_veil){sta_barriers_veils, &cache->barriers};
    int status = sta_l1_create(&cache->l1, &cache->config.l1);
    cache->config.l1.quotas = NULL; /* the caller's */
    cache->config.l1.quota_count = 0;
    return status;
}

static int cache_create_l2(struct sta_cache *cache)
{
    if (!cache->config.l2_enabled)
        return STRATA_OK;
    return sta_l2_create(&cache->l2, cache->loop, &cache->config.l2, cache->log);
}

static int cache_create_barriers(struct sta_cache *cache)
{
    const struct sta_cache_config *config = &cache->config;
    bool hears = cache->l1 != NULL && cache->l2 != NULL &&
                 config->l2.router.tracking.mode != STA_TRACKING_OFF;
    const struct sta_barriers_owner owner = {
        .loop = cache->loop,
        .l1 = cache->l1,
        .l2 = cache->l2,
        .flights = &cache->flights,
        .log = cache->log,
        .prefix = cache->prefix,
        .hears = hears,
        /* Values that live in L1 alone are not proven by anything. */
        .closes = hears && (config->write_through || config->write_behind),
        .staleness_ns = config->max_staleness_ms * STA_NS_MS,
        .budget_ns = config->budget_ms * STA_NS_MS,
    };
    return sta_barriers_init(&cache->barriers, &owner);
}

int sta_cache_create(struct sta_cache **out, const struct sta_cache_config *config,
                     struct sta_log *log, struct strata_error *error)
{
    struct sta_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return STRATA_ERR_NOMEM;
    cache->config = *config;
    cache->log = log;
    cache_set_live(cache, config);
    sta_flight_init(&cache->flights);
    cache->flights_seed = sta_random_seed();
    sta_load_pool_init(&cache->pool);
    atomic_init(&cache->chance, sta_random_seed());
    sta_lease_table_init(&cache->leases, sta_random_seed());
    sta_invalidate_init(&cache->invalidate, cache);
    sta_repair_init(&cache->repair, cache, config->repair_rate);
    int status = cache_create_prefix(cache, config->key_prefix);
    if (status == STRATA_OK && config->timed)
        status = sta_timing_create(&cache->timing);
    if (status == STRATA_OK && config->prefixes != NULL)
        status = sta_prefixes_create(&cache->prefixes, config->prefixes);
    cache->config.prefixes = NULL; /* the caller's */
    if (status == STRATA_OK)
        status = cache_create_l1(cache);
    if (status == STRATA_OK)
        status = sta_loop_create(&cache->loop);
    if (status == STRATA_OK)
        sta_repair_start(&cache->repair);
    if (status == STRATA_OK)
        sta_invalidate_start(&cache->invalidate);
    if (status == STRATA_OK)
        status = cache_create_l2(cache);
    if (status == STRATA_OK)
        status = cache_create_barriers(cache);
    if (status == STRATA_OK && config->write_behind)
        status = sta_behind_create(&cache->behind, cache, error);
    if (status == STRATA_OK && cache->l1 != NULL)
        sta_sweeper_start(&cache->sweeper, cache->loop, cache->l1, config->cleanup_interval_ms);
    if (status == STRATA_OK)
        status = sta_loop_start(cache->loop, "strata-io");
    if (status != STRATA_OK)
        goto undo;
    cache->running = true;
    *out = cache;
    return STRATA_OK;
undo:
    sta_cache_destroy(&cache);
    return status;
}

void sta_cache_destroy(struct sta_cache **cache_ptr)
{
    struct sta_cache *cache = *cache_ptr;
    if (cache == NULL)
        return;
    sta_load_pool_close(&cache->pool);
    if (cache->running) {
        sta_invalidate_close(&cache->invalidate);
        sta_behind_close(cache->behind);
        sta_loop_stop(cache->loop);
        sta_loop_join(cache->loop);
        sta_repair_close(&cache->repair);
    }
    sta_behind_end(cache->behind);
    sta_l2_destroy(&cache->l2);
    if (cache->running)
        sta_loop_drain(cache->loop);
    sta_behind_destroy(&cache->behind);
    sta_sweeper_stop(&cache->sweeper);
    sta_invalidate_fini(&cache->invalidate);
    sta_repair_fini(&cache->repair);
    sta_barriers_fini(&cache->barriers);
    sta_loop_destroy(&cache->loop);
    sta_l1_destroy(&cache->l1);
    sta_load_pool_fini(&cache->pool);
    sta_lease_table_fini(&cache->leases);
    sta_flight_fini(&cache->flights);
    sta_prefixes_destroy(&cache->prefixes);
    sta_timing_destroy(&cache->timing);
    free((void *)cache->prefix.data);
    free(cache);
    *cache_ptr = NULL;
}

void sta_cache_adjust(struct sta_cache *cache, const struct sta_cache_config *config)
{
    cache_set_live(cache, config);
    sta_barriers_adjust(&cache->barriers, config->budget_ms * STA_NS_MS);
    sta_invalidate_adjust(&cache->invalidate, config->invalidation_batch_size,
                          config->invalidation_timeout_ms * STA_NS_MS);
    sta_repair_adjust(&cache->repair, config->repair_rate);
    if (cache->behind != NULL)
        sta_behind_adjust(cache->behind, &config->behind);
    if (cache->l1 == NULL)
        return;
    sta_sweeper_adjust(&cache->sweeper, config->cleanup_interval_ms);
    (void)sta_l1_resize(cache->l1, config->l1.max_bytes, config->l1.max_entries);
}

int sta_cache_set_quotas(struct sta_cache *cache, const struct sta_l1_quota *quotas, size_t count)
{
    return cache->l1 != NULL ? sta_l1_set_quotas(cache->l1, quotas, count) : STRATA_OK;
}

uint64_t sta_cache_budget_ns(const struct sta_cache *cache)
{
    return sta_live(&cache->live.budget_ns);
}

enum strata_serve_stale sta_cache_serve_stale(const struct sta_cache *cache)
{
    return (enum strata_serve_stale)sta_live(&cache->live.serve_stale);
}

struct sta_loop *sta_cache_loop(struct sta_cache *cache)
{
    return cache->loop;
}

int sta_cache_flush(struct sta_cache *cache, uint64_t deadline_ns)
{
    return cache->behind != NULL ? sta_behind_flush(cache->behind, deadline_ns) : STRATA_OK;
}

int sta_cache_check_key(struct strata_bytes key)
{
    if (key.data == NULL || key.len == 0)
        return STRATA_ERR_INVALID;
    return key.len <= STA_KEY_MAX ? STRATA_OK : STRATA_ERR_TOO_BIG;
}

int sta_cache_check_value(struct strata_bytes value)
{
    if (value.data == NULL && value.len > 0)
        return STRATA_ERR_INVALID;
    return value.len <= STA_CACHE_VALUE_MAX ? STRATA_OK : STRATA_ERR_TOO_BIG;
}

const struct sta_cache_config *sta_cache_config(const struct sta_cache *cache)
{
    return &cache->config;
}

const struct sta_timing *sta_cache_timing(const struct sta_cache *cache)
{
    return cache->timing;
}

struct sta_prefixes *sta_cache_prefixes(const struct sta_cache *cache)
{
    return cache->prefixes;
}

struct sta_l2 *sta_cache_l2(struct sta_cache *cache)
{
    return cache->l2;
}

struct sta_l1 *sta_cache_l1(struct sta_cache *cache)
{
    return cache->l1;
}

uint64_t sta_cache_l1_deadline(const struct sta_cache *cache, uint64_t ttl_ms, uint64_t now_ms)
{
    uint64_t most_ms = sta_live(&cache->live.l1_ttl_ms);
    return sta_clock_after(now_ms, ttl_ms != 0 && ttl_ms < most_ms ? ttl_ms : most_ms);
}

bool sta_cache_invalidates(const struct sta_cache *cache)
{
    return sta_live(&cache->live.invalidation) != 0;
}

int sta_cache_invalidate(struct sta_cache *cache, struct strata_bytes key, uint64_t now_ns)
{
    int status = sta_cache_check_key(key);
    if (status == STRATA_OK && cache->behind != NULL && sta_cache_invalidates(cache))
        return sta_behind_erase(cache->behind, key, now_ns);
    return status == STRATA_OK ? sta_invalidate_add(&cache->invalidate, key, now_ns) : status;
}

void sta_cache_clear_l1(struct sta_cache *cache)
{
    if (cache->l1 != NULL)
        sta_l1_clear(cache->l1);
}

static void cache_read_counters(struct sta_tier_counters *from, struct strata_tier_statistics *to)
{
    to->hits = atomic_load_explicit(&from->hits, memory_order_relaxed);
    to->misses = atomic_load_explicit(&from->misses, memory_order_relaxed);
    to->sets = atomic_load_explicit(&from->sets, memory_order_relaxed);
    to->deletes = atomic_load_explicit(&from->deletes, memory_order_relaxed);
    to->errors = atomic_load_explicit(&from->errors, memory_order_relaxed);
}

static void cache_l1_statistics(struct sta_cache *cache, struct strata_statistics *out)
{
    struct sta_l1_statistics l1;
    sta_l1_statistics(cache->l1, &l1);
    out->l1.hits = l1.hits;
    out->l1.misses = l1.misses;
    out->l1_entries = l1.entries;
    out->l1_memory_bytes = l1.memory_bytes;
    out->l1_evictions = l1.evictions;
    out->l1_expirations = l1.expirations;
}

static void cache_l2_statistics(struct sta_cache *cache, struct strata_statistics *out)
{
    struct sta_connection_statistics connection;
    sta_l2_statistics(cache->l2, &connection);
    out->l2_connected = connection.state == STA_CONNECTION_READY;
    out->l2_reconnects = connection.reconnects;
}

void sta_cache_statistics(struct sta_cache *cache, struct strata_statistics *out)
{
    *out = (struct strata_statistics){0};
    cache_read_counters(&cache->l1_counters, &out->l1);
    cache_read_counters(&cache->l2_counters, &out->l2);
    if (cache->l1 != NULL)
        cache_l1_statistics(cache, out);
    if (cache->l2 != NULL) {
        cache_l2_statistics(cache, out);
        sta_coherence_statistics(cache, out);
    }
    sta_invalidate_statistics(&cache->invalidate, &out->invalidation);
    sta_repair_statistics(&cache->repair, out);
    out->stale_answers = atomic_load_explicit(&cache->stale, memory_order_relaxed);
    out->loads = atomic_load_explicit(&cache->loads, memory_order_relaxed);
    out->loads_failed = atomic_load_explicit(&cache->loads_failed, memory_order_relaxed);
    out->loads_early = atomic_load_explicit(&cache->loads_early, memory_order_relaxed);
    out->loads_shared = atomic_load_explicit(&cache->loads_shared, memory_order_relaxed);
    if (cache->behind != NULL)
        sta_behind_statistics(cache->behind, &out->write_behind);
    /* Every get asks L1 first where there is one; else L2 sees them all. */
    uint64_t gets = cache->l1 != NULL ? out->l1.hits + out->l1.misses
                                      : out->l2.hits + out->l2.misses + out->l2.errors;
    uint64_t hits = out->l1.hits + out->l2.hits;
    out->combined_hit_ratio = gets > 0 ? (double)hits / (double)gets : 0;
}
