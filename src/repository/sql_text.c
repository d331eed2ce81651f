/* SPDX-License-Identifier: MIT
 *
 * See sql_text.h.
 */
#include "repository/sql_text.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#define SQL_TEXT_LIMIT (64u * 1024u)

void sta_sql_text_init(struct sta_sql_text *sql, const struct sta_dialect *dialect)
{
    sql->dialect = dialect;
    sta_buffer_init(&sql->text, SQL_TEXT_LIMIT);
    sql->param_count = 0;
    sql->status = sta_buffer_reserve(&sql->text, 256);
}

void sta_sql_text_fini(struct sta_sql_text *sql)
{
    sta_buffer_fini(&sql->text);
}

void sta_sql_text_add(struct sta_sql_text *sql, const char *words)
{
    if (sql->status == STRATA_OK)
        sql->status = sta_buffer_append(&sql->text, strata_text(words));
}

void sta_sql_text_name(struct sta_sql_text *sql, const char *name)
{
    sta_sql_text_add(sql, "\"");
    sta_sql_text_add(sql, name);
    sta_sql_text_add(sql, "\"");
}

void sta_sql_text_param(struct sta_sql_text *sql, enum strata_type type, struct strata_field field)
{
    char number[16];
    if (sql->param_count == STA_SQL_TEXT_PARAMS_MAX) {
        sql->status = STRATA_ERR_TOO_BIG;
        return;
    }
    sql->params[sql->param_count++] = field;
    (void)snprintf(number, sizeof number, "$%zu", sql->param_count);
    sta_sql_text_add(sql, sql->dialect->numbered ? number : "?");
    sta_sql_text_add(sql, sql->dialect->casts[type]);
}

/* ---- parts ---- */

/* All columns, as the types that we read. */
static void sql_text_columns(struct sta_sql_text *sql, const struct sta_schema *schema)
{
    for (size_t i = 0; i < schema->column_count; i++) {
        sta_sql_text_add(sql, i > 0 ? ", " : " ");
        sta_sql_text_name(sql, schema->columns[i].name);
        sta_sql_text_add(sql, sql->dialect->casts[schema->columns[i].type]);
    }
}

static void sql_text_returning(struct sta_sql_text *sql, const struct sta_schema *schema)
{
    sta_sql_text_add(sql, " RETURNING");
    sql_text_columns(sql, schema);
}

static void sql_text_match(struct sta_sql_text *sql, const struct strata_match *match)
{
    static const char *const signs[] = {
        [STRATA_EQUAL] = " = ",    [STRATA_NOT_EQUAL] = " <> ", [STRATA_LESS] = " < ",
        [STRATA_AT_MOST] = " <= ", [STRATA_GREATER] = " > ",    [STRATA_AT_LEAST] = " >= ",
    };
    sta_sql_text_name(sql, match->column);
    if (match->field.type == STRATA_TYPE_NULL) {
        sta_sql_text_add(sql, match->is == STRATA_EQUAL ? " IS NULL" : " IS NOT NULL");
        return;
    }
    sta_sql_text_add(sql, signs[match->is]);
    sta_sql_text_param(sql, match->field.type, match->field);
}

static void sql_text_where(struct sta_sql_text *sql, const struct strata_match *where,
                           size_t where_count)
{
    for (size_t i = 0; i < where_count; i++) {
        sta_sql_text_add(sql, i == 0 ? " WHERE " : " AND ");
        sql_text_match(sql, &where[i]);
    }
}

static void sql_text_where_key(struct sta_sql_text *sql, const struct sta_schema *schema,
                               struct strata_field key)
{
    struct strata_match match = {.column = schema->columns[schema->key].name, .field = key};
    sql_text_where(sql, &match, 1);
}

static void sql_text_order(struct sta_sql_text *sql, const struct sta_schema *schema,
                           const struct strata_query *query)
{
    const char *key = schema->columns[schema->key].name;
    const char *down = query->descending ? " DESC" : "";
    sta_sql_text_add(sql, " ORDER BY ");
    if (query->order_by != NULL) {
        sta_sql_text_name(sql, query->order_by);
        sta_sql_text_add(sql, down);
        sta_sql_text_add(sql, ", ");
    }
    sta_sql_text_name(sql, key);
    sta_sql_text_add(sql, down);
}

static void sql_text_bounds(struct sta_sql_text *sql, const struct strata_query *query)
{
    /* One more than may be answered says that there are more. */
    const uint64_t most = STRATA_ROWS_MAX + 1u;
    uint64_t limit = query->limit != 0 && query->limit < most ? query->limit : most;
    sta_sql_text_add(sql, " LIMIT ");
    sta_sql_text_param(sql, STRATA_TYPE_INTEGER, strata_field_integer((int64_t)limit));
    if (query->offset > 0) {
        sta_sql_text_add(sql, " OFFSET ");
        sta_sql_text_param(sql, STRATA_TYPE_INTEGER, strata_field_integer((int64_t)query->offset));
    }
}

/* ---- statements ---- */

static void sql_text_select_from(struct sta_sql_text *sql, const struct sta_schema *schema)
{
    sta_sql_text_add(sql, "SELECT");
    sql_text_columns(sql, schema);
    sta_sql_text_add(sql, " FROM ");
    sta_sql_text_name(sql, schema->table);
}

void sta_sql_text_select(struct sta_sql_text *sql, const struct sta_schema *schema,
                         const struct strata_query *query, bool for_update)
{
    sql_text_select_from(sql, schema);
    sql_text_where(sql, query->where, query->where_count);
    sql_text_order(sql, schema, query);
    sql_text_bounds(sql, query);
    if (for_update)
        sta_sql_text_add(sql, sql->dialect->for_update);
}

void sta_sql_text_select_keys(struct sta_sql_text *sql, const struct sta_schema *schema,
                              const struct strata_field *keys, size_t count)
{
    const struct sta_column *column = &schema->columns[schema->key];
    sql_text_select_from(sql, schema);
    sta_sql_text_add(sql, " WHERE ");
    sta_sql_text_name(sql, column->name);
    for (size_t i = 0; i < count; i++) {
        sta_sql_text_add(sql, i == 0 ? " IN (" : ", ");
        sta_sql_text_param(sql, column->type, keys[i]);
    }
    sta_sql_text_add(sql, ")");
}

void sta_sql_text_count(struct sta_sql_text *sql, const struct sta_schema *schema,
                        const struct strata_query *query)
{
    sta_sql_text_add(sql, "SELECT count(*) FROM ");
    sta_sql_text_name(sql, schema->table);
    sql_text_where(sql, query->where, query->where_count);
}

static bool sql_text_key_is_given(const struct sta_schema *schema,
                                  const struct strata_field *fields)
{
    const struct strata_field *key = &fields[schema->key];
    return key->type != STRATA_TYPE_INTEGER || key->of.integer != 0;
}

void sta_sql_text_insert(struct sta_sql_text *sql, const struct sta_schema *schema,
                         const struct strata_field *fields)
{
    size_t skipped = sql_text_key_is_given(schema, fields) ? schema->column_count : schema->key;
    const char *between = " (";
    sta_sql_text_add(sql, "INSERT INTO ");
    sta_sql_text_name(sql, schema->table);
    for (size_t i = 0; i < schema->column_count; i++) {
        if (i == skipped)
            continue;
        sta_sql_text_add(sql, between);
        sta_sql_text_name(sql, schema->columns[i].name);
        between = ", ";
    }
    between = ") VALUES (";
    for (size_t i = 0; i < schema->column_count; i++) {
        if (i == skipped)
            continue;
        sta_sql_text_add(sql, between);
        sta_sql_text_param(sql, schema->columns[i].type, fields[i]);
        between = ", ";
    }
    sta_sql_text_add(sql, sql->param_count > 0 ? ")" : " DEFAULT VALUES");
    sql_text_returning(sql, schema);
}

void sta_sql_text_update(struct sta_sql_text *sql, const struct sta_schema *schema,
                         const size_t *columns, const struct strata_field *fields, size_t count,
                         struct strata_field key)
{
    sta_sql_text_add(sql, "UPDATE ");
    sta_sql_text_name(sql, schema->table);
    for (size_t i = 0; i < count; i++) {
        sta_sql_text_add(sql, i == 0 ? " SET " : ", ");
        sta_sql_text_name(sql, schema->columns[columns[i]].name);
        sta_sql_text_add(sql, " = ");
        sta_sql_text_param(sql, schema->columns[columns[i]].type, fields[i]);
    }
    sql_text_where_key(sql, schema, key);
    sql_text_returning(sql, schema);
}

void sta_sql_text_delete(struct sta_sql_text *sql, const struct sta_schema *schema,
                         struct strata_field key)
{
    sta_sql_text_add(sql, "DELETE FROM ");
    sta_sql_text_name(sql, schema->table);
    sql_text_where_key(sql, schema, key);
    sql_text_returning(sql, schema);
}

void sta_sql_text_create_table(struct sta_sql_text *sql, const struct sta_schema *schema)
{
    sta_sql_text_add(sql, "CREATE TABLE IF NOT EXISTS ");
    sta_sql_text_name(sql, schema->table);
    for (size_t i = 0; i < schema->column_count; i++) {
        const struct sta_column *column = &schema->columns[i];
        bool given = i == schema->key && column->type == STRATA_TYPE_INTEGER;
        sta_sql_text_add(sql, i > 0 ? ", " : " (");
        sta_sql_text_name(sql, column->name);
        sta_sql_text_add(sql, " ");
        sta_sql_text_add(sql,
                         given ? sql->dialect->key_type : sql->dialect->column_types[column->type]);
        if (!column->nullable)
            sta_sql_text_add(sql, " NOT NULL");
        if (i == schema->key)
            sta_sql_text_add(sql, " PRIMARY KEY");
    }
    sta_sql_text_add(sql, ")");
}

void sta_sql_text_create_index(struct sta_sql_text *sql, const struct sta_schema *schema,
                               const struct sta_column *column)
{
    /* Long names are cut, so what tells them apart stands behind them. */
    char name[STA_SCHEMA_NAME_MAX + 1];
    uint64_t hash = XXH3_64bits_withSeed(column->name, strlen(column->name), schema->fingerprint);
    (void)snprintf(name, sizeof name, "%.32s_%.16s_%08x", schema->table, column->name,
                   (unsigned)hash);
    sta_sql_text_add(sql, column->unique ? "CREATE UNIQUE INDEX IF NOT EXISTS "
                                         : "CREATE INDEX IF NOT EXISTS ");
    sta_sql_text_name(sql, name);
    sta_sql_text_add(sql, " ON ");
    sta_sql_text_name(sql, schema->table);
    sta_sql_text_add(sql, " (");
    sta_sql_text_name(sql, column->name);
    sta_sql_text_add(sql, ")");
}

struct sta_sql sta_sql_text_end(struct sta_sql_text *sql)
{
    if (sql->status == STRATA_OK)
        sql->status = sta_buffer_append(&sql->text, strata_bytes("", 1));
    struct strata_bytes text = sta_buffer_bytes(&sql->text);
    if (text.len > 0)
        text.len--;
    return (struct sta_sql){.text = text, .params = sql->params, .param_count = sql->param_count};
}
