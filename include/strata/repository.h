/* SPDX-License-Identifier: MIT
 *
 * Rows of an SQL database, read through a cache that falls by itself when they change.
 *
 *     struct strata_database *database = NULL;
 *     struct strata_repository *people = NULL;
 *     struct strata_database_options options = {.url = "people.db"};
 *     strata_database_open(&database, cache, strata_sqlite(), &options, &error);
 *     strata_repository_open(&people, database, &person_model, &error);
 *
 *     struct strata_rows found = {0};
 *     status = strata_repository_find_cached(people, strata_field_integer(7), &found, &error);
 *     if (status == STRATA_OK) {
 *         const struct person *person = found.rows;
 *         ...
 *         strata_rows_release(&found);
 *     }
 *
 * It is a library of its own, libstrata_repository, with SQLite behind it; PostgreSQL is a third
 * (strata/postgresql.h). All libraries of a program must be of one version.
 *
 * What is promised: once a change has returned STRATA_OK, no cached read that begins later in this
 * process answers what was before it; in other processes none that begins later than the cache's
 * coherence takes: the time of a push, and max_staleness_ms where Redis does not answer. Where the
 * change could not be told to Redis, or its process died before it was told, others hear of it
 * through the database, sweep_ms + grace_ms after the commit. Of changes that do not come through a
 * repository nothing is known. Programs that share a database must share the Redis and agree on
 * which columns of a model are indexed. The cache must write through to Redis, or have no L2, which
 * is for a database that no other process changes. docs/repository.md has all of it.
 *
 * Threads: all calls are safe from any thread, but for the close calls, which must be the last, and
 * for a transaction, which belongs to one thread at a time. Calls wait: timeout_ms for a
 * connection; in SQLite timeout_ms for a lock, and as long as statements run; in PostgreSQL
 * timeout_ms + 1 s for each answer, of which a change has several; for the cache its budget, at
 * a commit once for every 512 versions. `error` may be NULL everywhere; it has the particulars of
 * an error. Out parameters are untouched where a call does not say STRATA_OK.
 */
#ifndef STRATA_REPOSITORY_H
#define STRATA_REPOSITORY_H

#include "cache.h"
#include "export.h"
#include "model.h"
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- databases ---- */

struct strata_database;
struct strata_driver; /* what speaks to a kind of database */

/* Constant, lives for ever; any thread. */
STRATA_API const struct strata_driver *strata_sqlite(void);

struct strata_database_options {
    /* SQLite: a file; or ":memory:", which has a single connection: while a transaction has it,
     * other calls wait for it. PostgreSQL: strata/postgresql.h. */
    const char *url;
    size_t connections;  /* the most that calls have open at a time, 1 to 1024; 0: 4. The database's
                            thread has one more */
    uint64_t timeout_ms; /* to wait for a connection, a lock, in PostgreSQL an answer; 0: 5000. A
                            statement of SQLite's is not ended by it */
    uint64_t sweep_ms;   /* how often intents that others left are looked for; 0: 500 */
    uint64_t grace_ms;   /* how old an intent must be to have been left; 0: 1000. Times are 2^31 - 1
                            at most */
};

/* Opens a database and makes its table of intents, strata_intents, where it is not there; what was
 * left in it is carried out by a thread of this database's, which ends with it. `cache` must
 * outlive it. STRATA_ERR_DATABASE, STRATA_ERR_INVALID, STRATA_ERR_NOMEM, STRATA_ERR_SYSTEM;
 * STRATA_ERR_UNSUPPORTED: the driver is of another version, or strata_writes_through(cache) is
 * false: with write-behind, or with neither, Redis would hear of changes late or never. */
STRATA_API int strata_database_open(struct strata_database **out, struct strata *cache,
                                    const struct strata_driver *driver,
                                    const struct strata_database_options *options,
                                    struct strata_error *error);

/* Its repositories and transactions must have ended. NULL is fine; the pointer becomes NULL. */
STRATA_API void strata_database_close(struct strata_database **database);

/* ---- repositories ---- */

struct strata_repository;

/* `model` and all it points to is copied. Until the database's thread has seen that nothing is left
 * of others' changes, which takes it milliseconds while Redis answers, cached reads ask the
 * database. STRATA_ERR_INVALID: a name, type or flag is not allowed,
 * or another repository of this database has the same prefix. The table need not exist yet. */
STRATA_API int strata_repository_open(struct strata_repository **out,
                                      struct strata_database *database,
                                      const struct strata_model *model, struct strata_error *error);

/* No call with it is under way. NULL is fine; the pointer becomes NULL. */
STRATA_API void strata_repository_close(struct strata_repository **repository);

/* CREATE TABLE and its indexes, where they are not there. */
STRATA_API int strata_repository_create_table(struct strata_repository *repository,
                                              struct strata_error *error);

/* ---- what reads answer ---- */

/* Rows that a call handed out: readable, with all that they point to, until strata_rows_release(),
 * which must come before the cache is closed. Zeroed holds nothing. */
struct strata_rows {
    void *rows; /* `count` structs of the model, one after the other */
    size_t count;
    struct strata_value value; /* the library's */
    void *block;               /* the library's */
};

/* Gives them back and zeroes the struct; a zeroed one is fine. */
STRATA_API void strata_rows_release(struct strata_rows *rows);

#define STRATA_ROWS_MAX 100000 /* more in one answer are STRATA_ERR_TOO_BIG */

enum strata_comparison {
    STRATA_EQUAL = 0, /* with a null field: is null */
    STRATA_NOT_EQUAL, /* with a null field: is not null; else null columns are not among them */
    STRATA_LESS,
    STRATA_AT_MOST,
    STRATA_GREATER,
    STRATA_AT_LEAST
};

struct strata_match {
    const char *column;
    enum strata_comparison is;
    struct strata_field field; /* of the column's type, or null */
};

/* Zeroed: all rows, by their key. */
struct strata_query {
    const struct strata_match *where; /* all of them hold; where_count, 16 at most */
    size_t where_count;
    const char *order_by; /* a column; rows that are equal there stand by their key. NULL: by key */
    bool descending;
    uint64_t limit; /* 0: all */
    uint64_t offset;
};

/* ---- transactions ---- */

/* Changes that are made together: all of them become visible, and all caches that they concern
 * fall, with the commit; after a rollback nothing has happened. It holds one connection. A cached
 * read that misses takes one of its own, also on a thread that has a transaction open: where all
 * are held by transactions that wait so, all of them wait for timeout_ms and get STRATA_ERR_BUSY. A
 * server that has gone may be noticed by the first statement only. */
struct strata_transaction;

/* STRATA_ERR_BUSY: no connection came free within timeout_ms; STRATA_ERR_DATABASE,
 * STRATA_ERR_TIMEOUT, STRATA_ERR_NOMEM. */
STRATA_API int strata_transaction_begin(struct strata_transaction **out,
                                        struct strata_database *database,
                                        struct strata_error *error);

/* Ends it whatever it answers, and sets the pointer to NULL. STRATA_ERR_LOST: the connection was
 * lost on the way; it may have been carried out, and if it was, caches fall as after a crash. */
STRATA_API int strata_transaction_commit(struct strata_transaction **transaction,
                                         struct strata_error *error);

/* NULL is fine; the pointer becomes NULL. */
STRATA_API void strata_transaction_rollback(struct strata_transaction **transaction);

/* ---- changes; `transaction` NULL: one of its own. Within one, a change that failed leaves nothing
 * but the rollback ----
 *
 * STRATA_ERR_CONFLICT: a unique value is there already, or others changed the same at the same
 * time. STRATA_ERR_INVALID: a value that its column may not hold, or no such column; or the
 * transaction has failed. STRATA_ERR_BUSY: no connection, or no lock, in time. STRATA_ERR_LOST: as
 * for a commit. `changed` (may be NULL) gets the rows as they are now, to be released. */

/* One row, from a struct of the model. */

STRATA_API int strata_repository_create(struct strata_repository *repository,
                                        struct strata_transaction *transaction, const void *row,
                                        struct strata_rows *changed, struct strata_error *error);

/* `rows`: `count` structs, one after the other; all or none. */
STRATA_API int strata_repository_create_many(struct strata_repository *repository,
                                             struct strata_transaction *transaction,
                                             const void *rows, size_t count,
                                             struct strata_rows *changed,
                                             struct strata_error *error);

/* All columns of the row with this key; STRATA_MISS: there is none. */
STRATA_API int strata_repository_update(struct strata_repository *repository,
                                        struct strata_transaction *transaction, const void *row,
                                        struct strata_rows *changed, struct strata_error *error);
/* All or none: where one of them is not there, STRATA_MISS, and nothing has changed. */
STRATA_API int strata_repository_update_many(struct strata_repository *repository,
                                             struct strata_transaction *transaction,
                                             const void *rows, size_t count,
                                             struct strata_rows *changed,
                                             struct strata_error *error);

struct strata_change {
    const char *column;
    struct strata_field field;
};

/* Some columns of the row with this key, but not the key; STRATA_MISS: there is no such row. */
STRATA_API int strata_repository_update_columns(struct strata_repository *repository,
                                                struct strata_transaction *transaction,
                                                struct strata_field key,
                                                const struct strata_change *changes, size_t count,
                                                struct strata_rows *changed,
                                                struct strata_error *error);

/* STRATA_MISS: there is none. */
STRATA_API int strata_repository_delete(struct strata_repository *repository,
                                        struct strata_transaction *transaction,
                                        struct strata_field key, struct strata_error *error);

/* Keys that are not there are passed over; *deleted (may be NULL): how many were. */
STRATA_API int strata_repository_delete_many(struct strata_repository *repository,
                                             struct strata_transaction *transaction,
                                             const struct strata_field *keys, size_t count,
                                             size_t *deleted, struct strata_error *error);

/* ---- reads of the database; within a transaction they see what it has changed ---- */

/* STRATA_MISS: there is none. */
STRATA_API int strata_repository_find(struct strata_repository *repository,
                                      struct strata_transaction *transaction,
                                      struct strata_field key, struct strata_rows *found,
                                      struct strata_error *error);

/* Many by their keys, 64 in a statement. rows[i] is to be released; statuses[i] is what the single
 * call would have answered for key i. STRATA_OK where none is an error, else the first error. */
STRATA_API int strata_repository_find_many(struct strata_repository *repository,
                                           struct strata_transaction *transaction,
                                           const struct strata_field *keys, size_t count,
                                           struct strata_rows *found, int *statuses,
                                           struct strata_error *error);

/* The first row by key whose columns equal all of `where`; the columns must be indexed ones. */
STRATA_API int strata_repository_find_one_by(struct strata_repository *repository,
                                             struct strata_transaction *transaction,
                                             const struct strata_match *where, size_t where_count,
                                             struct strata_rows *found, struct strata_error *error);

/* STRATA_OK with no rows where there are none. */
STRATA_API int strata_repository_list(struct strata_repository *repository,
                                      struct strata_transaction *transaction,
                                      const struct strata_query *query, struct strata_rows *found,
                                      struct strata_error *error);

/* How many the query's `where` holds for; its limit and offset mean nothing here. */
STRATA_API int strata_repository_count(struct strata_repository *repository,
                                       struct strata_transaction *transaction,
                                       const struct strata_query *query, uint64_t *count,
                                       struct strata_error *error);

/* ---- the same through the cache ----
 *
 * What is not there is remembered, too. Of calls that miss at the same time for the same, one asks
 * the database. Where the cache does not answer, the database does. */

STRATA_API int strata_repository_find_cached(struct strata_repository *repository,
                                             struct strata_field key, struct strata_rows *found,
                                             struct strata_error *error);

/* As find_many; those that miss are asked for in one statement for 64. */
STRATA_API int strata_repository_find_many_cached(struct strata_repository *repository,
                                                  const struct strata_field *keys, size_t count,
                                                  struct strata_rows *found, int *statuses,
                                                  struct strata_error *error);
STRATA_API int strata_repository_find_one_by_cached(struct strata_repository *repository,
                                                    const struct strata_match *where,
                                                    size_t where_count, struct strata_rows *found,
                                                    struct strata_error *error);
STRATA_API int strata_repository_list_cached(struct strata_repository *repository,
                                             const struct strata_query *query,
                                             struct strata_rows *found, struct strata_error *error);
STRATA_API int strata_repository_count_cached(struct strata_repository *repository,
                                              const struct strata_query *query, uint64_t *count,
                                              struct strata_error *error);

/* ---- numbers ---- */

struct strata_repository_statistics {
    uint64_t hits;       /* cached reads that the cache answered */
    uint64_t joined;     /* that another call's statement answered */
    uint64_t statements; /* reads that the database was asked */
    uint64_t outdated;   /* entries that were found and not used: what they hold has changed */
    uint64_t unreadable; /* entries that were found and not used: of another schema, or damaged */
    uint64_t bypassed;   /* cached reads that passed by the cache: a change was not told yet, or the
                        repository was just opened */
    uint64_t untold;     /* changes that Redis could not be told of at once */
    uint64_t swept;      /* intents found late and carried out by this database's thread */
};

/* Since it was opened; `swept` since the database was. Any thread; always succeeds. */
STRATA_API void strata_repository_statistics(const struct strata_repository *repository,
                                             struct strata_repository_statistics *out);

#ifdef __cplusplus
}
#endif

#endif
