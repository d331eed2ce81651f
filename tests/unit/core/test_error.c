/* SPDX-License-Identifier: MIT
 *
 * Status codes have names and texts; failures carry their particulars.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/error.h"

static void every_code_has_its_name_and_a_text(void **state)
{
    (void)state;
#define CHECK(name, value, text)                                                                   \
    assert_string_equal(strata_status_name(value), "STRATA_" #name);                               \
    assert_string_equal(strata_status_text(value), text);
    STRATA_STATUS_LIST(CHECK)
#undef CHECK
}

static void no_two_codes_share_a_number(void **state)
{
    (void)state;
    static const int values[] = {
#define VALUE(name, value, text) value,
        STRATA_STATUS_LIST(VALUE)
#undef VALUE
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(values[i], values[j]);
}

static void a_number_that_is_no_code_is_unknown(void **state)
{
    (void)state;
    assert_string_equal(strata_status_name(-999), "unknown");
    assert_string_equal(strata_status_text(999), "unknown");
}

static void a_failure_is_filled_and_its_code_returned(void **state)
{
    (void)state;
    struct strata_error error;
    int status = sta_error_set(&error, STRATA_ERR_CONFIG, "%s: %d is too much", "X", 7);
    assert_int_equal(status, STRATA_ERR_CONFIG);
    assert_int_equal(error.status, STRATA_ERR_CONFIG);
    assert_string_equal(error.text, "X: 7 is too much");
}

static void nobody_need_ask_for_the_particulars(void **state)
{
    (void)state;
    assert_int_equal(sta_error_set(NULL, STRATA_ERR_NOMEM, "%s", "x"), STRATA_ERR_NOMEM);
}

static void text_that_does_not_fit_is_cut(void **state)
{
    (void)state;
    struct strata_error error;
    (void)sta_error_set(&error, STRATA_ERR_CONFIG, "%1000s", "x");
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
}

static void text_stays_on_one_line(void **state)
{
    (void)state;
    struct strata_error error;
    (void)sta_error_set(&error, STRATA_ERR_SERVER, "%s", "-ERR a\r\nb\t\x1b[31m\x7f \xc3\xa4");
    assert_string_equal(error.text, "-ERR a??b??[31m? \xc3\xa4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_its_name_and_a_text),
        cmocka_unit_test(no_two_codes_share_a_number),
        cmocka_unit_test(a_number_that_is_no_code_is_unknown),
        cmocka_unit_test(a_failure_is_filled_and_its_code_returned),
        cmocka_unit_test(nobody_need_ask_for_the_particulars),
        cmocka_unit_test(text_that_does_not_fit_is_cut),
        cmocka_unit_test(text_stays_on_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
