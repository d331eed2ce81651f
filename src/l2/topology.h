/* SPDX-License-Identifier: MIT
 *
 * What a node says of its cluster, parsed into a slot map: CLUSTER SLOTS, CLUSTER SHARDS, CLUSTER
 * NODES, and the numbers of CLUSTER INFO. RESP2 and RESP3, fields in any order, those of later
 * versions passed over. Pure; `reply` is one complete frame.
 *
 *              routing  who follows whom  failed  epochs  slots on their way
 *     SLOTS    yes      yes               -       -       -
 *     SHARDS   yes      yes               yes     -       -
 *     NODES    no       yes               both    yes     of the node that answered
 *
 * To route by: SLOTS, which every version and every hosted Redis has, and INFO beside it for the
 * epoch (l2/refresh.h). NODES does not say under which address clients shall connect (its IP, or
 * a host name); it is for looking at.
 *
 * Addresses. A host that is NULL or "" is the one that was asked (the port is the node's). "?" is
 * none: the IP that may stand beside it is taken, else the node has NOADDR. Ports are those for our
 * kind of connection: SLOTS and NODES answer so by themselves, of SHARDS' two `tls` takes one.
 *
 * Bounds: STA_SLOT_MAP_NODES_MAX nodes, 16384 ranges. Memory: a map; nothing is allocated by an
 * announced count.
 */
#ifndef STA_TOPOLOGY_H
#define STA_TOPOLOGY_H

#include <stdbool.h>
#include <stdint.h>

#include "l2/slot_map.h"
#include "net/endpoint.h"
#include "strata/bytes.h"

struct sta_topology_query {
    const struct sta_endpoint *asked; /* the node that answers */
    bool tls;
};

/* Each: STRATA_OK and a map of the caller's; STRATA_ERR_SERVER or STRATA_ERR_DENIED where the
 * reply is an error (no cluster, no permission); STRATA_ERR_PROTOCOL for anything that is no such
 * reply; STRATA_ERR_TOO_BIG, STRATA_ERR_NOMEM. `reason` (constant text, may be NULL) says what
 * was wrong. A map may be without slots: whether that is believed is l2/refresh.h's. Of ranges
 * that overlap, the last counts. */
int sta_topology_parse_slots(struct sta_slot_map **out, struct strata_bytes reply,
                             const struct sta_topology_query *query, const char **reason);
int sta_topology_parse_shards(struct sta_slot_map **out, struct strata_bytes reply,
                              const struct sta_topology_query *query, const char **reason);
int sta_topology_parse_nodes(struct sta_slot_map **out, struct strata_bytes reply,
                             const struct sta_topology_query *query, const char **reason);

enum sta_topology_state {
    STA_TOPOLOGY_UNKNOWN, /* the reply did not say */
    STA_TOPOLOGY_OK,
    STA_TOPOLOGY_FAIL
};

struct sta_topology_info {
    enum sta_topology_state state;
    unsigned slots_assigned; /* these and the next: 0..16384 */
    unsigned slots_ok;
    unsigned slots_pfail;
    unsigned slots_fail;
    unsigned known_nodes;
    unsigned size;          /* primaries with slots */
    uint64_t current_epoch; /* the greatest that the node knows of; 0 where it did not say */
    uint64_t my_epoch;
};

/* Results as above. What the reply leaves out is 0. */
int sta_topology_parse_info(struct sta_topology_info *out, struct strata_bytes reply,
                            const char **reason);

#endif
