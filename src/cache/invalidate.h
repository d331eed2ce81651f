/* SPDX-License-Identifier: MIT
 *
 * Queued invalidation: keys that leave L1 at once, and whose copies in L2 are deleted some at a
 * time.
 *
 *     any thread    add() ----> WAITING --.                          L1: gone, and not filled
 *                     ^ the same key: no second entry
 *     loop's thread             '--- batch_size of them, or timeout after the first, or closing
 *                            SENT, one batch at a time --acknowledged--> gone
 *                              |--failed, within its budget--> WAITING
 *                              '--failed, beyond it--> given up: counted, and said in the log
 *
 * From add() until it is gone nobody reads the key through this cache, from neither tier: a read
 * answers that it is not there. An own write of the key holds its entry while it is under way: once
 * the write is acknowledged there is nothing left to delete, and where it fails the key waits
 * again. Bounded: STA_INVALIDATE_KEYS_MOST keys, STA_INVALIDATE_BYTES_MOST bytes.
 * Threads: add(), hides(), hold(), settle() and statistics: any; the rest by who creates and
 * destroys the cache. One lock, which only misses and writes look for, and only while there are
 * entries.
 */
#ifndef STA_INVALIDATE_H
#define STA_INVALIDATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"
#include "l2/batch.h"
#include "net/loop.h"
#include "net/paced_log.h"
#include "strata/cache.h"

#define STA_INVALIDATE_KEYS_MOST  ((size_t)65536)
#define STA_INVALIDATE_BYTES_MOST ((size_t)8 << 20)
#define STA_INVALIDATE_BUCKETS    4096u

/* A key may be sent again for so many budgets of a call. */
#define STA_INVALIDATE_BUDGETS 10u

struct sta_cache;
struct sta_waiter;

struct sta_invalidate {
    /* Fixed at creation. */
    struct sta_cache *cache;
    bool enabled; /* there is an L2; whether it is wanted: cache->live.invalidation */
    uint64_t seed;

    /* Any thread. Relaxed where it is 0: see sta_invalidate_hides(). */
    _Atomic size_t count; /* entries that hide their keys */

    /* Guarded by lock. */
    pthread_mutex_t lock;
    size_t batch_size;
    uint64_t timeout_ns;
    struct sta_list waiting; /* entries, the eldest first */
    size_t waiting_count;
    size_t bytes;
    uint64_t last;            /* number of the entry that was made last */
    struct sta_list *buckets; /* NULL until the first add() */
    bool posted;
    bool closing;
    uint64_t close_ns; /* the deadline of what is sent while closing */
    struct sta_waiter *closer;
    struct strata_invalidation_statistics counts;
    uint64_t failed_told;

    /* The loop's thread. */
    struct sta_task task;
    struct sta_timer timer;
    struct sta_paced_log log; /* of what was given up */
    struct sta_list sent;     /* entries; by tag in `by_tag` */
    struct sta_invalidate_entry **by_tag;
    struct sta_batch batch;
    bool sending;
    uint64_t not_before_ns; /* after a failure */
};

/* Before the loop runs. */
void sta_invalidate_init(struct sta_invalidate *invalidate, struct sta_cache *cache);

/* The cache has a loop now, which does not run yet. */
void sta_invalidate_start(struct sta_invalidate *invalidate);

/* Other bounds of a batch, which hold for what waits, too. Any thread, while the loop runs. */
void sta_invalidate_adjust(struct sta_invalidate *invalidate, size_t batch_size,
                           uint64_t timeout_ns);

/* While the loop runs, and nobody else calls any more: sends what waits, for one budget at most. */
void sta_invalidate_close(struct sta_invalidate *invalidate);

/* After L2 has gone. */
void sta_invalidate_fini(struct sta_invalidate *invalidate);

/* STRATA_OK; STRATA_ERR_BUSY: full; STRATA_ERR_NOMEM; STRATA_ERR_DISABLED. Unless disabled the key
 * has left L1 in any case. */
int sta_invalidate_add(struct sta_invalidate *invalidate, struct strata_bytes key, uint64_t now_ns);

bool sta_invalidate_hides_slow(struct sta_invalidate *invalidate, struct strata_bytes key);

/* Whether the key's copy in L2 is still to be deleted. Whoever takes a fill token first and asks
 * then cannot keep what is older: add() makes its entry first and advances the generation then. */
static inline bool sta_invalidate_hides(struct sta_invalidate *invalidate, struct strata_bytes key)
{
    return atomic_load_explicit(&invalidate->count, memory_order_relaxed) > 0 &&
           sta_invalidate_hides_slow(invalidate, key);
}

uint64_t sta_invalidate_hold_slow(struct sta_invalidate *invalidate, struct strata_bytes key);

/* An own write of the key begins: the number of the entry that it holds, which must be settled; 0:
 * there is none. */
static inline uint64_t sta_invalidate_hold(struct sta_invalidate *invalidate,
                                           struct strata_bytes key)
{
    return atomic_load_explicit(&invalidate->count, memory_order_relaxed) > 0
               ? sta_invalidate_hold_slow(invalidate, key)
               : 0;
}

/* It has ended; `held` is what hold() said, and `written`: Redis acknowledged it. An entry that was
 * made since is another one, and stays as it is. */
void sta_invalidate_settle(struct sta_invalidate *invalidate, struct strata_bytes key,
                           uint64_t held, bool written);

void sta_invalidate_statistics(struct sta_invalidate *invalidate,
                               struct strata_invalidation_statistics *out);

#endif
