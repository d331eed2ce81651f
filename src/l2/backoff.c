/* SPDX-License-Identifier: MIT
 *
 * Full jitter; see backoff.h.
 */
#include "l2/backoff.h"

#include "core/random.h"

uint64_t sta_backoff_ceiling(const struct sta_backoff *backoff)
{
    if (backoff->failures > 0 || backoff->min_ns > backoff->max_ns)
        return backoff->max_ns;
    return backoff->min_ns;
}

uint64_t sta_backoff_next(struct sta_backoff *backoff, uint64_t spent_ns)
{
    uint64_t delay_ns = sta_random_below(&backoff->random, sta_backoff_ceiling(backoff) + 1);
    if (backoff->failures < UINT32_MAX)
        backoff->failures++;
    return delay_ns > spent_ns ? delay_ns - spent_ns : 0;
}

void sta_backoff_reset(struct sta_backoff *backoff)
{
    backoff->failures = 0;
}
