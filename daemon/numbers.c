/* SPDX-License-Identifier: MIT
 *
 * See numbers.h.
 */
#include "daemon/numbers.h"

#include <stdlib.h>

#include "core/clock.h"
#include "daemon/stratad.h"
#include "daemon/worker.h"
#include "observe/exposition.h"
#include "observe/health.h"
#include "observe/l2_report.h"
#include "observe/metric.h"
#include "observe/prometheus.h"

/* ---- the daemon's own rows ---- */

struct own {
    uint64_t up_ns;
    uint64_t workers;
    uint64_t sessions;
    uint64_t own_connections;
    struct sta_stats_totals totals;
};

#define COUNTER_ROW(NAME, MEANING)                                                                 \
    {.name = "stratad_" #NAME "_total",                                                            \
     .offset = offsetof(struct own, totals.NAME),                                                  \
     .help = "stratad: " MEANING "."},

static const struct sta_metric own_table[] = {
    {.name = "stratad_uptime_seconds",
     .kind = STA_METRIC_GAUGE,
     .type = STA_METRIC_NANOSECONDS,
     .offset = offsetof(struct own, up_ns),
     .help = "Time since stratad was started."},
    {.name = "stratad_workers",
     .kind = STA_METRIC_GAUGE,
     .offset = offsetof(struct own, workers),
     .help = "Threads that serve clients."},
    {.name = "stratad_sessions",
     .kind = STA_METRIC_GAUGE,
     .offset = offsetof(struct own, sessions),
     .help = "Clients that are connected."},
    {.name = "stratad_own_connections",
     .kind = STA_METRIC_GAUGE,
     .offset = offsetof(struct own, own_connections),
     .help = "Connections to Redis of clients' own, and those that wait for another."},
    STA_STATS_COUNTERS(COUNTER_ROW){0},
};

/* ---- Redis, as one node ---- */

/* The worst lane decides, as its worker last saw it. */
static void add_lane(struct sta_l2_node_health *node, const struct sta_stats_lane *lane,
                     bool shared)
{
#define LOAD(field) atomic_load_explicit(&lane->field, memory_order_relaxed)
    struct sta_node_health *health = &node->health;
    health->requests += LOAD(requests);
    health->replies += LOAD(replies);
    health->late += LOAD(late);
    health->connects += LOAD(connects);
    health->reconnects += LOAD(reconnects);
    health->in_flight += (uint32_t)LOAD(in_flight);
    health->errors[STA_NODE_HEALTH_TIMEOUT] += LOAD(timeouts);
    health->errors[STA_NODE_HEALTH_LOST] += LOAD(lost);
    health->errors[STA_NODE_HEALTH_REFUSED] += LOAD(refused);
    if (!shared)
        return;
    enum sta_connection_state state = (enum sta_connection_state)LOAD(state);
    if (state != STA_CONNECTION_READY)
        node->state = state;
    node->refusing = node->refusing || (state == STA_CONNECTION_READY && LOAD(silent));
#undef LOAD
}

static void add_link(struct sta_connection_statistics *link, const struct sta_stats_lane *lane)
{
#define ADD(field) link->field += atomic_load_explicit(&lane->field, memory_order_relaxed)
    ADD(requests);
    ADD(replies);
    ADD(late);
    ADD(timeouts);
    ADD(lost);
    ADD(refused);
    ADD(connects);
    ADD(reconnects);
    ADD(failures);
    ADD(bytes_out);
    ADD(bytes_in);
#undef ADD
}

static int take_single(struct sta_snapshot *out, const struct sta_stratad *stratad)
{
    struct sta_l2_node_health node = {.url = stratad->url, .state = STA_CONNECTION_READY};
    const struct sta_l2_health health = {&node, 1, STA_SLOT_COUNT};
    uint64_t now_ns = sta_clock_now_ns();
    for (size_t i = 0; i < stratad->worker_count; i++) {
        for (unsigned kind = 0; kind < STA_LANE_COUNT; kind++) {
            const struct sta_stats_lane *lane = &stratad->workers[i]->lane_stats[kind];
            add_lane(&node, lane, kind == STA_LANE_SHARED);
            sta_stats_lane_add_latency(lane, &node.health, now_ns);
        }
    }
    return sta_l2_report_make(&out->nodes, &health);
}

/* ---- a cluster, as its nodes ---- */

static int take_cluster(struct sta_snapshot *out, const struct sta_stratad *stratad)
{
    struct sta_l2_health health = {0};
    uint64_t now_ns = sta_clock_now_ns();
    int status = STRATA_OK;
    for (size_t i = 0; i < stratad->worker_count && status == STRATA_OK; i++)
        status = sta_node_board_add(&stratad->workers[i]->board, &health, now_ns);
    if (status == STRATA_OK)
        status = sta_l2_report_make(&out->nodes, &health);
    free(health.nodes);
    return status;
}

/* ---- */

static int take_l2(struct sta_snapshot *out, const struct sta_stratad *stratad)
{
    for (size_t i = 0; i < stratad->worker_count; i++) {
        const struct sta_stats_lane *lanes = stratad->workers[i]->lane_stats;
        for (unsigned kind = 0; kind < STA_LANE_COUNT; kind++)
            add_link(&out->link, &lanes[kind]);
        int failure =
            atomic_load_explicit(&lanes[STA_LANE_SHARED].last_failure, memory_order_relaxed);
        out->link.last_failure = failure < 0 ? failure : out->link.last_failure;
    }
    out->statistics.l2_connected = sta_stats_is_available(stratad);
    out->statistics.l2_reconnects = out->link.reconnects;
    out->cluster = stratad->seeds != NULL;
    return stratad->seeds != NULL ? take_cluster(out, stratad) : take_single(out, stratad);
}

static void take_reads(struct sta_snapshot *out, const struct sta_stats_totals *totals)
{
    struct strata_statistics *numbers = &out->statistics;
    uint64_t reads = totals->reads_l1 + totals->reads_l2;
    uint64_t found = totals->reads_l1 + totals->reads_l2_found;
    numbers->l2.hits = totals->reads_l2_found;
    numbers->l2.misses = totals->reads_l2_absent;
    numbers->combined_hit_ratio = reads > 0 ? (double)found / (double)reads : 0;
}

static void take_l1(struct sta_snapshot *out, const struct sta_l1 *l1)
{
    struct strata_statistics *numbers = &out->statistics;
    sta_l1_statistics(l1, &out->l1);
    out->parts |= STA_SNAPSHOT_L1;
    numbers->l1.hits = out->l1.hits;
    numbers->l1.misses = out->l1.misses;
    numbers->l1_entries = out->l1.entries;
    numbers->l1_memory_bytes = out->l1.memory_bytes;
}

/* What holds for all workers. */
static enum strata_coherence coherence(const struct sta_stratad *stratad)
{
    enum strata_coherence mode = stratad->tracking == STA_TRACKING_BCAST
                                     ? STRATA_COHERENCE_BCAST
                                     : STRATA_COHERENCE_TRACKING;
    for (size_t i = 0; i < stratad->worker_count; i++) {
        int state =
            atomic_load_explicit(&stratad->workers[i]->tracked.stats.state, memory_order_relaxed);
        if (state == STA_STATS_TRACKING_OFF || state == STA_STATS_TRACKING_REFUSED)
            return STRATA_COHERENCE_TTL;
        if (state == STA_STATS_TRACKING_UNKNOWN)
            mode = STRATA_COHERENCE_UNKNOWN;
    }
    return mode;
}

static void take_coherence(struct sta_snapshot *out, const struct sta_stratad *stratad)
{
    struct strata_statistics *numbers = &out->statistics;
    out->parts |= STA_SNAPSHOT_COHERENCE;
    out->tracking = stratad->tracking != STA_TRACKING_OFF;
    numbers->coherence = coherence(stratad);
    numbers->repairs = atomic_load_explicit(&stratad->pace.keys, memory_order_relaxed);
    numbers->repairs_delayed = atomic_load_explicit(&stratad->pace.delayed, memory_order_relaxed);
    numbers->repairs_refused = atomic_load_explicit(&stratad->pace.refused, memory_order_relaxed);
    for (size_t i = 0; i < stratad->worker_count; i++) {
        const struct sta_stats_coherence *one = &stratad->workers[i]->tracked.stats;
#define ADD(field) numbers->field += atomic_load_explicit(&one->field, memory_order_relaxed)
        ADD(invalidations);
        ADD(invalidations_of_all);
        ADD(canaries);
        ADD(canaries_lost);
#undef ADD
    }
}

int sta_numbers_take(struct sta_snapshot *out, const struct sta_stratad *stratad)
{
    const struct sta_stratad_live *live = &stratad->live;
    const struct sta_stats_totals totals = sta_stats_add_up(stratad);
    struct sta_snapshot taken = {
        .parts = STA_SNAPSHOT_ALWAYS | STA_SNAPSHOT_L2,
        .detailed = sta_stratad_live(&live->metrics_detailed) != 0,
        .serve_stale = (enum strata_serve_stale)sta_stratad_live(&live->serve_stale),
        .budget_ns = sta_stratad_live(&live->timeout_ms) * STA_NS_MS,
        .timing = stratad->timing,
        .prefixes = stratad->prefixes,
    };
    int status = take_l2(&taken, stratad);
    if (status < 0)
        return status;
    take_reads(&taken, &totals);
    if (stratad->l1 != NULL) {
        take_l1(&taken, stratad->l1);
        taken.parts |= STA_SNAPSHOT_TIMED_L1;
        take_coherence(&taken, stratad);
        taken.statistics.stale_answers = totals.reads_stale;
    }
    sta_snapshot_derive(&taken);
    *out = taken;
    return STRATA_OK;
}

int sta_numbers_prometheus(const struct sta_stratad *stratad, struct sta_buffer *out)
{
    struct sta_snapshot snapshot;
    struct sta_exposition exposition;
    const struct own own = {
        .up_ns = sta_clock_now_ns() - stratad->started_ns,
        .workers = stratad->worker_count,
        .sessions = atomic_load_explicit(&stratad->sessions, memory_order_relaxed),
        .own_connections = atomic_load_explicit(&stratad->own_connections, memory_order_relaxed),
        .totals = sta_stats_add_up(stratad),
    };
    int status = sta_numbers_take(&snapshot, stratad);
    if (status < 0)
        return status;
    status = sta_prometheus_render(&snapshot, out);
    sta_snapshot_fini(&snapshot);
    if (status < 0)
        return status;
    sta_exposition_init(&exposition, out);
    sta_exposition_table(&exposition, own_table, &own, 0);
    return exposition.status;
}

json_t *sta_numbers_health(const struct sta_stratad *stratad, enum strata_health_state *overall)
{
    struct sta_snapshot snapshot;
    if (sta_numbers_take(&snapshot, stratad) < 0)
        return NULL;
    struct strata_health health = sta_health_judge(&snapshot);
    sta_snapshot_fini(&snapshot);
    if (overall != NULL)
        *overall = health.overall.state;
    return sta_health_json(&health);
}
