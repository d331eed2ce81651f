/* SPDX-License-Identifier: MIT
 *
 * Loads that a thread of the pool runs: a block of memory of their own with copies of key, options
 * and all else that whoever began them may take away. It lives until it has run, or was not taken.
 */
#ifndef STA_LOAD_JOB_H
#define STA_LOAD_JOB_H

#include "cache/load.h"
#include "cache/load_pool.h"

struct sta_load_job {
    struct sta_load_pool_job job;
    struct sta_load_call call;
    struct strata_load_options options;
    void (*work)(struct strata_load **loads, size_t count);
    struct sta_read read;       /* load_async.c's */
    struct strata_load **loads; /* the first `open` are to be run */
    size_t open, count;
    struct strata_load each[];
};

/* Of loads whose flights are the caller's to run; the job has them once it is taken. NULL: no
 * memory. */
struct sta_load_job *sta_load_job_create(const struct sta_load_call *call,
                                         struct strata_load *const *loads, size_t count);
void sta_load_job_free(struct sta_load_job *job);

/* STRATA_OK: work() runs the first `open`, and then the job is gone. Else it is the caller's. */
int sta_load_job_submit(struct sta_load_job *job, size_t open,
                        void (*work)(struct strata_load **loads, size_t count));

#endif
