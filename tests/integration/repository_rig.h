/* SPDX-License-Identifier: MIT
 *
 * What the tests of repositories share: a model with a column of each type, and a database of the
 * kind that the program is linked with (repository_rig_sqlite.c, repository_rig_postgresql.c).
 */
#ifndef TEST_REPOSITORY_RIG_H
#define TEST_REPOSITORY_RIG_H

#include "integration/cache_rig.h"
#include "strata/repository.h"

struct machine {
    int64_t id;
    const char *name;
    const char *provider;
    double cost;
    int64_t context;
    bool context_is_null;
    const char *notes;
    struct strata_bytes logo;
    bool enabled;
    int64_t made;
};

extern const struct strata_model machine_model;

/* ---- of the kind of database ---- */

/* Group fixtures: a database server where there is one. */
int repository_rig_start(void **state);
int repository_rig_stop(void **state);
/* A database without tables; the URL lives until the next. */
const char *repository_rig_fresh(void);
const struct strata_driver *repository_rig_driver(void);
/* Runs SQL past the repository; fails the test where the database refuses it. */
void repository_rig_sql(const char *url, const char *sql);
/* Kills the server as a crash would, with what is under way, and starts it again. False: there is
 * none. */
bool repository_rig_crash(void);

/* ---- of all ---- */

/* One user of a database: a cache, a database, a repository. Those that are opened here have
 * settled: their reads go through the cache. */
struct repository_user {
    struct strata *cache;
    struct strata_database *database;
    struct strata_repository *machines;
    struct strata_error error;
};

void repository_user_open(struct repository_user *user, const char *url,
                          struct strata_options options);
void repository_user_open_as(struct repository_user *user, const char *url,
                             struct strata_options options,
                             struct strata_database_options database_options,
                             const struct strata_driver *driver);
void repository_user_settle(struct repository_user *user);
void repository_user_close(struct repository_user *user);

struct strata_repository_statistics repository_numbers(const struct repository_user *user);

/* The machine with this name and provider, and something in all other columns. */
struct machine machine_of(const char *name, const char *provider, double cost);

/* Creates it and answers its key. */
int64_t machine_create(struct repository_user *user, const char *name, const char *provider,
                       double cost);

/* Cached reads that must succeed: the cost, the number of rows; -1 where there is none. */
double machine_cost(struct repository_user *user, int64_t id);
double machine_cost_by_name(struct repository_user *user, const char *name);
size_t machine_listed(struct repository_user *user, const char *provider);
uint64_t machine_counted(struct repository_user *user, const char *provider);

/* Sets the cost; the status. */
int machine_set_cost(struct repository_user *user, struct strata_transaction *transaction,
                     int64_t id, double cost);

#endif
