/* SPDX-License-Identifier: MIT
 *
 * Opening connections and fencing doubtful writes; the drawing is in lane.h.
 */
#include "daemon/lane.h"

#include <stdio.h>

#include "core/clock.h"
#include "daemon/slot_doubt.h"
#include "daemon/stratad.h"
#include "daemon/worker.h"
#include "daemon/write_window.h"
#include "strata/status.h"

/* Request bytes that may wait for one connection to take them, beside one of the largest. */
#define PENDING_BYTES ((size_t)64 << 20)

static const char fence_wire[] = "*1\r\n$4\r\nPING\r\n";

static void lane_fence(struct sta_lane *lane);

static void lane_is_certain(void *arg)
{
    struct sta_lane *lane = arg;
    lane->state = STA_LANE_CERTAIN;
    sta_write_window_doubt_end(lane->worker->stratad->window);
}

static void fence_done(struct sta_request *request, int status, struct strata_bytes replies)
{
    struct sta_lane *lane = STA_CONTAINER(request, struct sta_lane, fence);
    (void)replies;
    lane->fence_sent = false;
    if (status == STRATA_OK && !lane->fence_outdated)
        lane_is_certain(lane);
    else if (status == STRATA_OK || status == STRATA_ERR_TIMEOUT)
        lane_fence(lane); /* the connection lives; where it broke, READY comes and fences */
}

static void lane_fence(struct sta_lane *lane)
{
    if (lane->worker->router != NULL) {
        sta_slot_doubt_step(&lane->slots);
        return;
    }
    if (lane->state != STA_LANE_DOUBTFUL || lane->fence_sent ||
        sta_connection_state(lane->connection) != STA_CONNECTION_READY)
        return;
    lane->fence_sent = true;
    lane->fence_outdated = false;
    lane->fence = (struct sta_request){
        .wire = strata_bytes(fence_wire, sizeof fence_wire - 1),
        .commands = 1,
        .deadline_ns = sta_worker_deadline_ns(lane->worker),
        .done = fence_done,
    };
    sta_connection_submit(lane->connection, &lane->fence);
}

/* A fence that is under way already may have been sent before this write, which had less time where
 * socket_timeout has become shorter: it proves nothing of it, and another is sent behind. */
void sta_lane_doubt(struct sta_lane *lane, const struct sta_operation *operation)
{
    if (lane->state == STA_LANE_CERTAIN) {
        lane->state = STA_LANE_DOUBTFUL;
        sta_write_window_doubt_begin(lane->worker->stratad->window);
    }
    lane->fence_outdated = lane->fence_sent;
    if (lane->worker->router == NULL)
        lane_fence(lane);
    else /* where an ASK has led, the map does not tell */
        sta_slot_doubt_add(&lane->slots,
                           operation->asked ? STA_OPERATION_ANY_NODE : operation->slot);
}

bool sta_lane_is_unknown(int status)
{
    return status == STRATA_ERR_TIMEOUT || status == STRATA_ERR_LOST;
}

enum sta_operation_way sta_lane_way(enum sta_lane_kind kind)
{
    static const enum sta_operation_way ways[] = {
        [STA_LANE_SHARED] = STA_OPERATION_MAIN,
        [STA_LANE_PLAIN2] = STA_OPERATION_PLAIN2,
        [STA_LANE_PLAIN3] = STA_OPERATION_PLAIN3,
    };
    return ways[kind];
}

void sta_lane_tick(struct sta_lane *lane)
{
    lane_fence(lane);
}

static void on_state(void *arg, enum sta_connection_state state, const char *reason)
{
    struct sta_lane *lane = arg;
    if (lane->kind == STA_LANE_SHARED)
        sta_tracked_lane_changed(&lane->worker->tracked, state);
    if (state != STA_CONNECTION_READY)
        (void)snprintf(lane->reason, sizeof lane->reason, "%s", reason);
    else
        lane_fence(lane);
    sta_worker_lane_changed(lane->worker, lane, state);
}

static void on_push(void *arg, struct strata_bytes frame)
{
    struct sta_lane *lane = arg;
    if (lane->kind == STA_LANE_SHARED)
        sta_tracked_lane_pushed(&lane->worker->tracked, frame);
}

static void on_silent(void *arg, bool silent)
{
    const struct sta_lane *lane = arg;
    atomic_store_explicit(&lane->worker->lane_stats[lane->kind].silent, silent,
                          memory_order_relaxed);
}

static const struct sta_connection_events lane_events = {
    .state = on_state, .silent = on_silent, .push = on_push};

void sta_lane_init(struct sta_lane *lane, struct sta_worker *worker, enum sta_lane_kind kind)
{
    *lane = (struct sta_lane){.worker = worker, .kind = kind};
    lane->slots.way = sta_lane_way(kind);
    lane->slots.timeout_ns = sta_stratad_live(&worker->stratad->live.timeout_ms) *
                             STA_NS_MS; /* of the start: no call waits for it */
    lane->slots.certain = lane_is_certain;
    lane->slots.arg = lane;
}

int sta_lane_open(struct sta_lane *lane)
{
    if (lane->connection != NULL)
        return STRATA_OK;
    const struct sta_stratad *stratad = lane->worker->stratad;
    struct sta_connection_config config = {
        .url = &stratad->url,
        .tls = stratad->tls,
        .protocol = lane->kind == STA_LANE_PLAIN2 ? 2 : 3,
        .or_protocol_2 = lane->kind == STA_LANE_SHARED,
        .name = "stratad",
        /* One request of the largest size fits beside the ordinary ones. */
        .max_pending_bytes = PENDING_BYTES + stratad->options.query_limit,
    };
    if (lane->kind == STA_LANE_SHARED)
        config.tracking = sta_tracked_lane_greeting(stratad);
    struct sta_log *log = lane->worker->index == 0 ? stratad->log : NULL; /* one speaks for all */
    sta_paced_log_init(&lane->log, log, STA_ROOM_L2, lane->worker->loop);
    return sta_connection_open(&lane->connection, lane->worker->loop, &lane->log.log, &config,
                               &lane_events, lane);
}

bool sta_lane_speaks_only_2(const struct sta_lane *lane)
{
    return lane->kind != STA_LANE_PLAIN2 && lane->connection != NULL &&
           sta_connection_state(lane->connection) == STA_CONNECTION_READY &&
           sta_connection_protocol(lane->connection) == 2;
}

void sta_lane_close(struct sta_lane *lane)
{
    if (lane->connection != NULL) {
        sta_connection_close(&lane->connection);
        sta_paced_log_fini(&lane->log);
    }
    if (lane->state == STA_LANE_DOUBTFUL)
        sta_write_window_doubt_end(lane->worker->stratad->window);
    lane->state = STA_LANE_CERTAIN;
}

void sta_lane_submit(struct sta_lane *lane, struct sta_request *request)
{
    int status = sta_lane_open(lane);
    if (status < 0)
        request->done(request, status, strata_bytes(NULL, 0));
    else
        sta_connection_submit(lane->connection, request);
}
