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
    const char *const *quotas;    /* "PREFIX=BYTES/ENTRIES" each (docs/configuration.md) */
    size_t quota_count;
};

/* `options` NULL: all defaults. STRATA_ERR_CONFIG, STRATA_ERR_NOMEM, STRATA_ERR_SYSTEM, with the
 * particulars in `error` (may be NULL); *out is untouched then. */
STRATA_API int strata_l1_open(struct strata_l1 **out, const struct strata_l1_options *options,
                              struct strata_error *error);

/* Values that were handed out must have been released, and scans closed. Sets the pointer to NULL;
 * NULL is fine. */
STRATA_API void strata_l1_close(struct strata_l1 **l1);

/* As their namesakes in cache.h: a value is given back with strata_release(); keys and values have
 * the same bounds. get: STRATA_OK, STRATA_MISS. set (`ttl_ms` 0: the default): STRATA_OK,
 * STRATA_SKIPPED (larger than the tier admits; what was there is gone), STRATA_ERR_NOMEM. delete:
 * STRATA_OK, STRATA_MISS. A key or value that is none: STRATA_ERR_INVALID, STRATA_ERR_TOO_BIG. */
STRATA_API int strata_l1_get(struct strata_l1 *l1, struct strata_bytes key,
                             struct strata_value *value);
STRATA_API int strata_l1_set(struct strata_l1 *l1, struct strata_bytes key,
                             struct strata_bytes value, uint64_t ttl_ms);
STRATA_API int strata_l1_delete(struct strata_l1 *l1, struct strata_bytes key);

/* Removes everything; values that were handed out stay readable. */
STRATA_API void strata_l1_clear(struct strata_l1 *l1);

/* As get, but leaves no trace: it counts nothing and keeps nothing from being evicted. */
STRATA_API int strata_l1_peek(struct strata_l1 *l1, struct strata_bytes key,
                              struct strata_value *value);

/* Another TTL, from now on; 0 is the default. STRATA_OK; STRATA_MISS: there is no such entry;
 * STRATA_SKIPPED: there is no room for the change, and it is gone. */
STRATA_API int strata_l1_expire(struct strata_l1 *l1, struct strata_bytes key, uint64_t ttl_ms);

/* Names the keys that match a glob pattern (as Redis' KEYS has them; no bytes: all). A key that is
 * there from open to the end is named at least once, and twice only where the tier grew or shrank
 * meanwhile. One thread at a time; close it before the tier. */
struct strata_l1_scan;

/* `match` is not needed after the call. STRATA_ERR_NOMEM; STRATA_ERR_TOO_BIG: it has more than
 * 65535 bytes. */
STRATA_API int strata_l1_scan_open(struct strata_l1 *l1, struct strata_bytes match,
                                   struct strata_l1_scan **out);

/* STRATA_OK, with a key that is readable until the next call; STRATA_MISS at the end;
 * STRATA_ERR_NOMEM: try again, or give up. */
STRATA_API int strata_l1_scan_next(struct strata_l1_scan *scan, struct strata_bytes *key);

/* At any time. Sets the pointer to NULL; NULL is fine. */
STRATA_API void strata_l1_scan_close(struct strata_l1_scan **scan);

struct strata_l1_statistics {
    uint64_t hits; /* gets */
    uint64_t misses;
    uint64_t entries;      /* now */
    uint64_t memory_bytes; /* now: of index and entries */
    uint64_t evictions;    /* entries that had to make room */
    uint64_t expirations;  /* entries that were removed because their time was over */
};

/* Any thread; always succeeds. */
STRATA_API void strata_l1_statistics(struct strata_l1 *l1, struct strata_l1_statistics *out);

#ifdef __cplusplus
}
#endif

#endif
