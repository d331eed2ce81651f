/* SPDX-License-Identifier: MIT
 *
 * Re-derives what must be true of a tier (tier.h): every slot is in the right bucket and names
 * an item that a queue will come to, and the sums are the sums.
 */
#include <stdlib.h>

#include "l1/tier.h"

struct sums {
    uint64_t entries[STA_QUEUES];
    uint64_t bytes[STA_QUEUES];
    uint64_t block_bytes;
};

/* Where the segment is: 0 nowhere, else 1 + its queue. */
static uint8_t *map_queues(const struct sta_l1 *l1, bool *valid)
{
    const struct sta_arena *arena = &l1->arena;
    uint8_t *map = calloc(arena->fresh, 1);
    if (map == NULL)
        return NULL;
    uint64_t backed = arena->free_count + atomic_load(&arena->limbo_count);
    for (uint32_t name = 0; name < STA_QUEUES; name++) {
        uint32_t last = 0;
        for (uint32_t at = l1->queues[name].oldest; at != 0; at = arena->segments[at].next) {
            *valid = *valid && at < arena->fresh && map[at] == 0 &&
                     arena->segments[at].cursor <= arena->segments[at].used &&
                     arena->segments[at].used <= arena->segment_bytes;
            if (!*valid)
                return map;
            map[at] = (uint8_t)(1 + name);
            last = at;
            backed++;
        }
        *valid = *valid && last == l1->queues[name].newest;
    }
    *valid = *valid && backed == sta_tier_load(&arena->backed);
    return map;
}

static bool slot_valid(const struct sta_l1 *l1, const uint8_t *map, struct sta_slot slot,
                       uint64_t bucket_at, struct sums *sums)
{
    uint32_t offset = sta_index_offset(slot);
    uint32_t segment = sta_arena_segment_of(&l1->arena, offset);
    if (segment >= l1->arena.fresh || map[segment] == 0)
        return false;
    uint64_t within =
        ((uint64_t)offset << l1->arena.unit_shift) - ((uint64_t)segment << l1->arena.segment_shift);
    const struct sta_segment *at = &l1->arena.segments[segment];
    if (within < at->cursor || within >= at->used)
        return false;
    const struct sta_item *item = sta_arena_item(&l1->arena, offset);
    uint8_t state = sta_item_state(item);
    uint64_t hash = sta_item_hash(item, state, l1->index.hash_seed);
    uint32_t queue = (state & STA_ITEM_MAIN) != 0;
    sums->entries[queue]++;
    sums->bytes[queue] += sta_tier_cost(l1, item);
    if (state & STA_ITEM_BLOCK)
        sums->block_bytes += sta_item_block(item)->size;
    struct sta_slot same = sta_index_find_offset_locked(&l1->index, slot.bucket, hash, offset);
    return map[segment] == 1 + queue && same.bucket != NULL && same.at == slot.at &&
           sta_index_bucket_of(hash, sta_tier_load(&l1->index.bucket_count)) == bucket_at;
}

static bool chain_valid(struct sta_l1 *l1, const uint8_t *map, uint64_t at, struct sums *sums)
{
    bool valid = true;
    struct sta_bucket *bucket = &l1->index.buckets[at];
    for (; bucket != NULL && valid; bucket = sta_index_next(&l1->index, bucket)) {
        for (uint32_t i = 0; i < STA_INDEX_SLOTS && valid; i++) {
            struct sta_slot slot = {bucket, i};
            if (sta_index_offset(slot) != 0)
                valid = slot_valid(l1, map, slot, at, sums);
        }
    }
    return valid;
}

/* All buckets are locked, so nothing is removed either. */
static bool tier_valid(struct sta_l1 *l1)
{
    bool valid = true;
    struct sums sums = {0};
    uint8_t *map = map_queues(l1, &valid);
    if (map == NULL)
        return true; /* no memory for looking */
    uint64_t count = sta_tier_load(&l1->index.bucket_count);
    for (uint64_t at = 0; at < count && valid; at++)
        valid = chain_valid(l1, map, at, &sums);
    free(map);
    for (uint32_t i = 0; i < STA_QUEUES; i++) {
        valid = valid && sums.entries[i] == sta_tier_load(&l1->queues[i].entries) &&
                sums.bytes[i] == sta_tier_load(&l1->queues[i].bytes);
    }
    uint64_t entries = sta_tier_load(&l1->entries);
    return valid && sums.entries[0] + sums.entries[1] == entries &&
           sums.block_bytes == sta_tier_load(&l1->block_bytes) &&
           (entries == 0 || l1->resizes > 0 ||
            (entries <= sta_tier_load(&l1->max_entries) &&
             sta_tier_memory(l1) <= sta_tier_load(&l1->max_bytes)));
}

bool sta_l1_valid(const struct sta_l1 *l1)
{
    struct sta_l1 *self = (struct sta_l1 *)l1; /* locks are not part of what const promises */
    pthread_mutex_lock(&self->store_lock);
    uint64_t count = sta_tier_load(&self->index.bucket_count);
    for (uint64_t at = 0; at < count; at++)
        sta_index_lock_at(&self->index, at);
    bool valid = tier_valid(self);
    for (uint64_t at = 0; at < count; at++)
        sta_index_unlock(&self->index.buckets[at]);
    pthread_mutex_unlock(&self->store_lock);
    return valid;
}
