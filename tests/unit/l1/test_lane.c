/* SPDX-License-Identifier: MIT
 *
 * Lanes (l1/lane.c): as many as the size takes, bounds that hold over all of them, and namespaces
 * with a quota.
 */
#include <pthread.h>
#include <unistd.h>

#include "l1/tier.h"
#include "unit/l1/tier_rig.h"

#define MIB     (UINT64_C(1) << 20)
#define THREADS 8

static struct strata_bytes filler(size_t len)
{
    static uint8_t bytes[4096];
    assert_true(len <= sizeof bytes);
    return strata_bytes(bytes, len);
}

static int put(struct sta_l1 *l1, const char *prefix, uint64_t number, size_t len)
{
    char name[48];
    int name_len = snprintf(name, sizeof name, "%s%llu", prefix, (unsigned long long)number);
    struct sta_key key = sta_l1_key(l1, strata_bytes(name, (size_t)name_len));
    struct sta_l1_entry entry = {.value = filler(len), .deadline_ms = STA_NEVER};
    return sta_l1_set(l1, &key, &entry, RIG_NOW);
}

static bool there(struct sta_l1 *l1, const char *prefix, uint64_t number)
{
    char name[48];
    snprintf(name, sizeof name, "%s%llu", prefix, (unsigned long long)number);
    return rig_peek(l1, name) == RIG_FINE;
}

/* ---- how many ---- */

static void a_small_tier_has_one_lane_and_a_large_one_several(void **state)
{
    (void)state;
    static const struct {
        uint64_t max_bytes;
        uint64_t max_entries;
        uint32_t lanes;
    } sizes[] = {
        {1, 0, 1},
        {64 * MIB - 1, 0, 1},
        {64 * MIB, 0, 2},
        {512 * MIB, 0, 16},
        {512 * MIB, 1000, 1},
        {512 * MIB, 100000, 4},
        {UINT64_C(1) << 40, 0, 16},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = sizes[i].max_bytes,
                                                              .max_entries = sizes[i].max_entries});
        assert_int_equal(l1->thread_lanes, sizes[i].lanes);
        rig_destroy(l1);
    }
}

/* A pair of threads at a time that each store `count` keys of their own, numbered from `from`. */
struct writer {
    struct sta_l1 *l1;
    pthread_barrier_t *ready;
    const char *prefix;
    uint64_t count;
    size_t len;
};

static void *write_keys(void *arg)
{
    const struct writer *writer = arg;
    pthread_barrier_wait(writer->ready); /* all are there: no two have one control block */
    for (uint64_t i = 0; i < writer->count; i++)
        assert_int_equal(put(writer->l1, writer->prefix, i, writer->len), STRATA_OK);
    pthread_barrier_wait(writer->ready);
    return NULL;
}

static void run_writers(struct writer *writers, uint32_t count)
{
    pthread_t threads[THREADS];
    pthread_barrier_t ready;
    pthread_barrier_init(&ready, NULL, count);
    for (uint32_t i = 0; i < count; i++) {
        writers[i].ready = &ready;
        assert_int_equal(pthread_create(&threads[i], NULL, write_keys, &writers[i]), 0);
    }
    for (uint32_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&ready);
}

static uint32_t lanes_in_use(const struct sta_l1 *l1)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < l1->thread_lanes; i++)
        count += sta_lane_entries(&l1->lanes[i]) > 0;
    return count;
}

/* All are there at once, and store one after the other. */
struct in_turn {
    struct sta_l1 *l1;
    pthread_barrier_t *turn;
    uint32_t number;
};

static void *store_in_turn(void *arg)
{
    const struct in_turn *who = arg;
    for (uint32_t now = 0; now < THREADS; now++) {
        pthread_barrier_wait(who->turn);
        for (uint64_t i = 0; i < 100 && now == who->number; i++)
            assert_int_equal(put(who->l1, "k", now * UINT64_C(100) + i, 20), STRATA_OK);
    }
    pthread_barrier_wait(who->turn);
    return NULL;
}

static uint32_t lanes_of_threads_in_turn(struct sta_l1 *l1)
{
    struct in_turn who[THREADS];
    pthread_t threads[THREADS];
    pthread_barrier_t turn;
    pthread_barrier_init(&turn, NULL, THREADS);
    for (uint32_t i = 0; i < THREADS; i++) {
        who[i] = (struct in_turn){l1, &turn, i};
        assert_int_equal(pthread_create(&threads[i], NULL, store_in_turn, &who[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&turn);
    assert_int_equal(rig_numbers(l1).entries, THREADS * 100);
    return lanes_in_use(l1);
}

static void threads_share_the_lanes_of_their_seats(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 256 * MIB});
    bool has_seats = l1->seat_at != 0;
    uint32_t in_use = lanes_of_threads_in_turn(l1);
    assert_in_range(in_use, 1, has_seats ? sysconf(_SC_NPROCESSORS_CONF) : THREADS);
    rig_destroy(l1);
    l1 = rig_create((struct sta_l1_config){.max_bytes = 256 * MIB});
    l1->seat_at = 0;
    assert_int_equal(lanes_of_threads_in_turn(l1), THREADS);
    rig_destroy(l1);
}

/* Somebody is in the middle of a store there: the first that is tried is the caller's own. */
static void who_finds_a_lane_taken_stores_through_another(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 128 * MIB});
    assert_int_equal(l1->thread_lanes, 4);
    for (uint32_t free = 0; free < 4; free++) {
        for (uint32_t i = 0; i < 4; i++)
            assert_true(i == free || pthread_mutex_lock(&l1->lanes[i].lock) == 0);
        assert_int_equal(put(l1, "k", free, 20), STRATA_OK);
        for (uint32_t i = 0; i < 4; i++)
            assert_true(i == free || pthread_mutex_unlock(&l1->lanes[i].lock) == 0);
        assert_int_equal(sta_lane_entries(&l1->lanes[free]), 1);
    }
    rig_destroy(l1);
}

static void without_seats_each_thread_that_stores_has_a_lane(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 256 * MIB});
    assert_int_equal(l1->thread_lanes, 8);
    l1->seat_at = 0;
    rig_peek(l1, "who only reads takes no lane");
    enum { WRITERS = 7 };
    static const char *const prefixes[WRITERS] = {"a", "b", "c", "d", "e", "f", "g"};
    struct writer writers[WRITERS];
    for (uint32_t i = 0; i < WRITERS; i++)
        writers[i] = (struct writer){.l1 = l1, .prefix = prefixes[i], .count = 1000, .len = 20};
    run_writers(writers, WRITERS);
    assert_int_equal(sta_lane_entries(&l1->lanes[0]), 0);
    for (uint32_t i = 1; i <= WRITERS; i++)
        assert_int_equal(sta_lane_entries(&l1->lanes[i]), 1000);
    /* A key that another thread stores, this one, goes to its lane, and is there once. */
    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal(put(l1, "a", i, 30), STRATA_OK);
    assert_int_equal(rig_numbers(l1).entries, 7000);
    assert_int_equal(sta_lane_entries(&l1->lanes[0]), 1000);
    uint32_t left = 0;
    for (uint32_t i = 1; i <= WRITERS; i++)
        left += sta_lane_entries(&l1->lanes[i]) == 0;
    assert_int_equal(left, 1);
    rig_destroy(l1);
}

/* ---- bounds ---- */

struct world {
    struct sta_l1 *l1;
    uint64_t max_bytes;
    uint64_t max_entries;
    _Atomic uint64_t next;
    _Atomic uint64_t over;
    _Atomic uint64_t refused;
};

static void *store_and_look(void *arg)
{
    struct world *world = arg;
    uint64_t random = atomic_fetch_add(&world->next, 1);
    struct sta_l1_statistics now;
    for (int i = 0; i < 15000 / RIG_SHORTER; i++) {
        size_t len = sta_random_below(&random, 8) == 0 ? 4000 : sta_random_below(&random, 500);
        int status = put(world->l1, "k", sta_random_below(&random, 200000), len);
        if (status != STRATA_OK)
            atomic_fetch_add(&world->refused, 1);
        sta_l1_statistics(world->l1, &now);
        if (now.memory_bytes > world->max_bytes || now.entries > world->max_entries)
            atomic_fetch_add(&world->over, 1);
    }
    return NULL;
}

static void run_threads(void *(*what)(void *), void *arg)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, what, arg), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* Shrunk, so that there are many lanes and little to fill. */
static void the_bounds_hold_at_each_moment_over_all_lanes(void **state)
{
    (void)state;
    struct world world = {.max_bytes = 12 * MIB, .max_entries = 30000, .next = 1};
    world.l1 = rig_create((struct sta_l1_config){.max_bytes = 128 * MIB});
    assert_int_equal(world.l1->thread_lanes, 4);
    assert_int_equal(sta_l1_resize(world.l1, world.max_bytes, world.max_entries), STRATA_OK);
    run_threads(store_and_look, &world);
    assert_int_equal(atomic_load(&world.over), 0);
    assert_int_equal(atomic_load(&world.refused), 0);
    assert_true(rig_numbers(world.l1).memory_bytes > world.max_bytes / 2);
    rig_destroy(world.l1);
}

static void a_bound_of_entries_is_used_up_to_the_last_over_lanes(void **state)
{
    (void)state;
    struct sta_l1 *l1 =
        rig_create((struct sta_l1_config){.max_bytes = 512 * MIB, .max_entries = 70000});
    assert_true(l1->thread_lanes > 1);
    for (uint64_t i = 0; i < 200000; i++) {
        assert_int_equal(put(l1, "k", i, 10), STRATA_OK);
        if (i >= 71000 && i % 1000 == 0) /* lanes keep a few places */
            assert_in_range(rig_numbers(l1).entries, 70000 - 16 * l1->thread_lanes - 1, 70000);
    }
    rig_destroy(l1);
}

static void one_thread_uses_the_whole_tier(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 64 * MIB});
    assert_int_equal(l1->thread_lanes, 2);
    for (uint64_t i = 0; i < 40000; i++)
        assert_int_equal(put(l1, "k", i, 2000), STRATA_OK);
    assert_true(rig_numbers(l1).entry_bytes > 64 * MIB * 8 / 10);
    assert_int_equal(rig_numbers(l1).fills_no_room, 0);
    rig_destroy(l1);
}

/* What a thread left that stores no more grows old and goes, as in one queue. */
static void what_a_thread_left_goes_when_its_time_has_come(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 64 * MIB});
    l1->seat_at = 0; /* each thread has a lane */
    struct writer writers[2] = {{.l1 = l1, .prefix = "old", .count = 40000, .len = 1000},
                                {.l1 = l1, .prefix = "new", .count = 5000, .len = 1000}};
    run_writers(&writers[0], 1);
    uint64_t most = rig_numbers(l1).entries;
    run_writers(writers, 2);
    for (uint64_t i = 0; i < 2 * most; i++)
        assert_int_equal(put(l1, "newest", i, 1000), STRATA_OK);
    uint64_t left = 0;
    for (uint64_t i = 0; i < 40000; i++)
        left += there(l1, "old", i) + there(l1, "new", i);
    assert_in_range(left, 0, most / 16);
    assert_true(rig_numbers(l1).entry_bytes > 64 * MIB * 8 / 10);
    assert_int_equal(rig_numbers(l1).fills_no_room, 0);
    rig_destroy(l1);
}

/* The thread that stored it stores no more, and another one stores what nobody reads. */
static void what_is_read_stays_whoever_stores(void **state)
{
    (void)state;
    enum { HOT = 2000, ROUNDS = 40 };
    struct sta_l1 *l1 =
        rig_create((struct sta_l1_config){.max_bytes = 64 * MIB, .max_entries = 40000});
    assert_int_equal(l1->thread_lanes, 2);
    l1->seat_at = 0; /* each thread has a lane */
    struct writer hot = {.l1 = l1, .prefix = "hot", .count = HOT, .len = 20};
    run_writers(&hot, 1);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (uint64_t i = 0; i < 10000; i++)
            assert_int_equal(put(l1, "cold", round * UINT64_C(10000) + i, 20), STRATA_OK);
        for (uint64_t i = 0; i < HOT; i++) {
            char name[48];
            snprintf(name, sizeof name, "hot%llu", (unsigned long long)i);
            (void)rig_has(l1, name);
        }
    }
    uint64_t left = 0;
    for (uint64_t i = 0; i < HOT; i++)
        left += there(l1, "hot", i);
    assert_in_range(left, HOT * 95 / 100, HOT);
    rig_destroy(l1);
}

/* The dead bytes that a thread makes by storing a few keys over and over are its own affair. */
static void who_stores_a_few_keys_over_and_over_takes_no_room_from_others(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 64 * MIB});
    l1->seat_at = 0; /* each thread has a lane */
    struct writer writer = {.l1 = l1, .prefix = "k", .count = 30000, .len = 1000};
    run_writers(&writer, 1);
    uint64_t before = rig_numbers(l1).entries;
    for (uint64_t i = 0; i < 300000; i++)
        assert_int_equal(put(l1, "few", i % 100, 1000), STRATA_OK);
    assert_true(rig_numbers(l1).entries > before / 2 - before / 20);
    rig_destroy(l1);
}

/* Up to a quarter of the tier: they come and go, and nobody else is refused meanwhile. */
static void values_as_large_as_may_be_starve_no_lane(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 512 * MIB});
    static const size_t lens[] = {64 * MIB, 128 * MIB - 64, 100 * MIB, 2 * MIB, 64 * MIB};
    char name[48];
    uint64_t small = 0;
    for (unsigned round = 0; round < 6; round++) {
        snprintf(name, sizeof name, "large%u", round);
        assert_int_equal(rig_set_len(l1, name, lens[round % 5]), STRATA_OK);
        assert_int_equal(rig_peek(l1, name), RIG_FINE);
        for (unsigned i = 0; i < 2000; i++)
            assert_int_equal(put(l1, "small", small++, i % 4 == 0 ? 4000 : 100), STRATA_OK);
        assert_true(there(l1, "small", small - 1));
        assert_true(rig_numbers(l1).memory_bytes <= 512 * MIB);
    }
    assert_int_equal(rig_numbers(l1).fills_no_room, 0);
    rig_destroy(l1);
}

/* In the middle of a resize, as a store may come upon it. */
static void a_store_does_not_do_the_work_of_a_resize(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 32 * MIB});
    for (uint64_t i = 0; i < 100000; i++)
        assert_int_equal(put(l1, "k", i, 100), STRATA_OK);
    atomic_fetch_add(&l1->resizes, 1);
    sta_budget_set_most(&l1->memory, MIB);
    int status = STRATA_OK;
    for (uint64_t i = 0; i < 10000 && status == STRATA_OK; i++) {
        uint64_t before = rig_numbers(l1).evictions;
        status = put(l1, "new", i, 100); /* some find room in the segment that is begun */
        assert_in_range(rig_numbers(l1).evictions - before, 0, STA_LANE_PATIENCE);
    }
    assert_int_equal(status, STRATA_SKIPPED);
    assert_int_equal(rig_numbers(l1).fills_no_room, 1);
    assert_true(sta_l1_valid(l1));
    assert_int_equal(sta_l1_resize(l1, MIB, 0), STRATA_OK);
    atomic_fetch_sub(&l1->resizes, 1);
    assert_true(rig_numbers(l1).memory_bytes <= MIB);
    assert_true(rig_numbers(l1).entries > 2000); /* the index went down with them */
    assert_int_equal(put(l1, "new", 1, 100), STRATA_OK);
    rig_destroy(l1);
}

/* A resize leaves as much free as stores do when they evict ahead. Without that the first ones
 * empty a segment each before they are through: here 2000 entries. */
static void a_store_behind_a_resize_empties_no_segment(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 32 * MIB});
    for (uint64_t i = 0; i < 250000; i++)
        assert_int_equal(put(l1, "k", i, 100), STRATA_OK);
    assert_int_equal(sta_l1_resize(l1, 16 * MIB, 0), STRATA_OK);
    assert_in_range(rig_numbers(l1).memory_bytes, 14 * MIB, 16 * MIB);
    uint64_t most = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t before = rig_numbers(l1).evictions;
        assert_int_equal(put(l1, "new", i, 100), STRATA_OK);
        uint64_t now = rig_numbers(l1).evictions - before;
        most = now > most ? now : most;
    }
    assert_in_range(most, 1, 64);
    rig_destroy(l1);
}

/* ---- quotas ---- */

static struct sta_l1_quota quota(const char *prefix, uint64_t max_bytes, uint64_t max_entries)
{
    return (struct sta_l1_quota){strata_text(prefix), max_bytes, max_entries};
}

static struct sta_l1 *tier_with(const struct sta_l1_quota *quotas, size_t count, uint64_t max_bytes)
{
    return rig_create(
        (struct sta_l1_config){.max_bytes = max_bytes, .quotas = quotas, .quota_count = count});
}

static void creation_refuses_quotas_that_cannot_be(void **state)
{
    (void)state;
    struct sta_l1 *l1 = NULL;
    struct sta_l1_quota many[STA_L1_QUOTAS_MOST + 1];
    char names[STA_L1_QUOTAS_MOST + 1][8];
    for (size_t i = 0; i <= STA_L1_QUOTAS_MOST; i++) {
        snprintf(names[i], sizeof names[i], "p%u:", (unsigned)i);
        many[i] = quota(names[i], 0, 10);
    }
    struct sta_l1_config config = {
        .max_bytes = MIB, .quotas = many, .quota_count = STA_L1_QUOTAS_MOST + 1};
    assert_int_equal(sta_l1_create(&l1, &config), STRATA_ERR_INVALID);
    config.quota_count = STA_L1_QUOTAS_MOST;
    l1 = rig_create(config);
    sta_l1_destroy(&l1); /* unchecked: that takes more locks at a time than TSan can follow */
    many[5].prefix = many[60].prefix;
    assert_int_equal(sta_l1_create(&l1, &config), STRATA_ERR_INVALID);
    many[5].prefix.len = 0;
    assert_int_equal(sta_l1_create(&l1, &config), STRATA_ERR_INVALID);
    assert_null(l1);
}

static void a_namespace_never_has_more_than_its_quota(void **state)
{
    (void)state;
    struct sta_l1_quota quotas[] = {quota("few:", 0, 100), quota("small:", 200000, 0),
                                    quota("both:", 200000, 100)};
    struct sta_l1 *l1 = tier_with(quotas, 3, 64 * MIB);
    uint64_t random = 3;
    for (uint64_t i = 0; i < 20000; i++) {
        size_t len = sta_random_below(&random, 2000);
        assert_int_equal(put(l1, "few:", i % 3000, len), STRATA_OK);
        assert_int_equal(put(l1, "small:", i % 3000, len), STRATA_OK);
        assert_int_equal(put(l1, "both:", i % 3000, len), STRATA_OK);
        const struct sta_lane *few = &l1->lanes[l1->thread_lanes];
        assert_true(sta_lane_entries(&few[0]) <= 100);
        assert_true(sta_lane_bytes(&few[1]) <= 200000);
        assert_true(sta_lane_entries(&few[2]) <= 100 && sta_lane_bytes(&few[2]) <= 200000);
    }
    const struct sta_lane *few = &l1->lanes[l1->thread_lanes];
    assert_int_equal(sta_lane_entries(&few[0]), 100); /* and it has them */
    assert_true(sta_lane_bytes(&few[1]) > 190000);
    assert_int_equal(rig_numbers(l1).fills_no_room, 0);
    rig_destroy(l1);
}

/* A deadline is eight bytes more. */
static void a_new_deadline_does_not_get_a_namespace_past_its_quota(void **state)
{
    (void)state;
    struct sta_l1_quota quotas[] = {quota("n:", 20000, 0)};
    struct sta_l1 *l1 = tier_with(quotas, 1, 16 * MIB);
    const struct sta_lane *lane = &l1->lanes[l1->thread_lanes];
    char name[48];
    for (uint64_t i = 0; i < 1000; i++)
        put(l1, "n:", i, 100);
    for (uint64_t i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "n:%llu", (unsigned long long)i);
        rig_set_deadline(l1, name, RIG_NOW + 1000, RIG_NOW);
        assert_true(sta_lane_bytes(lane) <= 20000);
    }
    assert_true(sta_lane_bytes(lane) > 18000);
    rig_destroy(l1);
}

static void a_flood_in_a_namespace_evicts_nothing_of_others(void **state)
{
    (void)state;
    struct sta_l1_quota quotas[] = {quota("flood:", 2 * MIB, 0)};
    struct sta_l1 *l1 = tier_with(quotas, 1, 32 * MIB);
    for (uint64_t i = 0; i < 5000; i++)
        put(l1, "calm:", i, 1000);
    for (uint64_t i = 0; i < 100000; i++)
        assert_int_equal(put(l1, "flood:", i, 1000), STRATA_OK);
    for (uint64_t i = 0; i < 5000; i++)
        assert_true(there(l1, "calm:", i));
    rig_destroy(l1);
}

/* The same few keys, written again and again: what they leave behind must not cost others. */
static void rewriting_a_namespace_evicts_nothing_of_others(void **state)
{
    (void)state;
    struct sta_l1_quota quotas[] = {quota("flood:", 2 * MIB, 0)};
    struct sta_l1 *l1 = tier_with(quotas, 1, 32 * MIB);
    uint64_t left = 0;
    for (uint64_t i = 0; i < 5000; i++)
        put(l1, "calm:", i, 1000);
    for (uint64_t i = 0; i < 100000; i++)
        assert_int_equal(put(l1, "flood:", i % 10, 1000), STRATA_OK);
    for (uint64_t i = 0; i < 5000; i++)
        left += there(l1, "calm:", i);
    assert_int_equal(left, 5000);
    rig_destroy(l1);
}

/* In a tier of one lane, too. What is never read stays as long as there is room for it. */
static void rewriting_a_few_keys_evicts_nothing_where_there_is_room(void **state)
{
    (void)state;
    static const size_t lens[] = {100, 1000, 60000};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 16 * MIB});
        char name[48];
        for (uint64_t n = 0; n < 5000; n++)
            put(l1, "calm:", n, 1000);
        for (uint64_t n = 0; n < 64 * MIB / lens[i]; n++) {
            snprintf(name, sizeof name, "busy:%d", (int)(n % 10));
            assert_int_equal(rig_set_len(l1, name, lens[i]), STRATA_OK);
            if (n % 2 == 0) /* from the small queue to the main one */
                rig_has(l1, name);
        }
        assert_int_equal(rig_numbers(l1).evictions, 0);
        assert_int_equal(rig_numbers(l1).entries, 5010);
        rig_destroy(l1);
    }
}

static void the_longest_prefix_that_fits_counts(void **state)
{
    (void)state;
    struct sta_l1_quota quotas[] = {quota("a", 0, 50), quota("a:b:", 0, 20), quota("a:", 0, 30)};
    struct sta_l1 *l1 = tier_with(quotas, 3, 16 * MIB);
    for (uint64_t i = 0; i < 200; i++) {
        put(l1, "a:b:", i, 10);
        put(l1, "a:", i, 10);
        put(l1, "a", i, 10);
        put(l1, "b", i, 10);
    }
    const struct sta_lane *lanes = &l1->lanes[l1->thread_lanes];
    assert_int_equal(sta_lane_entries(&lanes[0]), 50);
    assert_int_equal(sta_lane_entries(&lanes[1]), 20);
    assert_int_equal(sta_lane_entries(&lanes[2]), 30);
    assert_int_equal(rig_numbers(l1).entries, 300);
    rig_set(l1, "a:b:", "the prefix alone is a key of it");
    assert_int_equal(sta_lane_entries(&lanes[1]), 20);
    assert_int_equal(rig_peek(l1, "a:b:"), RIG_FINE);
    rig_destroy(l1);
}

static void a_resize_goes_down_through_one_namespace_after_the_other(void **state)
{
    (void)state;
    struct sta_l1_quota quotas[] = {quota("a:", 0, 0), quota("b:", 0, 0), quota("c:", 0, 0)};
    struct sta_l1 *l1 = tier_with(quotas, 3, 16 * MIB);
    for (uint64_t i = 0; i < 120; i++) {
        put(l1, "a:", i, 10);
        if (i % 4 == 0)
            put(l1, "b:", i, 10);
        if (i % 10 == 0)
            put(l1, "c:", i, 10);
    }
    assert_int_equal(sta_l1_resize(l1, 16 * MIB, 8), STRATA_OK);
    assert_in_range(rig_numbers(l1).entries, 1, 8);
    assert_true(sta_l1_valid(l1));
    assert_int_equal(sta_l1_resize(l1, 40000, 0), STRATA_OK);
    assert_true(rig_numbers(l1).memory_bytes <= 40000);
    rig_destroy(l1);
}

static void what_is_larger_than_the_quota_is_refused_and_what_was_there_is_gone(void **state)
{
    (void)state;
    struct sta_l1_quota quotas[] = {quota("n:", 1000, 0)};
    struct sta_l1 *l1 = tier_with(quotas, 1, 16 * MIB);
    struct sta_key key = sta_l1_key(l1, strata_text("n:k"));
    struct sta_l1_entry entry = {.value = filler(2000), .deadline_ms = STA_NEVER};
    rig_set(l1, "n:k", "v");
    assert_int_equal(sta_l1_set(l1, &key, &entry, RIG_NOW), STRATA_SKIPPED);
    assert_int_equal(rig_peek(l1, "n:k"), RIG_NONE);
    assert_int_equal(rig_numbers(l1).entries, 0);
    rig_destroy(l1);
}

/* The sums as its lane's owner sees them: who only removes may still be at it. */
static bool within_quota(struct sta_l1 *l1, uint32_t number)
{
    struct sta_lane *lane = &l1->lanes[l1->thread_lanes + number];
    pthread_mutex_lock(&lane->lock);
    uint64_t most_bytes = sta_tier_load(&lane->most_bytes);
    uint64_t most_entries = sta_tier_load(&lane->most_entries);
    bool within = (most_bytes == 0 || sta_lane_bytes(lane) <= most_bytes) &&
                  (most_entries == 0 || sta_lane_entries(lane) <= most_entries);
    pthread_mutex_unlock(&lane->lock);
    return within;
}

static void *flood(void *arg)
{
    static const char *const prefixes[] = {"few:", "small:", "free:"};
    struct world *world = arg;
    uint64_t random = atomic_fetch_add(&world->next, 1);
    char name[48];
    for (int i = 0; i < 15000 / RIG_SHORTER; i++) {
        const char *prefix = prefixes[sta_random_below(&random, 3)];
        uint64_t number = sta_random_below(&random, 2000);
        put(world->l1, prefix, number, sta_random_below(&random, 1000));
        snprintf(name, sizeof name, "%s%d", prefix, (int)sta_random_below(&random, 2000));
        if (i % 4 == 0)
            rig_invalidate(world->l1, name);
        else if (i % 4 == 1)
            rig_set_deadline(world->l1, name, RIG_NOW + 50 + number, RIG_NOW);
        if (!within_quota(world->l1, 0) || !within_quota(world->l1, 1))
            atomic_fetch_add(&world->over, 1);
    }
    return NULL;
}

static void quotas_hold_at_each_moment_under_threads(void **state)
{
    (void)state;
    struct sta_l1_quota quotas[] = {quota("few:", 0, 100), quota("small:", 100000, 0)};
    struct world world = {.l1 = tier_with(quotas, 2, 32 * MIB), .next = 1};
    run_threads(flood, &world);
    assert_int_equal(atomic_load(&world.over), 0);
    assert_int_equal(rig_numbers(world.l1).fills_no_room, 0);
    rig_destroy(world.l1);
}

static void a_quota_that_becomes_smaller_is_kept_at_once_and_a_larger_one_is_used(void **state)
{
    (void)state;
    struct sta_l1_quota quotas[] = {quota("few:", 0, 1000), quota("small:", 200000, 0)};
    const struct sta_l1_quota smaller[] = {quota("small:", 20000, 0), quota("few:", 0, 10)};
    const struct sta_l1_quota larger[] = {quota("few:", 0, 2000), quota("small:", 0, 0)};
    struct sta_l1 *l1 = tier_with(quotas, 2, 64 * MIB);
    const struct sta_lane *lanes = &l1->lanes[l1->thread_lanes];
    for (uint64_t i = 0; i < 3000; i++) {
        put(l1, "few:", i, 100);
        put(l1, "small:", i, 100);
        put(l1, "free:", i, 100);
    }
    assert_int_equal(sta_l1_set_quotas(l1, smaller, 2), STRATA_OK);
    assert_in_range(sta_lane_entries(&lanes[0]), 1, 10);
    assert_in_range(sta_lane_bytes(&lanes[1]), 1, 20000);
    assert_true(sta_l1_valid(l1));
    for (uint64_t i = 0; i < 3000; i++) {
        put(l1, "few:", i, 100);
        put(l1, "small:", i, 100);
        assert_true(there(l1, "free:", i)); /* others lost nothing */
    }
    assert_int_equal(sta_lane_entries(&lanes[0]), 10);
    assert_in_range(sta_lane_bytes(&lanes[1]), 18000, 20000);
    assert_int_equal(sta_l1_set_quotas(l1, larger, 2), STRATA_OK);
    for (uint64_t i = 0; i < 3000; i++) {
        put(l1, "few:", i, 100);
        put(l1, "small:", i, 100);
    }
    assert_int_equal(sta_lane_entries(&lanes[0]), 2000);
    assert_int_equal(sta_lane_entries(&lanes[1]), 3000); /* without a bound */
    rig_destroy(l1);
}

static void quotas_of_other_prefixes_change_nothing(void **state)
{
    (void)state;
    struct sta_l1_quota quotas[] = {quota("a:", 0, 100), quota("b:", 0, 100)};
    const struct sta_l1_quota other[] = {quota("a:", 0, 1), quota("c:", 0, 1)};
    const struct sta_l1_quota longer[] = {quota("a:", 0, 1), quota("b:b", 0, 1)};
    const struct sta_l1_quota more[] = {quota("a:", 0, 1), quota("b:", 0, 1), quota("c:", 0, 1)};
    struct sta_l1 *l1 = tier_with(quotas, 2, 16 * MIB);
    const struct sta_lane *lanes = &l1->lanes[l1->thread_lanes];
    for (uint64_t i = 0; i < 200; i++)
        put(l1, "a:", i, 10);
    assert_int_equal(sta_l1_set_quotas(l1, other, 2), STRATA_ERR_INVALID);
    assert_int_equal(sta_l1_set_quotas(l1, longer, 2), STRATA_ERR_INVALID);
    assert_int_equal(sta_l1_set_quotas(l1, more, 3), STRATA_ERR_INVALID);
    assert_int_equal(sta_l1_set_quotas(l1, more, 1), STRATA_ERR_INVALID);
    assert_int_equal(sta_lane_entries(&lanes[0]), 100);
    rig_destroy(l1);
}

static void *change_quotas(void *arg)
{
    struct world *world = arg;
    for (uint64_t i = 0; i < 200 / RIG_SHORTER; i++) {
        const struct sta_l1_quota now[] = {quota("few:", 0, 1 + 37 * i % 200),
                                           quota("small:", 20000 + 9001 * i % 100000, 0)};
        if (sta_l1_set_quotas(world->l1, now, 2) != STRATA_OK || !within_quota(world->l1, 0) ||
            !within_quota(world->l1, 1))
            atomic_fetch_add(&world->over, 1);
    }
    return NULL;
}

/* What was stored under the old bounds is gone when the call returns. */
static void quotas_change_while_threads_store(void **state)
{
    (void)state;
    struct sta_l1_quota quotas[] = {quota("few:", 0, 100), quota("small:", 100000, 0)};
    struct world world = {.l1 = tier_with(quotas, 2, 32 * MIB), .next = 1};
    struct world changing = {.l1 = world.l1};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, change_quotas, &changing), 0);
    run_threads(flood, &world); /* which may see more, while it goes */
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&changing.over), 0);
    rig_destroy(world.l1);
}

/* Those of one thread that write much are nothing for the thread sanitizer, and slow in it. */
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_tier_has_one_lane_and_a_large_one_several),
        cmocka_unit_test(without_seats_each_thread_that_stores_has_a_lane),
        cmocka_unit_test(threads_share_the_lanes_of_their_seats),
        cmocka_unit_test(who_finds_a_lane_taken_stores_through_another),
        cmocka_unit_test(creation_refuses_quotas_that_cannot_be),
        cmocka_unit_test(a_new_deadline_does_not_get_a_namespace_past_its_quota),
        cmocka_unit_test(the_longest_prefix_that_fits_counts),
        cmocka_unit_test(a_resize_goes_down_through_one_namespace_after_the_other),
        cmocka_unit_test(what_is_larger_than_the_quota_is_refused_and_what_was_there_is_gone),
        cmocka_unit_test(the_bounds_hold_at_each_moment_over_all_lanes),
        cmocka_unit_test(quotas_hold_at_each_moment_under_threads),
        cmocka_unit_test(a_quota_that_becomes_smaller_is_kept_at_once_and_a_larger_one_is_used),
        cmocka_unit_test(quotas_of_other_prefixes_change_nothing),
        cmocka_unit_test(quotas_change_while_threads_store),
    };
    const struct CMUnitTest large[] = {
        cmocka_unit_test(a_bound_of_entries_is_used_up_to_the_last_over_lanes),
        cmocka_unit_test(one_thread_uses_the_whole_tier),
        cmocka_unit_test(what_a_thread_left_goes_when_its_time_has_come),
        cmocka_unit_test(what_is_read_stays_whoever_stores),
        cmocka_unit_test(who_stores_a_few_keys_over_and_over_takes_no_room_from_others),
        cmocka_unit_test(values_as_large_as_may_be_starve_no_lane),
        cmocka_unit_test(a_store_does_not_do_the_work_of_a_resize),
        cmocka_unit_test(a_store_behind_a_resize_empties_no_segment),
        cmocka_unit_test(a_namespace_never_has_more_than_its_quota),
        cmocka_unit_test(a_flood_in_a_namespace_evicts_nothing_of_others),
        cmocka_unit_test(rewriting_a_namespace_evicts_nothing_of_others),
        cmocka_unit_test(rewriting_a_few_keys_evicts_nothing_where_there_is_room),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (RIG_SHORTER == 1)
        failed += cmocka_run_group_tests(large, NULL, NULL);
    return failed;
}
