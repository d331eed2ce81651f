/* SPDX-License-Identifier: MIT
 *
 * Fetching ahead: the lines that a batch of gets would wait for one after another are asked for
 * all at once, first every bucket, then every likely item.
 */
#include "l1/tier.h"

/* Where the item of the first slot with the key's tag would be, or NULL. The bucket is near. */
static inline const void *likely_item(const struct sta_l1 *l1, const struct sta_bucket *bucket,
                                      uint8_t tag)
{
    uint32_t bits =
        sta_index_match(atomic_load_explicit(&bucket->word[0], memory_order_relaxed),
                        atomic_load_explicit(&bucket->word[1], memory_order_relaxed), tag);
    if (bits == 0)
        return NULL;
    uint32_t offset =
        atomic_load_explicit(&bucket->offset[__builtin_ctz(bits)], memory_order_relaxed);
    return sta_arena_item(&l1->arena, offset);
}

void sta_l1_prefetch(const struct sta_l1 *l1, const struct sta_key *keys, size_t count)
{
    const struct sta_bucket *bucket[STA_L1_PREFETCH_MOST];
    uint64_t buckets = atomic_load_explicit(&l1->index.bucket_count, memory_order_acquire);
    count = count < STA_L1_PREFETCH_MOST ? count : STA_L1_PREFETCH_MOST;
    for (size_t i = 0; i < count; i++) {
        bucket[i] = &l1->index.buckets[sta_index_bucket_of(keys[i].hash, buckets)];
        __builtin_prefetch(bucket[i]);
    }
    for (size_t i = 0; i < count; i++) {
        const char *item = likely_item(l1, bucket[i], sta_index_tag(keys[i].hash));
        if (item == NULL)
            continue;
        __builtin_prefetch(item);
        __builtin_prefetch(item + 64);
        __builtin_prefetch(item + 128);
    }
}
