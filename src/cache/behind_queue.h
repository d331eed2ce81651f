/* SPDX-License-Identifier: MIT
 *
 * What write-behind owes to Redis: the newest write of each key, until Redis has acknowledged it. A
 * structure that does no I/O and reads no clock; it says which keys are to be sent now and what an
 * answer means for them.
 *
 *                push                    next (due <= now)
 *     (no entry) -----> WAITING ------------------------------> FLYING
 *                        ^  ^  ^                                | | | |
 *                        |  |  '-- written, but a newer push ---' | | '--- written ---> gone
 *                        |  '----- not sent, outcome unknown -----' |
 *                        |         (a delay with jitter), held      |
 *                        '-- push, or park_ns later -- PARKED <-----'
 *                                                         refused STA_BEHIND_REFUSALS times
 *
 * A key has one entry, and so one write under way at most: a push replaces what waits (the last
 * write wins, a delete is a write like any other) and never what is under way. So Redis sees the
 * writes of a key in the order of their pushes, some left out.
 * A key that is refused waits aside and delays nobody. Nothing is ever dropped: what is parked
 * counts in the bounds.
 *
 * A write whose outcome is unknown may be carried out late, by a server that reads what a lost
 * connection has left in its buffers, after a newer one that came by another connection. Such an
 * entry is `unsure`: it is gone only when a write was acknowledged that was sent `settle_ns` after
 * the first one that was acknowledged since. What such a write repeats is the newest value.
 *
 * With a version guard (guard.h) a write goes under the condition that Redis has what is ours:
 *
 *     WAITING -- basis not known: due at once --> FLYING, a look --- seen ---> WAITING, basis known
 *     FLYING, a write --- seen: what is not ours ---> overtaken, and gone, with what was pushed
 *                                                     over it meanwhile
 * The basis belongs to the key's entry and goes along with its writes: one that is acknowledged is
 * the basis of the next one; one whose answer was lost joins it.
 *
 * Bounds: entries and bytes, of keys, of what is allocated for values (up to four times a value
 * that has replaced a larger one), and of what an entry takes beside them. Only restore() goes
 * beyond. Threads: one owner (a lock around it). Memory: keys and values are copied in.
 */
#ifndef STA_BEHIND_QUEUE_H
#define STA_BEHIND_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/guard.h"
#include "core/key.h"
#include "core/list.h"

/* So often in a row Redis may refuse a key before it is parked. */
#define STA_BEHIND_REFUSALS 5u

/* Entries under way while nothing but failures to reach Redis has come back. */
#define STA_BEHIND_PROBES 16u

enum sta_behind_state { STA_BEHIND_WAITING, STA_BEHIND_FLYING, STA_BEHIND_PARKED };

enum sta_behind_outcome {
    STA_BEHIND_WRITTEN,
    STA_BEHIND_REFUSED,  /* Redis answered, and will not have it */
    STA_BEHIND_NOT_SENT, /* Redis cannot be reached */
    STA_BEHIND_HELD,     /* it must not be sent yet */
    STA_BEHIND_UNKNOWN   /* it may have been carried out, or may yet be */
};

/* What an entry has beside itself where there is a version guard. */
struct sta_behind_guard {
    /* Readable by the owner of the queue. */
    struct sta_guard_basis basis;
    bool looking;  /* FLYING: to look, and to write nothing */
    uint64_t mark; /* the owner's: where in the journal the basis stands; STA_NEVER: nowhere yet */

    /* The queue's own. */
    uint64_t due_ns;              /* of the write that a look goes before */
    uint8_t digest[STA_SHA1_LEN]; /* of the entry's value, where `digested` */
    bool digested;
    struct sta_guard_state sent; /* what is under way, where `kept` */
    bool kept;                   /* a newer push has taken its place in the entry */
    bool sent_gone;              /* what is under way deletes */
    uint64_t written;            /* the last version that Redis acknowledged */
};

struct sta_behind_entry {
    /* Readable by the owner of the queue. */
    uint64_t hash;
    uint64_t version;      /* of the newest push */
    uint64_t sent_version; /* of the one under way */
    uint64_t expires_ns;   /* STA_NEVER: it does not */
    uint8_t *value;        /* as Redis gets it; NULL: a delete, or empty */
    size_t value_len;
    bool is_delete;
    enum sta_behind_state state;
    uint64_t mark;                  /* the owner's: where in the journal it stands; see place() */
    struct sta_behind_guard *guard; /* NULL: there is none */

    /* The queue's own. */
    struct sta_behind_entry *chain;
    struct sta_list order; /* of all entries: by version */
    struct sta_list place; /* of all entries: by the time of place() */
    uint64_t due_ns;
    uint64_t sent_ns;
    uint64_t settled_ns; /* unsure: what was sent from then on counts; 0: not known yet */
    size_t value_cap;
    size_t heap_at; /* not FLYING */
    unsigned refusals;
    unsigned failures;
    bool unsure;
    uint32_t key_len;
    uint8_t key[];
};

struct sta_behind_queue_config {
    uint64_t max_entries;
    uint64_t max_bytes;
    uint64_t interval_ns; /* from the first push of a key to its write */
    uint64_t rate;        /* writes a second; 0: any */
    uint64_t backoff_min_ns, backoff_max_ns;
    uint64_t park_ns;
    uint64_t settle_ns;
    uint64_t seed; /* of the jitter */
    bool guarded;  /* fixed at creation */
};

/* Numbers since creation, and as it is now. */
struct sta_behind_queue_statistics {
    uint64_t pushed, coalesced, written, retried, refused, overtaken;
    uint64_t entries, bytes, flying, parked;
};

struct sta_behind_queue;

/* STRATA_ERR_NOMEM. */
int sta_behind_queue_create(struct sta_behind_queue **out,
                            const struct sta_behind_queue_config *config);

/* NULL is fine. */
void sta_behind_queue_destroy(struct sta_behind_queue **queue);

/* Bounds, interval and rate from now on: what waits for its interval keeps the old one, and where
 * more is owed than the bounds allow push() has no room until enough was settled. */
void sta_behind_queue_adjust(struct sta_behind_queue *queue,
                             const struct sta_behind_queue_config *config, uint64_t now_ns);

struct sta_behind_push {
    struct strata_bytes value;
    bool is_delete;
    uint64_t expires_ns;
    const struct sta_guard_basis
        *basis; /* of a key that is not owed yet, or restored; NULL: not known */
    const uint8_t
        *digest; /* with a guard: of the value, STA_SHA1_LEN bytes; NULL: made when it is needed */
};

/* STRATA_OK; STRATA_ERR_BUSY: there is no room; STRATA_ERR_TOO_BIG: there can never be room;
 * STRATA_ERR_NOMEM. Without STRATA_OK everything is as it was. `entry` (may be NULL) takes the
 * key's entry. */
int sta_behind_queue_push(struct sta_behind_queue *queue, const struct sta_key *key,
                          const struct sta_behind_push *push, uint64_t now_ns,
                          struct sta_behind_entry **entry);

/* What push() would answer, but for STRATA_ERR_NOMEM. */
int sta_behind_queue_has_room(const struct sta_behind_queue *queue, const struct sta_key *key,
                              const struct sta_behind_push *push);

/* As push(), of what was owed before, and may have been sent: unsure, and whatever the bounds.
 * Beyond them push() has no room for new keys nor for more bytes, until enough was settled.
 * STRATA_OK, STRATA_ERR_NOMEM. */
int sta_behind_queue_restore(struct sta_behind_queue *queue, const struct sta_key *key,
                             const struct sta_behind_push *push, uint64_t now_ns);

/* NULL: nothing is owed for this key. */
struct sta_behind_entry *sta_behind_queue_find(const struct sta_behind_queue *queue,
                                               const struct sta_key *key);

/* An entry that is to be sent now, and is FLYING from here on; NULL: there is none. It stays in
 * place until settle() answers true. */
struct sta_behind_entry *sta_behind_queue_next(struct sta_behind_queue *queue, uint64_t now_ns);

/* When next() may have one again, unless there is news; STA_NEVER. */
uint64_t sta_behind_queue_due_ns(const struct sta_behind_queue *queue);

/* Ends the flight of an entry. True: nothing is owed for the key any more, and the entry is the
 * caller's, to be read and freed with free_entry(). */
bool sta_behind_queue_settle(struct sta_behind_queue *queue, struct sta_behind_entry *entry,
                             enum sta_behind_outcome outcome, uint64_t now_ns);
void sta_behind_queue_free_entry(struct sta_behind_entry *entry);

/* The same, with a guard, where Redis has told what is there: to a look, or instead of having
 * written it. False: there is a basis, and the entry waits for its write, or its next attempt.
 * True: somebody else has written the key, and the entry is the caller's. */
bool sta_behind_queue_settle_seen(struct sta_behind_queue *queue, struct sta_behind_entry *entry,
                                  const struct sta_guard_state *seen, uint64_t now_ns);

/* With a guard: what Redis may have of the key so that it is ours, what is under way included; of
 * no entry: the push's. */
void sta_behind_queue_basis(struct sta_behind_entry *entry, const struct sta_behind_push *push,
                            struct sta_guard_basis *out);

/* Of a restored entry: this is its basis, and what it owes belongs to it, for it may have been
 * sent. */
void sta_behind_queue_rebase(struct sta_behind_entry *entry, const struct sta_guard_basis *basis);

/* Nothing is owed for this key after all; the entry is not FLYING, and gone. */
void sta_behind_queue_drop(struct sta_behind_queue *queue, struct sta_behind_entry *entry);

/* While on: everything is due at once, the rate does not hold, delays are short. */
void sta_behind_queue_hurry(struct sta_behind_queue *queue, bool on, uint64_t now_ns);

/* While on, somebody waits for room: what waits for its interval is due at once. The rate holds,
 * and so do delays after failures. */
void sta_behind_queue_want(struct sta_behind_queue *queue, bool on, uint64_t now_ns);

/* The lowest version that is owed; STA_NEVER: none. And the highest that was given out. */
uint64_t sta_behind_queue_oldest(const struct sta_behind_queue *queue);
uint64_t sta_behind_queue_newest(const struct sta_behind_queue *queue);

/* More than half of a bound is taken, or room is waited for: what is pushed is due at once. */
bool sta_behind_queue_is_pressed(const struct sta_behind_queue *queue);

/* Sets the entry's mark and puts it behind all others that have one; first_placed() is the one that
 * was placed before all others, NULL where nothing is owed. */
void sta_behind_queue_place(struct sta_behind_queue *queue, struct sta_behind_entry *entry,
                            uint64_t mark);
struct sta_behind_entry *sta_behind_queue_first_placed(const struct sta_behind_queue *queue);

void sta_behind_queue_statistics(const struct sta_behind_queue *queue,
                                 struct sta_behind_queue_statistics *out);

/* Re-derives every invariant; for tests. Slow. */
bool sta_behind_queue_valid(const struct sta_behind_queue *queue);

static inline struct sta_key sta_behind_entry_key(const struct sta_behind_entry *entry)
{
    return (struct sta_key){.bytes = {entry->key, entry->key_len}, .hash = entry->hash};
}

static inline struct strata_bytes sta_behind_entry_value(const struct sta_behind_entry *entry)
{
    return strata_bytes(entry->value, entry->value_len);
}

/* Whether Redis shall have no such key: it was deleted, or its time is up. */
static inline bool sta_behind_entry_is_gone(const struct sta_behind_entry *entry, uint64_t now_ns)
{
    return entry->is_delete || entry->expires_ns <= now_ns;
}

#endif
