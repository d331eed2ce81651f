/* SPDX-License-Identifier: MIT
 *
 * When the value that a SET leaves behind is known.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/clock.h"
#include "daemon/set_options.h"
#include "unit/daemon/words.h"

static struct sta_set_options options_of(const char *line)
{
    struct words words = words_of(line);
    return sta_set_options_read(words.argv, words.argc);
}

static void assert_known(const char *line, uint64_t ttl_ms)
{
    struct sta_set_options options = options_of(line);
    assert_true(options.known);
    assert_true(options.ttl_ms == ttl_ms);
}

static void a_plain_set_is_known_and_stays(void **state)
{
    (void)state;
    assert_known("SET k v", STA_NEVER);
}

static void seconds_and_milliseconds_are_read(void **state)
{
    (void)state;
    assert_known("SET k v EX 10", 10000);
    assert_known("SET k v px 10", 10);
    assert_known("SET k v EX 9223372036854775", UINT64_C(9223372036854775000));
}

static void conditions_do_not_hide_the_value(void **state)
{
    (void)state;
    assert_known("SET k v NX", STA_NEVER);
    assert_known("SET k v xx EX 1", 1000);
    assert_known("SET k v PX 5 NX", 5);
}

static void what_depends_on_the_old_value_or_on_wall_clocks_is_not_known(void **state)
{
    (void)state;
    static const char *const lines[] = {"SET k v GET",           "SET k v KEEPTTL",
                                        "SET k v EXAT 99999999", "SET k v PXAT 99999999999",
                                        "SET k v EX 10 GET",     "SET k v NX GET"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_false(options_of(lines[i]).known);
}

static void what_redis_will_refuse_is_not_known(void **state)
{
    (void)state;
    static const char *const lines[] = {"SET k v EX",
                                        "SET k v EX 0",
                                        "SET k v EX -1",
                                        "SET k v EX ten",
                                        "SET k v EX 1.5",
                                        "SET k v BLA",
                                        "SET k v EX 1 PX 1",
                                        "SET k v EX 1 EX 2",
                                        "SET k v PX 99999999999999999999",
                                        "SET k v EX 9223372036854776"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_false(options_of(lines[i]).known);
}

static void commands_that_say_all_that_their_keys_hold_replace(void **state)
{
    (void)state;
    static const char *const all[] = {"SET", "setex", "PSETEX", "SetNx", "MSET", "MSETNX"};
    static const char *const part[] = {"APPEND", "INCR", "SETRANGE", "RENAME", "EXPIRE", "SETS"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_true(sta_set_options_replaces(strata_text(all[i])));
        assert_false(sta_set_options_replaces(strata_text(part[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_set_is_known_and_stays),
        cmocka_unit_test(seconds_and_milliseconds_are_read),
        cmocka_unit_test(conditions_do_not_hide_the_value),
        cmocka_unit_test(what_depends_on_the_old_value_or_on_wall_clocks_is_not_known),
        cmocka_unit_test(what_redis_will_refuse_is_not_known),
        cmocka_unit_test(commands_that_say_all_that_their_keys_hold_replace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
