/* SPDX-License-Identifier: MIT
 *
 * See pool.h. The connection that was given back last is taken first: its statements are prepared
 * and its memory is warm.
 */
#include "repository/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/error.h"

int sta_pool_init(struct sta_pool *pool, const struct strata_driver *driver, const char *url,
                  size_t limit, uint64_t timeout_ms)
{
    pthread_condattr_t monotonic;
    *pool = (struct sta_pool){.driver = driver, .timeout_ms = timeout_ms, .limit = limit};
    pool->url = strdup(url);
    pool->idle = calloc(limit, sizeof(struct sta_connection *));
    if (pool->url == NULL || pool->idle == NULL) {
        free(pool->url);
        free(pool->idle);
        return STRATA_ERR_NOMEM;
    }
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&pool->given_back, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&pool->lock, NULL);
    return STRATA_OK;
}

void sta_pool_fini(struct sta_pool *pool)
{
    for (size_t i = 0; i < pool->idle_count; i++)
        pool->driver->close(pool->idle[i]);
    (void)pthread_mutex_destroy(&pool->lock);
    (void)pthread_cond_destroy(&pool->given_back);
    free(pool->idle);
    free(pool->url);
}

/* An idle one, or the right to open one (*out NULL); false: neither came in time. */
static bool pool_take(struct sta_pool *pool, struct sta_connection **out)
{
    uint64_t end_ns = sta_clock_after(sta_clock_now_ns(), pool->timeout_ms * STA_NS_MS);
    struct timespec end = {.tv_sec = (time_t)(end_ns / STA_NS_SEC),
                           .tv_nsec = (long)(end_ns % STA_NS_SEC)};
    bool had = true;
    (void)pthread_mutex_lock(&pool->lock);
    while (pool->idle_count == 0 && pool->open_count == pool->limit && had)
        had = pthread_cond_timedwait(&pool->given_back, &pool->lock, &end) != ETIMEDOUT;
    if (pool->idle_count > 0) {
        *out = pool->idle[--pool->idle_count];
        had = true;
    } else if (pool->open_count < pool->limit) {
        *out = NULL;
        pool->open_count++;
        had = true;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return had;
}

/* Back among the idle, or, NULL, a place for another. */
static void pool_put(struct sta_pool *pool, struct sta_connection *connection)
{
    (void)pthread_mutex_lock(&pool->lock);
    if (connection != NULL)
        pool->idle[pool->idle_count++] = connection;
    else
        pool->open_count--;
    (void)pthread_cond_signal(&pool->given_back);
    (void)pthread_mutex_unlock(&pool->lock);
}

int sta_pool_acquire(struct sta_pool *pool, struct sta_connection **out, struct strata_error *error)
{
    struct sta_connection *connection;
    if (!pool_take(pool, &connection))
        return sta_error_set(error, STRATA_ERR_BUSY, "all %zu connections are in use", pool->limit);
    if (connection != NULL && !pool->driver->usable(connection)) {
        pool->driver->close(connection); /* the server went while it was idle */
        connection = NULL;
    }
    if (connection == NULL) {
        int status = pool->driver->open(&connection, pool->url, pool->timeout_ms, error);
        if (status != STRATA_OK) {
            pool_put(pool, NULL);
            return status;
        }
    }
    *out = connection;
    return STRATA_OK;
}

void sta_pool_release(struct sta_pool *pool, struct sta_connection *connection)
{
    if (!pool->driver->usable(connection)) {
        pool->driver->close(connection);
        connection = NULL;
    }
    pool_put(pool, connection);
}
