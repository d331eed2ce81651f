/* SPDX-License-Identifier: MIT
 *
 * The health of the Redis tier, for its users: [ health | nodes ] in one block.
 */
#include <stdlib.h>

#include "api/handle.h"
#include "l2/l2_health.h"
#include "strata/l2.h"

static enum strata_l2_state state_of(const struct sta_l2_node_health *node)
{
    if (node->refusing)
        return node->state == STA_CONNECTION_READY ? STRATA_L2_SICK : STRATA_L2_DOWN;
    if (node->state == STA_CONNECTION_READY)
        return STRATA_L2_UP;
    return node->state == STA_CONNECTION_BACKOFF ? STRATA_L2_DOWN : STRATA_L2_CONNECTING;
}

static void fill_node(struct strata_l2_node *out, const struct sta_l2_node_health *node)
{
    const struct sta_node_health *health = &node->health;
    *out = (struct strata_l2_node){
        .state = state_of(node),
        .latency_ns = health->ewma_ns,
        .latency_p99_ns = sta_node_health_quantile(health, 0.99, sta_clock_now_ns()),
        .in_flight = health->in_flight,
        .requests = health->requests,
        .replies = health->replies,
        .reconnects = health->connects > 0 ? health->connects - 1 : 0,
        .timeouts = health->errors[STA_NODE_HEALTH_TIMEOUT],
        .losses = health->errors[STA_NODE_HEALTH_LOST],
        .refused = health->errors[STA_NODE_HEALTH_REFUSED],
        .busy = health->errors[STA_NODE_HEALTH_BUSY],
        .redirected = health->errors[STA_NODE_HEALTH_REDIRECT],
        .retried = health->errors[STA_NODE_HEALTH_RETRY],
        .denied = health->errors[STA_NODE_HEALTH_DENIED],
        .server = health->errors[STA_NODE_HEALTH_SERVER],
    };
    sta_endpoint_format(&node->url.endpoint, out->address, sizeof out->address);
}

static struct strata_l2_health *make_health(const struct sta_l2_node_health *nodes, size_t count)
{
    struct strata_l2_health *health =
        malloc(sizeof *health + count * sizeof(struct strata_l2_node));
    if (health == NULL)
        return NULL;
    struct strata_l2_node *out = (struct strata_l2_node *)(void *)(health + 1);
    *health = (struct strata_l2_health){.total_nodes = count, .nodes = out};
    health->state = count > 0 ? STRATA_L2_UP : STRATA_L2_CONNECTING;
    for (size_t i = 0; i < count; i++) {
        fill_node(&out[i], &nodes[i]);
        health->healthy_nodes += out[i].state == STRATA_L2_UP;
        if (out[i].state > health->state)
            health->state = out[i].state;
    }
    return health;
}

int strata_l2_get_health(struct strata_l2 *l2, struct strata_l2_health **health)
{
    struct sta_l2_node_health *nodes;
    size_t count;
    int status = sta_l2_health(sta_cache_l2(l2->both.cache), &nodes, &count);
    if (status < 0)
        return status;
    struct strata_l2_health *made = make_health(nodes, count);
    free(nodes);
    if (made == NULL)
        return STRATA_ERR_NOMEM;
    *health = made;
    return STRATA_OK;
}

void strata_l2_health_free(struct strata_l2_health **health)
{
    if (health == NULL)
        return;
    free(*health);
    *health = NULL;
}

const char *strata_l2_state_name(enum strata_l2_state state)
{
    switch (state) {
    case STRATA_L2_UP:
        return "up";
    case STRATA_L2_CONNECTING:
        return "connecting";
    case STRATA_L2_SICK:
        return "sick";
    case STRATA_L2_DOWN:
        return "down";
    }
    return "unknown";
}
