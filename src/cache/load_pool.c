/* SPDX-License-Identifier: MIT
 *
 * See load_pool.h.
 */
#include "cache/load_pool.h"

#include <signal.h>

#include "strata/status.h"

void sta_load_pool_init(struct sta_load_pool *pool)
{
    *pool = (struct sta_load_pool){.closing = false};
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    sta_list_init(&pool->jobs);
}

void sta_load_pool_fini(struct sta_load_pool *pool)
{
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
}

/* By a thread that is idle. NULL: it closes. */
static struct sta_load_pool_job *next_locked(struct sta_load_pool *pool)
{
    while (sta_list_empty(&pool->jobs) && !pool->closing)
        pthread_cond_wait(&pool->changed, &pool->lock);
    if (pool->closing)
        return NULL;
    pool->idle--;
    pool->waiting--;
    return STA_CONTAINER(sta_list_pop_front(&pool->jobs), struct sta_load_pool_job, link);
}

static void *work(void *arg)
{
    struct sta_load_pool *pool = arg;
    struct sta_load_pool_job *job;
    pthread_mutex_lock(&pool->lock);
    while ((job = next_locked(pool)) != NULL) {
        pthread_mutex_unlock(&pool->lock);
        job->run(job, true);
        pthread_mutex_lock(&pool->lock);
        pool->idle++;
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Signals are the program's, and for its own threads. */
static void start_thread_locked(struct sta_load_pool *pool)
{
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return;
    if (pthread_create(&pool->threads[pool->started], NULL, work, pool) == 0) {
        (void)pthread_setname_np(pool->threads[pool->started], "strata-load");
        pool->started++;
        pool->idle++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static int submit_locked(struct sta_load_pool *pool, struct sta_load_pool_job *job)
{
    if (pool->closing)
        return STRATA_ERR_CLOSED;
    if (pool->waiting >= STA_LOAD_POOL_JOBS)
        return STRATA_ERR_BUSY;
    if (pool->idle <= pool->waiting && pool->started < STA_LOAD_POOL_THREADS)
        start_thread_locked(pool);
    if (pool->started == 0)
        return STRATA_ERR_SYSTEM;
    sta_list_push_back(&pool->jobs, &job->link);
    pool->waiting++;
    pthread_cond_signal(&pool->changed);
    return STRATA_OK;
}

int sta_load_pool_submit(struct sta_load_pool *pool, struct sta_load_pool_job *job)
{
    pthread_mutex_lock(&pool->lock);
    int status = submit_locked(pool, job);
    pthread_mutex_unlock(&pool->lock);
    return status;
}

struct sta_load_pool_job *sta_load_pool_take(struct sta_load_pool *pool, const void *what)
{
    struct sta_load_pool_job *taken = NULL;
    pthread_mutex_lock(&pool->lock);
    /* As long as there are as many idle threads as jobs, each of these has one. */
    bool scarce = pool->waiting > pool->idle;
    for (struct sta_list *node = pool->jobs.next; scarce && node != &pool->jobs && taken == NULL;
         node = node->next) {
        struct sta_load_pool_job *job = STA_CONTAINER(node, struct sta_load_pool_job, link);
        if (job->is_about != NULL && job->is_about(job, what))
            taken = job;
    }
    if (taken != NULL) {
        sta_list_remove(&taken->link);
        pool->waiting--;
    }
    pthread_mutex_unlock(&pool->lock);
    return taken;
}

/* NULL: there is none any more. */
static struct sta_load_pool_job *take_first(struct sta_load_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    struct sta_list *node = sta_list_pop_front(&pool->jobs);
    pool->waiting -= node != NULL;
    pthread_mutex_unlock(&pool->lock);
    return node != NULL ? STA_CONTAINER(node, struct sta_load_pool_job, link) : NULL;
}

void sta_load_pool_close(struct sta_load_pool *pool)
{
    struct sta_load_pool_job *job;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    while ((job = take_first(pool)) != NULL)
        job->run(job, false);
    for (unsigned i = 0; i < pool->started; i++)
        pthread_join(pool->threads[i], NULL);
}
