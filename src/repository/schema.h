/* SPDX-License-Identifier: MIT
 *
 * A model as the repository keeps it: checked once, copied, with its names quoted for SQL and a
 * fingerprint of what its rows look like. Constant after creation; any thread.
 */
#ifndef STA_SCHEMA_H
#define STA_SCHEMA_H

#include "strata/model.h"
#include "strata/status.h"

#define STA_SCHEMA_NAME_MAX 63 /* bytes; PostgreSQL's bound */

/* How a name in the cache begins, made once: a prefix, some signs, a column. */
struct sta_beginning {
    size_t len;
    char text[2 * STA_SCHEMA_NAME_MAX + 6];
};

struct sta_column {
    char name[STA_SCHEMA_NAME_MAX + 1];
    enum strata_type type;
    bool nullable;
    bool indexed; /* unique ones and the key, too */
    bool unique;
    size_t offset;
    size_t null_offset;
    struct sta_beginning key; /* models:name: */
    struct sta_beginning tag; /* models@v:name: */
};

struct sta_schema {
    char table[STA_SCHEMA_NAME_MAX + 1];
    char prefix[STA_SCHEMA_NAME_MAX + 1];
    struct sta_column columns[STRATA_MODEL_COLUMNS];
    enum strata_type types[STRATA_MODEL_COLUMNS]; /* of the columns: what their rows are read as */
    size_t column_count;
    size_t key; /* index of the key's column */
    size_t size;
    uint64_t fingerprint; /* of names and types in their order: what an encoded row depends on */
    uint64_t entity_ttl_ms;
    uint64_t lookup_ttl_ms;
    uint64_t list_ttl_ms;
    uint64_t null_ttl_ms;
};

/* STRATA_ERR_INVALID says what is not allowed. */
int sta_schema_init(struct sta_schema *schema, const struct strata_model *model,
                    struct strata_error *error);

/* The column's index, or column_count. */
size_t sta_schema_column(const struct sta_schema *schema, const char *name);

#endif
