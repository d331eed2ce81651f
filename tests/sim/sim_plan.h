/* SPDX-License-Identifier: MIT
 *
 * What a seed decides of a run, before it begins.
 */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include "sim/sim_cache.h"
#include "sim/sim_redis.h"
#include "sim/sim_scenario.h"

#define SIM_OTHERS_MANY 400u /* per mille */

struct sim_plan {
    unsigned caches, keys;
    unsigned large;    /* per mille of values that have a lane of their own */
    unsigned expiring; /* per mille of writes with a TTL */
    unsigned purging;  /* per mille of calls that delete by pattern */
    unsigned tags;     /* that there are; 0: none */
    unsigned tagged;   /* per mille of caches' sets that have some of them */
    unsigned falling;  /* per mille of calls that invalidate one */
    unsigned foreign;  /* per mille of calls that are another client's */
    uint64_t fault_ns; /* between two faults, on average; 0: there are none */
    struct sim_net_config net;
    struct sim_redis_config redis;
    struct sim_cache_config cache;
};

void sim_plan_draw(struct sim *sim, const struct sim_shares *shares, struct sim_plan *plan);
void sim_plan_tell(struct sim *sim, const struct sim_plan *plan);

#endif
