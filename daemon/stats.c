/* SPDX-License-Identifier: MIT
 *
 * The JSON of STRATA STATS. Numbers are read one after another while the daemon works, so sums
 * may be off by what happened in between.
 */
#include "daemon/stats.h"

#include <jansson.h>
#include <stdlib.h>

#include "core/clock.h"
#include "daemon/acceptor.h"
#include "daemon/numbers.h"
#include "daemon/stratad.h"
#include "daemon/worker.h"
#include "observe/statistics_json.h"
#include "strata/status.h"
#include "strata/version.h"

void sta_stats_lane_store(struct sta_stats_lane *lane, const struct sta_connection_statistics *seen)
{
#define STORE(field) atomic_store_explicit(&lane->field, seen->field, memory_order_relaxed)
    atomic_store_explicit(&lane->state, (int)seen->state, memory_order_relaxed);
    atomic_store_explicit(&lane->last_failure, seen->last_failure, memory_order_relaxed);
    if (seen->state != STA_CONNECTION_READY)
        atomic_store_explicit(&lane->silent, false, memory_order_relaxed);
    STORE(requests);
    STORE(replies);
    STORE(late);
    STORE(timeouts);
    STORE(lost);
    STORE(refused);
    STORE(connects);
    STORE(reconnects);
    STORE(failures);
    STORE(bytes_out);
    STORE(bytes_in);
    STORE(in_flight);
#undef STORE
}

void sta_stats_lane_store_latency(struct sta_stats_lane *lane, const struct sta_node_health *seen,
                                  uint64_t now_ns)
{
    struct sta_node_health recent = {0};
    sta_node_health_merge(&recent, seen, now_ns); /* one window of the two */
    atomic_store_explicit(&lane->ewma_ns, recent.ewma_ns, memory_order_relaxed);
    for (unsigned i = 0; i < STA_NODE_HEALTH_BUCKETS; i++)
        atomic_store_explicit(&lane->answered[i], recent.windows[recent.current][i],
                              memory_order_relaxed);
}

void sta_stats_lane_add_latency(const struct sta_stats_lane *lane, struct sta_node_health *sum,
                                uint64_t now_ns)
{
    struct sta_node_health one = {.window_at_ns = now_ns};
    one.ewma_ns = atomic_load_explicit(&lane->ewma_ns, memory_order_relaxed);
    for (unsigned i = 0; i < STA_NODE_HEALTH_BUCKETS; i++)
        one.windows[0][i] = atomic_load_explicit(&lane->answered[i], memory_order_relaxed);
    sta_node_health_merge(sum, &one, now_ns);
}

struct sta_stats_totals sta_stats_add_up(const struct sta_stratad *stratad)
{
    struct sta_stats_totals totals = {0};
    for (size_t i = 0; i < stratad->worker_count; i++) {
        const struct sta_stats *stats = &stratad->workers[i]->stats;
#define TOTAL_ADD(name, meaning)                                                                   \
    totals.name += atomic_load_explicit(&stats->name, memory_order_relaxed);
        STA_STATS_COUNTERS(TOTAL_ADD)
#undef TOTAL_ADD
    }
    return totals;
}

static json_int_t integer(uint64_t value)
{
    return value > INT64_MAX ? INT64_MAX : (json_int_t)value;
}

static double ratio(uint64_t part, uint64_t rest)
{
    return part + rest == 0 ? 0.0 : (double)part / (double)(part + rest);
}

static json_t *sessions_json(const struct sta_stratad *stratad,
                             const struct sta_stats_totals *totals)
{
    uint64_t open = atomic_load_explicit(&stratad->sessions, memory_order_relaxed);
    return json_pack("{sI sI sI sI sI sI}", "open", integer(open), "opened",
                     integer(totals->sessions_opened), "closed", integer(totals->sessions_closed),
                     "refused", integer(totals->sessions_refused), "overrun",
                     integer(totals->sessions_overrun), "protocol_errors",
                     integer(totals->protocol_errors));
}

static json_t *commands_json(const struct sta_stats_totals *totals)
{
    return json_pack("{sI sI sI sI s{sI sI sI sI}}", "total", integer(totals->commands), "refused",
                     integer(totals->commands_refused), "forwarded", integer(totals->forwarded),
                     "writes", integer(totals->writes), "errors", "unavailable",
                     integer(totals->errors_unavailable), "timeout",
                     integer(totals->errors_timeout), "lost", integer(totals->errors_lost), "busy",
                     integer(totals->errors_busy));
}

static json_t *own_json(const struct sta_stratad *stratad, const struct sta_stats_totals *totals)
{
    uint64_t open = atomic_load_explicit(&stratad->own_connections, memory_order_relaxed);
    return json_pack("{sI sI sI}", "open", integer(open), "opened", integer(totals->own_opened),
                     "refused", integer(totals->own_refused));
}

static json_t *l1_json(const struct sta_stratad *stratad, const struct sta_stats_totals *totals)
{
    struct sta_l1_statistics l1;
    if (stratad->l1 == NULL)
        return json_pack("{sb}", "enabled", 0);
    sta_l1_statistics(stratad->l1, &l1);
    return json_pack("{sb sI sI sI sf sI sI sI sI sI sI sI sI sI sI}", "enabled", 1, "hits",
                     integer(totals->reads_l1), "misses", integer(totals->reads_l2), "unasked",
                     integer(totals->reads_unasked), "hit_ratio",
                     ratio(totals->reads_l1, totals->reads_l2), "entries", integer(l1.entries),
                     "max_entries", integer(l1.max_entries), "memory_bytes",
                     integer(l1.memory_bytes), "max_bytes", integer(l1.max_bytes), "fills",
                     integer(l1.fills), "fills_refused", integer(l1.fills_refused), "fills_too_big",
                     integer(l1.fills_too_big), "evictions", integer(l1.evictions), "expirations",
                     integer(l1.expirations), "invalidations", integer(l1.invalidations));
}

static const char *state_name(int state)
{
    static const char *const names[] = {
        [STA_CONNECTION_CLOSED] = "closed",     [STA_CONNECTION_CONNECTING] = "connecting",
        [STA_CONNECTION_GREETING] = "greeting", [STA_CONNECTION_READY] = "ready",
        [STA_CONNECTION_BACKOFF] = "backoff",
    };
    return names[state];
}

/* One lane, summed over the workers; its connections' states are counted. */
static json_t *lane_json(const struct sta_stratad *stratad, enum sta_lane_kind kind)
{
    json_int_t sum[10] = {0};
    json_t *states = json_object();
    for (size_t i = 0; i < stratad->worker_count && states != NULL; i++) {
        const struct sta_stats_lane *lane = &stratad->workers[i]->lane_stats[kind];
        const _Atomic uint64_t *const fields[10] = {
            &lane->requests, &lane->replies,  &lane->late,     &lane->timeouts,  &lane->lost,
            &lane->refused,  &lane->connects, &lane->failures, &lane->bytes_out, &lane->bytes_in,
        };
        for (unsigned f = 0; f < 10; f++)
            sum[f] += integer(atomic_load_explicit(fields[f], memory_order_relaxed));
        const char *state = state_name(atomic_load_explicit(&lane->state, memory_order_relaxed));
        json_int_t before = json_integer_value(json_object_get(states, state));
        (void)json_object_set_new(states, state, json_integer(before + 1));
    }
    return json_pack("{so sI sI sI sI sI sI sI sI sI sI}", "connections", states, "requests",
                     sum[0], "replies", sum[1], "late", sum[2], "timeouts", sum[3], "lost", sum[4],
                     "refused", sum[5], "connects", sum[6], "failures", sum[7], "bytes_out", sum[8],
                     "bytes_in", sum[9]);
}

bool sta_stats_is_available(const struct sta_stratad *stratad)
{
    for (size_t i = 0; i < stratad->worker_count; i++) {
        const struct sta_stats_lane *lane = &stratad->workers[i]->lane_stats[STA_LANE_SHARED];
        if (atomic_load_explicit(&lane->state, memory_order_relaxed) != STA_CONNECTION_READY)
            return false;
    }
    return true;
}

static json_t *l2_json(const struct sta_stratad *stratad, const struct sta_stats_totals *totals)
{
    char url[320];
    sta_redis_url_format(&stratad->url, url, sizeof url);
    return json_pack(
        "{ss sb sI s{so so so}}", "url", url, "available", sta_stats_is_available(stratad), "reads",
        integer(totals->reads_l2), "lanes", "shared", lane_json(stratad, STA_LANE_SHARED), "plain2",
        lane_json(stratad, STA_LANE_PLAIN2), "plain3", lane_json(stratad, STA_LANE_PLAIN3));
}

/* What the library's document has as well. */
static int add_shared(const struct sta_stratad *stratad, json_t *root)
{
    struct sta_snapshot snapshot;
    if (sta_numbers_take(&snapshot, stratad) < 0)
        return -1;
    json_t *shared = sta_statistics_json(&snapshot);
    sta_snapshot_fini(&snapshot);
    int failed = shared != NULL ? json_object_update_recursive(root, shared) : -1;
    json_decref(shared);
    return failed < 0 ? -1 : json_object_set_new(root, "health", sta_numbers_health(stratad, NULL));
}

int sta_stats_render(const struct sta_stratad *stratad, struct sta_buffer *out)
{
    const struct sta_stats_totals totals = sta_stats_add_up(stratad);
    uint64_t uptime = (sta_clock_now_ns() - stratad->started_ns) / STA_NS_SEC;
    json_t *root = json_pack(
        "{ss sI sI ss so so so so s{sf} so}", "version", STRATA_VERSION, "uptime_seconds",
        integer(uptime), "workers", integer(stratad->worker_count), "listen",
        sta_acceptor_addresses(stratad->acceptor), "sessions", sessions_json(stratad, &totals),
        "commands", commands_json(&totals), "own_connections", own_json(stratad, &totals), "l1",
        l1_json(stratad, &totals), "coherence", "max_staleness_seconds",
        (double)stratad->max_staleness_ns / (double)STA_NS_SEC, "l2", l2_json(stratad, &totals));
    if (root == NULL || add_shared(stratad, root) < 0) {
        json_decref(root);
        return STRATA_ERR_NOMEM;
    }
    char *text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(root);
    if (text == NULL)
        return STRATA_ERR_NOMEM;
    int status = sta_buffer_append(out, strata_text(text));
    free(text);
    return status;
}
