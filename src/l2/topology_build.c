/* SPDX-License-Identifier: MIT
 *
 * A map under construction; see topology_build.h.
 */
#include "l2/topology_build.h"

#include <assert.h>

#include "l2/redirect.h"
#include "strata/status.h"

static_assert(2 * STA_SLOT_MAP_NODES_MAX <= STA_TOPOLOGY_BUILD_SLOTS, "half full at most");

int sta_topology_build_begin(struct sta_topology_build *build,
                             const struct sta_topology_query *query)
{
    *build = (struct sta_topology_build){.query = query};
    int status = sta_slot_map_create(&build->map);
    return status < 0 ? sta_topology_build_refuse(build, status, "out of memory") : STRATA_OK;
}

int sta_topology_build_end(struct sta_topology_build *build, int status, struct sta_slot_map **out,
                           const char **reason)
{
    if (status == STRATA_OK) {
        *out = build->map;
        return STRATA_OK;
    }
    sta_slot_map_destroy(&build->map);
    if (reason != NULL)
        *reason = build->reason;
    return status;
}

int sta_topology_build_refuse(struct sta_topology_build *build, int status, const char *reason)
{
    build->reason = reason;
    return status;
}

/* ---- nodes ---- */

/* The slot of this id, or the free one where it belongs. FNV-1a: ids are random already. */
static uint16_t *id_slot(struct sta_topology_build *build, const char *id)
{
    uint32_t hash = 2166136261u;
    for (const char *at = id; *at != '\0'; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    for (;; hash++) {
        uint16_t *slot = &build->hash[hash % STA_TOPOLOGY_BUILD_SLOTS];
        if (*slot == 0 || strcmp(build->map->nodes[*slot - 1].id, id) == 0)
            return slot;
    }
}

/* Where clients shall connect; false where they cannot. */
static bool address_of(const struct sta_topology_build *build, const struct sta_topology_told *told,
                       struct sta_endpoint *out)
{
    const struct sta_endpoint *asked = build->query->asked;
    struct strata_bytes host = told->host;
    if (sta_topology_build_is(host, "?"))
        host = told->ip;
    else if (host.len == 0 && asked->kind == STA_ENDPOINT_TCP)
        host = strata_text(asked->address);
    return sta_endpoint_from_host(host, told->port, out, NULL) == STRATA_OK;
}

static int make_node(struct sta_topology_build *build, const struct sta_topology_told *told,
                     struct sta_slot_node *node)
{
    *node = (struct sta_slot_node){
        .config_epoch = told->config_epoch, .flags = told->flags, .primary = STA_SLOT_MAP_NONE};
    if (told->id.len > STA_SLOT_MAP_ID_MAX ||
        (told->id.len > 0 && memchr(told->id.data, '\0', told->id.len) != NULL))
        return sta_topology_build_refuse(build, STRATA_ERR_PROTOCOL, "a node id is none");
    if (told->id.len > 0)
        memcpy(node->id, told->id.data, told->id.len);
    if ((told->flags & STA_SLOT_MAP_NOADDR) != 0 || !address_of(build, told, &node->endpoint))
        node->flags |= STA_SLOT_MAP_NOADDR;
    return STRATA_OK;
}

static int add_node(struct sta_topology_build *build, const struct sta_slot_node *node,
                    uint16_t *index)
{
    int status = sta_slot_map_add(build->map, node, index);
    if (status == STRATA_ERR_TOO_BIG)
        return sta_topology_build_refuse(build, status, "more nodes than are followed");
    if (status < 0)
        return sta_topology_build_refuse(build, status, "out of memory");
    return STRATA_OK;
}

int sta_topology_build_node(struct sta_topology_build *build, const struct sta_topology_told *told,
                            uint16_t *index)
{
    struct sta_slot_node node;
    uint16_t found = STA_SLOT_MAP_NONE, *slot = NULL;
    int status = make_node(build, told, &node);
    if (status < 0)
        return status;
    if (node.id[0] != '\0') {
        slot = id_slot(build, node.id);
        found = *slot == 0 ? STA_SLOT_MAP_NONE : (uint16_t)(*slot - 1);
    } else {
        found = sta_slot_map_find(build->map, &node.endpoint);
    }
    if (found == STA_SLOT_MAP_NONE) {
        status = add_node(build, &node, &found);
        if (status < 0)
            return status;
        if (slot != NULL)
            *slot = (uint16_t)(found + 1);
    }
    struct sta_slot_node *known = &build->map->nodes[found];
    if ((told->flags & STA_SLOT_MAP_REPLICA) == 0) {
        known->flags &= ~(uint32_t)STA_SLOT_MAP_REPLICA;
        known->primary = STA_SLOT_MAP_NONE;
    }
    *index = found;
    return STRATA_OK;
}

uint16_t sta_topology_build_find(struct sta_topology_build *build, struct strata_bytes id)
{
    char text[STA_SLOT_MAP_ID_MAX + 1] = "";
    if (id.len == 0 || id.len > STA_SLOT_MAP_ID_MAX)
        return STA_SLOT_MAP_NONE;
    memcpy(text, id.data, id.len);
    uint16_t slot = *id_slot(build, text);
    return slot == 0 ? STA_SLOT_MAP_NONE : (uint16_t)(slot - 1);
}

void sta_topology_build_follow(struct sta_topology_build *build, uint16_t replica, uint16_t primary)
{
    if (replica == STA_SLOT_MAP_NONE)
        return;
    struct sta_slot_node *node = &build->map->nodes[replica];
    if ((node->flags & STA_SLOT_MAP_REPLICA) != 0)
        node->primary = primary;
}

/* ---- slots ---- */

int sta_topology_build_range(struct sta_topology_build *build, int64_t first, int64_t last,
                             uint16_t index)
{
    if (first < 0 || last >= STA_SLOT_COUNT || first > last)
        return sta_topology_build_refuse(build, STRATA_ERR_PROTOCOL, "a range of slots is none");
    for (unsigned slot = (unsigned)first; slot <= (unsigned)last; slot++) {
        if (sta_slot_map_owner(build->map, slot) != STA_SLOT_MAP_NONE)
            return sta_topology_build_refuse(build, STRATA_ERR_PROTOCOL, "a slot has two owners");
    }
    sta_slot_map_assign(build->map, (unsigned)first, (unsigned)last, index);
    return STRATA_OK;
}

/* ---- walking ---- */

int sta_topology_build_next(struct sta_resp_walk *walk, struct sta_resp_value *value,
                            const char **reason)
{
    int status = sta_resp_next(walk, value);
    while (status == STRATA_OK && value->type == STA_RESP_ATTRIBUTE) {
        for (uint64_t i = 0; status == STRATA_OK && i < 2 * value->count; i++)
            status = sta_resp_skip(walk, NULL);
        if (status == STRATA_OK)
            status = sta_resp_next(walk, value);
    }
    if (status == STRATA_OK)
        return STRATA_OK;
    *reason = "the reply ends early";
    return STRATA_ERR_PROTOCOL;
}

static uint64_t values_within(const struct sta_resp_value *value)
{
    switch (value->type) {
    case STA_RESP_ARRAY:
    case STA_RESP_SET:
    case STA_RESP_PUSH:
        return value->count;
    case STA_RESP_MAP:
        return 2 * value->count;
    default:
        return 0;
    }
}

int sta_topology_build_scalar(struct sta_resp_walk *walk, struct sta_resp_value *value,
                              const char **reason)
{
    int status = sta_topology_build_next(walk, value, reason);
    uint64_t within = status == STRATA_OK ? values_within(value) : 0;
    for (uint64_t i = 0; i < within; i++) {
        if (sta_resp_skip(walk, NULL) != STRATA_OK) {
            *reason = "the reply ends early";
            return STRATA_ERR_PROTOCOL;
        }
    }
    return status;
}

int sta_topology_build_open(struct sta_resp_walk *walk, struct sta_resp_value *value,
                            const char **reason)
{
    static const struct sta_endpoint nobody = {.kind = STA_ENDPOINT_UNIX};
    struct sta_redirect error;
    int status = sta_topology_build_next(walk, value, reason);
    if (status < 0 || (value->type != STA_RESP_ERROR && value->type != STA_RESP_BULK_ERROR))
        return status;
    *reason = "Redis answered with an error";
    sta_redirect_parse(&error, value->bytes, &nobody);
    return error.kind == STA_REDIRECT_DENIED ? STRATA_ERR_DENIED : STRATA_ERR_SERVER;
}

int sta_topology_build_pairs(const struct sta_resp_value *value, uint64_t *pairs,
                             const char **reason)
{
    bool flat = value->type == STA_RESP_ARRAY;
    if ((!flat && value->type != STA_RESP_MAP) || (flat && value->count % 2 != 0)) {
        *reason = "there are no fields where some should be";
        return STRATA_ERR_PROTOCOL;
    }
    *pairs = flat ? value->count / 2 : value->count;
    return STRATA_OK;
}

struct strata_bytes sta_topology_build_text(const struct sta_resp_value *value)
{
    bool text = value->type == STA_RESP_BULK || value->type == STA_RESP_SIMPLE ||
                value->type == STA_RESP_VERBATIM;
    return text ? value->bytes : strata_bytes(NULL, 0);
}
