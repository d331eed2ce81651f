/* SPDX-License-Identifier: MIT
 *
 * See intent.h.
 */
#include "repository/intent.h"

#include "repository/sql_text.h"

#define INTENT_TABLE "\"strata_intents\""

static int intent_run(const struct strata_driver *driver, struct sta_connection *connection,
                      struct sta_sql_text *text, struct strata_error *error)
{
    struct sta_sql sql = sta_sql_text_end(text);
    int status = text->status == STRATA_OK ? driver->run(connection, &sql, error) : text->status;
    sta_sql_text_fini(text);
    return status;
}

int sta_intent_create_table(const struct strata_driver *driver, struct sta_connection *connection,
                            struct strata_error *error)
{
    const struct sta_dialect *dialect = &driver->dialect;
    struct sta_sql_text text;
    sta_sql_text_init(&text, dialect);
    sta_sql_text_add(&text, "CREATE TABLE IF NOT EXISTS " INTENT_TABLE " (\"id\" ");
    sta_sql_text_add(&text, dialect->column_types[STRATA_TYPE_INTEGER]);
    sta_sql_text_add(&text, " PRIMARY KEY, \"created_ms\" ");
    sta_sql_text_add(&text, dialect->column_types[STRATA_TYPE_INTEGER]);
    sta_sql_text_add(&text, " NOT NULL, \"tags\" ");
    sta_sql_text_add(&text, dialect->column_types[STRATA_TYPE_BLOB]);
    /* Not for its own sake: an index by age, made with the table. CREATE INDEX would wait for all
     * who are writing, with each opening. */
    sta_sql_text_add(&text, " NOT NULL, UNIQUE (\"created_ms\", \"id\"))");
    return intent_run(driver, connection, &text, error);
}

int sta_intent_commit(const struct strata_driver *driver, struct sta_connection *connection,
                      int64_t id, struct strata_bytes tags, struct strata_error *error)
{
    struct sta_sql_text text;
    sta_sql_text_init(&text, &driver->dialect);
    sta_sql_text_add(&text, "INSERT INTO " INTENT_TABLE " (\"id\", \"created_ms\", \"tags\") "
                            "VALUES (");
    sta_sql_text_param(&text, STRATA_TYPE_INTEGER, strata_field_integer(id));
    sta_sql_text_add(&text, ", ");
    sta_sql_text_add(&text, driver->dialect.now_ms);
    sta_sql_text_add(&text, ", ");
    sta_sql_text_param(&text, STRATA_TYPE_BLOB, strata_field_blob(tags));
    sta_sql_text_add(&text, ")");
    struct sta_sql sql = sta_sql_text_end(&text);
    int status = text.status == STRATA_OK ? driver->commit(connection, &sql, error) : text.status;
    sta_sql_text_fini(&text);
    return status;
}

/* The statements that remove intents; `text` is the last one's. */
struct intent_removal {
    const int64_t *ids;
    struct sta_sql_text text;
};

static int intent_remove_one(void *arg, size_t i, struct sta_sql *sql, struct strata_error *error)
{
    struct intent_removal *removal = arg;
    const struct sta_dialect *dialect = removal->text.dialect;
    (void)error;
    sta_sql_text_fini(&removal->text);
    sta_sql_text_init(&removal->text, dialect);
    sta_sql_text_add(&removal->text, "DELETE FROM " INTENT_TABLE " WHERE \"id\" = ");
    sta_sql_text_param(&removal->text, STRATA_TYPE_INTEGER, strata_field_integer(removal->ids[i]));
    *sql = sta_sql_text_end(&removal->text);
    return removal->text.status;
}

int sta_intent_remove(const struct strata_driver *driver, struct sta_connection *connection,
                      const int64_t *ids, size_t count)
{
    struct intent_removal removal = {.ids = ids};
    const struct sta_batch batch = {count, intent_remove_one, &removal};
    int status = count > 0 ? driver->begin(connection, NULL) : STRATA_OK;
    if (count == 0 || status != STRATA_OK)
        return status;
    sta_sql_text_init(&removal.text, &driver->dialect);
    status = driver->run_many(connection, &batch, NULL);
    sta_sql_text_fini(&removal.text);
    if (status == STRATA_OK)
        status = driver->commit(connection, NULL, NULL);
    if (status != STRATA_OK)
        driver->rollback(connection);
    return status;
}

static int intent_row(void *arg, const struct strata_field *fields)
{
    const struct sta_intent_sink *sink = arg;
    return sink->found(sink->arg, fields[0].of.integer, fields[1].of.bytes);
}

int sta_intent_list(const struct strata_driver *driver, struct sta_connection *connection,
                    uint64_t age_ms, size_t most, const struct sta_intent_sink *sink)
{
    static const enum strata_type types[] = {STRATA_TYPE_INTEGER, STRATA_TYPE_BLOB};
    struct sta_sql_text text;
    sta_sql_text_init(&text, &driver->dialect);
    sta_sql_text_add(&text, "SELECT \"id\", \"tags\" FROM " INTENT_TABLE);
    if (age_ms > 0) {
        sta_sql_text_add(&text, " WHERE \"created_ms\" <= ");
        sta_sql_text_add(&text, driver->dialect.now_ms);
        sta_sql_text_add(&text, " - ");
        sta_sql_text_param(&text, STRATA_TYPE_INTEGER, strata_field_integer((int64_t)age_ms));
    }
    sta_sql_text_add(&text, " ORDER BY \"created_ms\" LIMIT ");
    sta_sql_text_param(&text, STRATA_TYPE_INTEGER, strata_field_integer((int64_t)most));
    struct sta_sql sql = sta_sql_text_end(&text);
    sql.types = types;
    sql.column_count = 2;
    sql.row = intent_row;
    sql.arg = (void *)sink;
    int status = text.status == STRATA_OK ? driver->run(connection, &sql, NULL) : text.status;
    sta_sql_text_fini(&text);
    return status;
}
