/* SPDX-License-Identifier: MIT
 *
 * The arena by itself (l1/arena.h): segments that are used again, pins, limbo, pages given back,
 * and less address space than wanted. mmap(), munmap() and madvise() are redirected (ld --wrap).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>

#include "l1/arena.h"
#include "strata/status.h"

#define MIB   (UINT64_C(1) << 20)
#define PARTS 16u

/* ---- a system that has less ---- */

static uint64_t map_most = UINT64_MAX;  /* bytes that one mmap() may ask for */
static uint64_t maps_most = UINT64_MAX; /* calls that succeed */
static int64_t mapped;                  /* bytes that are mapped now */

void *__real_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t len);
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t len);

void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    if (len > map_most || maps_most == 0)
        return MAP_FAILED;
    void *got = __real_mmap(at, len, protection, flags, fd, offset);
    if (got != MAP_FAILED) {
        maps_most--;
        mapped += (int64_t)((len + 4095) & ~(size_t)4095);
    }
    return got;
}

int __wrap_munmap(void *at, size_t len)
{
    mapped -= (int64_t)((len + 4095) & ~(size_t)4095);
    return __real_munmap(at, len);
}

/* What is looked at while pages go. */
static struct sta_arena *watched; /* NULL: nothing */
static unsigned given_back;       /* times */
static unsigned under_lock;       /*   with the arena locked, */
static uint32_t taken_meanwhile;  /*   and what was taken then */

int __real_madvise(void *at, size_t len, int advice);
int __wrap_madvise(void *at, size_t len, int advice);

int __wrap_madvise(void *at, size_t len, int advice)
{
    if (advice == MADV_DONTNEED && watched != NULL) {
        bool locked = pthread_mutex_trylock(&watched->lock) != 0;
        if (!locked)
            pthread_mutex_unlock(&watched->lock);
        given_back++;
        under_lock += locked;
        if (!locked)
            taken_meanwhile = sta_arena_take(watched);
    }
    return __real_madvise(at, len, advice);
}

/* ---- the rig ---- */

struct rig {
    struct sta_budget budget;
    struct sta_arena arena;
};

static uint64_t cost(const struct rig *rig)
{
    return sta_arena_segment_cost(&rig->arena);
}

/* An arena whose budget allows for so many segments. */
static struct rig *rig_create(uint64_t max_bytes, uint64_t segments)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    mapped = 0; /* what a failed test left is not this one's */
    assert_int_equal(sta_arena_init(&rig->arena, &rig->budget, max_bytes, PARTS), STRATA_OK);
    sta_budget_set_most(&rig->budget, segments * cost(rig));
    return rig;
}

static void rig_destroy(struct rig *rig)
{
    sta_arena_fini(&rig->arena);
    free(rig);
    assert_int_equal(mapped, 0);
}

static uint8_t *bytes_of(const struct rig *rig, uint32_t segment)
{
    return rig->arena.base + ((uint64_t)segment << rig->arena.segment_shift);
}

static uint32_t limbo(const struct rig *rig)
{
    return atomic_load(&rig->arena.limbo_count);
}

/* ---- segments ---- */

static void a_retired_segment_is_taken_again_empty(void **state)
{
    (void)state;
    struct rig *rig = rig_create(MIB, 1);
    uint32_t segment = sta_arena_take(&rig->arena);
    assert_int_not_equal(segment, 0);
    rig->arena.segments[segment].used = 100;
    sta_arena_retire(&rig->arena, segment);
    assert_int_equal(sta_arena_free(&rig->arena), 1);
    assert_int_equal(sta_arena_take(&rig->arena), segment);
    assert_int_equal(rig->arena.segments[segment].used, 0);
    assert_int_equal(sta_arena_free(&rig->arena), 0);
    rig_destroy(rig);
}

static void no_more_segments_are_taken_than_the_budget_allows(void **state)
{
    (void)state;
    struct rig *rig = rig_create(MIB, 5);
    for (uint32_t i = 1; i <= 5; i++) {
        assert_int_not_equal(sta_arena_take(&rig->arena), 0);
        assert_int_equal(sta_budget_used(&rig->budget), i * cost(rig));
        assert_int_equal(atomic_load(&rig->arena.backed), i);
    }
    assert_int_equal(sta_arena_take(&rig->arena), 0);
    assert_int_equal(sta_budget_used(&rig->budget), 5 * cost(rig));
    rig_destroy(rig);
}

static void no_segment_is_handed_out_twice_and_none_begins_at_nothing(void **state)
{
    (void)state;
    struct rig *rig = rig_create(MIB, UINT32_MAX);
    uint8_t *taken = calloc(rig->arena.segment_count, 1);
    uint32_t segment;
    uint32_t count = 0;
    assert_non_null(taken);
    while ((segment = sta_arena_take(&rig->arena)) != 0) {
        assert_true(segment < rig->arena.segment_count);
        assert_int_equal(taken[segment]++, 0);
        count++;
    }
    /* All of the address space but the segment where offset 0 would be. */
    assert_int_equal(count, rig->arena.segment_count - 1);
    assert_int_equal(sta_budget_used(&rig->budget), count * cost(rig));
    free(taken);
    rig_destroy(rig);
}

static void an_offset_leads_to_its_segment(void **state)
{
    (void)state;
    struct rig *rig = rig_create(MIB, 3);
    sta_arena_take(&rig->arena);
    uint32_t segment = sta_arena_take(&rig->arena);
    uint64_t first = ((uint64_t)segment << rig->arena.segment_shift) >> rig->arena.unit_shift;
    uint64_t units = rig->arena.segment_bytes >> rig->arena.unit_shift;
    assert_ptr_equal(sta_arena_item(&rig->arena, (uint32_t)first), bytes_of(rig, segment));
    for (uint64_t offset = first; offset < first + units; offset++)
        assert_int_equal(sta_arena_segment_of(&rig->arena, (uint32_t)offset), segment);
    assert_int_equal(sta_arena_segment_of(&rig->arena, (uint32_t)(first + units)), segment + 1);
    rig_destroy(rig);
}

/* ---- giving back ---- */

static void a_segment_that_is_given_back_is_empty_and_not_claimed(void **state)
{
    (void)state;
    struct rig *rig = rig_create(MIB, 1);
    assert_false(sta_arena_give_back(&rig->arena, 1));
    uint32_t segment = sta_arena_take(&rig->arena);
    assert_true(rig->arena.segment_bytes >= 4096); /* whole pages */
    memset(bytes_of(rig, segment), 0xff, rig->arena.segment_bytes);
    assert_false(sta_arena_give_back(&rig->arena, 1)); /* in use */
    sta_arena_retire(&rig->arena, segment);
    assert_true(sta_arena_give_back(&rig->arena, 1));
    assert_int_equal(sta_budget_used(&rig->budget), 0);
    assert_int_equal(atomic_load(&rig->arena.backed), 0);
    assert_int_equal(sta_arena_free(&rig->arena), 0);
    assert_false(sta_arena_give_back(&rig->arena, 1));
    assert_int_equal(bytes_of(rig, segment)[0], 0); /* the kernel has the pages */
    assert_int_equal(bytes_of(rig, segment)[rig->arena.segment_bytes - 1], 0);
    assert_int_equal(sta_arena_take(&rig->arena), segment); /* before one that was never used */
    assert_int_equal(sta_budget_used(&rig->budget), cost(rig));
    rig_destroy(rig);
}

static void a_neighbour_keeps_its_bytes_when_a_segment_is_given_back(void **state)
{
    (void)state;
    struct rig *rig = rig_create(MIB, 3);
    uint32_t segments[3];
    for (uint32_t i = 0; i < 3; i++) {
        segments[i] = sta_arena_take(&rig->arena);
        memset(bytes_of(rig, segments[i]), (int)i + 1, rig->arena.segment_bytes);
    }
    sta_arena_retire(&rig->arena, segments[1]);
    assert_true(sta_arena_give_back(&rig->arena, 1));
    for (uint32_t i = 0; i < 3; i += 2) {
        for (uint32_t at = 0; at < rig->arena.segment_bytes; at++)
            assert_int_equal(bytes_of(rig, segments[i])[at], i + 1);
    }
    rig_destroy(rig);
}

/* Neighbours in one go, and nothing between those that are none. */
static void several_segments_are_given_back_at_once(void **state)
{
    (void)state;
    static const uint32_t order[] = {3, 1, 0, 5};
    struct rig *rig = rig_create(MIB, 6);
    uint32_t segments[6];
    for (uint32_t i = 0; i < 6; i++) {
        segments[i] = sta_arena_take(&rig->arena);
        memset(bytes_of(rig, segments[i]), 0xff, rig->arena.segment_bytes);
    }
    for (uint32_t i = 0; i < 4; i++)
        sta_arena_retire(&rig->arena, segments[order[i]]);
    assert_true(sta_arena_give_back(&rig->arena, 3));
    assert_int_equal(sta_arena_free(&rig->arena), 1);
    assert_true(sta_arena_give_back(&rig->arena, 3));
    assert_int_equal(sta_budget_used(&rig->budget), 2 * cost(rig));
    for (uint32_t i = 0; i < 6; i++) {
        int is = i == 2 || i == 4 ? 0xff : 0;
        assert_int_equal(bytes_of(rig, segments[i])[0], is);
        assert_int_equal(bytes_of(rig, segments[i])[rig->arena.segment_bytes - 1], is);
    }
    for (uint32_t i = 0; i < 4; i++)
        assert_int_not_equal(sta_arena_take(&rig->arena), 0);
    assert_int_equal(sta_budget_used(&rig->budget), 6 * cost(rig));
    rig_destroy(rig);
}

static void watch(struct rig *rig)
{
    watched = rig != NULL ? &rig->arena : NULL;
    given_back = under_lock = 0;
    taken_meanwhile = 0;
}

/* One that was full. */
static uint32_t give_one_back(struct rig *rig)
{
    uint32_t segment = sta_arena_take(&rig->arena);
    memset(bytes_of(rig, segment), 0xff, rig->arena.segment_bytes);
    sta_arena_retire(&rig->arena, segment);
    watch(rig);
    assert_true(sta_arena_give_back(&rig->arena, 1));
    return segment;
}

/* One leaves limbo behind a bound that was lowered: what settles it gives it back. */
static uint32_t leave_limbo(struct rig *rig, void (*settle)(struct sta_arena *arena))
{
    uint32_t segment = sta_arena_take(&rig->arena);
    struct sta_pin *pin = sta_arena_pin(&rig->arena, segment);
    memset(bytes_of(rig, segment), 0xff, rig->arena.segment_bytes);
    sta_arena_retire(&rig->arena, segment);
    sta_arena_unpin(pin);
    sta_budget_set_most(&rig->budget, cost(rig) - 1);
    watch(rig);
    settle(&rig->arena);
    return segment;
}

static void settle_by_taking(struct sta_arena *arena)
{
    assert_int_equal(sta_arena_take(arena), 0);
}

/* Pages go while others take and retire segments: telling all processors of it may take
 * milliseconds. None of them gets the one that is about to be bare. */
static void the_arena_is_not_locked_while_pages_go(void **state)
{
    (void)state;
    struct rig *rig = rig_create(MIB, 2);
    uint32_t segment = give_one_back(rig);
    assert_int_equal(given_back, 1);
    assert_int_equal(under_lock, 0);
    assert_int_not_equal(taken_meanwhile, 0);
    assert_int_not_equal(taken_meanwhile, segment);
    watch(NULL);
    rig_destroy(rig);
    void (*const ways[])(struct sta_arena *) = {sta_arena_settle, settle_by_taking};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        rig = rig_create(MIB, 1);
        segment = leave_limbo(rig, ways[i]);
        assert_int_equal(given_back, 1);
        assert_int_equal(under_lock, 0);
        watch(NULL);
        sta_budget_set_most(&rig->budget, cost(rig));
        assert_int_equal(sta_arena_take(&rig->arena), segment);
        assert_int_equal(bytes_of(rig, segment)[0], 0); /* the kernel had the pages */
        rig_destroy(rig);
    }
}

/* ---- pins and limbo ---- */

static void a_pinned_segment_waits_until_its_reader_lets_go(void **state)
{
    (void)state;
    struct rig *rig = rig_create(MIB, 1);
    uint32_t segment = sta_arena_take(&rig->arena);
    struct sta_pin *pin = sta_arena_pin(&rig->arena, segment);
    assert_non_null(pin);
    sta_arena_retire(&rig->arena, segment);
    assert_int_equal(limbo(rig), 1);
    assert_int_equal(sta_arena_take(&rig->arena), 0);
    assert_false(sta_arena_give_back(&rig->arena, 1));
    assert_int_equal(sta_budget_used(&rig->budget), cost(rig)); /* it counts all the time */
    sta_arena_unpin(pin);
    assert_int_equal(sta_arena_take(&rig->arena), segment);
    assert_int_equal(limbo(rig), 0);
    rig_destroy(rig);
}

static void a_reader_without_a_pin_of_its_own_counts_itself_in_the_segment(void **state)
{
    (void)state;
    struct rig *rig = rig_create(MIB, 1);
    struct sta_pin *pins[STA_ARENA_TRIES];
    uint32_t segment = sta_arena_take(&rig->arena);
    for (uint32_t i = 0; i < STA_ARENA_TRIES; i++) {
        pins[i] = sta_arena_pin(&rig->arena, segment);
        assert_non_null(pins[i]);
        for (uint32_t k = 0; k < i; k++)
            assert_ptr_not_equal(pins[i], pins[k]);
    }
    assert_null(sta_arena_pin(&rig->arena, segment));
    atomic_fetch_add(&rig->arena.segments[segment].pins, 1); /* as lookup.c does then */
    for (uint32_t i = 0; i < STA_ARENA_TRIES; i++)
        sta_arena_unpin(pins[i]);
    sta_arena_retire(&rig->arena, segment);
    assert_int_equal(sta_arena_take(&rig->arena), 0);
    atomic_fetch_sub(&rig->arena.segments[segment].pins, 1);
    assert_int_equal(sta_arena_take(&rig->arena), segment);
    rig_destroy(rig);
}

static void a_segment_in_limbo_may_be_given_back_once_it_is_let_go(void **state)
{
    (void)state;
    struct rig *rig = rig_create(MIB, 1);
    uint32_t segment = sta_arena_take(&rig->arena);
    struct sta_pin *pin = sta_arena_pin(&rig->arena, segment);
    sta_arena_retire(&rig->arena, segment);
    sta_arena_unpin(pin);
    assert_true(sta_arena_give_back(&rig->arena, 1));
    assert_int_equal(limbo(rig), 0);
    assert_int_equal(sta_budget_used(&rig->budget), 0);
    rig_destroy(rig);
}

/* The others of a long limbo are looked at, whatever stands before them. */
static void those_that_stay_pinned_do_not_hide_those_that_do_not(void **state)
{
    (void)state;
    enum { COUNT = 50 };
    struct rig *rig = rig_create(MIB, COUNT);
    uint32_t segments[COUNT];
    for (uint32_t free_one = 0; free_one < COUNT; free_one += 7) {
        for (uint32_t i = 0; i < COUNT; i++) {
            segments[i] = sta_arena_take(&rig->arena);
            assert_int_not_equal(segments[i], 0);
        }
        for (uint32_t i = 0; i < COUNT; i++) {
            atomic_fetch_add(&rig->arena.segments[segments[i]].pins, 1);
            sta_arena_retire(&rig->arena, segments[i]);
        }
        assert_int_equal(limbo(rig), COUNT);
        atomic_fetch_sub(&rig->arena.segments[segments[free_one]].pins, 1);
        uint32_t taken = 0;
        for (uint32_t i = 0; i < COUNT && taken == 0; i++)
            taken = sta_arena_take(&rig->arena);
        assert_int_equal(taken, segments[free_one]);
        assert_int_equal(limbo(rig), COUNT - 1);
        for (uint32_t i = 0; i < COUNT; i++) {
            if (i != free_one)
                atomic_fetch_sub(&rig->arena.segments[segments[i]].pins, 1);
        }
        sta_arena_retire(&rig->arena, taken);
    }
    rig_destroy(rig);
}

/* ---- threads ---- */

struct stalled {
    struct rig *rig;
    uint32_t segment;
    sem_t pinned;
    sem_t go_on;
    bool right;
    pthread_t thread;
};

/* Pins, and then is not heard of for a long time. */
static void *stall(void *arg)
{
    struct stalled *stalled = arg;
    struct sta_pin *pin = sta_arena_pin(&stalled->rig->arena, stalled->segment);
    sem_post(&stalled->pinned);
    while (sem_wait(&stalled->go_on) != 0)
        ; /* interrupted */
    stalled->right = pin != NULL && bytes_of(stalled->rig, stalled->segment)[7] == 0xaa;
    if (pin != NULL)
        sta_arena_unpin(pin);
    return NULL;
}

static void a_stalled_reader_holds_back_one_segment_and_no_other(void **state)
{
    (void)state;
    struct rig *rig = rig_create(MIB, 4);
    struct stalled stalled = {.rig = rig, .segment = sta_arena_take(&rig->arena)};
    sem_init(&stalled.pinned, 0, 0);
    sem_init(&stalled.go_on, 0, 0);
    memset(bytes_of(rig, stalled.segment), 0xaa, rig->arena.segment_bytes);
    pthread_create(&stalled.thread, NULL, stall, &stalled);
    while (sem_wait(&stalled.pinned) != 0)
        ; /* interrupted */
    sta_arena_retire(&rig->arena, stalled.segment);
    for (uint32_t i = 0; i < 1000; i++) { /* the other three go round */
        uint32_t segments[3];
        for (uint32_t k = 0; k < 3; k++) {
            segments[k] = sta_arena_take(&rig->arena);
            assert_int_not_equal(segments[k], 0);
            assert_int_not_equal(segments[k], stalled.segment);
            memset(bytes_of(rig, segments[k]), (int)i, 64);
        }
        assert_int_equal(sta_arena_take(&rig->arena), 0);
        assert_int_equal(limbo(rig), 1);
        for (uint32_t k = 0; k < 3; k++)
            sta_arena_retire(&rig->arena, segments[k]);
    }
    sem_post(&stalled.go_on);
    pthread_join(stalled.thread, NULL);
    assert_true(stalled.right);
    for (uint32_t k = 0; k < 4; k++)
        assert_int_not_equal(sta_arena_take(&rig->arena), 0);
    assert_int_equal(limbo(rig), 0);
    sem_destroy(&stalled.pinned);
    sem_destroy(&stalled.go_on);
    rig_destroy(rig);
}

#define READERS 3u
#define SWAPS   20000u

/* One linked item: the offset of a segment whose first words all say the same. */
struct linked {
    struct rig *rig;
    _Atomic uint32_t offset; /* 0: none */
    _Atomic bool stop;
};

struct reader {
    struct linked *linked;
    uint64_t reads;
    uint64_t wrong;
    pthread_t thread;
};

/* The reader's side of the protocol in arena.h. */
static void *read_linked(void *arg)
{
    struct reader *reader = arg;
    struct linked *linked = reader->linked;
    struct sta_arena *arena = &linked->rig->arena;
    while (!atomic_load(&linked->stop)) {
        uint32_t offset = atomic_load_explicit(&linked->offset, memory_order_acquire);
        if (offset == 0)
            continue;
        struct sta_pin *pin = sta_arena_pin(arena, sta_arena_segment_of(arena, offset));
        if (pin == NULL)
            continue;
        if (atomic_load_explicit(&linked->offset, memory_order_seq_cst) == offset) {
            const uint64_t *words = (const void *)sta_arena_item(arena, offset);
            uint64_t first = words[0];
            for (uint32_t i = 0; i < 64; i++)
                reader->wrong += words[i] != first;
            reader->reads++;
        }
        sta_arena_unpin(pin);
    }
    return NULL;
}

/* Links what it wrote in place of what was there, and retires that. */
static void swap_once(struct linked *linked, uint64_t turn)
{
    struct sta_arena *arena = &linked->rig->arena;
    uint32_t segment;
    while ((segment = sta_arena_take(arena)) == 0)
        sched_yield(); /* readers have them all */
    uint64_t *words = (void *)bytes_of(linked->rig, segment);
    for (uint32_t i = 0; i < 64; i++)
        words[i] = turn;
    uint32_t offset = segment << (arena->segment_shift - arena->unit_shift);
    uint32_t old = atomic_exchange_explicit(&linked->offset, offset, memory_order_seq_cst);
    if (old != 0)
        sta_arena_retire(arena, sta_arena_segment_of(arena, old));
}

static void what_a_reader_has_pinned_is_not_written_to(void **state)
{
    (void)state;
    struct rig *rig = rig_create(MIB, 2 + READERS);
    struct linked linked = {.rig = rig};
    struct reader readers[READERS];
    for (uint32_t i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.linked = &linked};
        pthread_create(&readers[i].thread, NULL, read_linked, &readers[i]);
    }
    for (uint64_t turn = 0; turn < SWAPS; turn++)
        swap_once(&linked, turn);
    atomic_store(&linked.stop, true);
    for (uint32_t i = 0; i < READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_int_equal(readers[i].wrong, 0);
    }
    rig_destroy(rig);
}

/* ---- address space ---- */

static void an_arena_takes_less_address_space_where_there_is_less(void **state)
{
    (void)state;
    struct rig *rig = rig_create(64 * MIB, UINT32_MAX);
    uint64_t wanted = rig->arena.reserved;
    rig_destroy(rig);
    assert_true(wanted >= 16 * 64 * MIB);
    map_most = wanted / 2 - 1;
    rig = rig_create(64 * MIB, UINT32_MAX);
    map_most = UINT64_MAX;
    assert_int_equal(rig->arena.reserved, wanted / 4);
    assert_int_equal(rig->arena.segment_count, rig->arena.reserved >> rig->arena.segment_shift);
    uint32_t last = 0;
    for (uint32_t segment; (segment = sta_arena_take(&rig->arena)) != 0;)
        last = segment;
    bytes_of(rig, last)[rig->arena.segment_bytes - 1] = 1; /* all of it is there */
    rig_destroy(rig);
}

static void an_arena_without_address_space_is_out_of_memory(void **state)
{
    (void)state;
    for (uint64_t calls = 0; calls < 2; calls++) { /* nothing; the segments' own array not */
        struct sta_budget budget = {.most = UINT64_MAX};
        struct sta_arena arena = {0};
        maps_most = calls;
        assert_int_equal(sta_arena_init(&arena, &budget, 64 * MIB, PARTS), STRATA_ERR_NOMEM);
        maps_most = UINT64_MAX;
        sta_arena_fini(&arena);
        assert_int_equal(mapped, 0);
        assert_int_equal(sta_budget_used(&budget), 0);
    }
}

static void an_arena_that_was_never_made_may_be_ended(void **state)
{
    (void)state;
    struct sta_arena arena = {0};
    sta_arena_fini(&arena);
}

static void a_large_arena_lies_where_huge_pages_do(void **state)
{
    (void)state;
    struct rig *rig = rig_create(16 * MIB, 1);
    assert_true(rig->arena.huge);
    assert_int_equal((uintptr_t)rig->arena.base % (2 * MIB), 0);
    rig_destroy(rig);
}

/* Up to where units of 64 bytes lead. */
static void every_size_can_grow_fourfold_and_be_addressed(void **state)
{
    (void)state;
    for (uint32_t shift = 10; shift <= 34; shift++) {
        uint64_t max_bytes = UINT64_C(1) << shift;
        struct rig *rig = rig_create(max_bytes, 1);
        uint64_t addressable = UINT64_C(1) << (32 + rig->arena.unit_shift);
        assert_true(rig->arena.reserved <= addressable);
        assert_true(rig->arena.reserved >= 4 * max_bytes);
        assert_true(rig->arena.segment_bytes <= MIB);
        assert_true(rig->arena.segment_bytes * UINT64_C(8) <= max_bytes || shift < 12);
        rig_destroy(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_retired_segment_is_taken_again_empty),
        cmocka_unit_test(no_more_segments_are_taken_than_the_budget_allows),
        cmocka_unit_test(no_segment_is_handed_out_twice_and_none_begins_at_nothing),
        cmocka_unit_test(an_offset_leads_to_its_segment),
        cmocka_unit_test(a_segment_that_is_given_back_is_empty_and_not_claimed),
        cmocka_unit_test(a_neighbour_keeps_its_bytes_when_a_segment_is_given_back),
        cmocka_unit_test(several_segments_are_given_back_at_once),
        cmocka_unit_test(the_arena_is_not_locked_while_pages_go),
        cmocka_unit_test(a_pinned_segment_waits_until_its_reader_lets_go),
        cmocka_unit_test(a_reader_without_a_pin_of_its_own_counts_itself_in_the_segment),
        cmocka_unit_test(a_segment_in_limbo_may_be_given_back_once_it_is_let_go),
        cmocka_unit_test(those_that_stay_pinned_do_not_hide_those_that_do_not),
        cmocka_unit_test(a_stalled_reader_holds_back_one_segment_and_no_other),
        cmocka_unit_test(what_a_reader_has_pinned_is_not_written_to),
        cmocka_unit_test(an_arena_takes_less_address_space_where_there_is_less),
        cmocka_unit_test(an_arena_without_address_space_is_out_of_memory),
        cmocka_unit_test(an_arena_that_was_never_made_may_be_ended),
        cmocka_unit_test(a_large_arena_lies_where_huge_pages_do),
        cmocka_unit_test(every_size_can_grow_fourfold_and_be_addressed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
