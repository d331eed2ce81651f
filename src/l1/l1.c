/* SPDX-License-Identifier: MIT
 *
 * The tier (l1.h): its life, its bounds, tokens. Reading is in lookup.c, writing in store.c, who
 * stays in eviction.c, what goes through everything in scan.c; tier.h has the structure and the
 * locks.
 *
 * Memory: what grows is counted against max_bytes (numbers.c has the kinds). The generation table
 * (512 KiB) and the counters (8 KiB) are not, nor is a block that a lease keeps after its entry
 * left.
 */
#include "l1/l1.h"

#include <stdlib.h>

#include "l1/tier.h"
#include "strata/status.h"

#define RESIZE_STEPS  128u                /* items or buckets under one hold of a lock, */
#define RESIZE_BYTES  (UINT64_C(1) << 20) /*   and bytes of items */
#define RESIZE_FREE   8u                  /* segments that go back to the kernel at once */
#define SPARE_PART    16u  /* of max_bytes that a resize leaves free at the most: spare_bytes() */
#define INDEX_PART    8u   /* of max_bytes that the index keeps after a resize */
#define GHOST_PART    32u  /* of the arena's address space that ghosts may have */
#define SEGMENT_PARTS 128u /* of a tier with one lane; of each lane of many, twice as many */

/* ---- create, destroy ---- */

static bool quota_valid(const struct sta_l1_config *config, size_t at)
{
    struct strata_bytes prefix = config->quotas[at].prefix;
    if (prefix.len == 0)
        return false;
    for (size_t i = 0; i < at; i++) {
        if (config->quotas[i].prefix.len == prefix.len &&
            memcmp(config->quotas[i].prefix.data, prefix.data, prefix.len) == 0)
            return false;
    }
    return true;
}

static bool config_valid(const struct sta_l1_config *config)
{
    if (config->max_bytes == 0 || config->quota_count > STA_L1_QUOTAS_MOST ||
        config->sources > STA_L1_SOURCES_MOST)
        return false;
    for (size_t i = 0; i < config->quota_count; i++) {
        if (!quota_valid(config, i))
            return false;
    }
    return true;
}

static void init_locks(struct sta_l1 *l1)
{
    pthread_mutex_init(&l1->sweep_lock, NULL);
    pthread_mutex_init(&l1->duel_lock, NULL);
}

/* The end of a lane's queue is part empty: the more lanes, the smaller the segments. */
static uint32_t segment_parts(const struct sta_l1 *l1)
{
    uint32_t lanes = sta_tier_lanes(l1);
    return lanes == 1 ? SEGMENT_PARTS : 2 * SEGMENT_PARTS * lanes;
}

static int init_parts(struct sta_l1 *l1, const struct sta_l1_config *config)
{
    int status = sta_lane_init_all(l1, config);
    if (status == STRATA_OK)
        status = sta_departed_init(&l1->departed, config->max_bytes);
    if (status == STRATA_OK)
        status = sta_stamp_init(&l1->stamp, config->sources);
    if (status == STRATA_OK)
        status = sta_arena_init(&l1->arena, &l1->memory, config->max_bytes, segment_parts(l1));
    if (status == STRATA_OK)
        status = sta_ghost_init(&l1->ghost, l1->arena.reserved / GHOST_PART);
    if (status == STRATA_OK)
        status = sta_index_init(&l1->index, &l1->arena, config->hash_seed);
    return status;
}

int sta_l1_create(struct sta_l1 **out, const struct sta_l1_config *config)
{
    if (!config_valid(config))
        return STRATA_ERR_INVALID;
    struct sta_l1 *l1 = aligned_alloc(_Alignof(struct sta_l1), sizeof *l1);
    if (l1 == NULL)
        return STRATA_ERR_NOMEM;
    memset(l1, 0, sizeof *l1);
    init_locks(l1);
    sta_budget_set_most(&l1->memory, config->max_bytes);
    sta_budget_set_most(&l1->places, config->max_entries == 0 ? STA_NEVER : config->max_entries);
    sta_duel_init(&l1->duel);
    l1->veil = config->veil;
    int status = init_parts(l1, config);
    sta_l1_veil(l1, STA_NEVER);
    if (status != STRATA_OK) {
        sta_l1_destroy(&l1);
        return status;
    }
    sta_budget_take(&l1->memory, sta_departed_bytes(&l1->departed) + sta_stamp_bytes(&l1->stamp));
    sta_upkeep_begin(l1);
    *out = l1;
    return STRATA_OK;
}

void sta_l1_destroy(struct sta_l1 **at)
{
    if (at == NULL || *at == NULL)
        return;
    struct sta_l1 *l1 = *at;
    if (l1->index.overflow != NULL)
        sta_l1_clear(l1); /* for the blocks */
    sta_index_fini(&l1->index);
    sta_arena_fini(&l1->arena);
    sta_stamp_fini(&l1->stamp);
    sta_departed_fini(&l1->departed);
    sta_ghost_fini(&l1->ghost);
    sta_lane_fini_all(l1);
    sta_duel_fini(&l1->duel);
    pthread_mutex_destroy(&l1->duel_lock);
    pthread_mutex_destroy(&l1->sweep_lock);
    free(l1);
    *at = NULL;
}

void sta_l1_veil(struct sta_l1 *l1, uint64_t from_ms)
{
    uint64_t veiled_ms = l1->veil.hides != NULL ? from_ms : STA_NEVER;
    atomic_store_explicit(&l1->veiled_ms, veiled_ms, memory_order_relaxed);
    atomic_store_explicit(&l1->doubted_ms, l1->stamp.count != 0 ? 0 : veiled_ms,
                          memory_order_relaxed);
}

/* ---- resize ---- */

static void lost(void *arg, uint32_t offset)
{
    struct sta_l1 *l1 = arg;
    const struct sta_item *item = sta_arena_item(&l1->arena, offset);
    sta_departed_note(&l1->departed, sta_item_hash(item, sta_item_head(item), l1->index.hash_seed),
                      STA_DEPARTED_EVICTED);
    sta_entry_forget(l1, offset);
    sta_budget_give(&l1->places, 1);
    sta_tier_count(l1, STA_L1_evictions_main);
}

/* Whether the index takes more than its part and could be narrower. */
static bool index_is_wide(const struct sta_l1 *l1)
{
    uint64_t buckets = sta_tier_load(&l1->index.bucket_count);
    return buckets > STA_INDEX_LEAST &&
           sta_tier_load(&l1->index.bytes) > sta_budget_most(&l1->memory) / INDEX_PART &&
           sta_budget_used(&l1->places) < buckets * (STA_INDEX_LOAD - 1);
}

/* False where it cannot become narrower. */
static bool narrow_index(struct sta_l1 *l1)
{
    bool going = true;
    pthread_mutex_lock(&l1->index.grow_lock);
    for (uint32_t i = 0; i < RESIZE_STEPS && going && index_is_wide(l1); i++)
        going = sta_index_shrink_locked(&l1->index, lost, l1);
    pthread_mutex_unlock(&l1->index.grow_lock);
    return going;
}

/* Whether there are free segments enough to give back: for `spare` bytes below the bound, or so
 * many that it pays. */
static bool has_come_down(const struct sta_l1 *l1, uint64_t spare)
{
    uint32_t free = sta_arena_free(&l1->arena);
    return free >= RESIZE_FREE ||
           sta_budget_used(&l1->memory) + spare <=
               sta_budget_most(&l1->memory) + free * sta_arena_segment_cost(&l1->arena);
}

/* Some steps of eviction in the lane with the oldest entries. False where no lane has anything. */
static bool thin_out(struct sta_l1 *l1, bool by_bytes, uint64_t spare)
{
    enum sta_queue_name turn;
    struct sta_lane *lane = sta_lane_stalest(l1, &turn);
    if (lane == NULL)
        return false;
    sta_lane_let_in(lane);
    pthread_mutex_lock(&lane->lock);
    lane->by_bytes = by_bytes;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < RESIZE_STEPS && bytes < RESIZE_BYTES; i++) {
        uint64_t more = sta_eviction_step(l1, lane, turn, 0);
        sta_lane_give_places(l1, lane);
        if (more == 0 || (by_bytes ? has_come_down(l1, spare) : sta_budget_fits(&l1->places, 0)))
            break;
        bytes += more;
    }
    pthread_mutex_unlock(&lane->lock);
    return true; /* where this one is empty now, others need not be */
}

/* What is kept beside entries: places, spare segments, ghosts, shadows. */
static void give_up_spare(struct sta_l1 *l1)
{
    for (uint32_t i = 0; i < sta_tier_lanes(l1); i++) {
        pthread_mutex_lock(&l1->lanes[i].lock);
        sta_eviction_give_up(l1, &l1->lanes[i]);
        pthread_mutex_unlock(&l1->lanes[i].lock);
    }
    sta_upkeep_forget(l1);
}

/* What is left free below a lower bound: as much as stores keep free when they evict ahead. Or the
 * first ones behind the resize would find nothing free, and would have to empty whole segments
 * before they are through. */
static uint64_t spare_bytes(const struct sta_l1 *l1)
{
    uint64_t most = sta_budget_most(&l1->memory) / SPARE_PART;
    uint64_t wanted = sta_eviction_pace_bytes(l1);
    return wanted < most ? wanted : most;
}

/* Down to the bounds, in pieces: others store in between, under the new bounds. */
static void come_down(struct sta_l1 *l1)
{
    uint64_t spare = sta_budget_fits(&l1->memory, 0) ? 0 : spare_bytes(l1);
    if (!sta_budget_fits(&l1->places, 0) || !sta_budget_fits(&l1->memory, 0))
        give_up_spare(l1);
    while (!sta_budget_fits(&l1->places, 0) && thin_out(l1, false, spare)) {
    }
    while (index_is_wide(l1) && narrow_index(l1)) {
    }
    while (!sta_budget_fits(&l1->memory, spare)) {
        sta_arena_settle(&l1->arena); /* before entries go for what nobody holds any more */
        if ((has_come_down(l1, spare) && sta_arena_give_back(&l1->arena, RESIZE_FREE)) ||
            (index_is_wide(l1) && narrow_index(l1)) || thin_out(l1, true, spare))
            continue;
        give_up_spare(l1);
        if (!sta_arena_give_back(&l1->arena, RESIZE_FREE))
            break;
    }
}

int sta_l1_resize(struct sta_l1 *l1, uint64_t max_bytes, uint64_t max_entries)
{
    if (max_bytes == 0)
        return STRATA_ERR_INVALID;
    atomic_fetch_add_explicit(&l1->resizes, 1, memory_order_seq_cst);
    sta_budget_set_most(&l1->memory, max_bytes);
    sta_budget_set_most(&l1->places, max_entries == 0 ? STA_NEVER : max_entries);
    come_down(l1);
    atomic_fetch_sub_explicit(&l1->resizes, 1, memory_order_seq_cst);
    return STRATA_OK;
}

/* ---- keys, tokens, sources ---- */

struct sta_key sta_l1_key(const struct sta_l1 *l1, struct strata_bytes bytes)
{
    return sta_key_make(bytes, l1->index.hash_seed);
}

struct sta_l1_token sta_l1_token(const struct sta_l1 *l1, const struct sta_key *key)
{
    return (struct sta_l1_token){.generation = sta_generation_current(&l1->generation, key->hash)};
}

struct sta_l1_token sta_l1_token_from(const struct sta_l1 *l1, const struct sta_key *key,
                                      uint16_t source)
{
    struct sta_l1_token token = sta_l1_token(l1, key);
    token.stamp = sta_stamp_birth(&l1->stamp, source);
    return token;
}

void sta_l1_doubt(struct sta_l1 *l1, uint16_t source)
{
    sta_stamp_doubt(&l1->stamp, source);
}

void sta_l1_trust(struct sta_l1 *l1, uint16_t source, uint64_t until_ms)
{
    sta_stamp_trust(&l1->stamp, source, until_ms);
}
