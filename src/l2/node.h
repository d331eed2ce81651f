/* SPDX-License-Identifier: MIT
 *
 * One Redis server: our connections to it, its lanes, each opened when it is first used; a breaker
 * (l2/breaker.h), so that a server that does not answer costs its callers nothing; and its numbers
 * (l2/node_health.h).
 *
 *   CLOSED  operations are sent
 *   OPEN    they fail at once with STRATA_ERR_UNAVAILABLE; from time to time a PING on the main
 *           lane finds out whether that may end. What is under way stays so.
 *
 * Replies come in order, so whoever is behind a large one waits for all of it. Large requests, and
 * those whose answer was large the last time (l2/large_answers.h), go on a lane of their own; and
 * while a large reply is coming in on the main lane (nobody knew before that it would be large),
 * what is new goes by the other lane. Operations that are under way at the same time have no order
 * among them.
 *
 * What opens the breaker: time-outs in a row, connections that break in a row, a link that owes
 * answers and is silent (l2/connection.h). What a lost connection takes with it counts once.
 * Threads: the loop's only.
 */
#ifndef STA_NODE_H
#define STA_NODE_H

#include "l2/breaker.h"
#include "l2/canary.h"
#include "l2/connection.h"
#include "l2/large_answers.h"
#include "l2/node_health.h"
#include "l2/operation.h"
#include "net/paced_log.h"

enum sta_node_lane_kind {
    STA_NODE_MAIN,
    STA_NODE_BULK,      /* what is large, and what would have to wait behind it */
    STA_NODE_RESP2,     /* what is to be answered in RESP2 (STA_OPERATION_PLAIN2) */
    STA_NODE_LANE_KINDS /* how many there are */
};

struct sta_node_lane {
    struct sta_node *node;
    enum sta_node_lane_kind kind;
    struct sta_connection *connection; /* NULL: not used yet */
    bool ready;
    bool was_ready; /* at any time before */
};

struct sta_node_events {
    /* As in sta_connection_events. May be NULL. */
    void (*state)(void *arg, struct sta_node_lane *lane, enum sta_connection_state state,
                  const char *reason);
    void (*push)(void *arg, struct sta_node_lane *lane, struct strata_bytes frame);
    /* The breaker has opened, or closed. */
    void (*breaker)(void *arg);
};

struct sta_node_config {
    struct sta_connection_config
        connection; /* of the lanes; its url is copied, its name borrowed */
    struct sta_breaker_config breaker;
    uint64_t max_connections; /* one: there is no bulk lane; 0: no bound */
};

struct sta_node {
    /* Fixed at creation. */
    struct sta_loop *loop;
    struct sta_paced_log log;
    struct sta_redis_url url;
    struct sta_connection_config config; /* of the lanes; its url is the one above */
    bool has_bulk;
    const struct sta_node_events *events;
    void *arg;

    struct sta_node_lane lanes[STA_NODE_LANE_KINDS];
    uint64_t down_ns; /* since when the main lane is lost, or cannot be had; 0: it is not */
    struct sta_breaker breaker;
    struct sta_timer probe_timer;
    struct sta_request probe;
    uint64_t looked_up_ns; /* when its name was last to be looked up again; 0: never */
    struct sta_node_health health;
    struct sta_large_answers large_answers;

    struct sta_canary canary; /* l2/tracking.h's */

    /* The router's. */
    struct sta_list link;
    unsigned under_way; /* operations */
    bool retired;       /* it serves nothing any more, and goes when nothing is under way */
};

/* `random` seeds jitter. `log` may be NULL. STRATA_ERR_NOMEM. */
int sta_node_create(struct sta_node **out, struct sta_loop *loop, struct sta_log *log,
                    const struct sta_node_config *config, uint64_t random,
                    const struct sta_node_events *events, void *arg);

/* What is under way ends with STRATA_ERR_CLOSED before this returns. NULL is fine. */
void sta_node_destroy(struct sta_node **node);

/* Begins to connect where that has not begun yet. What sta_connection_open() returns. */
int sta_node_open_lane(struct sta_node *node, enum sta_node_lane_kind kind);

/* As sta_connection_submit(), on the lane that suits the operation; refused where the breaker is
 * open. `request` is the operation's own, or one that stands for it. */
void sta_node_submit(struct sta_node *node, struct sta_operation *operation,
                     struct sta_request *request);

/* The same on this lane, past the breaker and uncounted: for questions of our own. */
void sta_node_submit_request(struct sta_node *node, enum sta_node_lane_kind kind,
                             struct sta_request *request);

/* What became of an operation that was submitted: first thing in its done(). */
void sta_node_note(struct sta_node *node, const struct sta_operation *operation, int status);

/* How long its answer was, and whether somebody keeps it, which he may where it comes by the main
 * lane. */
void sta_node_note_size(struct sta_node *node, const struct sta_operation *operation, size_t len,
                        bool is_kept);

/* Whether an operation would be sent now, or wait for a connection that may yet come. */
bool sta_node_is_open(const struct sta_node *node);

/* Of the main lane. */
enum sta_connection_state sta_node_state(const struct sta_node *node);

/* The main lane is READY, and the breaker is closed. */
static inline bool sta_node_is_ready(const struct sta_node *node)
{
    return sta_node_state(node) == STA_CONNECTION_READY &&
           node->breaker.state == STA_BREAKER_CLOSED;
}

/* It answers what cannot be an answer to what was asked: nothing that comes on these connections
 * can be trusted to belong to its question. Its lanes end as if they were lost, and connect
 * anew. */
void sta_node_distrust(struct sta_node *node, const char *why);

/* Its name may lead elsewhere by now: its lanes connect anew, when what is under way is answered.
 * Cheap; may be called for each answer that says so. */
void sta_node_look_up_again(struct sta_node *node);

/* Opens the main lane, or ends its backoff: it is tried now, and may be waited for. */
int sta_node_try_now(struct sta_node *node);

/* The numbers of all lanes together; state and last failure are those of the main one. */
void sta_node_statistics(const struct sta_node *node, struct sta_connection_statistics *out);

#endif
