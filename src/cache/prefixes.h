/* SPDX-License-Identifier: MIT
 *
 * Hits, misses and bytes by the prefix of keys, in a bounded number of rows:
 *
 *     configured prefixes      the longest that fits counts; each has a row, met or not
 *     a key's bytes up to and with the first delimiter, where that is at most 32 bytes
 *                              the STA_PREFIXES_TOP that are met most have a row
 *     "other"                  all else: keys without a delimiter, prefixes without a row
 *
 * Keys are never told, and of a prefix only letters, digits and _ . : / - ; other bytes are shown
 * as _, and prefixes that look alike then are one.
 *
 *     threads --> a stripe each, mostly: a summary (prefix_summary.h) --read()--> rows
 *
 * A row only grows. One that has to go because others are met more ends; what is met of it from
 * then on is other's, and if it comes back it begins at 0: as a counter that was reset.
 *
 * Threads: any. Memory: some 250 KiB, made once.
 */
#ifndef STA_PREFIXES_H
#define STA_PREFIXES_H

#include "cache/prefix_summary.h"
#include "cache/timing.h"

#define STA_PREFIXES_OTHER      "other"
#define STA_PREFIXES_TOP        32u
#define STA_PREFIXES_CONFIGURED 32u
#define STA_PREFIXES_ROWS       (STA_PREFIXES_CONFIGURED + STA_PREFIXES_TOP + 1)

struct sta_prefixes;

struct sta_prefixes_config {
    const char *const *prefixes; /* copied; at most STA_PREFIXES_CONFIGURED, each at most
                                    STA_PREFIX_LEN_MOST bytes, no two the same */
    size_t count;
    char delimiter;
};

struct sta_prefixes_row {
    char prefix[STA_PREFIX_LEN_MOST + 1];
    struct sta_prefix_numbers numbers;
};

/* STRATA_ERR_NOMEM. */
int sta_prefixes_create(struct sta_prefixes **out, const struct sta_prefixes_config *config);
void sta_prefixes_destroy(struct sta_prefixes **prefixes);

/* A tier had the key, and a value of `bytes`; or had it not. `prefixes` NULL: nothing is
 * counted. */
void sta_prefixes_count_hit(struct sta_prefixes *prefixes, enum sta_timing_tier tier,
                            struct strata_bytes key, uint64_t bytes);
void sta_prefixes_count_miss(struct sta_prefixes *prefixes, enum sta_timing_tier tier,
                             struct strata_bytes key);

static inline void sta_prefixes_hit(struct sta_prefixes *prefixes, enum sta_timing_tier tier,
                                    struct strata_bytes key, uint64_t bytes)
{
    if (__builtin_expect(prefixes != NULL, 0))
        sta_prefixes_count_hit(prefixes, tier, key, bytes);
}

static inline void sta_prefixes_miss(struct sta_prefixes *prefixes, enum sta_timing_tier tier,
                                     struct strata_bytes key)
{
    if (__builtin_expect(prefixes != NULL, 0))
        sta_prefixes_count_miss(prefixes, tier, key);
}

/* Fills *count of STA_PREFIXES_ROWS rows, those with a configured prefix first and "other" last.
 * STRATA_ERR_NOMEM: nothing is lost, the next read has it. */
int sta_prefixes_read(struct sta_prefixes *prefixes, struct sta_prefixes_row *rows, size_t *count);

#endif
