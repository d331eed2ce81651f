/* SPDX-License-Identifier: MIT
 *
 * How a cluster looks at one moment, and what has happened between two of them. Pure.
 *
 * A view is a slot map with what the cluster says of itself, and for each node of the map
 * whether it answers us. Events come from comparing two views, so nothing is told twice and
 * nothing is missed that is still so at the second look.
 */
#ifndef STA_CLUSTER_VIEW_H
#define STA_CLUSTER_VIEW_H

#include "l2/slot_map.h"
#include "l2/topology.h"
#include "strata/cluster.h"

enum sta_cluster_view_kind {
    STA_CLUSTER_VIEW_NOTHING, /* no map yet */
    STA_CLUSTER_VIEW_SINGLE,  /* one Redis, no cluster: the map has one node and no slots */
    STA_CLUSTER_VIEW_CLUSTER
};

enum sta_cluster_view_answer {
    STA_CLUSTER_VIEW_UNHEARD, /* it has had no time to answer yet */
    STA_CLUSTER_VIEW_ANSWERS,
    STA_CLUSTER_VIEW_SILENT
};

struct sta_cluster_view {
    enum sta_cluster_view_kind kind;
    struct sta_slot_map *map; /* owned; NULL with NOTHING */
    struct sta_topology_info info;
    uint8_t answers[STA_SLOT_MAP_NODES_MAX]; /* of enum sta_cluster_view_answer, by node */
};

/* Destroys the map; NOTHING is left. */
void sta_cluster_view_fini(struct sta_cluster_view *view);

/* "ok", "fail", "standalone" or "unknown". */
const char *sta_cluster_view_state(const struct sta_cluster_view *view);

enum strata_node_state sta_cluster_view_node_state(const struct sta_cluster_view *view,
                                                   uint16_t index);

/* UP or SUSPECT: a node of ours that answers is of use, whatever one other thinks of it. */
bool sta_cluster_view_is_healthy(const struct sta_cluster_view *view, uint16_t index);

/* Whether every node that has an address has had its time to answer. */
bool sta_cluster_view_is_settled(const struct sta_cluster_view *view);

/* Gives the nodes of `map` (from CLUSTER NODES, which names them all) the addresses that `slots`
 * (from CLUSTER SLOTS, which knows where clients shall connect) has for the same ids. */
void sta_cluster_view_address(struct sta_slot_map *map, const struct sta_slot_map *slots);

/* Tells what has happened from `before` to `now`, in this order: nodes removed and added, slots
 * that changed owner, nodes down and up, the cluster's state. Of the first map only nodes that
 * are down are told. Slots are told by pairs of old and new owner; of more than 64 pairs the
 * rest is told together, without addresses. */
void sta_cluster_view_compare(const struct sta_cluster_view *before,
                              const struct sta_cluster_view *now, strata_cluster_callback tell,
                              void *arg);

#endif
