/* SPDX-License-Identifier: MIT
 *
 * Rests of who shall be at work for a share of the time at the most: work that took t is followed
 * by t x (100 - share) / share. Rests of less than a millisecond are saved up until they are one,
 * for an alarm that is shorter takes longer; what is over a second is owed on.
 * And of who shall do no more than so many pieces of work a second.
 * Threads: one owner.
 */
#ifndef STA_PACE_H
#define STA_PACE_H

#include <stdint.h>

#include "core/clock.h"

#define STA_PACE_LEAST_NS STA_NS_MS
#define STA_PACE_MOST_NS  STA_NS_SEC

/* How long to rest now; 0: not at all. `share`: percent, 1 to 100. */
static inline uint64_t sta_pace_rest_ns(uint64_t *owed_ns, uint64_t share, uint64_t took_ns)
{
    *owed_ns += took_ns * (100 - share) / share;
    if (*owed_ns < STA_PACE_LEAST_NS)
        return 0;
    uint64_t rest_ns = *owed_ns < STA_PACE_MOST_NS ? *owed_ns : STA_PACE_MOST_NS;
    *owed_ns -= rest_ns;
    return rest_ns;
}

/* When the next piece is due of work that began at `begun_ns`, of which `pieces` are done, at
 * `rate` a second. */
static inline uint64_t sta_pace_due_ns(uint64_t begun_ns, uint64_t pieces, uint64_t rate)
{
    uint64_t seconds = pieces / rate, rest = pieces % rate;
    if (seconds >= STA_NEVER / STA_NS_SEC)
        return STA_NEVER;
    double part = (double)rest / (double)rate;
    return sta_clock_after(begun_ns, seconds * STA_NS_SEC + (uint64_t)(part * (double)STA_NS_SEC));
}

#endif
