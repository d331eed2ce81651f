/* SPDX-License-Identifier: MIT
 *
 * See database.h.
 */
#include "repository/database.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/random.h"
#include "repository/inside.h"
#include "repository/intent.h"
#include "repository/intent_sweep.h"

#define DATABASE_CONNECTIONS 4
#define DATABASE_TIMEOUT_MS  5000
#define DATABASE_SWEEP_MS    500
#define DATABASE_GRACE_MS    1000

/* ---- what has changed ---- */

void sta_database_doubt(struct strata_database *database, struct strata_bytes tags, bool swept)
{
    (void)pthread_mutex_lock(&database->lock);
    struct sta_list *end = &database->repositories;
    for (struct sta_list *at = end->next; at != end; at = at->next) {
        struct strata_repository *repository = STA_CONTAINER(at, struct strata_repository, link);
        if (!sta_tag_set_concerns(tags, &repository->schema))
            continue;
        atomic_fetch_add_explicit(&repository->doubted, 1, memory_order_acq_rel);
        if (swept)
            repository->mark++;
        else
            sta_inside_count(&repository->untold);
    }
    database->hurry = database->hurry || !swept;
    (void)pthread_cond_signal(&database->wake);
    (void)pthread_mutex_unlock(&database->lock);
}

static void database_done(struct strata_database *database, int64_t intent)
{
    (void)pthread_mutex_lock(&database->lock);
    if (database->done_count < STA_DATABASE_DONE_MAX)
        database->done[database->done_count++] = intent;
    if (database->done_count == STA_DATABASE_DONE_MAX / 2) {
        database->hurry = true;
        (void)pthread_cond_signal(&database->wake);
    }
    (void)pthread_mutex_unlock(&database->lock);
}

int sta_database_tell(struct strata_database *database, int64_t intent, struct strata_bytes tags)
{
    int status = sta_tag_set_renew(tags, database->cache, &database->versions);
    if (status == STRATA_OK)
        database_done(database, intent);
    else
        sta_database_doubt(database, tags, false);
    return status;
}

/* ---- opening and closing ---- */

/* Two that make the table at the same moment: one of them is told that it is there. */
static int database_prepare(struct strata_database *database, struct strata_error *error)
{
    struct sta_connection *connection;
    int status = sta_pool_acquire(&database->pool, &connection, error);
    if (status != STRATA_OK)
        return status;
    status = sta_intent_create_table(database->driver, connection, error);
    if (status != STRATA_OK)
        status = sta_intent_create_table(database->driver, connection, error);
    sta_pool_release(&database->pool, connection);
    return status;
}

/* The sweep does not wait for a lock as long as others do: what is to be removed can be removed
 * later, and what is to be found cannot be found later. */
static uint64_t database_sweep_timeout_ms(const struct strata_database *database,
                                          uint64_t timeout_ms)
{
    uint64_t most = database->sweep_ms + database->grace_ms;
    if (most < DATABASE_GRACE_MS)
        most = DATABASE_GRACE_MS;
    return timeout_ms < most ? timeout_ms : most;
}

static int database_pools(struct strata_database *database,
                          const struct strata_database_options *options)
{
    const struct strata_driver *driver = database->driver;
    const char *url = options->url;
    bool shared = driver->shared(url);
    size_t connections = options->connections != 0 ? options->connections : DATABASE_CONNECTIONS;
    uint64_t timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : DATABASE_TIMEOUT_MS;
    int status = sta_pool_init(&database->pool, driver, url, shared ? connections : 1, timeout_ms);
    if (status != STRATA_OK)
        return status;
    status = sta_pool_init(&database->own, driver, url, 1,
                           database_sweep_timeout_ms(database, timeout_ms));
    if (status != STRATA_OK)
        sta_pool_fini(&database->pool);
    database->sweep = shared ? &database->own : &database->pool;
    return status;
}

static int database_init(struct strata_database *database,
                         const struct strata_database_options *options)
{
    pthread_condattr_t monotonic;
    database->sweep_ms = options->sweep_ms != 0 ? options->sweep_ms : DATABASE_SWEEP_MS;
    database->grace_ms = options->grace_ms != 0 ? options->grace_ms : DATABASE_GRACE_MS;
    int status = database_pools(database, options);
    if (status != STRATA_OK)
        return status;
    atomic_init(&database->versions, sta_random_seed());
    sta_list_init(&database->repositories);
    (void)pthread_mutex_init(&database->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&database->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return STRATA_OK;
}

static void database_fini(struct strata_database *database)
{
    (void)pthread_cond_destroy(&database->wake);
    (void)pthread_mutex_destroy(&database->lock);
    sta_pool_fini(&database->own);
    sta_pool_fini(&database->pool);
}

/* What is written must be in Redis when it is said to be: an intent goes as soon as its tags
 * are. */
static int database_check(struct strata *cache, const struct strata_driver *driver,
                          const struct strata_database_options *options, struct strata_error *error)
{
    if (cache == NULL || driver == NULL || options == NULL || options->url == NULL)
        return sta_error_set(error, STRATA_ERR_INVALID,
                             "a database takes a cache, a driver and a URL");
    if (options->connections > 1024 || options->timeout_ms > INT32_MAX ||
        options->sweep_ms > INT32_MAX || options->grace_ms > INT32_MAX)
        return sta_error_set(error, STRATA_ERR_INVALID,
                             "a number of the options is too large; allowed: connections up to "
                             "1024, timeout_ms, sweep_ms and grace_ms up to 2147483647");
    if (driver->version != STA_DRIVER_VERSION)
        return sta_error_set(error, STRATA_ERR_UNSUPPORTED,
                             "the database's driver is of another version of strata");
    if (!strata_writes_through(cache))
        return sta_error_set(error, STRATA_ERR_UNSUPPORTED,
                             "the cache does not write through to Redis: others would hear of "
                             "changes late or never; open it with write_through on, or without "
                             "L2");
    return STRATA_OK;
}

int strata_database_open(struct strata_database **out, struct strata *cache,
                         const struct strata_driver *driver,
                         const struct strata_database_options *options, struct strata_error *error)
{
    int status = database_check(cache, driver, options, error);
    if (status != STRATA_OK)
        return status;
    struct strata_database *database = calloc(1, sizeof *database);
    if (database == NULL)
        return sta_inside_fail(error, STRATA_ERR_NOMEM);
    database->cache = cache;
    database->driver = driver;
    status = database_init(database, options);
    if (status != STRATA_OK) {
        free(database);
        return sta_inside_fail(error, status);
    }
    status = database_prepare(database, error);
    if (status == STRATA_OK &&
        pthread_create(&database->sweeper, NULL, sta_intent_sweep_thread, database) != 0)
        status = sta_error_set(error, STRATA_ERR_SYSTEM, "no thread could be started");
    if (status != STRATA_OK) {
        database_fini(database);
        free(database);
        return status;
    }
    *out = database;
    return STRATA_OK;
}

void strata_database_close(struct strata_database **database)
{
    struct strata_database *closing = *database;
    *database = NULL;
    if (closing == NULL)
        return;
    (void)pthread_mutex_lock(&closing->lock);
    closing->closing = true;
    (void)pthread_cond_signal(&closing->wake);
    (void)pthread_mutex_unlock(&closing->lock);
    (void)pthread_join(closing->sweeper, NULL);
    database_fini(closing);
    free(closing);
}
