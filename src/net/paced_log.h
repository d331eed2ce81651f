/* SPDX-License-Identifier: MIT
 *
 * A log for who speaks of what comes and goes (a node, a lane of stratad, queued invalidations),
 * at a pace that a reader bears: one line per second. Of what comes in between, the last line is
 * written when the second is over, with the number of those that were left out, so that the log
 * never ends with a state that has passed. Debug lines are not held back.
 * Threads: the loop's only. Memory: one line.
 */
#ifndef STA_PACED_LOG_H
#define STA_PACED_LOG_H

#include "core/log.h"
#include "net/loop.h"

#define STA_PACED_LOG_NS (1000 * UINT64_C(1000000))

struct sta_paced_log {
    struct sta_log log; /* write to this one */

    struct sta_log *real; /* may be NULL */
    enum sta_room room;   /* all that is written here is of it */
    struct sta_loop *loop;
    struct sta_timer timer;
    uint64_t free_ns; /* from then on a line may be written */
    unsigned held;    /* lines since the last that was written; the last of them is kept */
    enum strata_log_level level;
    char line[512];
};

void sta_paced_log_init(struct sta_paced_log *log, struct sta_log *real, enum sta_room room,
                        struct sta_loop *loop);

/* Writes what is held. */
void sta_paced_log_fini(struct sta_paced_log *log);

#endif
