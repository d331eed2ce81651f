/* SPDX-License-Identifier: MIT
 *
 * Rows as bytes: what goes in comes out, and nothing else does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/row_bytes.h"

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"

struct thing {
    int64_t id;
    const char *text;
    struct strata_bytes blob;
    double real;
    bool real_is_null;
    bool flag;
};

static const struct strata_column columns[] = {
    {"id", STRATA_TYPE_INTEGER, STRATA_COLUMN_KEY, offsetof(struct thing, id), 0},
    {"text", STRATA_TYPE_TEXT, STRATA_COLUMN_NULLABLE, offsetof(struct thing, text), 0},
    {"blob", STRATA_TYPE_BLOB, STRATA_COLUMN_NULLABLE, offsetof(struct thing, blob), 0},
    {"real", STRATA_TYPE_REAL, STRATA_COLUMN_NULLABLE, offsetof(struct thing, real),
     offsetof(struct thing, real_is_null)},
    {"flag", STRATA_TYPE_BOOLEAN, 0, offsetof(struct thing, flag), 0},
};

static struct sta_schema schema;

static int make_schema(void **state)
{
    (void)state;
    const struct strata_model model = {
        .table = "things", .columns = columns, .column_count = 5, .size = sizeof(struct thing)};
    return sta_schema_init(&schema, &model, NULL);
}

/* A row whose fields are as `seed` says, null ones among them. */
static void random_fields(uint64_t *seed, struct strata_field *fields)
{
    static const char text[] = "a text of some length that is cut somewhere";
    uint64_t bits = sta_random_next(seed);
    fields[0] = strata_field_integer((int64_t)(bits >> (bits % 64)) * (bits & 1 ? 1 : -1));
    fields[1] = strata_field_text(text);
    fields[1].of.bytes.len = sta_random_below(seed, sizeof text);
    fields[2] = strata_field_blob(strata_bytes("\0\0\1\377", sta_random_below(seed, 5)));
    fields[3] = strata_field_real((double)(int64_t)sta_random_next(seed) / 1000);
    fields[4] = strata_field_boolean(sta_random_below(seed, 2) == 1);
    for (size_t i = 1; i < 4; i++) {
        if (sta_random_below(seed, 4) == 0)
            fields[i] = strata_field_null();
    }
}

/* `count` rows of the seed, under version 77. */
static void write_rows(struct sta_row_writer *writer, uint64_t seed, size_t count)
{
    struct strata_field fields[5];
    assert_int_equal(sta_row_bytes_begin(writer, &schema), STRATA_OK);
    for (size_t i = 0; i < count; i++) {
        random_fields(&seed, fields);
        assert_int_equal(sta_row_bytes_add(writer, fields), STRATA_OK);
    }
    sta_row_bytes_end(writer, 77);
}

static void assert_thing(const struct thing *thing, const struct strata_field *fields)
{
    assert_int_equal(thing->id, fields[0].of.integer);
    assert_int_equal(thing->text == NULL, fields[1].type == STRATA_TYPE_NULL);
    if (thing->text != NULL) {
        assert_int_equal(strlen(thing->text), fields[1].of.bytes.len);
        assert_memory_equal(thing->text, fields[1].of.bytes.data, fields[1].of.bytes.len);
    }
    assert_int_equal(thing->blob.data == NULL, fields[2].type == STRATA_TYPE_NULL);
    if (thing->blob.data != NULL && thing->blob.len > 0)
        assert_memory_equal(thing->blob.data, fields[2].of.bytes.data, fields[2].of.bytes.len);
    assert_int_equal(thing->real_is_null, fields[3].type == STRATA_TYPE_NULL);
    if (!thing->real_is_null)
        assert_true(thing->real == fields[3].of.real);
    assert_int_equal(thing->flag, fields[4].of.boolean);
}

static void what_goes_in_comes_out(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct sta_row_writer writer;
        struct strata_field fields[5];
        uint64_t again = seed, version = 0;
        void *rows = NULL;
        size_t count = 0;
        write_rows(&writer, seed, seed % 7);
        struct strata_bytes bytes = sta_buffer_bytes(&writer.bytes);
        assert_true(sta_row_bytes_version(&schema, bytes, &version));
        assert_int_equal(version, 77);
        assert_int_equal(sta_row_bytes_decode(&schema, bytes, &rows, &count), STRATA_OK);
        assert_int_equal(count, seed % 7);
        for (size_t i = 0; i < count; i++) {
            random_fields(&again, fields);
            assert_thing((const struct thing *)rows + i, fields);
        }
        free(rows);
        sta_row_bytes_fini(&writer);
    }
}

static void what_is_cut_or_longer_is_no_row(void **state)
{
    (void)state;
    struct sta_row_writer writer;
    void *rows = NULL;
    size_t count = 0;
    write_rows(&writer, 5, 3);
    assert_int_equal(sta_buffer_append(&writer.bytes, strata_bytes("", 1)), STRATA_OK);
    struct strata_bytes bytes = sta_buffer_bytes(&writer.bytes);
    for (size_t len = 0; len <= bytes.len; len++) {
        /* A copy of its own length, so that a look behind its end is noticed. */
        void *copy = malloc(len + 1);
        memcpy(copy, bytes.data, len);
        copy = realloc(copy, len > 0 ? len : 1);
        assert_int_equal(sta_row_bytes_decode(&schema, strata_bytes(copy, len), &rows, &count),
                         len == bytes.len - 1 ? STRATA_OK : STRATA_MISS);
        free(len == bytes.len - 1 ? rows : NULL);
        free(copy);
    }
    sta_row_bytes_fini(&writer);
}

static void another_schema_reads_nothing_of_it(void **state)
{
    (void)state;
    struct strata_column changed[5];
    struct sta_row_writer writer;
    struct sta_schema other;
    struct strata_model model = {
        .table = "things", .columns = changed, .column_count = 5, .size = sizeof(struct thing)};
    void *rows = NULL;
    size_t count = 0;
    write_rows(&writer, 1, 2);
    for (int change = 0; change < 5; change++) {
        memcpy(changed, columns, sizeof changed);
        model.column_count = change == 0 ? 4 : 5;
        model.table = change == 1 ? "thing" : "things";
        changed[4].name = change == 2 ? "flags" : "flag";
        changed[2].type = change == 3 ? STRATA_TYPE_TEXT : STRATA_TYPE_BLOB;
        changed[4].flags = change == 4 ? STRATA_COLUMN_NULLABLE : 0;
        assert_int_equal(sta_schema_init(&other, &model, NULL), STRATA_OK);
        assert_int_equal(
            sta_row_bytes_decode(&other, sta_buffer_bytes(&writer.bytes), &rows, &count),
            STRATA_MISS);
    }
    sta_row_bytes_fini(&writer);
}

static void an_announced_count_takes_no_memory(void **state)
{
    (void)state;
    struct sta_row_writer writer;
    void *rows = NULL;
    size_t count = 0;
    write_rows(&writer, 1, 1);
    memset(writer.bytes.data + 16, 0xff, 4);
    assert_int_equal(sta_row_bytes_decode(&schema, sta_buffer_bytes(&writer.bytes), &rows, &count),
                     STRATA_MISS);
    sta_row_bytes_fini(&writer);
}

static void fields_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct sta_row_writer writer;
    struct strata_field fields[5];
    uint64_t seed = 1;
    const struct strata_field wrong[5] = {
        strata_field_null(), strata_field_blob(strata_bytes("x", 1)), strata_field_text("x"),
        strata_field_integer(1), strata_field_null()};
    assert_int_equal(sta_row_bytes_begin(&writer, &schema), STRATA_OK);
    for (size_t i = 0; i < 5; i++) {
        random_fields(&seed, fields);
        fields[i] = wrong[i];
        assert_int_equal(sta_row_bytes_add(&writer, fields), STRATA_ERR_DATABASE);
    }
    sta_row_bytes_fini(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(what_is_cut_or_longer_is_no_row),
        cmocka_unit_test(another_schema_reads_nothing_of_it),
        cmocka_unit_test(an_announced_count_takes_no_memory),
        cmocka_unit_test(fields_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, make_schema, NULL);
}
