/* SPDX-License-Identifier: MIT
 *
 * Removes expired entries from L1 every `interval_ms`, on a loop's thread, in steps that are
 * small enough not to hold the loop up: after each step of STA_SWEEPER_STEP entries it lets the
 * loop turn, until one round has seen every entry.
 * Threads: start and stop by whoever owns the loop while it is not running, or on its thread;
 * adjust by any in between.
 */
#ifndef STA_SWEEPER_H
#define STA_SWEEPER_H

#include <stdatomic.h>
#include <stdint.h>

#include "l1/l1.h"
#include "net/loop.h"

#define STA_SWEEPER_STEP 4096u

struct sta_sweeper {
    struct sta_timer timer;
    struct sta_loop *loop;
    struct sta_l1 *l1;
    struct sta_task task; /* the interval is another */
    uint64_t left;        /* entries still to look at in this round */

    /* Any thread. */
    _Atomic uint64_t interval_ns; /* relaxed; UINT64_MAX: no sweeps */
    atomic_flag posted;           /* the task is on its way */
};

/* `interval_ms` UINT64_MAX: no sweeps. */
void sta_sweeper_start(struct sta_sweeper *sweeper, struct sta_loop *loop, struct sta_l1 *l1,
                       uint64_t interval_ms);

/* Another interval, that begins now. */
void sta_sweeper_adjust(struct sta_sweeper *sweeper, uint64_t interval_ms);

void sta_sweeper_stop(struct sta_sweeper *sweeper);

#endif
