/* SPDX-License-Identifier: MIT
 *
 * The tier (l1.h): its life, its bounds, sweeping, numbers. Reading is in lookup.c, writing in
 * store.c, eviction in eviction.c; tier.h has the structure and the locks.
 *
 * Memory: index, segments, blocks and ghosts are counted against max_bytes. The generation table
 * (512 KiB) is not, nor is a block that a lease keeps after its entry left.
 */
#include "l1/l1.h"

#include <stdlib.h>

#include "l1/tier.h"
#include "strata/status.h"

#define RESIZE_STEPS 512u /* items or buckets under one hold of the store lock */
#define INDEX_PART   8u   /* of max_bytes that the index keeps after a resize */

/* ---- create, destroy, resize ---- */

int sta_l1_create(struct sta_l1 **out, const struct sta_l1_config *config)
{
    if (config->max_bytes == 0)
        return STRATA_ERR_INVALID;
    struct sta_l1 *l1 = aligned_alloc(64, sizeof *l1);
    if (l1 == NULL)
        return STRATA_ERR_NOMEM;
    memset(l1, 0, sizeof *l1);
    pthread_mutex_init(&l1->store_lock, NULL);
    pthread_mutex_init(&l1->sweep_lock, NULL);
    atomic_init(&l1->max_bytes, config->max_bytes);
    atomic_init(&l1->max_entries, config->max_entries == 0 ? STA_NEVER : config->max_entries);
    sta_duel_init(&l1->duel);
    int status = sta_arena_init(&l1->arena, config->max_bytes);
    if (status == STRATA_OK)
        status = sta_index_init(&l1->index, &l1->arena, config->hash_seed);
    if (status != STRATA_OK) {
        sta_l1_destroy(&l1);
        return status;
    }
    *out = l1;
    return STRATA_OK;
}

/* Removes the entries of the chain that begins at bucket `at`, if it still does. */
static void clear_chain(struct sta_l1 *l1, uint64_t at)
{
    struct sta_bucket *first = sta_index_lock_at(&l1->index, at);
    struct sta_bucket *bucket = first;
    for (; bucket != NULL; bucket = sta_index_next(&l1->index, bucket)) {
        for (uint32_t i = 0; i < STA_INDEX_SLOTS; i++) {
            struct sta_slot slot = {bucket, i};
            if (sta_index_offset(slot) != 0)
                sta_entry_remove_locked(l1, slot);
        }
    }
    sta_index_unlock(first);
}

static void clear_entries(struct sta_l1 *l1)
{
    for (uint64_t at = 0; at < sta_tier_load(&l1->index.bucket_count); at++)
        clear_chain(l1, at);
}

void sta_l1_destroy(struct sta_l1 **l1)
{
    if (l1 == NULL || *l1 == NULL)
        return;
    if ((*l1)->index.overflow != NULL)
        clear_entries(*l1);
    sta_index_fini(&(*l1)->index);
    sta_arena_fini(&(*l1)->arena);
    sta_ghost_fini(&(*l1)->ghost);
    sta_duel_fini(&(*l1)->duel);
    pthread_mutex_destroy(&(*l1)->sweep_lock);
    pthread_mutex_destroy(&(*l1)->store_lock);
    free(*l1);
    *l1 = NULL;
}

static void lost(void *arg, uint32_t offset)
{
    struct sta_l1 *l1 = arg;
    sta_entry_forget(l1, offset);
    sta_tier_add(&l1->counts.evictions[STA_QUEUE_MAIN], 1);
}

/* One piece of the way down to the bounds; false where it has been gone. */
static bool come_down(struct sta_l1 *l1)
{
    uint64_t max_bytes = sta_tier_load(&l1->max_bytes);
    for (uint32_t i = 0; i < RESIZE_STEPS; i++) {
        uint64_t buckets = sta_tier_load(&l1->index.bucket_count);
        uint64_t entries = sta_tier_load(&l1->entries);
        bool wide = sta_tier_load(&l1->index.bytes) > max_bytes / INDEX_PART &&
                    entries < buckets * (STA_INDEX_LOAD - 1);
        if (entries > sta_tier_load(&l1->max_entries)) {
            if (!sta_eviction_step(l1, 0))
                return false;
        } else if (wide && sta_index_shrink(&l1->index, lost, l1)) {
            continue;
        } else if (sta_tier_memory(l1) > max_bytes) {
            if (!sta_arena_give_back(&l1->arena) && !sta_eviction_step(l1, 0))
                return false;
        } else {
            return false;
        }
    }
    return true;
}

int sta_l1_resize(struct sta_l1 *l1, uint64_t max_bytes, uint64_t max_entries)
{
    if (max_bytes == 0)
        return STRATA_ERR_INVALID;
    pthread_mutex_lock(&l1->store_lock);
    uint64_t old = sta_tier_load(&l1->max_bytes);
    atomic_store_explicit(&l1->max_bytes, max_bytes, memory_order_relaxed);
    atomic_store_explicit(&l1->max_entries, max_entries == 0 ? STA_NEVER : max_entries,
                          memory_order_relaxed);
    if (max_bytes < old) {
        sta_ghost_fini(&l1->ghost);
        sta_duel_fini(&l1->duel);
        atomic_store_explicit(&l1->policy_bytes, 0, memory_order_relaxed);
        l1->ghost_entries = 0;
    }
    l1->resizes++;
    while (come_down(l1)) { /* in pieces: others store in between, under the new bounds */
        pthread_mutex_unlock(&l1->store_lock);
        pthread_mutex_lock(&l1->store_lock);
    }
    l1->resizes--;
    pthread_mutex_unlock(&l1->store_lock);
    return STRATA_OK;
}

/* ---- keys and tokens ---- */

struct sta_key sta_l1_key(const struct sta_l1 *l1, struct strata_bytes bytes)
{
    return sta_key_make(bytes, l1->index.hash_seed);
}

struct sta_l1_token sta_l1_token(const struct sta_l1 *l1, const struct sta_key *key)
{
    return (struct sta_l1_token){sta_generation_current(&l1->generation, key->hash)};
}

/* ---- upkeep ---- */

/* The generations first: whoever still stores under an old token does so before the entries
 * go. The store lock keeps the table from moving entries behind us. */
void sta_l1_clear(struct sta_l1 *l1)
{
    pthread_mutex_lock(&l1->store_lock);
    for (uint32_t at = 0; at < STA_GENERATION_COUNT; at++)
        sta_generation_advance_at(&l1->generation, at);
    clear_entries(l1);
    sta_eviction_empty(l1);
    pthread_mutex_unlock(&l1->store_lock);
}

/* The locked chain from `sweep_depth` on; false where the budget ended first. An entry that
 * moves meanwhile may be missed in one round, not in the next. */
static bool sweep_chain(struct sta_l1 *l1, struct sta_bucket *bucket, uint64_t now_ms,
                        uint64_t *budget, uint64_t *removed)
{
    uint32_t depth = 0;
    for (; bucket != NULL; bucket = sta_index_next(&l1->index, bucket)) {
        for (uint32_t i = 0; i < STA_INDEX_SLOTS; i++, depth++) {
            struct sta_slot slot = {bucket, i};
            if (depth < l1->sweep_depth || sta_index_offset(slot) == 0)
                continue;
            if (*budget == 0) {
                l1->sweep_depth = depth;
                return false;
            }
            (*budget)--;
            const struct sta_item *item = sta_arena_item(&l1->arena, sta_index_offset(slot));
            if (sta_item_over(sta_item_deadline(item, sta_item_state(item)), now_ms)) {
                sta_entry_remove_locked(l1, slot);
                sta_tier_add(&l1->counts.expirations, 1);
                (*removed)++;
            }
        }
    }
    l1->sweep_depth = 0;
    return true;
}

/* Ends after one round, at most. */
uint64_t sta_l1_sweep(struct sta_l1 *l1, uint64_t now_ms, uint64_t budget)
{
    uint64_t removed = 0;
    pthread_mutex_lock(&l1->sweep_lock);
    uint64_t buckets = sta_tier_load(&l1->index.bucket_count);
    for (uint64_t seen = 0; seen <= buckets && budget > 0; seen++) {
        if (l1->sweep_bucket >= sta_tier_load(&l1->index.bucket_count)) {
            l1->sweep_bucket = 0;
            l1->sweep_depth = 0;
        }
        struct sta_bucket *bucket = sta_index_lock_at(&l1->index, l1->sweep_bucket);
        bool whole = sweep_chain(l1, bucket, now_ms, &budget, &removed);
        sta_index_unlock(bucket);
        l1->sweep_bucket += whole;
    }
    pthread_mutex_unlock(&l1->sweep_lock);
    return removed;
}

static void add_stripes(const struct sta_l1 *l1, struct sta_l1_statistics *out)
{
    for (uint32_t i = 0; i < STA_STRIPES; i++) {
        out->hits += sta_tier_load(&l1->stripes[i].hits);
        out->misses += sta_tier_load(&l1->stripes[i].misses);
    }
}

void sta_l1_statistics(const struct sta_l1 *l1, struct sta_l1_statistics *out)
{
    uint64_t max_entries = sta_tier_load(&l1->max_entries);
    *out = (struct sta_l1_statistics){
        .hits = sta_tier_load(&l1->counts.hits),
        .misses = sta_tier_load(&l1->counts.misses),
        .misses_expired = sta_tier_load(&l1->counts.misses_expired),
        .fills = sta_tier_load(&l1->counts.fills),
        .fills_refused = sta_tier_load(&l1->counts.fills_refused),
        .fills_too_big = sta_tier_load(&l1->counts.fills_too_big),
        .evictions = sta_tier_load(&l1->counts.evictions[STA_QUEUE_SMALL]) +
                     sta_tier_load(&l1->counts.evictions[STA_QUEUE_MAIN]),
        .expirations = sta_tier_load(&l1->counts.expirations),
        .invalidations = sta_tier_load(&l1->counts.invalidations),
        .entries = sta_tier_load(&l1->entries),
        .memory_bytes = sta_tier_memory(l1),
        .held_bytes = atomic_load_explicit(&l1->arena.limbo_count, memory_order_relaxed) *
                      sta_arena_segment_cost(&l1->arena),
        .max_bytes = sta_tier_load(&l1->max_bytes),
        .max_entries = max_entries == STA_NEVER ? 0 : max_entries,
    };
    add_stripes(l1, out);
}
