/* SPDX-License-Identifier: MIT
 *
 * Counts of 64-bit values in buckets that are linear within a power of two and double from one
 * power to the next, after Tene's HdrHistogram (2012): what a quantile answers is within 0.8 % of a
 * value that was recorded there, over the whole range, at a fixed size and without allocation.
 *
 *     values     0..63          one bucket each, exact
 *     then       64 buckets for each power of two: 64..127 by 1, 128..255 by 2, 256..511 by 4 ...
 *
 * Invariants: count is the sum of the buckets; min <= max where count > 0. Zeroed is empty; any
 * unit will do, nanoseconds mostly. 30 KiB, so it lives in its owner's memory, not on a stack.
 * Threads: one owner; threads that record keep one each and merge.
 */
#ifndef STA_HISTOGRAM_H
#define STA_HISTOGRAM_H

#include <stdint.h>

/* 2^STA_HISTOGRAM_BITS buckets for each power of two. A bucket is then at most 1/64 of its lower
 * bound wide, and its middle at most 1/128 away from any value in it. */
#define STA_HISTOGRAM_BITS    6u
#define STA_HISTOGRAM_BUCKETS ((64u - STA_HISTOGRAM_BITS + 1u) << STA_HISTOGRAM_BITS)

struct sta_histogram {
    uint64_t count;
    uint64_t sum; /* wraps; for means of durations that is centuries away */
    uint64_t min; /* exact; meaningless while count is 0 */
    uint64_t max; /* exact */
    uint64_t buckets[STA_HISTOGRAM_BUCKETS];
};

/* The bucket of a value. */
static inline uint32_t sta_histogram_bucket(uint64_t value)
{
    if (value < (1u << STA_HISTOGRAM_BITS))
        return (uint32_t)value;
    uint32_t power = 63u - (uint32_t)__builtin_clzll(value);
    uint32_t shift = power - STA_HISTOGRAM_BITS;
    /* value >> shift is in [64, 128), so each power takes up the buckets after the one below. */
    return (shift << STA_HISTOGRAM_BITS) + (uint32_t)(value >> shift);
}

static inline void sta_histogram_record(struct sta_histogram *histogram, uint64_t value)
{
    histogram->buckets[sta_histogram_bucket(value)]++;
    histogram->min = histogram->count == 0 || value < histogram->min ? value : histogram->min;
    histogram->max = value > histogram->max ? value : histogram->max;
    histogram->sum += value;
    histogram->count++;
}

/* Adds what `from` has counted to `into`; `from` stays as it is. */
void sta_histogram_merge(struct sta_histogram *into, const struct sta_histogram *from);

/* The value that a `fraction` (0..1, clamped) of the recorded ones do not exceed: the middle of
 * its bucket, never outside min..max; 0 and 1 give min and max themselves. 0 where nothing was
 * recorded. */
uint64_t sta_histogram_quantile(const struct sta_histogram *histogram, double fraction);

/* The value in the middle of a bucket, rounded down. */
uint64_t sta_histogram_middle(uint32_t bucket);

/* How many of the values in buckets from *bucket on do not exceed `value`; a bucket counts as its
 * middle. *bucket is set behind them: for values that ascend all buckets are looked at once. */
uint64_t sta_histogram_count_on(const struct sta_histogram *histogram, uint32_t *bucket,
                                uint64_t value);

/* 0 where nothing was recorded. */
double sta_histogram_mean(const struct sta_histogram *histogram);

#endif
