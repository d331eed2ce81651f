/* SPDX-License-Identifier: MIT
 *
 * The names of all keys that match a pattern, in both tiers, each once: L1's, then L2's
 * (l2/scanner.h). In this order, for values go from L1 to L2 and not back out of it: what leaves L1
 * after we were there is in L2 when we come there, or is gone. With write-through off they do go
 * back: then L1 is walked once more at the end.
 *
 *     caller's thread                        loop's thread
 *     L1's names, step by step
 *     fetch ------------------------------>  feed: pages of the scan are appended to a buffer,
 *       waits                                while it has less than it should
 *       <-- signal, with the buffer -------
 *     each name that was not seen yet
 *
 * Threads: one at a time, not the loop's. create() to destroy() within the cache's life.
 * Memory: the feed's buffer and the caller's, each STA_LISTING_AHEAD and one page for each node at
 * the most; and what was seen (cache/seen.h).
 */
#ifndef STA_LISTING_H
#define STA_LISTING_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/cache.h"

#define STA_LISTING_AHEAD  ((size_t)256 << 10) /* bytes of names fetched ahead */
#define STA_LISTING_REASON 440u

struct sta_listing;

/* How Redis is walked over. Zeroes are the defaults. */
struct sta_listing_walk {
    uint64_t count;       /* of one SCAN: 1 to 100 000; 200 */
    uint64_t share;       /* percent, 1 to 100; 25 */
    uint64_t patience_ms; /* 1 to 3 600 000; 30 000 */
};

/* Puts the defaults in; STRATA_ERR_INVALID where it is out of bounds, which are these. */
#define STA_LISTING_WALK_ALLOWED                                                                   \
    "allowed: page 1 to 100000, share 1 to 100 percent, patience_ms 1 to 3600000"
int sta_listing_check_walk(struct sta_listing_walk *walk);

struct sta_listing_config {
    struct strata_bytes pattern;  /* copied; no bytes: all */
    struct sta_listing_walk walk; /* checked */
    uint64_t seen_bytes;          /* 0: nothing is remembered, and a name may come twice */
};

/* STRATA_ERR_NOMEM, STRATA_ERR_TOO_BIG (the pattern). */
int sta_listing_create(struct sta_listing **out, struct sta_cache *cache,
                       const struct sta_listing_config *config);
void sta_listing_destroy(struct sta_listing **listing);

/* STRATA_OK with a name that is readable until the next call; STRATA_MISS: that was all;
 * STRATA_ERR_TOO_BIG: more than can be remembered; or what the scan ended with. An end and an error
 * stay. */
int sta_listing_next(struct sta_listing *listing, struct strata_bytes *name);

/* Whether a key is strata's own: a lease, the version of a tag. */
bool sta_listing_is_own(struct strata_bytes name);

/* Why next() failed. */
const char *sta_listing_reason(const struct sta_listing *listing);

#endif
