/* SPDX-License-Identifier: MIT
 *
 * Which prefixes of keys are met most, and what is counted for them, in bounded memory:
 * Space-Saving (Metwally, Agrawal, El Abbadi: Efficient computation of frequent and top-k elements
 * in data streams, 2005). STA_PREFIX_ENTRIES prefixes have an entry. Another one takes the place of
 * the entry with the least weight, and inherits that weight: of what is met more often than once in
 * STA_PREFIX_ENTRIES times, nothing is missing. What was counted for who had to go belongs to all
 * others together, so that no count is lost. Weights are halved now and then: who is not met any
 * more makes room.
 *
 * Threads: one at a time. Memory: none but the struct.
 */
#ifndef STA_PREFIX_SUMMARY_H
#define STA_PREFIX_SUMMARY_H

#include <stddef.h>
#include <stdint.h>

#include "strata/bytes.h"

#define STA_PREFIX_LEN_MOST  32u /* bytes of the longest that is told apart */
#define STA_PREFIX_ENTRIES   64u
#define STA_PREFIX_PLACES    128u /* a power of two, twice the entries */
#define STA_PREFIX_HALVED_AT (UINT64_C(1) << 20)

/* By tier: enum sta_timing_tier. */
struct sta_prefix_numbers {
    uint64_t hits[2];
    uint64_t misses[2];
    uint64_t bytes[2]; /* of the values that were hit */
};

void sta_prefix_numbers_add(struct sta_prefix_numbers *to, const struct sta_prefix_numbers *from);

struct sta_prefix_entry {
    uint64_t hash;
    uint8_t len;
    uint8_t bytes[STA_PREFIX_LEN_MOST];
    struct sta_prefix_numbers numbers;
};

struct sta_prefix_summary {
    uint64_t met; /* since weights were halved */
    uint32_t count;
    uint64_t weights[STA_PREFIX_ENTRIES]; /* apart: the least is looked for */
    uint8_t places[STA_PREFIX_PLACES];    /* by hash, open: an entry's index and one; 0: none */
    struct sta_prefix_entry entries[STA_PREFIX_ENTRIES];
    struct sta_prefix_numbers other;
};

/* The prefix (1 .. STA_PREFIX_LEN_MOST bytes) is met once more: where its numbers are until the
 * next call. Zeroed is an empty summary. */
struct sta_prefix_numbers *sta_prefix_summary_meet(struct sta_prefix_summary *summary,
                                                   struct strata_bytes prefix, uint64_t hash);

#endif
