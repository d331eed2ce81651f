/* SPDX-License-Identifier: MIT
 *
 * Time per operation. Every contender has its own cache with the same entries; in each round each
 * of them is measured with 1, 2, ... threads, each for a slice of processor time, on a stream that
 * is the same for all. A round gives a ratio to the first contender of the row (the floor, where it
 * can take part); printed are the medians over the rounds, and the least and the most. The round
 * before the first is not counted.
 *
 * Two times: by the clock, nanoseconds of a processor per operation (so 2 threads that do not
 * disturb each other show the figure of 1), and processor time that the threads used, which other
 * work on the machine disturbs less, and which does not see who sleeps waiting for a lock.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/l1/own.h"
#include "bench/l1/pages.h"
#include "bench/l1/workload.h"
#include "core/clock.h"

#define THREADS_MOST  16u
#define VARIANTS_MOST 3u   /* numbers of threads in one row */
#define CHUNK         512u /* requests between two looks at the clock; divides STREAM_COUNT */
#define INSERT_FROM   (UINT64_C(1) << 40) /* ids that no fill has stored */
#define INSERT_SHARE  (UINT64_C(1) << 28) /* ids for one thread of one slice */
#define PATIENCE      8u /* slices by the clock, for who waits more than it works */
#define SPARE_PART    4u
#define CHECK_STEP    17u

struct sample {
    double clock_ns; /* of a processor, per operation */
    double cpu_ns;
    double rate; /* operations per nanosecond, all threads together */
    double hits; /* of the gets: 0..1 */
};

struct side {
    const struct contender *who;
    const char *name;
    bool batch;
    void *cache;
    uint32_t at; /* in the stream */
    double huge;
    struct sample samples[VARIANTS_MOST][ROUNDS_MOST];
};

struct row {
    const struct workload *workload;
    struct request *stream;
    struct side sides[CONTENDERS_MOST];
    uint32_t count;
    uint32_t variants;
    uint64_t inserts; /* shares handed out */
};

struct worker {
    const struct row *row;
    const struct side *side;
    uint64_t slice_ns;
    pthread_barrier_t *start;
    uint32_t at; /* in the stream */
    uint64_t insert_id;
    pthread_t thread;
    /* results */
    uint64_t operations;
    uint64_t gets;
    uint64_t hits;
    uint64_t began_ns;
    uint64_t ended_ns;
    uint64_t cpu_ns;
    uint64_t sum; /* so that nothing is optimised away */
};

/* ---- work ---- */

static void get_some(struct worker *worker, const struct request *requests)
{
    const struct peer *peer = &worker->side->who->peer;
    uint8_t out[PEER_VALUE_MOST] = {0};
    for (uint32_t i = 0; i < CHUNK; i++) {
        worker->hits += peer->get(worker->side->cache, requests[i].key, requests[i].len, out) >= 0;
        worker->sum += out[0];
    }
    worker->gets += CHUNK;
}

static void get_batches(struct worker *worker, const struct request *requests)
{
    uint8_t out[PEER_VALUE_MOST] = {0};
    for (uint32_t i = 0; i < CHUNK; i += OWN_BATCH) {
        worker->hits += own_strata_get_batch(worker->side->cache, &requests[i], out);
        worker->sum += out[0];
    }
    worker->gets += CHUNK;
}

static void set_request(const struct worker *worker, const struct request *request)
{
    uint8_t value[PEER_VALUE_MOST];
    stream_value(request->id, value);
    worker->side->who->peer.set(worker->side->cache, request->key, request->len, value,
                                sizeof value);
}

static void mix_some(struct worker *worker, const struct request *requests)
{
    const struct peer *peer = &worker->side->who->peer;
    uint8_t out[PEER_VALUE_MOST] = {0};
    for (uint32_t i = 0; i < CHUNK; i++) {
        if (i % 20 == 0) {
            set_request(worker, &requests[i]);
            continue;
        }
        worker->gets++;
        if (peer->get(worker->side->cache, requests[i].key, requests[i].len, out) >= 0)
            worker->hits++;
        else
            set_request(worker, &requests[i]);
        worker->sum += out[0];
    }
}

static void insert_some(struct worker *worker)
{
    for (uint32_t i = 0; i < CHUNK; i++)
        contender_set(worker->side->who, worker->side->cache, worker->insert_id++);
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
    enum timed_action action = worker->row->workload->action;
    pthread_barrier_wait(worker->start);
    worker->cpu_ns = cpu_now_ns();
    worker->began_ns = sta_clock_now_ns();
    uint64_t cpu_until_ns = worker->cpu_ns + worker->slice_ns;
    uint64_t until_ns = worker->began_ns + PATIENCE * worker->slice_ns;
    do {
        const struct request *requests = &worker->row->stream[worker->at];
        if (action == TIMED_INSERT)
            insert_some(worker);
        else if (action == TIMED_MIX)
            mix_some(worker, requests);
        else if (worker->side->batch)
            get_batches(worker, requests);
        else
            get_some(worker, requests);
        worker->at = (worker->at + CHUNK) % STREAM_COUNT;
        worker->operations += CHUNK;
        worker->ended_ns = sta_clock_now_ns();
    } while (worker->ended_ns < until_ns && cpu_now_ns() < cpu_until_ns);
    worker->cpu_ns = cpu_now_ns() - worker->cpu_ns;
    return NULL;
}

/* ---- slices ---- */

static double at_once(uint32_t threads)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors > 0 && (uint32_t)processors < threads ? (double)processors : threads;
}

static struct sample sum_up(const struct worker *workers, uint32_t threads)
{
    struct worker all = {.began_ns = UINT64_MAX};
    for (uint32_t i = 0; i < threads; i++) {
        all.operations += workers[i].operations;
        all.gets += workers[i].gets;
        all.hits += workers[i].hits;
        all.cpu_ns += workers[i].cpu_ns;
        all.began_ns = workers[i].began_ns < all.began_ns ? workers[i].began_ns : all.began_ns;
        all.ended_ns = workers[i].ended_ns > all.ended_ns ? workers[i].ended_ns : all.ended_ns;
    }
    double operations = (double)all.operations;
    double clock_ns = (double)(all.ended_ns - all.began_ns);
    return (struct sample){
        .clock_ns = clock_ns * at_once(threads) / operations,
        .cpu_ns = (double)all.cpu_ns / operations,
        .rate = operations / clock_ns,
        .hits = all.gets == 0 ? NAN : (double)all.hits / (double)all.gets,
    };
}

/* Each slice goes on where the contender's last one ended: requests that come again soon would be
 * hits that Zipf does not give. */
static struct sample run_slice(struct row *row, struct side *side, uint32_t threads,
                               uint64_t slice_ns)
{
    struct worker workers[THREADS_MOST];
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, threads);
    for (uint32_t i = 0; i < threads; i++) {
        uint32_t at = side->at + STREAM_COUNT / threads / CHUNK * CHUNK * i;
        workers[i] = (struct worker){.row = row,
                                     .side = side,
                                     .slice_ns = slice_ns,
                                     .start = &start,
                                     .at = at % STREAM_COUNT,
                                     .insert_id = INSERT_FROM + row->inserts++ * INSERT_SHARE};
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    for (uint32_t i = 0; i < threads; i++)
        pthread_join(workers[i].thread, NULL);
    side->at = workers[0].at;
    pthread_barrier_destroy(&start);
    return sum_up(workers, threads);
}

static void run_rounds(struct row *row, const struct bench *bench)
{
    uint64_t slice_ns = bench->slice_ms * STA_NS_MS;
    for (uint32_t round = 0; round <= bench->rounds; round++) {
        uint32_t at = round == 0 ? 0 : round - 1;
        for (uint32_t variant = 0; variant < row->variants; variant++) {
            uint32_t threads = row->workload->threads[variant];
            for (uint32_t i = 0; i < row->count; i++) {
                struct side *side = &row->sides[i];
                if (threads == 1 || (side->who->peer.flags & PEER_THREADS))
                    side->samples[variant][at] = run_slice(row, side, threads, slice_ns);
            }
        }
    }
}

/* ---- rows ---- */

static bool takes_part(const struct workload *workload, uint32_t at, const struct peer *peer)
{
    if (workload->action == TIMED_BATCH)
        return at == CONTENDER_STRATA;
    return workload->action == TIMED_GET || (peer->flags & PEER_EVICTS);
}

/* The whole stream once: what is kept is then what the contender wants to keep. */
static void warm_up(const struct row *row, const struct side *side)
{
    struct worker worker = {.row = row, .side = side};
    for (uint32_t at = 0; at < STREAM_COUNT; at += CHUNK)
        mix_some(&worker, &row->stream[at]);
}

static bool side_init(struct row *row, const struct contender *who)
{
    const struct workload *workload = row->workload;
    struct side *side = &row->sides[row->count];
    uint32_t capacity =
        workload->capacity != 0 ? workload->capacity : workload->keys + workload->keys / SPARE_PART;
    struct pages before = pages_now();
    side->who = who;
    side->name = who->peer.name;
    side->cache = who->peer.create(capacity);
    if (side->cache == NULL) {
        fprintf(stderr, "bench_l1: %s cannot be created\n", side->name);
        return false;
    }
    row->count++;
    contender_fill(who, side->cache,
                   workload->action == TIMED_GET || workload->action == TIMED_BATCH ? workload->keys
                                                                                    : capacity);
    if (workload->action == TIMED_MIX)
        warm_up(row, side);
    side->huge = pages_huge_since(&before);
    return contender_check(who, side->cache, workload->keys, CHECK_STEP, NULL);
}

/* The same tier asked in two ways. */
static void add_batches(struct row *row)
{
    struct side *single = &row->sides[0];
    row->sides[row->count] = *single;
    row->sides[row->count].name = "strata, 32 at once";
    row->sides[row->count].batch = true;
    single->name = "strata, single gets";
    row->count++;
}

static bool row_init(struct row *row, const struct bench *bench)
{
    const struct workload *workload = row->workload;
    while (row->variants < VARIANTS_MOST && workload->threads[row->variants] != 0)
        row->variants++;
    row->stream = stream_create(workload->keys, workload->zipf, 1);
    if (row->stream == NULL)
        return false;
    for (uint32_t i = 0; i < bench->contenders.count; i++) {
        const struct contender *who = &bench->contenders.list[i];
        if (takes_part(workload, i, &who->peer) && !side_init(row, who))
            return false;
    }
    if (workload->action == TIMED_BATCH)
        add_batches(row);
    return true;
}

static bool row_check(const struct row *row)
{
    bool right = true;
    for (uint32_t i = 0; i < row->count; i++)
        right &= contender_check(row->sides[i].who, row->sides[i].cache, row->workload->keys,
                                 CHECK_STEP, NULL);
    return right;
}

static void row_fini(struct row *row)
{
    for (uint32_t i = 0; i < row->count; i++) {
        if (!row->sides[i].batch)
            row->sides[i].who->peer.destroy(row->sides[i].cache);
    }
    stream_destroy(&row->stream);
}

/* ---- results ---- */

static const struct report_column columns[] = {
    {"clock_ns", "ns", 1},
    {"clock_ratio", "x", 2},
    {"clock_ratio_least", "least", 2},
    {"clock_ratio_most", "most", 2},
    {"cpu_ns", "cpu ns", 1},
    {"cpu_ratio", "x", 2},
    {"cpu_ratio_least", "least", 2},
    {"cpu_ratio_most", "most", 2},
    {"hit_ratio", "hits", 4},
    {"rate_ratio", "x rate", 2},
    {"cpu_rate_ratio", "by cpu", 2},
    {"huge_pages", "huge", 2},
    {NULL, NULL, 0},
};

/* Median, least and most of a ratio over the rounds, into three values. */
static void spread(double *numbers, uint32_t count, double *values)
{
    values[0] = report_median(numbers, count);
    values[1] = numbers[0];
    values[2] = numbers[count - 1];
}

static void add_times(const struct sample *own, const struct sample *first, uint32_t rounds,
                      double *values)
{
    double numbers[6][ROUNDS_MOST];
    for (uint32_t i = 0; i < rounds; i++) {
        numbers[0][i] = own[i].clock_ns;
        numbers[1][i] = own[i].clock_ns / first[i].clock_ns;
        numbers[2][i] = own[i].cpu_ns;
        numbers[3][i] = own[i].cpu_ns / first[i].cpu_ns;
        numbers[4][i] = own[i].hits;
    }
    values[0] = report_median(numbers[0], rounds);
    spread(numbers[1], rounds, &values[1]);
    values[4] = report_median(numbers[2], rounds);
    spread(numbers[3], rounds, &values[5]);
    values[8] = isnan(own[0].hits) ? NAN : report_median(numbers[4], rounds);
}

/* All threads' rate beside that of one thread in the same round. */
static void add_rates(const struct sample *own, const struct sample *one, uint32_t threads,
                      uint32_t rounds, double *values)
{
    double by_clock[ROUNDS_MOST];
    double by_cpu[ROUNDS_MOST];
    for (uint32_t i = 0; i < rounds; i++) {
        by_clock[i] = own[i].rate / one[i].rate;
        by_cpu[i] = at_once(threads) * one[i].cpu_ns / own[i].cpu_ns;
    }
    values[9] = report_median(by_clock, rounds);
    values[10] = report_median(by_cpu, rounds);
}

static void print(const struct row *row, struct bench *bench, uint32_t variant)
{
    uint32_t threads = row->workload->threads[variant];
    report_begin(&bench->report, row->workload->name, threads, columns);
    for (uint32_t i = 0; i < row->count; i++) {
        const struct side *side = &row->sides[i];
        double values[sizeof columns / sizeof columns[0]];
        if (threads > 1 && !(side->who->peer.flags & PEER_THREADS))
            continue;
        add_times(side->samples[variant], row->sides[0].samples[variant], bench->rounds, values);
        values[9] = values[10] = NAN;
        if (row->workload->threads[0] == 1)
            add_rates(side->samples[variant], side->samples[0], threads, bench->rounds, values);
        values[11] = side->huge;
        report_row(&bench->report, side->name, values);
    }
}

bool timed_run(struct bench *bench, const struct workload *workload)
{
    struct row *row = calloc(1, sizeof *row);
    if (row == NULL)
        return false;
    row->workload = workload;
    bool right = row_init(row, bench);
    if (right) {
        run_rounds(row, bench);
        for (uint32_t variant = 0; variant < row->variants; variant++)
            print(row, bench, variant);
        right = row_check(row);
    }
    row_fini(row);
    free(row);
    return right;
}
