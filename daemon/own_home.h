/* SPDX-License-Identifier: MIT
 *
 * Where a client's own connection leads, and whether it can be spoken on. Before a single Redis
 * that is AWAY, CONNECTING, OPEN, and its end. Before a cluster it leads to one node, and what is
 * said on it alone goes where its slot is, as often as that changes:
 *
 *                      .-- MOVED, ASK; the slot of shard channels has left --------.
 *                      v                                                           |
 *   AWAY --send--> CONNECTING --greeted--> JOINING --all confirmed--> OPEN: requests are sent
 *                   ^     |    |              |                        ^           |
 *                   |     |    '--greeted, and there are none----------'           |
 *         it is     |     |                   |                                    |
 *         time      |     v 50 ms: cannot     v a while                            |
 *                   '-- WAITING <------------ CLUSTERDOWN, TRYAGAIN, a change of roles
 *
 * Redis' error says that nothing of it was carried out, so it may be said elsewhere; a command that
 * blocks, with the time that is left to it. All of that lasts as long as the budget of any other
 * command at most, counted anew whenever a node has let the command wait.
 *
 * JOINING is for shard channels, which go along with their slot (own_rejoin.h).
 *
 * A connection on which something else is held stays where it is. Where Redis redirects what is
 * said there, what was held is worth nothing any more, and the connection ends.
 * Threads: the worker's loop.
 */
#ifndef STA_OWN_HOME_H
#define STA_OWN_HOME_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "daemon/own_shards.h"
#include "net/endpoint.h"
#include "net/loop.h"
#include "strata/bytes.h"

struct sta_own_lane;
struct sta_request;
struct sta_worker;

enum sta_own_home_state {
    STA_OWN_HOME_AWAY,       /* there is no connection, and none is wanted */
    STA_OWN_HOME_WAITING,    /* for the time at which it connects */
    STA_OWN_HOME_CONNECTING, /* and greeting */
    STA_OWN_HOME_JOINING,    /* subscribes anew: requests wait */
    STA_OWN_HOME_OPEN        /* requests are sent */
};

/* How the node was found. */
enum sta_own_home_way {
    STA_OWN_HOME_FIRST, /* by the map; nothing was sent, or tried, elsewhere before */
    STA_OWN_HOME_AGAIN, /* by the map, once more */
    STA_OWN_HOME_MOVED, /* MOVED has named it: the map is not asked */
    STA_OWN_HOME_ASK    /* ASK has: nor is it here, and ASKING goes before */
};

struct sta_own_home {
    enum sta_own_home_state state;
    enum sta_own_home_way way;
    uint16_t slot;                /* STA_OPERATION_ANY_NODE: any node does */
    struct sta_endpoint endpoint; /* where it leads, or led last */
    unsigned attempts;            /* since when nobody has let it wait, */
    uint64_t until_ns;            /*   and the end of that */
    uint64_t sent_ns;             /* the last of them */
    uint64_t random;              /* spreads the waits */
    struct sta_timer timer;       /* of WAITING, and of JOINING */
    struct sta_buffer wire;       /* what is sent otherwise than it was asked */
    struct sta_own_shards shards; /* what it is subscribed to of them, before a cluster */
};

void sta_own_home_init(struct sta_own_lane *lane);
void sta_own_home_fini(struct sta_own_lane *lane);

/* What comes may be said elsewhere: the budget counts from now. */
void sta_own_home_begin(struct sta_own_lane *lane);

/* AWAY or WAITING: connects. May end the lane. */
void sta_own_home_go(struct sta_own_lane *lane);

/* What is to be sent for the request, which is the first, or behind others. Empty: out of
 * memory. */
struct strata_bytes sta_own_home_wire(struct sta_own_lane *lane, const struct sta_request *request);

/* The replies to the first request are there, or to what JOINING has sent. False: they are none
 * for its client. Then it is said elsewhere, or the lane has ended. */
bool sta_own_home_takes(struct sta_own_lane *lane, struct strata_bytes replies);

/* The connection could not be had. False: the lane is to end. */
bool sta_own_home_waits(struct sta_own_lane *lane);

#endif
