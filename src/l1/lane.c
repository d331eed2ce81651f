/* SPDX-License-Identifier: MIT
 *
 * Lanes (tier.h): stores of different lanes do not wait for each other. A key belongs to one, by
 * its hash, or by its prefix where that is a namespace with a quota.
 *
 * A lane costs three segments that may be part empty, and eviction judges within a lane only. So a
 * small tier has one, and a large one as many as leave each of them room enough for either
 * not to matter.
 */
#include <sched.h>
#include <stdlib.h>

#include "l1/tier.h"
#include "strata/status.h"

#define LANE_BYTES   (UINT64_C(32) * 1024 * 1024)
#define LANE_ENTRIES (UINT64_C(16) * 1024)
#define LANES_MOST   16u
#define SHARE_LASTS  64u  /* questions that one look at all lanes answers */
#define LET_IN       256u /* times that a resize yields to stores that wait */
#define LOCK_SPINS   64u  /* a store holds its lane for about as long as this many looks take */

static uint32_t hash_lanes(const struct sta_l1_config *config)
{
    uint64_t entries = config->max_entries == 0 ? STA_NEVER : config->max_entries;
    uint32_t lanes = 1;
    while (lanes < LANES_MOST && config->max_bytes / LANE_BYTES >= 2 * lanes &&
           entries / LANE_ENTRIES >= 2 * lanes)
        lanes *= 2;
    return lanes;
}

static int copy_prefix(struct sta_l1_quota *quota)
{
    void *copy = malloc(quota->prefix.len);
    if (copy == NULL)
        return STRATA_ERR_NOMEM;
    memcpy(copy, quota->prefix.data, quota->prefix.len);
    quota->prefix = strata_bytes(copy, quota->prefix.len);
    return STRATA_OK;
}

int sta_lane_init_all(struct sta_l1 *l1, const struct sta_l1_config *config)
{
    uint32_t hashed = hash_lanes(config);
    uint64_t count = hashed + config->quota_count;
    l1->lanes = aligned_alloc(_Alignof(struct sta_lane), count * sizeof *l1->lanes);
    if (l1->lanes == NULL)
        return STRATA_ERR_NOMEM;
    memset(l1->lanes, 0, count * sizeof *l1->lanes);
    l1->hash_lanes = hashed;
    for (uint32_t i = 0; i < count; i++) {
        l1->lanes[i].number = (uint16_t)i;
        pthread_mutex_init(&l1->lanes[i].lock, NULL);
    }
    for (uint32_t i = 0; i < config->quota_count; i++) {
        struct sta_lane *lane = &l1->lanes[hashed + i];
        lane->quota = config->quotas[i];
        if (copy_prefix(&lane->quota) < 0) {
            lane->quota.prefix = strata_bytes(NULL, 0);
            l1->quota_lanes = (uint32_t)config->quota_count;
            return STRATA_ERR_NOMEM;
        }
    }
    l1->quota_lanes = (uint32_t)config->quota_count;
    return STRATA_OK;
}

void sta_lane_fini_all(struct sta_l1 *l1)
{
    for (uint32_t i = 0; l1->lanes != NULL && i < sta_tier_lanes(l1); i++) {
        struct sta_lane *lane = &l1->lanes[i];
        sta_ghost_fini(&lane->ghost);
        free((void *)lane->quota.prefix.data);
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
static struct sta_lane *namespace_of(const struct sta_l1 *l1, const struct sta_key *key)
{
    struct sta_lane *best = NULL;
    for (uint32_t i = 0; i < l1->quota_lanes; i++) {
        struct sta_lane *lane = &l1->lanes[l1->hash_lanes + i];
        if (has_prefix(key->bytes, lane->quota.prefix) &&
            (best == NULL || lane->quota.prefix.len > best->quota.prefix.len))
            best = lane;
    }
    return best;
}

/* Bits of the hash that neither buckets nor tags nor generations depend on, as far as that goes. */
struct sta_lane *sta_lane_of(const struct sta_l1 *l1, const struct sta_key *key)
{
    struct sta_lane *lane = l1->quota_lanes > 0 ? namespace_of(l1, key) : NULL;
    return lane != NULL ? lane : &l1->lanes[key->hash >> 48 & (l1->hash_lanes - 1)];
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

static uint64_t weight(const struct sta_lane *lane, bool by_bytes)
{
    return by_bytes ? sta_lane_bytes(lane) + sta_lane_dead(lane) : sta_lane_entries(lane);
}

struct sta_lane *sta_lane_fullest(const struct sta_l1 *l1, bool by_bytes)
{
    struct sta_lane *fullest = NULL;
    uint64_t most = 0;
    for (uint32_t i = 0; i < sta_tier_lanes(l1); i++) {
        uint64_t has = weight(&l1->lanes[i], by_bytes);
        if (has > most) {
            most = has;
            fullest = &l1->lanes[i];
        }
    }
    return fullest;
}

/* Three quarters of the mean, so that what is nearly balanced stays with itself. */
static bool has_share(const struct sta_l1 *l1, const struct sta_lane *lane, bool by_bytes)
{
    uint32_t lanes = sta_tier_lanes(l1);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < lanes; i++)
        sum += weight(&l1->lanes[i], by_bytes);
    uint64_t has = weight(lane, by_bytes);
    return has > 0 && has * lanes * 4 >= sum * 3;
}

bool sta_lane_has_share(const struct sta_l1 *l1, struct sta_lane *lane, bool by_bytes)
{
    if (sta_tier_lanes(l1) == 1)
        return true;
    if (lane->share_age[by_bytes]++ % SHARE_LASTS == 0)
        lane->share[by_bytes] = has_share(l1, lane, by_bytes);
    return lane->share[by_bytes];
}
