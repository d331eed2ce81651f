/* SPDX-License-Identifier: MIT
 *
 * One-shot timers of a loop: a list by due time over the one timer that libuv keeps for us, since
 * a libuv timer must be closed before its memory may go, and ours need not.
 * A loop has few timers, and most start later than those that run already.
 * Threads: the loop's only. Memory: none; timers are embedded in their owners.
 */
#include "core/clock.h"
#include "net/loop_inside.h"

void sta_timer_init(struct sta_timer *timer, void (*fire)(struct sta_timer *timer))
{
    sta_list_init(&timer->link);
    timer->due_ns = STA_NEVER;
    timer->fire = fire;
}

/* Searched from the back: most timers are due after those that run already. */
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
}

void sta_timer_stop(struct sta_loop *loop, struct sta_timer *timer)
{
    (void)loop;
    sta_list_remove(&timer->link);
}

/* The due ones leave the list first: a timer that fires may stop any other, and one that starts
 * itself anew, even for a time past, waits for the next tick. */
static void timer_run_due(struct sta_loop *loop)
{
    struct sta_list due;
    sta_list_init(&due);
    uint64_t now_ns = sta_loop_now_ns(loop);
    struct sta_list *node = loop->timers.next;
    while (node != &loop->timers && STA_CONTAINER(node, struct sta_timer, link)->due_ns <= now_ns) {
        struct sta_list *next = node->next;
        sta_list_remove(node);
        sta_list_push_back(&due, node);
        node = next;
    }
    while ((node = sta_list_pop_front(&due)) != NULL) {
        struct sta_timer *timer = STA_CONTAINER(node, struct sta_timer, link);
        timer->fire(timer);
    }
}

static void on_alarm(uv_timer_t *alarm)
{
    struct sta_loop *loop = alarm->data;
    loop->alarm_ns = STA_NEVER;
    timer_run_due(loop);
}

/* Sets libuv's timer where the first of ours changed. libuv counts in milliseconds from its own
 * reading of the clock, so it may come a little early: then the list is looked at for nothing and
 * the alarm set again. A due time past rings at once. */
void sta_timer_set_alarm(struct sta_loop *loop)
{
    if (sta_list_empty(&loop->timers))
        return; /* an alarm that is still set rings once in vain */
    uint64_t due_ns = STA_CONTAINER(loop->timers.next, struct sta_timer, link)->due_ns;
    if (due_ns == loop->alarm_ns)
        return;
    uint64_t now_ns = sta_loop_now_ns(loop);
    uint64_t wait_ms = due_ns <= now_ns ? 0 : (due_ns - now_ns - 1) / STA_NS_MS + 1;
    if (uv_timer_start(&loop->alarm, on_alarm, wait_ms, 0) == 0)
        loop->alarm_ns = due_ns;
}
