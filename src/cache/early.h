/* SPDX-License-Identifier: MIT
 *
 * How long a loaded value lives, and whether it is loaded anew before that is over. Pure: chance
 * is an argument, any 64 random bits.
 */
#ifndef STA_EARLY_H
#define STA_EARLY_H

#include <stdbool.h>
#include <stdint.h>

/* A TTL that is up to `share` (0 to 1) shorter, evenly, so that what was loaded together does not
 * end together. Never 0 where it was not; UINT64_MAX stays. */
uint64_t sta_early_jitter(uint64_t ttl_ms, double share, uint64_t random);

/* Whether the last part of a value's time has begun: after this share (0 to 1) of `span_ms`, of
 * which `left_ms` are left. 0: never. */
bool sta_early_ahead(uint64_t left_ms, uint64_t span_ms, double share);

/* Whether this call loads it anew now, by chance that grows towards the end, the sooner the longer
 * a load takes: XFetch (Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede
 * Prevention, VLDB 2015): load_us * beta * -ln(rand(0, 1]) reaches the time that is left. */
bool sta_early_xfetch(uint64_t left_ms, uint64_t load_us, double beta, uint64_t random);

#endif
