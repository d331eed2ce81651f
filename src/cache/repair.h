/* SPDX-License-Identifier: MIT
 *
 * Reading again what is in doubt, at a bounded rate. When a connection is lost, a database flushed
 * or a cluster's map new, all that came from there is suspect at once (l1/stamp.h), and whoever
 * asks for it has to ask Redis: a suspect entry is never the answer. So that a whole tier that is
 * asked for again does not fall upon Redis at once, such reads go by turns (turns.h); whose turn
 * comes too late ends with STRATA_ERR_BUSY. Reads of what L1 has nothing of, hits and writes do not
 * come here. Why it is so: docs/design/0015-repair.md.
 * Threads: submit(), adjust() and the numbers any, the rest the loop's. Memory: nothing but the
 * reads' own.
 */
#ifndef STA_REPAIR_H
#define STA_REPAIR_H

#include "cache/turns.h"

struct sta_cache;
struct sta_read;
struct strata_statistics;

struct sta_repair {
    struct sta_cache *cache;
    struct sta_pace pace;

    /* The loop's. */
    struct sta_turns turns;
    bool closed;
};

/* `per_second`: keys; 0: any. start(): once there is a loop. */
void sta_repair_init(struct sta_repair *repair, struct sta_cache *cache, uint64_t per_second);
void sta_repair_start(struct sta_repair *repair);
/* Any thread: another rate from now on. */
void sta_repair_adjust(struct sta_repair *repair, uint64_t per_second);
void sta_repair_fini(struct sta_repair *repair);

/* A read that was begun, of which some keys are in doubt: sent in its turn. */
void sta_repair_submit(struct sta_repair *repair, struct sta_read *read);

/* A key in doubt of a read that was sent was not asked for after all: Redis is away. */
void sta_repair_give_back(struct sta_repair *repair);

/* By who leads the loop, which does not run any more: what waits, and what is still to come, ends
 * with STRATA_ERR_CLOSED. */
void sta_repair_close(struct sta_repair *repair);

void sta_repair_statistics(const struct sta_repair *repair, struct strata_statistics *out);

#endif
