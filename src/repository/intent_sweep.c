/* SPDX-License-Identifier: MIT
 *
 * See intent_sweep.h. The thread has a connection of its own where there can be several
 * (database.h). Readers come first: what was found is in doubt at once, then it is told, then the
 * doubt ends, and only then intents are removed, which may wait for a writer.
 */
#include "repository/intent_sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "repository/inside.h"
#include "repository/intent.h"

#define SWEEP_AT_ONCE 64

struct sweep_found {
    int64_t id;
    size_t len;
    void *tags;
};

struct sweep {
    struct strata_database *database;
    struct sweep_found found[SWEEP_AT_ONCE];
    size_t count;
    int64_t done[SWEEP_AT_ONCE]; /* of the found: what was carried out */
    size_t done_count;
};

static int sweep_found(void *arg, int64_t id, struct strata_bytes tags)
{
    struct sweep *sweep = arg;
    struct sweep_found *found = &sweep->found[sweep->count];
    found->tags = malloc(tags.len + 1);
    if (found->tags == NULL)
        return STRATA_ERR_NOMEM;
    if (tags.len > 0)
        memcpy(found->tags, tags.data, tags.len);
    found->id = id;
    found->len = tags.len;
    sweep->count++;
    return STRATA_OK;
}

/* ---- removing what is done ---- */

static void sweep_remove(struct strata_database *database, const int64_t *ids, size_t count)
{
    struct sta_connection *connection;
    if (count == 0 || sta_pool_acquire(database->sweep, &connection, NULL) != STRATA_OK)
        return; /* they are found again, and carried out again, which costs misses */
    (void)sta_intent_remove(database->driver, connection, ids, count);
    sta_pool_release(database->sweep, connection);
}

static void sweep_remove_done(struct strata_database *database)
{
    int64_t ids[STA_DATABASE_DONE_MAX];
    (void)pthread_mutex_lock(&database->lock);
    size_t count = database->done_count;
    memcpy(ids, database->done, count * sizeof ids[0]);
    database->done_count = 0;
    (void)pthread_mutex_unlock(&database->lock);
    sweep_remove(database, ids, count);
}

/* ---- carrying out what was left ---- */

/* Notes what doubt there is now. Whether there is any. */
static bool sweep_mark(struct strata_database *database)
{
    bool any = false;
    (void)pthread_mutex_lock(&database->lock);
    struct sta_list *end = &database->repositories;
    for (struct sta_list *at = end->next; at != end; at = at->next) {
        struct strata_repository *repository = STA_CONTAINER(at, struct strata_repository, link);
        repository->mark = atomic_load_explicit(&repository->doubted, memory_order_acquire);
        any = any || sta_inside_in_doubt(repository);
    }
    (void)pthread_mutex_unlock(&database->lock);
    return any;
}

static void sweep_settle(struct strata_database *database)
{
    (void)pthread_mutex_lock(&database->lock);
    struct sta_list *end = &database->repositories;
    for (struct sta_list *at = end->next; at != end; at = at->next) {
        struct strata_repository *repository = STA_CONTAINER(at, struct strata_repository, link);
        atomic_store_explicit(&repository->settled, repository->mark, memory_order_release);
    }
    (void)pthread_mutex_unlock(&database->lock);
}

static bool sweep_list(struct sweep *sweep, uint64_t age_ms)
{
    struct strata_database *database = sweep->database;
    const struct sta_intent_sink sink = {sweep_found, sweep};
    struct sta_connection *connection;
    sweep->count = 0;
    if (sta_pool_acquire(database->sweep, &connection, NULL) != STRATA_OK)
        return false;
    int status = sta_intent_list(database->driver, connection, age_ms, SWEEP_AT_ONCE, &sink);
    sta_pool_release(database->sweep, connection);
    return status == STRATA_OK;
}

/* Whether all that was found could be told. What is no set of tags is nobody's, and goes. */
static bool sweep_carry_out(struct sweep *sweep)
{
    struct strata_database *database = sweep->database;
    /* Before any is told, which may take its time. */
    for (size_t i = 0; i < sweep->count; i++)
        sta_database_doubt(database, strata_bytes(sweep->found[i].tags, sweep->found[i].len), true);
    for (size_t i = 0; i < sweep->count; i++) {
        struct strata_bytes tags = strata_bytes(sweep->found[i].tags, sweep->found[i].len);
        int status = sta_tag_set_renew(tags, database->cache, &database->versions);
        if (status == STRATA_OK || status == STRATA_ERR_PROTOCOL)
            sweep->done[sweep->done_count++] = sweep->found[i].id;
        free(sweep->found[i].tags);
    }
    atomic_fetch_add_explicit(&database->swept, sweep->done_count, memory_order_relaxed);
    return sweep->done_count == sweep->count;
}

/* True: there may be more. */
static bool sweep_once(struct strata_database *database)
{
    struct sweep sweep = {.database = database};
    sweep_remove_done(database);
    bool doubt = sweep_mark(database);
    bool listed = sweep_list(&sweep, doubt ? 0 : database->grace_ms);
    bool told = sweep_carry_out(&sweep); /* what was found before a failure, too */
    bool whole = listed && sweep.count < SWEEP_AT_ONCE;
    if (told && whole)
        sweep_settle(database);
    sweep_remove(database, sweep.done, sweep.done_count);
    return told && listed && !whole;
}

/* Until the next sweep is due; false: the database closes. */
static bool sweep_wait(struct strata_database *database, bool at_once)
{
    uint64_t end_ns =
        sta_clock_after(sta_clock_now_ns(), at_once ? 0 : database->sweep_ms * STA_NS_MS);
    struct timespec end = {.tv_sec = (time_t)(end_ns / STA_NS_SEC),
                           .tv_nsec = (long)(end_ns % STA_NS_SEC)};
    (void)pthread_mutex_lock(&database->lock);
    while (!database->closing && !database->hurry &&
           pthread_cond_timedwait(&database->wake, &database->lock, &end) != ETIMEDOUT) {
    }
    database->hurry = false;
    bool on = !database->closing;
    (void)pthread_mutex_unlock(&database->lock);
    return on;
}

void *sta_intent_sweep_thread(void *arg)
{
    struct strata_database *database = arg;
    bool more = true; /* what an earlier process left is looked for at once */
    while (sweep_wait(database, more))
        more = sweep_once(database);
    sweep_remove_done(database);
    return NULL;
}
