/* SPDX-License-Identifier: MIT
 *
 * What the workers count, and the answer to STRATA STATS. One table gives each counter its name
 * and meaning; struct and JSON come from it.
 *
 * Threads: each worker has counters of its own, which its loop alone writes and anybody reads.
 */
#ifndef STA_STATS_H
#define STA_STATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "l2/connection.h"
#include "l2/node_health.h"

struct sta_stratad;

/* X(name, meaning) */
#define STA_STATS_COUNTERS(X)                                                                      \
    X(sessions_opened, "clients that were accepted")                                               \
    X(sessions_closed, "clients that have gone or were closed")                                    \
    X(sessions_refused, "clients turned away at the limit of clients")                             \
    X(sessions_overrun, "clients closed because they did not read what they had asked for")        \
    X(protocol_errors, "clients closed because they broke the protocol")                           \
    X(commands, "commands received")                                                               \
    X(commands_refused, "commands that stratad does not offer")                                    \
    X(reads_l1, "keys read from L1")                                                               \
    X(reads_l2, "keys read from Redis through L1")                                                 \
    X(reads_unasked,                                                                               \
      "of these: keys for which L1 was not asked, a command of the same client that "              \
      "may concern them not being answered yet")                                                   \
    X(reads_l2_found, "of these: keys that Redis had")                                             \
    X(reads_l2_absent, "of these: keys that Redis had not")                                        \
    X(reads_stale, "keys answered from L1 in doubt, because Redis did not answer")                 \
    X(forwarded, "commands sent on to Redis, except reads through L1")                             \
    X(writes, "commands that changed keys, or might have")                                         \
    X(own_opened, "connections to Redis that were opened for clients of their own")                \
    X(own_refused, "commands refused because no more of these were allowed")                       \
    X(errors_unavailable, "commands not sent because Redis could not be reached")                  \
    X(errors_timeout, "commands without an answer in time")                                        \
    X(errors_lost, "commands whose connection broke before the answer")                            \
    X(errors_busy, "commands not sent because too many waited")

struct sta_stats {
#define STATS_FIELD(name, meaning) _Atomic uint64_t name;
    STA_STATS_COUNTERS(STATS_FIELD)
#undef STATS_FIELD
};

/* Owner only. Relaxed, and no read-modify-write: there is one writer, and readers want a number,
 * not an order. */
static inline void sta_stats_add(_Atomic uint64_t *counter, uint64_t count)
{
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + count, memory_order_relaxed);
}

/* A lane as its worker last saw it; written by the worker about once a second and whenever the
 * connection becomes usable or ceases to be. Fields as in sta_connection_statistics, relaxed. */
struct sta_stats_lane {
    _Atomic int state;        /* enum sta_connection_state */
    _Atomic int last_failure; /* why it is not READY */
    _Atomic bool silent;      /* READY, and does not answer */
    _Atomic uint64_t requests, replies, late, timeouts, lost, refused, connects, reconnects,
        failures;
    _Atomic uint64_t bytes_out, bytes_in, in_flight;
    /* Latency of clients' commands, as in sta_node_health. */
    _Atomic uint64_t ewma_ns;
    _Atomic uint32_t answered[STA_NODE_HEALTH_BUCKETS]; /* in the windows that counted then */
};

enum sta_stats_tracking {
    STA_STATS_TRACKING_OFF,
    STA_STATS_TRACKING_UNKNOWN, /* Redis is not connected to */
    STA_STATS_TRACKING_REFUSED, /* TTL only */
    STA_STATS_TRACKING_IN_FORCE
};

/* What a worker hears of others' changes (tracked_lane.h); its loop writes. */
struct sta_stats_coherence {
    _Atomic int state;              /* enum sta_stats_tracking */
    _Atomic uint64_t invalidations; /* keys that Redis named */
    _Atomic uint64_t invalidations_of_all;
    _Atomic uint64_t canaries;
    _Atomic uint64_t canaries_lost;
};

void sta_stats_lane_store(struct sta_stats_lane *lane,
                          const struct sta_connection_statistics *seen);
void sta_stats_lane_store_latency(struct sta_stats_lane *lane, const struct sta_node_health *seen,
                                  uint64_t now_ns);

/* Any thread: adds the latency of this lane. */
void sta_stats_lane_add_latency(const struct sta_stats_lane *lane, struct sta_node_health *sum,
                                uint64_t now_ns);

/* Any thread: the shared lane of each worker was READY when it last looked. */
bool sta_stats_is_available(const struct sta_stratad *stratad);

/* The counters of all workers together. */
struct sta_stats_totals {
#define STATS_TOTAL(name, meaning) uint64_t name;
    STA_STATS_COUNTERS(STATS_TOTAL)
#undef STATS_TOTAL
};

/* Any thread. */
struct sta_stats_totals sta_stats_add_up(const struct sta_stratad *stratad);

/* Any thread. Appends the JSON text:
 *
 *   {"version", "uptime_seconds", "workers", "listen",
 *    "sessions": {"open", "opened", "closed", "refused", "overrun", "protocol_errors"},
 *    "commands": {"total", "refused", "forwarded", "writes",
 *                 "errors": {"unavailable", "timeout", "lost", "busy"}},
 *    "own_connections": {"open", "opened", "refused"},
 *    "l1": {"enabled", "hits", "misses", "unasked", "hit_ratio", "entries", "memory_bytes", ...},
 *    "coherence": {"mode", "max_staleness_seconds", "invalidations", "invalidations_of_all",
 *                  "canaries", "canaries_lost", "stale_answers"},
 *    "l2": {"url", "available", "reads", "lanes": {"shared": {...}, "plain2": {}, "plain3": {}}},
 *    "health": {...}, "metrics": {...}, "l1_cache": {...}, "l2_cache": {...}, "latency": {...}}
 *
 * of which the last line is as the library has it (docs/metrics.md).
 *
 * STRATA_OK, STRATA_ERR_NOMEM. */
int sta_stats_render(const struct sta_stratad *stratad, struct sta_buffer *out);

#endif
