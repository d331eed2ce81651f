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
#include "repository/postgresql_value.h"
#include "repository/postgresql_wait.h"
#include "repository/statements.h"

/* The server ends a statement that takes too long; this much later we no longer wait for it. */
#define POSTGRESQL_GRACE_MS 1000

/* What goes out before answers are read, and so may lie in libpq's memory. */
#define POSTGRESQL_GROUP       128           /* statements */
#define POSTGRESQL_GROUP_BYTES (256u * 1024) /* of parameters; what passes it is the last */

struct sta_connection {
    PGconn *handle;
    uint64_t timeout_ms;
    uintptr_t prepared; /* names given */
    bool broken;        /* gave no answer: what it would say next is not known */
    bool owes_begin;    /* BEGIN goes out with the first statement */
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
static int postgresql_check(const PGresult *result, struct strata_error *error)
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
    return !connection->broken && !connection->owes_begin &&
           PQconsumeInput(connection->handle) == 1 &&
           PQstatus(connection->handle) == CONNECTION_OK &&
           PQtransactionStatus(connection->handle) == PQTRANS_IDLE;
}

static int postgresql_begin(struct sta_connection *connection, struct strata_error *error)
{
    (void)error;
    connection->owes_begin = true;
    return STRATA_OK;
}

static void postgresql_rollback(struct sta_connection *connection)
{
    connection->owes_begin = false;
    if (!connection->broken && PQtransactionStatus(connection->handle) != PQTRANS_IDLE)
        (void)postgresql_command(connection, "ROLLBACK", NULL);
}

/* ---- statements ---- */

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

static int postgresql_cannot_hold(struct strata_error *error)
{
    return sta_error_set(error, STRATA_ERR_INVALID, "a value PostgreSQL cannot hold");
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
            fields[i] = sta_postgresql_value_column(result, row, (int)i, sql->types[i]);
        status = sql->row(sql->arg, fields);
    }
    return status == STRATA_OK ? STRATA_OK
                               : sta_error_set(error, status, "%s", strata_status_text(status));
}

/* A table that was altered leaves statements that cannot be run again (feature_not_supported): a
 * new connection prepares them anew. */
static void postgresql_outlived(struct sta_connection *connection, const char *state)
{
    if (state != NULL && strcmp(state, "0A000") == 0)
        connection->broken = true;
}

/* What came for a statement, as rows. */
static int postgresql_take(struct sta_connection *connection, const struct sta_sql *sql,
                           const PGresult *result, struct strata_error *error)
{
    int status = postgresql_check(result, error);
    if (status == STRATA_OK)
        return postgresql_rows(result, sql, error);
    postgresql_outlived(connection, PQresultErrorField(result, PG_DIAG_SQLSTATE));
    return status;
}

/* 1 where it is on its way, as libpq's own. */
static int postgresql_send(struct sta_connection *connection, const char *name,
                           const struct sta_sql *sql, const struct sta_postgresql_params *params)
{
    return PQsendQueryPrepared(connection->handle, name, (int)sql->param_count, params->values,
                               params->lengths, params->formats, 1);
}

static int postgresql_run_alone(struct sta_connection *connection, const struct sta_sql *sql,
                                struct strata_error *error)
{
    struct sta_postgresql_params params;
    char name[32];
    PGresult *result = NULL;
    if (!sta_postgresql_value_params(&params, sql))
        return postgresql_cannot_hold(error);
    int status = postgresql_prepare(connection, sql->text, name, sizeof name, error);
    if (status != STRATA_OK)
        return status;
    int sent = postgresql_send(connection, name, sql, &params);
    status = postgresql_await(connection, sent, &result, error);
    if (status != STRATA_OK)
        return status;
    status = postgresql_take(connection, sql, result, error);
    PQclear(result);
    return status;
}

/* ---- what goes out together ----
 *
 * Statements go out in groups, in libpq's pipeline mode, and the answers of a group are read behind
 * it:
 *
 *     prepare what is not yet | BEGIN, statement, flush, ... COMMIT, sync | answers ... sync
 *
 * BEGIN is there where it is owed, COMMIT where it is asked for. The server sends each answer when
 * it has it, so that it is waited for as long as for a single one. Neither side can block the other
 * for ever: while we send, what comes is read (postgresql_wait.c). A statement that fails has the
 * server pass over all up to the sync, COMMIT too. */

struct postgresql_group {
    bool begins, commits;
    size_t sent;        /* statements between these */
    size_t bytes;       /* of their parameters */
    struct sta_sql sql; /* of all, as to their columns and row() */
    void *args[POSTGRESQL_GROUP];
};

static int postgresql_word(struct sta_connection *connection, const char *word,
                           struct strata_error *error)
{
    return PQsendQueryParams(connection->handle, word, 0, NULL, NULL, NULL, NULL, 1) == 1
               ? STRATA_OK
               : postgresql_broke(connection, STRATA_ERR_LOST, error);
}

static int postgresql_group_begin(struct sta_connection *connection, struct postgresql_group *group,
                                  struct strata_error *error)
{
    group->begins = connection->owes_begin;
    group->commits = false;
    group->sent = 0;
    group->bytes = 0;
    connection->owes_begin = false;
    if (PQenterPipelineMode(connection->handle) != 1)
        return postgresql_broke(connection, STRATA_ERR_LOST, error);
    return group->begins ? postgresql_word(connection, "BEGIN", error) : STRATA_OK;
}

/* The next statement leaves. STRATA_MORE: it belongs to the next group, for it must be prepared
 * first. */
static int postgresql_group_add(struct sta_connection *connection, struct postgresql_group *group,
                                const struct sta_sql *sql, struct strata_error *error)
{
    struct sta_postgresql_params params;
    char name[32];
    uintptr_t number = (uintptr_t)sta_statements_find(&connection->statements, sql->text);
    if (number == 0)
        return STRATA_MORE;
    if (!sta_postgresql_value_params(&params, sql))
        return postgresql_cannot_hold(error);
    postgresql_name(name, sizeof name, number);
    if (postgresql_send(connection, name, sql, &params) != 1 ||
        PQsendFlushRequest(connection->handle) != 1)
        return postgresql_broke(connection, STRATA_ERR_LOST, error);
    for (size_t i = 0; i < sql->param_count; i++)
        group->bytes += params.values[i] != NULL ? (size_t)params.lengths[i] : 0;
    group->args[group->sent++] = sql->arg;
    group->sql = *sql;
    return STRATA_OK;
}

/* `status`, of what gave no answer; where a COMMIT may be on its way, that may have been carried
 * out. */
static int postgresql_unknown(const struct postgresql_group *group, int status,
                              struct strata_error *error)
{
    if (!group->commits)
        return status;
    if (error != NULL)
        error->status = STRATA_ERR_LOST;
    return STRATA_ERR_LOST;
}

/* The next answer of a group; NULL where there is none, or it says nothing, `first` having failed.
 * What fails first is what is answered. */
static int postgresql_group_next(struct sta_connection *connection,
                                 const struct postgresql_group *group, int first, PGresult **out,
                                 struct strata_error *error)
{
    *out = NULL;
    if (connection->broken)
        return first;
    int status = postgresql_await(connection, 1, out, first == STRATA_OK ? error : NULL);
    if (first == STRATA_OK)
        return status == STRATA_OK ? STRATA_OK : postgresql_unknown(group, status, error);
    PQclear(*out);
    *out = NULL;
    return first;
}

static int postgresql_group_rows(struct sta_connection *connection,
                                 const struct postgresql_group *group, const struct sta_sql *sql,
                                 int first, struct strata_error *error)
{
    PGresult *result;
    first = postgresql_group_next(connection, group, first, &result, error);
    if (result != NULL)
        first = postgresql_take(connection, sql, result, error);
    PQclear(result);
    return first;
}

/* COMMIT of a transaction in which something failed rolls back, and says so by its tag alone. Of
 * the last words of a server that goes nothing is known. */
static int postgresql_group_committed(struct sta_connection *connection,
                                      const struct postgresql_group *group, int first,
                                      struct strata_error *error)
{
    PGresult *result;
    first = postgresql_group_next(connection, group, first, &result, error);
    if (result == NULL)
        return first;
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    first = postgresql_check(result, error);
    if (first != STRATA_OK && state != NULL && strncmp(state, "57P", 3) == 0) {
        connection->broken = true;
        first = sta_error_set(error, STRATA_ERR_LOST, "PostgreSQL went during the commit");
    } else if (first == STRATA_OK && strcmp(PQcmdStatus(result), "COMMIT") != 0) {
        first = sta_error_set(error, STRATA_ERR_DATABASE, "PostgreSQL rolled back");
    }
    PQclear(result);
    return first;
}

/* The sync's answer. Once a COMMIT was answered nothing depends on it but whether the connection is
 * good. */
static int postgresql_group_leave(struct sta_connection *connection,
                                  const struct postgresql_group *group, int first,
                                  struct strata_error *error)
{
    PGresult *result = NULL;
    bool counts = first == STRATA_OK && !group->commits;
    if (connection->broken)
        return first;
    int status = postgresql_await(connection, 1, &result, counts ? error : NULL);
    PQclear(result);
    if (status == STRATA_OK && PQexitPipelineMode(connection->handle) != 1)
        status = postgresql_broke(connection, STRATA_ERR_LOST, counts ? error : NULL);
    return counts ? status : first;
}

/* All answers; the first that is not STRATA_OK, of which `status`, of what was not sent, is the
 * last. */
static int postgresql_group_end(struct sta_connection *connection, struct postgresql_group *group,
                                int status, struct strata_error *error)
{
    static const struct sta_sql begin;
    int first = STRATA_OK;
    if (!connection->broken && PQpipelineSync(connection->handle) != 1)
        first =
            postgresql_unknown(group, postgresql_broke(connection, STRATA_ERR_LOST, error), error);
    if (group->begins)
        first = postgresql_group_rows(connection, group, &begin, first, error);
    for (size_t i = 0; i < group->sent; i++) {
        group->sql.arg = group->args[i];
        first = postgresql_group_rows(connection, group, &group->sql, first, error);
    }
    if (group->commits)
        first = postgresql_group_committed(connection, group, first, error);
    first = postgresql_group_leave(connection, group, first, error);
    return first != STRATA_OK ? first : status;
}

/* ---- one statement, many, and the last ---- */

/* Statements from `*at` on, the first of which is prepared. */
static int postgresql_group_run(struct sta_connection *connection, const struct sta_batch *batch,
                                size_t *at, struct strata_error *error)
{
    struct postgresql_group group;
    struct sta_sql sql;
    int status = postgresql_group_begin(connection, &group, error);
    while (*at < batch->count && status == STRATA_OK && group.sent < POSTGRESQL_GROUP &&
           group.bytes < POSTGRESQL_GROUP_BYTES) {
        status = batch->make(batch->arg, *at, &sql, error);
        if (status == STRATA_OK)
            status = postgresql_group_add(connection, &group, &sql, error);
        *at += status == STRATA_OK;
    }
    status = postgresql_group_end(connection, &group, status, error);
    return status == STRATA_MORE ? STRATA_OK : status;
}

static int postgresql_run_many(struct sta_connection *connection, const struct sta_batch *batch,
                               struct strata_error *error)
{
    struct sta_sql sql;
    char name[32];
    int status = STRATA_OK;
    for (size_t at = 0; at < batch->count && status == STRATA_OK;) {
        status = batch->make(batch->arg, at, &sql, error);
        if (status == STRATA_OK)
            status = postgresql_prepare(connection, sql.text, name, sizeof name, error);
        if (status == STRATA_OK)
            status = postgresql_group_run(connection, batch, &at, error);
    }
    return status;
}

static int postgresql_same(void *arg, size_t i, struct sta_sql *sql, struct strata_error *error)
{
    (void)i;
    (void)error;
    *sql = *(const struct sta_sql *)arg;
    return STRATA_OK;
}

static int postgresql_run(struct sta_connection *connection, const struct sta_sql *sql,
                          struct strata_error *error)
{
    const struct sta_batch alone = {1, postgresql_same, (void *)sql};
    return connection->owes_begin ? postgresql_run_many(connection, &alone, error)
                                  : postgresql_run_alone(connection, sql, error);
}

/* A transaction in which nothing was asked is none to the server. */
static int postgresql_commit(struct sta_connection *connection, const struct sta_sql *last,
                             struct strata_error *error)
{
    struct postgresql_group group;
    char name[32];
    int status = STRATA_OK;
    if (last == NULL && connection->owes_begin) {
        connection->owes_begin = false;
        return STRATA_OK;
    }
    if (last != NULL)
        status = postgresql_prepare(connection, last->text, name, sizeof name, error);
    if (status != STRATA_OK)
        return status;
    status = postgresql_group_begin(connection, &group, error);
    if (status == STRATA_OK && last != NULL)
        status = postgresql_group_add(connection, &group, last, error);
    if (status == STRATA_OK) {
        group.commits = true;
        status = postgresql_word(connection, "COMMIT", error);
        if (status != STRATA_OK)
            status = postgresql_unknown(&group, status, error);
    }
    return postgresql_group_end(connection, &group, status, error);
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
        .run_many = postgresql_run_many,
    };
    return &driver;
}
