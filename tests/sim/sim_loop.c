/* SPDX-License-Identifier: MIT
 *
 * The loop of net/loop.h over virtual time. It turns when something is due: what streams brought,
 * timers, posted tasks, flush hooks, in this order, as the real one does. A turn takes no time.
 * Between a post and the turn lies a little time, as between two threads.
 */
#include <assert.h>
#include <stdlib.h>

#include "core/clock.h"
#include "net/waiter.h"
#include "sim/sim_net.h"
#include "strata/status.h"

#define WAKE_UP_MOST_NS (200u * 1000u) /* a thread is run so long after it was woken */

/* ---- turning ---- */

static void loop_run_due(struct sta_loop *loop)
{
    struct sta_list due;
    struct sta_list *node;
    sta_list_init(&due);
    uint64_t now_ns = sim_now_ns(loop->sim);
    while ((node = loop->timers.next) != &loop->timers &&
           STA_CONTAINER(node, struct sta_timer, link)->due_ns <= now_ns) {
        sta_list_remove(node);
        sta_list_push_back(&due, node);
    }
    while ((node = sta_list_pop_front(&due)) != NULL) {
        struct sta_timer *timer = STA_CONTAINER(node, struct sta_timer, link);
        timer->fire(timer);
    }
}

static void loop_run_streams(struct sta_loop *loop)
{
    struct sta_list ready;
    struct sta_list *node;
    sta_list_init(&ready);
    sta_list_splice_back(&ready, &loop->streams);
    while ((node = sta_list_pop_front(&ready)) != NULL)
        sim_stream_turn(node);
}

static void loop_run_tasks(struct sta_loop *loop)
{
    struct sta_task *task = loop->tasks;
    loop->tasks = NULL;
    loop->last_task = &loop->tasks;
    while (task != NULL) {
        struct sta_task *next = task->next;
        task->run(task);
        task = next;
    }
}

static void loop_run_flushes(struct sta_loop *loop)
{
    struct sta_list asked;
    struct sta_list *node;
    sta_list_init(&asked);
    sta_list_splice_back(&asked, &loop->flushes);
    while ((node = sta_list_pop_front(&asked)) != NULL) {
        struct sta_flush *flush = STA_CONTAINER(node, struct sta_flush, link);
        flush->run(flush);
    }
}

static void loop_plan(struct sta_loop *loop)
{
    if (loop->tasks != NULL || !sta_list_empty(&loop->flushes) || !sta_list_empty(&loop->streams))
        sim_loop_wake(loop, sim_now_ns(loop->sim));
    if (!sta_list_empty(&loop->timers))
        sim_loop_wake(loop, STA_CONTAINER(loop->timers.next, struct sta_timer, link)->due_ns);
}

static void on_turn(void *arg)
{
    struct sta_loop *loop = arg;
    if (loop->turn_ns != sim_now_ns(loop->sim))
        return; /* it has turned sooner, or is stalled */
    loop->turn_ns = STA_NEVER;
    loop->turning = true;
    loop_run_streams(loop);
    loop_run_due(loop);
    loop_run_tasks(loop);
    loop_run_flushes(loop);
    loop->turning = false;
    loop_plan(loop);
}

void sim_loop_wake(struct sta_loop *loop, uint64_t at_ns)
{
    uint64_t now_ns = sim_now_ns(loop->sim);
    at_ns = at_ns < now_ns ? now_ns : at_ns;
    at_ns = at_ns < loop->stalled_until_ns ? loop->stalled_until_ns : at_ns;
    if (loop->turning || at_ns >= loop->turn_ns)
        return;
    loop->turn_ns = at_ns;
    sim_at(loop->sim, at_ns, on_turn, loop);
}

void sim_loop_stall(struct sta_loop *loop, uint64_t until_ns)
{
    loop->stalled_until_ns = until_ns;
    loop->turn_ns = STA_NEVER;
    sim_loop_wake(loop, until_ns);
}

/* ---- the door: net/loop.h ---- */

int sta_loop_create(struct sta_loop **out)
{
    struct sta_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return STRATA_ERR_NOMEM;
    loop->sim = sim_current();
    loop->last_task = &loop->tasks;
    loop->turn_ns = STA_NEVER;
    sta_list_init(&loop->timers);
    sta_list_init(&loop->flushes);
    sta_list_init(&loop->streams);
    *out = loop;
    return STRATA_OK;
}

void sta_loop_destroy(struct sta_loop **at)
{
    struct sta_loop *loop = *at;
    if (loop == NULL)
        return;
    *at = NULL;
    sim_call_off(loop->sim, loop);
    free(loop);
}

int sta_loop_start(struct sta_loop *loop, const char *name)
{
    (void)name;
    loop_plan(loop);
    return STRATA_OK;
}

void sta_loop_stop(struct sta_loop *loop)
{
    loop->turn_ns = STA_NEVER;
}

void sta_loop_join(struct sta_loop *loop)
{
    (void)loop;
}

void sta_loop_drain(struct sta_loop *loop)
{
    while (loop->tasks != NULL)
        loop_run_tasks(loop);
}

void sta_loop_post(struct sta_loop *loop, struct sta_task *task)
{
    task->next = NULL;
    *loop->last_task = task;
    loop->last_task = &task->next;
    sim_loop_wake(loop, sim_now_ns(loop->sim) + sim_below(loop->sim, WAKE_UP_MOST_NS));
}

void sta_loop_post_own(struct sta_loop *loop, struct sta_task *task)
{
    sta_loop_post(loop, task);
}

bool sta_loop_is_own_thread(const struct sta_loop *loop)
{
    return loop->turning;
}

void sta_loop_expect(struct sta_loop *loop)
{
    (void)loop;
}

void sta_loop_meet(struct sta_loop *loop)
{
    (void)loop;
}

uint64_t sta_loop_now_ns(struct sta_loop *loop)
{
    return sim_now_ns(loop->sim);
}

void sta_timer_init(struct sta_timer *timer, void (*fire)(struct sta_timer *timer))
{
    sta_list_init(&timer->link);
    timer->due_ns = STA_NEVER;
    timer->fire = fire;
}

void sta_timer_start(struct sta_loop *loop, struct sta_timer *timer, uint64_t due_ns)
{
    sta_list_remove(&timer->link);
    timer->due_ns = due_ns;
    if (due_ns == STA_NEVER)
        return;
    struct sta_list *at = loop->timers.prev;
    while (at != &loop->timers && STA_CONTAINER(at, struct sta_timer, link)->due_ns > due_ns)
        at = at->prev;
    sta_list_push_front(at, &timer->link);
    sim_loop_wake(loop, due_ns);
}

void sta_timer_stop(struct sta_loop *loop, struct sta_timer *timer)
{
    (void)loop;
    sta_list_remove(&timer->link);
}

void sta_flush_init(struct sta_flush *flush, void (*run)(struct sta_flush *flush))
{
    sta_list_init(&flush->link);
    flush->run = run;
}

void sta_flush_request(struct sta_loop *loop, struct sta_flush *flush)
{
    if (sta_list_empty(&flush->link))
        sta_list_push_back(&loop->flushes, &flush->link);
    sim_loop_wake(loop, sim_now_ns(loop->sim));
}

void sta_flush_cancel(struct sta_flush *flush)
{
    sta_list_remove(&flush->link);
}

/* ---- net/waiter.h: nobody waits but who closes a cache, for what its loop has been posted ---- */

void sta_waiter_init(struct sta_waiter *waiter, struct sta_loop *loop)
{
    waiter->loop = loop;
    atomic_init(&waiter->done, false);
}

void sta_waiter_init_aside(struct sta_waiter *waiter, struct sta_loop *loop)
{
    sta_waiter_init(waiter, loop);
}

void sta_waiter_wait(struct sta_waiter *waiter)
{
    waiter->loop->turning = true;
    sta_loop_drain(waiter->loop);
    waiter->loop->turning = false;
    assert(atomic_load(&waiter->done));
}

void sta_waiter_signal(struct sta_waiter *waiter)
{
    atomic_store(&waiter->done, true);
}
