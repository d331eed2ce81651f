/* SPDX-License-Identifier: MIT
 *
 * See turns.h.
 */
#include "cache/turns.h"

#include "core/clock.h"
#include "strata/status.h"

/* ---- the pace ---- */

static void count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

void sta_turns_pace_init(struct sta_pace *pace, uint64_t per_second)
{
    *pace = (struct sta_pace){.rate = {.per_second = per_second}};
    pthread_mutex_init(&pace->lock, NULL);
}

void sta_turns_pace_adjust(struct sta_pace *pace, uint64_t per_second, uint64_t now_ns)
{
    pthread_mutex_lock(&pace->lock);
    sta_rate_change(&pace->rate, per_second, now_ns);
    pthread_mutex_unlock(&pace->lock);
}

void sta_turns_pace_fini(struct sta_pace *pace)
{
    pthread_mutex_destroy(&pace->lock);
}

void sta_turns_pace_spend(struct sta_pace *pace, uint64_t keys, uint64_t now_ns)
{
    pthread_mutex_lock(&pace->lock);
    sta_rate_spend(&pace->rate, keys, now_ns);
    pthread_mutex_unlock(&pace->lock);
    count(&pace->keys, keys);
}

void sta_turns_pace_give_back(struct sta_pace *pace, uint64_t keys)
{
    pthread_mutex_lock(&pace->lock);
    sta_rate_give_back(&pace->rate, keys);
    pthread_mutex_unlock(&pace->lock);
    atomic_fetch_sub_explicit(&pace->keys, keys, memory_order_relaxed);
}

static uint64_t pace_due_ns(struct sta_pace *pace)
{
    pthread_mutex_lock(&pace->lock);
    uint64_t due_ns = sta_rate_due_ns(&pace->rate);
    pthread_mutex_unlock(&pace->lock);
    return due_ns;
}

/* ---- under its lock ---- */

static void mark(struct sta_turns *turns, const struct sta_turn *turn, bool waits)
{
    struct sta_pace *pace = turns->pace;
    uint64_t hash;
    for (size_t i = 0; i < turn->keys; i++) {
        if (!turns->owner->doubts(turn, i, &hash))
            continue;
        uint32_t *waiters = &pace->marks[hash % STA_TURNS_MARKS];
        if (waits)
            pace->marked += (*waiters)++ == 0;
        else
            pace->marked -= --*waiters == 0;
    }
}

/* Whether its turn comes before its time is over. */
static bool is_in_time(const struct sta_pace *pace, const struct sta_turn *turn, uint64_t now_ns)
{
    uint64_t due_ns = sta_rate_due_ns(&pace->rate);
    uint64_t turn_ns = sta_clock_after(due_ns > now_ns ? due_ns : now_ns,
                                       sta_rate_takes_ns(&pace->rate, pace->marked));
    return turn_ns < turn->end_ns;
}

static int judge(struct sta_turns *turns, const struct sta_turn *turn, size_t suspects,
                 uint64_t now_ns)
{
    struct sta_pace *pace = turns->pace;
    if (pace->marked == 0 && sta_rate_due_ns(&pace->rate) <= now_ns) {
        sta_rate_spend(&pace->rate, suspects, now_ns);
        return STRATA_OK;
    }
    if (!is_in_time(pace, turn, now_ns))
        return STRATA_ERR_BUSY;
    mark(turns, turn, true);
    return STRATA_MORE;
}

/* ---- the queue ---- */

static struct sta_turn *first(const struct sta_turns *turns)
{
    return sta_list_empty(&turns->waiting)
               ? NULL
               : STA_CONTAINER(turns->waiting.next, struct sta_turn, link);
}

void sta_turns_remove(struct sta_turns *turns, struct sta_turn *turn)
{
    sta_list_remove(&turn->link);
    pthread_mutex_lock(&turns->pace->lock);
    mark(turns, turn, false);
    pthread_mutex_unlock(&turns->pace->lock);
}

struct sta_turn *sta_turns_pop(struct sta_turns *turns)
{
    struct sta_turn *turn = first(turns);
    if (turn != NULL)
        sta_turns_remove(turns, turn);
    return turn;
}

static void set_timer(struct sta_turns *turns)
{
    const struct sta_turn *turn = first(turns);
    if (turn == NULL)
        return;
    uint64_t due_ns = pace_due_ns(turns->pace);
    sta_timer_start(turns->loop, &turns->timer, due_ns < turn->end_ns ? due_ns : turn->end_ns);
}

static void on_timer(struct sta_timer *timer)
{
    struct sta_turns *turns = STA_CONTAINER(timer, struct sta_turns, timer);
    uint64_t now_ns = sta_loop_now_ns(turns->loop);
    struct sta_turn *turn;
    while ((turn = first(turns)) != NULL) {
        bool over = now_ns >= turn->end_ns;
        if (!over && pace_due_ns(turns->pace) > now_ns)
            break;
        sta_turns_remove(turns, turn);
        if (over) {
            count(&turns->pace->refused, 1);
            turns->owner->refuse(turns, turn);
        } else {
            turns->owner->take(turns, turn, now_ns);
        }
    }
    set_timer(turns);
}

int sta_turns_ask(struct sta_turns *turns, struct sta_turn *turn, size_t suspects, uint64_t now_ns)
{
    struct sta_pace *pace = turns->pace;
    pthread_mutex_lock(&pace->lock);
    int status = judge(turns, turn, suspects, now_ns);
    pthread_mutex_unlock(&pace->lock);
    if (status == STRATA_OK) {
        count(&pace->keys, suspects);
    } else if (status == STRATA_MORE) {
        count(&pace->delayed, 1);
        sta_list_push_back(&turns->waiting, &turn->link);
        set_timer(turns);
    } else {
        count(&pace->refused, 1);
    }
    return status;
}

void sta_turns_init(struct sta_turns *turns, struct sta_pace *pace, struct sta_loop *loop,
                    const struct sta_turns_owner *owner)
{
    turns->pace = pace;
    turns->loop = loop;
    turns->owner = owner;
    sta_list_init(&turns->waiting);
    sta_timer_init(&turns->timer, on_timer);
}

void sta_turns_stop(struct sta_turns *turns)
{
    sta_timer_stop(turns->loop, &turns->timer);
}
