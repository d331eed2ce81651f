/* SPDX-License-Identifier: MIT
 *
 * A read, checked against its schema: what the database is asked, under which key the answer is
 * kept in the cache, and which tag says whether it holds.
 *
 *     models:id:42                one column, equal: found by it
 *     models:name:gpt-4
 *     models@by:...               several columns, equal
 *     models@list:...             everything else of a query, in an unambiguous form
 *     models@count:...
 */
#ifndef STA_QUESTION_H
#define STA_QUESTION_H

#include "repository/schema.h"
#include "repository/tag.h"
#include "strata/repository.h"

#define STA_QUESTION_WHERE_MAX 16
#define STA_QUESTION_KEY_MAX   1024 /* bytes; what is longer is not kept */

struct sta_question {
    const struct sta_schema *schema;         /* of the model */
    const struct sta_schema *answer;         /* of what is answered */
    struct strata_query query;               /* borrows what the caller has */
    struct strata_match match;               /* query.where of a single column */
    uint8_t columns[STA_QUESTION_WHERE_MAX]; /* of query.where, in the schema */
    bool counts;
    bool single; /* one row, or STRATA_MISS */
    uint64_t ttl_ms;
    struct sta_tag tag;
    size_t key_len; /* 0: not to be kept */
    char key[STA_QUESTION_KEY_MAX];
};

/* All: STRATA_ERR_INVALID says what is wrong with it. A question must not be moved. */
int sta_question_by_key(struct sta_question *question, const struct sta_schema *schema,
                        struct strata_field key, struct strata_error *error);
int sta_question_by_columns(struct sta_question *question, const struct sta_schema *schema,
                            const struct strata_match *where, size_t where_count,
                            struct strata_error *error);
int sta_question_list(struct sta_question *question, const struct sta_schema *schema,
                      const struct strata_query *query, struct strata_error *error);
int sta_question_count(struct sta_question *question, const struct sta_schema *schema,
                       const struct sta_schema *count_schema, const struct strata_query *query,
                       struct strata_error *error);

/* Its key and tag, which only reads through the cache need. */
void sta_question_name(struct sta_question *question);

#endif
