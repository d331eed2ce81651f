/* SPDX-License-Identifier: MIT
 *
 * One Redis server and our connections to it, its lanes. A lane is opened when it is first used.
 * Threads: the loop's only.
 */
#ifndef STA_NODE_H
#define STA_NODE_H

#include "l2/connection.h"
#include "l2/operation.h"

enum sta_node_lane_kind {
    STA_NODE_MAIN,
    STA_NODE_LANE_KINDS /* how many there are */
};

struct sta_node_lane {
    struct sta_node *node;
    enum sta_node_lane_kind kind;
    struct sta_connection *connection; /* NULL: not used yet */
};

struct sta_node_events {
    /* As in sta_connection_events. May be NULL. */
    void (*state)(void *arg, struct sta_node_lane *lane, enum sta_connection_state state,
                  const char *reason);
};

struct sta_node {
    /* Fixed at creation. */
    struct sta_loop *loop;
    struct sta_log *log;
    struct sta_redis_url url;
    struct sta_connection_config config; /* of the lanes; its url is the one above */
    const struct sta_node_events *events;
    void *arg;

    struct sta_node_lane lanes[STA_NODE_LANE_KINDS];

    /* The router's. */
    struct sta_list link;
    unsigned under_way; /* operations */
    bool retired;       /* it serves nothing any more, and goes when nothing is under way */
};

/* `config` is copied with its url; its name is borrowed. STRATA_ERR_NOMEM. */
int sta_node_create(struct sta_node **out, struct sta_loop *loop, struct sta_log *log,
                    const struct sta_connection_config *config,
                    const struct sta_node_events *events, void *arg);

/* What is under way ends with STRATA_ERR_CLOSED before this returns. NULL is fine. */
void sta_node_destroy(struct sta_node **node);

/* Begins to connect where that has not begun yet. What sta_connection_open() returns. */
int sta_node_open_lane(struct sta_node *node, enum sta_node_lane_kind kind);

/* As sta_connection_submit(), on the lane that suits it, or on this one. */
void sta_node_submit(struct sta_node *node, struct sta_operation *operation);
void sta_node_submit_request(struct sta_node *node, enum sta_node_lane_kind kind,
                             struct sta_request *request);

/* Whether an operation would be sent now, or wait for a connection that may yet come. */
bool sta_node_is_open(const struct sta_node *node);

/* Of the main lane. */
enum sta_connection_state sta_node_state(const struct sta_node *node);

static inline bool sta_node_is_ready(const struct sta_node *node)
{
    return sta_node_state(node) == STA_CONNECTION_READY;
}

/* Opens the main lane, or ends its backoff: it is tried now, and may be waited for. */
int sta_node_try_now(struct sta_node *node);

/* The numbers of all lanes together; state and last failure are those of the main one. */
void sta_node_statistics(const struct sta_node *node, struct sta_connection_statistics *out);

#endif
