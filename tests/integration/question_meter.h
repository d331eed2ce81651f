/* SPDX-License-Identifier: MIT
 *
 * How often the nodes of a cluster are asked for its map: by the counts of the nodes themselves
 * (INFO commandstats), altogether and in the busiest of windows of five seconds. Nodes that are
 * restarted meanwhile count anew, and spoil it.
 */
#ifndef TEST_QUESTION_METER_H
#define TEST_QUESTION_METER_H

#include "support/redis_cluster.h"

struct question_meter {
    const struct redis_cluster *cluster;
    uint64_t first, first_ns;   /* at the start */
    uint64_t window, window_ns; /* at the start of this window */
    double most;                /* per second, of all windows */
};

void question_meter_start(struct question_meter *meter, const struct redis_cluster *cluster);

/* To be called again and again: a window ends with the first look after five seconds. */
void question_meter_look(struct question_meter *meter);

/* Says what was seen; fails where it was more than so many per second, in all or in a window. The
 * number of questions since the start. */
uint64_t question_meter_assert(struct question_meter *meter, double most_per_second);

#endif
