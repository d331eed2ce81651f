/* SPDX-License-Identifier: MIT
 *
 * SQLite behind driver.h. Files are in WAL mode, so that readers and a writer do not wait for each
 * other; a change takes the write lock when it begins, so that it never has to give way later.
 * Booleans and timestamps are integers.
 */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "repository/driver.h"
#include "repository/statements.h"
#include "strata/repository.h"

struct sta_connection {
    sqlite3 *handle;
    struct sta_statements statements;
};

/* What SQLite said, as one of ours. */
static int sqlite_failed(struct sta_connection *connection, int code, struct strata_error *error)
{
    int status = STRATA_ERR_DATABASE;
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        status = STRATA_ERR_BUSY;
        break;
    case SQLITE_NOMEM:
        status = STRATA_ERR_NOMEM;
        break;
    case SQLITE_TOOBIG:
        status = STRATA_ERR_TOO_BIG;
        break;
    case SQLITE_CONSTRAINT:
        if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
            code == SQLITE_CONSTRAINT_ROWID)
            status = STRATA_ERR_CONFLICT;
        break;
    default:
        break;
    }
    return sta_error_set(error, status, "SQLite: %s",
                         connection->handle != NULL ? sqlite3_errmsg(connection->handle)
                                                    : sqlite3_errstr(code));
}

static int sqlite_exec(struct sta_connection *connection, const char *sql,
                       struct strata_error *error)
{
    int code = sqlite3_exec(connection->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? STRATA_OK : sqlite_failed(connection, code, error);
}

/* ---- connections ---- */

static bool sqlite_shared(const char *url)
{
    return strcmp(url, ":memory:") != 0 && url[0] != '\0';
}

static void sqlite_end_statement(void *prepared)
{
    (void)sqlite3_finalize(prepared);
}

static void sqlite_close(struct sta_connection *connection)
{
    sta_statements_clear(&connection->statements, sqlite_end_statement);
    (void)sqlite3_close_v2(connection->handle);
    free(connection);
}

static int sqlite_open(struct sta_connection **out, const char *url, uint64_t timeout_ms,
                       struct strata_error *error)
{
    const int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    struct sta_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return sta_error_set(error, STRATA_ERR_NOMEM, "out of memory");
    struct strata_error why;
    int code = sqlite3_open_v2(url, &connection->handle, flags, NULL);
    int status = code == SQLITE_OK ? STRATA_OK : sqlite_failed(connection, code, &why);
    if (status == STRATA_OK) {
        int busy_ms = timeout_ms < INT32_MAX ? (int)timeout_ms : INT32_MAX;
        (void)sqlite3_busy_timeout(connection->handle, busy_ms);
        status = sqlite_exec(connection, "PRAGMA journal_mode=WAL; PRAGMA foreign_keys=ON", &why);
    }
    if (status != STRATA_OK) {
        sqlite_close(connection);
        return sta_error_set(error, status, "%s: %s", url, why.text);
    }
    *out = connection;
    return STRATA_OK;
}

/* A full disk or a lost file may have rolled back by itself, so this is asked and not
 * remembered. */
static bool sqlite_usable(struct sta_connection *connection)
{
    return sqlite3_get_autocommit(connection->handle) != 0;
}

static int sqlite_begin(struct sta_connection *connection, struct strata_error *error)
{
    return sqlite_exec(connection, "BEGIN IMMEDIATE", error);
}

static void sqlite_rollback(struct sta_connection *connection)
{
    if (sqlite3_get_autocommit(connection->handle) == 0)
        (void)sqlite_exec(connection, "ROLLBACK", NULL);
}

/* ---- statements ---- */

static int sqlite_bind(sqlite3_stmt *statement, int at, const struct strata_field *field)
{
    struct strata_bytes bytes = field->of.bytes;
    switch (field->type) {
    case STRATA_TYPE_INTEGER:
    case STRATA_TYPE_TIMESTAMP:
        return sqlite3_bind_int64(statement, at, field->of.integer);
    case STRATA_TYPE_REAL:
        return sqlite3_bind_double(statement, at, field->of.real);
    case STRATA_TYPE_BOOLEAN:
        return sqlite3_bind_int64(statement, at, field->of.boolean);
    case STRATA_TYPE_TEXT:
        return sqlite3_bind_text64(statement, at, bytes.len > 0 ? bytes.data : "", bytes.len,
                                   SQLITE_STATIC, SQLITE_UTF8);
    case STRATA_TYPE_BLOB:
        return sqlite3_bind_blob64(statement, at, bytes.len > 0 ? bytes.data : "", bytes.len,
                                   SQLITE_STATIC);
    case STRATA_TYPE_NULL:
        break;
    }
    return sqlite3_bind_null(statement, at);
}

static struct strata_field sqlite_bytes(sqlite3_stmt *statement, int at, enum strata_type type)
{
    struct strata_field field = {.type = type};
    const void *data = type == STRATA_TYPE_TEXT ? (const void *)sqlite3_column_text(statement, at)
                                                : sqlite3_column_blob(statement, at);
    int len = sqlite3_column_bytes(statement, at);
    field.of.bytes = strata_bytes(data != NULL ? data : "", (size_t)len);
    return field;
}

/* A column as `type`. What is stored in another way is left NULL or converted by SQLite's rules;
 * row_bytes.c refuses what does not fit. */
static struct strata_field sqlite_column(sqlite3_stmt *statement, int at, enum strata_type type)
{
    struct strata_field field = {.type = type};
    if (sqlite3_column_type(statement, at) == SQLITE_NULL)
        return strata_field_null();
    switch (type) {
    case STRATA_TYPE_REAL:
        field.of.real = sqlite3_column_double(statement, at);
        return field;
    case STRATA_TYPE_BOOLEAN:
        field.of.boolean = sqlite3_column_int64(statement, at) != 0;
        return field;
    case STRATA_TYPE_TEXT:
    case STRATA_TYPE_BLOB:
        return sqlite_bytes(statement, at, type);
    default:
        field.of.integer = sqlite3_column_int64(statement, at);
        return field;
    }
}

static int sqlite_prepare(struct sta_connection *connection, struct strata_bytes text,
                          sqlite3_stmt **out, struct strata_error *error)
{
    sqlite3_stmt *statement = sta_statements_find(&connection->statements, text);
    void *gone = NULL;
    if (statement == NULL) {
        int code = sqlite3_prepare_v3(connection->handle, text.data, (int)text.len + 1,
                                      SQLITE_PREPARE_PERSISTENT, &statement, NULL);
        if (code != SQLITE_OK)
            return sqlite_failed(connection, code, error);
        if (sta_statements_add(&connection->statements, text, statement, &gone) != STRATA_OK) {
            (void)sqlite3_finalize(statement);
            return sta_error_set(error, STRATA_ERR_NOMEM, "out of memory");
        }
        (void)sqlite3_finalize(gone);
    }
    *out = statement;
    return STRATA_OK;
}

static int sqlite_step(struct sta_connection *connection, sqlite3_stmt *statement,
                       const struct sta_sql *sql, struct strata_error *error)
{
    struct strata_field fields[STRATA_MODEL_COLUMNS];
    int code, status = STRATA_OK;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        for (size_t i = 0; i < sql->column_count; i++)
            fields[i] = sqlite_column(statement, (int)i, sql->types[i]);
        if (sql->column_count > 0 && (status = sql->row(sql->arg, fields)) != STRATA_OK)
            return sta_error_set(error, status, "%s", strata_status_text(status));
    }
    return code == SQLITE_DONE ? STRATA_OK : sqlite_failed(connection, code, error);
}

static int sqlite_run(struct sta_connection *connection, const struct sta_sql *sql,
                      struct strata_error *error)
{
    sqlite3_stmt *statement = NULL;
    int status = sqlite_prepare(connection, sql->text, &statement, error);
    if (status != STRATA_OK)
        return status;
    for (size_t i = 0; i < sql->param_count && status == STRATA_OK; i++) {
        int code = sqlite_bind(statement, (int)i + 1, &sql->params[i]);
        if (code != SQLITE_OK)
            status = sqlite_failed(connection, code, error);
    }
    if (status == STRATA_OK)
        status = sqlite_step(connection, statement, sql, error);
    (void)sqlite3_reset(statement); /* its lock goes, and what was bound may */
    (void)sqlite3_clear_bindings(statement);
    return status;
}

static int sqlite_commit(struct sta_connection *connection, const struct sta_sql *last,
                         struct strata_error *error)
{
    int status = sqlite3_get_autocommit(connection->handle) != 0
                     ? sta_error_set(error, STRATA_ERR_DATABASE, "SQLite rolled back by itself")
                     : STRATA_OK;
    if (status == STRATA_OK && last != NULL)
        status = sqlite_run(connection, last, error);
    return status == STRATA_OK ? sqlite_exec(connection, "COMMIT", error) : status;
}

/* There are no round trips to save. */
static int sqlite_run_many(struct sta_connection *connection, const struct sta_batch *batch,
                           struct strata_error *error)
{
    struct sta_sql sql;
    int status = STRATA_OK;
    for (size_t i = 0; i < batch->count && status == STRATA_OK; i++) {
        status = batch->make(batch->arg, i, &sql, error);
        if (status == STRATA_OK)
            status = sqlite_run(connection, &sql, error);
    }
    return status;
}

const struct strata_driver *strata_sqlite(void)
{
    static const struct strata_driver driver = {
        .version = STA_DRIVER_VERSION,
        .name = "SQLite",
        .dialect =
            {
                .numbered = false,
                .column_types = {"", "INTEGER", "REAL", "TEXT", "BLOB", "INTEGER", "INTEGER"},
                .key_type = "INTEGER",
                .casts = {"", "", "", "", "", "", ""},
                .now_ms = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
                .for_update = "",
            },
        .shared = sqlite_shared,
        .open = sqlite_open,
        .close = sqlite_close,
        .usable = sqlite_usable,
        .begin = sqlite_begin,
        .commit = sqlite_commit,
        .rollback = sqlite_rollback,
        .run = sqlite_run,
        .run_many = sqlite_run_many,
    };
    return &driver;
}
