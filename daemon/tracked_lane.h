/* SPDX-License-Identifier: MIT
 *
 * What a worker hears on its shared lane of changes that others make in Redis, and what L1 may
 * answer because of it. The lane's connection has its reads tracked (CLIENT TRACKING); each worker
 * is one of L1's sources.
 *
 *   GET ----> shared lane ----> answer ----> L1, from this worker's source
 *   push: key                      -> the key leaves L1, whichever worker's answer it came by
 *   push: all, connection lost     -> the source is doubted
 *   canary came back (l2/canary.h) -> the source is trusted until max_staleness after its read
 *
 *   OFF        by option, or there is no L1
 *   UNKNOWN <--lost-- IN_FORCE    the server tracks
 *      ^  '---READY--> REFUSED     it does not: L1 is as good as its TTL, and that is told
 *      '---------------'
 *
 * A push names a key to every connection that has read it, each on its own stream, so one worker
 * may hear of a change before another has read the answer that is older. What keeps the older one
 * out is sta_l1_deliver(); docs/design/0011-one-l1-many-connections.md has the proof.
 *
 * Before a cluster the worker's router does all this for each node (l2/tracking.h), a worker has a
 * source for each range of slots, and cluster_way.c tells L1 what it hears.
 *
 * Threads: the worker's loop; the numbers are read from anywhere.
 */
#ifndef STA_TRACKED_LANE_H
#define STA_TRACKED_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/stats.h"
#include "l1/l1.h"
#include "l2/canary.h"
#include "l2/connection.h"

struct sta_exchange;
struct sta_lane;
struct sta_operation;
struct sta_stratad;

struct sta_tracked_lane {
    struct sta_lane *lane;
    uint16_t source; /* 0: OFF */
    struct sta_canary canary;
    struct sta_timer timer;
    struct sta_stats_coherence stats;
};

void sta_tracked_lane_init(struct sta_tracked_lane *tracked, struct sta_lane *lane);
/* STRATA_ERR_NOMEM. */
int sta_tracked_lane_start(struct sta_tracked_lane *tracked);
/* After the lane was closed. */
void sta_tracked_lane_stop(struct sta_tracked_lane *tracked);

/* What the connection's server is to be asked for. */
struct sta_greeting_tracking sta_tracked_lane_greeting(const struct sta_stratad *stratad);

/* News of the connection, before anything else hears of it. */
void sta_tracked_lane_changed(struct sta_tracked_lane *tracked, enum sta_connection_state state);
void sta_tracked_lane_pushed(struct sta_tracked_lane *tracked, struct strata_bytes frame);

/* Redis has named a key, when the replies of `answering` (may be NULL) were next on the
 * connection. */
void sta_tracked_lane_named(struct sta_tracked_lane *tracked, struct strata_bytes name,
                            struct sta_exchange *answering);

/* The answer to this operation has come on the lane: gives the token of its key the stamp of where
 * it came from. False: from nowhere that is tracked (l2/tracking.h), and L1 may not keep it. */
bool sta_tracked_lane_stamp(struct sta_tracked_lane *tracked, const struct sta_operation *operation,
                            const struct sta_key *key, struct sta_l1_token *token);

/* What came on the lane is kept, its canary may be written, and for max_staleness there was no
 * proof: whoever asks waits in vain. */
bool sta_tracked_lane_is_silent(const struct sta_tracked_lane *tracked);

/* What may be left in L1 of a SET that is sent now. */
enum sta_tracked_set {
    STA_TRACKED_SET_ANY,  /* its value: there is no tracking */
    STA_TRACKED_SET_READ, /* its value where it is read back, and so tracked */
    STA_TRACKED_SET_NONE  /* nothing */
};

enum sta_tracked_set sta_tracked_lane_set(const struct sta_tracked_lane *tracked,
                                          struct strata_bytes value);

#endif
