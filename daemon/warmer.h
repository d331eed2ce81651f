/* SPDX-License-Identifier: MIT
 *
 * Warming before stratad says that it is ready: the keys of a saved hot set are asked for, the
 * hottest first, by a client of stratad's own.
 *
 *     warmer's thread                          a worker, as for any client
 *     file -> those that L1 has not --GETs-->  session -> lanes -> Redis
 *               ^                                            '--> L1
 *               '-- rest <-- replies, counted and dropped <--'
 *
 * So what gets into L1 gets there by the rules of every read (internals/stratad.md). It ends with
 * the file, where L1 has no room left (nothing is evicted for it), when its time is over, and when
 * the daemon drains; then it tells the main thread.
 * Threads: open(), start(), stop() and the news are the main thread's.
 * Memory: a batch of requests, and the replies that have arrived of it.
 */
#ifndef STA_WARMER_H
#define STA_WARMER_H

#include <stdbool.h>

struct sta_stratad;
struct sta_warmer;

/* Looks at the hot file of the options. STRATA_OK with *out, or with NULL where there is nothing to
 * warm from: no file yet, or one that is refused, which is logged. *foreign: it is none of ours,
 * and is not to be written over. STRATA_ERR_NOMEM. */
int sta_warmer_open(struct sta_warmer **out, struct sta_stratad *stratad, bool *foreign);

/* Once every worker is ready. `over` is called on the main thread when it has ended, for whatever
 * reason; it may stop it. STRATA_ERR_SYSTEM. */
int sta_warmer_start(struct sta_warmer *warmer, void (*over)(struct sta_stratad *stratad));

/* Ends it where it is under way, without news, and frees it. NULL is fine. */
void sta_warmer_stop(struct sta_warmer **warmer);

#endif
