/* SPDX-License-Identifier: MIT
 *
 * Blocks, and taking entries out of the tier (tier.h). Large blocks are mappings of their own,
 * so that their pages are gone with them, whatever the allocator would keep.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "l1/tier.h"

#define HEAP_MOST    (64u * 1024) /* what is larger is a mapping: a page more at the least */
#define PAGE_BYTES   4096u
#define MALLOC_BYTES 16u /* what malloc adds, about */

/* By its size as it is accounted, which tells the two apart. */
static bool is_mapped(const struct sta_block *block)
{
    return block->size > HEAP_MOST + MALLOC_BYTES;
}

struct sta_block *sta_entry_create_block(uint64_t size)
{
    struct sta_block *block;
    if (size > HEAP_MOST) {
        size = (size + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
        block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED)
            return NULL;
    } else {
        block = malloc(size);
        if (block == NULL)
            return NULL;
        size = (size + MALLOC_BYTES + 15u) & ~(uint64_t)15;
    }
    block->size = size;
    atomic_init(&block->refs, 1);
    return block;
}

void sta_entry_unref_block(struct sta_block *block)
{
    /* release our reads of the bytes to whoever frees; acquire everybody's before freeing */
    if (atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (is_mapped(block))
        munmap(block, block->size);
    else
        free(block);
}

static const struct sta_segment *segment_of(const struct sta_l1 *l1, uint32_t offset)
{
    return &l1->arena.segments[sta_arena_segment_of(&l1->arena, offset)];
}

enum sta_queue_name sta_entry_queue_name(const struct sta_l1 *l1, uint32_t offset)
{
    return (enum sta_queue_name)segment_of(l1, offset)->queue;
}

static struct sta_queue *queue_of(const struct sta_l1 *l1, uint32_t offset)
{
    const struct sta_segment *segment = segment_of(l1, offset);
    return &l1->lanes[segment->lane].queues[segment->queue];
}

static void drop_block(struct sta_l1 *l1, const struct sta_item *item, uint8_t state)
{
    if (!(state & STA_ITEM_BLOCK))
        return;
    struct sta_block *block = sta_item_block(item);
    sta_tier_sub(&l1->block_bytes, block->size);
    sta_budget_give(&l1->memory, block->size);
    sta_entry_unref_block(block);
}

void sta_entry_forget_passed(struct sta_l1 *l1, struct sta_queue *queue,
                             const struct sta_item *item)
{
    sta_queue_change(&queue->own.bytes, -sta_tier_cost(l1, item));
    sta_queue_change(&queue->own.entries, (uint64_t)-1);
    drop_block(l1, item, sta_item_head(item).state);
}

void sta_entry_forget_held(struct sta_l1 *l1, const struct sta_lane *held, uint32_t offset)
{
    if (segment_of(l1, offset)->lane != held->number) {
        sta_entry_forget(l1, offset);
        return;
    }
    const struct sta_item *item = sta_arena_item(&l1->arena, offset);
    struct sta_queue *queue = queue_of(l1, offset);
    uint64_t size = sta_arena_align(&l1->arena, sta_item_size_of(sta_item_head(item)));
    sta_queue_change(&queue->own.dead, size);
    sta_entry_forget_passed(l1, queue, item);
}

/* The item may be read: eviction cannot get past it without the bucket's lock, which we hold. */
void sta_entry_forget(struct sta_l1 *l1, uint32_t offset)
{
    const struct sta_item *item = sta_arena_item(&l1->arena, offset);
    struct sta_queue *queue = queue_of(l1, offset);
    struct sta_item_head head = sta_item_head(item);
    sta_tier_add(&queue->others.dead, sta_arena_align(&l1->arena, sta_item_size_of(head)));
    /* release: whoever sees these knows what was there before, and, of a queue without entries
     * (sta_eviction_give_up), all its dead */
    atomic_fetch_sub_explicit(&queue->others.bytes, sta_tier_cost(l1, item), memory_order_release);
    atomic_fetch_sub_explicit(&queue->others.entries, 1, memory_order_release);
    drop_block(l1, item, head.state);
}

void sta_entry_remove_locked(struct sta_l1 *l1, struct sta_slot slot)
{
    uint32_t offset = sta_index_offset(slot);
    sta_index_remove_locked(slot);
    sta_entry_forget(l1, offset);
    sta_budget_give(&l1->places, 1);
}
