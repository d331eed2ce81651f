/* SPDX-License-Identifier: MIT
 *
 * Values of each type: what is taken, what is refused and why.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/option_value.h"
#include "strata/options.h"

static const char *const words[] = {"", "low", "high", NULL};

struct target {
    uint64_t number;
    const char *text;
    const char *const *list;
    size_t count;
    unsigned word;
    unsigned guard;
};

static const struct sta_option on_off = {.type = STA_OPTION_SWITCH, STA_OPTION_AT(target, word)};
static const struct sta_option count = {.type = STA_OPTION_COUNT,
                                        STA_OPTION_AT(target, number),
                                        .least = 1,
                                        .most = 1000,
                                        .unit = "things"};
static const struct sta_option endless = {.type = STA_OPTION_COUNT,
                                          STA_OPTION_AT(target, number),
                                          .least = 1,
                                          .most = UINT64_MAX - 1,
                                          .unit = "things",
                                          .unlimited = true};
static const struct sta_option bytes = {.type = STA_OPTION_BYTES,
                                        STA_OPTION_AT(target, number),
                                        .least = 1024,
                                        .most = UINT64_C(3) << 31};
static const struct sta_option endless_bytes = {.type = STA_OPTION_BYTES,
                                                STA_OPTION_AT(target, number),
                                                .least = 1,
                                                .most = UINT64_MAX - 1,
                                                .unlimited = true};
static const struct sta_option seconds = {.type = STA_OPTION_SECONDS,
                                          STA_OPTION_AT(target, number),
                                          .least = 250,
                                          .most = 60000,
                                          .unlimited = true};
static const char *const more_words[] = {"", "true", "false", "error", NULL};
static const struct sta_option switch_with_more = {
    .type = STA_OPTION_CHOICE, STA_OPTION_AT(target, word), .choices = more_words};
static const struct sta_option choice = {
    .type = STA_OPTION_CHOICE, STA_OPTION_AT(target, word), .choices = words};
static const struct sta_option string = {
    .type = STA_OPTION_STRING, STA_OPTION_AT(target, text), .least = 1, .most = 4};
static const struct sta_option url = {.type = STA_OPTION_URL, STA_OPTION_AT(target, text)};
static const struct sta_option nodes = {
    .type = STA_OPTION_NODES, STA_OPTION_LIST_AT(target, list, count), .most = 3};

static void check_number(const struct sta_option *option, const char *text, uint64_t expected)
{
    struct sta_option_value value = {0};
    struct strata_error error = {0};
    if (sta_option_value_parse(option, text, NULL, &value, &error) != STRATA_OK)
        fail_msg("\"%s\" is refused: %s", text, error.text);
    if (value.number != expected)
        fail_msg("\"%s\" is %llu, not %llu", text, (unsigned long long)value.number,
                 (unsigned long long)expected);
    assert_int_equal(sta_option_value_check(option, &value, &error), STRATA_OK);
}

static void check_refused(const struct sta_option *option, const char *text, const char *reason)
{
    struct sta_option_value value = {.number = 77};
    struct strata_error error = {0};
    assert_int_equal(sta_option_value_parse(option, text, NULL, &value, &error), STRATA_ERR_CONFIG);
    assert_int_equal(value.number, 77);
    if (strncmp(error.text, reason, strlen(reason)) != 0)
        fail_msg("\"%s\": the reason is \"%s\", not \"%s\"", text, error.text, reason);
}

static void switches_are_words_of_any_case(void **state)
{
    (void)state;
    static const char *const on[] = {"true", "TRUE", "True", "yes", "YES", "on", "On", "1"};
    static const char *const off[] = {"false", "FALSE", "no", "No", "off", "OFF", "0"};
    static const char *const bad[] = {"", "2", "10", "tru", "truee", " true", "enabled", "y"};
    for (size_t i = 0; i < sizeof on / sizeof on[0]; i++)
        check_number(&on_off, on[i], STRATA_ON);
    for (size_t i = 0; i < sizeof off / sizeof off[0]; i++)
        check_number(&on_off, off[i], STRATA_OFF);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_refused(&on_off, bad[i],
                      "neither true nor false; allowed: true, false, yes, no, on, off, 1, 0");
}

static void counts_are_whole_numbers_within_bounds(void **state)
{
    (void)state;
    check_number(&count, "1", 1);
    check_number(&count, "1000", 1000);
    check_refused(&count, "0", "too small; allowed: 1 to 1000 things");
    check_refused(&count, "1001", "too large; allowed: 1 to 1000 things");
    check_refused(&count, "99999999999999999999999", "too large");
    check_refused(&count, "1.5", "not a number");
    check_refused(&count, "-1", "not a number");
    check_refused(&count, "", "not a number");
    check_refused(&count, "unlimited", "not a number");
}

static void unlimited_is_a_value_only_where_it_is_allowed(void **state)
{
    (void)state;
    check_number(&endless, "unlimited", STRATA_UNLIMITED);
    check_number(&endless, "UNLIMITED", STRATA_UNLIMITED);
    check_number(&seconds, "unlimited", STRATA_UNLIMITED);
    check_number(&endless, "18446744073709551614", UINT64_MAX - 1);
    check_refused(&endless, "18446744073709551615", "too large");
    check_refused(&endless, "18446744073709551616", "too large");
    check_number(&endless_bytes, "unlimited", STRATA_UNLIMITED);
    check_refused(&endless_bytes, "18446744073709551615", "too large");
    check_refused(&endless_bytes, "0",
                  "too small; allowed: 1 to 18446744073709551614; bytes, or with KiB, MiB, GiB, or "
                  "unlimited");
    check_refused(&bytes, "unlimited", "not a number");
}

static void bytes_have_binary_suffixes(void **state)
{
    (void)state;
    check_number(&bytes, "1024", 1024);
    check_number(&bytes, "1KiB", 1024);
    check_number(&bytes, "2mib", 2 << 20);
    check_number(&bytes, "6GiB", UINT64_C(6) << 30);
    check_number(&bytes, "6144MIB", UINT64_C(6) << 30);
    check_refused(&bytes, "1023", "too small; allowed: 1KiB to 6GiB; bytes, or with KiB, MiB, GiB");
    check_refused(&bytes, "7GiB", "too large");
    check_refused(&bytes, "99999999999999999999GiB", "too large");
    check_refused(&bytes, "17179869184GiB", "too large"); /* 2^64 */
    check_refused(&bytes, "KiB", "not a number");
    check_refused(&bytes, "1KB", "not a number");
    check_refused(&bytes, "1M", "not a number");
    check_refused(&bytes, "1.5GiB", "not a number");
    check_refused(&bytes, "1 GiB", "not a number");
    check_refused(&bytes, "-1GiB", "not a number");
    check_refused(&bytes, "", "not a number");
}

static void seconds_are_kept_as_milliseconds(void **state)
{
    (void)state;
    check_number(&seconds, "0.25", 250);
    check_number(&seconds, "5", 5000);
    check_number(&seconds, "5.0", 5000);
    check_number(&seconds, "60", 60000);
    check_refused(&seconds, "0",
                  "too small; allowed: seconds, 0.25 to 60, fractions allowed, or unlimited");
    check_refused(&seconds, "0.2499", "too small");
    check_refused(&seconds, "60.001", "too large");
    check_refused(&seconds, "18446744073709551616", "too large");
    check_refused(&seconds, "5s", "not a number");
    check_refused(&seconds, "abc", "not a number");
}

static void choices_are_words_of_any_case(void **state)
{
    (void)state;
    check_number(&choice, "low", 1);
    check_number(&choice, "HIGH", 2);
    check_refused(&choice, "", "not one of the values; allowed: low, high");
    check_refused(&choice, "yes", "not one of the values; allowed: low, high");
    check_number(&switch_with_more, "Yes", STRATA_ON);
    check_number(&switch_with_more, "0", STRATA_OFF);
    check_number(&switch_with_more, "error", 3);
    check_refused(&switch_with_more, "maybe", "not one of the values; allowed: true, false, error");
    check_refused(&choice, "lo", "not one of the values");
    check_refused(&choice, "1", "not one of the values");
}

static void strings_are_copied_and_bounded(void **state)
{
    (void)state;
    struct sta_option_value value = {0};
    char text[] = "abcd";
    assert_int_equal(sta_option_value_parse(&string, text, NULL, &value, NULL), STRATA_OK);
    text[0] = 'x';
    assert_string_equal(value.text, "abcd");
    sta_option_value_fini(&value);
    assert_null(value.text);
    check_refused(&string, "", "empty; allowed: 1 to 4 bytes");
    check_refused(&string, "abcde", "too long; allowed: 1 to 4 bytes");
}

static void urls_are_checked(void **state)
{
    (void)state;
    struct sta_option_value value = {0};
    assert_int_equal(sta_option_value_parse(&url, "redis://h:1/2", NULL, &value, NULL), STRATA_OK);
    assert_string_equal(value.text, "redis://h:1/2");
    sta_option_value_fini(&value);
    check_refused(&url, "h:1", "the URL must begin with redis://");
    check_refused(&url, "redis://h?ssl=1", "the URL has an unknown option \"ssl\"");
    check_refused(&url, "", "the URL must begin with");
}

static void a_struct_s_own_values_are_held_to_the_same_bounds(void **state)
{
    (void)state;
    struct strata_error error;
    const char *members[] = {"a:1", "b", NULL};
    const struct {
        const struct sta_option *option;
        struct sta_option_value value;
        const char *reason;
    } cases[] = {
        {&on_off, {.number = 3}, "neither on nor off"},
        {&count, {.number = 1001}, "too large"},
        {&count, {.number = STRATA_UNLIMITED}, "too large"},
        {&bytes, {.number = 1}, "too small"},
        {&seconds, {.number = 1}, "too small"},
        {&choice, {.number = 3}, "not one of the values"},
        {&choice, {.number = 0}, "not one of the values"},
        {&choice, {.number = UINT64_MAX}, "not one of the values"},
        {&string, {.text = "abcde"}, "too long"},
        {&url, {.text = "x"}, "the URL must begin with"},
        {&nodes, {.list = members, .count = 2}, "\"b\": the port is missing"},
        {&nodes, {.list = members + 2, .count = 1}, "a member is NULL"},
        {&nodes, {.list = NULL, .count = 1}, "a member is NULL"},
        {&nodes, {.list = members, .count = 4}, "more than 3 members"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(sta_option_value_check(cases[i].option, &cases[i].value, &error),
                         STRATA_ERR_CONFIG);
        if (strncmp(error.text, cases[i].reason, strlen(cases[i].reason)) != 0)
            fail_msg("case %zu: \"%s\"", i, error.text);
    }
    assert_int_equal(sta_option_value_check(
                         &nodes, &(struct sta_option_value){.list = members, .count = 1}, &error),
                     STRATA_OK);
    assert_int_equal(sta_option_value_check(
                         &endless, &(struct sta_option_value){.number = STRATA_UNLIMITED}, &error),
                     STRATA_OK);
}

static void values_go_into_fields_and_come_back(void **state)
{
    (void)state;
    const char *members[] = {"a:1", "b:2"};
    struct target target = {.guard = 0xa5a5a5a5};
    const struct {
        const struct sta_option *option;
        struct sta_option_value value;
    } cases[] = {
        {&on_off, {.number = STRATA_OFF}},        {&count, {.number = 1000}},
        {&seconds, {.number = STRATA_UNLIMITED}}, {&string, {.text = "abc"}},
        {&nodes, {.list = members, .count = 2}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct sta_option *option = cases[i].option;
        memset(&target, 0, offsetof(struct target, guard));
        struct sta_option_value value = sta_option_value_load(option, &target);
        assert_true(sta_option_value_is_unset(option, &value));
        sta_option_value_store(option, &cases[i].value, &target);
        value = sta_option_value_load(option, &target);
        assert_false(sta_option_value_is_unset(option, &value));
        assert_true(value.number == cases[i].value.number);
        assert_ptr_equal(value.text, cases[i].value.text);
        assert_ptr_equal(value.list, cases[i].value.list);
        assert_int_equal(value.count, cases[i].value.count);
        assert_null(value.memory);
        assert_int_equal(target.guard, 0xa5a5a5a5);
    }
}

static void what_is_allowed_is_cut_at_the_end_of_the_room(void **state)
{
    (void)state;
    char text[12] = "###########";
    const struct sta_option *options[] = {&on_off, &count,  &bytes, &seconds,
                                          &choice, &string, &url,   &nodes};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        sta_option_value_allowed(options[i], text, 6);
        assert_in_range(strlen(text), 1, 5);
        assert_int_equal(text[6], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(switches_are_words_of_any_case),
        cmocka_unit_test(counts_are_whole_numbers_within_bounds),
        cmocka_unit_test(unlimited_is_a_value_only_where_it_is_allowed),
        cmocka_unit_test(bytes_have_binary_suffixes),
        cmocka_unit_test(seconds_are_kept_as_milliseconds),
        cmocka_unit_test(choices_are_words_of_any_case),
        cmocka_unit_test(strings_are_copied_and_bounded),
        cmocka_unit_test(urls_are_checked),
        cmocka_unit_test(a_struct_s_own_values_are_held_to_the_same_bounds),
        cmocka_unit_test(values_go_into_fields_and_come_back),
        cmocka_unit_test(what_is_allowed_is_cut_at_the_end_of_the_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
