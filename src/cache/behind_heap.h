/* SPDX-License-Identifier: MIT
 *
 * The entries of a write-behind queue that wait, by the time when they are due: a binary heap. An
 * entry knows where in it it stands (heap_at).
 * Threads: one owner. Memory: an array that grows by doubling, in reserve() alone.
 */
#ifndef STA_BEHIND_HEAP_H
#define STA_BEHIND_HEAP_H

#include <stddef.h>

struct sta_behind_entry;

/* Zeroed is an empty one. The first entry is due before all others. */
struct sta_behind_heap {
    struct sta_behind_entry **entries;
    size_t count;
    size_t room;
};

void sta_behind_heap_fini(struct sta_behind_heap *heap);

/* Room for `count` entries: STRATA_OK or STRATA_ERR_NOMEM. */
int sta_behind_heap_reserve(struct sta_behind_heap *heap, size_t count);

/* There must be room. */
void sta_behind_heap_push(struct sta_behind_heap *heap, struct sta_behind_entry *entry);

/* The first; there must be one. */
struct sta_behind_entry *sta_behind_heap_pop(struct sta_behind_heap *heap);

/* One that is in it. */
void sta_behind_heap_remove(struct sta_behind_heap *heap, struct sta_behind_entry *entry);

/* The due time of one entry was changed; of any number of them. */
void sta_behind_heap_move(struct sta_behind_heap *heap, struct sta_behind_entry *entry);
void sta_behind_heap_sort(struct sta_behind_heap *heap);

#endif
