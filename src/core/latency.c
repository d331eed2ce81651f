/* SPDX-License-Identifier: MIT
 *
 * Reading a latency (latency.h).
 */
#include "core/latency.h"

static void add_bucket(struct sta_histogram *into, uint32_t bucket, uint64_t count)
{
    uint64_t middle = sta_histogram_middle(bucket);
    into->min = into->count == 0 || middle < into->min ? middle : into->min;
    into->max = middle > into->max ? middle : into->max;
    into->count += count;
    into->buckets[bucket] += count;
}

void sta_latency_read(const struct sta_latency *latency, struct sta_histogram *into)
{
    into->sum += atomic_load_explicit(&latency->sum_ns, memory_order_relaxed);
    for (uint32_t i = 0; i < STA_LATENCY_BUCKETS; i++) {
        uint64_t count = atomic_load_explicit(&latency->buckets[i], memory_order_relaxed);
        if (count > 0)
            add_bucket(into, i, count);
    }
}
