/* SPDX-License-Identifier: MIT
 *
 * What the parsers of topology share: a map under construction. Nodes come again and again (in
 * every range of CLUSTER SLOTS) and are found by a small hash of their ids; a node without id by
 * its endpoint. Inside of l2.
 */
#ifndef STA_TOPOLOGY_BUILD_H
#define STA_TOPOLOGY_BUILD_H

#include "l2/topology.h"
#include "resp/resp.h"

#define STA_TOPOLOGY_BUILD_SLOTS 2048u /* at most half full */

struct sta_topology_build {
    struct sta_slot_map *map;
    const struct sta_topology_query *query;
    const char *reason;                      /* set with each error; constant text */
    uint16_t hash[STA_TOPOLOGY_BUILD_SLOTS]; /* 1 + index of a node with an id; 0: free */
};

/* A node as a reply tells it. */
struct sta_topology_told {
    struct strata_bytes id;
    struct strata_bytes host; /* empty: the one that was asked; "?": none */
    struct strata_bytes ip;   /* in place of "?"; may be empty */
    uint64_t port;
    uint64_t config_epoch;
    uint32_t flags;
};

int sta_topology_build_begin(struct sta_topology_build *build,
                             const struct sta_topology_query *query);

/* `status` is how parsing went: the map is handed over, or destroyed and the reason told. Returns
 * `status`. */
int sta_topology_build_end(struct sta_topology_build *build, int status, struct sta_slot_map **out,
                           const char **reason);

/* Finds or adds the node. One that is told once as a primary is one. An address that cannot be
 * connected to (port 0, a host that is none) makes NOADDR. */
int sta_topology_build_node(struct sta_topology_build *build, const struct sta_topology_told *told,
                            uint16_t *index);

/* The index of the node with this id; NONE. */
uint16_t sta_topology_build_find(struct sta_topology_build *build, struct strata_bytes id);

/* Where the node is a replica, `primary` is whom it follows; either may be NONE. */
void sta_topology_build_follow(struct sta_topology_build *build, uint16_t replica,
                               uint16_t primary);

/* Gives a range to a node; STRATA_ERR_PROTOCOL where it is none, or a slot of it is taken: no
 * node answers so, and it bounds the work to 16384 steps. */
int sta_topology_build_range(struct sta_topology_build *build, int64_t first, int64_t last,
                             uint16_t index);

/* Notes the reason; returns `status`. */
int sta_topology_build_refuse(struct sta_topology_build *build, int status, const char *reason);

/* ---- walking: errors are STRATA_ERR_PROTOCOL with a reason in *reason ---- */

/* The next value, attributes before it passed over. */
int sta_topology_build_next(struct sta_resp_walk *walk, struct sta_resp_value *value,
                            const char **reason);

/* The same, and where it is an aggregate, what is in it is passed over too. */
int sta_topology_build_scalar(struct sta_resp_walk *walk, struct sta_resp_value *value,
                              const char **reason);

/* The first value of a reply: STRATA_ERR_SERVER or STRATA_ERR_DENIED where it is an error. */
int sta_topology_build_open(struct sta_resp_walk *walk, struct sta_resp_value *value,
                            const char **reason);

/* The fields of a map, or of a flat array of names and values: how many pairs. PROTOCOL for
 * another type, or an odd count. */
int sta_topology_build_pairs(const struct sta_resp_value *value, uint64_t *pairs,
                             const char **reason);

static inline bool sta_topology_build_is(struct strata_bytes text, const char *wanted)
{
    return text.len == strlen(wanted) && memcmp(text.data, wanted, text.len) == 0;
}

/* The text of a simple string, a bulk or a verbatim string; of anything else (NULL) nothing. */
struct strata_bytes sta_topology_build_text(const struct sta_resp_value *value);

#endif
