/* SPDX-License-Identifier: MIT
 *
 * Barriers in front of stratad's clients (cache/barriers.h): what the fleet is deleting by pattern
 * is hidden from them as well. One for the process, on the first worker's loop, with a way of its
 * own to Redis, be that one server or a cluster:
 *
 *     first worker's loop                           any worker
 *       the hash of each namespace                    answer of Redis
 *         '-> barriers: L1 is veiled, swept             |-- known is young --> hides? --> reply, L1
 *                 ^                                     '-- not: WAITS ----.
 *                 '------------------------ post --------------------------'  and back
 *
 * Namespaces are that of key_prefix, and that of all keys (`strata invalidate` has no prefix). Keys
 * are as Redis has them, so a namespace's patterns are of what stands behind its prefix.
 * An answer that is hidden is a null, and not kept. Who writes a key by a command that says what it
 * holds from then on sees that: so do reads that his own client has sent behind it.
 * Without L1 or tracking nothing is heard of, and nothing hidden.
 * Threads: open() before workers run, close() when none does; veil() and the rest any worker's.
 */
#ifndef STA_BARRIER_WATCH_H
#define STA_BARRIER_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/barriers.h"
#include "cache/cache.h"
#include "core/buffer.h"
#include "l1/l1.h"

#define STA_BARRIER_WATCH_SPACES 2u

struct sta_exchange;
struct sta_stratad;
struct sta_worker;

struct sta_barrier_watch {
    struct sta_l1 *l1;
    struct sta_l2 *l2; /* NULL: nothing is heard of */
    struct sta_barriers spaces[STA_BARRIER_WATCH_SPACES];
    size_t space_count;
};

/* An answer that waits until what is known of barriers is young enough. */
struct sta_barrier_wait {
    struct sta_list link; /* among the worker's */
    struct sta_barriers_waiter known;
    struct sta_task task; /* to the first worker, and back */
    size_t next;          /* namespace */
    struct sta_buffer replies;
};

/* STRATA_ERR_NOMEM, STRATA_ERR_SYSTEM. */
int sta_barrier_watch_open(struct sta_stratad *stratad);

/* After the worker's clients and lanes: answers that wait for what the first worker knows are
 * concluded, and on the first worker all ends. */
void sta_barrier_watch_close(struct sta_worker *worker);

/* Another budget of a command. Any thread. */
void sta_barrier_watch_adjust(struct sta_barrier_watch *watch, uint64_t budget_ns);

/* L1's; before open(). */
struct sta_l1_veil sta_barrier_watch_veil(struct sta_barrier_watch *watch);

/* When who asks Redis now has asked. */
uint64_t sta_barrier_watch_asked_ns(const struct sta_stratad *stratad, uint64_t now_ms);

/* Whether what Redis or L1 has of the key is hidden from who asked then. */
bool sta_barrier_watch_hides(struct sta_stratad *stratad, struct strata_bytes key,
                             uint64_t asked_ns);

/* Redis has answered. True: the exchange is concluded later, with a copy of the replies. Without
 * memory for that it does not wait. */
bool sta_barrier_watch_defers(struct sta_exchange *exchange, struct strata_bytes replies);

/* The exchange's keys hold what its client has said, and it is acknowledged. */
void sta_barrier_watch_wrote(struct sta_exchange *exchange);

#endif
