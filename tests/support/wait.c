/* SPDX-License-Identifier: MIT
 *
 * Bounded polling for tests.
 */
#include "support/wait.h"

#include <stdint.h>
#include <time.h>

#define PAUSE_NS 1000000

static int64_t monotonic_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Pauses; for how long the machine let nobody go on, or had others to run. */
static int64_t pause_and_tell_excess_ns(void)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    int64_t begin_ns = monotonic_ns();
    (void)nanosleep(&pause, NULL);
    int64_t took_ns = monotonic_ns() - begin_ns;
    return took_ns > PAUSE_NS ? took_ns - PAUSE_NS : 0;
}

bool wait_until(bool (*fact)(void *arg), void *arg, unsigned timeout_ms)
{
    int64_t end_ns = monotonic_ns() + (int64_t)timeout_ms * 1000000;
    while (!fact(arg)) {
        if (monotonic_ns() >= end_ns)
            return fact(arg);
        end_ns += pause_and_tell_excess_ns();
    }
    return true;
}
