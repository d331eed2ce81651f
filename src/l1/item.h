/* SPDX-License-Identifier: MIT
 *
 * An item: one entry as it lies in a segment of the arena.
 *
 *     0          4        6      7       8
 *     | value_len | key_len | flags | state | deadline? | key ... | value ... |   inline
 *     | value_len | key_len | flags | state | hash | block pointer |              in a block
 *
 * `deadline` (8 bytes) is there only where the entry has one. What is too large for a segment
 * keeps all its bytes in a block of its own, and the item is a stub.
 *
 * Invariants: an item is written before it is linked and never changes afterwards, except the
 * visits in `state`, which are a hint. It stays readable while it is linked and while its
 * segment is pinned (arena.h).
 * Memory: items are aligned to the tier's unit (4 bytes and up); the deadline and the pointer
 * may be unaligned and are copied in and out.
 */
#ifndef STA_ITEM_H
#define STA_ITEM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/clock.h"
#include "core/key.h"

#define STA_ITEM_VISITS   0x03u /* reads since it came to its place, saturating */
#define STA_ITEM_MAIN     0x04u /* in the main queue; else in the small one */
#define STA_ITEM_DEADLINE 0x08u
#define STA_ITEM_BLOCK    0x10u

struct sta_item {
    uint32_t value_len;
    uint16_t key_len;
    uint8_t flags; /* the caller's */
    _Atomic uint8_t state;
    uint8_t bytes[];
};

_Static_assert(sizeof(struct sta_item) == 8, "the header is the overhead of every entry");

/* The bytes of what is too large for a segment: the key, then the value. */
struct sta_block {
    _Atomic uint32_t refs; /* one for the tier while it is linked, one for each lease */
    uint64_t deadline_ms;
    uint64_t size; /* of the whole block, as it is accounted */
    uint8_t bytes[];
};

static inline uint8_t sta_item_state(const struct sta_item *item)
{
    return atomic_load_explicit(&item->state, memory_order_relaxed); /* a hint and constants */
}

/* Room that an item of these lengths takes in a segment, before alignment. */
static inline uint64_t sta_item_size(uint8_t state, uint64_t key_len, uint64_t value_len)
{
    if (state & STA_ITEM_BLOCK)
        return sizeof(struct sta_item) + 8u + sizeof(struct sta_block *);
    return sizeof(struct sta_item) + (state & STA_ITEM_DEADLINE ? 8u : 0u) + key_len + value_len;
}

static inline struct sta_block *sta_item_block(const struct sta_item *item)
{
    struct sta_block *block;
    memcpy(&block, item->bytes + 8, sizeof block);
    return block;
}

/* Where the key's bytes are. For an item in a block: only under the bucket's lock or with a reference. */
static inline const uint8_t *sta_item_key(const struct sta_item *item, uint8_t state)
{
    if (state & STA_ITEM_BLOCK)
        return sta_item_block(item)->bytes;
    return item->bytes + (state & STA_ITEM_DEADLINE ? 8u : 0u);
}

static inline uint64_t sta_item_deadline(const struct sta_item *item, uint8_t state)
{
    uint64_t deadline_ms = STA_NEVER;
    if (state & STA_ITEM_BLOCK)
        return sta_item_block(item)->deadline_ms;
    if (state & STA_ITEM_DEADLINE)
        memcpy(&deadline_ms, item->bytes, sizeof deadline_ms);
    return deadline_ms;
}

static inline bool sta_item_has_key(const struct sta_item *item, uint8_t state,
                                    const struct sta_key *key)
{
    return item->key_len == key->bytes.len &&
           (item->key_len == 0 ||
            memcmp(sta_item_key(item, state), key->bytes.data, item->key_len) == 0);
}

/* The hash of the item's key; of an unlinked item, too. */
static inline uint64_t sta_item_hash(const struct sta_item *item, uint8_t state, uint64_t seed)
{
    uint64_t hash;
    if (!(state & STA_ITEM_BLOCK))
        return sta_key_make(strata_bytes(sta_item_key(item, state), item->key_len), seed).hash;
    memcpy(&hash, item->bytes, sizeof hash);
    return hash;
}

static inline bool sta_item_over(uint64_t deadline_ms, uint64_t now_ms)
{
    return deadline_ms <= now_ms && deadline_ms != STA_NEVER;
}

#endif
