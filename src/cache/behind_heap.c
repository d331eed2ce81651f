/* SPDX-License-Identifier: MIT
 *
 * See behind_heap.h.
 */
#include "cache/behind_heap.h"

#include <assert.h>
#include <stdlib.h>

#include "cache/behind_queue.h"
#include "strata/status.h"

#define ROOM_FIRST 1024u

static void heap_put(struct sta_behind_heap *heap, size_t at, struct sta_behind_entry *entry)
{
    heap->entries[at] = entry;
    entry->heap_at = at;
}

static void heap_rise(struct sta_behind_heap *heap, struct sta_behind_entry *entry)
{
    size_t at = entry->heap_at;
    while (at > 0 && heap->entries[(at - 1) / 2]->due_ns > entry->due_ns) {
        heap_put(heap, at, heap->entries[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(heap, at, entry);
}

static void heap_sink(struct sta_behind_heap *heap, struct sta_behind_entry *entry)
{
    size_t at = entry->heap_at;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count &&
            heap->entries[child + 1]->due_ns < heap->entries[child]->due_ns)
            child++;
        if (heap->entries[child]->due_ns >= entry->due_ns)
            break;
        heap_put(heap, at, heap->entries[child]);
        at = child;
    }
    heap_put(heap, at, entry);
}

int sta_behind_heap_reserve(struct sta_behind_heap *heap, size_t count)
{
    if (count <= heap->room)
        return STRATA_OK;
    size_t room = heap->room > 0 ? heap->room * 2 : ROOM_FIRST;
    while (room < count)
        room *= 2;
    struct sta_behind_entry **entries =
        realloc(heap->entries, room * sizeof(struct sta_behind_entry *));
    if (entries == NULL)
        return STRATA_ERR_NOMEM;
    heap->entries = entries;
    heap->room = room;
    return STRATA_OK;
}

void sta_behind_heap_fini(struct sta_behind_heap *heap)
{
    free(heap->entries);
    *heap = (struct sta_behind_heap){0};
}

void sta_behind_heap_push(struct sta_behind_heap *heap, struct sta_behind_entry *entry)
{
    assert(heap->count < heap->room);
    entry->heap_at = heap->count++;
    heap_rise(heap, entry);
}

struct sta_behind_entry *sta_behind_heap_pop(struct sta_behind_heap *heap)
{
    struct sta_behind_entry *first = heap->entries[0];
    struct sta_behind_entry *last = heap->entries[--heap->count];
    if (first != last) {
        last->heap_at = 0;
        heap_sink(heap, last);
    }
    return first;
}

void sta_behind_heap_remove(struct sta_behind_heap *heap, struct sta_behind_entry *entry)
{
    struct sta_behind_entry *last = heap->entries[--heap->count];
    if (last == entry)
        return;
    heap_put(heap, entry->heap_at, last);
    sta_behind_heap_move(heap, last);
}

void sta_behind_heap_move(struct sta_behind_heap *heap, struct sta_behind_entry *entry)
{
    heap_rise(heap, entry);
    heap_sink(heap, entry);
}

void sta_behind_heap_sort(struct sta_behind_heap *heap)
{
    for (size_t i = heap->count / 2; i-- > 0;)
        heap_sink(heap, heap->entries[i]);
}
