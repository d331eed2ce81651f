/* SPDX-License-Identifier: MIT
 *
 * How L2 behaves while Redis is sick: against private servers and a private cluster of three
 * primaries and three replicas, with threads that call without a break. Prints what the tests
 * only bound. Wall times: on a busy machine they are upper bounds.
 *
 *   bench_calm [rounds [part...]]   default 3, and all: herd freeze batch kill slots replace
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/calm_herd.h"
#include "bench/tools.h"
#include "core/clock.h"
#include "strata/strata.h"
#include "support/fault_proxy.h"
#include "support/redis_cluster.h"
#include "support/redis_server.h"
#include "support/wait.h"

#define THREADS     4u
#define BUDGET_MS   500u
#define SAMPLES_MAX (1u << 20)
#define PATIENT_MS  30000u
#define KEYS        100u

/* ---- calls without a break ---- */

struct sample {
    uint64_t end_ns;
    uint32_t took_us;
    bool failed;
};

struct caller {
    struct calls *calls;
    pthread_t thread;
    unsigned number;
    unsigned count;
    struct sample *samples;
};

struct calls {
    struct strata *cache;
    _Atomic bool ending;
    struct caller callers[THREADS];
    _Atomic uint64_t lines; /* of the log */
};

static void on_line(void *arg, enum strata_log_level level, const char *room, const char *line)
{
    struct calls *calls = arg;
    (void)level;
    (void)room;
    (void)line;
    atomic_fetch_add(&calls->lines, 1);
}

static void *call_on(void *arg)
{
    struct caller *caller = arg;
    char key[32];
    for (unsigned i = 0; !atomic_load(&caller->calls->ending); i++) {
        struct strata_value value = {0};
        (void)snprintf(key, sizeof key, "calm:%u", (i * THREADS + caller->number) % 1000);
        uint64_t start_ns = sta_clock_now_ns();
        int status = strata_get(caller->calls->cache, strata_text(key), &value);
        uint64_t end_ns = sta_clock_now_ns();
        strata_release(&value);
        if (caller->count < SAMPLES_MAX)
            caller->samples[caller->count++] = (struct sample){
                .end_ns = end_ns,
                .took_us = (uint32_t)((end_ns - start_ns) / 1000),
                .failed = status < 0,
            };
        const struct timespec pause = {.tv_nsec = 200000};
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

static bool is_answered(void *arg)
{
    struct calls *calls = arg;
    struct strata_value value = {0};
    int status = strata_get(calls->cache, strata_text("calm:0"), &value);
    strata_release(&value);
    return status >= 0;
}

static void start_calls(struct calls *calls, struct strata_options options)
{
    struct strata_error error;
    *calls = (struct calls){0};
    options.l1_enabled = STRATA_OFF;
    options.socket_timeout_ms = BUDGET_MS;
    options.log_sink = on_line;
    options.log_arg = calls;
    if (strata_open(&calls->cache, &options, &error) != STRATA_OK)
        bench_must(false, error.text);
    bench_must(wait_until(is_answered, calls, PATIENT_MS), "Redis does not answer");
    for (unsigned i = 0; i < THREADS; i++) {
        struct caller *caller = &calls->callers[i];
        caller->calls = calls;
        caller->number = i;
        caller->samples = malloc(SAMPLES_MAX * sizeof *caller->samples);
        bench_must(caller->samples != NULL &&
                       pthread_create(&caller->thread, NULL, call_on, caller) == 0,
                   "out of memory");
    }
}

static void stop_calls(struct calls *calls)
{
    atomic_store(&calls->ending, true);
    for (unsigned i = 0; i < THREADS; i++)
        (void)pthread_join(calls->callers[i].thread, NULL);
    strata_close(&calls->cache);
}

static void free_calls(struct calls *calls)
{
    for (unsigned i = 0; i < THREADS; i++)
        free(calls->callers[i].samples);
}

static void pass_ms(unsigned ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&pause, NULL);
}

/* ---- looking at the samples ---- */

struct look {
    uint64_t calls;
    uint64_t failed;
    uint64_t longest_us;
    uint64_t last_failure_ns; /* 0: none */
    uint64_t last_slow_ns;    /* the last failure that took more than 10 ms; 0: none */
};

static struct look look_between(const struct calls *calls, uint64_t from_ns, uint64_t to_ns)
{
    struct look look = {0};
    for (unsigned i = 0; i < THREADS; i++)
        for (unsigned k = 0; k < calls->callers[i].count; k++) {
            const struct sample *sample = &calls->callers[i].samples[k];
            if (sample->end_ns < from_ns || sample->end_ns >= to_ns)
                continue;
            look.calls++;
            look.failed += sample->failed;
            if (sample->took_us > look.longest_us)
                look.longest_us = sample->took_us;
            if (sample->failed && sample->end_ns > look.last_failure_ns)
                look.last_failure_ns = sample->end_ns;
            if (sample->failed && sample->took_us > 10000 && sample->end_ns > look.last_slow_ns)
                look.last_slow_ns = sample->end_ns;
        }
    return look;
}

static int compare_u32(const void *one, const void *other)
{
    uint32_t a = *(const uint32_t *)one;
    uint32_t b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

/* The p-th per mille of how long failed calls took, in microseconds. */
static uint32_t failed_us(const struct calls *calls, uint64_t from_ns, uint64_t to_ns,
                          unsigned per_mille)
{
    uint32_t *took = malloc(THREADS * SAMPLES_MAX * sizeof *took);
    size_t count = 0;
    bench_must(took != NULL, "out of memory");
    for (unsigned i = 0; i < THREADS; i++)
        for (unsigned k = 0; k < calls->callers[i].count; k++) {
            const struct sample *sample = &calls->callers[i].samples[k];
            if (sample->failed && sample->end_ns >= from_ns && sample->end_ns < to_ns)
                took[count++] = sample->took_us;
        }
    qsort(took, count, sizeof *took, compare_u32);
    uint32_t result = count > 0 ? took[(count - 1) * per_mille / 1000] : 0;
    free(took);
    return result;
}

static double seconds(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e9 : 0;
}

/* ---- a frozen server ---- */

static void freeze_once(void)
{
    struct redis_server *server = NULL;
    struct calls calls;
    char url[64];
    bench_must(redis_server_start(&server, NULL) == 0, "redis-server");
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", redis_server_port(server));
    start_calls(&calls, (struct strata_options){.redis_url = url});
    pass_ms(500);
    uint64_t lines = atomic_load(&calls.lines);
    uint64_t frozen_ns = sta_clock_now_ns();
    redis_server_freeze(server);
    pass_ms(8000);
    uint64_t thawed_ns = sta_clock_now_ns();
    lines = atomic_load(&calls.lines) - lines;
    redis_server_thaw(server);
    pass_ms(3000);
    stop_calls(&calls);
    struct look ill = look_between(&calls, frozen_ns, thawed_ns);
    struct look later = look_between(&calls, thawed_ns, UINT64_MAX);
    uint64_t open_ns = ill.last_slow_ns + 1;
    printf(
        "frozen for 8 s, budget %u ms: longest call %.0f ms; slow failures end after %.2f s, then "
        "failures take %u us (median), %u us (p99), %u us (most); %.2f log lines/s; last failure "
        "%.2f s after SIGCONT\n",
        BUDGET_MS, (double)ill.longest_us / 1000, seconds(frozen_ns, ill.last_slow_ns),
        failed_us(&calls, open_ns, thawed_ns, 500), failed_us(&calls, open_ns, thawed_ns, 990),
        failed_us(&calls, open_ns, thawed_ns, 1000), (double)lines / seconds(frozen_ns, thawed_ns),
        seconds(thawed_ns, later.last_failure_ns));
    free_calls(&calls);
    redis_server_stop(&server);
}

/* ---- a cluster ---- */

static struct strata_options options_of(const struct redis_cluster *cluster, const char **seeds)
{
    for (unsigned i = 0; i < 3; i++)
        seeds[i] = redis_cluster_address(cluster, i);
    return (struct strata_options){
        .cluster_enabled = STRATA_ON,
        .cluster_nodes = seeds,
        .cluster_node_count = 3,
    };
}

struct heir {
    const struct redis_cluster *cluster;
    unsigned node;
};

static bool is_promoted(void *arg)
{
    const struct heir *heir = arg;
    return redis_cluster_is_primary(heir->cluster, heir->node);
}

static void kill_once(struct redis_cluster *cluster, unsigned shard)
{
    const char *seeds[3];
    struct calls calls;
    start_calls(&calls, options_of(cluster, seeds));
    pass_ms(500);
    unsigned victim = (unsigned)redis_cluster_primary(cluster, shard * 5462);
    struct heir heir = {cluster, (unsigned)redis_cluster_replica(cluster, victim)};
    uint64_t killed_ns = sta_clock_now_ns();
    redis_cluster_kill9(cluster, victim);
    bench_must(wait_until(is_promoted, &heir, PATIENT_MS), "no fail-over");
    uint64_t promoted_ns = sta_clock_now_ns();
    pass_ms(4000);
    stop_calls(&calls);
    struct look look = look_between(&calls, killed_ns, UINT64_MAX);
    printf(
        "kill -9 of a primary, node timeout 2 s: promoted after %.2f s, last failure after %.2f s; "
        "%.1f %% of the calls failed meanwhile, the longest took %.0f ms\n",
        seconds(killed_ns, promoted_ns), seconds(killed_ns, look.last_failure_ns),
        100 * (double)look.failed /
            (double)look_between(&calls, killed_ns, look.last_failure_ns + 1).calls,
        (double)look.longest_us / 1000);
    free_calls(&calls);
    bench_must(redis_cluster_restart(cluster, victim) == 0 &&
                   redis_cluster_settle(cluster, PATIENT_MS) == 0,
               "the cluster does not settle");
}

/* Every slot goes to another primary, one after the other, with its keys. */
static void move_all_slots(struct redis_cluster *cluster)
{
    const char *seeds[3];
    struct calls calls;
    start_calls(&calls, options_of(cluster, seeds));
    pass_ms(500);
    uint64_t asked = redis_cluster_calls(cluster, "cluster|slots:");
    uint64_t start_ns = sta_clock_now_ns();
    unsigned moved = 0;
    for (unsigned share = 0; share < 3; share++) {
        unsigned first = share * REDIS_CLUSTER_SLOTS / 3;
        unsigned end = (share + 1) * REDIS_CLUSTER_SLOTS / 3;
        int to = redis_cluster_primary(cluster, end % REDIS_CLUSTER_SLOTS);
        for (unsigned slot = first; slot < end; slot++, moved++)
            bench_must(redis_cluster_move_slot(cluster, slot, (unsigned)to) == 0,
                       "a slot does not move");
    }
    uint64_t end_ns = sta_clock_now_ns();
    asked = redis_cluster_calls(cluster, "cluster|slots:") - asked;
    stop_calls(&calls);
    struct look look = look_between(&calls, start_ns, end_ns);
    printf("%u slots moved live in %.1f s: CLUSTER SLOTS %.1f times a second; %llu calls, %llu "
           "failed, the longest took %.0f ms\n",
           moved, seconds(start_ns, end_ns), (double)asked / seconds(start_ns, end_ns),
           (unsigned long long)look.calls, (unsigned long long)look.failed,
           (double)look.longest_us / 1000);
    free_calls(&calls);
}

static void replace_all(struct redis_cluster **cluster)
{
    struct redis_cluster *second = NULL;
    struct fault_proxy *proxy = fault_proxy_start(NULL, redis_cluster_address(*cluster, 0));
    const char *seeds[] = {fault_proxy_address(proxy)};
    struct calls calls;
    start_calls(&calls, (struct strata_options){.cluster_enabled = STRATA_ON,
                                                .cluster_nodes = seeds,
                                                .cluster_node_count = 1});
    bench_must(redis_cluster_start(&second, &(struct redis_cluster_config){.host = "127.0.0.2"}) ==
                   0,
               "a second cluster");
    fault_proxy_set_target(proxy, redis_cluster_address(second, 0));
    fault_proxy_cut(proxy);
    uint64_t start_ns = sta_clock_now_ns();
    redis_cluster_stop(cluster);
    pass_ms(8000);
    stop_calls(&calls);
    struct look look = look_between(&calls, start_ns, UINT64_MAX);
    printf(
        "all addresses replaced behind the seed: last failure %.2f s after the old nodes began to "
        "end, the longest call took %.0f ms\n",
        seconds(start_ns, look.last_failure_ns), (double)look.longest_us / 1000);
    free_calls(&calls);
    fault_proxy_stop(&proxy);
    *cluster = second;
}

/* ---- a batch over all nodes ---- */

static double median_us(double *values, unsigned count)
{
    for (unsigned i = 1; i < count; i++)
        for (unsigned k = i; k > 0 && values[k - 1] > values[k]; k--) {
            double value = values[k];
            values[k] = values[k - 1];
            values[k - 1] = value;
        }
    return values[count / 2];
}

static double get_many_us(struct strata *cache, const struct strata_bytes *keys, size_t count)
{
    struct strata_value values[KEYS];
    int statuses[KEYS];
    uint64_t start_ns = sta_clock_now_ns();
    bench_must(strata_get_many(cache, keys, count, values, statuses) == STRATA_OK,
               "a batch failed");
    double took = (double)(sta_clock_now_ns() - start_ns) / 1000;
    for (size_t i = 0; i < count; i++)
        strata_release(&values[i]);
    return took;
}

static void compare_batches(const struct redis_cluster *cluster)
{
    enum { ROUNDS = 401 };
    static double whole[ROUNDS];
    static double share[REDIS_CLUSTER_NODES][ROUNDS];
    char texts[KEYS][48];
    struct strata_bytes all[KEYS];
    struct strata_bytes mine[REDIS_CLUSTER_NODES][KEYS];
    size_t counts[REDIS_CLUSTER_NODES] = {0};
    const char *seeds[3];
    struct strata *cache = NULL;
    struct strata_options options = options_of(cluster, seeds);
    options.l1_enabled = STRATA_OFF;
    bench_must(strata_open(&cache, &options, NULL) == STRATA_OK, "strata_open");
    for (unsigned i = 0; i < KEYS; i++) {
        char name[64];
        (void)snprintf(texts[i], sizeof texts[i], "batch:%u", i);
        (void)snprintf(name, sizeof name, "atp:cache:batch:%u", i);
        all[i] = strata_text(texts[i]);
        int owner = redis_cluster_primary(cluster, redis_cluster_slot(cluster, name));
        mine[owner][counts[owner]++] = all[i];
        bench_must(strata_set(cache, all[i], strata_text("a value of some bytes"), 0) == STRATA_OK,
                   "set");
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        whole[round] = get_many_us(cache, all, KEYS);
        for (unsigned node = 0; node < REDIS_CLUSTER_NODES; node++)
            if (counts[node] > 0)
                share[node][round] = get_many_us(cache, mine[node], counts[node]);
    }
    double slowest = 0;
    for (unsigned node = 0; node < REDIS_CLUSTER_NODES; node++) {
        double median = counts[node] > 0 ? median_us(share[node], ROUNDS) : 0;
        slowest = median > slowest ? median : slowest;
    }
    double median = median_us(whole, ROUNDS);
    printf("batch of %u keys over all slots: %.0f us; the slowest node's share by itself %.0f us; "
           "ratio %.2f (medians of %d)\n",
           KEYS, median, slowest, median / slowest, ROUNDS);
    strata_close(&cache);
}

/* ---- the program ---- */

static bool is_wanted(const char *part, int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], part) == 0)
            return true;
    return argc <= 2;
}

/* From a link that only broke to a server that is away for longer than any backoff. */
static void herds_run(void)
{
    static const unsigned away_ms[] = {0, 300, 1000, 5000};
    for (size_t i = 0; i < sizeof away_ms / sizeof away_ms[0]; i++)
        bench_must(calm_herd_run(away_ms[i]) == 0, "a herd does not come back");
}

static void clusters_run(unsigned rounds, int argc, char **argv)
{
    struct redis_cluster *cluster = NULL;
    bench_must(redis_cluster_start(&cluster, NULL) == 0, "a cluster");
    if (is_wanted("batch", argc, argv))
        compare_batches(cluster);
    for (unsigned i = 0; i < rounds && is_wanted("kill", argc, argv); i++)
        kill_once(cluster, i % 3);
    if (is_wanted("slots", argc, argv))
        move_all_slots(cluster);
    for (unsigned i = 0; i < rounds && is_wanted("replace", argc, argv); i++)
        replace_all(&cluster);
    redis_cluster_stop(&cluster);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 3;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned i = 0; i < rounds && is_wanted("herd", argc, argv); i++)
        herds_run();
    for (unsigned i = 0; i < rounds && is_wanted("freeze", argc, argv); i++)
        freeze_once();
    if (is_wanted("batch", argc, argv) || is_wanted("kill", argc, argv) ||
        is_wanted("slots", argc, argv) || is_wanted("replace", argc, argv))
        clusters_run(rounds, argc, argv);
    return 0;
}
