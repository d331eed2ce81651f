/* SPDX-License-Identifier: MIT
 *
 * A registry of language models: rows of a database, read through the cache.
 *
 *     ./model_registry                                 SQLite, in memory
 *     ./model_registry models.db                       SQLite, in a file
 *     ./model_registry postgresql://user@host/name     PostgreSQL, built -DWITH_POSTGRESQL
 *
 * Which Redis, and everything else of the cache, comes from the environment.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#ifdef WITH_POSTGRESQL
#include <strata/postgresql.h>
#endif
#include <strata/repository.h>
#include <strata/strata.h>

struct model {
    int64_t id;
    const char *name;
    const char *provider;
    double cost_per_token;
};

static const struct strata_column model_columns[] = {
    {"id", STRATA_TYPE_INTEGER, STRATA_COLUMN_KEY, offsetof(struct model, id), 0},
    {"name", STRATA_TYPE_TEXT, STRATA_COLUMN_UNIQUE, offsetof(struct model, name), 0},
    {"provider", STRATA_TYPE_TEXT, STRATA_COLUMN_INDEXED, offsetof(struct model, provider), 0},
    {"cost_per_token", STRATA_TYPE_REAL, 0, offsetof(struct model, cost_per_token), 0},
};

static struct strata_model model_of_models(void)
{
    struct strata_model model = {0};
    model.table = "models";
    model.columns = model_columns;
    model.column_count = sizeof model_columns / sizeof model_columns[0];
    model.size = sizeof(struct model);
    return model;
}

/* Asks the cache first, then the database, and remembers what it said. */
static int get_by_name_cached(struct strata_repository *models, const char *name,
                              struct strata_rows *found, struct strata_error *error)
{
    struct strata_match by_name = {"name", STRATA_EQUAL, strata_field_text(name)};
    return strata_repository_find_one_by_cached(models, &by_name, 1, found, error);
}

static int show(struct strata_repository *models, const char *name, struct strata_error *error)
{
    struct strata_rows found = {0};
    int status = get_by_name_cached(models, name, &found, error);
    if (status == STRATA_OK) {
        const struct model *model = found.rows;
        printf("%s by %s: %.5f per token\n", model->name, model->provider, model->cost_per_token);
        strata_rows_release(&found);
    } else if (status == STRATA_MISS) {
        printf("%s: not there\n", name);
    }
    return status;
}

static int tour(struct strata_repository *models, struct strata_error *error)
{
    struct model gpt = {0, "gpt-4", "openai", 0.00006};
    struct strata_change cheaper = {"cost_per_token", strata_field_real(0.00003)};
    struct strata_rows made = {0};

    /* Creates the row; whatever was cached that it belongs to falls. */
    int status = strata_repository_create(models, NULL, &gpt, &made, error);
    if (status < 0)
        return status;
    struct strata_field id = strata_field_integer(((const struct model *)made.rows)->id);
    strata_rows_release(&made);

    status = show(models, "gpt-4", error); /* from the database */
    if (status >= 0)
        status = show(models, "gpt-4", error); /* from memory */
    if (status >= 0)
        status = strata_repository_update_columns(models, NULL, id, &cheaper, 1, NULL, error);
    if (status >= 0)
        status = show(models, "gpt-4", error); /* the new cost */
    if (status >= 0)
        status = strata_repository_delete(models, NULL, id, error);
    if (status >= 0)
        status = show(models, "gpt-4", error);
    return status;
}

/* What speaks to the database that `url` names; NULL: nothing here does. */
static const struct strata_driver *driver_for(const char *url)
{
    static const char postgresql[] = "postgresql://";
    if (strncmp(url, postgresql, strlen(postgresql)) != 0)
        return strata_sqlite();
#ifdef WITH_POSTGRESQL
    return strata_postgresql();
#else
    return NULL;
#endif
}

int main(int argc, char **argv)
{
    struct strata *cache = NULL;
    struct strata_database *database = NULL;
    struct strata_repository *models = NULL;
    struct strata_database_options options = {0};
    struct strata_model model = model_of_models();
    struct strata_error error = {0};

    options.url = argc > 1 ? argv[1] : ":memory:";
    const struct strata_driver *driver = driver_for(options.url);
    if (driver == NULL) {
        fprintf(stderr, "for PostgreSQL, build this with -DWITH_POSTGRESQL\n");
        return 1;
    }
    int status = strata_open(&cache, NULL, &error);
    if (status == STRATA_OK)
        status = strata_database_open(&database, cache, driver, &options, &error);
    if (status == STRATA_OK)
        status = strata_repository_open(&models, database, &model, &error);
    if (status == STRATA_OK)
        status = strata_repository_create_table(models, &error);
    if (status == STRATA_OK)
        status = tour(models, &error);
    if (status < 0)
        fprintf(stderr, "%s\n", error.text);
    strata_repository_close(&models);
    strata_database_close(&database);
    strata_close(&cache);
    return status < 0 ? 1 : 0;
}
