/* SPDX-License-Identifier: MIT
 *
 * Write-behind: a write is done when L1 and the queue (behind_queue.h) have it, and goes to Redis
 * later, on the loop.
 *
 *   any thread   admit     lock: queue, L1                    -> acknowledged
 *   loop         flights   lock: take what is due -> SET, UNLINK -> lock: settle, L1
 *   any thread   get       L1 misses: what the queue owes is the answer
 *
 * As long as a key is owed, L1 has its newest value or nothing, and Redis is not asked for it: the
 * push to the queue and the store in L1 are one step under the lock, and a read takes its fill
 * token before it looks at the queue. So a read that saw nothing owed and is overtaken by a write
 * does not fill. What Redis names as changed does not touch a key that is owed: our write is yet to
 * come and will be the last. With a version guard (guard.h) it may also turn out not to be, and be
 * dropped. When Redis has acknowledged, what L1 keeps is what it tracks from then on (the SET and a
 * GET go together, cache/coherence.h), or nothing.
 *
 * The lock is the outermost one: L1's are taken under it, never the other way round.
 * Threads: as said at each call.
 */
#ifndef STA_BEHIND_H
#define STA_BEHIND_H

#include <stdbool.h>

#include "cache/cache.h"

struct sta_behind;

/* Reads cache->config.behind; l1, l2 and the loop are there. STRATA_ERR_NOMEM; of the journal
 * STRATA_ERR_BUSY and STRATA_ERR_SYSTEM, with directory and reason in `error` (may be NULL). */
int sta_behind_create(struct sta_behind **out, struct sta_cache *cache, struct strata_error *error);

/* Any thread: all but batch, guard, journal and sync are these from now on. */
void sta_behind_adjust(struct sta_behind *behind, const struct sta_behind_config *config);

/* One thread, in this order: close() while the loop runs waits for what is owed, no longer than
 * drain_ms; end() after the loop has ended and before l2 goes; destroy() after that, and says in
 * the log what was never written. NULL is fine for all of them. */
void sta_behind_close(struct sta_behind *behind);
void sta_behind_end(struct sta_behind *behind);
void sta_behind_destroy(struct sta_behind **behind);

/* Any thread. What is owed for the key: STRATA_OK with a copy, STRATA_MISS (it was deleted, or its
 * time is up), STRATA_ERR_NOMEM; STRATA_MORE: nothing is. */
int sta_behind_get(struct sta_behind *behind, const struct sta_key *key, uint64_t now_ns,
                   struct strata_value *value);

/* Any thread. What follows from the answer must not depend on what is pushed after it. */
bool sta_behind_owes(struct sta_behind *behind, const struct sta_key *key);

/* Any thread, as sta_write_begin() and send(). Where begin() answers STRATA_MORE and `through` of
 * the write is not 0, the items whose status is STRATA_MORE are to be written by the caller. */
int sta_behind_begin(struct sta_behind *behind, struct sta_write *write, uint64_t now_ns);
void sta_behind_send(struct sta_behind *behind, struct sta_write *write);

/* Any thread: whether it need not wait for the journal, nor for what Redis has of its keys. */
bool sta_behind_is_safe(struct sta_behind *behind, struct sta_write *write);

/* The loop's thread: the write has been dealt with, and is done when it is safe. */
void sta_behind_finish(struct sta_behind *behind, struct sta_write *write);

/* Any thread. A write of what was loaded, as Redis is to get it (cache/envelope.h), if `current`,
 * which is asked under the lock, says that no other write of the key came since: STRATA_OK;
 * STRATA_SKIPPED: one did; STRATA_ERR_BUSY, STRATA_ERR_TOO_BIG, STRATA_ERR_NOMEM: nothing was
 * done. */
int sta_behind_keep(struct sta_behind *behind, const struct strata_item *item,
                    bool (*current)(void *arg), void *arg, uint64_t now_ns);

/* Any thread. A delete that nobody waits for: STRATA_OK; STRATA_ERR_BUSY or NOMEM: what is owed for
 * the key is still owed, and the key has left L1. */
int sta_behind_erase(struct sta_behind *behind, struct strata_bytes key, uint64_t now_ns);

/* Any thread but the loop's own. Waits until what was written before is in Redis, or overwritten
 * since: STRATA_OK, or STRATA_ERR_TIMEOUT. */
int sta_behind_flush(struct sta_behind *behind, uint64_t deadline_ns);

void sta_behind_statistics(struct sta_behind *behind, struct strata_write_behind_statistics *out);

#endif
