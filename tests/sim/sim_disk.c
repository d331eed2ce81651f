/* SPDX-License-Identifier: MIT
 *
 * See sim_disk.h.
 */
#include "sim/sim_disk.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIRECTORIES_MOST 8u

struct sim_disk {
    struct sim *sim;
    struct sim_directory directories[DIRECTORIES_MOST];
    size_t count;
};

static struct sim_disk *current;

struct sim_directory *sim_disk_directory(struct sim_disk *disk, const char *name)
{
    for (size_t i = 0; i < disk->count; i++)
        if (strcmp(disk->directories[i].name, name) == 0)
            return &disk->directories[i];
    assert(disk->count < DIRECTORIES_MOST);
    struct sim_directory *made = &disk->directories[disk->count++];
    (void)snprintf(made->name, sizeof made->name, "%s", name);
    return made;
}

void sim_disk_kill(struct sim_disk *disk, const char *name)
{
    struct sim_directory *directory = sim_disk_directory(disk, name);
    directory->dead = true;
    directory->full_until_ns = 0; /* or the next one would not start */
}

void sim_disk_fill(struct sim_disk *disk, const char *name, uint64_t until_ns)
{
    sim_log(disk->sim, "disk %s: full", name);
    sim_disk_directory(disk, name)->full_until_ns = until_ns;
}

void sim_disk_heal(struct sim_disk *disk)
{
    for (size_t i = 0; i < disk->count; i++)
        disk->directories[i].full_until_ns = 0;
}

struct sim_disk *sim_disk_create(struct sim *sim)
{
    struct sim_disk *disk = calloc(1, sizeof *disk);
    assert(disk != NULL && current == NULL);
    disk->sim = sim;
    current = disk;
    return disk;
}

struct sim_disk *sim_disk_current(void)
{
    return current;
}

void sim_disk_destroy(struct sim_disk **at)
{
    struct sim_disk *disk = *at;
    *at = NULL;
    current = NULL;
    for (size_t i = 0; i < disk->count; i++) {
        struct sim_directory *directory = &disk->directories[i];
        for (size_t s = 0; s < directory->count; s++)
            sta_buffer_fini(&directory->segments[s].bytes);
        free(directory->segments);
    }
    free(disk);
}
