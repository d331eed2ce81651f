/* SPDX-License-Identifier: MIT
 *
 * The rows of bench_l1, by what they are about. Each runs its contenders interleaved, checks
 * that what they answered is right, and prints a table. False where something could not be
 * measured, or an answer was wrong.
 */
#ifndef BENCH_L1_WORKLOAD_H
#define BENCH_L1_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/l1/contender.h"
#include "bench/l1/report.h"

#define ROUNDS_MOST 101u

struct bench {
    struct contenders contenders;
    struct report report;
    uint32_t rounds;
    uint32_t slice_ms; /* that each contender is measured for, in each round */
};

struct workload {
    const char *name;
    const char *about;
    bool (*run)(struct bench *bench, const struct workload *workload);
    /* what it is made of, as far as run() cares */
    uint8_t action; /* enum timed_action */
    bool zipf;
    uint32_t keys;
    uint32_t capacity; /* entries; 0: a quarter more than the keys */
    uint32_t threads[3];
};

/* timed.c: time per operation, in rounds. */
enum timed_action {
    TIMED_GET,
    TIMED_BATCH,
    TIMED_MIX,   /* 95 % get, 5 % set, a miss sets */
    TIMED_INSERT /* new keys into a full cache */
};
bool timed_run(struct bench *bench, const struct workload *workload);

/* footprint.c: memory per entry. In a process of its own each, which must have used little
 * before: so these rows come first. */
bool footprint_run(struct bench *bench, const struct workload *workload);

/* pause.c: how long a get takes at worst, while others insert, and while a tier is resized. */
bool pause_run_inserts(struct bench *bench, const struct workload *workload);
bool pause_run_resizes(struct bench *bench, const struct workload *workload);

/* scan.c: what a scan of cold keys does to hot ones. */
bool scan_run(struct bench *bench, const struct workload *workload);

#endif
