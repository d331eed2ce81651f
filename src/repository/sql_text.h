/* SPDX-License-Identifier: MIT
 *
 * The SQL of a schema. Identifiers were checked when the schema was made and stand in quotes; every
 * value is a parameter. The first error sticks: it is asked for once, at the end.
 */
#ifndef STA_SQL_TEXT_H
#define STA_SQL_TEXT_H

#include "core/buffer.h"
#include "repository/driver.h"
#include "repository/schema.h"
#include "strata/repository.h"

#define STA_SQL_TEXT_PARAMS_MAX (STRATA_MODEL_COLUMNS + 18) /* set, where, limit, offset */

struct sta_sql_text {
    const struct sta_dialect *dialect;
    struct sta_buffer text;
    struct strata_field params[STA_SQL_TEXT_PARAMS_MAX];
    size_t param_count;
    int status; /* STRATA_OK, STRATA_ERR_NOMEM or STRATA_ERR_TOO_BIG */
};

void sta_sql_text_init(struct sta_sql_text *sql, const struct sta_dialect *dialect);
void sta_sql_text_fini(struct sta_sql_text *sql);

/* Words as they are, a name in quotes, a value as a parameter; of `type` where it is null, too. */
void sta_sql_text_add(struct sta_sql_text *sql, const char *words);
void sta_sql_text_name(struct sta_sql_text *sql, const char *name);
void sta_sql_text_param(struct sta_sql_text *sql, enum strata_type type, struct strata_field field);

/* Whole statements. `query` was checked (question.h). */
void sta_sql_text_select(struct sta_sql_text *sql, const struct sta_schema *schema,
                         const struct strata_query *query, bool for_update);
/* The rows whose key is one of `keys`, in no order. */
void sta_sql_text_select_keys(struct sta_sql_text *sql, const struct sta_schema *schema,
                              const struct strata_field *keys, size_t count);
void sta_sql_text_count(struct sta_sql_text *sql, const struct sta_schema *schema,
                        const struct strata_query *query);
/* fields[i] is for column i; a key of 0 is left to the database. */
void sta_sql_text_insert(struct sta_sql_text *sql, const struct sta_schema *schema,
                         const struct strata_field *fields);
/* Sets columns[i] to fields[i]. */
void sta_sql_text_update(struct sta_sql_text *sql, const struct sta_schema *schema,
                         const size_t *columns, const struct strata_field *fields, size_t count,
                         struct strata_field key);
void sta_sql_text_delete(struct sta_sql_text *sql, const struct sta_schema *schema,
                         struct strata_field key);
void sta_sql_text_create_table(struct sta_sql_text *sql, const struct sta_schema *schema);
/* Of one column that is indexed and not the key. */
void sta_sql_text_create_index(struct sta_sql_text *sql, const struct sta_schema *schema,
                               const struct sta_column *column);

/* What a driver is given; it borrows from `sql`. */
struct sta_sql sta_sql_text_end(struct sta_sql_text *sql);

#endif
