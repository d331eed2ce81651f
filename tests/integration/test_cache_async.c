/* SPDX-License-Identifier: MIT
 *
 * The asynchronous calls: callbacks on the I/O thread, completion queues, closing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "integration/cache_rig.h"
#include "support/redis_server.h"
#include "support/wait.h"

/* ---- asynchronous ---- */

struct outcome {
    _Atomic int calls;
    int status;
    char text[32];
    pthread_t thread;
};

static void note_outcome(void *arg, int status, struct strata_value *value)
{
    struct outcome *outcome = arg;
    outcome->status = status;
    outcome->thread = pthread_self();
    if (value != NULL)
        snprintf(outcome->text, sizeof outcome->text, "%.*s", (int)value->bytes.len,
                 (const char *)value->bytes.data);
    atomic_fetch_add_explicit(&outcome->calls, 1, memory_order_release);
}

static bool has_outcome(void *arg)
{
    struct outcome *outcome = arg;
    return atomic_load_explicit(&outcome->calls, memory_order_acquire) == 1;
}

static void callbacks_run_on_the_io_thread(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct outcome set = {0}, hit = {0}, gone = {0}, miss = {0};
    strata_set_async(cache, strata_text("k"), strata_text("v"), 0,
                     (struct strata_completion){note_outcome, &set, NULL});
    assert_true(wait_until(has_outcome, &set, 5000));
    strata_get_async(cache, strata_text("k"), (struct strata_completion){note_outcome, &hit, NULL});
    assert_true(wait_until(has_outcome, &hit, 5000));
    strata_delete_async(cache, strata_text("k"),
                        (struct strata_completion){note_outcome, &gone, NULL});
    assert_true(wait_until(has_outcome, &gone, 5000));
    strata_get_async(cache, strata_text("k"),
                     (struct strata_completion){note_outcome, &miss, NULL});
    assert_true(wait_until(has_outcome, &miss, 5000));
    assert_int_equal(set.status, STRATA_OK);
    assert_int_equal(hit.status, STRATA_OK);
    assert_string_equal(hit.text, "v");
    assert_int_equal(gone.status, STRATA_OK);
    assert_int_equal(miss.status, STRATA_MISS);
    assert_true(pthread_equal(set.thread, hit.thread));
    assert_false(pthread_equal(set.thread, pthread_self()));
    strata_close(&cache);
}

static void l2_alone_calls_back_as_well(void **state)
{
    (void)state;
    struct strata_l2 *l2 = NULL;
    const struct strata_l2_options options = {.redis_url = cache_rig_url(), .key_prefix = "l2:"};
    struct outcome set = {0}, got = {0}, gone = {0}, miss = {0};
    assert_int_equal(strata_l2_open(&l2, &options, NULL), STRATA_OK);
    (void)strata_l2_set_async(l2, strata_text("k"), strata_text("v"), 0,
                              (struct strata_completion){note_outcome, &set, NULL});
    assert_true(wait_until(has_outcome, &set, 5000));
    assert_in_redis("l2:k", "v");
    (void)strata_l2_get_async(l2, strata_text("k"),
                              (struct strata_completion){note_outcome, &got, NULL});
    assert_true(wait_until(has_outcome, &got, 5000));
    (void)strata_l2_delete_async(l2, strata_text("k"),
                                 (struct strata_completion){note_outcome, &gone, NULL});
    assert_true(wait_until(has_outcome, &gone, 5000));
    assert_in_redis("l2:k", NULL);
    (void)strata_l2_get_async(l2, strata_text("k"),
                              (struct strata_completion){note_outcome, &miss, NULL});
    assert_true(wait_until(has_outcome, &miss, 5000));
    assert_int_equal(set.status, STRATA_OK);
    assert_int_equal(got.status, STRATA_OK);
    assert_string_equal(got.text, "v");
    assert_int_equal(gone.status, STRATA_OK);
    assert_int_equal(miss.status, STRATA_MISS);
    strata_l2_close(&l2);
}

static void a_queue_hands_completions_to_whoever_polls_its_descriptor(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct strata_queue *queue = NULL;
    assert_int_equal(strata_queue_open(&queue), STRATA_OK);
    set_text(cache, "k", "v", 0);
    enum { CALLS = 200 };
    static struct outcome outcomes[CALLS];
    for (int i = 0; i < CALLS; i++)
        strata_get_async(cache, strata_text(i % 2 == 0 ? "k" : "absent"),
                         (struct strata_completion){note_outcome, &outcomes[i], queue});
    size_t ran = 0;
    while (ran < CALLS) {
        struct pollfd ready = {.fd = strata_queue_fd(queue), .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 5000), 1);
        ran += strata_queue_dispatch(queue, 7);
    }
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(outcomes[i].status, i % 2 == 0 ? STRATA_OK : STRATA_MISS);
        assert_true(pthread_equal(outcomes[i].thread, pthread_self()));
    }
    struct pollfd idle = {.fd = strata_queue_fd(queue), .events = POLLIN};
    assert_int_equal(poll(&idle, 1, 0), 0);
    strata_close(&cache);
    strata_queue_close(&queue);
}

static void a_completion_that_is_dispatched_after_the_close_still_has_its_value(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct strata_queue *queue = NULL;
    struct outcome outcome = {0};
    assert_int_equal(strata_queue_open(&queue), STRATA_OK);
    set_text(cache, "k", "kept", 0);
    strata_get_async(cache, strata_text("k"),
                     (struct strata_completion){note_outcome, &outcome, queue});
    strata_close(&cache);
    assert_int_equal(strata_queue_dispatch(queue, 0), 1);
    assert_string_equal(outcome.text, "kept");
    strata_queue_close(&queue);
}

static void closing_ends_what_is_under_way_exactly_once(void **state)
{
    (void)state;
    struct redis_server *frozen = NULL;
    assert_int_equal(redis_server_start(&frozen, NULL), 0);
    struct strata *cache =
        cache_rig_open((struct strata_options){.redis_url = redis_server_url(frozen)});
    assert_int_equal(set_text(cache, "k", "v", 0), STRATA_OK);
    redis_server_freeze(frozen);
    enum { CALLS = 50 };
    static struct outcome outcomes[CALLS];
    for (int i = 0; i < CALLS; i++)
        strata_set_async(cache, strata_text("k"), strata_text("w"), 0,
                         (struct strata_completion){note_outcome, &outcomes[i], NULL});
    strata_close(&cache);
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(atomic_load(&outcomes[i].calls), 1);
        assert_int_equal(outcomes[i].status, STRATA_ERR_CLOSED);
    }
    redis_server_thaw(frozen);
    redis_server_stop(&frozen);
}

/* Before anything is known of barriers, of which nobody hears any more. */
static void closing_ends_the_first_calls_of_a_cache_too(void **state)
{
    (void)state;
    struct redis_server *frozen = NULL;
    assert_int_equal(redis_server_start(&frozen, NULL), 0);
    redis_server_freeze(frozen);
    struct strata *cache =
        cache_rig_open((struct strata_options){.redis_url = redis_server_url(frozen)});
    struct outcome set = {0}, get = {0};
    strata_set_async(cache, strata_text("k"), strata_text("w"), 0,
                     (struct strata_completion){note_outcome, &set, NULL});
    strata_get_async(cache, strata_text("l"), (struct strata_completion){note_outcome, &get, NULL});
    strata_close(&cache);
    assert_int_equal(atomic_load(&set.calls), 1);
    assert_int_equal(set.status, STRATA_ERR_CLOSED);
    assert_int_equal(atomic_load(&get.calls), 1);
    assert_int_equal(get.status, STRATA_ERR_CLOSED);
    redis_server_thaw(frozen);
    redis_server_stop(&frozen);
}

struct impatient {
    struct strata *cache;
    struct outcome outcome;
    int nested;
};

static void call_back_synchronously(void *arg, int status, struct strata_value *value)
{
    struct impatient *impatient = arg;
    struct strata_value got = {0};
    impatient->nested = strata_get(impatient->cache, strata_text("k"), &got);
    note_outcome(&impatient->outcome, status, value);
}

static void a_synchronous_call_from_a_callback_is_refused_instead_of_hanging(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct impatient impatient = {.cache = cache};
    strata_get_async(cache, strata_text("k"),
                     (struct strata_completion){call_back_synchronously, &impatient, NULL});
    assert_true(wait_until(has_outcome, &impatient.outcome, 5000));
    assert_int_equal(impatient.nested, STRATA_ERR_INVALID);
    strata_close(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(callbacks_run_on_the_io_thread, cache_rig_flush),
        cmocka_unit_test_setup(l2_alone_calls_back_as_well, cache_rig_flush),
        cmocka_unit_test_setup(a_queue_hands_completions_to_whoever_polls_its_descriptor,
                               cache_rig_flush),
        cmocka_unit_test_setup(a_completion_that_is_dispatched_after_the_close_still_has_its_value,
                               cache_rig_flush),
        cmocka_unit_test_setup(closing_ends_what_is_under_way_exactly_once, cache_rig_flush),
        cmocka_unit_test_setup(closing_ends_the_first_calls_of_a_cache_too, cache_rig_flush),
        cmocka_unit_test_setup(a_synchronous_call_from_a_callback_is_refused_instead_of_hanging,
                               cache_rig_flush),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
