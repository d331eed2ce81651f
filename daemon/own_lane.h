/* SPDX-License-Identifier: MIT
 *
 * A connection to Redis of one client's own, for what cannot share one: watched keys,
 * subscriptions, commands that block, MONITOR, WAIT. A session leases it when such a command comes
 * and gives it back when nothing is left of that; then another client of the worker may have it.
 *
 *                lease()                                       frames, in order
 *   (none) ------------------> LEASED: requests out, ------------------------------.
 *      ^    |                    replies, confirmations, messages back             |
 *      |    '-- IDLE <-----------'  nothing under way, nothing held                v
 *      |         | 10 s                                            the client's replies, messages
 *      '---------'---- lost, time over, client gone: closed ----
 *
 * While it is leased the session knows what is held on it:
 *   watching    between WATCH and EXEC, DISCARD or UNWATCH
 *   subscribed  to so much (subscriptions.h)
 *   monitoring  until the client goes, or says RESET
 *   exclusive   a command is under way behind which nothing may be sent: it blocks, or changes
 *               what is held
 * Such a lane belongs to STA_LANE_OWN for the session's order: what is under way is there or on a
 * shared lane, never on both.
 *
 * Its end: what was sent ends with STRATA_ERR_LOST (or _TIMEOUT, where its deadline has come),
 * what was not with STRATA_ERR_UNAVAILABLE. Watched keys are remembered as lost, so that EXEC
 * is refused; a client that was subscribed or monitoring is closed, as by Redis itself.
 *
 * Before a cluster it leads to one node, and may go to another (own_home.h).
 * Bound: stratad->live.own_connections_max over all workers, idle ones included.
 * Threads: the worker's loop.
 */
#ifndef STA_OWN_LANE_H
#define STA_OWN_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/list.h"
#include "daemon/own_home.h"
#include "daemon/raw_link.h"
#include "daemon/subscriptions.h"
#include "l2/operation.h"

struct sta_exchange;
struct sta_session;
struct sta_worker;

/* What ends a request on it (sta_exchange.own). */
enum sta_own_kind {
    STA_OWN_REPLIES,  /* as many replies as it has commands */
    STA_OWN_BLOCKS,   /* the same, and nothing is sent behind it */
    STA_OWN_WATCHES,  /* before a cluster the first WATCH; likewise */
    STA_OWN_CONFIRMS, /* confirmations of subscriptions, or an error; likewise */
    STA_OWN_LEAVES    /* SUNSUBSCRIBE before a cluster (own_rejoin.h); likewise */
};

struct sta_own_lane {
    struct sta_list link; /* among the worker's idle ones */
    struct sta_worker *worker;
    struct sta_session *session; /* NULL: idle, or the client has gone */
    struct sta_raw_link *raw;    /* NULL: not connected yet, or not at the moment */
    struct sta_own_home home;
    int protocol;
    bool ending; /* requests are being ended: whoever drops it leaves the rest to that */
    bool paused; /* the client does not read, nothing is under way */
    bool watching;
    bool monitoring;
    struct sta_subscriptions subscribed;
    struct sta_list requests; /* the oldest first */
    unsigned exclusive;       /* of them: behind which nothing may be sent */
    unsigned replies;         /* of the first one's, and its ASKING's, how many have come, */
    struct sta_buffer parted; /*   and what is kept of them */
    struct sta_timer deadline;
    uint64_t idle_ns;                  /* since when */
    const struct sta_request *refused; /* that Redis did not carry out, and so it ends */
    char reason[160];                  /* why it ended, or could not be had; empty: neither */
    bool silent;                       /*   its node did not answer */
};

/* Gives the session a lane where it has none; before a cluster one for the slot (or
 * STA_OPERATION_ANY_NODE, as before a single Redis). STRATA_ERR_BUSY: there are too many;
 * STRATA_ERR_NOMEM, or what sta_raw_link_open() returns. */
int sta_own_lane_lease(struct sta_session *session, uint16_t slot);

/* Whether what is about the slot can be said on it. */
static inline bool sta_own_lane_serves(const struct sta_own_lane *lane, uint16_t slot)
{
    return slot == STA_OPERATION_ANY_NODE || lane->home.slot == slot;
}

/* As sta_connection_submit(); the request is that of an exchange. done() may be called before this
 * returns. */
void sta_own_lane_submit(struct sta_own_lane *lane, struct sta_request *request);

/* Nothing but PING, RESET, QUIT and what subscribes may be said. */
static inline bool sta_own_lane_only_subscribes(const struct sta_own_lane *lane)
{
    return lane->protocol == 2 && sta_subscriptions_count(&lane->subscribed) > 0;
}

/* All commands of the client go this way. */
static inline bool sta_own_lane_holds(const struct sta_own_lane *lane)
{
    return lane->watching || lane->monitoring || sta_own_lane_only_subscribes(lane);
}

/* It ends with its client. */
bool sta_own_lane_binds(const struct sta_own_lane *lane);

/* After anything happened to the session: gives the lane back where nothing is left on it. */
void sta_own_lane_settle(struct sta_session *session);

/* The session has no lane any more. What is under way ends before this returns. */
void sta_own_lane_drop(struct sta_session *session);

/* The daemon ends: what may take long, ends now. */
void sta_own_lane_interrupt(struct sta_session *session);

/* ---- for own_home.c and own_rejoin.c ---- */

/* The only request; NULL: there is none, or another. */
struct sta_exchange *sta_own_lane_only(const struct sta_own_lane *lane);

/* To home.endpoint. What sta_raw_link_open() returns. */
int sta_own_lane_connect(struct sta_own_lane *lane);

/* AWAY: closes the connection; the requests stay. */
void sta_own_lane_leave(struct sta_own_lane *lane);

/* OPEN: sends the requests. */
void sta_own_lane_opened(struct sta_own_lane *lane);

/* Ends the lane. */
void sta_own_lane_end(struct sta_own_lane *lane, const char *reason);

/* Redis has not carried out the first request, and the lane ends. */
void sta_own_lane_refuse(struct sta_own_lane *lane, const char *reason);

/* ---- */

/* About once a second: closes what has been idle. */
void sta_own_lane_tick(struct sta_worker *worker);

/* All idle ones. */
void sta_own_lane_close_idle(struct sta_worker *worker);

#endif
