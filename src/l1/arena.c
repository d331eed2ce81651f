/* SPDX-License-Identifier: MIT
 *
 * The arena (arena.h): reservation, segments, limbo.
 *
 * Sizes. Offsets are 32 bits of units; the unit is the smallest that lets the tier grow to four
 * times its first size: 4 bytes (16 GiB of arena) for tiers up to 4 GiB. Address space is
 * reserved for 16 times the first size, as far as that can be addressed. A segment is a
 * small part of the tier, so that the ends of the queues, which are part empty, cost little, and at
 * most 1 MiB.
 */
#include "l1/arena.h"

#include <sys/mman.h>

#include "core/clock.h"
#include "l1/racing.h"
#include "strata/status.h"

#define UNIT_SHIFT_LEAST    2u
#define UNIT_SHIFT_MOST     6u
#define SEGMENT_SHIFT_LEAST 8u
#define SEGMENT_SHIFT_MOST  20u
#define HUGE_FROM_BYTES     (16u * 1024 * 1024)
#define PAGE_BYTES          4096u
#define LIMBO_LOOKS         8u
#define GROWTH              16u
#define RESERVE_LEAST       (UINT64_C(256) * 1024 * 1024)
#define HUGE_BYTES          (UINT64_C(2) * 1024 * 1024)

/* Behind the last segment: a reader who takes garbage for an item may read the longest key and a
 * segment more from anywhere, and must find memory there (lookup.c). */
static uint64_t margin(const struct sta_arena *arena)
{
    return (arena->segment_bytes + sizeof(struct sta_item) + STA_KEY_MAX + PAGE_BYTES) &
           ~(uint64_t)(PAGE_BYTES - 1);
}

/* A mapping with room for aligning it, cut to what is asked for. */
void *sta_arena_reserve(uint64_t bytes, bool huge)
{
    uint64_t more = huge ? HUGE_BYTES : 0;
    uint8_t *at = mmap(NULL, bytes + more, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    if (!huge)
        return at;
    uint64_t skip = (HUGE_BYTES - (uintptr_t)at % HUGE_BYTES) % HUGE_BYTES;
    if (skip > 0)
        munmap(at, skip);
    if (more > skip)
        munmap(at + skip + bytes, more - skip);
    madvise(at + skip, bytes, MADV_HUGEPAGE); /* a wish */
    return at + skip;
}

static void choose_sizes(struct sta_arena *arena, uint64_t max_bytes, uint32_t parts)
{
    uint8_t unit = UNIT_SHIFT_LEAST;
    while (unit < UNIT_SHIFT_MOST && (UINT64_C(1) << (30 + unit)) < max_bytes)
        unit++;
    uint8_t shift = SEGMENT_SHIFT_LEAST;
    while (shift < SEGMENT_SHIFT_MOST && ((uint64_t)parts << (shift + 1u)) <= max_bytes)
        shift++;
    arena->unit_shift = unit;
    arena->segment_shift = shift;
    arena->segment_bytes = 1u << shift;
    uint64_t addressable = UINT64_C(1) << (32 + unit);
    uint64_t wanted = max_bytes < addressable ? GROWTH * max_bytes : addressable;
    wanted = wanted > RESERVE_LEAST ? wanted : RESERVE_LEAST;
    arena->reserved = wanted < addressable ? wanted & ~((UINT64_C(1) << 21) - 1) : addressable;
    arena->huge = max_bytes >= HUGE_FROM_BYTES;
}

int sta_arena_init(struct sta_arena *arena, struct sta_budget *budget, uint64_t max_bytes,
                   uint32_t parts)
{
    choose_sizes(arena, max_bytes, parts);
    arena->budget = budget;
    pthread_mutex_init(&arena->lock, NULL);
    /* Less than could be addressed is fine where the system does not let us have that much. */
    while (arena->base == NULL && arena->reserved > 2 * arena->segment_bytes) {
        arena->base = sta_arena_reserve(arena->reserved + margin(arena), arena->huge);
        if (arena->base != NULL)
            break;
        if (arena->reserved / 2 < max_bytes && arena->reserved <= RESERVE_LEAST)
            return STRATA_ERR_NOMEM;
        arena->reserved /= 2;
    }
    if (arena->base == NULL)
        return STRATA_ERR_NOMEM;
    arena->segment_count = (uint32_t)(arena->reserved >> arena->segment_shift);
    arena->segments = sta_arena_reserve(arena->segment_count * sizeof *arena->segments, false);
    if (arena->segments == NULL)
        return STRATA_ERR_NOMEM;
    /* So that no item is at offset 0, but what every reader leaves alone: */
    atomic_init(&arena->fresh, 1);
    sta_item_set_head(sta_arena_item(arena, 0), (struct sta_item_head){.state = STA_ITEM_BLOCK});
    return STRATA_OK;
}

void sta_arena_fini(struct sta_arena *arena)
{
    if (arena->budget == NULL)
        return; /* init was not called */
    pthread_mutex_destroy(&arena->lock);
    if (arena->base != NULL)
        munmap(arena->base, arena->reserved + margin(arena));
    if (arena->segments != NULL)
        munmap(arena->segments, arena->segment_count * sizeof *arena->segments);
}

static bool pinned(struct sta_arena *arena, uint32_t segment)
{
    sta_racing_order(); /* the second step of the writer's side in arena.h */
    /* acquire: pairs with unpin() */
    for (uint32_t i = 0; i < STA_ARENA_PINS; i++) {
        if (atomic_load_explicit(&arena->pins[i].segment, memory_order_acquire) == segment)
            return true;
    }
    return atomic_load_explicit(&arena->segments[segment].pins, memory_order_acquire) != 0;
}

static uint32_t pop(struct sta_arena *arena, uint32_t *first)
{
    uint32_t segment = *first;
    if (segment == 0)
        return 0;
    *first = arena->segments[segment].next;
    arena->segments[segment].next = 0;
    arena->segments[segment].used = 0;
    return segment;
}

static void push(struct sta_arena *arena, uint32_t *first, uint32_t segment)
{
    arena->segments[segment].next = *first;
    *first = segment;
}

static void push_free(struct sta_arena *arena, uint32_t segment)
{
    push(arena, &arena->free_first, segment);
    atomic_fetch_add_explicit(&arena->free_count, 1, memory_order_relaxed);
}

/* A free segment that shall be bare is not counted any more, and in nobody's list but the caller's
 * until its pages have gone (make_bare()). */
static void push_leaving(struct sta_arena *arena, uint32_t *leaving, uint32_t segment)
{
    push(arena, leaving, segment);
    atomic_fetch_sub_explicit(&arena->backed, 1, memory_order_relaxed);
    sta_budget_give(arena->budget, sta_arena_segment_cost(arena));
}

/* The arena is not locked while the pages go: other processors have to be told, and where one of
 * them is not running, that may take milliseconds. So neighbours go at once. */
static void make_bare(struct sta_arena *arena, uint32_t leaving)
{
    uint32_t last = 0;
    for (uint32_t at = leaving; at != 0;) {
        uint32_t low = at;
        uint32_t high = at;
        for (; at != 0 && at + 1 >= low && at <= high + 1; at = arena->segments[at].next) {
            low = at < low ? at : low;
            high = at > high ? at : high;
            last = at;
        }
        if (arena->segment_bytes >= PAGE_BYTES)
            madvise(arena->base + ((uint64_t)low << arena->segment_shift),
                    (uint64_t)(high - low + 1) << arena->segment_shift, MADV_DONTNEED);
    }
    if (last == 0)
        return;
    pthread_mutex_lock(&arena->lock);
    arena->segments[last].next = arena->bare_first;
    arena->bare_first = leaving;
    pthread_mutex_unlock(&arena->lock);
}

/* Moves what is no longer pinned from limbo to the free list or, where the bound was lowered
 * meanwhile and is not kept yet, to those that leave: nothing is stored beyond the bound. Looks at
 * a few: a pinned one goes to the end, so that the next call looks at others. */
static void settle(struct sta_arena *arena, uint32_t *leaving)
{
    uint32_t kept = 0;
    for (uint32_t looks = 0; looks < LIMBO_LOOKS && arena->limbo_first != 0; looks++) {
        uint32_t segment = arena->limbo_first;
        arena->limbo_first = arena->segments[segment].next;
        if (pinned(arena, segment)) {
            push(arena, &kept, segment);
            continue;
        }
        if (sta_budget_fits(arena->budget, 0))
            push_free(arena, segment);
        else
            push_leaving(arena, leaving, segment);
        atomic_fetch_sub_explicit(&arena->limbo_count, 1, memory_order_relaxed);
    }
    if (kept == 0)
        return;
    if (arena->limbo_first == 0) {
        arena->limbo_first = kept;
        return;
    }
    uint32_t last = arena->limbo_first;
    while (arena->segments[last].next != 0)
        last = arena->segments[last].next;
    arena->segments[last].next = kept;
}

static uint32_t take_free(struct sta_arena *arena)
{
    uint32_t segment = pop(arena, &arena->free_first);
    if (segment != 0)
        atomic_fetch_sub_explicit(&arena->free_count, 1, memory_order_relaxed);
    return segment;
}

static uint32_t take_fresh(struct sta_arena *arena)
{
    uint32_t fresh = atomic_load_explicit(&arena->fresh, memory_order_relaxed);
    if (fresh == arena->segment_count)
        return 0;
    atomic_store_explicit(&arena->fresh, fresh + 1, memory_order_relaxed);
    return fresh;
}

static uint32_t take_bare(struct sta_arena *arena)
{
    if (!sta_budget_claim(arena->budget, sta_arena_segment_cost(arena)))
        return 0;
    uint32_t segment = pop(arena, &arena->bare_first);
    if (segment == 0)
        segment = take_fresh(arena);
    if (segment != 0)
        atomic_fetch_add_explicit(&arena->backed, 1, memory_order_relaxed);
    else
        sta_budget_give(arena->budget, sta_arena_segment_cost(arena));
    return segment;
}

uint32_t sta_arena_take(struct sta_arena *arena)
{
    uint32_t leaving = 0;
    pthread_mutex_lock(&arena->lock);
    uint32_t segment = take_free(arena);
    if (segment == 0)
        segment = take_bare(arena);
    if (segment == 0 && arena->limbo_first != 0) {
        settle(arena, &leaving);
        segment = take_free(arena);
    }
    pthread_mutex_unlock(&arena->lock);
    make_bare(arena, leaving);
    sta_racing_begin(); /* its items were unlinked before: a copy (lookup.c) finds out */
    return segment;
}

void sta_arena_retire(struct sta_arena *arena, uint32_t segment)
{
    pthread_mutex_lock(&arena->lock);
    if (pinned(arena, segment)) {
        /* This room's only look at the clock: for a number that people read, and rarely. */
        arena->segments[segment].moment = (uint32_t)sta_clock_now_ms();
        push(arena, &arena->limbo_first, segment);
        atomic_fetch_add_explicit(&arena->limbo_count, 1, memory_order_relaxed);
    } else {
        push_free(arena, segment);
    }
    pthread_mutex_unlock(&arena->lock);
}

void sta_arena_settle(struct sta_arena *arena)
{
    uint32_t leaving = 0;
    if (atomic_load_explicit(&arena->limbo_count, memory_order_relaxed) == 0)
        return;
    pthread_mutex_lock(&arena->lock);
    settle(arena, &leaving);
    pthread_mutex_unlock(&arena->lock);
    make_bare(arena, leaving);
}

uint64_t sta_arena_held_ms(struct sta_arena *arena)
{
    uint32_t oldest_ms = 0, now_ms;
    if (atomic_load_explicit(&arena->limbo_count, memory_order_relaxed) == 0)
        return 0;
    pthread_mutex_lock(&arena->lock);
    now_ms = (uint32_t)sta_clock_now_ms();
    for (uint32_t at = arena->limbo_first; at != 0; at = arena->segments[at].next) {
        uint32_t age_ms = now_ms - arena->segments[at].moment; /* right for 49 days */
        if (age_ms > oldest_ms && pinned(arena, at))
            oldest_ms = age_ms;
    }
    pthread_mutex_unlock(&arena->lock);
    return oldest_ms;
}

bool sta_arena_give_back(struct sta_arena *arena, uint32_t most)
{
    uint32_t leaving = 0;
    pthread_mutex_lock(&arena->lock);
    if (arena->free_first == 0)
        settle(arena, &leaving);
    for (uint32_t i = 0; i < most && arena->free_first != 0; i++)
        push_leaving(arena, &leaving, take_free(arena));
    pthread_mutex_unlock(&arena->lock);
    make_bare(arena, leaving);
    return leaving != 0;
}
