/* SPDX-License-Identifier: MIT
 *
 * Counts of durations that several threads write at once: the buckets of histogram.h up to about a
 * minute, each an atomic counter. 16 KiB, of which only the pages that are written to are ever
 * there. Reading adds what is there to a histogram, whose quantiles are then within 0.8 %.
 *
 * Threads: any, relaxed. A reader may see one duration in a bucket whose sum it does not see yet.
 */
#ifndef STA_LATENCY_H
#define STA_LATENCY_H

#include <stdatomic.h>

#include "core/histogram.h"

/* From 2^36 ns (69 s) on everything is in the last bucket. */
#define STA_LATENCY_BUCKETS ((36u - STA_HISTOGRAM_BITS + 1u) << STA_HISTOGRAM_BITS)

struct sta_latency {
    _Atomic uint64_t sum_ns;
    _Atomic uint64_t buckets[STA_LATENCY_BUCKETS];
};

/* As if `times` durations of `ns` had been recorded. */
static inline void sta_latency_record_times(struct sta_latency *latency, uint64_t ns,
                                            uint64_t times)
{
    uint32_t bucket = sta_histogram_bucket(ns);
    if (bucket >= STA_LATENCY_BUCKETS)
        bucket = STA_LATENCY_BUCKETS - 1;
    atomic_fetch_add_explicit(&latency->buckets[bucket], times, memory_order_relaxed);
    atomic_fetch_add_explicit(&latency->sum_ns, ns * times, memory_order_relaxed);
}

static inline void sta_latency_record(struct sta_latency *latency, uint64_t ns)
{
    sta_latency_record_times(latency, ns, 1);
}

/* Adds what was recorded to `into`; its min and max are those of the buckets. */
void sta_latency_read(const struct sta_latency *latency, struct sta_histogram *into);

#endif
