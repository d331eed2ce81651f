/* SPDX-License-Identifier: MIT
 *
 * Values of L1 that know their age: of which more must be known than until when L1 keeps them. Such
 * an entry has the flag STA_TIERS_AGED and a head before the value; others are the value alone, and
 * cost no look at all of this.
 *
 *     | fresh_until | throttled_until | filled | load_us | value ...
 *
 *     filled ------------------ fresh_until ---------------- the entry's deadline
 *              answered             only for who asks for stale ones
 *
 * Threads: any. Memory: what open() hands out points into the lease.
 */
#ifndef STA_AGED_H
#define STA_AGED_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/envelope.h"
#include "l1/l1.h"

#define STA_AGED_HEAD 32u

struct sta_cache;

struct sta_aged {
    uint64_t fresh_until_ms;     /* as the deadlines of l1.h */
    uint64_t throttled_until_ms; /* a load has failed: not again before */
    uint64_t filled_ms;
    uint64_t load_us; /* what the load took; 0: not known */
};

/* What is kept in L1, from what Redis has. */
struct sta_aged_entry {
    const struct sta_key *key;
    struct strata_bytes stored; /* envelope or plain */
    uint64_t ttl_ms;            /* that is left of it there; UINT64_MAX: no end */
    uint64_t since_ms;          /* when that was asked, or before */
    bool aged;                  /* with a head, though it is plain */
    bool replaces;              /* published: in the place of what is there */
    struct sta_l1_token token;
};

/* Into L1, for its TTL and the time after it in which the value is stale, under the token. What is
 * stale already is kept, too, for who may serve it. STRATA_OK; else it is not kept, and what was
 * there stays: STRATA_SKIPPED, or an error, which is counted. */
int sta_aged_fill(struct sta_cache *cache, const struct sta_aged_entry *entry, uint64_t now_ms);

/* A load has failed: what L1 has of the key, believed or not, says so until then, and is otherwise
 * as it was. Under the token, whose stamp is not looked at. Nothing where it is not there, or has
 * no head. */
void sta_aged_throttle(struct sta_cache *cache, const struct sta_key *key,
                       struct sta_l1_token token, uint64_t until_ms, uint64_t now_ms);

/* The head, and the value behind it, of what L1 has with the flag. */
struct strata_bytes sta_aged_open(struct strata_bytes kept, struct sta_aged *out);

#endif
