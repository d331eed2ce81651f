/* SPDX-License-Identifier: MIT
 *
 * Whom to ask for SCAN's next page so that every key that is there throughout is seen, while
 * slots move and primaries fail. A state machine without clock and I/O: the owner asks next()
 * whom to ask, sends SCAN, and tells what came of it.
 *
 * A cursor means something to one process only, and a node walks all its keys whatever slot they
 * are in. So a lane walks one node from cursor 0 for the slots that wait there, and its keys of
 * other slots are not taken. Slots that go elsewhere leave the lane and wait for a walk of their
 * new owner; slots that arrive in the middle of a walk wait for the next.
 *
 *              next(): slots wait             next()
 *     IDLE ----------------------> READY --------------> ASKED
 *       ^                          ^ ^ ^                 |   |
 *       |                          | | '-- more ---------'   | cursor 0
 *       |                          | '---- failed: from 0 ---|
 *       |      not believed: from 0|                         v
 *       '---- confirmed ----------ENDED <--------------------'
 *
 * A lane that all its slots have left is IDLE as soon as no answer is to come for it.
 *
 * The end of a walk proves nothing yet: keys may have left for another node before the cursor
 * came to them. Hence confirm(), with what the walked node itself says in CLUSTER NODES after its
 * last page: slots that it does not own any more wait for another walk; where it has slots on
 * their way out, or its epoch has grown since the walk began (slots may have left and come back,
 * or it has failed over), the walk is repeated. A migration that is begun and undone within one
 * walk, with keys moved there and back, is not seen.
 *
 * A single Redis is a map of one node that owns all slots.
 * Memory: 32 KiB, and 384 bytes for each node that is walked. Threads: one owner.
 */
#ifndef STA_SCAN_PLAN_H
#define STA_SCAN_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "l2/slot_map.h"

enum sta_scan_lane_state {
    STA_SCAN_IDLE = 0,
    STA_SCAN_READY = 1,
    STA_SCAN_ASKED = 2,
    STA_SCAN_ENDED = 3
};

struct sta_scan_lane {
    struct sta_slot_node node; /* as it was when the walk began */
    uint64_t cursor;
    unsigned slots; /* that it is walked for */
    enum sta_scan_lane_state state;
};

struct sta_scan_plan {
    struct sta_scan_lane *lanes; /* pointers die with next() */
    unsigned lane_count;
    unsigned lane_cap;
    unsigned waiting;              /* slots that no lane walks */
    unsigned done;                 /* slots that need no further walk */
    uint16_t lane[STA_SLOT_COUNT]; /* of each slot; or that it waits, or is done */
};

/* All slots wait. Nothing is allocated. */
void sta_scan_plan_init(struct sta_scan_plan *plan);
void sta_scan_plan_fini(struct sta_scan_plan *plan);

static inline bool sta_scan_plan_done(const struct sta_scan_plan *plan)
{
    return plan->done == STA_SLOT_COUNT;
}

/* The map has changed: slots whose owner is another now leave their lanes. */
void sta_scan_plan_adopt(struct sta_scan_plan *plan, const struct sta_slot_map *map);

/* Begins the walks that slots wait for. STRATA_OK with a lane to ask, which is ASKED now;
 * STRATA_MISS: none, until something is answered, confirmed or adopted; STRATA_ERR_NOMEM: the
 * plan is as good as before. */
int sta_scan_plan_next(struct sta_scan_plan *plan, const struct sta_slot_map *map, unsigned *lane);

/* Of an ASKED lane whose walk begins: `map` is what its node has answered to CLUSTER NODES before
 * the first page. Slots that it does not own leave the lane, and wait. Where nobody tells, a slot
 * that leaves and comes back within the walk is not seen. */
void sta_scan_plan_begun(struct sta_scan_plan *plan, unsigned lane, const struct sta_slot_map *map);

/* Of an ASKED lane: is this key, as Redis knows it, of a slot that it is walked for? SCAN may
 * return a key twice, and a walk that is repeated does. */
bool sta_scan_plan_takes(const struct sta_scan_plan *plan, unsigned lane, struct strata_bytes key);

/* An ASKED lane's page has come, and been taken; `cursor` is the next. */
void sta_scan_plan_answered(struct sta_scan_plan *plan, unsigned lane, uint64_t cursor);

/* An ASKED lane's page has not come, or an ENDED lane's word; who answers next may be another
 * process. */
void sta_scan_plan_failed(struct sta_scan_plan *plan, unsigned lane);

/* `map` is what an ENDED lane's node has answered to CLUSTER NODES after its last page. STRATA_OK,
 * the slots that it owns still are done; STRATA_SKIPPED, it is walked again. */
int sta_scan_plan_confirm(struct sta_scan_plan *plan, unsigned lane,
                          const struct sta_slot_map *map);

/* Derives the counts again, for tests. */
bool sta_scan_plan_valid(const struct sta_scan_plan *plan);

#endif
