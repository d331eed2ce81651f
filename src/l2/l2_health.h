/* SPDX-License-Identifier: MIT
 *
 * How each node that a router knows does now: a copy, taken on its loop.
 */
#ifndef STA_L2_HEALTH_H
#define STA_L2_HEALTH_H

#include "l2/l2.h"
#include "l2/node_health.h"

struct sta_l2_node_health {
    struct sta_redis_url url;
    enum sta_connection_state state; /* of the main lane, or of the first that is used */
    bool refusing;                   /* the breaker is open: calls fail at once */
    unsigned slots;                  /* that it owns, before a cluster */
    struct sta_node_health health;
};

struct sta_l2_health {
    struct sta_l2_node_health *nodes; /* for free() */
    size_t count;
    unsigned slots_assigned; /* slots that some node owns; before a single Redis all of them */
};

/* The router's thread. STRATA_OK with the nodes, those on their way out too; a single Redis is one
 * node. STRATA_ERR_NOMEM. */
int sta_l2_health_copy(struct sta_l2_health *out, const struct sta_router *router);

/* The same of an engine. Any thread, but not under a lock of the caller's that the loop may want.
 * STRATA_ERR_CLOSED, too. */
int sta_l2_health(struct sta_l2 *l2, struct sta_l2_health *out);

#endif
