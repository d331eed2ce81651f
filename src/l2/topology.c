/* SPDX-License-Identifier: MIT
 *
 * CLUSTER SLOTS and CLUSTER SHARDS; see topology.h. Their shapes:
 *
 *     SLOTS   [ [first, last, node, node...] ... ]      the first node is the primary
 *     node    [host, port, id, fields]                  id since 4.0, fields since 7.0
 *     SHARDS  [ {slots: [first, last...], nodes: [fields...]} ... ]
 *
 * Replies are walked once, without recursion; a shard's nodes before its slots, for their order
 * is not told.
 */
#include "l2/topology.h"

#include "l2/topology_build.h"
#include "strata/status.h"

#define RANGES_MAX STA_SLOT_COUNT

/* The next value, which is an aggregate of this type with `least` elements or more. */
static int next_array(struct sta_topology_build *build, struct sta_resp_walk *walk, uint64_t least,
                      uint64_t *count)
{
    struct sta_resp_value value;
    int status = sta_topology_build_next(walk, &value, &build->reason);
    if (status < 0)
        return status;
    if (value.type != STA_RESP_ARRAY || value.count < least)
        return sta_topology_build_refuse(build, STRATA_ERR_PROTOCOL, "a list is none");
    *count = value.count;
    return STRATA_OK;
}

static int next_integer(struct sta_topology_build *build, struct sta_resp_walk *walk, int64_t *out)
{
    struct sta_resp_value value;
    int status = sta_topology_build_next(walk, &value, &build->reason);
    if (status < 0)
        return status;
    if (value.type != STA_RESP_INTEGER)
        return sta_topology_build_refuse(build, STRATA_ERR_PROTOCOL, "a number is none");
    *out = value.integer;
    return STRATA_OK;
}

/* The outermost list. */
static int open_list(struct sta_topology_build *build, struct sta_resp_walk *walk, uint64_t *count)
{
    struct sta_resp_value value;
    int status = sta_topology_build_open(walk, &value, &build->reason);
    if (status < 0)
        return status;
    if (value.type != STA_RESP_ARRAY)
        return sta_topology_build_refuse(build, STRATA_ERR_PROTOCOL, "the reply is no list");
    if (value.count > RANGES_MAX)
        return sta_topology_build_refuse(build, STRATA_ERR_TOO_BIG, "more ranges than slots");
    *count = value.count;
    return STRATA_OK;
}

/* ---- SLOTS ---- */

/* The fields behind a node's id: only its IP is of use. */
static int slots_fields(struct sta_topology_build *build, struct sta_resp_walk *walk,
                        struct sta_topology_told *told)
{
    struct sta_resp_value value, name;
    uint64_t pairs = 0;
    int status = sta_topology_build_next(walk, &value, &build->reason);
    if (status == STRATA_OK)
        status = sta_topology_build_pairs(&value, &pairs, &build->reason);
    for (uint64_t i = 0; status == STRATA_OK && i < pairs; i++) {
        status = sta_topology_build_scalar(walk, &name, &build->reason);
        if (status == STRATA_OK)
            status = sta_topology_build_scalar(walk, &value, &build->reason);
        if (status == STRATA_OK && sta_topology_build_is(sta_topology_build_text(&name), "ip"))
            told->ip = sta_topology_build_text(&value);
    }
    return status;
}

static int slots_node(struct sta_topology_build *build, struct sta_resp_walk *walk, uint32_t flags,
                      uint16_t *index)
{
    struct sta_topology_told told = {.flags = flags};
    struct sta_resp_value value;
    uint64_t count = 0;
    int64_t port = 0;
    int status = next_array(build, walk, 2, &count);
    if (status == STRATA_OK)
        status = sta_topology_build_scalar(walk, &value, &build->reason);
    if (status == STRATA_OK) {
        told.host = sta_topology_build_text(&value);
        status = next_integer(build, walk, &port);
    }
    if (status == STRATA_OK && count >= 3) {
        status = sta_topology_build_scalar(walk, &value, &build->reason);
        told.id = sta_topology_build_text(&value);
    }
    if (status == STRATA_OK && count >= 4)
        status = slots_fields(build, walk, &told);
    for (uint64_t i = 4; status == STRATA_OK && i < count; i++)
        status = sta_topology_build_scalar(walk, &value, &build->reason);
    if (status < 0)
        return status;
    told.port = port < 0 ? 0 : (uint64_t)port;
    return sta_topology_build_node(build, &told, index);
}

static int slots_range(struct sta_topology_build *build, struct sta_resp_walk *walk)
{
    uint64_t count = 0;
    int64_t first = 0, last = 0;
    uint16_t primary = STA_SLOT_MAP_NONE, replica;
    int status = next_array(build, walk, 3, &count);
    if (status == STRATA_OK)
        status = next_integer(build, walk, &first);
    if (status == STRATA_OK)
        status = next_integer(build, walk, &last);
    if (status == STRATA_OK)
        status = slots_node(build, walk, 0, &primary);
    if (status == STRATA_OK)
        status = sta_topology_build_range(build, first, last, primary);
    for (uint64_t i = 3; status == STRATA_OK && i < count; i++) {
        status = slots_node(build, walk, STA_SLOT_MAP_REPLICA, &replica);
        if (status == STRATA_OK)
            sta_topology_build_follow(build, replica, primary);
    }
    return status;
}

/* ---- SHARDS ---- */

static void shards_field(const struct sta_topology_build *build, struct sta_topology_told *told,
                         struct strata_bytes name, const struct sta_resp_value *value)
{
    struct strata_bytes text = sta_topology_build_text(value);
    uint64_t number =
        value->type == STA_RESP_INTEGER && value->integer > 0 ? (uint64_t)value->integer : 0;
    if (sta_topology_build_is(name, "id"))
        told->id = text;
    else if (sta_topology_build_is(name, "endpoint"))
        told->host = text;
    else if (sta_topology_build_is(name, "ip"))
        told->ip = text;
    else if (sta_topology_build_is(name, "port") && told->port == 0)
        told->port = number;
    else if (sta_topology_build_is(name, "tls-port") && build->query->tls)
        told->port = number;
    else if (sta_topology_build_is(name, "role") &&
             (sta_topology_build_is(text, "replica") || sta_topology_build_is(text, "slave")))
        told->flags |= STA_SLOT_MAP_REPLICA;
    else if (sta_topology_build_is(name, "health") &&
             (sta_topology_build_is(text, "fail") || sta_topology_build_is(text, "failed")))
        told->flags |= STA_SLOT_MAP_FAIL;
    else if (sta_topology_build_is(name, "health") && sta_topology_build_is(text, "loading"))
        told->flags |= STA_SLOT_MAP_LOADING;
}

static int shards_node(struct sta_topology_build *build, struct sta_resp_walk *walk,
                       uint16_t *index)
{
    struct sta_topology_told told = {.port = 0};
    struct sta_resp_value name, value;
    uint64_t pairs = 0;
    int status = sta_topology_build_next(walk, &value, &build->reason);
    if (status == STRATA_OK)
        status = sta_topology_build_pairs(&value, &pairs, &build->reason);
    for (uint64_t i = 0; status == STRATA_OK && i < pairs; i++) {
        status = sta_topology_build_scalar(walk, &name, &build->reason);
        if (status == STRATA_OK)
            status = sta_topology_build_scalar(walk, &value, &build->reason);
        if (status == STRATA_OK)
            shards_field(build, &told, sta_topology_build_text(&name), &value);
    }
    return status < 0 ? status : sta_topology_build_node(build, &told, index);
}

/* Whether the node has better reasons to own a shard's slots than the one chosen so far: after a
 * failover a shard can tell of two primaries, the one that failed and the one that is. */
static bool shards_prefers(const struct sta_slot_map *map, uint16_t chosen, uint16_t node)
{
    if ((map->nodes[node].flags & STA_SLOT_MAP_REPLICA) != 0)
        return false;
    return chosen == STA_SLOT_MAP_NONE || (map->nodes[chosen].flags & STA_SLOT_MAP_FAIL) != 0;
}

/* All nodes of a shard: *primary, and the others follow it. */
static int shards_nodes(struct sta_topology_build *build, struct sta_resp_walk walk,
                        uint16_t *primary)
{
    uint16_t members[STA_SLOT_MAP_NODES_MAX];
    uint64_t count = 0;
    int status = next_array(build, &walk, 0, &count);
    if (status == STRATA_OK && count > STA_SLOT_MAP_NODES_MAX)
        return sta_topology_build_refuse(build, STRATA_ERR_TOO_BIG, "more nodes than are followed");
    for (uint64_t i = 0; status == STRATA_OK && i < count; i++) {
        status = shards_node(build, &walk, &members[i]);
        if (status == STRATA_OK && shards_prefers(build->map, *primary, members[i]))
            *primary = members[i];
    }
    for (uint64_t i = 0; status == STRATA_OK && i < count; i++)
        sta_topology_build_follow(build, members[i], *primary);
    return status;
}

static int shards_slots(struct sta_topology_build *build, struct sta_resp_walk walk,
                        uint16_t primary)
{
    uint64_t count = 0;
    int64_t first = 0, last = 0;
    int status = next_array(build, &walk, 0, &count);
    if (status == STRATA_OK && count % 2 != 0)
        return sta_topology_build_refuse(build, STRATA_ERR_PROTOCOL, "a range of slots is none");
    for (uint64_t i = 0; status == STRATA_OK && i < count; i += 2) {
        status = next_integer(build, &walk, &first);
        if (status == STRATA_OK)
            status = next_integer(build, &walk, &last);
        if (status == STRATA_OK)
            status = sta_topology_build_range(build, first, last, primary);
    }
    return status;
}

static int shards_shard(struct sta_topology_build *build, struct sta_resp_walk *walk)
{
    static const char nothing[] = "*0\r\n";
    struct sta_resp_walk nodes = sta_resp_walk(strata_text(nothing)), slots = nodes;
    struct sta_resp_value head, name;
    uint64_t pairs = 0;
    uint16_t primary = STA_SLOT_MAP_NONE;
    int status = sta_topology_build_next(walk, &head, &build->reason);
    if (status == STRATA_OK)
        status = sta_topology_build_pairs(&head, &pairs, &build->reason);
    for (uint64_t i = 0; status == STRATA_OK && i < pairs; i++) {
        struct sta_resp_value passed;
        status = sta_topology_build_scalar(walk, &name, &build->reason);
        if (sta_topology_build_is(sta_topology_build_text(&name), "nodes"))
            nodes = *walk;
        else if (sta_topology_build_is(sta_topology_build_text(&name), "slots"))
            slots = *walk;
        if (status == STRATA_OK)
            status = sta_topology_build_scalar(walk, &passed, &build->reason);
    }
    if (status == STRATA_OK)
        status = shards_nodes(build, nodes, &primary);
    return status < 0 ? status : shards_slots(build, slots, primary);
}

/* ---- the door ---- */

static int parse_list(struct sta_slot_map **out, struct strata_bytes reply,
                      const struct sta_topology_query *query, const char **reason,
                      int (*element)(struct sta_topology_build *, struct sta_resp_walk *))
{
    struct sta_topology_build build;
    struct sta_resp_walk walk = sta_resp_walk(reply);
    uint64_t count = 0;
    int status = sta_topology_build_begin(&build, query);
    if (status == STRATA_OK)
        status = open_list(&build, &walk, &count);
    for (uint64_t i = 0; status == STRATA_OK && i < count; i++)
        status = element(&build, &walk);
    return sta_topology_build_end(&build, status, out, reason);
}

int sta_topology_parse_slots(struct sta_slot_map **out, struct strata_bytes reply,
                             const struct sta_topology_query *query, const char **reason)
{
    return parse_list(out, reply, query, reason, slots_range);
}

int sta_topology_parse_shards(struct sta_slot_map **out, struct strata_bytes reply,
                              const struct sta_topology_query *query, const char **reason)
{
    return parse_list(out, reply, query, reason, shards_shard);
}
