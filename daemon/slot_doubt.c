/* SPDX-License-Identifier: MIT
 *
 * See slot_doubt.h.
 */
#include "daemon/slot_doubt.h"

#include "core/clock.h"
#include "l2/router.h"
#include "l2/slot_map.h"
#include "net/loop.h"
#include "strata/status.h"

static const char fence_wire[] = "*1\r\n$4\r\nPING\r\n";

static void set_remove(struct sta_slot_set *set, unsigned slot)
{
    set->words[slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

/* STA_SLOT_COUNT: none. */
static unsigned set_first(const struct sta_slot_set *set)
{
    unsigned slot = 0;
    while (slot < STA_SLOT_COUNT && !sta_slot_set_has(set, slot))
        slot += set->words[slot / 64] >> slot % 64 == 0 ? 64 - slot % 64 : 1;
    return slot;
}

/* Nobody has answered, or not all: the next tick goes on. */
static void fence_done(struct sta_operation *operation, int status, struct strata_bytes replies)
{
    struct sta_slot_doubt *doubt = STA_CONTAINER(operation, struct sta_slot_doubt, fence);
    (void)replies;
    doubt->sent = false;
    if (status != STRATA_OK)
        return;
    for (unsigned i = 0; i < STA_SLOT_COUNT / 64; i++)
        doubt->doubtful.words[i] &= ~doubt->fenced.words[i];
    if (set_first(&doubt->doubtful) == STA_SLOT_COUNT)
        doubt->certain(doubt->arg);
    else
        sta_slot_doubt_step(doubt);
}

static void fence_those_of(struct sta_slot_doubt *doubt, const struct sta_slot_map *map,
                           unsigned first)
{
    doubt->fenced = (struct sta_slot_set){.words = {0}};
    for (unsigned slot = first; slot < STA_SLOT_COUNT; slot++)
        if (sta_slot_set_has(&doubt->doubtful, slot) &&
            sta_slot_map_owner(map, slot) == sta_slot_map_owner(map, first))
            sta_slot_set_add(&doubt->fenced, slot);
}

void sta_slot_doubt_step(struct sta_slot_doubt *doubt)
{
    unsigned first = set_first(&doubt->doubtful);
    const struct sta_slot_map *map = sta_router_map(doubt->router);
    if (doubt->sent || first == STA_SLOT_COUNT || map == NULL)
        return;
    fence_those_of(doubt, map, first);
    doubt->sent = true;
    doubt->fence = (struct sta_operation){
        .request = {.wire = strata_bytes(fence_wire, sizeof fence_wire - 1),
                    .commands = 1,
                    .deadline_ns =
                        sta_clock_after(sta_loop_now_ns(doubt->loop), doubt->timeout_ns)},
        .slot = (uint16_t)first,
        .repeatable = true,
        .way = (uint8_t)doubt->way,
        .done = fence_done,
    };
    sta_router_submit(doubt->router, &doubt->fence);
}

/* A slot for each node that serves any. */
static void add_all(struct sta_slot_doubt *doubt, const struct sta_slot_map *map)
{
    uint16_t before = STA_SLOT_MAP_NONE;
    for (unsigned slot = 0; slot < STA_SLOT_COUNT; slot++) {
        uint16_t owner = sta_slot_map_owner(map, slot);
        if (owner != before && owner != STA_SLOT_MAP_NONE) {
            sta_slot_set_add(&doubt->doubtful, slot);
            set_remove(&doubt->fenced, slot);
        }
        before = owner;
    }
}

/* A fence that is under way may be before this write, at another owner: it does not count for
 * it. */
void sta_slot_doubt_add(struct sta_slot_doubt *doubt, uint16_t slot)
{
    const struct sta_slot_map *map = sta_router_map(doubt->router);
    if (slot != STA_OPERATION_ANY_NODE) {
        sta_slot_set_add(&doubt->doubtful, slot);
        set_remove(&doubt->fenced, slot);
    } else if (map != NULL) {
        add_all(doubt, map);
    }
    if (set_first(&doubt->doubtful) == STA_SLOT_COUNT)
        doubt->certain(doubt->arg); /* there is no node that could have got it */
    else
        sta_slot_doubt_step(doubt);
}
