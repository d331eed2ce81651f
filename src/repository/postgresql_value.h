/* SPDX-License-Identifier: MIT
 *
 * Values in PostgreSQL's binary form.
 */
#ifndef STA_POSTGRESQL_VALUE_H
#define STA_POSTGRESQL_VALUE_H

#include <libpq-fe.h>

#include "repository/driver.h"

#define STA_POSTGRESQL_PARAMS_MAX 128

/* The parameters of one statement; it borrows what is long. */
struct sta_postgresql_params {
    const char *values[STA_POSTGRESQL_PARAMS_MAX];
    int lengths[STA_POSTGRESQL_PARAMS_MAX];
    int formats[STA_POSTGRESQL_PARAMS_MAX];
    char fixed[STA_POSTGRESQL_PARAMS_MAX][8];
};

/* False: one of them cannot be said in PostgreSQL. */
bool sta_postgresql_value_params(struct sta_postgresql_params *params, const struct sta_sql *sql);

/* A column of a row; a length that is not its type's leaves it null, which row_bytes.c refuses
 * where it may not be. It borrows from the result. */
struct strata_field sta_postgresql_value_column(const PGresult *result, int row, int at,
                                                enum strata_type type);

#endif
