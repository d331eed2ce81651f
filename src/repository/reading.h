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

/* The same with what the cache has already answered for the question's tag and key: both values are
 * released or taken over. */
int sta_reading_finish(struct strata_repository *repository, struct sta_question *question,
                       struct strata_value *values, const int *statuses, struct strata_rows *out,
                       struct strata_error *error);

#endif
