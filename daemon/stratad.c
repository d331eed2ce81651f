/* SPDX-License-Identifier: MIT
 *
 * Start, news of the workers, draining and the end; the drawing is in stratad.h.
 */
#include "daemon/stratad.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/hot_file.h"
#include "cache/hot_set.h"
#include "config/live.h"
#include "config/options.h"
#include "config/quota.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/random.h"
#include "daemon/acceptor.h"
#include "daemon/adjust.h"
#include "daemon/admin.h"
#include "daemon/descriptors.h"
#include "daemon/signals.h"
#include "daemon/warmer.h"
#include "daemon/worker.h"
#include "daemon/write_window.h"
#include "strata/tls.h"
#include "strata/version.h"

/* What a stamp's source can be (l1/stamp.h). */
#define SOURCES_MOST UINT64_C(65535)

/* Of a cluster's primaries, for the room that their connections need. */
#define NODES_LIKELY 16u

/* ---- news ---- */

static void describe_l1(const struct sta_stratad *stratad, char *text, size_t cap)
{
    uint64_t bytes = stratad->options.cache.l1_max_bytes;
    if (stratad->l1 == NULL)
        (void)snprintf(text, cap, "l1 off");
    else if (bytes % ((uint64_t)1 << 20) == 0)
        (void)snprintf(text, cap, "l1 %llu MiB", (unsigned long long)(bytes >> 20));
    else
        (void)snprintf(text, cap, "l1 %llu KiB", (unsigned long long)(bytes >> 10));
}

static void tell_ready(struct sta_stratad *stratad)
{
    char l1[48], redis[320];
    stratad->state = STA_STRATAD_SERVING;
    atomic_store_explicit(&stratad->cold, false, memory_order_relaxed);
    describe_l1(stratad, l1, sizeof l1);
    sta_redis_url_format(&stratad->url, redis, sizeof redis);
    sta_log_write(stratad->log, STRATA_LOG_INFO, STA_ROOM_DAEMON,
                  "stratad %s is ready: listening on %s, %s, %s, %zu workers", STRATA_VERSION,
                  sta_acceptor_addresses(stratad->acceptor), redis, l1, stratad->worker_count);
}

/* Where it was cut off by draining, what it had not come to is in the file, and not in L1. */
static void on_warm(struct sta_stratad *stratad)
{
    sta_warmer_stop(&stratad->warmer);
    if (stratad->state != STA_STRATAD_WARMING)
        return;
    stratad->keep_hot_file = false;
    tell_ready(stratad);
}

void sta_stratad_worker_ready(struct sta_stratad *stratad)
{
    if (++stratad->workers_ready < stratad->worker_count || stratad->state != STA_STRATAD_STARTING)
        return;
    if (stratad->warmer == NULL) {
        tell_ready(stratad);
        return;
    }
    stratad->state = STA_STRATAD_WARMING;
    if (sta_warmer_start(stratad->warmer, on_warm) < 0) {
        sta_log_write(stratad->log, STRATA_LOG_WARNING, STA_ROOM_DAEMON,
                      "not warmed: no thread for it");
        on_warm(stratad);
    }
}

void sta_stratad_worker_refused(struct sta_stratad *stratad, const char *reason)
{
    char redis[320];
    if (stratad->refusal_told || stratad->state != STA_STRATAD_STARTING)
        return;
    stratad->refusal_told = true;
    sta_redis_url_format(&stratad->url, redis, sizeof redis);
    sta_log_write(stratad->log, STRATA_LOG_WARNING, STA_ROOM_DAEMON,
                  "listening on %s, but %s cannot be reached: %s; trying on, and answering errors "
                  "until then",
                  sta_acceptor_addresses(stratad->acceptor), redis, reason);
}

void sta_stratad_worker_ended(struct sta_stratad *stratad)
{
    if (++stratad->workers_ended == stratad->workers_started)
        sta_loop_stop(stratad->loop);
}

/* ---- clients, and the end ---- */

static void on_accepted(void *arg, int fd)
{
    struct sta_stratad *stratad = arg;
    sta_worker_adopt(stratad->workers[stratad->next_worker], fd);
    stratad->next_worker = (stratad->next_worker + 1) % stratad->worker_count;
}

/* The second signal that ends means that the first was not enough. */
static void on_signal(void *arg, int number)
{
    struct sta_stratad *stratad = arg;
    if (number == SIGHUP) {
        if (stratad->adjust != NULL && stratad->state != STA_STRATAD_DRAINING)
            sta_adjust_reload(stratad->adjust);
        return;
    }
    if (stratad->state == STA_STRATAD_DRAINING) {
        sta_log_write(stratad->log, STRATA_LOG_WARNING, STA_ROOM_DAEMON, "another %s: not waiting",
                      strsignal(number));
        _exit(1);
    }
    stratad->state = STA_STRATAD_DRAINING;
    atomic_store_explicit(&stratad->draining, true, memory_order_relaxed);
    sta_log_write(stratad->log, STRATA_LOG_INFO, STA_ROOM_DAEMON,
                  "%s: finishing what is under way, %llu ms at most", strsignal(number),
                  (unsigned long long)sta_stratad_live(&stratad->live.drain_timeout_ms));
    sta_acceptor_stop(stratad->acceptor);
    for (size_t i = 0; i < stratad->workers_started; i++)
        sta_worker_drain(stratad->workers[i]);
}

/* ---- life ---- */

static enum sta_tracking_mode tracking_mode(const struct strata_options *cache)
{
    if (cache->l1_enabled == STRATA_OFF || cache->tracking == STRATA_TRACKING_OFF)
        return STA_TRACKING_OFF;
    return cache->tracking == STRATA_TRACKING_BCAST ? STA_TRACKING_BCAST : STA_TRACKING_READS;
}

/* The nodes to begin with; they were checked before. */
static int copy_seeds(struct sta_stratad *stratad)
{
    const struct strata_options *cache = &stratad->options.cache;
    size_t count = cache->cluster_node_count;
    if (cache->cluster_enabled != STRATA_ON)
        return STRATA_OK;
    stratad->seeds = calloc(count > 0 ? count : 1, sizeof *stratad->seeds);
    if (stratad->seeds == NULL)
        return STRATA_ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        (void)sta_endpoint_parse_tcp(cache->cluster_nodes[i], &stratad->seeds[i], NULL);
    if (count > 0)
        stratad->url.endpoint = stratad->seeds[0]; /* so it is called */
    return STRATA_OK;
}

/* Each worker is a source (daemon/tracked_lane.h), and before a cluster as many as there are slots,
 * as far as numbers go. */
static uint16_t sources_each(const struct sta_stratad *stratad)
{
    uint64_t most = SOURCES_MOST / stratad->options.workers;
    if (stratad->seeds == NULL)
        return 1;
    return (uint16_t)(most < STA_SLOT_COUNT ? most : STA_SLOT_COUNT);
}

/* To `quotas`, of which there are STA_L1_QUOTAS_MOST; how many these are. */
static size_t read_quotas(const struct strata_options *options, struct sta_l1_quota *quotas)
{
    size_t count = 0;
    for (size_t i = 0; i < options->l1_quota_count; i++) {
        struct sta_quota quota;
        const char *reason; /* none: they were checked */
        if (sta_quota_parse(options->l1_quotas[i], &quota, &reason) == STRATA_OK)
            quotas[count++] =
                (struct sta_l1_quota){quota.prefix, quota.max_bytes, quota.max_entries};
    }
    return count;
}

static int open_l1(struct sta_stratad *stratad)
{
    const struct strata_options *cache = &stratad->options.cache;
    const enum sta_tracking_mode tracking = tracking_mode(cache);
    stratad->sources_each = sources_each(stratad);
    struct sta_l1_quota quotas[STA_L1_QUOTAS_MOST];
    struct sta_l1_config config = {
        .max_bytes = cache->l1_max_bytes,
        .max_entries = cache->l1_max_size == STRATA_UNLIMITED ? 0 : cache->l1_max_size,
        .hash_seed = stratad->hash_seed,
        .quotas = quotas,
        .sources = tracking != STA_TRACKING_OFF
                       ? (uint32_t)stratad->options.workers * stratad->sources_each
                       : 0,
        .veil = sta_barrier_watch_veil(&stratad->watch),
    };
    stratad->tracking = tracking;
    stratad->max_staleness_ns = cache->max_staleness_ms * STA_NS_MS;
    if (cache->l1_enabled == STRATA_OFF)
        return STRATA_OK;
    config.quota_count = read_quotas(cache, quotas);
    return sta_l1_create(&stratad->l1, &config);
}

/* Known now, it can be mended before the end, when all that is hot would be lost. */
static void warn_if_not_writable(const struct sta_stratad *stratad)
{
    struct strata_error error;
    if (sta_hot_file_try(stratad->options.hot_file, &error) < 0)
        sta_log_write(stratad->log, STRATA_LOG_WARNING, STA_ROOM_DAEMON,
                      "the hot set could not be saved as it is now (hot_file): %s", error.text);
}

/* Until it is warm, the file is better than what L1 has. */
static int open_hot_file(struct sta_stratad *stratad)
{
    bool foreign = false;
    int status = sta_warmer_open(&stratad->warmer, stratad, &foreign);
    stratad->keep_hot_file = foreign || stratad->warmer != NULL;
    if (!foreign)
        warn_if_not_writable(stratad);
    atomic_store_explicit(&stratad->cold, stratad->warmer != NULL, memory_order_relaxed);
    return status;
}

static int create_workers(struct sta_stratad *stratad)
{
    const size_t count = stratad->options.workers;
    stratad->workers = calloc(count, sizeof(struct sta_worker *));
    if (stratad->workers == NULL)
        return STRATA_ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        int status = sta_worker_create(&stratad->workers[i], stratad, (unsigned)i);
        if (status < 0)
            return status;
        stratad->worker_count++;
    }
    return STRATA_OK;
}

/* Of what L1 and Redis answer, where that is wanted. */
static int create_prefixes(struct sta_stratad *stratad)
{
    const struct strata_options *options = &stratad->options.cache;
    if (options->metrics_enabled != STRATA_ON || options->metrics_detailed != STRATA_ON)
        return STRATA_OK;
    const struct sta_prefixes_config config = {
        .prefixes = options->metrics_prefixes,
        .count = options->metrics_prefix_count,
        .delimiter = options->metrics_delimiter[0],
    };
    return sta_prefixes_create(&stratad->prefixes, &config);
}

/* Relaxed: see sta_stratad_live(). */
static void set(_Atomic uint64_t *live, uint64_t value)
{
    atomic_store_explicit(live, value, memory_order_relaxed);
}

static void set_live(struct sta_stratad_live *live, const struct sta_stratad_options *options)
{
    set(&live->timeout_ms, options->cache.socket_timeout_ms);
    set(&live->l1_ttl_ms, options->cache.l1_ttl_ms); /* STRATA_UNLIMITED is STA_NEVER */
    set(&live->clients_max, options->clients_max);
    set(&live->own_connections_max, options->own_connections_max);
    set(&live->pipeline_limit, options->pipeline_limit);
    set(&live->drain_timeout_ms, options->drain_timeout_ms);
    set(&live->serve_stale, options->cache.serve_stale);
    set(&live->metrics_detailed, options->cache.metrics_detailed == STRATA_ON);
}

/* 0: any */
static uint64_t repair_rate(const struct sta_stratad_options *options)
{
    uint64_t rate = options->cache.repair_rate;
    return rate == STRATA_UNLIMITED ? 0 : rate;
}

static int stratad_open(struct sta_stratad *stratad, struct strata_error *error)
{
    const struct sta_stratad_options *options = &stratad->options;
    int status = sta_redis_url_parse(options->cache.redis_url, &stratad->url, error);
    if (status == STRATA_OK)
        status = sta_options_open_tls(&stratad->tls, &options->cache, stratad->log, error);
    if (status == STRATA_OK)
        status = sta_loop_create(&stratad->loop);
    if (status == STRATA_OK)
        status = sta_acceptor_create(&stratad->acceptor, stratad->loop, stratad->log,
                                     options->listen, options->listen_count, error);
    if (status == STRATA_OK)
        status = sta_write_window_create(&stratad->window);
    if (status == STRATA_OK)
        status = copy_seeds(stratad);
    if (status == STRATA_OK)
        status = open_l1(stratad);
    if (status == STRATA_OK && options->hot_file != NULL)
        status = open_hot_file(stratad);
    if (status == STRATA_OK && options->cache.metrics_enabled == STRATA_ON)
        status = sta_timing_create(&stratad->timing);
    if (status == STRATA_OK)
        status = create_prefixes(stratad);
    if (status == STRATA_OK)
        status = create_workers(stratad);
    if (status == STRATA_OK)
        status = sta_barrier_watch_open(stratad);
    if (status == STRATA_OK && options->given.config != NULL)
        status = sta_adjust_create(&stratad->adjust, stratad);
    if (status == STRATA_OK && options->admin_listen_count > 0)
        status = sta_admin_create(&stratad->admin, stratad, error);
    return status;
}

int sta_stratad_create(struct sta_stratad **out, const struct sta_stratad_options *options,
                       struct sta_log *log, struct strata_error *error)
{
    struct sta_stratad *stratad = calloc(1, sizeof *stratad);
    (void)sta_error_set(error, STRATA_ERR_NOMEM, "out of memory");
    if (stratad == NULL)
        return STRATA_ERR_NOMEM;
    stratad->options = *options;
    stratad->options.cache.tls_provider = strata_tls_openssl();
    stratad->log = log;
    stratad->started_ns = sta_clock_now_ns();
    stratad->hash_seed = sta_random_seed();
    set_live(&stratad->live, options);
    sta_turns_pace_init(&stratad->pace, repair_rate(options));
    stratad->request_limits = sta_resp_request_limits;
    stratad->request_limits.total_bytes = options->query_limit;
    int status = stratad_open(stratad, error);
    if (status < 0) {
        sta_stratad_destroy(&stratad);
        return status;
    }
    *out = stratad;
    return STRATA_OK;
}

static void warn_if_open_to_all(const struct sta_stratad *stratad)
{
    if (sta_acceptor_is_exposed(stratad->acceptor) && stratad->options.password == NULL)
        sta_log_write(stratad->log, STRATA_LOG_WARNING, STA_ROOM_DAEMON,
                      "anybody who reaches %s can read and write: no client password is set",
                      sta_acceptor_addresses(stratad->acceptor));
}

/* Beside clients: their own connections, sockets of lanes and of accepting, what loops and name
 * resolution need, and some to spare. */
static void reserve_descriptors(struct sta_stratad *stratad,
                                const struct sta_stratad_options *options)
{
    uint64_t nodes = stratad->seeds != NULL ? NODES_LIKELY : 0;
    uint64_t others = 64 + nodes + stratad->options.listen_count +
                      (16 + nodes * STA_LANE_COUNT) * stratad->options.workers +
                      options->own_connections_max;
    set(&stratad->live.clients_max, sta_descriptors_reserve(options->clients_max, others));
}

void sta_stratad_tell_room(const struct sta_stratad *stratad, uint64_t wanted)
{
    uint64_t fit = sta_stratad_live(&stratad->live.clients_max);
    if (fit < wanted)
        sta_log_write(stratad->log, STRATA_LOG_WARNING, STA_ROOM_DAEMON,
                      "the limit of open files has room for %llu clients, not for %llu",
                      (unsigned long long)fit, (unsigned long long)wanted);
}

static int start(struct sta_stratad *stratad)
{
    int status = sta_signals_create(&stratad->signals, stratad->loop, on_signal, stratad);
    for (size_t i = 0; i < stratad->worker_count && status == STRATA_OK; i++) {
        status = sta_worker_start(stratad->workers[i]);
        stratad->workers_started += status == STRATA_OK;
    }
    if (status == STRATA_OK)
        status = sta_acceptor_start(stratad->acceptor, on_accepted, stratad);
    if (status == STRATA_OK && stratad->admin != NULL)
        status = sta_admin_start(stratad->admin);
    return status;
}

static void save_hot_set(const struct sta_stratad *stratad)
{
    static const struct sta_hot_bounds bounds = {.max_keys = UINT64_MAX,
                                                 .max_bytes = STA_HOT_BYTES_DEFAULT};
    const char *path = stratad->options.hot_file;
    struct sta_l1_statistics numbers;
    struct strata_error error;
    uint64_t saved = 0;
    if (path == NULL || stratad->keep_hot_file)
        return;
    sta_l1_statistics(stratad->l1, &numbers);
    if (numbers.entries == 0)
        return; /* whatever was saved before is better */
    if (sta_hot_set_save(stratad->l1, path, &bounds, &saved, &error) < 0)
        sta_log_write(stratad->log, STRATA_LOG_ERROR, STA_ROOM_DAEMON,
                      "the hot set is not saved: %s", error.text);
    else
        sta_log_write(stratad->log, STRATA_LOG_INFO, STA_ROOM_DAEMON,
                      "the hot set is saved: %llu keys in %s", (unsigned long long)saved, path);
}

int sta_stratad_set_quotas(struct sta_stratad *stratad, const struct strata_options *options,
                           struct strata_error *error)
{
    struct sta_l1_quota quotas[STA_L1_QUOTAS_MOST];
    size_t count = read_quotas(options, quotas);
    if (stratad->l1 == NULL || sta_l1_set_quotas(stratad->l1, quotas, count) == STRATA_OK)
        return STRATA_OK;
    return sta_live_refuse_quotas(error);
}

void sta_stratad_apply(struct sta_stratad *stratad, const struct sta_stratad_options *options)
{
    const struct strata_options *cache = &options->cache;
    set_live(&stratad->live, options);
    sta_turns_pace_adjust(&stratad->pace, repair_rate(options), sta_clock_now_ns());
    sta_barrier_watch_adjust(&stratad->watch, cache->socket_timeout_ms * STA_NS_MS);
    reserve_descriptors(stratad, options);
    sta_stratad_options_log(options, stratad->log);
    if (stratad->l1 == NULL)
        return;
    sta_sweeper_adjust(&stratad->sweeper, cache->l1_cleanup_interval_ms);
    (void)sta_l1_resize(stratad->l1, cache->l1_max_bytes,
                        cache->l1_max_size == STRATA_UNLIMITED ? 0 : cache->l1_max_size);
}

int sta_stratad_run(struct sta_stratad *stratad)
{
    warn_if_open_to_all(stratad);
    reserve_descriptors(stratad, &stratad->options);
    sta_stratad_tell_room(stratad, stratad->options.clients_max);
    if (stratad->l1 != NULL)
        sta_sweeper_start(&stratad->sweeper, stratad->loop, stratad->l1,
                          stratad->options.cache.l1_cleanup_interval_ms);
    int status = start(stratad);
    if (status == STRATA_OK) {
        sta_loop_run(stratad->loop);
    } else {
        for (size_t i = 0; i < stratad->workers_started; i++)
            sta_worker_drain(stratad->workers[i]);
    }
    for (size_t i = 0; i < stratad->workers_started; i++)
        sta_worker_join(stratad->workers[i]);
    sta_warmer_stop(&stratad->warmer);
    if (status == STRATA_OK)
        save_hot_set(stratad);
    return status;
}

/* Workers first: what they still have under way ends into L1 and the window. */
void sta_stratad_destroy(struct sta_stratad **pointer)
{
    struct sta_stratad *stratad = *pointer;
    if (stratad == NULL)
        return;
    *pointer = NULL;
    sta_warmer_stop(&stratad->warmer);
    sta_admin_destroy(&stratad->admin);
    sta_adjust_destroy(&stratad->adjust);
    for (size_t i = 0; i < stratad->worker_count; i++)
        sta_worker_destroy(&stratad->workers[i]);
    free(stratad->workers);
    sta_signals_destroy(&stratad->signals);
    sta_acceptor_destroy(&stratad->acceptor);
    sta_sweeper_stop(&stratad->sweeper);
    sta_loop_destroy(&stratad->loop);
    sta_l1_destroy(&stratad->l1);
    sta_write_window_destroy(&stratad->window);
    sta_turns_pace_fini(&stratad->pace);
    sta_prefixes_destroy(&stratad->prefixes);
    sta_timing_destroy(&stratad->timing);
    sta_tls_close(&stratad->tls);
    free(stratad->seeds);
    free(stratad);
}
