/* SPDX-License-Identifier: MIT
 *
 * An entry of the tier: a key, its value, its deadline, and who holds on to it.
 *
 * Threads: `refs` is atomic; fields that readers of a lease see are fixed once the item is stored;
 * the rest is guarded by the lock of the shard that it is in.
 * Memory: one malloc; the last reference frees.
 */
#ifndef STA_ITEM_H
#define STA_ITEM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/key.h"
#include "core/list.h"
#include "l1/l1.h"

struct sta_item {
    /* fixed once stored */
    uint64_t hash;
    uint64_t deadline_ms;
    uint32_t value_len;
    uint16_t key_len;
    uint8_t flags;
    /* guarded by the shard's lock */
    uint8_t visits; /* 0..STA_SHARD_VISITS */
    struct sta_item *next;
    struct sta_list queued;
    /* atomic: one for the tier, one for each lease */
    _Atomic uint32_t refs;
    uint8_t bytes[]; /* the key, then the value */
};

/* What malloc adds to an item, as counted against the byte bound. */
#define STA_ITEM_OVERHEAD 16u

/* A free item with copies of the key and the value, or NULL. */
struct sta_item *sta_item_create(const struct sta_key *key, const struct sta_l1_entry *entry);
void sta_item_ref(struct sta_item *item);
void sta_item_unref(struct sta_item *item);

/* What an item costs. */
static inline uint64_t sta_item_cost(uint64_t key_len, uint64_t value_len)
{
    return (sizeof(struct sta_item) + STA_ITEM_OVERHEAD + key_len + value_len + 15u) & ~15ull;
}

static inline bool sta_item_expired(const struct sta_item *item, uint64_t now_ms)
{
    return item->deadline_ms <= now_ms && item->deadline_ms != STA_NEVER;
}

static inline struct strata_bytes sta_item_value(const struct sta_item *item)
{
    return strata_bytes(item->bytes + item->key_len, item->value_len);
}

#endif
