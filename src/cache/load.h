/* SPDX-License-Identifier: MIT
 *
 * The way of a read that ends with a loader, on the calling thread:
 *
 *     run     L1 ---hit--> done
 *              '--miss--> FLIGHT --another loads it--> wait for it --> done
 *                            '---ours: L1 again -> L2 -> LOADER -> FILL --> done, for all that wait
 *
 * Where the loader fails, each of those that wait and ask for it gets what was there before, as long as
 * it may be served (STRATA_STALE): what Redis has behind an envelope, or what L1 has, where Redis is away;
 * the others get the failure. A failed load of what is still in its time answers all of them with that.
 *
 * No lock is held and nothing is led while the loader runs.
 */
#ifndef STA_LOAD_H
#define STA_LOAD_H

#include "cache/cache.h"
#include "strata/load.h"

/* What was there before, and is past its time. */
struct sta_load_previous {
    bool there;
    struct strata_bytes value;
    struct strata_value held; /* it, or the envelope that it is in; to be released */
    uint64_t fresh_until_ms;  /* until then it is still in its time: it is loaded early */
    uint64_t until_ms;        /* until then it may be served */
    uint64_t throttled_until_ms;
};

/* That a hit is to be loaded anew before its time is over. */
struct sta_load_early {
    bool due;
    uint64_t fresh_until_ms;
};

enum sta_load_answer { STA_LOAD_NOTHING, STA_LOAD_VALUE, STA_LOAD_NONE };

struct strata_load {
    /* The caller's. */
    struct sta_cache *cache;
    struct strata_bytes key;
    strata_loader loader;
    void *arg;
    const struct strata_load_options *options;

    /* The loader's answer. */
    enum sta_load_answer answer;
    struct strata_value value;
    uint64_t ttl_ms; /* 0: as the options say */

    /* The room's own. */
    bool early;              /* the value's time is not over: nobody waits for this load */
    uint64_t fresh_until_ms; /* early: for so long L1 has it */
    uint64_t load_us;        /* what the loader took */
    uint64_t begun_ns;
    uint64_t deadline_ns; /* of waiting for others: by hard_timeout_ms, else patience_ns */
    uint64_t patience_ns; /* by wait_ms */
    bool gave_up;         /* that is over, and nothing was loaded; or nothing can be */
    int failure;          /* with STRATA_STALE: what went wrong, as sta_flight_end() has it */
    struct sta_load_previous previous;
    struct sta_read_found found;
};

/* One key from L1 alone. STRATA_OK with a value to release; STRATA_STALE likewise: it is past its
 * time, and a load has just failed; STRATA_MISS: a loader said that there is none; STRATA_MORE:
 * sta_load_run() has to find out; or why the key is refused. `options` may be NULL. `early` is set
 * where the hit is due for a load. */
int sta_load_hit(struct sta_cache *cache, struct strata_bytes key,
                 const struct strata_load_options *options, uint64_t now_ns,
                 struct strata_value *value, struct sta_load_early *early);

/* After a hit that is due: loads it in the background, unless that is under way, or there is too much
 * to do. Key and options are copied. */
void sta_load_refresh(const struct strata_load *load, const struct sta_load_early *early);

/* After STRATA_MORE. As strata_get_or_load(). */
int sta_load_run(struct strata_load *load, struct strata_value *value);

/* What strata/load.h says. */
int sta_load_set(struct strata_load *load, struct strata_bytes value, uint64_t ttl_ms);
void sta_load_set_none(struct strata_load *load, uint64_t ttl_ms);
int sta_load_set_unchanged(struct strata_load *load, uint64_t ttl_ms);

/* ---- the room's own ---- */

struct sta_fill;
struct sta_flight;

/* By who runs the flight: L2, the loader, the tiers. As strata_get_or_load(), but that STRATA_STALE comes
 * with `failure`, and is not for who does not ask for it. */
int sta_load_fly(struct strata_load *load, struct sta_fill *fill, struct strata_value *value);

/* Lets a thread of the pool run a flight that is ours: STRATA_OK, and it will be ended; else it is still
 * ours. */
int sta_load_hand_over(const struct strata_load *load, const struct sta_fill *fill);

/* From within a loader, before it waits for a flight: where that waits for a thread of the pool, and there
 * is none, it is run here. Threads that all wait for what waits for them would do so for good. */
void sta_load_run_waiting(struct sta_cache *cache, const struct sta_flight *flight);

/* Runs the loader: STRATA_OK with a value, STRATA_MISS, or its error. */
int sta_load_call(struct strata_load *load);

/* A write without L1: who asks from here on does not share a load that has begun. */
void sta_load_overtake(struct sta_cache *cache, struct strata_bytes key);

#endif
