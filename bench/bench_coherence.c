/* SPDX-License-Identifier: MIT
 *
 * How old is what L1 answers while somebody else writes? A writer goes directly to a private Redis,
 * paced, with rising versions, in pipelines; readers go through a cache, paced as well. An answer
 * is stale by the time between the acknowledgement of the next version and the question, where that
 * is positive. One clock; questions that were put before the acknowledgement are not stale.
 *
 *     bench_coherence [SECONDS [WRITES/S [READS/S [TRACKED]]]]     TRACKED: keys that Redis can
 *                                                   remember who has read (tracking-table-max-keys)
 */
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/tools.h"
#include "core/clock.h"
#include "core/histogram.h"
#include "core/random.h"
#include "strata/strata.h"
#include "support/redis_server.h"

#define KEYS     1000u
#define WINDOW   64u /* versions of a key whose acknowledgements are remembered */
#define READERS  2u
#define PIECES   1000u /* of a second, in which pacing is done */
#define TEXT_CAP 16u

struct bench {
    struct redis_server *server;
    struct strata *cache;
    uint64_t writes_per_second;
    uint64_t reads_per_second; /* of all readers */
    _Atomic bool stopping;
    _Atomic uint64_t acked_ns[KEYS][WINDOW]; /* of version v at [v % WINDOW] */
    _Atomic uint64_t acked_version[KEYS];
    uint64_t written;
};

struct reader {
    struct bench *bench;
    pthread_t thread;
    uint64_t random;
    uint64_t reads, stale, back, errors;
    uint64_t seen[KEYS];
    uint64_t worst_ns;
    struct sta_histogram ages; /* of the stale ones */
};

static void *write_paced(void *arg)
{
    struct bench *bench = arg;
    redisContext *redis = redisConnectUnix(redis_server_socket(bench->server));
    uint64_t each = bench->writes_per_second / PIECES;
    uint64_t next_ns = sta_clock_now_ns();
    uint64_t n = KEYS; /* version 1 of key 0 */
    while (!atomic_load(&bench->stopping)) {
        for (uint64_t i = 0; i < each; i++)
            redisAppendCommand(redis, "SET atp:cache:%u %u", (unsigned)((n + i) % KEYS),
                               (unsigned)((n + i) / KEYS));
        for (uint64_t i = 0; i < each; i++, n++) {
            void *reply = NULL;
            if (redisGetReply(redis, &reply) != REDIS_OK)
                abort();
            freeReplyObject(reply);
            atomic_store(&bench->acked_ns[n % KEYS][n / KEYS % WINDOW], sta_clock_now_ns());
            atomic_store(&bench->acked_version[n % KEYS], n / KEYS);
        }
        next_ns += STA_NS_SEC / PIECES;
        bench_sleep_until(next_ns);
    }
    bench->written = n - KEYS;
    redisFree(redis);
    return NULL;
}

/* When the version after this one was acknowledged; 0: it was not, or nobody remembers. */
static uint64_t overtaken_ns(struct bench *bench, unsigned key, uint64_t version)
{
    uint64_t latest = atomic_load(&bench->acked_version[key]);
    if (version >= latest)
        return 0;
    if (latest - version >= WINDOW / 2)
        return 1; /* older than all that is remembered */
    return atomic_load(&bench->acked_ns[key][(version + 1) % WINDOW]);
}

static void read_one(struct reader *reader)
{
    struct bench *bench = reader->bench;
    unsigned key = (unsigned)sta_random_below(&reader->random, KEYS);
    char name[TEXT_CAP], text[TEXT_CAP] = "";
    size_t len;
    (void)snprintf(name, sizeof name, "%u", key);
    uint64_t asked_ns = sta_clock_now_ns();
    int status = strata_get_copy(bench->cache, strata_text(name), text, sizeof text - 1, &len);
    reader->reads++;
    if (status != STRATA_OK) {
        reader->errors += status < 0;
        return;
    }
    uint64_t version = strtoull(text, NULL, 10);
    uint64_t since_ns = overtaken_ns(bench, key, version);
    if (version < reader->seen[key])
        reader->back++;
    reader->seen[key] = version;
    if (since_ns == 0 || since_ns >= asked_ns)
        return;
    reader->stale++;
    sta_histogram_record(&reader->ages, asked_ns - since_ns);
    if (asked_ns - since_ns > reader->worst_ns)
        reader->worst_ns = asked_ns - since_ns;
}

static void *read_paced(void *arg)
{
    struct reader *reader = arg;
    uint64_t each = reader->bench->reads_per_second / READERS / PIECES;
    uint64_t next_ns = sta_clock_now_ns();
    while (!atomic_load(&reader->bench->stopping)) {
        for (uint64_t i = 0; i < each; i++)
            read_one(reader);
        next_ns += STA_NS_SEC / PIECES;
        bench_sleep_until(next_ns);
    }
    return NULL;
}

/* The stale answers above a share of all answers, in microseconds. */
static double share_us(const struct sta_histogram *ages, uint64_t reads, uint64_t stale,
                       double share)
{
    double fresh = (double)(reads - stale) / (double)reads;
    if (share <= fresh || stale == 0)
        return 0;
    return (double)sta_histogram_quantile(ages, (share - fresh) / (1 - fresh)) / 1000.0;
}

static void report(const struct bench *bench, struct reader *readers, double seconds)
{
    struct strata_statistics numbers;
    static struct reader all;
    strata_statistics(bench->cache, &numbers);
    for (unsigned i = 0; i < READERS; i++) {
        all.reads += readers[i].reads;
        all.stale += readers[i].stale;
        all.back += readers[i].back;
        all.errors += readers[i].errors;
        all.worst_ns = readers[i].worst_ns > all.worst_ns ? readers[i].worst_ns : all.worst_ns;
        sta_histogram_merge(&all.ages, &readers[i].ages);
    }
    printf("writes/s        %.0f\n", (double)bench->written / seconds);
    printf("reads/s         %.0f (L1 hits %.1f %%)\n", (double)all.reads / seconds,
           100.0 * (double)numbers.l1.hits / (double)(numbers.l1.hits + numbers.l1.misses));
    printf("stale           %" PRIu64 " of %" PRIu64 " answers (%.4f %%)\n", all.stale, all.reads,
           100.0 * (double)all.stale / (double)all.reads);
    printf("staleness us    p50 %.0f  p99 %.0f  p99.9 %.0f  p99.99 %.0f  max %.0f\n",
           share_us(&all.ages, all.reads, all.stale, 0.5),
           share_us(&all.ages, all.reads, all.stale, 0.99),
           share_us(&all.ages, all.reads, all.stale, 0.999),
           share_us(&all.ages, all.reads, all.stale, 0.9999), (double)all.worst_ns / 1000.0);
    printf("backwards       %" PRIu64 "\nerrors          %" PRIu64 "\n", all.back, all.errors);
    printf("invalidations   %" PRIu64 ", canaries %" PRIu64 "\n", numbers.invalidations,
           numbers.canaries);
}

static uint64_t argument(int argc, char **argv, int i, uint64_t otherwise)
{
    return argc > i ? strtoull(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    static struct reader readers[READERS];
    uint64_t seconds = argument(argc, argv, 1, 10);
    pthread_t writer;
    bench.writes_per_second = argument(argc, argv, 2, 20000);
    bench.reads_per_second = argument(argc, argv, 3, 100000);
    if (seconds == 0 || bench.writes_per_second < PIECES ||
        bench.reads_per_second < PIECES * READERS) {
        fprintf(
            stderr,
            "usage: bench_coherence [SECONDS [WRITES/S >= 1000 [READS/S >= 2000 [TRACKED]]]]\n");
        return 2;
    }
    const char *const tracks[] = {"--tracking-table-max-keys", argc > 4 ? argv[4] : "1000000",
                                  NULL};
    if (redis_server_start(&bench.server, tracks) != 0)
        return 1;
    const struct strata_options options = {.redis_url = redis_server_url(bench.server),
                                           .l1_max_size = 2 * (uint64_t)KEYS};
    if (strata_open(&bench.cache, &options, NULL) != STRATA_OK)
        return 1;
    uint64_t begin_ns = sta_clock_now_ns();
    pthread_create(&writer, NULL, write_paced, &bench);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i].bench = &bench;
        readers[i].random = i + 1;
        pthread_create(&readers[i].thread, NULL, read_paced, &readers[i]);
    }
    bench_sleep_until(begin_ns + seconds * STA_NS_SEC);
    atomic_store(&bench.stopping, true);
    pthread_join(writer, NULL);
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(readers[i].thread, NULL);
    report(&bench, readers, (double)(sta_clock_now_ns() - begin_ns) / STA_NS_SEC);
    strata_close(&bench.cache);
    redis_server_stop(&bench.server);
    return 0;
}
