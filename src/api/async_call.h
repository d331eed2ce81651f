/* SPDX-License-Identifier: MIT
 *
 * What asynchronous calls have in common: each is one block of memory, which begins with this and
 * lives until its callback has run.
 *
 *     init --> complete()  by who leads the loop: into the caller's queue, and callback then; or
 *         |                callback on the loop's own thread
 *         '--> post()      by the caller's thread, where it is answered at once: complete() on the
 *                          loop's own thread
 *
 * Values that pass through here are copies, never leases: a queue may be dispatched after the
 * cache is closed.
 */
#ifndef STA_ASYNC_CALL_H
#define STA_ASYNC_CALL_H

#include "api/handle.h"
#include "api/queue.h"
#include "strata/cache.h"

struct sta_async_call {
    /* What is answered: to be filled before complete() or post(). */
    int status;
    struct strata_value value;

    struct sta_completed completed; /* what a queue takes */
    struct strata_completion completion;
    struct sta_loop *loop;
    struct sta_task task;
};

/* Of a zeroed block that malloc() made. */
void sta_async_call_init(struct sta_async_call *call, struct strata *cache,
                         struct strata_completion completion);

/* The block is freed after the callback. */
void sta_async_call_complete(struct sta_async_call *call);
void sta_async_call_post(struct sta_async_call *call);

#endif
