/* SPDX-License-Identifier: MIT
 *
 * Write-behind under load while Redis is away for long, with more keys than the queue has room for:
 * it stays within its bounds, what was acknowledged is read and reaches Redis, what was turned away
 * does not, and Redis sees the writes of a key in their order. Long form (STRATA_LONG=1): away for
 * a minute in place of half a second, before 60,000 keys in place of 6,000.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/cache_rig.h"

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/random.h"
#include "support/fault_proxy.h"
#include "support/long_form.h"
#include "support/wait.h"

#define LONG_MS   60000u
#define PREFIX    "atp:cache:"
#define THREADS   2u
#define KEYS_MOST 60000u
#define RATE      20000u /* writes per second, of all threads */
#define VALUE_LEN 100
#define MIB       ((uint64_t)1 << 20)

/* Pages of a sanitizer's own are not ours to judge. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PAGES_ARE_OURS false
#else
#define PAGES_ARE_OURS true
#endif

static unsigned key_count(void)
{
    return is_long_form() ? KEYS_MOST : KEYS_MOST / 10;
}

/* ---- who writes ---- */

static struct writers {
    struct strata *cache;
    _Atomic bool away; /* Redis is */
    _Atomic bool ending;
    _Atomic uint32_t acknowledged[KEYS_MOST]; /* the newest version; 0: none. One thread's each */
    _Atomic uint64_t writes, rejected, reads;
    _Atomic unsigned wrong;
    char first_wrong[THREADS][128];
    pthread_t threads[THREADS];
} writers;

static void note_wrong(unsigned thread, unsigned key, const char *what, int status)
{
    if (atomic_fetch_add(&writers.wrong, 1) == 0)
        (void)snprintf(writers.first_wrong[thread], sizeof writers.first_wrong[0],
                       "k%u (version %u): %s, %s", key, (unsigned)writers.acknowledged[key], what,
                       strata_status_name(status));
}

static void write_key(unsigned thread, unsigned key, uint32_t version)
{
    char name[16], value[VALUE_LEN + 1];
    (void)snprintf(name, sizeof name, "k%u", key);
    (void)snprintf(value, sizeof value, "%-*u", VALUE_LEN, version);
    int status = strata_set(writers.cache, strata_text(name), strata_text(value), 0);
    if (status == STRATA_OK) {
        atomic_store(&writers.acknowledged[key], version);
        atomic_fetch_add(&writers.writes, 1);
    } else if (status == STRATA_ERR_BUSY) {
        atomic_fetch_add(&writers.rejected, 1);
    } else {
        note_wrong(thread, key, "a write", status);
    }
}

/* What is in Redis alone cannot be read while it is away. */
static void read_key(unsigned thread, unsigned key)
{
    char name[16], text[VALUE_LEN + 1] = "";
    size_t len = 0;
    uint32_t version = atomic_load(&writers.acknowledged[key]);
    if (version == 0)
        return;
    (void)snprintf(name, sizeof name, "k%u", key);
    int status = strata_get_copy(writers.cache, strata_text(name), text, VALUE_LEN, &len);
    if (status == STRATA_OK && strtoul(text, NULL, 10) == version)
        atomic_fetch_add(&writers.reads, 1);
    else if (status >= 0)
        note_wrong(thread, key, text, status);
}

/* Keys of its own, at its share of the rate, or as fast as it can. Every fourth is written while
 * Redis is away and not later: nothing mends it where that is lost. */
static void *write_on(void *arg)
{
    const unsigned thread = (unsigned)(uintptr_t)arg;
    const struct timespec pause = {.tv_nsec = 1000000};
    uint64_t random = thread + 1, start_ns = sta_clock_now_ns();
    uint32_t version = 0;
    while (!atomic_load(&writers.ending)) {
        uint64_t due = (sta_clock_now_ns() - start_ns) / (1000 * 1000 * 1000 / (RATE / THREADS));
        for (; version < due && !atomic_load(&writers.ending); version++) {
            unsigned key = (unsigned)sta_random_below(&random, key_count() / THREADS);
            if (key % 4 == 0 && !atomic_load(&writers.away))
                continue;
            write_key(thread, THREADS * key + thread, version + 1);
            if (version % 8 == 0)
                read_key(thread, THREADS * key + thread);
        }
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

static void writers_start(struct strata *cache)
{
    memset((void *)&writers, 0, sizeof writers);
    writers.cache = cache;
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&writers.threads[i], NULL, write_on, (void *)(uintptr_t)i),
                         0);
}

static void writers_stop(void)
{
    atomic_store(&writers.ending, true);
    for (unsigned i = 0; i < THREADS; i++)
        (void)pthread_join(writers.threads[i], NULL);
    if (atomic_load(&writers.wrong) > 0)
        fail_msg("%u times wrong: %s%s", (unsigned)writers.wrong, writers.first_wrong[0],
                 writers.first_wrong[1]);
}

/* ---- who looks on in Redis: by MONITOR, on the way that is never cut ---- */

static struct watch {
    pthread_t thread;
    redisContext *redis;
    uint32_t seen[KEYS_MOST]; /* the last version */
    uint64_t writes;
    unsigned backwards;
} watch;

static void watch_line(const char *line)
{
    const char *at = strstr(line, "\"SET\" \"" PREFIX "k");
    unsigned key, version;
    if (at == NULL || sscanf(at, "\"SET\" \"" PREFIX "k%u\" \"%u", &key, &version) != 2)
        return;
    watch.writes++;
    watch.backwards += version < watch.seen[key];
    watch.seen[key] = version;
}

static void *watch_on(void *arg)
{
    (void)arg;
    for (bool over = false; !over;) {
        redisReply *reply = NULL;
        if (redisGetReply(watch.redis, (void **)&reply) != REDIS_OK)
            break;
        over = strstr(reply->str, "the end of the watch") != NULL;
        watch_line(reply->str);
        freeReplyObject(reply);
    }
    return NULL;
}

static void watch_start(void)
{
    memset(&watch, 0, sizeof watch);
    watch.redis = redisConnectUnix(cache_rig_socket());
    freeReplyObject(redisCommand(watch.redis, "MONITOR"));
    assert_int_equal(watch.redis->err, 0);
    assert_int_equal(pthread_create(&watch.thread, NULL, watch_on, NULL), 0);
}

static void watch_stop(void)
{
    redis_do("ECHO", "the end of the watch", NULL);
    (void)pthread_join(watch.thread, NULL);
    assert_int_equal(watch.redis->err, 0);
    redisFree(watch.redis);
}

/* ---- memory ---- */

static uint64_t resident_bytes(void)
{
    char line[128] = "";
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    (void)fclose(file);
    return strtoull(strchr(line, ' '), NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Until the queue has been full for so long; never more than its bounds, and not a page more. */
static void assert_flat(struct strata *cache, const struct strata_options *options, uint64_t ms)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    uint64_t start_ms = sta_clock_now_ms(), full_ms = 0, full_bytes = 0, most_bytes = 0;
    for (uint64_t now_ms = start_ms; full_ms == 0 || now_ms < full_ms + ms;
         now_ms = sta_clock_now_ms()) {
        struct strata_write_behind_statistics owed = numbers(cache).write_behind;
        assert_true(owed.entries <= options->write_behind_max_entries);
        assert_true(owed.bytes <= options->write_behind_max_bytes);
        most_bytes = owed.bytes > most_bytes ? owed.bytes : most_bytes;
        if (full_ms == 0 && owed.rejected > 1000) {
            full_ms = now_ms;
            full_bytes = resident_bytes();
        }
        assert_true(full_ms != 0 || now_ms < start_ms + LONG_MS);
        (void)nanosleep(&pause, NULL);
    }
    uint64_t end_bytes = resident_bytes();
    print_message(
        "# owed %.1f MB at most; resident %.1f MB when it was full, %.1f MB %.1f s later\n",
        (double)most_bytes / 1e6, (double)full_bytes / 1e6, (double)end_bytes / 1e6,
        (double)ms / 1e3);
    assert_true(!PAGES_ARE_OURS || end_bytes <= full_bytes + 4 * MIB);
}

/* ---- the cases ---- */

struct flushed {
    struct strata *cache;
    uint64_t wanted;
};

static bool has_flushed(void *arg)
{
    const struct flushed *flushed = arg;
    return numbers(flushed->cache).write_behind.flushed >= flushed->wanted;
}

static void await_flushed(struct strata *cache, uint64_t more)
{
    struct flushed flushed = {cache, numbers(cache).write_behind.flushed + more};
    assert_true(wait_until(has_flushed, &flushed, LONG_MS));
}

static void assert_redis_has_what_was_acknowledged(void)
{
    for (unsigned key = 0; key < key_count(); key++) {
        redisReply *reply = redisCommand(cache_rig_foreign(), "GET " PREFIX "k%u", key);
        uint32_t got = reply->str != NULL ? (uint32_t)strtoul(reply->str, NULL, 10) : 0;
        freeReplyObject(reply);
        if (got != atomic_load(&writers.acknowledged[key]))
            fail_msg("k%u: %u was acknowledged last, and Redis has %u", key,
                     (unsigned)writers.acknowledged[key], got);
    }
}

static void take_away(struct fault_proxy *proxy, bool frozen)
{
    const struct fault_way freeze = {.freeze = true};
    fault_proxy_set_arrival(proxy, frozen ? FAULT_SILENT : FAULT_REFUSE);
    if (frozen) {
        fault_proxy_set_way(proxy, FAULT_UP, freeze);
        fault_proxy_set_way(proxy, FAULT_DOWN, freeze);
    } else {
        fault_proxy_cut(proxy);
    }
}

static void write_while_redis_is_away(bool frozen)
{
    char target[128], url[128];
    struct strata_options options = {
        .write_through = STRATA_OFF,
        .write_behind = STRATA_ON,
        .write_behind_interval_ms = 20,
        .write_behind_full = STRATA_FULL_REJECT,
        .write_behind_max_entries = key_count() * 5 / 6,
        .write_behind_max_bytes = 64 * MIB,
        .socket_timeout_ms = 500,
        .redis_url = url,
    };
    (void)snprintf(target, sizeof target, "unix:%s", cache_rig_socket());
    struct fault_proxy *proxy = fault_proxy_start(NULL, target);
    (void)snprintf(url, sizeof url, "redis://%s", fault_proxy_address(proxy));
    struct strata *cache = cache_rig_open(options);
    watch_start();
    writers_start(cache);
    await_flushed(cache, 1000);
    take_away(proxy, frozen);
    atomic_store(&writers.away, true);
    assert_flat(cache, &options, is_long_form() ? 60000 : 500);
    atomic_store(&writers.away, false);
    fault_proxy_heal(proxy);
    await_flushed(cache, options.write_behind_max_entries); /* while others go on */
    writers_stop();
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    watch_stop();
    print_message("# %llu writes acknowledged, %llu turned away, %llu reads right; Redis saw %llu "
                  "writes, %u of them older than what it had\n",
                  (unsigned long long)writers.writes, (unsigned long long)writers.rejected,
                  (unsigned long long)writers.reads, (unsigned long long)watch.writes,
                  watch.backwards);
    assert_redis_has_what_was_acknowledged();
    strata_close(&cache);
    fault_proxy_stop(&proxy);
}

static void a_redis_that_refuses_for_long_gets_all_that_was_acknowledged_in_order(void **state)
{
    (void)state;
    write_while_redis_is_away(false);
    assert_true(watch.writes > 0);
    assert_int_equal(watch.backwards, 0);
}

/* What is left in the buffers of connections that were given up may come late; it does not stay. */
static void a_way_that_hangs_for_long_loses_nothing_that_was_acknowledged(void **state)
{
    (void)state;
    write_while_redis_is_away(true);
}

#define CASE(name) cmocka_unit_test_setup(name, cache_rig_flush)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_redis_that_refuses_for_long_gets_all_that_was_acknowledged_in_order),
        CASE(a_way_that_hangs_for_long_loses_nothing_that_was_acknowledged),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
