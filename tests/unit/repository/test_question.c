/* SPDX-License-Identifier: MIT
 *
 * Questions: their keys in the cache, which tell them apart, and the tags that they depend on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/question.h"

#include <cmocka.h>
#include <string.h>

struct thing {
    int64_t id;
    const char *name;
    const char *kind;
    int64_t other;
};

static const struct strata_column columns[] = {
    {"id", STRATA_TYPE_INTEGER, STRATA_COLUMN_KEY, offsetof(struct thing, id), 0},
    {"name", STRATA_TYPE_TEXT, STRATA_COLUMN_UNIQUE, offsetof(struct thing, name), 0},
    {"kind", STRATA_TYPE_TEXT, STRATA_COLUMN_INDEXED | STRATA_COLUMN_NULLABLE,
     offsetof(struct thing, kind), 0},
    {"other", STRATA_TYPE_INTEGER, 0, offsetof(struct thing, other), 0},
};

static struct sta_schema schema;

static int make_schema(void **state)
{
    (void)state;
    const struct strata_model model = {
        .table = "things", .columns = columns, .column_count = 4, .size = sizeof(struct thing)};
    return sta_schema_init(&schema, &model, NULL);
}

static void assert_key(const struct sta_question *question, const char *expected)
{
    assert_int_equal(question->key_len, strlen(expected));
    assert_memory_equal(question->key, expected, question->key_len);
}

static void assert_tag(const struct sta_question *question, const char *beginning)
{
    assert_memory_equal(question->tag.name, beginning, strlen(beginning));
    size_t stripe = strchr(beginning, ':') != NULL ? 4 : 0;
    assert_int_equal(question->tag.len, strlen(beginning) + stripe);
}

static void names_are_readable(void **state)
{
    (void)state;
    struct sta_question question;
    const struct strata_match by[] = {{.column = "name", .field = strata_field_text("gpt-4")},
                                      {.column = "kind", .field = strata_field_null()}};
    const struct strata_query query = {
        .where = by + 1, .where_count = 1, .order_by = "other", .descending = true, .limit = 10};
    assert_int_equal(sta_question_by_key(&question, &schema, strata_field_integer(INT64_MIN), NULL),
                     STRATA_OK);
    sta_question_name(&question);
    assert_key(&question, "things:id:-9223372036854775808");
    assert_tag(&question, "things@v:id:");
    assert_int_equal(sta_question_by_columns(&question, &schema, by, 1, NULL), STRATA_OK);
    sta_question_name(&question);
    assert_key(&question, "things:name:gpt-4");
    assert_tag(&question, "things@v:name:");
    assert_int_equal(sta_question_by_columns(&question, &schema, by, 2, NULL), STRATA_OK);
    sta_question_name(&question);
    assert_key(&question, "things@by:name=5:gpt-4;kind=~;");
    assert_int_equal(sta_question_list(&question, &schema, &query, NULL), STRATA_OK);
    sta_question_name(&question);
    assert_key(&question, "things@list:kind=~;/other-10,0");
    assert_tag(&question, "things@v:kind:");
    assert_int_equal(sta_question_count(&question, &schema, &schema, NULL, NULL), STRATA_OK);
    sta_question_name(&question);
    assert_key(&question, "things@count:");
    assert_tag(&question, "things@v");
}

/* The narrowest value that all rows of the answer share. */
static void a_question_depends_on_one_tag(void **state)
{
    (void)state;
    struct sta_question question;
    struct strata_match by[] = {
        {"kind", STRATA_EQUAL, strata_field_text("k")},
        {"name", STRATA_LESS, strata_field_text("n")},
        {"id", STRATA_AT_LEAST, strata_field_integer(1)},
        {"other", STRATA_EQUAL, strata_field_integer(1)},
    };
    const struct strata_query query = {.where = by, .where_count = 4};
    static const struct {
        size_t equal;
        const char *tag;
    } steps[] = {{3, "things@v:kind:"}, {1, "things@v:name:"}, {2, "things@v:id:"}};
    for (size_t i = 0; i < 3; i++) {
        by[steps[i].equal].is = STRATA_EQUAL;
        assert_int_equal(sta_question_list(&question, &schema, &query, NULL), STRATA_OK);
        sta_question_name(&question);
        assert_tag(&question, steps[i].tag);
    }
    by[0].is = by[1].is = by[2].is = STRATA_NOT_EQUAL;
    assert_int_equal(sta_question_list(&question, &schema, &query, NULL), STRATA_OK);
    sta_question_name(&question);
    assert_tag(&question, "things@v");
}

/* Texts that hold what stands between others. */
static void no_two_questions_share_a_key(void **state)
{
    (void)state;
    struct sta_question one, other;
    const struct strata_match left[] = {
        {.column = "name", .field = strata_field_text("a;kind=1:b")},
        {.column = "kind", .field = strata_field_text("c")}};
    const struct strata_match right[] = {
        {.column = "name", .field = strata_field_text("a")},
        {.column = "kind", .field = strata_field_text("b;kind=1:c")}};
    assert_int_equal(sta_question_by_columns(&one, &schema, left, 2, NULL), STRATA_OK);
    assert_int_equal(sta_question_by_columns(&other, &schema, right, 2, NULL), STRATA_OK);
    sta_question_name(&one);
    sta_question_name(&other);
    assert_false(one.key_len == other.key_len && memcmp(one.key, other.key, one.key_len) == 0);
}

static void what_is_too_long_for_a_key_is_not_kept(void **state)
{
    (void)state;
    static char text[2048];
    struct sta_question question;
    size_t room = STA_QUESTION_KEY_MAX - strlen("things:name:");
    struct strata_match by = {.column = "name"};
    memset(text, 'x', sizeof text - 1);
    for (size_t len = room - 1; len < room + 3; len++) {
        by.field = strata_field_text(text);
        by.field.of.bytes.len = len;
        assert_int_equal(sta_question_by_columns(&question, &schema, &by, 1, NULL), STRATA_OK);
        sta_question_name(&question);
        assert_int_equal(question.key_len, len <= room ? len + STA_QUESTION_KEY_MAX - room : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_readable),
        cmocka_unit_test(a_question_depends_on_one_tag),
        cmocka_unit_test(no_two_questions_share_a_key),
        cmocka_unit_test(what_is_too_long_for_a_key_is_not_kept),
    };
    return cmocka_run_group_tests(tests, make_schema, NULL);
}
