/* SPDX-License-Identifier: MIT
 *
 * The index (index.h): locks, slots, growing and shrinking.
 */
#include "l1/index.h"

#include <sched.h>
#include <sys/mman.h>

#include "strata/status.h"

#define LOCKED      UINT64_C(1)
#define HEAD_MASK   UINT64_C(0xffffffff)
#define HEAD_FIRST  UINT64_C(2) /* version; also the one after the last */
#define SPINS       100u
#define INDEX_SHARE 4u /* of the arena's address space, for each of the two arrays */

/* Buckets whose pages go back together. Their locks are all held for that moment. */
#define GIVE_BUCKETS 1024u

/* ---- life ---- */

int sta_index_init(struct sta_index *index, struct sta_arena *arena, uint64_t hash_seed)
{
    uint64_t bytes = arena->reserved / INDEX_SHARE;
    pthread_mutex_init(&index->grow_lock, NULL);
    pthread_mutex_init(&index->overflow_lock, NULL);
    index->arena = arena;
    index->budget = arena->budget;
    index->hash_seed = hash_seed;
    index->bucket_limit = bytes / sizeof(struct sta_bucket);
    index->buckets = sta_arena_reserve(bytes, arena->huge);
    if (index->buckets == NULL)
        return STRATA_ERR_NOMEM;
    index->overflow = sta_arena_reserve(bytes, arena->huge);
    if (index->overflow == NULL)
        return STRATA_ERR_NOMEM;
    sta_budget_take(index->budget, STA_INDEX_LEAST * sizeof(struct sta_bucket));
    atomic_init(&index->overflow_fresh, 1);
    atomic_init(&index->bucket_count, STA_INDEX_LEAST);
    atomic_init(&index->mask_hint, sta_index_mask(STA_INDEX_LEAST));
    atomic_init(&index->bytes, STA_INDEX_LEAST * sizeof(struct sta_bucket));
    return STRATA_OK;
}

void sta_index_fini(struct sta_index *index)
{
    if (index->arena == NULL)
        return; /* init was not called */
    pthread_mutex_destroy(&index->grow_lock);
    pthread_mutex_destroy(&index->overflow_lock);
    uint64_t bytes = index->bucket_limit * sizeof(struct sta_bucket);
    if (index->buckets != NULL)
        munmap(index->buckets, bytes);
    if (index->overflow != NULL)
        munmap(index->overflow, bytes);
}

/* ---- locks ---- */

static void wait_a_moment(uint32_t *spins)
{
    if (++*spins % SPINS == 0) {
        sched_yield(); /* the owner may wait for this CPU */
        return;
    }
    sta_index_relax();
}

/* A head of 0: the page is new, or new again. */
static uint64_t word_locked(const struct sta_index *index, uint64_t word)
{
    if ((word & HEAD_MASK) == 0)
        word |= atomic_load_explicit(&index->version_floor, memory_order_relaxed);
    return word | LOCKED;
}

static void lock(const struct sta_index *index, struct sta_bucket *bucket)
{
    uint32_t spins = 0;
    for (;;) {
        uint64_t word = atomic_load_explicit(&bucket->word[0], memory_order_relaxed);
        /* acquire: pairs with the release in unlock() */
        if (!(word & LOCKED) &&
            atomic_compare_exchange_weak_explicit(&bucket->word[0], &word, word_locked(index, word),
                                                  memory_order_acquire, memory_order_relaxed))
            return;
        wait_a_moment(&spins);
    }
}

void sta_index_unlock(struct sta_bucket *bucket)
{
    /* Only the owner writes a locked word. The lock bit and one more: the next version. */
    uint64_t word = atomic_load_explicit(&bucket->word[0], memory_order_relaxed);
    uint64_t head = (word + LOCKED) & HEAD_MASK;
    if (head == 0)
        head = HEAD_FIRST;
    atomic_store_explicit(&bucket->word[0], (word & ~HEAD_MASK) | head, memory_order_release);
}

struct sta_bucket *sta_index_lock_at(struct sta_index *index, uint64_t at)
{
    lock(index, &index->buckets[at]);
    return &index->buckets[at];
}

static struct sta_bucket *lock_slow(struct sta_index *index, uint64_t hash)
{
    for (;;) {
        uint64_t count = atomic_load_explicit(&index->bucket_count, memory_order_acquire);
        uint64_t at = sta_index_bucket_of(hash, count);
        lock(index, &index->buckets[at]);
        /* A split or a merge of this bucket publishes the count before it unlocks. */
        count = atomic_load_explicit(&index->bucket_count, memory_order_acquire);
        if (sta_index_bucket_of(hash, count) == at)
            return &index->buckets[at];
        sta_index_unlock(&index->buckets[at]);
    }
}

/* Mostly nobody has it, and the table does not change meanwhile. */
struct sta_bucket *sta_index_lock(struct sta_index *index, uint64_t hash)
{
    uint64_t count = atomic_load_explicit(&index->bucket_count, memory_order_acquire);
    struct sta_bucket *bucket = &index->buckets[sta_index_bucket_of(hash, count)];
    uint64_t word = atomic_load_explicit(&bucket->word[0], memory_order_relaxed);
    /* acquire: pairs with the release in unlock() */
    if (!sta_index_is_steady(word) ||
        !atomic_compare_exchange_weak_explicit(&bucket->word[0], &word, word | LOCKED,
                                               memory_order_acquire, memory_order_relaxed))
        return lock_slow(index, hash);
    if (atomic_load_explicit(&index->bucket_count, memory_order_acquire) == count)
        return bucket;
    sta_index_unlock(bucket);
    return lock_slow(index, hash);
}

/* ---- slots ---- */

uint32_t sta_index_match_portable(uint64_t word0, uint64_t word1, uint8_t tag)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < STA_INDEX_SLOTS; i++) {
        uint64_t byte = i < 4 ? word0 >> (32 + 8 * i) : word1 >> (8 * (i - 4));
        bits |= (uint32_t)((uint8_t)byte == tag) << i;
    }
    return bits;
}

static uint32_t match(const struct sta_bucket *bucket, uint8_t tag)
{
    return sta_index_match(atomic_load_explicit(&bucket->word[0], memory_order_relaxed),
                           atomic_load_explicit(&bucket->word[1], memory_order_relaxed), tag);
}

/* The chain is locked; readers may see the tag before or after the offset. */
static void set_tag(struct sta_bucket *bucket, uint32_t at, uint8_t tag)
{
    _Atomic uint64_t *word = &bucket->word[at >= 4];
    uint32_t shift = at < 4 ? 32 + 8 * at : 8 * (at - 4);
    uint64_t now = atomic_load_explicit(word, memory_order_relaxed);
    now = (now & ~(UINT64_C(0xff) << shift)) | ((uint64_t)tag << shift);
    atomic_store_explicit(word, now, memory_order_relaxed);
}

struct sta_slot sta_index_find_locked(const struct sta_index *index, struct sta_bucket *bucket,
                                      const struct sta_key *key)
{
    uint8_t tag = sta_index_tag(key->hash);
    for (; bucket != NULL; bucket = sta_index_next(index, bucket)) {
        for (uint32_t bits = match(bucket, tag); bits != 0; bits &= bits - 1) {
            struct sta_slot slot = {bucket, (uint32_t)__builtin_ctz(bits)};
            const struct sta_item *item = sta_arena_item(index->arena, sta_index_offset(slot));
            if (sta_item_has_key(item, sta_item_head(item), key))
                return slot;
        }
    }
    return (struct sta_slot){NULL, 0};
}

struct sta_slot sta_index_find_offset_locked(const struct sta_index *index,
                                             struct sta_bucket *bucket, uint64_t hash,
                                             uint32_t offset)
{
    uint8_t tag = sta_index_tag(hash);
    for (; bucket != NULL; bucket = sta_index_next(index, bucket)) {
        for (uint32_t bits = match(bucket, tag); bits != 0; bits &= bits - 1) {
            struct sta_slot slot = {bucket, (uint32_t)__builtin_ctz(bits)};
            if (sta_index_offset(slot) == offset)
                return slot;
        }
    }
    return (struct sta_slot){NULL, 0};
}

void sta_index_replace_locked(struct sta_slot slot, uint32_t offset)
{
    /* The first step of the writer's side in arena.h. Release: pairs with the acquire of a reader,
     * who then reads the item. */
    atomic_store_explicit(&slot.bucket->offset[slot.at], offset, memory_order_release);
}

void sta_index_remove_locked(struct sta_slot slot)
{
    atomic_store_explicit(&slot.bucket->offset[slot.at], 0, memory_order_release); /* as above */
    set_tag(slot.bucket, slot.at, 0);
}

static void put(struct sta_bucket *bucket, uint32_t at, uint8_t tag, uint32_t offset)
{
    atomic_store_explicit(&bucket->offset[at], offset, memory_order_release); /* as above */
    set_tag(bucket, at, tag);
}

static bool pay_overflow(struct sta_index *index, _Atomic uint64_t *claimed)
{
    uint64_t price = sizeof(struct sta_bucket);
    if (claimed == NULL)
        return sta_budget_claim(index->budget, price);
    uint64_t left = atomic_load_explicit(claimed, memory_order_relaxed);
    if (left < price)
        return false;
    atomic_store_explicit(claimed, left - price, memory_order_relaxed);
    return true;
}

static uint32_t overflow_take_locked(struct sta_index *index, _Atomic uint64_t *claimed)
{
    uint32_t taken = index->overflow_first;
    if (taken != 0) {
        struct sta_bucket *bucket = &index->overflow[taken];
        index->overflow_first =
            (uint32_t)atomic_load_explicit(&bucket->word[1], memory_order_relaxed);
        atomic_store_explicit(&bucket->word[1], 0, memory_order_relaxed);
        return taken;
    }
    uint32_t fresh = atomic_load_explicit(&index->overflow_fresh, memory_order_relaxed);
    if (fresh >= index->bucket_limit || !pay_overflow(index, claimed))
        return 0;
    atomic_fetch_add_explicit(&index->bytes, sizeof(struct sta_bucket), memory_order_relaxed);
    atomic_store_explicit(&index->overflow_fresh, fresh + 1, memory_order_relaxed);
    return fresh;
}

static uint32_t overflow_take(struct sta_index *index, _Atomic uint64_t *claimed)
{
    pthread_mutex_lock(&index->overflow_lock);
    uint32_t taken = overflow_take_locked(index, claimed);
    pthread_mutex_unlock(&index->overflow_lock);
    return taken;
}

/* ---- chains ---- */

static uint8_t tag_at(const struct sta_bucket *bucket, uint32_t at)
{
    uint64_t word = atomic_load_explicit(&bucket->word[at >= 4], memory_order_relaxed);
    return (uint8_t)(word >> (at < 4 ? 32 + 8 * at : 8 * (at - 4)));
}

/* Moves what lies in overflow buckets of a locked chain to free slots ahead of it. A reader may
 * find an entry twice or not at all meanwhile, and then sees the version change. */
static void compact_chain(struct sta_index *index, struct sta_bucket *first)
{
    struct sta_bucket *to = first;
    struct sta_bucket *from = sta_index_next(index, first);
    for (; from != NULL; from = sta_index_next(index, from)) {
        for (uint32_t i = 0; i < STA_INDEX_SLOTS; i++) {
            uint32_t offset = atomic_load_explicit(&from->offset[i], memory_order_relaxed);
            if (offset == 0)
                continue;
            while (to != from && match(to, 0) == 0)
                to = sta_index_next(index, to);
            if (to == from)
                break;
            put(to, (uint32_t)__builtin_ctz(match(to, 0)), tag_at(from, i), offset);
            sta_index_remove_locked((struct sta_slot){from, i});
        }
    }
}

/* Puts the overflow buckets of a locked chain that hold nothing on the free list. The list goes
 * through the tags: a reader who is still there may match one, and finds no offset behind it. */
static void trim_chain(struct sta_index *index, struct sta_bucket *bucket)
{
    uint32_t link;
    while ((link = atomic_load_explicit(&bucket->link, memory_order_relaxed)) != 0) {
        struct sta_bucket *next = &index->overflow[link];
        if (match(next, 0) != (1u << STA_INDEX_SLOTS) - 1) {
            bucket = next;
            continue;
        }
        uint32_t after = atomic_load_explicit(&next->link, memory_order_relaxed);
        atomic_store_explicit(&bucket->link, after, memory_order_release);
        atomic_store_explicit(&next->link, 0, memory_order_relaxed);
        pthread_mutex_lock(&index->overflow_lock);
        atomic_store_explicit(&next->word[1], index->overflow_first, memory_order_relaxed);
        index->overflow_first = link;
        pthread_mutex_unlock(&index->overflow_lock);
    }
}

/* Behind a bucket that had a slot free. A chain that once had too many for its buckets would keep
 * them all: where entries come and go, most chains did, and every store and miss walked them. */
static void close_up(struct sta_index *index, struct sta_bucket *bucket)
{
    if (atomic_load_explicit(&bucket->link, memory_order_relaxed) == 0)
        return;
    compact_chain(index, bucket);
    trim_chain(index, bucket);
}

bool sta_index_add_locked(struct sta_index *index, struct sta_bucket *bucket, uint64_t hash,
                          uint32_t offset, _Atomic uint64_t *claimed)
{
    for (;;) {
        uint32_t bits = match(bucket, 0);
        if (bits != 0) {
            put(bucket, (uint32_t)__builtin_ctz(bits), sta_index_tag(hash), offset);
            close_up(index, bucket);
            return true;
        }
        struct sta_bucket *next = sta_index_next(index, bucket);
        if (next == NULL)
            break;
        bucket = next;
    }
    uint32_t link = overflow_take(index, claimed);
    if (link == 0)
        return false;
    put(&index->overflow[link], 0, sta_index_tag(hash), offset);
    /* release: pairs with sta_index_next() */
    atomic_store_explicit(&bucket->link, link, memory_order_release);
    return true;
}

/* ---- growing and shrinking ---- */

static uint64_t hash_of(const struct sta_index *index, uint32_t offset)
{
    const struct sta_item *item = sta_arena_item(index->arena, offset);
    return sta_item_hash(item, sta_item_head(item), index->hash_seed);
}

static void prefetch_items(const struct sta_index *index, const struct sta_bucket *bucket)
{
    for (; bucket != NULL; bucket = sta_index_next(index, bucket)) {
        for (uint32_t i = 0; i < STA_INDEX_SLOTS; i++) {
            uint32_t offset = atomic_load_explicit(&bucket->offset[i], memory_order_relaxed);
            if (offset != 0)
                __builtin_prefetch(sta_arena_item(index->arena, offset));
        }
    }
}

/* For each item of the chain `from` that belongs to bucket `at` of `count`: links it in `to`,
 * or removes it from `from`. Both chains are locked. False where `to` could not take one. */
static bool link_all(struct sta_index *index, struct sta_bucket *from, struct sta_bucket *to,
                     uint64_t at, uint64_t count)
{
    for (; from != NULL; from = sta_index_next(index, from)) {
        for (uint32_t i = 0; i < STA_INDEX_SLOTS; i++) {
            uint32_t offset = atomic_load_explicit(&from->offset[i], memory_order_relaxed);
            if (offset == 0)
                continue;
            uint64_t hash = hash_of(index, offset);
            if (sta_index_bucket_of(hash, count) == at &&
                !sta_index_add_locked(index, to, hash, offset, NULL))
                return false;
        }
    }
    return true;
}

static void unlink_all(struct sta_index *index, struct sta_bucket *from, uint64_t at,
                       uint64_t count)
{
    for (; from != NULL; from = sta_index_next(index, from)) {
        for (uint32_t i = 0; i < STA_INDEX_SLOTS; i++) {
            uint32_t offset = atomic_load_explicit(&from->offset[i], memory_order_relaxed);
            if (offset != 0 && sta_index_bucket_of(hash_of(index, offset), count) == at)
                sta_index_remove_locked((struct sta_slot){from, i});
        }
    }
}

static void empty_chain(struct sta_index *index, struct sta_bucket *first)
{
    for (struct sta_bucket *at = first; at != NULL; at = sta_index_next(index, at)) {
        for (uint32_t i = 0; i < STA_INDEX_SLOTS; i++) {
            if (atomic_load_explicit(&at->offset[i], memory_order_relaxed) != 0)
                sta_index_remove_locked((struct sta_slot){at, i});
        }
    }
    trim_chain(index, first);
}

static void set_count(struct sta_index *index, uint64_t count)
{
    atomic_store_explicit(&index->bucket_count, count, memory_order_release);
    atomic_store_explicit(&index->mask_hint, sta_index_mask(count), memory_order_relaxed);
}

/* The new bucket is complete before the count makes it reachable, and the old one loses its
 * share afterwards: a reader finds an item in one of them, or sees the version change. */
bool sta_index_grow_locked(struct sta_index *index)
{
    uint64_t count = atomic_load_explicit(&index->bucket_count, memory_order_relaxed);
    if (count == index->bucket_limit || !sta_budget_claim(index->budget, sizeof *index->buckets))
        return false;
    uint64_t from = sta_index_bucket_of(count << 16, count);
    prefetch_items(index, &index->buckets[from]);
    struct sta_bucket *old = sta_index_lock_at(index, from);
    struct sta_bucket *new = sta_index_lock_at(index, count);
    bool whole = link_all(index, old, new, count, count + 1);
    if (whole) {
        set_count(index, count + 1);
        atomic_fetch_add_explicit(&index->bytes, sizeof *new, memory_order_relaxed);
        unlink_all(index, old, count, count + 1);
        compact_chain(index, old);
        trim_chain(index, old);
    } else {
        empty_chain(index, new);
        sta_budget_give(index->budget, sizeof *new);
    }
    sta_index_unlock(new);
    sta_index_unlock(old);
    return whole;
}

/* The pages of the buckets from `from` on, none of which the table has any more. They are locked so
 * that nobody who still believes in them unlocks what is new; the new page is unlocked. */
static void give_back(struct sta_index *index, uint64_t from)
{
    uint64_t end =
        from + GIVE_BUCKETS < index->bucket_limit ? from + GIVE_BUCKETS : index->bucket_limit;
    uint32_t floor = atomic_load_explicit(&index->version_floor, memory_order_relaxed);
    for (uint64_t at = from; at < end; at++) {
        uint32_t version = sta_index_next_version(sta_index_lock_at(index, at)) & ~(uint32_t)LOCKED;
        if ((int32_t)(version - floor) > 0) /* versions go round */
            floor = version != 0 ? version : HEAD_FIRST;
    }
    atomic_store_explicit(&index->version_floor, floor, memory_order_relaxed);
    if (madvise(&index->buckets[from], (end - from) * sizeof *index->buckets, MADV_DONTNEED) == 0)
        return;
    for (uint64_t at = from; at < end; at++)
        sta_index_unlock(&index->buckets[at]);
}

bool sta_index_shrink_locked(struct sta_index *index, void (*lost)(void *arg, uint32_t offset),
                             void *arg)
{
    uint64_t count = atomic_load_explicit(&index->bucket_count, memory_order_relaxed);
    if (count == STA_INDEX_LEAST)
        return false;
    uint64_t to = sta_index_bucket_of((count - 1) << 16, count - 1);
    prefetch_items(index, &index->buckets[count - 2]); /* for the next call */
    struct sta_bucket *kept = sta_index_lock_at(index, to);
    struct sta_bucket *gone = sta_index_lock_at(index, count - 1);
    for (struct sta_bucket *at = gone; at != NULL; at = sta_index_next(index, at)) {
        for (uint32_t i = 0; i < STA_INDEX_SLOTS; i++) {
            uint32_t offset = atomic_load_explicit(&at->offset[i], memory_order_relaxed);
            if (offset != 0 &&
                !sta_index_add_locked(index, kept, hash_of(index, offset), offset, NULL))
                lost(arg, offset);
        }
    }
    set_count(index, count - 1);
    atomic_fetch_sub_explicit(&index->bytes, sizeof *gone, memory_order_relaxed);
    sta_budget_give(index->budget, sizeof *gone);
    empty_chain(index, gone);
    sta_index_unlock(gone);
    sta_index_unlock(kept);
    if ((count - 1) % GIVE_BUCKETS == 0)
        give_back(index, count - 1);
    return true;
}
