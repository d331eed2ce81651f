/* SPDX-License-Identifier: MIT
 *
 * L1 under load before a writer who knows nothing of it, while things break. The writer goes
 * directly to Redis with rising versions and notes when each was acknowledged; readers go through a
 * cache whose way to Redis leads through a proxy. Of each answer is asked:
 *   - is it older than the bound: had a newer version been acknowledged so long before the
 *   question?
 *   - is it older than what this thread has seen before?
 *   - is it older than what this thread has written (keys of its own, through the cache)?
 * None may be, whatever breaks. One clock measures all of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "integration/cache_rig.h"
#include "integration/push_thief.h"
#include "support/redis_server.h"
#include "support/wait.h"

#define PATIENT_MS    20000u
#define STALE_MOST_MS 2000u
#define KEYS          32u
#define VERSIONS      (1u << 16)
#define READERS       2u
#define PACE_US       300u

struct world {
    struct redis_server *server;
    struct push_thief *thief;
    struct strata *cache;
    _Atomic bool stopping;
    _Atomic unsigned version; /* the latest that was begun; the same for all keys, each its own */
    _Atomic uint64_t acked_ms[KEYS][VERSIONS / KEYS];
    _Atomic uint64_t answers, stale, back, unwritten;
    pthread_t writer;
    pthread_t readers[READERS];
};

struct reader {
    struct world *world;
    unsigned number;
};

static struct world world;
static struct reader readers[READERS];

/* ---- the writer ---- */

static redisContext *writer_connect(const struct world *w)
{
    redisContext *redis = redisConnectUnix(redis_server_socket(w->server));
    if (redis->err == 0)
        return redis;
    redisFree(redis);
    return NULL;
}

/* Without a time-out: a write that nobody waits for any more could be carried out after a newer. */
static void *write_rising_versions(void *arg)
{
    struct world *w = arg;
    redisContext *redis = NULL;
    for (unsigned n = 0; n < VERSIONS && !atomic_load(&w->stopping); n++) {
        unsigned key = n % KEYS, version = n / KEYS;
        if (redis == NULL)
            redis = writer_connect(w);
        redisReply *reply =
            redis == NULL ? NULL : redisCommand(redis, "SET atp:cache:k%u %u", key, version);
        if (reply != NULL && reply->type == REDIS_REPLY_STATUS)
            atomic_store(&w->acked_ms[key][version], sta_clock_now_ms());
        if (reply == NULL && redis != NULL) {
            redisFree(redis);
            redis = NULL;
        }
        if (reply != NULL)
            freeReplyObject(reply);
        usleep(PACE_US);
    }
    if (redis != NULL)
        redisFree(redis);
    return NULL;
}

/* ---- readers ---- */

/* The version under the key; -1: none. */
static int read_version(struct strata *cache, const char *key)
{
    char text[16] = "";
    size_t len;
    int version = -1;
    if (strata_get_copy(cache, strata_text(key), text, sizeof text - 1, &len) == STRATA_OK)
        (void)sscanf(text, "%d", &version);
    return version;
}

/* Whether any newer version had been acknowledged long before. */
static bool is_stale(struct world *w, unsigned key, unsigned version, uint64_t asked_ms)
{
    for (unsigned v = version + 1; v < VERSIONS / KEYS; v++) {
        uint64_t acked_ms = atomic_load(&w->acked_ms[key][v]);
        if (acked_ms != 0)
            return acked_ms + STALE_MOST_MS < asked_ms;
        if (v > version + 64) /* others were lost, or none was written yet */
            break;
    }
    return false;
}

static void read_foreign(struct world *w, unsigned key, int *seen)
{
    char name[16];
    (void)snprintf(name, sizeof name, "k%u", key);
    uint64_t asked_ms = sta_clock_now_ms();
    int version = read_version(w->cache, name);
    if (version < 0)
        return;
    atomic_fetch_add(&w->answers, 1);
    if (version < seen[key])
        atomic_fetch_add(&w->back, 1);
    if (is_stale(w, key, (unsigned)version, asked_ms))
        atomic_fetch_add(&w->stale, 1);
    seen[key] = version;
}

static void read_own(struct world *w, unsigned number, unsigned *version, int *written)
{
    char name[16], text[16];
    (void)snprintf(name, sizeof name, "own%u", number);
    (void)snprintf(text, sizeof text, "%u", ++*version);
    if (strata_set(w->cache, strata_text(name), strata_text(text), 0) == STRATA_OK)
        *written = (int)*version;
    for (unsigned i = 0; i < 3; i++) {
        int got = read_version(w->cache, name);
        if (got >= 0 && got < *written)
            atomic_fetch_add(&w->unwritten, 1);
    }
}

static void *read_all(void *arg)
{
    const struct reader *reader = arg;
    struct world *w = reader->world;
    int seen[KEYS], written = -1;
    unsigned version = 0;
    for (unsigned i = 0; i < KEYS; i++)
        seen[i] = -1;
    for (unsigned n = 0; !atomic_load(&w->stopping); n++) {
        read_foreign(w, n % KEYS, seen);
        if (n % 16 == 0)
            read_own(w, reader->number, &version, &written);
    }
    return NULL;
}

/* ---- the frame ---- */

static void open_world(void)
{
    char url[64];
    memset(&world, 0, sizeof world);
    assert_int_equal(redis_server_start(&world.server, NULL), 0);
    world.thief = push_thief_start(redis_server_port(world.server));
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d/0", push_thief_port(world.thief));
    world.cache =
        cache_rig_open((struct strata_options){.redis_url = url, .socket_timeout_ms = 500});
}

static void close_world(void)
{
    strata_close(&world.cache);
    push_thief_stop(&world.thief);
    redis_server_stop(&world.server);
}

static void start_load(void)
{
    open_world();
    assert_int_equal(pthread_create(&world.writer, NULL, write_rising_versions, &world), 0);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){&world, i};
        assert_int_equal(pthread_create(&world.readers[i], NULL, read_all, &readers[i]), 0);
    }
}

static void end_load(void)
{
    atomic_store(&world.stopping, true);
    pthread_join(world.writer, NULL);
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(world.readers[i], NULL);
    struct strata_statistics after = numbers(world.cache);
    print_message("%" PRIu64 " answers, %" PRIu64 " hits of L1, %" PRIu64 " invalidations\n",
                  atomic_load(&world.answers), after.l1.hits, after.invalidations);
    close_world();
    assert_int_equal(atomic_load(&world.stale), 0);
    assert_int_equal(atomic_load(&world.back), 0);
    assert_int_equal(atomic_load(&world.unwritten), 0);
}

static bool goes_on(void *arg)
{
    return atomic_load(&world.answers) > *(const uint64_t *)arg;
}

/* Waits for so many answers more, and at least this long. */
static void await_answers(uint64_t more, unsigned ms)
{
    uint64_t goal = atomic_load(&world.answers) + more;
    uint64_t end_ms = sta_clock_now_ms() + ms;
    assert_true(wait_until(goes_on, &goal, PATIENT_MS));
    while (sta_clock_now_ms() < end_ms)
        usleep(1000);
}

static void foreign(const char *command)
{
    redisContext *redis = redisConnectUnix(redis_server_socket(world.server));
    assert_int_equal(redis->err, 0);
    freeReplyObject(redisCommand(redis, command));
    redisFree(redis);
}

/* ---- what breaks ---- */

static void nothing_old_is_answered_while_nothing_breaks(void **state)
{
    (void)state;
    start_load();
    await_answers(20000, 1000);
    assert_true(numbers(world.cache).l1.hits > 1000);
    end_load();
}

static void nothing_old_is_answered_while_connections_are_killed(void **state)
{
    (void)state;
    start_load();
    for (unsigned i = 0; i < 20; i++) {
        await_answers(500, 50);
        foreign("CLIENT KILL TYPE normal SKIPME yes");
    }
    await_answers(2000, STALE_MOST_MS + 500);
    end_load();
}

static void nothing_old_is_answered_while_databases_are_flushed(void **state)
{
    (void)state;
    start_load();
    for (unsigned i = 0; i < 20; i++) {
        await_answers(500, 50);
        foreign(i % 2 == 0 ? "FLUSHALL" : "FLUSHDB");
    }
    await_answers(2000, STALE_MOST_MS + 500);
    end_load();
}

static void nothing_old_is_answered_while_redis_hangs(void **state)
{
    (void)state;
    start_load();
    for (unsigned i = 0; i < 2; i++) {
        await_answers(2000, 700);
        redis_server_freeze(world.server);
        usleep((STALE_MOST_MS + 500) * 1000);
        redis_server_thaw(world.server);
    }
    await_answers(2000, STALE_MOST_MS + 500);
    end_load();
}

static void nothing_old_is_answered_while_redis_restarts(void **state)
{
    (void)state;
    start_load();
    for (unsigned i = 0; i < 3; i++) {
        await_answers(1000, 200);
        assert_int_equal(redis_server_restart(world.server), 0);
    }
    await_answers(2000, STALE_MOST_MS + 500);
    end_load();
}

static bool gave_up(void *arg)
{
    (void)arg;
    return numbers(world.cache).canaries_lost > 0;
}

static bool is_proven_again(void *arg)
{
    return numbers(world.cache).canaries > *(const uint64_t *)arg;
}

/* Replies come as ever: only a canary can tell. */
static void nothing_old_is_answered_while_a_proxy_swallows_invalidations(void **state)
{
    (void)state;
    start_load();
    await_answers(2000, 700);
    push_thief_steal(world.thief, true);
    assert_true(wait_until(gave_up, NULL, PATIENT_MS));
    await_answers(1000, STALE_MOST_MS);
    assert_true(push_thief_stolen(world.thief) > 0);
    uint64_t proofs = numbers(world.cache).canaries;
    push_thief_steal(world.thief, false);
    assert_true(wait_until(is_proven_again, &proofs, PATIENT_MS));
    await_answers(2000, STALE_MOST_MS + 500);
    end_load();
}

static bool is_proven_by_another_key(void *arg)
{
    (void)read_version(world.cache, "other");
    return is_proven_again(arg);
}

static bool gave_up_by_another_key(void *arg)
{
    (void)read_version(world.cache, "other");
    return gave_up(arg);
}

/* Nobody asks for the key meanwhile: it must not come to life again with the next proof. */
static void what_changed_while_invalidations_were_swallowed_is_not_answered_later(void **state)
{
    (void)state;
    open_world();
    foreign("SET atp:cache:k 1");
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(read_version(world.cache, "k"), 1);
    assert_true(numbers(world.cache).l1.hits > 0);
    push_thief_steal(world.thief, true);
    foreign("SET atp:cache:k 2");
    assert_true(wait_until(gave_up_by_another_key, NULL, PATIENT_MS));
    push_thief_steal(world.thief, false);
    uint64_t proofs = numbers(world.cache).canaries + 1;
    assert_true(wait_until(is_proven_by_another_key, &proofs, PATIENT_MS));
    assert_int_equal(read_version(world.cache, "k"), 2);
    close_world();
}

/* Redis answers, and proves nothing: of a batch, what is in doubt is refused at once, and the rest
 * asked for. */
static bool is_unproven_beside_what_is_asked_for(void *arg)
{
    const struct strata_bytes keys[] = {strata_text("k"), strata_text("never:seen")};
    struct strata_value values[2];
    int statuses[2];
    (void)strata_get_many(arg, keys, 2, values, statuses);
    strata_release(&values[0]);
    return statuses[0] == STRATA_ERR_UNPROVEN && statuses[1] == STRATA_MISS;
}

static void what_is_not_in_doubt_is_asked_for_beside_what_is(void **state)
{
    (void)state;
    char url[64];
    struct push_thief *thief = push_thief_start(atoi(strrchr(cache_rig_url(), ':') + 1));
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d/0", push_thief_port(thief));
    struct strata *cache = cache_rig_open(
        (struct strata_options){.redis_url = url, .serve_stale = STRATA_SERVE_STALE_ERROR});
    assert_int_equal(set_text(cache, "k", "1", 0), STRATA_OK);
    assert_value(cache, "k", "1");
    push_thief_steal(thief, true);
    assert_true(wait_until(is_unproven_beside_what_is_asked_for, cache, PATIENT_MS));
    strata_close(&cache);
    push_thief_stop(&thief);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_old_is_answered_while_nothing_breaks),
        cmocka_unit_test(nothing_old_is_answered_while_connections_are_killed),
        cmocka_unit_test(nothing_old_is_answered_while_databases_are_flushed),
        cmocka_unit_test(nothing_old_is_answered_while_redis_hangs),
        cmocka_unit_test(nothing_old_is_answered_while_redis_restarts),
        cmocka_unit_test(nothing_old_is_answered_while_a_proxy_swallows_invalidations),
        cmocka_unit_test(what_changed_while_invalidations_were_swallowed_is_not_answered_later),
        cmocka_unit_test_setup(what_is_not_in_doubt_is_asked_for_beside_what_is, cache_rig_flush),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* hiredis writes to connections that were killed */
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
