/* SPDX-License-Identifier: MIT
 *
 * What the files of the router share:
 *   router.c           the way of an operation
 *   router_answers.c   what becomes of it when it is not simply answered
 *   router_nodes.c     which nodes there are, and the map of slots
 *   router_refresh.c   asking for a new map
 * Loop thread only.
 */
#ifndef STA_ROUTER_INSIDE_H
#define STA_ROUTER_INSIDE_H

#include "l2/delay_wheel.h"
#include "l2/router.h"
#include "l2/slot_map.h"

struct sta_router {
    /* Fixed at creation. */
    struct sta_loop *loop;
    struct sta_log *log;
    struct sta_router_config config;
    struct sta_redis_url url;
    char *name; /* owned; the connections' */
    const struct sta_router_events *events;
    void *arg;
    struct sta_node *only; /* the single Redis; NULL: a cluster */

    /* Operations that wait to be sent again. */
    struct sta_delay_wheel wheel;
    struct sta_timer wheel_timer;
    uint64_t random;
    bool closing;

    /* A cluster's. by_index[i] is the node that map->nodes[i] describes, NULL where there was no
     * need for it yet. */
    struct sta_endpoint *seeds;
    struct sta_slot_map *map; /* NULL: not known yet */
    struct sta_node **by_index;
    uint16_t by_index_cap;
    uint16_t turn;           /* where the search for any node begins */
    struct sta_list nodes;   /* all that are not retired */
    struct sta_list retired; /* see sta_node.retired */
    struct sta_timer retire_timer;
    struct sta_connection_statistics gone; /* sums over nodes that have gone */

    struct sta_tracking tracking;
    struct sta_list scans; /* l2/scanner.h's */

    /* Asking for the map. */
    struct sta_refresh refresh;
    uint64_t learned_ns; /* when the last question was put that was answered; 0: none was */
    struct sta_timer refresh_timer;
    struct sta_operation question;
};

/* ---- router.c ---- */

/* Finds the node and sends; done() may be called before this returns. */
void sta_router_send(struct sta_router *router, struct sta_operation *operation);
void sta_router_send_to(struct sta_operation *operation, struct sta_node *node);

/* The operation that this request is the request of; NULL: it is none's. */
const struct sta_operation *sta_router_operation_of(const struct sta_request *request);

/* Sends it again at `at_ns`. */
void sta_router_delay(struct sta_router *router, struct sta_operation *operation, uint64_t at_ns);

/* Sends all that wait: there is another map. */
void sta_router_hurry(struct sta_router *router);

/* ---- router_answers.c ---- */

/* It was answered with an error reply, or failed with `status`. */
void sta_router_judge_reply(struct sta_router *router, struct sta_operation *operation,
                            struct strata_bytes replies);
void sta_router_judge_failure(struct sta_router *router, struct sta_operation *operation,
                              int status);

/* There is no node for it in the map, or no map. */
void sta_router_judge_homeless(struct sta_router *router, struct sta_operation *operation);

/* ---- router_nodes.c ---- */

extern const struct sta_node_events sta_router_node_events;

/* The node at an endpoint, made where there is none. STRATA_ERR_NOMEM. */
int sta_router_node_at(struct sta_router *router, const struct sta_endpoint *endpoint,
                       struct sta_node **out);

/* The node that serves the slot, or any where it is STA_OPERATION_ANY_NODE. STRATA_MISS: nobody;
 * STRATA_ERR_NOMEM. */
int sta_router_node_of(struct sta_router *router, uint16_t slot, struct sta_node **out);

/* Replaces the map; nodes that serve nothing in it retire. STRATA_ERR_NOMEM: the old one stays. */
int sta_router_adopt(struct sta_router *router, struct sta_slot_map *map);

/* What a MOVED says. Where there is no memory the map stays as it is. */
void sta_router_patch(struct sta_router *router, uint16_t slot,
                      const struct sta_endpoint *endpoint);

unsigned sta_router_ready_count(const struct sta_router *router);
struct sta_node *sta_router_ready_node(const struct sta_router *router, unsigned pick);

void sta_router_nodes_init(struct sta_router *router);
void sta_router_nodes_fini(struct sta_router *router);

/* ---- router_refresh.c ---- */

/* Somebody doubts the map; `sender` sent a MOVED (else NULL). Without effect where it is no
 * cluster's. */
void sta_router_demand_map(struct sta_router *router, const struct sta_endpoint *sender);

/* Whether it makes sense to wait for a first map. */
bool sta_router_may_learn(const struct sta_router *router);

void sta_router_refresh_start(struct sta_router *router);
void sta_router_refresh_stop(struct sta_router *router);

#endif
