/* SPDX-License-Identifier: MIT
 *
 * Lanes (tier.h): stores of different lanes do not wait for each other. A thread stores through the
 * one of its seat; a namespace with a quota has one for whoever stores there. An entry lies in the
 * lane through which it was stored last.
 *
 * A seat is a small number that no other thread of the process that runs at this moment has, so
 * that whoever comes finds a lane that was in use just now, and as many lanes are in use as
 * processors are. The kernel keeps it in memory that it shares with the thread (rseq(2)): the
 * concurrency id (Linux 6.3) or else the processor's number; it may be another one an instant
 * later. Who is interrupted in the middle of a store keeps its lane locked: whoever comes to its
 * seat meanwhile takes one of the next. Where there is neither, threads are numbered in turn.
 *
 * A lane costs three segments that may be part empty. So a small tier has one, and a large one as
 * many as leave each of them room enough for that not to matter.
 */
#include <sched.h>
#include <stdlib.h>

#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
#include <sys/auxv.h>
#include <sys/rseq.h>
#define HAVE_RSEQ 1
#endif

#include "l1/tier.h"
#include "strata/status.h"

#define LANE_BYTES   (UINT64_C(32) * 1024 * 1024)
#define LANE_ENTRIES (UINT64_C(16) * 1024)
#define LANES_MOST   16u
#define GIVER_LASTS  64u  /* questions that one look at all lanes answers at the most, */
#define GIVER_PART   256u /*   and of what the lane has */
#define AHEAD_PART   32u  /* of the tier's segments that a lane may be ahead of others */
#define LET_IN       256u /* times that a resize yields to stores that wait */
#define QUOTA_STEPS  128u /* items under one hold of a lock, for a quota that became smaller */
#define LOCK_SPINS   64u  /* a store holds its lane for about as long as this many looks take */
#define LANE_TRIES   4u   /* lanes that are tried before one is waited for */

/* Of the structure that the kernel writes; not all headers know all of it. */
#define RSEQ_CPU_AT        4u
#define RSEQ_CID_AT        24u
#define AUX_RSEQ_SIZE      27u /* AT_RSEQ_FEATURE_SIZE: how much of it the kernel writes */
#define RSEQ_SIZE_WITH_CID 28u

static uint32_t thread_lanes(const struct sta_l1_config *config)
{
    uint64_t entries = config->max_entries == 0 ? STA_NEVER : config->max_entries;
    uint32_t lanes = 1;
    while (lanes < LANES_MOST && config->max_bytes / LANE_BYTES >= 2 * lanes &&
           entries / LANE_ENTRIES >= 2 * lanes)
        lanes *= 2;
    return lanes;
}

static int set_namespace(struct sta_lane *lane, const struct sta_l1_quota *quota)
{
    void *copy = malloc(quota->prefix.len);
    if (copy == NULL)
        return STRATA_ERR_NOMEM;
    memcpy(copy, quota->prefix.data, quota->prefix.len);
    lane->prefix = strata_bytes(copy, quota->prefix.len);
    atomic_init(&lane->most_bytes, quota->max_bytes);
    atomic_init(&lane->most_entries, quota->max_entries);
    return STRATA_OK;
}

static uint32_t find_seats(void)
{
#ifdef HAVE_RSEQ
    if (__rseq_size > 0)
        return getauxval(AUX_RSEQ_SIZE) >= RSEQ_SIZE_WITH_CID ? RSEQ_CID_AT : RSEQ_CPU_AT;
#endif
    return 0;
}

int sta_lane_init_all(struct sta_l1 *l1, const struct sta_l1_config *config)
{
    uint32_t threads = thread_lanes(config);
    uint64_t count = threads + config->quota_count;
    l1->lanes = aligned_alloc(_Alignof(struct sta_lane), count * sizeof *l1->lanes);
    if (l1->lanes == NULL)
        return STRATA_ERR_NOMEM;
    memset(l1->lanes, 0, count * sizeof *l1->lanes);
    l1->thread_lanes = threads;
    l1->seat_at = find_seats();
    for (uint32_t i = 0; i < count; i++) {
        l1->lanes[i].number = (uint16_t)i;
        pthread_mutex_init(&l1->lanes[i].lock, NULL);
    }
    l1->quota_lanes = (uint32_t)config->quota_count;
    int status = STRATA_OK;
    for (uint32_t i = 0; i < config->quota_count && status == STRATA_OK; i++)
        status = set_namespace(&l1->lanes[threads + i], &config->quotas[i]);
    return status;
}

void sta_lane_fini_all(struct sta_l1 *l1)
{
    for (uint32_t i = 0; l1->lanes != NULL && i < sta_tier_lanes(l1); i++) {
        struct sta_lane *lane = &l1->lanes[i];
        free((void *)lane->prefix.data);
        pthread_mutex_destroy(&lane->lock);
    }
    free(l1->lanes);
    l1->lanes = NULL;
}

static bool has_prefix(struct strata_bytes bytes, struct strata_bytes prefix)
{
    return prefix.len > 0 && bytes.len >= prefix.len &&
           memcmp(bytes.data, prefix.data, prefix.len) == 0;
}

/* The longest prefix wins. */
struct sta_lane *sta_lane_of_namespace(const struct sta_l1 *l1, const struct sta_key *key)
{
    struct sta_lane *best = NULL;
    for (uint32_t i = 0; i < l1->quota_lanes; i++) {
        struct sta_lane *lane = &l1->lanes[l1->thread_lanes + i];
        if (has_prefix(key->bytes, lane->prefix) &&
            (best == NULL || lane->prefix.len > best->prefix.len))
            best = lane;
    }
    return best;
}

static struct sta_lane *lane_of_prefix(struct sta_l1 *l1, struct strata_bytes prefix)
{
    for (uint32_t i = 0; i < l1->quota_lanes; i++) {
        struct sta_lane *lane = &l1->lanes[l1->thread_lanes + i];
        if (lane->prefix.len == prefix.len && has_prefix(prefix, lane->prefix))
            return lane;
    }
    return NULL;
}

/* Down to it in pieces: others store in between, under the new bounds. */
static void set_quota(struct sta_l1 *l1, struct sta_lane *lane, const struct sta_l1_quota *quota)
{
    bool going = true;
    while (going) {
        sta_lane_let_in(lane);
        pthread_mutex_lock(&lane->lock);
        atomic_store_explicit(&lane->most_bytes, quota->max_bytes, memory_order_relaxed);
        atomic_store_explicit(&lane->most_entries, quota->max_entries, memory_order_relaxed);
        going = sta_eviction_thin_quota(l1, lane, QUOTA_STEPS);
        pthread_mutex_unlock(&lane->lock);
    }
}

int sta_l1_set_quotas(struct sta_l1 *l1, const struct sta_l1_quota *quotas, size_t count)
{
    if (count != l1->quota_lanes)
        return STRATA_ERR_INVALID;
    for (size_t i = 0; i < count; i++) {
        if (lane_of_prefix(l1, quotas[i].prefix) == NULL)
            return STRATA_ERR_INVALID;
    }
    for (size_t i = 0; i < count; i++)
        set_quota(l1, lane_of_prefix(l1, quotas[i].prefix), &quotas[i]);
    return STRATA_OK;
}

static uint32_t seat_of_caller(struct sta_l1 *l1)
{
#ifdef HAVE_RSEQ
    if (l1->seat_at != 0) {
        const char *shared = (const char *)__builtin_thread_pointer() + __rseq_offset;
        return *(const volatile uint32_t *)(const void *)(shared + l1->seat_at);
    }
#endif
    return sta_stripe_turn(l1->stripes);
}

/* To sleep and be woken costs more than ten stores: first it looks a few times. */
static bool try_for_long(struct sta_lane *lane)
{
    for (uint32_t i = 0; i < LOCK_SPINS; i++) {
        sta_index_relax();
        if (pthread_mutex_trylock(&lane->lock) == 0)
            return true;
    }
    return false;
}

/* A mutex goes to whoever comes first, which is mostly who had it last: so who waits says so. */
static void wait_for_lock(struct sta_lane *lane)
{
    atomic_fetch_add_explicit(&lane->waiting, 1, memory_order_relaxed);
    pthread_mutex_lock(&lane->lock);
    atomic_fetch_sub_explicit(&lane->waiting, 1, memory_order_relaxed);
}

/* The lane at `seat` is busy. */
static struct sta_lane *take_another(struct sta_l1 *l1, uint32_t seat)
{
    uint32_t mask = l1->thread_lanes - 1;
    struct sta_lane *lane = &l1->lanes[seat & mask];
    if (try_for_long(lane))
        return lane;
    for (uint32_t i = 1; i < LANE_TRIES && i <= mask; i++) {
        struct sta_lane *other = &l1->lanes[(seat + i) & mask];
        if (pthread_mutex_trylock(&other->lock) == 0)
            return other;
    }
    wait_for_lock(lane);
    return lane;
}

struct sta_lane *sta_lane_take(struct sta_l1 *l1, const struct sta_key *key)
{
    struct sta_lane *lane = l1->quota_lanes > 0 ? sta_lane_of_namespace(l1, key) : NULL;
    if (lane != NULL) {
        if (pthread_mutex_trylock(&lane->lock) != 0 && !try_for_long(lane))
            wait_for_lock(lane);
    } else {
        uint32_t seat = seat_of_caller(l1);
        lane = &l1->lanes[seat & (l1->thread_lanes - 1)];
        if (pthread_mutex_trylock(&lane->lock) != 0)
            lane = take_another(l1, seat);
    }
    lane->patience = STA_LANE_PATIENCE;
    return lane;
}

void sta_lane_let_in(const struct sta_lane *lane)
{
    for (uint32_t i = 0;
         i < LET_IN && atomic_load_explicit(&lane->waiting, memory_order_relaxed) > 0; i++)
        sched_yield();
}

/* ---- whose turn it is to give room ---- */

void sta_lane_note_oldest(const struct sta_l1 *l1, struct sta_lane *lane, enum sta_queue_name name)
{
    uint32_t oldest = lane->queues[name].oldest;
    if (oldest != 0)
        atomic_store_explicit(&lane->begun[name], l1->arena.segments[oldest].moment,
                              memory_order_relaxed);
    atomic_store_explicit(&lane->has[name], oldest != 0, memory_order_relaxed);
}

static bool has(const struct sta_lane *lane, enum sta_queue_name name)
{
    return atomic_load_explicit(&lane->has[name], memory_order_relaxed);
}

/* How many segments were begun since the queue's oldest. */
static uint32_t age_of(const struct sta_l1 *l1, const struct sta_lane *lane,
                       enum sta_queue_name name)
{
    return atomic_load_explicit(&l1->segments_begun, memory_order_relaxed) -
           atomic_load_explicit(&lane->begun[name], memory_order_relaxed);
}

static struct sta_lane *stalest_of(const struct sta_l1 *l1, enum sta_queue_name name)
{
    struct sta_lane *stalest = NULL;
    for (uint32_t i = 0; i < sta_tier_lanes(l1); i++) {
        struct sta_lane *lane = &l1->lanes[i];
        if (has(lane, name) &&
            (stalest == NULL || age_of(l1, lane, name) > age_of(l1, stalest, name)))
            stalest = lane;
    }
    return stalest;
}

struct sta_lane *sta_lane_stalest(const struct sta_l1 *l1, enum sta_queue_name *turn)
{
    uint64_t small = 0;
    uint64_t all = 0;
    for (uint32_t i = 0; i < sta_tier_lanes(l1); i++) {
        small += sta_queue_bytes(&l1->lanes[i].queues[STA_QUEUE_SMALL]);
        all += sta_lane_bytes(&l1->lanes[i]);
    }
    *turn = sta_eviction_turn(l1, small, all);
    struct sta_lane *stalest = stalest_of(l1, *turn);
    if (stalest != NULL)
        return stalest;
    *turn = (enum sta_queue_name) !*turn;
    return stalest_of(l1, *turn);
}

static void find_giver(const struct sta_l1 *l1, struct sta_lane *lane)
{
    enum sta_queue_name turn;
    const struct sta_lane *giver = sta_lane_stalest(l1, &turn);
    uint64_t ahead = sta_tier_load(&l1->arena.backed) / AHEAD_PART;
    uint64_t lasts = sta_lane_entries(lane) / GIVER_PART;
    if (giver != NULL && has(lane, turn) &&
        age_of(l1, giver, turn) <= age_of(l1, lane, turn) + ahead)
        giver = lane;
    lane->turn = (uint8_t)turn;
    lane->giver = giver != NULL ? (uint8_t)giver->number : STA_LANE_NONE;
    lane->giver_lasts = (uint8_t)(lasts < GIVER_LASTS ? lasts : GIVER_LASTS);
}

struct sta_lane *sta_lane_giver(const struct sta_l1 *l1, struct sta_lane *lane)
{
    if (lane->giver_lasts == 0)
        find_giver(l1, lane);
    else
        lane->giver_lasts--;
    return lane->giver == STA_LANE_NONE ? NULL : &l1->lanes[lane->giver];
}
