/* SPDX-License-Identifier: MIT
 *
 * bench_l2 [--json] [--rounds N] [FIGURE...]
 *
 * What Redis costs through strata, beside the same through hiredis or redis-benchmark: two ways of
 * asking take turns in short slices, and a figure is the median of the ratios of neighbours, which
 * other work on the machine hits alike. Times are microseconds per operation: by the clock, of
 * processor time of this process and of the server; and how often threads of this process went to
 * sleep or were set aside.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench/l2/ways.h"

#define ROUNDS_MAX 101u
#define ONE_CORE   1u /* masks of processors */
#define OTHER_CORE 2u

struct figure {
    const char *name;
    const char *own_name;
    const char *peer_name;
    int (*own)(struct rig *rig, unsigned ops);
    int (*peer)(struct rig *rig, unsigned ops);
    unsigned ops; /* in a slice */
    double goal;  /* 0: none */
    bool rate;    /* the ratio is of rates and the goal a least one; else of times, a most */
    unsigned client_mask;
    unsigned server_mask;
    const char *what;
};

static const struct figure figures[] = {
    {"sync-1", "strata_l2_get", "hiredis", way_sync_l2, way_sync_hiredis, 3000, 1.3, false, 0, 0,
     "GET of 100 bytes, one at a time, one thread"},
    {"sync-1-engine", "sta_l2_call", "hiredis", way_sync_engine, way_sync_hiredis, 3000, 0, false,
     0, 0, "the same without the public door: one GET for one GET"},
    {"sync-1-core", "strata_l2_get", "hiredis", way_sync_l2, way_sync_hiredis, 3000, 0, false,
     ONE_CORE, ONE_CORE, "the same with client and server on one core"},
    {"sync-16-core", "strata_l2_get", "16 x hiredis", way_threads_l2, way_threads_hiredis, 8000,
     5.0, true, ONE_CORE, ONE_CORE, "16 threads, one at a time each, all on one core"},
    {"sync-16-cores", "strata_l2_get", "16 x hiredis", way_threads_l2, way_threads_hiredis, 8000, 0,
     true, ONE_CORE, OTHER_CORE, "the same with the server on a core of its own"},
    {"sync-16", "strata_l2_get", "16 x hiredis", way_threads_l2, way_threads_hiredis, 8000, 0, true,
     0, 0, "the same on all cores"},
    {"sync-16-floor", "bare futexes", "16 x hiredis", way_threads_floor, way_threads_hiredis, 8000,
     0, true, ONE_CORE, ONE_CORE, "the least that threads with one connection cost, on one core"},
    {"sync-16-own-floor", "strata_l2_get", "bare futexes", way_threads_l2, way_threads_floor, 8000,
     0, true, ONE_CORE, ONE_CORE, "ours beside that"},
    {"sync-16-no-server", "bare futexes", "16 x hiredis", way_threads_handoff, way_threads_hiredis,
     8000, 0, true, ONE_CORE, ONE_CORE, "the same without asking anybody: the hand-over alone"},
    {"cluster-mget", "strata_get_many", "bare sockets", way_cluster_strata, way_cluster_floor, 300,
     1.2, false, 0, 0, "100 keys all over a cluster"},
    {"cluster-mget-node", "strata_get_many", "one node's part", way_cluster_strata,
     way_cluster_node, 300, 1.5, false, 0, 0, "the same beside the round trip of the slowest node"},
    {"cluster-floor", "bare sockets", "one node's part", way_cluster_floor, way_cluster_node, 300,
     0, false, 0, 0, "what bare sockets make of that"},
    {"big-small", "beside 10 MB", "alone", way_small_beside_big_l2, way_small_l2, 500, 2.0, false,
     0, 0, "p99 of strata_l2_get of 100 bytes while 10 MB are fetched"},
    {"big-small-hiredis", "beside 10 MB", "alone", way_small_beside_big_hiredis, way_small_hiredis,
     500, 0, false, 0, 0, "the same with two connections of hiredis"},
    {"big-small-both", "strata_l2_get", "hiredis", way_small_beside_big_l2,
     way_small_beside_big_hiredis, 500, 0, false, 0, 0, "the two beside each other"},
    {"big-small-steady", "beside 10 MB", "alone", way_steady_beside_big_l2, way_steady_l2, 500, 2.0,
     false, 0, 0, "strata_l2_get before a server that holds nobody up"},
    {"big-small-steady-hiredis", "beside 10 MB", "alone", way_steady_beside_big_hiredis,
     way_steady_hiredis, 500, 0, false, 0, 0, "the same with two connections of hiredis"},
    {"big-small-steady-both", "strata_l2_get", "hiredis", way_steady_beside_big_l2,
     way_steady_beside_big_hiredis, 500, 0, false, 0, 0, "the two beside each other"},
    {"big-small-even", "beside 10 MB", "alone", way_even_beside_big_l2, way_steady_l2, 500, 2.0,
     false, 0, 0, "strata_l2_get before that server, 20 large values a second"},
    {"big-small-even-hiredis", "beside 10 MB", "alone", way_even_beside_big_hiredis,
     way_steady_hiredis, 500, 0, false, 0, 0, "the same with two connections of hiredis"},
    {"big-small-even-both", "strata_l2_get", "hiredis", way_even_beside_big_l2,
     way_even_beside_big_hiredis, 500, 0, false, 0, 0, "the two beside each other"},
    {"big", "strata_l2_get", "hiredis", way_big_l2, way_big_hiredis, 60, 0, false, 0, 0,
     "GET of 10 MB, one at a time, from that server"},
    {"async-64", "l2 engine", "redis-benchmark -P 64", way_pipeline_engine,
     way_pipeline_redis_benchmark, 64000, 0.9, true, 0, 0, "64 in flight, one thread"},
    {"async-64-hiredis", "l2 engine", "hiredis, pipelined", way_pipeline_engine,
     way_pipeline_hiredis, 64000, 0, true, 0, 0, "the same beside hiredis"},
};

#define FIGURES (sizeof figures / sizeof figures[0])

/* What the slices of one way cost, per operation. */
struct costs {
    double wall[ROUNDS_MAX];
    double client[ROUNDS_MAX];
    double server[ROUNDS_MAX];
    double switches[ROUNDS_MAX];
};

struct results {
    struct costs own;
    struct costs peer;
    double ratio[ROUNDS_MAX];
    unsigned rounds;
};

/* ---- measuring ---- */

static int slice_run(struct rig *rig, int (*way)(struct rig *, unsigned), unsigned ops,
                     struct costs *costs, unsigned at)
{
    rig->told_ns = 0;
    struct usage before = rig_usage(rig);
    if (way(rig, ops) != 0)
        return -1;
    struct usage after = rig_usage(rig);
    double wall_ns = rig->told_ns > 0 ? rig->told_ns : (after.wall_ns - before.wall_ns) / ops;
    costs->wall[at] = wall_ns / 1e3;
    costs->client[at] = (after.client_ns - before.client_ns) / ops / 1e3;
    costs->server[at] = (after.server_ns - before.server_ns) / ops / 1e3;
    costs->switches[at] = (after.switches - before.switches) / ops;
    return 0;
}

/* Who begins alternates, so that a trend favours nobody. The first round is not counted. */
static int figure_run(const struct figure *figure, struct rig *rig, struct results *results)
{
    for (unsigned i = 0; i <= results->rounds; i++) {
        unsigned at = i == 0 ? 0 : i - 1;
        for (unsigned turn = 0; turn < 2; turn++) {
            bool own = (turn + i) % 2 == 0;
            if (slice_run(rig, own ? figure->own : figure->peer, figure->ops,
                          own ? &results->own : &results->peer, at) != 0)
                return -1;
        }
        double times = results->own.wall[at] / results->peer.wall[at];
        results->ratio[at] = figure->rate ? 1 / times : times;
    }
    return 0;
}

/* ---- printing ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts. */
static double median(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

static void print_costs(const char *name, struct costs *costs, unsigned rounds)
{
    double wall = median(costs->wall, rounds);
    printf("  %-22s %8.2f us (%.2f .. %.2f)  client %6.2f  server %6.2f  switches %5.2f\n", name,
           wall, costs->wall[0], costs->wall[rounds - 1], median(costs->client, rounds),
           median(costs->server, rounds), median(costs->switches, rounds));
}

static void print_text(const struct figure *figure, struct results *results)
{
    double ratio = median(results->ratio, results->rounds);
    printf("%s: %s\n", figure->name, figure->what);
    print_costs(figure->own_name, &results->own, results->rounds);
    print_costs(figure->peer_name, &results->peer, results->rounds);
    printf("  ratio of %s %.2f (%.2f .. %.2f)", figure->rate ? "rates" : "times", ratio,
           results->ratio[0], results->ratio[results->rounds - 1]);
    if (figure->goal > 0)
        printf("  goal %s %.2f", figure->rate ? ">=" : "<=", figure->goal);
    printf("\n");
}

static void print_json_costs(const char *side, const char *name, struct costs *costs,
                             unsigned rounds)
{
    printf("\"%s\": {\"name\": \"%s\", \"wall_us\": %.3f, \"client_cpu_us\": %.3f, "
           "\"server_cpu_us\": %.3f, \"switches\": %.3f}, ",
           side, name, median(costs->wall, rounds), median(costs->client, rounds),
           median(costs->server, rounds), median(costs->switches, rounds));
}

static void print_json(const struct figure *figure, struct results *results)
{
    double ratio = median(results->ratio, results->rounds);
    printf("{\"figure\": \"%s\", \"rounds\": %u, ", figure->name, results->rounds);
    print_json_costs("own", figure->own_name, &results->own, results->rounds);
    print_json_costs("peer", figure->peer_name, &results->peer, results->rounds);
    printf("\"ratio_of\": \"%s\", \"ratio\": %.3f, \"ratio_least\": %.3f, \"ratio_most\": %.3f, "
           "\"goal\": %.2f}\n",
           figure->rate ? "rates" : "times", ratio, results->ratio[0],
           results->ratio[results->rounds - 1], figure->goal);
}

/* ---- the program ---- */

static bool is_wanted(const char *name, int argc, char **argv, int first)
{
    for (int i = first; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return true;
    }
    return first == argc;
}

static int figures_run(struct rig *rig, unsigned rounds, bool json, int argc, char **argv,
                       int first)
{
    for (size_t i = 0; i < FIGURES; i++) {
        const struct figure *figure = &figures[i];
        struct results results = {.rounds = rounds};
        if (!is_wanted(figure->name, argc, argv, first))
            continue;
        rig_pin(rig, figure->client_mask, figure->server_mask);
        if (figure_run(figure, rig, &results) != 0) {
            (void)fprintf(stderr, "bench_l2: %s failed\n", figure->name);
            return 1;
        }
        if (json)
            print_json(figure, &results);
        else
            print_text(figure, &results);
        (void)fflush(stdout);
    }
    return 0;
}

static int usage(void)
{
    (void)fprintf(stderr, "usage: bench_l2 [--json] [--rounds 1..%u] [FIGURE...]\nfigures:\n",
                  ROUNDS_MAX);
    for (size_t i = 0; i < FIGURES; i++)
        (void)fprintf(stderr, "  %-18s %s\n", figures[i].name, figures[i].what);
    return 2;
}

int main(int argc, char **argv)
{
    struct rig rig;
    struct utsname machine;
    bool json = false;
    unsigned rounds = 15;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--json") == 0)
            json = true;
        else if (strcmp(argv[at], "--rounds") == 0 && at + 1 < argc)
            rounds = (unsigned)strtoul(argv[++at], NULL, 10);
        else
            return usage();
    }
    if (rounds < 1 || rounds > ROUNDS_MAX)
        return usage();
    (void)uname(&machine);
    if (!json)
        printf("%s %s, %ld cores, redis-server on a unix socket of the same machine, medians of "
               "%u pairs (least .. most)\n",
               machine.sysname, machine.release, sysconf(_SC_NPROCESSORS_ONLN), rounds);
    int failed = rig_open(&rig) != 0 || figures_run(&rig, rounds, json, argc, argv, at) != 0;
    rig_close(&rig);
    return failed;
}
