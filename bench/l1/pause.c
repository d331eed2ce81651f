/* SPDX-License-Identifier: MIT
 *
 * Pauses of a reader (pause.h), while others insert into a full cache, and of a reader or a
 * writer while a tier is resized. Each time also while nothing of the kind happens; and beside a
 * resize a thread only reads the clock: what the machine does by itself to a thread is in there,
 * and is no fault of a cache.
 */
#include "bench/l1/pause.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/l1/own.h"
#include "bench/l1/workload.h"
#include "core/clock.h"
#include "core/random.h"

#define HOT_KEYS    1000u
#define SECONDS     2u
#define INSERT_FROM (UINT64_C(1) << 40)
#define WRITERS     2u
#define RESIZES     4u
#define SMALL_PART  8u /* of its bytes that a tier is shrunk to */

static uint64_t cpu_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * STA_NS_SEC + (uint64_t)now.tv_nsec;
}

static struct pause_events events_now(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_THREAD, &usage) != 0)
        return (struct pause_events){0};
    return (struct pause_events){(uint64_t)(usage.ru_minflt + usage.ru_majflt),
                                 (uint64_t)usage.ru_nvcsw, (uint64_t)usage.ru_nivcsw};
}

static struct pause_events events_since(struct pause_events before)
{
    struct pause_events now = events_now();
    return (struct pause_events){now.faults - before.faults, now.waits - before.waits,
                                 now.preempted - before.preempted};
}

void pause_mark(struct pause *pause)
{
    pause->mark_events = events_now();
    pause->mark_cpu_ns = cpu_now_ns();
    pause->mark_ns = sta_clock_now_ns();
    pause->since_mark = 0;
}

void pause_note_long(struct pause *pause, uint64_t began_ns, uint64_t ended_ns)
{
    uint64_t took_ns = ended_ns - began_ns;
    uint64_t ran_ns = cpu_now_ns() - pause->mark_cpu_ns;
    uint64_t passed_ns = ended_ns - pause->mark_ns;
    uint64_t away_ns = passed_ns > ran_ns ? passed_ns - ran_ns : 0;
    if (took_ns > pause->by_clock.max)
        pause->longest = events_since(pause->mark_events);
    sta_histogram_record(&pause->by_clock, took_ns);
    sta_histogram_record(&pause->by_cpu, took_ns > away_ns ? took_ns - away_ns : 0);
    pause_mark(pause);
}

/* ---- threads ---- */

struct actor {
    const struct contender *who;
    void *cache;
    uint64_t keys; /* ids that it asks for or stores */
    uint64_t random;
    _Atomic bool *stop;
    struct pause *pause;
    uint64_t calls;
    uint64_t hits;
    pthread_t thread;
};

static void *read_keys(void *arg)
{
    struct actor *actor = arg;
    uint8_t key[PEER_KEY_MOST];
    uint8_t out[PEER_VALUE_MOST];
    pause_mark(actor->pause);
    while (!atomic_load_explicit(actor->stop, memory_order_relaxed)) {
        uint32_t len = stream_key(sta_random_below(&actor->random, actor->keys), key);
        uint64_t began_ns = sta_clock_now_ns();
        actor->hits += actor->who->peer.get(actor->cache, key, len, out) >= 0;
        pause_note(actor->pause, began_ns, sta_clock_now_ns());
        actor->calls++;
    }
    return NULL;
}

static void *write_keys(void *arg)
{
    struct actor *actor = arg;
    uint8_t key[PEER_KEY_MOST];
    uint8_t value[PEER_VALUE_MOST];
    pause_mark(actor->pause);
    while (!atomic_load_explicit(actor->stop, memory_order_relaxed)) {
        uint64_t id = sta_random_below(&actor->random, actor->keys);
        uint32_t len = stream_key(id, key);
        stream_value(id, value);
        uint64_t began_ns = sta_clock_now_ns();
        actor->who->peer.set(actor->cache, key, len, value, sizeof value);
        pause_note(actor->pause, began_ns, sta_clock_now_ns());
        actor->calls++;
    }
    return NULL;
}

/* Only the clock, without an end: how long the machine itself takes a thread away. */
static void *read_clock(void *arg)
{
    struct actor *actor = arg;
    pause_mark(actor->pause);
    uint64_t last_ns = sta_clock_now_ns();
    while (!atomic_load_explicit(actor->stop, memory_order_relaxed)) {
        uint64_t now_ns = sta_clock_now_ns();
        pause_note(actor->pause, last_ns, now_ns);
        last_ns = actor->pause->since_mark == 0 ? sta_clock_now_ns() : now_ns;
        actor->calls++;
    }
    return NULL;
}

/* New keys, as fast as they go in. */
static void *insert_keys(void *arg)
{
    struct actor *actor = arg;
    uint64_t id = INSERT_FROM + (actor->random << 32);
    while (!atomic_load_explicit(actor->stop, memory_order_relaxed)) {
        contender_set(actor->who, actor->cache, id++);
        actor->calls++;
    }
    return NULL;
}

static void *burn(void *arg)
{
    struct actor *actor = arg;
    while (!atomic_load_explicit(actor->stop, memory_order_relaxed))
        sta_random_next(&actor->random);
    return NULL;
}

static const struct report_column columns[] = {
    {"p50_us", "p50 us", 2},
    {"p99_us", "p99", 2},
    {"p9999_us", "p99.99", 1},
    {"max_us", "max", 0},
    {"cpu_p9999_us", "cpu 99.99", 1},
    {"cpu_max_us", "cpu max", 0},
    {"max_faults", "faults", 0},
    {"max_waits", "waits", 0},
    {"max_preempted", "preempted", 0},
    {"hit_ratio", "hits", 3},
    {"others_per_second", "others/s", 0},
    {NULL, NULL, 0},
};

static double us_at(const struct sta_histogram *histogram, double fraction)
{
    return (double)sta_histogram_quantile(histogram, fraction) / 1000;
}

static void print(const struct bench *bench, const char *name, const struct actor *actor,
                  double others)
{
    const struct pause *pause = actor->pause;
    double values[] = {
        us_at(&pause->by_clock, 0.5),
        us_at(&pause->by_clock, 0.99),
        us_at(&pause->by_clock, 0.9999),
        us_at(&pause->by_clock, 1),
        us_at(&pause->by_cpu, 0.9999),
        us_at(&pause->by_cpu, 1),
        (double)pause->longest.faults,
        (double)pause->longest.waits,
        (double)pause->longest.preempted,
        actor->hits == 0 ? NAN : (double)actor->hits / (double)actor->calls,
        others,
    };
    report_row(&bench->report, name, values);
}

static void sleep_seconds(uint32_t seconds)
{
    struct timespec time = {.tv_sec = seconds};
    nanosleep(&time, NULL);
}

/* ---- a full cache ---- */

static void read_beside(struct bench *bench, const struct contender *who, void *cache,
                        void *(*others)(void *), uint32_t count, struct pause *pause)
{
    char name[64];
    _Atomic bool stop = false;
    struct actor reader = {
        .who = who, .cache = cache, .keys = HOT_KEYS, .random = 3, .stop = &stop, .pause = pause};
    struct actor writers[WRITERS];
    memset(pause, 0, sizeof *pause);
    for (uint32_t i = 0; i < count; i++) {
        writers[i] = (struct actor){.who = who, .cache = cache, .random = i + 1, .stop = &stop};
        pthread_create(&writers[i].thread, NULL, others, &writers[i]);
    }
    pthread_create(&reader.thread, NULL, read_keys, &reader);
    sleep_seconds(SECONDS);
    atomic_store(&stop, true);
    pthread_join(reader.thread, NULL);
    uint64_t calls = 0;
    for (uint32_t i = 0; i < count; i++) {
        pthread_join(writers[i].thread, NULL);
        calls += writers[i].calls;
    }
    snprintf(name, sizeof name, "%s%s", who->peer.name, others == burn ? ", idle" : "");
    print(bench, name, &reader, others == burn ? NAN : (double)calls / SECONDS);
}

static bool run_writers(struct bench *bench, const struct workload *workload, uint32_t writers,
                        struct pause *pause)
{
    report_begin(&bench->report, workload->name, 1 + writers, columns);
    for (uint32_t i = 0; i < bench->contenders.count; i++) {
        const struct contender *who = &bench->contenders.list[i];
        uint32_t wanted = PEER_EVICTS | PEER_THREADS;
        if ((who->peer.flags & wanted) != wanted)
            continue;
        void *cache = who->peer.create(workload->capacity);
        if (cache == NULL)
            return false;
        contender_fill(who, cache, workload->capacity);
        read_beside(bench, who, cache, burn, writers, pause);
        read_beside(bench, who, cache, insert_keys, writers, pause);
        bool right = contender_check(who, cache, workload->capacity, 1, NULL);
        who->peer.destroy(cache);
        if (!right)
            return false;
    }
    return true;
}

bool pause_run_inserts(struct bench *bench, const struct workload *workload)
{
    struct pause *pause = malloc(sizeof *pause);
    if (pause == NULL)
        return false;
    bool right = true;
    for (uint32_t writers = 1; writers <= WRITERS; writers++)
        right = run_writers(bench, workload, writers, pause) && right;
    free(pause);
    return right;
}

/* ---- a tier that is resized ---- */

struct resizer {
    void *cache;
    uint64_t max_bytes;
    bool idle;
    uint64_t longest_ns[2]; /* down, up */
};

/* Down and up again, with time to fill in between. Idle: the same, without a change. */
static void resize(struct resizer *resizer, uint64_t max_bytes, uint32_t direction)
{
    uint64_t began_ns = sta_clock_now_ns();
    own_strata_resize(resizer->cache, resizer->idle ? resizer->max_bytes : max_bytes);
    uint64_t took_ns = sta_clock_now_ns() - began_ns;
    if (!resizer->idle && took_ns > resizer->longest_ns[direction])
        resizer->longest_ns[direction] = took_ns;
    sleep_seconds(1);
}

static const struct report_column resize_columns[] = {
    {"down_ms", "down ms", 1},
    {"up_ms", "up ms", 1},
    {NULL, NULL, 0},
};

/* One thread, alone with the one that resizes: with more threads than processors it would be the
 * scheduler's slices that are measured. */
static void resize_beside(struct bench *bench, const struct workload *workload,
                          struct resizer *resizer, const char *name, void *(*run)(void *),
                          struct pause *pause)
{
    char title[64];
    _Atomic bool stop = false;
    struct actor actor = {.who = &bench->contenders.list[CONTENDER_STRATA],
                          .cache = resizer->cache,
                          .keys = workload->keys,
                          .random = 1,
                          .stop = &stop,
                          .pause = pause};
    memset(pause, 0, sizeof *pause);
    pthread_create(&actor.thread, NULL, run, &actor);
    for (uint32_t i = 0; i < RESIZES; i++) {
        resize(resizer, resizer->max_bytes / SMALL_PART, 0);
        resize(resizer, resizer->max_bytes, 1);
    }
    atomic_store(&stop, true);
    pthread_join(actor.thread, NULL);
    snprintf(title, sizeof title, "%s%s", name, resizer->idle ? ", no resize" : "");
    print(bench, title, &actor, NAN);
}

static const struct {
    const char *name;
    void *(*run)(void *);
} resize_actors[] = {{"reader", read_keys}, {"writer", write_keys}, {"only the clock", read_clock}};

#define RESIZE_ACTORS (sizeof resize_actors / sizeof resize_actors[0])

bool pause_run_resizes(struct bench *bench, const struct workload *workload)
{
    const struct contender *who = &bench->contenders.list[CONTENDER_STRATA];
    struct pause *pause = malloc(sizeof *pause);
    void *cache = who->peer.create(workload->keys);
    bool right = pause != NULL && cache != NULL;
    if (right) {
        /* 160 bytes for each: full, when all are there */
        struct resizer resizer = {.cache = cache, .max_bytes = workload->keys * 160ull};
        own_strata_resize(cache, resizer.max_bytes);
        contender_fill(who, cache, workload->keys);
        report_begin(&bench->report, workload->name, 2, columns);
        for (uint32_t pass = 0; pass < 2 * RESIZE_ACTORS; pass++) {
            resizer.idle = pass < RESIZE_ACTORS;
            resize_beside(bench, workload, &resizer, resize_actors[pass % RESIZE_ACTORS].name,
                          resize_actors[pass % RESIZE_ACTORS].run, pause);
        }
        double values[] = {(double)resizer.longest_ns[0] / STA_NS_MS,
                           (double)resizer.longest_ns[1] / STA_NS_MS};
        report_begin(&bench->report, workload->name, 2, resize_columns);
        report_row(&bench->report, "strata", values);
        right = contender_check(who, cache, workload->keys, 1, NULL);
    }
    if (cache != NULL)
        who->peer.destroy(cache);
    free(pause);
    return right;
}
