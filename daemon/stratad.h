/* SPDX-License-Identifier: MIT
 *
 * The daemon as a whole: what its threads share, and their start and end.
 *
 *        main thread                    worker threads (one loop each)
 *     +----------------+   fds, posted  +---------------------------------------+
 *     | acceptor       | -------------> | sessions -> dispatch -> lanes -> Redis|
 *     | signals, sweep |                |     \-> L1 (shared, no lock of ours)  |
 *     +----------------+ <------------- +---------------------------------------+
 *            ^            ready, posted
 *
 *   STARTING --all workers ready--> WARMING --warm, or its time is over--> SERVING
 *   any --SIGTERM, SIGINT--> DRAINING
 *   DRAINING --every worker has ended--> the main loop stops
 *
 * A request is served by the worker that owns its client, from the first byte to the last: no
 * lock and no other thread on its way.
 */
#ifndef STA_STRATAD_H
#define STA_STRATAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/prefixes.h"
#include "cache/sweeper.h"
#include "cache/timing.h"
#include "cache/turns.h"
#include "core/log.h"
#include "daemon/barrier_watch.h"
#include "daemon/stratad_options.h"
#include "l1/l1.h"
#include "l2/connection.h"
#include "l2/redis_url.h"
#include "net/loop.h"
#include "resp/resp.h"

struct sta_acceptor;
struct sta_adjust;
struct sta_admin;
struct sta_signals;
struct sta_warmer;
struct sta_worker;
struct sta_write_window;

enum sta_stratad_state {
    STA_STRATAD_STARTING,
    STA_STRATAD_WARMING, /* with a hot file; clients are served as in SERVING */
    STA_STRATAD_SERVING,
    STA_STRATAD_DRAINING
};

/* What may change while it runs (daemon/adjust.h); relaxed: nothing else hangs from it. */
struct sta_stratad_live {
    _Atomic uint64_t timeout_ms; /* the budget of a command */
    _Atomic uint64_t l1_ttl_ms;  /* STA_NEVER: none */
    _Atomic uint64_t clients_max, own_connections_max, pipeline_limit, drain_timeout_ms;
    _Atomic uint64_t serve_stale;      /* enum strata_serve_stale */
    _Atomic uint64_t metrics_detailed; /* 0 or 1 */
};

static inline uint64_t sta_stratad_live(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

struct sta_stratad {
    /* Fixed before the workers start. */
    struct sta_stratad_options options; /* as at the start: of what is live see there */
    struct sta_log *log;
    struct sta_redis_url url;
    struct sta_tls *tls; /* to Redis; NULL: plain */
    struct sta_resp_limits request_limits;
    struct sta_l1 *l1; /* NULL: switched off */
    uint64_t hash_seed;
    enum sta_tracking_mode tracking; /* of the workers' shared lanes; without L1: OFF */
    uint16_t sources_each;           /* of L1's, how many a worker has */
    struct sta_endpoint *seeds; /* nodes of the cluster to begin with, options.cache has how many;
                                        NULL: a single Redis */
    uint64_t max_staleness_ns;
    struct sta_write_window *window;
    struct sta_barrier_watch watch;
    struct sta_pace pace; /* of reading again what is in doubt, for all workers */
    struct sta_worker **workers;
    size_t worker_count;
    uint64_t started_ns;
    struct sta_timing *timing;     /* how long Redis takes; NULL: not wanted */
    struct sta_prefixes *prefixes; /* what is read, by prefix; NULL: not wanted */
    struct sta_admin *admin;       /* NULL: not wanted */
    struct sta_adjust *adjust;     /* NULL: the options do not change */
    struct sta_loop *loop;         /* the main thread's */
    struct sta_acceptor *acceptor;

    /* Any thread. */
    struct sta_stratad_live live;
    _Atomic uint64_t next_session_id; /* relaxed: only unique */
    _Atomic bool draining;            /* relaxed: a hint for who asks whether it is ready */
    _Atomic bool cold;                /* not warmed yet; relaxed: as draining */
    _Atomic uint64_t sessions;        /* open now, all workers; relaxed: a limit, not a lock */
    _Atomic uint64_t own_connections; /* likewise, of clients' own to Redis, and idle ones */
    _Atomic bool canary_told; /* that it fails; relaxed: a line of the log too many is none */

    /* The main thread's. */
    enum sta_stratad_state state;
    size_t workers_started;
    size_t workers_ready;
    size_t workers_ended;
    size_t next_worker; /* whose turn it is to get a client */
    bool refusal_told;
    struct sta_warmer *warmer; /* until its end is told; NULL: none */
    bool keep_hot_file;        /* it is not to be written: foreign, or better than what L1 has */
    struct sta_sweeper sweeper;
    struct sta_signals *signals;
};

/* A key with the hash by which L1, where there is one, and clients' filters know it. */
static inline struct sta_key sta_stratad_key(const struct sta_stratad *stratad,
                                             struct strata_bytes bytes)
{
    return stratad->l1 != NULL ? sta_l1_key(stratad->l1, bytes)
                               : sta_key_make(bytes, stratad->hash_seed);
}

/* Opens L1, binds the listeners and creates the workers. On failure `error` says why, and nothing
 * is left. `options` and what it points to outlive the daemon. */
int sta_stratad_create(struct sta_stratad **out, const struct sta_stratad_options *options,
                       struct sta_log *log, struct strata_error *error);

/* Serves on the calling thread until a signal has ended it. */
int sta_stratad_run(struct sta_stratad *stratad);

void sta_stratad_destroy(struct sta_stratad **stratad);

/* What is live of these options goes into force. Any thread, one at a time. Quotas are by
 * themselves: STRATA_ERR_CONFIG, and nothing has changed, where they are of other prefixes than at
 * the start. */
int sta_stratad_set_quotas(struct sta_stratad *stratad, const struct strata_options *options,
                           struct strata_error *error);
void sta_stratad_apply(struct sta_stratad *stratad, const struct sta_stratad_options *options);

/* Logs where there is no room for so many clients as are wanted. Any thread. */
void sta_stratad_tell_room(const struct sta_stratad *stratad, uint64_t wanted);

/* A worker's news, called on the main thread. */
void sta_stratad_worker_ready(struct sta_stratad *stratad);
void sta_stratad_worker_refused(struct sta_stratad *stratad, const char *reason);
void sta_stratad_worker_ended(struct sta_stratad *stratad);

#endif
