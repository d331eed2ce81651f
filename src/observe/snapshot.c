/* SPDX-License-Identifier: MIT
 *
 * See snapshot.h.
 */
#include "observe/snapshot.h"

#include <stdlib.h>

#include "core/clock.h"
#include "observe/l2_report.h"

static double ratio(uint64_t hits, uint64_t misses)
{
    return hits + misses > 0 ? (double)hits / (double)(hits + misses) : 0;
}

void sta_snapshot_derive(struct sta_snapshot *snapshot)
{
    const struct strata_statistics *numbers = &snapshot->statistics;
    snapshot->l1_hit_ratio = ratio(numbers->l1.hits, numbers->l1.misses);
    snapshot->l2_hit_ratio = ratio(numbers->l2.hits, numbers->l2.misses);
    snapshot->l1_held_ns = snapshot->l1.held_ms * STA_NS_MS;
    snapshot->refused = snapshot->link.last_failure == STRATA_ERR_DENIED ||
                        snapshot->link.last_failure == STRATA_ERR_UNTRUSTED;
    if (snapshot->nodes == NULL)
        return;
    snapshot->healthy_nodes = snapshot->nodes->healthy_nodes;
    snapshot->known_nodes = snapshot->nodes->total_nodes;
    snapshot->slots_ok = snapshot->nodes->slots_ok;
}

static int take_l2(struct sta_snapshot *out, struct sta_l2 *l2)
{
    int status = sta_l2_report_create(&out->nodes, l2);
    if (status < 0)
        return status;
    out->parts |= STA_SNAPSHOT_L2;
    out->cluster = sta_l2_is_cluster(l2);
    sta_l2_statistics(l2, &out->link);
    return STRATA_OK;
}

int sta_snapshot_take(struct sta_snapshot *out, struct sta_cache *cache, bool detailed)
{
    const struct sta_cache_config *config = sta_cache_config(cache);
    struct sta_l1 *l1 = sta_cache_l1(cache);
    struct sta_l2 *l2 = sta_cache_l2(cache);
    struct sta_snapshot taken = {
        .parts = STA_SNAPSHOT_ALWAYS | STA_SNAPSHOT_WRITES,
        .detailed = detailed,
        .serve_stale = sta_cache_serve_stale(cache),
        .tracking = config->l2.router.tracking.mode != STA_TRACKING_OFF,
        .budget_ns = sta_cache_budget_ns(cache),
        .timing = sta_cache_timing(cache),
        .prefixes = sta_cache_prefixes(cache),
    };
    int status = l2 != NULL ? take_l2(&taken, l2) : STRATA_OK;
    if (status < 0)
        return status;
    sta_cache_statistics(cache, &taken.statistics);
    if (l1 != NULL) {
        taken.parts |= STA_SNAPSHOT_L1 | STA_SNAPSHOT_TIMED_L1;
        sta_l1_statistics(l1, &taken.l1);
    }
    if (l1 != NULL && l2 != NULL)
        taken.parts |= STA_SNAPSHOT_COHERENCE;
    sta_snapshot_derive(&taken);
    *out = taken;
    return STRATA_OK;
}

void sta_snapshot_fini(struct sta_snapshot *snapshot)
{
    free(snapshot->nodes);
    snapshot->nodes = NULL;
}
