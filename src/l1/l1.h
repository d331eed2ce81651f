/* SPDX-License-Identifier: MIT
 *
 * The door of l1: the in-memory tier. Keys and values are bytes; an entry has a deadline on the
 * monotonic clock and a byte of flags that belong to the caller. Bounded in bytes and in entries.
 *
 * Coherence. Each key hashes to one of a fixed number of 64-bit generations. A token is a
 * generation as it was read at one moment. Whatever makes a key doubtful advances its
 * generation, and a value is stored only under a token that is still current; the check and the
 * store are one step. Two keys that share a generation cost each other a miss, never a stale
 * value.
 *
 *   a read     token() -> ask L2 -> fill(token)            refused if anything overtook it
 *   a write    invalidate() -> send to L2 -> publish(token) on acknowledgement, or
 *                                            invalidate() where it failed or is unknown
 *   a push     invalidate()
 *
 * Threads: every call is safe from any thread at any time, except create and destroy.
 * Memory: values are copied in. A lease keeps its bytes readable until it is released, even
 * where the entry is replaced, evicted or the tier cleared meanwhile.
 * Time: `now_ms` is passed in (core/clock.h); deadlines are absolute, STA_NEVER means none.
 */
#ifndef STA_L1_H
#define STA_L1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/key.h"

struct sta_l1;

struct sta_l1_config {
    uint64_t max_bytes;   /* > 0; index, entries and headers together */
    uint64_t max_entries; /* 0: no bound but the bytes */
    uint64_t hash_seed;   /* of the keys that come in; see sta_l1_key() */
};

struct sta_l1_token {
    uint64_t generation;
};

/* What a hit hands out: borrowed until release(). Zeroed is "nothing leased". */
struct sta_l1_lease {
    struct strata_bytes value;
    uint64_t deadline_ms;
    uint8_t flags;
    void *pin; /* l1's own */
};

/* What goes in. */
struct sta_l1_entry {
    struct strata_bytes value;
    uint64_t deadline_ms; /* at or before now: not stored */
    uint8_t flags;        /* the caller's; handed out again with a hit */
};

struct sta_l1_statistics {
    uint64_t hits;
    uint64_t misses; /* all of them; expired ones are counted below too */
    uint64_t misses_expired;
    uint64_t fills;         /* entries stored, by fill, publish or set */
    uint64_t fills_refused; /* the token was no longer current */
    uint64_t fills_too_big;
    uint64_t evictions;
    uint64_t expirations; /* removed by read or sweep because their time was over */
    uint64_t invalidations;
    uint64_t entries;      /* now */
    uint64_t memory_bytes; /* now, as bounded by max_bytes */
    uint64_t held_bytes;   /* of these: without an entry, kept only by leases and readers */
    uint64_t max_bytes;
    uint64_t max_entries;
};

/* STRATA_ERR_NOMEM or STRATA_ERR_INVALID (max_bytes is 0). */
int sta_l1_create(struct sta_l1 **out, const struct sta_l1_config *config);

/* fork(): a child must not call anything on a tier of its parent; it may create its own. */

/* Takes NULL and handles that are NULL. No lease may be outstanding. */
void sta_l1_destroy(struct sta_l1 **l1);

/* A key hashed with this tier's seed. */
struct sta_key sta_l1_key(const struct sta_l1 *l1, struct strata_bytes bytes);

/* STRATA_OK with a lease that must be released, or STRATA_MISS with `lease` untouched. */
int sta_l1_get(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
               struct sta_l1_lease *lease);
void sta_l1_release(struct sta_l1 *l1, struct sta_l1_lease *lease);

/* A hit by copy: up to `cap` bytes of the value go to `buffer`. */
struct sta_l1_copy {
    void *buffer;
    size_t cap;
    size_t len; /* of the whole value; more than cap: only the first cap bytes were copied */
    uint64_t deadline_ms;
    uint8_t flags;
};

/* As get(), without a lease; the fastest way to a small value. STRATA_OK, or STRATA_MISS: then
 * `buffer` may have been written to, len, deadline_ms and flags not. */
int sta_l1_copy(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
                struct sta_l1_copy *copy);

/* Brings what a get of these keys would wait for into the processor's cache, all at once: a
 * batch of gets right after it takes a fraction of the time. Changes nothing. Keys beyond the
 * first STA_L1_PREFETCH_MOST are not looked at. */
#define STA_L1_PREFETCH_MOST 64u
void sta_l1_prefetch(const struct sta_l1 *l1, const struct sta_key *keys, size_t count);

/* The token under which a value that is read from L2 from now on may be filled. */
struct sta_l1_token sta_l1_token(const struct sta_l1 *l1, const struct sta_key *key);

/* Stores what a read brought, where `token` is still current. STRATA_OK; STRATA_SKIPPED where
 * it was overtaken, is past its deadline or too large; STRATA_ERR_NOMEM. Where the value is not
 * stored, what was there stays. */
int sta_l1_fill(struct sta_l1 *l1, const struct sta_key *key, const struct sta_l1_entry *entry,
                struct sta_l1_token token, uint64_t now_ms);

/* Removes the entry and advances the generation, as one step; returns the new token. `removed`
 * (may be NULL) says whether there was a live entry. */
struct sta_l1_token sta_l1_invalidate(struct sta_l1 *l1, const struct sta_key *key, uint64_t now_ms,
                                      bool *removed);

/* Ends an own write that began with invalidate() = token and is acknowledged: advances the
 * generation in any case (reads that began during the write must not fill), and stores `entry`
 * where `token` was current until now, else removes what is there. Answers as fill(). */
int sta_l1_publish(struct sta_l1 *l1, const struct sta_key *key, const struct sta_l1_entry *entry,
                   struct sta_l1_token token, uint64_t now_ms);

/* Stores without a condition and advances the generation: for a tier that is used alone.
 * STRATA_OK, STRATA_SKIPPED or STRATA_ERR_NOMEM; where the value is not stored, what was there
 * is removed. */
int sta_l1_set(struct sta_l1 *l1, const struct sta_key *key, const struct sta_l1_entry *entry,
               uint64_t now_ms);

/* Removes everything and advances every generation. */
void sta_l1_clear(struct sta_l1 *l1);

/* Removes expired entries, looking at up to `budget` entries from where the last sweep stopped;
 * returns how many it removed. */
uint64_t sta_l1_sweep(struct sta_l1 *l1, uint64_t now_ms, uint64_t budget);

/* New bounds; evicts down to them before it returns. STRATA_ERR_INVALID where max_bytes is 0. A
 * tier works best between a sixteenth and sixteen times the max_bytes it was created with, and
 * uses no more than the latter. */
int sta_l1_resize(struct sta_l1 *l1, uint64_t max_bytes, uint64_t max_entries);

void sta_l1_statistics(const struct sta_l1 *l1, struct sta_l1_statistics *out);

/* Re-derives every invariant of the structure; for tests and debug builds. Slow. */
bool sta_l1_valid(const struct sta_l1 *l1);

#endif
