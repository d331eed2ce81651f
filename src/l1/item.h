/* SPDX-License-Identifier: MIT
 *
 * An item: one entry as it lies in a segment of the arena.
 *
 *     0           4        6       7      8
 *     | value_len | key_len, flags, state | deadline? | stamp? | key ... | value ... |  inline
 *     | value_len | key_len, flags, state | hash | block pointer |                     in a block
 *
 * `deadline` and `stamp` (8 bytes each) are there only where the entry has one. What is too
 * large for a segment keeps all its bytes in a block of its own, and the item is a stub.
 *
 * Invariants: an item is written before it is linked and never changes afterwards, except the
 * visits in `state`, which are a hint. It stays readable while it is linked and while its
 * segment is pinned (arena.h).
 * Memory: items are aligned to the tier's unit (4 bytes and up); what is 8 bytes long may be
 * unaligned and is copied in and out.
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
#define STA_ITEM_DEADLINE 0x08u
#define STA_ITEM_STAMP    0x10u
#define STA_ITEM_BLOCK    0x20u

/* Each is written and read whole: a reader may be here while the memory is used again. */
struct sta_item {
    _Atomic uint32_t value_len;
    _Atomic uint32_t meta; /* key_len, flags, state, from the low bits up */
    uint8_t bytes[];
};

_Static_assert(sizeof(struct sta_item) == 8, "the header is the overhead of every entry");

/* The header, as it was read once. */
struct sta_item_head {
    uint32_t value_len;
    uint16_t key_len;
    uint8_t flags; /* the caller's */
    uint8_t state;
};

/* When and whence a value came; see stamp.h. */
struct sta_item_stamp {
    uint16_t source; /* 0: none */
    uint64_t born;   /* 48 bits */
};

/* The bytes of what is too large for a segment: the key, then the value. */
struct sta_block {
    _Atomic uint32_t refs; /* one for the tier while it is linked, one for each lease */
    struct sta_item_stamp stamp;
    uint64_t deadline_ms; /* guarded by the bucket's lock */
    uint64_t size;        /* of the whole block, as it is accounted */
    uint8_t bytes[];
};

static inline struct sta_item_head sta_item_head(const struct sta_item *item)
{
    uint32_t value_len = atomic_load_explicit(&item->value_len, memory_order_relaxed);
    uint32_t meta = atomic_load_explicit(&item->meta, memory_order_relaxed);
    return (struct sta_item_head){value_len, (uint16_t)meta, (uint8_t)(meta >> 16),
                                  (uint8_t)(meta >> 24)};
}

static inline void sta_item_set_head(struct sta_item *item, struct sta_item_head head)
{
    uint32_t meta = head.key_len | (uint32_t)head.flags << 16 | (uint32_t)head.state << 24;
    atomic_store_explicit(&item->value_len, head.value_len, memory_order_relaxed);
    atomic_store_explicit(&item->meta, meta, memory_order_relaxed);
}

/* A hint: whoever loses a race loses a visit. Skipped where it would not change. */
static inline void sta_item_visit(struct sta_item *item)
{
    uint32_t meta = atomic_load_explicit(&item->meta, memory_order_relaxed);
    if (((meta >> 24) & STA_ITEM_VISITS) != STA_ITEM_VISITS)
        atomic_store_explicit(&item->meta, meta + (1u << 24), memory_order_relaxed);
}

/* Bytes between the header and the key, of an item that is inline. */
static inline uint32_t sta_item_prefix(uint8_t state)
{
    return (state & STA_ITEM_DEADLINE) + ((state & STA_ITEM_STAMP) >> 1);
}

/* Room that an item of these lengths takes in a segment, before alignment. */
static inline uint64_t sta_item_size(uint8_t state, uint64_t key_len, uint64_t value_len)
{
    if (state & STA_ITEM_BLOCK)
        return sizeof(struct sta_item) + 8u + sizeof(struct sta_block *);
    return sizeof(struct sta_item) + sta_item_prefix(state) + key_len + value_len;
}

static inline uint64_t sta_item_size_of(struct sta_item_head head)
{
    return sta_item_size(head.state, head.key_len, head.value_len);
}

static inline struct sta_block *sta_item_block(const struct sta_item *item)
{
    struct sta_block *block;
    memcpy(&block, item->bytes + 8, sizeof block);
    return block;
}

/* Where the key's bytes are, and behind them the value's. For an item in a block: only under the
 * bucket's lock or with a reference. */
static inline const uint8_t *sta_item_key(const struct sta_item *item, uint8_t state)
{
    if (state & STA_ITEM_BLOCK)
        return sta_item_block(item)->bytes;
    return item->bytes + sta_item_prefix(state);
}

/* As sta_item_key(). */
static inline uint64_t sta_item_deadline(const struct sta_item *item, uint8_t state)
{
    uint64_t deadline_ms = STA_NEVER;
    if (state & STA_ITEM_BLOCK)
        return sta_item_block(item)->deadline_ms;
    if (state & STA_ITEM_DEADLINE)
        memcpy(&deadline_ms, item->bytes, sizeof deadline_ms);
    return deadline_ms;
}

static inline uint64_t sta_item_pack_stamp(struct sta_item_stamp stamp)
{
    return (uint64_t)stamp.source << 48 | stamp.born;
}

static inline struct sta_item_stamp sta_item_unpack_stamp(uint64_t word)
{
    return (struct sta_item_stamp){(uint16_t)(word >> 48), word & ((UINT64_C(1) << 48) - 1)};
}

/* As sta_item_key(). */
static inline struct sta_item_stamp sta_item_stamp(const struct sta_item *item, uint8_t state)
{
    uint64_t word = 0;
    if (state & STA_ITEM_BLOCK)
        return sta_item_block(item)->stamp;
    if (state & STA_ITEM_STAMP)
        memcpy(&word, item->bytes + (state & STA_ITEM_DEADLINE), sizeof word);
    return sta_item_unpack_stamp(word);
}

static inline bool sta_item_has_key(const struct sta_item *item, struct sta_item_head head,
                                    const struct sta_key *key)
{
    return head.key_len == key->bytes.len &&
           (head.key_len == 0 ||
            memcmp(sta_item_key(item, head.state), key->bytes.data, head.key_len) == 0);
}

/* The hash of the item's key; of an unlinked item, too. */
static inline uint64_t sta_item_hash(const struct sta_item *item, struct sta_item_head head,
                                     uint64_t seed)
{
    uint64_t hash;
    if (!(head.state & STA_ITEM_BLOCK))
        return sta_key_make(strata_bytes(sta_item_key(item, head.state), head.key_len), seed).hash;
    memcpy(&hash, item->bytes, sizeof hash);
    return hash;
}

static inline bool sta_item_over(uint64_t deadline_ms, uint64_t now_ms)
{
    return deadline_ms <= now_ms && deadline_ms != STA_NEVER;
}

#endif
