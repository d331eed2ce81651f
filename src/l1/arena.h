/* SPDX-License-Identifier: MIT
 *
 * The arena: one reservation of address space, cut into segments of one size. Items are appended
 * to segments and named by their offset in units; a segment is used again only when nothing in
 * it is linked and nobody has it pinned.
 *
 * Pins. A reader publishes the segment it is about to read in a pin of its own (one cache line),
 * then looks again whether the item is still linked. Whoever wants a segment back has unlinked
 * all of its items before it looks through the pins. All four steps are sequentially consistent:
 * if the reader still saw its item linked, its pin came before the unlinking, so the other side
 * sees the pin. If it did not, it reads nothing. A stalled reader holds back one segment, not
 * the world.
 *
 *     reader:  pin = s (seq_cst) ; slot == offset? (seq_cst) ; read ; pin = 0 (release)
 *     writer:  slot = 0 (seq_cst, for all of s) ; pins contain s? (seq_cst) ; write into s
 *
 * A pin is taken by compare-and-swap at an index that depends on the thread, so that a thread
 * finds its own line again without being registered. Where a thread's pins are taken (by leases), it counts itself in the segment instead.
 *
 * Threads: pins from anywhere; the rest is guarded by the tier's store lock. A pinned segment
 * that has nothing linked any more waits in limbo.
 * Memory: `backed` segments may have pages behind them: those in queues, in limbo and free ones.
 */
#ifndef STA_ARENA_H
#define STA_ARENA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "l1/item.h"
#include "l1/stripe.h"

#define STA_ARENA_PINS  64u /* a power of two */
#define STA_ARENA_TRIES 4u  /* pins that one thread tries */

struct sta_segment {
    /* guarded by the store lock */
    uint32_t next;   /* in its queue (towards newer ones), limbo or free list; 0: the last */
    uint32_t used;   /* bytes that items take */
    uint32_t cursor; /* bytes that eviction has gone through */
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
    /* guarded by the store lock; `backed` and `limbo_count` are read from anywhere */
    uint32_t free_first;
    uint32_t free_count;
    uint32_t bare_first; /* given back to the kernel */
    uint32_t fresh;      /* the first that was never used */
    uint32_t limbo_first;
    _Atomic uint32_t limbo_count;
    _Atomic uint64_t backed;

    struct sta_pin pins[STA_ARENA_PINS];
};

/* STRATA_ERR_NOMEM where there is no address space for `max_bytes`. */
int sta_arena_init(struct sta_arena *arena, uint64_t max_bytes);
void sta_arena_fini(struct sta_arena *arena);

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

/* Free segments: without growing, and those that a growth would have to back first. */
uint32_t sta_arena_take_free(struct sta_arena *arena);
uint32_t sta_arena_take_bare(struct sta_arena *arena);

/* Nothing in `segment` is linked any more: to the free list, or to limbo while it is pinned. */
void sta_arena_retire(struct sta_arena *arena, uint32_t segment);

/* Moves what is no longer pinned from limbo to the free list. */
void sta_arena_settle(struct sta_arena *arena);

/* Gives the pages of one free segment back; false where there is none. */
bool sta_arena_give_back(struct sta_arena *arena);

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
