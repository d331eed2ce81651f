/* SPDX-License-Identifier: MIT
 *
 * Queued invalidation before a real Redis. Where a batch must not go by itself, its time-out is an
 * hour.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/handle.h"
#include "cache/tiers.h"
#include "core/clock.h"
#include "core/random.h"
#include "integration/cache_rig.h"
#include "integration/log_record.h"
#include "support/redis_server.h"
#include "support/wait.h"

#define PATIENT_MS 20000u
#define HOUR_MS    (UINT64_C(3600) * 1000)
#define PREFIX     "atp:cache:"

static int invalidate(struct strata *cache, const char *key)
{
    return strata_invalidate(cache, strata_text(key));
}

static struct strata *open_slow(struct strata_options options)
{
    options.invalidation_timeout_ms = HOUR_MS;
    return cache_rig_open(options);
}

struct awaited {
    struct strata *cache;
    uint64_t done, failed;
};

static bool has_come(void *arg)
{
    const struct awaited *awaited = arg;
    struct strata_invalidation_statistics now = numbers(awaited->cache).invalidation;
    return now.done >= awaited->done && now.failed >= awaited->failed && now.waiting == 0;
}

static void assert_comes(struct strata *cache, uint64_t done, uint64_t failed)
{
    struct awaited awaited = {cache, done, failed};
    assert_true(wait_until(has_come, &awaited, PATIENT_MS));
    assert_int_equal(numbers(cache).invalidation.done, done);
    assert_int_equal(numbers(cache).invalidation.failed, failed);
}

static void a_key_is_gone_for_this_cache_at_once_and_for_redis_with_its_batch(void **state)
{
    (void)state;
    struct strata *cache = open_slow((struct strata_options){.invalidation_batch_size = 3});
    for (const char *const *key = (const char *const[]){"a", "b", "c", NULL}; *key != NULL; key++)
        assert_int_equal(set_text(cache, *key, "old", 0), STRATA_OK);
    assert_int_equal(invalidate(cache, "a"), STRATA_OK);
    assert_int_equal(invalidate(cache, "b"), STRATA_OK);
    assert_int_equal(invalidate(cache, "a"), STRATA_OK);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(get_status(cache, "a"), STRATA_MISS);
    assert_value(cache, "c", "old");
    assert_in_redis(PREFIX "a", "old");
    assert_int_equal(numbers(cache).invalidation.waiting, 2);
    assert_int_equal(numbers(cache).invalidation.batches, 0);
    assert_int_equal(invalidate(cache, "c"), STRATA_OK);
    assert_comes(cache, 3, 0);
    assert_in_redis(PREFIX "a", NULL);
    assert_in_redis(PREFIX "b", NULL);
    assert_in_redis(PREFIX "c", NULL);
    struct strata_invalidation_statistics counts = numbers(cache).invalidation;
    assert_int_equal(counts.queued, 4);
    assert_int_equal(counts.coalesced, 1);
    assert_int_equal(counts.batches, 1);
    redis_do("SET", PREFIX "a", "new");
    assert_value(cache, "a", "new");
    strata_close(&cache);
}

static void a_batch_goes_when_its_time_is_over(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.invalidation_timeout_ms = 20});
    assert_int_equal(set_text(cache, "a", "old", 0), STRATA_OK);
    assert_int_equal(invalidate(cache, "a"), STRATA_OK);
    assert_comes(cache, 1, 0);
    assert_in_redis(PREFIX "a", NULL);
    strata_close(&cache);
}

static void many_keys_go_in_batches(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.invalidation_timeout_ms = 20});
    char key[32];
    for (unsigned i = 0; i < 1050; i++) {
        (void)snprintf(key, sizeof key, "%u", i);
        assert_int_equal(invalidate(cache, key), STRATA_OK);
    }
    assert_comes(cache, 1050, 0);
    assert_true(numbers(cache).invalidation.batches >= 11);
    strata_close(&cache);
}

static void what_is_queued_is_sent_at_close(void **state)
{
    (void)state;
    struct strata *cache = open_slow((struct strata_options){0});
    assert_int_equal(set_text(cache, "a", "old", 0), STRATA_OK);
    assert_int_equal(invalidate(cache, "a"), STRATA_OK);
    assert_in_redis(PREFIX "a", "old");
    strata_close(&cache);
    assert_in_redis(PREFIX "a", NULL);
}

static void a_set_takes_the_place_of_what_is_queued(void **state)
{
    (void)state;
    struct strata *cache = open_slow((struct strata_options){.invalidation_batch_size = 2});
    assert_int_equal(invalidate(cache, "a"), STRATA_OK);
    assert_int_equal(set_text(cache, "a", "new", 0), STRATA_OK);
    assert_value(cache, "a", "new");
    assert_int_equal(numbers(cache).invalidation.waiting, 0);
    assert_int_equal(invalidate(cache, "b"), STRATA_OK);
    assert_int_equal(invalidate(cache, "c"), STRATA_OK);
    assert_comes(cache, 3, 0);
    assert_in_redis(PREFIX "a", "new");
    assert_value(cache, "a", "new");
    strata_close(&cache);
}

/* Redis would hold the value: it is large enough for L1 not to. */
static void a_set_is_read_again_though_l1_does_not_keep_it(void **state)
{
    (void)state;
    static char large[20000];
    struct strata *cache = open_slow((struct strata_options){0});
    memset(large, 'x', sizeof large - 1);
    assert_int_equal(invalidate(cache, "a"), STRATA_OK);
    assert_int_equal(set_text(cache, "a", large, 0), STRATA_OK);
    assert_value(cache, "a", large);
    strata_close(&cache);
}

static void a_set_that_fails_leaves_the_key_queued(void **state)
{
    (void)state;
    struct strata *cache = open_slow((struct strata_options){0});
    redis_do("SET", PREFIX "a", "old");
    assert_int_equal(invalidate(cache, "a"), STRATA_OK);
    assert_int_equal(get_status(cache, "a"), STRATA_MISS);
    freeReplyObject(redisCommand(cache_rig_foreign(), "CONFIG SET maxmemory 1"));
    int status = set_text(cache, "a", "new", 0);
    freeReplyObject(redisCommand(cache_rig_foreign(), "CONFIG SET maxmemory 0"));
    assert_int_equal(status, STRATA_ERR_SERVER);
    assert_int_equal(numbers(cache).invalidation.waiting, 1);
    assert_int_equal(get_status(cache, "a"), STRATA_MISS);
    strata_close(&cache);
    assert_in_redis(PREFIX "a", NULL);
}

static void what_redis_does_not_take_is_tried_again(void **state)
{
    (void)state;
    struct redis_server *frozen = NULL;
    assert_int_equal(redis_server_start(&frozen, NULL), 0);
    struct strata *cache =
        cache_rig_open((struct strata_options){.redis_url = redis_server_url(frozen),
                                               .socket_timeout_ms = 3000,
                                               .invalidation_timeout_ms = 1});
    assert_int_equal(set_text(cache, "a", "old", 0), STRATA_OK);
    redis_server_kill9(frozen);
    assert_int_equal(invalidate(cache, "a"), STRATA_OK);
    assert_int_equal(redis_server_restart(frozen), 0);
    redisContext *foreign = redisConnectUnix(redis_server_socket(frozen));
    freeReplyObject(redisCommand(foreign, "SET " PREFIX "a old"));
    assert_comes(cache, 1, 0);
    redisFree(foreign);
    strata_close(&cache);
    redis_server_stop(&frozen);
}

static void what_redis_never_takes_is_given_up_and_told(void **state)
{
    (void)state;
    static struct log_record log;
    struct redis_server *dead = NULL;
    assert_int_equal(redis_server_start(&dead, NULL), 0);
    log_record_init(&log);
    struct strata *cache =
        cache_rig_open((struct strata_options){.redis_url = redis_server_url(dead),
                                               .socket_timeout_ms = 50,
                                               .invalidation_timeout_ms = 1,
                                               .log_sink = log_record_sink,
                                               .log_arg = &log});
    redis_server_kill9(dead);
    assert_int_equal(invalidate(cache, "a"), STRATA_OK);
    assert_comes(cache, 0, 1);
    assert_true(numbers(cache).invalidation.retried > 0);
    assert_int_equal(log_record_count(&log, "1 queued invalidations were given up", 0), 1);
    assert_int_equal(invalidate(cache, "b"), STRATA_OK);
    strata_close(&cache); /* ends, though it cannot be sent */
    redis_server_stop(&dead);
}

static void the_queue_is_bounded(void **state)
{
    (void)state;
    static char long_key[65536];
    struct strata *cache = open_slow((struct strata_options){.invalidation_batch_size = 100000});
    char key[32];
    int status = STRATA_OK;
    unsigned count = 0;
    memset(long_key, 'k', sizeof long_key - 1);
    for (; count < 1000 && status == STRATA_OK; count++) {
        (void)snprintf(key, sizeof key, "%u", count);
        memcpy(long_key, key, strlen(key));
        status = invalidate(cache, long_key);
    }
    assert_int_equal(status, STRATA_ERR_BUSY);
    assert_int_equal(count, (8u << 20) / 65535 + 1);
    assert_int_equal(set_text(cache, "k", "v", 0), STRATA_OK);
    assert_int_equal(invalidate(cache, "k"), STRATA_OK); /* there is room for a short one */
    strata_close(&cache);
}

static void switched_off_it_is_refused_and_does_nothing(void **state)
{
    (void)state;
    struct strata *cache =
        cache_rig_open((struct strata_options){.invalidation_enabled = STRATA_OFF});
    assert_int_equal(set_text(cache, "a", "v", 0), STRATA_OK);
    assert_int_equal(invalidate(cache, "a"), STRATA_ERR_DISABLED);
    assert_value(cache, "a", "v");
    assert_int_equal(strata_delete(cache, strata_text("a")), STRATA_OK);
    strata_close(&cache);
}

static void with_one_tier_alone_it_works_as_well(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.l2_enabled = STRATA_OFF});
    assert_int_equal(set_text(cache, "a", "v", 0), STRATA_OK);
    assert_int_equal(invalidate(cache, "a"), STRATA_OK);
    assert_int_equal(get_status(cache, "a"), STRATA_MISS);
    strata_close(&cache);
    cache = open_slow((struct strata_options){.l1_enabled = STRATA_OFF});
    assert_int_equal(set_text(cache, "a", "v", 0), STRATA_OK);
    assert_int_equal(invalidate(cache, "a"), STRATA_OK);
    assert_int_equal(get_status(cache, "a"), STRATA_MISS);
    assert_in_redis(PREFIX "a", "v");
    strata_close(&cache);
    assert_in_redis(PREFIX "a", NULL);
}

static void a_bad_key_is_refused(void **state)
{
    (void)state;
    struct strata *cache = open_slow((struct strata_options){0});
    assert_int_equal(invalidate(cache, ""), STRATA_ERR_INVALID);
    strata_close(&cache);
}

/* ---- own writes that are under way ---- */

/* Two writes held an entry of which the first was acknowledged; the next entry is another one, and
 * so are those who hold it. None is due before it is held. */
static void a_write_settles_the_entry_that_it_held_and_no_later_one(void **state)
{
    (void)state;
    struct strata *cache = open_slow((struct strata_options){0});
    struct sta_invalidate *queue = &cache->cache->invalidate;
    struct strata_bytes key = strata_text("k");
    redis_do("SET", PREFIX "k", "new");
    assert_int_equal(sta_invalidate_add(queue, key, sta_clock_now_ns()), STRATA_OK);
    uint64_t first = sta_invalidate_hold(queue, key), second = sta_invalidate_hold(queue, key);
    sta_invalidate_settle(queue, key, first, true);
    assert_int_equal(sta_invalidate_add(queue, key, sta_clock_now_ns()), STRATA_OK);
    uint64_t third = sta_invalidate_hold(queue, key);
    assert_true(first != 0 && first == second);
    assert_true(third != 0 && third != first);
    sta_invalidate_settle(queue, key, second, false);
    sta_invalidate_settle(queue, key, third, true);
    assert_comes(cache, 2, 0);
    assert_value(cache, "k", "new");
    strata_close(&cache);
    assert_in_redis(PREFIX "k", "new");
}

/* ---- loads that are under way ---- */

struct load {
    struct strata *cache;
    atomic_bool begun, open;
    pthread_t thread;
    int status;
};

static bool has_begun(void *arg)
{
    return atomic_load(&((struct load *)arg)->begun);
}

static bool is_open(void *arg)
{
    return atomic_load(&((struct load *)arg)->open);
}

static int load_old(struct strata_load *load, void *arg)
{
    struct load *source = arg;
    atomic_store(&source->begun, true);
    if (!wait_until(is_open, source, PATIENT_MS))
        return STRATA_ERR_TIMEOUT;
    return strata_load_set(load, strata_text("old"), 0);
}

static void *get_or_load(void *arg)
{
    struct load *source = arg;
    struct strata_value value = {0};
    source->status =
        strata_get_or_load(source->cache, strata_text("k"), load_old, source, NULL, &value);
    strata_release(&value);
    return NULL;
}

static void load_start(struct load *load, struct strata *cache)
{
    *load = (struct load){.cache = cache};
    assert_int_equal(pthread_create(&load->thread, NULL, get_or_load, load), 0);
    assert_true(wait_until(has_begun, load, PATIENT_MS));
}

static void load_end(struct load *load)
{
    atomic_store(&load->open, true);
    pthread_join(load->thread, NULL);
    assert_int_equal(load->status, STRATA_OK);
}

/* Whether its copy in Redis has been deleted meanwhile or not. */
static void what_is_invalidated_while_it_is_loaded_is_not_kept(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct strata_options options = {.invalidation_batch_size = i < 2 ? 1 : 10,
                                         .l1_enabled = i % 2 == 0 ? STRATA_OFF : STRATA_ON};
        struct strata *cache = open_slow(options);
        struct load load;
        load_start(&load, cache);
        assert_int_equal(invalidate(cache, "k"), STRATA_OK);
        if (i < 2)
            assert_comes(cache, 1, 0);
        load_end(&load);
        assert_int_equal(get_status(cache, "k"), STRATA_MISS);
        strata_close(&cache);
        assert_in_redis(PREFIX "k", NULL);
    }
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

/* Its SET has been sent, and is not answered: Redis has it until the batch goes, L1 never. */
static void what_is_invalidated_while_it_is_stored_is_not_kept_in_l1(void **state)
{
    (void)state;
    struct redis_server *server = NULL;
    assert_int_equal(redis_server_start(&server, NULL), 0);
    struct strata *cache = open_slow((struct strata_options){.redis_url = redis_server_url(server),
                                                             .socket_timeout_ms = PATIENT_MS,
                                                             .max_staleness_ms = PATIENT_MS});
    struct load load;
    load_start(&load, cache);
    redis_server_freeze(server);
    atomic_store(&load.open, true);
    (void)wait_until(never, NULL, 200); /* just a while, in which it is sent */
    assert_int_equal(invalidate(cache, "k"), STRATA_OK);
    redis_server_thaw(server);
    load_end(&load);
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    assert_int_equal(numbers(cache).invalidation.waiting, 1);
    strata_close(&cache);
    redis_server_stop(&server);
}

/* ---- threads ---- */

#define THREADS 6u
#define STEPS   6000u
#define MINE    8u

struct worker {
    struct strata *cache;
    unsigned id;
    const char *wrong; /* NULL: nothing was */
    pthread_t thread;
};

/* A key that nobody else writes has what this thread did to it at last. */
static const char *step(struct worker *worker, uint64_t *random, unsigned *has, unsigned i)
{
    char key[16], text[16] = "";
    size_t len = 0;
    unsigned mine = (unsigned)sta_random_below(random, MINE);
    (void)snprintf(key, sizeof key, "%u:%u", worker->id, mine);
    switch (sta_random_below(random, 5)) {
    case 0:
        has[mine] = i;
        (void)snprintf(text, sizeof text, "%u", i);
        return set_text(worker->cache, key, text, 0) == STRATA_OK ? NULL : "a set failed";
    case 1:
        has[mine] = 0;
        return invalidate(worker->cache, key) == STRATA_OK ? NULL : "it was not queued";
    default: {
        int status = strata_get_copy(worker->cache, strata_text(key), text, sizeof text - 1, &len);
        if (status != (has[mine] == 0 ? STRATA_MISS : STRATA_OK))
            return "a get answered what is not so";
        return strtoul(text, NULL, 10) == has[mine] ? NULL : "a get answered another value";
    }
    }
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    unsigned has[MINE] = {0};
    uint64_t random = worker->id;
    for (unsigned i = 1; i <= STEPS && worker->wrong == NULL; i++)
        worker->wrong = step(worker, &random, has, i);
    return NULL;
}

static void threads_get_what_they_set_and_not_what_they_invalidated(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){
        .invalidation_timeout_ms = 1, .invalidation_batch_size = 3, .l1_max_size = 5});
    struct worker workers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.cache = cache, .id = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    for (unsigned i = 0; i < THREADS; i++)
        if (workers[i].wrong != NULL)
            fail_msg("%s", workers[i].wrong);
    strata_close(&cache);
}

#define CASE(name) cmocka_unit_test_setup(name, cache_rig_flush)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_key_is_gone_for_this_cache_at_once_and_for_redis_with_its_batch),
        CASE(a_batch_goes_when_its_time_is_over),
        CASE(many_keys_go_in_batches),
        CASE(what_is_queued_is_sent_at_close),
        CASE(a_set_takes_the_place_of_what_is_queued),
        CASE(a_set_is_read_again_though_l1_does_not_keep_it),
        CASE(a_set_that_fails_leaves_the_key_queued),
        CASE(what_redis_does_not_take_is_tried_again),
        CASE(what_redis_never_takes_is_given_up_and_told),
        CASE(the_queue_is_bounded),
        CASE(switched_off_it_is_refused_and_does_nothing),
        CASE(with_one_tier_alone_it_works_as_well),
        CASE(a_bad_key_is_refused),
        CASE(a_write_settles_the_entry_that_it_held_and_no_later_one),
        CASE(what_is_invalidated_while_it_is_loaded_is_not_kept),
        CASE(what_is_invalidated_while_it_is_stored_is_not_kept_in_l1),
        CASE(threads_get_what_they_set_and_not_what_they_invalidated),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
