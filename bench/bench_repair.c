/* SPDX-License-Identifier: MIT
 *
 * What losing a stream costs: a cache has 100,000 entries of a private cluster of three nodes in
 * L1, two threads get random ones of them at a pace, one of node 0's entries, one of the others',
 * and all connections to node 0 are killed. Node 0's entries are in doubt from then on and are read
 * again at `repair_rate`; the others' stay hits.
 *
 *     bench_repair [RATE [READS/S]]           20,000 entries a second; 20,000 of both threads
 *
 * A hit that took long by the wall and not by its own processor time waited for the machine: the
 * same is measured for as long before the kill.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/tools.h"
#include "core/clock.h"
#include "core/histogram.h"
#include "core/random.h"
#include "strata/strata.h"
#include "support/redis_cluster.h"

#define ENTRIES   100000u
#define READERS   2u
#define PIECES    1000u /* of a second, in which pacing is done */
#define WATCH_S   10u   /* before the kill, and after it */
#define PREFIX    "atp:cache:"
#define NAME_CAP  16u
#define VALUE_CAP 128u

enum phase { BEFORE, AFTER, OVER };

struct bench {
    struct redis_cluster *cluster;
    struct strata *cache;
    uint64_t reads_per_second; /* of each reader */
    _Atomic unsigned phase;
};

struct reader {
    const char *name;
    struct bench *bench;
    pthread_t thread;
    uint64_t random;
    unsigned keys[ENTRIES], count;
    struct sta_histogram wall[OVER], cpu[OVER];
    uint64_t failed[OVER];
};

static void read_one(struct reader *reader, unsigned phase)
{
    char name[NAME_CAP], value[VALUE_CAP];
    size_t len;
    unsigned key = reader->keys[sta_random_below(&reader->random, reader->count)];
    (void)snprintf(name, sizeof name, "%u", key);
    uint64_t began_ns = sta_clock_now_ns(), began_cpu_ns = bench_cpu_ns();
    int status =
        strata_get_copy(reader->bench->cache, strata_text(name), value, sizeof value, &len);
    sta_histogram_record(&reader->cpu[phase], bench_cpu_ns() - began_cpu_ns);
    sta_histogram_record(&reader->wall[phase], sta_clock_now_ns() - began_ns);
    reader->failed[phase] += status != STRATA_OK;
}

static void *read_paced(void *arg)
{
    struct reader *reader = arg;
    uint64_t next_ns = sta_clock_now_ns();
    unsigned phase;
    while ((phase = atomic_load(&reader->bench->phase)) != OVER) {
        for (uint64_t i = 0; i < reader->bench->reads_per_second / PIECES; i++)
            read_one(reader, phase);
        next_ns += STA_NS_SEC / PIECES;
        bench_sleep_until(next_ns);
    }
    return NULL;
}

/* ---- */

static bool is_of_node_0(const struct redis_cluster *cluster, const char *key)
{
    static char owners[REDIS_CLUSTER_SLOTS]; /* whom a slot was found to belong to, and one more */
    unsigned slot = redis_cluster_slot(cluster, key);
    if (owners[slot] == 0)
        owners[slot] = (char)(redis_cluster_primary(cluster, slot) + 1);
    return owners[slot] == 1;
}

static void fill(struct bench *bench, struct reader readers[READERS])
{
    char name[NAME_CAP + sizeof PREFIX], value[100] = "";
    for (unsigned i = 0; i < ENTRIES; i++) {
        (void)snprintf(name, sizeof name, PREFIX "%u", i);
        struct reader *reader = &readers[is_of_node_0(bench->cluster, name) ? 0 : 1];
        reader->keys[reader->count++] = i;
        bench_must(strata_set(bench->cache, strata_text(name + sizeof PREFIX - 1),
                              strata_bytes(value, sizeof value), 0) == STRATA_OK,
                   "a key cannot be set");
    }
}

static uint64_t gets(const struct bench *bench)
{
    return redis_cluster_calls(bench->cluster, "get");
}

static void report(const struct reader *reader, unsigned phase)
{
    const struct sta_histogram *wall = &reader->wall[phase], *cpu = &reader->cpu[phase];
    (void)printf("  %-9s %-7s %7" PRIu64 " gets, %" PRIu64 " failed; p50 %5.1f  p99 %7.1f  "
                 "p99.99 %8.1f  max %8.1f us; processor time p99.99 %6.1f  max %7.1f\n",
                 reader->name, phase == BEFORE ? "before" : "after", wall->count,
                 reader->failed[phase], (double)sta_histogram_quantile(wall, 0.5) / 1e3,
                 (double)sta_histogram_quantile(wall, 0.99) / 1e3,
                 (double)sta_histogram_quantile(wall, 0.9999) / 1e3,
                 (double)sta_histogram_quantile(wall, 1) / 1e3,
                 (double)sta_histogram_quantile(cpu, 0.9999) / 1e3,
                 (double)sta_histogram_quantile(cpu, 1) / 1e3);
}

/* Whole seconds after the kill: GETs that the nodes were sent, canaries' included. */
static void watch(struct bench *bench, uint64_t rate)
{
    uint64_t begin_ns = sta_clock_now_ns(), before = gets(bench);
    bench_sleep_until(begin_ns + WATCH_S * STA_NS_SEC);
    uint64_t idle = gets(bench) - before;
    bench_must(redis_cluster_tell(bench->cluster, 0, "CLIENT KILL TYPE normal SKIPME yes") == 0,
               "kill");
    atomic_store(&bench->phase, AFTER);
    uint64_t killed_ns = sta_clock_now_ns(), at_kill = gets(bench);
    for (unsigned second = 1; second <= WATCH_S; second++) {
        bench_sleep_until(killed_ns + second * STA_NS_SEC);
        if (second == 1 || second == 5 || second == WATCH_S)
            (void)printf("  GETs at the nodes %2u s after the kill: %" PRIu64
                         " (the rate allows %" PRIu64 ")\n",
                         second, gets(bench) - at_kill, second * rate + rate / 10);
    }
    (void)printf("  in the %u s before it: %" PRIu64 "\n", WATCH_S, idle);
    atomic_store(&bench->phase, OVER);
}

static void report_repairs(const struct bench *bench)
{
    struct strata_statistics numbers;
    strata_statistics(bench->cache, &numbers);
    (void)printf("  read again %" PRIu64 ", waited %" PRIu64 ", refused %" PRIu64 "\n",
                 numbers.repairs, numbers.repairs_delayed, numbers.repairs_refused);
}

static struct strata *open_cache(const struct redis_cluster *cluster, uint64_t rate)
{
    const char *seeds[] = {redis_cluster_address(cluster, 0)};
    const struct strata_options options = {.cluster_enabled = STRATA_ON,
                                           .cluster_nodes = seeds,
                                           .cluster_node_count = 1,
                                           .l1_max_size = 2 * (uint64_t)ENTRIES,
                                           .repair_rate = rate};
    struct strata *cache = NULL;
    struct strata_error error;
    bench_must(strata_open(&cache, &options, &error) == STRATA_OK, error.text);
    return cache;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    static struct reader readers[READERS] = {{.name = "node 0's"}, {.name = "others'"}};
    uint64_t rate = argc > 1 ? strtoull(argv[1], NULL, 10) : 20000;
    bench.reads_per_second = (argc > 2 ? strtoull(argv[2], NULL, 10) : 20000) / READERS;
    if (rate == 0 || bench.reads_per_second < PIECES) {
        (void)fprintf(stderr, "usage: bench_repair [RATE >= 1 [READS/S >= %u]]\n",
                      READERS * PIECES);
        return 2;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    bench_must(redis_cluster_start(&bench.cluster,
                                   &(struct redis_cluster_config){.no_replicas = true}) == 0,
               "no cluster");
    bench.cache = open_cache(bench.cluster, rate);
    fill(&bench, readers);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i].bench = &bench;
        readers[i].random = i + 1;
        bench_must(pthread_create(&readers[i].thread, NULL, read_paced, &readers[i]) == 0,
                   "no thread");
    }
    watch(&bench, rate);
    for (unsigned i = 0; i < READERS; i++)
        (void)pthread_join(readers[i].thread, NULL);
    report_repairs(&bench);
    for (unsigned i = 0; i < READERS; i++)
        for (unsigned phase = BEFORE; phase < OVER; phase++)
            report(&readers[i], phase);
    strata_close(&bench.cache);
    redis_cluster_stop(&bench.cluster);
    return 0;
}
