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
    struct sta_batch scripts;       /* with a version guard: all of it */
    struct sta_behind_flown *flown; /* room for a batch */
    size_t count;
    uint64_t begun_ns;
    uint64_t
        saved_at; /* where in the journal the last of their records ends; 0: it need not be there */
    bool held;    /* full, and the journal has not all of it yet */
    unsigned open; /* batches that have not ended; 0: it may be filled, unless it is held */
};

struct sta_behind {
    /* Fixed at creation. */
    struct sta_cache *cache;
    uint64_t seed; /* of keys, where there is no L1 */
    bool opened;
    bool journaled;

    /* Guarded by lock. */
    pthread_mutex_t lock;
    struct sta_behind_config config; /* batch, guard, journal and sync: fixed at creation */
    struct sta_behind_queue *queue;
    uint64_t looks_ns; /* the loop looks for what is due by then; 0: as soon as a flight ends */
    bool kicked;       /* the loop was asked to look now */
    size_t blocked_count;
    struct sta_journal *journal; /* NULL: none, or closed; has a lock of its own */
    uint64_t done_at;            /* behind the last DONE in it */
    uint64_t rejected;
    uint64_t through;

    /* Atomic. */
    atomic_bool news_posted; /* of the journal */

    /* Of the loop thread. */
    struct sta_task news;
    struct sta_list unsafe; /* writes that wait for the journal, or a look */
    struct sta_task kick;
    struct sta_timer timer;    /* something is due */
    struct sta_timer patience; /* of who waits for room, and for a flush */
    struct sta_list blocked;   /* writes */
    struct sta_list flushes;
    struct sta_behind_flight flights[STA_BEHIND_FLIGHTS];
    bool closed;   /* nothing is sent any more */
    bool saved;    /* closed: the journal has what is owed */
    uint64_t safe; /* closed: what of the journal was */
    int refusal;   /* of the last key that was parked */
    uint64_t refusals_told_ns;
    uint64_t overtaken; /* of which the log was told */
    uint64_t overtaken_told_ns;
};

/* ---- behind.c ---- */

struct sta_key sta_behind_key(const struct sta_behind *behind, struct strata_bytes bytes);

/* The loop's thread: something was settled or admitted, or time has passed. */
void sta_behind_look(struct sta_behind *behind);

/* The loop's thread: looks by then, whatever happens. */
void sta_behind_be_patient(struct sta_behind *behind, uint64_t until_ns);

/* Under the lock: whether the loop has to be asked to look; then call kick() without it. */
bool sta_behind_wants_kick(struct sta_behind *behind);
void sta_behind_kick(struct sta_behind *behind);

/* ---- behind_admit.c, the loop's thread ---- */

/* Admits who waits and has room now, and turns away who has waited long enough. Returns until when
 * the next one waits. */
uint64_t sta_behind_unblock(struct sta_behind *behind, uint64_t now_ns);

/* Nobody waits any more. */
void sta_behind_end_blocked(struct sta_behind *behind);

/* ---- behind_journal.c ---- */

/* Before the loop runs: what earlier processes owed is owed, be it more than the bounds allow.
 * Errors as sta_journal_open(), with directory and reason in `error` (may be NULL). */
int sta_behind_open_journal(struct sta_behind *behind, struct strata_error *error);

/* After the loop has ended. */
void sta_behind_close_journal(struct sta_behind *behind);

/* Under the lock, in this order: record() what is to be pushed, push it, and recorded(); where that
 * failed, take_back(). record() answers as sta_journal_append(). */
int sta_behind_record(struct sta_behind *behind, const struct sta_key *key,
                      const struct sta_behind_push *push, uint64_t now_ns, uint64_t *position);
void sta_behind_recorded(struct sta_behind *behind, struct sta_behind_entry *entry,
                         uint64_t position, uint64_t now_ns);
void sta_behind_take_back(struct sta_behind *behind, const struct sta_key *key, uint64_t now_ns);

/* Under the lock: it is known what Redis has of the key. */
void sta_behind_record_basis(struct sta_behind *behind, struct sta_behind_entry *entry,
                             uint64_t now_ns);

/* Under the lock: Redis has it, or what others wrote instead. */
void sta_behind_record_done(struct sta_behind *behind, const struct sta_behind_entry *entry);

/* The loop's thread: a task that is posted when the journal has news. */
void sta_behind_hear(struct sta_task *task);

/* The loop's thread: ends those that are safe, or have waited long enough. Returns until when the
 * next one waits. */
uint64_t sta_behind_end_safe(struct sta_behind *behind, uint64_t now_ns);

/* ---- behind_flight.c, the loop's thread ---- */

int sta_behind_flight_init(struct sta_behind_flight *flight, struct sta_behind *behind);
void sta_behind_flight_fini(struct sta_behind_flight *flight);

/* Sends what is due in as many flights as are free, and what the disk has by now. */
void sta_behind_fly(struct sta_behind *behind, uint64_t now_ns);

/* Nothing will be sent any more. */
void sta_behind_ground(struct sta_behind *behind, uint64_t now_ns);

#endif
