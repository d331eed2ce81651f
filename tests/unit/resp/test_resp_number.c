/* SPDX-License-Identifier: MIT
 *
 * Numbers as text: integers as strict as Redis, doubles correctly rounded in any locale.
 */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/random.h"
#include "resp/resp_number.h"

static void integers_of_every_length_read_back(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (int i = 0; i < 100000; i++) {
        unsigned shift = (unsigned)sta_random_below(&seed, 64);
        int64_t value = (int64_t)(sta_random_next(&seed) >> shift);
        value = i % 2 ? value : (int64_t)(0 - (uint64_t)value);
        uint8_t text[STA_RESP_NUMBER_MAX + 16];
        size_t len = sta_resp_number_format(text, value);
        char due[32];
        assert_int_equal(len, snprintf(due, sizeof(due), "%lld", (long long)value));
        assert_memory_equal(text, due, len);
        int64_t back = 0;
        assert_true(sta_resp_number_parse(strata_bytes(text, len), &back));
        assert_true(back == value);
        /* as a line, alone and with bytes behind it: the two ways of reading one */
        memcpy(text + len, "\r\n$3\r\nabc\r\n", 11);
        for (size_t more = 2; more <= 11; more += 9) {
            const uint8_t *cursor = text;
            const char *reason = NULL;
            assert_int_equal(sta_resp_number_line(&cursor, text + len + more, &back, &reason),
                             STRATA_OK);
            assert_true(back == value && cursor == text + len + 2);
        }
    }
}

static void texts_that_are_no_integers_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      "01",
                                      "-0",
                                      "1 ",
                                      " 1",
                                      "1a",
                                      "0x1",
                                      "--1",
                                      "1-",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "123456789012345678901234567890"};
    int64_t value = 4711;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(sta_resp_number_parse(strata_text(bad[i]), &value));
    assert_int_equal(value, 4711);
}

static void expect_bits(double got, double due)
{
    assert_memory_equal(&got, &due, sizeof(got));
}

static void doubles_are_the_nearest_there_are(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0",
        "-0",
        "1",
        "1.5",
        "-2.25",
        "0.1",
        "3.14159265358979312",
        "1e22",
        "1e23",
        "9007199254740993",
        "123456789012345678",
        "1e-22",
        "1e-23",
        "2.2250738585072011e-308",
        "5e-324",
        "2e-324",
        "1e308",
        "1.7976931348623159e308",
        "1e400",
        "1e-400",
        "1E5",
        "1e+5",
        "000.5",
        "1e99999999999999999999",
        "0.000000000000000000000000000000000000000000000000001e51",
        "179769313486231570000e289",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_true(sta_resp_number_is_real(strata_text(texts[i])));
        expect_bits(sta_resp_number_real(strata_text(texts[i])), strtod(texts[i], NULL));
    }
    uint64_t seed = 11;
    for (int i = 0; i < 100000; i++) {
        char text[64];
        int digits = 1 + (int)sta_random_below(&seed, 19);
        int exponent = (int)sta_random_below(&seed, 60) - 30;
        uint64_t whole = sta_random_next(&seed);
        snprintf(text, sizeof(text), "%.*g", digits, ldexp((double)whole, exponent));
        expect_bits(sta_resp_number_real(strata_text(text)), strtod(text, NULL));
    }
}

static void any_double_is_written_so_that_it_reads_back(void **state)
{
    (void)state;
    uint64_t seed = 13;
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = sta_random_next(&seed);
        double value;
        memcpy(&value, &bits, sizeof(value));
        if (isnan(value))
            continue;
        char text[32];
        size_t len = sta_resp_number_format_real(text, value);
        assert_true(len < sizeof(text));
        assert_true(sta_resp_number_is_real(strata_bytes(text, len)));
        expect_bits(sta_resp_number_real(strata_bytes(text, len)), value);
    }
}

static void expect_written(double value, const char *due)
{
    char text[32];
    size_t len = sta_resp_number_format_real(text, value);
    assert_int_equal(len, strlen(due));
    assert_memory_equal(text, due, len);
}

static void doubles_are_written_short(void **state)
{
    (void)state;
    expect_written(0.1, "0.1");
    expect_written(3, "3");
    expect_written(-0.0, "-0");
    expect_written(1e21, "1e+21");
    expect_written(0.30000000000000004, "0.30000000000000004");
    expect_written((double)INFINITY, "inf");
    expect_written(-(double)INFINITY, "-inf");
    expect_written((double)NAN, "nan");
}

static void a_locale_with_a_decimal_comma_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(setenv("LOCPATH", TEST_LOCALES, 1), 0);
    assert_non_null(setlocale(LC_NUMERIC, "de_DE.UTF-8"));
    char shown[8];
    (void)snprintf(shown, sizeof(shown), "%.1f", 1.5);
    assert_string_equal(shown, "1,5");
    doubles_are_written_short(state);
    assert_true(sta_resp_number_real(strata_text("1.5")) == 1.5);
    assert_true(sta_resp_number_real(strata_text("3.14159265358979312")) == 3.14159265358979312);
    (void)setlocale(LC_NUMERIC, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_of_every_length_read_back),
        cmocka_unit_test(texts_that_are_no_integers_are_refused),
        cmocka_unit_test(doubles_are_the_nearest_there_are),
        cmocka_unit_test(any_double_is_written_so_that_it_reads_back),
        cmocka_unit_test(doubles_are_written_short),
        cmocka_unit_test(a_locale_with_a_decimal_comma_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
