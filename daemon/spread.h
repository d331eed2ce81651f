/* SPDX-License-Identifier: MIT
 *
 * A command that several nodes of a cluster have to answer: an operation for each slot of its keys,
 * or for each primary. They go out together; when the last one is answered their replies become
 * one, and the exchange is concluded as if one Redis had sent it.
 *
 *   DEL a b c --> [DEL a c] --> node 1 --> :2 --.
 *             '-> [DEL b]   --> node 2 --> :1 --+--> :3 --> conclude()
 *
 * Keys of one slot stay together, in their order, but where the slot is half moved: what Redis goes
 * on to answer with TRYAGAIN is broken into a piece for each key. There is no moment at which all
 * of it happens: each part is carried out by itself, and what fails leaves the others as they are.
 * A write of which only a part was carried out is answered with an error that begins with PARTIAL.
 *
 * Memory: one allocation for the parts, one for the pieces of a part, and a copy of each reply
 * where there are several.
 * Threads: the worker's loop.
 */
#ifndef STA_SPREAD_H
#define STA_SPREAD_H

#include <stddef.h>

#include "daemon/slot_plan.h"
#include "l2/slot_map.h"
#include "strata/bytes.h"

struct sta_exchange;
struct sta_spread;

/* Appends the commands of the parts to the exchange's wire, which has the whole one already. The
 * keys are argv[1], argv[1 + step], ...; `with_pttl`: each is followed by a PTTL of its keys.
 * STRATA_ERR_NOMEM: the exchange can only be destroyed. */
int sta_spread_split(struct sta_exchange *exchange, const struct strata_bytes *argv, size_t argc,
                     size_t step, enum sta_slot_plan_merge merge, bool with_pttl);

/* The whole command, for each node that serves slots in the map. */
int sta_spread_over_all(struct sta_exchange *exchange, const struct sta_slot_map *map,
                        enum sta_slot_plan_merge merge);

/* Sends the parts; the exchange's operation says by which way, until when, and whether they may be
 * repeated. Its done() is called when all are answered, maybe before this returns. */
void sta_spread_send(struct sta_exchange *exchange);

/* Of nothing under way. NULL is fine. */
void sta_spread_destroy(struct sta_spread **spread);

#endif
