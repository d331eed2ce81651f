/* SPDX-License-Identifier: MIT
 *
 * How what a loader brought gets into the tiers: only where nothing overtook its load, and never
 * over a value that somebody else has written to Redis meanwhile.
 *
 *     caller's thread   run() --------------------------------------------------> waits
 *     loop's thread       is the load still current? --no--> STRATA_SKIPPED         ^
 *                         SET NX, EXISTS -->  token taken: our own SET's push       |
 *                                             has come before the second reply      |
 *                         GET, PTTL ------->  into L1 under that token -------------'
 *
 * What the GET brings is what Redis has, and so what L1 keeps and callers get: ours, or what
 * somebody else wrote while we loaded. That the check and the sending are one step on the loop
 * keeps own writes out of between: a delete that began before is seen by the check, and one that
 * begins after it is sent after us.
 * Over an old value, or with a lease, a script stands in the place of SET NX: it stores where the
 * lease is still ours, and where Redis still has what we replace.
 * Several go together: sent in one step on the loop, and waited for together.
 * A value that is larger than what is asked for again (coherence.h) leaves L1 empty; the next read
 * brings it. Without L2, or with values in L1 alone, L1 takes it under the load's token.
 */
#ifndef STA_FILL_H
#define STA_FILL_H

#include "cache/flight.h"
#include "cache/tiers.h"
#include "l2/batch.h"
#include "l2/command.h"

struct sta_fill {
    /* The caller's. */
    struct sta_cache *cache;
    struct sta_key key;
    struct sta_flight *flight;
    struct sta_l1_token token; /* taken before the load began */
    bool none;                 /* there is none, and that is kept in L1 for ttl_ms */
    struct strata_bytes value; /* readable until run() returns */
    struct strata_bytes old;   /* what Redis has, as it is stored, and this one */
    bool replaces;             /*   replaces; false: there is none */
    uint64_t stale_ms; /* after ttl_ms: may be served where loads fail; 0: not; a hundred years
                                  at most */
    uint64_t load_us;  /* what the load took, for who decides early; 0: not told */
    bool aged;         /* L1 is to know its age (cache/aged.h) */
    struct sta_lease *lease; /* held; NULL: none. Stored and dropped is one step */
    uint64_t ttl_ms;         /* 0: the configured */

    /* What run() found in Redis and is not what it brought; to be released. */
    struct strata_value there;
    /* STRATA_OK: kept. STRATA_SKIPPED: overtaken, nothing was sent. Or why Redis did not take it.
     * With STRATA_OK, `there` may hold a value: Redis has that one. */
    int status;

    /* the room's own */
    bool settled; /* no own write is under way any more, `token` is of after it, and no queued
                     invalidation hides the key */
    struct sta_fill_together *together;
    bool prepared;              /* what is sent was initialised */
    struct strata_bytes stored; /* `value` as Redis gets it */
    struct sta_buffer envelope; /* if it is in one */
    struct sta_buffer name;
    struct strata_bytes whole; /* the key as Redis has it */
    uint64_t begun_ns;
    struct sta_batch add, get;
    struct sta_command store; /* instead of `add`, with a lease or an old value */
};

/* Each has its status when this returns. */
void sta_fill_run(struct sta_fill *const *fills, size_t count, uint64_t now_ns);

#endif
