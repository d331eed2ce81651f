/* SPDX-License-Identifier: MIT
 *
 * What a row costs that lies in L1, beside the least that it could cost and beside the database:
 *
 *     plain     strata_get() of the entry by a ready key, into a struct: no version is looked at
 *     by key    strata_repository_find_cached()
 *     by name   strata_repository_find_one_by_cached()
 *     SQLite    strata_repository_find(): a prepared SELECT by key in a file, through the same API
 *
 * One thread; in each round all of them take their turn on the same keys; ratios are taken
 * within a round. Processor time of the thread. Then, where there is PostgreSQL, forms for many
 * rows (bench_repository_many.h).
 *
 *     bench_repository [ROUNDS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench_repository_many.h"
#include "core/random.h"
#include "repository/row_bytes.h"
#include "strata/repository.h"
#include "support/redis_server.h"

#define ROWS       1000
#define ROUNDS_MAX 100
#define CALLS      200000
#define SQL_CALLS  20000

struct model {
    int64_t id;
    const char *name;
    const char *provider;
    double cost_per_token;
};

static const struct strata_column columns[] = {
    {"id", STRATA_TYPE_INTEGER, STRATA_COLUMN_KEY, offsetof(struct model, id), 0},
    {"name", STRATA_TYPE_TEXT, STRATA_COLUMN_UNIQUE, offsetof(struct model, name), 0},
    {"provider", STRATA_TYPE_TEXT, STRATA_COLUMN_INDEXED, offsetof(struct model, provider), 0},
    {"cost_per_token", STRATA_TYPE_REAL, 0, offsetof(struct model, cost_per_token), 0},
};

static const struct strata_model description = {
    .table = "models", .columns = columns, .column_count = 4, .size = sizeof(struct model)};

struct bench {
    struct redis_server *redis;
    struct strata *cache;
    struct strata_database *database;
    struct strata_repository *models;
    struct sta_schema schema;
    char names[ROWS + 1][16];
    char keys[ROWS + 1][24]; /* in the cache */
};

enum { PLAIN, BY_KEY, BY_NAME, SQLITE, WAYS };

static _Noreturn void give_up(const char *what, const struct strata_error *error)
{
    (void)fprintf(stderr, "bench_repository: %s: %s\n", what, error != NULL ? error->text : "");
    exit(1);
}

/* ---- one call in each way; the sum of costs keeps it from being left out ---- */

static double plain(struct bench *bench, int64_t id)
{
    struct strata_value value = {0};
    void *rows = NULL;
    size_t count = 0;
    if (strata_get(bench->cache, strata_text(bench->keys[id]), &value) != STRATA_OK ||
        sta_row_bytes_decode(&bench->schema, value.bytes, &rows, &count) != STRATA_OK)
        give_up("plain", NULL);
    double cost = ((const struct model *)rows)->cost_per_token;
    free(rows);
    strata_release(&value);
    return cost;
}

static double found(int status, struct strata_rows *rows, const struct strata_error *error)
{
    if (status != STRATA_OK)
        give_up("find", error);
    double cost = ((const struct model *)rows->rows)->cost_per_token;
    strata_rows_release(rows);
    return cost;
}

static double once(struct bench *bench, int way, int64_t id)
{
    struct strata_rows rows = {0};
    struct strata_error error = {0};
    const struct strata_match by = {.column = "name", .field = strata_field_text(bench->names[id])};
    switch (way) {
    case PLAIN:
        return plain(bench, id);
    case BY_KEY:
        return found(
            strata_repository_find_cached(bench->models, strata_field_integer(id), &rows, &error),
            &rows, &error);
    case BY_NAME:
        return found(strata_repository_find_one_by_cached(bench->models, &by, 1, &rows, &error),
                     &rows, &error);
    default:
        return found(
            strata_repository_find(bench->models, NULL, strata_field_integer(id), &rows, &error),
            &rows, &error);
    }
}

/* ---- timing ---- */

static double thread_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Nanoseconds per call. */
static double timed(struct bench *bench, int way)
{
    unsigned calls = way == SQLITE ? SQL_CALLS : CALLS;
    uint64_t seed = 1;
    volatile double sum = 0;
    double begun = thread_ns();
    for (unsigned i = 0; i < calls; i++)
        sum = sum + once(bench, way, 1 + (int64_t)sta_random_below(&seed, ROWS));
    return (thread_ns() - begun) / calls;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void print_line(const char *name, double *values, unsigned count, const char *unit)
{
    qsort(values, count, sizeof *values, compare);
    printf("%-40s %8.2f%s (%.2f .. %.2f)\n", name, values[count / 2], unit, values[0],
           values[count - 1]);
}

static void measure(struct bench *bench, unsigned rounds)
{
    static const char *const names[WAYS] = {"plain get and decoding", "find by key, cached",
                                            "find one by name, cached", "find by key, SQLite"};
    static double ns[WAYS][ROUNDS_MAX], beside_plain[ROUNDS_MAX], beside_sqlite[ROUNDS_MAX];
    for (int way = WAYS - 1; way >= 0; way--) { /* what the others find is there before them */
        for (int64_t id = 1; id <= ROWS; id++)
            (void)once(bench, way, id);
    }
    for (unsigned round = 0; round < rounds; round++) {
        for (int way = 0; way < WAYS; way++)
            ns[way][round] = timed(bench, way);
        beside_plain[round] = ns[BY_KEY][round] / ns[PLAIN][round];
        beside_sqlite[round] = ns[SQLITE][round] / ns[BY_KEY][round];
    }
    for (int way = 0; way < WAYS; way++)
        print_line(names[way], ns[way], rounds, " ns");
    print_line("cached by key, times plain", beside_plain, rounds, "");
    print_line("SQLite, times cached by key", beside_sqlite, rounds, "");
}

/* ---- the world ---- */

static void fill(struct bench *bench)
{
    static struct model models[ROWS];
    struct strata_error error;
    for (int i = 0; i < ROWS; i++) {
        (void)snprintf(bench->names[i + 1], sizeof bench->names[0], "model-%d", i + 1);
        (void)snprintf(bench->keys[i + 1], sizeof bench->keys[0], "models:id:%d", i + 1);
        models[i] = (struct model){i + 1, bench->names[i + 1], "a provider", i};
    }
    if (strata_repository_create_many(bench->models, NULL, models, ROWS, NULL, &error) != STRATA_OK)
        give_up("create", &error);
}

static void set_up(struct bench *bench, const char *file)
{
    struct strata_error error = {0};
    if (redis_server_start(&bench->redis, NULL) != 0)
        give_up("redis-server", NULL);
    const struct strata_options options = {.redis_url = redis_server_url(bench->redis),
                                           .l1_max_size = 100000};
    const struct strata_database_options database = {.url = file};
    if (strata_open(&bench->cache, &options, &error) != STRATA_OK ||
        strata_database_open(&bench->database, bench->cache, strata_sqlite(), &database, &error) !=
            STRATA_OK ||
        strata_repository_open(&bench->models, bench->database, &description, &error) !=
            STRATA_OK ||
        strata_repository_create_table(bench->models, &error) != STRATA_OK ||
        sta_schema_init(&bench->schema, &description, &error) != STRATA_OK)
        give_up("opening", &error);
    fill(bench);
}

static void tear_down(struct bench *bench)
{
    strata_repository_close(&bench->models);
    strata_database_close(&bench->database);
    strata_close(&bench->cache);
    redis_server_stop(&bench->redis);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    static const char *const ends[] = {"", "-wal", "-shm"};
    char file[] = "/tmp/strata-bench-XXXXXX", name[64];
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 9;
    int descriptor = mkstemp(file);
    if (rounds < 1 || rounds > ROUNDS_MAX || descriptor < 0) {
        (void)fprintf(stderr, "usage: bench_repository [ROUNDS], 1 to %d\n", ROUNDS_MAX);
        return 2;
    }
    (void)close(descriptor);
    set_up(&bench, file);
    measure(&bench, (unsigned)rounds);
    tear_down(&bench);
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "%s%s", file, ends[i]);
        (void)unlink(name);
    }
#ifdef WITH_POSTGRESQL
    bench_repository_many((unsigned)rounds);
#endif
    return 0;
}
