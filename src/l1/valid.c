/* SPDX-License-Identifier: MIT
 *
 * Re-derives what must be true of a tier (tier.h): every slot is in the right bucket and names
 * an item that a queue will come to, and the sums are the sums.
 */
#include <stdlib.h>

#include "l1/tier.h"

struct sums {
    uint64_t entries;
    uint64_t bytes;
    uint64_t inlined; /* of them: in segments */
    uint64_t ahead;   /* bytes of segments between cursor and end */
};

struct look {
    const struct sta_l1 *l1;
    uint8_t *in_queue; /* for each segment: whether it is in one */
    struct sums *sums; /* for each queue of each lane */
    uint64_t block_bytes;
    uint64_t segments; /* in queues and spare */
};

static struct sums *sums_of(const struct look *look, uint32_t lane, uint32_t queue)
{
    return &look->sums[lane * STA_QUEUES + queue];
}

/* Between these two lies what is linked in a segment of a queue. */
static uint32_t cursor_of(const struct sta_queue *queue, uint32_t segment)
{
    return segment == queue->oldest ? queue->cursor : 0;
}

static uint32_t used_of(const struct sta_arena *arena, const struct sta_queue *queue,
                        uint32_t segment)
{
    return segment == queue->newest ? queue->used : arena->segments[segment].used;
}

static bool queue_valid(struct look *look, const struct sta_lane *lane, uint32_t name)
{
    const struct sta_arena *arena = &look->l1->arena;
    const struct sta_queue *queue = &lane->queues[name];
    uint32_t last = 0;
    for (uint32_t at = queue->oldest; at != 0; at = arena->segments[at].next) {
        const struct sta_segment *segment = &arena->segments[at];
        uint32_t cursor = cursor_of(queue, at);
        uint32_t used = used_of(arena, queue, at);
        if (at >= arena->fresh || look->in_queue[at] || cursor > used ||
            used > arena->segment_bytes || segment->lane != lane->number || segment->queue != name)
            return false;
        look->in_queue[at] = 1;
        sums_of(look, lane->number, name)->ahead += used - cursor;
        look->segments++;
        last = at;
    }
    return last == queue->newest && atomic_load(&lane->has[name]) == (queue->oldest != 0) &&
           (queue->oldest == 0 ||
            atomic_load(&lane->begun[name]) == arena->segments[queue->oldest].moment);
}

static bool slot_valid(struct look *look, struct sta_slot slot, uint64_t bucket_at)
{
    const struct sta_l1 *l1 = look->l1;
    uint32_t offset = sta_index_offset(slot);
    uint32_t number = sta_arena_segment_of(&l1->arena, offset);
    if (number >= l1->arena.fresh || !look->in_queue[number])
        return false;
    const struct sta_segment *segment = &l1->arena.segments[number];
    uint64_t within =
        ((uint64_t)offset << l1->arena.unit_shift) - ((uint64_t)number << l1->arena.segment_shift);
    const struct sta_queue *queue = &l1->lanes[segment->lane].queues[segment->queue];
    if (within < cursor_of(queue, number) || within >= used_of(&l1->arena, queue, number))
        return false;
    const struct sta_item *item = sta_arena_item(&l1->arena, offset);
    struct sta_item_head head = sta_item_head(item);
    struct sta_key key = {strata_bytes(sta_item_key(item, head.state), head.key_len),
                          sta_item_hash(item, head, l1->index.hash_seed)};
    struct sums *sums = sums_of(look, segment->lane, segment->queue);
    sums->entries++;
    sums->bytes += sta_tier_cost(l1, item);
    sums->inlined += sta_arena_align(&l1->arena, sta_item_size_of(head));
    if (head.state & STA_ITEM_BLOCK)
        look->block_bytes += sta_item_block(item)->size;
    struct sta_slot same = sta_index_find_offset_locked(&l1->index, slot.bucket, key.hash, offset);
    const struct sta_lane *namespace = sta_lane_of_namespace(l1, &key);
    return same.bucket != NULL && same.at == slot.at &&
           (namespace != NULL ? segment->lane == namespace->number
                              : segment->lane < l1->thread_lanes) &&
           sta_index_bucket_of(key.hash, sta_tier_load(&l1->index.bucket_count)) == bucket_at;
}

static bool chain_valid(struct look *look, uint64_t at)
{
    bool valid = true;
    struct sta_bucket *bucket = &look->l1->index.buckets[at];
    for (; bucket != NULL && valid; bucket = sta_index_next(&look->l1->index, bucket)) {
        for (uint32_t i = 0; i < STA_INDEX_SLOTS && valid; i++) {
            struct sta_slot slot = {bucket, i};
            if (sta_index_offset(slot) != 0)
                valid = slot_valid(look, slot, at);
        }
    }
    return valid;
}

static bool sums_valid(const struct look *look)
{
    const struct sta_l1 *l1 = look->l1;
    uint64_t places = 0;
    for (uint32_t i = 0; i < sta_tier_lanes(l1); i++) {
        const struct sta_lane *lane = &l1->lanes[i];
        for (uint32_t name = 0; name < STA_QUEUES; name++) {
            const struct sums *sums = sums_of(look, i, name);
            if (sums->entries != sta_queue_entries(&lane->queues[name]) ||
                sums->bytes != sta_queue_bytes(&lane->queues[name]) ||
                sums->ahead - sums->inlined != sta_queue_dead(&lane->queues[name]))
                return false;
        }
        places += sta_lane_entries(lane) + sta_lane_places(lane);
    }
    return places == sta_budget_used(&l1->places) &&
           look->block_bytes == sta_tier_load(&l1->block_bytes);
}

/* What is claimed is the sum of its kinds, and within the bounds. */
static bool budgets_valid(const struct look *look)
{
    const struct sta_l1 *l1 = look->l1;
    struct sta_l1_statistics is;
    sta_numbers_read(l1, &is);
    bool down = atomic_load(&l1->resizes) == 0 && is.entries > 0;
    return is.memory_bytes == is.segment_bytes + is.block_bytes + is.index_bytes + is.policy_bytes +
                                  is.fixed_bytes + is.claimed_bytes &&
           sta_tier_load(&l1->arena.backed) ==
               look->segments + sta_arena_free(&l1->arena) + is.held_segments &&
           (!down || (sta_budget_fits(&l1->places, 0) && sta_budget_fits(&l1->memory, 0)));
}

static bool tier_valid(struct look *look)
{
    bool valid = true;
    for (uint32_t i = 0; i < sta_tier_lanes(look->l1) && valid; i++) {
        const struct sta_lane *lane = &look->l1->lanes[i];
        look->segments += lane->spare != 0;
        for (uint32_t name = 0; name < STA_QUEUES && valid; name++)
            valid = queue_valid(look, lane, name);
    }
    uint64_t count = sta_tier_load(&look->l1->index.bucket_count);
    for (uint64_t at = 0; at < count && valid; at++)
        valid = chain_valid(look, at);
    return valid && sums_valid(look) && budgets_valid(look);
}

static bool look_at(const struct sta_l1 *l1)
{
    struct look look = {
        .l1 = l1,
        .in_queue = calloc(l1->arena.fresh, 1),
        .sums = calloc((size_t)sta_tier_lanes(l1) * STA_QUEUES, sizeof(struct sums)),
    };
    /* no memory for looking: nothing was found */
    bool valid = look.in_queue == NULL || look.sums == NULL || tier_valid(&look);
    free(look.in_queue);
    free(look.sums);
    return valid;
}

static void lock_all(struct sta_l1 *l1)
{
    for (uint32_t i = 0; i < sta_tier_lanes(l1); i++)
        pthread_mutex_lock(&l1->lanes[i].lock);
    pthread_mutex_lock(&l1->duel_lock);
    pthread_mutex_lock(&l1->index.grow_lock);
    for (uint64_t at = 0; at < sta_tier_load(&l1->index.bucket_count); at++)
        sta_index_lock_at(&l1->index, at);
    pthread_mutex_lock(&l1->arena.lock);
}

static void unlock_all(struct sta_l1 *l1)
{
    pthread_mutex_unlock(&l1->arena.lock);
    for (uint64_t at = 0; at < sta_tier_load(&l1->index.bucket_count); at++)
        sta_index_unlock(&l1->index.buckets[at]);
    pthread_mutex_unlock(&l1->index.grow_lock);
    pthread_mutex_unlock(&l1->duel_lock);
    for (uint32_t i = 0; i < sta_tier_lanes(l1); i++)
        pthread_mutex_unlock(&l1->lanes[i].lock);
}

/* Everything is locked, so nothing is removed either. */
bool sta_l1_valid(const struct sta_l1 *l1)
{
    struct sta_l1 *self = (struct sta_l1 *)l1; /* locks are not part of what const promises */
    lock_all(self);
    bool valid = look_at(l1);
    unlock_all(self);
    return valid;
}
