/* SPDX-License-Identifier: MIT
 *
 * The struct behind the door: what the files of this room share. Fixed at creation except for
 * the counters.
 */
#ifndef STA_TIERS_H
#define STA_TIERS_H

#include <stdatomic.h>

#include "cache/cache.h"
#include "cache/sweeper.h"
#include "net/loop.h"

/* Relaxed, all of them: they are numbers for people. */
struct sta_tier_counters {
    _Atomic uint64_t hits, misses, sets, deletes, errors;
};

struct sta_cache {
    struct sta_cache_config config; /* key_prefix points to `prefix` */
    struct strata_bytes prefix;     /* owned */
    uint64_t budget_ns;             /* of one call */
    struct sta_log *log;
    struct sta_l1 *l1;          /* NULL: switched off */
    struct sta_l2 *l2;          /* NULL: switched off */
    struct sta_loop *loop;      /* runs from create to destroy, on a thread of its own */
    struct sta_sweeper sweeper; /* loop thread */
    bool running;               /* the loop's thread was started */

    struct sta_tier_counters l1_counters; /* all but hits and misses, which l1 counts */
    struct sta_tier_counters l2_counters;
    _Atomic uint64_t stale; /* answers past their proof */
};

static inline void sta_tiers_count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

#endif
