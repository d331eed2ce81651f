/* SPDX-License-Identifier: MIT
 *
 * Changes: create, update, delete. Each runs in a transaction, the caller's or one of its own. What
 * the database says of a row before a change, and after it, gives the tags that get new
 * versions when the transaction is committed. The row before is read under its lock, so that it is
 * the one that is replaced, whoever else changes it.
 */
#include <stdlib.h>

#include "core/error.h"
#include "repository/field.h"
#include "repository/reading.h"

struct change;

/* What statements answer with: rows as they were, or as they have become. */
struct change_side {
    struct change *change;
    size_t count; /* of rows that came */
};

/* A statement for row `i`, and whose its rows are. */
struct change_step {
    int (*write)(struct change *change, size_t i);
    struct change_side *side;
};

/* A call that changes rows. */
struct change {
    struct strata_repository *repository;
    struct strata_transaction *transaction;
    bool own;   /* the transaction is the call's */
    bool keeps; /* what comes back is wanted */

    /* what it is about: structs; or keys, and for an update the columns that change */
    const char *rows;
    const struct strata_field *keys;
    const size_t *columns;
    const struct strata_field *fields;
    size_t column_count;
    size_t about; /* how many */

    /* the statements that are run, so many for each of these */
    const struct change_step *steps;
    size_t step_count;
    struct sta_sql_text text; /* of the last that was made */

    struct change_side before, after;
    struct sta_row_writer writer;
    struct strata_error *error;
};

static int change_begin(struct change *change, struct strata_repository *repository,
                        struct strata_transaction *transaction, bool keeps,
                        struct strata_error *error)
{
    *change = (struct change){.repository = repository,
                              .transaction = transaction,
                              .own = transaction == NULL,
                              .keeps = keeps,
                              .before = {.change = change},
                              .after = {.change = change},
                              .error = error};
    if (transaction != NULL && transaction->failed)
        return sta_error_set(error, STRATA_ERR_INVALID,
                             "a change of this transaction failed; it can be rolled back only");
    if (sta_row_bytes_begin(&change->writer, &repository->schema) != STRATA_OK)
        return sta_inside_fail(error, STRATA_ERR_NOMEM);
    int status = change->own
                     ? strata_transaction_begin(&change->transaction, repository->database, error)
                     : STRATA_OK;
    if (status != STRATA_OK)
        sta_row_bytes_fini(&change->writer);
    return status;
}

/* What came back, as rows. */
static int change_rows(struct change *change, struct strata_rows *rows)
{
    const struct sta_question all = {.answer = &change->repository->schema};
    sta_row_bytes_end(&change->writer, 0);
    struct sta_answer *answer = sta_single_flight_answer(&change->writer.bytes);
    if (answer == NULL)
        return sta_inside_fail(change->error, STRATA_ERR_NOMEM);
    return sta_reading_rows(&all, answer, rows, change->error);
}

/* `status` is how the change went; the rows are made before the commit, which is the last thing
 * that may fail. */
static int change_end(struct change *change, int status, struct strata_rows *changed)
{
    struct strata_rows rows = {0};
    if (status == STRATA_OK && change->keeps)
        status = change_rows(change, &rows);
    sta_row_bytes_fini(&change->writer);
    if (status != STRATA_OK && change->own)
        strata_transaction_rollback(&change->transaction);
    else if (status < 0 || (status == STRATA_MISS && change->after.count > 0))
        change->transaction->failed = true; /* some rows are changed, others not */
    else if (change->own)
        status = strata_transaction_commit(&change->transaction, change->error);
    if (status == STRATA_OK && changed != NULL)
        *changed = rows;
    else
        strata_rows_release(&rows);
    return status;
}

/* ---- statements ---- */

static int change_row(void *arg, const struct strata_field *fields)
{
    struct change_side *side = arg;
    struct change *change = side->change;
    int status =
        sta_tag_set_add_row(&change->transaction->tags, &change->repository->schema, fields);
    if (side == &change->after && change->keeps && status == STRATA_OK)
        status = sta_row_bytes_add(&change->writer, fields);
    side->count++;
    return status;
}

static int change_make(void *arg, size_t i, struct sta_sql *sql, struct strata_error *error)
{
    struct change *change = arg;
    const struct sta_schema *schema = &change->repository->schema;
    const struct change_step *step = &change->steps[i % change->step_count];
    sta_sql_text_fini(&change->text);
    sta_sql_text_init(&change->text, &change->repository->database->driver->dialect);
    int status = step->write(change, i / change->step_count);
    if (status != STRATA_OK)
        return status;
    *sql = sta_sql_text_end(&change->text);
    sql->types = schema->types;
    sql->column_count = schema->column_count;
    sql->row = change_row;
    sql->arg = step->side;
    return change->text.status == STRATA_OK ? STRATA_OK
                                            : sta_inside_fail(error, change->text.status);
}

/* These steps for each, in one batch. */
static int change_run(struct change *change, const struct change_step *steps, size_t step_count)
{
    const struct sta_batch batch = {change->about * step_count, change_make, change};
    change->steps = steps;
    change->step_count = step_count;
    int status = change->repository->database->driver->run_many(change->transaction->connection,
                                                                &batch, change->error);
    sta_sql_text_fini(&change->text);
    return status;
}

/* The fields of a struct, checked. */
static int change_fields(struct change *change, size_t row, struct strata_field *fields)
{
    const struct sta_schema *schema = &change->repository->schema;
    for (size_t i = 0; i < schema->column_count; i++) {
        fields[i] = sta_field_of_row(&schema->columns[i], change->rows + row * schema->size);
        if (!sta_field_fits(&schema->columns[i], &fields[i]))
            return sta_error_set(change->error, STRATA_ERR_INVALID, "%s.%s may not hold that",
                                 schema->table, schema->columns[i].name);
    }
    return STRATA_OK;
}

static int change_write_insert(struct change *change, size_t i)
{
    struct strata_field fields[STRATA_MODEL_COLUMNS];
    int status = change_fields(change, i, fields);
    if (status == STRATA_OK)
        sta_sql_text_insert(&change->text, &change->repository->schema, fields);
    return status;
}

static int change_write_delete(struct change *change, size_t i)
{
    struct sta_question question;
    const struct sta_schema *schema = &change->repository->schema;
    int status = sta_question_by_key(&question, schema, change->keys[i], change->error);
    if (status == STRATA_OK)
        sta_sql_text_delete(&change->text, schema, change->keys[i]);
    return status;
}

/* The row as it is, under its lock. */
static int change_write_select(struct change *change, size_t i)
{
    struct sta_question question;
    struct strata_field fields[STRATA_MODEL_COLUMNS];
    const struct sta_schema *schema = &change->repository->schema;
    int status = change->rows != NULL ? change_fields(change, i, fields) : STRATA_OK;
    if (status == STRATA_OK)
        status = sta_question_by_key(&question, schema,
                                     change->rows != NULL ? fields[schema->key] : change->keys[i],
                                     change->error);
    if (status == STRATA_OK)
        sta_sql_text_select(&change->text, schema, &question.query, true);
    return status;
}

/* Of a struct: all columns but the key, unless there is no other. */
static int change_write_update_row(struct change *change, size_t row)
{
    const struct sta_schema *schema = &change->repository->schema;
    struct strata_field fields[STRATA_MODEL_COLUMNS];
    size_t columns[STRATA_MODEL_COLUMNS];
    size_t count = 0;
    int status = change_fields(change, row, fields);
    if (status != STRATA_OK)
        return status;
    struct strata_field key = fields[schema->key];
    for (size_t i = 0; i < schema->column_count; i++) {
        if (i == schema->key && schema->column_count > 1)
            continue;
        columns[count] = i;
        fields[count++] = fields[i];
    }
    sta_sql_text_update(&change->text, schema, columns, fields, count, key);
    return STRATA_OK;
}

static int change_write_update_columns(struct change *change, size_t i)
{
    sta_sql_text_update(&change->text, &change->repository->schema, change->columns, change->fields,
                        change->column_count, change->keys[i]);
    return STRATA_OK;
}

/* ---- what a call does ---- */

static int change_create(struct change *change)
{
    const struct change_step insert = {change_write_insert, &change->after};
    return change_run(change, &insert, 1);
}

static int change_delete(struct change *change)
{
    const struct change_step delete = {change_write_delete, &change->after};
    return change_run(change, &delete, 1);
}

/* STRATA_MISS where one is not there. Of one row all goes at once: a row that is not there is not
 * changed. Of several it is known that all are there before any is changed. */
static int change_update(struct change *change)
{
    const struct change_step steps[] = {
        {change_write_select, &change->before},
        {change->rows != NULL ? change_write_update_row : change_write_update_columns,
         &change->after},
    };
    size_t at_once = change->about == 1 ? 2 : 1;
    int status = change_run(change, steps, at_once);
    if (status == STRATA_OK && at_once == 1) {
        if (change->before.count < change->about)
            return STRATA_MISS;
        status = change_run(change, steps + 1, 1);
    }
    if (status != STRATA_OK)
        return status;
    if (change->after.count > change->before.count) /* what was replaced is not known */
        return sta_error_set(change->error, STRATA_ERR_CONFLICT,
                             "a row of %s came while it was to be changed",
                             change->repository->schema.table);
    return change->after.count < change->about ? STRATA_MISS : STRATA_OK;
}

/* ---- the calls ---- */

/* `count` structs, one after the other. */
static int change_rows_by(struct strata_repository *repository,
                          struct strata_transaction *transaction, const void *rows, size_t count,
                          struct strata_rows *changed, struct strata_error *error,
                          int (*all)(struct change *change))
{
    struct change change;
    int status = change_begin(&change, repository, transaction, changed != NULL, error);
    if (status != STRATA_OK)
        return status;
    change.rows = rows;
    change.about = count;
    return change_end(&change, all(&change), changed);
}

int strata_repository_create(struct strata_repository *repository,
                             struct strata_transaction *transaction, const void *row,
                             struct strata_rows *changed, struct strata_error *error)
{
    return change_rows_by(repository, transaction, row, 1, changed, error, change_create);
}

int strata_repository_create_many(struct strata_repository *repository,
                                  struct strata_transaction *transaction, const void *rows,
                                  size_t count, struct strata_rows *changed,
                                  struct strata_error *error)
{
    return change_rows_by(repository, transaction, rows, count, changed, error, change_create);
}

int strata_repository_update(struct strata_repository *repository,
                             struct strata_transaction *transaction, const void *row,
                             struct strata_rows *changed, struct strata_error *error)
{
    return change_rows_by(repository, transaction, row, 1, changed, error, change_update);
}

int strata_repository_update_many(struct strata_repository *repository,
                                  struct strata_transaction *transaction, const void *rows,
                                  size_t count, struct strata_rows *changed,
                                  struct strata_error *error)
{
    return change_rows_by(repository, transaction, rows, count, changed, error, change_update);
}

static int change_check_columns(const struct sta_schema *schema,
                                const struct strata_change *changes, size_t count, size_t *columns,
                                struct strata_field *fields, struct strata_error *error)
{
    if (count == 0 || count > schema->column_count)
        return sta_error_set(error, STRATA_ERR_INVALID,
                             "%s: %zu columns to change; allowed: 1 to %zu", schema->table, count,
                             schema->column_count);
    for (size_t i = 0; i < count; i++) {
        const char *name = changes[i].column != NULL ? changes[i].column : "(none)";
        columns[i] = sta_schema_column(schema, name);
        if (columns[i] == schema->column_count || columns[i] == schema->key ||
            !sta_field_fits(&schema->columns[columns[i]], &changes[i].field))
            return sta_error_set(error, STRATA_ERR_INVALID, "%s.%.63s cannot be changed to that",
                                 schema->table, name);
        fields[i] = changes[i].field;
    }
    return STRATA_OK;
}

int strata_repository_update_columns(struct strata_repository *repository,
                                     struct strata_transaction *transaction,
                                     struct strata_field key, const struct strata_change *changes,
                                     size_t count, struct strata_rows *changed,
                                     struct strata_error *error)
{
    size_t columns[STRATA_MODEL_COLUMNS];
    struct strata_field fields[STRATA_MODEL_COLUMNS];
    struct change change;
    int status = change_check_columns(&repository->schema, changes, count, columns, fields, error);
    if (status == STRATA_OK)
        status = change_begin(&change, repository, transaction, changed != NULL, error);
    if (status != STRATA_OK)
        return status;
    change.keys = &key;
    change.about = 1;
    change.columns = columns;
    change.fields = fields;
    change.column_count = count;
    return change_end(&change, change_update(&change), changed);
}

int strata_repository_delete(struct strata_repository *repository,
                             struct strata_transaction *transaction, struct strata_field key,
                             struct strata_error *error)
{
    size_t deleted = 0;
    int status = strata_repository_delete_many(repository, transaction, &key, 1, &deleted, error);
    return status == STRATA_OK && deleted == 0 ? STRATA_MISS : status;
}

int strata_repository_delete_many(struct strata_repository *repository,
                                  struct strata_transaction *transaction,
                                  const struct strata_field *keys, size_t count, size_t *deleted,
                                  struct strata_error *error)
{
    struct change change;
    int status = change_begin(&change, repository, transaction, false, error);
    if (status != STRATA_OK)
        return status;
    change.keys = keys;
    change.about = count;
    status = change_end(&change, change_delete(&change), NULL);
    if (status == STRATA_OK && deleted != NULL)
        *deleted = change.after.count;
    return status;
}
