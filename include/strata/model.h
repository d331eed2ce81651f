/* SPDX-License-Identifier: MIT
 *
 * A model: a table of an SQL database described next to a C struct, for strata/repository.h.
 *
 *     struct person {
 *         int64_t id;
 *         const char *name;
 *         const char *nickname;
 *         int64_t born;
 *         bool born_is_null;
 *     };
 *
 *     static const struct strata_column person_columns[] = {
 *         {"id", STRATA_TYPE_INTEGER, STRATA_COLUMN_KEY, offsetof(struct person, id), 0},
 *         {"name", STRATA_TYPE_TEXT, STRATA_COLUMN_UNIQUE, offsetof(struct person, name), 0},
 *         {"nickname", STRATA_TYPE_TEXT, STRATA_COLUMN_NULLABLE,
 *          offsetof(struct person, nickname), 0},
 *         {"born", STRATA_TYPE_TIMESTAMP, STRATA_COLUMN_NULLABLE, offsetof(struct person, born),
 *          offsetof(struct person, born_is_null)},
 *     };
 *
 *     static const struct strata_model person_model = {
 *         .table = "people", .columns = person_columns, .column_count = 4,
 *         .size = sizeof(struct person)};
 */
#ifndef STRATA_MODEL_H
#define STRATA_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The type of a column, and of the struct's member. */
enum strata_type {
    STRATA_TYPE_NULL = 0,     /* of a field only: it is null */
    STRATA_TYPE_INTEGER = 1,  /* int64_t */
    STRATA_TYPE_REAL = 2,     /* double */
    STRATA_TYPE_TEXT = 3,     /* const char *; NULL is null; UTF-8 where the database wants it */
    STRATA_TYPE_BLOB = 4,     /* struct strata_bytes; data NULL is null, and so is no empty blob */
    STRATA_TYPE_BOOLEAN = 5,  /* bool */
    STRATA_TYPE_TIMESTAMP = 6 /* int64_t: microseconds since 1970-01-01 UTC; INT64_MAX and INT64_MIN
                                 are PostgreSQL's infinity and -infinity */
};

enum {
    STRATA_COLUMN_KEY = 1,     /* exactly one column of a model: integer or text, not null. An
                                   integer key that is 0 when a row is created is given by the
                                   database */
    STRATA_COLUMN_INDEXED = 2, /* find_one_by looks for it; its changes are told apart by value. All
                                   programs agree on KEY, INDEXED and UNIQUE of a cache_prefix */
    STRATA_COLUMN_UNIQUE = 4,  /* indexed, and no two rows have the same */
    STRATA_COLUMN_NULLABLE = 8
};

struct strata_column {
    const char *name; /* [A-Za-z_][A-Za-z0-9_]*, 63 bytes at most */
    enum strata_type type;
    unsigned flags;     /* STRATA_COLUMN_*, or-ed */
    size_t offset;      /* of the member */
    size_t null_offset; /* nullable, neither text nor blob: of a bool that says that it is null */
};

#define STRATA_MODEL_COLUMNS 64 /* the most of a model */

/* TTLs are milliseconds; 0 is the default, which is the cache's own L2 TTL for all but null_ttl_ms
 * (60 000). They bound memory, not truth: what a repository changes is not served after it,
 * however long its TTL is. What is changed past the repository is served up to its TTL. */
struct strata_model {
    const char *table;        /* as a column's name */
    const char *cache_prefix; /* how its keys begin in the cache; NULL: table */
    const struct strata_column *columns;
    size_t column_count;
    size_t size;            /* of the struct */
    uint64_t entity_ttl_ms; /* rows found by their key */
    uint64_t lookup_ttl_ms; /* find_one_by */
    uint64_t list_ttl_ms;   /* lists and counts */
    uint64_t null_ttl_ms;   /* that there is no such row */
};

/* ---- fields: values of columns, for queries and changes ---- */

struct strata_field {
    enum strata_type type;
    union {
        int64_t integer; /* INTEGER, TIMESTAMP */
        double real;
        bool boolean;
        struct strata_bytes bytes; /* TEXT, BLOB: borrowed for the call */
    } of;
};

static inline struct strata_field strata_field_null(void)
{
    struct strata_field field;
    memset(&field, 0, sizeof field);
    return field;
}

static inline struct strata_field strata_field_integer(int64_t integer)
{
    struct strata_field field = strata_field_null();
    field.type = STRATA_TYPE_INTEGER;
    field.of.integer = integer;
    return field;
}

static inline struct strata_field strata_field_real(double real)
{
    struct strata_field field = strata_field_null();
    field.type = STRATA_TYPE_REAL;
    field.of.real = real;
    return field;
}

/* Without its terminating zero, and it may hold none. */
static inline struct strata_field strata_field_text(const char *text)
{
    struct strata_field field = strata_field_null();
    field.type = STRATA_TYPE_TEXT;
    field.of.bytes = strata_text(text);
    return field;
}

static inline struct strata_field strata_field_blob(struct strata_bytes blob)
{
    struct strata_field field = strata_field_null();
    field.type = STRATA_TYPE_BLOB;
    field.of.bytes = blob;
    return field;
}

static inline struct strata_field strata_field_boolean(bool boolean)
{
    struct strata_field field = strata_field_null();
    field.type = STRATA_TYPE_BOOLEAN;
    field.of.boolean = boolean;
    return field;
}

static inline struct strata_field strata_field_timestamp(int64_t microseconds)
{
    struct strata_field field = strata_field_null();
    field.type = STRATA_TYPE_TIMESTAMP;
    field.of.integer = microseconds;
    return field;
}

#ifdef __cplusplus
}
#endif

#endif
