/* SPDX-License-Identifier: MIT
 *
 * The slot map; see slot_map.h. Nodes lie in an array that doubles; the owner table is part of
 * the struct, so that a look-up is one load.
 */
#include "l2/slot_map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "strata/status.h"

static_assert(STA_SLOT_MAP_NODES_MAX < STA_SLOT_MAP_NONE, "an index is never NONE");
static_assert(sizeof(struct sta_slot_node) <= 352, "what the header says");

#define NODES_FIRST 8u

int sta_slot_map_create(struct sta_slot_map **out)
{
    struct sta_slot_map *map = calloc(1, sizeof *map);
    if (map == NULL)
        return STRATA_ERR_NOMEM;
    memset(map->owner, 0xff, sizeof map->owner); /* NONE */
    *out = map;
    return STRATA_OK;
}

void sta_slot_map_destroy(struct sta_slot_map **map)
{
    if (*map == NULL)
        return;
    free((*map)->nodes);
    free(*map);
    *map = NULL;
}

int sta_slot_map_copy(struct sta_slot_map **out, const struct sta_slot_map *map)
{
    struct sta_slot_map *copy = malloc(sizeof *copy);
    if (copy == NULL)
        return STRATA_ERR_NOMEM;
    memcpy(copy, map, sizeof *copy);
    copy->nodes = NULL;
    copy->node_cap = copy->node_count;
    if (map->node_count > 0) {
        copy->nodes = malloc(map->node_count * sizeof *copy->nodes);
        if (copy->nodes == NULL) {
            free(copy);
            return STRATA_ERR_NOMEM;
        }
        memcpy(copy->nodes, map->nodes, map->node_count * sizeof *copy->nodes);
    }
    *out = copy;
    return STRATA_OK;
}

/* ---- building ---- */

static int reserve_node(struct sta_slot_map *map)
{
    if (map->node_count < map->node_cap)
        return STRATA_OK;
    if (map->node_count >= STA_SLOT_MAP_NODES_MAX)
        return STRATA_ERR_TOO_BIG;
    size_t cap = map->node_cap < NODES_FIRST ? NODES_FIRST : 2u * map->node_cap;
    if (cap > STA_SLOT_MAP_NODES_MAX)
        cap = STA_SLOT_MAP_NODES_MAX;
    struct sta_slot_node *nodes = realloc(map->nodes, cap * sizeof *nodes);
    if (nodes == NULL)
        return STRATA_ERR_NOMEM;
    map->nodes = nodes;
    map->node_cap = (uint16_t)cap;
    return STRATA_OK;
}

int sta_slot_map_add(struct sta_slot_map *map, const struct sta_slot_node *node, uint16_t *index)
{
    int status = reserve_node(map);
    if (status < 0)
        return status;
    map->nodes[map->node_count] = *node;
    map->nodes[map->node_count].slots = 0;
    *index = map->node_count++;
    return STRATA_OK;
}

static void assign_one(struct sta_slot_map *map, unsigned slot, uint16_t index)
{
    uint16_t before = map->owner[slot];
    if (before != STA_SLOT_MAP_NONE) {
        map->nodes[before].slots--;
        map->covered--;
    }
    if (index != STA_SLOT_MAP_NONE) {
        map->nodes[index].slots++;
        map->covered++;
    }
    map->owner[slot] = index;
}

void sta_slot_map_assign(struct sta_slot_map *map, unsigned first, unsigned last, uint16_t index)
{
    assert(last < STA_SLOT_COUNT && (index < map->node_count || index == STA_SLOT_MAP_NONE));
    for (unsigned slot = first; slot <= last; slot++)
        assign_one(map, slot, index);
}

/* ---- looking up ---- */

uint16_t sta_slot_map_find(const struct sta_slot_map *map, const struct sta_endpoint *endpoint)
{
    for (uint16_t i = 0; i < map->node_count; i++) {
        if (sta_endpoint_equal(&map->nodes[i].endpoint, endpoint))
            return i;
    }
    return STA_SLOT_MAP_NONE;
}

uint16_t sta_slot_map_find_id(const struct sta_slot_map *map, const char *id)
{
    for (uint16_t i = 0; i < map->node_count; i++) {
        if (strcmp(map->nodes[i].id, id) == 0)
            return i;
    }
    return STA_SLOT_MAP_NONE;
}

/* ---- changing ---- */

int sta_slot_map_patch(struct sta_slot_map *map, unsigned slot, const struct sta_endpoint *endpoint,
                       uint16_t *index)
{
    assert(slot < STA_SLOT_COUNT);
    uint16_t owner = sta_slot_map_find(map, endpoint);
    if (owner == STA_SLOT_MAP_NONE) {
        struct sta_slot_node node = {
            .endpoint = *endpoint, .flags = STA_SLOT_MAP_GUESSED, .primary = STA_SLOT_MAP_NONE};
        int status = sta_slot_map_add(map, &node, &owner);
        if (status < 0)
            return status;
    }
    if (index != NULL)
        *index = owner;
    struct sta_slot_node *node = &map->nodes[owner];
    node->flags &= ~(uint32_t)(STA_SLOT_MAP_REPLICA | STA_SLOT_MAP_PFAIL | STA_SLOT_MAP_FAIL);
    node->primary = STA_SLOT_MAP_NONE;
    if (map->owner[slot] == owner)
        return STRATA_SKIPPED;
    assign_one(map, slot, owner);
    map->generation++;
    return STRATA_OK;
}

/* ---- comparing ---- */

bool sta_slot_map_same_node(const struct sta_slot_node *one, const struct sta_slot_node *other)
{
    if (one->id[0] != '\0' && other->id[0] != '\0')
        return strcmp(one->id, other->id) == 0;
    return sta_endpoint_equal(&one->endpoint, &other->endpoint);
}

unsigned sta_slot_map_changes(const struct sta_slot_map *before, const struct sta_slot_map *now,
                              struct sta_slot_set *changed)
{
    unsigned count = 0;
    uint16_t was_last = STA_SLOT_MAP_NONE, is_last = STA_SLOT_MAP_NONE;
    bool same_last = true; /* whether the pair above is one node: runs of slots share an owner */
    if (changed != NULL)
        memset(changed, 0, sizeof *changed);
    for (unsigned slot = 0; slot < STA_SLOT_COUNT; slot++) {
        uint16_t was = before == NULL ? STA_SLOT_MAP_NONE : before->owner[slot];
        uint16_t is = now->owner[slot];
        if (was != was_last || is != is_last) {
            bool either = was == STA_SLOT_MAP_NONE || is == STA_SLOT_MAP_NONE;
            same_last =
                either ? was == is : sta_slot_map_same_node(&before->nodes[was], &now->nodes[is]);
            was_last = was;
            is_last = is;
        }
        if (same_last)
            continue;
        count++;
        if (changed != NULL)
            sta_slot_set_add(changed, slot);
    }
    return count;
}

static bool node_valid(const struct sta_slot_map *map, const struct sta_slot_node *node)
{
    bool replica = (node->flags & STA_SLOT_MAP_REPLICA) != 0;
    bool addressed = (node->flags & STA_SLOT_MAP_NOADDR) == 0;
    return memchr(node->id, '\0', sizeof node->id) != NULL &&
           memchr(node->endpoint.address, '\0', sizeof node->endpoint.address) != NULL &&
           addressed == (node->endpoint.address[0] != '\0') &&
           (replica || node->primary == STA_SLOT_MAP_NONE) &&
           (node->primary == STA_SLOT_MAP_NONE || node->primary < map->node_count);
}

bool sta_slot_map_valid(const struct sta_slot_map *map)
{
    unsigned counts[STA_SLOT_MAP_NODES_MAX] = {0}, covered = 0;
    for (unsigned slot = 0; slot < STA_SLOT_COUNT; slot++) {
        uint16_t owner = map->owner[slot];
        if (owner == STA_SLOT_MAP_NONE)
            continue;
        if (owner >= map->node_count)
            return false;
        counts[owner]++;
        covered++;
    }
    for (unsigned i = 0; i < map->node_count; i++) {
        if (map->nodes[i].slots != counts[i] || !node_valid(map, &map->nodes[i]))
            return false;
    }
    return covered == map->covered && map->node_count <= map->node_cap &&
           map->node_cap <= STA_SLOT_MAP_NODES_MAX;
}
