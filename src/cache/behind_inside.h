/* SPDX-License-Identifier: MIT
 *
 * The struct behind behind.h, for the files that share it: behind.c has its life, its reads and
 * its numbers, behind_admit.c the writes that come, behind_flight.c those that go.
 */
#ifndef STA_BEHIND_INSIDE_H
#define STA_BEHIND_INSIDE_H

#include <pthread.h>

#include "cache/behind.h"
#include "cache/behind_queue.h"
#include "cache/tiers.h"
#include "l2/batch.h"

/* Enough that one can be made while Redis is at work on the other. */
#define STA_BEHIND_FLIGHTS 2u

/* Where a refused key waits for its next chance. */
#define STA_BEHIND_PARK_NS (10 * STA_NS_SEC)

struct sta_behind_flown {
    struct sta_behind_entry *entry;
    struct sta_l1_token token; /* of the time when it was sent */
};

/* Writes that went together. */
struct sta_behind_flight {
    struct sta_behind *behind;
    struct sta_batch sets;
    struct sta_batch deletes;
    struct sta_behind_flown *flown; /* room for a batch */
    size_t count;
    unsigned open; /* batches that have not ended; 0: it may be filled */
};

struct sta_behind {
    /* Fixed at creation. */
    struct sta_cache *cache;
    struct sta_behind_config config;
    uint64_t seed; /* of keys, where there is no L1 */

    /* Guarded by lock. */
    pthread_mutex_t lock;
    struct sta_behind_queue *queue;
    uint64_t looks_ns; /* the loop looks for what is due by then; 0: as soon as a flight ends */
    bool kicked;       /* the loop was asked to look now */
    size_t blocked_count;
    uint64_t rejected;
    uint64_t through;

    /* Of the loop thread. */
    struct sta_task kick;
    struct sta_timer timer;    /* something is due */
    struct sta_timer patience; /* of who waits for room, and for a flush */
    struct sta_list blocked;   /* writes */
    struct sta_list flushes;
    struct sta_behind_flight flights[STA_BEHIND_FLIGHTS];
    bool closed; /* nothing is sent any more */
    int refusal; /* of the last key that was parked */
    uint64_t refusals_told_ns;
};

/* ---- behind.c ---- */

struct sta_key sta_behind_key(const struct sta_behind *behind, struct strata_bytes bytes);

/* The loop's thread: something was settled or admitted, or time has passed. */
void sta_behind_look(struct sta_behind *behind);

/* Under the lock: whether the loop has to be asked to look; then call kick() without it. */
bool sta_behind_wants_kick(struct sta_behind *behind);
void sta_behind_kick(struct sta_behind *behind);

/* ---- behind_admit.c, the loop's thread ---- */

/* Admits who waits and has room now, and turns away who has waited long enough. Returns until when
 * the next one waits. */
uint64_t sta_behind_unblock(struct sta_behind *behind, uint64_t now_ns);

/* Nobody waits any more. */
void sta_behind_end_blocked(struct sta_behind *behind);

/* ---- behind_flight.c, the loop's thread ---- */

int sta_behind_flight_init(struct sta_behind_flight *flight, struct sta_behind *behind);
void sta_behind_flight_fini(struct sta_behind_flight *flight);

/* Sends what is due in as many flights as are free. */
void sta_behind_fly(struct sta_behind *behind, uint64_t now_ns);

#endif
