/* SPDX-License-Identifier: MIT
 *
 * What a kind of database is to the repository: one table of functions over a connection, and how
 * its SQL differs. Filled by sqlite.c here and by libstrata_postgresql.
 *
 * Threads: a connection is used by one at a time; the table is constant.
 * Errors: STRATA_ERR_BUSY (a lock was not had in time), STRATA_ERR_CONFLICT (a unique value is
 * there already; others were first), STRATA_ERR_LOST (commit only: the connection was lost, and it
 * may have been carried out), STRATA_ERR_TIMEOUT, STRATA_ERR_NOMEM, else STRATA_ERR_DATABASE.
 * `error` says what the database said.
 */
#ifndef STA_DRIVER_H
#define STA_DRIVER_H

#include "strata/model.h"
#include "strata/status.h"

/* Of the table itself: both libraries must mean the same. */
#define STA_DRIVER_VERSION 3

/* The driver's own; each begins as it likes. */
struct sta_connection;

/* One statement. Its text ends with a zero byte; a connection keeps it prepared, by its text. */
struct sta_sql {
    struct strata_bytes text;
    const struct strata_field *params;
    size_t param_count;
    const enum strata_type *types; /* what the columns of its rows are read as */
    size_t column_count;           /* 0: rows are not wanted */
    /* Called for each row, within run(); what is not STRATA_OK ends it and is its answer. Texts
     * and blobs die when it returns. */
    int (*row)(void *arg, const struct strata_field *fields);
    void *arg;
};

/* Statements of which none needs what another has answered; all have the same columns and row(). */
struct sta_batch {
    size_t count;
    /* Statement `i`. They are asked for in their order, one perhaps again before the next; what one
     * borrows dies when the next is asked for. What is not STRATA_OK, and has been put into
     * `error`, ends the batch: none from this one on is run. */
    int (*make)(void *arg, size_t i, struct sta_sql *sql, struct strata_error *error);
    void *arg;
};

/* How SQL is written. Arrays are indexed by enum strata_type. */
struct sta_dialect {
    bool numbered;               /* parameters are $1, $2, ... and not ? */
    const char *column_types[7]; /* in CREATE TABLE */
    const char *key_type;        /* of an integer key that the database may give */
    const char
        *casts[7];      /* behind a column that is read and a parameter, so that it has our type */
    const char *now_ms; /* the time, by the database's clock */
    const char *for_update; /* behind a SELECT that precedes a change */
};

struct strata_driver {
    unsigned version; /* STA_DRIVER_VERSION */
    const char *name;
    struct sta_dialect dialect;

    /* Whether connections to `url` see the same data. */
    bool (*shared)(const char *url);
    int (*open)(struct sta_connection **out, const char *url, uint64_t timeout_ms,
                struct strata_error *error);
    void (*close)(struct sta_connection *connection);

    /* Whether it may be used again: it is in no transaction, and was not lost meanwhile. */
    bool (*usable)(struct sta_connection *connection);
    /* It may go to the server with the first statement, whose answer is then its, too. */
    int (*begin)(struct sta_connection *connection, struct strata_error *error);
    /* `last`, a statement without rows or NULL, is run before it, in the same round trip. After a
     * failure that is not STRATA_ERR_LOST nothing was committed, and the transaction may wait for
     * its rollback(). */
    int (*commit)(struct sta_connection *connection, const struct sta_sql *last,
                  struct strata_error *error);
    void (*rollback)(struct sta_connection *connection);

    /* Within a transaction or as one of its own. */
    int (*run)(struct sta_connection *connection, const struct sta_sql *sql,
               struct strata_error *error);

    /* As run() for one after the other, with as few round trips as it can; the first that fails
     * is its answer. Where that is by its row(), those behind it may have been run. */
    int (*run_many)(struct sta_connection *connection, const struct sta_batch *batch,
                    struct strata_error *error);
};

#endif
