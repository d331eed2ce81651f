/* SPDX-License-Identifier: MIT
 *
 * A load that nobody waits for: of one key, whose caller is told by done().
 *
 *                 the loop                                    a thread of the pool
 *     start --> JOINED --another loads it-----------------.
 *                 '------ours: L1, L2 --there--> ended    |
 *                                 '--missing--> QUEUED ---+--> loader, tiers --> ended
 *                                                         |
 *     LISTENS <-------------------------------------------'
 *        '--its flight has ended, or its time is over--> done()
 *
 * The flight is the same as of calls that wait: who joins it, whichever way, shares one read of L2
 * and one load. All that this struct holds belongs to the loop after start(); the flight that it
 * began goes on where its own time is over. So a full pool (STRATA_ERR_BUSY) is the only thing here
 * that turns anybody away.
 */
#ifndef STA_LOAD_ASYNC_H
#define STA_LOAD_ASYNC_H

#include "cache/flight.h"
#include "cache/load.h"
#include "net/loop.h"

struct sta_load_async {
    /* The caller's: readable until done(). */
    struct sta_load_call call;
    struct strata_bytes key;
    /* On the loop, once. The value holds nothing of L1; to be released where `status` is STRATA_OK
     * or STALE. The struct is the caller's again. */
    void (*done)(struct sta_load_async *async, int status, struct strata_value *value);

    /* The room's own. */
    struct strata_load load; /* what it listens for */
    struct sta_flight_listener listener;
    struct sta_task task;
    struct sta_timer timer;
    bool timed; /* the timer runs */
};

/* After sta_load_hit() said STRATA_MORE; from any thread. */
void sta_load_async_start(struct sta_load_async *async);

#endif
