/* SPDX-License-Identifier: MIT
 *
 * Waiting for a loop: who leads it, how the lead passes from thread to thread, and that nothing
 * on the loop is forgotten meanwhile: posts, timers, tasks of the loop's own thread, its end.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sched.h>
#include <unistd.h>
#include <uv.h>

#include "core/clock.h"
#include "net/loop.h"
#include "net/waiter.h"
#include "strata/status.h"
#include "support/wait.h"

#define WAIT_MS 20000

static struct sta_loop *loop_start(void)
{
    struct sta_loop *loop = NULL;
    assert_int_equal(sta_loop_create(&loop), STRATA_OK);
    assert_int_equal(sta_loop_start(loop, "test-waiter"), STRATA_OK);
    return loop;
}

static void loop_end(struct sta_loop **loop)
{
    sta_loop_stop(*loop);
    sta_loop_join(*loop);
    sta_loop_destroy(loop);
}

static bool is_set(void *flag)
{
    return atomic_load((atomic_bool *)flag);
}

struct flag {
    struct sta_task task;
    atomic_bool set;
    pthread_t thread;
};

static void on_flag(struct sta_task *task)
{
    struct flag *flag = STA_CONTAINER(task, struct flag, task);
    flag->thread = pthread_self();
    atomic_store(&flag->set, true);
}

/* ---- one caller ---- */

/* A request that is answered as soon as the loop sees it. Lives on the caller's stack. */
struct request {
    struct sta_task task;
    struct sta_waiter waiter;
    pthread_t leader;
    int answer; /* written before the signal, read after the wait */
};

static void on_request(struct sta_task *task)
{
    struct request *request = STA_CONTAINER(task, struct request, task);
    request->leader = pthread_self();
    request->answer = 42;
    sta_waiter_signal(&request->waiter);
}

static bool caller_led_with(struct sta_loop *loop,
                            void (*init)(struct sta_waiter *waiter, struct sta_loop *loop))
{
    struct request request = {.task.run = on_request};
    init(&request.waiter, loop);
    sta_loop_post(loop, &request.task);
    sta_waiter_wait(&request.waiter);
    assert_int_equal(request.answer, 42);
    return pthread_equal(request.leader, pthread_self());
}

static bool caller_led(struct sta_loop *loop)
{
    return caller_led_with(loop, sta_waiter_init);
}

static void a_caller_alone_leads_the_loop_itself(void **state)
{
    (void)state;
    struct sta_loop *loop = loop_start();
    unsigned led = 0;
    for (unsigned i = 0; i < 10000; i++)
        led += caller_led(loop);
    /* The first call finds the loop's thread leading; it looks after the loop at most once in a
     * millisecond from then on. */
    assert_true(led > 5000);
    loop_end(&loop);
}

static void a_caller_that_comes_rarely_leads_too(void **state)
{
    (void)state;
    struct sta_loop *loop = loop_start();
    unsigned led = 0;
    (void)caller_led(loop);
    for (unsigned i = 0; i < 20; i++) {
        atomic_bool never = false;
        (void)wait_until(is_set, &never, 5); /* the loop's thread watches by now */
        led += caller_led(loop);
    }
    assert_true(led > 10);
    loop_end(&loop);
}

static void a_loop_that_one_thread_runs_is_never_led_by_a_caller(void **state)
{
    (void)state;
    struct sta_loop *loop = NULL;
    assert_int_equal(sta_loop_create(&loop), STRATA_OK);
    struct request request = {.task.run = on_request};
    sta_waiter_init(&request.waiter, loop); /* not running yet */
    sta_loop_post(loop, &request.task);
    sta_loop_stop(loop);
    sta_loop_run(loop);
    sta_waiter_wait(&request.waiter); /* told before */
    assert_int_equal(request.answer, 42);
    sta_loop_destroy(&loop);
}

struct caller {
    struct sta_loop *loop;
    atomic_bool stop;
    unsigned led;
};

static void *call_on(void *arg)
{
    struct caller *caller = arg;
    while (!atomic_load(&caller->stop))
        caller->led += caller_led(caller->loop);
    return NULL;
}

static void who_stands_aside_never_leads_whoever_else_calls(void **state)
{
    (void)state;
    struct caller caller = {.loop = loop_start()};
    pthread_t thread;
    for (unsigned i = 0; i < 1000; i++)
        assert_false(caller_led_with(caller.loop, sta_waiter_init_aside));
    assert_int_equal(pthread_create(&thread, NULL, call_on, &caller), 0);
    for (unsigned i = 0; i < 1000; i++)
        assert_false(caller_led_with(caller.loop, sta_waiter_init_aside));
    atomic_store(&caller.stop, true);
    pthread_join(thread, NULL);
    assert_true(caller.led > 0);
    loop_end(&caller.loop);
}

/* ---- many callers, and a peer that answers from elsewhere ---- */

#define CALLERS 8
#define CALLS   2000

struct peer;

struct question {
    struct sta_task task; /* to the loop, then back from the peer */
    struct sta_waiter waiter;
    struct peer *peer;
    struct question *next;
    unsigned number;
    unsigned answer;
};

/* As Redis is: another thread, to which the leader sends and whose answers wake the leader. */
struct peer {
    struct sta_loop *loop;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t asked;
    struct question *questions; /* guarded by lock */
    bool stop;                  /* guarded by lock */
};

static void on_answer(struct sta_task *task)
{
    sta_waiter_signal(&STA_CONTAINER(task, struct question, task)->waiter);
}

static void on_question(struct sta_task *task)
{
    struct question *question = STA_CONTAINER(task, struct question, task);
    struct peer *peer = question->peer;
    pthread_mutex_lock(&peer->lock);
    question->next = peer->questions;
    peer->questions = question;
    pthread_cond_signal(&peer->asked);
    pthread_mutex_unlock(&peer->lock);
}

static void *peer_answer(void *arg)
{
    struct peer *peer = arg;
    pthread_mutex_lock(&peer->lock);
    while (!peer->stop) {
        struct question *question = peer->questions;
        if (question == NULL) {
            pthread_cond_wait(&peer->asked, &peer->lock);
            continue;
        }
        peer->questions = question->next;
        pthread_mutex_unlock(&peer->lock);
        question->answer = question->number + 1;
        question->task.run = on_answer;
        sta_loop_post(peer->loop, &question->task);
        pthread_mutex_lock(&peer->lock);
    }
    pthread_mutex_unlock(&peer->lock);
    return NULL;
}

static void peer_start(struct peer *peer)
{
    *peer = (struct peer){.loop = loop_start()};
    pthread_mutex_init(&peer->lock, NULL);
    pthread_cond_init(&peer->asked, NULL);
    assert_int_equal(pthread_create(&peer->thread, NULL, peer_answer, peer), 0);
}

static void peer_stop(struct peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    peer->stop = true;
    pthread_cond_signal(&peer->asked);
    pthread_mutex_unlock(&peer->lock);
    pthread_join(peer->thread, NULL);
    loop_end(&peer->loop);
    pthread_cond_destroy(&peer->asked);
    pthread_mutex_destroy(&peer->lock);
}

static bool peer_answers(struct peer *peer, unsigned number)
{
    struct question question = {.task.run = on_question, .peer = peer, .number = number};
    sta_waiter_init(&question.waiter, peer->loop);
    sta_loop_post(peer->loop, &question.task);
    sta_waiter_wait(&question.waiter);
    return question.answer == number + 1;
}

static void *ask_often(void *arg)
{
    unsigned answered = 0;
    for (unsigned i = 0; i < CALLS; i++)
        answered += peer_answers(arg, i);
    return answered == CALLS ? arg : NULL;
}

static void every_caller_of_many_is_answered_whoever_leads(void **state)
{
    (void)state;
    struct peer peer;
    pthread_t callers[CALLERS];
    peer_start(&peer);
    for (unsigned i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_create(&callers[i], NULL, ask_often, &peer), 0);
    for (unsigned i = 0; i < CALLERS; i++) {
        void *answered = NULL;
        pthread_join(callers[i], &answered);
        assert_non_null(answered);
    }
    peer_stop(&peer);
}

/* ---- what else lives on the loop ---- */

struct beat {
    struct sta_timer timer;
    struct sta_loop *loop;
    atomic_uint beats;
};

static void on_beat(struct sta_timer *timer)
{
    struct beat *beat = STA_CONTAINER(timer, struct beat, timer);
    atomic_fetch_add(&beat->beats, 1);
    sta_timer_start(beat->loop, timer, sta_loop_now_ns(beat->loop) + 2 * STA_NS_MS);
}

static void timers_fire_while_callers_lead_and_between_their_calls(void **state)
{
    (void)state;
    struct beat beat = {.loop = NULL};
    struct sta_loop *loop = NULL;
    assert_int_equal(sta_loop_create(&loop), STRATA_OK);
    beat.loop = loop;
    sta_timer_init(&beat.timer, on_beat);
    sta_timer_start(loop, &beat.timer, 1);
    assert_int_equal(sta_loop_start(loop, "test-waiter"), STRATA_OK);
    uint64_t until_ns = sta_clock_now_ns() + 200 * STA_NS_MS;
    while (sta_clock_now_ns() < until_ns) {
        (void)caller_led(loop);
        (void)caller_led(loop);
        uint64_t pause_ns = sta_clock_now_ns() + STA_NS_MS / 2;
        while (sta_clock_now_ns() < pause_ns)
            sched_yield();
    }
    assert_true(atomic_load(&beat.beats) > 20); /* of 100, on a busy machine */
    loop_end(&loop);
}

/* What a caller leaves behind on the loop: a timer, and a descriptor that libuv was told to watch
 * but has not polled yet. */
struct legacy {
    struct request request;
    struct sta_loop *loop;
    struct sta_timer timer;
    uv_poll_t poll;
    int fds[2];
    atomic_bool fired;
    atomic_bool readable;
    atomic_bool closed;
};

static void on_legacy_timer(struct sta_timer *timer)
{
    atomic_store(&STA_CONTAINER(timer, struct legacy, timer)->fired, true);
}

static void on_legacy_closed(uv_handle_t *handle)
{
    atomic_store(&((struct legacy *)handle->data)->closed, true);
}

static void on_legacy_poll(uv_poll_t *poll, int status, int events)
{
    struct legacy *legacy = poll->data;
    if (status == 0 && events == UV_READABLE)
        atomic_store(&legacy->readable, true);
    uv_close((uv_handle_t *)poll, on_legacy_closed);
}

static void on_legacy(struct sta_task *task)
{
    struct legacy *legacy = STA_CONTAINER(task, struct legacy, request.task);
    uint64_t now_ns = sta_loop_now_ns(legacy->loop);
    sta_timer_start(legacy->loop, &legacy->timer, now_ns + 3 * STA_NS_MS);
    (void)uv_poll_init(sta_loop_uv(legacy->loop), &legacy->poll, legacy->fds[0]);
    (void)uv_poll_start(&legacy->poll, UV_READABLE, on_legacy_poll);
    legacy->poll.data = legacy;
    on_request(task);
}

/* `calls` before: with one the loop's thread watches when we lead, with more it parks. */
static void legacy_is_looked_after(struct sta_loop *loop, unsigned calls)
{
    struct legacy legacy = {.request.task.run = on_legacy, .loop = loop};
    atomic_bool never = false;
    (void)wait_until(is_set, &never, 4);
    assert_int_equal(pipe(legacy.fds), 0);
    assert_int_equal(write(legacy.fds[1], "x", 1), 1);
    sta_timer_init(&legacy.timer, on_legacy_timer);
    for (; calls > 0; calls--)
        (void)caller_led(loop);
    sta_waiter_init(&legacy.request.waiter, loop);
    sta_loop_post(loop, &legacy.request.task);
    sta_waiter_wait(&legacy.request.waiter);
    assert_true(wait_until(is_set, &legacy.fired, WAIT_MS));
    assert_true(wait_until(is_set, &legacy.closed, WAIT_MS));
    assert_true(atomic_load(&legacy.readable));
    (void)close(legacy.fds[0]);
    (void)close(legacy.fds[1]);
}

static void what_a_caller_leaves_on_the_loop_is_looked_after(void **state)
{
    (void)state;
    struct sta_loop *loop = loop_start();
    (void)caller_led(loop);
    for (unsigned i = 0; i < 30; i++)
        legacy_is_looked_after(loop, i % 4);
    loop_end(&loop);
}

static void what_is_posted_when_nobody_calls_any_more_is_served(void **state)
{
    (void)state;
    struct sta_loop *loop = loop_start();
    for (unsigned i = 0; i < 2000; i++) {
        struct flag flag = {.task.run = on_flag};
        (void)caller_led(loop);
        sta_loop_post(loop, &flag.task);
        assert_true(wait_until(is_set, &flag.set, WAIT_MS));
    }
    loop_end(&loop);
}

/* A wait that only the test ends. */
struct long_call {
    struct sta_loop *loop;
    struct sta_waiter waiter;
    struct flag begun;
    atomic_bool returned;
    pthread_t thread;
};

static void *call_long(void *arg)
{
    struct long_call *call = arg;
    sta_waiter_init(&call->waiter, call->loop);
    sta_loop_post(call->loop, &call->begun.task);
    sta_waiter_wait(&call->waiter);
    atomic_store(&call->returned, true);
    return NULL;
}

/* Returns when the caller waits. */
static void long_call_start(struct long_call *call, struct sta_loop *loop)
{
    *call = (struct long_call){.loop = loop, .begun.task.run = on_flag};
    assert_int_equal(pthread_create(&call->thread, NULL, call_long, call), 0);
    assert_true(wait_until(is_set, &call->begun.set, WAIT_MS));
}

struct ender {
    struct sta_task task;
    struct long_call *call;
};

static void on_end(struct sta_task *task)
{
    sta_waiter_signal(&STA_CONTAINER(task, struct ender, task)->call->waiter);
}

static void long_call_end(struct long_call *call)
{
    struct ender ender = {.task.run = on_end, .call = call};
    sta_loop_post(call->loop, &ender.task);
    pthread_join(call->thread, NULL);
    assert_true(atomic_load(&call->returned));
}

/* Returns when the caller leads, which it does unless the loop's thread looks after the loop at
 * that very moment. */
static void long_call_lead(struct long_call *call, struct sta_loop *loop)
{
    for (;;) {
        (void)caller_led(loop); /* so that the loop's thread does not lead */
        long_call_start(call, loop);
        if (pthread_equal(call->begun.thread, call->thread))
            return;
        long_call_end(call);
    }
}

static void tasks_of_the_loops_own_thread_do_not_wait_for_a_caller_that_leads(void **state)
{
    (void)state;
    struct sta_loop *loop = loop_start();
    struct flag first = {.task.run = on_flag};
    sta_loop_post_own(loop, &first.task);
    assert_true(wait_until(is_set, &first.set, WAIT_MS));
    for (unsigned i = 0; i < 50; i++) {
        struct long_call call;
        struct flag flag = {.task.run = on_flag};
        long_call_lead(&call, loop);
        sta_loop_post_own(loop, &flag.task);
        assert_true(wait_until(is_set, &flag.set, WAIT_MS));
        assert_true(pthread_equal(flag.thread, first.thread));
        assert_false(atomic_load(&call.returned));
        long_call_end(&call);
    }
    loop_end(&loop);
}

static void a_caller_that_is_through_does_not_go_on_leading_for_others(void **state)
{
    (void)state;
    struct sta_loop *loop = loop_start();
    struct long_call call;
    long_call_lead(&call, loop);
    for (unsigned i = 0; i < 100; i++)
        (void)caller_led(loop); /* follows, is told, returns */
    long_call_end(&call);
    loop_end(&loop);
}

/* The loop's thread may come in between, but not always. */
static void the_lead_is_passed_on_to_a_caller_that_still_waits(void **state)
{
    (void)state;
    struct sta_loop *loop = loop_start();
    unsigned passed = 0;
    for (unsigned i = 0; i < 20; i++) {
        struct long_call first, second;
        struct flag flag = {.task.run = on_flag};
        long_call_lead(&first, loop);
        long_call_start(&second, loop);
        long_call_end(&first);
        uint64_t until_ns = sta_clock_now_ns() + STA_NS_MS / 2; /* it wakes up */
        while (sta_clock_now_ns() < until_ns)
            sched_yield();
        sta_loop_post(loop, &flag.task);
        assert_true(wait_until(is_set, &flag.set, WAIT_MS));
        passed += pthread_equal(flag.thread, second.thread) != 0;
        long_call_end(&second);
    }
    assert_true(passed >= 5);
    loop_end(&loop);
}

static void a_cancelled_thread_gives_the_lead_back_before_it_goes(void **state)
{
    (void)state;
    struct sta_loop *loop = loop_start();
    struct long_call call;
    long_call_lead(&call, loop);
    assert_int_equal(pthread_cancel(call.thread), 0);
    (void)caller_led(loop);
    assert_false(atomic_load(&call.returned));
    long_call_end(&call);
    (void)caller_led(loop);
    loop_end(&loop);
}

/* ---- the end ---- */

static void a_caller_that_waits_when_the_loop_ends_is_told_by_who_ends_it(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        struct sta_loop *loop = loop_start();
        struct long_call calls[2];
        long_call_lead(&calls[0], loop);
        long_call_start(&calls[1], loop);
        sta_loop_stop(loop);
        sta_loop_join(loop);
        assert_false(atomic_load(&calls[0].returned));
        sta_waiter_signal(&calls[0].waiter);
        sta_waiter_signal(&calls[1].waiter);
        sta_loop_drain(loop);
        pthread_join(calls[0].thread, NULL);
        pthread_join(calls[1].thread, NULL);
        sta_loop_destroy(&loop);
    }
}

static void what_was_posted_before_stop_runs_whoever_leads(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        struct sta_loop *loop = loop_start();
        struct flag flag = {.task.run = on_flag};
        struct flag own = {.task.run = on_flag};
        for (unsigned calls = i % 4; calls > 0; calls--)
            (void)caller_led(loop);
        sta_loop_post(loop, &flag.task);
        sta_loop_post_own(loop, &own.task);
        sta_loop_stop(loop);
        sta_loop_join(loop);
        assert_true(atomic_load(&flag.set));
        assert_true(atomic_load(&own.set));
        sta_loop_destroy(&loop);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_caller_alone_leads_the_loop_itself),
        cmocka_unit_test(a_caller_that_comes_rarely_leads_too),
        cmocka_unit_test(who_stands_aside_never_leads_whoever_else_calls),
        cmocka_unit_test(a_loop_that_one_thread_runs_is_never_led_by_a_caller),
        cmocka_unit_test(every_caller_of_many_is_answered_whoever_leads),
        cmocka_unit_test(timers_fire_while_callers_lead_and_between_their_calls),
        cmocka_unit_test(what_a_caller_leaves_on_the_loop_is_looked_after),
        cmocka_unit_test(what_is_posted_when_nobody_calls_any_more_is_served),
        cmocka_unit_test(tasks_of_the_loops_own_thread_do_not_wait_for_a_caller_that_leads),
        cmocka_unit_test(a_caller_that_is_through_does_not_go_on_leading_for_others),
        cmocka_unit_test(the_lead_is_passed_on_to_a_caller_that_still_waits),
        cmocka_unit_test(a_cancelled_thread_gives_the_lead_back_before_it_goes),
        cmocka_unit_test(a_caller_that_waits_when_the_loop_ends_is_told_by_who_ends_it),
        cmocka_unit_test(what_was_posted_before_stop_runs_whoever_leads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
