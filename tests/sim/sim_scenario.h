/* SPDX-License-Identifier: MIT
 *
 * One run: what a seed decides (how many caches, which mode, how slow the net is, which faults), some
 * hundred calls of caches and of another client while faults come and go, and then, when they have
 * ended, whether everything is as it should be.
 */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "sim/sim.h"

#define SIM_REASON_CAP 512u

struct sim_result {
    bool failed;
    char reason[SIM_REASON_CAP];
    uint64_t hash;       /* of all that happened, where it was asked for */
    uint64_t virtual_ns; /* how long it took in there */
    uint64_t reads, hits, failed_reads, writes, faults;
};

/* Of so many seeds in a thousand, as a rule, the Redis is a cluster: they take ten times as long. */
#define SIM_CLUSTERS 60u

void sim_scenario_run(uint64_t seed, unsigned clusters, struct sim_hearing hearing,
                      struct sim_result *result);

#endif
