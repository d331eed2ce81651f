/* SPDX-License-Identifier: MIT
 *
 * How long operations take, by operation and by the tier that ended them. What L2 ends is timed
 * always: begin and end are known there without another look at the clock. What L1 ends takes some
 * tens of nanoseconds, as much as a look at the clock, so that only one call in STA_TIMING_ONE_OF
 * is timed. Which one is decided by the time at which it begins, before anything is known of it: a
 * multiplication and a branch, and no memory is touched.
 *
 * Threads: any. Recording is relaxed; what L1 ends is spread over some copies, by thread.
 */
#ifndef STA_TIMING_H
#define STA_TIMING_H

#include <stdbool.h>
#include <stdint.h>

#include "core/latency.h"

enum sta_timing_operation {
    STA_TIMING_GET,
    STA_TIMING_SET,
    STA_TIMING_DELETE,
    STA_TIMING_OPERATIONS /* how many there are */
};

enum sta_timing_tier { STA_TIMING_L1, STA_TIMING_L2, STA_TIMING_TIERS };

#define STA_TIMING_BITS   6u
#define STA_TIMING_ONE_OF (1u << STA_TIMING_BITS)

/* One in STA_TIMING_ONE_OF, by Fibonacci hashing: it does not matter how fine the clock is. */
static inline bool sta_timing_samples(uint64_t begun_ns)
{
    return begun_ns * UINT64_C(0x9e3779b97f4a7c15) >> (64u - STA_TIMING_BITS) == 0;
}

struct sta_timing;

/* STRATA_ERR_NOMEM. */
int sta_timing_create(struct sta_timing **out);
void sta_timing_destroy(struct sta_timing **timing);

/* `timing` NULL: nothing is timed, as in all that follow. */
void sta_timing_record(struct sta_timing *timing, enum sta_timing_operation operation,
                       enum sta_timing_tier tier, uint64_t begun_ns, uint64_t ended_ns);

/* So many operations at once, which began and ended together. */
void sta_timing_record_times(struct sta_timing *timing, enum sta_timing_operation operation,
                             enum sta_timing_tier tier, uint64_t begun_ns, uint64_t ended_ns,
                             uint64_t times);

/* An operation that L1 has ended just now, and that is to be timed: reads the clock. */
void sta_timing_sample(struct sta_timing *timing, enum sta_timing_operation operation,
                       uint64_t begun_ns);

/* Adds what was recorded. */
void sta_timing_read(const struct sta_timing *timing, enum sta_timing_operation operation,
                     enum sta_timing_tier tier, struct sta_histogram *into);

#endif
