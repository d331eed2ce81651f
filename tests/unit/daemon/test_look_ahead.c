/* SPDX-License-Identifier: MIT
 *
 * Which commands of an input are looked ahead at, and that their hashes meet their keys.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/look_ahead.h"
#include "strata/status.h"

#define GET(key) "*2\r\n$3\r\nGET\r\n$4\r\n" key "\r\n"

struct world {
    struct sta_l1 *l1;
    struct sta_look_ahead ahead;
};

static int setup(void **state)
{
    static struct world world;
    struct sta_l1_config config = {.max_bytes = 1 << 20, .hash_seed = 7};
    memset(&world, 0, sizeof world);
    *state = &world;
    return sta_l1_create(&world.l1, &config) == STRATA_OK ? 0 : -1;
}

static int teardown(void **state)
{
    struct world *world = *state;
    sta_l1_destroy(&world->l1);
    return 0;
}

static unsigned looked(struct world *world, const char *input)
{
    sta_look_ahead_reset(&world->ahead);
    sta_look_ahead_run(&world->ahead, world->l1, strata_text(input));
    return world->ahead.count;
}

static void gets_that_stand_together_are_seen(void **state)
{
    struct world *world = *state;
    assert_int_equal(looked(world, GET("key1") GET("key2") GET("key3")), 3);
    assert_memory_equal(world->ahead.keys[2].bytes.data, "key3", 4);
}

static void one_alone_is_not_worth_it(void **state)
{
    assert_int_equal(looked(*state, GET("key1")), 0);
    assert_int_equal(looked(*state, ""), 0);
}

static void anything_else_ends_the_look(void **state)
{
    assert_int_equal(looked(*state, GET("key1") GET("key2") "*1\r\n$4\r\nPING\r\n" GET("key3")), 2);
    assert_int_equal(looked(*state, "PING\r\n" GET("key1") GET("key2")), 0);
}

static void no_part_of_a_command_is_taken_for_a_whole_one(void **state)
{
    static const char whole[] = GET("key1") GET("key2") GET("key3");
    size_t two = 2 * strlen(GET("key1"));
    for (size_t len = two; len < sizeof whole - 1; len++) {
        struct world *world = *state;
        char input[sizeof whole];
        memcpy(input, whole, len);
        sta_look_ahead_reset(&world->ahead);
        sta_look_ahead_run(&world->ahead, world->l1, strata_bytes(input, len));
        assert_int_equal(world->ahead.count, 2);
    }
}

static void lengths_that_lie_end_the_look(void **state)
{
    assert_int_equal(looked(*state, GET("key1") GET("key2") "*2\r\n$3\r\nGET\r\n$999\r\nkey3\r\n"),
                     2);
    assert_int_equal(
        looked(*state, GET("key1") GET("key2") "*2\r\n$3\r\nGET\r\n$9999\r\nk\r\n    "), 2);
    assert_int_equal(looked(*state, GET("key1") GET("key2") "*2\r\n$3\r\nGET\r\n$-1\r\nkey3\r\n"),
                     2);
}

static void a_command_meets_the_hash_of_its_own_key(void **state)
{
    struct world *world = *state;
    static const char input[] = GET("key1") GET("key2") GET("key3");
    assert_int_equal(looked(world, input), 3);
    const char *second = strstr(input, "key2");
    sta_look_ahead_run(&world->ahead, world->l1, strata_text(input));
    /* strings of one content may be one: find the bytes in what was looked at */
    struct strata_bytes bytes = world->ahead.keys[1].bytes;
    assert_memory_equal(bytes.data, second, 4);
    struct sta_key key = sta_look_ahead_key(&world->ahead, world->l1, bytes);
    assert_int_equal(key.hash, sta_l1_key(world->l1, strata_text("key2")).hash);
    key = sta_look_ahead_key(&world->ahead, world->l1, strata_text("other"));
    assert_int_equal(key.hash, sta_l1_key(world->l1, strata_text("other")).hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gets_that_stand_together_are_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(one_alone_is_not_worth_it, setup, teardown),
        cmocka_unit_test_setup_teardown(anything_else_ends_the_look, setup, teardown),
        cmocka_unit_test_setup_teardown(no_part_of_a_command_is_taken_for_a_whole_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(lengths_that_lie_end_the_look, setup, teardown),
        cmocka_unit_test_setup_teardown(a_command_meets_the_hash_of_its_own_key, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
