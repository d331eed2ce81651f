/* SPDX-License-Identifier: MIT
 *
 * A two-tier cache: L1 in this process' memory, L2 in Redis.
 *
 * Threads: every call is safe from any thread, except strata_close(), which must be the last.
 * While a synchronous call waits for Redis, it does the cache's I/O on the calling thread, that of
 * other threads' calls too; callbacks never run there. It is no cancellation point.
 * Order: calls that are under way at the same time have none among them, two asynchronous sets of
 * one key included; what a completed call did, every later one sees.
 * Time: no call takes longer than the budget (socket_timeout_ms) plus one scheduling delay,
 * whatever Redis does. TTLs are milliseconds; 0 is the configured default, STRATA_UNLIMITED
 * never expires (in L1 the configured L1 TTL still bounds it), and so does a TTL of more than 2^62.
 * Keys are 1 to 65535 bytes, values that are set 0 to 64 MiB, one batch of sets up to 128 MiB in
 * all; larger is STRATA_ERR_TOO_BIG. Both are binary. In Redis a key carries the configured prefix.
 */
#ifndef STRATA_CACHE_H
#define STRATA_CACHE_H

#include <stdbool.h>

#include "bytes.h"
#include "options.h"
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct strata;

/* Opens a cache. `options` NULL: from the environment. Redis need not be reachable: the first
 * calls will say so. On failure *out is untouched and `error` (may be NULL) has the particulars:
 * STRATA_ERR_CONFIG, STRATA_ERR_UNSUPPORTED, STRATA_ERR_NOMEM, STRATA_ERR_SYSTEM; STRATA_ERR_BUSY:
 * another process has the journal of write-behind. */
STRATA_API int strata_open(struct strata **out, const struct strata_options *options,
                           struct strata_error *error);

/* With write-behind: waits until Redis has everything, write_behind_drain_timeout_ms at most; what
 * it does not have then is lost, and counted in the log (strata_flush() says so before). Ends
 * pending asynchronous calls with STRATA_ERR_CLOSED (their callbacks run before this returns),
 * releases everything and sets the pointer to NULL. Values that were handed out must have been
 * released; queues must have been closed. NULL is fine. */
STRATA_API void strata_close(struct strata **cache);

/* Changes options of an open cache: all of `settings`, or none. What may change, and what not and
 * why, docs/configuration.md says of each option; values and bounds are those of files. Of one
 * option that is named twice the later counts. Every call that begins after this one has returned
 * goes by the new values; where L1 is to be smaller it is so by then. Two exceptions: entries keep
 * the TTL that they were stored with, and what waits for its write_behind_interval keeps that.
 * l1_max_bytes may become up to 16 times what the cache was opened with; of l1_quotas the bounds
 * change, and the prefixes are those that it was opened with.
 * STRATA_OK; STRATA_ERR_INVALID: no such option; STRATA_ERR_UNSUPPORTED: it is not one of those
 * that change; STRATA_ERR_CONFIG: the value; STRATA_ERR_NOMEM. `error` (may be NULL) has the
 * particulars, and then nothing has changed. May wait for other threads' stores, not for Redis;
 * from any thread but callbacks of the cache. */
STRATA_API int strata_reconfigure(struct strata *cache, const struct strata_setting *settings,
                                  size_t count, struct strata_error *error);

/* The one shared instance of this process, opened from the environment on first use; NULL where
 * that failed (`error` says why; the next call tries again). Never closed by the library. */
STRATA_API struct strata *strata_default(struct strata_error *error);

/* ---- one key ---- */

/* A value that a call handed out: readable until strata_release(). Zeroed holds nothing. */
struct strata_value {
    struct strata_bytes bytes;
    void *owner[4]; /* the library's */
};

/* STRATA_OK with a value to release, STRATA_MISS, or an error. L1 answers first; then, with
 * read-through on, Redis, whose answer fills L1. Where Redis does not answer and L1
 * has a value that may have changed since, serve_stale says what becomes of it: STRATA_STALE with
 * that value to release, STRATA_ERR_UNPROVEN, or else Redis' failure. The same holds for all gets
 * below. */
STRATA_API int strata_get(struct strata *cache, struct strata_bytes key,
                          struct strata_value *value);

/* Gives a value back and zeroes it; a zeroed one is fine. */
STRATA_API void strata_release(struct strata_value *value);

/* As strata_get(), but copies up to `cap` bytes to `buffer` and stores the value's whole length
 * in *len, which may be more than cap (then the first cap bytes were copied). Where neither
 * STRATA_OK nor STRATA_STALE is answered *len is as it was, and the buffer's bytes may not be. The
 * fastest way to a small value. */
STRATA_API int strata_get_copy(struct strata *cache, struct strata_bytes key, void *buffer,
                               size_t cap, size_t *len);

/* Write-through: STRATA_OK says that Redis acknowledged; then L1 holds the value too. After
 * STRATA_ERR_TIMEOUT or STRATA_ERR_LOST the outcome is unknown and L1 does not hold the key.
 * With write-behind: STRATA_OK says that the write was accepted: all gets through this cache see
 * it, Redis follows; STRATA_ERR_BUSY: the queue is full, nothing was done. It may wait up to
 * socket_timeout: for room (write_behind_full=block), for the disk (a journal with fsync always),
 * and with write_behind_guard=on, of a key of which the cache knows nothing, until Redis was asked
 * what it has. STRATA_ERR_TIMEOUT: the disk or Redis did not answer by then, and the write is
 * accepted all the same: it is owed, and gets see it (write_behind_full=through: if it went to
 * Redis at once the outcome is unknown, as with write-through). STRATA_ERR_CLOSED: strata_close()
 * came first, and its log says what is left. Any other error: nothing is owed.
 * With both off, L1 takes the value and Redis' copy is deleted. */
STRATA_API int strata_set(struct strata *cache, struct strata_bytes key, struct strata_bytes value,
                          uint64_t ttl_ms);

/* Deletes in both tiers: STRATA_OK, or STRATA_MISS where Redis (without L2: L1) had none. With
 * write-behind as strata_set(): nobody has asked Redis whether it had one. */
STRATA_API int strata_delete(struct strata *cache, struct strata_bytes key);

/* As strata_delete(), but for Redis' copy the key is queued, and nobody waits: queued keys are
 * deleted together, as soon as there are invalidation_batch_size of them or the first has waited
 * for invalidation_timeout_ms. Through this cache nobody gets the old value once this call has
 * returned: the key leaves L1 at once, and until Redis has acknowledged, a get answers STRATA_MISS;
 * other processes may get it until then. A set or delete of the key takes the place of what is
 * queued. A deletion that fails is tried again for ten times socket_timeout_ms; then it is given
 * up: that is counted and logged, and gets see what Redis has. strata_close() sends what is queued,
 * for one socket_timeout_ms at most.
 * With write-behind it is a delete in the queue of writes, which is bounded and tried again as
 * these are.
 * STRATA_OK; STRATA_ERR_BUSY or NOMEM: not queued (65536 keys or 8 MiB of them are), and the key
 * has left L1 all the same; STRATA_ERR_DISABLED: by invalidation_enabled, nothing was done. May be
 * called from callbacks. */
STRATA_API int strata_invalidate(struct strata *cache, struct strata_bytes key);

/* With write-behind: waits until Redis has acknowledged every write that was accepted before this
 * call, or a later one of the same key has been accepted; in the meantime nothing waits for its
 * interval or its rate. STRATA_OK, or STRATA_ERR_TIMEOUT after `timeout_ms` (STRATA_UNLIMITED: it
 * waits as long as it takes). Without write-behind STRATA_OK at once. */
STRATA_API int strata_flush(struct strata *cache, uint64_t timeout_ms);

/* Whether a write that answered STRATA_OK is where all who share the cache look for it: Redis has
 * it (write-through), or there is no L2. With write-behind Redis has it later; with neither never.
 * By configuration, and the same for as long as the cache is open. Any thread. */
STRATA_API bool strata_writes_through(const struct strata *cache);

/* ---- batches: one round trip for all; statuses[i] (`statuses` may be NULL) is what the single
 * call would have answered for key i; it is set whatever happens. They return STRATA_OK where no
 * status is an error, the error where all have the same, else STRATA_ERR_PARTIAL ---- */

struct strata_item {
    struct strata_bytes key;
    struct strata_bytes value;
    uint64_t ttl_ms;
};

/* values[i] is to be released where statuses[i] is STRATA_OK or STALE, and zeroed where it is not;
 * so releasing all of them is right, too. */
STRATA_API int strata_get_many(struct strata *cache, const struct strata_bytes *keys, size_t count,
                               struct strata_value *values, int *statuses);
STRATA_API int strata_set_many(struct strata *cache, const struct strata_item *items, size_t count,
                               int *statuses);
STRATA_API int strata_delete_many(struct strata *cache, const struct strata_bytes *keys,
                                  size_t count, int *statuses);

/* ---- asynchronous twins ----
 *
 * They return STRATA_OK, or STRATA_ERR_INVALID, STRATA_ERR_TOO_BIG or STRATA_ERR_NOMEM; what else
 * may happen is the status of the completion. That is called exactly once for each call that
 * returned STRATA_OK, never from within the call. Without a queue it runs on the cache's I/O
 * thread: it must not block, may make asynchronous calls, and gets STRATA_ERR_INVALID from the
 * synchronous ones. With a queue it runs on the thread that dispatches the queue, where all calls
 * are allowed. Key and value bytes are copied before the call returns. `value` is NULL except for a
 * get that answered STRATA_OK or STRATA_STALE; it dies when the callback returns, unless the
 * callback takes it over by copying the struct and zeroing the original. */

struct strata_queue;

typedef void (*strata_callback)(void *arg, int status, struct strata_value *value);

struct strata_completion {
    strata_callback call;
    void *arg;
    struct strata_queue *queue; /* NULL: on the I/O thread */
};

STRATA_API int strata_get_async(struct strata *cache, struct strata_bytes key,
                                struct strata_completion completion);
STRATA_API int strata_set_async(struct strata *cache, struct strata_bytes key,
                                struct strata_bytes value, uint64_t ttl_ms,
                                struct strata_completion completion);
STRATA_API int strata_delete_async(struct strata *cache, struct strata_bytes key,
                                   struct strata_completion completion);

/* A completion queue for an event loop of your own: wait until strata_queue_fd() is readable
 * (poll, epoll, uv_poll, ...), then dispatch. One queue may serve several caches.
 * STRATA_ERR_NOMEM, STRATA_ERR_SYSTEM (no descriptor is left). */
STRATA_API int strata_queue_open(struct strata_queue **out);

/* Close it only after the cache whose calls use it is closed, or after all of them completed;
 * what was not dispatched is dispatched by this call. Sets the pointer to NULL; NULL is fine. */
STRATA_API void strata_queue_close(struct strata_queue **queue);

/* To be waited for, and neither read nor closed: it is the queue's, and lives as long. */
STRATA_API int strata_queue_fd(const struct strata_queue *queue);

/* Runs up to `most` waiting completions (0: all that wait now) on the calling thread, one thread
 * at a time; returns how many ran. */
STRATA_API size_t strata_queue_dispatch(struct strata_queue *queue, size_t most);

/* ---- numbers ---- */

/* Keys, since the cache was opened; a batch counts each of its own. */
struct strata_tier_statistics {
    uint64_t hits;
    uint64_t misses;
    uint64_t sets;
    uint64_t deletes;
    uint64_t errors; /* operations that the tier failed */
};

/* How L1 hears of what others write to Redis. */
enum strata_coherence {
    STRATA_COHERENCE_TTL = 0, /* not at all: an entry is as good as its TTL. By configuration, or
                                      because a server refuses to track */
    STRATA_COHERENCE_UNKNOWN = 1,  /* no server has been reached yet */
    STRATA_COHERENCE_TRACKING = 2, /* servers name what we have read and others have changed */
    STRATA_COHERENCE_BCAST = 3     /* servers name all that changes under our prefix */
};

/* strata_invalidate(): keys. */
struct strata_invalidation_statistics {
    uint64_t queued;    /* calls that were taken */
    uint64_t coalesced; /* of these: their key was queued already */
    uint64_t batches;   /* that were sent */
    uint64_t done;      /* keys that Redis has not any more, or that were written anew */
    uint64_t retried;   /* keys that were queued again after a failure */
    uint64_t failed;    /* keys that were given up */
    uint64_t waiting;   /* keys that are queued or sent now */
};

/* Write-behind: as it is now, and since the cache was opened. */
struct strata_write_behind_statistics {
    uint64_t entries; /* keys whose last write is not in Redis; */
    uint64_t bytes;   /*   the memory for them; */
    uint64_t parked;  /*   of these: refused again and again, and set aside for a while */
    uint64_t blocked; /* calls that wait for room */

    uint64_t accepted;  /* writes */
    uint64_t coalesced; /* of these: replaced by a later one of their key before they were sent */
    uint64_t flushed;   /* acknowledged by Redis */
    uint64_t retried;   /* sent again: Redis did not answer */
    uint64_t refused;   /* answers that were errors */
    uint64_t through;   /* sent at once: there was no room */
    uint64_t rejected;  /* STRATA_ERR_BUSY */
    uint64_t overtaken; /* keys whose writes were dropped, for others had written them: the guard */
};

struct strata_statistics {
    struct strata_tier_statistics l1;
    struct strata_tier_statistics l2;
    double combined_hit_ratio; /* (L1 hits + L2 hits) / gets; 0 before the first get */
    uint64_t l1_entries;
    uint64_t l1_memory_bytes;
    uint64_t l1_evictions;
    uint64_t l1_expirations;
    int l2_connected;       /* 1 or 0 */
    uint64_t l2_reconnects; /* connections made again after a loss */

    enum strata_coherence coherence;
    uint64_t invalidations;        /* keys that servers named */
    uint64_t invalidations_of_all; /* connections lost, databases flushed: all entries at once */
    uint64_t canaries;             /* proofs that invalidations come through */
    uint64_t canaries_lost;        /* connections given up because they did not */
    uint64_t stale_answers;        /* STRATA_STALE */
    uint64_t repairs;              /* entries in doubt that were asked for, and so read again */
    uint64_t repairs_delayed;      /* calls that waited for their turn, repair_rate being used up */
    uint64_t repairs_refused;      /* calls whose turn would have come after their time: BUSY */

    /* strata_get_or_load() and its kin */
    uint64_t loads;        /* keys that loaders were asked for */
    uint64_t loads_failed; /* of these: that were answered with an error */
    uint64_t loads_early;  /* of these: before the value's time was over */
    uint64_t loads_shared; /* keys that were answered by a load that another call ran */

    struct strata_invalidation_statistics invalidation;
    struct strata_write_behind_statistics write_behind;
};

/* As it is now, from any thread, callbacks too; asks Redis nothing, and always succeeds. Numbers
 * are read one after another while the cache works: sums may be off by what happened meanwhile. */
STRATA_API void strata_statistics(struct strata *cache, struct strata_statistics *out);

#ifdef __cplusplus
}
#endif

#endif
