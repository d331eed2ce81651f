/* SPDX-License-Identifier: MIT
 *
 * See early.h.
 */
#include "cache/early.h"

/* Evenly in (0, 1]. */
static double unit(uint64_t random)
{
    return ((double)(random >> 11) + 1) / (double)(UINT64_C(1) << 53);
}

uint64_t sta_early_jitter(uint64_t ttl_ms, double share, uint64_t random)
{
    if (ttl_ms == UINT64_MAX || !(share > 0))
        return ttl_ms;
    share = share < 1 ? share : 1;
    uint64_t less = (uint64_t)((double)ttl_ms * share * unit(random));
    return less < ttl_ms ? ttl_ms - less : ttl_ms > 0;
}
