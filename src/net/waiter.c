/* SPDX-License-Identifier: MIT
 *
 * See waiter.h; who leads when is in leader.c.
 *
 *     init --nobody leads--> LEADS --its event--> leaves the lead, passes it on
 *       |                      ^  |
 *       | somebody leads       |  '--the loop stops--> FOLLOWS
 *       v                      |
 *     FOLLOWS --lead is free---'
 *        '------told-----------> returns
 *
 * Who stands aside FOLLOWS from the beginning, until told.
 *
 * A follower that is told and one that takes the lead cannot be the same at the same time: both
 * happen under the lead. So `gate` says which of the two a waiter is, without a lock.
 */
#include "net/waiter.h"

#include <assert.h>
#include <pthread.h>

#include "net/futex.h"
#include "net/loop_inside.h"

void sta_waiter_init(struct sta_waiter *waiter, struct sta_loop *loop)
{
    assert(!sta_leader_is_here(loop));
    waiter->loop = loop;
    waiter->gate = NULL;
    atomic_init(&waiter->done, false);
    if (!sta_leader_try(loop))
        waiter->gate = sta_gate_join(loop);
}

void sta_waiter_init_aside(struct sta_waiter *waiter, struct sta_loop *loop)
{
    assert(!sta_leader_is_here(loop));
    waiter->loop = loop;
    waiter->gate = sta_gate_stand_aside(loop);
    atomic_init(&waiter->done, false);
}

/* Runs the loop until the waiter's event has come. A thread that is cancelled with the lead in
 * its hands would take everybody else with it. */
static void waiter_lead(struct sta_waiter *waiter)
{
    struct sta_loop *loop = waiter->loop;
    int cancelling;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelling);
    sta_leader_gather(loop);
    while (!atomic_load_explicit(&waiter->done, memory_order_relaxed) && sta_leader_turn(loop))
        continue;
    if (!atomic_load_explicit(&waiter->done, memory_order_relaxed))
        waiter->gate = sta_gate_join(loop); /* the loop ends; who ends it tells us */
    sta_leader_leave(loop);
    (void)pthread_setcancelstate(cancelling, NULL);
}

/* Sleeps until told or, returning true, with the lead. */
static bool waiter_follow(struct sta_waiter *waiter)
{
    struct sta_gate *gate = waiter->gate;
    bool aside = gate == &waiter->loop->gates[STA_GATE_ASIDE];
    for (;;) {
        /* Before `done` and the lead are looked at: whoever changes these turns the gate after
         * it, and then we do not sleep. */
        uint32_t turn = atomic_load(&gate->turn);
        /* acquire, partner: the release in sta_waiter_signal(). */
        if (atomic_load_explicit(&waiter->done, memory_order_acquire))
            return false;
        if (!aside && sta_leader_try(waiter->loop))
            return true;
        sta_futex_wait(&gate->turn, turn, NULL);
    }
}

void sta_waiter_wait(struct sta_waiter *waiter)
{
    while (!atomic_load_explicit(&waiter->done, memory_order_acquire)) {
        if (waiter->gate == NULL) {
            waiter_lead(waiter);
        } else if (waiter_follow(waiter)) {
            if (!atomic_load_explicit(&waiter->done, memory_order_relaxed))
                sta_gate_leave(&waiter->gate);
            else
                sta_leader_leave(waiter->loop); /* told between our two looks */
        }
    }
}

void sta_waiter_signal(struct sta_waiter *waiter)
{
    struct sta_loop *loop = waiter->loop;
    struct sta_gate *gate = waiter->gate;
    if (gate == NULL)
        uv_stop(&loop->uv); /* the leader is we: do not wait for anything else */
    else
        sta_gate_note(loop, gate);
    /* release, partner: the follower's acquire. From here on the waiter may be gone. */
    atomic_store_explicit(&waiter->done, true, memory_order_release);
}
