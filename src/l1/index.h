/* SPDX-License-Identifier: MIT
 *
 * The index: from a key's hash to the offset of its item. Buckets of one cache line, eleven
 * slots each; what does not fit goes to a chain of overflow buckets. Linear hashing (Litwin,
 * VLDB 1980): the table grows and shrinks by one bucket at a time, in place.
 *
 *     0      4                 15  16                                  60
 *     | head | tags[11] (8 bit)| - | offsets[11] (32 bit)              | link |
 *
 * `head`: bit 0 is the lock, the rest a version that every unlock advances. A tag is 8 bits of
 * the hash, 0 where the slot is empty.
 *
 * Readers take no lock: they match the tags, pin the item's segment, and see whether the slot
 * still holds the offset (arena.h). A key that is not found is a miss only if the version did
 * not change meanwhile. A slot's offset is what links an item; its tag is a filter.
 * Writers hold the lock of the first bucket of a chain for anything in the chain. The number of
 * buckets changes under `grow_lock`, too; an overflow bucket that is used again in another chain
 * shows a reader only keys that are not its own.
 *
 * Lock ranks: grow_lock, a bucket (more only while the table grows or shrinks), overflow_lock.
 * Memory: two reservations; what is in use of them is claimed from the tier's budget. The pages of
 * buckets that a shrinking leaves behind go back to the kernel; those of overflow buckets do not,
 * and stay claimed.
 * Versions of a bucket never go back, though its page may: one whose head is 0 begins, when it is
 * locked, at `version_floor`, which is past all that were on pages that have gone. No unlock makes
 * a head 0.
 */
#ifndef STA_INDEX_H
#define STA_INDEX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/key.h"
#include "l1/arena.h"

#define STA_INDEX_SLOTS   11u
#define STA_INDEX_LEAST   2u /* buckets */
#define STA_INDEX_GLANCES 4u /* buckets of a chain that are looked at without its lock */
#define STA_INDEX_LOAD    8u /* entries per bucket, on average, from which on the table grows */

struct sta_bucket {
    _Atomic uint64_t word[2]; /* head and tags 0..3; tags 4..10 */
    _Atomic uint32_t offset[STA_INDEX_SLOTS];
    _Atomic uint32_t link; /* an overflow bucket, from 1; 0: none */
};

_Static_assert(sizeof(struct sta_bucket) == 64, "a bucket is a cache line");

struct sta_index {
    /* fixed at creation */
    struct sta_bucket *buckets;
    struct sta_bucket *overflow; /* [0] is not used */
    uint64_t bucket_limit;
    struct sta_arena *arena;
    struct sta_budget *budget;
    uint64_t hash_seed;
    /* written under grow_lock; release: pairs with acquire in whoever looks for a bucket */
    _Atomic uint64_t bucket_count; /* STA_INDEX_LEAST and more */
    _Atomic uint64_t mask_hint; /* of the hash bits that choose a bucket; see sta_index_likely() */
    pthread_mutex_t grow_lock;
    _Atomic uint32_t version_floor; /* written under grow_lock before pages go */
    /* guarded by overflow_lock */
    pthread_mutex_t overflow_lock;
    uint32_t overflow_first;         /* free ones */
    _Atomic uint32_t overflow_fresh; /* read from anywhere */
    _Atomic uint64_t bytes;          /* read from anywhere */
};

/* A place in a chain; `bucket` NULL: none. */
struct sta_slot {
    struct sta_bucket *bucket;
    uint32_t at;
};

/* The arena and its budget are borrowed. STRATA_ERR_NOMEM. */
int sta_index_init(struct sta_index *index, struct sta_arena *arena, uint64_t hash_seed);
void sta_index_fini(struct sta_index *index);

static inline uint64_t sta_index_mask(uint64_t count)
{
    return UINT64_MAX >> __builtin_clzll(count - 1); /* there are two buckets at least */
}

static inline uint64_t sta_index_bucket_of(uint64_t hash, uint64_t count)
{
    uint64_t mask = sta_index_mask(count);
    uint64_t at = (hash >> 16) & mask;
    return at < count ? at : at & (mask >> 1);
}

/* The bucket, cheaper: while the table passes a power of two it may be the wrong one, in which the
 * key is then not found. Good for hits. */
static inline struct sta_bucket *sta_index_likely(const struct sta_index *index, uint64_t hash)
{
    uint64_t mask = atomic_load_explicit(&index->mask_hint, memory_order_relaxed);
    uint64_t at = (hash >> 16) & mask;
    /* acquire: pairs with the release of who grew or shrank the table */
    if (at >= atomic_load_explicit(&index->bucket_count, memory_order_acquire))
        at &= mask >> 1;
    return &index->buckets[at];
}

static inline uint8_t sta_index_tag(uint64_t hash)
{
    uint8_t tag = (uint8_t)(hash >> 56);
    return (uint8_t)(tag + (tag == 0));
}

/* For whoever waits for another processor. */
static inline void sta_index_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* The first bucket of the hash's chain, locked. */
struct sta_bucket *sta_index_lock(struct sta_index *index, uint64_t hash);
struct sta_bucket *sta_index_lock_at(struct sta_index *index, uint64_t at);
void sta_index_unlock(struct sta_bucket *bucket);

/* Of a bucket that is locked: what it will say when it is locked again and nobody was there in
 * between; and what it says. */
static inline uint32_t sta_index_next_version(const struct sta_bucket *bucket)
{
    return (uint32_t)atomic_load_explicit(&bucket->word[0], memory_order_relaxed) + 2;
}

static inline uint32_t sta_index_version(const struct sta_bucket *bucket)
{
    return (uint32_t)atomic_load_explicit(&bucket->word[0], memory_order_relaxed);
}

/* Whether what is read in a bucket with this first word may be believed, if it has not changed by
 * then. A head of 0 is that of a page that is new, or gone: two of them may be of two lives. */
static inline bool sta_index_is_steady(uint64_t word)
{
    return (word & 1) == 0 && (uint32_t)word != 0;
}

/* The slot of `key`, or of the item at `offset`. */
struct sta_slot sta_index_find_locked(const struct sta_index *index, struct sta_bucket *bucket,
                                      const struct sta_key *key);
struct sta_slot sta_index_find_offset_locked(const struct sta_index *index,
                                             struct sta_bucket *bucket, uint64_t hash,
                                             uint32_t offset);

static inline uint32_t sta_index_offset(const struct sta_slot slot)
{
    return atomic_load_explicit(&slot.bucket->offset[slot.at], memory_order_relaxed);
}

/* Links another item of the same key; the slot keeps its tag. */
void sta_index_replace_locked(struct sta_slot slot, uint32_t offset);
void sta_index_remove_locked(struct sta_slot slot);

/* Links a new item. Where an overflow bucket is needed that was not in use, its bytes come from
 * what the caller has claimed beforehand (`claimed`, less after that) or, NULL, from the budget;
 * false where they do not suffice or there is no such bucket. */
bool sta_index_add_locked(struct sta_index *index, struct sta_bucket *bucket, uint64_t hash,
                          uint32_t offset, _Atomic uint64_t *claimed);

/* One bucket more: splits one; false where there was no room. One less: gives up to `lost` where
 * entries had to go because overflow buckets ran out (it is called with the offset while the
 * bucket is locked). Both need grow_lock. */
bool sta_index_grow_locked(struct sta_index *index);
bool sta_index_shrink_locked(struct sta_index *index, void (*lost)(void *arg, uint32_t offset),
                             void *arg);

/* The bucket that follows in a chain, or NULL. */
static inline struct sta_bucket *sta_index_next(const struct sta_index *index,
                                                const struct sta_bucket *bucket)
{
    uint32_t link = atomic_load_explicit(&bucket->link, memory_order_acquire);
    return link == 0 ? NULL : &index->overflow[link];
}

/* Bits of the slots whose tag is `tag`, from the two words of a bucket. */
uint32_t sta_index_match_portable(uint64_t word0, uint64_t word1, uint8_t tag);

#if defined(__SSE2__)
#include <emmintrin.h>
static inline uint32_t sta_index_match(uint64_t word0, uint64_t word1, uint8_t tag)
{
    __m128i words = _mm_set_epi64x((long long)word1, (long long)word0);
    __m128i equal = _mm_cmpeq_epi8(words, _mm_set1_epi8((char)tag));
    return ((uint32_t)_mm_movemask_epi8(equal) >> 4) & ((1u << STA_INDEX_SLOTS) - 1);
}
#else
static inline uint32_t sta_index_match(uint64_t word0, uint64_t word1, uint8_t tag)
{
    return sta_index_match_portable(word0, word1, tag);
}
#endif

/* The head of a bucket, and which of its words are offsets of slots with the hash's tag, a bit
 * each: the first slot's is word 4. Read at once, as far as the machine does that: the head is of
 * one moment, the tags of others may be newer. Good for who looks at the head again. Where the
 * hash's first byte is 0, as one in 256 is, that is asked for instead of its tag: empty slots. */
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
static inline uint32_t sta_index_glance(const struct sta_bucket *bucket, uint64_t hash,
                                        uint32_t *head)
{
    __m128i words = *(const volatile __m128i *)(const void *)bucket; /* a load keeps its order */
    __m128i tags = _mm_set1_epi32((int)((uint32_t)(hash >> 56) * UINT32_C(0x01010101)));
    __m128i equal = _mm_cmpeq_epi8(words, tags);
    *head = (uint32_t)_mm_cvtsi128_si32(words);
    return (uint32_t)_mm_movemask_epi8(equal) & ((1u << STA_INDEX_SLOTS) - 1) << 4;
}
#else
static inline uint32_t sta_index_glance(const struct sta_bucket *bucket, uint64_t hash,
                                        uint32_t *head)
{
    /* acquire: pairs with the unlock of the last writer */
    uint64_t word0 = atomic_load_explicit(&bucket->word[0], memory_order_acquire);
    uint64_t word1 = atomic_load_explicit(&bucket->word[1], memory_order_acquire);
    *head = (uint32_t)word0;
    return sta_index_match(word0, word1, (uint8_t)(hash >> 56)) << 4;
}
#endif

/* Whether the chain says at a glance, without its lock, that the hash has no entry. Not to be
 * relied upon: it may be another one by now, and entries come and go. */
static inline bool sta_index_seems_absent(const struct sta_index *index,
                                          const struct sta_bucket *bucket, uint64_t hash)
{
    for (uint32_t i = 0; bucket != NULL; bucket = sta_index_next(index, bucket), i++) {
        uint64_t word0 = atomic_load_explicit(&bucket->word[0], memory_order_relaxed);
        uint64_t word1 = atomic_load_explicit(&bucket->word[1], memory_order_relaxed);
        if (i == STA_INDEX_GLANCES || sta_index_match(word0, word1, sta_index_tag(hash)) != 0)
            return false;
    }
    return true;
}

#endif
