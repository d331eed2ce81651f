/* SPDX-License-Identifier: MIT
 *
 * Reading. A hit costs two lines that depend on each other (bucket, item): no lock, no
 * allocation, no write to a shared line except an item's visits until they are saturated, and,
 * once the tier evicts, the samples of the duel (duel.h).
 *
 * A lease takes a pin of the thread: one compare-and-swap on a line of its own (arena.h).
 *
 * A copy does without. It reads the item as it finds it, copies, and then looks whether the
 * bucket's version and the slot are what they were. An item whose memory is used again was
 * unlinked before, so whoever copied anything else than the item sees one of them changed and
 * begins anew: the slot is cleared before a segment's pins are looked at, and only then written.
 * Lengths are checked against the segment before they are believed. Such a copy races by design;
 * under the thread sanitizer a copy takes a lease instead.
 */
#include "l1/tier.h"

#include <string.h>

#include "strata/status.h"

#define MISS_TRIES 16u /* after so many changes of the bucket meanwhile, its lock is taken */

/* What a lease's pin points at, in its low bits. */
#define PIN_SLOT    0u
#define PIN_SEGMENT 1u
#define PIN_BLOCK   2u
#define PIN_KIND    3u

/* Holds the segment in a pin of this thread, or by its count. */
static inline uintptr_t hold(struct sta_l1 *l1, uint32_t segment)
{
    struct sta_pin *pin = sta_arena_pin(&l1->arena, segment);
    if (pin != NULL)
        return (uintptr_t)pin | PIN_SLOT;
    _Atomic uint32_t *pins = &l1->arena.segments[segment].pins;
    atomic_fetch_add_explicit(pins, 1, memory_order_seq_cst); /* as a pin; see arena.h */
    return (uintptr_t)pins | PIN_SEGMENT;
}

static inline void *pin_target(uintptr_t pin)
{
    return (void *)(pin & ~(uintptr_t)PIN_KIND);
}

static inline void drop(uintptr_t pin)
{
    if ((pin & PIN_KIND) == PIN_SLOT)
        sta_arena_unpin(pin_target(pin));
    else if ((pin & PIN_KIND) == PIN_SEGMENT)
        /* release: pairs with the look at `pins` when the segment is wanted back */
        atomic_fetch_sub_explicit((_Atomic uint32_t *)pin_target(pin), 1, memory_order_release);
    else
        sta_entry_unref_block(pin_target(pin));
}

/* What find() found. */
struct found {
    struct sta_item *item;
    uintptr_t pin;
    uint32_t offset;
    uint8_t state;
};

enum find_result {
    FIND_ITEM,
    FIND_BLOCK, /* of that tag, and in a block: to be looked at under the bucket's lock */
    FIND_NONE,
    FIND_AGAIN
};

/* The slots of one bucket. */
static inline enum find_result find_in(struct sta_l1 *l1, struct sta_bucket *bucket, uint32_t bits,
                                       const struct sta_key *key, struct found *found)
{
    for (; bits != 0; bits &= bits - 1) {
        uint32_t at = (uint32_t)__builtin_ctz(bits);
        /* acquire: pairs with the store that linked the item */
        uint32_t offset = atomic_load_explicit(&bucket->offset[at], memory_order_acquire);
        if (offset == 0)
            continue;
        struct sta_item *item = sta_arena_item(&l1->arena, offset);
        __builtin_prefetch(item);
        uintptr_t pin = hold(l1, sta_arena_segment_of(&l1->arena, offset));
        /* seq_cst: the second step of the reader's side in arena.h */
        if (atomic_load_explicit(&bucket->offset[at], memory_order_seq_cst) != offset) {
            drop(pin);
            return FIND_AGAIN;
        }
        uint8_t state = sta_item_state(item);
        if (state & STA_ITEM_BLOCK) {
            drop(pin);
            return FIND_BLOCK;
        }
        if (sta_item_has_key(item, state, key)) {
            *found = (struct found){item, pin, offset, state};
            return FIND_ITEM;
        }
        drop(pin);
    }
    return FIND_NONE;
}

/* The chain, once. */
static inline enum find_result find_once(struct sta_l1 *l1, const struct sta_key *key,
                                         struct found *found)
{
    /* acquire: pairs with the release of who grew or shrank the table */
    uint64_t count = atomic_load_explicit(&l1->index.bucket_count, memory_order_acquire);
    struct sta_bucket *first = &l1->index.buckets[sta_index_bucket_of(key->hash, count)];
    uint8_t tag = sta_index_tag(key->hash);
    /* acquire: pairs with the unlock of the last writer */
    uint64_t word = atomic_load_explicit(&first->word[0], memory_order_acquire);
    uint64_t word0 = word;
    struct sta_bucket *bucket = first;
    for (;;) {
        uint64_t word1 = atomic_load_explicit(&bucket->word[1], memory_order_acquire);
        enum find_result result =
            find_in(l1, bucket, sta_index_match(word0, word1, tag), key, found);
        if (result != FIND_NONE)
            return result;
        bucket = sta_index_next(&l1->index, bucket);
        if (bucket == NULL)
            break;
        word0 = atomic_load_explicit(&bucket->word[0], memory_order_acquire);
    }
    bool quiet =
        (word & 1) == 0 &&
        (uint32_t)atomic_load_explicit(&first->word[0], memory_order_acquire) == (uint32_t)word &&
        atomic_load_explicit(&l1->index.bucket_count, memory_order_acquire) == count;
    return quiet ? FIND_NONE : FIND_AGAIN;
}

static inline void count_hit(struct sta_l1 *l1, const struct sta_key *key)
{
    sta_duel_note(&l1->duel, key->hash);
    struct sta_stripe *stripe = sta_stripe_claim(l1->stripes);
    if (stripe != NULL)
        sta_stripe_count(&stripe->hits);
    else
        sta_tier_add(&l1->counts.hits, 1);
}

/* A hint: whoever loses a race loses a visit. Skipped where it would not change. */
static inline void visit(struct sta_item *item, uint8_t state)
{
    if ((state & STA_ITEM_VISITS) != STA_ITEM_VISITS)
        atomic_store_explicit(&item->state, (uint8_t)(state + 1), memory_order_relaxed);
}

static int miss(struct sta_l1 *l1, const struct sta_key *key)
{
    sta_duel_note(&l1->duel, key->hash);
    struct sta_stripe *stripe = sta_stripe_claim(l1->stripes);
    if (stripe != NULL)
        sta_stripe_count(&stripe->misses);
    else
        sta_tier_add(&l1->counts.misses, 1);
    return STRATA_MISS;
}

/* An expired entry goes, unless it was replaced meanwhile. */
static int miss_expired(struct sta_l1 *l1, const struct sta_key *key, uint32_t offset)
{
    struct sta_bucket *bucket = sta_index_lock(&l1->index, key->hash);
    struct sta_slot slot = sta_index_find_offset_locked(&l1->index, bucket, key->hash, offset);
    if (slot.bucket != NULL) {
        sta_entry_remove_locked(l1, slot);
        sta_tier_add(&l1->counts.expirations, 1);
    }
    sta_index_unlock(bucket);
    sta_tier_add(&l1->counts.misses_expired, 1);
    return miss(l1, key);
}

static struct strata_bytes value_in(const uint8_t *key, const struct sta_item *item)
{
    return strata_bytes(key + item->key_len, item->value_len);
}

/* The way for values in blocks, and where everybody changes the bucket: under its lock, which
 * keeps the entry's segment, and where nothing but a block can be referenced for long. */
static int get_block(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
                     struct sta_l1_lease *lease)
{
    int status = STRATA_MISS;
    uint32_t expired = 0;
    struct sta_bucket *bucket = sta_index_lock(&l1->index, key->hash);
    struct sta_slot slot = sta_index_find_locked(&l1->index, bucket, key);
    if (slot.bucket != NULL) {
        uint32_t offset = sta_index_offset(slot);
        struct sta_item *item = sta_arena_item(&l1->arena, offset);
        uint8_t state = sta_item_state(item);
        uint64_t deadline_ms = sta_item_deadline(item, state);
        if (sta_item_over(deadline_ms, now_ms)) {
            expired = offset;
        } else {
            uintptr_t pin;
            if (state & STA_ITEM_BLOCK) {
                struct sta_block *block = sta_item_block(item);
                atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
                pin = (uintptr_t)block | PIN_BLOCK;
            } else {
                pin = hold(l1, sta_arena_segment_of(&l1->arena, offset));
            }
            count_hit(l1, key);
            visit(item, state);
            *lease = (struct sta_l1_lease){
                .value = value_in(sta_item_key(item, state), item),
                .deadline_ms = deadline_ms,
                .flags = item->flags,
                .pin = (void *)pin,
            };
            status = STRATA_OK;
        }
    }
    sta_index_unlock(bucket);
    if (status == STRATA_OK)
        return STRATA_OK;
    return expired != 0 ? miss_expired(l1, key, expired) : miss(l1, key);
}

int sta_l1_get(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
               struct sta_l1_lease *lease)
{
    struct found found;
    enum find_result result = find_once(l1, key, &found);
    for (uint32_t tries = 0; result == FIND_AGAIN && tries < MISS_TRIES; tries++)
        result = find_once(l1, key, &found);
    if (result != FIND_ITEM)
        return result == FIND_NONE ? miss(l1, key) : get_block(l1, key, now_ms, lease);
    uint64_t deadline_ms = sta_item_deadline(found.item, found.state);
    if (sta_item_over(deadline_ms, now_ms)) {
        drop(found.pin);
        return miss_expired(l1, key, found.offset);
    }
    visit(found.item, found.state);
    count_hit(l1, key);
    *lease = (struct sta_l1_lease){
        .value = value_in(sta_item_key(found.item, found.state), found.item),
        .deadline_ms = deadline_ms,
        .flags = found.item->flags,
        .pin = (void *)found.pin,
    };
    return STRATA_OK;
}

void sta_l1_release(struct sta_l1 *l1, struct sta_l1_lease *lease)
{
    (void)l1;
    if (lease->pin != NULL)
        drop((uintptr_t)lease->pin);
    *lease = (struct sta_l1_lease){0};
}

/* ---- copies ---- */

/* Off: the copy without a pin is suspected of one wrong answer that a test with 8 threads saw once. */
#define COPY_RACES 0

static size_t copy_value(void *buffer, size_t cap, struct strata_bytes value)
{
    size_t len = value.len < cap ? value.len : cap;
    if (len > 0)
        memcpy(buffer, value.data, len);
    return value.len;
}

/* Not inlined: its registers would be saved on every hit. */
__attribute__((noinline)) static int copy_by_lease(struct sta_l1 *l1, const struct sta_key *key,
                                                   uint64_t now_ms, struct sta_l1_copy *copy)
{
    struct sta_l1_lease lease;
    int status = sta_l1_get(l1, key, now_ms, &lease);
    if (status != STRATA_OK)
        return status;
    copy->len = copy_value(copy->buffer, copy->cap, lease.value);
    copy->deadline_ms = lease.deadline_ms;
    copy->flags = lease.flags;
    sta_l1_release(l1, &lease);
    return STRATA_OK;
}

#if COPY_RACES

/* Whether an item of these lengths can be where it seems to be. */
static inline bool within_segment(const struct sta_l1 *l1, uint32_t offset, uint64_t size)
{
    uint64_t at = ((uint64_t)offset << l1->arena.unit_shift) & (l1->arena.segment_bytes - 1);
    return at + size <= l1->arena.segment_bytes;
}

/* A visit needs the memory to be the item's while it is written: under a pin. */
__attribute__((noinline)) static void visit_slow(struct sta_l1 *l1, struct sta_slot slot,
                                                 uint32_t offset)
{
    uintptr_t pin = hold(l1, sta_arena_segment_of(&l1->arena, offset));
    struct sta_item *item = sta_arena_item(&l1->arena, offset);
    if (atomic_load_explicit(&slot.bucket->offset[slot.at], memory_order_seq_cst) == offset)
        visit(item, sta_item_state(item));
    drop(pin);
}

/* What a bucket said when the reading began. */
struct seen {
    const struct sta_bucket *first;
    uint64_t word;
};

static inline bool unchanged(const struct seen *seen, struct sta_slot slot, uint32_t offset)
{
    atomic_thread_fence(memory_order_acquire); /* the copy comes before these two looks */
    return atomic_load_explicit(&slot.bucket->offset[slot.at], memory_order_relaxed) == offset &&
           (uint32_t)atomic_load_explicit(&seen->first->word[0], memory_order_relaxed) ==
               (uint32_t)seen->word;
}

/* FIND_ITEM: copied. FIND_BLOCK: take a lease. FIND_NONE: not this slot. */
static inline enum find_result copy_slot(struct sta_l1 *l1, const struct sta_key *key,
                                         struct sta_slot slot, const struct seen *seen,
                                         uint64_t now_ms, struct sta_l1_copy *copy)
{
    uint32_t offset = atomic_load_explicit(&slot.bucket->offset[slot.at], memory_order_acquire);
    if (offset == 0)
        return FIND_NONE;
    const struct sta_item *item = sta_arena_item(&l1->arena, offset);
    __builtin_prefetch((const char *)item + 64); /* a small item is on two lines, mostly */
    uint8_t state = sta_item_state(item);
    /* Read once: what was checked is what is believed, whatever the memory says later. */
    uint32_t value_len = __atomic_load_n(&item->value_len, __ATOMIC_RELAXED);
    uint32_t key_len = __atomic_load_n(&item->key_len, __ATOMIC_RELAXED);
    if ((state & STA_ITEM_BLOCK) ||
        !within_segment(l1, offset, sta_item_size(state, key_len, value_len)))
        return FIND_BLOCK;
    if (key_len != key->bytes.len ||
        (key_len > 0 && memcmp(sta_item_key(item, state), key->bytes.data, key_len) != 0))
        return FIND_NONE;
    uint64_t deadline_ms = sta_item_deadline(item, state);
    uint8_t flags = item->flags;
    if (sta_item_over(deadline_ms, now_ms))
        return FIND_BLOCK;
    const uint8_t *value = sta_item_key(item, state) + key_len;
    size_t len = copy_value(copy->buffer, copy->cap, strata_bytes(value, value_len));
    if (!unchanged(seen, slot, offset))
        return FIND_BLOCK;
    if ((state & STA_ITEM_VISITS) != STA_ITEM_VISITS)
        visit_slow(l1, slot, offset);
    copy->len = len;
    copy->deadline_ms = deadline_ms;
    copy->flags = flags;
    return FIND_ITEM;
}

/* Anything unusual, a miss among it, is left to the lease's way. */
int sta_l1_copy(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
                struct sta_l1_copy *copy)
{
    uint64_t count = atomic_load_explicit(&l1->index.bucket_count, memory_order_acquire);
    struct sta_bucket *bucket = &l1->index.buckets[sta_index_bucket_of(key->hash, count)];
    uint64_t word0 = atomic_load_explicit(&bucket->word[0], memory_order_acquire);
    struct seen seen = {bucket, word0};
    uint8_t tag = sta_index_tag(key->hash);
    while ((seen.word & 1) == 0) {
        uint64_t word1 = atomic_load_explicit(&bucket->word[1], memory_order_acquire);
        uint32_t bits = sta_index_match(word0, word1, tag);
        for (; bits != 0; bits &= bits - 1) {
            struct sta_slot slot = {bucket, (uint32_t)__builtin_ctz(bits)};
            enum find_result result = copy_slot(l1, key, slot, &seen, now_ms, copy);
            if (result == FIND_ITEM) {
                count_hit(l1, key);
                return STRATA_OK;
            }
            if (result != FIND_NONE)
                return copy_by_lease(l1, key, now_ms, copy);
        }
        bucket = sta_index_next(&l1->index, bucket);
        if (bucket == NULL)
            break;
        word0 = atomic_load_explicit(&bucket->word[0], memory_order_acquire);
    }
    return copy_by_lease(l1, key, now_ms, copy);
}

#else

int sta_l1_copy(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
                struct sta_l1_copy *copy)
{
    return copy_by_lease(l1, key, now_ms, copy);
}

#endif

/* ---- batches ---- */

/* Where the item of the first slot with the key's tag would be, or NULL. The bucket is near. */
static inline const void *likely_item(const struct sta_l1 *l1, const struct sta_bucket *bucket,
                                      uint8_t tag)
{
    uint32_t bits =
        sta_index_match(atomic_load_explicit(&bucket->word[0], memory_order_relaxed),
                        atomic_load_explicit(&bucket->word[1], memory_order_relaxed), tag);
    if (bits == 0)
        return NULL;
    uint32_t offset =
        atomic_load_explicit(&bucket->offset[__builtin_ctz(bits)], memory_order_relaxed);
    return sta_arena_item(&l1->arena, offset);
}

void sta_l1_prefetch(const struct sta_l1 *l1, const struct sta_key *keys, size_t count)
{
    const struct sta_bucket *bucket[STA_L1_PREFETCH_MOST];
    uint64_t buckets = atomic_load_explicit(&l1->index.bucket_count, memory_order_acquire);
    count = count < STA_L1_PREFETCH_MOST ? count : STA_L1_PREFETCH_MOST;
    for (size_t i = 0; i < count; i++) {
        bucket[i] = &l1->index.buckets[sta_index_bucket_of(keys[i].hash, buckets)];
        __builtin_prefetch(bucket[i]);
    }
    for (size_t i = 0; i < count; i++) {
        const char *item = likely_item(l1, bucket[i], sta_index_tag(keys[i].hash));
        if (item == NULL)
            continue;
        __builtin_prefetch(item);
        __builtin_prefetch(item + 64);
        __builtin_prefetch(item + 128);
    }
}
