/* SPDX-License-Identifier: MIT
 *
 * Answers to questions: from the database, or from the cache where what lies there holds.
 */
#ifndef STA_READING_H
#define STA_READING_H

#include "repository/inside.h"
#include "repository/question.h"

/* Asks the database on `connection`, or, NULL, on one of the pool's. One reference in *answer, its
 * rows under `version`. */
int sta_reading_ask(struct strata_repository *repository, struct sta_connection *connection,
                    const struct sta_question *question, uint64_t version,
                    struct sta_answer **answer, struct strata_error *error);

/* Rows, or with STRATA_MISS none where one was asked for. Takes the reference over. */
int sta_reading_rows(const struct sta_question *question, struct sta_answer *answer,
                     struct strata_rows *out, struct strata_error *error);

/* Through the cache. */
int sta_reading_cached(struct strata_repository *repository, struct sta_question *question,
                       struct strata_rows *out, struct strata_error *error);

/* ---- parts of it, which reads of many keys have, too ---- */

/* Of what a get of a tag has answered: STRATA_OK: this version; STRATA_MISS: it has none, and one
 * may be stored; else none can be. */
int sta_reading_version(const struct strata_value *value, int status, uint64_t *version);

/* The entry's rows, which takes it over, or STRATA_MORE: it is not of this schema, or was not read
 * under `version`. */
int sta_reading_entry(struct strata_repository *repository, const struct sta_question *question,
                      uint64_t version, struct strata_value *entry, struct strata_rows *out,
                      struct strata_error *error);

/* The answer as it is stored; borrows from both. */
struct strata_item sta_reading_item(const struct sta_question *question,
                                    const struct sta_answer *answer);

/* ---- many keys ---- */

#define STA_READING_MANY 64 /* in one statement; a power of two */

struct sta_reading_many {
    const struct strata_field *keys;
    size_t count;
    struct strata_rows *found; /* `count` of them, as of the statuses, in the order of the keys */
    int *statuses;
    bool cached;
    struct sta_connection *connection; /* not cached; NULL: one of the pool's */
};

/* The first error of those in the statuses, or STRATA_OK. */
int sta_reading_many(struct strata_repository *repository, const struct sta_reading_many *many,
                     struct strata_error *error);

#endif
