/* SPDX-License-Identifier: MIT
 *
 * PostgreSQL (15 or later) for strata/repository.h. A library of its own, libstrata_postgresql, so
 * that programs without it do not link libpq: link -lstrata_postgresql (pkg-config
 * strata-postgresql; CMake strata::postgresql) and open a database with it:
 *
 *     options.url = "postgresql://user@host/database";
 *     strata_database_open(&database, cache, strata_postgresql(), &options, &error);
 *
 * The URL is libpq's, or its "host=... dbname=..." form; what it does not say comes from libpq's
 * own environment (PGHOST, PGPASSWORD, ...). Give it the primary: a replica may be behind.
 */
#ifndef STRATA_POSTGRESQL_H
#define STRATA_POSTGRESQL_H

#include "export.h"

#ifdef __cplusplus
extern "C" {
#endif

struct strata_driver;

/* Constant, lives for ever; any thread. */
STRATA_API const struct strata_driver *strata_postgresql(void);

#ifdef __cplusplus
}
#endif

#endif
