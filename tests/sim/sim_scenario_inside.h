/* SPDX-License-Identifier: MIT
 *
 * What the files of a run share:
 *   sim_scenario.c   what is called, and what must be well afterwards
 *   sim_faults.c     what goes wrong meanwhile
 */
#ifndef SIM_SCENARIO_INSIDE_H
#define SIM_SCENARIO_INSIDE_H

#include "sim/sim_disk.h"
#include "sim/sim_plan.h"

#define SETTLED_NS (200 * STA_NS_MS) /* for what is pushed or answered in peace */

/* Values with a tag that falls while a reader asks for it. */
struct scene {
    unsigned tag;
    unsigned keys[2];
    struct sim_cache *reader, *writer;
    bool silent;
};

struct run {
    struct sim *sim;
    struct sim_plan plan;
    struct sim_net *net;
    struct sim_oracle *oracle;
    struct sim_redis *redis;
    struct sim_disk *disk;
    struct sim_owed *owed; /* NULL: nobody writes behind */
    struct sim_cache *caches[SIM_READERS_MOST];
    unsigned steps_left;
    unsigned silent_key;    /* see on_silence() */
    struct sim_cache *deaf; /* see purge_unheard() */
    unsigned deaf_key;
    unsigned held_key;      /* see die_unheard() */
    struct scene scene;     /* see fall_while_asked() */
    uint64_t calm_until_ns; /* no other fault comes before */
    uint64_t faults;
};

/* ---- sim_scenario.c ---- */

/* Some keys are hot. */
unsigned sim_scenario_pick_key(struct run *run);
struct sim_cache *sim_scenario_pick_cache(struct run *run);

/* Where caches write behind, each key has one that writes it. */
struct sim_cache *sim_scenario_pick_writer(struct run *run, unsigned key);

/* ---- sim_faults.c ---- */

/* The first fault comes then, and others behind it, until the last call was made. */
void sim_faults_begin(struct run *run, uint64_t at_ns);

#endif
