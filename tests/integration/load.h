/* SPDX-License-Identifier: MIT
 *
 * Threads that read and write through a cache without a break while a test does harm, and know what
 * each answer must be. Each thread has keys of its own; a value tells its key and its number, and
 * the rest of its bytes follow from these. So a reply that belongs to another request, or to
 * another key, cannot pass for right, and neither can one that is older than what was acknowledged.
 *
 * What a call's outcome leaves open is left open: a write that ended with an error may have
 * happened.
 */
#ifndef TEST_LOAD_H
#define TEST_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "strata/strata.h"

#define LOAD_STATUSES 24

struct load;

struct load_config {
    struct strata *cache;
    const char *prefix; /* of its keys; no two loads on the same Redis may share one */
    unsigned threads;   /* 4 */
    unsigned keys;      /* of each thread; 200 */
    unsigned batch;     /* not 0: every other read is a batch of so many */
    unsigned pause_us;  /* between two calls of a thread; 300 */
};

struct load_result {
    uint64_t reads; /* answered, keys of batches each */
    uint64_t writes;
    uint64_t errors[LOAD_STATUSES]; /* by the negated status: errors[4] is STRATA_ERR_TIMEOUT */
    uint64_t failed;                /* the sum of errors */
    uint64_t wrong;                 /* a value that was never written under its key */
    uint64_t lost;         /* a miss, or an older value, where a newer one was acknowledged */
    uint64_t longest_ns;   /* of all calls */
    char first_wrong[160]; /* what it was */
};

struct load *load_start(const struct load_config *config);

/* As it stands. */
struct load_result load_look(const struct load *load);

/* Waits until every thread has had `calls` calls in a row without an error. */
bool load_recovers(const struct load *load, unsigned calls, unsigned timeout_ms);

/* Waits until every thread has had `calls` more calls, with whatever outcome. */
bool load_goes_on(const struct load *load, unsigned calls, unsigned timeout_ms);

/* Reads every key once more, so that the last write is looked at, and ends. */
struct load_result load_stop(struct load **load);

/* For fixtures: ends those that a test which failed has left. */
void load_stop_left(void);

/* Fails the running test where an answer was wrong, or where one was lost. */
void load_assert_right(const struct load_result *result);
void load_assert_none_lost(const struct load_result *result);

#endif
