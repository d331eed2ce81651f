/* SPDX-License-Identifier: MIT
 *
 * See node_board.h.
 */
#include "daemon/node_board.h"

#include <stdlib.h>

#include "strata/status.h"

void sta_node_board_init(struct sta_node_board *board)
{
    board->seen = (struct sta_l2_health){0};
    pthread_mutex_init(&board->lock, NULL);
}

void sta_node_board_fini(struct sta_node_board *board)
{
    pthread_mutex_destroy(&board->lock);
    free(board->seen.nodes);
}

void sta_node_board_put(struct sta_node_board *board, const struct sta_router *router)
{
    struct sta_l2_health now;
    if (sta_l2_health_copy(&now, router) < 0)
        return;
    pthread_mutex_lock(&board->lock);
    struct sta_l2_health before = board->seen;
    board->seen = now;
    pthread_mutex_unlock(&board->lock);
    free(before.nodes);
}

static struct sta_l2_node_health *node_in(const struct sta_l2_health *sum,
                                          const struct sta_endpoint *endpoint)
{
    for (size_t i = 0; i < sum->count; i++)
        if (sta_endpoint_equal(&sum->nodes[i].url.endpoint, endpoint))
            return &sum->nodes[i];
    return NULL;
}

/* READY is the best, BACKOFF the worst. */
static bool is_worse(enum sta_connection_state state, enum sta_connection_state than)
{
    if (state == than || than == STA_CONNECTION_BACKOFF)
        return false;
    return state == STA_CONNECTION_BACKOFF || than == STA_CONNECTION_READY;
}

static void add_node(struct sta_l2_health *sum, const struct sta_l2_node_health *seen,
                     bool with_slots, uint64_t now_ns)
{
    struct sta_l2_node_health *node = node_in(sum, &seen->url.endpoint);
    if (node == NULL) {
        node = &sum->nodes[sum->count++];
        *node = (struct sta_l2_node_health){.url = seen->url, .state = seen->state};
    }
    if (is_worse(seen->state, node->state))
        node->state = seen->state;
    node->refusing = node->refusing || seen->refusing;
    if (with_slots)
        node->slots = seen->slots;
    sta_node_health_merge(&node->health, &seen->health, now_ns);
}

static int add_seen(struct sta_l2_health *sum, const struct sta_l2_health *seen, uint64_t now_ns)
{
    size_t most = sum->count + seen->count;
    bool with_slots = sum->slots_assigned == 0;
    struct sta_l2_node_health *nodes = realloc(sum->nodes, (most > 0 ? most : 1) * sizeof *nodes);
    if (nodes == NULL)
        return STRATA_ERR_NOMEM;
    sum->nodes = nodes;
    for (size_t i = 0; i < seen->count; i++)
        add_node(sum, &seen->nodes[i], with_slots, now_ns);
    if (with_slots)
        sum->slots_assigned = seen->slots_assigned;
    return STRATA_OK;
}

int sta_node_board_add(struct sta_node_board *board, struct sta_l2_health *sum, uint64_t now_ns)
{
    pthread_mutex_lock(&board->lock);
    int status = add_seen(sum, &board->seen, now_ns);
    pthread_mutex_unlock(&board->lock);
    return status;
}
