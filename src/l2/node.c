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

void sta_node_submit_request(struct sta_node *node, enum sta_node_lane_kind kind,
                             struct sta_request *request)
{
    int status = sta_node_open_lane(node, kind);
    if (status == STRATA_OK)
        sta_connection_submit(node->lanes[kind].connection, request);
    else
        request->done(request, status, strata_bytes(NULL, 0));
}

void sta_node_submit(struct sta_node *node, struct sta_operation *operation)
{
    sta_node_submit_request(node, STA_NODE_MAIN, &operation->request);
}

bool sta_node_is_open(const struct sta_node *node)
{
    const struct sta_connection *connection = node->lanes[STA_NODE_MAIN].connection;
    return connection == NULL || sta_connection_is_open(connection);
}

enum sta_connection_state sta_node_state(const struct sta_node *node)
{
    const struct sta_connection *connection = node->lanes[STA_NODE_MAIN].connection;
    return connection != NULL ? sta_connection_state(connection) : STA_CONNECTION_CLOSED;
}

int sta_node_try_now(struct sta_node *node)
{
    struct sta_connection *connection = node->lanes[STA_NODE_MAIN].connection;
    if (connection == NULL)
        return sta_node_open_lane(node, STA_NODE_MAIN);
    sta_connection_try_now(connection);
    return STRATA_OK;
}

void sta_node_statistics(const struct sta_node *node, struct sta_connection_statistics *out)
{
    *out = (struct sta_connection_statistics){.state = STA_CONNECTION_CLOSED};
    for (unsigned kind = 0; kind < STA_NODE_LANE_KINDS; kind++) {
        struct sta_connection_statistics one;
        if (node->lanes[kind].connection == NULL)
            continue;
        sta_connection_statistics(node->lanes[kind].connection, &one);
        sta_connection_statistics_add(out, &one);
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
    sta_list_init(&node->link);
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
    sta_list_remove(&node->link);
    for (unsigned kind = 0; kind < STA_NODE_LANE_KINDS; kind++)
        sta_connection_close(&node->lanes[kind].connection);
    free(node);
}
