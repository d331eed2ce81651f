/* SPDX-License-Identifier: MIT
 *
 * The reading half of histogram.h: quantiles, means, merging. Recording is inline there.
 */
#include "core/histogram.h"

#include <math.h>

void sta_histogram_merge(struct sta_histogram *into, const struct sta_histogram *from)
{
    if (from->count == 0)
        return;
    into->min = into->count == 0 || from->min < into->min ? from->min : into->min;
    into->max = from->max > into->max ? from->max : into->max;
    into->sum += from->sum;
    into->count += from->count;
    for (uint32_t i = 0; i < STA_HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

uint64_t sta_histogram_middle(uint32_t bucket)
{
    const uint32_t per_power = 1u << STA_HISTOGRAM_BITS;
    if (bucket < 2 * per_power)
        return bucket;
    uint32_t shift = bucket / per_power - 1;
    uint64_t low = (uint64_t)(per_power + bucket % per_power) << shift;
    return low + (UINT64_C(1) << (shift - 1));
}

uint64_t sta_histogram_quantile(const struct sta_histogram *histogram, double fraction)
{
    if (histogram->count == 0)
        return 0;
    if (!(fraction > 0.0))
        return histogram->min;
    if (fraction >= 1.0)
        return histogram->max;
    /* A step down first: 0.029 is stored as a little more than that, and of 20,000 values it must
     * still be the 580th, not the one after. */
    uint64_t rank = (uint64_t)ceil(nextafter(fraction, 0.0) * (double)histogram->count);
    uint64_t seen = 0;
    uint32_t bucket = 0;
    for (; bucket < STA_HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen >= rank)
            break;
    }
    uint64_t value = sta_histogram_middle(bucket);
    if (value < histogram->min)
        return histogram->min;
    return value > histogram->max ? histogram->max : value;
}

uint64_t sta_histogram_count_on(const struct sta_histogram *histogram, uint32_t *bucket,
                                uint64_t value)
{
    uint64_t count = 0;
    uint32_t end = sta_histogram_bucket(value);
    end += sta_histogram_middle(end) <= value;
    for (; *bucket < end; ++*bucket)
        count += histogram->buckets[*bucket];
    return count;
}

double sta_histogram_mean(const struct sta_histogram *histogram)
{
    return histogram->count == 0 ? 0.0 : (double)histogram->sum / (double)histogram->count;
}
