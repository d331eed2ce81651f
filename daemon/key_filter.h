/* SPDX-License-Identifier: MIT
 *
 * Which keys a client's unanswered commands may touch: a counting filter by key hash. Where it
 * says no, L1 may answer behind those commands; where it says perhaps, the read goes to Redis on
 * their heels, so that replies about one key never run backwards in time. Perhaps is right for
 * n keys under way in about n of 64 cases; it costs an L1 hit, nothing else.
 *
 * Zeroed is empty. One owner.
 */
#ifndef STA_KEY_FILTER_H
#define STA_KEY_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#define STA_KEY_FILTER_SIZE 64u

struct sta_key_filter {
    uint32_t unknown; /* commands whose keys are not known: any key may be theirs */
    uint32_t keys[STA_KEY_FILTER_SIZE];
};

static inline uint32_t *sta_key_filter_at(struct sta_key_filter *filter, uint64_t hash)
{
    return &filter->keys[(hash >> 24) % STA_KEY_FILTER_SIZE];
}

static inline void sta_key_filter_add(struct sta_key_filter *filter, uint64_t hash)
{
    ++*sta_key_filter_at(filter, hash);
}

static inline void sta_key_filter_remove(struct sta_key_filter *filter, uint64_t hash)
{
    --*sta_key_filter_at(filter, hash);
}

static inline bool sta_key_filter_may_have(struct sta_key_filter *filter, uint64_t hash)
{
    return filter->unknown != 0 || *sta_key_filter_at(filter, hash) != 0;
}

#endif
