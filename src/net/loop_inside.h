/* SPDX-License-Identifier: MIT
 *
 * What this room's own files need of a loop, beyond its door. Loop thread only.
 */
#ifndef STA_LOOP_INSIDE_H
#define STA_LOOP_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "net/loop.h"

/* Bytes of the read area that everything on a loop shares; its content is worth nothing after
 * the callback that filled it. */
#define STA_LOOP_SCRATCH_BYTES (64u * 1024u)

struct sta_loop {
    /* Atomic; partners are named at each access. */
    _Atomic(struct sta_task *) posted; /* newest first */
    atomic_bool asleep;
    atomic_bool stopping;
    _Atomic(pthread_t) owner; /* who runs the loop; 0: nobody */

    /* Of the thread that called start() and will call join(). */
    pthread_t thread;
    bool started;
    char name[16];

    /* Of the loop thread. */
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t alarm; /* the one libuv timer, set for the first of `timers` */
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t restless;     /* active: libuv does not wait */
    uint64_t now_ns;        /* 0: to be read again */
    uint64_t alarm_ns;      /* what `alarm` is set for */
    struct sta_list timers; /* by due_ns, earliest first */
    struct sta_list flushes;
    struct sta_list guests;
    uint8_t scratch[STA_LOOP_SCRATCH_BYTES];
};

/* Something that lives on a loop and is closed with it where its owner did not do so. */
struct sta_loop_guest {
    struct sta_list link;
    void (*evict)(struct sta_loop_guest *guest);
};

/* To leave, remove the guest's link. */
void sta_loop_add_guest(struct sta_loop *loop, struct sta_loop_guest *guest);

/* timer.c: sets libuv's timer for the first of ours. Before each wait. */
void sta_timer_set_alarm(struct sta_loop *loop);

/* flush.c: runs the hooks that were asked for; what they ask for comes in the next tick. */
void sta_flush_run_all(struct sta_loop *loop);

/* First thing in every libuv callback of this room: the loop is at work and needs no wake-up. */
void sta_loop_enter(struct sta_loop *loop);

#endif
