/* SPDX-License-Identifier: MIT
 *
 * Who stays (S3-FIFO: Yang, Zhang, Qiu, Yue, Vigfusson, SOSP 2023, on logs of segments). New
 * entries go to the small queue; one that was read there often enough is promoted to the main
 * queue when its turn comes, the others leave a ghost. How large the small queue is and how often
 * is enough, the duel decides (duel.h); where bytes are short, what is larger than the mean must
 * show more (prices, below). The main queue is a CLOCK: what was read since goes round again, by
 * being copied to the new end.
 *
 * What is replaced or removed leaves its bytes behind, dead, until eviction comes by. Where a lane
 * is more than half dead, it is not entries that are too many: every entry that is come upon goes
 * round, as in the cleaning of a log (Rosenblum, Ousterhout, SOSP 1991), and nothing is evicted.
 *
 * A lane keeps one segment for those copies: what survives of an old segment fits in one new
 * one. Where there is none, a survivor is evicted instead.
 *
 * Everything here runs under the lane's lock. A step costs one item; runs of survivors are cut
 * after MOVES_MOST, so that the work of one store is bounded. Where another lane should make room,
 * the step is taken there, under its lock as well, which is never waited for.
 */
#include "core/random.h"
#include "l1/tier.h"

#define MOVES_MOST   256u
#define PACE_FREE    2u /* segments, and one for each lane */
#define PACE_STEPS   16u
#define PLACES_KEPT  16u
#define RELIEF_STEPS 1024u
#define ENTRY_BESIDE 48u /* bytes */
#define LINE         64u
#define KEY_NEAR     32u  /* bytes within which the most keys of items end */
#define FETCHED_MOST 256u /* bytes behind the end of a queue that are asked for ahead */

static struct sta_segment *segment_at(struct sta_l1 *l1, uint32_t segment)
{
    return &l1->arena.segments[segment];
}

/* ---- room ---- */

/* Bytes with which every lane could have more than it needs. */
static uint64_t roomy_bytes(const struct sta_l1 *l1)
{
    return (PACE_FREE + 2 * sta_tier_lanes(l1)) * sta_arena_segment_cost(&l1->arena);
}

static bool is_roomy(const struct sta_l1 *l1)
{
    return sta_budget_fits(&l1->memory, roomy_bytes(l1));
}

/* Whether `entries` more of `bytes` would be too many bytes, too many entries for the lane's own
 * quota. */
static bool is_over_bytes(const struct sta_lane *lane, uint64_t bytes)
{
    uint64_t most = sta_tier_load(&lane->most_bytes);
    return most != 0 && sta_lane_bytes(lane) + bytes > most;
}

static bool is_over_entries(const struct sta_lane *lane, uint64_t entries)
{
    uint64_t most = sta_tier_load(&lane->most_entries);
    return most != 0 && sta_lane_entries(lane) + entries > most;
}

/* Besides its bytes an entry takes a header and a slot; and the end of a segment stays empty where
 * the next item, which is a quarter of it at the most, does not fit. */
bool sta_l1_has_room(const struct sta_l1 *l1, const struct sta_key *key, uint64_t entries,
                     uint64_t bytes)
{
    uint64_t wanted = bytes + bytes / 3 + entries * ENTRY_BESIDE;
    const struct sta_lane *lane = key != NULL ? sta_lane_of_namespace(l1, key) : NULL;
    if (lane != NULL && (is_over_bytes(lane, wanted) || is_over_entries(lane, entries)))
        return false;
    return sta_budget_fits(&l1->places, entries) &&
           sta_budget_fits(&l1->memory, roomy_bytes(l1) + wanted);
}

/* Whether bytes are short because of what is dead. */
static bool wasteful(const struct sta_lane *lane)
{
    return lane->by_bytes && sta_lane_dead(lane) > sta_lane_bytes(lane);
}

/* Where there is more to clean. */
static enum sta_queue_name dirtier(const struct sta_lane *lane)
{
    return sta_queue_dead(&lane->queues[STA_QUEUE_MAIN]) >
                   sta_queue_dead(&lane->queues[STA_QUEUE_SMALL])
               ? STA_QUEUE_MAIN
               : STA_QUEUE_SMALL;
}

enum sta_queue_name sta_eviction_turn(const struct sta_l1 *l1, uint64_t small, uint64_t all)
{
    uint64_t share = all * sta_duel_rule(&l1->duel).small_percent;
    return small * 100 >= share ? STA_QUEUE_SMALL : STA_QUEUE_MAIN;
}

/* As if there were no other lanes. */
static enum sta_queue_name turn_in(const struct sta_l1 *l1, const struct sta_lane *lane)
{
    uint64_t small = sta_queue_bytes(&lane->queues[STA_QUEUE_SMALL]);
    enum sta_queue_name turn = sta_eviction_turn(l1, small, sta_lane_bytes(lane));
    return lane->queues[turn].oldest != 0 ? turn : (enum sta_queue_name) !turn;
}

/* A step in another lane. The place that may become free is ours. */
static bool step_in(struct sta_l1 *l1, struct sta_lane *giver, struct sta_lane *lane,
                    uint64_t now_ms)
{
    if (pthread_mutex_trylock(&giver->lock) != 0)
        return false;
    uint64_t places = sta_lane_places(giver);
    giver->by_bytes = lane->by_bytes;
    bool going = 0 < sta_eviction_step(l1, giver, (enum sta_queue_name)lane->turn, now_ms);
    sta_lane_set_places(lane, sta_lane_places(lane) + sta_lane_places(giver) - places);
    sta_lane_set_places(giver, places);
    lane->evicting |= giver->evicting;
    sta_lane_unlock(giver);
    return going;
}

/* Of many lanes one makes room: this one, or the one that should. Where that one is busy, its owner
 * makes room in it just now, and this lane does in itself, for some time. */
static bool step_in_turn(struct sta_l1 *l1, struct sta_lane *lane, uint64_t now_ms)
{
    struct sta_lane *giver = wasteful(lane) ? lane : sta_lane_giver(l1, lane);
    if (giver == NULL)
        return false;
    if (giver != lane) {
        if (step_in(l1, giver, lane, now_ms))
            return true;
        lane->giver = (uint8_t)lane->number;
    }
    return sta_eviction_step(l1, lane, (enum sta_queue_name)lane->turn, now_ms) > 0;
}

/* A step for a store's sake. */
static bool step_for_store(struct sta_l1 *l1, struct sta_lane *lane, uint64_t now_ms)
{
    if (sta_tier_resizing(l1) && lane->patience-- == 0) {
        lane->patience = 0;
        return false;
    }
    if (sta_tier_lanes(l1) == 1)
        return sta_eviction_step(l1, lane, turn_in(l1, lane), now_ms) > 0;
    return step_in_turn(l1, lane, now_ms);
}

/* For something new: where memory is short, the lane keeps a segment for moves first. */
static uint32_t take_for_store(struct sta_l1 *l1, struct sta_lane *lane)
{
    if (lane->spare == 0 && !is_roomy(l1)) {
        lane->spare = sta_arena_take(&l1->arena);
        if (lane->spare == 0)
            return 0;
    }
    return sta_arena_take(&l1->arena);
}

static uint32_t take_for_move(struct sta_l1 *l1, struct sta_lane *lane)
{
    uint32_t segment = sta_arena_take(&l1->arena);
    if (segment == 0) {
        segment = lane->spare;
        lane->spare = 0;
    }
    return segment;
}

static void append_segment(struct sta_l1 *l1, struct sta_lane *lane, enum sta_queue_name name,
                           uint32_t segment)
{
    struct sta_queue *queue = &lane->queues[name];
    segment_at(l1, segment)->lane = lane->number;
    segment_at(l1, segment)->queue = (uint8_t)name;
    segment_at(l1, segment)->moment =
        1 + atomic_fetch_add_explicit(&l1->segments_begun, 1, memory_order_relaxed);
    if (queue->newest != 0) {
        segment_at(l1, queue->newest)->next = segment;
        segment_at(l1, queue->newest)->used = queue->used;
    } else {
        queue->oldest = segment;
        queue->cursor = 0;
        sta_lane_note_oldest(l1, lane, name);
    }
    queue->newest = segment;
    queue->used = 0;
    lane->began = true;
}

static uint32_t offset_in(const struct sta_l1 *l1, uint32_t segment, uint32_t within)
{
    uint64_t at = ((uint64_t)segment << l1->arena.segment_shift) + within;
    return (uint32_t)(at >> l1->arena.unit_shift);
}

/* Room at the end of the queue, without evicting. */
static uint32_t room(struct sta_l1 *l1, struct sta_lane *lane, enum sta_queue_name name,
                     uint64_t size, uint32_t (*take)(struct sta_l1 *, struct sta_lane *))
{
    const struct sta_queue *queue = &lane->queues[name];
    if (queue->newest == 0 || queue->used + size > l1->arena.segment_bytes) {
        uint32_t segment = take(l1, lane);
        if (segment == 0)
            return 0;
        append_segment(l1, lane, name, segment);
    }
    return offset_in(l1, queue->newest, queue->used);
}

uint32_t sta_eviction_room(struct sta_l1 *l1, struct sta_lane *lane, enum sta_queue_name name,
                           uint64_t size, uint64_t now_ms)
{
    uint32_t offset;
    lane->by_bytes = true;
    while ((offset = room(l1, lane, name, size, take_for_store)) == 0) {
        if (!step_for_store(l1, lane, now_ms))
            return 0;
    }
    return offset;
}

/* The next one that is stored will be written behind it, and may be as large. */
void sta_eviction_commit(struct sta_l1 *l1, struct sta_lane *lane, enum sta_queue_name name,
                         uint64_t size)
{
    struct sta_queue *queue = &lane->queues[name];
    queue->used += (uint32_t)size;
    const char *end =
        (const char *)sta_arena_item(&l1->arena, offset_in(l1, queue->newest, queue->used));
    for (uint64_t ahead = LINE; ahead < size + LINE && ahead <= FETCHED_MOST; ahead += LINE)
        sta_tier_fetch(end + ahead);
}

/* ---- one step ---- */

struct victim {
    struct sta_lane *lane;
    struct sta_item *item;
    struct sta_item_head head;
    uint64_t hash;
    uint64_t size; /* in the segment */
    uint32_t offset;
    enum sta_queue_name queue;
};

/* Copies the item to the new end of a queue, with `visits`. */
static bool move_locked(struct sta_l1 *l1, const struct victim *victim, struct sta_slot slot,
                        enum sta_queue_name to, uint8_t visits)
{
    struct sta_lane *lane = victim->lane;
    uint32_t offset = room(l1, lane, to, victim->size, take_for_move);
    if (offset == 0)
        return false;
    struct sta_item *copy = sta_arena_item(&l1->arena, offset);
    struct sta_item_head head = victim->head;
    head.state = (uint8_t)((head.state & ~STA_ITEM_VISITS) | visits);
    sta_item_set_head(copy, head);
    sta_racing_write(copy->bytes, victim->item->bytes, sta_item_size_of(head) - sizeof *copy);
    sta_eviction_commit(l1, lane, to, victim->size);
    sta_index_replace_locked(slot, offset);
    uint64_t cost = sta_tier_cost(l1, copy);
    sta_queue_change(&lane->queues[victim->queue].own.entries, (uint64_t)-1);
    sta_queue_change(&lane->queues[victim->queue].own.bytes, -cost);
    sta_entry_note(&lane->queues[to], cost);
    return true;
}

/* What a victim must show, by its size beside the mean, where bytes are what is short: what takes
 * the room of many must have been read by more. (The direction of GDSF, Cherkasova 1998, without
 * its heap.) Prices are in 256ths of a visit, for sizes of 1/256, 1/128 ... 256 times the mean;
 * parts of a visit are asked for that often. */
struct demand {
    uint8_t promote; /* visits */
    uint8_t round;   /* visits that a round in the main queue takes */
};

#define PRICE_ONE   256u
#define GHOST_PRICE 2u /* of so many returns of what is larger than the mean, one counts */
#define PRICE_STEPS 8  /* doublings up and down from the mean */

static const uint16_t promotion_prices[2 * PRICE_STEPS + 1] = {
    0, 0, 0, 0, 0, 32, 64, 128, 256, 512, 768, 768, 768, 768, 768, 768, 768};
static const uint16_t round_prices[2 * PRICE_STEPS + 1] = {
    1, 1, 2, 6, 16, 32, 80, 160, 256, 320, 384, 448, 480, 480, 480, 480, 480};

/* Which step `cost` is at: to the nearest power of two of its part of the mean. */
static uint32_t price_step(uint64_t cost, uint64_t mean)
{
    int step = 0;
    while (step < PRICE_STEPS && cost * 2 > mean * 3) {
        mean *= 2;
        step++;
    }
    while (step > -PRICE_STEPS && cost * 3 < mean * 2) {
        mean /= 2;
        step--;
    }
    return (uint32_t)(step + PRICE_STEPS);
}

static uint8_t visits_for(uint32_t price, uint64_t *dither)
{
    return (uint8_t)((price + (sta_random_next(dither) >> 56)) / PRICE_ONE);
}

static struct demand demand_for(struct sta_l1 *l1, struct sta_lane *lane, uint64_t cost)
{
    struct demand demand = {.promote = sta_duel_rule(&l1->duel).promote, .round = 1};
    uint64_t entries = sta_lane_entries(lane);
    if (!lane->by_bytes || entries == 0)
        return demand;
    uint32_t step = price_step(cost, sta_lane_bytes(lane) / entries);
    demand.promote = visits_for(demand.promote * promotion_prices[step], &lane->dither);
    if (demand.promote > STA_ITEM_VISITS)
        demand.promote = STA_ITEM_VISITS;
    demand.round = visits_for(round_prices[step], &lane->dither);
    return demand;
}

bool sta_eviction_prefers(const struct sta_l1 *l1, struct sta_lane *lane, uint64_t cost)
{
    uint64_t entries = sta_lane_entries(lane);
    if (is_roomy(l1) || entries == 0)
        return true;
    uint32_t price = promotion_prices[price_step(cost, sta_lane_bytes(lane) / entries)];
    return price <= PRICE_ONE || sta_random_next(&lane->dither) % GHOST_PRICE == 0;
}

static bool stays_locked(struct sta_l1 *l1, const struct victim *victim, struct sta_slot slot)
{
    uint8_t visits = victim->head.state & STA_ITEM_VISITS;
    if (wasteful(victim->lane))
        return move_locked(l1, victim, slot, victim->queue, visits);
    struct demand demand = demand_for(l1, victim->lane, sta_tier_cost(l1, victim->item));
    bool small = victim->queue == STA_QUEUE_SMALL;
    if (visits < (small ? demand.promote : demand.round) || victim->lane->moves >= MOVES_MOST)
        return false;
    visits = small ? 0 : (uint8_t)(visits - demand.round);
    bool moved = move_locked(l1, victim, slot, STA_QUEUE_MAIN, visits);
    victim->lane->moves = (uint16_t)(victim->lane->moves + moved);
    return moved;
}

/* The place stays with the lane: whoever evicts is about to store. */
static void remove_victim_locked(struct sta_l1 *l1, const struct victim *victim,
                                 struct sta_slot slot, enum sta_departure why)
{
    sta_index_remove_locked(slot);
    sta_entry_forget_passed(l1, &victim->lane->queues[victim->queue], victim->item);
    sta_lane_set_places(victim->lane, sta_lane_places(victim->lane) + 1);
    sta_departed_note(&l1->departed, victim->hash, why);
}

static void judge_locked(struct sta_l1 *l1, const struct victim *victim, struct sta_slot slot,
                         uint64_t now_ms)
{
    if (sta_item_over(sta_item_deadline(victim->item, victim->head.state), now_ms)) {
        remove_victim_locked(l1, victim, slot, STA_DEPARTED_EXPIRED);
        sta_tier_count(l1, STA_L1_expirations);
        return;
    }
    if (stays_locked(l1, victim, slot))
        return;
    remove_victim_locked(l1, victim, slot, STA_DEPARTED_EVICTED);
    sta_tier_count(l1, victim->queue == STA_QUEUE_SMALL ? STA_L1_evictions_small
                                                        : STA_L1_evictions_main);
    victim->lane->evicting = true;
    victim->lane->moves = 0;
    if (victim->queue == STA_QUEUE_SMALL)
        sta_ghost_add(&l1->ghost, victim->hash);
}

static void retire_oldest(struct sta_l1 *l1, struct sta_lane *lane, enum sta_queue_name name)
{
    struct sta_queue *queue = &lane->queues[name];
    uint32_t segment = queue->oldest;
    queue->oldest = segment_at(l1, segment)->next;
    queue->cursor = 0;
    if (queue->oldest == 0)
        queue->newest = 0;
    sta_lane_note_oldest(l1, lane, name);
    sta_arena_retire(&l1->arena, segment);
}

void sta_eviction_give_up(struct sta_l1 *l1, struct sta_lane *lane)
{
    for (uint32_t name = 0; name < STA_QUEUES; name++) {
        lane->ahead[name] = 0;
        if (sta_queue_entries(&lane->queues[name]) > 0)
            continue; /* stored meanwhile */
        sta_queue_change(&lane->queues[name].own.dead, -sta_queue_dead(&lane->queues[name]));
        while (lane->queues[name].oldest != 0)
            retire_oldest(l1, lane, name);
    }
    if (lane->spare != 0)
        sta_arena_retire(&l1->arena, lane->spare);
    lane->spare = 0;
    sta_lane_give_places(l1, lane);
}

/* Where the items of the oldest segment end. */
static uint32_t end_of_oldest(struct sta_l1 *l1, const struct sta_queue *queue)
{
    return queue->oldest == queue->newest ? queue->used : segment_at(l1, queue->oldest)->used;
}

/* Looks at the item whose turn will be next in this queue, so that its bucket and the place of its
 * ghost are near by then. */
static void look_ahead(struct sta_l1 *l1, struct sta_lane *lane, enum sta_queue_name name)
{
    const struct sta_queue *queue = &lane->queues[name];
    lane->ahead[name] = 0; /* what is behind the cursor may soon be another item */
    if (queue->cursor == end_of_oldest(l1, queue))
        return;
    lane->ahead[name] = offset_in(l1, queue->oldest, queue->cursor);
    const struct sta_item *item = sta_arena_item(&l1->arena, lane->ahead[name]);
    struct sta_item_head head = sta_item_head(item);
    uint64_t hash = sta_item_hash(item, head, l1->index.hash_seed);
    lane->ahead_hash[name] = hash;
    sta_tier_fetch(sta_index_likely(&l1->index, hash));
    sta_ghost_fetch(&l1->ghost, hash);
    const char *behind = (const char *)item + sta_item_size_of(head); /* the one after it */
    __builtin_prefetch(behind);
    __builtin_prefetch(behind + KEY_NEAR);
}

uint64_t sta_eviction_step(struct sta_l1 *l1, struct sta_lane *lane, enum sta_queue_name turn,
                           uint64_t now_ms)
{
    struct victim victim = {.lane = lane, .queue = wasteful(lane) ? dirtier(lane) : turn};
    struct sta_queue *queue = &lane->queues[victim.queue];
    if (queue->oldest == 0)
        return 0;
    if (queue->cursor == end_of_oldest(l1, queue)) {
        retire_oldest(l1, lane, victim.queue);
        return 1;
    }
    victim.offset = offset_in(l1, queue->oldest, queue->cursor);
    victim.item = sta_arena_item(&l1->arena, victim.offset);
    victim.head = sta_item_head(victim.item);
    victim.size = sta_arena_align(&l1->arena, sta_item_size_of(victim.head));
    victim.hash = victim.offset == lane->ahead[victim.queue]
                      ? lane->ahead_hash[victim.queue]
                      : sta_item_hash(victim.item, victim.head, l1->index.hash_seed);
    queue->cursor += (uint32_t)victim.size;
    struct sta_bucket *bucket = sta_index_lock(&l1->index, victim.hash);
    struct sta_slot slot =
        sta_index_find_offset_locked(&l1->index, bucket, victim.hash, victim.offset);
    uint64_t bytes = victim.size;
    if (slot.bucket != NULL) {
        bytes = sta_tier_cost(l1, victim.item);
        judge_locked(l1, &victim, slot, now_ms);
    } else {
        sta_queue_change(&queue->own.dead, -victim.size);
    }
    sta_index_unlock(bucket);
    look_ahead(l1, lane, victim.queue);
    return bytes;
}

/* ---- bounds ---- */

bool sta_eviction_claim(struct sta_l1 *l1, struct sta_lane *lane, uint64_t bytes, uint64_t now_ms)
{
    lane->by_bytes = true;
    while (!sta_budget_claim(&l1->memory, bytes)) {
        /* In a tier that is coming down it is not for a store to give what is free. */
        if (!sta_tier_resizing(l1) && sta_arena_give_back(&l1->arena, 1))
            continue;
        if (!step_for_store(l1, lane, now_ms))
            return false;
    }
    return true;
}

bool sta_eviction_claim_place(struct sta_l1 *l1, struct sta_lane *lane, uint64_t now_ms)
{
    lane->by_bytes = false;
    if (sta_lane_places(lane) > (l1->quota_lanes > 0 ? 0 : PLACES_KEPT))
        sta_lane_give_places(l1, lane);
    while (sta_lane_places(lane) == 0) {
        if (sta_budget_claim(&l1->places, 1))
            sta_lane_set_places(lane, 1);
        else if (!step_for_store(l1, lane, now_ms))
            return false;
    }
    return true;
}

bool sta_eviction_keep_quota(struct sta_l1 *l1, struct sta_lane *lane, uint64_t entries,
                             uint64_t cost, uint64_t now_ms)
{
    for (;;) {
        bool wide = is_over_bytes(lane, cost);
        if (!wide && !is_over_entries(lane, entries))
            return true;
        lane->by_bytes = wide;
        if (sta_eviction_step(l1, lane, turn_in(l1, lane), now_ms) == 0)
            return false;
    }
}

bool sta_eviction_thin_quota(struct sta_l1 *l1, struct sta_lane *lane, uint32_t steps)
{
    for (; steps > 0; steps--) {
        lane->by_bytes = is_over_bytes(lane, 0);
        if (!lane->by_bytes && !is_over_entries(lane, 0))
            return false;
        if (sta_eviction_step(l1, lane, turn_in(l1, lane), 0) == 0)
            return false;
    }
    return true;
}

/* Until there is a segment and more for the caller, or the lane has gone down by that much. */
static bool relieve_lane(struct sta_l1 *l1, struct sta_lane *lane, enum sta_queue_name turn,
                         uint64_t bytes, bool by_bytes, uint64_t now_ms)
{
    bool moved = false;
    uint64_t least = sta_lane_bytes(lane);
    least = least > bytes ? least - bytes : 0;
    lane->by_bytes = by_bytes;
    for (uint32_t steps = 0; steps < RELIEF_STEPS; steps++) {
        if (moved && (by_bytes ? sta_budget_fits(&l1->memory, bytes) ||
                                     (sta_arena_free(&l1->arena) > 1 && steps % 64 == 0) ||
                                     sta_lane_bytes(lane) < least
                               : sta_lane_places(lane) >= PLACES_KEPT))
            break;
        if (sta_eviction_step(l1, lane, turn, now_ms) == 0)
            break;
        moved = true;
    }
    sta_lane_give_places(l1, lane);
    return moved;
}

bool sta_eviction_relieve(struct sta_l1 *l1, uint64_t bytes, bool by_bytes, uint64_t now_ms)
{
    struct sta_lane *lane;
    enum sta_queue_name turn;
    bool moved = false;
    while (!moved && (lane = sta_lane_stalest(l1, &turn)) != NULL) {
        pthread_mutex_lock(&lane->lock); /* it may have been emptied meanwhile */
        moved = relieve_lane(l1, lane, turn, bytes, by_bytes, now_ms);
        pthread_mutex_unlock(&lane->lock);
    }
    return moved;
}

static uint32_t segments_wanted(const struct sta_l1 *l1)
{
    return PACE_FREE + sta_tier_lanes(l1);
}

uint64_t sta_eviction_pace_bytes(const struct sta_l1 *l1)
{
    return (1 + segments_wanted(l1)) * sta_arena_segment_cost(&l1->arena);
}

void sta_eviction_pace(struct sta_l1 *l1, struct sta_lane *lane, uint64_t size, uint64_t now_ms)
{
    uint32_t wanted = segments_wanted(l1);
    if (sta_tier_resizing(l1) || sta_arena_free(&l1->arena) >= wanted ||
        sta_budget_fits(&l1->memory, sta_eviction_pace_bytes(l1)))
        return;
    sta_arena_settle(&l1->arena); /* before entries go for what nobody holds any more */
    if (sta_arena_free(&l1->arena) >= wanted)
        return;
    lane->by_bytes = true;
    for (uint64_t steps = 0; steps < PACE_STEPS && steps * 64 < 2 * size + 128; steps++) {
        if (!step_for_store(l1, lane, now_ms))
            return;
    }
}
