/* SPDX-License-Identifier: MIT
 *
 * The list of status codes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "strata/status.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_its_name_and_a_text),
        cmocka_unit_test(no_two_codes_share_a_number),
        cmocka_unit_test(a_number_that_is_no_code_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
