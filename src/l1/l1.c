/* SPDX-License-Identifier: MIT
 *
 * The tier (l1.h): shards, the bounds that they share, and the rule for tokens.
 *
 * A hash's low bits choose the generation, and the low bits of those the shard, so that a
 * generation and every key under it belong to one shard's lock: check and store are one step.
 *
 * The bounds are of the whole tier, not of a shard, so they are exact however small they are.
 * Whoever stores holds `store_lock`: only it adds, others can only remove; room that it found
 * stays. It never holds two shards' locks.
 *
 * Lock ranks: sweep_lock or store_lock, then one shard's lock.
 * Memory: the index is counted against max_bytes. The generation table (512 KiB) is not, nor is
 * what leases keep alive after it left the tier.
 */
#include "l1/l1.h"

#include <stdlib.h>

#include "l1/generation.h"
#include "l1/shard.h"
#include "strata/status.h"

#define SHARDS_MOST      16u
#define SHARDED_ENTRIES  4096u              /* below this bound one shard: exact order */
#define SHARDED_BYTES    (4u * 1024 * 1024) /* likewise */
#define BYTES_PER_BUCKET 256u               /* of max_bytes; the index is then 1/32 of it */
#define VALUE_MOST       UINT32_MAX
#define SWEEP_STEP       256u /* entries looked at under one lock */

struct sta_l1 {
    /* fixed at creation */
    uint64_t hash_seed;
    uint32_t shard_count; /* a power of two */
    /* guarded by store_lock; atomic for those who only read */
    pthread_mutex_t store_lock;
    _Atomic uint64_t max_bytes;
    _Atomic uint64_t max_entries; /* STA_NEVER: no bound */
    _Atomic uint64_t index_bytes;
    uint32_t evict_next;
    /* guarded by sweep_lock */
    pthread_mutex_t sweep_lock;
    uint32_t sweep_next;

    struct sta_shard_sum sum;
    struct sta_generation generation;
    struct sta_shard shards[SHARDS_MOST];
};

static uint64_t get_relaxed(const _Atomic uint64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

static struct sta_shard *shard_of(struct sta_l1 *l1, uint64_t hash)
{
    return &l1->shards[hash & (l1->shard_count - 1)];
}

/* ---- create, destroy, resize ---- */

/* Buckets for each shard under these bounds. */
static uint64_t buckets_for(uint64_t max_bytes, uint64_t max_entries, uint32_t shard_count)
{
    uint64_t want = max_bytes / BYTES_PER_BUCKET;
    want = (want < max_entries ? want : max_entries) / shard_count;
    uint64_t count = 1;
    while (count <= want / 2)
        count *= 2;
    return count;
}

static void set_bounds(struct sta_l1 *l1, uint64_t max_bytes, uint64_t max_entries,
                       uint64_t buckets)
{
    atomic_store_explicit(&l1->max_bytes, max_bytes, memory_order_relaxed);
    atomic_store_explicit(&l1->max_entries, max_entries, memory_order_relaxed);
    atomic_store_explicit(&l1->index_bytes, buckets * l1->shard_count * sizeof(void *),
                          memory_order_relaxed);
}

static int init_shards(struct sta_l1 *l1, uint64_t buckets)
{
    for (uint32_t i = 0; i < l1->shard_count; i++) {
        int status = sta_shard_init(&l1->shards[i], &l1->sum, buckets);
        if (status != STRATA_OK)
            return status;
    }
    return STRATA_OK;
}

int sta_l1_create(struct sta_l1 **out, const struct sta_l1_config *config)
{
    if (config->max_bytes == 0)
        return STRATA_ERR_INVALID;
    struct sta_l1 *l1 = aligned_alloc(64, (sizeof *l1 + 63) & ~(size_t)63);
    if (l1 == NULL)
        return STRATA_ERR_NOMEM;
    memset(l1, 0, sizeof *l1);
    uint64_t max_entries = config->max_entries == 0 ? STA_NEVER : config->max_entries;
    bool small = max_entries < SHARDED_ENTRIES || config->max_bytes < SHARDED_BYTES;
    l1->hash_seed = config->hash_seed;
    l1->shard_count = small ? 1 : SHARDS_MOST;
    pthread_mutex_init(&l1->store_lock, NULL);
    pthread_mutex_init(&l1->sweep_lock, NULL);
    uint64_t buckets = buckets_for(config->max_bytes, max_entries, l1->shard_count);
    set_bounds(l1, config->max_bytes, max_entries, buckets);
    int status = init_shards(l1, buckets);
    if (status != STRATA_OK) {
        sta_l1_destroy(&l1);
        return status;
    }
    *out = l1;
    return STRATA_OK;
}

void sta_l1_destroy(struct sta_l1 **l1)
{
    if (l1 == NULL || *l1 == NULL)
        return;
    for (uint32_t i = 0; i < (*l1)->shard_count; i++)
        sta_shard_fini(&(*l1)->shards[i]);
    pthread_mutex_destroy(&(*l1)->sweep_lock);
    pthread_mutex_destroy(&(*l1)->store_lock);
    free(*l1);
    *l1 = NULL;
}

/* Evicts one entry, from the shards in turn; false where there is none. */
static bool evict_one_storing(struct sta_l1 *l1)
{
    for (uint32_t tried = 0; tried < l1->shard_count; tried++) {
        struct sta_shard *shard = &l1->shards[l1->evict_next++ & (l1->shard_count - 1)];
        pthread_mutex_lock(&shard->lock);
        bool evicted = sta_shard_evict_locked(shard);
        pthread_mutex_unlock(&shard->lock);
        if (evicted)
            return true;
    }
    return false;
}

/* Whether the bounds allow `entries` and `bytes` more than there are now. */
static bool fits(const struct sta_l1 *l1, int64_t entries, int64_t bytes)
{
    uint64_t used = get_relaxed(&l1->index_bytes) + get_relaxed(&l1->sum.bytes);
    return get_relaxed(&l1->sum.entries) + (uint64_t)entries <= get_relaxed(&l1->max_entries) &&
           used + (uint64_t)bytes <= get_relaxed(&l1->max_bytes);
}

static void free_tables(struct sta_item ***tables, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free(tables[i]);
}

static void rehash_storing(struct sta_l1 *l1, struct sta_item ***tables, uint64_t buckets)
{
    for (uint32_t i = 0; i < l1->shard_count; i++) {
        struct sta_shard *shard = &l1->shards[i];
        pthread_mutex_lock(&shard->lock);
        tables[i] = sta_shard_rehash_locked(shard, tables[i], buckets);
        pthread_mutex_unlock(&shard->lock);
    }
}

int sta_l1_resize(struct sta_l1 *l1, uint64_t max_bytes, uint64_t max_entries)
{
    if (max_bytes == 0)
        return STRATA_ERR_INVALID;
    uint64_t most = max_entries == 0 ? STA_NEVER : max_entries;
    uint64_t buckets = buckets_for(max_bytes, most, l1->shard_count);
    struct sta_item **tables[SHARDS_MOST] = {NULL};
    for (uint32_t i = 0; i < l1->shard_count; i++) {
        tables[i] = calloc(buckets, sizeof *tables[i]);
        if (tables[i] == NULL) {
            free_tables(tables, i);
            return STRATA_ERR_NOMEM;
        }
    }
    pthread_mutex_lock(&l1->store_lock);
    set_bounds(l1, max_bytes, most, buckets);
    rehash_storing(l1, tables, buckets);
    while (!fits(l1, 0, 0) && evict_one_storing(l1))
        continue;
    pthread_mutex_unlock(&l1->store_lock);
    free_tables(tables, l1->shard_count);
    return STRATA_OK;
}

/* ---- read ---- */

struct sta_key sta_l1_key(const struct sta_l1 *l1, struct strata_bytes bytes)
{
    return sta_key_make(bytes, l1->hash_seed);
}

/* The live item, or NULL; an expired one is removed. */
static struct sta_item *find_live_locked(struct sta_shard *shard, const struct sta_key *key,
                                         uint64_t now_ms)
{
    struct sta_item *item = sta_shard_find_locked(shard, key);
    if (item == NULL || !sta_item_expired(item, now_ms))
        return item;
    sta_shard_remove_locked(shard, item);
    shard->counted.expirations++;
    return NULL;
}

static int get_locked(struct sta_shard *shard, const struct sta_key *key, uint64_t now_ms,
                      struct sta_l1_lease *lease)
{
    uint64_t expired = shard->counted.expirations;
    struct sta_item *item = find_live_locked(shard, key, now_ms);
    if (item == NULL) {
        shard->counted.misses++;
        shard->counted.misses_expired += shard->counted.expirations - expired;
        return STRATA_MISS;
    }
    shard->counted.hits++;
    if (item->visits < STA_SHARD_VISITS)
        item->visits++;
    sta_item_ref(item);
    *lease = (struct sta_l1_lease){
        .value = sta_item_value(item),
        .deadline_ms = item->deadline_ms,
        .flags = item->flags,
        .pin = item,
    };
    return STRATA_OK;
}

int sta_l1_get(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
               struct sta_l1_lease *lease)
{
    struct sta_shard *shard = shard_of(l1, key->hash);
    pthread_mutex_lock(&shard->lock);
    int status = get_locked(shard, key, now_ms, lease);
    pthread_mutex_unlock(&shard->lock);
    return status;
}

void sta_l1_release(struct sta_l1 *l1, struct sta_l1_lease *lease)
{
    (void)l1;
    if (lease->pin != NULL)
        sta_item_unref(lease->pin);
    *lease = (struct sta_l1_lease){0};
}

struct sta_l1_token sta_l1_token(const struct sta_l1 *l1, const struct sta_key *key)
{
    return (struct sta_l1_token){sta_generation_current(&l1->generation, key->hash)};
}

/* ---- write ---- */

enum store_mode {
    STORE_FILL,    /* where the token is current; else nothing changes */
    STORE_PUBLISH, /* where the token is current; else what is there goes. Advances */
    STORE_SET      /* always. Advances */
};

struct store {
    enum store_mode mode;
    const struct sta_key *key;
    struct sta_item *item; /* NULL: nothing can be stored, and `status` says why */
    int status;
    uint64_t generation; /* the token's */
};

static bool store_current_locked(const struct sta_l1 *l1, const struct store *store)
{
    return store->mode == STORE_SET ||
           sta_generation_current(&l1->generation, store->key->hash) == store->generation;
}

/* Nothing is stored; a write still leaves the key without an entry and the generation advanced. */
static int store_refuse_locked(struct sta_l1 *l1, struct sta_shard *shard, struct store *store,
                               int status)
{
    if (store->mode == STORE_FILL)
        return status;
    struct sta_item *old = sta_shard_find_locked(shard, store->key);
    if (old != NULL)
        sta_shard_remove_locked(shard, old);
    sta_generation_advance(&l1->generation, store->key->hash);
    return status;
}

/* One try. STRATA_STALE: there was no room; the caller makes some and tries again. */
static int store_try_locked(struct sta_l1 *l1, struct sta_shard *shard, struct store *store)
{
    if (!store_current_locked(l1, store)) {
        shard->counted.fills_refused++;
        return store_refuse_locked(l1, shard, store, STRATA_SKIPPED);
    }
    if (store->item == NULL)
        return store_refuse_locked(l1, shard, store, store->status);
    struct sta_item *old = sta_shard_find_locked(shard, store->key);
    int64_t bytes = (int64_t)sta_item_cost(store->item->key_len, store->item->value_len);
    if (old != NULL)
        bytes -= (int64_t)sta_item_cost(old->key_len, old->value_len);
    if (!fits(l1, old == NULL, bytes))
        return STRATA_STALE;
    if (old != NULL)
        sta_shard_remove_locked(shard, old);
    sta_shard_add_locked(shard, store->item);
    if (store->mode != STORE_FILL)
        sta_generation_advance(&l1->generation, store->key->hash);
    shard->counted.fills++;
    store->item = NULL;
    return STRATA_OK;
}

static bool too_big(const struct sta_l1 *l1, const struct sta_key *key,
                    const struct sta_l1_entry *entry)
{
    if (key->bytes.len > STA_KEY_MAX || entry->value.len > VALUE_MOST)
        return true;
    return get_relaxed(&l1->index_bytes) + sta_item_cost(key->bytes.len, entry->value.len) >
           get_relaxed(&l1->max_bytes);
}

/* Makes the item outside of the locks, where there is something to store. */
static void store_prepare(struct sta_l1 *l1, struct store *store, const struct sta_l1_entry *entry,
                          uint64_t now_ms)
{
    store->status = STRATA_SKIPPED;
    if (entry->deadline_ms <= now_ms && entry->deadline_ms != STA_NEVER)
        return;
    if (too_big(l1, store->key, entry)) {
        struct sta_shard *shard = shard_of(l1, store->key->hash);
        pthread_mutex_lock(&shard->lock);
        shard->counted.fills_too_big++;
        pthread_mutex_unlock(&shard->lock);
        return;
    }
    store->item = sta_item_create(store->key, entry);
    if (store->item == NULL)
        store->status = STRATA_ERR_NOMEM;
}

/* Ends: a try that finds no room is followed by an eviction, which only we could undo. Where
 * nothing is left to evict the bounds have shrunk below the item since it was measured. */
static int store_run(struct sta_l1 *l1, struct store *store)
{
    struct sta_shard *shard = shard_of(l1, store->key->hash);
    struct sta_item *item = store->item;
    int status;
    pthread_mutex_lock(&l1->store_lock);
    do {
        pthread_mutex_lock(&shard->lock);
        status = store_try_locked(l1, shard, store);
        pthread_mutex_unlock(&shard->lock);
        if (status == STRATA_STALE && !evict_one_storing(l1)) {
            store->item = NULL;
            store->status = STRATA_SKIPPED;
        }
    } while (status == STRATA_STALE);
    pthread_mutex_unlock(&l1->store_lock);
    if (item != NULL && status != STRATA_OK)
        sta_item_unref(item);
    return status;
}

int sta_l1_fill(struct sta_l1 *l1, const struct sta_key *key, const struct sta_l1_entry *entry,
                struct sta_l1_token token, uint64_t now_ms)
{
    struct store store = {.mode = STORE_FILL, .key = key, .generation = token.generation};
    store_prepare(l1, &store, entry, now_ms);
    return store_run(l1, &store);
}

int sta_l1_publish(struct sta_l1 *l1, const struct sta_key *key, const struct sta_l1_entry *entry,
                   struct sta_l1_token token, uint64_t now_ms)
{
    struct store store = {.mode = STORE_PUBLISH, .key = key, .generation = token.generation};
    store_prepare(l1, &store, entry, now_ms);
    return store_run(l1, &store);
}

int sta_l1_set(struct sta_l1 *l1, const struct sta_key *key, const struct sta_l1_entry *entry,
               uint64_t now_ms)
{
    struct store store = {.mode = STORE_SET, .key = key};
    store_prepare(l1, &store, entry, now_ms);
    return store_run(l1, &store);
}

struct sta_l1_token sta_l1_invalidate(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
                                      bool *removed)
{
    struct sta_shard *shard = shard_of(l1, key->hash);
    pthread_mutex_lock(&shard->lock);
    struct sta_item *item = find_live_locked(shard, key, now_ms);
    if (item != NULL)
        sta_shard_remove_locked(shard, item);
    uint64_t generation = sta_generation_advance(&l1->generation, key->hash);
    shard->counted.invalidations++;
    pthread_mutex_unlock(&shard->lock);
    if (removed != NULL)
        *removed = item != NULL;
    return (struct sta_l1_token){generation};
}

void sta_l1_clear(struct sta_l1 *l1)
{
    for (uint32_t i = 0; i < l1->shard_count; i++) {
        struct sta_shard *shard = &l1->shards[i];
        pthread_mutex_lock(&shard->lock);
        for (uint32_t at = i; at < STA_GENERATION_COUNT; at += l1->shard_count)
            sta_generation_advance_at(&l1->generation, at);
        sta_shard_clear_locked(shard);
        pthread_mutex_unlock(&shard->lock);
    }
}

/* ---- upkeep ---- */

uint64_t sta_l1_sweep(struct sta_l1 *l1, uint64_t now_ms, uint64_t budget)
{
    uint64_t removed = 0;
    uint32_t ends = 0; /* of shards reached; after all of them and the first again, we are round */
    pthread_mutex_lock(&l1->sweep_lock);
    while (budget > 0 && ends <= l1->shard_count) {
        struct sta_shard *shard = &l1->shards[l1->sweep_next & (l1->shard_count - 1)];
        uint64_t step = budget < SWEEP_STEP ? budget : SWEEP_STEP;
        uint64_t left = step;
        bool done;
        pthread_mutex_lock(&shard->lock);
        removed += sta_shard_sweep_locked(shard, now_ms, &left, &done);
        pthread_mutex_unlock(&shard->lock);
        budget -= step - left;
        if (done) {
            l1->sweep_next++;
            ends++;
        }
    }
    pthread_mutex_unlock(&l1->sweep_lock);
    return removed;
}

static void add_counted(struct sta_l1_statistics *out, const struct sta_l1_statistics *counted)
{
    out->hits += counted->hits;
    out->misses += counted->misses;
    out->misses_expired += counted->misses_expired;
    out->fills += counted->fills;
    out->fills_refused += counted->fills_refused;
    out->fills_too_big += counted->fills_too_big;
    out->evictions += counted->evictions;
    out->expirations += counted->expirations;
    out->invalidations += counted->invalidations;
}

void sta_l1_statistics(const struct sta_l1 *l1, struct sta_l1_statistics *out)
{
    uint64_t max_entries = get_relaxed(&l1->max_entries);
    *out = (struct sta_l1_statistics){
        .entries = get_relaxed(&l1->sum.entries),
        .memory_bytes = get_relaxed(&l1->index_bytes) + get_relaxed(&l1->sum.bytes),
        .max_bytes = get_relaxed(&l1->max_bytes),
        .max_entries = max_entries == STA_NEVER ? 0 : max_entries,
    };
    for (uint32_t i = 0; i < l1->shard_count; i++) {
        /* a lock is not part of what const promises */
        struct sta_shard *shard = (struct sta_shard *)&l1->shards[i];
        pthread_mutex_lock(&shard->lock);
        add_counted(out, &shard->counted);
        pthread_mutex_unlock(&shard->lock);
    }
}

bool sta_l1_valid(const struct sta_l1 *l1)
{
    struct sta_l1 *self = (struct sta_l1 *)l1; /* for the locks, as above */
    bool valid = true;
    pthread_mutex_lock(&self->store_lock);
    for (uint32_t i = 0; i < self->shard_count; i++) {
        struct sta_shard *shard = &self->shards[i];
        pthread_mutex_lock(&shard->lock);
        valid = valid && sta_shard_valid_locked(shard);
        pthread_mutex_unlock(&shard->lock);
    }
    /* the smallest index may be more than max_bytes; then nothing is stored */
    valid = valid && (get_relaxed(&self->sum.entries) == 0 || fits(self, 0, 0));
    pthread_mutex_unlock(&self->store_lock);
    return valid;
}
