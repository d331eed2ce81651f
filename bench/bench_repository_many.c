/* SPDX-License-Identifier: MIT
 *
 * See bench_repository_many.h.
 */
#include "bench_repository_many.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "strata/postgresql.h"
#include "strata/repository.h"
#include "support/postgresql_server.h"

#define ROWS       100
#define ROUNDS_MAX 100
#define REPEATS    20 /* in a round */

struct item {
    int64_t id;
    const char *name;
    double cost;
};

static const struct strata_column columns[] = {
    {"id", STRATA_TYPE_INTEGER, STRATA_COLUMN_KEY, offsetof(struct item, id), 0},
    {"name", STRATA_TYPE_TEXT, STRATA_COLUMN_INDEXED, offsetof(struct item, name), 0},
    {"cost", STRATA_TYPE_REAL, 0, offsetof(struct item, cost), 0},
};

static const struct strata_model description = {
    .table = "items", .columns = columns, .column_count = 3, .size = sizeof(struct item)};

static struct strata *cache;
static struct strata_database *database;
static struct strata_repository *items;
static struct item there[ROWS], fresh[ROWS]; /* in the table, and not */
static struct strata_field keys[ROWS];

enum { CREATE, UPDATE, DELETE, FORMS };

static void must(int status, const struct strata_error *error)
{
    if (status == STRATA_OK)
        return;
    (void)fprintf(stderr, "bench_repository: %s: %s\n", strata_status_name(status), error->text);
    exit(1);
}

/* ---- the forms, on `count` rows from `at` on ---- */

static int change(int form, struct strata_transaction *transaction, size_t at, size_t count,
                  struct strata_error *error)
{
    switch (form) {
    case CREATE:
        return strata_repository_create_many(items, transaction, fresh + at, count, NULL, error);
    case UPDATE:
        return strata_repository_update_many(items, transaction, there + at, count, NULL, error);
    default:
        return strata_repository_delete_many(items, transaction, keys + at, count, NULL, error);
    }
}

static double now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Microseconds for all rows, `step` of them in a call; what is done is undone. */
static double timed(int form, size_t step)
{
    struct strata_transaction *transaction = NULL;
    struct strata_error error;
    double took = 0;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        must(strata_transaction_begin(&transaction, database, &error), &error);
        double begun = now_us();
        for (size_t at = 0; at < ROWS; at += step)
            must(change(form, transaction, at, step, &error), &error);
        took += now_us() - begun;
        strata_transaction_rollback(&transaction);
    }
    return took / REPEATS;
}

/* ---- numbers ---- */

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void measure(int form, const char *name, unsigned rounds)
{
    double single[ROUNDS_MAX], many[ROUNDS_MAX], ratio[ROUNDS_MAX];
    (void)timed(form, 1); /* statements are prepared */
    for (unsigned round = 0; round < rounds; round++) {
        single[round] = timed(form, 1);
        many[round] = timed(form, ROWS);
        ratio[round] = single[round] / many[round];
    }
    qsort(single, rounds, sizeof single[0], compare);
    qsort(many, rounds, sizeof many[0], compare);
    qsort(ratio, rounds, sizeof ratio[0], compare);
    printf("%s %d rows, PostgreSQL: %.2f ms one by one, %.2f ms together; "
           "one by one, times together: %.2f (%.2f .. %.2f)\n",
           name, ROWS, single[rounds / 2] / 1000, many[rounds / 2] / 1000, ratio[rounds / 2],
           ratio[0], ratio[rounds - 1]);
}

/* ---- the world ---- */

static void set_up(const char *url)
{
    const struct strata_options options = {.l2_enabled = STRATA_OFF};
    const struct strata_database_options with = {.url = url, .connections = 1};
    struct strata_error error = {0};
    must(strata_open(&cache, &options, &error), &error);
    must(strata_database_open(&database, cache, strata_postgresql(), &with, &error), &error);
    must(strata_repository_open(&items, database, &description, &error), &error);
    must(strata_repository_create_table(items, &error), &error);
    for (int i = 0; i < ROWS; i++) {
        there[i] = (struct item){i + 1, "an item", i};
        fresh[i] = (struct item){ROWS + i + 1, "an item", i};
        keys[i] = strata_field_integer(i + 1);
    }
    must(strata_repository_create_many(items, NULL, there, ROWS, NULL, &error), &error);
}

void bench_repository_many(unsigned rounds)
{
    struct postgresql_server *server = NULL;
    if (postgresql_server_start(&server) != 0)
        return; /* it has said why */
    set_up(postgresql_server_url(server));
    measure(CREATE, "create", rounds);
    measure(UPDATE, "update", rounds);
    measure(DELETE, "delete", rounds);
    strata_repository_close(&items);
    strata_database_close(&database);
    strata_close(&cache);
    postgresql_server_stop(&server);
}
