/* SPDX-License-Identifier: MIT
 *
 * The disk of the simulated processes: what journals (cache/journal.h) have written to their
 * directories. sim_journal.c is that door over it: the thread that writes and syncs is an event, a
 * little later.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "core/buffer.h"
#include "sim/sim.h"

struct sim_disk;

struct sim_segment {
    uint64_t begin; /* as of the journal that made it */
    uint64_t end;   /* 0: it is being written */
    struct sta_buffer bytes;
};

struct sim_directory {
    char name[4];
    struct sim_segment *segments; /* oldest first */
    size_t count, cap;
    bool dead; /* who writes there is: nothing reaches it any more */
    uint64_t full_until_ns;
};

struct sim_disk *sim_disk_create(struct sim *sim);
void sim_disk_destroy(struct sim_disk **disk);
struct sim_disk *sim_disk_current(void);

/* Made where it is not there. */
struct sim_directory *sim_disk_directory(struct sim_disk *disk, const char *name);

/* Who writes there is killed, perhaps in the middle of a write. */
void sim_disk_kill(struct sim_disk *disk, const char *name);

void sim_disk_fill(struct sim_disk *disk, const char *name, uint64_t until_ns);
void sim_disk_heal(struct sim_disk *disk);

#endif
