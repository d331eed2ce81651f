/* SPDX-License-Identifier: MIT
 *
 * src/core/spelling: the known name nearest to a written one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/spelling.h"

static const char *nearest(const char *wanted)
{
    static const char *const known[] = {"get",    "set",    "del",          "ping",        "stats",
                                        "config", "replay", "CACHE_L1_TTL", "CACHE_L2_TTL"};
    struct sta_spelling spelling = {.wanted = wanted};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        sta_spelling_offer(&spelling, known[i]);
    return spelling.nearest;
}

static void one_slip_of_the_fingers_is_near(void **state)
{
    (void)state;
    assert_string_equal(nearest("stat"), "stats");
    assert_string_equal(nearest("pingg"), "ping");
    assert_string_equal(nearest("pong"), "ping");
    assert_string_equal(nearest("gte"), "get");
    assert_string_equal(nearest("relpay"), "replay");
    assert_string_equal(nearest("CACHE_L2_TLL"), "CACHE_L2_TTL");
}

static void case_does_not_count(void **state)
{
    (void)state;
    assert_string_equal(nearest("STATS"), "stats");
    assert_string_equal(nearest("cache_l1_ttl"), "CACHE_L1_TTL");
}

static void the_nearest_wins_and_of_equals_the_first(void **state)
{
    (void)state;
    assert_string_equal(nearest("CACHE_L_TTL"), "CACHE_L1_TTL");
    assert_string_equal(nearest("sets"), "set");
    assert_string_equal(nearest("get"), "get");
}

static void what_is_far_from_all_has_none(void **state)
{
    (void)state;
    assert_null(nearest("frobnicate"));
    assert_null(nearest("x"));
    assert_null(nearest(""));
}

static void names_of_any_length_are_taken(void **state)
{
    (void)state;
    char name[STA_SPELLING_MAX + 2];
    memset(name, 'a', sizeof name);
    name[STA_SPELLING_MAX + 1] = '\0';
    struct sta_spelling spelling = {.wanted = name};
    sta_spelling_offer(&spelling, name);
    assert_null(spelling.nearest);
    name[STA_SPELLING_MAX] = '\0';
    sta_spelling_offer(&spelling, name);
    assert_ptr_equal(spelling.nearest, name);
    assert_int_equal(spelling.distance, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_slip_of_the_fingers_is_near),
        cmocka_unit_test(case_does_not_count),
        cmocka_unit_test(the_nearest_wins_and_of_equals_the_first),
        cmocka_unit_test(what_is_far_from_all_has_none),
        cmocka_unit_test(names_of_any_length_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
