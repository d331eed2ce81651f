/* SPDX-License-Identifier: MIT
 *
 * A database: its connections, its repositories, and the thread that carries out intents.
 *
 * An intent is a row in strata_intents, written in the transaction of a change: the tags that
 * must get new versions once it is committed. It is removed after they got them. Who dies in
 * between, or cannot reach Redis, leaves it; it is found by any process with the database open
 * once it is older than grace_ms.
 *
 *     begin .. change .. intent .. COMMIT .. versions renewed .. intent removed (later, many at
 *     once)
 *                                       ^^^^^^^^^^^^^^^^^^^^^^ a crash here leaves it to the sweep
 *
 * A repository is in doubt from the moment that versions could not be renewed until a sweep has
 * renewed them, and from its opening until a sweep that began after it has left nothing untold: its
 * cached reads then ask the database.
 */
#ifndef STA_DATABASE_H
#define STA_DATABASE_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/list.h"
#include "repository/pool.h"
#include "repository/tag.h"
#include "strata/repository.h"

#define STA_DATABASE_DONE_MAX 1024 /* intents to remove that are remembered; more are swept */

struct strata_database {
    /* fixed at creation */
    struct strata *cache;
    const struct strata_driver *driver;
    uint64_t sweep_ms;
    uint64_t grace_ms;
    struct sta_pool pool;
    struct sta_pool own;    /* one more connection, so that no transactions keep the sweep out */
    struct sta_pool *sweep; /* `own`; `pool` where connections do not see the same data */
    pthread_t sweeper;

    _Atomic uint64_t versions; /* sta_tag_new_version() */
    _Atomic uint64_t swept;    /* relaxed */

    pthread_mutex_t lock;
    pthread_cond_t wake; /* of the sweeper */
    /* guarded by lock */
    struct sta_list repositories;
    bool closing;
    bool hurry; /* sweep now */
    int64_t done[STA_DATABASE_DONE_MAX];
    size_t done_count;
};

/* Versions for the tags of a committed change; then its intent may go. Else all repositories
 * concerned are in doubt, and the sweeper is woken. */
int sta_database_tell(struct strata_database *database, int64_t intent, struct strata_bytes tags);

/* The repositories that the tags concern are in doubt from now on: a change could not be told, or
 * whether it has come about is not known. `swept`: an intent was found, and is told next; the doubt
 * is the sweep's own, which nobody need wake and which ends with it. */
void sta_database_doubt(struct strata_database *database, struct strata_bytes tags, bool swept);

#endif
