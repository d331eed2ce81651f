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
    uint64_t delay = sweeper->left > 0 ? STA_NS_MS : sweeper->interval_ns;
    sta_timer_start(sweeper->loop, timer, sta_clock_after(now_ns, delay));
}

void sta_sweeper_start(struct sta_sweeper *sweeper, struct sta_loop *loop, struct sta_l1 *l1,
                       uint64_t interval_ms)
{
    *sweeper = (struct sta_sweeper){.loop = loop, .l1 = l1};
    sta_timer_init(&sweeper->timer, sweeper_fire);
    if (interval_ms == UINT64_MAX)
        return;
    sweeper->interval_ns =
        interval_ms > UINT64_MAX / STA_NS_MS ? UINT64_MAX : interval_ms * STA_NS_MS;
    sta_timer_start(loop, &sweeper->timer,
                    sta_clock_after(sta_clock_now_ns(), sweeper->interval_ns));
}

void sta_sweeper_stop(struct sta_sweeper *sweeper)
{
    if (sweeper->loop != NULL)
        sta_timer_stop(sweeper->loop, &sweeper->timer);
}
