/* SPDX-License-Identifier: MIT
 *
 * Numbers of configurations and URLs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/number.h"
#include "strata/status.h"

static int whole(const char *text, uint64_t most, uint64_t *out)
{
    return sta_number_parse(strata_text(text), most, out);
}

static int seconds(const char *text, uint64_t *out)
{
    return sta_number_parse_seconds(strata_text(text), out);
}

static void whole_numbers_up_to_the_bound_are_taken(void **state)
{
    (void)state;
    uint64_t value = 7;
    assert_int_equal(whole("0", 0, &value), STRATA_OK);
    assert_int_equal(value, 0);
    assert_int_equal(whole("65535", 65535, &value), STRATA_OK);
    assert_int_equal(value, 65535);
    assert_int_equal(whole("00042", 99, &value), STRATA_OK);
    assert_int_equal(value, 42);
    assert_int_equal(whole("18446744073709551615", UINT64_MAX, &value), STRATA_OK);
    assert_true(value == UINT64_MAX);
}

static void larger_numbers_are_too_big_and_change_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t most;
    } cases[] = {{"1", 0},
                 {"65536", 65535},
                 {"70000", 65535},
                 {"9", 8},
                 {"18446744073709551616", UINT64_MAX},
                 {"99999999999999999999999999", UINT64_MAX}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t value = 7;
        assert_int_equal(whole(cases[i].text, cases[i].most, &value), STRATA_ERR_TOO_BIG);
        assert_int_equal(value, 7);
    }
}

static void anything_but_digits_is_no_number(void **state)
{
    (void)state;
    static const char *const texts[] = {"",   " 1",  "1 ",  "+1",  "-1",
                                        "1x", "0x1", "1.0", "1e3", "99999999999999999999999x"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint64_t value = 7;
        assert_int_equal(whole(texts[i], UINT64_MAX, &value), STRATA_ERR_INVALID);
        assert_int_equal(value, 7);
    }
}

static void seconds_become_milliseconds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = {{"0", 0},
                 {"300", 300000},
                 {"5.0", 5000},
                 {"0.25", 250},
                 {"0.001", 1},
                 {"1.5", 1500},
                 {"12.345", 12345},
                 {"0.0019", 1},
                 {"18446744073709550.999", UINT64_C(18446744073709550999)}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t ms = 7;
        assert_int_equal(seconds(cases[i].text, &ms), STRATA_OK);
        assert_true(ms == cases[i].ms);
    }
}

static void bad_seconds_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      ".",
                                      "1.",
                                      ".5",
                                      "1.2.3",
                                      "1,5",
                                      "-1",
                                      "1e3",
                                      "abc",
                                      "1.x",
                                      "inf",
                                      "nan",
                                      "99999999999999999999.x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t ms = 7;
        assert_int_equal(seconds(bad[i], &ms), STRATA_ERR_INVALID);
        assert_int_equal(ms, 7);
    }
    uint64_t ms = 7;
    assert_int_equal(seconds("18446744073709551", &ms), STRATA_ERR_TOO_BIG);
    assert_int_equal(seconds("99999999999999999999999.5", &ms), STRATA_ERR_TOO_BIG);
    assert_int_equal(ms, 7);
}

static void bytes_come_with_a_unit_or_without(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
        uint64_t bytes;
    } cases[] = {
        {"0", STRATA_OK, 0},
        {"1536", STRATA_OK, 1536},
        {"2KiB", STRATA_OK, 2048},
        {"3mib", STRATA_OK, 3 << 20},
        {"17179869183GiB", STRATA_OK, UINT64_C(17179869183) << 30},
        {"17179869184GiB", STRATA_ERR_TOO_BIG, 7},
        {"18446744073709551616", STRATA_ERR_TOO_BIG, 7},
        {"", STRATA_ERR_INVALID, 7},
        {"KiB", STRATA_ERR_INVALID, 7},
        {"1KB", STRATA_ERR_INVALID, 7},
        {"1 KiB", STRATA_ERR_INVALID, 7},
        {"1KiBs", STRATA_ERR_INVALID, 7},
        {"-1", STRATA_ERR_INVALID, 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t bytes = 7;
        assert_int_equal(sta_number_parse_bytes(strata_text(cases[i].text), &bytes),
                         cases[i].status);
        assert_true(bytes == cases[i].bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_up_to_the_bound_are_taken),
        cmocka_unit_test(larger_numbers_are_too_big_and_change_nothing),
        cmocka_unit_test(anything_but_digits_is_no_number),
        cmocka_unit_test(seconds_become_milliseconds),
        cmocka_unit_test(bad_seconds_are_refused),
        cmocka_unit_test(bytes_come_with_a_unit_or_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
