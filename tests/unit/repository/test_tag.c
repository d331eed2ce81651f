/* SPDX-License-Identifier: MIT
 *
 * Tags of rows, and sets of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/tag.h"

#include <cmocka.h>
#include <stdatomic.h>
#include <string.h>

struct thing {
    int64_t id;
    const char *text;
    double real;
    int64_t other;
};

static const struct strata_column columns[] = {
    {"id", STRATA_TYPE_INTEGER, STRATA_COLUMN_KEY, offsetof(struct thing, id), 0},
    {"text", STRATA_TYPE_TEXT, STRATA_COLUMN_NULLABLE | STRATA_COLUMN_INDEXED,
     offsetof(struct thing, text), 0},
    {"real", STRATA_TYPE_REAL, STRATA_COLUMN_INDEXED, offsetof(struct thing, real), 0},
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

static void values_that_are_equal_have_one_tag(void **state)
{
    (void)state;
    struct sta_tag zero, minus, null, empty;
    struct strata_field field = strata_field_real(0.0);
    sta_tag_value(&zero, &schema.columns[2], &field);
    field = strata_field_real(-0.0);
    sta_tag_value(&minus, &schema.columns[2], &field);
    assert_int_equal(zero.len, minus.len);
    assert_memory_equal(zero.name, minus.name, zero.len);
    assert_memory_equal(zero.name, "things@v:real:", 14);
    field = strata_field_null();
    sta_tag_value(&null, &schema.columns[1], &field);
    field = strata_field_text("");
    sta_tag_value(&empty, &schema.columns[1], &field);
    assert_memory_not_equal(null.name, empty.name, null.len);
}

static void the_longest_names_fit(void **state)
{
    (void)state;
    char name[64];
    memset(name, 'x', 63);
    name[63] = '\0';
    struct strata_column column = {name, STRATA_TYPE_INTEGER, STRATA_COLUMN_KEY, 0, 0};
    struct strata_model model = {
        .table = name, .columns = &column, .column_count = 1, .size = sizeof(int64_t)};
    struct sta_schema longest;
    struct strata_field field = strata_field_integer(1);
    struct sta_tag tag;
    assert_int_equal(sta_schema_init(&longest, &model, NULL), STRATA_OK);
    sta_tag_value(&tag, &longest.columns[0], &field);
    assert_true(tag.len <= sizeof tag.name);
}

/* A cache without L2: what it holds is what was stored here. */
static struct strata *open_cache(void)
{
    struct strata *cache = NULL;
    const struct strata_options options = {.l2_enabled = STRATA_OFF};
    assert_int_equal(strata_open(&cache, &options, NULL), STRATA_OK);
    return cache;
}

static void a_set_renews_each_tag_of_its_rows(void **state)
{
    (void)state;
    const struct strata_field fields[4] = {strata_field_integer(1), strata_field_text("a"),
                                           strata_field_real(1), strata_field_integer(9)};
    _Atomic uint64_t versions = 1;
    struct sta_tag_set set;
    struct strata_statistics before, after;
    struct strata *cache = open_cache();
    sta_buffer_init(&set.bytes, STA_TAG_SET_LIMIT);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sta_tag_set_add_row(&set, &schema, fields), STRATA_OK);
    assert_true(sta_tag_set_concerns(sta_buffer_bytes(&set.bytes), &schema));
    strata_statistics(cache, &before);
    assert_int_equal(sta_tag_set_renew(sta_buffer_bytes(&set.bytes), cache, &versions), STRATA_OK);
    strata_statistics(cache, &after);
    assert_int_equal(after.l1_entries - before.l1_entries, 4); /* all rows, id, text, real */
    sta_buffer_fini(&set.bytes);
    strata_close(&cache);
}

/* More than go to Redis together, and there is no Redis: each is tried all the same. */
static void a_batch_that_fails_leaves_the_others_to_be_renewed(void **state)
{
    (void)state;
    enum { ROWS = 1500 };
    const struct strata_options options = {.redis_url = "unix:///nowhere.sock"};
    _Atomic uint64_t versions = 1;
    struct sta_tag_set set;
    struct strata_statistics before, after;
    struct strata *cache = NULL;
    assert_int_equal(strata_open(&cache, &options, NULL), STRATA_OK);
    sta_buffer_init(&set.bytes, STA_TAG_SET_LIMIT);
    for (int i = 0; i < ROWS; i++) {
        const struct strata_field fields[4] = {strata_field_integer(i), strata_field_text("a"),
                                               strata_field_real(1), strata_field_integer(9)};
        assert_int_equal(sta_tag_set_add_row(&set, &schema, fields), STRATA_OK);
    }
    strata_statistics(cache, &before);
    assert_true(sta_tag_set_renew(sta_buffer_bytes(&set.bytes), cache, &versions) < 0);
    strata_statistics(cache, &after);
    assert_true(after.l2.sets - before.l2.sets > ROWS / 2); /* stripes are shared by few */
    sta_buffer_fini(&set.bytes);
    strata_close(&cache);
}

static void what_is_no_set_is_refused(void **state)
{
    (void)state;
    _Atomic uint64_t versions = 1;
    struct strata *cache = open_cache();
    assert_int_equal(sta_tag_set_renew(strata_text("\7things"), cache, &versions),
                     STRATA_ERR_PROTOCOL);
    assert_int_equal(sta_tag_set_renew(strata_bytes("\0", 1), cache, &versions),
                     STRATA_ERR_PROTOCOL);
    assert_int_equal(sta_tag_set_renew(strata_bytes(NULL, 0), cache, &versions), STRATA_OK);
    strata_close(&cache);
}

static void a_version_is_given_once(void **state)
{
    (void)state;
    _Atomic uint64_t versions = 1;
    uint64_t first = sta_tag_new_version(&versions), last = first;
    for (int i = 0; i < 1000; i++) {
        uint64_t next = sta_tag_new_version(&versions);
        assert_true(next != first && next != last);
        last = next;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_that_are_equal_have_one_tag),
        cmocka_unit_test(the_longest_names_fit),
        cmocka_unit_test(a_set_renews_each_tag_of_its_rows),
        cmocka_unit_test(a_batch_that_fails_leaves_the_others_to_be_renewed),
        cmocka_unit_test(what_is_no_set_is_refused),
        cmocka_unit_test(a_version_is_given_once),
    };
    return cmocka_run_group_tests(tests, make_schema, NULL);
}
