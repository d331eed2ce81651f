/* SPDX-License-Identifier: MIT
 *
 * The event loop: posting from many threads, timers, flush hooks, start and stop.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/nap.h"
#include "net/loop.h"
#include "strata/status.h"

static struct sta_loop *loop_make(void)
{
    struct sta_loop *loop = NULL;
    assert_int_equal(sta_loop_create(&loop), STRATA_OK);
    return loop;
}

/* ---- posting ---- */

#define POSTERS           4
#define TASKS_PER_POSTER  20000
#define TASKS_OF_A_WINDOW 64

struct post_test;

struct numbered {
    struct sta_task task;
    struct post_test *test;
    unsigned poster;
    unsigned number;
};

struct post_test {
    struct sta_loop *loop;
    unsigned ran;
    unsigned next[POSTERS]; /* the number that has to come next, per poster */
    bool out_of_order;
    bool wrong_thread;
    struct numbered tasks[POSTERS][TASKS_PER_POSTER];
};

static void on_numbered(struct sta_task *task)
{
    struct numbered *numbered = STA_CONTAINER(task, struct numbered, task);
    struct post_test *test = numbered->test;
    test->out_of_order |= numbered->number != test->next[numbered->poster];
    test->next[numbered->poster] = numbered->number + 1;
    test->wrong_thread |= !sta_loop_is_own_thread(test->loop);
    if (++test->ran == POSTERS * TASKS_PER_POSTER)
        sta_loop_stop(test->loop);
}

static void *post_all(void *arg)
{
    struct numbered *tasks = arg;
    for (unsigned i = 0; i < TASKS_PER_POSTER; i++) {
        sta_loop_post(tasks[i].test->loop, &tasks[i].task);
        if (i % TASKS_OF_A_WINDOW == 0)
            sched_yield(); /* lets the loop fall asleep now and then */
    }
    return NULL;
}

static void tasks_of_many_threads_all_run_in_the_order_of_each_thread(void **state)
{
    (void)state;
    struct post_test *test = calloc(1, sizeof *test);
    pthread_t posters[POSTERS];
    assert_non_null(test);
    test->loop = loop_make();
    assert_int_equal(sta_loop_start(test->loop, "test-loop"), STRATA_OK);
    for (unsigned p = 0; p < POSTERS; p++) {
        for (unsigned i = 0; i < TASKS_PER_POSTER; i++)
            test->tasks[p][i] =
                (struct numbered){.task.run = on_numbered, .test = test, .poster = p, .number = i};
        assert_int_equal(pthread_create(&posters[p], NULL, post_all, test->tasks[p]), 0);
    }
    for (unsigned p = 0; p < POSTERS; p++)
        pthread_join(posters[p], NULL);
    sta_loop_join(test->loop);
    assert_int_equal(test->ran, POSTERS * TASKS_PER_POSTER);
    assert_false(test->out_of_order);
    assert_false(test->wrong_thread);
    assert_false(sta_loop_is_own_thread(test->loop));
    sta_loop_destroy(&test->loop);
    assert_null(test->loop);
    free(test);
}

struct counter {
    struct sta_task task;
    struct sta_loop *loop;
    unsigned count;
    unsigned until;
};

static void on_count_and_post_again(struct sta_task *task)
{
    struct counter *counter = STA_CONTAINER(task, struct counter, task);
    if (++counter->count < counter->until)
        sta_loop_post(counter->loop, task);
    else
        sta_loop_stop(counter->loop);
}

static void a_task_may_post_itself_again(void **state)
{
    (void)state;
    struct counter counter = {.task.run = on_count_and_post_again, .until = 1000};
    counter.loop = loop_make();
    sta_loop_post(counter.loop, &counter.task);
    sta_loop_run(counter.loop);
    assert_int_equal(counter.count, 1000);
    sta_loop_destroy(&counter.loop);
}

static void on_free_self(struct sta_task *task)
{
    free(task);
}

static void a_task_may_free_itself(void **state)
{
    (void)state;
    struct sta_loop *loop = loop_make();
    for (unsigned i = 0; i < 100; i++) {
        struct sta_task *task = calloc(1, sizeof *task);
        assert_non_null(task);
        task->run = on_free_self;
        sta_loop_post(loop, task);
    }
    sta_loop_stop(loop);
    sta_loop_run(loop);
    sta_loop_destroy(&loop);
}

static void on_count(struct sta_task *task)
{
    STA_CONTAINER(task, struct counter, task)->count++;
}

static void what_was_posted_before_stop_runs(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        struct counter counters[10];
        struct sta_loop *loop = loop_make();
        assert_int_equal(sta_loop_start(loop, "a name that is cut to fit"), STRATA_OK);
        for (unsigned i = 0; i < 10; i++) {
            counters[i] = (struct counter){.task.run = on_count};
            sta_loop_post(loop, &counters[i].task);
        }
        sta_loop_stop(loop);
        sta_loop_join(loop);
        for (unsigned i = 0; i < 10; i++)
            assert_int_equal(counters[i].count, 1);
        sta_loop_destroy(&loop);
    }
}

static void a_loop_can_be_run_again_after_stop(void **state)
{
    (void)state;
    struct counter counter = {.task.run = on_count_and_post_again, .until = 1};
    counter.loop = loop_make();
    for (unsigned round = 0; round < 3; round++) {
        counter.count = 0;
        sta_loop_post(counter.loop, &counter.task);
        sta_loop_run(counter.loop);
        assert_int_equal(counter.count, 1);
    }
    sta_loop_destroy(&counter.loop);
}

struct slumber {
    struct sta_loop *loop;
    struct sta_task wake, end;
    uint64_t used_ns[2]; /* processor time of the loop's thread: when it was woken, at the end */
};

static uint64_t used_ns(void)
{
    struct timespec used;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * STA_NS_SEC + (uint64_t)used.tv_nsec;
}

static void on_wake(struct sta_task *task)
{
    STA_CONTAINER(task, struct slumber, wake)->used_ns[0] = used_ns();
}

static void on_end(struct sta_task *task)
{
    struct slumber *slumber = STA_CONTAINER(task, struct slumber, end);
    slumber->used_ns[1] = used_ns();
    sta_loop_stop(slumber->loop);
}

static void *run_loop(void *arg)
{
    sta_loop_run(arg);
    return NULL;
}

static void a_loop_that_was_woken_sleeps_again(void **state)
{
    (void)state;
    struct slumber slumber = {.wake.run = on_wake, .end.run = on_end};
    pthread_t thread;
    slumber.loop = loop_make();
    assert_int_equal(pthread_create(&thread, NULL, run_loop, slumber.loop), 0);
    sta_nap_ns(50 * STA_NS_MS); /* it waits */
    sta_loop_post(slumber.loop, &slumber.wake);
    sta_nap_ns(300 * STA_NS_MS);
    sta_loop_post(slumber.loop, &slumber.end);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(slumber.used_ns[1] - slumber.used_ns[0] < 50 * STA_NS_MS);
    sta_loop_destroy(&slumber.loop);
}

static void destroying_nothing_is_fine(void **state)
{
    (void)state;
    struct sta_loop *loop = NULL;
    sta_loop_destroy(&loop);
    loop = loop_make();
    sta_loop_join(loop); /* never started */
    sta_loop_destroy(&loop);
}

/* ---- timers ---- */

#define TIMERS 8

struct timer_test;

struct alarm {
    struct sta_timer timer;
    struct timer_test *test;
    unsigned id;
};

struct timer_test {
    struct sta_loop *loop;
    struct alarm alarms[TIMERS];
    unsigned fired[TIMERS * 2];
    unsigned fired_count;
    unsigned stop_after;
    bool early;
};

static void timer_note(struct sta_timer *timer)
{
    struct alarm *alarm = STA_CONTAINER(timer, struct alarm, timer);
    struct timer_test *test = alarm->test;
    test->early |= sta_clock_now_ns() < timer->due_ns;
    test->fired[test->fired_count++] = alarm->id;
    if (test->fired_count == test->stop_after)
        sta_loop_stop(test->loop);
}

static void timer_test_init(struct timer_test *test, void (*fire)(struct sta_timer *),
                            unsigned stop_after)
{
    *test = (struct timer_test){.loop = loop_make(), .stop_after = stop_after};
    for (unsigned i = 0; i < TIMERS; i++) {
        test->alarms[i].test = test;
        test->alarms[i].id = i;
        sta_timer_init(&test->alarms[i].timer, fire);
    }
}

static void timers_fire_in_the_order_of_their_due_times_and_never_early(void **state)
{
    (void)state;
    static const unsigned delay_ms[TIMERS] = {9, 3, 12, 0, 6, 3, 15, 1};
    static const unsigned expected[TIMERS] = {3, 7, 1, 5, 4, 0, 2, 6};
    struct timer_test test;
    timer_test_init(&test, timer_note, TIMERS);
    uint64_t now_ns = sta_loop_now_ns(test.loop);
    for (unsigned i = 0; i < TIMERS; i++)
        sta_timer_start(test.loop, &test.alarms[i].timer, now_ns + delay_ms[i] * STA_NS_MS);
    sta_loop_run(test.loop);
    assert_memory_equal(test.fired, expected, sizeof expected);
    assert_false(test.early);
    sta_loop_destroy(&test.loop);
}

/* The first one stops the second, due at the same time, and the fourth; and moves the third to
 * behind the fifth. */
static void timer_meddle(struct sta_timer *timer)
{
    struct timer_test *test = STA_CONTAINER(timer, struct alarm, timer)->test;
    timer_note(timer);
    if (STA_CONTAINER(timer, struct alarm, timer)->id != 0)
        return;
    sta_timer_stop(test->loop, &test->alarms[1].timer);
    sta_timer_stop(test->loop, &test->alarms[3].timer);
    sta_timer_stop(test->loop, &test->alarms[3].timer);
    memset(&test->alarms[3], 0x5a, sizeof test->alarms[3]); /* the memory may go right away */
    sta_timer_start(test->loop, &test->alarms[2].timer, timer->due_ns + 4 * STA_NS_MS);
}

static void a_timer_may_stop_and_move_others_from_within(void **state)
{
    (void)state;
    static const unsigned expected[] = {0, 4, 2};
    struct timer_test test;
    timer_test_init(&test, timer_meddle, 3);
    uint64_t now_ns = sta_loop_now_ns(test.loop);
    for (unsigned i = 0; i < 4; i++)
        sta_timer_start(test.loop, &test.alarms[i].timer, now_ns + STA_NS_MS);
    sta_timer_start(test.loop, &test.alarms[4].timer, now_ns + 2 * STA_NS_MS);
    sta_loop_run(test.loop);
    assert_int_equal(test.fired_count, 3);
    assert_memory_equal(test.fired, expected, sizeof expected);
    sta_loop_destroy(&test.loop);
}

static void timer_again(struct sta_timer *timer)
{
    struct timer_test *test = STA_CONTAINER(timer, struct alarm, timer)->test;
    timer_note(timer);
    sta_timer_start(test->loop, timer, 1); /* long past */
}

static void a_timer_that_restarts_itself_for_the_past_does_not_hang_the_tick(void **state)
{
    (void)state;
    struct timer_test test;
    timer_test_init(&test, timer_again, 2 * TIMERS);
    sta_timer_start(test.loop, &test.alarms[0].timer, sta_loop_now_ns(test.loop));
    sta_timer_start(test.loop, &test.alarms[1].timer, sta_loop_now_ns(test.loop));
    sta_loop_run(test.loop);
    for (unsigned i = 0; i < 2 * TIMERS; i++)
        assert_int_equal(test.fired[i], i % 2); /* both get their turn */
    sta_loop_destroy(&test.loop);
}

static void a_timer_that_is_due_never_does_not_fire(void **state)
{
    (void)state;
    struct timer_test test;
    timer_test_init(&test, timer_note, 1);
    sta_timer_start(test.loop, &test.alarms[0].timer, STA_NEVER);
    sta_timer_start(test.loop, &test.alarms[1].timer, sta_loop_now_ns(test.loop) + STA_NS_MS);
    sta_loop_run(test.loop);
    assert_int_equal(test.fired_count, 1);
    assert_int_equal(test.fired[0], 1);
    sta_loop_destroy(&test.loop);
}

/* ---- flush hooks ---- */

struct flush_test {
    struct sta_loop *loop;
    struct sta_flush flush;
    struct sta_flush cancelled;
    struct sta_task first;
    struct sta_task second;
    struct sta_task between; /* posted by a hook: the tick between it and the next */
    unsigned tasks;
    unsigned betweens;
    bool too_early;
    unsigned tasks_before_flush;
    unsigned flushes;
    unsigned flushes_wanted;
    bool cancelled_ran;
};

static void on_flush(struct sta_flush *flush)
{
    struct flush_test *test = STA_CONTAINER(flush, struct flush_test, flush);
    test->tasks_before_flush = test->tasks;
    test->too_early |= test->betweens != test->flushes;
    if (++test->flushes < test->flushes_wanted) {
        sta_flush_request(test->loop, flush); /* the next tick comes without anybody's help */
        sta_loop_post(test->loop, &test->between);
    } else {
        sta_loop_stop(test->loop);
    }
}

static void on_between(struct sta_task *task)
{
    STA_CONTAINER(task, struct flush_test, between)->betweens++;
}

static void on_cancelled(struct sta_flush *flush)
{
    STA_CONTAINER(flush, struct flush_test, cancelled)->cancelled_ran = true;
}

static void flush_test_task(struct flush_test *test)
{
    test->tasks++;
    sta_flush_request(test->loop, &test->flush);
    sta_flush_request(test->loop, &test->flush);
}

static void on_first(struct sta_task *task)
{
    struct flush_test *test = STA_CONTAINER(task, struct flush_test, first);
    flush_test_task(test);
    sta_flush_request(test->loop, &test->cancelled);
}

static void on_second(struct sta_task *task)
{
    struct flush_test *test = STA_CONTAINER(task, struct flush_test, second);
    flush_test_task(test);
    sta_flush_cancel(&test->cancelled);
}

static void flush_test_run(unsigned flushes_wanted)
{
    struct flush_test test = {
        .first.run = on_first, .second.run = on_second, .between.run = on_between};
    test.loop = loop_make();
    test.flushes_wanted = flushes_wanted;
    sta_flush_init(&test.flush, on_flush);
    sta_flush_init(&test.cancelled, on_cancelled);
    sta_loop_post(test.loop, &test.first);
    sta_loop_post(test.loop, &test.second);
    sta_loop_run(test.loop);
    assert_int_equal(test.flushes, flushes_wanted);
    assert_int_equal(test.tasks_before_flush, 2);
    assert_false(test.cancelled_ran);
    assert_false(test.too_early);
    sta_loop_destroy(&test.loop);
}

static void a_flush_hook_runs_once_after_all_that_the_tick_did(void **state)
{
    (void)state;
    flush_test_run(1);
}

static void a_flush_hook_asked_for_by_a_flush_hook_runs_in_the_next_tick(void **state)
{
    (void)state;
    flush_test_run(5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_of_many_threads_all_run_in_the_order_of_each_thread),
        cmocka_unit_test(a_task_may_post_itself_again),
        cmocka_unit_test(a_task_may_free_itself),
        cmocka_unit_test(what_was_posted_before_stop_runs),
        cmocka_unit_test(a_loop_can_be_run_again_after_stop),
        cmocka_unit_test(a_loop_that_was_woken_sleeps_again),
        cmocka_unit_test(destroying_nothing_is_fine),
        cmocka_unit_test(timers_fire_in_the_order_of_their_due_times_and_never_early),
        cmocka_unit_test(a_timer_may_stop_and_move_others_from_within),
        cmocka_unit_test(a_timer_that_restarts_itself_for_the_past_does_not_hang_the_tick),
        cmocka_unit_test(a_timer_that_is_due_never_does_not_fire),
        cmocka_unit_test(a_flush_hook_runs_once_after_all_that_the_tick_did),
        cmocka_unit_test(a_flush_hook_asked_for_by_a_flush_hook_runs_in_the_next_tick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
