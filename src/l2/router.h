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
 * Budget of an operation that is answered at once: what connection_requests.c says, and one look
 * at the reply's first byte.
 * Threads: the loop's only; create and destroy while it does not run, or on its thread.
 */
#ifndef STA_ROUTER_H
#define STA_ROUTER_H

#include "l2/node.h"
#include "l2/operation.h"

struct sta_router;

struct sta_router_config {
    struct sta_connection_config connection; /* of every lane; url and name are copied */
};

struct sta_router_events {
    /* A lane's connection is READY, or in BACKOFF: see sta_connection_events. May be NULL. */
    void (*state)(void *arg, struct sta_node_lane *lane, enum sta_connection_state state,
                  const char *reason);
};

/* Begins to connect. What sta_connection_open() returns. */
int sta_router_create(struct sta_router **out, struct sta_loop *loop, struct sta_log *log,
                      const struct sta_router_config *config,
                      const struct sta_router_events *events, void *arg);

/* What is under way ends with STRATA_ERR_CLOSED before this returns. NULL is fine. */
void sta_router_destroy(struct sta_router **router);

/* done() may be called before this returns only where the operation is refused at once. */
void sta_router_submit(struct sta_router *router, struct sta_operation *operation);

/* The numbers of all nodes together. */
void sta_router_statistics(const struct sta_router *router, struct sta_connection_statistics *out);

#endif
