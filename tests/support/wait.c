/* SPDX-License-Identifier: MIT
 *
 * Bounded polling for tests.
 */
#include "support/wait.h"

#include <stdint.h>
#include <time.h>

static int64_t monotonic_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool wait_until(bool (*fact)(void *arg), void *arg, unsigned timeout_ms)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int64_t end = monotonic_ms() + timeout_ms;
    while (!fact(arg)) {
        if (monotonic_ms() >= end)
            return fact(arg);
        (void)nanosleep(&pause, NULL);
    }
    return true;
}
