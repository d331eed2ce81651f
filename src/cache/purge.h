/* SPDX-License-Identifier: MIT
 *
 * Physical deletion of all keys that match a pattern, in both tiers: names (cache/listing.h) are
 * taken some at a time, and each such slice is one write of the kind that every delete is, so that
 * the rule of doubt (cache/write.c) holds for each key before its UNLINK is sent and after.
 *
 *     names --SLICE of them--> sta_write (DELETE) --all answered--> rest --> names ...
 *       ^                         |  ^
 *       |                         v  | those that failed, after a pause, within the patience
 *       '-- fetched meanwhile     PAUSE
 *
 * A barrier stands in front of it (cache/barriers.h), from before the first name until all is
 * deleted. What is deleted is what is there when its name comes by. Whoever sets a matching key
 * meanwhile may see it deleted or not.
 * Resuming: what has been deleted is gone, so beginning again goes on.
 * The pace: a slice that took t is followed by a rest of t x (100 - share) / share. Pauses and what
 * progress() takes are no work.
 * Threads: all of it on the caller's, which is not the loop's. Memory: a listing that remembers
 * nothing, and one slice.
 */
#ifndef STA_PURGE_H
#define STA_PURGE_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/cache.h"
#include "cache/listing.h"

#define STA_PURGE_SLICE       64u /* at the most; and not more than a page */
#define STA_PURGE_SLICE_BYTES ((size_t)1 << 20)

struct sta_purge_tally {
    uint64_t named;   /* keys that were found; one that was found twice counts twice */
    uint64_t deleted; /* of which we know that it was we who deleted them */
    uint64_t unsure;  /* gone, and an answer was lost: perhaps by us, perhaps counted already */
};

struct sta_purge_config {
    struct strata_bytes pattern;
    struct sta_listing_walk walk; /* deleting has the same share, and patience */
    uint64_t tell_ns; /* progress is told after the first slice, and after one so long behind it */
    /* May be NULL. False: stop here. */
    bool (*progress)(void *arg, const struct sta_purge_tally *tally);
    void *arg;
};

/* STRATA_OK: no key that matched throughout is left. STRATA_MORE: stopped by progress(). Else what
 * listing or deleting failed with, and why. The tally holds in any case. */
int sta_purge_run(struct sta_cache *cache, const struct sta_purge_config *config,
                  struct sta_purge_tally *tally, char reason[static STA_LISTING_REASON]);

#endif
