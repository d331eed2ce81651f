/* SPDX-License-Identifier: MIT
 *
 * Full jitter; see backoff.h.
 */
#include "l2/backoff.h"

#include "core/random.h"

uint64_t sta_backoff_ceiling(const struct sta_backoff *backoff)
{
    if (backoff->failures >= 64 || backoff->min_ns > backoff->max_ns >> backoff->failures)
        return backoff->max_ns;
    return backoff->min_ns << backoff->failures;
}

uint64_t sta_backoff_next(struct sta_backoff *backoff)
{
    uint64_t ceiling_ns = sta_backoff_ceiling(backoff);
    if (backoff->failures < 64)
        backoff->failures++;
    return sta_random_below(&backoff->random, ceiling_ns + 1);
}

void sta_backoff_reset(struct sta_backoff *backoff)
{
    backoff->failures = 0;
}
