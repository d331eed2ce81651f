/* SPDX-License-Identifier: MIT
 *
 * One server that a cluster monitor watches: a connection, and a PING on it from time to time.
 *
 *     UNHEARD --answered--> ANSWERS --two failures in a row--> SILENT --answered--> ANSWERS
 *        '------------------------- one failure -----------------^
 *
 * Once it has answered, one failure is none: a link may break, and the next attempt is made within
 * 10 ms. A failure is a PING that is not answered in time, a connection that is lost, or one that
 * cannot be made.
 * Threads: the loop's only.
 */
#ifndef STA_CLUSTER_MEMBER_H
#define STA_CLUSTER_MEMBER_H

#include "l2/cluster_view.h"
#include "l2/connection.h"
#include "l2/node_health.h"

struct sta_cluster_member {
    struct sta_list link; /* the monitor's */
    bool listed;          /* the monitor's: it is in the map */
    unsigned failed_maps; /* the monitor's: maps in a row that say that it failed */

    struct sta_redis_url url;
    struct sta_connection *connection;
    struct sta_node_health health;
    uint8_t answers; /* of enum sta_cluster_view_answer */

    /* Fixed at creation. `answers` has changed; not from within open() and close(). */
    void (*heard)(void *arg, struct sta_cluster_member *member);
    void *arg;
    uint64_t timeout_ns;

    bool told; /* heard() may be called */
    bool pinging;
    struct sta_request ping;
    uint64_t pinged_ns;
    unsigned failures; /* in a row */
};

/* Begins to connect to `endpoint`, for the rest as `config` says. What sta_connection_open()
 * returns. */
int sta_cluster_member_open(struct sta_cluster_member **out, struct sta_loop *loop,
                            struct sta_log *log, const struct sta_connection_config *config,
                            const struct sta_endpoint *endpoint, uint64_t timeout_ns,
                            void (*heard)(void *, struct sta_cluster_member *), void *arg);

/* Removes it from its list, too. Not from within its own callbacks. */
void sta_cluster_member_close(struct sta_cluster_member **member);

/* Where it is connected and no PING is under way. */
void sta_cluster_member_ping(struct sta_cluster_member *member);

static inline bool sta_cluster_member_is_ready(const struct sta_cluster_member *member)
{
    return sta_connection_state(member->connection) == STA_CONNECTION_READY;
}

#endif
