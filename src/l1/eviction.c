/* SPDX-License-Identifier: MIT
 *
 * Who stays (S3-FIFO: Yang, Zhang, Qiu, Yue, Vigfusson, SOSP 2023, on logs of segments). New
 * entries go to the small queue; one that was read there often enough is promoted to the main
 * queue when its turn comes, the others leave a ghost. How large the small queue is and how often
 * is enough, the duel decides (duel.h). The main queue is a CLOCK: what was read since goes
 * round again, by being copied to the new end.
 *
 * One segment is kept free for those copies: what survives of an old segment fits in one new
 * one. Where there is none, a survivor is evicted instead.
 *
 * Everything here runs under the tier's store lock. A step costs one item; runs of survivors are
 * cut after MOVES_MOST, so that the work of one store is bounded.
 */
#include "l1/tier.h"

#define MOVES_MOST  256u
#define KEEP_FREE   1u /* segments */
#define PACE_FREE   3u
#define PACE_STEPS  16u
#define GHOST_PARTS 10u                             /* ghosts: all but one tenth of the entries */
#define SHADOW_PART 32u                             /* of the bytes may go to shadows */
#define GROW_BYTES  (8 * sizeof(struct sta_bucket)) /* a split with a long chain */
#define GROW_EVICTS (64u * 1024)

static struct sta_segment *segment_at(struct sta_l1 *l1, uint32_t segment)
{
    return &l1->arena.segments[segment];
}

/* ---- room ---- */

/* A segment, where `keep` free ones remain or could be had. */
static uint32_t take_segment(struct sta_l1 *l1, uint32_t keep)
{
    struct sta_arena *arena = &l1->arena;
    if (arena->free_count > keep)
        return sta_arena_take_free(arena);
    uint64_t more = (1 + keep - arena->free_count) * sta_arena_segment_cost(arena);
    if (sta_tier_memory(l1) + more <= sta_tier_load(&l1->max_bytes))
        return sta_arena_take_bare(arena);
    sta_arena_settle(arena);
    return arena->free_count > keep ? sta_arena_take_free(arena) : 0;
}

/* Room at the end of the queue, without evicting. */
static uint32_t room(struct sta_l1 *l1, enum sta_queue_name name, uint64_t size, uint32_t keep)
{
    struct sta_queue *queue = &l1->queues[name];
    uint32_t newest = queue->newest;
    if (newest == 0 || segment_at(l1, newest)->used + size > l1->arena.segment_bytes) {
        newest = take_segment(l1, keep);
        if (newest == 0)
            return 0;
        if (queue->newest != 0)
            segment_at(l1, queue->newest)->next = newest;
        else
            queue->oldest = newest;
        queue->newest = newest;
    }
    uint64_t at = ((uint64_t)newest << l1->arena.segment_shift) + segment_at(l1, newest)->used;
    return (uint32_t)(at >> l1->arena.unit_shift);
}

uint32_t sta_eviction_room(struct sta_l1 *l1, enum sta_queue_name name, uint64_t size,
                           uint64_t now_ms)
{
    uint32_t offset;
    l1->by_bytes = true;
    while ((offset = room(l1, name, size, KEEP_FREE)) == 0) {
        if (!sta_eviction_step(l1, now_ms))
            return 0;
    }
    return offset;
}

void sta_eviction_commit(struct sta_l1 *l1, enum sta_queue_name name, uint64_t size)
{
    segment_at(l1, l1->queues[name].newest)->used += (uint32_t)size;
}

/* ---- one step ---- */

struct victim {
    struct sta_item *item;
    uint64_t hash;
    uint64_t size; /* in the segment */
    uint32_t offset;
    uint8_t state;
    enum sta_queue_name queue;
};

/* Copies the item to the new end of the main queue, with `visits`. */
static bool move_locked(struct sta_l1 *l1, const struct victim *victim, struct sta_slot slot,
                        uint8_t visits)
{
    uint32_t offset = l1->moves < MOVES_MOST ? room(l1, STA_QUEUE_MAIN, victim->size, 0) : 0;
    if (offset == 0)
        return false;
    struct sta_item *copy = sta_arena_item(&l1->arena, offset);
    *copy = (struct sta_item){.value_len = victim->item->value_len,
                              .key_len = victim->item->key_len,
                              .flags = victim->item->flags};
    uint8_t state = (uint8_t)((victim->state & ~STA_ITEM_VISITS) | STA_ITEM_MAIN | visits);
    atomic_store_explicit(&copy->state, state, memory_order_relaxed);
    memcpy(copy->bytes, victim->item->bytes,
           sta_item_size(state, copy->key_len, copy->value_len) - sizeof *copy);
    sta_eviction_commit(l1, STA_QUEUE_MAIN, victim->size);
    sta_index_replace_locked(slot, offset);
    uint64_t cost = sta_tier_cost(l1, copy);
    sta_tier_sub(&l1->queues[victim->queue].entries, 1);
    sta_tier_sub(&l1->queues[victim->queue].bytes, cost);
    sta_tier_add(&l1->queues[STA_QUEUE_MAIN].entries, 1);
    sta_tier_add(&l1->queues[STA_QUEUE_MAIN].bytes, cost);
    l1->moves++;
    return true;
}

/* What a victim must show, by its size beside the mean, where bytes are what is short: what takes
 * the room of many must have been read by more. Between half and twice the mean nothing changes.
 * (The direction of GDSF, Cherkasova 1998, without its heap.) */
struct demand {
    uint8_t promote; /* visits */
    uint8_t rounds;  /* in the main queue that promotion gives without a visit */
    uint8_t round;   /* visits that a round there takes */
};

static struct demand demand_for(const struct sta_l1 *l1, uint64_t cost)
{
    struct demand demand = {.promote = l1->duel.rule.promote, .round = 1};
    uint64_t entries = sta_tier_load(&l1->entries);
    if (!l1->by_bytes || entries == 0)
        return demand;
    uint64_t mean = (sta_tier_load(&l1->queues[STA_QUEUE_SMALL].bytes) +
                     sta_tier_load(&l1->queues[STA_QUEUE_MAIN].bytes)) /
                    entries;
    if (cost > 2 * mean) {
        if (demand.promote < STA_ITEM_VISITS)
            demand.promote++;
        demand.round = 2;
    } else if (cost < mean / 8) {
        demand.promote = 0;
        demand.rounds = 2;
    } else if (cost < mean / 2) {
        demand.promote = cost < mean / 4 && demand.promote > 1 ? 1 : demand.promote;
        demand.rounds = 1;
    }
    return demand;
}

static bool stays_locked(struct sta_l1 *l1, const struct victim *victim, struct sta_slot slot)
{
    uint8_t visits = victim->state & STA_ITEM_VISITS;
    struct demand demand = demand_for(l1, sta_tier_cost(l1, victim->item));
    if (victim->queue == STA_QUEUE_SMALL)
        return visits >= demand.promote && move_locked(l1, victim, slot, demand.rounds);
    return visits >= demand.round &&
           move_locked(l1, victim, slot, (uint8_t)(visits - demand.round));
}

static void judge_locked(struct sta_l1 *l1, const struct victim *victim, struct sta_slot slot,
                         uint64_t now_ms)
{
    if (sta_item_over(sta_item_deadline(victim->item, victim->state), now_ms)) {
        sta_entry_remove_locked(l1, slot);
        sta_tier_add(&l1->counts.expirations, 1);
        return;
    }
    if (stays_locked(l1, victim, slot))
        return;
    sta_entry_remove_locked(l1, slot);
    sta_tier_add(&l1->counts.evictions[victim->queue], 1);
    l1->evicting = true;
    l1->moves = 0;
    if (victim->queue == STA_QUEUE_SMALL)
        sta_ghost_add(&l1->ghost, victim->hash);
}

static void retire_oldest(struct sta_l1 *l1, struct sta_queue *queue)
{
    uint32_t segment = queue->oldest;
    queue->oldest = segment_at(l1, segment)->next;
    if (queue->oldest == 0)
        queue->newest = 0;
    sta_arena_retire(&l1->arena, segment);
}

void sta_eviction_empty(struct sta_l1 *l1)
{
    for (uint32_t name = 0; name < STA_QUEUES; name++) {
        while (l1->queues[name].oldest != 0)
            retire_oldest(l1, &l1->queues[name]);
    }
}

/* Evicting from the small queue while it has its share or more, else from the main one. */
static enum sta_queue_name whose_turn(const struct sta_l1 *l1)
{
    uint64_t small = sta_tier_load(&l1->queues[STA_QUEUE_SMALL].bytes);
    uint64_t all = small + sta_tier_load(&l1->queues[STA_QUEUE_MAIN].bytes);
    enum sta_queue_name turn =
        small * 100 >= all * l1->duel.rule.small_percent ? STA_QUEUE_SMALL : STA_QUEUE_MAIN;
    return l1->queues[turn].oldest != 0 ? turn : (enum sta_queue_name) !turn;
}

bool sta_eviction_step(struct sta_l1 *l1, uint64_t now_ms)
{
    struct victim victim = {.queue = whose_turn(l1)};
    struct sta_queue *queue = &l1->queues[victim.queue];
    if (queue->oldest == 0)
        return false;
    struct sta_segment *segment = segment_at(l1, queue->oldest);
    if (segment->cursor == segment->used) {
        retire_oldest(l1, queue);
        return true;
    }
    uint64_t at = ((uint64_t)queue->oldest << l1->arena.segment_shift) + segment->cursor;
    victim.offset = (uint32_t)(at >> l1->arena.unit_shift);
    victim.item = sta_arena_item(&l1->arena, victim.offset);
    victim.state = sta_item_state(victim.item);
    victim.size = sta_arena_align(
        &l1->arena, sta_item_size(victim.state, victim.item->key_len, victim.item->value_len));
    victim.hash = sta_item_hash(victim.item, victim.state, l1->index.hash_seed);
    segment->cursor += (uint32_t)victim.size;
    struct sta_bucket *bucket = sta_index_lock(&l1->index, victim.hash);
    struct sta_slot slot =
        sta_index_find_offset_locked(&l1->index, bucket, victim.hash, victim.offset);
    if (slot.bucket != NULL)
        judge_locked(l1, &victim, slot, now_ms);
    sta_index_unlock(bucket);
    return true;
}

/* ---- bounds ---- */

bool sta_eviction_make_room(struct sta_l1 *l1, uint64_t bytes, uint64_t now_ms)
{
    l1->by_bytes = true;
    while (sta_tier_memory(l1) + bytes > sta_tier_load(&l1->max_bytes)) {
        if (!sta_arena_give_back(&l1->arena) && !sta_eviction_step(l1, now_ms))
            return false;
    }
    return true;
}

bool sta_eviction_make_places(struct sta_l1 *l1, uint64_t more, uint64_t now_ms)
{
    l1->by_bytes = false;
    while (sta_tier_load(&l1->entries) + more > sta_tier_load(&l1->max_entries)) {
        if (!sta_eviction_step(l1, now_ms))
            return false;
    }
    return true;
}

void sta_eviction_pace(struct sta_l1 *l1, uint64_t size, uint64_t now_ms)
{
    struct sta_arena *arena = &l1->arena;
    uint64_t more = (1 + PACE_FREE) * sta_arena_segment_cost(arena);
    if (arena->free_count >= PACE_FREE ||
        sta_tier_memory(l1) + more <= sta_tier_load(&l1->max_bytes))
        return;
    l1->by_bytes = true;
    for (uint64_t steps = 0; steps < PACE_STEPS && steps * 64 < 2 * size + 128; steps++) {
        if (!sta_eviction_step(l1, now_ms))
            return;
    }
}

static void index_keep_up(struct sta_l1 *l1, uint64_t now_ms)
{
    uint64_t buckets = sta_tier_load(&l1->index.bucket_count);
    uint64_t max_bytes = sta_tier_load(&l1->max_bytes);
    if (sta_tier_load(&l1->entries) < buckets * STA_INDEX_LOAD)
        return;
    if (sta_tier_memory(l1) + GROW_BYTES > max_bytes &&
        (max_bytes < GROW_EVICTS || !sta_eviction_make_room(l1, GROW_BYTES, now_ms)))
        return;
    sta_index_grow(&l1->index);
}

/* Ghosts and shadows are made when there are evictions, and again when the number of entries
 * is another. */
static void policy_keep_up(struct sta_l1 *l1, uint64_t now_ms)
{
    uint64_t entries = sta_tier_load(&l1->entries);
    if (!l1->evicting || entries < 8 || entries < l1->ghost_entries + l1->ghost_entries / 2)
        return;
    uint64_t most = sta_tier_load(&l1->max_bytes) / SHADOW_PART;
    uint64_t ghosts = sta_ghost_bytes(entries);
    l1->ghost_entries = entries; /* also where there is no memory: not with every store again */
    if (!sta_eviction_make_room(l1, ghosts + most, now_ms))
        return;
    sta_duel_resize(&l1->duel, entries, most);
    if (!sta_ghost_resize(&l1->ghost, entries - entries / GHOST_PARTS))
        ghosts = sta_tier_load(&l1->policy_bytes);
    atomic_store_explicit(&l1->policy_bytes, ghosts + l1->duel.bytes, memory_order_relaxed);
}

void sta_eviction_keep_up(struct sta_l1 *l1, uint64_t now_ms)
{
    sta_duel_drain(&l1->duel);
    policy_keep_up(l1, now_ms);
    index_keep_up(l1, now_ms);
}
