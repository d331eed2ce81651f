/* SPDX-License-Identifier: MIT
 *
 * See schema.h.
 */
#include "repository/schema.h"

#include <string.h>
#include <xxhash.h>

#include "core/error.h"

/* Part of the fingerprint: rows that are encoded in another way are of another schema. */
#define SCHEMA_ENCODING 1

#define SCHEMA_NULL_TTL_MS 60000

/* An identifier is letters, digits and underscores, so quoting it needs no escapes. */
static bool schema_name_allowed(const char *name, size_t most)
{
    size_t len = 0;
    for (; name != NULL && name[len] != '\0'; len++) {
        char c = name[len];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (len == most || (!letter && (len == 0 || c < '0' || c > '9')))
            return false;
    }
    return len > 0;
}

static size_t schema_member_size(enum strata_type type)
{
    switch (type) {
    case STRATA_TYPE_INTEGER:
    case STRATA_TYPE_TIMESTAMP:
        return sizeof(int64_t);
    case STRATA_TYPE_REAL:
        return sizeof(double);
    case STRATA_TYPE_TEXT:
        return sizeof(const char *);
    case STRATA_TYPE_BLOB:
        return sizeof(struct strata_bytes);
    case STRATA_TYPE_BOOLEAN:
        return sizeof(bool);
    case STRATA_TYPE_NULL:
        break;
    }
    return 0;
}

static bool schema_member_inside(size_t offset, size_t member, size_t size)
{
    return member <= size && offset <= size - member;
}

/* What is not allowed of a column, or NULL. */
static const char *schema_column_fault(const struct strata_column *from, size_t size)
{
    const unsigned known =
        STRATA_COLUMN_KEY | STRATA_COLUMN_INDEXED | STRATA_COLUMN_UNIQUE | STRATA_COLUMN_NULLABLE;
    bool nullable = (from->flags & STRATA_COLUMN_NULLABLE) != 0;
    bool pointer = from->type == STRATA_TYPE_TEXT || from->type == STRATA_TYPE_BLOB;
    size_t member = schema_member_size(from->type);
    if (!schema_name_allowed(from->name, STA_SCHEMA_NAME_MAX))
        return "its name is not [A-Za-z_][A-Za-z0-9_]* of 63 bytes at most";
    if (member == 0)
        return "there is no such type";
    if ((from->flags & ~known) != 0)
        return "there is no such flag";
    if (!schema_member_inside(from->offset, member, size))
        return "it lies outside of the struct";
    if (nullable && !pointer && !schema_member_inside(from->null_offset, sizeof(bool), size))
        return "the member that says that it is null lies outside of the struct";
    if ((from->flags & STRATA_COLUMN_KEY) != 0 &&
        (nullable || (from->type != STRATA_TYPE_INTEGER && from->type != STRATA_TYPE_TEXT)))
        return "a key is an integer or a text, and never null";
    return NULL;
}

static void schema_append(struct sta_beginning *beginning, const char *text)
{
    size_t len = strlen(text);
    memcpy(beginning->text + beginning->len, text, len);
    beginning->len += len;
}

static void schema_begin(struct sta_beginning *beginning, const char *prefix, const char *signs,
                         const char *name)
{
    beginning->len = 0;
    schema_append(beginning, prefix);
    schema_append(beginning, signs);
    schema_append(beginning, name);
    schema_append(beginning, ":");
}

static int schema_add_column(struct sta_schema *schema, const struct strata_column *from,
                             struct strata_error *error)
{
    const char *fault = schema_column_fault(from, schema->size);
    const unsigned indexed = STRATA_COLUMN_KEY | STRATA_COLUMN_INDEXED | STRATA_COLUMN_UNIQUE;
    if (fault != NULL)
        return sta_error_set(error, STRATA_ERR_INVALID, "column %zu (%.63s) of %s: %s",
                             schema->column_count, from->name != NULL ? from->name : "no name",
                             schema->table, fault);
    if (sta_schema_column(schema, from->name) < schema->column_count)
        return sta_error_set(error, STRATA_ERR_INVALID, "column %s of %s: there are two",
                             from->name, schema->table);
    schema->types[schema->column_count] = from->type;
    struct sta_column *column = &schema->columns[schema->column_count++];
    strcpy(column->name, from->name);
    column->type = from->type;
    column->nullable = (from->flags & STRATA_COLUMN_NULLABLE) != 0;
    column->indexed = (from->flags & indexed) != 0;
    column->unique = (from->flags & (STRATA_COLUMN_KEY | STRATA_COLUMN_UNIQUE)) != 0;
    column->offset = from->offset;
    column->null_offset = from->null_offset;
    schema_begin(&column->key, schema->prefix, ":", column->name);
    schema_begin(&column->tag, schema->prefix, "@v:", column->name);
    return STRATA_OK;
}

static int schema_find_key(struct sta_schema *schema, const struct strata_model *model,
                           struct strata_error *error)
{
    size_t keys = 0;
    for (size_t i = 0; i < schema->column_count; i++) {
        if ((model->columns[i].flags & STRATA_COLUMN_KEY) == 0)
            continue;
        schema->key = i;
        keys++;
    }
    if (keys != 1)
        return sta_error_set(error, STRATA_ERR_INVALID, "%s has %zu key columns, and needs one",
                             schema->table, keys);
    return STRATA_OK;
}

static uint64_t schema_fingerprint(const struct sta_schema *schema)
{
    uint64_t hash = XXH3_64bits_withSeed(schema->table, strlen(schema->table), SCHEMA_ENCODING);
    for (size_t i = 0; i < schema->column_count; i++) {
        const struct sta_column *column = &schema->columns[i];
        uint64_t look = hash ^ ((uint64_t)column->type << 1 | column->nullable);
        hash = XXH3_64bits_withSeed(column->name, strlen(column->name), look);
    }
    return hash;
}

int sta_schema_init(struct sta_schema *schema, const struct strata_model *model,
                    struct strata_error *error)
{
    const char *prefix = model->cache_prefix != NULL ? model->cache_prefix : model->table;
    memset(schema, 0, sizeof *schema);
    if (!schema_name_allowed(model->table, STA_SCHEMA_NAME_MAX) ||
        !schema_name_allowed(prefix, STA_SCHEMA_NAME_MAX))
        return sta_error_set(error, STRATA_ERR_INVALID,
                             "a model's table and prefix are [A-Za-z_][A-Za-z0-9_]* of 63 bytes "
                             "at most");
    strcpy(schema->table, model->table);
    strcpy(schema->prefix, prefix);
    schema->size = model->size;
    if (model->column_count == 0 || model->column_count > STRATA_MODEL_COLUMNS)
        return sta_error_set(error, STRATA_ERR_INVALID, "%s: a model has 1 to %d columns",
                             schema->table, STRATA_MODEL_COLUMNS);
    for (size_t i = 0; i < model->column_count; i++) {
        int status = schema_add_column(schema, &model->columns[i], error);
        if (status != STRATA_OK)
            return status;
    }
    schema->entity_ttl_ms = model->entity_ttl_ms;
    schema->lookup_ttl_ms = model->lookup_ttl_ms;
    schema->list_ttl_ms = model->list_ttl_ms;
    schema->null_ttl_ms = model->null_ttl_ms != 0 ? model->null_ttl_ms : SCHEMA_NULL_TTL_MS;
    schema->fingerprint = schema_fingerprint(schema);
    return schema_find_key(schema, model, error);
}

size_t sta_schema_column(const struct sta_schema *schema, const char *name)
{
    size_t i = 0;
    while (i < schema->column_count && strcmp(schema->columns[i].name, name) != 0)
        i++;
    return i;
}
