/* SPDX-License-Identifier: MIT
 *
 * Ghosts (ghost.h).
 */
#include "l1/ghost.h"

#include <stdlib.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

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
    struct sta_ghost_set *sets = aligned_alloc(sizeof *sets, count * sizeof *sets);
    if (sets == NULL)
        return false;
    memset(sets, 0, count * sizeof *sets);
    free(ghost->sets);
    *ghost = (struct sta_ghost){
        .sets = sets, .set_count = count, .depth = (uint32_t)((entries + count - 1) / count)};
    return true;
}

void sta_ghost_limit(struct sta_ghost *ghost, uint64_t entries)
{
    if (ghost->set_count == 0)
        return;
    uint64_t depth = (entries + ghost->set_count / 2) / ghost->set_count;
    ghost->depth = depth == 0 ? 1 : depth < DEPTH_MOST ? (uint32_t)depth : DEPTH_MOST;
}

void sta_ghost_fini(struct sta_ghost *ghost)
{
    free(ghost->sets);
    *ghost = (struct sta_ghost){0};
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
    struct sta_ghost_set *set = sta_ghost_set_of(ghost, hash);
    if (set->next >= ghost->depth)
        set->next = 0;
    set->print[set->next++] = print_of(hash);
}

/* Which of the set's prints are this one, a bit for each. */
#ifdef __SSE2__
static uint32_t matches(const struct sta_ghost_set *set, uint16_t print)
{
    const __m128i wanted = _mm_set1_epi16((short)print);
    const __m128i *words = (const void *)set;
    uint64_t found = 0;
    for (uint32_t i = 0; i < 4; i += 2) {
        __m128i low = _mm_cmpeq_epi16(_mm_load_si128(words + i), wanted);
        __m128i high = _mm_cmpeq_epi16(_mm_load_si128(words + i + 1), wanted);
        found |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high)) << (8 * i);
    }
    return (uint32_t)(found >> 2); /* behind the cursor and what is spare */
}
#else
static uint32_t matches(const struct sta_ghost_set *set, uint16_t print)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < DEPTH_MOST; i++)
        found |= (uint32_t)(set->print[i] == print) << i;
    return found;
}
#endif

bool sta_ghost_take(struct sta_ghost *ghost, uint64_t hash)
{
    if (ghost->sets == NULL)
        return false;
    struct sta_ghost_set *set = sta_ghost_set_of(ghost, hash);
    uint32_t found = matches(set, print_of(hash)) & ((UINT32_C(1) << ghost->depth) - 1);
    if (found == 0)
        return false;
    set->print[__builtin_ctz(found)] = 0;
    return true;
}
