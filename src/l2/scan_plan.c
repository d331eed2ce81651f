/* SPDX-License-Identifier: MIT
 *
 * Walks of nodes for slots; see scan_plan.h.
 */
#include "l2/scan_plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "strata/status.h"

#define WAITS UINT16_MAX
#define DONE  (UINT16_MAX - 1)

_Static_assert(STA_SLOT_MAP_NODES_MAX < DONE, "lanes are numbered below the marks");
_Static_assert(sizeof(struct sta_scan_lane) <= 384, "as the header says");

void sta_scan_plan_init(struct sta_scan_plan *plan)
{
    *plan = (struct sta_scan_plan){.waiting = STA_SLOT_COUNT};
    for (unsigned slot = 0; slot < STA_SLOT_COUNT; slot++)
        plan->lane[slot] = WAITS;
}

void sta_scan_plan_fini(struct sta_scan_plan *plan)
{
    free(plan->lanes);
    *plan = (struct sta_scan_plan){0};
}

static bool owned_by(const struct sta_slot_map *map, unsigned slot,
                     const struct sta_slot_node *node)
{
    uint16_t owner = sta_slot_map_owner(map, slot);
    return owner != STA_SLOT_MAP_NONE && sta_slot_map_same_node(&map->nodes[owner], node);
}

/* Slots of this lane that the map gives to another node wait again. */
static void let_go(struct sta_scan_plan *plan, unsigned index, const struct sta_slot_map *map)
{
    struct sta_scan_lane *lane = &plan->lanes[index];
    for (unsigned slot = 0; slot < STA_SLOT_COUNT && lane->slots > 0; slot++) {
        if (plan->lane[slot] != index || owned_by(map, slot, &lane->node))
            continue;
        plan->lane[slot] = WAITS;
        plan->waiting++;
        lane->slots--;
    }
    /* One that is ASKED or ENDED may have a question under way, whose late answer must not be taken
     * for one of a new walk: it is IDLE when that has come. */
    if (lane->slots == 0 && lane->state == STA_SCAN_READY)
        lane->state = STA_SCAN_IDLE;
}

void sta_scan_plan_adopt(struct sta_scan_plan *plan, const struct sta_slot_map *map)
{
    for (unsigned i = 0; i < plan->lane_count; i++)
        let_go(plan, i, map);
}

static int reserve(struct sta_scan_plan *plan)
{
    if (plan->lane_count < plan->lane_cap)
        return STRATA_OK;
    unsigned cap = plan->lane_cap == 0 ? 4 : 2 * plan->lane_cap;
    struct sta_scan_lane *lanes = realloc(plan->lanes, cap * sizeof *lanes);
    if (lanes == NULL)
        return STRATA_ERR_NOMEM;
    plan->lanes = lanes;
    plan->lane_cap = cap;
    return STRATA_OK;
}

/* An idle lane for this node. STRATA_MISS: it is being walked, or all lanes are in use. */
static int find_lane(struct sta_scan_plan *plan, const struct sta_slot_node *node, unsigned *index)
{
    unsigned idle = plan->lane_count;
    for (unsigned i = 0; i < plan->lane_count; i++) {
        if (plan->lanes[i].state == STA_SCAN_IDLE)
            idle = i;
        else if (sta_slot_map_same_node(&plan->lanes[i].node, node))
            return STRATA_MISS;
    }
    if (idle == plan->lane_count) {
        if (plan->lane_count == STA_SLOT_MAP_NODES_MAX)
            return STRATA_MISS;
        int status = reserve(plan);
        if (status < 0)
            return status;
        plan->lane_count++;
    }
    plan->lanes[idle] = (struct sta_scan_lane){.node = *node};
    *index = idle;
    return STRATA_OK;
}

/* Gives all slots that wait for this node to one walk of it. */
static int begin_walk(struct sta_scan_plan *plan, const struct sta_slot_map *map, uint16_t owner)
{
    unsigned index;
    int status = find_lane(plan, &map->nodes[owner], &index);
    if (status != STRATA_OK)
        return status;
    struct sta_scan_lane *lane = &plan->lanes[index];
    for (unsigned slot = 0; slot < STA_SLOT_COUNT; slot++) {
        if (plan->lane[slot] != WAITS || sta_slot_map_owner(map, slot) != owner)
            continue;
        plan->lane[slot] = (uint16_t)index;
        lane->slots++;
    }
    plan->waiting -= lane->slots;
    lane->state = lane->slots > 0 ? STA_SCAN_READY : STA_SCAN_IDLE;
    return STRATA_OK;
}

int sta_scan_plan_next(struct sta_scan_plan *plan, const struct sta_slot_map *map, unsigned *lane)
{
    for (uint16_t i = 0; i < map->node_count && plan->waiting > 0; i++) {
        int status = map->nodes[i].slots > 0 ? begin_walk(plan, map, i) : STRATA_OK;
        if (status < 0)
            return status;
    }
    for (unsigned i = 0; i < plan->lane_count; i++) {
        if (plan->lanes[i].state != STA_SCAN_READY)
            continue;
        plan->lanes[i].state = STA_SCAN_ASKED;
        *lane = i;
        return STRATA_OK;
    }
    return STRATA_MISS;
}

void sta_scan_plan_begun(struct sta_scan_plan *plan, unsigned lane, const struct sta_slot_map *map)
{
    struct sta_slot_node *node = &plan->lanes[lane].node;
    for (uint16_t i = 0; i < map->node_count; i++)
        if (sta_slot_map_same_node(&map->nodes[i], node))
            node->config_epoch = map->nodes[i].config_epoch;
    let_go(plan, lane, map); /* what it has not now may come in the middle of the walk */
}

bool sta_scan_plan_takes(const struct sta_scan_plan *plan, unsigned lane, struct strata_bytes key)
{
    return plan->lane[sta_slot_of(key)] == lane;
}

void sta_scan_plan_answered(struct sta_scan_plan *plan, unsigned lane, uint64_t cursor)
{
    struct sta_scan_lane *at = &plan->lanes[lane];
    assert(at->state == STA_SCAN_ASKED);
    at->cursor = cursor;
    if (at->slots == 0)
        at->state = STA_SCAN_IDLE;
    else
        at->state = cursor == 0 ? STA_SCAN_ENDED : STA_SCAN_READY;
}

void sta_scan_plan_failed(struct sta_scan_plan *plan, unsigned lane)
{
    struct sta_scan_lane *at = &plan->lanes[lane];
    assert(at->state == STA_SCAN_ASKED || at->state == STA_SCAN_ENDED);
    at->cursor = 0;
    at->state = at->slots == 0 ? STA_SCAN_IDLE : STA_SCAN_READY;
}

/* Whether all that this node had when its walk began, of the slots it has still, was there to be
 * walked over. An epoch of 0 is one that nobody has told. */
static bool stood_still(struct sta_scan_lane *lane, const struct sta_slot_map *map)
{
    for (uint16_t i = 0; i < map->node_count; i++) {
        const struct sta_slot_node *now = &map->nodes[i];
        if (!sta_slot_map_same_node(now, &lane->node))
            continue;
        uint64_t before = lane->node.config_epoch;
        lane->node.config_epoch = now->config_epoch;
        return now->migrating == 0 && (before == 0 || before == now->config_epoch);
    }
    return false;
}

int sta_scan_plan_confirm(struct sta_scan_plan *plan, unsigned lane, const struct sta_slot_map *map)
{
    struct sta_scan_lane *at = &plan->lanes[lane];
    assert(at->state == STA_SCAN_ENDED);
    let_go(plan, lane, map);
    if (at->slots == 0) {
        at->state = STA_SCAN_IDLE;
        return STRATA_OK;
    }
    if (!stood_still(at, map)) {
        at->state = STA_SCAN_READY;
        return STRATA_SKIPPED;
    }
    for (unsigned slot = 0; slot < STA_SLOT_COUNT; slot++)
        if (plan->lane[slot] == lane)
            plan->lane[slot] = DONE;
    plan->done += at->slots;
    at->slots = 0;
    at->state = STA_SCAN_IDLE;
    return STRATA_OK;
}

bool sta_scan_plan_valid(const struct sta_scan_plan *plan)
{
    unsigned waiting = 0, done = 0, walked = 0;
    for (unsigned slot = 0; slot < STA_SLOT_COUNT; slot++) {
        uint16_t lane = plan->lane[slot];
        waiting += lane == WAITS;
        done += lane == DONE;
        if (lane < DONE && (lane >= plan->lane_count || plan->lanes[lane].state == STA_SCAN_IDLE))
            return false;
    }
    for (unsigned i = 0; i < plan->lane_count; i++) {
        const struct sta_scan_lane *lane = &plan->lanes[i];
        walked += lane->slots;
        if (lane->slots == 0 && lane->state == STA_SCAN_READY)
            return false;
    }
    return waiting == plan->waiting && done == plan->done &&
           waiting + done + walked == STA_SLOT_COUNT;
}
