/* SPDX-License-Identifier: MIT
 *
 * Loads in the background: before a value's time is over, and for calls that do not wait as long as
 * a load takes. Against a real Redis.
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
#include "core/clock.h"
#include "integration/cache_rig.h"
#include "support/wait.h"

#define PATIENT_MS 20000u
#define PREFIX     "atp:cache:"
#define LONG_MS    100000u /* less than the TTL of L1 */
#define OWN_ERROR  (-1234)

/* ---- a source of values: "1", "2", ... ---- */

struct source {
    struct strata *cache;
    atomic_uint begun, loads;
    _Atomic int error;
    atomic_bool held, open; /* loads wait for `open`, */
    unsigned unheld;        /*   but for the first of them */
    _Atomic(pthread_t) thread;
    struct strata_load_options options;
};

static bool is_open(void *arg)
{
    return atomic_load(&((struct source *)arg)->open);
}

static int load_it(struct strata_load *load, void *arg)
{
    struct source *source = arg;
    char text[16];
    unsigned number = atomic_fetch_add(&source->begun, 1) + 1;
    atomic_store(&source->thread, pthread_self());
    if (atomic_load(&source->held) && number > source->unheld &&
        !wait_until(is_open, source, PATIENT_MS))
        return STRATA_ERR_TIMEOUT;
    (void)snprintf(text, sizeof text, "%u", number);
    int status = atomic_load(&source->error);
    if (status == 0)
        status = strata_load_set(load, strata_text(text), 0);
    atomic_fetch_add(&source->loads, 1);
    return status;
}

/* The answer as a number; 0: `status` is another than expected. */
static unsigned ask(struct source *source, int expected)
{
    struct strata_value value = {0};
    unsigned number = 0;
    int status = strata_get_or_load(source->cache, strata_text("k"), load_it, source,
                                    &source->options, &value);
    if (status == expected && value.bytes.len == 1)
        number = (unsigned)(*(const char *)value.bytes.data - '0');
    strata_release(&value);
    return number;
}

static bool is_second(void *arg)
{
    return ask(arg, STRATA_OK) == 2;
}

static bool has_loaded_twice(void *arg)
{
    return atomic_load(&((struct source *)arg)->loads) >= 2;
}

static bool has_begun_twice(void *arg)
{
    return atomic_load(&((struct source *)arg)->begun) >= 2;
}

static bool asks_and_has_begun_twice(void *arg)
{
    (void)ask(arg, STRATA_OK);
    return has_begun_twice(arg);
}

/* ---- early ---- */

/* The first load is the call's own; the next is in the background, before the time is over, and
 * calls are answered meanwhile. */
static void a_value_is_loaded_early(struct strata_options with, struct strata_load_options options)
{
    struct source source = {.cache = cache_rig_open(with), .options = options};
    assert_int_equal(ask(&source, STRATA_OK), 1);
    assert_true(pthread_equal(atomic_load(&source.thread), pthread_self()));
    atomic_store(&source.held, true);
    assert_true(wait_until(asks_and_has_begun_twice, &source, PATIENT_MS));
    assert_false(pthread_equal(atomic_load(&source.thread), pthread_self()));
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(ask(&source, STRATA_OK), 1);
    assert_int_equal(atomic_load(&source.begun), 2);
    atomic_store(&source.open, true);
    assert_true(wait_until(is_second, &source, PATIENT_MS));
    assert_true(numbers(source.cache).loads_early >= 1);
    strata_close(&source.cache);
}

/* After a share so small that the first hit is late enough, of a time that outlives the test. */
static void ahead_of_the_end_a_value_is_loaded_in_the_background(void **state)
{
    (void)state;
    const struct strata_load_options options = {.ttl_ms = LONG_MS, .refresh_ahead = 0.000001};
    a_value_is_loaded_early((struct strata_options){0}, options);
    assert_int_equal(cache_rig_flush(NULL), 0);
    a_value_is_loaded_early((struct strata_options){.tracking = STRATA_TRACKING_OFF}, options);
    assert_int_equal(cache_rig_flush(NULL), 0);
    a_value_is_loaded_early((struct strata_options){.l2_enabled = STRATA_OFF}, options);
}

static void ahead_of_the_end_with_stale_time_and_a_lease(void **state)
{
    (void)state;
    a_value_is_loaded_early((struct strata_options){0},
                            (struct strata_load_options){.ttl_ms = LONG_MS,
                                                         .stale_ms = LONG_MS,
                                                         .lease_ms = LONG_MS,
                                                         .refresh_ahead = 0.000001});
}

/* A beta so large that any load takes long enough. */
static void by_chance_a_value_is_loaded_in_the_background(void **state)
{
    (void)state;
    a_value_is_loaded_early((struct strata_options){0},
                            (struct strata_load_options){.ttl_ms = LONG_MS, .xfetch_beta = 1e12});
}

static void what_is_loaded_early_is_in_redis_too_and_plain_where_it_can_be(void **state)
{
    (void)state;
    struct source source = {.cache = cache_rig_open((struct strata_options){0}),
                            .held = true,
                            .unheld = 2,
                            .options = {.ttl_ms = LONG_MS, .refresh_ahead = 0.000001}};
    assert_int_equal(ask(&source, STRATA_OK), 1);
    assert_in_redis(PREFIX "k", "1");
    assert_true(wait_until(asks_and_has_begun_twice, &source, PATIENT_MS));
    source.options.refresh_ahead = 0;
    assert_true(wait_until(is_second, &source, PATIENT_MS));
    assert_in_redis(PREFIX "k", "2");
    atomic_store(&source.open, true);
    strata_close(&source.cache);
}

static void a_foreign_value_is_not_replaced_by_an_early_load(void **state)
{
    (void)state;
    struct source source = {
        .cache = cache_rig_open((struct strata_options){.tracking = STRATA_TRACKING_OFF}),
        .options = {.ttl_ms = LONG_MS, .refresh_ahead = 0.000001}};
    assert_int_equal(ask(&source, STRATA_OK), 1);
    atomic_store(&source.held, true);
    assert_true(wait_until(asks_and_has_begun_twice, &source, PATIENT_MS));
    redis_do("SET", PREFIX "k", "9");
    atomic_store(&source.open, true);
    assert_true(wait_until(has_loaded_twice, &source, PATIENT_MS));
    source.options.refresh_ahead = 0;
    strata_close(&source.cache); /* the load has ended, whole, when this returns */
    assert_in_redis(PREFIX "k", "9");
}

/* Another process has set it with a tag. */
static void a_value_with_tags_is_not_loaded_early(void **state)
{
    (void)state;
    struct strata *other = cache_rig_open((struct strata_options){0});
    struct source source = {.cache = cache_rig_open((struct strata_options){0}),
                            .options = {.ttl_ms = LONG_MS, .refresh_ahead = 0.000001}};
    struct strata_bytes tag = strata_text("x");
    assert_int_equal(strata_set_tagged(other, strata_text("k"), strata_text("9"), LONG_MS, &tag, 1),
                     STRATA_OK);
    (void)wait_until(asks_and_has_begun_twice, &source, 200); /* no: just a while */
    assert_int_equal(atomic_load(&source.begun), 0);
    assert_int_equal(ask(&source, STRATA_OK), 9);
    assert_int_equal(strata_invalidate_tag(other, tag), STRATA_OK);
    assert_int_equal(get_status(other, "k"), STRATA_MISS);
    strata_close(&source.cache);
    strata_close(&other);
}

static void an_early_load_that_fails_leaves_the_value_and_is_not_tried_again_at_once(void **state)
{
    (void)state;
    struct source source = {
        .cache = cache_rig_open((struct strata_options){0}),
        .options = {.ttl_ms = LONG_MS, .refresh_ahead = 0.000001, .throttle_ms = LONG_MS}};
    assert_int_equal(ask(&source, STRATA_OK), 1);
    atomic_store(&source.error, OWN_ERROR);
    assert_true(wait_until(asks_and_has_begun_twice, &source, PATIENT_MS));
    assert_true(wait_until(has_loaded_twice, &source, PATIENT_MS));
    (void)wait_until(asks_and_has_begun_twice, &source, PATIENT_MS);
    unsigned begun = 0;
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(ask(&source, STRATA_OK), 1);
        begun = atomic_load(&source.begun);
    }
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(ask(&source, STRATA_OK), 1);
    assert_int_equal(atomic_load(&source.begun), begun);
    strata_close(&source.cache);
}

/* ---- large values, which are not asked for again when they are stored ---- */

static char large[2][20000] = {"o", "n"};

struct large_source {
    struct strata *cache;
    struct strata_load_options options;
    bool grows; /* the first value is small */
    _Atomic int error;
    atomic_uint begun;
};

static int load_large(struct strata_load *load, void *arg)
{
    struct large_source *source = arg;
    unsigned number = atomic_fetch_add(&source->begun, 1);
    int error = atomic_load(&source->error);
    size_t len = source->grows && number == 0 ? 1 : sizeof large[0];
    return error != 0 ? error : strata_load_set(load, strata_bytes(large[number > 0], len), 0);
}

/* Its first letter. */
static char ask_large(struct large_source *source)
{
    struct strata_value value = {0};
    assert_int_equal(strata_get_or_load(source->cache, strata_text("k"), load_large, source,
                                        &source->options, &value),
                     STRATA_OK);
    char letter = *(const char *)value.bytes.data;
    strata_release(&value);
    return letter;
}

static bool large_asks_and_has_begun_twice(void *arg)
{
    struct large_source *source = arg;
    if (atomic_load(&source->begun) >= 2)
        return true; /* a hit would be loaded early again, and find out */
    (void)ask_large(source);
    return false;
}

static bool is_new(void *arg)
{
    return ask_large(arg) == 'n';
}

static void a_large_value_that_is_loaded_early_takes_the_place_of_the_old_one(void **state)
{
    (void)state;
    static const enum strata_tracking modes[] = {STRATA_TRACKING_AUTO, STRATA_TRACKING_OFF};
    for (unsigned i = 0; i < 2; i++) {
        struct large_source source = {
            .cache = cache_rig_open((struct strata_options){.tracking = modes[i]}),
            .grows = true,
            .options = {.ttl_ms = LONG_MS, .refresh_ahead = 0.000001}};
        assert_true(wait_until(large_asks_and_has_begun_twice, &source, PATIENT_MS));
        source.options.refresh_ahead = 0;
        assert_true(wait_until(is_new, &source, PATIENT_MS));
        strata_close(&source.cache);
        assert_int_equal(cache_rig_flush(NULL), 0);
    }
}

static bool has_failed(void *arg)
{
    return numbers(arg).loads_failed > 0;
}

static void an_early_load_of_a_large_value_that_fails_is_not_tried_again_at_once(void **state)
{
    (void)state;
    struct large_source source = {
        .cache = cache_rig_open((struct strata_options){0}),
        .options = {.ttl_ms = LONG_MS, .refresh_ahead = 0.000001, .throttle_ms = LONG_MS}};
    assert_int_equal(ask_large(&source), 'o');
    atomic_store(&source.error, OWN_ERROR);
    assert_true(wait_until(large_asks_and_has_begun_twice, &source, PATIENT_MS));
    assert_true(wait_until(has_failed, source.cache, PATIENT_MS));
    struct sta_flights *flights = &source.cache->cache->flights;
    while (sta_flight_holders(flights) > 0)
        continue; /* it ends when L1 knows */
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(ask_large(&source), 'o');
    assert_int_equal(atomic_load(&source.begun), 2);
    assert_int_equal(numbers(source.cache).stale_answers, 0);
    strata_close(&source.cache);
}

/* ---- time-outs ---- */

static void past_the_hard_timeout_the_call_ends_and_the_load_goes_on(void **state)
{
    (void)state;
    struct source source = {.cache = cache_rig_open((struct strata_options){0}),
                            .options = {.ttl_ms = LONG_MS, .hard_timeout_ms = 30},
                            .held = true};
    struct strata_value value = {0};
    assert_int_equal(strata_get_or_load(source.cache, strata_text("k"), load_it, &source,
                                        &source.options, &value),
                     STRATA_ERR_TIMEOUT);
    atomic_store(&source.open, true);
    source.options.hard_timeout_ms = PATIENT_MS;
    assert_int_equal(ask(&source, STRATA_OK), 1); /* waits for it, or finds it */
    assert_int_equal(atomic_load(&source.begun), 1);
    assert_in_redis(PREFIX "k", "1");
    strata_close(&source.cache);
}

static bool is_past_its_time(void *arg)
{
    return get_status(arg, "k") == STRATA_MISS;
}

static void past_the_soft_timeout_the_old_value_is_served_and_the_load_goes_on(void **state)
{
    (void)state;
    struct source source = {.cache = cache_rig_open((struct strata_options){0}),
                            .options = {.ttl_ms = 50,
                                        .stale_ms = LONG_MS,
                                        .soft_timeout_ms = 20,
                                        .hard_timeout_ms = PATIENT_MS}};
    assert_int_equal(ask(&source, STRATA_OK), 1); /* nothing to answer with: not past 20 ms */
    assert_true(wait_until(is_past_its_time, source.cache, PATIENT_MS));
    atomic_store(&source.held, true);
    source.options.ttl_ms = LONG_MS;
    assert_int_equal(ask(&source, STRATA_STALE), 1);
    assert_int_equal(ask(&source, STRATA_STALE), 1);
    assert_int_equal(atomic_load(&source.begun), 2);
    atomic_store(&source.open, true);
    source.options.soft_timeout_ms = 0;
    assert_int_equal(ask(&source, STRATA_OK), 2);
    assert_int_equal(atomic_load(&source.begun), 2);
    strata_close(&source.cache);
}

static void a_load_in_time_is_answered_as_without_timeouts(void **state)
{
    (void)state;
    struct source source = {.cache = cache_rig_open((struct strata_options){0}),
                            .options = {.hard_timeout_ms = PATIENT_MS}};
    assert_int_equal(ask(&source, STRATA_OK), 1);
    assert_false(pthread_equal(atomic_load(&source.thread), pthread_self()));
    assert_value(source.cache, "k", "1");
    strata_close(&source.cache);
}

static bool has_begun(void *arg)
{
    return atomic_load(&((struct source *)arg)->begun) >= 1;
}

static void *open_soon(void *arg)
{
    struct source *source = arg;
    (void)wait_until(has_begun_twice, source, 30); /* no: just a while */
    atomic_store(&source->open, true);
    return NULL;
}

static void closing_waits_for_loaders_that_run(void **state)
{
    (void)state;
    struct source source = {.cache = cache_rig_open((struct strata_options){0}),
                            .options = {.hard_timeout_ms = 1},
                            .held = true};
    struct strata_value value = {0};
    pthread_t opener;
    int status = strata_get_or_load(source.cache, strata_text("k"), load_it, &source,
                                    &source.options, &value);
    assert_true(status == STRATA_ERR_TIMEOUT);
    assert_true(
        wait_until(has_begun, &source, PATIENT_MS)); /* what has not is not begun any more */
    assert_int_equal(pthread_create(&opener, NULL, open_soon, &source), 0);
    strata_close(&source.cache);
    assert_int_equal(atomic_load(&source.begun), 1);
    assert_int_equal(atomic_load(&source.loads), 1);
    pthread_join(opener, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, cache_rig_flush)
    const struct CMUnitTest tests[] = {
        TEST(ahead_of_the_end_a_value_is_loaded_in_the_background),
        TEST(ahead_of_the_end_with_stale_time_and_a_lease),
        TEST(by_chance_a_value_is_loaded_in_the_background),
        TEST(what_is_loaded_early_is_in_redis_too_and_plain_where_it_can_be),
        TEST(a_foreign_value_is_not_replaced_by_an_early_load),
        TEST(a_value_with_tags_is_not_loaded_early),
        TEST(an_early_load_that_fails_leaves_the_value_and_is_not_tried_again_at_once),
        TEST(a_large_value_that_is_loaded_early_takes_the_place_of_the_old_one),
        TEST(an_early_load_of_a_large_value_that_fails_is_not_tried_again_at_once),
        TEST(past_the_hard_timeout_the_call_ends_and_the_load_goes_on),
        TEST(past_the_soft_timeout_the_old_value_is_served_and_the_load_goes_on),
        TEST(a_load_in_time_is_answered_as_without_timeouts),
        TEST(closing_waits_for_loaders_that_run),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
