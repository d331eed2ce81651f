/* SPDX-License-Identifier: MIT
 *
 * What calls wait for, and how long, and what each of those gets that wait for the same load. Against a
 * real Redis.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "api/handle.h"
#include "cache/tiers.h"
#include "integration/cache_rig.h"
#include "support/wait.h"

#define PATIENT_MS 20000u
#define OUTER      STA_LOAD_POOL_THREADS

/* ---- loaders that load, on all threads of the cache ---- */

struct outer {
    struct strata *cache;
    atomic_uint *begun;
    bool asks_beside; /* on a thread of its own, of which the cache knows nothing */
    char key[16], inner[16];
    pthread_t thread;
    int status, inner_status;
};

static bool have_all_begun(void *arg)
{
    return atomic_load((atomic_uint *)arg) >= OUTER;
}

static int load_inner(struct strata_load *load, void *arg)
{
    (void)arg;
    return strata_load_set(load, strata_text("inner"), 0);
}

static void *ask_inner(void *arg)
{
    struct outer *outer = arg;
    const struct strata_load_options options = {.hard_timeout_ms = PATIENT_MS,
                                                .wait_ms = PATIENT_MS};
    struct strata_value value = {0};
    outer->inner_status = strata_get_or_load(outer->cache, strata_text(outer->inner), load_inner,
                                             NULL, &options, &value);
    strata_release(&value);
    return NULL;
}

static int load_outer(struct strata_load *load, void *arg)
{
    struct outer *outer = arg;
    pthread_t beside;
    atomic_fetch_add(outer->begun, 1);
    if (!wait_until(have_all_begun, outer->begun, PATIENT_MS))
        return STRATA_ERR_TIMEOUT;
    if (outer->asks_beside && pthread_create(&beside, NULL, ask_inner, outer) == 0)
        pthread_join(beside, NULL);
    else
        (void)ask_inner(outer);
    return strata_load_set(load, strata_text("outer"), 0);
}

static void *ask_outer(void *arg)
{
    struct outer *outer = arg;
    const struct strata_load_options options = {.hard_timeout_ms = 2 * PATIENT_MS};
    struct strata_value value = {0};
    outer->status = strata_get_or_load(outer->cache, strata_text(outer->key), load_outer, outer,
                                       &options, &value);
    strata_release(&value);
    return NULL;
}

/* Each asks for a key of its own, or all for the same one. */
static void loaders_on_all_threads_load(bool same)
{
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct outer outer[OUTER];
    atomic_uint begun = 0;
    for (unsigned i = 0; i < OUTER; i++) {
        outer[i] = (struct outer){.cache = cache, .begun = &begun};
        (void)snprintf(outer[i].key, sizeof outer[i].key, "outer%u", i);
        (void)snprintf(outer[i].inner, sizeof outer[i].inner, "inner%u", same ? 0 : i);
        assert_int_equal(pthread_create(&outer[i].thread, NULL, ask_outer, &outer[i]), 0);
    }
    for (unsigned i = 0; i < OUTER; i++) {
        pthread_join(outer[i].thread, NULL);
        assert_int_equal(outer[i].inner_status, STRATA_OK);
        assert_int_equal(outer[i].status, STRATA_OK);
    }
    strata_close(&cache);
}

static void loaders_on_all_threads_of_the_cache_may_load_with_timeouts(void **state)
{
    (void)state;
    loaders_on_all_threads_load(false);
    assert_int_equal(cache_rig_flush(NULL), 0);
    loaders_on_all_threads_load(true);
}

static bool do_all_wait(void *arg)
{
    struct sta_load_pool *pool = &((struct strata *)arg)->cache->pool;
    pthread_mutex_lock(&pool->lock);
    bool waiting = pool->waiting == OUTER;
    pthread_mutex_unlock(&pool->lock);
    return waiting;
}

/* What they wait for waits for a thread, and all threads wait for them. */
static void closing_ends_loads_that_have_not_begun(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct outer outer[OUTER];
    atomic_uint begun = 0;
    const struct strata_load_options options = {.hard_timeout_ms = 1};
    for (unsigned i = 0; i < OUTER; i++) {
        struct strata_value value = {0};
        outer[i] = (struct outer){.cache = cache, .begun = &begun, .asks_beside = true};
        (void)snprintf(outer[i].key, sizeof outer[i].key, "outer%u", i);
        (void)snprintf(outer[i].inner, sizeof outer[i].inner, "inner%u", i);
        assert_int_equal(strata_get_or_load(cache, strata_text(outer[i].key), load_outer, &outer[i],
                                            &options, &value),
                         STRATA_ERR_TIMEOUT);
    }
    assert_true(wait_until(do_all_wait, cache, PATIENT_MS));
    strata_close(&cache);
    for (unsigned i = 0; i < OUTER; i++)
        assert_int_equal(outer[i].inner_status, STRATA_ERR_CLOSED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, cache_rig_flush)
    const struct CMUnitTest tests[] = {
        TEST(loaders_on_all_threads_of_the_cache_may_load_with_timeouts),
        TEST(closing_ends_loads_that_have_not_begun),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
