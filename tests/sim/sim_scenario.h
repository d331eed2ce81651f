/* SPDX-License-Identifier: MIT
 *
 * One run: what a seed decides (how many caches, which mode, how slow the net is, which faults),
 * some hundred calls of caches and of another client while faults come and go, and then, when they
 * have ended, whether everything is as it should be.
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
    uint64_t operations; /* of caches and of the other client */
    uint64_t reads, hits, failed_reads, writes, faults;
};

/* Of a thousand seeds, how many have a cluster, which take ten times as long, and how many write
 * behind; and of a thousand others, how many have tags. */
struct sim_shares {
    unsigned clusters, behind, tags;
};

/* As a rule. */
static const struct sim_shares sim_shares_usual = {.clusters = 60, .behind = 150, .tags = 250};

void sim_scenario_run(uint64_t seed, const struct sim_shares *shares, struct sim_hearing hearing,
                      struct sim_result *result);

#endif
