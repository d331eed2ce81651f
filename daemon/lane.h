/* SPDX-License-Identifier: MIT
 *
 * A worker's way to Redis: one connection, opened when it is first used, and what is known about
 * writes on it whose outcome nobody knows.
 *
 *   CERTAIN --a write ended with TIMEOUT or LOST--> DOUBTFUL --fence answered--> CERTAIN
 *                                                    |    ^
 *                                                    '----' fence failed: again, once READY;
 *                                                           or another write was doubted meanwhile
 *
 * A write that timed out, or whose connection broke, may still be carried out: Redis may have it
 * in its buffers. The fence is a PING sent behind it: on the same connection its answer proves
 * that all before it is done. On a new one it proves less: that Redis has taken a turn since, in
 * which it serves what its old sockets hold; bytes that are held up on the network may still
 * arrive later, and an entry filled meanwhile is then old until its TTL is over.
 * Until the answer the write window is in doubt, and L1 takes in nothing (write_window.h).
 *
 * Before a cluster a lane is a way (l2/operation.h) to each of its nodes, by the worker's router,
 * and each node has its own fence (slot_doubt.h).
 *
 * Threads: the worker's loop.
 */
#ifndef STA_LANE_H
#define STA_LANE_H

#include <stdbool.h>

#include "daemon/dispatch.h"
#include "daemon/slot_doubt.h"
#include "l2/connection.h"
#include "l2/node_health.h"
#include "net/paced_log.h"

struct sta_worker;
struct sta_exchange;

enum sta_lane_state { STA_LANE_CERTAIN, STA_LANE_DOUBTFUL };

struct sta_lane {
    struct sta_worker *worker;
    enum sta_lane_kind kind;
    struct sta_connection *connection; /* NULL: not used yet, or before a cluster */
    struct sta_paced_log log;          /* of the connection, and as long there */
    enum sta_lane_state state;
    bool fence_sent;
    bool fence_outdated; /* a write was doubted since: its answer proves nothing of that one */
    struct sta_request fence;
    struct sta_slot_doubt slots;   /* before a cluster: instead of the fence */
    struct sta_node_health health; /* of it the latency; the connection counts the rest. Before a
                                      cluster the nodes have it */
    char reason[160]; /* why it is not usable, as last heard; empty: no trouble so far */
};

void sta_lane_init(struct sta_lane *lane, struct sta_worker *worker, enum sta_lane_kind kind);

/* Opens the connection where it is not. Where RESP3 is refused, the shared lane makes do with
 * RESP2: without tracking, and clients are not given RESP3 either. STRATA_ERR_NOMEM,
 * STRATA_ERR_SYSTEM. */
int sta_lane_open(struct sta_lane *lane);

/* All that is under way ends with STRATA_ERR_CLOSED before this returns. */
void sta_lane_close(struct sta_lane *lane);

/* done() comes in any case, as with sta_connection_submit(). */
void sta_lane_submit(struct sta_lane *lane, struct sta_request *request);

/* The server has refused RESP3 to this lane. */
bool sta_lane_speaks_only_2(const struct sta_lane *lane);

/* How an operation of this lane goes before a cluster. */
enum sta_operation_way sta_lane_way(enum sta_lane_kind kind);

/* What ended so may have been carried out, or may yet be. */
bool sta_lane_is_unknown(int status);

/* A write on this lane, this operation, has ended without an answer. */
void sta_lane_doubt(struct sta_lane *lane, const struct sta_operation *operation);

/* About once a second: sends the fence that is missing. */
void sta_lane_tick(struct sta_lane *lane);

#endif
