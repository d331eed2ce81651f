/* SPDX-License-Identifier: MIT
 *
 * Fields: what stands in a column of a row, between structs, SQL and bytes.
 */
#ifndef STA_FIELD_H
#define STA_FIELD_H

#include "repository/schema.h"

/* The field of `column` in the struct at `row`; borrows its text or blob. */
struct strata_field sta_field_of_row(const struct sta_column *column, const void *row);

/* Makes it null in the struct at `row`, which is all zeros there. */
void sta_field_set_null(const struct sta_column *column, void *row);

/* Whether the column may hold the field: its type, null where that is allowed, no NaN, no zero byte
 * in a text. */
bool sta_field_fits(const struct sta_column *column, const struct strata_field *field);

#endif
