/* SPDX-License-Identifier: MIT
 *
 * Reading again what is in doubt, at a bounded rate. When a connection is lost, a database flushed or a
 * cluster's map new, all that came from there is suspect at once (l1/stamp.h), and whoever asks for it has to
 * ask Redis: a suspect entry is never the answer. So that a whole tier that is asked for again does
 * not fall upon Redis at once, such reads go by turns:
 *
 *     submit --rate has room, nobody waits--> sent
 *        |---its turn would come too late--> STRATA_ERR_BUSY, at once
 *        '--> waits --its turn--> L1 is asked again --proven meanwhile--> answered, for nothing
 *               '--its time is over--> BUSY    '--still in doubt--> sent
 *
 * That L1 is asked again merges all that wait for one key into one question; so when a turn will come is
 * reckoned by keys, of which those with one mark count as one (a guess that is too early at the worst). Reads of what L1 has
 * nothing of, hits and writes do not come here. Why it is so: docs/design/0015-repair.md.
 * Threads: submit() and the numbers any, the rest the loop's. Memory: nothing but the reads' own.
 */
#ifndef STA_REPAIR_H
#define STA_REPAIR_H

#include <stdatomic.h>

#include "core/list.h"
#include "core/rate.h"
#include "net/loop.h"

struct sta_cache;
struct sta_read;
struct strata_statistics;

#define STA_REPAIR_MARKS 16384u

struct sta_repair {
    struct sta_cache *cache;

    /* The loop's. */
    struct sta_rate rate;
    struct sta_list waiting;
    uint32_t marks[STA_REPAIR_MARKS]; /* how many keys in doubt of those, by hash */
    uint64_t marked;                  /* marks that are not 0 */
    struct sta_timer timer;
    bool closed;

    _Atomic uint64_t keys, delayed, refused; /* relaxed */
};

/* `per_second`: keys; 0: any. */
void sta_repair_init(struct sta_repair *repair, struct sta_cache *cache, uint64_t per_second);

/* A read that was begun, of which some keys are in doubt: sent in its turn. */
void sta_repair_submit(struct sta_repair *repair, struct sta_read *read);

/* A key in doubt of a read that was sent was not asked for after all: Redis is away. So while it is, nobody
 * waits for a turn only to be told so. */
void sta_repair_give_back(struct sta_repair *repair);

/* By who leads the loop, which does not run any more: what waits, and what is still to come, ends with
 * STRATA_ERR_CLOSED. */
void sta_repair_close(struct sta_repair *repair);

void sta_repair_statistics(const struct sta_repair *repair, struct strata_statistics *out);

#endif
