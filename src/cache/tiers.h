/* SPDX-License-Identifier: MIT
 *
 * The struct behind the door: what the files of this room share. Fixed at creation except for
 * the counters and for what is live.
 */
#ifndef STA_TIERS_H
#define STA_TIERS_H

#include <stdatomic.h>

#include "cache/barriers.h"
#include "cache/cache.h"
#include "cache/flight.h"
#include "cache/invalidate.h"
#include "cache/lease.h"
#include "cache/load_pool.h"
#include "cache/prefixes.h"
#include "cache/repair.h"
#include "cache/sweeper.h"
#include "cache/timing.h"
#include "core/random.h"
#include "net/loop.h"

/* L1's flags. */
#define STA_TIERS_ABSENT 1u /* Redis had no such key when it was asked (null values) */
#define STA_TIERS_NONE   2u /* a loader said that there is none */
#define STA_TIERS_AGED   4u /* with a head (cache/aged.h) */
#define STA_TIERS_TAGGED 8u /* as it is stored, with the versions of its tags (cache/tags.h) */

/* What may change while the cache runs, by sta_cache_adjust(); nobody looks at these of `config`.
 * Each by itself: a call that takes two of them may have one of before and one of after. */
struct sta_tiers_live {
    _Atomic uint64_t l1_ttl_ms, l2_ttl_ms, null_ttl_ms;
    _Atomic uint64_t budget_ns;                 /* of one call */
    _Atomic uint64_t serve_stale;               /* enum strata_serve_stale */
    _Atomic uint64_t null_values, invalidation; /* 0 or 1 */
};

/* Relaxed: nothing else hangs from it. */
static inline uint64_t sta_live(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

/* Relaxed, all of them: they are numbers for people. */
struct sta_tier_counters {
    _Atomic uint64_t hits, misses, sets, deletes, errors;
};

struct sta_cache {
    struct sta_cache_config config; /* key_prefix points to `prefix` */
    struct strata_bytes prefix;     /* owned */
    struct sta_tiers_live live;     /* atomic */
    struct sta_log *log;
    struct sta_l1 *l1;          /* NULL: switched off */
    struct sta_l2 *l2;          /* NULL: switched off */
    struct sta_loop *loop;      /* runs from create to destroy, on a thread of its own */
    struct sta_sweeper sweeper; /* loop thread */
    struct sta_behind *behind;  /* NULL: no write-behind */
    bool running;               /* the loop's thread was started */
    struct sta_prefixes
        *prefixes; /* NULL: not counted by prefix; looked at by each hit, beside l1 */

    struct sta_tier_counters l1_counters; /* all but hits and misses, which l1 counts */
    struct sta_tier_counters l2_counters;
    _Atomic uint64_t stale;    /* answers past their proof */
    struct sta_timing *timing; /* NULL: nothing is timed */

    struct sta_invalidate invalidate; /* queued invalidations */
    struct sta_repair repair;         /* reads of what is in doubt */
    struct sta_barriers barriers;     /* what is invalidated by pattern, here and elsewhere */

    struct sta_flights flights; /* loads under way */
    uint64_t flights_seed;      /* of their keys' hashes, where there is no L1 */
    struct sta_leases leases;   /* loads of other processes that are waited for */
    struct sta_load_pool pool;  /* loads in the background */
    _Atomic uint64_t chance;    /* relaxed; random, and one more with each use */
    _Atomic uint64_t loads, loads_failed, loads_shared, loads_early;
};

static inline void sta_tiers_count_times(_Atomic uint64_t *counter, uint64_t times)
{
    atomic_fetch_add_explicit(counter, times, memory_order_relaxed);
}

static inline void sta_tiers_count(_Atomic uint64_t *counter)
{
    sta_tiers_count_times(counter, 1);
}

/* A get that found an entry with flags in L1, which leaves it to us what it was. */
static inline void sta_tiers_count_l1(struct sta_cache *cache, const struct sta_key *key,
                                      enum sta_l1_counter what, size_t bytes)
{
    sta_l1_count(cache->l1, what);
    if (what == STA_L1_hits)
        sta_prefixes_hit(cache->prefixes, STA_TIMING_L1, key->bytes, bytes);
    else
        sta_prefixes_miss(cache->prefixes, STA_TIMING_L1, key->bytes);
}

/* 64 random bits, of which nobody depends for his safety. */
static inline uint64_t sta_tiers_draw(struct sta_cache *cache)
{
    uint64_t random = atomic_fetch_add_explicit(&cache->chance, 1, memory_order_relaxed);
    return sta_random_next(&random);
}

/* What a write asks for, or the default. */
static inline uint64_t sta_tiers_ttl_ms(const struct sta_cache *cache,
                                        const struct strata_item *item)
{
    return item->ttl_ms != 0 ? item->ttl_ms : sta_live(&cache->live.l2_ttl_ms);
}

#endif
