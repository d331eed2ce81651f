/* SPDX-License-Identifier: MIT
 *
 * See ways.h: small gets, one at a time, while another thread gets 10 MB from the same server again
 * and again, or does nothing. What is told is the 99th percentile. The server is the rig's Redis,
 * which stands still while it copies the large value; or a steady one (steady.h).
 * Who is faster also gets the large value more often, and keeps two processors busy where the other
 * leaves one to the small ones: so there is a form in which both get it EVEN times a second.
 * A rest lies between two small gets: else whoever is faster asks more often between two large
 * values, and those that meet one are fewer than one in a hundred.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/l2/steady.h"
#include "bench/l2/ways.h"
#include "core/clock.h"
#include "strata/status.h"

#define BIG_BYTES ((size_t)10 << 20)
#define EVEN      20u

/* Who asks, and whom. */
struct asker {
    struct strata_l2 *l2; /* NULL: hiredis does */
    redisContext *small;
    redisContext *big;
    uint64_t every_ns; /* the large one is asked for so often; 0: again and again */
};

struct beside {
    struct asker asker;
    atomic_bool stop;
    atomic_bool failed;
    pthread_t thread;
};

/* ---- asking ---- */

static int l2_get(struct strata_l2 *l2, const char *key, size_t len)
{
    struct strata_value value;
    if (strata_l2_get(l2, strata_text(key), &value) != STRATA_OK)
        return -1;
    int failed = value.bytes.len != len;
    strata_release(&value);
    return failed ? -1 : 0;
}

static int hiredis_get(redisContext *redis, const char *key, size_t len)
{
    redisReply *reply = redisCommand(redis, "GET %s", key);
    int failed = reply == NULL || reply->len != len;
    freeReplyObject(reply);
    return failed ? -1 : 0;
}

static int big_get(const struct asker *asker)
{
    return asker->l2 != NULL ? l2_get(asker->l2, "big", BIG_BYTES)
                             : hiredis_get(asker->big, "big", BIG_BYTES);
}

static int small_get(const struct asker *asker)
{
    return asker->l2 != NULL ? l2_get(asker->l2, "key", VALUE_BYTES)
                             : hiredis_get(asker->small, "key", VALUE_BYTES);
}

static void rest_until(uint64_t then_ns)
{
    uint64_t now_ns = sta_clock_now_ns();
    if (then_ns <= now_ns)
        return;
    const struct timespec rest = {.tv_sec = (time_t)((then_ns - now_ns) / STA_NS_SEC),
                                  .tv_nsec = (long)((then_ns - now_ns) % STA_NS_SEC)};
    (void)nanosleep(&rest, NULL);
}

static void *fetch(void *arg)
{
    struct beside *beside = arg;
    uint64_t next_ns = sta_clock_now_ns();
    while (!atomic_load(&beside->stop) && !atomic_load(&beside->failed)) {
        if (big_get(&beside->asker) != 0)
            atomic_store(&beside->failed, true);
        next_ns += beside->asker.every_ns;
        rest_until(next_ns);
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int small_gets(struct rig *rig, unsigned ops, const struct asker *asker)
{
    static const struct timespec rest = {.tv_nsec = 500000};
    uint64_t *took = calloc(ops, sizeof *took);
    int failed = took == NULL;
    for (unsigned i = 0; i < ops && !failed; i++) {
        (void)nanosleep(&rest, NULL);
        uint64_t began = sta_clock_now_ns();
        failed = small_get(asker);
        took[i] = sta_clock_now_ns() - began;
    }
    if (!failed) {
        qsort(took, ops, sizeof *took, compare);
        rig->told_ns = (double)took[ops * 99 / 100];
    }
    free(took);
    return failed ? -1 : 0;
}

static int small_beside_big(struct rig *rig, unsigned ops, const struct asker *asker)
{
    struct beside beside = {.asker = *asker};
    if (pthread_create(&beside.thread, NULL, fetch, &beside) != 0)
        return -1;
    int failed = small_gets(rig, ops, asker);
    atomic_store(&beside.stop, true);
    (void)pthread_join(beside.thread, NULL);
    return failed != 0 || beside.failed ? -1 : 0;
}

/* ---- before Redis ---- */

static int store_big(struct rig *rig)
{
    if (rig->has_big)
        return 0;
    char *value = malloc(BIG_BYTES);
    if (value == NULL)
        return -1;
    memset(value, 'b', BIG_BYTES);
    redisReply *reply = redisCommand(rig->redis[0], "SET big %b", value, BIG_BYTES);
    rig->has_big = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    freeReplyObject(reply);
    free(value);
    return rig->has_big ? 0 : -1;
}

static struct asker by_l2(const struct rig *rig)
{
    return (struct asker){.l2 = rig->public_l2};
}

static struct asker by_hiredis(const struct rig *rig)
{
    return (struct asker){.small = rig->redis[0], .big = rig->redis[1]};
}

int way_small_l2(struct rig *rig, unsigned ops)
{
    const struct asker asker = by_l2(rig);
    return small_gets(rig, ops, &asker);
}

int way_small_hiredis(struct rig *rig, unsigned ops)
{
    const struct asker asker = by_hiredis(rig);
    return small_gets(rig, ops, &asker);
}

int way_small_beside_big_l2(struct rig *rig, unsigned ops)
{
    const struct asker asker = by_l2(rig);
    return store_big(rig) != 0 ? -1 : small_beside_big(rig, ops, &asker);
}

int way_small_beside_big_hiredis(struct rig *rig, unsigned ops)
{
    const struct asker asker = by_hiredis(rig);
    return store_big(rig) != 0 ? -1 : small_beside_big(rig, ops, &asker);
}

/* ---- before a server that does not stand still ---- */

struct steady_bench {
    pid_t pid;
    struct strata_l2 *l2;
    redisContext *redis[2];
};

/* On first use. */
static const struct steady_bench *steady_of(struct rig *rig)
{
    char path[256], url[288];
    if (rig->steady != NULL)
        return rig->steady->l2 != NULL ? rig->steady : NULL;
    struct steady_bench *bench = calloc(1, sizeof *bench);
    rig->steady = bench;
    (void)snprintf(path, sizeof path, "%s.steady", rig->socket);
    (void)snprintf(url, sizeof url, "unix://%s", path);
    if (bench == NULL || (bench->pid = steady_start(path, VALUE_BYTES, BIG_BYTES)) < 0)
        return NULL;
    for (unsigned i = 0; i < 2; i++) {
        bench->redis[i] = redisConnectUnix(path);
        if (bench->redis[i] == NULL || bench->redis[i]->err != 0)
            return NULL;
    }
    const struct strata_l2_options options = {.redis_url = url, .key_prefix = ""};
    return strata_l2_open(&bench->l2, &options, NULL) < 0 ? NULL : bench;
}

pid_t steady_bench_pid(const struct steady_bench *bench)
{
    return bench != NULL ? bench->pid : 0;
}

void steady_bench_close(struct steady_bench *bench)
{
    if (bench == NULL)
        return;
    strata_l2_close(&bench->l2);
    for (unsigned i = 0; i < 2; i++)
        if (bench->redis[i] != NULL)
            redisFree(bench->redis[i]);
    steady_stop(bench->pid);
    free(bench);
}

static int steady_run_every(struct rig *rig, unsigned ops, bool hiredis, uint64_t every_ns,
                            int (*run)(struct rig *, unsigned, const struct asker *))
{
    const struct steady_bench *bench = steady_of(rig);
    if (bench == NULL)
        return -1;
    const struct asker asker = {.l2 = hiredis ? NULL : bench->l2,
                                .small = bench->redis[0],
                                .big = bench->redis[1],
                                .every_ns = every_ns};
    return run(rig, ops, &asker);
}

static int steady_run(struct rig *rig, unsigned ops, bool hiredis,
                      int (*run)(struct rig *, unsigned, const struct asker *))
{
    return steady_run_every(rig, ops, hiredis, 0, run);
}

static int big_gets(struct rig *rig, unsigned ops, const struct asker *asker)
{
    int failed = 0;
    (void)rig;
    for (unsigned i = 0; i < ops && !failed; i++)
        failed = big_get(asker);
    return failed;
}

int way_big_l2(struct rig *rig, unsigned ops)
{
    return steady_run(rig, ops, false, big_gets);
}

int way_big_hiredis(struct rig *rig, unsigned ops)
{
    return steady_run(rig, ops, true, big_gets);
}

int way_steady_l2(struct rig *rig, unsigned ops)
{
    return steady_run(rig, ops, false, small_gets);
}

int way_steady_hiredis(struct rig *rig, unsigned ops)
{
    return steady_run(rig, ops, true, small_gets);
}

int way_steady_beside_big_l2(struct rig *rig, unsigned ops)
{
    return steady_run(rig, ops, false, small_beside_big);
}

int way_steady_beside_big_hiredis(struct rig *rig, unsigned ops)
{
    return steady_run(rig, ops, true, small_beside_big);
}

int way_even_beside_big_l2(struct rig *rig, unsigned ops)
{
    return steady_run_every(rig, ops, false, STA_NS_SEC / EVEN, small_beside_big);
}

int way_even_beside_big_hiredis(struct rig *rig, unsigned ops)
{
    return steady_run_every(rig, ops, true, STA_NS_SEC / EVEN, small_beside_big);
}
