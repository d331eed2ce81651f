/* SPDX-License-Identifier: MIT
 *
 * One load for all processes: who loads holds a lease in Redis, the others wait until it is gone.
 *
 *     watch -> the key is read, and is not there -> take --ours--> read again, load, store and drop
 *       ^                                            |             in one step (cache/fill.h)
 *       '----- wait: until Redis names the key  <----'another's
 *              or the lease, or the lease is over
 *
 * The lease is a key of its own, in the slot of the key that it is for, with a random word that
 * only its owner knows, and a TTL: SET lease word NX PX ttl. An owner that dies holds it no longer
 * than that. One that comes late finds that it is not his any more, and stores nothing: the script
 * that stores looks at the lease first.
 * Who waits has read both keys on the tracked connection (the one that is not there, and the
 * lease's TTL), so that the server names them when they change, and nobody polls. Where the server
 * does not track, the wait is a poll that backs off from STA_LEASE_POLL_MS to
 * STA_LEASE_POLL_MOST_MS.
 *
 * Threads: a lease belongs to the thread that wants it; forget() and doubt() are the loop's.
 */
#ifndef STA_LEASE_H
#define STA_LEASE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/list.h"
#include "strata/bytes.h"

#define STA_LEASE_POLL_MS      5u
#define STA_LEASE_POLL_MOST_MS 200u
#define STA_LEASE_WORD_LEN     32u

/* Behind the name of every lease. */
#define STA_LEASE_SUFFIX ":strata-lease"

struct sta_cache;

/* Who waits in this cache. */
struct sta_leases {
    pthread_mutex_t lock;
    struct sta_list watching; /* guarded by lock */
    atomic_uint count;        /* how many these are; relaxed where nobody watches */
    uint64_t random;          /* guarded by lock */
};

struct sta_lease {
    struct sta_cache *cache;
    struct sta_buffer names; /* the key as Redis has it, then the lease's */
    struct strata_bytes key, name;
    char word[STA_LEASE_WORD_LEN + 1];
    bool held;
    bool doubtful; /* it was asked for, and nobody said whose it is: it may be ours later */

    /* Of the last take() that found another's. */
    bool tracked;
    uint64_t over_ns; /* it is over then */
    unsigned polls;

    struct sta_list link; /* guarded by the table's lock, as all that follow */
    bool watching, woken;
    pthread_cond_t changed;
};

void sta_lease_table_init(struct sta_leases *leases, uint64_t seed);
void sta_lease_table_fini(struct sta_leases *leases);

/* Redis names a key, prefix and all. */
void sta_lease_forget(struct sta_leases *leases, struct strata_bytes key);
/* It may have named keys, and we would not know. */
void sta_lease_doubt(struct sta_leases *leases);

/* The name of the lease for a key, appended to `out`: it begins with the prefix, ends with
 * STA_LEASE_SUFFIX, and in a cluster has the slot of the key. STRATA_ERR_NOMEM; STRATA_ERR_INVALID:
 * there is no such name among those that are tried (braces of a kind that nobody uses). */
int sta_lease_name(struct sta_buffer *out, struct strata_bytes prefix, struct strata_bytes key,
                   bool cluster);

/* Whether a key that Redis has is a lease, and no value. */
bool sta_lease_is_name(struct strata_bytes key);

/* `key` without the prefix. STRATA_ERR_NOMEM, STRATA_ERR_INVALID: nothing to be freed. */
int sta_lease_init(struct sta_lease *lease, struct sta_cache *cache, struct strata_bytes key);
/* Drops it where it is held, or may be. */
void sta_lease_fini(struct sta_lease *lease);

/* From here on wait() hears of what is named; what was named before is forgotten. */
void sta_lease_watch(struct sta_lease *lease);

/* STRATA_OK: ours for `ttl_ms`; STRATA_SKIPPED: another's; or why Redis did not say. */
int sta_lease_take(struct sta_lease *lease, uint64_t ttl_ms);

/* After STRATA_SKIPPED: returns when it is worth to look again, at `deadline_ns` at the latest. */
void sta_lease_wait(struct sta_lease *lease, uint64_t deadline_ns);

#endif
