/* SPDX-License-Identifier: MIT
 *
 * The in-memory tier by itself: a bounded cache with TTLs, without Redis and without threads of
 * its own except one that sweeps expired entries.
 * Threads: every call is safe from any thread, except close, which must be the last.
 */
#ifndef STRATA_L1_H
#define STRATA_L1_H

#include "bytes.h"
#include "cache.h"
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct strata_l1;

/* Zero fields mean the defaults. */
struct strata_l1_options {
    uint64_t max_size;            /* entries; 1000; STRATA_UNLIMITED: no bound */
    uint64_t max_bytes;           /* 64 MiB */
    uint64_t default_ttl_ms;      /* 300 000; STRATA_UNLIMITED: never expires */
    uint64_t cleanup_interval_ms; /* 60 000; STRATA_UNLIMITED: no sweeps, expiry is lazy only */
};

STRATA_API int strata_l1_open(struct strata_l1 **out, const struct strata_l1_options *options,
                              struct strata_error *error);
STRATA_API void strata_l1_close(struct strata_l1 **l1);

/* As their namesakes in cache.h. set: STRATA_OK, STRATA_SKIPPED (larger than the tier admits;
 * what was there is gone), STRATA_ERR_NOMEM. */
STRATA_API int strata_l1_get(struct strata_l1 *l1, struct strata_bytes key,
                             struct strata_value *value);
STRATA_API int strata_l1_set(struct strata_l1 *l1, struct strata_bytes key,
                             struct strata_bytes value, uint64_t ttl_ms);
STRATA_API int strata_l1_delete(struct strata_l1 *l1, struct strata_bytes key);
STRATA_API void strata_l1_clear(struct strata_l1 *l1);

struct strata_l1_statistics {
    uint64_t hits;
    uint64_t misses;
    uint64_t entries;
    uint64_t memory_bytes;
    uint64_t evictions;
    uint64_t expirations;
};

STRATA_API void strata_l1_statistics(struct strata_l1 *l1, struct strata_l1_statistics *out);

#ifdef __cplusplus
}
#endif

#endif
