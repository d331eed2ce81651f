/* SPDX-License-Identifier: MIT
 *
 * Before a cluster: which node a client's own connection leads to. What is said on it alone goes
 * where its slot is, as often as that changes:
 *
 *     slot --map--> CONNECTING --opened--> SENT --answered--> the reply is the client's
 *                    ^   ^   |              |
 *                    |   |   '--cannot------|--MOVED, ASK------> CONNECTING to whom it names
 *                    |   '--50 ms--- WAITING|
 *                    '----- a while --------'--CLUSTERDOWN, TRYAGAIN, a change of roles
 *
 * Redis' error says that nothing of it was carried out, so it may be said elsewhere; a command that
 * blocks, with the time that is left to it. All of that lasts as long as the budget of any other
 * command at most, counted anew whenever a node has let the command wait.
 *
 * Where the slot of shard channels has moved, Redis ends each of them unasked (sunsubscribe). The
 * client is not told: the connection goes where the slot is, and subscribes to them anew.
 *
 * A connection on which something is held besides stays where it is. Where Redis redirects what is
 * said there, what was held is worth nothing any more, and the connection ends.
 * Threads: the worker's loop.
 */
#ifndef STA_OWN_HOME_H
#define STA_OWN_HOME_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "daemon/own_shards.h"
#include "daemon/subscriptions.h"
#include "net/endpoint.h"
#include "net/loop.h"
#include "strata/bytes.h"

struct sta_own_lane;
struct sta_request;
struct sta_worker;

struct sta_own_home {
    uint16_t slot;                /* STA_OPERATION_ANY_NODE: any node does */
    struct sta_endpoint endpoint; /* where it leads, or led last */
    bool named;                   /* the endpoint was named by a redirect: the map is not asked */
    bool asking;                  /*   and wants ASKING before what is sent, */
    bool asked;                   /*   the answer to which has not come */
    bool again;                   /* what is sent was sent, or tried, elsewhere before */
    unsigned attempts;            /* since when nobody has let it wait, */
    uint64_t until_ns;            /*   and the end of that */
    uint64_t sent_ns;             /* the last of them */
    uint64_t random;              /* spreads the waits */
    struct sta_timer timer;       /* of WAITING */
    struct sta_buffer wire;       /* what is sent again, with the time that is left */
    struct sta_own_shards shards; /* what it is subscribed to of them, */
    size_t ended;                 /*   and how many of these Redis has ended unasked */
    bool rejoins;                 /* on its way to where they are: subscribes first of all, */
    size_t joining;               /*   and so many have not been confirmed */
};

void sta_own_home_init(struct sta_own_lane *lane);
void sta_own_home_fini(struct sta_own_lane *lane);

/* Who serves the slot, as far as is known. */
bool sta_own_home_find(const struct sta_worker *worker, uint16_t slot, struct sta_endpoint *out);

/* Its first request comes; the budget counts from now. */
void sta_own_home_begin(struct sta_own_lane *lane);

/* Connects a lane that is not connected, for its only request. May end the lane. */
void sta_own_home_go(struct sta_own_lane *lane);

/* What is to be sent for the request, which is the first, or behind others. */
struct strata_bytes sta_own_home_wire(struct sta_own_lane *lane, const struct sta_request *request);

/* The replies to the first request are there. False: they are none for its client. Then it is said
 * elsewhere, or the lane has ended. */
bool sta_own_home_takes(struct sta_own_lane *lane, struct strata_bytes replies);

/* A confirmation has come. True: it is not the client's to hear; the lane may have ended. */
bool sta_own_home_hears(struct sta_own_lane *lane, struct strata_bytes frame,
                        enum sta_subscriptions_word word, bool asked_for);

/* Connected: subscribes anew. May end the lane. */
void sta_own_home_join(struct sta_own_lane *lane);

/* The connection could not be had. False: the lane is to end. */
bool sta_own_home_waits(struct sta_own_lane *lane);

#endif
