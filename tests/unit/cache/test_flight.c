/* SPDX-License-Identifier: MIT
 *
 * Who loads and who waits, by itself: no cache, no loader. What threads do at the same time is in
 * test_get_or_load.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <string.h>

#include "cache/flight.h"
#include "cache/value.h"
#include "core/clock.h"
#include "support/wait.h"

#define WAITERS    64
#define PATIENT_MS 20000u

static const pthread_t ann = 1, bob = 2, cid = 3; /* never used as threads */

struct table {
    struct sta_flights flights;
    struct sta_key key, other;
};

static int start(void **state)
{
    static struct table table;
    sta_flight_init(&table.flights);
    table.key = (struct sta_key){strata_text("key"), 7};
    table.other = (struct sta_key){strata_text("other"), 7}; /* the same hash */
    *state = &table;
    return 0;
}

static int stop(void **state)
{
    struct table *table = *state;
    bool idle = true;
    for (unsigned i = 0; i < STA_FLIGHTS_BUCKETS; i++)
        idle = idle && sta_list_empty(&table->flights.buckets[i]) &&
               sta_list_empty(&table->flights.under_way[i]);
    for (unsigned i = 0; i < STA_FLIGHTS_RUNNERS; i++)
        idle = idle && table->flights.runs[i] == 0;
    sta_flight_fini(&table->flights);
    return idle ? 0 : -1;
}

static struct strata_value value_of(const char *text)
{
    struct strata_value value = {0};
    assert_int_equal(sta_value_from_bytes(&value, strata_text(text)), STRATA_OK);
    return value;
}

static void end_with(struct table *table, struct sta_flight *flight, const char *text)
{
    struct strata_value value = value_of(text);
    sta_flight_end(&table->flights, flight, STRATA_OK, 0, &value);
    assert_memory_equal(value.bytes.data, text, strlen(text));
    sta_value_release(&value);
}

static void assert_waits(struct table *table, struct sta_flight *flight, const char *text)
{
    int failure = 0;
    struct strata_value value = {0};
    assert_int_equal(sta_flight_wait(&table->flights, flight, bob, STA_NEVER, &failure, &value),
                     STRATA_OK);
    assert_int_equal(value.bytes.len, strlen(text));
    assert_memory_equal(value.bytes.data, text, strlen(text));
    sta_value_release(&value);
}

static void the_first_runs_and_the_others_get_what_it_brought(void **state)
{
    struct table *table = *state;
    struct sta_flight *run, *second, *third;
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, ann, &run), STRATA_OK);
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, bob, &second), STRATA_MORE);
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, cid, &third), STRATA_MORE);
    end_with(table, run, "value");
    assert_waits(table, second, "value");
    assert_waits(table, third, "value");
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, bob, &run), STRATA_OK);
    end_with(table, run, "again");
}

static void keys_with_the_same_hash_have_flights_of_their_own(void **state)
{
    struct table *table = *state;
    struct sta_flight *one, *two;
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, ann, &one), STRATA_OK);
    assert_int_equal(sta_flight_join(&table->flights, &table->other, 1, bob, &two), STRATA_OK);
    end_with(table, one, "one");
    end_with(table, two, "two");
}

static void an_error_goes_to_all(void **state)
{
    int failure = 0;
    struct table *table = *state;
    struct sta_flight *run, *second;
    struct strata_value value = {0};
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, ann, &run), STRATA_OK);
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, bob, &second), STRATA_MORE);
    sta_flight_end(&table->flights, run, -1234, 0, &value);
    assert_int_equal(sta_flight_wait(&table->flights, second, bob, STA_NEVER, &failure, &value),
                     -1234);
    assert_null(value.bytes.data);
}

static void who_comes_after_an_invalidation_does_not_join(void **state)
{
    struct table *table = *state;
    struct sta_flight *old, *second, *new, *third;
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, ann, &old), STRATA_OK);
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, bob, &second), STRATA_MORE);
    assert_true(sta_flight_is_current(&table->flights, old, 1));
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 2, cid, &new), STRATA_OK);
    assert_false(sta_flight_is_current(&table->flights, old, 2));
    assert_true(sta_flight_is_current(&table->flights, new, 2));
    /* One who looked before the invalidation and came after it: newer is as good. */
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, bob, &third), STRATA_MORE);
    end_with(table, old, "old");
    assert_waits(table, second, "old");
    end_with(table, new, "new");
    assert_waits(table, third, "new");
}

static void what_is_overtaken_is_not_current_and_not_joined(void **state)
{
    struct table *table = *state;
    struct sta_flight *old, *new;
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 0, ann, &old), STRATA_OK);
    sta_flight_overtake(&table->flights, &table->other);
    assert_true(sta_flight_is_current(&table->flights, old, 0));
    sta_flight_overtake(&table->flights, &table->key);
    assert_false(sta_flight_is_current(&table->flights, old, 0));
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 0, bob, &new), STRATA_OK);
    assert_true(sta_flight_is_current(&table->flights, new, 0));
    end_with(table, old, "old");
    end_with(table, new, "new");
}

static void a_wait_ends_at_its_deadline_and_the_load_goes_on(void **state)
{
    int failure = 0;
    struct table *table = *state;
    struct sta_flight *run, *second;
    struct strata_value value = {0};
    uint64_t soon_ns = sta_clock_now_ns() + 5 * STA_NS_MS;
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, ann, &run), STRATA_OK);
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, bob, &second), STRATA_MORE);
    assert_int_equal(sta_flight_wait(&table->flights, second, bob, soon_ns, &failure, &value),
                     STRATA_ERR_TIMEOUT);
    assert_true(sta_clock_now_ns() >= soon_ns);
    assert_true(sta_flight_is_current(&table->flights, run, 1));
    end_with(table, run, "late");
}

static void a_thread_that_asks_for_what_it_loads_is_told(void **state)
{
    struct table *table = *state;
    struct sta_flight *run, *inner;
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, ann, &run), STRATA_OK);
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, ann, &inner),
                     STRATA_ERR_DEADLOCK);
    sta_flight_overtake(&table->flights, &table->key);
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 2, ann, &inner),
                     STRATA_ERR_DEADLOCK);
    assert_int_equal(sta_flight_join(&table->flights, &table->other, 1, ann, &inner), STRATA_OK);
    end_with(table, inner, "other");
    end_with(table, run, "value");
}

/* ---- with threads ---- */

struct waiter {
    struct table *table;
    struct sta_flight *flight;
    pthread_t thread;
    int status;
    atomic_bool got;
};

static void *wait_for_it(void *arg)
{
    int failure = 0;
    struct waiter *waiter = arg;
    struct strata_value value = {0};
    waiter->status = sta_flight_wait(&waiter->table->flights, waiter->flight, pthread_self(),
                                     STA_NEVER, &failure, &value);
    atomic_store(&waiter->got, value.bytes.len == 5 && memcmp(value.bytes.data, "value", 5) == 0);
    sta_value_release(&value);
    return NULL;
}

static void all_that_wait_are_woken_and_each_has_its_share(void **state)
{
    struct table *table = *state;
    struct sta_flight *run;
    struct waiter waiters[WAITERS];
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, ann, &run), STRATA_OK);
    for (unsigned i = 0; i < WAITERS; i++) {
        waiters[i] = (struct waiter){.table = table};
        assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, bob, &waiters[i].flight),
                         STRATA_MORE);
        assert_int_equal(pthread_create(&waiters[i].thread, NULL, wait_for_it, &waiters[i]), 0);
    }
    end_with(table, run, "value");
    for (unsigned i = 0; i < WAITERS; i++) {
        pthread_join(waiters[i].thread, NULL);
        assert_int_equal(waiters[i].status, STRATA_OK);
        assert_true(atomic_load(&waiters[i].got));
    }
}

struct circle {
    struct table *table;
    struct sta_flight *own;
    atomic_bool runs;
};

/* Asks as Ann until the other thread waits for her. */
static bool ann_is_told(void *arg)
{
    int failure = 0;
    struct circle *circle = arg;
    struct table *table = circle->table;
    struct sta_flight *flight;
    if (!atomic_load(&circle->runs))
        return false;
    int status = sta_flight_join(&table->flights, &table->other, 1, ann, &flight);
    if (status != STRATA_MORE)
        return status == STRATA_ERR_DEADLOCK;
    struct strata_value value = {0};
    (void)sta_flight_wait(&table->flights, flight, cid, 0, &failure, &value);
    return false;
}

/* Runs the load of `other`, and needs `key` for it. */
static void *load_other(void *arg)
{
    int failure = 0;
    struct circle *circle = arg;
    struct sta_flights *flights = &circle->table->flights;
    struct sta_flight *needed;
    struct strata_value value = {0};
    if (sta_flight_join(flights, &circle->table->other, 1, pthread_self(), &circle->own) !=
        STRATA_OK)
        return NULL;
    atomic_store(&circle->runs, true);
    if (sta_flight_join(flights, &circle->table->key, 1, pthread_self(), &needed) != STRATA_MORE)
        return NULL;
    int status = sta_flight_wait(flights, needed, pthread_self(), STA_NEVER, &failure, &value);
    sta_flight_end(flights, circle->own, status, 0, &value);
    sta_value_release(&value);
    return NULL;
}

/* Ann loads `key`, another thread loads `other` and waits for `key`; now Ann asks for `other`. */
static void who_would_close_a_circle_is_told_instead(void **state)
{
    struct table *table = *state;
    struct sta_flight *run;
    struct circle circle = {.table = table};
    pthread_t thread;
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, ann, &run), STRATA_OK);
    assert_int_equal(pthread_create(&thread, NULL, load_other, &circle), 0);
    assert_true(wait_until(ann_is_told, &circle, PATIENT_MS));
    end_with(table, run, "value");
    pthread_join(thread, NULL);
}

/* Each that waits has both, and chooses. */
static void a_failure_goes_with_what_is_stale(void **state)
{
    struct table *table = *state;
    struct sta_flight *run, *second;
    struct strata_value value = value_of("value"), got = {0};
    int failure = 0;
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, ann, &run), STRATA_OK);
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, bob, &second), STRATA_MORE);
    sta_flight_end(&table->flights, run, STRATA_STALE, -1234, &value);
    assert_int_equal(sta_flight_wait(&table->flights, second, bob, STA_NEVER, &failure, &got),
                     STRATA_STALE);
    assert_int_equal(failure, -1234);
    assert_int_equal(got.bytes.len, 5);
    sta_value_release(&got);
    sta_value_release(&value);
}

/* ---- who listens ---- */

struct listener {
    struct sta_flight_listener base;
    unsigned told;
};

static void tell_it(struct sta_flight_listener *base)
{
    STA_CONTAINER(base, struct listener, base)->told++;
}

static void listeners_are_told_once_and_have_their_share(void **state)
{
    struct table *table = *state;
    struct sta_flight *run, *one, *two, *late;
    struct listener first = {.base.over = tell_it}, second = first, third = first;
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, 0, &run), STRATA_OK);
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, 0, &one), STRATA_MORE);
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, 0, &two), STRATA_MORE);
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, 0, &late), STRATA_MORE);
    assert_true(sta_flight_listen(&table->flights, one, &first.base));
    assert_true(sta_flight_listen(&table->flights, two, &second.base));
    assert_true(sta_flight_unlisten(&table->flights, two, &second.base));
    assert_false(sta_flight_unlisten(&table->flights, two, &second.base));
    end_with(table, run, "value");
    assert_int_equal(first.told, 1);
    assert_int_equal(second.told, 0);
    assert_false(sta_flight_unlisten(&table->flights, one, &first.base));
    assert_false(sta_flight_listen(&table->flights, late, &third.base)); /* it is over */
    assert_int_equal(third.told, 0);
    struct listener *have[] = {&first, &third};
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(have[i]->base.status, STRATA_OK);
        assert_int_equal(have[i]->base.value.bytes.len, 5);
        sta_value_release(&have[i]->base.value);
    }
}

/* Who runs nothing himself may wait for a thread as long as he likes. */
static void who_runs_a_load_is_told_that_another_waits_for_a_thread(void **state)
{
    struct table *table = *state;
    struct sta_flight *outer, *inner, *joined, *also;
    uint64_t soon_ns = sta_clock_now_ns() + STA_NS_MS;
    assert_int_equal(sta_flight_join(&table->flights, &table->key, 1, ann, &outer), STRATA_OK);
    assert_int_equal(sta_flight_join(&table->flights, &table->other, 1, 0, &inner), STRATA_OK);
    assert_int_equal(sta_flight_join(&table->flights, &table->other, 1, ann, &joined), STRATA_MORE);
    assert_int_equal(sta_flight_join(&table->flights, &table->other, 1, bob, &also), STRATA_MORE);
    /* Nobody runs it, and it is not in the queue: that may come. */
    assert_false(sta_flight_wait_begun(&table->flights, joined, ann, soon_ns));
    assert_true(sta_clock_now_ns() >= soon_ns);
    sta_flight_hand_over(&table->flights, inner);
    sta_flight_queued(&table->flights, inner);
    assert_true(sta_flight_wait_begun(&table->flights, joined, ann, STA_NEVER));
    assert_false(sta_flight_wait_begun(&table->flights, also, bob, STA_NEVER));
    sta_flight_run_on(&table->flights, inner, cid);
    assert_false(sta_flight_wait_begun(&table->flights, joined, ann, STA_NEVER));
    sta_flight_leave(&table->flights, inner);
    sta_flight_leave(&table->flights, joined);
    sta_flight_leave(&table->flights, also);
    end_with(table, inner, "inner");
    end_with(table, outer, "outer");
}

/* Of thousands of keys in one call, each is a look at a few others. */
static void many_keys_of_one_thread_are_not_each_compared_with_all(void **state)
{
    struct table *table = *state;
    enum { KEYS = 8192 };
    static struct sta_flight *flights[KEYS];
    struct sta_flight *waiting;
    for (uint64_t i = 0; i < KEYS; i++) {
        struct sta_key key = {strata_bytes(&i, sizeof i), i * UINT64_C(0x9e3779b97f4a7c15) >> 20};
        assert_int_equal(sta_flight_join(&table->flights, &key, 1, ann, &flights[i]), STRATA_OK);
        assert_int_equal(sta_flight_join(&table->flights, &key, 1, bob, &waiting), STRATA_MORE);
        assert_false(sta_flight_wait_begun(&table->flights, waiting, bob, STA_NEVER));
        sta_flight_leave(&table->flights, waiting);
    }
    assert_true(table->flights.looks < UINT64_C(100) * KEYS);
    for (unsigned i = 0; i < KEYS; i++)
        sta_flight_end(&table->flights, flights[i], STRATA_MISS, 0, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_runs_and_the_others_get_what_it_brought, start,
                                        stop),
        cmocka_unit_test_setup_teardown(keys_with_the_same_hash_have_flights_of_their_own, start,
                                        stop),
        cmocka_unit_test_setup_teardown(an_error_goes_to_all, start, stop),
        cmocka_unit_test_setup_teardown(a_failure_goes_with_what_is_stale, start, stop),
        cmocka_unit_test_setup_teardown(who_comes_after_an_invalidation_does_not_join, start, stop),
        cmocka_unit_test_setup_teardown(what_is_overtaken_is_not_current_and_not_joined, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_wait_ends_at_its_deadline_and_the_load_goes_on, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_thread_that_asks_for_what_it_loads_is_told, start, stop),
        cmocka_unit_test_setup_teardown(all_that_wait_are_woken_and_each_has_its_share, start,
                                        stop),
        cmocka_unit_test_setup_teardown(who_would_close_a_circle_is_told_instead, start, stop),
        cmocka_unit_test_setup_teardown(listeners_are_told_once_and_have_their_share, start, stop),
        cmocka_unit_test_setup_teardown(who_runs_a_load_is_told_that_another_waits_for_a_thread,
                                        start, stop),
        cmocka_unit_test_setup_teardown(many_keys_of_one_thread_are_not_each_compared_with_all,
                                        start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
