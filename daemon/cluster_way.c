/* SPDX-License-Identifier: MIT
 *
 * See cluster_way.h.
 */
#include "daemon/cluster_way.h"

#include <limits.h>
#include <stdio.h>

#include "core/clock.h"
#include "daemon/lane.h"
#include "daemon/session.h"
#include "daemon/stratad.h"
#include "daemon/tracked_lane.h"
#include "daemon/worker.h"
#include "l2/router.h"
#include "strata/status.h"

/* As for the lanes of a single Redis (lane.c). */
#define PENDING_BYTES ((size_t)64 << 20)

/* All workers together shall not ask for the map more often than a few times in this while. */
#define ASK_NS (100 * STA_NS_MS)

/* ---- what others write ---- */

static void on_forget(void *arg, struct strata_bytes key, const struct sta_operation *answering)
{
    struct sta_worker *worker = arg;
    sta_tracked_lane_named(&worker->tracked, key, sta_session_exchange_operated(answering));
}

static void on_doubt(void *arg, uint16_t source)
{
    const struct sta_worker *worker = arg;
    sta_l1_doubt(worker->stratad->l1, source);
}

/* Rounded down: early is safe. */
static void on_trust(void *arg, uint16_t source, uint64_t until_ns)
{
    const struct sta_worker *worker = arg;
    sta_l1_trust(worker->stratad->l1, source,
                 until_ns == STA_NEVER ? STA_NEVER : until_ns / STA_NS_MS);
}

static bool on_keeps(void *arg, size_t len)
{
    const struct sta_worker *worker = arg;
    return sta_l1_takes(worker->stratad->l1, len);
}

static const struct sta_tracking_sink sink = {
    .forget = on_forget, .doubt = on_doubt, .trust = on_trust, .keeps = on_keeps};

/* ---- numbers ---- */

static void store_coherence(struct sta_worker *worker)
{
    static const enum sta_stats_tracking states[] = {
        [STA_TRACKING_DISABLED] = STA_STATS_TRACKING_OFF,
        [STA_TRACKING_UNKNOWN] = STA_STATS_TRACKING_UNKNOWN,
        [STA_TRACKING_REFUSED] = STA_STATS_TRACKING_REFUSED,
        [STA_TRACKING_IN_FORCE] = STA_STATS_TRACKING_IN_FORCE,
    };
    struct sta_tracking_statistics seen;
    struct sta_stats_coherence *stats = &worker->tracked.stats;
    sta_tracking_statistics(worker->router, &seen);
    atomic_store_explicit(&stats->state, (int)states[seen.state], memory_order_relaxed);
    atomic_store_explicit(&stats->invalidations, seen.forgotten, memory_order_relaxed);
    atomic_store_explicit(&stats->invalidations_of_all, seen.flushes + seen.doubts,
                          memory_order_relaxed);
    atomic_store_explicit(&stats->canaries, seen.proofs, memory_order_relaxed);
    atomic_store_explicit(&stats->canaries_lost, seen.silent, memory_order_relaxed);
}

/* ---- news of nodes ---- */

static void look_whether_up(struct sta_worker *worker)
{
    struct sta_connection_statistics seen;
    sta_router_statistics(worker->router, &seen);
    /* Nodes come and go, and their connections with them: their sums stand with the shared lane. */
    sta_stats_lane_store(&worker->lane_stats[STA_LANE_SHARED], &seen);
    sta_node_board_put(&worker->board, worker->router);
    if (seen.state == STA_CONNECTION_READY && !worker->upstream_up)
        sta_worker_redis_is_up(worker);
    else if (seen.state == STA_CONNECTION_BACKOFF)
        sta_worker_redis_is_down(worker);
}

static void tell_untracked(const struct sta_worker *worker, const struct sta_node_lane *lane)
{
    if (worker->stratad->tracking == STA_TRACKING_OFF || lane->kind != STA_NODE_MAIN ||
        sta_connection_is_tracked(lane->connection))
        return;
    sta_log_write(&worker->log.log, STRATA_LOG_WARNING, STA_ROOM_DAEMON,
                  "redis does not track reads, so what is cached is only as good as its TTL: %s",
                  sta_connection_untracked_reason(lane->connection));
}

static void on_state(void *arg, struct sta_node_lane *lane, enum sta_connection_state state,
                     const char *reason)
{
    struct sta_worker *worker = arg;
    if (worker->router == NULL) /* it is being made */
        return;
    if (state == STA_CONNECTION_READY)
        tell_untracked(worker, lane);
    else
        for (unsigned i = 0; i < STA_LANE_COUNT; i++)
            (void)snprintf(worker->lanes[i].reason, sizeof worker->lanes[i].reason, "%s", reason);
    look_whether_up(worker);
    store_coherence(worker);
}

static void on_breaker(void *arg)
{
    struct sta_worker *worker = arg;
    if (worker->router != NULL)
        sta_node_board_put(&worker->board, worker->router);
}

static const struct sta_router_events events = {.state = on_state, .breaker = on_breaker};

/* ---- any node ---- */

struct choice {
    bool (*may)(const struct sta_node *node);
    const struct sta_node *found;
    unsigned count; /* how many may */
    unsigned turn;  /* the number of the one that is wanted */
};

static void on_choice(const struct sta_node *node, void *arg)
{
    struct choice *choice = arg;
    if (!node->retired && choice->may(node) && choice->count++ == choice->turn)
        choice->found = node;
}

static const struct sta_node *node_choose(struct sta_worker *worker,
                                          bool (*may)(const struct sta_node *node))
{
    struct choice choice = {.may = may, .turn = UINT_MAX};
    sta_router_each_node(worker->router, on_choice, &choice);
    if (choice.count == 0)
        return NULL;
    choice = (struct choice){.may = may, .turn = worker->any_turn++ % choice.count};
    sta_router_each_node(worker->router, on_choice, &choice);
    return choice.found;
}

/* Of one that was never asked anything nobody knows whether it lives. */
const struct sta_redis_url *sta_cluster_way_any(struct sta_worker *worker)
{
    const struct sta_node *node = node_choose(worker, sta_node_is_ready);
    if (node == NULL)
        node = node_choose(worker, sta_node_is_open);
    return node != NULL ? &node->url : NULL;
}

bool sta_cluster_way_owner(const struct sta_worker *worker, uint16_t slot, struct sta_endpoint *out)
{
    const struct sta_slot_map *map = sta_router_map(worker->router);
    uint16_t owner = map != NULL ? sta_slot_map_owner(map, slot) : STA_SLOT_MAP_NONE;
    if (owner == STA_SLOT_MAP_NONE || map->nodes[owner].endpoint.address[0] == '\0')
        return false;
    *out = map->nodes[owner].endpoint;
    return true;
}

struct search {
    const struct sta_endpoint *endpoint;
    const struct sta_node *found;
};

static void on_search(const struct sta_node *node, void *arg)
{
    struct search *search = arg;
    if (!node->retired && sta_endpoint_equal(&node->url.endpoint, search->endpoint))
        search->found = node;
}

/* Who takes a connection, and then says nothing on it. */
static bool greets_nobody(const struct sta_node *node)
{
    bool greets_nobody = false;
    for (unsigned kind = 0; kind < STA_NODE_LANE_KINDS; kind++) {
        struct sta_connection_statistics seen;
        if (node->lanes[kind].connection == NULL || node->lanes[kind].ready)
            continue;
        sta_connection_statistics(node->lanes[kind].connection, &seen);
        greets_nobody |= seen.last_failure == STRATA_ERR_TIMEOUT;
    }
    return greets_nobody;
}

uint64_t sta_cluster_way_silent_ms(const struct sta_worker *worker,
                                   const struct sta_endpoint *endpoint)
{
    struct search search = {.endpoint = endpoint};
    sta_router_each_node(worker->router, on_search, &search);
    const struct sta_node *node = search.found;
    if (node == NULL)
        return 0;
    if (node->breaker.state != STA_BREAKER_CLOSED && node->lanes[STA_NODE_MAIN].ready)
        return 1 + (sta_loop_now_ns(worker->loop) - node->breaker.opened_ns) / STA_NS_MS;
    return greets_nobody(node) ? sta_stratad_live(&worker->stratad->live.timeout_ms) : 0;
}

void sta_cluster_way_tick(struct sta_worker *worker)
{
    look_whether_up(worker);
    store_coherence(worker);
}

/* ---- life ---- */

static struct sta_router_config router_config(const struct sta_worker *worker)
{
    const struct sta_stratad *stratad = worker->stratad;
    return (struct sta_router_config){
        .node.connection =
            {
                .url = &stratad->url,
                .tls = stratad->tls,
                .protocol = 3,
                .name = "stratad",
                .max_pending_bytes = PENDING_BYTES + stratad->options.query_limit,
            },
        .cluster = true,
        .seeds = stratad->seeds,
        .seed_count = stratad->options.cache.cluster_node_count,
        .refresh.floor_ns = ASK_NS * (1 + (stratad->options.workers - 1) / 2),
        .tracking =
            {
                .mode = stratad->tracking,
                .prefix = strata_bytes("", 0),
                .max_staleness_ns = stratad->max_staleness_ns,
                .first_source = worker->tracked.source,
                .sources = stratad->sources_each,
                .sink = &sink,
                .arg = (void *)(uintptr_t)worker,
            },
    };
}

int sta_cluster_way_open(struct sta_worker *worker)
{
    const struct sta_router_config config = router_config(worker);
    struct sta_log *log = worker->index == 0 ? worker->stratad->log : NULL;
    int status = sta_router_create(&worker->router, worker->loop, log, &config, &events, worker);
    for (unsigned i = 0; i < STA_LANE_COUNT && status == STRATA_OK; i++) {
        worker->lanes[i].slots.loop = worker->loop;
        worker->lanes[i].slots.router = worker->router;
    }
    return status;
}

void sta_cluster_way_close(struct sta_worker *worker)
{
    sta_router_destroy(&worker->router);
}
