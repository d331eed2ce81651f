/* SPDX-License-Identifier: MIT
 *
 * The event loop: libuv underneath, posted tasks, timers and flush hooks above it.
 *
 * One turn of libuv is one tick of ours. All of the tick's end happens in the prepare hook, the
 * last thing that libuv runs before it waits:
 *
 *     poll: sockets, wake-up -> check -> closed handles -> timers -> prepare: tasks, flush hooks
 *      ^-------------------------------------------------------------------------------'
 *
 * Posting: `posted` is a stack that any thread pushes onto (Treiber 1986) and that the loop takes
 * whole and turns round; nothing pops single nodes, so a node that comes back to the same address
 * (ABA) is harmless. What a thread pushed earlier lies deeper, so turning round gives its order.
 *
 * Waking: `asleep` says that the loop may be about to wait. A poster pushes, then reads `asleep`;
 * the loop sets `asleep`, then reads `posted`. All four are sequentially consistent, so at least
 * one of the two sees the other: the poster wakes the loop, or the loop does not wait. Whoever
 * turns `asleep` off pays for the one write to the event descriptor, all others pay nothing, and
 * a loop at work costs its posters no system call at all.
 *
 * Threads: post() and stop() any, everything else the loop's own.
 * Memory: one block for the loop's life, no allocation per task, timer or hook.
 */
#include "net/loop.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "core/clock.h"
#include "net/loop_inside.h"
#include "strata/status.h"

/* ---- posting ---- */

static void loop_wake(struct sta_loop *loop)
{
    /* seq_cst, partner: loop_may_wait(). The load keeps busy posters off the cache line. */
    if (atomic_load(&loop->asleep) && atomic_exchange(&loop->asleep, false))
        (void)uv_async_send(&loop->wake);
}

void sta_loop_post(struct sta_loop *loop, struct sta_task *task)
{
    struct sta_task *top = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    do {
        task->next = top;
        /* seq_cst, partners: the exchange in loop_run_posted(), which must see what the task
         * points at, and the load in loop_may_wait(). */
    } while (!atomic_compare_exchange_weak_explicit(&loop->posted, &top, task, memory_order_seq_cst,
                                                    memory_order_relaxed));
    loop_wake(loop);
}

void sta_loop_stop(struct sta_loop *loop)
{
    /* seq_cst, partners: the loads in on_prepare() and loop_may_wait(). */
    atomic_store(&loop->stopping, true);
    loop_wake(loop);
}

static struct sta_task *task_reverse(struct sta_task *newest)
{
    struct sta_task *oldest = NULL;
    while (newest != NULL) {
        struct sta_task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

/* Runs what has been posted up to now; what the tasks post themselves comes in the next tick. */
static void loop_run_posted(struct sta_loop *loop)
{
    if (atomic_load_explicit(&loop->posted, memory_order_relaxed) == NULL)
        return;
    /* acquire, partner: the push in sta_loop_post(). */
    struct sta_task *task =
        task_reverse(atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire));
    while (task != NULL) {
        struct sta_task *next = task->next; /* run() may free the task or post it again */
        task->run(task);
        task = next;
    }
}

void sta_loop_drain(struct sta_loop *loop)
{
    while (atomic_load_explicit(&loop->posted, memory_order_relaxed) != NULL)
        loop_run_posted(loop);
}

/* ---- the tick ---- */

static void on_restless(uv_idle_t *restless)
{
    (void)restless; /* being active is its work */
}

static void on_check(uv_check_t *check)
{
    sta_loop_enter(check->data);
}

/* libuv only needs to return from its wait. */
static void on_wake(uv_async_t *wake)
{
    (void)wake;
}

/* Says that the loop sleeps, then looks once more: see the file's head. */
static bool loop_may_wait(struct sta_loop *loop)
{
    /* seq_cst, partners: sta_loop_post() and sta_loop_stop(). */
    atomic_store(&loop->asleep, true);
    return atomic_load(&loop->posted) == NULL && !atomic_load(&loop->stopping) &&
           sta_list_empty(&loop->flushes);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct sta_loop *loop = prepare->data;
    /* Read before the tasks are taken: what was posted before stop() is then among them.
     * seq_cst, partner: the store in sta_loop_stop(). */
    bool stopping = atomic_load(&loop->stopping);
    loop_run_posted(loop);
    sta_flush_run_all(loop);
    if (stopping)
        uv_stop(&loop->uv);
    sta_timer_set_alarm(loop);
    loop->now_ns = 0;
    if (loop_may_wait(loop)) {
        (void)uv_idle_stop(&loop->restless);
    } else {
        sta_loop_enter(loop);
        (void)uv_idle_start(&loop->restless, on_restless);
    }
}

void sta_loop_enter(struct sta_loop *loop)
{
    /* relaxed: a poster that still reads `true` wakes the loop once too often. */
    if (atomic_load_explicit(&loop->asleep, memory_order_relaxed))
        atomic_store_explicit(&loop->asleep, false, memory_order_relaxed);
}

uint64_t sta_loop_now_ns(struct sta_loop *loop)
{
    if (loop->now_ns == 0)
        loop->now_ns = sta_clock_now_ns();
    return loop->now_ns;
}

void sta_loop_add_guest(struct sta_loop *loop, struct sta_loop_guest *guest)
{
    sta_list_push_back(&loop->guests, &guest->link);
}

struct uv_loop_s *sta_loop_uv(struct sta_loop *loop)
{
    return &loop->uv;
}

bool sta_loop_is_own_thread(const struct sta_loop *loop)
{
    /* relaxed: a thread sees its own store, and no other thread stores its id. */
    pthread_t owner = atomic_load_explicit(&loop->owner, memory_order_relaxed);
    return owner != 0 && pthread_equal(owner, pthread_self());
}

/* ---- running ---- */

void sta_loop_run(struct sta_loop *loop)
{
    atomic_store_explicit(&loop->owner, pthread_self(), memory_order_relaxed);
    loop->now_ns = 0; /* it may have been read long before, when something was opened */
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    atomic_store_explicit(&loop->owner, 0, memory_order_relaxed);
    atomic_store(&loop->stopping, false); /* the loop may be run again */
}

static void *loop_thread(void *arg)
{
    struct sta_loop *loop = arg;
    (void)pthread_setname_np(pthread_self(), loop->name);
    sta_loop_run(loop);
    return NULL;
}

int sta_loop_start(struct sta_loop *loop, const char *name)
{
    sigset_t all;
    sigset_t before;
    assert(!loop->started);
    (void)snprintf(loop->name, sizeof loop->name, "%s", name);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits the mask */
    int failed = pthread_create(&loop->thread, NULL, loop_thread, loop);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0)
        return STRATA_ERR_SYSTEM;
    loop->started = true;
    return STRATA_OK;
}

void sta_loop_join(struct sta_loop *loop)
{
    if (!loop->started)
        return;
    (void)pthread_join(loop->thread, NULL);
    loop->started = false;
}

/* ---- life ---- */

/* None of these can fail: they touch no descriptor. */
static void loop_start_handles(struct sta_loop *loop)
{
    (void)uv_timer_init(&loop->uv, &loop->alarm);
    (void)uv_prepare_init(&loop->uv, &loop->prepare);
    (void)uv_check_init(&loop->uv, &loop->check);
    (void)uv_idle_init(&loop->uv, &loop->restless);
    loop->alarm.data = loop;
    loop->prepare.data = loop;
    loop->check.data = loop;
    (void)uv_prepare_start(&loop->prepare, on_prepare);
    (void)uv_check_start(&loop->check, on_check);
}

int sta_loop_create(struct sta_loop **out)
{
    struct sta_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return STRATA_ERR_NOMEM;
    loop->alarm_ns = STA_NEVER;
    sta_list_init(&loop->timers);
    sta_list_init(&loop->flushes);
    sta_list_init(&loop->guests);
    if (uv_loop_init(&loop->uv) != 0)
        goto free_loop;
    if (uv_async_init(&loop->uv, &loop->wake, on_wake) != 0)
        goto close_uv;
    loop_start_handles(loop);
    *out = loop;
    return STRATA_OK;
close_uv:
    (void)uv_loop_close(&loop->uv);
free_loop:
    free(loop);
    return STRATA_ERR_SYSTEM;
}

void sta_loop_destroy(struct sta_loop **at)
{
    struct sta_loop *loop = *at;
    struct sta_list *node;
    if (loop == NULL)
        return;
    assert(!loop->started);
    *at = NULL;
    while ((node = sta_list_pop_front(&loop->guests)) != NULL) {
        struct sta_loop_guest *guest = STA_CONTAINER(node, struct sta_loop_guest, link);
        guest->evict(guest);
    }
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->alarm, NULL);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->restless, NULL);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT); /* until everything has been closed */
    int open = uv_loop_close(&loop->uv);
    assert(open == 0);
    (void)open;
    free(loop);
}
