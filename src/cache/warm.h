/* SPDX-License-Identifier: MIT
 *
 * Warming L1, batch by batch, at a pace, on the caller's thread, which is not the loop's.
 *
 *     names --those that L1 has not--> batch --one read of all--> L1, by the fill rule --> ...
 *                                        '--no room for it in L1--> the end
 *
 * Each batch is a read like any other (cache/read.c): tracked, and refused by L1 where something
 * overtook it. So what is warmed is as right as what is read.
 * The room for a batch is estimated by the mean of what was read so far.
 */
#ifndef STA_WARM_H
#define STA_WARM_H

#include "cache/cache.h"
#include "cache/hot_file.h"
#include "cache/hot_set.h"
#include "strata/warm.h"

#define STA_WARM_BATCH_MOST 1000u

/* As sta_hot_set_save() of L1, which there is, without what says that there is nothing (no_flags is
 * not looked at). */
int sta_warm_save(struct sta_cache *cache, const char *path, const struct sta_hot_bounds *bounds,
                  uint64_t *saved, struct strata_error *error);

struct sta_warm_config {
    const struct strata_warm_options *options; /* with the defaults put in, and checked */
    /* The next name, readable until the next call. STRATA_OK; STRATA_MISS: that was all; or an
     * error. */
    int (*next)(void *source, struct strata_bytes *name);
    void *source;
};

/* STRATA_OK: no more names, or no room (progress->full). STRATA_MORE: ended by progress(). Errors
 * of next(); of the reads, where a whole batch failed; STRATA_ERR_NOMEM. `progress` begins as the
 * caller has it, and holds in any case. There is an L1 and an L2. */
int sta_warm_run(struct sta_cache *cache, const struct sta_warm_config *config,
                 struct strata_warm_progress *progress);

/* As sta_hot_reader_next(), but a tear is the end, and noted in `progress`. */
int sta_warm_next_saved(struct sta_hot_reader *reader, struct sta_hot_record *record,
                        struct strata_warm_progress *progress);

/* Puts saved values into L1, for a cache without L2: where it has none, and nothing has been
 * written under the key's generation. As sta_warm_run(). */
int sta_warm_restore(struct sta_cache *cache, struct sta_hot_reader *reader,
                     const struct strata_warm_options *options,
                     struct strata_warm_progress *progress);

#endif
