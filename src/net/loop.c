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
 * The descriptor is our own: uv_async_send() marks itself as busy around its write, and the loop
 * spins until that is over; where both share a processor the write makes the loop run at once.
 *
 * Threads: post() and stop() any, everything else the loop's own.
 * Memory: one block for the loop's life, no allocation per task, timer or hook.
 */
#include "net/loop.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/clock.h"
#include "net/loop_inside.h"
#include "strata/status.h"

/* ---- posting ---- */

/* Whoever leads is woken where it waits; where nobody leads, the loop's own thread is called. */
static void loop_wake(struct sta_loop *loop)
{
    /* seq_cst, partner: loop_may_wait(). The load keeps busy posters off the cache line. */
    if (atomic_load(&loop->asleep) && atomic_exchange(&loop->asleep, false))
        (void)eventfd_write(loop->woken, 1);
    /* Asked in any case: who was woken may have been about to leave. Partner: leader.c. */
    if (atomic_load(&loop->leader) == STA_LEADER_NOBODY)
        (void)sta_keeper_call(loop);
}

static void task_push(_Atomic(struct sta_task *) *stack, struct sta_task *task)
{
    struct sta_task *top = atomic_load_explicit(stack, memory_order_relaxed);
    do {
        task->next = top;
        /* seq_cst, partners: the exchange in task_run_all(), which must see what the task points
         * at, and the loads in loop_may_wait(), leader.c and keeper.c. */
    } while (!atomic_compare_exchange_weak_explicit(stack, &top, task, memory_order_seq_cst,
                                                    memory_order_relaxed));
}

void sta_loop_post(struct sta_loop *loop, struct sta_task *task)
{
    task_push(&loop->posted, task);
    loop_wake(loop);
}

void sta_loop_post_own(struct sta_loop *loop, struct sta_task *task)
{
    task_push(&loop->owed, task);
    (void)sta_keeper_call(loop);
    /* seq_cst, partner: as above. Another leader need not wake up for this. */
    if (atomic_load(&loop->leader) == atomic_load(&loop->own))
        loop_wake(loop);
}

void sta_loop_stop(struct sta_loop *loop)
{
    /* seq_cst, partners: the loads in on_prepare() and loop_may_wait(). */
    atomic_store(&loop->stopping, true);
    loop_wake(loop);
    (void)sta_keeper_call(loop);
}

void sta_loop_expect(struct sta_loop *loop)
{
    atomic_fetch_add_explicit(&loop->expected, 1, memory_order_relaxed);
}

void sta_loop_meet(struct sta_loop *loop)
{
    atomic_fetch_sub_explicit(&loop->expected, 1, memory_order_relaxed);
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

/* Runs what has been pushed up to now; what the tasks push themselves comes the next time. Returns
 * whether there was anything. */
static bool task_run_all(_Atomic(struct sta_task *) *stack)
{
    if (atomic_load_explicit(stack, memory_order_relaxed) == NULL)
        return false;
    /* acquire, partner: the push in task_push(). */
    struct sta_task *task =
        task_reverse(atomic_exchange_explicit(stack, NULL, memory_order_acquire));
    while (task != NULL) {
        struct sta_task *next = task->next; /* run() may free the task or post it again */
        task->run(task);
        task = next;
    }
    return true;
}

static void loop_run_posted(struct sta_loop *loop)
{
    unsigned batch = atomic_load_explicit(&loop->batch, memory_order_relaxed);
    if (task_run_all(&loop->posted)) /* relaxed: see sta_gate_join() */
        atomic_store_explicit(&loop->batch, batch + 1, memory_order_relaxed);
}

void sta_loop_run_owed(struct sta_loop *loop)
{
    (void)task_run_all(&loop->owed);
}

void sta_loop_end_tick(struct sta_loop *loop)
{
    loop_run_posted(loop);
    sta_flush_run_all(loop);
}

void sta_loop_drain(struct sta_loop *loop)
{
    atomic_store_explicit(&loop->own, pthread_self(), memory_order_relaxed);
    while (task_run_all(&loop->posted) || task_run_all(&loop->owed))
        continue;
    sta_gate_tell(loop, sta_gate_take_noted(loop));
    atomic_store_explicit(&loop->own, 0, memory_order_relaxed);
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
static void on_wake(uv_poll_t *wake, int status, int events)
{
    struct sta_loop *loop = wake->data;
    eventfd_t count;
    (void)status;
    (void)events;
    (void)eventfd_read(loop->woken, &count);
}

/* Says that the loop sleeps, then looks once more: see the file's head. */
static bool loop_may_wait(struct sta_loop *loop)
{
    /* seq_cst, partners: sta_loop_post() and sta_loop_stop(). */
    atomic_store(&loop->asleep, true);
    return atomic_load(&loop->posted) == NULL && !atomic_load(&loop->stopping) &&
           sta_list_empty(&loop->flushes) &&
           (atomic_load(&loop->owed) == NULL || !sta_loop_is_own_thread(loop));
}

/* By callers who wait, or have just been answered and will be back; but not as long as somebody
 * expects replies without waiting for them. */
static bool loop_is_asked_for(struct sta_loop *loop)
{
    return atomic_load_explicit(&loop->expected, memory_order_relaxed) == 0 &&
           (loop->noted != 0 || sta_gate_has_followers(loop));
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct sta_loop *loop = prepare->data;
    /* Read before the tasks are taken: what was posted before stop() is then among them.
     * seq_cst, partner: the store in sta_loop_stop(). */
    bool stopping = atomic_load(&loop->stopping);
    sta_loop_end_tick(loop);
    if (sta_loop_is_own_thread(loop))
        sta_loop_run_owed(loop);
    if (stopping || (loop->yields && loop_is_asked_for(loop)))
        uv_stop(&loop->uv);
    sta_timer_set_alarm(loop);
    sta_gate_tell(loop, sta_gate_take_noted(loop));
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
    pthread_t own = atomic_load_explicit(&loop->own, memory_order_relaxed);
    return own != 0 && pthread_equal(own, pthread_self());
}

/* ---- running ---- */

/* From here on the loop is the calling thread's, which leads it. */
static void loop_begin(struct sta_loop *loop)
{
    atomic_store(&loop->leader, pthread_self());
    atomic_store(&loop->own, pthread_self());
    loop->now_ns = 0; /* it may have been read long before, when something was opened */
}

/* Nobody leads a loop that has ended. */
static void loop_end(struct sta_loop *loop)
{
    atomic_store(&loop->own, 0);
    atomic_store(&loop->leader, STA_LEADER_CLOSED);
    atomic_store(&loop->stopping, false); /* the loop may be run again */
}

void sta_loop_run(struct sta_loop *loop)
{
    loop_begin(loop);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    loop_end(loop);
}

static void *loop_thread(void *arg)
{
    struct sta_loop *loop = arg;
    (void)pthread_setname_np(pthread_self(), loop->name);
    loop_begin(loop);
    sta_keeper_run(loop);
    loop_end(loop);
    return NULL;
}

int sta_loop_start(struct sta_loop *loop, const char *name)
{
    sigset_t all;
    sigset_t before;
    assert(!loop->started);
    loop->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->bell < 0)
        return STRATA_ERR_SYSTEM;
    (void)snprintf(loop->name, sizeof loop->name, "%s", name);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits the mask */
    int failed = pthread_create(&loop->thread, NULL, loop_thread, loop);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
        (void)close(loop->bell);
        return STRATA_ERR_SYSTEM;
    }
    loop->started = true;
    return STRATA_OK;
}

void sta_loop_join(struct sta_loop *loop)
{
    if (!loop->started)
        return;
    (void)pthread_join(loop->thread, NULL);
    (void)close(loop->bell);
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
    loop->wake.data = loop;
    (void)uv_poll_start(&loop->wake, UV_READABLE, on_wake);
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
    atomic_init(&loop->leader, STA_LEADER_CLOSED);
    sta_list_init(&loop->timers);
    sta_list_init(&loop->flushes);
    sta_list_init(&loop->guests);
    if (uv_loop_init(&loop->uv) != 0)
        goto free_loop;
    loop->woken = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->woken < 0)
        goto close_uv;
    if (uv_poll_init(&loop->uv, &loop->wake, loop->woken) != 0)
        goto close_woken;
    loop_start_handles(loop);
    *out = loop;
    return STRATA_OK;
close_woken:
    (void)close(loop->woken);
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
    (void)close(loop->woken);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT); /* until everything has been closed */
    int open = uv_loop_close(&loop->uv);
    assert(open == 0);
    (void)open;
    free(loop);
}
