/* SPDX-License-Identifier: MIT
 *
 * How the nodes of a cluster do, as a worker last saw them: its loop puts up a copy about once a
 * second, whenever a connection becomes usable or ceases to be, and whenever a breaker opens or
 * closes; whoever tells numbers adds the copies of all workers up. A copy behind a lock and no
 * question to the loop: a worker that answers STRATA STATS would wait for another that does, too.
 *
 * Threads: put() the worker's loop; add() any; init() and fini() while nobody else has it.
 */
#ifndef STA_NODE_BOARD_H
#define STA_NODE_BOARD_H

#include <pthread.h>

#include "l2/l2_health.h"
#include "l2/router.h"

struct sta_node_board {
    pthread_mutex_t lock;
    struct sta_l2_health seen; /* guarded by lock; owned */
};

void sta_node_board_init(struct sta_node_board *board);
void sta_node_board_fini(struct sta_node_board *board);

/* Where memory is out, what was seen before stays. */
void sta_node_board_put(struct sta_node_board *board, const struct sta_router *router);

/* Adds what this worker saw: a node that another saw as well is one, in the worse of the states.
 * Who owns slots is as the first saw it who has a map. STRATA_ERR_NOMEM. */
int sta_node_board_add(struct sta_node_board *board, struct sta_l2_health *sum, uint64_t now_ns);

#endif
