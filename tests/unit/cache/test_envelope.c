/* SPDX-License-Identifier: MIT
 *
 * Envelopes: what is written is read again, a plain value stays plain, and what is broken or newer
 * than we are is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cache/envelope.h"
#include "strata/status.h"
#include "support/fail_alloc.h"

#define MAGIC STA_ENVELOPE_MAGIC "\0"

#define INITIAL(literal)                                                                           \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }
#define BYTES(literal) ((struct strata_bytes)INITIAL(literal))

static void assert_bytes(struct strata_bytes bytes, struct strata_bytes expected)
{
    assert_int_equal(bytes.len, expected.len);
    assert_memory_equal(bytes.data, expected.data, expected.len);
}

static void a_plain_value_is_itself(void **state)
{
    (void)state;
    static const struct strata_bytes plain[] = {{"", 0}, {"v", 1}, {"\xF5strat", 6}, {"\xF5", 1}};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        struct sta_envelope envelope;
        assert_false(sta_envelope_begins(plain[i]));
        assert_int_equal(sta_envelope_read(plain[i], &envelope), STRATA_OK);
        assert_int_equal(envelope.stale_ms, 0);
        assert_int_equal(envelope.load_us, 0);
        assert_int_equal(envelope.tag_count, 0);
        assert_bytes(envelope.value, plain[i]);
    }
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    struct sta_buffer out;
    struct sta_envelope again;
    struct sta_envelope envelope = {
        .stale_ms = 60000,
        .load_us = UINT64_MAX,
        .tag_count = 2,
        .tags = {{strata_text("user:7"), 0x0102030405060708}, {strata_text("t"), 0}},
        .value = strata_text("the value"),
    };
    sta_buffer_init(&out, 1024);
    assert_int_equal(sta_envelope_write(&out, &envelope), STRATA_OK);
    assert_bytes(sta_buffer_bytes(&out), BYTES(MAGIC "\x01\x33\x00"
                                                     "\x01\x08\x00\x60\xEA\0\0\0\0\0\0"
                                                     "\x02\x08\x00\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
                                                     "\x03\x0E\x00\x08\x07\x06\x05\x04\x03\x02\x01"
                                                     "user:7"
                                                     "\x03\x09\x00\0\0\0\0\0\0\0\0"
                                                     "t"
                                                     "the value"));
    assert_int_equal(sta_envelope_read(sta_buffer_bytes(&out), &again), STRATA_OK);
    assert_int_equal(again.stale_ms, 60000);
    assert_true(again.load_us == UINT64_MAX);
    assert_int_equal(again.tag_count, 2);
    assert_bytes(again.tags[0].name, strata_text("user:7"));
    assert_true(again.tags[0].version == 0x0102030405060708);
    assert_bytes(again.tags[1].name, strata_text("t"));
    assert_bytes(again.value, strata_text("the value"));
    sta_buffer_fini(&out);
}

static void a_value_that_begins_as_an_envelope_is_put_into_one(void **state)
{
    (void)state;
    struct sta_buffer out;
    struct sta_envelope again;
    struct strata_bytes value = BYTES(MAGIC "\x01\x00\x00 and so on");
    assert_true(sta_envelope_begins(value));
    sta_buffer_init(&out, 1024);
    assert_int_equal(sta_envelope_write(&out, &(struct sta_envelope){.value = value}), STRATA_OK);
    assert_int_equal(sta_envelope_read(sta_buffer_bytes(&out), &again), STRATA_OK);
    assert_bytes(again.value, value);
    sta_buffer_fini(&out);
}

static void what_may_be_left_out_is_and_what_may_not_is_told(void **state)
{
    (void)state;
    struct sta_envelope envelope;
    assert_int_equal(sta_envelope_read(BYTES(MAGIC "\x01\x04\x00\x90\x01\x00?v"), &envelope),
                     STRATA_OK);
    assert_bytes(envelope.value, strata_text("v"));
    assert_int_equal(sta_envelope_read(BYTES(MAGIC "\x01\x04\x00\x10\x01\x00?v"), &envelope),
                     STRATA_ERR_UNSUPPORTED);
    assert_int_equal(sta_envelope_read(BYTES(MAGIC "\x02\x00\x00v"), &envelope),
                     STRATA_ERR_UNSUPPORTED);
}

static void what_is_broken_is_told(void **state)
{
    (void)state;
    static const struct strata_bytes broken[] = {
        INITIAL(MAGIC),
        INITIAL(MAGIC "\x01\x00"),
        INITIAL(MAGIC "\x01\x01\x00"),                             /* fields beyond the end */
        INITIAL(MAGIC "\x01\x02\x00\x01\x08"),                     /* half a field's head */
        INITIAL(MAGIC "\x01\x04\x00\x90\x02\x00?"),                /* a field beyond the fields */
        INITIAL(MAGIC "\x01\x0A\x00\x01\x07\x00\x01\0\0\0\0\0\0"), /* a short number */
        INITIAL(MAGIC
                "\x01\x0B\x00\x01\x08\x00\0\0\0\0\0\0\0\0"), /* a number that is not written */
        INITIAL(MAGIC "\x01\x0B\x00\x03\x08\x00\0\0\0\0\0\0\0\0v"), /* a tag without a name */
        INITIAL(MAGIC "\x01\x16\x00\x01\x08\x00\x01\0\0\0\0\0\0\0"
                      "\x01\x08\x00\x01\0\0\0\0\0\0\0"), /* a number twice */
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct sta_envelope envelope = {.load_us = 7};
        assert_true(sta_envelope_begins(broken[i]));
        assert_int_equal(sta_envelope_read(broken[i], &envelope), STRATA_ERR_PROTOCOL);
        assert_int_equal(envelope.load_us, 7);
    }
}

static void tags_have_bounds(void **state)
{
    (void)state;
    static char long_name[STA_ENVELOPE_TAG_MAX + 2];
    struct sta_buffer out;
    struct sta_envelope again, envelope = {.tag_count = STA_ENVELOPE_TAGS_MOST};
    memset(long_name, 'n', sizeof long_name - 1);
    sta_buffer_init(&out, 1 << 16);
    for (size_t i = 0; i < STA_ENVELOPE_TAGS_MOST; i++)
        envelope.tags[i].name = strata_bytes(long_name, STA_ENVELOPE_TAG_MAX);
    assert_int_equal(sta_envelope_write(&out, &envelope), STRATA_OK);
    assert_int_equal(sta_envelope_read(sta_buffer_bytes(&out), &again), STRATA_OK);
    assert_int_equal(again.tag_count, STA_ENVELOPE_TAGS_MOST);
    sta_buffer_clear(&out);
    envelope.tags[3].name = strata_text(long_name);
    assert_int_equal(sta_envelope_write(&out, &envelope), STRATA_ERR_TOO_BIG);
    envelope.tags[3].name = strata_text("");
    assert_int_equal(sta_envelope_write(&out, &envelope), STRATA_ERR_INVALID);
    envelope.tag_count = STA_ENVELOPE_TAGS_MOST + 1;
    assert_int_equal(sta_envelope_write(&out, &envelope), STRATA_ERR_INVALID);
    assert_int_equal(sta_buffer_len(&out), 0);
    sta_buffer_fini(&out);
}

static void without_room_nothing_is_written(void **state)
{
    (void)state;
    struct sta_buffer out;
    struct sta_envelope envelope = {.load_us = 1, .value = strata_text("value")};
    sta_buffer_init(&out, STA_ENVELOPE_HEAD + 11 + 4);
    assert_int_equal(sta_envelope_write(&out, &envelope), STRATA_ERR_TOO_BIG);
    envelope.value = strata_text("valu");
    fail_alloc_at(1);
    assert_int_equal(sta_envelope_write(&out, &envelope), STRATA_ERR_NOMEM);
    assert_true(fail_alloc_end());
    assert_int_equal(sta_buffer_len(&out), 0);
    assert_int_equal(sta_envelope_write(&out, &envelope), STRATA_OK);
    sta_buffer_fini(&out);
}

static void a_value_is_fresh_until_its_stale_part_begins(void **state)
{
    (void)state;
    const struct sta_envelope envelope = {.stale_ms = 100};
    assert_int_equal(sta_envelope_fresh_ms(&envelope, 101), 1);
    assert_int_equal(sta_envelope_fresh_ms(&envelope, 100), 0);
    assert_int_equal(sta_envelope_fresh_ms(&envelope, 0), 0);
    assert_true(sta_envelope_fresh_ms(&envelope, UINT64_MAX) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_value_is_itself),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(a_value_that_begins_as_an_envelope_is_put_into_one),
        cmocka_unit_test(what_may_be_left_out_is_and_what_may_not_is_told),
        cmocka_unit_test(what_is_broken_is_told),
        cmocka_unit_test(tags_have_bounds),
        cmocka_unit_test(without_room_nothing_is_written),
        cmocka_unit_test(a_value_is_fresh_until_its_stale_part_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
