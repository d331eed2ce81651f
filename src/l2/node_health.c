/* SPDX-License-Identifier: MIT
 *
 * Latency of a node; see node_health.h. A bucket is an eighth of a power of two of units of
 * 1.024 us; what took longer than 17 s is in the last.
 */
#include "l2/node_health.h"

#include <assert.h>
#include <string.h>

#define UNIT_BITS   10u /* 1024 ns */
#define EIGHTH_BITS 3u
#define POWER_MAX   23u /* of units: 2^24 of them are 17 s */

static_assert(STA_NODE_HEALTH_BUCKETS == (POWER_MAX - EIGHTH_BITS + 2) << EIGHTH_BITS,
              "one for each eighth");

static unsigned bucket_of(uint64_t latency_ns)
{
    uint64_t units = latency_ns >> UNIT_BITS;
    if (units < 1u << EIGHTH_BITS)
        return (unsigned)units;
    unsigned power = 63u - (unsigned)__builtin_clzll(units);
    if (power > POWER_MAX)
        return STA_NODE_HEALTH_BUCKETS - 1;
    unsigned shift = power - EIGHTH_BITS;
    return (shift << EIGHTH_BITS) + (unsigned)(units >> shift);
}

/* What lies in the bucket is less than this. */
static uint64_t bucket_end_ns(unsigned bucket)
{
    unsigned shift = bucket < 1u << EIGHTH_BITS ? 0 : (bucket >> EIGHTH_BITS) - 1;
    return ((uint64_t)(bucket - (shift << EIGHTH_BITS)) + 1) << (shift + UNIT_BITS);
}

static uint64_t window_age_ns(const struct sta_node_health *health, uint64_t now_ns)
{
    return now_ns - health->window_at_ns;
}

/* The windows that count at `now_ns`: both, the one written last, or none. */
static unsigned windows_that_count(const struct sta_node_health *health, uint64_t now_ns)
{
    uint64_t age_ns = window_age_ns(health, now_ns);
    if (age_ns < STA_NODE_HEALTH_WINDOW_NS)
        return 2;
    return age_ns < 2 * STA_NODE_HEALTH_WINDOW_NS ? 1 : 0;
}

static void roll_windows(struct sta_node_health *health, uint64_t now_ns)
{
    unsigned count = windows_that_count(health, now_ns);
    if (count == 2)
        return;
    if (count == 0)
        memset(health->windows, 0, sizeof health->windows);
    health->current ^= 1;
    memset(health->windows[health->current], 0, sizeof health->windows[0]);
    health->window_at_ns = count == 1 ? health->window_at_ns + STA_NODE_HEALTH_WINDOW_NS : now_ns;
}

void sta_node_health_timed(struct sta_node_health *health, uint64_t latency_ns, uint64_t now_ns)
{
    roll_windows(health, now_ns);
    health->windows[health->current][bucket_of(latency_ns)]++;
    if (health->last_reply_ns == 0)
        health->ewma_ns = latency_ns;
    else
        health->ewma_ns += latency_ns / 16 - health->ewma_ns / 16;
    health->last_reply_ns = now_ns;
}

void sta_node_health_answered(struct sta_node_health *health, uint64_t latency_ns, uint64_t now_ns)
{
    sta_node_health_timed(health, latency_ns, now_ns);
    health->replies++;
    health->in_flight--;
}

/* How many replies of this bucket count, as told by windows_that_count(). */
static uint64_t replies_in(const struct sta_node_health *health, unsigned bucket, unsigned windows)
{
    uint64_t replies = windows > 0 ? health->windows[health->current][bucket] : 0;
    return windows > 1 ? replies + health->windows[health->current ^ 1][bucket] : replies;
}

static uint64_t replies_in_all(const struct sta_node_health *health, unsigned windows)
{
    uint64_t replies = 0;
    for (unsigned i = 0; i < STA_NODE_HEALTH_BUCKETS; i++)
        replies += replies_in(health, i, windows);
    return replies;
}

uint64_t sta_node_health_quantile(const struct sta_node_health *health, double fraction,
                                  uint64_t now_ns)
{
    unsigned windows = windows_that_count(health, now_ns);
    double wanted = (double)replies_in_all(health, windows) * fraction;
    uint64_t seen = 0;
    for (unsigned i = 0; i < STA_NODE_HEALTH_BUCKETS; i++) {
        seen += replies_in(health, i, windows);
        if (seen > 0 && (double)seen >= wanted)
            return bucket_end_ns(i);
    }
    return 0;
}

void sta_node_health_merge(struct sta_node_health *into, const struct sta_node_health *from,
                           uint64_t now_ns)
{
    unsigned windows = windows_that_count(from, now_ns);
    roll_windows(into, now_ns);
    uint64_t mine = replies_in_all(into, 2), theirs = replies_in_all(from, windows);
    if (mine + theirs > 0)
        into->ewma_ns = (uint64_t)(((double)into->ewma_ns * (double)mine +
                                    (double)from->ewma_ns * (double)theirs) /
                                   (double)(mine + theirs));
    else if (into->ewma_ns == 0)
        into->ewma_ns = from->ewma_ns;
    for (unsigned i = 0; i < STA_NODE_HEALTH_BUCKETS; i++)
        into->windows[into->current][i] += (uint32_t)replies_in(from, i, windows);
    into->requests += from->requests;
    into->replies += from->replies;
    into->late += from->late;
    into->connects += from->connects;
    into->reconnects += from->reconnects;
    into->in_flight += from->in_flight;
    for (unsigned i = 0; i < STA_NODE_HEALTH_ERRORS; i++)
        into->errors[i] += from->errors[i];
    if (from->last_reply_ns > into->last_reply_ns)
        into->last_reply_ns = from->last_reply_ns;
}
