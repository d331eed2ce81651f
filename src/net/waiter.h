/* SPDX-License-Identifier: MIT
 *
 * How a synchronous call waits for an event on a loop that sta_loop_start() runs. The calling
 * thread leads the loop itself where nobody else does: it sends, polls and receives on its own,
 * and no thread is woken. Else it follows: it sleeps until the thread that leads tells it, or
 * passes the lead on to it.
 *
 *     sta_waiter_init(&waiter, loop);
 *     ...post what ends with sta_waiter_signal(&waiter)...
 *     sta_waiter_wait(&waiter);
 *
 * Work in no hurry that asks again and again would have the lead nearly always, and whoever else
 * calls would have to be woken twice. It stands aside: its thread never leads, it only sleeps until
 * it is told, for which it may wait a millisecond longer (keeper.c).
 *
 * Between init() and wait() the thread may have the lead, and others wait for it: post and wait,
 * nothing else. Not for a thread that leads already (a callback of the loop).
 */
#ifndef STA_WAITER_H
#define STA_WAITER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "net/loop.h"

struct sta_gate;

/* On the waiting thread's stack; once signalled it may be gone. */
struct sta_waiter {
    struct sta_loop *loop;
    struct sta_gate *gate; /* where it follows; NULL: it leads. Its own until it has posted, the
                              leader's from then on */
    atomic_bool done;
};

void sta_waiter_init(struct sta_waiter *waiter, struct sta_loop *loop);
void sta_waiter_init_aside(struct sta_waiter *waiter, struct sta_loop *loop);

/* Blocks until signal() was called, before or after. There is no time limit here: what is waited
 * for carries its own deadline. No cancellation point. */
void sta_waiter_wait(struct sta_waiter *waiter);

/* Once, by who leads the loop, or after the loop has ended. The last thing that the other side does
 * with the waiter. */
void sta_waiter_signal(struct sta_waiter *waiter);

#endif
