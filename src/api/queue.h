/* SPDX-License-Identifier: MIT
 *
 * A completion queue: the loop's thread pushes what has ended, the caller's thread dispatches.
 * The file descriptor is readable while anything waits. Unbounded by itself: every entry is an
 * operation that the caller started, and its memory is the operation's.
 */
#ifndef STA_QUEUE_H
#define STA_QUEUE_H

#include "core/list.h"
#include "strata/cache.h"

/* Embedded in an operation. run() is called once, on the dispatching thread, and may free it. */
struct sta_completed {
    struct sta_list link;
    void (*run)(struct sta_completed *completed);
};

/* Any thread. */
void sta_queue_push(struct strata_queue *queue, struct sta_completed *completed);

#endif
