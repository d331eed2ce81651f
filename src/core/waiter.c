/* SPDX-License-Identifier: MIT
 *
 * See waiter.h. The signal is given under the lock, so the waiting thread cannot leave (and take
 * the memory with it) before signal() is through with the condition variable.
 */
#include "core/waiter.h"

void sta_waiter_init(struct sta_waiter *waiter)
{
    pthread_mutex_init(&waiter->lock, NULL);
    pthread_cond_init(&waiter->changed, NULL);
    waiter->signalled = false;
}

void sta_waiter_fini(struct sta_waiter *waiter)
{
    pthread_cond_destroy(&waiter->changed);
    pthread_mutex_destroy(&waiter->lock);
}

void sta_waiter_wait(struct sta_waiter *waiter)
{
    pthread_mutex_lock(&waiter->lock);
    while (!waiter->signalled)
        pthread_cond_wait(&waiter->changed, &waiter->lock);
    pthread_mutex_unlock(&waiter->lock);
}

void sta_waiter_signal(struct sta_waiter *waiter)
{
    pthread_mutex_lock(&waiter->lock);
    waiter->signalled = true;
    pthread_cond_signal(&waiter->changed);
    pthread_mutex_unlock(&waiter->lock);
}
