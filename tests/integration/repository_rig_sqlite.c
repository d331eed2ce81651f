/* SPDX-License-Identifier: MIT
 *
 * repository_rig.h with SQLite files in a temporary folder.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/repository_rig.h"

#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];
static char path[96];
static unsigned files;

/* The file with what WAL mode puts beside it. */
static void remove_file(void)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    char name[112];
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "%s%s", path, ends[i]);
        (void)unlink(name);
    }
}

int repository_rig_start(void **state)
{
    const char *parent = getenv("TMPDIR");
    (void)snprintf(folder, sizeof folder, "%.40s/strata-sqlite-XXXXXX",
                   parent != NULL && strlen(parent) <= 40 ? parent : "/tmp");
    return mkdtemp(folder) != NULL ? cache_rig_start(state) : -1;
}

int repository_rig_stop(void **state)
{
    remove_file();
    (void)rmdir(folder);
    return cache_rig_stop(state);
}

const char *repository_rig_fresh(void)
{
    if (files > 0)
        remove_file();
    (void)snprintf(path, sizeof path, "%s/%u.db", folder, ++files);
    return path;
}

const struct strata_driver *repository_rig_driver(void)
{
    return strata_sqlite();
}

void repository_rig_sql(const char *url, const char *sql)
{
    sqlite3 *handle = NULL;
    assert_int_equal(sqlite3_open(url, &handle), SQLITE_OK);
    (void)sqlite3_busy_timeout(handle, 10000);
    if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
    (void)sqlite3_close(handle);
}

bool repository_rig_crash(void)
{
    return false;
}
