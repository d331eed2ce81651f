/* SPDX-License-Identifier: MIT
 *
 * See hidden.h. A watcher notes when an answer with a value had come; so what it was doing on a
 * busy processor meanwhile counts as well.
 */
#include "bench/pattern/hidden.h"

#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/tools.h"
#include "core/clock.h"
#include "core/nap.h"
#include "strata/strata.h"
#include "support/stratad_process.h"

#define KEYS        1000u
#define NAP_NS      50000u
#define GONE_NS     STA_NS_SEC       /* who has had no value for so long, */
#define GONE_NAP_NS (10 * STA_NS_MS) /* asks this seldom: each miss goes to Redis */

struct watcher {
    struct hidden *hidden;
    struct strata *cache; /* NULL: stratad is asked */
    redisContext *redis;
    pthread_t thread;
    _Atomic uint64_t answers; /* with a value */
    _Atomic uint64_t last_ns; /* when the last of them came */
};

struct hidden {
    struct stratad_process *stratad;
    struct watcher watchers[HIDDEN_WATCHERS];
    const char *name;
    _Atomic bool ending;
};

static bool cache_has(struct watcher *watcher, unsigned number)
{
    char key[64];
    struct strata_value value = {0};
    (void)snprintf(key, sizeof key, "%s:%u", watcher->hidden->name, number);
    int status = strata_get(watcher->cache, strata_text(key), &value);
    strata_release(&value);
    bench_must(status >= 0, strata_status_text(status));
    return status == STRATA_OK;
}

static bool stratad_has(struct watcher *watcher, unsigned number)
{
    redisReply *reply =
        redisCommand(watcher->redis, "GET atp:cache:%s:%u", watcher->hidden->name, number);
    bench_must(reply != NULL && reply->type != REDIS_REPLY_ERROR, "stratad does not answer");
    bool has = reply->type == REDIS_REPLY_STRING;
    freeReplyObject(reply);
    return has;
}

static void *watch(void *arg)
{
    struct watcher *watcher = arg;
    for (unsigned i = 0; !atomic_load(&watcher->hidden->ending); i++) {
        bool has =
            watcher->cache != NULL ? cache_has(watcher, i % KEYS) : stratad_has(watcher, i % KEYS);
        if (has) {
            atomic_store(&watcher->last_ns, sta_clock_now_ns());
            atomic_fetch_add(&watcher->answers, 1);
        }
        if (atomic_load(&watcher->answers) <= KEYS) /* the first time around they go to L1 */
            continue;
        bool gone = sta_clock_now_ns() - atomic_load(&watcher->last_ns) > GONE_NS;
        sta_nap_ns(gone ? GONE_NAP_NS : NAP_NS);
    }
    return NULL;
}

void hidden_begin(struct hidden *hidden, const char *name)
{
    hidden->name = name;
    atomic_store(&hidden->ending, false);
    for (unsigned i = 0; i < HIDDEN_WATCHERS; i++) {
        struct watcher *watcher = &hidden->watchers[i];
        atomic_store(&watcher->answers, 0);
        atomic_store(&watcher->last_ns, 0);
        bench_must(pthread_create(&watcher->thread, NULL, watch, watcher) == 0, "no thread");
    }
    for (unsigned i = 0; i < HIDDEN_WATCHERS; i++)
        while (atomic_load(&hidden->watchers[i].answers) <= KEYS + KEYS / 10)
            sta_nap_ns(NAP_NS);
}

void hidden_end(struct hidden *hidden, uint64_t called_ns, struct hidden_last *last)
{
    atomic_store(&hidden->ending, true);
    for (unsigned i = 0; i < HIDDEN_WATCHERS; i++) {
        (void)pthread_join(hidden->watchers[i].thread, NULL);
        uint64_t last_ns = atomic_load(&hidden->watchers[i].last_ns);
        last->ms[i] = ((double)last_ns - (double)called_ns) / 1e6;
    }
}

void hidden_worse(struct hidden_last *worst, const struct hidden_last *last)
{
    for (unsigned i = 0; i < HIDDEN_WATCHERS; i++)
        worst->ms[i] = last->ms[i] > worst->ms[i] ? last->ms[i] : worst->ms[i];
}

void hidden_report(const struct hidden_last *last)
{
    (void)printf("  a cache: %.2f ms, another: %.2f ms, stratad: %.2f ms\n", last->ms[0],
                 last->ms[1], last->ms[2]);
}

struct hidden *hidden_create(const char *redis_url)
{
    static const char *const args[] = {"--key-prefix", "atp:cache:", NULL};
    const struct strata_options options = {.redis_url = redis_url};
    struct strata_error error;
    struct hidden *hidden = calloc(1, sizeof *hidden);
    bench_must(hidden != NULL, "out of memory");
    bench_must(stratad_process_start(&hidden->stratad, redis_url, args) == 0, "no stratad");
    for (unsigned i = 0; i < HIDDEN_WATCHERS; i++) {
        struct watcher *watcher = &hidden->watchers[i];
        watcher->hidden = hidden;
        if (i + 1 < HIDDEN_WATCHERS) {
            bench_must(strata_open(&watcher->cache, &options, &error) == STRATA_OK, error.text);
            continue;
        }
        watcher->redis = redisConnectUnix(stratad_process_socket(hidden->stratad));
        bench_must(watcher->redis != NULL && watcher->redis->err == 0, "stratad cannot be reached");
    }
    return hidden;
}

void hidden_destroy(struct hidden **at)
{
    struct hidden *hidden = *at;
    *at = NULL;
    for (unsigned i = 0; i < HIDDEN_WATCHERS; i++) {
        strata_close(&hidden->watchers[i].cache);
        if (hidden->watchers[i].redis != NULL)
            redisFree(hidden->watchers[i].redis);
    }
    stratad_process_stop(&hidden->stratad);
    free(hidden);
}
