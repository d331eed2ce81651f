/* SPDX-License-Identifier: MIT
 *
 * repository_rig.h with a private PostgreSQL.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/repository_rig.h"

#include <cmocka.h>
#include <libpq-fe.h>

#include "strata/postgresql.h"
#include "support/postgresql_server.h"

static struct postgresql_server *server;

int repository_rig_start(void **state)
{
    return postgresql_server_start(&server) == 0 ? cache_rig_start(state) : -1;
}

int repository_rig_stop(void **state)
{
    postgresql_server_stop(&server);
    return cache_rig_stop(state);
}

const char *repository_rig_fresh(void)
{
    const char *url = postgresql_server_url(server);
    repository_rig_sql(url, "SET client_min_messages = error;"
                            "DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    return url;
}

const struct strata_driver *repository_rig_driver(void)
{
    return strata_postgresql();
}

void repository_rig_sql(const char *url, const char *sql)
{
    PGconn *handle = PQconnectdb(url);
    PGresult *result = PQexec(handle, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(handle));
    PQclear(result);
    PQfinish(handle);
}

bool repository_rig_crash(void)
{
    assert_int_equal(postgresql_server_restart(server), 0);
    return true;
}
