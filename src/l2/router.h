/* SPDX-License-Identifier: MIT
 *
 * The door of l2 for owners of a loop: the library's engine (l2/l2.h) and each of stratad's workers
 * have one of their own, so that nothing on a request's way is locked or shared. Operations go in,
 * and come back answered, whichever node that took, and however often they had to be sent
 * (l2/operation.h says when that is).
 *
 *     submit --> ROUTED --> SENT --answered------------------------> done(STRATA_OK, replies)
 *                  ^          |----not carried out: later, elsewhere --> WAITING --.
 *                  |          '----cannot be sent again ------------> done(error)  |
 *                  '---------------------------------------------------------------'
 *
 * Before a cluster the router keeps the map of its slots (l2/slot_map.h): made from what a node
 * tells, patched by each MOVED, made anew when somebody doubts it (l2/refresh.h). The seeds that it
 * was configured with are kept for the day on which no node that it knows can be reached.
 *
 * Budget of an operation that is answered at once: what connection_requests.c says, and one look
 * at the reply's first byte; in a cluster, three dependent loads to find the node.
 * Threads: the loop's only; create and destroy while it does not run, or on its thread.
 */
#ifndef STA_ROUTER_H
#define STA_ROUTER_H

#include "l2/node.h"
#include "l2/operation.h"
#include "l2/refresh.h"
#include "l2/slot.h"
#include "l2/tracking.h"

struct sta_redirect;
struct sta_router;

struct sta_router_config {
    /* Of every node; url and name are copied. In a cluster the url gives user, password and TLS for
     * all nodes, and its host is the seed where there are no others. */
    struct sta_node_config node;

    bool cluster;
    const struct sta_endpoint *seeds; /* copied */
    size_t seed_count;
    struct sta_refresh_config refresh; /* zeroed: the defaults */

    struct sta_tracking_config tracking;
};

/* What the owner hears of; each may be NULL. Called from within the loop's callbacks and from
 * within submit(); the router must not be destroyed in them. */
struct sta_router_events {
    /* A lane's connection is READY, or in BACKOFF: see sta_connection_events. */
    void (*state)(void *arg, struct sta_node_lane *lane, enum sta_connection_state state,
                  const char *reason);
    /* The breaker of a node has opened, or closed. */
    void (*breaker)(void *arg);
    /* `count` slots have another owner than before. The first map is no change. */
    void (*slots)(void *arg, const struct sta_slot_set *changed, unsigned count);
};

/* Begins to connect. What sta_connection_open() returns. */
int sta_router_create(struct sta_router **out, struct sta_loop *loop, struct sta_log *log,
                      const struct sta_router_config *config,
                      const struct sta_router_events *events, void *arg);

/* What is under way ends with STRATA_ERR_CLOSED before this returns. NULL is fine. */
void sta_router_destroy(struct sta_router **router);

/* done() may be called before this returns only where the operation is refused at once. */
void sta_router_submit(struct sta_router *router, struct sta_operation *operation);

/* The numbers of all nodes together, of those that are gone too. Before a cluster the state is
 * READY where there is a map and a node of it is. */
void sta_router_statistics(const struct sta_router *router, struct sta_connection_statistics *out);

/* Every node that there is, those on their way out too; nothing may be done to it. */
void sta_router_each_node(const struct sta_router *router,
                          void (*visit)(const struct sta_node *node, void *arg), void *arg);

/* What somebody was told who speaks to nodes himself: a redirect of this node, after which the map
 * is another. NULL, NULL: he doubts the map, or has lost a node. Before a cluster only. */
void sta_router_hear(struct sta_router *router, const struct sta_redirect *redirect,
                     const struct sta_endpoint *from);

/* The map in use; NULL before the first, and before a single Redis. Dies with the next tick. */
const struct sta_slot_map *sta_router_map(const struct sta_router *router);

#endif
