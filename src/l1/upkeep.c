/* SPDX-License-Identifier: MIT
 *
 * What has to follow the number of entries: the index by one bucket at a time, ghosts and shadows
 * by being made anew. Ghosts and shadows are there only once there are evictions. And memory that
 * is touched before stores need it (ahead.h).
 *
 * Threads: under a lane's lock; what all lanes share is left to whoever has its lock just now. What
 * touches memory, under no lock.
 */
#include "l1/tier.h"

#define SHADOW_PART   32u                             /* of the bytes may go to shadows */
#define GROW_BYTES    (8 * sizeof(struct sta_bucket)) /* a split with a long chain */
#define GROW_EVICTS   (64u * 1024)
#define CLAIM_BYTES   (UINT64_C(16) * 1024) /* that one store claims for ghosts */
#define DUEL_EVERY    16u /* stores: one of so many looks whether there is something to do */
#define AHEAD_MOST    (2 * STA_AHEAD_PAGE) /* about what two threads store while one touches */
#define AHEAD_PART    128u                 /* of a tier's bytes are touched ahead, at most */
#define AHEAD_BUCKETS 8u /* part of that for the index, for more entries than fit into the rest */
#define SHADOWS_MOST  ((uint64_t)STA_DUEL_CAP_MOST * STA_DUEL_ENTRY_BYTES) /* they take no more */

/* By the places in use: entries and a few that lanes keep, on one line. */
static bool index_is_full(const struct sta_l1 *l1)
{
    return sta_budget_used(&l1->places) >= sta_tier_load(&l1->index.bucket_count) * STA_INDEX_LOAD;
}

static void index_keep_up(struct sta_l1 *l1, struct sta_lane *lane, uint64_t now_ms)
{
    if (!index_is_full(l1))
        return;
    if (!sta_budget_fits(&l1->memory, GROW_BYTES)) {
        if (sta_budget_most(&l1->memory) < GROW_EVICTS ||
            !sta_eviction_claim(l1, lane, GROW_BYTES, now_ms))
            return;
        sta_budget_give(&l1->memory, GROW_BYTES);
    }
    if (pthread_mutex_trylock(&l1->index.grow_lock) != 0)
        return; /* somebody else is at it */
    sta_index_grow_locked(&l1->index);
    pthread_mutex_unlock(&l1->index.grow_lock);
}

void sta_upkeep_begin(struct sta_l1 *l1)
{
    if (!l1->arena.huge)
        return;
    uint64_t bytes = l1->index.bucket_limit * sizeof(struct sta_bucket);
    sta_ahead_init(&l1->ahead[STA_TIER_SEGMENTS], l1->arena.base, l1->arena.reserved);
    sta_ahead_init(&l1->ahead[STA_TIER_BUCKETS], l1->index.buckets, bytes);
    sta_ahead_init(&l1->ahead[STA_TIER_OVERFLOW], l1->index.overflow, bytes);
    for (uint32_t i = 0; i < STA_TIER_AHEADS; i++)
        sta_ahead_touch(&l1->ahead[i]);
}

/* Of segments: what is resident before it is needed must not weigh in a small tier. */
static uint64_t ahead_bytes(const struct sta_l1 *l1)
{
    uint64_t part = sta_budget_most(&l1->memory) / AHEAD_PART;
    return part < AHEAD_MOST ? part : AHEAD_MOST;
}

/* How far it should be touched. */
static uint64_t wanted(const struct sta_l1 *l1, enum sta_tier_ahead what)
{
    const struct sta_index *index = &l1->index;
    if (what == STA_TIER_SEGMENTS)
        return sta_arena_used(&l1->arena) + ahead_bytes(l1);
    uint64_t buckets = what == STA_TIER_BUCKETS
                           ? sta_tier_load(&index->bucket_count)
                           : atomic_load_explicit(&index->overflow_fresh, memory_order_relaxed);
    return buckets * sizeof(struct sta_bucket) + ahead_bytes(l1) / AHEAD_BUCKETS;
}

/* One page at most: who begins the next segment touches the next one. What stores could not claim
 * they will not need. */
void sta_upkeep_ahead(struct sta_l1 *l1)
{
    for (uint32_t i = 0; i < STA_TIER_AHEADS; i++) {
        if (!sta_ahead_is_short(&l1->ahead[i], wanted(l1, i)))
            continue;
        if (sta_budget_fits(&l1->memory, ahead_bytes(l1)) && !sta_tier_resizing(l1)) {
            sta_ahead_touch(&l1->ahead[i]);
            return;
        }
    }
}

static void give_claimed(struct sta_l1 *l1)
{
    sta_budget_give(&l1->memory, sta_tier_load(&l1->ghost_claimed));
    atomic_store_explicit(&l1->ghost_claimed, 0, memory_order_relaxed);
}

/* Some more of `bytes`, so that no single store has to evict for all of them; false where there is
 * no room. */
static bool claim_ghosts(struct sta_l1 *l1, struct sta_lane *lane, uint64_t bytes, uint64_t now_ms)
{
    uint64_t has = sta_tier_load(&l1->ghost_claimed);
    uint64_t more = has < bytes ? bytes - has : 0;
    more = more < CLAIM_BYTES ? more : CLAIM_BYTES;
    if (!sta_eviction_claim(l1, lane, more, now_ms))
        return false;
    sta_tier_add(&l1->ghost_claimed, more);
    return true;
}

/* How many of the ghosts count, the rule in force says. Room for as many as there are entries, or
 * twice that where a rule has asked for more: they cost two bytes each. */
static void ghosts_keep_up(struct sta_l1 *l1, struct sta_lane *lane, uint64_t now_ms)
{
    uint64_t entries = sta_budget_used(&l1->places); /* about */
    uint32_t tenths = sta_duel_rule(&l1->duel).ghost_tenths;
    bool is_large = entries < l1->ghost_entries + l1->ghost_entries / 2;
    sta_ghost_limit(&l1->ghost, entries * tenths / 10);
    if (entries < 8 || (is_large && tenths <= l1->ghost_tenths))
        return;
    uint32_t most = tenths > 10 || l1->ghost_tenths > 10 ? STA_RULE_GHOST_TENTHS_MOST : 10;
    uint64_t bytes = sta_ghost_bytes(&l1->ghost, entries * most / 10);
    bool claimed = claim_ghosts(l1, lane, bytes, now_ms);
    if (claimed && sta_tier_load(&l1->ghost_claimed) < bytes)
        return; /* a later store goes on */
    l1->ghost_tenths = most;
    l1->ghost_entries = entries; /* also where there is no memory: not again and again */
    if (claimed) {
        sta_ghost_resize(&l1->ghost, entries * most / 10);
        sta_ghost_limit(&l1->ghost, entries * tenths / 10);
        sta_budget_give(&l1->memory, sta_tier_load(&l1->ghost_bytes));
        atomic_store_explicit(&l1->ghost_bytes, bytes, memory_order_relaxed);
        sta_tier_sub(&l1->ghost_claimed, bytes);
    }
    give_claimed(l1);
}

static void shadows_keep_up(struct sta_l1 *l1, struct sta_lane *lane, uint64_t now_ms)
{
    uint64_t entries = sta_budget_used(&l1->places); /* about */
    if (entries < 8 || entries < l1->duel.entries + l1->duel.entries / 2)
        return;
    uint64_t most = sta_budget_most(&l1->memory) / SHADOW_PART;
    most = most < SHADOWS_MOST ? most : SHADOWS_MOST;
    if (!sta_eviction_claim(l1, lane, most, now_ms)) {
        l1->duel.entries = entries; /* not with every store again */
        return;
    }
    sta_budget_give(&l1->memory, l1->duel.bytes);
    sta_duel_resize(&l1->duel, entries, most);
    sta_budget_give(&l1->memory, most - l1->duel.bytes);
}

/* Whether there are samples, and now and then whether there are shadows enough. */
static bool duel_wants(const struct sta_l1 *l1, struct sta_lane *lane)
{
    return lane->upkeeps++ % DUEL_EVERY == 0 ||
           sta_tier_load(&l1->duel.head) != sta_tier_load(&l1->duel.tail);
}

void sta_upkeep_run(struct sta_l1 *l1, struct sta_lane *lane, uint64_t now_ms)
{
    if (sta_tier_resizing(l1))
        return; /* there is no room, and the numbers change */
    if (lane->evicting && duel_wants(l1, lane) && pthread_mutex_trylock(&l1->duel_lock) == 0) {
        sta_duel_drain(&l1->duel);
        ghosts_keep_up(l1, lane, now_ms);
        shadows_keep_up(l1, lane, now_ms);
        pthread_mutex_unlock(&l1->duel_lock);
    }
    index_keep_up(l1, lane, now_ms);
}

void sta_upkeep_forget(struct sta_l1 *l1)
{
    pthread_mutex_lock(&l1->duel_lock);
    sta_ghost_resize(&l1->ghost, 0);
    give_claimed(l1);
    sta_budget_give(&l1->memory, sta_tier_load(&l1->ghost_bytes));
    atomic_store_explicit(&l1->ghost_bytes, 0, memory_order_relaxed);
    l1->ghost_entries = 0;
    l1->ghost_tenths = 0;
    sta_budget_give(&l1->memory, l1->duel.bytes);
    sta_duel_fini(&l1->duel);
    l1->duel.entries = 0;
    pthread_mutex_unlock(&l1->duel_lock);
}
