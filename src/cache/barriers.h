/* SPDX-License-Identifier: MIT
 *
 * Barriers: patterns whose keys are about to be deleted, and are hidden in the whole fleet until
 * that is done (design/0013). They are fields of one hash in Redis, STA_BARRIERS_NAME behind the
 * prefix:
 *
 *     id (16 hex digits) = "<deadline in ms of that server's clock> <pattern>"
 *
 *   who deletes   raise --EVAL--> Redis        renewed every STA_BARRIERS_RENEW_NS, then dropped
 *                                   | push: the hash has changed
 *   everybody     HGETALL <---------'          and several times in max_staleness
 *                   '--> veil (cache/veil.h): hits and answers hide; what matches leaves L1,
 *                        and fills under way are overtaken
 *
 * Whoever hears: a pattern is in force from the reading that brings it until one that does not
 * bring it any more, and L1 has been swept. L1 answers only for max_staleness after a reading was
 * asked for; an answer of Redis waits for one where there is none so young: the first of a cache,
 * and who was away. Where Redis does not give one (the hash's node hangs), L1 stays closed, and
 * answers of other nodes are hidden by what was known. An owner that dies leaves its barrier for
 * STA_BARRIERS_TTL_MS: each renewal removes the fields of others whose deadline is over, and the
 * hash as a whole ends when nobody renews. No two clocks are compared. Caches that do not hear what
 * others write do not read the hash either; they hide what they delete themselves.
 * Threads: the loop's, but for hides(), exempt() and where it is said.
 */
#ifndef STA_BARRIERS_H
#define STA_BARRIERS_H

#include "cache/veil.h"
#include "core/clock.h"
#include "l2/command.h"
#include "net/loop.h"
#include "net/waiter.h"

#define STA_BARRIERS_NAME      "strata:barriers"
#define STA_BARRIERS_MOST      64u                      /* at a time, of one namespace */
#define STA_BARRIERS_READ_MOST (16 * STA_BARRIERS_MOST) /* more is not of us, and not taken in */
#define STA_BARRIERS_TTL_MS    UINT64_C(10000)
#define STA_BARRIERS_RENEW_NS  (2 * STA_NS_SEC)

struct sta_barriers_waiter;
struct sta_flights;

/* Whose they are: what they hide, and by which way the hash is read. All of it outlives them. */
struct sta_barriers_owner {
    struct sta_loop *loop;
    struct sta_l1 *l1;           /* NULL: none */
    struct sta_l2 *l2;           /* on that loop; NULL: none */
    struct sta_flights *flights; /* loads to be overtaken where there is no L1 */
    struct sta_log *log;
    struct strata_bytes prefix; /* of the namespace */
    bool whole_keys;            /* keys have the prefix here, too */
    bool hears;                 /* the hash is read */
    bool closes;                /* L1 does not answer without it */
    uint64_t staleness_ns;
    uint64_t budget_ns; /* of a call, to begin with */

    /* Whose L1 has barriers of several namespaces tells it himself from when on it has to ask: the
     * least veiled_ms of all. On the loop, and from init(); NULL: L1 is told. */
    void (*veiled)(void *arg);
    void *arg;
};

struct sta_barriers {
    /* Fixed at creation. */
    struct sta_barriers_owner owner;
    struct strata_bytes name; /* as Redis has it; owned */
    uint64_t every_ns;        /* between two readings, or looks at what is to be renewed */

    _Atomic uint64_t budget_ns; /* relaxed */

    struct sta_veil veil;
    _Atomic uint64_t until_ms; /* relaxed: L1 is closed from then on; STA_NEVER: it is not */

    /* The loop's. */
    uint64_t veiled_ms; /* from then on L1 has to ask (sta_l1_veil()) */
    struct sta_timer timer, sweep, patience;
    uint64_t look_ns; /* when the timer fires; STA_NEVER: it does not run */
    bool soon;        /*   because the hash was named */
    bool used; /* somebody has read what Redis has: from then on the hash is read by the clock */
    struct sta_command read;
    bool reading, again;
    bool failed;             /* the last reading */
    bool refused;            /* by who will not have us read it: nobody waits for it */
    bool complained;         /*   and somebody was told */
    uint64_t asked_ns;       /* when the reading under way was asked for; */
    uint64_t applied_ns;     /*   the one that is in force */
    uint64_t until_ns;       /* answers of Redis wait for a reading from then on */
    struct sta_list waiting; /* by deadline */
    struct sta_list raised;  /* barriers of this process that are to be renewed */
};

/* Before the loop runs, with L1 and L2. STRATA_ERR_NOMEM. */
int sta_barriers_init(struct sta_barriers *barriers, const struct sta_barriers_owner *owner);
/* Another budget of a call. Any thread; a zeroed one is fine. */
void sta_barriers_adjust(struct sta_barriers *barriers, uint64_t budget_ns);

/* After L2 has gone, before the loop does. A zeroed one is fine. */
void sta_barriers_fini(struct sta_barriers *barriers);

/* L1's veil: whether it may not answer this key. Any thread; `arg` is the struct. */
bool sta_barriers_veils(void *arg, struct strata_bytes key, uint64_t now_ms);

/* Any thread. Whether what the tiers have of the key is hidden from who asked then. */
static inline bool sta_barriers_hides(struct sta_barriers *barriers, struct strata_bytes key,
                                      uint64_t asked_ns)
{
    return sta_veil_hides(&barriers->veil, key, asked_ns);
}

/* Any thread. What Redis has answered by now waits for a reading; see defer(). */
static inline bool sta_barriers_is_late(const struct sta_barriers *barriers, uint64_t now_ms)
{
    return now_ms >= atomic_load_explicit(&barriers->until_ms, memory_order_relaxed);
}

/* Any thread. Whether anything is known of barriers, by hearsay: a hint. */
static inline bool sta_barriers_knows_any(const struct sta_barriers *barriers)
{
    return atomic_load_explicit(&barriers->veil.count, memory_order_relaxed) > 0;
}

/* Any thread. This process has set the key just now, and it is acknowledged. */
static inline void sta_barriers_exempt(struct sta_barriers *barriers, struct strata_bytes key,
                                       uint64_t now_ns)
{
    sta_veil_exempt(&barriers->veil, key, now_ns);
}

/* Redis names the hash, or may have and we would not know. Does not call l2. */
void sta_barriers_named(struct sta_barriers *barriers);

/* Whether this is the hash's name, as Redis has it. */
bool sta_barriers_is_name(const struct sta_barriers *barriers, struct strata_bytes key);

/* Redis has answered a question. False: what is known of barriers is young enough, or cannot be
 * had. True: known() is called once that is so, or at the waiter's deadline; perhaps before this
 * returns. */
bool sta_barriers_defer(struct sta_barriers *barriers, struct sta_barriers_waiter *waiter);

/* ---- one of ours ---- */

enum sta_barrier_state {
    STA_BARRIER_DOWN,
    STA_BARRIER_RAISING,
    STA_BARRIER_UP,
    STA_BARRIER_DROPPING
};

/*     DOWN --raise--> RAISING --Redis has it--> UP --drop--> DROPPING --> DOWN
 *       ^---refused, lost-------'                '- renewed, put up again where it is gone
 */
struct sta_barrier {
    /* The caller's; both stay until it is down. */
    struct sta_barriers *barriers;
    struct strata_bytes pattern;
    void (*done)(struct sta_barrier *barrier, int status); /* of raise_start() and drop_start() */

    /* the room's own */
    enum sta_barrier_state state;
    uint64_t id; /* 0: none yet */
    char id_text[17];
    bool busy; /* a command is under way */
    struct sta_command command;
    uint64_t asked_ns;
    uint64_t renewed_ns; /* when the last renewal was asked for */
    struct sta_list link;
    struct sta_task task;
    struct sta_waiter waiter;
    int status;
};

/* From here on this cache hides what matches; done() says whether Redis has it, and so the fleet
 * soon: STRATA_OK; STRATA_ERR_BUSY: too many are there; STRATA_ERR_NOMEM: then nothing is hidden;
 * or what Redis fails with. It may be raised again after a failure, and must be dropped in any
 * case. */
void sta_barrier_raise_start(struct sta_barrier *barrier);

/* It is over, and this cache hides nothing for it any more. done() says whether Redis has dropped
 * it: where that is not known it ends there by itself, and may be dropped again before. */
void sta_barrier_drop_start(struct sta_barrier *barrier);

/* The same for any thread but the loop's, waited for; done() is not called. */
int sta_barrier_raise(struct sta_barrier *barrier);
int sta_barrier_drop(struct sta_barrier *barrier);

/* ---- between the two files ---- */

/* What an error reply means: STRATA_ERR_UNAVAILABLE may pass; DENIED and SERVER stay. */
int sta_barriers_error(struct strata_bytes text);
/* The reply to a HGETALL that was asked for then. STRATA_OK, or why it is no proof. */
int sta_barriers_apply(struct sta_barriers *barriers, struct strata_bytes reply, uint64_t asked_ns);
struct sta_veil_pattern *sta_barriers_add(struct sta_barriers *barriers, uint64_t id,
                                          struct strata_bytes pattern, bool own);
/* The pattern leaves where nothing holds it any more. */
void sta_barriers_review(struct sta_barriers *barriers, struct sta_veil_pattern *pattern);
void sta_barriers_renew_all(struct sta_barriers *barriers, uint64_t now_ns);
/* The timer fires then, if not before. */
void sta_barriers_look(struct sta_barriers *barriers, uint64_t at_ns);

#endif
