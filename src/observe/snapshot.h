/* SPDX-License-Identifier: MIT
 *
 * Every number of a cache at about one moment, from which texts, JSON and health are made. Who is
 * no cache (stratad) fills it from its own rooms; `parts` says what there is.
 *
 *     rooms count --> snapshot --> metric_table.h --> Prometheus text, JSON
 *                        '-------> health.h
 *
 * Memory: the nodes are one block; the snapshot is about 200 bytes without them. Durations are not
 * copied: 180 KiB of buckets would be for nothing where only health is asked for.
 */
#ifndef STA_SNAPSHOT_H
#define STA_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/cache.h"
#include "cache/prefixes.h"
#include "cache/timing.h"
#include "l1/l1.h"
#include "strata/cache.h"
#include "strata/l2.h"

/* Which rows of the table there is a value for. */
enum sta_snapshot_part {
    STA_SNAPSHOT_ALWAYS = 1u << 0,
    STA_SNAPSHOT_L1 = 1u << 1,        /* there is an L1 */
    STA_SNAPSHOT_L2 = 1u << 2,        /* there is an L2 */
    STA_SNAPSHOT_WRITES = 1u << 3,    /* sets, deletes, errors and loads are counted */
    STA_SNAPSHOT_COHERENCE = 1u << 4, /* L1 hears of what others write */
    STA_SNAPSHOT_TIMED_L1 = 1u << 5   /* what L1 ends is timed */
};

struct sta_snapshot {
    unsigned parts;
    bool detailed; /* series by node are wanted */
    bool tracking; /* L1 is meant to hear of what others write */
    enum strata_serve_stale serve_stale;
    bool refused;       /* Redis refuses user, password or certificate */
    uint64_t budget_ns; /* of a call */
    uint64_t cluster;   /* 1: Redis is a cluster */
    uint64_t healthy_nodes;
    uint64_t known_nodes;
    uint64_t slots_ok;
    uint64_t l1_held_ns;
    double l1_hit_ratio;
    double l2_hit_ratio;
    struct strata_statistics statistics;
    struct sta_l1_statistics l1;
    struct sta_connection_statistics link; /* all connections together */
    struct strata_l2_health *nodes;        /* owned; NULL: there is no L2 */
    const struct sta_timing *timing;       /* NULL: nothing is timed */
    struct sta_prefixes *prefixes;         /* NULL: nothing is counted by prefix */
};

/* Any thread but under a lock that the cache's loop may want. STRATA_ERR_NOMEM; STRATA_ERR_CLOSED.
 * It must be given to fini(), before the cache is closed. */
int sta_snapshot_take(struct sta_snapshot *out, struct sta_cache *cache, bool detailed);

/* What follows from the rest: ratios, and numbers of the nodes. */
void sta_snapshot_derive(struct sta_snapshot *snapshot);

void sta_snapshot_fini(struct sta_snapshot *snapshot);

#endif
