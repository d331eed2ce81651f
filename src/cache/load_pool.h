/* SPDX-License-Identifier: MIT
 *
 * A few threads for work that nobody waits for on his own: loads in the background. None is there
 * until the first job; then as many as there are jobs, STA_LOAD_POOL_THREADS at most. What waits is
 * bounded (STA_LOAD_POOL_JOBS); beyond that it is STRATA_ERR_BUSY.
 *
 *     submit --> WAITS --> run(job, true)    on a thread of the pool
 *                  |-----> take()            by who must not wait for it, and runs it himself
 *                  '-----> run(job, false)   by close(): it is not to do its work, but to end
 *
 * What runs may wait for what waits: that is what take() is for, and why close() ends what waits
 * before it waits for what runs.
 * Threads: submit() and take() by any, also from within run(); close() by one, once, and after it
 * only submit(), which refuses.
 */
#ifndef STA_LOAD_POOL_H
#define STA_LOAD_POOL_H

#include <pthread.h>
#include <stdbool.h>

#include "core/list.h"

#define STA_LOAD_POOL_THREADS 4u
#define STA_LOAD_POOL_JOBS    256u

/* The caller's memory, until run(), which may free it. */
struct sta_load_pool_job {
    struct sta_list link;
    /* For take(): whether it is about this; NULL: nobody takes it. */
    bool (*is_about)(const struct sta_load_pool_job *job, const void *what);
    void (*run)(struct sta_load_pool_job *job, bool work);
};

struct sta_load_pool {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Guarded by lock. */
    struct sta_list jobs;
    unsigned waiting; /* jobs */
    unsigned idle;    /* threads that have no job, or are about to begin */
    unsigned started;
    bool closing;
    pthread_t threads[STA_LOAD_POOL_THREADS];
};

void sta_load_pool_init(struct sta_load_pool *pool);

/* Ends what waits, lets run what runs, joins the threads. */
void sta_load_pool_close(struct sta_load_pool *pool);
void sta_load_pool_fini(struct sta_load_pool *pool);

/* STRATA_OK: run() will be called. STRATA_ERR_BUSY, STRATA_ERR_CLOSED; STRATA_ERR_SYSTEM: there is
 * no thread, and none can be made. */
int sta_load_pool_submit(struct sta_load_pool *pool, struct sta_load_pool_job *job);

/* The job about this, which the caller has to run; NULL: it is not waiting, or a thread is free for
 * it. */
struct sta_load_pool_job *sta_load_pool_take(struct sta_load_pool *pool, const void *what);

#endif
