/* SPDX-License-Identifier: MIT
 *
 * Waiting for PostgreSQL with a bound: libpq's own calls wait for ever for a server that hangs.
 */
#ifndef STA_POSTGRESQL_WAIT_H
#define STA_POSTGRESQL_WAIT_H

#include <libpq-fe.h>
#include <stdint.h>

#include "strata/status.h"

/* What one query that was sent has answered, its last result; the connection is free for the next.
 * STRATA_ERR_TIMEOUT, and STRATA_ERR_LOST where the connection is gone: it is good for nothing
 * then. PQclear() it. */
int sta_postgresql_wait(PGconn *handle, uint64_t timeout_ms, PGresult **out);

#endif
