/* SPDX-License-Identifier: MIT
 *
 * Who answers from a first tier what is being deleted by pattern: two caches of the library and a
 * stratad, each with a thread that asks for matching keys all the time.
 */
#ifndef BENCH_PATTERN_HIDDEN_H
#define BENCH_PATTERN_HIDDEN_H

#include <stdint.h>

#define HIDDEN_WATCHERS 3u

struct hidden;

/* Milliseconds after the call at which each gave its last value; below 0: before. */
struct hidden_last {
    double ms[HIDDEN_WATCHERS];
};

/* Ends the program where something cannot be had. */
struct hidden *hidden_create(const char *redis_url);
void hidden_destroy(struct hidden **hidden);

/* From here on keys NAME:0 to NAME:999 are asked for; returns when all have them in their L1. */
void hidden_begin(struct hidden *hidden, const char *name);
void hidden_end(struct hidden *hidden, uint64_t called_ns, struct hidden_last *last);

/* *worst is the larger of both. */
void hidden_worse(struct hidden_last *worst, const struct hidden_last *last);
void hidden_report(const struct hidden_last *last);

#endif
