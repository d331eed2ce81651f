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

#endif
