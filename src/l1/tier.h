/* SPDX-License-Identifier: MIT
 *
 * The inside of a tier, for the files of this room.
 *
 *     index ----offset----> item in a segment of the arena
 *     lanes: threads that run at the same time store through different ones; each has
 *         small queue: segments oldest .. newest     new entries
 *         main queue:  segments oldest .. newest     entries that were read again
 *     namespaces with a quota: a lane of their own each, whoever stores
 *     ghosts: fingerprints of what the small queues gave up
 *
 * Invariants: an entry is linked by exactly one slot of the index; its item lies between the
 * cursor and the end of a segment that is in a queue, of its key's namespace where it has one. What
 * lies behind a cursor is not linked. memory.used is the sum of index, backed segments, blocks,
 * ghosts, shadows, marks and what lanes have claimed beforehand; it and the number of entries never
 * pass their bounds, except for a resize that is on its way down.
 *
 * Lock ranks, outermost first: sweep_lock, a lane, duel_lock, index.grow_lock, a bucket (two only
 * while the index grows or shrinks), arena.lock, index.overflow_lock. No two lanes at a time,
 * except for an invariant check, in order, and for a store that makes room in another lane than its
 * own, whose lock it only tries.
 * Only who holds a lane's lock adds entries to it and moves them. Who removes needs the bucket
 * only.
 */
#ifndef STA_TIER_H
#define STA_TIER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "l1/ahead.h"
#include "l1/arena.h"
#include "l1/budget.h"
#include "l1/departed.h"
#include "l1/duel.h"
#include "l1/generation.h"
#include "l1/ghost.h"
#include "l1/index.h"
#include "l1/l1.h"
#include "l1/racing.h"
#include "l1/stamp.h"
#include "l1/stripe.h"

enum sta_queue_name { STA_QUEUE_SMALL, STA_QUEUE_MAIN, STA_QUEUES };

struct sta_sums {
    _Atomic uint64_t entries;
    _Atomic uint64_t bytes;
    _Atomic uint64_t dead; /* ahead of the cursors, and no entry's any more */
};

/* Its sums are in two parts, so that a store pays for no locked instruction: `own` is written by
 * who holds the lane's lock, `others` by who removes an entry without it. Both are sums of
 * differences and wrap; only together they are a number (sta_queue_entries() and so on). */
struct sta_queue {
    uint32_t oldest; /* segments; 0: none */
    uint32_t newest;
    uint32_t cursor; /* bytes of the oldest that eviction has gone through */
    uint32_t used;   /* bytes of the newest that items take */
    struct sta_sums own;
    struct sta_sums others;
};

/* A line that another processor wrote costs about as much as one from memory, and a store writes
 * four of these: that is why a processor has a lane to itself, as far as there are enough. */
struct sta_lane {
    /* guarded by lock; what is atomic is read from anywhere */
    _Alignas(128) pthread_mutex_t lock;
    _Atomic uint32_t waiting; /* stores that want the lock; see sta_lane_let_in() */
    uint32_t patience;        /* steps of eviction that a store may still go; see there */
    uint32_t upkeeps;         /* stores that upkeep was run for, once there are evictions */
    uint16_t moves;           /* items kept or promoted since the last eviction */
    bool by_bytes;            /* what is evicted for: bytes, else entries */
    bool evicting;            /* there has been an eviction */
    bool began;               /* a segment, since a store looked what to touch ahead */
    uint8_t giver;            /* the lane that should make room, or STA_LANE_NONE, */
    uint8_t turn;             /*   in this queue, */
    uint8_t giver_lasts;      /*   for so many questions; see sta_lane_giver() */
    _Alignas(64) struct sta_queue queues[STA_QUEUES];
    uint32_t ahead[STA_QUEUES];      /* items whose turn is next, as far as looked at; 0: none; */
    uint64_t ahead_hash[STA_QUEUES]; /*   of their keys */
    _Atomic uint64_t places;         /* claimed and not used */
    _Atomic uint64_t claimed_bytes;  /* likewise: for an overflow bucket */
    uint64_t dither;                 /* for prices that are parts of a visit */
    uint32_t spare;                  /* a segment that is kept for moves; 0: none */
    /* written with a segment, read by all lanes: when the oldest of each queue was begun */
    _Alignas(64) _Atomic uint32_t begun[STA_QUEUES];
    _Atomic bool has[STA_QUEUES]; /* one */
    /* fixed at creation */
    uint16_t number;
    struct strata_bytes prefix; /* of a namespace with a quota; no bytes: none. Ours */
    /* its quota, written under lock; 0: no bound */
    _Atomic uint64_t most_bytes;
    _Atomic uint64_t most_entries;
};

#define STA_LANE_NONE UINT8_MAX

_Static_assert(sizeof(struct sta_queue) == 64 && offsetof(struct sta_lane, begun) == 4 * 64UL,
               "what a store writes");

/* What is used from its beginning on. */
enum sta_tier_ahead {
    STA_TIER_SEGMENTS,
    STA_TIER_BUCKETS,
    STA_TIER_OVERFLOW, /* buckets */
    STA_TIER_AHEADS
};

struct sta_l1 {
    /* read by every get; the index's bucket count changes while it grows */
    _Alignas(64) struct sta_index index;
    _Alignas(32) _Atomic uint64_t doubted_ms; /* from then on hits ask the veil, or stamps */
    _Atomic uint64_t veiled_ms;               /* the veil */
    struct sta_stamp stamp;
    struct sta_departed departed;
    _Alignas(64) struct sta_arena arena;
    _Alignas(64) struct sta_ghost ghost;

    _Alignas(64) struct sta_budget memory;
    _Atomic uint64_t block_bytes;
    _Alignas(
        64) struct sta_budget places; /* entries and what lanes keep; most STA_NEVER: unbounded */
    _Atomic uint32_t resizes;         /* on their way down: the bounds need not hold yet */

    /* fixed at creation */
    struct sta_l1_veil veil;
    struct sta_lane *lanes;
    uint32_t seat_at;      /* where a thread reads its seat; 0: there is none (lane.c) */
    uint32_t thread_lanes; /* a power of two; they come first */
    uint32_t quota_lanes;  /* then those of namespaces */

    /* guarded by duel_lock, but for what duel.h says */
    pthread_mutex_t duel_lock;
    struct sta_duel duel;
    uint64_t ghost_entries;         /* for which the ghosts were made, */
    uint32_t ghost_tenths;          /*   so many for ten of them at most */
    _Atomic uint64_t ghost_bytes;   /* claimed for them */
    _Atomic uint64_t ghost_claimed; /* for those that are to be made */

    _Alignas(64) struct sta_ahead ahead[STA_TIER_AHEADS]; /* see sta_upkeep_ahead() */

    _Atomic uint32_t segments_begun; /* by all lanes, and wraps */
    struct sta_stripe stripes[STA_STRIPES + 1];

    /* guarded by sweep_lock */
    pthread_mutex_t sweep_lock;
    uint64_t sweep_bucket;
    uint32_t sweep_depth;

    struct sta_generation generation;
};

_Static_assert(offsetof(struct sta_l1, stamp.sources) / 64 ==
                   offsetof(struct sta_l1, veiled_ms) / 64,
               "a hit reads no other line for the veil");

/* relaxed: who has to see it at once has been told of it by other means */
static inline bool sta_tier_is_veiled(const struct sta_l1 *l1, uint64_t now_ms)
{
    return now_ms >= atomic_load_explicit(&l1->veiled_ms, memory_order_relaxed);
}

static inline uint64_t sta_tier_load(const _Atomic uint64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

static inline void sta_tier_add(_Atomic uint64_t *number, uint64_t more)
{
    atomic_fetch_add_explicit(number, more, memory_order_relaxed);
}

static inline void sta_tier_sub(_Atomic uint64_t *number, uint64_t less)
{
    atomic_fetch_sub_explicit(number, less, memory_order_relaxed);
}

/* Under the lane's lock: nobody else writes. */
static inline void sta_queue_change(_Atomic uint64_t *own, uint64_t more)
{
    /* release: pairs with who reads the sum of both parts */
    atomic_store_explicit(own, sta_tier_load(own) + more, memory_order_release);
}

/* Sums of a queue, from anywhere: an instant old, never less than nothing. What others have taken
 * away was there before: they are asked first. */
static inline uint64_t sta_queue_entries(const struct sta_queue *queue)
{
    uint64_t others = atomic_load_explicit(&queue->others.entries, memory_order_acquire);
    return others + sta_tier_load(&queue->own.entries);
}

static inline uint64_t sta_queue_bytes(const struct sta_queue *queue)
{
    uint64_t others = atomic_load_explicit(&queue->others.bytes, memory_order_acquire);
    return others + sta_tier_load(&queue->own.bytes);
}

/* Here it is others who leave, and the owner who takes away. */
static inline uint64_t sta_queue_dead(const struct sta_queue *queue)
{
    uint64_t own = atomic_load_explicit(&queue->own.dead, memory_order_acquire);
    return own + sta_tier_load(&queue->others.dead);
}

/* For what will be written soon: the line, and that no other processor has it. */
static inline void sta_tier_fetch(const void *line)
{
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)line)); /* the builtin only reads */
#else
    __builtin_prefetch(line, 1);
#endif
}

static inline void sta_tier_count(struct sta_l1 *l1, enum sta_l1_counter what)
{
    sta_stripe_count(l1->stripes, what);
}

static inline uint32_t sta_tier_lanes(const struct sta_l1 *l1)
{
    return l1->thread_lanes + l1->quota_lanes;
}

/* What an entry takes, wherever its bytes are. */
static inline uint64_t sta_tier_cost(const struct sta_l1 *l1, const struct sta_item *item)
{
    struct sta_item_head head = sta_item_head(item);
    uint64_t size = sta_item_size_of(head);
    if (head.state & STA_ITEM_BLOCK)
        size += sta_item_block(item)->size;
    return sta_arena_align(&l1->arena, size);
}

/* ---- entry.c: blocks; removing, under the bucket's lock ---- */

/* A block of at least `size` bytes in all, with one reference, or NULL. */
struct sta_block *sta_entry_create_block(uint64_t size);
void sta_entry_unref_block(struct sta_block *block);

/* The queue that the item at `offset` lies in, whosever it is. */
enum sta_queue_name sta_entry_queue_name(const struct sta_l1 *l1, uint32_t offset);

/* Accounts for an entry that is no longer linked, except for its place. */
void sta_entry_forget(struct sta_l1 *l1, uint32_t offset);

/* The same under the lock of a lane as well, mostly the entry's; and for an entry that eviction has
 * come by, which leaves nothing dead. */
void sta_entry_forget_held(struct sta_l1 *l1, const struct sta_lane *held, uint32_t offset);
void sta_entry_forget_passed(struct sta_l1 *l1, struct sta_queue *queue,
                             const struct sta_item *item);

/* Accounts for one that was linked, under both locks. */
static inline void sta_entry_note(struct sta_queue *queue, uint64_t cost)
{
    sta_queue_change(&queue->own.bytes, cost);
    sta_queue_change(&queue->own.entries, 1);
}

/* Unlinks and accounts, its place too; the bytes stay until their segment is used again. */
void sta_entry_remove_locked(struct sta_l1 *l1, struct sta_slot slot);

/* ---- lane.c: which lane, and its sums ---- */

int sta_lane_init_all(struct sta_l1 *l1, const struct sta_l1_config *config);
void sta_lane_fini_all(struct sta_l1 *l1);

/* The one with the key's namespace, or NULL. */
struct sta_lane *sta_lane_of_namespace(const struct sta_l1 *l1, const struct sta_key *key);

/* The one through which the calling thread stores the key, locked. While the tier comes down to new
 * bounds, a store that has gone STA_LANE_PATIENCE steps of eviction gives up (the resize goes on),
 * and so waits for nobody else's more than that many. */
#define STA_LANE_PATIENCE 128u
struct sta_lane *sta_lane_take(struct sta_l1 *l1, const struct sta_key *key);

static inline void sta_lane_unlock(struct sta_lane *lane)
{
    pthread_mutex_unlock(&lane->lock);
}

/* Before a lock is taken again and again: waits a little while a store wants this lane's. */
void sta_lane_let_in(const struct sta_lane *lane);

/* Whether the tier is on its way down to new bounds. */
static inline bool sta_tier_resizing(const struct sta_l1 *l1)
{
    return atomic_load_explicit(&l1->resizes, memory_order_relaxed) > 0;
}

/* Of all lanes together it is the turn of one queue, as if there were one pair of them
 * (eviction.c), and of the lane where that queue's oldest segment is the oldest. NULL: the tier is
 * empty. */
struct sta_lane *sta_lane_stalest(const struct sta_l1 *l1, enum sta_queue_name *turn);

static inline uint64_t sta_lane_bytes(const struct sta_lane *lane)
{
    return sta_queue_bytes(&lane->queues[STA_QUEUE_SMALL]) +
           sta_queue_bytes(&lane->queues[STA_QUEUE_MAIN]);
}

/* Bytes of segments that entries left behind when they were replaced or removed. */
static inline uint64_t sta_lane_dead(const struct sta_lane *lane)
{
    return sta_queue_dead(&lane->queues[STA_QUEUE_SMALL]) +
           sta_queue_dead(&lane->queues[STA_QUEUE_MAIN]);
}

static inline uint64_t sta_lane_entries(const struct sta_lane *lane)
{
    return sta_queue_entries(&lane->queues[STA_QUEUE_SMALL]) +
           sta_queue_entries(&lane->queues[STA_QUEUE_MAIN]);
}

/* Whoever should make room for a store of the lane, in its queue lane->turn: the lane itself,
 * unless another one has much older entries there. NULL: the tier is empty. So all lanes together
 * are about one pair of queues, and what was left in a lane through which nobody stores grows old
 * and goes, or stays if it is read. The answer may be some stores old. Under the lane's lock. */
struct sta_lane *sta_lane_giver(const struct sta_l1 *l1, struct sta_lane *lane);

/* The queue's oldest segment is another one now. Under its lock. */
void sta_lane_note_oldest(const struct sta_l1 *l1, struct sta_lane *lane, enum sta_queue_name name);

/* Under the lane's lock: places for entries that it may store without a claim. */
static inline uint64_t sta_lane_places(const struct sta_lane *lane)
{
    return sta_tier_load(&lane->places);
}

static inline void sta_lane_set_places(struct sta_lane *lane, uint64_t places)
{
    atomic_store_explicit(&lane->places, places, memory_order_relaxed);
}

/* Gives them back. */
static inline void sta_lane_give_places(struct sta_l1 *l1, struct sta_lane *lane)
{
    sta_budget_give(&l1->places, sta_lane_places(lane));
    sta_lane_set_places(lane, 0);
}

/* ---- eviction.c: under the lane's lock ---- */

/* Room for a new item of `size` bytes (aligned) at the end of a queue, evicting where needed;
 * 0 where there is none. The item is in the queue when it is committed; until then the same
 * room is handed out again. */
uint32_t sta_eviction_room(struct sta_l1 *l1, struct sta_lane *lane, enum sta_queue_name name,
                           uint64_t size, uint64_t now_ms);
void sta_eviction_commit(struct sta_l1 *l1, struct sta_lane *lane, enum sta_queue_name name,
                         uint64_t size);

/* Whether something of `cost` bytes that comes back while its ghost is there goes to the main
 * queue. */
bool sta_eviction_prefers(const struct sta_l1 *l1, struct sta_lane *lane, uint64_t cost);

/* The queue whose turn it is where the small one has `small` bytes of `all`: the small one while it
 * has its share or more, else the main one. */
enum sta_queue_name sta_eviction_turn(const struct sta_l1 *l1, uint64_t small, uint64_t all);

/* Goes one item on at the old end of a queue: evicts, promotes or keeps it. A lane that is mostly
 * dead is cleaned instead. How many bytes it has gone through, a block's too; 0 where there is
 * nothing left to go through. `now_ms` 0: nothing counts as expired. */
uint64_t sta_eviction_step(struct sta_l1 *l1, struct sta_lane *lane, enum sta_queue_name turn,
                           uint64_t now_ms);

/* Claims `bytes` for the caller, evicting; false where the lane cannot or need not make room. */
bool sta_eviction_claim(struct sta_l1 *l1, struct sta_lane *lane, uint64_t bytes, uint64_t now_ms);

/* Claims a place for one more entry, to lane->places. */
bool sta_eviction_claim_place(struct sta_l1 *l1, struct sta_lane *lane, uint64_t now_ms);

/* Evicts until `entries` more of `cost` bytes fit the lane's own quota. */
bool sta_eviction_keep_quota(struct sta_l1 *l1, struct sta_lane *lane, uint64_t entries,
                             uint64_t cost, uint64_t now_ms);

/* Some steps down to the lane's own quota; false where it is kept, or nothing can go. */
bool sta_eviction_thin_quota(struct sta_l1 *l1, struct sta_lane *lane, uint32_t steps);

/* Evicts ahead of need where memory is nearly used up, in proportion to the `size` stored, so
 * that no single store has to empty a whole segment. */
void sta_eviction_pace(struct sta_l1 *l1, struct sta_lane *lane, uint64_t size, uint64_t now_ms);

/* With so many bytes unclaimed no store has to evict ahead. */
uint64_t sta_eviction_pace_bytes(const struct sta_l1 *l1);

/* Gives back what the lane keeps: places, the spare segment, and queues without an entry. */
void sta_eviction_give_up(struct sta_l1 *l1, struct sta_lane *lane);

/* Room by evicting from whichever lane has most, for a lane that cannot or need not make room in
 * itself. Takes that lane's lock: none may be held. False where there is nothing to evict. */
bool sta_eviction_relieve(struct sta_l1 *l1, uint64_t bytes, bool by_bytes, uint64_t now_ms);

/* ---- numbers.c: takes no lock ---- */

/* sta_l1_statistics() without held_ms. */
void sta_numbers_read(const struct sta_l1 *l1, struct sta_l1_statistics *out);

/* ---- upkeep.c ---- */

/* Before there are stores: what may be touched ahead, and the first page of each. */
void sta_upkeep_begin(struct sta_l1 *l1);

/* Touches a page that stores will need soon, if there is one; no lock may be held. */
void sta_upkeep_ahead(struct sta_l1 *l1);

/* The others under the lane's lock. */

/* Lets the index, the ghosts and the shadows follow the number of entries. */
void sta_upkeep_run(struct sta_l1 *l1, struct sta_lane *lane, uint64_t now_ms);

/* Gives the ghosts and the shadows up, to be made anew in another size. No lane need be locked. */
void sta_upkeep_forget(struct sta_l1 *l1);

#endif
