/* SPDX-License-Identifier: MIT
 *
 * The duel: follows the load to the rule that serves it best (l1/duel.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/random.h"
#include "l1/duel.h"

static uint64_t hash_of(uint64_t id)
{
    return sta_random_next(&id);
}

static void request(struct sta_duel *duel, uint64_t id)
{
    sta_duel_note(duel, hash_of(id));
    sta_duel_drain(duel);
}

static void without_shadows_the_first_rule_is_in_force(void **state)
{
    (void)state;
    struct sta_duel duel = {0};
    sta_duel_init(&duel);
    assert_int_equal(sta_duel_rule(&duel).small_percent, 10);
    assert_int_equal(sta_duel_rule(&duel).promote, 2);
    for (uint64_t i = 0; i < 5000; i++)
        request(&duel, i);
    assert_int_equal(atomic_load(&duel.head), 0);
    sta_duel_resize(&duel, 100, 0); /* no bytes for them */
    assert_null(duel.sides);
    sta_duel_fini(&duel);
}

static void the_shadows_stay_within_their_bytes(void **state)
{
    (void)state;
    for (uint64_t most = 1000; most < 200000; most += 777) {
        struct sta_duel duel = {0};
        sta_duel_init(&duel);
        sta_duel_resize(&duel, 1000000, most);
        assert_true(duel.bytes <= most);
        sta_duel_fini(&duel);
    }
}

static void the_sample_is_as_large_as_the_shadow(void **state)
{
    (void)state;
    struct sta_duel duel = {0};
    sta_duel_init(&duel);
    sta_duel_resize(&duel, 51200, 1 << 20);
    assert_int_equal(duel.cap, STA_DUEL_CAP_MOST);
    for (uint64_t id = 0; id < 100000; id++)
        request(&duel, id);
    uint64_t noted = atomic_load(&duel.head);
    assert_true(noted > 800 && noted < 1200);
    sta_duel_fini(&duel);
}

static void a_full_ring_loses_requests_and_nothing_else(void **state)
{
    (void)state;
    struct sta_duel duel = {0};
    sta_duel_init(&duel);
    sta_duel_resize(&duel, 100, 1 << 20);
    for (uint64_t id = 0; id < 10 * STA_DUEL_RING; id++)
        sta_duel_note(&duel, hash_of(id));
    assert_int_equal(atomic_load(&duel.head), STA_DUEL_RING);
    for (int i = 0; i < 100; i++)
        sta_duel_drain(&duel);
    assert_int_equal(atomic_load(&duel.tail), STA_DUEL_RING);
    sta_duel_fini(&duel);
}

/* A window that moves on: each key is read five times soon after it came, then never again. */
static void recency_makes_the_small_queue_large(void **state)
{
    (void)state;
    struct sta_duel duel = {0};
    uint64_t random = 1;
    sta_duel_init(&duel);
    sta_duel_resize(&duel, 100, 1 << 20);
    for (uint64_t i = 0; i < 100000; i++)
        request(&duel, i / 5 + sta_random_below(&random, 80));
    assert_true(sta_duel_rule(&duel).small_percent >= 50);
    sta_duel_fini(&duel);
}

/* A scan with a hot set that just fits: a small queue that is small keeps it. */
static void scans_make_the_small_queue_small(void **state)
{
    (void)state;
    struct sta_duel duel = {0};
    uint64_t random = 1;
    sta_duel_init(&duel);
    sta_duel_resize(&duel, 100, 1 << 20);
    for (uint64_t i = 0; i < 100000; i++)
        request(&duel, i / 5 + sta_random_below(&random, 80));
    for (uint64_t i = 0; i < 300000; i++)
        request(&duel, i % 4 == 0 ? sta_random_below(&random, 80) : 1000000 + i);
    assert_true(sta_duel_rule(&duel).small_percent <= 20);
    assert_true(sta_duel_rule(&duel).promote >= 2);
    sta_duel_fini(&duel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_shadows_the_first_rule_is_in_force),
        cmocka_unit_test(the_shadows_stay_within_their_bytes),
        cmocka_unit_test(the_sample_is_as_large_as_the_shadow),
        cmocka_unit_test(a_full_ring_loses_requests_and_nothing_else),
        cmocka_unit_test(recency_makes_the_small_queue_large),
        cmocka_unit_test(scans_make_the_small_queue_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
