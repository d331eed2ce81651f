/* SPDX-License-Identifier: MIT
 *
 * The index by itself (l1/index.h): slots, chains, growing, shrinking, versions. The items are
 * stubs of blocks, which carry their hash: so a test says which bucket and which tag an entry has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <pthread.h>

#include "core/random.h"
#include "l1/index.h"
#include "strata/status.h"

#define MAX_BYTES    (1u << 20)
#define PARTS        16u
#define ENTRIES_MOST 4096u
#define BUCKET_BYTES sizeof(struct sta_bucket)
#define VERSION_MASK UINT64_C(0xfffffffe)

struct entry {
    uint64_t id;
    uint64_t hash;
    uint32_t offset;
    struct sta_block *block;
};

struct rig {
    struct sta_budget budget;
    struct sta_arena arena;
    struct sta_index index;
    uint32_t segment; /* that items are written to */
    uint32_t used;
    struct entry entries[ENTRIES_MOST];
    uint32_t count;
    uint32_t lost;
};

static struct rig *rig_create(void)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    sta_budget_set_most(&rig->budget, UINT64_MAX);
    assert_int_equal(sta_arena_init(&rig->arena, &rig->budget, MAX_BYTES, PARTS), STRATA_OK);
    assert_int_equal(sta_index_init(&rig->index, &rig->arena, 1), STRATA_OK);
    return rig;
}

static void rig_destroy(struct rig *rig)
{
    for (uint32_t i = 0; i < rig->count; i++)
        free(rig->entries[i].block);
    sta_index_fini(&rig->index);
    sta_arena_fini(&rig->arena);
    free(rig);
}

static uint64_t buckets_of(const struct rig *rig)
{
    return atomic_load(&rig->index.bucket_count);
}

/* A hash for a place in the table (bits 16 and up) and a tag (the highest eight). */
static uint64_t hash_for(uint64_t place, uint8_t tag)
{
    return place << 16 | (uint64_t)tag << 56;
}

/* An item with this hash, not yet linked. */
static struct entry *entry_write(struct rig *rig, uint64_t hash)
{
    uint32_t size = (uint32_t)sta_arena_align(&rig->arena, sta_item_size(STA_ITEM_BLOCK, 8, 0));
    struct entry *entry = &rig->entries[rig->count];
    assert_true(rig->count < ENTRIES_MOST);
    if (rig->segment == 0 || rig->used + size > rig->arena.segment_bytes) {
        rig->segment = sta_arena_take(&rig->arena);
        rig->used = 0;
        assert_int_not_equal(rig->segment, 0);
    }
    uint64_t at = ((uint64_t)rig->segment << rig->arena.segment_shift) + rig->used;
    *entry = (struct entry){.id = rig->count++,
                            .hash = hash,
                            .offset = (uint32_t)(at >> rig->arena.unit_shift),
                            .block = calloc(1, sizeof *entry->block + sizeof entry->id)};
    assert_non_null(entry->block);
    rig->used += size;
    memcpy(entry->block->bytes, &entry->id, sizeof entry->id);
    struct sta_item *item = sta_arena_item(&rig->arena, entry->offset);
    sta_item_set_head(item, (struct sta_item_head){.key_len = 8, .state = STA_ITEM_BLOCK});
    memcpy(item->bytes, &entry->hash, 8);
    memcpy(item->bytes + 8, &entry->block, sizeof entry->block);
    return entry;
}

static bool entry_link(struct rig *rig, const struct entry *entry, _Atomic uint64_t *claimed)
{
    struct sta_bucket *bucket = sta_index_lock(&rig->index, entry->hash);
    bool linked = sta_index_add_locked(&rig->index, bucket, entry->hash, entry->offset, claimed);
    sta_index_unlock(bucket);
    return linked;
}

static struct entry *entry_add(struct rig *rig, uint64_t hash)
{
    struct entry *entry = entry_write(rig, hash);
    assert_true(entry_link(rig, entry, NULL));
    return entry;
}

static struct sta_key key_of(const struct entry *entry)
{
    return (struct sta_key){strata_bytes(&entry->id, sizeof entry->id), entry->hash};
}

/* Under the right bucket, by its key and by its offset. */
static bool entry_found(struct rig *rig, const struct entry *entry)
{
    struct sta_key key = key_of(entry);
    struct sta_bucket *bucket = sta_index_lock(&rig->index, entry->hash);
    struct sta_slot slot = sta_index_find_locked(&rig->index, bucket, &key);
    struct sta_slot same =
        sta_index_find_offset_locked(&rig->index, bucket, entry->hash, entry->offset);
    bool found = slot.bucket != NULL && sta_index_offset(slot) == entry->offset &&
                 same.bucket == slot.bucket && same.at == slot.at;
    sta_index_unlock(bucket);
    return found;
}

static void entry_remove(struct rig *rig, const struct entry *entry)
{
    struct sta_key key = key_of(entry);
    struct sta_bucket *bucket = sta_index_lock(&rig->index, entry->hash);
    struct sta_slot slot = sta_index_find_locked(&rig->index, bucket, &key);
    assert_non_null(slot.bucket);
    sta_index_remove_locked(slot);
    sta_index_unlock(bucket);
}

static uint32_t count_found(struct rig *rig)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < rig->count; i++)
        found += entry_found(rig, &rig->entries[i]);
    return found;
}

static uint32_t chain_length(const struct rig *rig, uint64_t at)
{
    uint32_t length = 0;
    const struct sta_bucket *bucket = &rig->index.buckets[at];
    for (; bucket != NULL; bucket = sta_index_next(&rig->index, bucket))
        length++;
    return length;
}

/* Slots of a chain that link something. */
static uint32_t count_links(const struct rig *rig, uint64_t at)
{
    uint32_t links = 0;
    const struct sta_bucket *bucket = &rig->index.buckets[at];
    for (; bucket != NULL; bucket = sta_index_next(&rig->index, bucket)) {
        for (uint32_t i = 0; i < STA_INDEX_SLOTS; i++)
            links += sta_index_offset((struct sta_slot){(struct sta_bucket *)bucket, i}) != 0;
    }
    return links;
}

static uint32_t count_all_links(const struct rig *rig)
{
    uint32_t links = 0;
    for (uint64_t at = 0; at < buckets_of(rig); at++)
        links += count_links(rig, at);
    return links;
}

static uint64_t version_of(const struct rig *rig, uint64_t at)
{
    return atomic_load(&rig->index.buckets[at].word[0]) & VERSION_MASK;
}

static bool grow(struct rig *rig)
{
    pthread_mutex_lock(&rig->index.grow_lock);
    bool grown = sta_index_grow_locked(&rig->index);
    pthread_mutex_unlock(&rig->index.grow_lock);
    return grown;
}

static void note_lost(void *arg, uint32_t offset)
{
    struct rig *rig = arg;
    assert_int_not_equal(offset, 0);
    rig->lost++;
}

static bool shrink(struct rig *rig)
{
    pthread_mutex_lock(&rig->index.grow_lock);
    bool shrunk = sta_index_shrink_locked(&rig->index, note_lost, rig);
    pthread_mutex_unlock(&rig->index.grow_lock);
    return shrunk;
}

/* What the index says that it takes is what it has claimed. */
static void assert_accounted(const struct rig *rig)
{
    assert_int_equal(atomic_load(&rig->index.bytes),
                     (buckets_of(rig) + rig->index.overflow_fresh - 1) * BUCKET_BYTES);
    uint64_t segments = atomic_load(&rig->arena.backed) * sta_arena_segment_cost(&rig->arena);
    assert_int_equal(sta_budget_used(&rig->budget), atomic_load(&rig->index.bytes) + segments);
}

/* ---- tags ---- */

static void both_ways_to_match_tags_agree(void **state)
{
    (void)state;
    uint64_t random = 5;
    for (uint32_t i = 0; i < 300000; i++) {
        /* Bytes of few values, so that tags do match. */
        uint64_t word0 = sta_random_next(&random) & UINT64_C(0x0303030303030303);
        uint64_t word1 = sta_random_next(&random) & UINT64_C(0x0303030303030303);
        uint8_t tag = sta_random_next(&random) & 3;
        uint32_t bits = 0;
        for (uint32_t at = 0; at < STA_INDEX_SLOTS; at++) {
            uint8_t bytes[16];
            memcpy(bytes, &word0, 8);
            memcpy(bytes + 8, &word1, 8);
            bits |= (uint32_t)(bytes[4 + at] == tag) << at;
        }
        assert_int_equal(sta_index_match(word0, word1, tag), bits);
        assert_int_equal(sta_index_match_portable(word0, word1, tag), bits);
    }
}

static void no_tag_is_that_of_an_empty_slot(void **state)
{
    (void)state;
    for (uint32_t high = 0; high < 256; high++)
        assert_int_not_equal(sta_index_tag((uint64_t)high << 56), 0);
}

/* ---- places ---- */

static void a_bucket_more_moves_keys_to_that_bucket_only(void **state)
{
    (void)state;
    uint64_t random = 9;
    for (uint64_t count = STA_INDEX_LEAST; count < 300; count++) {
        for (uint32_t i = 0; i < 200; i++) {
            uint64_t hash = sta_random_next(&random);
            uint64_t before = sta_index_bucket_of(hash, count);
            uint64_t after = sta_index_bucket_of(hash, count + 1);
            assert_true(before < count);
            assert_true(after == before || after == count);
        }
    }
}

static void the_likely_bucket_is_the_right_one_when_nothing_changes(void **state)
{
    (void)state;
    struct rig *rig = rig_create();
    uint64_t random = 10;
    for (uint32_t step = 0; step < 400; step++) {
        if (step < 200)
            assert_true(grow(rig));
        else
            assert_true(shrink(rig));
        for (uint32_t i = 0; i < 50; i++) {
            uint64_t hash = sta_random_next(&random);
            assert_ptr_equal(sta_index_likely(&rig->index, hash),
                             &rig->index.buckets[sta_index_bucket_of(hash, buckets_of(rig))]);
        }
    }
    rig_destroy(rig);
}

/* ---- slots ---- */

static void keys_with_the_same_hash_are_told_apart(void **state)
{
    (void)state;
    struct rig *rig = rig_create();
    for (uint32_t i = 0; i < 5; i++)
        entry_add(rig, hash_for(0, 7));
    struct entry *absent = entry_write(rig, hash_for(0, 7));
    assert_int_equal(count_found(rig), 5);
    assert_false(entry_found(rig, absent));
    rig_destroy(rig);
}

static void a_removed_entry_makes_room_for_the_next_one(void **state)
{
    (void)state;
    struct rig *rig = rig_create();
    for (uint32_t i = 0; i < STA_INDEX_SLOTS; i++)
        entry_add(rig, hash_for(0, (uint8_t)(i + 1)));
    assert_int_equal(chain_length(rig, 0), 1);
    entry_remove(rig, &rig->entries[3]);
    assert_false(entry_found(rig, &rig->entries[3]));
    entry_add(rig, hash_for(0, 99));
    assert_int_equal(chain_length(rig, 0), 1);
    assert_int_equal(count_found(rig), STA_INDEX_SLOTS);
    rig_destroy(rig);
}

static void a_replaced_entry_keeps_its_slot(void **state)
{
    (void)state;
    struct rig *rig = rig_create();
    struct entry *old = entry_add(rig, hash_for(1, 7));
    struct entry *new = entry_write(rig, hash_for(1, 7));
    struct sta_key key = key_of(old);
    struct sta_bucket *bucket = sta_index_lock(&rig->index, old->hash);
    struct sta_slot slot = sta_index_find_locked(&rig->index, bucket, &key);
    sta_index_replace_locked(slot, new->offset);
    sta_index_unlock(bucket);
    assert_true(entry_found(rig, new));
    assert_false(entry_found(rig, old));
    rig_destroy(rig);
}

/* ---- chains ---- */

static void what_does_not_fit_is_found_in_a_chain(void **state)
{
    (void)state;
    struct rig *rig = rig_create();
    for (uint32_t i = 0; i < 5 * STA_INDEX_SLOTS + 1; i++)
        entry_add(rig, hash_for(0, (uint8_t)(i % 3)));
    assert_int_equal(chain_length(rig, 0), 6);
    assert_int_equal(chain_length(rig, 1), 1);
    assert_int_equal(count_found(rig), rig->count);
    assert_accounted(rig);
    rig_destroy(rig);
}

static void a_chain_does_not_grow_without_budget(void **state)
{
    (void)state;
    struct rig *rig = rig_create();
    for (uint32_t i = 0; i < STA_INDEX_SLOTS; i++)
        entry_add(rig, hash_for(0, 1));
    struct entry *more = entry_write(rig, hash_for(0, 1));
    sta_budget_set_most(&rig->budget, sta_budget_used(&rig->budget) + BUCKET_BYTES - 1);
    assert_false(entry_link(rig, more, NULL));
    assert_false(entry_found(rig, more));
    assert_int_equal(chain_length(rig, 0), 1);
    assert_accounted(rig);
    sta_budget_set_most(&rig->budget, sta_budget_used(&rig->budget) + BUCKET_BYTES);
    assert_true(entry_link(rig, more, NULL));
    assert_true(entry_found(rig, more));
    assert_accounted(rig);
    rig_destroy(rig);
}

static void a_chain_grows_by_what_was_claimed_beforehand(void **state)
{
    (void)state;
    struct rig *rig = rig_create();
    _Atomic uint64_t claimed = BUCKET_BYTES + 1;
    sta_budget_take(&rig->budget, BUCKET_BYTES); /* the claim */
    for (uint32_t i = 0; i < STA_INDEX_SLOTS; i++)
        entry_add(rig, hash_for(0, 1));
    struct entry *more = entry_write(rig, hash_for(0, 1));
    sta_budget_set_most(&rig->budget, 0);
    assert_true(entry_link(rig, more, &claimed));
    assert_int_equal(claimed, 1);
    assert_true(entry_found(rig, more));
    assert_accounted(rig);
    for (uint32_t i = 1; i < STA_INDEX_SLOTS; i++)
        assert_true(entry_link(rig, more, &claimed)); /* the new bucket, until it is full */
    assert_false(entry_link(rig, more, &claimed));
    assert_int_equal(claimed, 1);
    rig_destroy(rig);
}

static void an_emptied_overflow_bucket_is_used_again_at_no_cost(void **state)
{
    (void)state;
    struct rig *rig = rig_create();
    /* All in bucket 0, and all of the overflow to move to bucket 2. */
    for (uint32_t i = 0; i < STA_INDEX_SLOTS; i++)
        entry_add(rig, hash_for(0, 1));
    for (uint32_t i = 0; i < 2; i++)
        entry_add(rig, hash_for(2, 1));
    assert_int_equal(chain_length(rig, 0), 2);
    assert_true(grow(rig));
    assert_int_equal(chain_length(rig, 0), 1);
    assert_int_equal(chain_length(rig, 2), 1);
    assert_int_equal(count_found(rig), rig->count);
    sta_budget_set_most(&rig->budget, sta_budget_used(&rig->budget));
    for (uint32_t i = 0; i < 3; i++)
        entry_add(rig, hash_for(0, 2)); /* through the bucket that was freed */
    assert_int_equal(chain_length(rig, 0), 2);
    assert_int_equal(count_found(rig), rig->count);
    assert_accounted(rig);
    rig_destroy(rig);
}

/* Three buckets full, then entries go from the first one: what is added closes the gap with what
 * lies behind, and a bucket that is empty after that leaves the chain. */
static void a_chain_is_as_long_as_its_entries_need(void **state)
{
    (void)state;
    struct rig *rig = rig_create();
    for (uint32_t i = 0; i < 2 * STA_INDEX_SLOTS + 3; i++)
        entry_add(rig, hash_for(0, (uint8_t)(i % 3)));
    assert_int_equal(chain_length(rig, 0), 3);
    for (uint32_t i = 0; i < 3; i++)
        entry_remove(rig, &rig->entries[i]);
    assert_int_equal(chain_length(rig, 0), 3); /* who removes does not look further */
    entry_add(rig, hash_for(0, 1));
    assert_int_equal(chain_length(rig, 0), 3); /* one more than fits in two */
    entry_remove(rig, &rig->entries[3]);
    entry_remove(rig, &rig->entries[4]);
    entry_add(rig, hash_for(0, 1));
    assert_int_equal(chain_length(rig, 0), 2);
    assert_int_equal(count_found(rig), rig->count - 5);
    for (uint32_t i = 5; i < 5 + STA_INDEX_SLOTS + 3; i++)
        entry_remove(rig, &rig->entries[i]);
    entry_add(rig, hash_for(0, 1));
    assert_int_equal(chain_length(rig, 0), 1);
    assert_int_equal(count_links(rig, 0), 2 * STA_INDEX_SLOTS + 3 - 5 - STA_INDEX_SLOTS);
    assert_accounted(rig);
    rig_destroy(rig);
}

static void fill_at_random(struct rig *rig, uint32_t count, uint64_t random)
{
    for (uint32_t i = 0; i < count; i++)
        entry_add(rig, sta_random_next(&random));
}

/* Where entries come and go, chains do not grow: one in three has a second bucket, not all. */
static void what_comes_and_goes_leaves_no_empty_buckets(void **state)
{
    (void)state;
    struct rig *rig = rig_create();
    uint64_t random = 3;
    for (uint32_t i = 0; i < 256; i++)
        assert_true(i < 2 || grow(rig));
    fill_at_random(rig, 256 * STA_INDEX_LOAD, random);
    uint32_t before = rig->index.overflow_fresh;
    uint32_t all = rig->count;
    for (uint32_t i = 0; i < 20 * all; i++) {
        struct entry *entry = &rig->entries[i % all];
        entry_remove(rig, entry);
        entry->hash = sta_random_next(&random);
        memcpy(sta_arena_item(&rig->arena, entry->offset)->bytes, &entry->hash, 8);
        assert_true(entry_link(rig, entry, NULL));
    }
    assert_in_range(rig->index.overflow_fresh, before, 2 * before);
    assert_int_equal(count_found(rig), all);
    assert_accounted(rig);
    rig_destroy(rig);
}

/* ---- growing and shrinking ---- */

static void all_entries_are_found_after_every_growth_and_shrinking(void **state)
{
    (void)state;
    struct rig *rig = rig_create();
    fill_at_random(rig, 600, 3);
    for (uint32_t i = 0; i < 130; i++) {
        assert_true(grow(rig));
        assert_int_equal(count_found(rig), rig->count);
        assert_int_equal(count_all_links(rig), rig->count);
        assert_accounted(rig);
    }
    assert_int_equal(buckets_of(rig), STA_INDEX_LEAST + 130);
    while (shrink(rig)) {
        assert_int_equal(count_found(rig), rig->count);
        assert_int_equal(count_all_links(rig), rig->count);
        assert_accounted(rig);
    }
    assert_int_equal(buckets_of(rig), STA_INDEX_LEAST);
    assert_int_equal(rig->lost, 0);
    rig_destroy(rig);
}

static void a_growth_without_budget_changes_nothing(void **state)
{
    (void)state;
    struct rig *rig = rig_create();
    fill_at_random(rig, 100, 4);
    uint64_t used = sta_budget_used(&rig->budget);
    sta_budget_set_most(&rig->budget, used + BUCKET_BYTES - 1);
    assert_false(grow(rig));
    assert_int_equal(sta_budget_used(&rig->budget), used);
    assert_int_equal(buckets_of(rig), STA_INDEX_LEAST);
    assert_int_equal(count_found(rig), rig->count);
    rig_destroy(rig);
}

/* The new bucket would need an overflow bucket of its own, for which there are no bytes. */
static void a_growth_that_gets_stuck_is_undone(void **state)
{
    (void)state;
    struct rig *rig = rig_create();
    for (uint32_t i = 0; i < STA_INDEX_SLOTS + 4; i++)
        entry_add(rig, hash_for(2, (uint8_t)i));
    uint64_t used = sta_budget_used(&rig->budget);
    sta_budget_set_most(&rig->budget, used + BUCKET_BYTES);
    assert_false(grow(rig));
    assert_int_equal(sta_budget_used(&rig->budget), used);
    assert_int_equal(buckets_of(rig), STA_INDEX_LEAST);
    assert_int_equal(count_found(rig), rig->count);
    assert_int_equal(count_links(rig, STA_INDEX_LEAST), 0); /* the bucket that was to be */
    assert_accounted(rig);
    sta_budget_set_most(&rig->budget, UINT64_MAX); /* and works when there is room */
    assert_true(grow(rig));
    assert_int_equal(count_found(rig), rig->count);
    assert_int_equal(count_all_links(rig), rig->count);
    assert_accounted(rig);
    rig_destroy(rig);
}

static void a_shrinking_without_room_says_what_was_lost(void **state)
{
    (void)state;
    struct rig *rig = rig_create();
    assert_true(grow(rig));
    for (uint32_t i = 0; i < STA_INDEX_SLOTS; i++)
        entry_add(rig, hash_for(0, (uint8_t)i));
    for (uint32_t i = 0; i < STA_INDEX_SLOTS; i++)
        entry_add(rig, hash_for(2, (uint8_t)i));
    sta_budget_set_most(&rig->budget, 0);
    assert_true(shrink(rig));
    assert_int_equal(rig->lost, STA_INDEX_SLOTS);
    assert_int_equal(count_found(rig), STA_INDEX_SLOTS);
    assert_accounted(rig);
    rig_destroy(rig);
}

static void the_smallest_table_does_not_shrink(void **state)
{
    (void)state;
    struct rig *rig = rig_create();
    fill_at_random(rig, 50, 6);
    assert_false(shrink(rig));
    assert_int_equal(count_found(rig), rig->count);
    rig_destroy(rig);
}

/* ---- versions ---- */

static void every_unlock_is_a_new_version(void **state)
{
    (void)state;
    struct rig *rig = rig_create();
    for (uint32_t i = 0; i < 100; i++) {
        uint64_t before = version_of(rig, 1);
        struct sta_bucket *bucket = sta_index_lock_at(&rig->index, 1);
        assert_true(atomic_load(&bucket->word[0]) & 1);
        assert_int_equal(version_of(rig, 1), before);
        sta_index_unlock(bucket);
        assert_false(atomic_load(&bucket->word[0]) & 1);
        assert_int_not_equal(version_of(rig, 1), before);
    }
    rig_destroy(rig);
}

static size_t resident_pages(const struct rig *rig, uint64_t from, uint64_t buckets)
{
    unsigned char pages[64];
    size_t resident = 0, bytes = buckets * BUCKET_BYTES;
    assert_int_equal(mincore(&rig->index.buckets[from], bytes, pages), 0);
    for (size_t i = 0; i < bytes / 4096; i++)
        resident += pages[i] & 1;
    return resident;
}

/* And a bucket that comes back is none that anybody has seen before. */
static void the_pages_of_a_shrunken_table_go_back_and_versions_do_not(void **state)
{
    (void)state;
    struct rig *rig = rig_create();
    while (buckets_of(rig) < 3000)
        assert_true(grow(rig));
    sta_index_unlock(sta_index_lock_at(&rig->index, 2999));
    uint64_t seen = version_of(rig, 2999);
    assert_true(resident_pages(rig, 2048, 952) >= 952 * BUCKET_BYTES / 4096 - 1);
    while (buckets_of(rig) > 2048)
        assert_true(shrink(rig));
    assert_int_equal(resident_pages(rig, 2048, 952), 0);
    assert_int_not_equal(resident_pages(rig, 0, 2048), 0);
    while (buckets_of(rig) < 3000)
        assert_true(grow(rig));
    assert_true(version_of(rig, 2999) > seen);
    fill_at_random(rig, 3000, 8);
    assert_int_equal(count_found(rig), rig->count);
    assert_accounted(rig);
    rig_destroy(rig);
}

static void a_version_that_wraps_leaves_the_tags_alone(void **state)
{
    (void)state;
    struct rig *rig = rig_create();
    for (uint32_t i = 0; i < STA_INDEX_SLOTS; i++)
        entry_add(rig, hash_for(0, (uint8_t)(0xf0 + i)));
    struct sta_bucket *bucket = &rig->index.buckets[0];
    atomic_fetch_or(&bucket->word[0], VERSION_MASK); /* the last version */
    uint64_t tags = atomic_load(&bucket->word[0]) >> 32;
    sta_index_unlock(sta_index_lock_at(&rig->index, 0));
    assert_int_equal(version_of(rig, 0), 2); /* 0 is no version */
    assert_int_equal(atomic_load(&bucket->word[0]) >> 32, tags);
    assert_int_equal(count_found(rig), rig->count);
    rig_destroy(rig);
}

/* A reader who looked before finds out that it must look again. */
static void growing_and_shrinking_change_the_versions_of_both_buckets(void **state)
{
    (void)state;
    struct rig *rig = rig_create();
    fill_at_random(rig, 30, 8);
    uint64_t old = version_of(rig, 0);
    uint64_t new = version_of(rig, 2);
    uint64_t other = version_of(rig, 1);
    assert_true(grow(rig));
    assert_int_not_equal(version_of(rig, 0), old);
    assert_int_not_equal(version_of(rig, 2), new);
    assert_int_equal(version_of(rig, 1), other);
    old = version_of(rig, 0);
    new = version_of(rig, 2);
    assert_true(shrink(rig));
    assert_int_not_equal(version_of(rig, 0), old);
    assert_int_not_equal(version_of(rig, 2), new);
    rig_destroy(rig);
}

/* ---- threads ---- */

#define THREADS      4u
#define THREAD_SHARE 150u
#define TURNS        300u

struct writer {
    struct rig *rig;
    struct entry *own; /* THREAD_SHARE, written and not linked */
    uint32_t missing;
    pthread_t thread;
};

/* Links and unlinks its own entries, which nobody else touches. */
static void *write_own(void *arg)
{
    struct writer *writer = arg;
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        for (uint32_t i = 0; i < THREAD_SHARE; i++)
            writer->missing += !entry_link(writer->rig, &writer->own[i], NULL);
        for (uint32_t i = 0; i < THREAD_SHARE; i++) {
            if (entry_found(writer->rig, &writer->own[i]))
                entry_remove(writer->rig, &writer->own[i]);
            else
                writer->missing++;
        }
    }
    return NULL;
}

static void entries_survive_threads_that_write_while_the_table_changes(void **state)
{
    (void)state;
    struct rig *rig = rig_create();
    struct writer writers[THREADS];
    uint64_t random = 12;
    for (uint32_t i = 0; i < THREADS * THREAD_SHARE; i++)
        entry_write(rig, sta_random_next(&random));
    for (uint32_t i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){.rig = rig, .own = &rig->entries[i * THREAD_SHARE]};
        pthread_create(&writers[i].thread, NULL, write_own, &writers[i]);
    }
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        for (uint32_t i = 0; i < 40; i++)
            assert_true(turn % 2 == 0 ? grow(rig) : shrink(rig));
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(writers[i].thread, NULL);
        assert_int_equal(writers[i].missing, 0);
    }
    assert_int_equal(rig->lost, 0);
    assert_int_equal(count_found(rig), 0);
    assert_accounted(rig);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_to_match_tags_agree),
        cmocka_unit_test(no_tag_is_that_of_an_empty_slot),
        cmocka_unit_test(a_bucket_more_moves_keys_to_that_bucket_only),
        cmocka_unit_test(the_likely_bucket_is_the_right_one_when_nothing_changes),
        cmocka_unit_test(keys_with_the_same_hash_are_told_apart),
        cmocka_unit_test(a_removed_entry_makes_room_for_the_next_one),
        cmocka_unit_test(a_replaced_entry_keeps_its_slot),
        cmocka_unit_test(what_does_not_fit_is_found_in_a_chain),
        cmocka_unit_test(a_chain_does_not_grow_without_budget),
        cmocka_unit_test(a_chain_grows_by_what_was_claimed_beforehand),
        cmocka_unit_test(an_emptied_overflow_bucket_is_used_again_at_no_cost),
        cmocka_unit_test(a_chain_is_as_long_as_its_entries_need),
        cmocka_unit_test(what_comes_and_goes_leaves_no_empty_buckets),
        cmocka_unit_test(all_entries_are_found_after_every_growth_and_shrinking),
        cmocka_unit_test(a_growth_without_budget_changes_nothing),
        cmocka_unit_test(a_growth_that_gets_stuck_is_undone),
        cmocka_unit_test(a_shrinking_without_room_says_what_was_lost),
        cmocka_unit_test(the_smallest_table_does_not_shrink),
        cmocka_unit_test(every_unlock_is_a_new_version),
        cmocka_unit_test(the_pages_of_a_shrunken_table_go_back_and_versions_do_not),
        cmocka_unit_test(a_version_that_wraps_leaves_the_tags_alone),
        cmocka_unit_test(growing_and_shrinking_change_the_versions_of_both_buckets),
        cmocka_unit_test(entries_survive_threads_that_write_while_the_table_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
