/* SPDX-License-Identifier: MIT
 *
 * The struct behind behind_queue.h, for the files that share it.
 */
#ifndef STA_BEHIND_QUEUE_INSIDE_H
#define STA_BEHIND_QUEUE_INSIDE_H

#include <string.h>

#include "cache/behind_heap.h"
#include "cache/behind_queue.h"
#include "core/rate.h"

/* What an entry takes beside itself, its key and its value: a chain, a place in the heap, and what
 * malloc() adds, twice. */
#define STA_BEHIND_ENTRY_SLACK 64u
#define STA_BEHIND_GUARD_SLACK 16u

struct sta_behind_queue {
    struct sta_behind_queue_config config;
    struct sta_behind_entry **buckets;
    size_t bucket_count; /* a power of two */
    struct sta_behind_heap heap;
    struct sta_list order;
    struct sta_list places;
    uint64_t version;
    uint64_t random;
    struct sta_rate rate;
    uint64_t quiet_ns; /* nothing is sent before */
    unsigned failures; /* in a row, without any answer of Redis */
    bool hurry;
    bool wanted; /* its room */
    bool over;   /* restore() has filled it beyond its bounds */
    struct sta_behind_queue_statistics numbers;
};

/* By what is allocated for the value. */
static inline uint64_t sta_behind_queue_cost(const struct sta_behind_queue *queue, size_t key_len,
                                             size_t value_cap)
{
    uint64_t guard =
        queue->config.guarded ? sizeof(struct sta_behind_guard) + STA_BEHIND_GUARD_SLACK : 0;
    return sizeof(struct sta_behind_entry) + STA_BEHIND_ENTRY_SLACK + guard + key_len + value_cap;
}

/* What is under way, or owed next. */
static inline bool sta_behind_entry_is_superseded(const struct sta_behind_entry *entry)
{
    return entry->version != entry->sent_version;
}

/* ---- behind_guard.c: what the version guard adds ---- */

static inline bool sta_behind_entry_looks(const struct sta_behind_entry *entry)
{
    return entry->guard != NULL && sta_guard_must_look(&entry->guard->basis);
}

/* The entry takes the push's value, and what is known of its digest. */
static inline void sta_behind_guard_digest(struct sta_behind_entry *entry,
                                           const struct sta_behind_push *push)
{
    if (entry->guard == NULL)
        return;
    entry->guard->digested = push->digest != NULL;
    if (push->digest != NULL)
        memcpy(entry->guard->digest, push->digest, STA_SHA1_LEN);
}

/* Before a push takes the place of the value that is under way. */
void sta_behind_guard_keep(struct sta_behind_entry *entry);

/* What is under way was acknowledged, for good or while the entry is unsure; its answer was
 * lost. */
void sta_behind_guard_written(struct sta_behind_entry *entry);
void sta_behind_guard_lost(struct sta_behind_entry *entry);

/* ---- behind_queue.c, for it ---- */

void sta_behind_queue_wait(struct sta_behind_queue *queue, struct sta_behind_entry *entry,
                           uint64_t due_ns);
bool sta_behind_queue_settles(struct sta_behind_queue *queue, struct sta_behind_entry *entry,
                              uint64_t now_ns);
void sta_behind_queue_forget(struct sta_behind_queue *queue, struct sta_behind_entry *entry);

#endif
