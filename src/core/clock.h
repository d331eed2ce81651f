/* SPDX-License-Identifier: MIT
 *
 * The monotonic clock. Read once at the edge (a public call, a loop's tick) and passed down as
 * an argument; nothing below reads time by itself. Wall clocks are not used inside.
 * A deadline is a time on this clock; STA_NEVER means that there is none.
 */
#ifndef STA_CLOCK_H
#define STA_CLOCK_H

#include <stdint.h>
#include <time.h>

#define STA_NEVER  UINT64_MAX
#define STA_NS_MS  UINT64_C(1000000)
#define STA_NS_SEC UINT64_C(1000000000)

static inline uint64_t sta_clock_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * STA_NS_SEC + (uint64_t)now.tv_nsec;
}

static inline uint64_t sta_clock_now_ms(void)
{
    return sta_clock_now_ns() / STA_NS_MS;
}

/* now + delay, saturating at STA_NEVER. Any unit, the same for both. */
static inline uint64_t sta_clock_after(uint64_t now, uint64_t delay)
{
    return delay > STA_NEVER - now ? STA_NEVER : now + delay;
}

#endif
