/* SPDX-License-Identifier: MIT
 *
 * Writing: fill, deliver, publish, set, invalidate, and a new deadline. A store makes room and
 * writes the item under the lock of the key's lane, then checks the token and links the item under
 * the lock of the key's bucket: with respect to this key that is one step, since whatever makes a
 * key doubtful advances its generation under the same lock.
 *
 *     prepare --> lane: place, room, item --> bucket: token, link
 *        ^            | no room in this lane
 *        '- relieve <-'
 */
#include <stdlib.h>
#include <string.h>

#include "core/mutant.h"
#include "l1/tier.h"
#include "strata/status.h"

#define VALUE_MOST  UINT32_MAX
#define INLINE_PART 4u /* what is larger than this part of a segment goes to a block */
#define BLOCK_PART  4u /* what is larger than this part of the tier is not stored */
#define RELIEFS     64u
#define NO_ROOM     (-1000) /* inside this file only: another lane has to give */

enum store_mode {
    STORE_FILL,    /* where the token is current; else nothing changes */
    STORE_DELIVER, /* where the token is current; else what differs goes. Advances */
    STORE_PUBLISH, /* where the token is current; else what is there goes. Advances */
    STORE_SET      /* always. Advances */
};

struct store {
    enum store_mode mode;
    const struct sta_key *key;
    const struct sta_l1_entry *entry;
    struct sta_l1_token token;
    uint64_t now_ms;
    struct sta_block *block; /* ours until it is linked */
    uint64_t size;           /* of the item, in a segment */
    uint8_t state;
    bool by_bytes; /* what was short */
};

static bool current(const struct sta_l1 *l1, const struct store *store)
{
    return store->mode == STORE_SET || (store->mode == STORE_FILL && STA_MUTANT(TOKEN)) ||
           sta_generation_current(&l1->generation, store->key->hash) == store->token.generation;
}

/* Whether the entry has the value that is being delivered, and could be answered with. */
static bool is_equal_locked(const struct sta_l1 *l1, struct sta_slot slot,
                            const struct store *store)
{
    const struct sta_item *item = sta_arena_item(&l1->arena, sta_index_offset(slot));
    const struct sta_item_head head = sta_item_head(item);
    const struct strata_bytes value = store->entry->value;
    return head.value_len == value.len && head.flags == store->entry->flags &&
           !sta_stamp_suspect(&l1->stamp, sta_item_stamp(item, head.state), store->now_ms) &&
           (value.len == 0 ||
            memcmp(sta_item_key(item, head.state) + head.key_len, value.data, value.len) == 0);
}

/* Nothing is stored; whoever is not a fill advances the generation and leaves no other entry. */
static int refuse_locked(struct sta_l1 *l1, struct sta_bucket *bucket, const struct store *store,
                         int status)
{
    if (store->mode == STORE_FILL)
        return status;
    struct sta_slot slot = sta_index_find_locked(&l1->index, bucket, store->key);
    bool stays =
        slot.bucket != NULL && store->mode == STORE_DELIVER && is_equal_locked(l1, slot, store);
    if (slot.bucket != NULL && !stays) {
        sta_entry_remove_locked(l1, slot);
        sta_departed_note(&l1->departed, store->key->hash, STA_DEPARTED_INVALIDATED);
    }
    sta_generation_advance(&l1->generation, store->key->hash);
    return status;
}

static int refuse(struct sta_l1 *l1, const struct store *store, int status)
{
    struct sta_bucket *bucket = sta_index_lock(&l1->index, store->key->hash);
    refuse_locked(l1, bucket, store, status);
    sta_index_unlock(bucket);
    return status;
}

/* ---- the item ---- */

static struct sta_block *block_create(const struct store *store)
{
    size_t key_len = store->key->bytes.len;
    size_t value_len = store->entry->value.len;
    size_t size = sizeof(struct sta_block) + key_len + value_len;
    struct sta_block *block = sta_entry_create_block(size);
    if (block == NULL)
        return NULL;
    block->deadline_ms = store->entry->deadline_ms;
    block->stamp = store->token.stamp;
    if (key_len > 0)
        memcpy(block->bytes, store->key->bytes.data, key_len);
    if (value_len > 0)
        memcpy(block->bytes + key_len, store->entry->value.data, value_len);
    return block;
}

static void write_inline(uint8_t *at, const struct store *store)
{
    if (store->state & STA_ITEM_DEADLINE) {
        sta_racing_write(at, &store->entry->deadline_ms, 8);
        at += 8;
    }
    if (store->state & STA_ITEM_STAMP) {
        uint64_t stamp = sta_item_pack_stamp(store->token.stamp);
        sta_racing_write(at, &stamp, 8);
        at += 8;
    }
    sta_racing_write(at, store->key->bytes.data, store->key->bytes.len);
    at += store->key->bytes.len;
    sta_racing_write(at, store->entry->value.data, store->entry->value.len);
}

static void write_item(struct sta_item *item, const struct store *store, uint8_t visits)
{
    sta_item_set_head(item, (struct sta_item_head){.value_len = (uint32_t)store->entry->value.len,
                                                   .key_len = (uint16_t)store->key->bytes.len,
                                                   .flags = store->entry->flags,
                                                   .state = store->state | visits});
    if (store->state & STA_ITEM_BLOCK) {
        sta_racing_write(item->bytes, &store->key->hash, 8);
        sta_racing_write(item->bytes + 8, &store->block, sizeof store->block);
    } else {
        write_inline(item->bytes, store);
    }
}

/* What the entry takes, its block too. */
static uint64_t cost_of(const struct store *store)
{
    return store->size + (store->block != NULL ? store->block->size : 0);
}

/* ---- storing, under the lane's lock ---- */

struct place {
    enum sta_queue_name queue;
    uint8_t visits;
    struct sta_slot slot; /* of the key's entry; bucket NULL: it has none */
    /* where and when that was found out; bucket NULL: at a glance */
    const struct sta_bucket *bucket;
    uint32_t version;
};

/* What the store will wait for, all at once. The bucket may be another one by then. */
static void fetch_ahead(const struct sta_l1 *l1, const struct store *store)
{
    uint64_t hash = store->key->hash;
    sta_ghost_fetch(&l1->ghost, hash);
    sta_tier_fetch(sta_index_likely(&l1->index, hash));
    if (store->mode != STORE_FILL) /* who fills has just read it */
        sta_tier_fetch(&l1->generation.counter[sta_generation_index(hash)]);
}

/* Where the key's entry is, if it has one. */
static struct place place_of_entry(struct sta_l1 *l1, const struct store *store)
{
    struct place place = {.queue = STA_QUEUE_SMALL};
    /* A new key is not worth a lock: where it came meanwhile, link_locked() finds it. */
    if (sta_index_seems_absent(&l1->index, sta_index_likely(&l1->index, store->key->hash),
                               store->key->hash))
        return place;
    struct sta_bucket *bucket = sta_index_lock(&l1->index, store->key->hash);
    place.slot = sta_index_find_locked(&l1->index, bucket, store->key);
    place.bucket = bucket;
    place.version = sta_index_next_version(bucket);
    if (place.slot.bucket != NULL) {
        uint32_t offset = sta_index_offset(place.slot);
        place.visits = sta_item_head(sta_arena_item(&l1->arena, offset)).state & STA_ITEM_VISITS;
        place.queue = sta_entry_queue_name(l1, offset);
    }
    sta_index_unlock(bucket);
    return place;
}

/* Where the entry will go: where it is, or by its ghost. */
static struct place place_for(struct sta_l1 *l1, struct sta_lane *lane, const struct store *store)
{
    struct place place = place_of_entry(l1, store);
    if (place.slot.bucket == NULL && sta_ghost_take(&l1->ghost, store->key->hash) &&
        sta_eviction_prefers(l1, lane, store->key->bytes.len + store->entry->value.len))
        place.queue = STA_QUEUE_MAIN;
    return place;
}

/* The key's slot, looked for again only where somebody was at the chain since. */
static struct sta_slot slot_now(const struct sta_l1 *l1, struct sta_bucket *bucket,
                                const struct store *store, const struct place *place)
{
    if (bucket == place->bucket && sta_index_version(bucket) == place->version)
        return place->slot;
    return sta_index_find_locked(&l1->index, bucket, store->key);
}

/* Links the item at `offset`. False where it needs a place or an overflow bucket that was not
 * claimed: its key left between two looks. */
static bool link_locked(struct sta_l1 *l1, struct sta_lane *lane, struct sta_bucket *bucket,
                        const struct store *store, const struct place *place, uint32_t offset)
{
    struct sta_slot slot = slot_now(l1, bucket, store, place);
    if (slot.bucket != NULL) {
        uint32_t old = sta_index_offset(slot);
        sta_index_replace_locked(slot, offset);
        sta_entry_forget_held(l1, lane, old);
        return true;
    }
    uint64_t places = sta_lane_places(lane);
    if (places == 0 && !sta_budget_claim(&l1->places, 1))
        return false;
    bool linked =
        sta_index_add_locked(&l1->index, bucket, store->key->hash, offset, &lane->claimed_bytes);
    if (places > 0)
        sta_lane_set_places(lane, places - linked);
    else if (!linked)
        sta_budget_give(&l1->places, 1);
    return linked;
}

static int link_item(struct sta_l1 *l1, struct sta_lane *lane, struct store *store,
                     const struct place *place, uint32_t offset)
{
    enum sta_queue_name queue = place->queue;
    int status = STRATA_OK;
    struct sta_bucket *bucket = sta_index_lock(&l1->index, store->key->hash);
    /* This look decides; the one in store_run() only saves the work. */
    if (!current(l1, store)) {
        sta_tier_count(l1, STA_L1_fills_refused);
        status = refuse_locked(l1, bucket, store, STRATA_SKIPPED);
    } else if (!link_locked(l1, lane, bucket, store, place, offset)) {
        status = NO_ROOM;
    } else {
        sta_eviction_commit(l1, lane, queue, store->size);
        sta_entry_note(&lane->queues[queue], cost_of(store));
        store->block = NULL;
        if (store->mode != STORE_FILL)
            sta_generation_advance(&l1->generation, store->key->hash);
    }
    sta_index_unlock(bucket);
    return status;
}

/* Everything that the entry may need is claimed before it is written. */
static int store_placed(struct sta_l1 *l1, struct sta_lane *lane, struct store *store)
{
    /* Mostly the key is new, and its bucket on its way here (fetch_ahead). */
    if (lane->evicting && l1->quota_lanes == 0)
        (void)sta_eviction_claim_place(l1, lane, store->now_ms);
    struct place place = place_for(l1, lane, store);
    store->by_bytes = false;
    bool present = place.slot.bucket != NULL;
    if (!present && !sta_eviction_claim_place(l1, lane, store->now_ms))
        return NO_ROOM;
    store->by_bytes = true;
    if (lane->claimed_bytes == 0) {
        if (!sta_eviction_claim(l1, lane, sizeof(struct sta_bucket), store->now_ms))
            return NO_ROOM;
        lane->claimed_bytes = sizeof(struct sta_bucket);
    }
    if (!sta_eviction_keep_quota(l1, lane, !present, cost_of(store), store->now_ms))
        return refuse(l1, store, STRATA_SKIPPED);
    uint32_t offset = sta_eviction_room(l1, lane, place.queue, store->size, store->now_ms);
    if (offset == 0)
        return NO_ROOM;
    write_item(sta_arena_item(&l1->arena, offset), store, place.visits);
    return link_item(l1, lane, store, &place, offset);
}

/* A block's bytes are claimed first, so that the room that is made is for it and the rest. */
static int store_in_lane(struct sta_l1 *l1, struct sta_lane *lane, struct store *store)
{
    uint64_t block_bytes = store->block != NULL ? store->block->size : 0;
    store->by_bytes = true;
    if (block_bytes > 0 && !sta_eviction_claim(l1, lane, block_bytes, store->now_ms))
        return NO_ROOM;
    if (block_bytes > 0) /* all threads read its line */
        sta_tier_add(&l1->block_bytes, block_bytes);
    sta_upkeep_run(l1, lane, store->now_ms);
    sta_eviction_pace(l1, lane, store->size, store->now_ms);
    int status = store_placed(l1, lane, store);
    if (status == STRATA_OK) {
        sta_tier_count(l1, STA_L1_fills);
    } else {
        sta_tier_sub(&l1->block_bytes, block_bytes);
        sta_budget_give(&l1->memory, block_bytes);
    }
    return status;
}

/* Where a lane has no room, the fullest one makes some, and the store begins anew. */
static int store_somehow(struct sta_l1 *l1, struct store *store)
{
    uint64_t bytes =
        2 * sta_arena_segment_cost(&l1->arena) + (store->block != NULL ? store->block->size : 0);
    for (uint32_t tries = 0; tries < RELIEFS; tries++) {
        struct sta_lane *lane = sta_lane_take(l1, store->key);
        int status = store_in_lane(l1, lane, store);
        if (status == NO_ROOM)
            lane->giver_lasts = 0;
        bool began = lane->began;
        lane->began = false;
        sta_lane_unlock(lane);
        if (began)
            sta_upkeep_ahead(l1);
        if (status != NO_ROOM)
            return status;
        /* Room in a tier that is coming down is not for this store to make. */
        if (sta_tier_resizing(l1) ||
            !sta_eviction_relieve(l1, bytes, store->by_bytes, store->now_ms))
            break;
    }
    sta_tier_count(l1, STA_L1_fills_no_room);
    return refuse(l1, store, STRATA_SKIPPED);
}

bool sta_l1_takes(const struct sta_l1 *l1, size_t bytes)
{
    return bytes <= sta_budget_most(&l1->memory) / BLOCK_PART;
}

/* Sizes that no eviction could make room for. */
static bool too_big(const struct sta_l1 *l1, const struct store *store)
{
    uint64_t key_len = store->key->bytes.len;
    uint64_t value_len = store->entry->value.len;
    return key_len > STA_KEY_MAX || value_len > VALUE_MOST ||
           !sta_l1_takes(l1, key_len + value_len);
}

static uint64_t size_as(const struct sta_l1 *l1, const struct store *store, uint8_t state)
{
    return sta_arena_align(&l1->arena,
                           sta_item_size(state, store->key->bytes.len, store->entry->value.len));
}

/* Chooses the item's form; STRATA_OK, or why there is nothing to store. */
static int prepare(struct sta_l1 *l1, struct store *store)
{
    const struct sta_l1_entry *entry = store->entry;
    if (sta_item_over(entry->deadline_ms, store->now_ms))
        return STRATA_SKIPPED;
    if (too_big(l1, store)) {
        sta_tier_count(l1, STA_L1_fills_too_big);
        return STRATA_SKIPPED;
    }
    store->state = (entry->deadline_ms != STA_NEVER ? STA_ITEM_DEADLINE : 0) |
                   (store->token.stamp.source != 0 ? STA_ITEM_STAMP : 0);
    store->size = size_as(l1, store, store->state);
    if (store->size <= l1->arena.segment_bytes / INLINE_PART)
        return STRATA_OK;
    store->state = STA_ITEM_BLOCK;
    store->size = size_as(l1, store, store->state);
    store->block = block_create(store);
    return store->block != NULL ? STRATA_OK : STRATA_ERR_NOMEM;
}

static int store_run(struct sta_l1 *l1, struct store *store)
{
    if (!current(l1, store)) { /* a generation never comes back: nothing need be prepared */
        sta_tier_count(l1, STA_L1_fills_refused);
        return refuse(l1, store, STRATA_SKIPPED);
    }
    fetch_ahead(l1, store);
    int status = prepare(l1, store);
    if (status != STRATA_OK)
        return refuse(l1, store, status);
    status = store_somehow(l1, store);
    if (store->block != NULL)
        sta_entry_unref_block(store->block);
    return status;
}

int sta_l1_fill(struct sta_l1 *l1, const struct sta_key *key, const struct sta_l1_entry *entry,
                struct sta_l1_token token, uint64_t now_ms)
{
    struct store store = {
        .mode = STORE_FILL, .key = key, .entry = entry, .token = token, .now_ms = now_ms};
    return store_run(l1, &store);
}

int sta_l1_deliver(struct sta_l1 *l1, const struct sta_key *key, const struct sta_l1_entry *entry,
                   struct sta_l1_token token, uint64_t now_ms)
{
    struct store store = {
        .mode = STORE_DELIVER, .key = key, .entry = entry, .token = token, .now_ms = now_ms};
    return store_run(l1, &store);
}

int sta_l1_publish(struct sta_l1 *l1, const struct sta_key *key, const struct sta_l1_entry *entry,
                   struct sta_l1_token token, uint64_t now_ms)
{
    struct store store = {
        .mode = STORE_PUBLISH, .key = key, .entry = entry, .token = token, .now_ms = now_ms};
    return store_run(l1, &store);
}

int sta_l1_set(struct sta_l1 *l1, const struct sta_key *key, const struct sta_l1_entry *entry,
               uint64_t now_ms)
{
    struct store store = {.mode = STORE_SET, .key = key, .entry = entry, .now_ms = now_ms};
    return store_run(l1, &store);
}

struct sta_l1_token sta_l1_invalidate(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
                                      bool *removed)
{
    bool live = false;
    struct sta_bucket *bucket = sta_index_lock(&l1->index, key->hash);
    struct sta_slot slot = sta_index_find_locked(&l1->index, bucket, key);
    if (slot.bucket != NULL) {
        const struct sta_item *item = sta_arena_item(&l1->arena, sta_index_offset(slot));
        live = !sta_item_over(sta_item_deadline(item, sta_item_head(item).state), now_ms);
        if (!live)
            sta_tier_count(l1, STA_L1_expirations);
        sta_entry_remove_locked(l1, slot);
        sta_departed_note(&l1->departed, key->hash, STA_DEPARTED_INVALIDATED);
    }
    uint64_t generation = sta_generation_advance(&l1->generation, key->hash);
    sta_index_unlock(bucket);
    sta_tier_count(l1, STA_L1_invalidations);
    if (removed != NULL)
        *removed = live;
    return (struct sta_l1_token){.generation = generation};
}
