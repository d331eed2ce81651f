/* SPDX-License-Identifier: MIT
 *
 * Statements that are kept, and which of them goes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/statements.h"

#include <cmocka.h>
#include <stdio.h>

static struct sta_statements statements;
static int prepared[STA_STATEMENTS_MAX + 2];
static unsigned ended;

static struct strata_bytes text_of(size_t number)
{
    static char text[32];
    (void)snprintf(text, sizeof text, "SELECT %zu", number);
    return strata_text(text);
}

static void count_end(void *statement)
{
    assert_non_null(statement);
    ended++;
}

static void the_longest_unused_goes_first(void **state)
{
    (void)state;
    void *gone = &gone;
    for (size_t i = 0; i < STA_STATEMENTS_MAX; i++) {
        assert_int_equal(sta_statements_add(&statements, text_of(i), &prepared[i], &gone), 0);
        assert_null(gone);
    }
    assert_ptr_equal(sta_statements_find(&statements, text_of(0)), &prepared[0]);
    assert_null(sta_statements_find(&statements, text_of(STA_STATEMENTS_MAX)));
    assert_int_equal(sta_statements_add(&statements, text_of(STA_STATEMENTS_MAX),
                                        &prepared[STA_STATEMENTS_MAX], &gone),
                     0);
    assert_ptr_equal(gone, &prepared[1]);
    assert_null(sta_statements_find(&statements, text_of(1)));
    assert_ptr_equal(sta_statements_find(&statements, text_of(0)), &prepared[0]);
    sta_statements_clear(&statements, count_end);
    assert_int_equal(ended, STA_STATEMENTS_MAX);
    assert_null(sta_statements_find(&statements, text_of(0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_longest_unused_goes_first)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
