/* SPDX-License-Identifier: MIT
 *
 * What others feel while keys are deleted by pattern: one thread gets a key from a private Redis
 * through a cache of its own (L1 off) 2,000 times a second, at rest and while another cache lists all
 * keys, and deletes all that match. Prints percentiles of the get, and keys per second.
 *
 *     bench_pattern [KEYS [SHARE [PAGE]]]       1,000,000 keys, 25 %, 200
 */
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "core/histogram.h"
#include "strata/strata.h"
#include "support/redis_server.h"

#define PACE_NS 500000
#define REST_S  5

struct reader {
    struct strata *cache;
    atomic_int phase; /* which of the histograms; -1: end */
    struct sta_histogram phases[4];
};

static void nap_ns(long ns)
{
    const struct timespec nap = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    (void)nanosleep(&nap, NULL);
}

static void *read_on(void *arg)
{
    struct reader *reader = arg;
    int phase;
    while ((phase = atomic_load(&reader->phase)) >= 0) {
        struct strata_value value = {0};
        uint64_t began_ns = sta_clock_now_ns();
        int status = strata_get(reader->cache, strata_text("foreground"), &value);
        uint64_t took_ns = sta_clock_now_ns() - began_ns;
        strata_release(&value);
        if (status != STRATA_OK) {
            (void)fprintf(stderr, "get: %s\n", strata_status_text(status));
            exit(1);
        }
        sta_histogram_record(&reader->phases[phase], took_ns);
        nap_ns(PACE_NS);
    }
    return NULL;
}

static void report(const char *what, const struct sta_histogram *gets)
{
    (void)printf("%-22s %8llu gets   p50 %7.1f   p99 %7.1f   p99.9 %7.1f us\n", what,
                 (unsigned long long)gets->count, (double)sta_histogram_quantile(gets, 0.5) / 1e3,
                 (double)sta_histogram_quantile(gets, 0.99) / 1e3,
                 (double)sta_histogram_quantile(gets, 0.999) / 1e3);
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

static void fill(const struct redis_server *server, uint64_t keys)
{
    redisContext *redis = redisConnectUnix(redis_server_socket(server));
    for (uint64_t from = 0; from < keys; from += 100000) {
        uint64_t to = from + 100000 < keys ? from + 100000 : keys;
        freeReplyObject(redisCommand(
            redis, "EVAL %s 0 %llu %llu",
            "for i=ARGV[1],ARGV[2]-1 do redis.call('SET',string.format('atp:cache:session:%d',i),"
            "string.rep('v',100)) end",
            (unsigned long long)from, (unsigned long long)to));
    }
    freeReplyObject(redisCommand(redis, "SET atp:cache:foreground %s", "value"));
    redisFree(redis);
}

/* How many names there are, and in how many seconds they came. */
static uint64_t list_all(struct strata *cache, uint64_t share, uint64_t page, double *seconds)
{
    const struct strata_keys_options options = {.share = share, .page = page};
    struct strata_keys *keys = NULL;
    struct strata_bytes name;
    uint64_t count = 0, began_ns = sta_clock_now_ns();
    if (strata_keys_open(&keys, cache, &options) != STRATA_OK)
        exit(1);
    while (strata_keys_next(keys, &name, NULL) == STRATA_OK)
        count++;
    strata_keys_close(&keys);
    *seconds = (double)(sta_clock_now_ns() - began_ns) / 1e9;
    return count;
}

/* What the server itself says of the commands: this depends least on what else the machine does. */
static void report_commands(const struct redis_server *server)
{
    static const char *const names[] = {"cmdstat_get:", "cmdstat_scan:", "cmdstat_unlink:"};
    redisContext *redis = redisConnectUnix(redis_server_socket(server));
    redisReply *reply = redisCommand(redis, "INFO commandstats");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *at = reply == NULL ? NULL : strstr(reply->str, names[i]);
        if (at != NULL)
            (void)printf("%.*s\n", (int)strcspn(at, "\r\n"), at);
    }
    freeReplyObject(reply);
    redisFree(redis);
}

static uint64_t argument(int argc, char **argv, int index, uint64_t otherwise)
{
    return argc > index ? strtoull(argv[index], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    static struct reader reader;
    static const char *const names[] = {"at rest", "keys are listed", "at rest again",
                                        "keys are deleted"};
    uint64_t keys = argument(argc, argv, 1, 1000000), share = argument(argc, argv, 2, 0);
    uint64_t page = argument(argc, argv, 3, 0), listed;
    struct redis_server *server;
    pthread_t thread;
    double listing_s;
    if (redis_server_start(&server, NULL) != 0)
        return 1;
    fill(server, keys);
    struct strata *cache = open_cache(redis_server_url(server));
    reader.cache = open_cache(redis_server_url(server));
    (void)pthread_create(&thread, NULL, read_on, &reader);
    nap_ns(REST_S * 1000000000L);
    atomic_store(&reader.phase, 1);
    listed = list_all(cache, share, page, &listing_s);
    atomic_store(&reader.phase, 2);
    nap_ns(REST_S * 1000000000L);
    atomic_store(&reader.phase, 3);
    const struct strata_pattern_options options = {.share = share, .page = page};
    struct strata_pattern_progress result;
    struct strata_error error = {.text = ""};
    uint64_t began_ns = sta_clock_now_ns();
    int status =
        strata_invalidate_pattern_with(cache, strata_text("session:*"), &options, &result, &error);
    double deleting_s = (double)(sta_clock_now_ns() - began_ns) / 1e9;
    atomic_store(&reader.phase, -1);
    (void)pthread_join(thread, NULL);
    for (int i = 0; i < 4; i++)
        report(names[i], &reader.phases[i]);
    (void)printf("listed  %llu keys, %.0f per second\ndeleted %llu keys, %.0f per second: %s %s\n",
                 (unsigned long long)listed, (double)listed / listing_s,
                 (unsigned long long)result.deleted, (double)result.deleted / deleting_s,
                 strata_status_text(status), error.text);
    report_commands(server);
    strata_close(&reader.cache);
    strata_close(&cache);
    redis_server_stop(&server);
    return status == STRATA_OK && result.deleted == keys ? 0 : 1;
}
