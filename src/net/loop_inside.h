/* SPDX-License-Identifier: MIT
 *
 * What this room's own files need of a loop, beyond its door. Who leads the loop only, where
 * nothing else is said.
 */
#ifndef STA_LOOP_INSIDE_H
#define STA_LOOP_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "net/gate.h"
#include "net/gather.h"
#include "net/leader.h"
#include "net/loop.h"

/* Bytes of the read area that everything on a loop shares; its content is worth nothing after
 * the callback that filled it. */
#define STA_LOOP_SCRATCH_BYTES (64u * 1024u)

#define STA_LOOP_LINE_BYTES 64u /* of a processor's cache */

struct sta_loop {
    /* Atomic, but hardly ever changed: read by calls that never get as far as the loop. */
    _Atomic(pthread_t) own; /* the thread that run() was called on, or of start(); 0: none runs */
    uint8_t apart[STA_LOOP_LINE_BYTES];

    /* Atomic; partners are named at each access. Those that callers share come together. */
    _Atomic(struct sta_task *) posted; /* newest first */
    _Atomic(pthread_t) leader;         /* leader.h */
    atomic_bool asleep;                /* the leader waits, or is about to */
    atomic_bool stopping;
    atomic_uint batch;                         /* how often `posted` was taken */
    atomic_int expected;                       /* sta_loop_expect() */
    _Atomic uint32_t led;                      /* how often a caller took the lead */
    _Atomic uint32_t rest;                     /* keeper.c: where the loop's own thread sleeps */
    _Atomic(struct sta_task *) owed;           /* to the loop's own thread, newest first */
    struct sta_gate gates[STA_GATE_COUNT + 1]; /* the last: STA_GATE_ASIDE */

    /* Of the thread that called start() and will call join(). */
    pthread_t thread;
    bool started;
    char name[16];
    int bell; /* wakes the loop's own thread from its rest, from start() to join() */

    int woken; /* wakes who leads from its wait; fixed at creation */

    /* Of who leads. */
    uv_loop_t uv;
    uv_poll_t wake;   /* of `woken` */
    uv_timer_t alarm; /* the one libuv timer, set for the first of `timers` */
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t restless; /* active: libuv does not wait */
    bool yields;        /* the lead is given up where somebody follows */
    unsigned noted;     /* gates to be told, a bit each */
    struct sta_gather gather;
    uint64_t watched_until_ns; /* when the loop's own thread looks again by itself */
    uint32_t watched_led;      /* `led` when it last began to watch */
    uint64_t now_ns;           /* 0: to be read again */
    uint64_t alarm_ns;         /* what `alarm` is set for */
    struct sta_list timers;    /* by due_ns, earliest first */
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

/* Runs what was posted up to now, and the flush hooks. */
void sta_loop_end_tick(struct sta_loop *loop);

/* The loop's own thread, with or without the lead: runs what was posted for it alone. */
void sta_loop_run_owed(struct sta_loop *loop);

#endif
