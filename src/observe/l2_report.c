/* SPDX-License-Identifier: MIT
 *
 * The health of the Redis tier, put together for whoever reads it: [ health | nodes ]
 * in one block.
 */
#include "observe/l2_report.h"

#include <stdlib.h>

#include "core/clock.h"

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
        .reconnects = health->reconnects,
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

/* Slots whose owner is known to be unwell are not served; before a single Redis all or none are. */
static unsigned slots_ok(const struct sta_l2_health *from, const struct strata_l2_health *health)
{
    unsigned unserved = 0;
    if (from->count == 1 && from->nodes[0].slots == 0)
        return health->state == STRATA_L2_UP ? from->slots_assigned : 0;
    for (size_t i = 0; i < from->count; i++)
        unserved += health->nodes[i].state >= STRATA_L2_SICK ? from->nodes[i].slots : 0;
    return from->slots_assigned - unserved;
}

int sta_l2_report_make(struct strata_l2_health **out, const struct sta_l2_health *from)
{
    struct strata_l2_health *health =
        malloc(sizeof *health + from->count * sizeof(struct strata_l2_node));
    if (health == NULL)
        return STRATA_ERR_NOMEM;
    struct strata_l2_node *nodes = (struct strata_l2_node *)(void *)(health + 1);
    *health = (struct strata_l2_health){.total_nodes = from->count, .nodes = nodes};
    health->state = from->count > 0 ? STRATA_L2_UP : STRATA_L2_CONNECTING;
    for (size_t i = 0; i < from->count; i++) {
        fill_node(&nodes[i], &from->nodes[i]);
        health->healthy_nodes += nodes[i].state == STRATA_L2_UP;
        if (nodes[i].state > health->state)
            health->state = nodes[i].state;
    }
    health->slots_ok = slots_ok(from, health);
    *out = health;
    return STRATA_OK;
}

int sta_l2_report_create(struct strata_l2_health **out, struct sta_l2 *l2)
{
    struct sta_l2_health health;
    int status = sta_l2_health(l2, &health);
    if (status < 0)
        return status;
    status = sta_l2_report_make(out, &health);
    free(health.nodes);
    return status;
}
