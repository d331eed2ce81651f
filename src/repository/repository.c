/* SPDX-License-Identifier: MIT
 *
 * Repositories: opening, closing, tables, reads, numbers. Changes are in changes.c.
 */
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "repository/reading.h"

/* ---- opening and closing ---- */

static int repository_schemas(struct strata_repository *repository,
                              const struct strata_model *model, struct strata_error *error)
{
    static const struct strata_column count[] = {
        {"count", STRATA_TYPE_INTEGER, STRATA_COLUMN_KEY, 0, 0}};
    const struct strata_model counted = {
        .table = repository->schema.table,
        .columns = count,
        .column_count = 1,
        .size = sizeof(int64_t),
    };
    int status = sta_schema_init(&repository->schema, model, error);
    return status == STRATA_OK ? sta_schema_init(&repository->count_schema, &counted, error)
                               : status;
}

/* Among the database's, unless one of them has the same prefix. In doubt: what was left by a
 * process that died is not in the cache yet, so a sweep that begins from now on comes first. */
static bool repository_add(struct strata_repository *repository)
{
    struct strata_database *database = repository->database;
    struct sta_list *end = &database->repositories;
    bool alone = true;
    (void)pthread_mutex_lock(&database->lock);
    for (struct sta_list *at = end->next; at != end; at = at->next) {
        const struct strata_repository *other = STA_CONTAINER(at, struct strata_repository, link);
        alone = alone && strcmp(other->schema.prefix, repository->schema.prefix) != 0;
    }
    if (alone) {
        atomic_init(&repository->doubted, 1);
        sta_list_push_back(end, &repository->link);
        database->hurry = true;
        (void)pthread_cond_signal(&database->wake);
    }
    (void)pthread_mutex_unlock(&database->lock);
    return alone;
}

int strata_repository_open(struct strata_repository **out, struct strata_database *database,
                           const struct strata_model *model, struct strata_error *error)
{
    struct strata_repository *repository = calloc(1, sizeof *repository);
    if (repository == NULL)
        return sta_inside_fail(error, STRATA_ERR_NOMEM);
    repository->database = database;
    int status = repository_schemas(repository, model, error);
    if (status == STRATA_OK && !repository_add(repository))
        status = sta_error_set(error, STRATA_ERR_INVALID, "there is a repository with prefix %s",
                               repository->schema.prefix);
    if (status != STRATA_OK) {
        free(repository);
        return status;
    }
    sta_single_flight_init(&repository->flights);
    *out = repository;
    return STRATA_OK;
}

void strata_repository_close(struct strata_repository **repository)
{
    struct strata_repository *closing = *repository;
    *repository = NULL;
    if (closing == NULL)
        return;
    (void)pthread_mutex_lock(&closing->database->lock);
    sta_list_remove(&closing->link);
    (void)pthread_mutex_unlock(&closing->database->lock);
    sta_single_flight_fini(&closing->flights);
    free(closing);
}

static int repository_run(struct strata_repository *repository, struct sta_connection *connection,
                          struct sta_sql_text *text, struct strata_error *error)
{
    struct sta_sql sql = sta_sql_text_end(text);
    int status = text->status == STRATA_OK
                     ? repository->database->driver->run(connection, &sql, error)
                     : sta_inside_fail(error, text->status);
    sta_sql_text_fini(text);
    return status;
}

int strata_repository_create_table(struct strata_repository *repository, struct strata_error *error)
{
    const struct sta_schema *schema = &repository->schema;
    const struct sta_dialect *dialect = &repository->database->driver->dialect;
    struct sta_connection *connection;
    struct sta_sql_text text;
    int status = sta_pool_acquire(&repository->database->pool, &connection, error);
    if (status != STRATA_OK)
        return status;
    sta_sql_text_init(&text, dialect);
    sta_sql_text_create_table(&text, schema);
    status = repository_run(repository, connection, &text, error);
    for (size_t i = 0; i < schema->column_count && status == STRATA_OK; i++) {
        if (i == schema->key || !schema->columns[i].indexed)
            continue;
        sta_sql_text_init(&text, dialect);
        sta_sql_text_create_index(&text, schema, &schema->columns[i]);
        status = repository_run(repository, connection, &text, error);
    }
    sta_pool_release(&repository->database->pool, connection);
    return status;
}

/* ---- reads of the database ---- */

static int repository_ask(struct strata_repository *repository,
                          struct strata_transaction *transaction,
                          const struct sta_question *question, struct strata_rows *found,
                          struct strata_error *error)
{
    struct sta_answer *answer;
    struct sta_connection *connection = transaction != NULL ? transaction->connection : NULL;
    int status = sta_reading_ask(repository, connection, question, 0, &answer, error);
    if (status != STRATA_OK && transaction != NULL)
        transaction->failed = true;
    return status == STRATA_OK ? sta_reading_rows(question, answer, found, error) : status;
}

int strata_repository_find(struct strata_repository *repository,
                           struct strata_transaction *transaction, struct strata_field key,
                           struct strata_rows *found, struct strata_error *error)
{
    struct sta_question question;
    int status = sta_question_by_key(&question, &repository->schema, key, error);
    return status == STRATA_OK ? repository_ask(repository, transaction, &question, found, error)
                               : status;
}

int strata_repository_find_many(struct strata_repository *repository,
                                struct strata_transaction *transaction,
                                const struct strata_field *keys, size_t count,
                                struct strata_rows *found, int *statuses,
                                struct strata_error *error)
{
    const struct sta_reading_many many = {
        .keys = keys,
        .count = count,
        .found = found,
        .statuses = statuses,
        .connection = transaction != NULL ? transaction->connection : NULL,
    };
    int status = sta_reading_many(repository, &many, error);
    for (size_t i = 0; i < count && transaction != NULL; i++)
        transaction->failed =
            transaction->failed || (statuses[i] < 0 && statuses[i] != STRATA_ERR_INVALID);
    return status;
}

int strata_repository_find_one_by(struct strata_repository *repository,
                                  struct strata_transaction *transaction,
                                  const struct strata_match *where, size_t where_count,
                                  struct strata_rows *found, struct strata_error *error)
{
    struct sta_question question;
    int status = sta_question_by_columns(&question, &repository->schema, where, where_count, error);
    return status == STRATA_OK ? repository_ask(repository, transaction, &question, found, error)
                               : status;
}

int strata_repository_list(struct strata_repository *repository,
                           struct strata_transaction *transaction, const struct strata_query *query,
                           struct strata_rows *found, struct strata_error *error)
{
    struct sta_question question;
    int status = sta_question_list(&question, &repository->schema, query, error);
    return status == STRATA_OK ? repository_ask(repository, transaction, &question, found, error)
                               : status;
}

/* The one number of an answered count. */
static int repository_counted(int status, struct strata_rows *rows, uint64_t *count,
                              struct strata_error *error)
{
    int64_t number = -1;
    if (status != STRATA_OK)
        return status;
    if (rows->count == 1)
        memcpy(&number, rows->rows, sizeof number);
    strata_rows_release(rows);
    if (number < 0)
        return sta_inside_fail(error, STRATA_ERR_DATABASE);
    *count = (uint64_t)number;
    return STRATA_OK;
}

int strata_repository_count(struct strata_repository *repository,
                            struct strata_transaction *transaction,
                            const struct strata_query *query, uint64_t *count,
                            struct strata_error *error)
{
    struct sta_question question;
    struct strata_rows rows = {0};
    int status =
        sta_question_count(&question, &repository->schema, &repository->count_schema, query, error);
    if (status == STRATA_OK)
        status = repository_ask(repository, transaction, &question, &rows, error);
    return repository_counted(status, &rows, count, error);
}

/* ---- reads through the cache ---- */

int strata_repository_find_cached(struct strata_repository *repository, struct strata_field key,
                                  struct strata_rows *found, struct strata_error *error)
{
    struct sta_question question;
    int status = sta_question_by_key(&question, &repository->schema, key, error);
    return status == STRATA_OK ? sta_reading_cached(repository, &question, found, error) : status;
}

int strata_repository_find_many_cached(struct strata_repository *repository,
                                       const struct strata_field *keys, size_t count,
                                       struct strata_rows *found, int *statuses,
                                       struct strata_error *error)
{
    const struct sta_reading_many many = {
        .keys = keys, .count = count, .found = found, .statuses = statuses, .cached = true};
    return sta_reading_many(repository, &many, error);
}

int strata_repository_find_one_by_cached(struct strata_repository *repository,
                                         const struct strata_match *where, size_t where_count,
                                         struct strata_rows *found, struct strata_error *error)
{
    struct sta_question question;
    int status = sta_question_by_columns(&question, &repository->schema, where, where_count, error);
    return status == STRATA_OK ? sta_reading_cached(repository, &question, found, error) : status;
}

int strata_repository_list_cached(struct strata_repository *repository,
                                  const struct strata_query *query, struct strata_rows *found,
                                  struct strata_error *error)
{
    struct sta_question question;
    int status = sta_question_list(&question, &repository->schema, query, error);
    return status == STRATA_OK ? sta_reading_cached(repository, &question, found, error) : status;
}

int strata_repository_count_cached(struct strata_repository *repository,
                                   const struct strata_query *query, uint64_t *count,
                                   struct strata_error *error)
{
    struct sta_question question;
    struct strata_rows rows = {0};
    int status =
        sta_question_count(&question, &repository->schema, &repository->count_schema, query, error);
    if (status == STRATA_OK)
        status = sta_reading_cached(repository, &question, &rows, error);
    return repository_counted(status, &rows, count, error);
}

/* ---- numbers ---- */

static uint64_t repository_number(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void strata_repository_statistics(const struct strata_repository *repository,
                                  struct strata_repository_statistics *out)
{
    *out = (struct strata_repository_statistics){
        .hits = repository_number(&repository->hits),
        .joined = repository_number(&repository->joined),
        .statements = repository_number(&repository->statements),
        .outdated = repository_number(&repository->outdated),
        .unreadable = repository_number(&repository->unreadable),
        .bypassed = repository_number(&repository->bypassed),
        .untold = repository_number(&repository->untold),
        .swept = repository_number(&repository->database->swept),
    };
}
