/* SPDX-License-Identifier: MIT
 *
 * A server's lanes; see node.h.
 */
#include "l2/node.h"

#include <stdlib.h>

#include "strata/status.h"

static void on_state(void *arg, enum sta_connection_state state, const char *reason)
{
    struct sta_node_lane *lane = arg;
    const struct sta_node *node = lane->node;
    if (node->events->state != NULL)
        node->events->state(node->arg, lane, state, reason);
}

static const struct sta_connection_events lane_events = {.state = on_state};

int sta_node_open_lane(struct sta_node *node, enum sta_node_lane_kind kind)
{
    struct sta_node_lane *lane = &node->lanes[kind];
    if (lane->connection != NULL)
        return STRATA_OK;
    return sta_connection_open(&lane->connection, node->loop, node->log, &node->config,
                               &lane_events, lane);
}

void sta_node_submit(struct sta_node *node, struct sta_operation *operation)
{
    struct sta_node_lane *lane = &node->lanes[STA_NODE_MAIN];
    int status = sta_node_open_lane(node, lane->kind);
    if (status == STRATA_OK)
        sta_connection_submit(lane->connection, &operation->request);
    else
        operation->request.done(&operation->request, status, strata_bytes(NULL, 0));
}

bool sta_node_is_open(const struct sta_node *node)
{
    const struct sta_connection *connection = node->lanes[STA_NODE_MAIN].connection;
    return connection == NULL || sta_connection_is_open(connection);
}

static void statistics_add(struct sta_connection_statistics *sum,
                           const struct sta_connection_statistics *one)
{
    sum->requests += one->requests;
    sum->replies += one->replies;
    sum->late += one->late;
    sum->timeouts += one->timeouts;
    sum->lost += one->lost;
    sum->refused += one->refused;
    sum->connects += one->connects;
    sum->failures += one->failures;
    sum->pushes += one->pushes;
    sum->bytes_out += one->bytes_out;
    sum->bytes_in += one->bytes_in;
    sum->in_flight += one->in_flight;
}

void sta_node_statistics(const struct sta_node *node, struct sta_connection_statistics *out)
{
    *out = (struct sta_connection_statistics){.state = STA_CONNECTION_CLOSED};
    for (unsigned kind = 0; kind < STA_NODE_LANE_KINDS; kind++) {
        struct sta_connection_statistics one;
        if (node->lanes[kind].connection == NULL)
            continue;
        sta_connection_statistics(node->lanes[kind].connection, &one);
        statistics_add(out, &one);
        if (kind != STA_NODE_MAIN)
            continue;
        out->state = one.state;
        out->last_failure = one.last_failure;
    }
}

int sta_node_create(struct sta_node **out, struct sta_loop *loop, struct sta_log *log,
                    const struct sta_connection_config *config,
                    const struct sta_node_events *events, void *arg)
{
    struct sta_node *node = calloc(1, sizeof *node);
    if (node == NULL)
        return STRATA_ERR_NOMEM;
    node->loop = loop;
    node->log = log;
    node->url = *config->url;
    node->config = *config;
    node->config.url = &node->url;
    node->events = events;
    node->arg = arg;
    for (unsigned kind = 0; kind < STA_NODE_LANE_KINDS; kind++)
        node->lanes[kind] = (struct sta_node_lane){.node = node, .kind = kind};
    *out = node;
    return STRATA_OK;
}

void sta_node_destroy(struct sta_node **at)
{
    struct sta_node *node = *at;
    if (node == NULL)
        return;
    *at = NULL;
    for (unsigned kind = 0; kind < STA_NODE_LANE_KINDS; kind++)
        sta_connection_close(&node->lanes[kind].connection);
    free(node);
}
