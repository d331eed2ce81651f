/* SPDX-License-Identifier: MIT
 *
 * How long single calls take, of one thread. A call that took long may have waited for the cache,
 * or its thread was not running because another one was. So besides the time by the clock there is
 * the time that the thread ran: of a long call, the clock's less what the thread did not run since
 * the last mark, a few dozen calls before. Neither is the truth alone: who sleeps waiting for a
 * lock does not run either.
 */
#ifndef BENCH_L1_PAUSE_H
#define BENCH_L1_PAUSE_H

#include <stdint.h>

#include "core/histogram.h"

#define PAUSE_LONG_NS 20000u
#define PAUSE_MARK    64u /* calls between two marks */

/* What a thread has met so far, or between two moments. */
struct pause_events {
    uint64_t faults;    /* pages that it was the first to touch, or that were not mapped */
    uint64_t waits;     /* times that it slept, for a lock for instance */
    uint64_t preempted; /* times that another thread was given its processor */
};

struct pause {
    struct sta_histogram by_clock;
    struct sta_histogram by_cpu;
    struct pause_events longest; /* what was met in the longest call, and since the mark before */
    uint64_t mark_ns;
    uint64_t mark_cpu_ns;
    struct pause_events mark_events;
    uint32_t since_mark;
};

void pause_mark(struct pause *pause);
void pause_note_long(struct pause *pause, uint64_t began_ns, uint64_t ended_ns);

/* A call is over; the next one should begin with a new reading of the clock after a mark. */
static inline void pause_note(struct pause *pause, uint64_t began_ns, uint64_t ended_ns)
{
    uint64_t took_ns = ended_ns - began_ns;
    if (took_ns >= PAUSE_LONG_NS) {
        pause_note_long(pause, began_ns, ended_ns);
        return;
    }
    sta_histogram_record(&pause->by_clock, took_ns);
    sta_histogram_record(&pause->by_cpu, took_ns);
    if (++pause->since_mark == PAUSE_MARK)
        pause_mark(pause);
}

#endif
