/* SPDX-License-Identifier: MIT
 *
 * A lane's doubt before a cluster: the slots whose owners may yet carry out a write that nobody has
 * answered. Where a single Redis has one fence (lane.h), each owner of such slots needs its own:
 *
 *   doubtful --PING to the owner of one of them--> fenced, with the others of that owner
 *      ^                                              |
 *      '---- it failed; or another write ended so ----'--answered--> certain
 *
 * A PING goes by the way of the lane, behind the write; where the slot has another owner by now, to
 * that one: what the old one may yet do is no change of the cluster's then. It proves as much as
 * lane.h says.
 * Threads: the worker's loop. Memory: 4 KiB, of the lane.
 */
#ifndef STA_SLOT_DOUBT_H
#define STA_SLOT_DOUBT_H

#include <stdbool.h>
#include <stdint.h>

#include "l2/operation.h"
#include "l2/slot.h"

struct sta_loop;
struct sta_router;

struct sta_slot_doubt {
    /* Fixed by the lane. */
    struct sta_loop *loop;
    struct sta_router *router; /* NULL: before a single Redis */
    enum sta_operation_way way;
    uint64_t timeout_ns;
    void (*certain)(void *arg); /* the last doubt has ended */
    void *arg;

    struct sta_slot_set doubtful;
    struct sta_slot_set fenced; /* of them, by the fence that is under way */
    bool sent;
    struct sta_operation fence;
};

/* A write to this slot has ended without an answer; STA_OPERATION_ANY_NODE: at any of the nodes. */
void sta_slot_doubt_add(struct sta_slot_doubt *doubt, uint16_t slot);

/* Sends the fence that is missing. */
void sta_slot_doubt_step(struct sta_slot_doubt *doubt);

#endif
