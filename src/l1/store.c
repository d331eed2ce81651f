/* SPDX-License-Identifier: MIT
 *
 * Writing: fill, publish, set, invalidate. A store makes room and writes the item under the
 * tier's store lock, then checks the token and links the item under the lock of the key's
 * bucket: with respect to this key that is one step, since whatever makes a key doubtful
 * advances its generation under the same lock.
 */
#include <stdlib.h>
#include <string.h>

#include "l1/tier.h"
#include "strata/status.h"

#define VALUE_MOST  UINT32_MAX
#define INLINE_PART 4u /* what is larger than this part of a segment goes to a block */
#define BLOCK_PART  4u /* what is larger than this part of the tier is not stored */
#define SLACK_BYTES (2 * sizeof(struct sta_bucket)) /* an overflow bucket may be needed */

enum store_mode {
    STORE_FILL,    /* where the token is current; else nothing changes */
    STORE_PUBLISH, /* where the token is current; else what is there goes. Advances */
    STORE_SET      /* always. Advances */
};

struct store {
    enum store_mode mode;
    const struct sta_key *key;
    const struct sta_l1_entry *entry;
    uint64_t generation; /* the token's */
    uint64_t now_ms;
    struct sta_block *block; /* ours until it is linked */
    uint8_t state;
};

static bool current(const struct sta_l1 *l1, const struct store *store)
{
    return store->mode == STORE_SET ||
           sta_generation_current(&l1->generation, store->key->hash) == store->generation;
}

/* Nothing is stored; a write still leaves the key without an entry and the generation advanced. */
static int refuse_locked(struct sta_l1 *l1, struct sta_bucket *bucket, const struct store *store,
                         int status)
{
    if (store->mode == STORE_FILL)
        return status;
    struct sta_slot slot = sta_index_find_locked(&l1->index, bucket, store->key);
    if (slot.bucket != NULL)
        sta_entry_remove_locked(l1, slot);
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
    if (key_len > 0)
        memcpy(block->bytes, store->key->bytes.data, key_len);
    if (value_len > 0)
        memcpy(block->bytes + key_len, store->entry->value.data, value_len);
    return block;
}

static void write_inline(uint8_t *at, const struct store *store)
{
    if (store->state & STA_ITEM_DEADLINE) {
        memcpy(at, &store->entry->deadline_ms, 8);
        at += 8;
    }
    if (store->key->bytes.len > 0)
        memcpy(at, store->key->bytes.data, store->key->bytes.len);
    at += store->key->bytes.len;
    if (store->entry->value.len > 0)
        memcpy(at, store->entry->value.data, store->entry->value.len);
}

static void write_item(struct sta_item *item, const struct store *store, uint8_t visits,
                       enum sta_queue_name queue)
{
    uint8_t state = store->state | visits | (queue == STA_QUEUE_MAIN ? STA_ITEM_MAIN : 0);
    item->value_len = (uint32_t)store->entry->value.len;
    item->key_len = (uint16_t)store->key->bytes.len;
    item->flags = store->entry->flags;
    atomic_store_explicit(&item->state, state, memory_order_relaxed);
    if (state & STA_ITEM_BLOCK) {
        memcpy(item->bytes, &store->key->hash, 8);
        memcpy(item->bytes + 8, &store->block, sizeof store->block);
    } else {
        write_inline(item->bytes, store);
    }
}

static uint64_t item_size(const struct sta_l1 *l1, const struct store *store)
{
    return sta_arena_align(
        &l1->arena, sta_item_size(store->state, store->key->bytes.len, store->entry->value.len));
}

/* ---- storing ---- */

/* Where the entry will go: where it is, or by its ghost. */
static enum sta_queue_name place_for(struct sta_l1 *l1, const struct store *store, uint8_t *visits,
                                     bool *present)
{
    uint8_t state = 0;
    struct sta_bucket *bucket = sta_index_lock(&l1->index, store->key->hash);
    struct sta_slot slot = sta_index_find_locked(&l1->index, bucket, store->key);
    *present = slot.bucket != NULL;
    if (*present)
        state = sta_item_state(sta_arena_item(&l1->arena, sta_index_offset(slot)));
    sta_index_unlock(bucket);
    *visits = state & STA_ITEM_VISITS;
    if (*present)
        return (state & STA_ITEM_MAIN) != 0 ? STA_QUEUE_MAIN : STA_QUEUE_SMALL;
    return sta_ghost_take(&l1->ghost, store->key->hash) ? STA_QUEUE_MAIN : STA_QUEUE_SMALL;
}

/* Links the item at `offset`. False where an overflow bucket is needed and there is no room. */
static bool link_locked(struct sta_l1 *l1, struct sta_bucket *bucket, const struct store *store,
                        uint32_t offset)
{
    struct sta_slot slot = sta_index_find_locked(&l1->index, bucket, store->key);
    if (slot.bucket != NULL) {
        uint32_t old = sta_index_offset(slot);
        sta_index_replace_locked(slot, offset);
        sta_entry_forget(l1, old);
        return true;
    }
    bool may_grow =
        sta_tier_memory(l1) + sizeof(struct sta_bucket) <= sta_tier_load(&l1->max_bytes);
    return sta_index_add_locked(&l1->index, bucket, store->key->hash, offset, may_grow);
}

static int link_item(struct sta_l1 *l1, struct store *store, enum sta_queue_name queue,
                     uint32_t offset)
{
    struct sta_item *item = sta_arena_item(&l1->arena, offset);
    int status = STRATA_OK;
    struct sta_bucket *bucket = sta_index_lock(&l1->index, store->key->hash);
    if (!current(l1, store)) {
        sta_tier_add(&l1->counts.fills_refused, 1);
        status = refuse_locked(l1, bucket, store, STRATA_SKIPPED);
    } else if (!link_locked(l1, bucket, store, offset)) {
        status = refuse_locked(l1, bucket, store, STRATA_SKIPPED);
    } else {
        sta_eviction_commit(l1, queue, item_size(l1, store));
        sta_tier_add(&l1->queues[queue].bytes, sta_tier_cost(l1, item));
        sta_tier_add(&l1->queues[queue].entries, 1);
        sta_tier_add(&l1->entries, 1);
        store->block = NULL;
        if (store->mode != STORE_FILL)
            sta_generation_advance(&l1->generation, store->key->hash);
    }
    sta_index_unlock(bucket);
    return status;
}

static int store_placed(struct sta_l1 *l1, struct store *store)
{
    uint8_t visits;
    bool present;
    uint64_t size = item_size(l1, store);
    enum sta_queue_name queue = place_for(l1, store, &visits, &present);
    if (!present && !sta_eviction_make_places(l1, 1, store->now_ms))
        return refuse(l1, store, STRATA_SKIPPED);
    if (!sta_eviction_make_room(l1, SLACK_BYTES, store->now_ms))
        return refuse(l1, store, STRATA_SKIPPED);
    uint32_t offset = sta_eviction_room(l1, queue, size, store->now_ms);
    if (offset == 0)
        return refuse(l1, store, STRATA_SKIPPED);
    write_item(sta_arena_item(&l1->arena, offset), store, visits, queue);
    return link_item(l1, store, queue, offset);
}

/* A block counts from before there is room for it, so that the room is for it and the rest. */
static int store_storing(struct sta_l1 *l1, struct store *store)
{
    uint64_t block_bytes = store->block != NULL ? store->block->size : 0;
    sta_eviction_keep_up(l1, store->now_ms);
    sta_tier_add(&l1->block_bytes, block_bytes);
    int status = store_placed(l1, store);
    if (status == STRATA_OK)
        sta_tier_add(&l1->counts.fills, 1);
    else
        sta_tier_sub(&l1->block_bytes, block_bytes);
    sta_eviction_pace(l1, item_size(l1, store), store->now_ms);
    return status;
}

/* Sizes that no eviction could make room for. */
static bool too_big(const struct sta_l1 *l1, const struct store *store)
{
    uint64_t max_bytes = sta_tier_load(&l1->max_bytes);
    uint64_t key_len = store->key->bytes.len;
    uint64_t value_len = store->entry->value.len;
    return key_len > STA_KEY_MAX || value_len > VALUE_MOST ||
           key_len + value_len > max_bytes / BLOCK_PART;
}

/* Chooses the item's form; STRATA_OK, or why there is nothing to store. */
static int prepare(struct sta_l1 *l1, struct store *store)
{
    const struct sta_l1_entry *entry = store->entry;
    if (sta_item_over(entry->deadline_ms, store->now_ms))
        return STRATA_SKIPPED;
    if (too_big(l1, store)) {
        sta_tier_add(&l1->counts.fills_too_big, 1);
        return STRATA_SKIPPED;
    }
    store->state = entry->deadline_ms != STA_NEVER ? STA_ITEM_DEADLINE : 0;
    if (item_size(l1, store) <= l1->arena.segment_bytes / INLINE_PART)
        return STRATA_OK;
    store->state = STA_ITEM_BLOCK;
    store->block = block_create(store);
    return store->block != NULL ? STRATA_OK : STRATA_ERR_NOMEM;
}

static int store_run(struct sta_l1 *l1, struct store *store)
{
    int status = current(l1, store) ? prepare(l1, store) : STRATA_OK;
    if (status != STRATA_OK)
        return refuse(l1, store, status);
    if (!current(l1, store)) { /* a generation never comes back: this stays so */
        sta_tier_add(&l1->counts.fills_refused, 1);
        refuse(l1, store, STRATA_SKIPPED);
        status = STRATA_SKIPPED;
    } else {
        pthread_mutex_lock(&l1->store_lock);
        status = store_storing(l1, store);
        pthread_mutex_unlock(&l1->store_lock);
    }
    if (store->block != NULL)
        sta_entry_unref_block(store->block);
    return status;
}

int sta_l1_fill(struct sta_l1 *l1, const struct sta_key *key, const struct sta_l1_entry *entry,
                struct sta_l1_token token, uint64_t now_ms)
{
    struct store store = {.mode = STORE_FILL,
                          .key = key,
                          .entry = entry,
                          .generation = token.generation,
                          .now_ms = now_ms};
    return store_run(l1, &store);
}

int sta_l1_publish(struct sta_l1 *l1, const struct sta_key *key, const struct sta_l1_entry *entry,
                   struct sta_l1_token token, uint64_t now_ms)
{
    struct store store = {.mode = STORE_PUBLISH,
                          .key = key,
                          .entry = entry,
                          .generation = token.generation,
                          .now_ms = now_ms};
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
        live = !sta_item_over(sta_item_deadline(item, sta_item_state(item)), now_ms);
        if (!live)
            sta_tier_add(&l1->counts.expirations, 1);
        sta_entry_remove_locked(l1, slot);
    }
    uint64_t generation = sta_generation_advance(&l1->generation, key->hash);
    sta_index_unlock(bucket);
    sta_tier_add(&l1->counts.invalidations, 1);
    if (removed != NULL)
        *removed = live;
    return (struct sta_l1_token){generation};
}
