/* SPDX-License-Identifier: MIT
 *
 * What barriers hide: the patterns that this process knows of, and whether a key lies behind one.
 *
 *     add ----> IN FORCE ------------------- leave ----> LEFT ---- linger ----> forgotten
 *               what is there of a matching              an answer to who asked before it left
 *               key is hidden from everybody             is hidden still: it may be older
 *
 * A key that this process itself has set since is exempt: who asks afterwards gets what is there,
 * for that is what was set or something newer. Names that this room keeps its own things under are
 * never hidden. Bounded: STA_VEIL_EXEMPT_MOST keys are exempt for each pattern, what is set beyond
 * that stays hidden; STA_VEIL_LEFT_MOST patterns linger, and beyond that whoever asked before the
 * eldest left finds nothing. Time is passed in: nanoseconds of the monotonic clock.
 * Threads: hides() and exempt() any; the others one, which may read the patterns without the lock.
 * The lock is the innermost one.
 */
#ifndef STA_VEIL_H
#define STA_VEIL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/glob.h"
#include "core/list.h"

#define STA_VEIL_EXEMPT_MOST 4096u
#define STA_VEIL_LEFT_MOST   64u

struct sta_veil_exempt;

struct sta_veil_pattern {
    struct sta_list link;
    uint64_t id;
    struct sta_glob glob;
    uint64_t left_ns;               /* 0: in force */
    struct sta_veil_exempt *exempt; /* a table; NULL: none yet */
    size_t exempt_count;

    /* The one thread's, nothing to the veil: see cache/barriers.c. */
    bool own;   /* raised here */
    bool there; /* in Redis, when it was read last; seen: in the reading that is under way */
    bool seen, swept;
    uint64_t cursor;
};

struct sta_veil {
    _Atomic unsigned count; /* patterns, those that have left too; relaxed where it is 0 */
    uint64_t seed;          /* fixed, as what follows */
    struct strata_bytes
        before; /* keys are hidden that begin with it; patterns are of what is behind it */
    pthread_rwlock_t lock;
    uint64_t linger_ns;       /* guarded by lock, never less than it was: no question is older */
    struct sta_list patterns; /* guarded by lock: in force, the eldest first; */
    struct sta_list left;     /*   and left, likewise */
    unsigned left_count;
    uint64_t forgot_ns; /* what was asked before this cannot be judged any more */
};

/* `before` is borrowed. */
void sta_veil_init(struct sta_veil *veil, uint64_t seed, uint64_t linger_ns,
                   struct strata_bytes before);

/* From now on questions may be this old. */
void sta_veil_linger(struct sta_veil *veil, uint64_t linger_ns);
void sta_veil_fini(struct sta_veil *veil);

/* The pattern in force with this id, or NULL. */
struct sta_veil_pattern *sta_veil_find(struct sta_veil *veil, uint64_t id);

/* In force from here on: the pattern, or NULL where there is no memory for it. */
struct sta_veil_pattern *sta_veil_add(struct sta_veil *veil, uint64_t id,
                                      struct strata_bytes pattern);

void sta_veil_leave(struct sta_veil *veil, struct sta_veil_pattern *pattern, uint64_t now_ns);

/* Forgets those that nobody asks about any more. */
void sta_veil_prune(struct sta_veil *veil, uint64_t now_ns);

bool sta_veil_hides_slow(struct sta_veil *veil, struct strata_bytes key, uint64_t asked_ns);

/* Whether what is there of the key is hidden from who asked then. */
static inline bool sta_veil_hides(struct sta_veil *veil, struct strata_bytes key, uint64_t asked_ns)
{
    return atomic_load_explicit(&veil->count, memory_order_relaxed) > 0 &&
           sta_veil_hides_slow(veil, key, asked_ns);
}

void sta_veil_exempt_slow(struct sta_veil *veil, struct strata_bytes key, uint64_t now_ns);

/* What has been set just now is newer than any pattern that is in force. */
static inline void sta_veil_exempt(struct sta_veil *veil, struct strata_bytes key, uint64_t now_ns)
{
    if (atomic_load_explicit(&veil->count, memory_order_relaxed) > 0)
        sta_veil_exempt_slow(veil, key, now_ns);
}

#endif
