/* SPDX-License-Identifier: MIT
 *
 * What the files of a repository share: its state, and what is asked of it.
 */
#ifndef STA_INSIDE_H
#define STA_INSIDE_H

#include "repository/database.h"
#include "repository/row_bytes.h"
#include "repository/schema.h"
#include "repository/single_flight.h"
#include "repository/sql_text.h"

struct strata_repository {
    /* fixed at creation */
    struct strata_database *database;
    struct sta_schema schema;
    struct sta_schema count_schema; /* one integer: what a count answers */

    /* guarded by the database's lock */
    struct sta_list link;
    uint64_t mark; /* the sweep's: what `settled` becomes */

    struct sta_flights flights;

    /* In doubt where they differ (database.h), which is so at first. `doubted` counts up; `settled`
     * is what it was when a sweep began that left nothing untold. Release and acquire: whoever sees
     * the doubt gone sees the versions that ended it. */
    _Atomic uint64_t doubted;
    _Atomic uint64_t settled;

    /* relaxed counters, away from what every read looks at */
    char apart[64];
    _Atomic uint64_t hits;
    _Atomic uint64_t joined;
    _Atomic uint64_t statements;
    _Atomic uint64_t outdated;
    _Atomic uint64_t unreadable;
    _Atomic uint64_t bypassed;
    _Atomic uint64_t untold;
};

static inline void sta_inside_count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static inline bool sta_inside_in_doubt(struct strata_repository *repository)
{
    return atomic_load_explicit(&repository->doubted, memory_order_acquire) !=
           atomic_load_explicit(&repository->settled, memory_order_acquire);
}

struct strata_transaction {
    struct strata_database *database;
    struct sta_connection *connection;
    struct sta_tag_set tags;
    bool failed; /* a change failed: only a rollback is left */
};

/* `error` filled with the status' own text. */
int sta_inside_fail(struct strata_error *error, int status);

#endif
