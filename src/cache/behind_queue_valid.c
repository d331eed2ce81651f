/* SPDX-License-Identifier: MIT
 *
 * Re-derives the invariants of behind_queue.c, for tests.
 */
#include "cache/behind_queue_inside.h"

static size_t list_length(const struct sta_list *list)
{
    size_t length = 0;
    for (const struct sta_list *node = list->next; node != list; node = node->next)
        length++;
    return length;
}

static bool entry_is_valid(const struct sta_behind_queue *queue,
                           const struct sta_behind_entry *entry,
                           struct sta_behind_queue_statistics *sums)
{
    struct sta_key key = sta_behind_entry_key(entry);
    bool flying = entry->state == STA_BEHIND_FLYING;
    sums->entries++;
    sums->bytes += sta_behind_queue_cost(queue, entry->key_len, entry->value_cap);
    sums->flying += flying;
    sums->parked += entry->state == STA_BEHIND_PARKED;
    if (entry->value_len > entry->value_cap || (entry->value == NULL) != (entry->value_cap == 0))
        return false;
    if ((entry->guard != NULL) != queue->config.guarded)
        return false;
    if (!flying &&
        (entry->heap_at >= queue->heap.count || queue->heap.entries[entry->heap_at] != entry))
        return false;
    return sta_behind_queue_find(queue, &key) == entry && entry->sent_version <= entry->version;
}

bool sta_behind_queue_valid(const struct sta_behind_queue *queue)
{
    struct sta_behind_queue_statistics sums = {0};
    uint64_t version = 0;
    for (size_t i = 1; i < queue->heap.count; i++) {
        if (queue->heap.entries[i]->due_ns < queue->heap.entries[(i - 1) / 2]->due_ns)
            return false;
    }
    for (const struct sta_list *node = queue->order.next; node != &queue->order;
         node = node->next) {
        const struct sta_behind_entry *entry = STA_CONTAINER(node, struct sta_behind_entry, order);
        if (entry->version <= version || !entry_is_valid(queue, entry, &sums))
            return false;
        version = entry->version;
    }
    return sums.entries == queue->numbers.entries && sums.bytes == queue->numbers.bytes &&
           sums.flying == queue->numbers.flying && sums.parked == queue->numbers.parked &&
           queue->heap.count + sums.flying == sums.entries && queue->heap.room >= sums.entries &&
           list_length(&queue->places) == sums.entries &&
           (queue->over ||
            (sums.bytes <= queue->config.max_bytes && sums.entries <= queue->config.max_entries));
}
