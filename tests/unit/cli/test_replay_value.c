/* SPDX-License-Identifier: MIT
 *
 * cli/replay_value: values that say whose they are, and that nothing else passes for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/replay_value.h"

static void a_value_is_as_long_as_the_trace_says_within_bounds(void **state)
{
    (void)state;
    struct cli_trace_record record = {.key = 1, .size = 1};
    assert_int_equal(cli_replay_value_len(&record, 100), 100);
    record.size = 64;
    assert_int_equal(cli_replay_value_len(&record, 100), 64);
    record.size = 5000;
    assert_int_equal(cli_replay_value_len(&record, 100), 100);
    record.size = 2;
    assert_int_equal(cli_replay_value_len(&record, 100), CLI_REPLAY_VALUE_LEAST);
    record.size = 0;
    assert_int_equal(cli_replay_value_len(&record, 100), CLI_REPLAY_VALUE_LEAST);
}

static void a_value_says_whose_it_is(void **state)
{
    (void)state;
    uint8_t value[40];
    cli_replay_value_write(UINT64_C(0x10000f0), value, sizeof value);
    assert_memory_equal(value, "00000000010000f0:00000028:", 26);
}

static void only_the_right_bytes_pass(void **state)
{
    (void)state;
    uint8_t value[100];
    uint8_t scratch[100];
    cli_replay_value_write(7, value, sizeof value);
    assert_true(cli_replay_value_check(7, 100, strata_bytes(value, 100), scratch));
    assert_false(cli_replay_value_check(8, 100, strata_bytes(value, 100), scratch));
    assert_false(cli_replay_value_check(7, 99, strata_bytes(value, 100), scratch));
    assert_false(cli_replay_value_check(7, 100, strata_bytes(value, 99), scratch));
    assert_false(cli_replay_value_check(7, 100, strata_bytes(NULL, 0), scratch));
    for (size_t i = 0; i < sizeof value; i++) {
        value[i] ^= 1;
        assert_false(cli_replay_value_check(7, 100, strata_bytes(value, 100), scratch));
        value[i] ^= 1;
    }
}

static void every_length_is_filled_to_its_last_byte(void **state)
{
    (void)state;
    uint8_t value[80];
    for (size_t len = CLI_REPLAY_VALUE_LEAST; len < sizeof value; len++) {
        memset(value, 0, sizeof value);
        cli_replay_value_write(123, value, len);
        assert_int_equal(strlen((const char *)value), len);
    }
}

static void a_key_is_its_prefix_and_sixteen_digits(void **state)
{
    (void)state;
    char text[CLI_REPLAY_KEY_MOST + 1];
    struct strata_bytes key = cli_replay_value_key("p:", UINT64_MAX, text);
    assert_int_equal(key.len, 18);
    assert_string_equal(text, "p:ffffffffffffffff");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_as_long_as_the_trace_says_within_bounds),
        cmocka_unit_test(a_value_says_whose_it_is),
        cmocka_unit_test(only_the_right_bytes_pass),
        cmocka_unit_test(every_length_is_filled_to_its_last_byte),
        cmocka_unit_test(a_key_is_its_prefix_and_sixteen_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
