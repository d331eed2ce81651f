/* SPDX-License-Identifier: MIT
 *
 * Watches a cluster: asks it once per interval what it looks like (CLUSTER SLOTS, NODES, INFO in
 * one pipeline; whom and when is l2/refresh.h's), and pings every node over a connection of its
 * own (l2/cluster_member.h). What it sees is a view (l2/cluster_view.h) and each node's numbers.
 * Threads: the loop's only; create and destroy while it does not run, or on its thread.
 */
#ifndef STA_CLUSTER_MONITOR_H
#define STA_CLUSTER_MONITOR_H

#include "l2/cluster_view.h"
#include "l2/connection.h"
#include "l2/node_health.h"

struct sta_cluster_monitor;

struct sta_cluster_monitor_config {
    struct sta_connection_config connection; /* of every node; url and name are copied */
    const struct sta_endpoint *seeds;        /* copied; at least one */
    size_t seed_count;
    uint64_t interval_ns; /* default 1 s */
    uint64_t timeout_ns;  /* of a PING, a question, a connection; default 1 s */
};

struct sta_cluster_monitor_events {
    /* Something happened. May be NULL. */
    strata_cluster_callback event;
    /* There may be something new to see: after each of the above, and at least once per interval.
     * May be NULL. The monitor must not be destroyed in either. */
    void (*seen)(void *arg);
};

/* Begins to watch. STRATA_ERR_NOMEM; STRATA_ERR_UNSUPPORTED where the url asks for TLS that is not
 * there. */
int sta_cluster_monitor_create(struct sta_cluster_monitor **out, struct sta_loop *loop,
                               struct sta_log *log, const struct sta_cluster_monitor_config *config,
                               const struct sta_cluster_monitor_events *events, void *arg);
void sta_cluster_monitor_destroy(struct sta_cluster_monitor **monitor);

/* What is seen; dies with the next tick. */
const struct sta_cluster_view *sta_cluster_monitor_view(const struct sta_cluster_monitor *monitor);

/* The numbers of node `index` of the view's map. */
const struct sta_node_health *sta_cluster_monitor_health(const struct sta_cluster_monitor *monitor,
                                                         uint16_t index);

/* Whether there is nothing to wait for: each node of the map has had its time to answer, or there
 * is no map, and each seed has been asked for one in vain. */
bool sta_cluster_monitor_is_settled(const struct sta_cluster_monitor *monitor);

/* Why the latest question failed; STRATA_OK: it did not. */
int sta_cluster_monitor_failure(const struct sta_cluster_monitor *monitor);

#endif
