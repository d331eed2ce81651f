/* SPDX-License-Identifier: MIT
 *
 * The way of a read that ends with a loader, on the calling thread:
 *
 *     run     L1 ---hit--> done
 *              '--miss--> FLIGHT --another loads it--> wait for it --> done
 *                            '---ours: L1 again -> L2 -> LOADER -> FILL --> done, for all that wait
 *
 * No lock is held and nothing is led while the loader runs.
 */
#ifndef STA_LOAD_H
#define STA_LOAD_H

#include "cache/cache.h"
#include "strata/load.h"

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
    uint64_t deadline_ns; /* of waiting for others */
    bool gave_up;         /* that is over, and nothing was loaded */
};

/* One key from L1 alone. STRATA_OK with a value to release, STRATA_MISS: a loader said that there
 * is none; STRATA_MORE: sta_load_run() has to find out; or why the key is refused. */
int sta_load_hit(struct sta_cache *cache, struct strata_bytes key, uint64_t now_ns,
                 struct strata_value *value);

/* After STRATA_MORE. As strata_get_or_load(). */
int sta_load_run(struct strata_load *load, struct strata_value *value);

/* What strata/load.h says. */
int sta_load_set(struct strata_load *load, struct strata_bytes value, uint64_t ttl_ms);
void sta_load_set_none(struct strata_load *load, uint64_t ttl_ms);

/* A write without L1: who asks from here on does not share a load that has begun. */
void sta_load_overtake(struct sta_cache *cache, struct strata_bytes key);

#endif
