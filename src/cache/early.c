/* SPDX-License-Identifier: MIT
 *
 * See early.h.
 */
#include "cache/early.h"

#include <math.h>

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

bool sta_early_ahead(uint64_t left_ms, uint64_t span_ms, double share)
{
    return share > 0 && left_ms <= span_ms &&
           (double)(span_ms - left_ms) >= (double)span_ms * share;
}

bool sta_early_xfetch(uint64_t left_ms, uint64_t load_us, double beta, uint64_t random)
{
    return beta > 0 && (double)load_us * beta * -log(unit(random)) >= (double)left_ms * 1000;
}
