/* SPDX-License-Identifier: MIT
 *
 * Before a Redis Cluster: which nodes a command goes to, by the slots of its keys. A function of
 * its words and its route; no I/O.
 *
 *   all keys in one slot        ONE    its owner
 *   keys in several             SPLIT  DEL, UNLINK, EXISTS, TOUCH, MGET, MSET: a command per slot,
 *                                      also where it is one: it may have to be broken (spread.h)
 *                               CROSS  any other: refused, as Redis does
 *   no keys                     ANY    what any node answers alike
 *                               ALL    what concerns the keyspace, or what all nodes must have
 *                               SCAN   one after the other, as the client's cursor says
 *                               ALONE  what concerns one node: refused, for nobody can say which
 *   keys that nobody can locate ANY    Redis finds them, and says MOVED
 */
#ifndef STA_SLOT_PLAN_H
#define STA_SLOT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/dispatch.h"
#include "strata/bytes.h"

enum sta_slot_plan_kind {
    STA_SLOT_PLAN_ONE,
    STA_SLOT_PLAN_SPLIT,
    STA_SLOT_PLAN_CROSS,
    STA_SLOT_PLAN_ANY,
    STA_SLOT_PLAN_ALL,
    STA_SLOT_PLAN_SCAN,
    STA_SLOT_PLAN_ALONE
};

/* How the replies of several nodes become one. */
enum sta_slot_plan_merge {
    STA_SLOT_PLAN_FIRST,  /* they are alike: OK, or the digest of a script */
    STA_SLOT_PLAN_SUM,    /* integers */
    STA_SLOT_PLAN_BY_KEY, /* an array with an element for each key, in the order of the keys */
    STA_SLOT_PLAN_CONCAT, /* arrays, one behind the other */
    STA_SLOT_PLAN_EVERY   /* arrays of 0 and 1 of the same length: 1 where all have 1 */
};

struct sta_slot_plan {
    enum sta_slot_plan_kind kind;
    enum sta_slot_plan_merge merge; /* SPLIT, ALL */
    uint16_t slot;                  /* ONE; else STA_OPERATION_ANY_NODE */
    bool keys_unknown;              /* it may touch keys that its route does not tell */
};

/* `route` is neither LOCAL nor REFUSED. argc >= 1. */
struct sta_slot_plan sta_slot_plan_make(const struct sta_route *route,
                                        const struct strata_bytes *argv, size_t argc);

/* For a command inside a transaction: ONE with the slot of all its keys, and *first, the index of
 * the first of them; CROSS; or what becomes of it by itself. */
struct sta_slot_plan sta_slot_plan_inside(const struct sta_route *route,
                                          const struct strata_bytes *argv, size_t argc,
                                          size_t *first);

/* Of such a plan: why it may not stand where all is of this slot (or of none yet,
 * STA_OPERATION_ANY_NODE); NULL: it may. */
const char *sta_slot_plan_refusal(const struct sta_slot_plan *inside, uint16_t slot);

/* The table's own invariant, for tests: sorted, without doubles. */
bool sta_slot_plan_valid(void);

#endif
