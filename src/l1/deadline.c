/* SPDX-License-Identifier: MIT
 *
 * Another deadline for an entry. An item never changes once it is linked, so it is written anew
 * behind the last one of its queue and linked in its own place; a block, which is read under the
 * bucket's lock, is changed where it is.
 */
#include "l1/tier.h"

#include "strata/status.h"

struct change {
    const struct sta_key *key;
    uint64_t deadline_ms;
    uint64_t now_ms;
};

/* The entry, under the bucket's lock; `offset` 0: there is none (any more). */
struct entry {
    uint32_t offset;
    struct sta_item *item;
    struct sta_item_head head;
    enum sta_queue_name queue;
};

static struct entry entry_at(struct sta_l1 *l1, struct sta_slot slot)
{
    struct entry entry = {0};
    if (slot.bucket == NULL)
        return entry;
    entry.offset = sta_index_offset(slot);
    entry.item = sta_arena_item(&l1->arena, entry.offset);
    entry.head = sta_item_head(entry.item);
    entry.queue = sta_entry_queue_name(l1, entry.offset);
    return entry;
}

static void remove_locked(struct sta_l1 *l1, struct sta_slot slot, const struct change *change)
{
    sta_entry_remove_locked(l1, slot);
    sta_departed_note(&l1->departed, change->key->hash, STA_DEPARTED_EXPIRED);
    sta_tier_count(l1, STA_L1_expirations);
}

static struct sta_item_head new_head(const struct entry *entry, const struct change *change)
{
    struct sta_item_head head = entry->head;
    head.state &= (uint8_t)~STA_ITEM_DEADLINE;
    if (change->deadline_ms != STA_NEVER)
        head.state |= STA_ITEM_DEADLINE;
    return head;
}

static void write_anew(struct sta_item *to, const struct entry *entry, struct sta_item_head head,
                       uint64_t deadline_ms)
{
    uint32_t skip = entry->head.state & STA_ITEM_DEADLINE;
    uint64_t rest = sta_item_size_of(entry->head) - sizeof *entry->item - skip;
    uint8_t *at = to->bytes;
    sta_item_set_head(to, head);
    if (head.state & STA_ITEM_DEADLINE) {
        sta_racing_write(at, &deadline_ms, sizeof deadline_ms);
        at += sizeof deadline_ms;
    }
    sta_racing_write(at, entry->item->bytes + skip, rest);
}

/* The item in its new form, in room that was made for `seen`. STRATA_SKIPPED: the entry is not the
 * one that was seen. */
static int relink(struct sta_l1 *l1, struct sta_lane *lane, const struct change *change,
                  const struct entry *seen, uint32_t offset)
{
    struct sta_bucket *bucket = sta_index_lock(&l1->index, change->key->hash);
    struct sta_slot slot = sta_index_find_locked(&l1->index, bucket, change->key);
    struct entry entry = entry_at(l1, slot);
    if (entry.offset != seen->offset || entry.queue != seen->queue) {
        sta_index_unlock(bucket);
        return STRATA_SKIPPED;
    }
    struct sta_item *item = sta_arena_item(&l1->arena, offset);
    struct sta_item_head head = new_head(&entry, change);
    write_anew(item, &entry, head, change->deadline_ms);
    sta_eviction_commit(l1, lane, entry.queue, sta_arena_align(&l1->arena, sta_item_size_of(head)));
    sta_index_replace_locked(slot, offset);
    sta_entry_forget_held(l1, lane, entry.offset);
    sta_entry_note(&lane->queues[entry.queue], sta_tier_cost(l1, item));
    sta_index_unlock(bucket);
    return STRATA_OK;
}

/* STRATA_OK: done under the bucket's lock. STRATA_MORE: `seen` has to be written anew. */
static int look(struct sta_l1 *l1, const struct change *change, struct entry *seen)
{
    int status = STRATA_MORE;
    struct sta_bucket *bucket = sta_index_lock(&l1->index, change->key->hash);
    struct sta_slot slot = sta_index_find_locked(&l1->index, bucket, change->key);
    *seen = entry_at(l1, slot);
    if (seen->offset == 0) {
        status = STRATA_MISS;
    } else if (sta_item_over(sta_item_deadline(seen->item, seen->head.state), change->now_ms)) {
        remove_locked(l1, slot, change);
        status = STRATA_MISS;
    } else if (sta_item_over(change->deadline_ms, change->now_ms)) {
        remove_locked(l1, slot, change);
        status = STRATA_OK;
    } else if (seen->head.state & STA_ITEM_BLOCK) {
        sta_item_block(seen->item)->deadline_ms = change->deadline_ms;
        status = STRATA_OK;
    }
    sta_index_unlock(bucket);
    return status;
}

/* Room for what was `seen`, as it will be: a deadline makes it longer. 0: there is none. */
static uint32_t room_anew(struct sta_l1 *l1, struct sta_lane *lane, const struct change *change,
                          const struct entry *seen)
{
    uint64_t old = sta_arena_align(&l1->arena, sta_item_size_of(seen->head));
    uint64_t new = sta_arena_align(&l1->arena, sta_item_size_of(new_head(seen, change)));
    if (!sta_eviction_keep_quota(l1, lane, 0, new > old ? new - old : 0, change->now_ms))
        return 0;
    return sta_eviction_room(l1, lane, seen->queue, new, change->now_ms);
}

int sta_l1_set_deadline(struct sta_l1 *l1, const struct sta_key *key, uint64_t deadline_ms,
                        uint64_t now_ms)
{
    struct change change = {key, deadline_ms, now_ms};
    struct sta_lane *lane = sta_lane_take(l1, key);
    struct entry seen;
    int status;
    while ((status = look(l1, &change, &seen)) == STRATA_MORE) {
        uint32_t offset = room_anew(l1, lane, &change, &seen);
        status = offset != 0 ? relink(l1, lane, &change, &seen, offset) : STRATA_ERR_BUSY;
        if (status != STRATA_SKIPPED)
            break; /* else it was moved or replaced meanwhile */
    }
    sta_lane_unlock(lane);
    if (status != STRATA_ERR_BUSY)
        return status;
    sta_l1_invalidate(l1, key, now_ms, NULL); /* better no entry than one that stays too long */
    return STRATA_SKIPPED;
}
