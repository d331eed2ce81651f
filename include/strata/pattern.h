/* SPDX-License-Identifier: MIT
 *
 * Invalidation by pattern: all keys that match are deleted, in both tiers, on every primary of a
 * cluster, and counted.
 *
 *     strata_invalidate_pattern(cache, strata_text("session:*"), &count);
 *
 * Before the first key is deleted, what matches is hidden: this cache, and within a push all caches
 * with the same prefix that hear of what others write, answer STRATA_MISS for it as if it were
 * gone, until it is; stratad's clients are answered so too (docs/internals/barriers.md). Caches of
 * other kinds (L1 or tracking off) and other clients see each key until it is deleted. What is set
 * under a matching key meanwhile is seen by the cache that set it, is hidden from the others until
 * the call returns, and may be deleted or not. A call that ends otherwise than with STRATA_OK shows
 * again what it has not deleted; so does the death of its process, ten
 * seconds later.
 *
 * Patterns are Redis' globs over the names of keys without the configured prefix (keys.h). A key
 * that matches from begin to end is gone when STRATA_OK is answered. Keys are deleted with UNLINK,
 * whatever type their value has; each leaves L1 before its UNLINK is sent, and what was read
 * meanwhile is not kept. While slots move and primaries fail it goes on; where that lasts longer
 * than the patience it ends with an error, never in silence, and a second call goes on where the
 * first one ended: what has been deleted is gone. A failover that loses deletions which Redis had
 * acknowledged brings keys back; those are deleted, and counted, again. Pace: at most `share`
 * percent of the time a node is scanned, and as much of it keys are deleted. What others feel of it
 * depends on both: a page of 8 and a share of 10 cost the p99 of gets beside it less than 10 %, at
 * 2,000 keys a second; the defaults a third, at ten times as many (docs/benchmarks.md).
 * Threads: any, but no callback on the cache's I/O thread. Several at once are fine; each key is
 * then counted by one of them. Memory: 512 KiB of names, two pages of each node and 1 MiB.
 */
#ifndef STRATA_PATTERN_H
#define STRATA_PATTERN_H

#include "cache.h"

#ifdef __cplusplus
extern "C" {
#endif

struct strata_pattern_progress {
    uint64_t found;   /* names that matched; one that was met twice counts twice */
    uint64_t deleted; /* keys that this call has deleted: exact where unsure is 0; each once */
    uint64_t
        unsure; /* an answer to UNLINK was lost, and then the key was gone: deleted by this call,
                         or not. So what it has deleted is `deleted` to `deleted + unsure` keys */
};

/* Zero fields mean the defaults. */
struct strata_pattern_options {
    uint64_t page;        /* keys that Redis looks at at a time, 1 to 100 000; 200; as many, but not
                             more than 64, are deleted at a time */
    uint64_t share;       /* percent of the time, 1 to 100; 25 */
    uint64_t patience_ms; /* how long a node may answer nothing, 1 to 3 600 000; 30 000 */

    /* Told on the calling thread, between two deletions: after the first that there are, and about
     * ten times a second. Anything but 0 ends the call with STRATA_MORE. May use the cache. */
    int (*progress)(void *arg, const struct strata_pattern_progress *progress);
    void *progress_arg;
};

/* Deletes what matches, and waits until that is done. *count (may be NULL) is what this call has
 * deleted: keys that were in Redis; with write-through off or without L2, in either tier.
 * STRATA_OK, also where nothing matched; the errors of strata_keys_next() and strata_delete(), with
 * *count of what was deleted all the same; STRATA_ERR_TOO_BIG: the pattern, more than 65535 bytes;
 * STRATA_ERR_DISABLED: by invalidation_enabled; STRATA_ERR_INVALID: an empty pattern, an option out
 * of bounds, or a call on the I/O thread. */
STRATA_API int strata_invalidate_pattern(struct strata *cache, struct strata_bytes pattern,
                                         uint64_t *count);

/* The same with options (may be NULL), with the particulars of an error (may be NULL), and with all
 * that was counted in `result` (may be NULL), which is set whatever is answered. STRATA_MORE: ended
 * by progress(); keys may be left. */
STRATA_API int strata_invalidate_pattern_with(struct strata *cache, struct strata_bytes pattern,
                                              const struct strata_pattern_options *options,
                                              struct strata_pattern_progress *result,
                                              struct strata_error *error);

/* All keys of the cache: those under its prefix, in both tiers, and so what
 * strata_invalidate_pattern() says of "*". The versions of tags stay; the values that had them are
 * gone. STRATA_ERR_INVALID: there is no prefix, and so all of the database would be meant; who
 * means that says so with "*". */
STRATA_API int strata_clear(struct strata *cache, uint64_t *count);

#ifdef __cplusplus
}
#endif

#endif
