/* SPDX-License-Identifier: MIT
 *
 * Invalidation by pattern, as cache/purge.c does it on a caller's thread that waits: here nobody
 * can wait, so it goes from answer to answer. The barrier (cache/barrier.c) and the deletes are the
 * real ones; the names are those that match, and finding them takes what time the scenario wishes.
 *
 *     RAISING --up--> names are sought --> DELETING --all gone--> DROPPING --> over
 *      ^  |                                 ^   |                  ^    ^ |
 *      '--' failed: again, within patience  '---' some are not     |    '-' not known: again
 *         '--------- patience is over ----------'------------------'
 */
#ifndef SIM_PURGE_H
#define SIM_PURGE_H

#include "core/list.h"
#include "sim/sim_cache.h"

struct sim_purge_config {
    const char *pattern; /* of keys */
    uint64_t walk_ns;    /* that finding the names takes */
    uint64_t patience_ns;
    bool gives_up; /* nothing is deleted, after all */
};

struct sim_purge;

/* It frees itself when it is over. */
void sim_purge_start(struct sim_cache *cache, const struct sim_purge_config *config);

/* Of a cache that has gone. */
void sim_purge_abandon(struct sta_list *node);

#endif
