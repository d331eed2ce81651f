/* SPDX-License-Identifier: MIT
 *
 * Taking the lead and giving it up.
 *
 * Nothing that is posted and nobody who follows is forgotten between two leaders. Both sides
 * first write, then read what the other writes, all of it sequentially consistent; so at least
 * one of the two sees the other:
 *
 *     who posts    pushes the task                 then reads `leader`
 *     who follows  is counted at a gate            then tries to take the lead
 *     who leaves   frees the lead                  then reads `posted` and the gates
 *
 * A poster that sees the lead free calls the loop's own thread (keeper.c); one that sees it taken
 * leaves the task to whoever has it. A follower that cannot take it sleeps, and who leaves wakes
 * one; that one may find that somebody else was faster, and then that other one passes it on in
 * turn. Who leaves looks at nothing more once somebody else leads: all duties are his.
 *
 * The lead is freed before anybody is woken, so that whoever is woken, even on this processor and
 * before we go on, may have it.
 *
 * Threads: any; the loop's fields belong to who leads.
 */
#include "net/leader.h"

#include <sched.h>

#include "core/clock.h"
#include "net/loop_inside.h"

bool sta_leader_try(struct sta_loop *loop)
{
    pthread_t nobody = STA_LEADER_NOBODY;
    if (atomic_load_explicit(&loop->leader, memory_order_relaxed) != nobody ||
        atomic_load_explicit(&loop->stopping, memory_order_relaxed))
        return false;
    /* seq_cst, partner: the store in sta_leader_leave(), whose writes to the loop we now own. */
    if (!atomic_compare_exchange_strong(&loop->leader, &nobody, pthread_self()))
        return false;
    (void)atomic_fetch_add(&loop->led, 1); /* partner: the load in keeper_watch() */
    loop->now_ns = 0;
    return true;
}

/* Nothing is taken off `posted` but by who leads, so what lay on top is still there. */
static unsigned leader_count_since(const struct sta_loop *loop, const struct sta_task *before)
{
    unsigned count = 0;
    /* acquire, partner: the push in task_push(). */
    const struct sta_task *task = atomic_load_explicit(&loop->posted, memory_order_acquire);
    for (; task != before; task = task->next)
        count++;
    return count;
}

void sta_leader_gather(struct sta_loop *loop)
{
    if (!sta_gather_has_company(&loop->gather))
        return;
    uint64_t from_ns = sta_clock_now_ns();
    if (!sta_gather_pays(&loop->gather, from_ns))
        return;
    const struct sta_task *before = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    (void)sched_yield();
    sta_gather_note(&loop->gather, from_ns, sta_clock_now_ns(), leader_count_since(loop, before));
}

bool sta_leader_turn(struct sta_loop *loop)
{
    if (atomic_load_explicit(&loop->stopping, memory_order_relaxed))
        return false;
    (void)uv_run(&loop->uv, UV_RUN_ONCE);
    return true;
}

/* Whether there is something that the keeper, which watches, does not see: hooks, what libuv was
 * told and has not carried out, a timer before `watched_until_ns`. */
static bool leader_leaves_work(const struct sta_loop *loop)
{
    if (!sta_list_empty(&loop->flushes) || uv_backend_timeout(&loop->uv) == 0)
        return true;
    return !sta_list_empty(&loop->timers) &&
           STA_CONTAINER(loop->timers.next, struct sta_timer, link)->due_ns <
               loop->watched_until_ns;
}

/* After the lead was freed. Where replies are expected that nobody waits for, the keeper is to
 * lead; else a follower; else only what was posted, or the end, needs anybody. */
static void leader_pass_on(struct sta_loop *loop)
{
    bool expected = atomic_load_explicit(&loop->expected, memory_order_relaxed) > 0;
    if ((expected && sta_keeper_call(loop)) || sta_gate_pass_on(loop))
        return;
    if (atomic_load(&loop->posted) != NULL || atomic_load(&loop->stopping))
        (void)sta_keeper_call(loop);
}

void sta_leader_leave(struct sta_loop *loop)
{
    /* What was posted meanwhile is sent before the next leader has woken up. */
    if (atomic_load_explicit(&loop->posted, memory_order_relaxed) != NULL)
        sta_loop_end_tick(loop);
    unsigned noted = sta_gate_take_noted(loop);
    bool watched = sta_keeper_is_watching(loop);
    bool work = watched && leader_leaves_work(loop);
    bool again = atomic_load_explicit(&loop->led, memory_order_relaxed) - loop->watched_led > 1;
    atomic_store(&loop->leader, STA_LEADER_NOBODY); /* partners: see above */
    sta_gate_tell(loop, noted);
    if (watched && (work || again))
        sta_keeper_end_watch(loop, work);
    if (atomic_load(&loop->leader) == STA_LEADER_NOBODY)
        leader_pass_on(loop);
}

bool sta_leader_is_here(const struct sta_loop *loop)
{
    /* relaxed: a thread sees its own store, and no other thread stores its id. */
    return pthread_equal(atomic_load_explicit(&loop->leader, memory_order_relaxed), pthread_self());
}
