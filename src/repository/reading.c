/* SPDX-License-Identifier: MIT
 *
 * See reading.h. The way of a read through the cache:
 *
 *     in doubt? ------------------------------------------> the database
 *     version of the tag and entry of the key, in one call
 *     entry under that version? --------------------------> its rows, borrowed from L1
 *     no version? a new one is stored, and acknowledged     (else: the database, nothing kept)
 *     the same asked already under this version? ---------> its answer
 *     the database; the answer is kept under the version that was known before it was asked
 *
 * A hit: one call of the cache, whose keys lie on the stack; one allocation, for the structs.
 */
#include "repository/reading.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"

/* ---- the database ---- */

struct reading_sink {
    struct sta_row_writer writer;
};

static int reading_row(void *arg, const struct strata_field *fields)
{
    struct reading_sink *sink = arg;
    if (sink->writer.count == STRATA_ROWS_MAX)
        return STRATA_ERR_TOO_BIG;
    return sta_row_bytes_add(&sink->writer, fields);
}

static int reading_run(struct strata_repository *repository, struct sta_connection *connection,
                       struct sta_sql_text *text, const struct sta_schema *answer,
                       struct reading_sink *sink, struct strata_error *error)
{
    struct sta_sql sql = sta_sql_text_end(text);
    if (text->status != STRATA_OK)
        return sta_inside_fail(error, text->status);
    sql.types = answer->types;
    sql.column_count = answer->column_count;
    sql.row = reading_row;
    sql.arg = sink;
    sta_inside_count(&repository->statements);
    return repository->database->driver->run(connection, &sql, error);
}

static int reading_select(struct strata_repository *repository, struct sta_connection *connection,
                          const struct sta_question *question, struct reading_sink *sink,
                          struct strata_error *error)
{
    struct sta_sql_text text;
    sta_sql_text_init(&text, &repository->database->driver->dialect);
    if (question->counts)
        sta_sql_text_count(&text, question->schema, &question->query);
    else
        sta_sql_text_select(&text, question->schema, &question->query, false);
    int status = reading_run(repository, connection, &text, question->answer, sink, error);
    sta_sql_text_fini(&text);
    return status;
}

int sta_reading_ask(struct strata_repository *repository, struct sta_connection *connection,
                    const struct sta_question *question, uint64_t version,
                    struct sta_answer **answer, struct strata_error *error)
{
    struct sta_pool *pool = &repository->database->pool;
    struct sta_connection *lent = connection;
    struct reading_sink sink;
    int status = lent != NULL ? STRATA_OK : sta_pool_acquire(pool, &lent, error);
    if (status != STRATA_OK)
        return status;
    status = sta_row_bytes_begin(&sink.writer, question->answer);
    if (status != STRATA_OK)
        (void)sta_inside_fail(error, status);
    else
        status = reading_select(repository, lent, question, &sink, error);
    if (connection == NULL)
        sta_pool_release(pool, lent);
    if (status == STRATA_OK) {
        sta_row_bytes_end(&sink.writer, version);
        *answer = sta_single_flight_answer(&sink.writer.bytes);
        if (*answer == NULL)
            status = sta_inside_fail(error, STRATA_ERR_NOMEM);
    }
    sta_row_bytes_fini(&sink.writer);
    return status;
}

/* ---- rows ---- */

void strata_rows_release(struct strata_rows *rows)
{
    free(rows->rows);
    sta_single_flight_unref(rows->block);
    strata_release(&rows->value);
    *rows = (struct strata_rows){0};
}

static int reading_found(const struct sta_question *question, struct strata_rows *rows,
                         struct strata_rows *out)
{
    if (question->single && rows->count == 0) {
        strata_rows_release(rows);
        return STRATA_MISS;
    }
    *out = *rows;
    return STRATA_OK;
}

int sta_reading_rows(const struct sta_question *question, struct sta_answer *answer,
                     struct strata_rows *out, struct strata_error *error)
{
    struct strata_rows rows = {.block = answer};
    int status = sta_row_bytes_decode(question->answer, sta_buffer_bytes(&answer->bytes),
                                      &rows.rows, &rows.count);
    if (status == STRATA_OK)
        return reading_found(question, &rows, out);
    strata_rows_release(&rows);
    return sta_inside_fail(error, status < 0 ? status : STRATA_ERR_DATABASE);
}

/* ---- the cache ---- */

int sta_reading_entry(struct strata_repository *repository, const struct sta_question *question,
                      uint64_t version, struct strata_value *entry, struct strata_rows *out,
                      struct strata_error *error)
{
    struct strata_rows rows = {0};
    uint64_t under;
    if (!sta_row_bytes_version(question->answer, entry->bytes, &under)) {
        sta_inside_count(&repository->unreadable);
        return STRATA_MORE;
    }
    if (under != version) {
        sta_inside_count(&repository->outdated);
        return STRATA_MORE;
    }
    int status = sta_row_bytes_decode(question->answer, entry->bytes, &rows.rows, &rows.count);
    if (status != STRATA_OK) {
        if (status < 0)
            return sta_inside_fail(error, status);
        sta_inside_count(&repository->unreadable);
        return STRATA_MORE;
    }
    sta_inside_count(&repository->hits);
    rows.value = *entry;
    *entry = (struct strata_value){0};
    return reading_found(question, &rows, out);
}

struct strata_item sta_reading_item(const struct sta_question *question,
                                    const struct sta_answer *answer)
{
    struct strata_bytes bytes = sta_buffer_bytes(&answer->bytes);
    bool none = question->single && bytes.len == STA_ROW_BYTES_HEAD;
    return (struct strata_item){
        .key = strata_bytes(question->key, question->key_len),
        .value = bytes,
        .ttl_ms = none ? question->schema->null_ttl_ms : question->ttl_ms,
    };
}

/* Stores the answer; that it cannot is no matter. */
static void reading_keep(struct strata_repository *repository, const struct sta_question *question,
                         const struct sta_answer *answer)
{
    struct strata_item item = sta_reading_item(question, answer);
    (void)strata_set(repository->database->cache, item.key, item.value, item.ttl_ms);
}

int sta_reading_version(const struct strata_value *value, int status, uint64_t *version)
{
    if (status == STRATA_OK && value->bytes.len == sizeof *version) {
        memcpy(version, value->bytes.data, sizeof *version);
        return STRATA_OK;
    }
    return status == STRATA_OK || status == STRATA_MISS ? STRATA_MISS : STRATA_ERR_UNAVAILABLE;
}

/* The version under which an answer may be kept: the one that the cache has, or a new one. Only
 * what the cache has acknowledged is one: else it might replace, later, what a change has
 * stored. */
static bool reading_version(struct strata_repository *repository,
                            const struct sta_question *question, const struct strata_value *value,
                            int status, uint64_t *version)
{
    struct strata_database *database = repository->database;
    status = sta_reading_version(value, status, version);
    if (status != STRATA_MISS)
        return status == STRATA_OK;
    *version = sta_tag_new_version(&database->versions);
    return strata_set(database->cache, strata_bytes(question->tag.name, question->tag.len),
                      strata_bytes(version, sizeof *version), STA_TAG_TTL_MS) == STRATA_OK;
}

/* The database's answer, asked once for all that want it under this version. */
static int reading_fill(struct strata_repository *repository, struct sta_question *question,
                        uint64_t version, struct strata_rows *out, struct strata_error *error)
{
    struct sta_flight mine = {
        .key = strata_bytes(question->key, question->key_len),
        .version = version,
    };
    struct sta_answer *answer = NULL;
    int status;
    if (!sta_single_flight_begin(&repository->flights, &mine, &status, &answer, error)) {
        sta_inside_count(&repository->joined);
        return status == STRATA_OK ? sta_reading_rows(question, answer, out, error) : status;
    }
    status = sta_reading_ask(repository, NULL, question, version, &answer, &mine.error);
    if (status == STRATA_OK)
        reading_keep(repository, question, answer);
    else if (error != NULL)
        *error = mine.error;
    sta_single_flight_land(&repository->flights, &mine, status, answer, NULL);
    return status == STRATA_OK ? sta_reading_rows(question, answer, out, error) : status;
}

static int reading_uncached(struct strata_repository *repository,
                            const struct sta_question *question, struct strata_rows *out,
                            struct strata_error *error)
{
    struct sta_answer *answer;
    int status = sta_reading_ask(repository, NULL, question, 0, &answer, error);
    return status == STRATA_OK ? sta_reading_rows(question, answer, out, error) : status;
}

/* With what the cache has answered for the question's tag and key: both values are released or
 * taken over. */
static int reading_finish(struct strata_repository *repository, struct sta_question *question,
                          struct strata_value *values, const int *statuses, struct strata_rows *out,
                          struct strata_error *error)
{
    uint64_t version;
    int status = STRATA_MORE;
    bool known = reading_version(repository, question, &values[0], statuses[0], &version);
    if (known && statuses[0] == STRATA_OK && statuses[1] == STRATA_OK)
        status = sta_reading_entry(repository, question, version, &values[1], out, error);
    strata_release(&values[0]);
    strata_release(&values[1]);
    if (status == STRATA_MORE)
        status = known ? reading_fill(repository, question, version, out, error)
                       : reading_uncached(repository, question, out, error);
    return status;
}

int sta_reading_cached(struct strata_repository *repository, struct sta_question *question,
                       struct strata_rows *out, struct strata_error *error)
{
    struct strata_value values[2] = {0};
    int statuses[2];
    if (sta_inside_in_doubt(repository)) {
        sta_inside_count(&repository->bypassed);
        return reading_uncached(repository, question, out, error);
    }
    sta_question_name(question);
    if (question->key_len == 0)
        return reading_uncached(repository, question, out, error);
    const struct strata_bytes keys[2] = {
        strata_bytes(question->tag.name, question->tag.len),
        strata_bytes(question->key, question->key_len),
    };
    (void)strata_get_many(repository->database->cache, keys, 2, values, statuses);
    return reading_finish(repository, question, values, statuses, out, error);
}
