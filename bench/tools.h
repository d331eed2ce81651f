/* SPDX-License-Identifier: MIT
 *
 * What several benchmarks beside Redis need. Threads: any.
 */
#ifndef BENCH_TOOLS_H
#define BENCH_TOOLS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"

/* Ends the program, and says what could not be had. */
static inline void bench_must(bool good, const char *what)
{
    if (good)
        return;
    (void)fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

/* Until this moment of sta_clock_now_ns(); signals do not shorten it. */
static inline void bench_sleep_until(uint64_t ns)
{
    const struct timespec at = {(time_t)(ns / STA_NS_SEC), (long)(ns % STA_NS_SEC)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0) {
    }
}

/* The calling thread's processor time. */
static inline uint64_t bench_cpu_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * STA_NS_SEC + (uint64_t)now.tv_nsec;
}

#endif
