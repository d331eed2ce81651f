/* SPDX-License-Identifier: MIT
 *
 * What config knows of the programs above it, which it cannot ask: their variables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/environment.h"
#include "daemon/stratad_options.h"

static bool is_listed(const char *name, size_t len)
{
    for (const char *const *known = sta_environment_programs; *known != NULL; known++) {
        if (strlen(*known) == len && memcmp(*known, name, len) == 0)
            return true;
    }
    return false;
}

static void every_variable_of_stratad_is_listed(void **state)
{
    (void)state;
    struct sta_buffer out;
    size_t found = 0;
    sta_buffer_init(&out, 1 << 20);
    assert_int_equal(sta_stratad_options_markdown(&out), STRATA_OK);
    assert_int_equal(sta_buffer_append(&out, strata_bytes("", 1)), STRATA_OK);
    /* A row begins with its variable: "| `STRATA_LISTEN` | ..." */
    const char *row = sta_buffer_bytes(&out).data;
    while ((row = strstr(row, "\n| `")) != NULL) {
        row += strlen("\n| `");
        if (!is_listed(row, strcspn(row, "`")))
            fail_msg("%.*s is not in sta_environment_programs", (int)strcspn(row, "`"), row);
        found++;
    }
    assert_true(found >= 2);
    sta_buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_variable_of_stratad_is_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
