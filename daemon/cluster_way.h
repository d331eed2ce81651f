/* SPDX-License-Identifier: MIT
 *
 * A worker's way to a Redis Cluster: a router of its own (l2/router.h), which finds the owner of
 * each slot, follows it where it moves, and has each primary track what is read on its main
 * connection. Here it is opened, its news become the worker's, and L1 is told what it hears.
 *
 *   shared lane --> main connection of each primary   RESP3, tracked
 *   plain2      --> RESP2 connection
 *   plain3      --> bulk connection                   RESP3, not tracked
 *
 * Redis is up for the worker while there is a map and a node of it is READY; what becomes of the
 * slots of a node that is down, each command is told for itself.
 * Threads: the worker's loop; open() and close() while it does not run.
 */
#ifndef STA_CLUSTER_WAY_H
#define STA_CLUSTER_WAY_H

#include <stdbool.h>
#include <stdint.h>

struct sta_endpoint;
struct sta_redis_url;
struct sta_worker;

/* Makes worker->router and begins to connect. What sta_router_create() returns. */
int sta_cluster_way_open(struct sta_worker *worker);

/* What is under way ends with STRATA_ERR_CLOSED before this returns. */
void sta_cluster_way_close(struct sta_worker *worker);

/* A node that may answer, another one each time: for what any of them does alike. NULL: none may.
 * Of use until the loop goes on. */
const struct sta_redis_url *sta_cluster_way_any(struct sta_worker *worker);

/* Who serves the slot, as far as is known. */
bool sta_cluster_way_owner(const struct sta_worker *worker, uint16_t slot,
                           struct sta_endpoint *out);

/* For how long this node, which takes connections, has not answered; 0: it is not so. */
uint64_t sta_cluster_way_silent_ms(const struct sta_worker *worker,
                                   const struct sta_endpoint *endpoint);

/* About once a second: stores the numbers. */
void sta_cluster_way_tick(struct sta_worker *worker);

#endif
