/* SPDX-License-Identifier: MIT
 *
 * The inside of a tier, for the files of this room.
 *
 *     index ----offset----> item in a segment of the arena
 *     small queue: segments oldest .. newest     new entries
 *     main queue:  segments oldest .. newest     entries that were read again
 *     ghosts: fingerprints of what the small queue gave up
 *
 * Invariants: an entry is linked by exactly one slot of the index; its item lies between the
 * cursor and the end of a segment that is in a queue. What lies behind a cursor is not linked.
 * memory (index, backed segments, blocks, ghosts) <= max_bytes and entries <= max_entries
 * whenever there is an entry and no resize is on its way down.
 *
 * Lock ranks: sweep_lock, store_lock, a bucket (two only while the index grows or shrinks).
 * Only who holds store_lock adds entries, takes or returns segments and changes the bounds; who
 * removes needs the bucket only. So what the holder of store_lock finds free stays free.
 */
#ifndef STA_TIER_H
#define STA_TIER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "l1/arena.h"
#include "l1/duel.h"
#include "l1/generation.h"
#include "l1/ghost.h"
#include "l1/index.h"
#include "l1/l1.h"

enum sta_queue_name { STA_QUEUE_SMALL, STA_QUEUE_MAIN, STA_QUEUES };

struct sta_queue {
    uint32_t oldest; /* segments; 0: none */
    uint32_t newest;
    /* atomic: who removes an entry subtracts */
    _Atomic uint64_t entries;
    _Atomic uint64_t bytes;
};

/* Counters that are not part of every get. Relaxed. */
struct sta_counts {
    _Atomic uint64_t hits; /* of threads without a stripe, as the next one */
    _Atomic uint64_t misses;
    _Atomic uint64_t misses_expired;
    _Atomic uint64_t fills;
    _Atomic uint64_t fills_refused;
    _Atomic uint64_t fills_too_big;
    _Atomic uint64_t evictions[STA_QUEUES];
    _Atomic uint64_t expirations;
    _Atomic uint64_t invalidations;
};

struct sta_l1 {
    /* read by every get; the index's bucket count changes while it grows */
    _Alignas(64) struct sta_index index;
    _Alignas(64) struct sta_arena arena;

    /* guarded by store_lock; what is atomic is read from anywhere */
    _Alignas(64) pthread_mutex_t store_lock;
    _Atomic uint64_t max_bytes;
    _Atomic uint64_t max_entries; /* STA_NEVER: no bound */
    struct sta_queue queues[STA_QUEUES];
    struct sta_ghost ghost;
    uint64_t ghost_entries; /* for which the ghosts were made */
    struct sta_duel duel;
    uint32_t resizes;              /* on their way down: the bounds need not hold yet */
    uint32_t moves;                /* items kept or promoted since the last eviction */
    bool by_bytes;                 /* what is evicted for: bytes, else entries */
    bool evicting;                 /* there has been an eviction */
    _Atomic uint64_t policy_bytes; /* ghosts and shadows */

    _Alignas(64) _Atomic uint64_t block_bytes;
    _Atomic uint64_t entries;
    struct sta_counts counts;

    struct sta_stripe stripes[STA_STRIPES];

    /* guarded by sweep_lock */
    pthread_mutex_t sweep_lock;
    uint64_t sweep_bucket;
    uint32_t sweep_depth;

    struct sta_generation generation;
};

static inline uint64_t sta_tier_load(const _Atomic uint64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

static inline void sta_tier_add(_Atomic uint64_t *number, uint64_t more)
{
    atomic_fetch_add_explicit(number, more, memory_order_relaxed);
}

static inline void sta_tier_sub(_Atomic uint64_t *number, uint64_t less)
{
    atomic_fetch_sub_explicit(number, less, memory_order_relaxed);
}

/* What max_bytes bounds. */
static inline uint64_t sta_tier_memory(const struct sta_l1 *l1)
{
    return sta_tier_load(&l1->arena.backed) * sta_arena_segment_cost(&l1->arena) +
           sta_tier_load(&l1->index.bytes) + sta_tier_load(&l1->block_bytes) +
           sta_tier_load(&l1->policy_bytes);
}

/* What an entry takes, wherever its bytes are. */
static inline uint64_t sta_tier_cost(const struct sta_l1 *l1, const struct sta_item *item)
{
    uint8_t state = sta_item_state(item);
    uint64_t size = sta_item_size(state, item->key_len, item->value_len);
    if (state & STA_ITEM_BLOCK)
        size += sta_item_block(item)->size;
    return sta_arena_align(&l1->arena, size);
}

/* ---- entry.c: blocks; removing, under the bucket's lock ---- */

/* A block of at least `size` bytes in all, with one reference, or NULL. */
struct sta_block *sta_entry_create_block(uint64_t size);
void sta_entry_unref_block(struct sta_block *block);

/* Unlinks and accounts; the bytes stay until their segment is used again. */
void sta_entry_remove_locked(struct sta_l1 *l1, struct sta_slot slot);

/* Accounts for an entry that is no longer linked. */
void sta_entry_forget(struct sta_l1 *l1, uint32_t offset);

/* ---- eviction.c: under store_lock ---- */

/* Room for a new item of `size` bytes (aligned) at the end of a queue, evicting where needed;
 * 0 where there is none. The item is in the queue when it is committed; until then the same
 * room is handed out again. */
uint32_t sta_eviction_room(struct sta_l1 *l1, enum sta_queue_name name, uint64_t size,
                           uint64_t now_ms);
void sta_eviction_commit(struct sta_l1 *l1, enum sta_queue_name name, uint64_t size);

/* Goes one item on at the old end of the queue whose turn it is: evicts, promotes or keeps it.
 * False where there is nothing left to go through. `now_ms` 0: nothing counts as expired. */
bool sta_eviction_step(struct sta_l1 *l1, uint64_t now_ms);

/* Evicts until `bytes` more fit under max_bytes; false where they cannot. */
bool sta_eviction_make_room(struct sta_l1 *l1, uint64_t bytes, uint64_t now_ms);

/* Evicts until `more` entries fit under max_entries. */
bool sta_eviction_make_places(struct sta_l1 *l1, uint64_t more, uint64_t now_ms);

/* Evicts ahead of need where memory is nearly used up, in proportion to the `size` stored, so
 * that no single store has to empty a whole segment. */
void sta_eviction_pace(struct sta_l1 *l1, uint64_t size, uint64_t now_ms);

/* Gives up all segments at once; no entry may be linked. */
void sta_eviction_empty(struct sta_l1 *l1);

/* Lets the index and the ghosts follow the number of entries. */
void sta_eviction_keep_up(struct sta_l1 *l1, uint64_t now_ms);

#endif
