/* SPDX-License-Identifier: MIT
 *
 * PostgreSQL behind driver.h. Statements are prepared once per connection; values go and come in
 * binary form. The casts in the text give each parameter and each column one of our types, whatever
 * the table's are.
 */
#include "strata/postgresql.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "repository/driver.h"
#include "repository/postgresql_wait.h"
#include "repository/statements.h"

#define POSTGRESQL_PARAMS_MAX 128

/* PostgreSQL counts microseconds from 2000-01-01. */
#define POSTGRESQL_EPOCH INT64_C(946684800000000)

/* The server ends a statement that takes too long; this much later we no longer wait for it. */
#define POSTGRESQL_GRACE_MS 1000

struct sta_connection {
    PGconn *handle;
    uint64_t timeout_ms;
    uintptr_t prepared; /* names given */
    bool broken;        /* gave no answer: what it would say next is not known */
    struct sta_statements statements;
};

/* ---- errors ---- */

static int postgresql_state_status(const char *state)
{
    static const struct {
        const char *state;
        int status;
    } known[] = {
        {"23505", STRATA_ERR_CONFLICT}, /* unique_violation */
        {"40001", STRATA_ERR_CONFLICT}, /* serialization_failure */
        {"40P01", STRATA_ERR_CONFLICT}, /* deadlock_detected */
        {"55P03", STRATA_ERR_BUSY},     /* lock_not_available */
        {"53300", STRATA_ERR_BUSY},     /* too_many_connections */
        {"57014", STRATA_ERR_TIMEOUT},  /* query_canceled: statement_timeout */
        {"53200", STRATA_ERR_NOMEM},    /* out_of_memory */
    };
    for (size_t i = 0; state != NULL && i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(state, known[i].state) == 0)
            return known[i].status;
    }
    return STRATA_ERR_DATABASE;
}

/* The first line of what it says: the rest is context. */
static int postgresql_says(int status, const char *text, struct strata_error *error)
{
    size_t len = strcspn(text, "\n");
    return sta_error_set(error, status, "PostgreSQL: %.*s", (int)(len < 400 ? len : 400),
                         len > 0 ? text : "no reason given");
}

/* The connection gave no answer; `status` is what waiting answered. */
static int postgresql_broke(struct sta_connection *connection, int status,
                            struct strata_error *error)
{
    connection->broken = true;
    if (status == STRATA_ERR_TIMEOUT)
        return sta_error_set(error, STRATA_ERR_TIMEOUT, "PostgreSQL gave no answer in time");
    return postgresql_says(STRATA_ERR_DATABASE, PQerrorMessage(connection->handle), error);
}

/* STRATA_OK where the result is one of a command that was carried out. */
static int postgresql_check(PGresult *result, struct strata_error *error)
{
    ExecStatusType type = PQresultStatus(result);
    if (type == PGRES_COMMAND_OK || type == PGRES_TUPLES_OK)
        return STRATA_OK;
    return postgresql_says(postgresql_state_status(PQresultErrorField(result, PG_DIAG_SQLSTATE)),
                           PQresultErrorMessage(result), error);
}

/* ---- sending and waiting ---- */

/* The result of what was sent; `sent` is what sending answered. */
static int postgresql_await(struct sta_connection *connection, int sent, PGresult **out,
                            struct strata_error *error)
{
    int status = STRATA_ERR_LOST;
    if (sent == 1)
        status = sta_postgresql_wait(connection->handle,
                                     connection->timeout_ms + POSTGRESQL_GRACE_MS, out);
    return status == STRATA_OK ? STRATA_OK : postgresql_broke(connection, status, error);
}

static int postgresql_command(struct sta_connection *connection, const char *command,
                              struct strata_error *error)
{
    PGresult *result = NULL;
    int status =
        postgresql_await(connection, PQsendQuery(connection->handle, command), &result, error);
    if (status != STRATA_OK)
        return status;
    status = postgresql_check(result, error);
    PQclear(result);
    return status;
}

/* ---- connections ---- */

static bool postgresql_shared(const char *url)
{
    (void)url;
    return true;
}

static void postgresql_forget(void *prepared)
{
    (void)prepared; /* the server forgets it with the connection */
}

static void postgresql_close(struct sta_connection *connection)
{
    sta_statements_clear(&connection->statements, postgresql_forget);
    PQfinish(connection->handle);
    free(connection);
}

/* libpq would print notices to standard error. */
static void postgresql_notice(void *arg, const char *text)
{
    (void)arg;
    (void)text;
}

/* A timeout in the URL wins over ours: what is named later counts. */
static PGconn *postgresql_connect(const char *url, uint64_t timeout_ms)
{
    char seconds[24];
    (void)snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)(timeout_ms / 1000 + 2));
    const char *const names[] = {"connect_timeout", "application_name", "dbname", NULL};
    const char *const values[] = {seconds, "strata", url, NULL};
    return PQconnectdbParams(names, values, 1);
}

static int postgresql_prepare_connection(struct sta_connection *connection,
                                         struct strata_error *error)
{
    char command[64];
    if (PQstatus(connection->handle) != CONNECTION_OK)
        return postgresql_says(STRATA_ERR_DATABASE, PQerrorMessage(connection->handle), error);
    (void)PQsetNoticeProcessor(connection->handle, postgresql_notice, NULL);
    if (PQsetnonblocking(connection->handle, 1) != 0)
        return postgresql_says(STRATA_ERR_DATABASE, PQerrorMessage(connection->handle), error);
    (void)snprintf(command, sizeof command, "SET statement_timeout = %llu",
                   (unsigned long long)connection->timeout_ms);
    return postgresql_command(connection, command, error);
}

static int postgresql_open(struct sta_connection **out, const char *url, uint64_t timeout_ms,
                           struct strata_error *error)
{
    struct sta_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return sta_error_set(error, STRATA_ERR_NOMEM, "out of memory");
    connection->timeout_ms = timeout_ms;
    connection->handle = postgresql_connect(url, timeout_ms);
    int status = postgresql_prepare_connection(connection, error);
    if (status != STRATA_OK) {
        postgresql_close(connection);
        return status;
    }
    *out = connection;
    return STRATA_OK;
}

/* Asks the socket, too: of a server that went, its end has come already. */
static bool postgresql_usable(struct sta_connection *connection)
{
    return !connection->broken && PQconsumeInput(connection->handle) == 1 &&
           PQstatus(connection->handle) == CONNECTION_OK &&
           PQtransactionStatus(connection->handle) == PQTRANS_IDLE;
}

static int postgresql_begin(struct sta_connection *connection, struct strata_error *error)
{
    return postgresql_command(connection, "BEGIN", error);
}

static void postgresql_rollback(struct sta_connection *connection)
{
    if (!connection->broken && PQtransactionStatus(connection->handle) != PQTRANS_IDLE)
        (void)postgresql_command(connection, "ROLLBACK", NULL);
}

/* An answer is known to be one: COMMIT of a transaction in which something failed rolls back, and
 * says so by its tag alone. Without an answer, or with the last words of a server that goes,
 * nothing is known. */
static int postgresql_commit(struct sta_connection *connection, struct strata_error *error)
{
    PGresult *result = NULL;
    int status =
        postgresql_await(connection, PQsendQuery(connection->handle, "COMMIT"), &result, error);
    if (status != STRATA_OK) {
        if (error != NULL)
            error->status = STRATA_ERR_LOST;
        return STRATA_ERR_LOST;
    }
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    status = postgresql_check(result, error);
    if (status != STRATA_OK && state != NULL && strncmp(state, "57P", 3) == 0) {
        connection->broken = true;
        status = sta_error_set(error, STRATA_ERR_LOST, "PostgreSQL went during the commit");
    } else if (status == STRATA_OK && strcmp(PQcmdStatus(result), "COMMIT") != 0) {
        status = sta_error_set(error, STRATA_ERR_DATABASE, "PostgreSQL rolled back");
    }
    PQclear(result);
    return status;
}

/* ---- statements ---- */

/* The parameters of one statement in PostgreSQL's form. */
struct postgresql_params {
    const char *values[POSTGRESQL_PARAMS_MAX];
    int lengths[POSTGRESQL_PARAMS_MAX];
    int formats[POSTGRESQL_PARAMS_MAX];
    char fixed[POSTGRESQL_PARAMS_MAX][8];
};

static void postgresql_put64(char *at, uint64_t bits)
{
    for (int i = 0; i < 8; i++)
        at[i] = (char)(bits >> (56 - 8 * i));
}

static uint64_t postgresql_get64(const char *at)
{
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | (uint8_t)at[i];
    return bits;
}

/* The ends of int64_t are PostgreSQL's infinities, both ways. False: it cannot be said there. */
static bool postgresql_put_timestamp(char *at, int64_t integer)
{
    bool finite = integer != INT64_MAX && integer != INT64_MIN;
    if (finite && __builtin_sub_overflow(integer, POSTGRESQL_EPOCH, &integer))
        return false;
    postgresql_put64(at, (uint64_t)integer);
    return true;
}

/* The last thirty years of PostgreSQL's calendar (294247 to 294276) are past int64_t's last
 * microsecond but one, which stands for them. */
static int64_t postgresql_get_timestamp(int64_t integer)
{
    bool finite = integer != INT64_MAX && integer != INT64_MIN;
    if (finite && __builtin_add_overflow(integer, POSTGRESQL_EPOCH, &integer))
        return INT64_MAX - 1;
    return integer;
}

/* False: it cannot be said in PostgreSQL. */
static bool postgresql_param(struct postgresql_params *params, size_t i,
                             const struct strata_field *field)
{
    char *fixed = params->fixed[i];
    int64_t integer = field->of.integer;
    uint64_t bits;
    params->values[i] = fixed;
    params->lengths[i] = 8;
    params->formats[i] = 1;
    switch (field->type) {
    case STRATA_TYPE_TIMESTAMP:
        return postgresql_put_timestamp(fixed, integer);
    case STRATA_TYPE_INTEGER:
        postgresql_put64(fixed, (uint64_t)integer);
        return true;
    case STRATA_TYPE_REAL:
        memcpy(&bits, &field->of.real, sizeof bits);
        postgresql_put64(fixed, bits);
        return true;
    case STRATA_TYPE_BOOLEAN:
        fixed[0] = field->of.boolean ? 1 : 0;
        params->lengths[i] = 1;
        return true;
    case STRATA_TYPE_TEXT:
    case STRATA_TYPE_BLOB:
        if (field->of.bytes.len > 0)
            params->values[i] = field->of.bytes.data;
        params->lengths[i] = (int)field->of.bytes.len;
        return field->of.bytes.len <= INT32_MAX / 2;
    case STRATA_TYPE_NULL:
        break;
    }
    params->values[i] = NULL;
    return true;
}

/* A column of a row; a length that is not its type's leaves it null, which row_bytes.c refuses where it
 * may not be. */
static struct strata_field postgresql_column(const PGresult *result, int row, int at,
                                             enum strata_type type)
{
    const char *value = PQgetvalue(result, row, at);
    int len = PQgetlength(result, row, at);
    struct strata_field field = {.type = type};
    uint64_t bits;
    if (PQgetisnull(result, row, at) != 0)
        return strata_field_null();
    if (type == STRATA_TYPE_TEXT || type == STRATA_TYPE_BLOB) {
        field.of.bytes = strata_bytes(value, (size_t)len);
        return field;
    }
    if (len != (type == STRATA_TYPE_BOOLEAN ? 1 : 8))
        return strata_field_null();
    if (type == STRATA_TYPE_BOOLEAN) {
        field.of.boolean = value[0] != 0;
        return field;
    }
    bits = postgresql_get64(value);
    if (type == STRATA_TYPE_REAL)
        memcpy(&field.of.real, &bits, sizeof bits);
    else if (type == STRATA_TYPE_INTEGER)
        field.of.integer = (int64_t)bits;
    else
        field.of.integer = postgresql_get_timestamp((int64_t)bits);
    return field;
}

static void postgresql_name(char *name, size_t cap, uintptr_t number)
{
    (void)snprintf(name, cap, "strata_%llu", (unsigned long long)number);
}

/* The name under which the server keeps the statement. */
static int postgresql_prepare(struct sta_connection *connection, struct strata_bytes text,
                              char *name, size_t cap, struct strata_error *error)
{
    PGresult *result = NULL;
    void *gone = NULL;
    char command[64];
    uintptr_t number = (uintptr_t)sta_statements_find(&connection->statements, text);
    if (number != 0) {
        postgresql_name(name, cap, number);
        return STRATA_OK;
    }
    number = ++connection->prepared;
    postgresql_name(name, cap, number);
    int status = postgresql_await(
        connection, PQsendPrepare(connection->handle, name, text.data, 0, NULL), &result, error);
    if (status != STRATA_OK)
        return status;
    status = postgresql_check(result, error);
    PQclear(result);
    if (status != STRATA_OK)
        return status;
    if (sta_statements_add(&connection->statements, text, (void *)number, &gone) != STRATA_OK)
        return sta_error_set(error, STRATA_ERR_NOMEM, "out of memory");
    if (gone == NULL)
        return STRATA_OK;
    (void)snprintf(command, sizeof command, "DEALLOCATE strata_%llu",
                   (unsigned long long)(uintptr_t)gone);
    return postgresql_command(connection, command, error);
}

static int postgresql_rows(const PGresult *result, const struct sta_sql *sql,
                           struct strata_error *error)
{
    struct strata_field fields[STRATA_MODEL_COLUMNS];
    int status = STRATA_OK;
    if (sql->column_count > 0 && (size_t)PQnfields(result) != sql->column_count)
        return sta_error_set(error, STRATA_ERR_DATABASE, "PostgreSQL sent %d columns",
                             PQnfields(result));
    for (int row = 0; sql->column_count > 0 && row < PQntuples(result) && status == STRATA_OK;
         row++) {
        for (size_t i = 0; i < sql->column_count; i++)
            fields[i] = postgresql_column(result, row, (int)i, sql->types[i]);
        status = sql->row(sql->arg, fields);
    }
    return status == STRATA_OK ? STRATA_OK
                               : sta_error_set(error, status, "%s", strata_status_text(status));
}

/* A table that was altered leaves statements that cannot be run again (feature_not_supported): a new
 * connection prepares them anew. */
static void postgresql_outlived(struct sta_connection *connection, const char *state)
{
    if (state != NULL && strcmp(state, "0A000") == 0)
        connection->broken = true;
}

static int postgresql_run(struct sta_connection *connection, const struct sta_sql *sql,
                          struct strata_error *error)
{
    struct postgresql_params params;
    char name[32];
    PGresult *result = NULL;
    for (size_t i = 0; i < sql->param_count; i++) {
        if (i == POSTGRESQL_PARAMS_MAX || !postgresql_param(&params, i, &sql->params[i]))
            return sta_error_set(error, STRATA_ERR_INVALID, "a value PostgreSQL cannot hold");
    }
    int status = postgresql_prepare(connection, sql->text, name, sizeof name, error);
    if (status != STRATA_OK)
        return status;
    int sent = PQsendQueryPrepared(connection->handle, name, (int)sql->param_count, params.values,
                                   params.lengths, params.formats, 1);
    status = postgresql_await(connection, sent, &result, error);
    if (status != STRATA_OK)
        return status;
    status = postgresql_check(result, error);
    if (status == STRATA_OK)
        status = postgresql_rows(result, sql, error);
    else
        postgresql_outlived(connection, PQresultErrorField(result, PG_DIAG_SQLSTATE));
    PQclear(result);
    return status;
}

const struct strata_driver *strata_postgresql(void)
{
    static const struct strata_driver driver = {
        .version = STA_DRIVER_VERSION,
        .name = "PostgreSQL",
        .dialect =
            {
                .numbered = true,
                .column_types = {"", "bigint", "double precision", "text", "bytea", "boolean",
                                 "timestamptz"},
                .key_type = "bigint GENERATED BY DEFAULT AS IDENTITY",
                .casts = {"", "::int8", "::float8", "::text", "::bytea", "::bool", "::timestamptz"},
                .now_ms = "(extract(epoch FROM clock_timestamp()) * 1000)::int8",
                .for_update = " FOR UPDATE",
            },
        .shared = postgresql_shared,
        .open = postgresql_open,
        .close = postgresql_close,
        .usable = postgresql_usable,
        .begin = postgresql_begin,
        .commit = postgresql_commit,
        .rollback = postgresql_rollback,
        .run = postgresql_run,
    };
    return &driver;
}
