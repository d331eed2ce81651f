/* SPDX-License-Identifier: MIT
 *
 * The tier's numbers, put together when somebody asks (counters.h, l1.h). Nothing is locked, except
 * where readers hold segments back: each is right by itself, and sums may be an instant apart.
 */
#include "l1/tier.h"

static void add_counters(const struct sta_l1 *l1, struct sta_l1_statistics *out)
{
#define SUM(name, help) out->name = sta_stripe_sum(l1->stripes, STA_L1_##name);
    STA_L1_COUNTERS(SUM)
#undef SUM
    out->misses = out->misses_absent + out->misses_expired + out->misses_invalidated +
                  out->misses_evicted + out->misses_suspect;
    out->evictions = out->evictions_small + out->evictions_main;
}

static void add_lanes(const struct sta_l1 *l1, struct sta_l1_statistics *out)
{
    uint64_t kept = 0;
    for (uint32_t i = 0; i < sta_tier_lanes(l1); i++) {
        const struct sta_lane *lane = &l1->lanes[i];
        kept += sta_lane_places(lane);
        out->entries_small += sta_queue_entries(&lane->queues[STA_QUEUE_SMALL]);
        out->entry_bytes += sta_lane_bytes(lane);
        out->claimed_bytes += sta_tier_load(&lane->claimed_bytes);
    }
    out->policy_bytes = sta_tier_load(&l1->duel.bytes) + sta_tier_load(&l1->ghost_bytes) +
                        sta_tier_load(&l1->ghost_claimed);
    /* Not the sum of the queues': an entry that changes queues meanwhile would count twice. */
    out->entries = out->entries > kept ? out->entries - kept : 0;
}

void sta_numbers_read(const struct sta_l1 *l1, struct sta_l1_statistics *out)
{
    uint64_t max_entries = sta_budget_most(&l1->places);
    uint64_t segment = sta_arena_segment_cost(&l1->arena);
    uint32_t limbo = atomic_load_explicit(&l1->arena.limbo_count, memory_order_relaxed);
    *out = (struct sta_l1_statistics){
        .entries = sta_budget_used(&l1->places),
        .memory_bytes = sta_budget_used(&l1->memory),
        .segment_bytes = sta_tier_load(&l1->arena.backed) * segment,
        .block_bytes = sta_tier_load(&l1->block_bytes),
        .index_bytes = sta_tier_load(&l1->index.bytes),
        .fixed_bytes = sta_departed_bytes(&l1->departed) + sta_stamp_bytes(&l1->stamp),
        .held_bytes = limbo * segment,
        .held_segments = limbo,
        .max_bytes = sta_budget_most(&l1->memory),
        .max_entries = max_entries == STA_NEVER ? 0 : max_entries,
    };
    add_counters(l1, out);
    add_lanes(l1, out);
}

void sta_l1_statistics(const struct sta_l1 *l1, struct sta_l1_statistics *out)
{
    sta_numbers_read(l1, out);
    out->held_ms = sta_arena_held_ms((struct sta_arena *)&l1->arena); /* it has a lock to take */
}

void sta_l1_count(struct sta_l1 *l1, enum sta_l1_counter what)
{
    sta_tier_count(l1, what);
}
