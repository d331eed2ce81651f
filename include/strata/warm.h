/* SPDX-License-Identifier: MIT
 *
 * A warm start: what L1 had when it was hot is saved, as keys, and read again by the next process
 * before it is asked.
 *
 *     strata_save_hot(cache, "/var/lib/app/hot", NULL, NULL, &error);      before strata_close()
 *     struct strata_warm_options options = {.hot_file = "/var/lib/app/hot"};
 *     strata_warm(cache, &options, NULL, &error);                          after strata_open()
 *
 * Coherence: keys are read from Redis, as strata_get() reads them, so that whatever others wrote
 * between saving and warming is what L1 has. Values are saved only by a cache without L2, where
 * there is nobody else to ask.
 * Threads: any, but no callback on the cache's I/O thread. Both work on the calling thread.
 */
#ifndef STRATA_WARM_H
#define STRATA_WARM_H

#include "cache.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero fields mean the defaults. */
struct strata_save_hot_options {
    uint64_t max_keys;  /* any number; past it the coldest are left out */
    uint64_t max_bytes; /* 64 MiB; of the file, and of memory meanwhile */
    /* Off. On: values too, with what is left of their TTL; for a cache without L2 only. What was
     * written or deleted after the saving comes back as it was before: save last. */
    enum strata_switch values;
};

/* Saves the keys that L1 has, in order of heat, to a file: written beside `path`, synced, renamed;
 * a process that dies meanwhile leaves what was there, and perhaps a file path.XXXXXX. *saved (may
 * be NULL) is how many keys. STRATA_OK; STRATA_ERR_DISABLED: there is no L1; STRATA_ERR_INVALID:
 * `values` before an L2; STRATA_ERR_SYSTEM, with the file and why in `error` (may be NULL);
 * STRATA_ERR_NOMEM. On failure the file is as it was. Callers go on meanwhile. */
STRATA_API int strata_save_hot(struct strata *cache, const char *path,
                               const struct strata_save_hot_options *options, uint64_t *saved,
                               struct strata_error *error);

struct strata_warm_progress {
    uint64_t total;   /* keys that there are to read; 0: that is not known */
    uint64_t named;   /* of these, dealt with: the sum of the next five */
    uint64_t there;   /* L1 had them */
    uint64_t warmed;  /* L1 has them now */
    uint64_t missing; /* Redis has none; of saved values: their time is over */
    uint64_t refused; /* not kept: overtaken, too large, not tracked, or beyond a quota */
    uint64_t failed;  /* no answer */
    int full;         /* 1: ended because L1 would have had to evict for more */
    int torn;         /* 1: the file ended before its end, or is damaged there: warmed up to that */
};

/* Zero fields mean the defaults. */
struct strata_warm_options {
    /* What: exactly one of these. */
    const struct strata_bytes *keys; /* key_count of them, the hottest first */
    size_t key_count;
    struct strata_bytes pattern; /* keys that match (keys.h) */
    const char *hot_file;        /* of strata_save_hot() */

    uint64_t max_keys;   /* any number */
    uint64_t batch_size; /* keys in one round trip, 1 to 1000; 100 */
    uint64_t rate;       /* keys a second; STRATA_UNLIMITED */
    uint64_t share;      /* percent of the time that it may be at work, 1 to 100; 50 */

    /* Told on the calling thread after each batch. Anything but 0 ends the call with STRATA_MORE.
     * May use the cache. */
    int (*progress)(void *arg, const struct strata_warm_progress *progress);
    void *progress_arg;
};

/* Reads keys that L1 does not have, and keeps them there, until all are, L1 has no room (nothing is
 * evicted for it: what is read first stays), or somebody ends it. Saved values of a cache without
 * L2 go in as they are, where nothing has been set or deleted since the cache was opened. `result`
 * (may be NULL) is set whatever is answered. STRATA_OK; STRATA_MORE: ended by progress();
 * STRATA_ERR_INVALID: an option, the file is no saved hot set, or has no values and there is no L2;
 * STRATA_ERR_UNSUPPORTED: it is of another version; STRATA_ERR_DISABLED: no L1, or read-through is
 * off; STRATA_ERR_SYSTEM: the file; errors of strata_keys_next(); of strata_get(), where a whole
 * batch failed. */
STRATA_API int strata_warm(struct strata *cache, const struct strata_warm_options *options,
                           struct strata_warm_progress *result, struct strata_error *error);

#ifdef __cplusplus
}
#endif

#endif
