/* SPDX-License-Identifier: MIT
 *
 * What calls wait for, and how long, and what each of those gets that wait for the same load.
 * Against a real Redis.
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
#define SOON_MS    60u /* a TTL */
#define LONG_MS    100000u
#define OWN_ERROR  (-1234)
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

/* ---- one load, and calls that want different things of it ---- */

struct source {
    const char *value;
    int error;
    bool held; /* a load waits for `open` */
    atomic_bool open;
    atomic_uint begun;
};

struct call {
    struct strata *cache;
    struct source *source;
    struct strata_load_options options;
    pthread_t thread;
    atomic_bool over;
    int status;
    char got[16];
};

static bool is_open(void *arg)
{
    return atomic_load(&((struct source *)arg)->open);
}

static bool has_begun(void *arg)
{
    return atomic_load(&((struct source *)arg)->begun) > 0;
}

static bool is_over(void *arg)
{
    return atomic_load(&((struct call *)arg)->over);
}

static bool is_past_its_time(void *arg)
{
    return get_status(arg, "k") == STRATA_MISS;
}

static int load_it(struct strata_load *load, void *arg)
{
    struct source *source = arg;
    atomic_fetch_add(&source->begun, 1);
    if (source->held && !wait_until(is_open, source, PATIENT_MS))
        return STRATA_ERR_TIMEOUT;
    return source->error != 0 ? source->error
                              : strata_load_set(load, strata_text(source->value), 0);
}

static void *call_run(void *arg)
{
    struct call *call = arg;
    struct strata_value value = {0};
    call->status = strata_get_or_load(call->cache, strata_text("k"), load_it, call->source,
                                      &call->options, &value);
    (void)snprintf(call->got, sizeof call->got, "%.*s", (int)value.bytes.len,
                   value.bytes.len > 0 ? (const char *)value.bytes.data : "");
    strata_release(&value);
    atomic_store(&call->over, true);
    return NULL;
}

static void call_start(struct call *call)
{
    assert_int_equal(pthread_create(&call->thread, NULL, call_run, call), 0);
}

static void call_expect(struct call *call, int status, const char *got)
{
    pthread_join(call->thread, NULL);
    assert_int_equal(call->status, status);
    assert_string_equal(call->got, got);
}

/* `k` has this value, may be served after its TTL, and be loaded early. */
static void load_once(struct strata *cache, const char *text, uint64_t ttl_ms, uint64_t stale_ms)
{
    struct source source = {.value = text};
    struct call call = {
        .cache = cache,
        .source = &source,
        .options = {.ttl_ms = ttl_ms, .stale_ms = stale_ms, .refresh_ahead = 0.000001}};
    (void)call_run(&call);
    assert_int_equal(call.status, STRATA_OK);
}

struct waiting {
    struct strata *cache;
    unsigned holders;
};

/* One load is under way, and so many wait for it. */
static bool are_waiting(void *arg)
{
    const struct waiting *waiting = arg;
    return sta_flight_holders(&waiting->cache->cache->flights) == waiting->holders;
}

static void who_waits_decides_by_himself_of_what_is_stale(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        const uint64_t stale_ms[] = {i == 0 ? LONG_MS : 0, i == 0 ? 0 : LONG_MS};
        struct strata *cache = cache_rig_open((struct strata_options){0});
        struct source source = {.error = OWN_ERROR, .held = true};
        struct call runs = {
            .cache = cache, .source = &source, .options = {.stale_ms = stale_ms[0]}};
        struct call waits = {
            .cache = cache, .source = &source, .options = {.stale_ms = stale_ms[1]}};
        struct waiting two = {cache, 2};
        load_once(cache, "old", SOON_MS, LONG_MS);
        assert_true(wait_until(is_past_its_time, cache, PATIENT_MS));
        call_start(&runs);
        assert_true(wait_until(has_begun, &source, PATIENT_MS));
        call_start(&waits);
        assert_true(wait_until(are_waiting, &two, PATIENT_MS));
        atomic_store(&source.open, true);
        call_expect(&runs, i == 0 ? STRATA_STALE : OWN_ERROR, i == 0 ? "old" : "");
        call_expect(&waits, i == 0 ? OWN_ERROR : STRATA_STALE, i == 0 ? "" : "old");
        assert_int_equal(atomic_load(&source.begun), 1);
        assert_int_equal(numbers(cache).stale_answers, 1);
        strata_close(&cache);
        assert_int_equal(cache_rig_flush(NULL), 0);
    }
}

static bool asks_and_has_begun(void *arg)
{
    struct call *call = arg;
    (void)call_run(call);
    return has_begun(call->source);
}

/* Nobody but it knows that L1 has lost the value. */
static void who_waits_for_an_early_load_that_fails_gets_what_is_in_its_time(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct source early = {.error = OWN_ERROR, .held = true};
    struct source source = {.value = "new"};
    struct call hit = {.cache = cache,
                       .source = &early,
                       .options = {.ttl_ms = LONG_MS, .refresh_ahead = 0.000001}};
    struct call waits = {.cache = cache, .source = &source};
    struct waiting two = {cache, 2};
    load_once(cache, "old", LONG_MS, 0);
    assert_true(wait_until(asks_and_has_begun, &hit, PATIENT_MS));
    struct sta_cache *inside = cache->cache;
    sta_cache_clear_l1(inside);
    struct sta_key key = sta_l1_key(inside->l1, strata_text("k"));
    struct sta_flight *flight = NULL;
    /* As a call would that came before the generation moved on. */
    assert_int_equal(sta_flight_join(&inside->flights, &key, 0, pthread_self(), &flight),
                     STRATA_MORE);
    struct strata_value value = {0};
    int failure = 0;
    assert_true(wait_until(are_waiting, &two, PATIENT_MS));
    atomic_store(&early.open, true);
    assert_int_equal(
        sta_flight_wait(&inside->flights, flight, pthread_self(), STA_NEVER, &failure, &value),
        STRATA_OK);
    assert_int_equal(value.bytes.len, 3);
    strata_release(&value);
    (void)call_run(&waits);
    assert_int_equal(waits.status, STRATA_OK);
    assert_string_equal(waits.got, "old");
    assert_int_equal(numbers(cache).stale_answers, 0);
    strata_close(&cache);
}

/* ---- for how long ---- */

#define BUDGET_MS 100u

static bool never(void *arg)
{
    (void)arg;
    return false;
}

/* Longer than the budget of a call, and than any time-out that does not count here. */
static void an_own_load_may_take_longer_than_others_are_waited_for(void **state)
{
    (void)state;
    static const struct strata_load_options with[] = {
        {.hard_timeout_ms = PATIENT_MS},
        {.soft_timeout_ms = 1, .stale_ms = LONG_MS},
        {.soft_timeout_ms = 1, .wait_ms = 1},
        {.hard_timeout_ms = PATIENT_MS, .wait_ms = 1},
    };
    for (size_t i = 0; i < sizeof with / sizeof with[0]; i++) {
        struct strata *cache =
            cache_rig_open((struct strata_options){.socket_timeout_ms = BUDGET_MS});
        struct source source = {.value = "v", .held = true};
        struct call call = {.cache = cache, .source = &source, .options = with[i]};
        call_start(&call);
        (void)wait_until(never, NULL, 3 * BUDGET_MS); /* just a while */
        assert_false(is_over(&call));
        atomic_store(&source.open, true);
        call_expect(&call, STRATA_OK, "v");
        strata_close(&cache);
        assert_int_equal(cache_rig_flush(NULL), 0);
    }
}

static void the_hard_timeout_goes_before_wait_ms_for_the_loads_of_others(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.socket_timeout_ms = BUDGET_MS});
    struct source source = {.value = "v", .held = true};
    struct call runs = {.cache = cache, .source = &source};
    struct call patient = {
        .cache = cache, .source = &source, .options = {.hard_timeout_ms = PATIENT_MS}};
    struct call hasty = {.cache = cache,
                         .source = &source,
                         .options = {.hard_timeout_ms = 1, .wait_ms = PATIENT_MS}};
    call_start(&runs);
    assert_true(wait_until(has_begun, &source, PATIENT_MS));
    call_start(&patient);
    call_start(&hasty);
    call_expect(&hasty, STRATA_ERR_TIMEOUT, "");
    (void)wait_until(never, NULL, 3 * BUDGET_MS); /* just a while */
    assert_false(is_over(&patient));
    atomic_store(&source.open, true);
    call_expect(&patient, STRATA_OK, "v");
    call_expect(&runs, STRATA_OK, "v");
    strata_close(&cache);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, cache_rig_flush)
    const struct CMUnitTest tests[] = {
        TEST(loaders_on_all_threads_of_the_cache_may_load_with_timeouts),
        TEST(closing_ends_loads_that_have_not_begun),
        TEST(who_waits_decides_by_himself_of_what_is_stale),
        TEST(who_waits_for_an_early_load_that_fails_gets_what_is_in_its_time),
        TEST(an_own_load_may_take_longer_than_others_are_waited_for),
        TEST(the_hard_timeout_goes_before_wait_ms_for_the_loads_of_others),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
