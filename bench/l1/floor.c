/* SPDX-License-Identifier: MIT
 *
 * The floor of a lookup (floor.h).
 */
#include "bench/l1/floor.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

static void *pages(uint64_t bytes)
{
    void *at = aligned_alloc(2u << 20, (bytes + (2u << 20) - 1) & ~(uint64_t)((2u << 20) - 1));
    if (at == NULL)
        return NULL;
    madvise(at, bytes, MADV_HUGEPAGE);
    memset(at, 0, bytes);
    return at;
}

bool floor_init(struct floor *floor, uint32_t cap)
{
    uint64_t buckets = 1;
    while (buckets * FLOOR_SLOTS * 3 / 4 < cap)
        buckets *= 2;
    *floor = (struct floor){.mask = buckets - 1, .cap = cap};
    floor->buckets = pages(buckets * sizeof *floor->buckets);
    floor->entries = pages((uint64_t)cap * sizeof *floor->entries);
    return floor->buckets != NULL && floor->entries != NULL;
}

void floor_fini(struct floor *floor)
{
    free(floor->buckets);
    free(floor->entries);
}

static uint8_t tag_of(uint64_t hash)
{
    return (uint8_t)((hash >> 56) | 1);
}

void floor_add(struct floor *floor, const struct sta_key *key, struct strata_bytes value)
{
    struct floor_entry *entry = &floor->entries[floor->count];
    entry->key_len = (uint8_t)key->bytes.len;
    entry->value_len = (uint8_t)value.len;
    memcpy(entry->key, key->bytes.data, key->bytes.len);
    memcpy(entry->value, value.data, value.len);
    for (uint64_t at = key->hash & floor->mask;; at = (at + 1) & floor->mask) {
        struct floor_bucket *bucket = &floor->buckets[at];
        for (uint32_t i = 0; i < FLOOR_SLOTS; i++) {
            if (bucket->tag[i] == 0) {
                bucket->tag[i] = tag_of(key->hash);
                bucket->slot[i] = floor->count++;
                return;
            }
        }
    }
}

static uint32_t match(const struct floor_bucket *bucket, uint8_t tag)
{
#if defined(__SSE2__)
    __m128i tags = _mm_loadu_si128((const void *)bucket->tag);
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(tags, _mm_set1_epi8((char)tag))) &
           ((1u << FLOOR_SLOTS) - 1);
#else
    uint32_t bits = 0;
    for (uint32_t i = 0; i < FLOOR_SLOTS; i++)
        bits |= (uint32_t)(bucket->tag[i] == tag) << i;
    return bits;
#endif
}

int floor_get(const struct floor *floor, const struct sta_key *key, uint8_t *out)
{
    for (uint64_t at = key->hash & floor->mask;; at = (at + 1) & floor->mask) {
        const struct floor_bucket *bucket = &floor->buckets[at];
        for (uint32_t bits = match(bucket, tag_of(key->hash)); bits != 0; bits &= bits - 1) {
            const struct floor_entry *entry = &floor->entries[bucket->slot[__builtin_ctz(bits)]];
            if (entry->key_len == key->bytes.len &&
                memcmp(entry->key, key->bytes.data, entry->key_len) == 0) {
                memcpy(out, entry->value, entry->value_len);
                return entry->value_len;
            }
        }
        if (match(bucket, 0) != 0)
            return -1;
    }
}
