/* SPDX-License-Identifier: MIT
 *
 * What has to follow the number of entries: the index by one bucket at a time, ghosts and shadows
 * by being made anew. Ghosts and shadows are there only once there are evictions.
 *
 * Threads: under the lane's lock; what all lanes share is left to whoever has its lock just now.
 */
#include "l1/tier.h"

#define SHADOW_PART       32u                             /* of the bytes may go to shadows */
#define GROW_BYTES        (8 * sizeof(struct sta_bucket)) /* a split with a long chain */
#define GROW_EVICTS       (64u * 1024)
#define CLAIM_BYTES       (UINT64_C(16) * 1024) /* that one store claims for ghosts */
#define GHOST_LIMIT_LASTS 64u                   /* stores */
#define DUEL_EVERY        16u /* likewise: those that show the shadows something */
#define SHADOWS_MOST      ((uint64_t)STA_DUEL_CAP_MOST * STA_DUEL_ENTRY_BYTES) /* they take no more */

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

static void give_claimed(struct sta_l1 *l1, struct sta_lane *lane)
{
    sta_budget_give(&l1->memory, sta_tier_load(&lane->ghost_claimed));
    atomic_store_explicit(&lane->ghost_claimed, 0, memory_order_relaxed);
}

/* Some more of `bytes`, so that no single store has to evict for all of them; false where there is
 * no room. */
static bool claim_ghosts(struct sta_l1 *l1, struct sta_lane *lane, uint64_t bytes, uint64_t now_ms)
{
    uint64_t has = sta_tier_load(&lane->ghost_claimed);
    uint64_t more = has < bytes ? bytes - has : 0;
    more = more < CLAIM_BYTES ? more : CLAIM_BYTES;
    if (!sta_eviction_claim(l1, lane, more, now_ms))
        return false;
    sta_tier_add(&lane->ghost_claimed, more);
    return true;
}

/* How many of the ghosts count, the rule in force says. */
static void ghosts_limit(struct sta_l1 *l1, struct sta_lane *lane)
{
    uint32_t tenths = sta_duel_rule(&l1->duel).ghost_tenths;
    sta_ghost_limit(&lane->ghost, sta_lane_entries(lane) * tenths / 10);
}

/* Room for as many as there are entries, or twice that where a rule has asked for more: they cost
 * two bytes each. */
static void ghosts_keep_up(struct sta_l1 *l1, struct sta_lane *lane, uint64_t now_ms)
{
    uint64_t entries = sta_lane_entries(lane);
    uint32_t tenths = sta_duel_rule(&l1->duel).ghost_tenths;
    if (lane->upkeeps % GHOST_LIMIT_LASTS == 0)
        ghosts_limit(l1, lane);
    bool is_large = entries < lane->ghost_entries + lane->ghost_entries / 2;
    if (entries < 8 || (is_large && tenths <= lane->ghost_tenths))
        return;
    tenths = tenths > 10 || lane->ghost_tenths > 10 ? STA_RULE_GHOST_TENTHS_MOST : 10;
    uint64_t wanted = entries * tenths / 10;
    uint64_t bytes = sta_ghost_bytes(wanted);
    bool claimed = claim_ghosts(l1, lane, bytes, now_ms);
    if (claimed && sta_tier_load(&lane->ghost_claimed) < bytes)
        return; /* the next store goes on */
    lane->ghost_tenths = tenths;
    lane->ghost_entries = entries; /* also where there is no memory: not with every store again */
    if (claimed && sta_ghost_resize(&lane->ghost, wanted)) {
        uint64_t old = sta_tier_load(&lane->ghost_bytes);
        atomic_store_explicit(&lane->ghost_bytes, bytes, memory_order_relaxed);
        sta_budget_give(&l1->memory, old);
        sta_tier_sub(&lane->ghost_claimed, bytes);
        ghosts_limit(l1, lane);
    }
    give_claimed(l1, lane);
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
    if (lane->evicting) {
        ghosts_keep_up(l1, lane, now_ms);
        if (duel_wants(l1, lane) && pthread_mutex_trylock(&l1->duel_lock) == 0) {
            sta_duel_drain(&l1->duel);
            shadows_keep_up(l1, lane, now_ms);
            pthread_mutex_unlock(&l1->duel_lock);
        }
    }
    index_keep_up(l1, lane, now_ms);
}

void sta_upkeep_forget_ghosts(struct sta_l1 *l1, struct sta_lane *lane)
{
    sta_ghost_fini(&lane->ghost);
    lane->ghost_entries = 0;
    lane->ghost_tenths = 0;
    give_claimed(l1, lane);
    sta_budget_give(&l1->memory, sta_tier_load(&lane->ghost_bytes));
    atomic_store_explicit(&lane->ghost_bytes, 0, memory_order_relaxed);
}

void sta_upkeep_forget_shadows(struct sta_l1 *l1)
{
    pthread_mutex_lock(&l1->duel_lock);
    sta_budget_give(&l1->memory, l1->duel.bytes);
    sta_duel_fini(&l1->duel);
    l1->duel.entries = 0;
    pthread_mutex_unlock(&l1->duel_lock);
}
