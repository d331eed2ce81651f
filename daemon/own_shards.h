/* SPDX-License-Identifier: MIT
 *
 * The shard channels that a client's own connection is subscribed to, by name, so that they can be
 * subscribed to anew where their slot goes; and which of them Redis has ended unasked. Each call
 * about one name costs the same however many there are; the order of the names is nobody's.
 * Pure. Memory: a block for each name, and one of two to four words for each. Threads: one owner.
 */
#ifndef STA_OWN_SHARDS_H
#define STA_OWN_SHARDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "strata/bytes.h"

struct sta_own_shard;

struct sta_own_shards {
    struct sta_own_shard **slots; /* an open hash, probed linearly, half full at most */
    size_t slot_count;            /* a power of two, or 0 */
    size_t count;                 /* of names */
    size_t ended;                 /* of these, unasked */
    uint64_t seed;                /* of their hashes: it is clients who choose the names */
};

void sta_own_shards_init(struct sta_own_shards *shards, uint64_t seed);
void sta_own_shards_fini(struct sta_own_shards *shards);

/* Subscribed to, also where it is there already, or had ended. STRATA_ERR_NOMEM. */
int sta_own_shards_add(struct sta_own_shards *shards, struct strata_bytes name);

/* Without effect where it is not there. */
void sta_own_shards_remove(struct sta_own_shards *shards, struct strata_bytes name);
void sta_own_shards_clear(struct sta_own_shards *shards);

/* Redis has ended it, or all of them. Without effect where it is not there. */
void sta_own_shards_end(struct sta_own_shards *shards, struct strata_bytes name);
void sta_own_shards_end_all(struct sta_own_shards *shards);

/* Nothing is left of what is subscribed to. */
static inline bool sta_own_shards_have_ended(const struct sta_own_shards *shards)
{
    return shards->count > 0 && shards->ended == shards->count;
}

/* Calls visit() for each name, with `arg`; it changes nothing here, and ends all where what it
 * returns is negative. Returns that, or STRATA_OK. */
int sta_own_shards_each(const struct sta_own_shards *shards,
                        int (*visit)(void *arg, struct strata_bytes name), void *arg);

/* Appends SSUBSCRIBE with all of them. STRATA_ERR_NOMEM. */
int sta_own_shards_write(const struct sta_own_shards *shards, struct sta_buffer *wire);

#endif
