/* SPDX-License-Identifier: MIT
 *
 * Failures carry their particulars.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/error.h"

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
        cmocka_unit_test(a_failure_is_filled_and_its_code_returned),
        cmocka_unit_test(nobody_need_ask_for_the_particulars),
        cmocka_unit_test(text_that_does_not_fit_is_cut),
        cmocka_unit_test(text_stays_on_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
