/* SPDX-License-Identifier: MIT
 *
 * The SQL of a schema.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/sql_text.h"

#include <cmocka.h>

static const struct strata_column columns[] = {
    {"id", STRATA_TYPE_INTEGER, STRATA_COLUMN_KEY, 0, 0}};

static struct sta_schema schema;

static int make_schema(void **state)
{
    (void)state;
    const struct strata_model model = {
        .table = "things", .columns = columns, .column_count = 1, .size = sizeof(int64_t)};
    return sta_schema_init(&schema, &model, NULL);
}

/* How many rows the database is asked for at the most. */
static int64_t asked_for(uint64_t limit)
{
    const struct strata_query query = {.limit = limit};
    struct sta_sql_text text;
    sta_sql_text_init(&text, &strata_sqlite()->dialect);
    sta_sql_text_select(&text, &schema, &query, false);
    struct sta_sql sql = sta_sql_text_end(&text);
    assert_int_equal(text.status, STRATA_OK);
    assert_int_equal(sql.param_count, 1);
    int64_t rows = sql.params[0].of.integer;
    sta_sql_text_fini(&text);
    return rows;
}

/* One more than may be answered, which is how it is known that there are more. */
static void no_more_rows_are_asked_for_than_are_of_use(void **state)
{
    (void)state;
    assert_int_equal(asked_for(0), STRATA_ROWS_MAX + 1);
    assert_int_equal(asked_for(1), 1);
    assert_int_equal(asked_for(STRATA_ROWS_MAX), STRATA_ROWS_MAX);
    assert_int_equal(asked_for(STRATA_ROWS_MAX + 1), STRATA_ROWS_MAX + 1);
    assert_int_equal(asked_for(STRATA_ROWS_MAX + 2), STRATA_ROWS_MAX + 1);
    assert_int_equal(asked_for(INT64_MAX), STRATA_ROWS_MAX + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_rows_are_asked_for_than_are_of_use),
    };
    return cmocka_run_group_tests(tests, make_schema, NULL);
}
