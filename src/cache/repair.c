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

static struct sta_read *read_of(const struct sta_turn *turn)
{
    return STA_CONTAINER(turn, struct sta_read, turn);
}

static bool doubts(const struct sta_turn *turn, size_t i, uint64_t *hash)
{
    const struct sta_read_missing *missing = &read_of(turn)->missing[i];
    *hash = missing->key.hash;
    return missing->suspect;
}

static void take(struct sta_turns *turns, struct sta_turn *turn, uint64_t now_ns)
{
    struct sta_read *read = read_of(turn);
    if (sta_read_ask_l1_again(read, now_ns))
        return;
    sta_turns_pace_spend(turns->pace, read->suspects, now_ns);
    sta_read_start(read);
}

static void refuse(struct sta_turns *turns, struct sta_turn *turn)
{
    (void)turns;
    sta_read_fail(read_of(turn), STRATA_ERR_BUSY);
}

static const struct sta_turns_owner owner = {.doubts = doubts, .take = take, .refuse = refuse};

static void on_posted(struct sta_task *task)
{
    struct sta_read *read = STA_CONTAINER(task, struct sta_read, task);
    struct sta_repair *repair = &read->cache->repair;
    if (repair->closed) {
        sta_read_fail(read, STRATA_ERR_CLOSED);
        return;
    }
    read->turn.keys = read->missing_count;
    read->turn.end_ns = sta_clock_after(read->begun_ns, sta_live(&repair->cache->live.budget_ns));
    int status = sta_turns_ask(&repair->turns, &read->turn, read->suspects,
                               sta_loop_now_ns(repair->cache->loop));
    if (status == STRATA_OK)
        sta_read_start(read);
    else if (status < 0)
        sta_read_fail(read, status);
}

void sta_repair_submit(struct sta_repair *repair, struct sta_read *read)
{
    read->task.run = on_posted;
    sta_loop_post(repair->cache->loop, &read->task);
}

void sta_repair_give_back(struct sta_repair *repair)
{
    sta_turns_pace_give_back(&repair->pace, 1);
}

void sta_repair_init(struct sta_repair *repair, struct sta_cache *cache, uint64_t per_second)
{
    repair->cache = cache;
    sta_turns_pace_init(&repair->pace, per_second);
}

void sta_repair_adjust(struct sta_repair *repair, uint64_t per_second)
{
    sta_turns_pace_adjust(&repair->pace, per_second, sta_clock_now_ns());
}

void sta_repair_start(struct sta_repair *repair)
{
    sta_turns_init(&repair->turns, &repair->pace, repair->cache->loop, &owner);
}

void sta_repair_fini(struct sta_repair *repair)
{
    sta_turns_pace_fini(&repair->pace);
}

void sta_repair_close(struct sta_repair *repair)
{
    struct sta_turn *turn;
    repair->closed = true;
    sta_turns_stop(&repair->turns);
    while ((turn = sta_turns_pop(&repair->turns)) != NULL)
        sta_read_fail(read_of(turn), STRATA_ERR_CLOSED);
}

void sta_repair_statistics(const struct sta_repair *repair, struct strata_statistics *out)
{
    const struct sta_pace *pace = &repair->pace;
    out->repairs = atomic_load_explicit(&pace->keys, memory_order_relaxed);
    out->repairs_delayed = atomic_load_explicit(&pace->delayed, memory_order_relaxed);
    out->repairs_refused = atomic_load_explicit(&pace->refused, memory_order_relaxed);
}
