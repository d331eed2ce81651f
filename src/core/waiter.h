/* SPDX-License-Identifier: MIT
 *
 * One thread waits for one event that another thread announces: how a synchronous call waits
 * for the loop. Lives on the waiting thread's stack: signal() is the last thing that the other
 * side does with it.
 */
#ifndef STA_WAITER_H
#define STA_WAITER_H

#include <pthread.h>
#include <stdbool.h>

struct sta_waiter {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool signalled; /* guarded by lock */
};

/* Cannot fail with default attributes on Linux. */
void sta_waiter_init(struct sta_waiter *waiter);
void sta_waiter_fini(struct sta_waiter *waiter);

/* Blocks until signal() was called, before or after. There is no time limit here: what is waited
 * for carries its own deadline. */
void sta_waiter_wait(struct sta_waiter *waiter);
void sta_waiter_signal(struct sta_waiter *waiter);

#endif
