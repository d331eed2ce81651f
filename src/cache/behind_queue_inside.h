/* SPDX-License-Identifier: MIT
 *
 * The struct behind behind_queue.h, for the files that share it.
 */
#ifndef STA_BEHIND_QUEUE_INSIDE_H
#define STA_BEHIND_QUEUE_INSIDE_H

#include "cache/behind_heap.h"
#include "cache/behind_queue.h"
#include "core/rate.h"

/* What an entry takes beside itself, its key and its value: a chain, a place in the heap, and what
 * malloc() adds, twice. */
#define STA_BEHIND_ENTRY_SLACK 64u

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
static inline uint64_t sta_behind_queue_cost(size_t key_len, size_t value_cap)
{
    return sizeof(struct sta_behind_entry) + STA_BEHIND_ENTRY_SLACK + key_len + value_cap;
}

#endif
