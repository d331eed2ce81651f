/* SPDX-License-Identifier: MIT
 *
 * See repair.h.
 */
#include "cache/repair.h"

#include "cache/cache.h"
#include "cache/read_inside.h"
#include "cache/tiers.h"
#include "core/clock.h"
#include "strata/status.h"

static void send(struct sta_repair *repair, struct sta_read *read, uint64_t now_ns)
{
    sta_rate_spend(&repair->rate, read->suspects, now_ns);
    atomic_fetch_add_explicit(&repair->keys, read->suspects, memory_order_relaxed);
    sta_read_start(read);
}

/* ---- the queue ---- */

static uint32_t *mark_of(struct sta_repair *repair, const struct sta_read *read, size_t i)
{
    return &repair->marks[read->missing[i].key.hash % STA_REPAIR_MARKS];
}

static void push(struct sta_repair *repair, struct sta_read *read)
{
    sta_tiers_count(&repair->delayed);
    sta_list_push_back(&repair->waiting, &read->turn);
    for (size_t i = 0; i < read->missing_count; i++)
        if (read->missing[i].suspect)
            repair->marked += (*mark_of(repair, read, i))++ == 0;
}

static struct sta_read *first(const struct sta_repair *repair)
{
    return sta_list_empty(&repair->waiting)
               ? NULL
               : STA_CONTAINER(repair->waiting.next, struct sta_read, turn);
}

static void pop(struct sta_repair *repair, struct sta_read *read)
{
    sta_list_remove(&read->turn);
    for (size_t i = 0; i < read->missing_count; i++)
        if (read->missing[i].suspect)
            repair->marked -= --*mark_of(repair, read, i) == 0;
}

/* ---- turns ---- */

static uint64_t end_ns(const struct sta_repair *repair, const struct sta_read *read)
{
    return sta_clock_after(read->begun_ns, sta_live(&repair->cache->live.budget_ns));
}

static void refuse(struct sta_repair *repair, struct sta_read *read)
{
    sta_tiers_count(&repair->refused);
    sta_read_fail(read, STRATA_ERR_BUSY);
}

static void set_timer(struct sta_repair *repair)
{
    const struct sta_read *read = first(repair);
    if (read == NULL)
        return;
    uint64_t due_ns = sta_rate_due_ns(&repair->rate), over_ns = end_ns(repair, read);
    sta_timer_start(repair->cache->loop, &repair->timer, due_ns < over_ns ? due_ns : over_ns);
}

static void on_timer(struct sta_timer *timer)
{
    struct sta_repair *repair = STA_CONTAINER(timer, struct sta_repair, timer);
    uint64_t now_ns = sta_loop_now_ns(repair->cache->loop);
    struct sta_read *read;
    while ((read = first(repair)) != NULL) {
        bool over = now_ns >= end_ns(repair, read);
        if (!over && sta_rate_due_ns(&repair->rate) > now_ns)
            break;
        pop(repair, read);
        if (over)
            refuse(repair, read);
        else if (!sta_read_ask_l1_again(read, now_ns))
            send(repair, read, now_ns);
    }
    set_timer(repair);
}

/* Whether its turn comes before its time is over. */
static bool is_in_time(const struct sta_repair *repair, const struct sta_read *read,
                       uint64_t now_ns)
{
    uint64_t due_ns = sta_rate_due_ns(&repair->rate);
    uint64_t turn_ns = sta_clock_after(due_ns > now_ns ? due_ns : now_ns,
                                       sta_rate_takes_ns(&repair->rate, repair->marked));
    return turn_ns < end_ns(repair, read);
}

static void on_posted(struct sta_task *task)
{
    struct sta_read *read = STA_CONTAINER(task, struct sta_read, task);
    struct sta_repair *repair = &read->cache->repair;
    uint64_t now_ns = sta_loop_now_ns(repair->cache->loop);
    if (repair->closed) {
        sta_read_fail(read, STRATA_ERR_CLOSED);
    } else if (first(repair) == NULL && sta_rate_due_ns(&repair->rate) <= now_ns) {
        send(repair, read, now_ns);
    } else if (is_in_time(repair, read, now_ns)) {
        push(repair, read);
        set_timer(repair);
    } else {
        refuse(repair, read);
    }
}

/* ---- the door ---- */

void sta_repair_submit(struct sta_repair *repair, struct sta_read *read)
{
    read->task.run = on_posted;
    sta_loop_post(repair->cache->loop, &read->task);
}

void sta_repair_give_back(struct sta_repair *repair)
{
    sta_rate_give_back(&repair->rate, 1);
    atomic_fetch_sub_explicit(&repair->keys, 1, memory_order_relaxed);
}

void sta_repair_init(struct sta_repair *repair, struct sta_cache *cache, uint64_t per_second)
{
    repair->cache = cache;
    repair->rate = (struct sta_rate){.per_second = per_second};
    sta_list_init(&repair->waiting);
    sta_timer_init(&repair->timer, on_timer);
}

void sta_repair_close(struct sta_repair *repair)
{
    struct sta_read *read;
    repair->closed = true;
    sta_timer_stop(repair->cache->loop, &repair->timer);
    while ((read = first(repair)) != NULL) {
        pop(repair, read);
        sta_read_fail(read, STRATA_ERR_CLOSED);
    }
}

void sta_repair_statistics(const struct sta_repair *repair, struct strata_statistics *out)
{
    out->repairs = atomic_load_explicit(&repair->keys, memory_order_relaxed);
    out->repairs_delayed = atomic_load_explicit(&repair->delayed, memory_order_relaxed);
    out->repairs_refused = atomic_load_explicit(&repair->refused, memory_order_relaxed);
}
