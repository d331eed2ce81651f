/* SPDX-License-Identifier: MIT
 *
 * Connections to one database: opened when they are needed, `limit` of them at the most, kept when
 * they are given back and are still good. Who gets none waits, `timeout_ms` at the most.
 * Threads: any.
 */
#ifndef STA_POOL_H
#define STA_POOL_H

#include <pthread.h>

#include "repository/driver.h"

struct sta_pool {
    /* fixed at creation */
    const struct strata_driver *driver;
    char *url;
    uint64_t timeout_ms;
    size_t limit;

    pthread_mutex_t lock;
    pthread_cond_t given_back;
    /* guarded by lock */
    struct sta_connection **idle; /* `limit` places */
    size_t idle_count;
    size_t open_count; /* idle or in use */
};

int sta_pool_init(struct sta_pool *pool, const struct strata_driver *driver, const char *url,
                  size_t limit, uint64_t timeout_ms);

/* All connections must have been given back. */
void sta_pool_fini(struct sta_pool *pool);

/* STRATA_ERR_BUSY: none in time; else what opening answers. */
int sta_pool_acquire(struct sta_pool *pool, struct sta_connection **out,
                     struct strata_error *error);

/* With no transaction under way. */
void sta_pool_release(struct sta_pool *pool, struct sta_connection *connection);

#endif
