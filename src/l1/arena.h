/* SPDX-License-Identifier: MIT
 *
 * The arena: one reservation of address space, cut into segments of one size. Items are appended
 * to segments and named by their offset in units; a segment is used again only when nothing in
 * it is linked and nobody has it pinned.
 *
 * Pins. A reader publishes the segment it is about to read in a pin of its own (one cache line),
 * then looks again whether the item is still linked. Whoever wants a segment back has unlinked
 * all of its items, or has seen them unlinked under the locks of their buckets, before it looks
 * through the pins, with a fence between the two. The reader's two steps and the fence are
 * sequentially consistent: if the reader still saw its item linked, its pin came before the fence,
 * so the other side sees the pin. If it did not, it reads nothing. A stalled reader holds back one
 * segment, not the world. The fence is the segment's: unlinking an item takes no locked
 * instruction.
 *
 *     reader:  pin = s (seq_cst) ; slot == offset? (seq_cst) ; read ; pin = 0 (release)
 *     writer:  slot = 0 (for all of s) ; fence (seq_cst) ; pins contain s? ; write into s
 *
 * A pin is taken by compare-and-swap at an index that depends on the thread, so that a thread
 * finds its own line again without being registered. Where a thread's pins are taken (by leases),
 * it counts itself in the segment instead.
 *
 * Threads: any; the lists of segments have a lock of their own. A segment belongs to whoever took
 * it until it is retired. A pinned one that is retired waits in limbo.
 * Memory: a segment that is in use, in limbo or free is claimed from the budget; a bare one (never
 * used, or its pages given back) is not.
 */
#ifndef STA_ARENA_H
#define STA_ARENA_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "l1/budget.h"
#include "l1/item.h"
#include "l1/stripe.h"

#define STA_ARENA_PINS  64u /* a power of two */
#define STA_ARENA_TRIES 4u  /* pins that one thread tries */

struct sta_segment {
    /* guarded by the lock of the lane that has it, or by the arena's */
    uint32_t next; /* in its queue (towards newer ones), limbo or free list; 0: the last */
    uint32_t used; /* bytes that items take, once it is not the newest of its queue any more */
    /* in a queue: its place in the order in which the tier's segments were begun; in limbo: since
     * when, the low bits of the monotonic clock in milliseconds */
    uint32_t moment;
    /* fixed while it is in a queue: readable by who holds the lock of a bucket that links into
     * it */
    uint16_t lane;
    uint8_t queue;
    /* atomic */
    _Atomic uint32_t pins;
};

struct sta_pin {
    _Alignas(64) _Atomic uint32_t segment; /* 0: free */
};

struct sta_arena {
    /* fixed at creation */
    uint8_t *base;
    struct sta_segment *segments; /* [0] is not used */
    uint64_t reserved;            /* bytes at base */
    uint32_t segment_bytes;
    uint32_t segment_count;
    uint8_t segment_shift;
    uint8_t unit_shift;
    bool huge;
    struct sta_budget *budget;
    /* guarded by lock; what is atomic is read from anywhere */
    pthread_mutex_t lock;
    uint32_t free_first;
    _Atomic uint32_t free_count;
    uint32_t bare_first;    /* given back to the kernel */
    _Atomic uint32_t fresh; /* the first that was never used */
    uint32_t limbo_first;
    _Atomic uint32_t limbo_count;
    _Atomic uint64_t backed; /* claimed */

    struct sta_pin pins[STA_ARENA_PINS];
};

/* For a tier of `max_bytes` whose items lie in segments of about 1/`parts` of that. The budget is
 * borrowed. STRATA_ERR_NOMEM where there is no address space for `max_bytes`. */
int sta_arena_init(struct sta_arena *arena, struct sta_budget *budget, uint64_t max_bytes,
                   uint32_t parts);
void sta_arena_fini(struct sta_arena *arena);

/* Address space of `bytes`, aligned to huge pages and asking for them where `huge`; NULL. */
void *sta_arena_reserve(uint64_t bytes, bool huge);

/* Bytes of the reservation that segments have been taken from so far. */
static inline uint64_t sta_arena_used(const struct sta_arena *arena)
{
    return (uint64_t)atomic_load_explicit(&arena->fresh, memory_order_relaxed)
           << arena->segment_shift;
}

/* What a backed segment costs. */
static inline uint64_t sta_arena_segment_cost(const struct sta_arena *arena)
{
    return arena->segment_bytes + sizeof(struct sta_segment);
}

static inline struct sta_item *sta_arena_item(const struct sta_arena *arena, uint32_t offset)
{
    return (struct sta_item *)(void *)(arena->base + ((uint64_t)offset << arena->unit_shift));
}

static inline uint32_t sta_arena_segment_of(const struct sta_arena *arena, uint32_t offset)
{
    return offset >> (arena->segment_shift - arena->unit_shift);
}

static inline uint64_t sta_arena_align(const struct sta_arena *arena, uint64_t size)
{
    uint64_t unit = UINT64_C(1) << arena->unit_shift;
    return (size + unit - 1) & ~(unit - 1);
}

/* An empty segment: a free one, one that left limbo, or a bare one where the budget allows it.
 * 0: there is none. */
uint32_t sta_arena_take(struct sta_arena *arena);

/* Nothing in `segment` is linked any more: it becomes free, or waits in limbo while it is
 * pinned. */
void sta_arena_retire(struct sta_arena *arena, uint32_t segment);

/* What is in limbo and not pinned any more becomes free: some at a time. */
void sta_arena_settle(struct sta_arena *arena);

/* For how long the oldest of those in limbo that are still pinned has been there; 0: there is
 * none. */
uint64_t sta_arena_held_ms(struct sta_arena *arena);

/* Gives the bytes of up to `most` free segments to the budget, and their pages back to the kernel
 * an instant later; of some more where those that left limbo are too many. False where there is
 * none. */
bool sta_arena_give_back(struct sta_arena *arena, uint32_t most);

static inline uint32_t sta_arena_free(const struct sta_arena *arena)
{
    return atomic_load_explicit(&arena->free_count, memory_order_relaxed);
}

/* ---- pins ---- */

/* A pin that holds `segment`, or NULL where those that this thread tries are taken. */
static inline struct sta_pin *sta_arena_pin(struct sta_arena *arena, uint32_t segment)
{
    uint32_t at = sta_stripe_hash(sta_stripe_thread());
    for (uint32_t i = 0; i < STA_ARENA_TRIES; i++) {
        struct sta_pin *pin = &arena->pins[(at + i) & (STA_ARENA_PINS - 1)];
        uint32_t none = 0;
        /* seq_cst: the first step of the reader's side above */
        if (atomic_compare_exchange_strong_explicit(&pin->segment, &none, segment,
                                                    memory_order_seq_cst, memory_order_relaxed))
            return pin;
    }
    return NULL;
}

static inline void sta_arena_unpin(struct sta_pin *pin)
{
    /* release: our reads of the segment come before; pairs with the look through the pins */
    atomic_store_explicit(&pin->segment, 0, memory_order_release);
}

#endif
