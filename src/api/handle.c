/* SPDX-License-Identifier: MIT
 *
 * Opening and closing: options -> effective options -> a cache.
 */
#include "api/handle.h"

#include <stdlib.h>

#include "api/events.h"
#include "cache/prefixes.h"
#include "cache/value.h"
#include "config/live.h"
#include "config/options.h"
#include "config/quota.h"
#include "core/clock.h"
#include "core/error.h"
#include "strata/strata.h"

/* What all requests that wait to be sent may be together: one of the largest does not keep
 * everybody else out. */
#define PENDING_MAX ((size_t)2 * STA_BATCH_WIRE_MAX)

/* The nodes to begin with; the list is the caller's to free. They were checked before. */
static int handle_seeds(const struct strata_options *options, struct sta_endpoint **out)
{
    size_t count = options->cluster_node_count;
    struct sta_endpoint *seeds = calloc(count > 0 ? count : 1, sizeof *seeds);
    if (seeds == NULL)
        return STRATA_ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        (void)sta_endpoint_parse_tcp(options->cluster_nodes[i], &seeds[i], NULL);
    *out = seeds;
    return STRATA_OK;
}

static enum sta_tracking_mode handle_tracking(enum strata_tracking tracking)
{
    switch (tracking) {
    case STRATA_TRACKING_OFF:
        return STA_TRACKING_OFF;
    case STRATA_TRACKING_BCAST:
        return STA_TRACKING_BCAST;
    default:
        return STA_TRACKING_READS;
    }
}

static enum sta_behind_full handle_full(enum strata_full full)
{
    switch (full) {
    case STRATA_FULL_THROUGH:
        return STA_BEHIND_THROUGH;
    case STRATA_FULL_REJECT:
        return STA_BEHIND_REJECT;
    default:
        return STA_BEHIND_BLOCK;
    }
}

static enum sta_behind_guarding handle_guard(enum strata_guard guard)
{
    switch (guard) {
    case STRATA_GUARD_LAX:
        return STA_BEHIND_GUARD_LAX;
    case STRATA_GUARD_ON:
        return STA_BEHIND_GUARD_ON;
    default:
        return STA_BEHIND_UNGUARDED;
    }
}

static enum sta_journal_sync handle_sync(enum strata_fsync fsync)
{
    switch (fsync) {
    case STRATA_FSYNC_INTERVAL:
        return STA_JOURNAL_INTERVAL;
    case STRATA_FSYNC_NEVER:
        return STA_JOURNAL_NEVER;
    default:
        return STA_JOURNAL_ALWAYS;
    }
}

static struct sta_behind_config handle_behind(const struct strata_options *options)
{
    uint64_t rate = options->write_behind_rate;
    return (struct sta_behind_config){
        .interval_ms = options->write_behind_interval_ms,
        .max_entries = options->write_behind_max_entries,
        .max_bytes = options->write_behind_max_bytes,
        .rate = rate == STRATA_UNLIMITED ? 0 : rate,
        .batch = (size_t)options->write_behind_batch_size,
        .drain_ms = options->write_behind_drain_timeout_ms,
        .full = handle_full(options->write_behind_full),
        .guard = handle_guard(options->write_behind_guard),
        .journal = options->write_behind_journal,
        .sync = handle_sync(options->write_behind_fsync),
    };
}

static void handle_config(const struct strata_options *options, const struct sta_redis_url *url,
                          const struct sta_endpoint *seeds, struct sta_cache_config *config)
{
    *config = (struct sta_cache_config){
        .l1_enabled = options->l1_enabled == STRATA_ON,
        .l1 =
            {
                .max_bytes = options->l1_max_bytes,
                .max_entries = options->l1_max_size == STRATA_UNLIMITED ? 0 : options->l1_max_size,
            },
        .l1_ttl_ms = options->l1_ttl_ms,
        .cleanup_interval_ms = options->l1_cleanup_interval_ms,
        .l2_enabled = options->l2_enabled == STRATA_ON,
        .l2.router.node.connection = {.url = url,
                                      .protocol = 3,
                                      .or_protocol_2 = true,
                                      .name = "strata",
                                      .max_pending_bytes = PENDING_MAX},
        .l2.router.node.max_connections = options->max_connections,
        .l2.router.cluster = options->cluster_enabled == STRATA_ON,
        .l2.router.seeds = seeds,
        .l2.router.seed_count = options->cluster_node_count,
        .l2_ttl_ms = options->l2_ttl_ms,
        .key_prefix = options->l2_key_prefix,
        .budget_ms = options->socket_timeout_ms,
        .write_through = options->write_through == STRATA_ON,
        .write_behind = options->write_behind == STRATA_ON,
        .behind = handle_behind(options),
        .read_through = options->read_through == STRATA_ON,
        .null_values = options->null_values == STRATA_ON,
        .null_ttl_ms = options->null_ttl_ms,
        .tracking = handle_tracking(options->tracking),
        .invalidation = options->invalidation_enabled == STRATA_ON,
        .invalidation_batch_size = options->invalidation_batch_size,
        .invalidation_timeout_ms = options->invalidation_timeout_ms,
        .max_staleness_ms = options->max_staleness_ms,
        .serve_stale = options->serve_stale,
        .repair_rate = options->repair_rate == STRATA_UNLIMITED ? 0 : options->repair_rate,
        .timed = options->metrics_enabled == STRATA_ON,
    };
    /* A connection that takes longer than a call may take is of no use to the call. */
    uint64_t budget_ns = options->socket_timeout_ms * STA_NS_MS;
    if (budget_ns < STA_NS_SEC)
        config->l2.router.node.connection.connect_timeout_ns = budget_ns;
}

/* To `quotas`, of which there are STA_L1_QUOTAS_MOST. The options were checked. */
static void handle_quotas(const struct strata_options *options, struct sta_l1_quota *quotas,
                          struct sta_l1_config *config)
{
    struct sta_quota quota;
    const char *reason;
    for (size_t i = 0; i < options->l1_quota_count; i++) {
        if (sta_quota_parse(options->l1_quotas[i], &quota, &reason) != STRATA_OK)
            continue;
        quotas[config->quota_count++] =
            (struct sta_l1_quota){quota.prefix, quota.max_bytes, quota.max_entries};
    }
    config->quotas = quotas;
}

/* While the cache is destroyed: its hook has been taken away. */
static void on_lost(void *arg, uint64_t keys)
{
    const struct strata *handle = arg;
    if (handle->hook != NULL)
        sta_events_tell_lost(handle->hook, handle->hook_arg, keys);
}

static struct sta_prefixes_config handle_prefixes(const struct strata_options *options)
{
    return (struct sta_prefixes_config){
        .prefixes = options->metrics_prefixes,
        .count = options->metrics_prefix_count,
        .delimiter = options->metrics_delimiter[0],
    };
}

static int handle_create(struct strata *handle, const struct strata_options *options,
                         const struct sta_redis_url *url, struct strata_error *why)
{
    struct sta_cache_config config;
    struct sta_l1_quota quotas[STA_L1_QUOTAS_MOST];
    int status = handle_seeds(options, &handle->seeds);
    if (status < 0)
        return status;
    handle->seed_count = options->cluster_node_count;
    handle_config(options, url, handle->seeds, &config);
    config.on_lost = on_lost;
    config.on_lost_arg = handle;
    handle_quotas(options, quotas, &config.l1);
    const struct sta_prefixes_config prefixes = handle_prefixes(options);
    if (config.timed && options->metrics_detailed == STRATA_ON)
        config.prefixes = &prefixes;
    config.l2.router.node.connection.tls = handle->tls;
    return sta_cache_create(&handle->cache, &config, &handle->log, why);
}

int sta_handle_open(struct strata *handle, const struct strata_options *options,
                    struct strata_error *error)
{
    struct strata_options effective;
    int status = sta_options_resolve(options, &effective, error);
    if (status == STRATA_OK)
        status = sta_redis_url_parse(effective.redis_url, &handle->url, error);
    if (status < 0)
        return status;
    atomic_init(&handle->metrics_detailed, effective.metrics_detailed == STRATA_ON);
    handle->l1_max_bytes = effective.l1_max_bytes;
    handle->writes_through =
        effective.write_through == STRATA_ON || effective.l2_enabled != STRATA_ON;
    sta_log_init(&handle->log, effective.log_sink, effective.log_arg, effective.log_level);
    sta_live_log(&handle->log, &effective);
    if (effective.l2_enabled == STRATA_ON)
        status = sta_options_open_tls(&handle->tls, &effective, &handle->log, error);
    if (status < 0)
        return status;
    struct strata_error why = {.text = ""};
    status = handle_create(handle, &effective, &handle->url, &why);
    if (status < 0) {
        free(handle->seeds);
        sta_tls_close(&handle->tls);
        return sta_error_set(error, status, "the cache cannot be opened: %s",
                             why.text[0] != '\0' ? why.text : strata_status_text(status));
    }
    pthread_mutex_init(&handle->events_lock, NULL);
    pthread_mutex_init(&handle->lock, NULL);
    sta_options_keep(&handle->options, &effective);
    return STRATA_OK;
}

int sta_handle_set_quotas(struct strata *handle, const struct strata_options *options,
                          struct strata_error *error)
{
    struct sta_l1_config config = {0};
    struct sta_l1_quota quotas[STA_L1_QUOTAS_MOST];
    handle_quotas(options, quotas, &config);
    int status = sta_cache_set_quotas(handle->cache, config.quotas, config.quota_count);
    return status == STRATA_OK ? STRATA_OK : sta_live_refuse_quotas(error);
}

void sta_handle_adjust(struct strata *handle, const struct strata_options *options)
{
    struct sta_cache_config config;
    handle_config(options, NULL, NULL, &config);
    sta_cache_adjust(handle->cache, &config);
    sta_live_log(&handle->log, options);
    atomic_store_explicit(&handle->metrics_detailed, options->metrics_detailed == STRATA_ON,
                          memory_order_relaxed);
}

void sta_handle_close(struct strata *handle)
{
    sta_events_destroy(&handle->events);
    sta_cache_destroy(&handle->cache);
    sta_tls_close(&handle->tls);
    free(handle->seeds);
    pthread_mutex_destroy(&handle->events_lock);
    pthread_mutex_destroy(&handle->lock);
}

bool strata_writes_through(const struct strata *cache)
{
    return cache->writes_through;
}

const char *strata_version(void)
{
    return STRATA_VERSION;
}

void strata_release(struct strata_value *value)
{
    sta_value_release(value);
}

/* From the environment where the caller gave no options. */
static int open_with(struct strata *handle, const struct strata_options *options,
                     struct strata_error *error)
{
    if (options != NULL)
        return sta_handle_open(handle, options, error);
    struct strata_options environment = {0};
    int status = strata_options_from_environment(&environment, error);
    if (status < 0)
        return status;
    status = sta_handle_open(handle, &environment, error);
    strata_options_fini(&environment);
    return status;
}

int strata_open(struct strata **out, const struct strata_options *options,
                struct strata_error *error)
{
    struct strata *handle = calloc(1, sizeof *handle);
    if (handle == NULL)
        return sta_error_set(error, STRATA_ERR_NOMEM, "out of memory");
    int status = open_with(handle, options, error);
    if (status < 0) {
        free(handle);
        return status;
    }
    *out = handle;
    return STRATA_OK;
}

void strata_close(struct strata **cache)
{
    if (cache == NULL || *cache == NULL)
        return;
    sta_handle_close(*cache);
    free(*cache);
    *cache = NULL;
}

void strata_statistics(struct strata *cache, struct strata_statistics *out)
{
    sta_cache_statistics(cache->cache, out);
}
