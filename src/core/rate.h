/* SPDX-License-Identifier: MIT
 *
 * So many a second at the most, as the time up to which the rate is used up (GCRA, ITU-T I.371).
 * What is not used is saved up for STA_RATE_SAVED_NS; more than there is may be spent at once, and
 * is owed. So in any time t there begin no more than rate x (t + STA_RATE_SAVED_NS), but for what
 * the last one took at once.
 * Threads: one owner.
 */
#ifndef STA_RATE_H
#define STA_RATE_H

#include <stdint.h>

#include "core/clock.h"

#define STA_RATE_SAVED_NS (STA_NS_SEC / 10)

struct sta_rate {
    uint64_t per_second; /* up to a thousand million; 0: any */
    uint64_t used_up_ns;
};

/* From when on there is something to spend. */
static inline uint64_t sta_rate_due_ns(const struct sta_rate *rate)
{
    return rate->per_second > 0 ? rate->used_up_ns : 0;
}

/* How long so many take; a hundred million of them at the most. */
static inline uint64_t sta_rate_takes_ns(const struct sta_rate *rate, uint64_t count)
{
    return rate->per_second > 0 ? count * STA_NS_SEC / rate->per_second : 0;
}

/* What is owed by the old rate is owed no more. */
static inline void sta_rate_change(struct sta_rate *rate, uint64_t per_second, uint64_t now_ns)
{
    rate->per_second = per_second;
    if (rate->used_up_ns > now_ns)
        rate->used_up_ns = now_ns;
}

/* What was spent was not needed after all. */
static inline void sta_rate_give_back(struct sta_rate *rate, uint64_t count)
{
    uint64_t takes_ns = sta_rate_takes_ns(rate, count);
    rate->used_up_ns -= takes_ns < rate->used_up_ns ? takes_ns : rate->used_up_ns;
}

static inline void sta_rate_spend(struct sta_rate *rate, uint64_t count, uint64_t now_ns)
{
    uint64_t floor_ns = now_ns > STA_RATE_SAVED_NS ? now_ns - STA_RATE_SAVED_NS : 0;
    if (rate->used_up_ns < floor_ns)
        rate->used_up_ns = floor_ns;
    rate->used_up_ns += sta_rate_takes_ns(rate, count);
}

#endif
