/* SPDX-License-Identifier: MIT
 *
 * Putting together what is seen of a cluster:
 *
 *     block = [ info, bytes | nodes: total_nodes | ranges: range_count ]
 *
 * Nodes are ordered for people: primaries by their first slot, each with its replicas behind it,
 * then primaries without slots, then replicas of nobody.
 */
#include "api/cluster_info.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "strata/status.h"

struct block {
    struct strata_cluster_info info; /* first: it is what the caller has */
    size_t bytes;                    /* of all of it */
};

/* ---- order ---- */

struct place {
    uint32_t group; /* first slot of the primary; behind all slots where it has none */
    uint32_t index; /* in the map */
    bool replica;
};

#define GROUP_EMPTY  STA_SLOT_COUNT /* and the primary's index */
#define GROUP_ORPHAN (2 * STA_SLOT_COUNT)

static int by_place(const void *one, const void *other)
{
    const struct place *a = one, *b = other;
    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    if (a->replica != b->replica)
        return a->replica ? 1 : -1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static void place_nodes(const struct sta_slot_map *map, struct place *places)
{
    uint32_t first[STA_SLOT_MAP_NODES_MAX];
    for (uint32_t i = 0; i < map->node_count; i++)
        first[i] = GROUP_EMPTY + i;
    for (uint32_t slot = STA_SLOT_COUNT; slot-- > 0;) {
        uint16_t owner = sta_slot_map_owner(map, slot);
        if (owner != STA_SLOT_MAP_NONE)
            first[owner] = slot;
    }
    for (uint32_t i = 0; i < map->node_count; i++) {
        const struct sta_slot_node *node = &map->nodes[i];
        bool replica = (node->flags & STA_SLOT_MAP_REPLICA) != 0;
        uint32_t group = first[i];
        if (replica)
            group = node->primary == STA_SLOT_MAP_NONE ? GROUP_ORPHAN : first[node->primary];
        places[i] = (struct place){.group = group, .index = i, .replica = replica};
    }
    qsort(places, map->node_count, sizeof *places, by_place);
}

/* ---- nodes ---- */

static void fill_health(struct strata_cluster_node *out, const struct sta_node_health *health,
                        uint64_t now_ns)
{
    out->latency_ns = health->ewma_ns;
    out->latency_p99_ns = sta_node_health_quantile(health, 0.99, now_ns);
    out->silent_ms = UINT64_MAX;
    if (health->last_reply_ns != 0)
        out->silent_ms =
            now_ns > health->last_reply_ns ? (now_ns - health->last_reply_ns) / STA_NS_MS : 0;
    out->reconnects = health->reconnects;
    out->timeouts = health->errors[STA_NODE_HEALTH_TIMEOUT];
    out->losses = health->errors[STA_NODE_HEALTH_LOST];
}

static void fill_node(struct strata_cluster_node *out, const struct sta_cluster_view *view,
                      uint16_t index)
{
    const struct sta_slot_map *map = view->map;
    const struct sta_slot_node *node = &map->nodes[index];
    static_assert(sizeof out->id == sizeof node->id, "ids are copied whole");
    memcpy(out->id, node->id, sizeof out->id);
    if (node->primary != STA_SLOT_MAP_NONE)
        memcpy(out->primary_id, map->nodes[node->primary].id, sizeof out->primary_id);
    if (node->endpoint.address[0] != '\0')
        sta_endpoint_format(&node->endpoint, out->address, sizeof out->address);
    out->role =
        (node->flags & STA_SLOT_MAP_REPLICA) != 0 ? STRATA_NODE_REPLICA : STRATA_NODE_PRIMARY;
    out->state = sta_cluster_view_node_state(view, index);
    out->slots = node->slots;
    out->migrating = node->migrating;
    out->importing = node->importing;
    out->config_epoch = node->config_epoch;
    for (uint16_t i = 0; i < map->node_count; i++)
        out->replicas += map->nodes[i].primary == index;
}

/* ---- ranges ---- */

static uint32_t range_end(const struct sta_slot_map *map, uint32_t first)
{
    uint32_t last = first;
    while (last + 1 < STA_SLOT_COUNT && map->owner[last + 1] == map->owner[first])
        last++;
    return last;
}

static size_t count_ranges(const struct sta_cluster_view *view)
{
    size_t count = 0;
    if (view->kind == STA_CLUSTER_VIEW_CLUSTER) {
        for (uint32_t slot = 0; slot < STA_SLOT_COUNT; slot = range_end(view->map, slot) + 1)
            count++;
    }
    return count;
}

static void fill_ranges(struct strata_cluster_range *ranges, size_t count,
                        const struct sta_slot_map *map, const struct place *places)
{
    uint32_t position[STA_SLOT_MAP_NODES_MAX], slot = 0;
    for (uint32_t i = 0; i < map->node_count; i++)
        position[places[i].index] = i;
    for (size_t i = 0; i < count; i++) {
        uint32_t last = range_end(map, slot);
        uint16_t owner = sta_slot_map_owner(map, slot);
        ranges[i] = (struct strata_cluster_range){
            .first = (uint16_t)slot,
            .last = (uint16_t)last,
            .node = owner == STA_SLOT_MAP_NONE ? STRATA_CLUSTER_NOBODY : position[owner]};
        slot = last + 1;
    }
}

/* ---- the block ---- */

/* Where the arrays lie in a block. */
static void block_point(struct block *block)
{
    struct strata_cluster_node *nodes = (struct strata_cluster_node *)(void *)(block + 1);
    block->info.nodes = nodes;
    block->info.ranges = (struct strata_cluster_range *)(void *)(nodes + block->info.total_nodes);
}

static void fill_numbers(struct strata_cluster_info *info, const struct sta_cluster_view *view)
{
    info->cluster_state = sta_cluster_view_state(view);
    info->slots_assigned = view->info.slots_assigned;
    info->slots_ok = view->info.slots_ok;
    info->slots_pfail = view->info.slots_pfail;
    info->slots_fail = view->info.slots_fail;
    info->current_epoch = view->info.current_epoch;
    for (uint16_t i = 0; i < view->map->node_count; i++)
        info->healthy_nodes += sta_cluster_view_is_healthy(view, i);
}

int sta_cluster_info_create(struct strata_cluster_info **out,
                            const struct sta_cluster_monitor *monitor, uint64_t now_ns)
{
    const struct sta_cluster_view *view = sta_cluster_monitor_view(monitor);
    struct place places[STA_SLOT_MAP_NODES_MAX];
    unsigned count = view->map->node_count;
    size_t ranges = count_ranges(view);
    size_t bytes = sizeof(struct block) + count * sizeof(struct strata_cluster_node) +
                   ranges * sizeof(struct strata_cluster_range);
    struct block *block = calloc(1, bytes);
    if (block == NULL)
        return STRATA_ERR_NOMEM;
    block->bytes = bytes;
    block->info.total_nodes = count;
    block->info.range_count = ranges;
    block_point(block);
    fill_numbers(&block->info, view);
    place_nodes(view->map, places);
    struct strata_cluster_node *nodes = (struct strata_cluster_node *)(void *)(block + 1);
    for (unsigned i = 0; i < count; i++) {
        uint16_t index = (uint16_t)places[i].index;
        fill_node(&nodes[i], view, index);
        fill_health(&nodes[i], sta_cluster_monitor_health(monitor, index), now_ns);
    }
    fill_ranges((struct strata_cluster_range *)(void *)(nodes + count), ranges, view->map, places);
    *out = &block->info;
    return STRATA_OK;
}

int sta_cluster_info_copy(struct strata_cluster_info **out, const struct strata_cluster_info *info)
{
    const struct block *block = (const struct block *)(const void *)info;
    struct block *copy = malloc(block->bytes);
    if (copy == NULL)
        return STRATA_ERR_NOMEM;
    memcpy(copy, block, block->bytes);
    block_point(copy);
    *out = &copy->info;
    return STRATA_OK;
}

void strata_cluster_info_free(struct strata_cluster_info **info)
{
    if (info == NULL || *info == NULL)
        return;
    free(*info);
    *info = NULL;
}
