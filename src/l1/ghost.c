/* SPDX-License-Identifier: MIT
 *
 * Ghosts (ghost.h). Everything relaxed: a fingerprint that is lost, or seen where another one was
 * meant, costs one entry its place.
 */
#include "l1/ghost.h"

#include <sys/mman.h>

#include "l1/arena.h"
#include "strata/status.h"

#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
#include <emmintrin.h>
#define BY_WORDS 1
#endif

#define DEPTH_MOST (sizeof((struct sta_ghost_set *)0)->print / sizeof(uint16_t))

static uint64_t sets_for(const struct sta_ghost *ghost, uint64_t entries)
{
    uint64_t sets = (entries + DEPTH_MOST - 1) / DEPTH_MOST;
    return sets < ghost->sets_most ? sets : ghost->sets_most;
}

int sta_ghost_init(struct sta_ghost *ghost, uint64_t bytes)
{
    ghost->sets_most = bytes / sizeof *ghost->sets;
    ghost->sets = sta_arena_reserve(ghost->sets_most * sizeof *ghost->sets, false);
    return ghost->sets != NULL ? STRATA_OK : STRATA_ERR_NOMEM;
}

void sta_ghost_fini(struct sta_ghost *ghost)
{
    if (ghost->sets != NULL)
        munmap(ghost->sets, ghost->sets_most * sizeof *ghost->sets);
    ghost->sets = NULL;
}

uint64_t sta_ghost_bytes(const struct sta_ghost *ghost, uint64_t entries)
{
    return sets_for(ghost, entries) * sizeof *ghost->sets;
}

void sta_ghost_resize(struct sta_ghost *ghost, uint64_t entries)
{
    uint64_t before = atomic_load_explicit(&ghost->set_count, memory_order_relaxed);
    atomic_store_explicit(&ghost->set_count, 0, memory_order_relaxed);
    if (before > 0)
        madvise(ghost->sets, before * sizeof *ghost->sets, MADV_DONTNEED); /* they read as zero */
    atomic_store_explicit(&ghost->set_count, sets_for(ghost, entries), memory_order_relaxed);
    sta_ghost_limit(ghost, entries);
}

void sta_ghost_limit(struct sta_ghost *ghost, uint64_t entries)
{
    uint64_t count = atomic_load_explicit(&ghost->set_count, memory_order_relaxed);
    if (count == 0)
        return;
    uint64_t depth = (entries + count / 2) / count;
    depth = depth == 0 ? 1 : depth < DEPTH_MOST ? depth : DEPTH_MOST;
    atomic_store_explicit(&ghost->depth, (uint32_t)depth, memory_order_relaxed);
}

/* Other bits than those that choose the set; never 0. */
static uint16_t print_of(uint64_t hash)
{
    uint16_t print = (uint16_t)(hash >> 8);
    return print != 0 ? print : 1;
}

void sta_ghost_add(struct sta_ghost *ghost, uint64_t hash)
{
    struct sta_ghost_set *set = sta_ghost_set_of(ghost, hash);
    if (set == NULL)
        return;
    uint32_t at = atomic_load_explicit(&set->next, memory_order_relaxed);
    if (at >= atomic_load_explicit(&ghost->depth, memory_order_relaxed))
        at = 0;
    atomic_store_explicit(&set->print[at], print_of(hash), memory_order_relaxed);
    atomic_store_explicit(&set->next, (uint16_t)(at + 1), memory_order_relaxed);
}

/* Which of the set's prints are this one, a bit for each. */
#ifdef BY_WORDS
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
    for (uint32_t i = 0; i < DEPTH_MOST; i++) {
        uint16_t is = atomic_load_explicit(&set->print[i], memory_order_relaxed);
        found |= (uint32_t)(is == print) << i;
    }
    return found;
}
#endif

bool sta_ghost_take(struct sta_ghost *ghost, uint64_t hash)
{
    struct sta_ghost_set *set = sta_ghost_set_of(ghost, hash);
    if (set == NULL)
        return false;
    uint32_t depth = atomic_load_explicit(&ghost->depth, memory_order_relaxed);
    uint32_t found = matches(set, print_of(hash)) & ((UINT32_C(1) << depth) - 1);
    if (found == 0)
        return false;
    atomic_store_explicit(&set->print[__builtin_ctz(found)], 0, memory_order_relaxed);
    return true;
}
