/* SPDX-License-Identifier: MIT
 *
 * Ghosts: remembered for about as many evictions as there is room for (l1/ghost.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/random.h"
#include "l1/ghost.h"
#include "strata/status.h"

#define BYTES (UINT64_C(1) << 20) /* of address space: for half a million */

static uint64_t hash_of(uint64_t id)
{
    return sta_random_next(&id);
}

static void without_room_nothing_is_remembered(void **state)
{
    (void)state;
    struct sta_ghost ghost = {0};
    assert_int_equal(sta_ghost_init(&ghost, BYTES), STRATA_OK);
    sta_ghost_add(&ghost, 1);
    assert_false(sta_ghost_take(&ghost, 1));
    sta_ghost_resize(&ghost, 100);
    sta_ghost_resize(&ghost, 0);
    sta_ghost_add(&ghost, 1);
    assert_false(sta_ghost_take(&ghost, 1));
    sta_ghost_fini(&ghost);
}

static void a_ghost_is_taken_once(void **state)
{
    (void)state;
    struct sta_ghost ghost = {0};
    assert_int_equal(sta_ghost_init(&ghost, BYTES), STRATA_OK);
    sta_ghost_resize(&ghost, 100);
    sta_ghost_add(&ghost, hash_of(5));
    assert_false(sta_ghost_take(&ghost, hash_of(6)));
    assert_true(sta_ghost_take(&ghost, hash_of(5)));
    assert_false(sta_ghost_take(&ghost, hash_of(5)));
    sta_ghost_fini(&ghost);
}

static uint64_t count(struct sta_ghost *ghost, uint64_t from, uint64_t to)
{
    uint64_t found = 0;
    for (uint64_t id = from; id < to; id++)
        found += sta_ghost_take(ghost, hash_of(id));
    return found;
}

static void the_newest_are_remembered_and_the_oldest_forgotten(void **state)
{
    (void)state;
    struct sta_ghost ghost = {0};
    assert_int_equal(sta_ghost_init(&ghost, BYTES), STRATA_OK);
    sta_ghost_resize(&ghost, 10000);
    for (uint64_t id = 0; id < 100000; id++)
        sta_ghost_add(&ghost, hash_of(id));
    assert_true(count(&ghost, 95000, 100000) > 4900);
    assert_true(count(&ghost, 0, 80000) < 800); /* prints of 16 bits are alike now and then */
    sta_ghost_fini(&ghost);
}

static void there_are_no_more_than_there_is_address_space_for(void **state)
{
    (void)state;
    struct sta_ghost ghost = {0};
    assert_int_equal(sta_ghost_init(&ghost, 4096), STRATA_OK);
    assert_int_equal(sta_ghost_bytes(&ghost, 30), 64);
    assert_int_equal(sta_ghost_bytes(&ghost, 31), 128);
    assert_int_equal(sta_ghost_bytes(&ghost, 1000000), 4096);
    sta_ghost_resize(&ghost, 1000000);
    for (uint64_t id = 0; id < 100000; id++)
        sta_ghost_add(&ghost, hash_of(id));
    assert_in_range(count(&ghost, 98000, 100000), 1500, 1920 + 100);
    sta_ghost_fini(&ghost);
}

static void a_resize_forgets(void **state)
{
    (void)state;
    struct sta_ghost ghost = {0};
    assert_int_equal(sta_ghost_init(&ghost, BYTES), STRATA_OK);
    sta_ghost_resize(&ghost, 100);
    sta_ghost_add(&ghost, hash_of(5));
    sta_ghost_resize(&ghost, 200);
    assert_int_equal(count(&ghost, 0, 100), 0);
    sta_ghost_fini(&ghost);
}

static void only_as_many_count_as_the_limit_says(void **state)
{
    (void)state;
    struct sta_ghost ghost = {0};
    assert_int_equal(sta_ghost_init(&ghost, BYTES), STRATA_OK);
    sta_ghost_resize(&ghost, 20000);
    sta_ghost_limit(&ghost, 5000);
    for (uint64_t id = 0; id < 20000; id++)
        sta_ghost_add(&ghost, hash_of(id));
    assert_true(count(&ghost, 17000, 20000) > 2900);
    assert_true(count(&ghost, 0, 12000) < 300);
    sta_ghost_limit(&ghost, 20000);
    for (uint64_t id = 20000; id < 60000; id++)
        sta_ghost_add(&ghost, hash_of(id));
    assert_true(count(&ghost, 43000, 60000) > 16000);
    sta_ghost_limit(&ghost, 1000000000); /* no more than there is room for */
    assert_int_equal(ghost.depth, sizeof ghost.sets[0].print / sizeof ghost.sets[0].print[0]);
    sta_ghost_fini(&ghost);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_room_nothing_is_remembered),
        cmocka_unit_test(a_ghost_is_taken_once),
        cmocka_unit_test(only_as_many_count_as_the_limit_says),
        cmocka_unit_test(the_newest_are_remembered_and_the_oldest_forgotten),
        cmocka_unit_test(a_resize_forgets),
        cmocka_unit_test(there_are_no_more_than_there_is_address_space_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
