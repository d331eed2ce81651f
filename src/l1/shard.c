/* SPDX-License-Identifier: MIT
 *
 * One shard of the tier (shard.h): table, CLOCK, sweep.
 */
#include "l1/shard.h"

#include <stdlib.h>
#include <string.h>

#include "strata/status.h"

int sta_shard_init(struct sta_shard *shard, struct sta_shard_sum *sum, uint64_t bucket_count)
{
    struct sta_item **buckets = calloc(bucket_count, sizeof *buckets);
    if (buckets == NULL)
        return STRATA_ERR_NOMEM;
    *shard = (struct sta_shard){.sum = sum, .buckets = buckets, .bucket_count = bucket_count};
    sta_list_init(&shard->queue);
    pthread_mutex_init(&shard->lock, NULL);
    return STRATA_OK;
}

void sta_shard_fini(struct sta_shard *shard)
{
    if (shard->buckets == NULL)
        return;
    sta_shard_clear_locked(shard);
    free(shard->buckets);
    shard->buckets = NULL;
    pthread_mutex_destroy(&shard->lock);
}

/* The low 16 bits chose the generation and with it the shard. */
static struct sta_item **bucket_of(struct sta_item **buckets, uint64_t count, uint64_t hash)
{
    return &buckets[(hash >> 16) & (count - 1)];
}

static bool item_is(const struct sta_item *item, const struct sta_key *key)
{
    return item->hash == key->hash && item->key_len == key->bytes.len &&
           (item->key_len == 0 || memcmp(item->bytes, key->bytes.data, item->key_len) == 0);
}

struct sta_item *sta_shard_find_locked(struct sta_shard *shard, const struct sta_key *key)
{
    struct sta_item *item = *bucket_of(shard->buckets, shard->bucket_count, key->hash);
    while (item != NULL && !item_is(item, key))
        item = item->next;
    return item;
}

void sta_shard_add_locked(struct sta_shard *shard, struct sta_item *item)
{
    struct sta_item **bucket = bucket_of(shard->buckets, shard->bucket_count, item->hash);
    item->next = *bucket;
    *bucket = item;
    sta_list_push_back(&shard->queue, &item->queued);
    uint64_t cost = sta_item_cost(item->key_len, item->value_len);
    shard->entries++;
    shard->bytes += cost;
    atomic_fetch_add_explicit(&shard->sum->entries, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&shard->sum->bytes, cost, memory_order_relaxed);
}

void sta_shard_remove_locked(struct sta_shard *shard, struct sta_item *item)
{
    struct sta_item **link = bucket_of(shard->buckets, shard->bucket_count, item->hash);
    while (*link != item)
        link = &(*link)->next;
    *link = item->next;
    sta_list_remove(&item->queued);
    uint64_t cost = sta_item_cost(item->key_len, item->value_len);
    shard->entries--;
    shard->bytes -= cost;
    atomic_fetch_sub_explicit(&shard->sum->entries, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&shard->sum->bytes, cost, memory_order_relaxed);
    sta_item_unref(item);
}

/* Ends: each round takes a visit from an item, and nobody adds visits under our lock. */
bool sta_shard_evict_locked(struct sta_shard *shard)
{
    while (!sta_list_empty(&shard->queue)) {
        struct sta_item *item = STA_CONTAINER(shard->queue.next, struct sta_item, queued);
        if (item->visits == 0) {
            sta_shard_remove_locked(shard, item);
            shard->counted.evictions++;
            return true;
        }
        item->visits--;
        sta_list_remove(&item->queued);
        sta_list_push_back(&shard->queue, &item->queued);
    }
    return false;
}

void sta_shard_clear_locked(struct sta_shard *shard)
{
    while (!sta_list_empty(&shard->queue))
        sta_shard_remove_locked(shard, STA_CONTAINER(shard->queue.next, struct sta_item, queued));
}

/* One bucket from `sweep_depth` on; false where the budget ended before the chain did. A chain
 * that changed between two sweeps may hide an entry from one round, not from the next. */
static bool sweep_bucket_locked(struct sta_shard *shard, uint64_t now_ms, uint64_t *budget,
                                uint64_t *removed)
{
    struct sta_item *item = shard->buckets[shard->sweep_bucket];
    for (uint64_t i = 0; i < shard->sweep_depth && item != NULL; i++)
        item = item->next;
    while (item != NULL) {
        struct sta_item *next = item->next;
        if (*budget == 0)
            return false;
        (*budget)--;
        if (sta_item_expired(item, now_ms)) {
            sta_shard_remove_locked(shard, item);
            shard->counted.expirations++;
            (*removed)++;
        } else {
            shard->sweep_depth++;
        }
        item = next;
    }
    shard->sweep_depth = 0;
    return true;
}

uint64_t sta_shard_sweep_locked(struct sta_shard *shard, uint64_t now_ms, uint64_t *budget,
                                bool *done)
{
    uint64_t removed = 0;
    while (sweep_bucket_locked(shard, now_ms, budget, &removed)) {
        if (++shard->sweep_bucket == shard->bucket_count) {
            shard->sweep_bucket = 0;
            *done = true;
            return removed;
        }
    }
    *done = false;
    return removed;
}

struct sta_item **sta_shard_rehash_locked(struct sta_shard *shard, struct sta_item **buckets,
                                          uint64_t bucket_count)
{
    struct sta_item **old = shard->buckets;
    struct sta_list *node = shard->queue.next;
    for (; node != &shard->queue; node = node->next) {
        struct sta_item *item = STA_CONTAINER(node, struct sta_item, queued);
        struct sta_item **bucket = bucket_of(buckets, bucket_count, item->hash);
        item->next = *bucket;
        *bucket = item;
    }
    shard->buckets = buckets;
    shard->bucket_count = bucket_count;
    shard->sweep_bucket = 0;
    shard->sweep_depth = 0;
    return old;
}

static bool item_valid(const struct sta_shard *shard, const struct sta_item *item)
{
    const struct sta_item *at = *bucket_of(shard->buckets, shard->bucket_count, item->hash);
    while (at != NULL && at != item)
        at = at->next;
    return at == item && item->visits <= STA_SHARD_VISITS &&
           atomic_load_explicit(&item->refs, memory_order_relaxed) >= 1;
}

bool sta_shard_valid_locked(const struct sta_shard *shard)
{
    uint64_t chained = 0;
    for (uint64_t i = 0; i < shard->bucket_count; i++) {
        for (const struct sta_item *at = shard->buckets[i]; at != NULL; at = at->next)
            chained++;
    }
    uint64_t entries = 0;
    uint64_t bytes = 0;
    const struct sta_list *node = shard->queue.next;
    for (; node != &shard->queue; node = node->next) {
        const struct sta_item *item = STA_CONTAINER(node, struct sta_item, queued);
        if (!item_valid(shard, item))
            return false;
        entries++;
        bytes += sta_item_cost(item->key_len, item->value_len);
    }
    return entries == shard->entries && entries == chained && bytes == shard->bytes;
}
