/* SPDX-License-Identifier: MIT
 *
 * Ways through the whole index, a chain at a time: clearing, sweeping, naming (with how hot
 * an entry is, by its visits and its queue). Whoever goes through holds one chain's lock at a time,
 * so nobody waits for more than that.
 */
#include "l1/tier.h"

#include "strata/status.h"

#define NAME_HEAD 2u /* bytes of length before each name */

/* ---- clear ---- */

static void clear_slot(struct sta_l1 *l1, struct sta_slot slot)
{
    const struct sta_item *item = sta_arena_item(&l1->arena, sta_index_offset(slot));
    sta_departed_note(&l1->departed, sta_item_hash(item, sta_item_head(item), l1->index.hash_seed),
                      STA_DEPARTED_INVALIDATED);
    sta_entry_remove_locked(l1, slot);
}

/* Removes the entries of the chain that begins at bucket `at`. */
static void clear_chain(struct sta_l1 *l1, uint64_t at)
{
    struct sta_bucket *first = sta_index_lock_at(&l1->index, at);
    struct sta_bucket *bucket = first;
    for (; bucket != NULL; bucket = sta_index_next(&l1->index, bucket)) {
        for (uint32_t i = 0; i < STA_INDEX_SLOTS; i++) {
            struct sta_slot slot = {bucket, i};
            if (sta_index_offset(slot) != 0)
                clear_slot(l1, slot);
        }
    }
    sta_index_unlock(first);
}

/* The generations first: whoever still stores under an old token does so before the entries
 * go. The table neither grows nor shrinks meanwhile, so that no entry moves behind us. */
void sta_l1_overtake(struct sta_l1 *l1)
{
    for (uint32_t at = 0; at < STA_GENERATION_COUNT; at++)
        sta_generation_advance_at(&l1->generation, at);
}

void sta_l1_clear(struct sta_l1 *l1)
{
    sta_l1_overtake(l1);
    pthread_mutex_lock(&l1->index.grow_lock);
    for (uint64_t at = 0; at < sta_tier_load(&l1->index.bucket_count); at++)
        clear_chain(l1, at);
    pthread_mutex_unlock(&l1->index.grow_lock);
    for (uint32_t i = 0; i < sta_tier_lanes(l1); i++) {
        pthread_mutex_lock(&l1->lanes[i].lock);
        sta_eviction_give_up(l1, &l1->lanes[i]);
        pthread_mutex_unlock(&l1->lanes[i].lock);
    }
}

/* ---- sweep ---- */

static bool sweep_slot(struct sta_l1 *l1, struct sta_slot slot, uint64_t now_ms)
{
    const struct sta_item *item = sta_arena_item(&l1->arena, sta_index_offset(slot));
    struct sta_item_head head = sta_item_head(item);
    if (!sta_item_over(sta_item_deadline(item, head.state), now_ms))
        return false;
    sta_departed_note(&l1->departed, sta_item_hash(item, head, l1->index.hash_seed),
                      STA_DEPARTED_EXPIRED);
    sta_entry_remove_locked(l1, slot);
    sta_tier_count(l1, STA_L1_expirations);
    return true;
}

/* The locked chain from `sweep_depth` on; false where the budget ended first. An entry that
 * moves meanwhile may be missed in one round, not in the next. */
static bool sweep_chain(struct sta_l1 *l1, struct sta_bucket *bucket, uint64_t now_ms,
                        uint64_t *budget, uint64_t *removed)
{
    uint32_t depth = 0;
    for (; bucket != NULL; bucket = sta_index_next(&l1->index, bucket)) {
        for (uint32_t i = 0; i < STA_INDEX_SLOTS; i++, depth++) {
            struct sta_slot slot = {bucket, i};
            if (depth < l1->sweep_depth || sta_index_offset(slot) == 0)
                continue;
            if (*budget == 0) {
                l1->sweep_depth = depth;
                return false;
            }
            (*budget)--;
            *removed += sweep_slot(l1, slot, now_ms);
        }
    }
    l1->sweep_depth = 0;
    return true;
}

/* Ends after one round, at most. */
uint64_t sta_l1_sweep(struct sta_l1 *l1, uint64_t now_ms, uint64_t budget)
{
    uint64_t removed = 0;
    pthread_mutex_lock(&l1->sweep_lock);
    uint64_t buckets = sta_tier_load(&l1->index.bucket_count);
    for (uint64_t seen = 0; seen <= buckets && budget > 0; seen++) {
        if (l1->sweep_bucket >= sta_tier_load(&l1->index.bucket_count)) {
            l1->sweep_bucket = 0;
            l1->sweep_depth = 0;
        }
        struct sta_bucket *bucket = sta_index_lock_at(&l1->index, l1->sweep_bucket);
        bool whole = sweep_chain(l1, bucket, now_ms, &budget, &removed);
        sta_index_unlock(bucket);
        l1->sweep_bucket += whole;
    }
    pthread_mutex_unlock(&l1->sweep_lock);
    return removed;
}

/* ---- names ---- */

/* What a chain has to say, of which there may not be room for all. */
struct naming {
    const struct sta_glob *match;
    uint64_t now_ms;
    struct sta_buffer *names;
    struct sta_buffer *heats; /* NULL: not asked for */
    size_t wanted;            /* bytes */
    size_t count;
};

static uint8_t heat_of(const struct sta_l1 *l1, uint32_t offset, struct sta_item_head head)
{
    uint32_t segment = sta_arena_segment_of(&l1->arena, offset);
    bool promoted = l1->arena.segments[segment].queue == STA_QUEUE_MAIN;
    return (uint8_t)((head.state & STA_ITEM_VISITS) * 2u + promoted);
}

static void name_slot(struct sta_l1 *l1, struct sta_slot slot, struct naming *naming)
{
    const struct sta_item *item = sta_arena_item(&l1->arena, sta_index_offset(slot));
    struct sta_item_head head = sta_item_head(item);
    struct strata_bytes name = strata_bytes(sta_item_key(item, head.state), head.key_len);
    if (sta_item_over(sta_item_deadline(item, head.state), naming->now_ms) ||
        (naming->match != NULL && !sta_glob_match(naming->match, name)))
        return;
    uint8_t heat = heat_of(l1, sta_index_offset(slot), head);
    naming->wanted += NAME_HEAD + name.len;
    naming->count++;
    if (sta_buffer_room(naming->names) < NAME_HEAD + name.len ||
        (naming->heats != NULL && sta_buffer_room(naming->heats) == 0))
        return;
    memcpy(sta_buffer_end(naming->names), &head.key_len, NAME_HEAD);
    sta_buffer_advance(naming->names, NAME_HEAD);
    (void)sta_buffer_append(naming->names, name); /* there is room */
    if (naming->heats != NULL)
        (void)sta_buffer_append(naming->heats, strata_bytes(&heat, 1));
}

static void name_chain(struct sta_l1 *l1, struct sta_bucket *bucket, struct naming *naming)
{
    for (; bucket != NULL; bucket = sta_index_next(&l1->index, bucket)) {
        for (uint32_t i = 0; i < STA_INDEX_SLOTS; i++) {
            struct sta_slot slot = {bucket, i};
            if (sta_index_offset(slot) != 0)
                name_slot(l1, slot, naming);
        }
    }
}

/* The number of bits that choose a bucket where it has not been split yet. */
static uint32_t level_of(uint64_t buckets)
{
    return 63u - (uint32_t)__builtin_clzll(buckets);
}

/* Both buckets that hash bits `low` of `level` bits can be in. They split and merge under the
 * first one's lock, which we hold, or before we look how many there are. */
static void name_pair(struct sta_l1 *l1, uint64_t low, uint32_t level, struct naming *naming)
{
    struct sta_bucket *first = sta_index_lock_at(&l1->index, low);
    name_chain(l1, first, naming);
    uint64_t split = low + (UINT64_C(1) << level);
    if (split < sta_tier_load(&l1->index.bucket_count)) {
        struct sta_bucket *second = sta_index_lock_at(&l1->index, split);
        name_chain(l1, second, naming);
        sta_index_unlock(second);
    }
    sta_index_unlock(first);
}

static uint64_t reversed(uint64_t bits)
{
    bits = (bits >> 1 & UINT64_C(0x5555555555555555)) | (bits & UINT64_C(0x5555555555555555)) << 1;
    bits = (bits >> 2 & UINT64_C(0x3333333333333333)) | (bits & UINT64_C(0x3333333333333333)) << 2;
    bits = (bits >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f)) | (bits & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
    return __builtin_bswap64(bits);
}

/* Counts the high bits of the level first (P. Noordhuis' cursor of Redis' SCAN): what has been
 * named stays behind the cursor when a level is added or taken away. */
static uint64_t cursor_after(uint64_t cursor, uint32_t level)
{
    uint64_t mask = (UINT64_C(1) << level) - 1;
    return reversed(reversed(cursor | ~mask) + 1);
}

/* Room for what a chain has wanted, after a try that is undone. */
static int make_room(struct naming *naming, size_t names_before, size_t heats_before)
{
    sta_buffer_truncate(naming->names, names_before);
    int status = sta_buffer_reserve(naming->names, naming->wanted);
    if (naming->heats == NULL)
        return status;
    sta_buffer_truncate(naming->heats, heats_before);
    return status == STRATA_OK ? sta_buffer_reserve(naming->heats, naming->count) : status;
}

static int scan(struct sta_l1 *l1, uint64_t *cursor, struct naming *naming)
{
    size_t names = sta_buffer_len(naming->names);
    size_t heats = naming->heats != NULL ? sta_buffer_len(naming->heats) : 0;
    int status = STRATA_OK;
    pthread_mutex_lock(&l1->index.grow_lock); /* the level stays */
    uint32_t level = level_of(sta_tier_load(&l1->index.bucket_count));
    while (status == STRATA_OK) {
        naming->wanted = 0;
        naming->count = 0;
        name_pair(l1, *cursor & ((UINT64_C(1) << level) - 1), level, naming);
        if (naming->wanted == sta_buffer_len(naming->names) - names)
            break;
        status = make_room(naming, names, heats);
    }
    pthread_mutex_unlock(&l1->index.grow_lock);
    if (status == STRATA_OK)
        *cursor = cursor_after(*cursor, level);
    return status;
}

int sta_l1_scan(struct sta_l1 *l1, uint64_t *cursor, const struct sta_glob *match, uint64_t now_ms,
                struct sta_buffer *names)
{
    struct naming naming = {.match = match, .now_ms = now_ms, .names = names};
    return scan(l1, cursor, &naming);
}

int sta_l1_scan_heat(struct sta_l1 *l1, uint64_t *cursor, uint64_t now_ms, struct sta_buffer *names,
                     struct sta_buffer *heats)
{
    struct naming naming = {.now_ms = now_ms, .names = names, .heats = heats};
    return scan(l1, cursor, &naming);
}

bool sta_l1_scan_next(struct strata_bytes *rest, struct strata_bytes *name)
{
    uint16_t len;
    if (rest->len < NAME_HEAD)
        return false;
    const uint8_t *at = rest->data;
    memcpy(&len, at, NAME_HEAD);
    *name = strata_bytes(at + NAME_HEAD, len);
    *rest = strata_bytes(at + NAME_HEAD + len, rest->len - NAME_HEAD - len);
    return true;
}
