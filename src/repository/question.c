/* SPDX-License-Identifier: MIT
 *
 * See question.h.
 */
#include "repository/question.h"

#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "repository/field.h"

/* ---- checking ---- */

static int question_check_match(struct sta_question *question, size_t at, bool lookup,
                                struct strata_error *error)
{
    const struct sta_schema *schema = question->schema;
    const struct strata_match *match = &question->query.where[at];
    size_t index =
        match->column != NULL ? sta_schema_column(schema, match->column) : schema->column_count;
    if (index == schema->column_count)
        return sta_error_set(error, STRATA_ERR_INVALID, "%s has no column %.63s", schema->table,
                             match->column != NULL ? match->column : "(none)");
    const struct sta_column *column = &schema->columns[index];
    question->columns[at] = (uint8_t)index;
    bool null = match->field.type == STRATA_TYPE_NULL;
    if ((unsigned)match->is > STRATA_AT_LEAST || (null && match->is > STRATA_NOT_EQUAL))
        return sta_error_set(error, STRATA_ERR_INVALID, "%s: there is no such comparison",
                             column->name);
    if (!null && !sta_field_fits(column, &match->field))
        return sta_error_set(error, STRATA_ERR_INVALID, "%s is not compared with such a value",
                             column->name);
    if (lookup && (!column->indexed || match->is != STRATA_EQUAL))
        return sta_error_set(error, STRATA_ERR_INVALID,
                             "%s: rows are found by indexed columns that are equal", column->name);
    return STRATA_OK;
}

static int question_check(struct sta_question *question, bool lookup, struct strata_error *error)
{
    const struct strata_query *query = &question->query;
    int status = STRATA_OK;
    if (query->where_count > STA_QUESTION_WHERE_MAX || (lookup && query->where_count == 0))
        return sta_error_set(error, STRATA_ERR_INVALID, "%s: %zu comparisons are %s",
                             question->schema->table, query->where_count,
                             lookup && query->where_count == 0 ? "too few" : "too many");
    for (size_t i = 0; i < query->where_count && status == STRATA_OK; i++)
        status = question_check_match(question, i, lookup, error);
    if (status != STRATA_OK)
        return status;
    if (query->order_by != NULL &&
        sta_schema_column(question->schema, query->order_by) == question->schema->column_count)
        return sta_error_set(error, STRATA_ERR_INVALID, "%s has no column %.63s",
                             question->schema->table, query->order_by);
    if (query->limit > INT64_MAX || query->offset > INT64_MAX)
        return sta_error_set(error, STRATA_ERR_INVALID, "limit and offset are at most 2^63 - 1");
    return STRATA_OK;
}

int sta_question_by_key(struct sta_question *question, const struct sta_schema *schema,
                        struct strata_field key, struct strata_error *error)
{
    const struct sta_column *column = &schema->columns[schema->key];
    question->match = (struct strata_match){.column = column->name, .field = key};
    if (!sta_field_fits(column, &key))
        return sta_error_set(error, STRATA_ERR_INVALID, "%s is not a key of %s",
                             key.type == STRATA_TYPE_NULL ? "null" : "a value of this type",
                             schema->table);
    question->schema = question->answer = schema;
    question->query =
        (struct strata_query){.where = &question->match, .where_count = 1, .limit = 1};
    question->columns[0] = (uint8_t)schema->key;
    question->counts = false;
    question->single = true;
    question->ttl_ms = schema->entity_ttl_ms;
    question->key_len = 0;
    return STRATA_OK;
}

int sta_question_by_columns(struct sta_question *question, const struct sta_schema *schema,
                            const struct strata_match *where, size_t where_count,
                            struct strata_error *error)
{
    question->schema = question->answer = schema;
    question->query = (struct strata_query){.where = where, .where_count = where_count, .limit = 1};
    question->counts = false;
    question->single = true;
    question->ttl_ms = schema->lookup_ttl_ms;
    question->key_len = 0;
    return question_check(question, true, error);
}

int sta_question_list(struct sta_question *question, const struct sta_schema *schema,
                      const struct strata_query *query, struct strata_error *error)
{
    question->schema = question->answer = schema;
    question->query = query != NULL ? *query : (struct strata_query){0};
    question->counts = false;
    question->single = false;
    question->ttl_ms = schema->list_ttl_ms;
    question->key_len = 0;
    return question_check(question, false, error);
}

int sta_question_count(struct sta_question *question, const struct sta_schema *schema,
                       const struct sta_schema *count_schema, const struct strata_query *query,
                       struct strata_error *error)
{
    int status = sta_question_list(question, schema, query, error);
    question->answer = count_schema;
    question->counts = true;
    question->query.order_by = NULL;
    question->query.descending = false;
    question->query.limit = question->query.offset = 0;
    return status;
}

/* ---- naming ---- */

/* The narrowest: the key, a unique column, any indexed one, all rows. */
static void question_tag(struct sta_question *question)
{
    const struct sta_schema *schema = question->schema;
    const struct strata_match *best = NULL;
    size_t column = 0;
    int best_rank = 0;
    for (size_t i = 0; i < question->query.where_count; i++) {
        const struct strata_match *match = &question->query.where[i];
        size_t index = question->columns[i];
        const struct sta_column *at = &schema->columns[index];
        int rank = index == schema->key ? 3 : at->unique ? 2 : at->indexed ? 1 : 0;
        if (match->is != STRATA_EQUAL || rank <= best_rank)
            continue;
        best = match;
        best_rank = rank;
        column = index;
    }
    if (best != NULL)
        sta_tag_value(&question->tag, &schema->columns[column], &best->field);
    else
        sta_tag_all(&question->tag, schema);
}

/* Text that grows until it does not fit; then len is past the room, and stays there. */
static void question_put(struct sta_question *question, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    if (question->key_len <= sizeof question->key &&
        len <= sizeof question->key - question->key_len)
        memcpy(question->key + question->key_len, bytes, len);
    else
        len = sizeof question->key + 1;
    question->key_len += len;
    if (question->key_len > sizeof question->key)
        question->key_len = sizeof question->key + 1;
}

static void question_put_text(struct sta_question *question, const char *text)
{
    question_put(question, text, strlen(text));
}

static void question_put_number(struct sta_question *question, int64_t number)
{
    char digits[24];
    char *at = digits + sizeof digits;
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do
        *--at = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    if (number < 0)
        *--at = '-';
    question_put(question, at, (size_t)(digits + sizeof digits - at));
}

static void question_put_field(struct sta_question *question, const struct strata_field *field)
{
    char digits[17];
    uint64_t bits;
    double real;
    switch (field->type) {
    case STRATA_TYPE_INTEGER:
    case STRATA_TYPE_TIMESTAMP:
        question_put_number(question, field->of.integer);
        break;
    case STRATA_TYPE_REAL:
        real = field->of.real == 0 ? 0 : field->of.real; /* 0 and -0 are equal */
        memcpy(&bits, &real, sizeof bits);
        (void)snprintf(digits, sizeof digits, "%016llx", (unsigned long long)bits);
        question_put(question, digits, 16);
        break;
    case STRATA_TYPE_BOOLEAN:
        question_put(question, field->of.boolean ? "1" : "0", 1);
        break;
    case STRATA_TYPE_TEXT:
    case STRATA_TYPE_BLOB:
        question_put(question, field->of.bytes.data, field->of.bytes.len);
        break;
    case STRATA_TYPE_NULL:
        break;
    }
}

/* Unambiguous among others: a value stands behind its length, and null has none. */
static void question_put_match(struct sta_question *question, const struct strata_match *match)
{
    static const char signs[] = "=!<[>]";
    bool run = match->field.type == STRATA_TYPE_TEXT || match->field.type == STRATA_TYPE_BLOB;
    question_put_text(question, match->column);
    question_put(question, &signs[match->is], 1);
    if (match->field.type == STRATA_TYPE_NULL) {
        question_put_text(question, "~");
    } else {
        if (run)
            question_put_number(question, (int64_t)match->field.of.bytes.len);
        question_put_text(question, ":");
        question_put_field(question, &match->field);
    }
    question_put_text(question, ";");
}

static void question_put_query(struct sta_question *question)
{
    const struct strata_query *query = &question->query;
    for (size_t i = 0; i < query->where_count; i++)
        question_put_match(question, &query->where[i]);
    if (question->counts || question->single)
        return;
    question_put_text(question, "/");
    question_put_text(question, query->order_by != NULL ? query->order_by : "");
    question_put_text(question, query->descending ? "-" : "+");
    question_put_number(question, (int64_t)query->limit);
    question_put_text(question, ",");
    question_put_number(question, (int64_t)query->offset);
}

void sta_question_name(struct sta_question *question)
{
    const struct strata_query *query = &question->query;
    bool plain = question->single && query->where_count == 1 &&
                 query->where[0].field.type != STRATA_TYPE_NULL;
    question_tag(question);
    question->key_len = 0;
    if (plain) {
        const struct sta_column *column = &question->schema->columns[question->columns[0]];
        question_put(question, column->key.text, column->key.len);
        question_put_field(question, &query->where[0].field);
    } else {
        question_put_text(question, question->schema->prefix);
        question_put_text(question, question->single   ? "@by:"
                                    : question->counts ? "@count:"
                                                       : "@list:");
        question_put_query(question);
    }
    if (question->key_len > sizeof question->key)
        question->key_len = 0;
}
