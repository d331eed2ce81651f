/* SPDX-License-Identifier: MIT
 *
 * What others feel while keys are listed and deleted by pattern, and for how long what is being
 * deleted is answered; against a private Redis. Three parts, one after the other:
 *
 *   rounds of a deletion of few keys: how long after the call the last of two caches and a stratad
 *   answered a matching key (pattern/hidden.h);
 *   all keys are listed, then all are deleted, in slices of time with rests between, while two
 *   threads get a key 2,000 times a second each: `own` through the cache that does it, `other`
 *   through a cache of its own, both without L1. Each rest is held against the slice after it;
 *   the same two caches and stratad during that large deletion.
 *
 *     bench_pattern [KEYS [SHARE [PAGE [SECONDS]]]]
 *
 * 1,000,000 keys; 0: the defaults. With SECONDS the listing and the large deletion each end after
 * so long, whatever is left: what is felt beside five million keys takes no hour to see.
 */
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/pattern/hidden.h"
#include "core/clock.h"
#include "core/histogram.h"
#include "core/nap.h"
#include "strata/strata.h"
#include "support/redis_server.h"

#define PACE_NS    500000u
#define SLICE_NS   (2 * STA_NS_SEC)
#define SETTLE_NS  (300 * STA_NS_MS) /* at the begin of a slice or rest: what was under way ends */
#define SLICES_MAX 1024u
#define READERS    2u
#define ROUNDS     20u
#define ENDED      "ended before it was done"

enum phase { PHASE_NONE, PHASE_REST, PHASE_WORK, PHASE_COUNT };

/* ---- the readers ---- */

struct reader {
    const char *name;
    struct strata *cache;
    pthread_t thread;
    _Atomic unsigned *phase; /* PHASE_COUNT: end */
    _Atomic unsigned *slice;
    struct sta_histogram all[PHASE_COUNT];
    struct sta_histogram *slices[PHASE_COUNT]; /* SLICES_MAX of them */
};

struct stage {
    struct strata *cache;
    struct reader readers[READERS];
    _Atomic unsigned phase, slice;
    uint64_t turn_ns; /* when the phase changes */
    uint64_t most_ns; /* how long the listing and the large deletion last, each; 0: until done */
    uint64_t end_ns;  /* of the one under way; 0: when done */
};

static void *read_on(void *arg)
{
    struct reader *reader = arg;
    unsigned phase;
    while ((phase = atomic_load(reader->phase)) != PHASE_COUNT) {
        struct strata_value value = {0};
        unsigned slice = atomic_load(reader->slice);
        uint64_t began_ns = sta_clock_now_ns();
        int status = strata_get(reader->cache, strata_text("foreground"), &value);
        uint64_t took_ns = sta_clock_now_ns() - began_ns;
        strata_release(&value);
        if (status != STRATA_OK) {
            (void)fprintf(stderr, "get: %s\n", strata_status_text(status));
            exit(1);
        }
        sta_histogram_record(&reader->all[phase], took_ns);
        sta_histogram_record(&reader->slices[phase][slice], took_ns);
        sta_nap_ns(PACE_NS);
    }
    return NULL;
}

static void start_reading(struct stage *stage)
{
    for (unsigned i = 0; i < READERS; i++) {
        struct reader *reader = &stage->readers[i];
        reader->phase = &stage->phase;
        reader->slice = &stage->slice;
        for (unsigned phase = 0; phase < PHASE_COUNT; phase++) {
            free(reader->slices[phase]);
            reader->slices[phase] = calloc(SLICES_MAX, sizeof reader->slices[0][0]);
            if (reader->slices[phase] == NULL)
                exit(1);
            reader->all[phase] = (struct sta_histogram){0};
        }
    }
    atomic_store(&stage->phase, PHASE_NONE);
    atomic_store(&stage->slice, 0);
    stage->turn_ns = 0;
    stage->end_ns = stage->most_ns == 0 ? 0 : sta_clock_now_ns() + stage->most_ns;
    for (unsigned i = 0; i < READERS; i++)
        (void)pthread_create(&stage->readers[i].thread, NULL, read_on, &stage->readers[i]);
}

static void stop_reading(struct stage *stage)
{
    atomic_store(&stage->phase, PHASE_COUNT);
    for (unsigned i = 0; i < READERS; i++)
        (void)pthread_join(stage->readers[i].thread, NULL);
}

/* Called by who works, between two pieces of it: rests where a slice is over. */
static void take_turns(struct stage *stage)
{
    uint64_t now_ns = sta_clock_now_ns();
    if (now_ns < stage->turn_ns)
        return;
    if (stage->turn_ns != 0 && atomic_load(&stage->phase) == PHASE_NONE) {
        atomic_store(&stage->phase, PHASE_WORK);
        stage->turn_ns = now_ns + SLICE_NS;
        return;
    }
    unsigned next = atomic_load(&stage->slice) + (stage->turn_ns != 0);
    atomic_store(&stage->phase, PHASE_NONE);
    sta_nap_ns(SETTLE_NS);
    atomic_store(&stage->slice, next < SLICES_MAX ? next : SLICES_MAX - 1);
    atomic_store(&stage->phase, PHASE_REST);
    sta_nap_ns(SLICE_NS);
    atomic_store(&stage->phase, PHASE_NONE);
    stage->turn_ns = sta_clock_now_ns() + SETTLE_NS;
}

static bool is_over(const struct stage *stage)
{
    return stage->end_ns != 0 && sta_clock_now_ns() >= stage->end_ns;
}

/* ---- what they felt ---- */

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Of the slices in which both have enough gets: the work's quantile, in its rest's. */
static void report_ratio(const struct reader *reader, double fraction, const char *what)
{
    static double ratios[SLICES_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < SLICES_MAX; i++) {
        const struct sta_histogram *rest = &reader->slices[PHASE_REST][i];
        const struct sta_histogram *work = &reader->slices[PHASE_WORK][i];
        if (rest->count >= 1000 && work->count >= 1000)
            ratios[count++] = (double)sta_histogram_quantile(work, fraction) /
                              (double)sta_histogram_quantile(rest, fraction);
    }
    if (count == 0)
        return;
    qsort(ratios, count, sizeof ratios[0], compare);
    (void)printf("    %-6s beside it / at rest, median of %u pairs: %.2f  (%.2f .. %.2f; quarters "
                 "%.2f, %.2f)\n",
                 what, count, ratios[count / 2], ratios[0], ratios[count - 1], ratios[count / 4],
                 ratios[3 * count / 4]);
}

static void report_gets(const char *what, const struct sta_histogram *gets)
{
    (void)printf("    %-8s %8llu gets   p50 %7.1f   p99 %7.1f   p99.9 %7.1f us\n", what,
                 (unsigned long long)gets->count, (double)sta_histogram_quantile(gets, 0.5) / 1e3,
                 (double)sta_histogram_quantile(gets, 0.99) / 1e3,
                 (double)sta_histogram_quantile(gets, 0.999) / 1e3);
}

static void report_readers(const struct stage *stage)
{
    for (unsigned i = 0; i < READERS; i++) {
        const struct reader *reader = &stage->readers[i];
        (void)printf("  %s\n", reader->name);
        report_gets("at rest", &reader->all[PHASE_REST]);
        report_gets("beside", &reader->all[PHASE_WORK]);
        report_ratio(reader, 0.5, "p50");
        report_ratio(reader, 0.99, "p99");
        report_ratio(reader, 0.999, "p99.9");
    }
}

/* What the server itself says of the commands: this depends least on what else the machine does. */
static void report_commands(const struct redis_server *server, const char *section,
                            const char *const names[3])
{
    redisContext *redis = redisConnectUnix(redis_server_socket(server));
    redisReply *reply = redisCommand(redis, "INFO %s", section);
    for (size_t i = 0; i < 3; i++) {
        const char *at = reply == NULL ? NULL : strstr(reply->str, names[i]);
        if (at != NULL)
            (void)printf("  %.*s\n", (int)strcspn(at, "\r\n"), at);
    }
    freeReplyObject(reply);
    redisFree(redis);
}

static void report_server(const struct redis_server *server)
{
    static const char *const stats[] = {"cmdstat_get:", "cmdstat_scan:", "cmdstat_unlink:"};
    static const char *const latencies[] = {
        "latency_percentiles_usec_get:", "latency_percentiles_usec_scan:",
        "latency_percentiles_usec_unlink:"};
    report_commands(server, "commandstats", stats);
    report_commands(server, "latencystats", latencies);
}

static void forget_server(const struct redis_server *server)
{
    redisContext *redis = redisConnectUnix(redis_server_socket(server));
    freeReplyObject(redisCommand(redis, "CONFIG RESETSTAT"));
    redisFree(redis);
}

static double cpu_s(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double load(void)
{
    double one = 0;
    return getloadavg(&one, 1) == 1 ? one : 0;
}

/* ---- the work ---- */

struct work {
    uint64_t began_ns;
    double began_cpu_s;
    double began_load;
};

static void work_begin(struct work *work, struct stage *stage, const struct redis_server *server)
{
    forget_server(server);
    start_reading(stage);
    *work = (struct work){sta_clock_now_ns(), cpu_s(), load()};
}

/* The rests are not counted: they are half of it. */
static void work_end(const struct work *work, struct stage *stage, const char *what, uint64_t keys,
                     const char *status)
{
    double took_s = (double)(sta_clock_now_ns() - work->began_ns) / 1e9;
    unsigned rests = atomic_load(&stage->slice) + 1;
    double worked_s = took_s - rests * (double)(SLICE_NS + SETTLE_NS) / 1e9;
    stop_reading(stage);
    (void)printf("%s %llu keys: %s\n  %.1f s without the rests: %.0f keys/s; this process used "
                 "%.1f s of processor time (readers too), load %.1f to %.1f\n",
                 what, (unsigned long long)keys, status, worked_s, (double)keys / worked_s,
                 cpu_s() - work->began_cpu_s, work->began_load, load());
    report_readers(stage);
}

/* How many names there are. */
static uint64_t list_all(struct stage *stage, uint64_t share, uint64_t page,
                         struct strata_error *error)
{
    const struct strata_keys_options options = {
        .share = share, .page = page, .max_bytes = STRATA_UNLIMITED};
    struct strata_keys *keys = NULL;
    struct strata_bytes name;
    uint64_t count = 0;
    int status = strata_keys_open(&keys, stage->cache, &options);
    while (status == STRATA_OK && !is_over(stage) &&
           (status = strata_keys_next(keys, &name, error)) == STRATA_OK) {
        count++;
        take_turns(stage);
    }
    if (status == STRATA_OK || status == STRATA_MISS)
        (void)snprintf(error->text, sizeof error->text, status == STRATA_MISS ? "all" : ENDED);
    strata_keys_close(&keys);
    return count;
}

static int on_progress(void *arg, const struct strata_pattern_progress *progress)
{
    (void)progress;
    take_turns(arg);
    return is_over(arg);
}

static struct strata *open_cache(const char *url)
{
    struct strata *cache = NULL;
    struct strata_error error;
    const struct strata_options options = {.redis_url = url, .l1_enabled = STRATA_OFF};
    if (strata_open(&cache, &options, &error) != STRATA_OK) {
        (void)fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    return cache;
}

static void fill(const struct redis_server *server, const char *name, uint64_t keys)
{
    redisContext *redis = redisConnectUnix(redis_server_socket(server));
    for (uint64_t from = 0; from < keys; from += 100000) {
        uint64_t to = from + 100000 < keys ? from + 100000 : keys;
        freeReplyObject(redisCommand(redis, "EVAL %s 0 %llu %llu %s",
                                     "for i=ARGV[1],ARGV[2]-1 do "
                                     "redis.call('SET',string.format('atp:cache:%s:%d',ARGV[3],i),"
                                     "string.rep('v',100)) end",
                                     (unsigned long long)from, (unsigned long long)to, name));
    }
    freeReplyObject(redisCommand(redis, "SET atp:cache:foreground %s", "value"));
    redisFree(redis);
}

static void hide_in_rounds(struct stage *stage, struct hidden *hidden,
                           const struct redis_server *server)
{
    struct hidden_last worst = {0};
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct hidden_last last;
        uint64_t count = 0;
        fill(server, "few", 10000);
        hidden_begin(hidden, "few");
        uint64_t called_ns = sta_clock_now_ns();
        int status = strata_invalidate_pattern(stage->cache, strata_text("few:*"), &count);
        hidden_end(hidden, called_ns, &last);
        if (status != STRATA_OK || count != 10000)
            exit(1);
        hidden_worse(&worst, &last);
    }
    (void)printf(
        "%u deletions of 10,000 keys; the last matching answer after the call, at the most\n",
        ROUNDS);
    hidden_report(&worst);
}

static uint64_t argument(int argc, char **argv, int index, uint64_t otherwise)
{
    return argc > index ? strtoull(argv[index], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    static struct stage stage;
    uint64_t keys = argument(argc, argv, 1, 1000000), share = argument(argc, argv, 2, 0);
    uint64_t page = argument(argc, argv, 3, 0);
    stage.most_ns = argument(argc, argv, 4, 0) * STA_NS_SEC;
    struct redis_server *server;
    struct strata_error error = {.text = ""};
    struct hidden_last last;
    struct work work;
    (void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    if (redis_server_start(&server, NULL) != 0)
        return 1;
    stage.cache = open_cache(redis_server_url(server));
    stage.readers[0] = (struct reader){.name = "own", .cache = stage.cache};
    stage.readers[1] =
        (struct reader){.name = "other", .cache = open_cache(redis_server_url(server))};
    struct hidden *hidden = hidden_create(redis_server_url(server));
    hide_in_rounds(&stage, hidden, server); /* each goes over all keys that there are */
    fill(server, "session", keys);

    work_begin(&work, &stage, server);
    uint64_t listed = list_all(&stage, share, page, &error);
    work_end(&work, &stage, "listed", listed, error.text);
    report_server(server);

    const struct strata_pattern_options options = {
        .share = share, .page = page, .progress = on_progress, .progress_arg = &stage};
    struct strata_pattern_progress result;
    error.text[0] = '\0';
    work_begin(&work, &stage, server);
    hidden_begin(hidden, "session");
    uint64_t called_ns = sta_clock_now_ns();
    int status = strata_invalidate_pattern_with(stage.cache, strata_text("session:*"), &options,
                                                &result, &error);
    hidden_end(hidden, called_ns, &last);
    work_end(&work, &stage, "deleted", result.deleted,
             status == STRATA_OK     ? strata_status_text(status)
             : status == STRATA_MORE ? ENDED
                                     : error.text);
    report_server(server);
    (void)printf("the last matching answer after the call\n");
    hidden_report(&last);
    hidden_destroy(&hidden);
    strata_close(&stage.readers[1].cache);
    strata_close(&stage.cache);
    redis_server_stop(&server);
    if (stage.most_ns != 0 && status == STRATA_MORE)
        return 0;
    return status == STRATA_OK && result.deleted == keys ? 0 : 1;
}
