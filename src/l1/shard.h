/* SPDX-License-Identifier: MIT
 *
 * One shard of the tier: a chained hash table of reference-counted items and a CLOCK over them.
 *
 *     buckets[] -> item -> item         by hash bits 16 and up
 *     queue: oldest ... newest          the hand is the front; a hit sets `visits`
 *
 * Invariants: an item is in the table exactly where it is in the queue; the tier holds one
 * reference to each; `bytes` and `entries` are the sums over the queue. The bucket count is a
 * power of two and changes only in rehash().
 * Threads: everything is guarded by `lock` except what item.h says; functions that need the lock
 * end in _locked.
 */
#ifndef STA_SHARD_H
#define STA_SHARD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/key.h"
#include "core/list.h"
#include "l1/item.h"
#include "l1/l1.h"

/* Reads that an item can collect towards staying when the hand passes. */
#define STA_SHARD_VISITS 3

/* What all shards of a tier hold together. Relaxed: whoever adds holds the tier's store lock, so
 * that others can only make the sums smaller while it compares them with the bounds. */
struct sta_shard_sum {
    _Atomic uint64_t entries;
    _Atomic uint64_t bytes;
};

struct sta_shard {
    _Alignas(64) pthread_mutex_t lock;
    struct sta_shard_sum *sum; /* fixed at creation */
    struct sta_item **buckets;
    uint64_t bucket_count;
    struct sta_list queue;
    uint64_t entries;
    uint64_t bytes;
    uint64_t sweep_bucket; /* where the next sweep goes on */
    uint64_t sweep_depth;
    struct sta_l1_statistics counted; /* only the counters, not the state of now */
};

/* STRATA_ERR_NOMEM leaves nothing behind. */
int sta_shard_init(struct sta_shard *shard, struct sta_shard_sum *sum, uint64_t bucket_count);
void sta_shard_fini(struct sta_shard *shard);

/* The item of `key`, expired or not, or NULL. */
struct sta_item *sta_shard_find_locked(struct sta_shard *shard, const struct sta_key *key);

/* Takes over the caller's reference; the key must not be there. */
void sta_shard_add_locked(struct sta_shard *shard, struct sta_item *item);
void sta_shard_remove_locked(struct sta_shard *shard, struct sta_item *item);

/* Removes the item that CLOCK gives up; false where the shard is empty. */
bool sta_shard_evict_locked(struct sta_shard *shard);
void sta_shard_clear_locked(struct sta_shard *shard);

/* Looks at up to *budget entries from where the last sweep stopped, reduces *budget by what it
 * looked at, and returns how many it removed; stops at the end of the table, and `*done` says
 * so. */
uint64_t sta_shard_sweep_locked(struct sta_shard *shard, uint64_t now_ms, uint64_t *budget,
                                bool *done);

/* Moves all items to `buckets` (zeroed, a power of two, taken over) and returns the old array. */
struct sta_item **sta_shard_rehash_locked(struct sta_shard *shard, struct sta_item **buckets,
                                          uint64_t bucket_count);

bool sta_shard_valid_locked(const struct sta_shard *shard);

#endif
