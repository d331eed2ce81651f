/* SPDX-License-Identifier: MIT
 *
 * The public monitor of a cluster: a thread with a loop, on it a monitor (l2/cluster_monitor.h),
 * and what it saw at last, behind a lock.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "api/cluster_info.h"
#include "config/options.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/log.h"
#include "strata/cluster.h"

#define INTERVAL_MIN_MS 100u
#define INTERVAL_MS     1000u
#define TIMEOUT_MS      5000u
#define MOST_MS         3600000u

struct strata_cluster {
    /* Fixed at creation. */
    struct strata_cluster_options options; /* numbers and callbacks; its strings are not kept */
    struct sta_log log;
    struct sta_tls *tls; /* NULL: plain */
    struct sta_loop *loop;
    uint64_t give_up_ns; /* for the first look */
    bool running;

    /* Of the loop thread. */
    struct sta_cluster_monitor *monitor;

    /* Guarded by lock. */
    pthread_mutex_t lock;
    pthread_cond_t settled_or_failed;
    struct strata_cluster_info *latest; /* NULL: nothing has been seen */
    bool settled;                       /* once, for ever */
    int failure;
};

/* ---- on the loop's thread ---- */

static void on_event(void *arg, const struct strata_cluster_event *event)
{
    const struct strata_cluster *cluster = arg;
    if (cluster->options.on_event != NULL)
        cluster->options.on_event(cluster->options.event_arg, event);
}

/* Where there is no memory for what is seen now, what was seen before stays. */
static void on_seen(void *arg)
{
    struct strata_cluster *cluster = arg;
    const struct sta_cluster_view *view = sta_cluster_monitor_view(cluster->monitor);
    struct strata_cluster_info *info = NULL, *old = NULL;
    if (view->kind != STA_CLUSTER_VIEW_NOTHING)
        (void)sta_cluster_info_create(&info, cluster->monitor, sta_clock_now_ns());
    pthread_mutex_lock(&cluster->lock);
    if (info != NULL) {
        old = cluster->latest;
        cluster->latest = info;
    }
    cluster->failure = sta_cluster_monitor_failure(cluster->monitor);
    cluster->settled = cluster->settled || sta_cluster_monitor_is_settled(cluster->monitor);
    pthread_cond_broadcast(&cluster->settled_or_failed);
    pthread_mutex_unlock(&cluster->lock);
    strata_cluster_info_free(&old);
}

static const struct sta_cluster_monitor_events monitor_events = {.event = on_event,
                                                                 .seen = on_seen};

/* ---- asking ---- */

static void wait_locked(struct strata_cluster *cluster)
{
    const struct timespec until = {.tv_sec = (time_t)(cluster->give_up_ns / STA_NS_SEC),
                                   .tv_nsec = (long)(cluster->give_up_ns % STA_NS_SEC)};
    int status = 0;
    while (!cluster->settled && status == 0)
        status = pthread_cond_timedwait(&cluster->settled_or_failed, &cluster->lock, &until);
}

int strata_cluster_get_info(struct strata_cluster *cluster, struct strata_cluster_info **info)
{
    int status;
    pthread_mutex_lock(&cluster->lock);
    wait_locked(cluster);
    if (cluster->latest != NULL)
        status = sta_cluster_info_copy(info, cluster->latest);
    else
        status = cluster->failure < 0 ? cluster->failure : STRATA_ERR_TIMEOUT;
    pthread_mutex_unlock(&cluster->lock);
    return status;
}

/* ---- opening ---- */

static int check_range(const char *name, uint64_t *value_ms, uint64_t least, uint64_t otherwise,
                       struct strata_error *error)
{
    if (*value_ms == 0)
        *value_ms = otherwise;
    if (*value_ms >= least && *value_ms <= MOST_MS)
        return STRATA_OK;
    return sta_error_set(error, STRATA_ERR_CONFIG, "%s=%llu: from %llu to %u milliseconds", name,
                         (unsigned long long)*value_ms, (unsigned long long)least, MOST_MS);
}

/* The parts that a cache has, too, are checked as a cache's are. */
static int check_options(struct strata_cluster_options *options, struct strata_options *both,
                         struct strata_error *error)
{
    int status =
        check_range("interval_ms", &options->interval_ms, INTERVAL_MIN_MS, INTERVAL_MS, error);
    if (status == STRATA_OK)
        status = check_range("timeout_ms", &options->timeout_ms, 1, TIMEOUT_MS, error);
    if (status < 0)
        return status;
    const struct strata_options in = {
        .redis_url = options->redis_url,
        .cluster_nodes = options->cluster_nodes,
        .cluster_node_count = options->cluster_node_count,
        .cluster_enabled = options->cluster_node_count > 0 ? STRATA_ON : STRATA_OFF,
        .log_level = options->log_level,
        .tls_provider = options->tls_provider,
        .tls_ca_file = options->tls_ca_file,
        .tls_ca_dir = options->tls_ca_dir,
        .tls_crl_file = options->tls_crl_file,
        .tls_cert_file = options->tls_cert_file,
        .tls_key_file = options->tls_key_file,
        .tls_key_password = options->tls_key_password,
        .tls_server_name = options->tls_server_name,
        .tls_verify = options->tls_verify,
    };
    return sta_options_resolve(&in, both, error);
}

static int make_seeds(const struct strata_options *both, const struct sta_redis_url *url,
                      struct sta_endpoint **out, size_t *count)
{
    *count = both->cluster_node_count > 0 ? both->cluster_node_count : 1;
    struct sta_endpoint *seeds = calloc(*count, sizeof *seeds);
    if (seeds == NULL)
        return STRATA_ERR_NOMEM;
    seeds[0] = url->endpoint;
    for (size_t i = 0; i < both->cluster_node_count; i++)
        (void)sta_endpoint_parse_tcp(both->cluster_nodes[i], &seeds[i], NULL); /* was checked */
    *out = seeds;
    return STRATA_OK;
}

static int make_monitor(struct strata_cluster *cluster, const struct strata_options *both,
                        const struct sta_redis_url *url)
{
    struct sta_endpoint *seeds;
    size_t count;
    int status = make_seeds(both, url, &seeds, &count);
    if (status < 0)
        return status;
    uint64_t timeout_ns = cluster->options.timeout_ms * STA_NS_MS;
    const struct sta_cluster_monitor_config config = {
        .connection = {.url = url, .tls = cluster->tls, .protocol = 2, .name = "strata-cluster"},
        .seeds = seeds,
        .seed_count = count,
        .interval_ns = cluster->options.interval_ms * STA_NS_MS,
        .timeout_ns = timeout_ns < STA_NS_SEC ? timeout_ns : STA_NS_SEC,
    };
    status = sta_cluster_monitor_create(&cluster->monitor, cluster->loop, &cluster->log, &config,
                                        &monitor_events, cluster);
    free(seeds);
    return status;
}

static int make_lock(struct strata_cluster *cluster)
{
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0)
        return STRATA_ERR_NOMEM;
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&cluster->settled_or_failed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&cluster->lock, NULL);
    return STRATA_OK;
}

static int cluster_start(struct strata_cluster *cluster, const struct strata_options *both,
                         const struct sta_redis_url *url)
{
    int status = sta_loop_create(&cluster->loop);
    if (status == STRATA_OK)
        status = make_monitor(cluster, both, url);
    if (status == STRATA_OK)
        status = sta_loop_start(cluster->loop, "strata-cluster");
    cluster->running = status == STRATA_OK;
    return status;
}

static int open_with(struct strata_cluster **out, const struct strata_cluster_options *options,
                     struct strata_error *error)
{
    struct strata_options both;
    struct sta_redis_url url;
    struct strata_cluster *cluster = calloc(1, sizeof *cluster);
    if (cluster == NULL || make_lock(cluster) < 0) {
        free(cluster);
        return sta_error_set(error, STRATA_ERR_NOMEM, "out of memory");
    }
    cluster->options = *options;
    int status = check_options(&cluster->options, &both, error);
    if (status == STRATA_OK)
        status = sta_redis_url_parse(both.redis_url, &url, error);
    if (status < 0)
        goto undo;
    sta_log_init(&cluster->log, options->log_sink, options->log_arg, both.log_level);
    status = sta_options_open_tls(&cluster->tls, &both, &cluster->log, error);
    if (status < 0)
        goto undo;
    cluster->give_up_ns = sta_clock_now_ns() + cluster->options.timeout_ms * STA_NS_MS;
    status = cluster_start(cluster, &both, &url);
    if (status < 0) {
        (void)sta_error_set(error, status, "the cluster cannot be watched: %s",
                            strata_status_text(status));
        goto undo;
    }
    *out = cluster;
    return STRATA_OK;
undo:
    strata_cluster_close(&cluster);
    return status;
}

static int open_from_environment(struct strata_cluster **out, struct strata_error *error)
{
    struct strata_options environment = {0};
    int status = strata_options_from_environment(&environment, error);
    if (status < 0)
        return status;
    const struct strata_cluster_options options = {
        .cluster_nodes = environment.cluster_nodes,
        .cluster_node_count = environment.cluster_node_count,
        .redis_url = environment.redis_url,
    };
    status = open_with(out, &options, error);
    strata_options_fini(&environment);
    return status;
}

int strata_cluster_open(struct strata_cluster **out, const struct strata_cluster_options *options,
                        struct strata_error *error)
{
    return options != NULL ? open_with(out, options, error) : open_from_environment(out, error);
}

void strata_cluster_close(struct strata_cluster **at)
{
    if (at == NULL || *at == NULL)
        return;
    struct strata_cluster *cluster = *at;
    *at = NULL;
    if (cluster->running) {
        sta_loop_stop(cluster->loop);
        sta_loop_join(cluster->loop);
    }
    sta_cluster_monitor_destroy(&cluster->monitor);
    sta_loop_destroy(&cluster->loop);
    sta_tls_close(&cluster->tls);
    strata_cluster_info_free(&cluster->latest);
    pthread_cond_destroy(&cluster->settled_or_failed);
    pthread_mutex_destroy(&cluster->lock);
    free(cluster);
}

const char *strata_cluster_event_name(enum strata_cluster_event_kind kind)
{
    static const char *const names[] = {
        [STRATA_CLUSTER_NODE_DOWN] = "node_down",
        [STRATA_CLUSTER_NODE_UP] = "node_up",
        [STRATA_CLUSTER_NODE_ADDED] = "node_added",
        [STRATA_CLUSTER_NODE_REMOVED] = "node_removed",
        [STRATA_CLUSTER_SLOTS_MOVED] = "slots_moved",
        [STRATA_CLUSTER_FAILOVER] = "failover",
        [STRATA_CLUSTER_STATE] = "state",
    };
    return (size_t)kind < sizeof names / sizeof names[0] ? names[kind] : "unknown";
}
