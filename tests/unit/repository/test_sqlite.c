/* SPDX-License-Identifier: MIT
 *
 * What is said of a database that cannot be opened.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/driver.h"
#include "strata/repository.h"
#include "strata/status.h"

#include <cmocka.h>
#include <string.h>

static void the_file_that_cannot_be_opened_is_named(void **state)
{
    (void)state;
    struct sta_connection *none = NULL;
    struct strata_error error;
    assert_int_equal(strata_sqlite()->open(&none, "/proc/none/rows.db", 1000, &error),
                     STRATA_ERR_DATABASE);
    assert_null(none);
    assert_int_equal(error.status, STRATA_ERR_DATABASE);
    assert_string_equal(error.text, "/proc/none/rows.db: SQLite: unable to open database file");
}

static void so_is_one_that_is_no_database(void **state)
{
    (void)state;
    struct sta_connection *none = NULL;
    struct strata_error error;
    assert_int_equal(strata_sqlite()->open(&none, "/proc/self/status", 1000, &error),
                     STRATA_ERR_DATABASE);
    assert_null(none);
    assert_ptr_equal(strstr(error.text, "/proc/self/status: SQLite: "), error.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_that_cannot_be_opened_is_named),
        cmocka_unit_test(so_is_one_that_is_no_database),
    };
    return cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
}
