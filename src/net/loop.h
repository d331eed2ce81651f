/* SPDX-License-Identifier: MIT
 *
 * An event loop: a thin skin over libuv that adds what strata needs of it. At any time one thread
 * leads it, and the loop and all that lives on it belong to that thread; only post() and stop()
 * may be called from others. A loop that sta_loop_run() runs is led by that thread throughout. One
 * that sta_loop_start() runs has a thread of its own, and lends the lead to threads that wait for
 * something on it (net/waiter.h): "the loop's thread" in this house is whoever leads.
 *
 * One tick: wait for I/O and timers -> run their callbacks and the posted tasks -> run the flush
 * hooks that were asked for during the tick -> wait again. Streams use a flush hook to send all
 * that a tick produced with one system call.
 */
#ifndef STA_LOOP_H
#define STA_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"

struct sta_loop;
struct uv_loop_s;

/* Work handed to who leads. The caller owns the memory; the task may be freed or posted
 * again from within run(). In flight in one loop at a time. */
struct sta_task {
    struct sta_task *next; /* the loop's while posted */
    void (*run)(struct sta_task *task);
};

/* A one-shot timer, embedded in the caller's struct. Stopped timers need no farewell: the memory
 * may go right after stop(). */
struct sta_timer {
    struct sta_list link; /* the loop's */
    uint64_t due_ns;
    void (*fire)(struct sta_timer *timer);
};

/* A hook that runs once at the end of the current tick. */
struct sta_flush {
    struct sta_list link; /* the loop's */
    void (*run)(struct sta_flush *flush);
};

/* STRATA_ERR_NOMEM, STRATA_ERR_SYSTEM. */
int sta_loop_create(struct sta_loop **out);

/* Closes what is still open; tasks that were posted and not run are forgotten. The loop must not
 * be running. NULL is fine. */
void sta_loop_destroy(struct sta_loop **loop);

/* Runs on the calling thread until stop(). */
void sta_loop_run(struct sta_loop *loop);

/* Runs on a thread of its own (all signals blocked, named `name`, at most 15 bytes). */
int sta_loop_start(struct sta_loop *loop, const char *name);

/* Any thread. The loop ends after the tick it is in; tasks posted before stop() have run. With
 * start(), join() waits for the thread. */
void sta_loop_stop(struct sta_loop *loop);
void sta_loop_join(struct sta_loop *loop);

/* Any thread. Tasks run in the order in which each thread posted them. Wake-ups coalesce: many
 * posts before the loop looks cost one system call. */
void sta_loop_post(struct sta_loop *loop, struct sta_task *task);

/* The same, but the task runs on the thread that run() was called on or that start() made, whoever
 * leads. It may run while another thread leads: it must not touch what lives on the loop. */
void sta_loop_post_own(struct sta_loop *loop, struct sta_task *task);

/* For a loop that does not run (any more): runs here what was posted after its last tick, and what
 * that posts, so that no task is lost. Without it destroy() forgets them. */
void sta_loop_drain(struct sta_loop *loop);

/* Any thread: is this the loop's own thread, from run() or start()? It may not wait for the loop:
 * neither when it leads nor in a task of post_own(). */
bool sta_loop_is_own_thread(const struct sta_loop *loop);

/* Any thread, in pairs: somebody expects a reply, and does not wait for it in a waiter. As long as
 * that is so, the loop's own thread looks after the loop as soon as no caller leads, and not only
 * within a millisecond. */
void sta_loop_expect(struct sta_loop *loop);
void sta_loop_meet(struct sta_loop *loop);

/* Who leads only (or any one thread while the loop is not running), all that follow. */
uint64_t sta_loop_now_ns(struct sta_loop *loop); /* as of the start of the tick */
struct uv_loop_s *sta_loop_uv(struct sta_loop *loop);

void sta_timer_init(struct sta_timer *timer, void (*fire)(struct sta_timer *timer));
void sta_timer_start(struct sta_loop *loop, struct sta_timer *timer, uint64_t due_ns);
void sta_timer_stop(struct sta_loop *loop, struct sta_timer *timer);

void sta_flush_init(struct sta_flush *flush, void (*run)(struct sta_flush *flush));
void sta_flush_request(struct sta_loop *loop, struct sta_flush *flush); /* idempotent in a tick */
void sta_flush_cancel(struct sta_flush *flush);

#endif
