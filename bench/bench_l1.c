/* SPDX-License-Identifier: MIT
 *
 * bench_l1 [--json] [--cpu] [--rounds N] [WORKLOAD...]
 *
 * What the first tier costs, beside the floor (floor.h), on the same keys (16 to 24 bytes) and
 * values (100 bytes), interleaved in one run; medians over the rounds, and the least and the
 * most. Times are nanoseconds per operation and thread, by the clock, or with --cpu of processor
 * time, for machines with other work. Keys come from a prepared stream, so
 * that making them costs nothing here.
 */
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/floor.h"
#include "core/clock.h"
#include "core/random.h"
#include "l1/l1.h"
#include "strata/status.h"

#define STREAM      (1u << 20) /* requests in a stream */
#define THREADS_MAX 16u
#define ROUNDS_MAX  101u
#define SEED        42u
#define BATCH       32u

/* A request: the key's bytes, in the order in which they are asked for. */
struct request {
    uint8_t key[FLOOR_KEY];
    uint32_t len;
    uint32_t id;
};

struct stream {
    struct request *requests;
    uint32_t count;
};

enum side { SIDE_FLOOR, SIDE_L1, SIDES };

enum action {
    ACTION_GET,
    ACTION_BATCH,
    ACTION_MIX,   /* 95 % get, 5 % set, a miss sets */
    ACTION_INSERT /* new keys into a full tier */
};

struct workload {
    const char *name;
    enum action action;
    uint32_t keys;
    bool zipf;
    uint32_t threads;
    uint32_t capacity; /* entries; 0: all */
    bool floor;        /* the floor can do it */
};

static const struct workload workloads[] = {
    {"get-1m-zipf-1", ACTION_GET, 1000000, true, 1, 0, true},
    {"get-1m-zipf-2", ACTION_GET, 1000000, true, 2, 0, true},
    {"get-1m-uniform-1", ACTION_GET, 1000000, false, 1, 0, true},
    {"get-10k-zipf-1", ACTION_GET, 10000, true, 1, 0, true},
    {"get-10k-zipf-2", ACTION_GET, 10000, true, 2, 0, true},
    {"get-1m-zipf-16", ACTION_GET, 1000000, true, 16, 0, true},
    {"batch32-1m-uniform-1", ACTION_BATCH, 1000000, false, 1, 0, true},
    {"mix-1m-zipf-1", ACTION_MIX, 1000000, true, 1, 100000, false},
    {"mix-1m-zipf-2", ACTION_MIX, 1000000, true, 2, 100000, false},
    {"insert-1", ACTION_INSERT, 0, false, 1, 100000, false},
    {"insert-2", ACTION_INSERT, 0, false, 2, 100000, false},
};

#define WORKLOADS (sizeof workloads / sizeof workloads[0])

struct bench {
    const struct workload *workload;
    struct stream streams[THREADS_MAX];
    struct floor floor;
    struct sta_l1 *l1;
    bool cpu;
    uint64_t inserted;
    uint64_t hits;
    uint64_t asked;
};

struct worker {
    struct bench *bench;
    enum side side;
    uint32_t at;
    uint64_t insert_from;
    uint64_t hits;
    uint64_t asked;
    uint64_t sum; /* so that nothing is optimised away */
    pthread_t thread;
    pthread_barrier_t *start;
    uint64_t began_ns;
    uint64_t ended_ns;
    uint64_t cpu_ns;
};

/* ---- keys ---- */

static uint32_t key_make(uint64_t id, uint8_t out[FLOOR_KEY])
{
    uint64_t state = id * 2 + 1;
    uint64_t bits = sta_random_next(&state);
    uint64_t more = sta_random_next(&state);
    memcpy(out, &id, 8);
    memcpy(out + 8, &bits, 8);
    memcpy(out + 16, &more, 8);
    return 16 + (uint32_t)(more >> 32) % 9;
}

/* Zipf 0.99 by the method of Gray et al. (SIGMOD 1994), ranks scattered over the ids. */
struct zipf {
    uint64_t n;
    double theta, alpha, zetan, eta;
};

static void zipf_init(struct zipf *zipf, uint64_t n)
{
    double sum = 0;
    for (uint64_t i = 1; i <= n; i++)
        sum += 1 / pow((double)i, 0.99);
    double two = 1 + 1 / pow(2, 0.99);
    *zipf = (struct zipf){.n = n, .theta = 0.99, .alpha = 1 / (1 - 0.99), .zetan = sum};
    zipf->eta = (1 - pow(2.0 / (double)n, 1 - zipf->theta)) / (1 - two / sum);
}

static uint64_t zipf_next(const struct zipf *zipf, uint64_t *random)
{
    double u = (double)(sta_random_next(random) >> 11) / 9007199254740992.0;
    double uz = u * zipf->zetan;
    if (uz < 1)
        return 0;
    if (uz < 1 + pow(0.5, zipf->theta))
        return 1;
    uint64_t at = (uint64_t)((double)zipf->n * pow(zipf->eta * u - zipf->eta + 1, zipf->alpha));
    return at < zipf->n ? at : zipf->n - 1;
}

static bool stream_init(struct stream *stream, const struct workload *workload, uint64_t seed)
{
    struct zipf zipf = {0};
    stream->count = STREAM;
    stream->requests = malloc(STREAM * sizeof *stream->requests);
    if (stream->requests == NULL)
        return false;
    if (workload->zipf)
        zipf_init(&zipf, workload->keys);
    for (uint32_t i = 0; i < STREAM; i++) {
        struct request *request = &stream->requests[i];
        uint64_t id = workload->zipf ? zipf_next(&zipf, &seed) * 7919 % workload->keys
                                     : sta_random_below(&seed, workload->keys);
        request->id = (uint32_t)id;
        request->len = key_make(id, request->key);
    }
    return true;
}

/* ---- sides ---- */

static struct strata_bytes value_make(uint64_t id, uint8_t value[FLOOR_VALUE])
{
    memset(value, (int)(id & 0xff), FLOOR_VALUE);
    memcpy(value, &id, sizeof id);
    return strata_bytes(value, FLOOR_VALUE);
}

static void l1_set(struct sta_l1 *l1, const struct sta_key *key, uint64_t id)
{
    uint8_t value[FLOOR_VALUE];
    struct sta_l1_entry entry = {.value = value_make(id, value), .deadline_ms = STA_NEVER};
    sta_l1_set(l1, key, &entry, 1);
}

static inline int l1_get(struct sta_l1 *l1, const struct sta_key *key, uint8_t *out)
{
    struct sta_l1_copy copy = {.buffer = out, .cap = FLOOR_VALUE};
    return sta_l1_copy(l1, key, 1, &copy) == STRATA_OK ? (int)copy.len : -1;
}

/* ---- work ---- */

static void work_get(struct worker *worker)
{
    struct bench *bench = worker->bench;
    const struct stream *stream = &bench->streams[worker->at];
    uint8_t out[128] = {0};
    for (uint32_t i = 0; i < stream->count; i++) {
        const struct request *request = &stream->requests[i];
        struct sta_key key = sta_key_make(strata_bytes(request->key, request->len), SEED);
        int len = worker->side == SIDE_FLOOR ? floor_get(&bench->floor, &key, out)
                                             : l1_get(bench->l1, &key, out);
        worker->hits += len >= 0;
        worker->sum += out[0];
    }
    worker->asked += stream->count;
}

/* Beside the floor's single gets. */
static void work_batch(struct worker *worker)
{
    struct bench *bench = worker->bench;
    const struct stream *stream = &bench->streams[worker->at];
    uint8_t out[128] = {0};
    for (uint32_t i = 0; i + BATCH <= stream->count; i += BATCH) {
        struct sta_key keys[BATCH];
        for (uint32_t k = 0; k < BATCH; k++) {
            const struct request *request = &stream->requests[i + k];
            keys[k] = sta_key_make(strata_bytes(request->key, request->len), SEED);
        }
        sta_l1_prefetch(bench->l1, keys, BATCH);
        for (uint32_t k = 0; k < BATCH; k++) {
            worker->hits += l1_get(bench->l1, &keys[k], out) >= 0;
            worker->sum += out[0];
        }
    }
    worker->asked += stream->count;
}

static void work_mix(struct worker *worker)
{
    struct bench *bench = worker->bench;
    const struct stream *stream = &bench->streams[worker->at];
    uint8_t out[128] = {0};
    for (uint32_t i = 0; i < stream->count; i++) {
        const struct request *request = &stream->requests[i];
        struct sta_key key = sta_key_make(strata_bytes(request->key, request->len), SEED);
        if (i % 20 == 0) {
            l1_set(bench->l1, &key, request->id);
            continue;
        }
        worker->asked++;
        if (l1_get(bench->l1, &key, out) >= 0)
            worker->hits++;
        else
            l1_set(bench->l1, &key, request->id);
        worker->sum += out[0];
    }
}

static void work_insert(struct worker *worker)
{
    struct bench *bench = worker->bench;
    for (uint32_t i = 0; i < STREAM; i++) {
        uint8_t bytes[FLOOR_KEY];
        uint64_t id = worker->insert_from + i;
        struct sta_key key = sta_key_make(strata_bytes(bytes, key_make(id, bytes)), SEED);
        l1_set(bench->l1, &key, id);
    }
}

static uint64_t cpu_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * STA_NS_SEC + (uint64_t)now.tv_nsec;
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    pthread_barrier_wait(worker->start);
    worker->cpu_ns = cpu_now_ns();
    worker->began_ns = sta_clock_now_ns();
    if (worker->bench->workload->action == ACTION_MIX)
        work_mix(worker);
    else if (worker->bench->workload->action == ACTION_INSERT)
        work_insert(worker);
    else if (worker->bench->workload->action == ACTION_BATCH && worker->side == SIDE_L1)
        work_batch(worker);
    else
        work_get(worker);
    worker->ended_ns = sta_clock_now_ns();
    worker->cpu_ns = cpu_now_ns() - worker->cpu_ns;
    return NULL;
}

/* Nanoseconds per operation and thread. */
static double run_side(struct bench *bench, enum side side)
{
    uint32_t threads = bench->workload->threads;
    struct worker workers[THREADS_MAX];
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, threads);
    for (uint32_t i = 0; i < threads; i++) {
        workers[i] = (struct worker){.bench = bench, .side = side, .at = i, .start = &start};
        workers[i].insert_from = UINT64_C(1) << 40 | bench->inserted;
        bench->inserted += STREAM;
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    uint64_t began = UINT64_MAX;
    uint64_t ended = 0;
    uint64_t cpu_ns = 0;
    for (uint32_t i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        cpu_ns += workers[i].cpu_ns;
        began = workers[i].began_ns < began ? workers[i].began_ns : began;
        ended = workers[i].ended_ns > ended ? workers[i].ended_ns : ended;
        if (side == SIDE_L1) {
            bench->hits += workers[i].hits;
            bench->asked += workers[i].asked;
        }
    }
    pthread_barrier_destroy(&start);
    if (bench->cpu)
        return (double)cpu_ns / STREAM / threads;
    return (double)(ended - began) / STREAM;
}

/* ---- rounds ---- */

struct figures {
    double side[SIDES]; /* medians */
    double ratio;       /* median of the rounds' ratios */
    double ratio_least;
    double ratio_most;
    double hit_ratio;
};

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *numbers, uint32_t count)
{
    qsort(numbers, count, sizeof *numbers, by_size);
    return numbers[count / 2];
}

static bool bench_init(struct bench *bench)
{
    const struct workload *workload = bench->workload;
    struct sta_l1_config config = {
        .max_bytes = 512u << 20, .max_entries = workload->capacity, .hash_seed = SEED};
    for (uint32_t i = 0; workload->keys > 0 && i < workload->threads; i++) {
        if (!stream_init(&bench->streams[i], workload, i + 1))
            return false;
    }
    if (sta_l1_create(&bench->l1, &config) != STRATA_OK)
        return false;
    if (workload->floor && !floor_init(&bench->floor, workload->keys))
        return false;
    uint64_t fill = workload->capacity != 0 ? workload->capacity : workload->keys;
    for (uint64_t id = 0; id < fill; id++) {
        uint8_t bytes[FLOOR_KEY];
        uint8_t value[FLOOR_VALUE];
        struct sta_key key = sta_key_make(strata_bytes(bytes, key_make(id, bytes)), SEED);
        l1_set(bench->l1, &key, id);
        if (workload->floor)
            floor_add(&bench->floor, &key, value_make(id, value));
    }
    return true;
}

static void bench_fini(struct bench *bench)
{
    for (uint32_t i = 0; i < THREADS_MAX; i++)
        free(bench->streams[i].requests);
    floor_fini(&bench->floor);
    sta_l1_destroy(&bench->l1);
}

static void run_rounds(struct bench *bench, uint32_t rounds, struct figures *out)
{
    double side[SIDES][ROUNDS_MAX] = {{0}};
    double ratio[ROUNDS_MAX] = {0};
    for (uint32_t i = 0; i <= rounds; i++) { /* the first one is not counted */
        uint32_t at = i == 0 ? 0 : i - 1;
        bench->hits = 0;
        bench->asked = 0;
        if (bench->workload->floor)
            side[SIDE_FLOOR][at] = run_side(bench, SIDE_FLOOR);
        side[SIDE_L1][at] = run_side(bench, SIDE_L1);
        ratio[at] = bench->workload->floor ? side[SIDE_L1][at] / side[SIDE_FLOOR][at] : 0;
    }
    out->ratio = median(ratio, rounds);
    out->ratio_least = ratio[0];
    out->ratio_most = ratio[rounds - 1];
    for (uint32_t i = 0; i < SIDES; i++)
        out->side[i] = median(side[i], rounds);
    out->hit_ratio = bench->asked == 0 ? 0 : (double)bench->hits / (double)bench->asked;
}

static void print(const struct workload *workload, const struct figures *figures, bool json)
{
    if (json) {
        printf("{\"workload\": \"%s\", \"threads\": %u, \"floor_ns\": %.1f, \"l1_ns\": %.1f, "
               "\"ratio\": %.3f, \"ratio_least\": %.3f, \"ratio_most\": %.3f, "
               "\"hit_ratio\": %.4f}\n",
               workload->name, workload->threads, figures->side[SIDE_FLOOR], figures->side[SIDE_L1],
               figures->ratio, figures->ratio_least, figures->ratio_most, figures->hit_ratio);
        return;
    }
    printf("%-22s l1 %7.1f ns  hits %.4f", workload->name, figures->side[SIDE_L1],
           figures->hit_ratio);
    if (workload->floor)
        printf("  floor %7.1f ns  x %.2f (%.2f..%.2f)", figures->side[SIDE_FLOOR], figures->ratio,
               figures->ratio_least, figures->ratio_most);
    printf("\n");
}

static int run_workload(const struct workload *workload, uint32_t rounds, bool json, bool cpu)
{
    struct bench *bench = calloc(1, sizeof *bench);
    struct figures figures = {0};
    if (bench == NULL)
        return 1;
    bench->workload = workload;
    bench->cpu = cpu;
    bool ready = bench_init(bench);
    if (ready) {
        run_rounds(bench, rounds, &figures);
        print(workload, &figures, json);
        fflush(stdout);
    }
    bench_fini(bench);
    free(bench);
    return ready ? 0 : 1;
}

static bool wanted(const char *name, int argc, char **argv, int first)
{
    for (int i = first; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return true;
    }
    return first == argc;
}

int main(int argc, char **argv)
{
    bool json = false;
    bool cpu = false;
    uint32_t rounds = 7;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--json") == 0)
            json = true;
        else if (strcmp(argv[at], "--cpu") == 0)
            cpu = true;
        else if (strcmp(argv[at], "--rounds") == 0 && at + 1 < argc)
            rounds = (uint32_t)strtoul(argv[++at], NULL, 10);
        else
            rounds = 0;
    }
    if (rounds == 0 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: bench_l1 [--json] [--cpu] [--rounds 1..%u] [WORKLOAD...]\n",
                ROUNDS_MAX);
        return 2;
    }
    int status = 0;
    for (size_t i = 0; i < WORKLOADS; i++) {
        if (wanted(workloads[i].name, argc, argv, at))
            status |= run_workload(&workloads[i], rounds, json, cpu);
    }
    return status;
}
