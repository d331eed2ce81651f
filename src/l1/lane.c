/* SPDX-License-Identifier: MIT
 *
 * Lanes (tier.h): stores of different lanes do not wait for each other. A thread has one, in turn,
 * for whatever it stores; a namespace with a quota has one for whoever stores there. An entry lies
 * in the lane through which it was stored last.
 *
 * A lane costs three segments that may be part empty. So a small tier has one, and a large one as
 * many as leave each of them room enough for that not to matter.
 */
#include <sched.h>
#include <stdlib.h>

#include "l1/tier.h"
#include "strata/status.h"

#define LANE_BYTES   (UINT64_C(32) * 1024 * 1024)
#define LANE_ENTRIES (UINT64_C(16) * 1024)
#define LANES_MOST   16u
#define DUE_LASTS    64u  /* questions that one look at all lanes answers at the most, */
#define DUE_PART     256u /*   and of what the lane has */
#define AHEAD_PART   32u  /* of the tier's segments that a lane may be ahead of others */
#define LET_IN       256u /* times that a resize yields to stores that wait */
#define QUOTA_STEPS  128u /* items under one hold of a lock, for a quota that became smaller */
#define LOCK_SPINS   64u  /* a store holds its lane for about as long as this many looks take */

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

int sta_lane_init_all(struct sta_l1 *l1, const struct sta_l1_config *config)
{
    uint32_t threads = thread_lanes(config);
    uint64_t count = threads + config->quota_count;
    l1->lanes = aligned_alloc(_Alignof(struct sta_lane), count * sizeof *l1->lanes);
    if (l1->lanes == NULL)
        return STRATA_ERR_NOMEM;
    memset(l1->lanes, 0, count * sizeof *l1->lanes);
    l1->thread_lanes = threads;
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

struct sta_lane *sta_lane_for(struct sta_l1 *l1, const struct sta_key *key)
{
    struct sta_lane *lane = l1->quota_lanes > 0 ? sta_lane_of_namespace(l1, key) : NULL;
    if (lane != NULL)
        return lane;
    return &l1->lanes[sta_stripe_turn(l1->stripes) & (l1->thread_lanes - 1)];
}

/* A mutex goes to whoever comes first, which is mostly who had it last: so who waits says so. To
 * sleep and be woken costs more than ten stores: first it looks a few times. */
static void wait_for_lock(struct sta_lane *lane)
{
    for (uint32_t i = 0; i < LOCK_SPINS; i++) {
        sta_index_relax();
        if (pthread_mutex_trylock(&lane->lock) == 0)
            return;
    }
    atomic_fetch_add_explicit(&lane->waiting, 1, memory_order_relaxed);
    pthread_mutex_lock(&lane->lock);
    atomic_fetch_sub_explicit(&lane->waiting, 1, memory_order_relaxed);
}

void sta_lane_lock(struct sta_lane *lane)
{
    if (pthread_mutex_trylock(&lane->lock) != 0)
        wait_for_lock(lane);
    lane->patience = STA_LANE_PATIENCE;
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

static void find_due(const struct sta_l1 *l1, struct sta_lane *lane)
{
    enum sta_queue_name turn;
    const struct sta_lane *stalest = sta_lane_stalest(l1, &turn);
    uint64_t ahead = sta_tier_load(&l1->arena.backed) / AHEAD_PART;
    uint64_t lasts = sta_lane_entries(lane) / DUE_PART;
    lane->turn = (uint8_t)turn;
    lane->due = stalest != NULL && has(lane, turn) &&
                age_of(l1, stalest, turn) <= age_of(l1, lane, turn) + ahead;
    lane->due_lasts = (uint16_t)(lasts < DUE_LASTS ? lasts : DUE_LASTS);
}

bool sta_lane_is_due(const struct sta_l1 *l1, struct sta_lane *lane)
{
    if (sta_tier_lanes(l1) == 1)
        return true;
    if (lane->due_lasts == 0)
        find_due(l1, lane);
    else
        lane->due_lasts--;
    return lane->due;
}
