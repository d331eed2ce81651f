/* SPDX-License-Identifier: MIT
 *
 * Reading. The budget of a hit: two lines that depend on each other (bucket, item), no lock, no
 * allocation, and no write to a shared line except an item's visits until they are saturated and,
 * once the tier evicts, the samples of the duel (duel.h). An entry with a stamp costs one more
 * line, which all entries of its source share (stamp.h). Whether stamps or a veil have to be asked
 * is one word of the tier's own line; what a veil hides is asked of its owner only while there is
 * one. Instructions of the usual copy of 100 bytes, 24 bytes of key, without the key's hash (36):
 * 134; docs/internals/l1.md has them step by step.
 *
 * A copy (the first function) takes no pin. It reads the item as it finds it, copies, and then
 * looks whether the version of the chain is what it was. An item whose memory is used again was
 * unlinked before, under the chain's lock, so whoever copied anything else than the item sees the
 * version changed and goes the way of a lease. The header is read once; a length is believed where
 * the arena has as much memory from anywhere (arena.c). Such a copy races by design (racing.h).
 *
 * A lease takes a pin of the thread: one compare-and-swap on a line of its own (arena.h).
 */
#include "core/mutant.h"
#include "l1/tier.h"

#include "strata/status.h"

#define MISS_TRIES 16u /* after so many changes of the bucket meanwhile, its lock is taken */

/* What a lease's pin points at, in its low bits. */
#define PIN_SLOT    0u
#define PIN_SEGMENT 1u
#define PIN_BLOCK   2u
#define PIN_KIND    3u

/* Cold, and never inlined: their registers would be saved on every hit. */
#define ASIDE static __attribute__((noinline))

ASIDE int copy_chain(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
                     struct sta_l1_copy *copy);
ASIDE int copy_by_lease(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
                        struct sta_l1_copy *copy);
ASIDE int leave_traces(struct sta_l1 *l1, const struct sta_key *key, struct sta_bucket *bucket,
                       uint32_t meta);

/* What stands before the key of an inline item. */
struct terms {
    uint64_t deadline_ms;
    struct sta_item_stamp stamp;
};

static inline uint64_t read_deadline(const struct sta_item *item, uint8_t state)
{
    uint64_t deadline_ms = STA_NEVER;
    if (state & STA_ITEM_DEADLINE)
        sta_racing_read(&deadline_ms, item->bytes, sizeof deadline_ms);
    return deadline_ms;
}

static inline struct terms read_terms(const struct sta_item *item, uint8_t state)
{
    struct terms terms = {.deadline_ms = read_deadline(item, state)};
    if (state & STA_ITEM_STAMP) {
        uint64_t word;
        sta_racing_read(&word, item->bytes + (state & STA_ITEM_DEADLINE), sizeof word);
        terms.stamp = sta_item_unpack_stamp(word);
    }
    return terms;
}

/* A bucket of a chain, and the first one's head when the reading began. */
struct seen {
    const struct sta_bucket *first;
    struct sta_bucket *bucket;
    uint32_t head;
};

/* Whatever changes a slot of the chain locks the first bucket before, and unlocks it after. */
static inline bool unchanged(const struct sta_bucket *first, uint32_t head)
{
    sta_racing_fence(); /* pairs with the fence of sta_arena_take() */
    return (uint32_t)atomic_load_explicit(&first->word[0], memory_order_relaxed) == head;
}

/* Of an item's `meta`, as it was read: its parts, tested where they are (item.h). */
#define META_STATE    24u
#define META_FLAGS    (UINT32_C(0xff) << 16)
#define META_VISITS   ((uint32_t)STA_ITEM_VISITS << META_STATE)
#define META_DEADLINE ((uint32_t)STA_ITEM_DEADLINE << META_STATE)
#define META_STAMP    ((uint32_t)STA_ITEM_STAMP << META_STATE)
#define META_BLOCK    ((uint32_t)STA_ITEM_BLOCK << META_STATE)
#define META_LONG_KEY (UINT32_C(0xffff) & ~STA_RACING_SMALL_KEY)

/* Most hits leave nothing behind but their count: the item has visits enough and no flags, and the
 * duel does not want to see it. */
static inline __attribute__((always_inline)) int count_copy(struct sta_l1 *l1,
                                                            const struct sta_key *key,
                                                            struct sta_bucket *bucket,
                                                            uint32_t meta)
{
    struct sta_stripe *own = sta_stripe_own(l1->stripes);
    if ((meta & (META_FLAGS | META_VISITS)) != META_VISITS || own == NULL ||
        sta_duel_samples(&l1->duel, key->hash))
        return leave_traces(l1, key, bucket, meta);
    sta_stripe_more(own, STA_L1_hits);
    return STRATA_OK;
}

/* The first slot of the first bucket that may be it: most hits end here. Long keys and values and
 * whatever is unusual are left to copy_chain(), which begins anew: all that a usual hit needs is in
 * line, for a call, even one that is not made, would have every hit save registers. `stamps`:
 * whether stamps are looked at; where not, they are unusual, too. */
static inline __attribute__((always_inline)) int copy_first(struct sta_l1 *l1,
                                                            const struct sta_key *key,
                                                            uint64_t now_ms, bool stamps,
                                                            struct sta_l1_copy *copy)
{
    uint32_t head;
    struct sta_bucket *bucket = sta_index_likely(&l1->index, key->hash);
    uint32_t words = sta_index_glance(bucket, key->hash, &head);
    if (words == 0 || !sta_index_is_steady(head))
        return copy_chain(l1, key, now_ms, copy);
    /* acquire: pairs with the store that linked the item. 0 is an item, too (arena.c). */
    const struct sta_item *item =
        sta_arena_item(&l1->arena, atomic_load_explicit((_Atomic uint32_t *)(void *)bucket +
                                                            (uint32_t)__builtin_ctz(words),
                                                        memory_order_acquire));
    /* Most small items are on three lines. Where the last bytes are, the first line says: so all
     * are asked for before. */
    __builtin_prefetch((const char *)item + 64);
    __builtin_prefetch((const char *)item + 128);
    uint32_t meta = atomic_load_explicit(&item->meta, memory_order_relaxed);
    uint32_t value_len = atomic_load_explicit(&item->value_len, memory_order_relaxed);
    uint32_t unusual = META_LONG_KEY | META_BLOCK | (stamps ? 0 : META_STAMP);
    if ((uint16_t)meta != key->bytes.len || (meta & unusual) != 0 || value_len > STA_RACING_SMALL ||
        value_len > copy->cap)
        return copy_chain(l1, key, now_ms, copy);
    const uint8_t *from = item->bytes;
    copy->len = value_len;
    copy->flags = (uint8_t)(meta >> 16);
    copy->deadline_ms = STA_NEVER;
    if (meta & META_DEADLINE) {
        sta_racing_read(&copy->deadline_ms, from, sizeof copy->deadline_ms);
        from += sizeof copy->deadline_ms;
        if (sta_item_over(copy->deadline_ms, now_ms))
            return copy_chain(l1, key, now_ms, copy);
    }
    if (stamps && meta & META_STAMP) {
        uint64_t word;
        sta_racing_read(&word, from, sizeof word);
        from += sizeof word;
        if (sta_stamp_suspect(&l1->stamp, sta_item_unpack_stamp(word), now_ms))
            return copy_chain(l1, key, now_ms, copy);
    }
    if (!sta_racing_same_small(from, key->bytes.data, (uint16_t)meta))
        return copy_chain(l1, key, now_ms, copy);
    sta_racing_read_small(copy->buffer, from + (uint16_t)meta, value_len);
    if (!unchanged(bucket, head))
        return copy_chain(l1, key, now_ms, copy);
    return count_copy(l1, key, bucket, meta);
}

/* Hits that ask for more than the usual: whether there is a veil, whether the source is in
 * doubt. */
ASIDE int copy_with_doubt(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
                          struct sta_l1_copy *copy)
{
    if (sta_tier_is_veiled(l1, now_ms))
        return copy_by_lease(l1, key, now_ms, copy);
    return copy_first(l1, key, now_ms, true, copy);
}

/* Twice, so that a tier without sources, and so without stamps, pays for them and for the veil by
 * one look, and one with sources does not look at its entries a second time. */
int sta_l1_copy(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
                struct sta_l1_copy *copy)
{
    if (now_ms >= atomic_load_explicit(&l1->doubted_ms, memory_order_relaxed))
        return copy_with_doubt(l1, key, now_ms, copy);
    return copy_first(l1, key, now_ms, false, copy);
}

enum copied {
    COPIED,
    COPIED_NOT,    /* another key */
    COPIED_UNUSUAL /* in a block, expired, suspect, changing */
};

static inline enum copied copy_slot(struct sta_l1 *l1, const struct sta_key *key,
                                    const struct seen *seen, uint32_t at, uint64_t now_ms,
                                    uint32_t *meta, struct sta_l1_copy *copy)
{
    const struct sta_item *item = sta_arena_item(
        &l1->arena, atomic_load_explicit(&seen->bucket->offset[at], memory_order_acquire));
    struct sta_item_head head = sta_item_head(item);
    if (head.key_len != key->bytes.len)
        return COPIED_NOT;
    if ((head.state & STA_ITEM_BLOCK) != 0 || head.value_len > l1->arena.segment_bytes)
        return COPIED_UNUSUAL;
    const uint8_t *key_at = item->bytes + sta_item_prefix(head.state);
    if (!sta_racing_same(key_at, key->bytes.data, head.key_len))
        return COPIED_NOT;
    struct terms terms = read_terms(item, head.state);
    if (sta_item_over(terms.deadline_ms, now_ms) ||
        sta_stamp_suspect(&l1->stamp, terms.stamp, now_ms))
        return COPIED_UNUSUAL;
    size_t len = head.value_len < copy->cap ? head.value_len : copy->cap;
    sta_racing_read(copy->buffer, key_at + head.key_len, len);
    if (!unchanged(seen->first, seen->head))
        return COPIED_UNUSUAL;
    copy->len = head.value_len;
    copy->deadline_ms = terms.deadline_ms;
    copy->flags = head.flags;
    *meta = (uint32_t)head.flags << 16 | (uint32_t)head.state << META_STATE;
    return COPIED;
}

/* All slots of the chain. Whatever is unusual, a miss among it, is left to the lease's way. */
ASIDE int copy_chain(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
                     struct sta_l1_copy *copy)
{
    struct sta_bucket *bucket = sta_index_likely(&l1->index, key->hash);
    uint64_t word0 = atomic_load_explicit(&bucket->word[0], memory_order_acquire);
    struct seen seen = {bucket, bucket, (uint32_t)word0};
    uint8_t tag = sta_index_tag(key->hash);
    uint32_t meta;
    while (sta_index_is_steady(seen.head)) {
        uint64_t word1 = atomic_load_explicit(&seen.bucket->word[1], memory_order_acquire);
        for (uint32_t bits = sta_index_match(word0, word1, tag); bits != 0; bits &= bits - 1) {
            uint32_t at = (uint32_t)__builtin_ctz(bits);
            enum copied copied = copy_slot(l1, key, &seen, at, now_ms, &meta, copy);
            if (copied == COPIED)
                return count_copy(l1, key, seen.bucket, meta);
            if (copied == COPIED_UNUSUAL)
                return copy_by_lease(l1, key, now_ms, copy);
        }
        seen.bucket = sta_index_next(&l1->index, seen.bucket);
        if (seen.bucket == NULL)
            break;
        word0 = atomic_load_explicit(&seen.bucket->word[0], memory_order_acquire);
    }
    return copy_by_lease(l1, key, now_ms, copy);
}

/* ---- pins ---- */

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

/* ---- finding, under a pin ---- */

struct found {
    struct sta_item *item;
    struct sta_item_head head;
    uintptr_t pin;
    uint32_t offset;
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
        struct sta_item_head head = sta_item_head(item);
        if (head.state & STA_ITEM_BLOCK) {
            drop(pin);
            return FIND_BLOCK;
        }
        if (head.key_len == key->bytes.len &&
            sta_racing_same(item->bytes + sta_item_prefix(head.state), key->bytes.data,
                            head.key_len)) {
            *found = (struct found){item, head, pin, offset};
            return FIND_ITEM;
        }
        drop(pin);
    }
    return FIND_NONE;
}

/* What a copy of an item with this `meta` leaves behind. A visit needs the memory to be the item's
 * while it is written: it is looked for in its bucket again, under a pin. Where it has moved by now
 * it has a visit less. */
ASIDE int leave_traces(struct sta_l1 *l1, const struct sta_key *key, struct sta_bucket *bucket,
                       uint32_t meta)
{
    if ((meta & META_VISITS) != META_VISITS) {
        struct found found;
        uint64_t word0 = atomic_load_explicit(&bucket->word[0], memory_order_acquire);
        uint64_t word1 = atomic_load_explicit(&bucket->word[1], memory_order_acquire);
        uint32_t bits = sta_index_match(word0, word1, sta_index_tag(key->hash));
        if (find_in(l1, bucket, bits, key, &found) == FIND_ITEM) {
            sta_item_visit(found.item);
            drop(found.pin);
        }
    }
    sta_duel_note(&l1->duel, key->hash);
    if ((meta & META_FLAGS) == 0)
        sta_tier_count(l1, STA_L1_hits);
    return STRATA_OK;
}

/* The chain, once. */
static inline enum find_result find_once(struct sta_l1 *l1, const struct sta_key *key,
                                         struct found *found)
{
    /* acquire: pairs with the release of who grew or shrank the table */
    uint64_t count = atomic_load_explicit(&l1->index.bucket_count, memory_order_acquire);
    struct sta_bucket *first = &l1->index.buckets[sta_index_bucket_of(key->hash, count)];
    uint8_t tag = sta_index_tag(key->hash);
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

static inline enum find_result find(struct sta_l1 *l1, const struct sta_key *key,
                                    struct found *found)
{
    enum find_result result = find_once(l1, key, found);
    for (uint32_t tries = 0; result == FIND_AGAIN && tries < MISS_TRIES; tries++)
        result = find_once(l1, key, found);
    return result;
}

/* ---- misses ---- */

static enum sta_l1_counter miss_reason(const struct sta_l1 *l1, uint64_t hash)
{
    switch (sta_departed_why(&l1->departed, hash)) {
    case STA_DEPARTED_EXPIRED:
        return STA_L1_misses_expired;
    case STA_DEPARTED_INVALIDATED:
        return STA_L1_misses_invalidated;
    case STA_DEPARTED_EVICTED:
        return STA_L1_misses_evicted;
    case STA_DEPARTED_UNKNOWN:
        break;
    }
    return STA_L1_misses_absent;
}

static int miss(struct sta_l1 *l1, const struct sta_key *key)
{
    sta_duel_note(&l1->duel, key->hash);
    sta_tier_count(l1, miss_reason(l1, key->hash));
    return STRATA_MISS;
}

/* The entry stays where it is: who knows better may still want it (peek). */
static int miss_suspect(struct sta_l1 *l1, const struct sta_key *key)
{
    sta_duel_note(&l1->duel, key->hash);
    sta_tier_count(l1, STA_L1_misses_suspect);
    return STRATA_MISS;
}

/* An expired entry goes, unless it was replaced meanwhile. */
static int miss_expired(struct sta_l1 *l1, const struct sta_key *key, uint32_t offset)
{
    struct sta_bucket *bucket = sta_index_lock(&l1->index, key->hash);
    struct sta_slot slot = sta_index_find_offset_locked(&l1->index, bucket, key->hash, offset);
    if (slot.bucket != NULL) {
        sta_entry_remove_locked(l1, slot);
        sta_departed_note(&l1->departed, key->hash, STA_DEPARTED_EXPIRED);
        sta_tier_count(l1, STA_L1_expirations);
    }
    sta_index_unlock(bucket);
    sta_duel_note(&l1->duel, key->hash);
    sta_tier_count(l1, STA_L1_misses_expired);
    return STRATA_MISS;
}

/* ---- leases ---- */

enum reading {
    READ_GET, /* is counted, visits, and does not see what is suspect */
    READ_PEEK /* leaves no trace, and sees that */
};

static bool is_hidden(const struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms)
{
    return sta_tier_is_veiled(l1, now_ms) && l1->veil.hides != NULL &&
           l1->veil.hides(l1->veil.arg, key->bytes, now_ms) && !STA_MUTANT(VEIL_HIT);
}

/* What a read of a live or suspect entry amounts to; the caller gives the pin back on a miss.
 * *suspect: it is hidden, whatever it came from. */
static int judge(struct sta_l1 *l1, const struct sta_key *key, enum reading reading,
                 struct terms terms, uint64_t now_ms, struct sta_item *item, uint8_t flags,
                 bool *suspect)
{
    *suspect |= sta_stamp_suspect(&l1->stamp, terms.stamp, now_ms);
    if (reading == READ_PEEK)
        return STRATA_OK;
    if (*suspect)
        return miss_suspect(l1, key);
    sta_item_visit(item);
    sta_duel_note(&l1->duel, key->hash);
    if (flags == 0)
        sta_tier_count(l1, STA_L1_hits);
    return STRATA_OK;
}

static void lease_make(struct sta_l1_lease *lease, struct sta_item_head head, const uint8_t *key,
                       struct terms terms, bool suspect, uintptr_t pin)
{
    *lease = (struct sta_l1_lease){
        .value = strata_bytes(key + head.key_len, head.value_len),
        .deadline_ms = terms.deadline_ms,
        .flags = head.flags,
        .suspect = suspect,
        .stamp = terms.stamp,
        .pin = (void *)pin,
    };
}

/* A pin on the item's bytes, under the bucket's lock, which keeps it linked. */
static uintptr_t hold_locked(struct sta_l1 *l1, struct sta_item *item, uint8_t state,
                             uint32_t offset)
{
    if (!(state & STA_ITEM_BLOCK))
        return hold(l1, sta_arena_segment_of(&l1->arena, offset));
    struct sta_block *block = sta_item_block(item);
    atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
    return (uintptr_t)block | PIN_BLOCK;
}

/* The way for values in blocks, and where everybody changes the bucket. */
ASIDE int get_locked(struct sta_l1 *l1, const struct sta_key *key, enum reading reading,
                     uint64_t now_ms, struct sta_l1_lease *lease)
{
    bool suspect = is_hidden(l1, key, now_ms);
    struct sta_bucket *bucket = sta_index_lock(&l1->index, key->hash);
    struct sta_slot slot = sta_index_find_locked(&l1->index, bucket, key);
    if (slot.bucket == NULL) {
        sta_index_unlock(bucket);
        return reading == READ_PEEK ? STRATA_MISS : miss(l1, key);
    }
    uint32_t offset = sta_index_offset(slot);
    struct sta_item *item = sta_arena_item(&l1->arena, offset);
    struct sta_item_head head = sta_item_head(item);
    struct terms terms = {sta_item_deadline(item, head.state), sta_item_stamp(item, head.state)};
    if (sta_item_over(terms.deadline_ms, now_ms)) {
        sta_index_unlock(bucket);
        return reading == READ_PEEK ? STRATA_MISS : miss_expired(l1, key, offset);
    }
    int status = judge(l1, key, reading, terms, now_ms, item, head.flags, &suspect);
    if (status == STRATA_OK)
        lease_make(lease, head, sta_item_key(item, head.state), terms, suspect,
                   hold_locked(l1, item, head.state, offset));
    sta_index_unlock(bucket);
    return status;
}

static inline int get(struct sta_l1 *l1, const struct sta_key *key, enum reading reading,
                      uint64_t now_ms, struct sta_l1_lease *lease)
{
    struct found found;
    bool suspect = is_hidden(l1, key, now_ms);
    enum find_result result = find(l1, key, &found);
    if (result == FIND_NONE)
        return reading == READ_PEEK ? STRATA_MISS : miss(l1, key);
    if (result != FIND_ITEM)
        return get_locked(l1, key, reading, now_ms, lease);
    struct terms terms = read_terms(found.item, found.head.state);
    if (sta_item_over(terms.deadline_ms, now_ms)) {
        drop(found.pin);
        return reading == READ_PEEK ? STRATA_MISS : miss_expired(l1, key, found.offset);
    }
    int status = judge(l1, key, reading, terms, now_ms, found.item, found.head.flags, &suspect);
    if (status == STRATA_OK)
        lease_make(lease, found.head, found.item->bytes + sta_item_prefix(found.head.state), terms,
                   suspect, found.pin);
    else
        drop(found.pin);
    return status;
}

int sta_l1_get(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
               struct sta_l1_lease *lease)
{
    return get(l1, key, READ_GET, now_ms, lease);
}

int sta_l1_peek(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
                struct sta_l1_lease *lease)
{
    return get(l1, key, READ_PEEK, now_ms, lease);
}

bool sta_l1_has(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms)
{
    struct sta_l1_lease lease = {0};
    if (sta_l1_peek(l1, key, now_ms, &lease) != STRATA_OK)
        return false;
    bool has = !lease.suspect;
    sta_l1_release(l1, &lease);
    return has;
}

void sta_l1_release(struct sta_l1 *l1, struct sta_l1_lease *lease)
{
    (void)l1;
    if (lease->pin != NULL)
        drop((uintptr_t)lease->pin);
    *lease = (struct sta_l1_lease){0};
}

ASIDE int copy_by_lease(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
                        struct sta_l1_copy *copy)
{
    struct sta_l1_lease lease;
    int status = sta_l1_get(l1, key, now_ms, &lease);
    if (status != STRATA_OK)
        return status;
    size_t len = lease.value.len < copy->cap ? lease.value.len : copy->cap;
    sta_racing_read(copy->buffer, lease.value.data, len);
    copy->len = lease.value.len;
    copy->deadline_ms = lease.deadline_ms;
    copy->flags = lease.flags;
    sta_l1_release(l1, &lease);
    return STRATA_OK;
}
