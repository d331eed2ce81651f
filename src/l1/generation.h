/* SPDX-License-Identifier: MIT
 *
 * The generation table: what makes a fill that was overtaken recognisable. A key's hash picks
 * one of STA_GENERATION_COUNT counters; advancing a counter refuses every token that was read
 * before. 64 bits do not wrap in the life of a process.
 *
 * Threads: any. Keys of different buckets share a counter, so advancing is one atomic addition: a
 * generation never goes back. Whoever stores or removes an entry checks or advances under the
 * lock of the key's bucket. advance() releases and current() acquires: whoever saw the new
 * generation sees what was removed before it.
 */
#ifndef STA_GENERATION_H
#define STA_GENERATION_H

#include <stdatomic.h>
#include <stdint.h>

#define STA_GENERATION_COUNT 65536u

struct sta_generation {
    _Atomic uint64_t counter[STA_GENERATION_COUNT];
};

static inline uint32_t sta_generation_index(uint64_t hash)
{
    return (uint32_t)hash & (STA_GENERATION_COUNT - 1);
}

static inline uint64_t sta_generation_current(const struct sta_generation *table, uint64_t hash)
{
    return atomic_load_explicit(&table->counter[sta_generation_index(hash)], memory_order_acquire);
}

static inline uint64_t sta_generation_advance_at(struct sta_generation *table, uint32_t index)
{
    return atomic_fetch_add_explicit(&table->counter[index], 1, memory_order_release) + 1;
}

static inline uint64_t sta_generation_advance(struct sta_generation *table, uint64_t hash)
{
    return sta_generation_advance_at(table, sta_generation_index(hash));
}

#endif
