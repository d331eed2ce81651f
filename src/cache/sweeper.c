/* SPDX-License-Identifier: MIT
 *
 * See sweeper.h.
 *
 *     WAITING --interval--> SWEEPING --every entry seen--> WAITING
 *                             |  ^
 *                             '--' 1 ms between steps
 */
#include "cache/sweeper.h"

#include "core/clock.h"

static uint64_t interval_of(uint64_t interval_ms)
{
    return interval_ms > UINT64_MAX / STA_NS_MS ? UINT64_MAX : interval_ms * STA_NS_MS;
}

static void sweeper_wait(struct sta_sweeper *sweeper, uint64_t now_ns)
{
    uint64_t interval_ns = atomic_load_explicit(&sweeper->interval_ns, memory_order_relaxed);
    if (interval_ns == UINT64_MAX)
        sta_timer_stop(sweeper->loop, &sweeper->timer);
    else
        sta_timer_start(sweeper->loop, &sweeper->timer, sta_clock_after(now_ns, interval_ns));
}

static void sweeper_fire(struct sta_timer *timer)
{
    struct sta_sweeper *sweeper = STA_CONTAINER(timer, struct sta_sweeper, timer);
    uint64_t now_ns = sta_loop_now_ns(sweeper->loop);
    if (sweeper->left == 0) {
        struct sta_l1_statistics statistics;
        sta_l1_statistics(sweeper->l1, &statistics);
        sweeper->left = statistics.entries;
    }
    sta_l1_sweep(sweeper->l1, now_ns / STA_NS_MS, STA_SWEEPER_STEP);
    sweeper->left -= sweeper->left < STA_SWEEPER_STEP ? sweeper->left : STA_SWEEPER_STEP;
    if (sweeper->left > 0)
        sta_timer_start(sweeper->loop, timer, now_ns + STA_NS_MS);
    else
        sweeper_wait(sweeper, now_ns);
}

/* A round that is under way is finished first. */
static void sweeper_adjusted(struct sta_task *task)
{
    struct sta_sweeper *sweeper = STA_CONTAINER(task, struct sta_sweeper, task);
    atomic_flag_clear_explicit(&sweeper->posted, memory_order_release); /* with test_and_set */
    if (sweeper->left == 0)
        sweeper_wait(sweeper, sta_loop_now_ns(sweeper->loop));
}

void sta_sweeper_start(struct sta_sweeper *sweeper, struct sta_loop *loop, struct sta_l1 *l1,
                       uint64_t interval_ms)
{
    *sweeper = (struct sta_sweeper){
        .loop = loop, .l1 = l1, .task.run = sweeper_adjusted, .posted = ATOMIC_FLAG_INIT};
    sta_timer_init(&sweeper->timer, sweeper_fire);
    atomic_init(&sweeper->interval_ns, interval_of(interval_ms));
    sweeper_wait(sweeper, sta_clock_now_ns());
}

void sta_sweeper_adjust(struct sta_sweeper *sweeper, uint64_t interval_ms)
{
    uint64_t interval_ns = interval_of(interval_ms);
    uint64_t before =
        atomic_exchange_explicit(&sweeper->interval_ns, interval_ns, memory_order_relaxed);
    if (before != interval_ns &&
        !atomic_flag_test_and_set_explicit(&sweeper->posted, memory_order_acquire))
        sta_loop_post(sweeper->loop, &sweeper->task);
}

void sta_sweeper_stop(struct sta_sweeper *sweeper)
{
    if (sweeper->loop != NULL)
        sta_timer_stop(sweeper->loop, &sweeper->timer);
}
