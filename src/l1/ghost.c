/* SPDX-License-Identifier: MIT
 *
 * Ghosts (ghost.h).
 */
#include "l1/ghost.h"

#include <stdlib.h>

#define DEPTH_MOST (sizeof((struct sta_ghost_set *)0)->print / sizeof(uint16_t))

static uint64_t sets_for(uint64_t entries)
{
    return (entries + DEPTH_MOST - 1) / DEPTH_MOST;
}

uint64_t sta_ghost_bytes(uint64_t entries)
{
    return sets_for(entries) * sizeof(struct sta_ghost_set);
}

bool sta_ghost_resize(struct sta_ghost *ghost, uint64_t entries)
{
    uint64_t count = sets_for(entries);
    if (count == 0)
        return false;
    struct sta_ghost_set *sets = calloc(count, sizeof *sets);
    if (sets == NULL)
        return false;
    free(ghost->sets);
    *ghost = (struct sta_ghost){
        .sets = sets, .set_count = count, .depth = (uint32_t)((entries + count - 1) / count)};
    return true;
}

void sta_ghost_fini(struct sta_ghost *ghost)
{
    free(ghost->sets);
    *ghost = (struct sta_ghost){0};
}

static struct sta_ghost_set *set_of(struct sta_ghost *ghost, uint64_t hash)
{
    return &ghost->sets[(uint64_t)(((unsigned __int128)hash * ghost->set_count) >> 64)];
}

/* Other bits than those that choose the set; never 0. */
static uint16_t print_of(uint64_t hash)
{
    uint16_t print = (uint16_t)(hash >> 8);
    return print != 0 ? print : 1;
}

void sta_ghost_add(struct sta_ghost *ghost, uint64_t hash)
{
    if (ghost->sets == NULL)
        return;
    struct sta_ghost_set *set = set_of(ghost, hash);
    set->print[set->next] = print_of(hash);
    set->next = (uint16_t)(set->next + 1u == ghost->depth ? 0 : set->next + 1u);
}

bool sta_ghost_take(struct sta_ghost *ghost, uint64_t hash)
{
    if (ghost->sets == NULL)
        return false;
    struct sta_ghost_set *set = set_of(ghost, hash);
    uint16_t print = print_of(hash);
    for (uint32_t i = 0; i < ghost->depth; i++) {
        if (set->print[i] == print) {
            set->print[i] = 0;
            return true;
        }
    }
    return false;
}
