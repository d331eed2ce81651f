/* SPDX-License-Identifier: MIT
 *
 * The cache while Redis is away, frozen or late, and under many threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/random.h"
#include "integration/cache_rig.h"
#include "support/redis_server.h"
#include "support/stall.h"
#include "support/wait.h"

/* ---- a sick Redis ---- */

static void without_redis_l1_answers_and_everything_else_is_an_error_at_once(void **state)
{
    (void)state;
    struct redis_server *mortal = NULL;
    assert_int_equal(redis_server_start(&mortal, NULL), 0);
    struct strata *cache =
        cache_rig_open((struct strata_options){.redis_url = redis_server_url(mortal),
                                               .socket_timeout_ms = 500,
                                               .tracking = STRATA_TRACKING_OFF}); /* by TTL alone */
    assert_int_equal(set_text(cache, "k", "v", 0), STRATA_OK);
    redis_server_kill9(mortal);
    int status = STRATA_OK;
    for (int i = 0; i < 50; i++) {
        struct stall_mark before = stall_mark();
        status = get_status(cache, "other");
        assert_true(status < 0);
        stall_assert_took_ms(before, 0, 1500); /* the budget, and room for a busy machine */
    }
    assert_int_equal(status, STRATA_ERR_UNAVAILABLE);
    assert_value(cache, "k", "v");
    assert_true(set_text(cache, "k", "w", 0) < 0);
    assert_true(get_status(cache, "k") < 0); /* doubtful now: never the old value */
    strata_close(&cache);
    redis_server_stop(&mortal);
}

static bool set_works(void *arg)
{
    return set_text(arg, "k", "again", 0) == STRATA_OK;
}

static void a_cache_opened_before_redis_is_there_works_as_soon_as_it_is(void **state)
{
    (void)state;
    struct redis_server *late = NULL;
    assert_int_equal(redis_server_start(&late, NULL), 0);
    redis_server_kill9(late);
    struct strata *cache = cache_rig_open(
        (struct strata_options){.redis_url = redis_server_url(late), .socket_timeout_ms = 500});
    assert_true(get_status(cache, "k") < 0);
    assert_int_equal(redis_server_restart(late), 0);
    assert_true(wait_until(set_works, cache, 10000));
    assert_value(cache, "k", "again");
    strata_close(&cache);
    redis_server_stop(&late);
}

static void a_frozen_redis_costs_a_call_its_budget_and_leaves_the_key_in_doubt(void **state)
{
    (void)state;
    struct redis_server *ill = NULL;
    assert_int_equal(redis_server_start(&ill, NULL), 0);
    struct strata *cache = cache_rig_open(
        (struct strata_options){.redis_url = redis_server_url(ill), .socket_timeout_ms = 300});
    assert_int_equal(set_text(cache, "k", "v1", 0), STRATA_OK);
    redis_server_freeze(ill);
    struct stall_mark before = stall_mark();
    assert_int_equal(set_text(cache, "k", "v2", 0), STRATA_ERR_TIMEOUT);
    stall_assert_took_ms(before, 300, 1300);
    assert_true(get_status(cache, "k") < 0); /* neither v1 nor v2 is known to be right */
    redis_server_thaw(ill);
    assert_true(wait_until(set_works, cache, 10000));
    assert_value(cache, "k", "again");
    strata_close(&cache);
    redis_server_stop(&ill);
}

/* ---- many threads ---- */

enum { THREADS = 4, KEYS = 64, ROUNDS = 3000 };

struct worker {
    struct strata *cache;
    unsigned number;
    unsigned wrong; /* reads that contradict the guarantees */
};

/* Each key belongs to one writer, which counts its versions up and must read its own writes.
 * Everybody else must never see a version go back. */
static void *write_own_and_read_all(void *arg)
{
    struct worker *worker = arg;
    uint64_t random = worker->number + 1;
    unsigned own[KEYS] = {0}, seen[KEYS] = {0};
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned k = (unsigned)sta_random_below(&random, KEYS);
        char key[32], text[32];
        snprintf(key, sizeof key, "shared:%u", k);
        bool mine = k % THREADS == worker->number;
        if (mine && sta_random_below(&random, 3) == 0) {
            snprintf(text, sizeof text, "%u", ++own[k]);
            worker->wrong += set_text(worker->cache, key, text, 0) != STRATA_OK;
            continue;
        }
        size_t len = 0;
        int status = strata_get_copy(worker->cache, strata_text(key), text, sizeof text - 1, &len);
        text[status == STRATA_OK ? len : 0] = 0;
        unsigned version = status == STRATA_OK ? (unsigned)strtoul(text, NULL, 10) : 0;
        worker->wrong += status < 0 || version < seen[k] || (mine && version != own[k]);
        seen[k] = version;
    }
    return NULL;
}

static void threads_read_their_own_writes_and_never_see_a_version_go_back(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.l1_max_size = KEYS / 2});
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.cache = cache, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_own_and_read_all, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(workers[i].wrong, 0);
    assert_true(numbers(cache).l1.hits > 0);
    strata_close(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(without_redis_l1_answers_and_everything_else_is_an_error_at_once,
                               cache_rig_flush),
        cmocka_unit_test_setup(a_cache_opened_before_redis_is_there_works_as_soon_as_it_is,
                               cache_rig_flush),
        cmocka_unit_test_setup(a_frozen_redis_costs_a_call_its_budget_and_leaves_the_key_in_doubt,
                               cache_rig_flush),
        cmocka_unit_test_setup(threads_read_their_own_writes_and_never_see_a_version_go_back,
                               cache_rig_flush),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
