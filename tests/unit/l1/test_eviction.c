/* SPDX-License-Identifier: MIT
 *
 * Who stays in the real tier, where entries differ (l1/eviction.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "core/random.h"
#include "l1/tier.h"
#include "strata/status.h"

#include "tier_rig.h"

/* Tiers, keys and requests become fewer by the same factor: what is measured stays what it is. */
#define BOUND ((UINT64_C(8) << 20) / RIG_SHORTER)

static uint8_t bytes[1 << 20];

/* A get that fills; whether it hit. */
static bool request(struct sta_l1 *l1, uint64_t id, size_t size)
{
    struct sta_key key = sta_l1_key(l1, strata_bytes(&id, sizeof id));
    struct sta_l1_lease lease = {0};
    if (sta_l1_get(l1, &key, RIG_NOW, &lease) == STRATA_OK) {
        sta_l1_release(l1, &lease);
        return true;
    }
    struct sta_l1_entry entry = {.value = strata_bytes(bytes, size), .deadline_ms = STA_NEVER};
    (void)sta_l1_fill(l1, &key, &entry, sta_l1_token(l1, &key), RIG_NOW);
    return false;
}

#define REQUESTS (200000u / RIG_SHORTER)

/* Small entries that would all fit, and as many requests for large ones, of which there are fewer:
 * hits of each in the second half. */
static void run(size_t large, unsigned *small_hits, unsigned *large_hits)
{
    const struct sta_l1_config config = {.max_bytes = BOUND, .hash_seed = 1};
    struct sta_l1 *l1 = NULL;
    uint64_t random = 1;
    *small_hits = *large_hits = 0;
    assert_int_equal(sta_l1_create(&l1, &config), STRATA_OK);
    for (unsigned i = 0; i < REQUESTS; i++) {
        bool counts = i >= REQUESTS / 2;
        uint64_t small_id = sta_random_below(&random, 10000 / RIG_SHORTER);
        uint64_t large_id = 1000000 + sta_random_below(&random, 1000 / RIG_SHORTER);
        *small_hits += request(l1, small_id, 100) && counts;
        *large_hits += request(l1, large_id, large) && counts;
    }
    sta_l1_destroy(&l1);
}

static void large_values_do_not_flush_small_ones(void **state)
{
    (void)state;
    unsigned small, large;
    run(32 * 1024, &small, &large);
    /* without prices: 0.4 %, the part of the bytes */
    assert_in_range(small, REQUESTS * 3 / 20, REQUESTS / 2);
    assert_in_range(large, REQUESTS / 20, REQUESTS / 2); /* and there is room for some */
}

static void large_values_that_are_read_more_stay(void **state)
{
    (void)state;
    const struct sta_l1_config config = {.max_bytes = BOUND, .hash_seed = 1};
    struct sta_l1 *l1 = NULL;
    uint64_t random = 1;
    unsigned hits = 0;
    assert_int_equal(sta_l1_create(&l1, &config), STRATA_OK);
    for (uint64_t i = 0; i < 2 * REQUESTS; i++) {
        (void)request(l1, 1000000 + i, 1000); /* small for these, and never read again */
        if (i % 8 == 0)
            hits += request(l1, sta_random_below(&random, 20 / RIG_SHORTER), 64 * 1024);
    }
    sta_l1_destroy(&l1);
    assert_in_range(hits, REQUESTS * 9 / 40, REQUESTS / 4);
}

struct comeback {
    struct sta_l1 *l1;
    uint64_t from;
};

static void *come_back(void *arg)
{
    const struct comeback *comeback = arg;
    for (uint64_t id = comeback->from; id < comeback->from + 1000; id++)
        assert_false(request(comeback->l1, id, 100));
    return NULL;
}

static uint64_t in_main(const struct sta_l1 *l1)
{
    struct sta_l1_statistics now = rig_numbers(l1);
    return now.entries - now.entries_small;
}

/* To the main queue, whoever stores it: here it is another thread, with a lane of its own. */
static void what_comes_back_while_its_ghost_is_there_is_kept(void **state)
{
    (void)state;
    const struct sta_l1_config config = {
        .max_bytes = UINT64_C(64) << 20, .max_entries = 40000, .hash_seed = 1};
    struct sta_l1 *l1 = rig_create(config);
    l1->seat_at = 0; /* each thread has a lane */
    for (uint64_t id = 0; id < 80000; id++)
        (void)request(l1, id, 100);
    assert_in_range(in_main(l1), 0, 100); /* nothing was read twice, but prints may be alike */
    static const struct {
        uint64_t from, least, most;
    } ways[] = {{37000, 900, 1000}, {1000000, 0, 50}}; /* gone lately; never here */
    for (int i = 0; i < 2; i++) {
        struct comeback comeback = {l1, ways[i].from};
        uint64_t before = in_main(l1);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, come_back, &comeback), 0);
        pthread_join(thread, NULL);
        assert_in_range(in_main(l1) - before, ways[i].least, ways[i].most);
    }
    rig_destroy(l1);
}

/* Leases on most segments while the tier shrinks to a tenth, given back afterwards. */
static void what_was_pinned_while_the_tier_shrank_is_of_use_again(void **state)
{
    (void)state;
    const struct sta_l1_config config = {.max_bytes = 200000, .hash_seed = 5};
    struct sta_l1 *l1 = NULL;
    struct sta_l1_lease leases[64] = {0};
    struct sta_l1_statistics is;
    assert_int_equal(sta_l1_create(&l1, &config), STRATA_OK);
    for (uint64_t i = 0; i < 2000; i++)
        (void)request(l1, i, 100);
    for (uint64_t i = 0, held = 0; i < 2000 && held < 64; i += 21) {
        struct sta_key key = sta_l1_key(l1, strata_bytes(&i, sizeof i));
        held += sta_l1_get(l1, &key, RIG_NOW, &leases[held]) == STRATA_OK;
    }
    assert_int_equal(sta_l1_resize(l1, 20000, 0), STRATA_OK);
    sta_l1_statistics(l1, &is);
    assert_in_range(is.held_segments, 40, 64);
    for (uint32_t i = 0; i < 64; i++)
        sta_l1_release(l1, &leases[i]);
    for (uint64_t i = 0; i < 5000; i++) {
        (void)request(l1, i, 100);
        assert_true(sta_l1_valid(l1)); /* nothing is stored beyond the bound */
    }
    sta_l1_statistics(l1, &is);
    assert_int_equal(is.held_segments, 0);
    assert_in_range(is.entries, 40, 180);
    sta_l1_destroy(&l1);
}

/* By which whoever holds the lane for many steps sees how much it did. */
static void a_step_says_how_many_bytes_it_has_gone_through(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = 8 * sizeof bytes});
    (void)request(l1, 1, 100);
    (void)request(l1, 2, sizeof bytes);
    struct sta_lane *lane = &l1->lanes[0];
    pthread_mutex_lock(&lane->lock);
    assert_in_range(sta_eviction_step(l1, lane, STA_QUEUE_SMALL, RIG_NOW), 100, 200);
    assert_in_range(sta_eviction_step(l1, lane, STA_QUEUE_SMALL, RIG_NOW), sizeof bytes,
                    sizeof bytes + 8192);
    assert_int_equal(sta_eviction_step(l1, lane, STA_QUEUE_SMALL, RIG_NOW), 1); /* the segment */
    assert_int_equal(sta_eviction_step(l1, lane, STA_QUEUE_SMALL, RIG_NOW), 0);
    pthread_mutex_unlock(&lane->lock);
    rig_destroy(l1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_values_do_not_flush_small_ones),
        cmocka_unit_test(large_values_that_are_read_more_stay),
        cmocka_unit_test(what_comes_back_while_its_ghost_is_there_is_kept),
        cmocka_unit_test(what_was_pinned_while_the_tier_shrank_is_of_use_again),
        cmocka_unit_test(a_step_says_how_many_bytes_it_has_gone_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
