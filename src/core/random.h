/* SPDX-License-Identifier: MIT
 *
 * A small generator for jitter and sampling (SplitMix64: Steele, Lea, Flood, OOPSLA 2014). Not
 * for secrets. The caller owns the state, so a test that seeds it sees the same run again.
 */
#ifndef STA_RANDOM_H
#define STA_RANDOM_H

#include <stdint.h>

static inline uint64_t sta_random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Evenly from 0 to bound - 1; 0 where bound is 0. The bias for bounds below 2^32 is under 2^-32. */
static inline uint64_t sta_random_below(uint64_t *state, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)sta_random_next(state) * bound) >> 64);
}

/* A seed from the kernel; falls back to the clock and an address where that fails. */
uint64_t sta_random_seed(void);

#endif
