/* SPDX-License-Identifier: MIT
 *
 * Where seeds come from.
 */
#include "core/random.h"

#include <sys/random.h>

#include "core/clock.h"

uint64_t sta_random_seed(void)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
        seed = sta_clock_now_ns() ^ (uint64_t)(uintptr_t)&seed;
    return seed;
}
