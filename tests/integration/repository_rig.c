/* SPDX-License-Identifier: MIT
 *
 * See repository_rig.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/repository_rig.h"

#include <cmocka.h>
#include <string.h>

#include "repository/inside.h"
#include "support/wait.h"

static const struct strata_column columns[] = {
    {"id", STRATA_TYPE_INTEGER, STRATA_COLUMN_KEY, offsetof(struct machine, id), 0},
    {"name", STRATA_TYPE_TEXT, STRATA_COLUMN_UNIQUE, offsetof(struct machine, name), 0},
    {"provider", STRATA_TYPE_TEXT, STRATA_COLUMN_INDEXED, offsetof(struct machine, provider), 0},
    {"cost", STRATA_TYPE_REAL, 0, offsetof(struct machine, cost), 0},
    {"context", STRATA_TYPE_INTEGER, STRATA_COLUMN_NULLABLE | STRATA_COLUMN_INDEXED,
     offsetof(struct machine, context), offsetof(struct machine, context_is_null)},
    {"notes", STRATA_TYPE_TEXT, STRATA_COLUMN_NULLABLE, offsetof(struct machine, notes), 0},
    {"logo", STRATA_TYPE_BLOB, STRATA_COLUMN_NULLABLE, offsetof(struct machine, logo), 0},
    {"enabled", STRATA_TYPE_BOOLEAN, 0, offsetof(struct machine, enabled), 0},
    {"made", STRATA_TYPE_TIMESTAMP, 0, offsetof(struct machine, made), 0},
};

const struct strata_model machine_model = {
    .table = "machines",
    .columns = columns,
    .column_count = sizeof columns / sizeof columns[0],
    .size = sizeof(struct machine),
};

static bool is_settled(void *arg)
{
    struct strata_repository *repository = arg;
    return !sta_inside_in_doubt(repository);
}

void repository_user_settle(struct repository_user *user)
{
    assert_true(wait_until(is_settled, user->machines, 30000));
}

void repository_user_open_as(struct repository_user *user, const char *url,
                             struct strata_options options,
                             struct strata_database_options database_options,
                             const struct strata_driver *driver)
{
    *user = (struct repository_user){.cache = cache_rig_open(options)};
    database_options.url = url;
    if (strata_database_open(&user->database, user->cache, driver, &database_options,
                             &user->error) != STRATA_OK ||
        strata_repository_open(&user->machines, user->database, &machine_model, &user->error) !=
            STRATA_OK ||
        strata_repository_create_table(user->machines, &user->error) != STRATA_OK)
        fail_msg("opening %s: %s", url, user->error.text);
    repository_user_settle(user);
}

void repository_user_open(struct repository_user *user, const char *url,
                          struct strata_options options)
{
    repository_user_open_as(user, url, options, (struct strata_database_options){0},
                            repository_rig_driver());
}

void repository_user_close(struct repository_user *user)
{
    strata_repository_close(&user->machines);
    strata_database_close(&user->database);
    strata_close(&user->cache);
}

struct strata_repository_statistics repository_numbers(const struct repository_user *user)
{
    struct strata_repository_statistics statistics;
    strata_repository_statistics(user->machines, &statistics);
    return statistics;
}

struct machine machine_of(const char *name, const char *provider, double cost)
{
    return (struct machine){
        .name = name,
        .provider = provider,
        .cost = cost,
        .context = 8192,
        .notes = "it's \"quoted\"; DROP TABLE machines; --",
        .logo = strata_bytes("\0\1\2\377", 4),
        .enabled = true,
        .made = INT64_C(1700000000123456),
    };
}

static void machine_must(struct repository_user *user, const char *what, int status)
{
    if (status < 0)
        fail_msg("%s: %s (%s)", what, strata_status_name(status), user->error.text);
}

int64_t machine_create(struct repository_user *user, const char *name, const char *provider,
                       double cost)
{
    struct strata_rows made = {0};
    struct machine machine = machine_of(name, provider, cost);
    machine_must(user, "create",
                 strata_repository_create(user->machines, NULL, &machine, &made, &user->error));
    int64_t id = ((const struct machine *)made.rows)->id;
    strata_rows_release(&made);
    return id;
}

static double machine_cost_of(struct repository_user *user, int status, struct strata_rows *found)
{
    machine_must(user, "find", status);
    if (status == STRATA_MISS)
        return -1;
    assert_int_equal(found->count, 1);
    double cost = ((const struct machine *)found->rows)->cost;
    strata_rows_release(found);
    return cost;
}

double machine_cost(struct repository_user *user, int64_t id)
{
    struct strata_rows found = {0};
    return machine_cost_of(user,
                           strata_repository_find_cached(user->machines, strata_field_integer(id),
                                                         &found, &user->error),
                           &found);
}

double machine_cost_by_name(struct repository_user *user, const char *name)
{
    struct strata_rows found = {0};
    const struct strata_match by = {.column = "name", .field = strata_field_text(name)};
    return machine_cost_of(
        user, strata_repository_find_one_by_cached(user->machines, &by, 1, &found, &user->error),
        &found);
}

size_t machine_listed(struct repository_user *user, const char *provider)
{
    struct strata_rows found = {0};
    struct strata_match by = {.column = "provider"};
    struct strata_query query = {.where = &by, .where_count = provider != NULL ? 1 : 0};
    if (provider != NULL)
        by.field = strata_field_text(provider);
    machine_must(user, "list",
                 strata_repository_list_cached(user->machines, &query, &found, &user->error));
    size_t count = found.count;
    strata_rows_release(&found);
    return count;
}

uint64_t machine_counted(struct repository_user *user, const char *provider)
{
    uint64_t count = 0;
    struct strata_match by = {.column = "provider"};
    struct strata_query query = {.where = &by, .where_count = provider != NULL ? 1 : 0};
    if (provider != NULL)
        by.field = strata_field_text(provider);
    machine_must(user, "count",
                 strata_repository_count_cached(user->machines, &query, &count, &user->error));
    return count;
}

int machine_set_cost(struct repository_user *user, struct strata_transaction *transaction,
                     int64_t id, double cost)
{
    const struct strata_change change = {"cost", strata_field_real(cost)};
    return strata_repository_update_columns(user->machines, transaction, strata_field_integer(id),
                                            &change, 1, NULL, &user->error);
}
