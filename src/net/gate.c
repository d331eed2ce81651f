/* SPDX-License-Identifier: MIT
 *
 * See gate.h.
 * Threads: as named there. Memory: none; the gates are the loop's.
 */
#include "net/gate.h"

#include "net/futex.h"
#include "net/loop_inside.h"

struct sta_gate *sta_gate_join(struct sta_loop *loop)
{
    /* relaxed: any gate is right, the current one is best. */
    unsigned batch = atomic_load_explicit(&loop->batch, memory_order_relaxed);
    struct sta_gate *gate = &loop->gates[batch % STA_GATE_COUNT];
    (void)atomic_fetch_add(&gate->waiting, 1);
    return gate;
}

struct sta_gate *sta_gate_stand_aside(struct sta_loop *loop)
{
    struct sta_gate *gate = &loop->gates[STA_GATE_ASIDE];
    (void)atomic_fetch_add_explicit(&gate->waiting, 1, memory_order_relaxed); /* for note() */
    return gate;
}

bool sta_gate_has_followers(struct sta_loop *loop)
{
    for (unsigned i = 0; i < STA_GATE_COUNT; i++) {
        if (atomic_load(&loop->gates[i].waiting) > 0)
            return true;
    }
    return false;
}

void sta_gate_leave(struct sta_gate **gate)
{
    (void)atomic_fetch_sub_explicit(&(*gate)->waiting, 1, memory_order_relaxed);
    *gate = NULL;
}

void sta_gate_note(struct sta_loop *loop, struct sta_gate *gate)
{
    (void)atomic_fetch_sub_explicit(&gate->waiting, 1, memory_order_relaxed);
    loop->noted |= 1u << (gate - loop->gates);
    if (gate != &loop->gates[STA_GATE_ASIDE])
        sta_gather_add(&loop->gather);
}

unsigned sta_gate_take_noted(struct sta_loop *loop)
{
    unsigned noted = loop->noted;
    loop->noted = 0;
    return noted;
}

static long gate_wake(struct sta_gate *gate, int most)
{
    /* seq_cst, partner: the load in waiter_follow(), which comes before it looks whether it is
     * told or may lead. Who loaded the old number does not fall asleep on it any more. */
    (void)atomic_fetch_add(&gate->turn, 1);
    return sta_futex_wake(&gate->turn, most);
}

void sta_gate_tell(struct sta_loop *loop, unsigned noted)
{
    for (unsigned i = 0; noted != 0; i++, noted >>= 1) {
        if (noted & 1u)
            (void)gate_wake(&loop->gates[i], INT_MAX);
    }
}

/* Where followers have joined and none sleeps yet, they look for the lead before they do. */
bool sta_gate_pass_on(struct sta_loop *loop)
{
    for (unsigned i = 0; i < STA_GATE_COUNT; i++) {
        struct sta_gate *gate = &loop->gates[i];
        if (atomic_load(&gate->waiting) > 0 && gate_wake(gate, 1) > 0)
            return true;
    }
    return false;
}
