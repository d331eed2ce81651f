/* SPDX-License-Identifier: MIT
 *
 * An invalidation by pattern that is held in the middle: its barrier is up, most of what matches is
 * not deleted yet, and it goes on when the test says so. On a thread of its own.
 */
#ifndef TEST_HELD_PATTERN_H
#define TEST_HELD_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

#include "strata/strata.h"

struct held_pattern_run;

/* May lie on the stack of a test that fails while it is held: its thread knows only `run`. */
struct held_pattern {
    struct strata *cache;
    const char *pattern; /* to its end */
    uint64_t share;      /* percent of the time; 0: 20 */
    bool give_up;        /* when it goes on, it ends there */

    /* after end() */
    int status;
    struct strata_pattern_progress result;

    struct held_pattern_run *run;
};

/* Returns once it is held, with its first keys deleted: 64 at most. There must be more that
 * match. */
void held_pattern_begin(struct held_pattern *held);

/* It goes on, and has ended. */
void held_pattern_end(struct held_pattern *held);

#endif
