/* SPDX-License-Identifier: MIT
 *
 * Fetching ahead: the lines that a batch of gets would wait for one after another are asked for
 * all at once, first every bucket, then every likely item or the next bucket of its chain, until
 * all chains have ended. To the second-level cache: more lines may be on their way there than to
 * the first (here 5 ns a line instead of 11).
 */
#include "l1/tier.h"

#define NEAR 2 /* of __builtin_prefetch(): the second-level cache */

static void fetch_item(const struct sta_l1 *l1, uint32_t offset)
{
    const char *item = (const char *)sta_arena_item(&l1->arena, offset);
    __builtin_prefetch(item, 0, NEAR);
    __builtin_prefetch(item + 64, 0, NEAR);
    __builtin_prefetch(item + 128, 0, NEAR);
}

/* Where the bucket is near: asks for the item of the first slot with the key's tag. NULL, or the
 * bucket to look at next, which was asked for. */
static inline const struct sta_bucket *step(const struct sta_l1 *l1,
                                            const struct sta_bucket *bucket, uint8_t tag)
{
    uint32_t bits =
        sta_index_match(atomic_load_explicit(&bucket->word[0], memory_order_relaxed),
                        atomic_load_explicit(&bucket->word[1], memory_order_relaxed), tag);
    if (bits != 0) {
        fetch_item(
            l1, atomic_load_explicit(&bucket->offset[__builtin_ctz(bits)], memory_order_relaxed));
        return NULL;
    }
    const struct sta_bucket *next = sta_index_next(&l1->index, bucket);
    if (next != NULL)
        __builtin_prefetch(next, 0, NEAR);
    return next;
}

void sta_l1_prefetch(const struct sta_l1 *l1, const struct sta_key *keys, size_t count)
{
    struct {
        const struct sta_bucket *bucket;
        uint8_t tag;
    } ahead[STA_L1_PREFETCH_MOST];
    count = count < STA_L1_PREFETCH_MOST ? count : STA_L1_PREFETCH_MOST;
    for (size_t i = 0; i < count; i++) {
        ahead[i].bucket = sta_index_likely(&l1->index, keys[i].hash);
        ahead[i].tag = sta_index_tag(keys[i].hash);
        __builtin_prefetch(ahead[i].bucket, 0, NEAR);
    }
    while (count > 0) {
        size_t left = 0;
        for (size_t i = 0; i < count; i++) {
            const struct sta_bucket *next = step(l1, ahead[i].bucket, ahead[i].tag);
            if (next == NULL)
                continue;
            ahead[left].bucket = next;
            ahead[left++].tag = ahead[i].tag;
        }
        count = left;
    }
}
