/* SPDX-License-Identifier: MIT
 *
 * Writers in both protocols: the bytes that are due, what they read back as, and that a buffer
 * without room stays as it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/random.h"
#include "resp/resp.h"
#include "strata/status.h"

/* A write by name and protocol. */
static int write_one(struct sta_buffer *out, const char *what, int protocol)
{
    const struct strata_bytes argv[] = {strata_text("GET"), strata_text("hello")};
    switch (what[0]) {
    case '+':
        return sta_resp_write_simple(out, "OK");
    case '-':
        return sta_resp_write_error(out, "ERR a\r\nb");
    case ':':
        return sta_resp_write_integer(out, what[1] == 'm'   ? INT64_MIN
                                           : what[1] == 'M' ? INT64_MAX
                                                            : 0);
    case '$':
        return sta_resp_write_bulk(out, strata_bytes("a\0b", 3));
    case '_':
        return sta_resp_write_null(out, protocol);
    case 'n':
        return sta_resp_write_null_array(out, protocol);
    case '#':
        return sta_resp_write_boolean(out, what[1] == 't', protocol);
    case ',':
        return sta_resp_write_double(out, 1.5, protocol);
    case '=':
        return sta_resp_write_verbatim(out, "txt", strata_text("some"), protocol);
    case '(':
        return sta_resp_write_big_number(out, strata_text("-123"), protocol);
    case '!':
        return sta_resp_write_bulk_error(out, strata_text("ERR a\nb"), protocol);
    case 'c':
        return sta_resp_write_command(out, argv, 2);
    case '*':
        return sta_resp_write_header(out, STA_RESP_ARRAY, 12, protocol);
    case '~':
        return sta_resp_write_header(out, STA_RESP_SET, 0, protocol);
    case '>':
        return sta_resp_write_header(out, STA_RESP_PUSH, 2, protocol);
    case '%':
        return sta_resp_write_header(out, STA_RESP_MAP, 3, protocol);
    default:
        return sta_resp_write_header(out, STA_RESP_ATTRIBUTE, 1, protocol);
    }
}

#define T(text)                                                                                    \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static const struct {
    const char *what;
    struct strata_bytes due[2]; /* in RESP2, in RESP3; empty: refused */
} writes[] = {
    {"+", {T("+OK\r\n"), T("+OK\r\n")}},
    {"-", {T("-ERR a  b\r\n"), T("-ERR a  b\r\n")}},
    {":", {T(":0\r\n"), T(":0\r\n")}},
    {":m", {T(":-9223372036854775808\r\n"), T(":-9223372036854775808\r\n")}},
    {":M", {T(":9223372036854775807\r\n"), T(":9223372036854775807\r\n")}},
    {"$", {T("$3\r\na\0b\r\n"), T("$3\r\na\0b\r\n")}},
    {"_", {T("$-1\r\n"), T("_\r\n")}},
    {"null array", {T("*-1\r\n"), T("_\r\n")}},
    {"#t", {T(":1\r\n"), T("#t\r\n")}},
    {"#f", {T(":0\r\n"), T("#f\r\n")}},
    {",", {T("$3\r\n1.5\r\n"), T(",1.5\r\n")}},
    {"=", {T("$4\r\nsome\r\n"), T("=8\r\ntxt:some\r\n")}},
    {"(", {T("$4\r\n-123\r\n"), T("(-123\r\n")}},
    {"!", {T("-ERR a b\r\n"), T("!7\r\nERR a\nb\r\n")}},
    {"command", {T("*2\r\n$3\r\nGET\r\n$5\r\nhello\r\n"), T("*2\r\n$3\r\nGET\r\n$5\r\nhello\r\n")}},
    {"*", {T("*12\r\n"), T("*12\r\n")}},
    {"~", {T("*0\r\n"), T("~0\r\n")}},
    {">", {T("*2\r\n"), T(">2\r\n")}},
    {"%", {T("*6\r\n"), T("%3\r\n")}},
    {"|", {T(""), T("|1\r\n")}},
};
#define WRITES (sizeof(writes) / sizeof(writes[0]))

static void expect_written(size_t i, int protocol)
{
    struct strata_bytes due = writes[i].due[protocol - 2];
    struct sta_buffer out;
    sta_buffer_init(&out, 4096);
    assert_int_equal(write_one(&out, writes[i].what, protocol),
                     due.len > 0 ? STRATA_OK : STRATA_ERR_INVALID);
    assert_int_equal(sta_buffer_len(&out), due.len);
    if (due.len > 0)
        assert_memory_equal(sta_buffer_bytes(&out).data, due.data, due.len);
    sta_buffer_fini(&out);
}

static void every_type_is_written_as_its_protocol_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < WRITES; i++) {
        expect_written(i, 2);
        expect_written(i, 3);
    }
}

/* Values of their own, and what reading them gives: writers and readers agree. */
static void what_is_written_reads_back(void **state)
{
    (void)state;
    for (int protocol = 2; protocol <= 3; protocol++) {
        struct sta_buffer out;
        struct sta_resp_value value;
        sta_buffer_init(&out, 4096);
        uint64_t seed = 5;
        for (int i = 0; i < 1000; i++) {
            unsigned shift = (unsigned)sta_random_below(&seed, 64);
            int64_t integer = (int64_t)(sta_random_next(&seed) >> shift);
            integer = i % 2 ? integer : -integer;
            assert_int_equal(sta_resp_write_integer(&out, integer), STRATA_OK);
            assert_int_equal(sta_resp_write_double(&out, (double)integer / 64, protocol),
                             STRATA_OK);
            struct sta_resp_walk walk = sta_resp_walk(sta_buffer_bytes(&out));
            assert_int_equal(sta_resp_next(&walk, &value), STRATA_OK);
            assert_true(value.integer == integer);
            assert_int_equal(sta_resp_next(&walk, &value), STRATA_OK);
            assert_true(protocol == 2 || value.real == (double)integer / 64);
            assert_int_equal(sta_resp_next(&walk, &value), STRATA_MISS);
            sta_buffer_consume(&out, sta_buffer_len(&out));
        }
        sta_buffer_fini(&out);
    }
}

static void a_bulk_is_put_together_behind_its_head(void **state)
{
    (void)state;
    static const char expected[] = "$0\r\n$123\r\n$18446744073709551615\r\n";
    struct sta_buffer out;
    sta_buffer_init(&out, SIZE_MAX);
    assert_int_equal(sta_buffer_reserve(&out, sizeof expected), STRATA_OK);
    sta_resp_put_bulk_head(&out, 0);
    sta_resp_put_bulk_head(&out, 123);
    sta_resp_put_bulk_head(&out, SIZE_MAX);
    assert_int_equal(sta_buffer_len(&out), sizeof expected - 1);
    assert_memory_equal(sta_buffer_bytes(&out).data, expected, sizeof expected - 1);
    sta_buffer_fini(&out);
}

static void headers_that_no_reader_could_take_are_refused(void **state)
{
    (void)state;
    struct sta_buffer out;
    sta_buffer_init(&out, 4096);
    assert_int_equal(sta_resp_write_header(&out, STA_RESP_BULK, 1, 3), STRATA_ERR_INVALID);
    assert_int_equal(sta_resp_write_header(&out, STA_RESP_MAP, UINT64_MAX / 2, 2),
                     STRATA_ERR_INVALID);
    assert_int_equal(sta_resp_write_header(&out, STA_RESP_ARRAY, UINT64_MAX, 3),
                     STRATA_ERR_INVALID);
    assert_int_equal(sta_buffer_len(&out), 0);
    sta_buffer_fini(&out);
}

static void a_buffer_without_room_stays_as_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < WRITES; i++) {
        struct sta_buffer out;
        sta_buffer_init(&out, 4);
        assert_int_equal(sta_buffer_append(&out, strata_text("abc")), STRATA_OK);
        assert_int_equal(write_one(&out, writes[i].what, 3), STRATA_ERR_TOO_BIG);
        assert_int_equal(sta_buffer_len(&out), 3);
        assert_memory_equal(sta_buffer_bytes(&out).data, "abc", 3);
        sta_buffer_fini(&out);
    }
}

static void lengths_that_no_sum_can_hold_are_too_big(void **state)
{
    (void)state;
    const struct strata_bytes huge = strata_bytes("", SIZE_MAX - 8);
    const struct strata_bytes argv[] = {strata_text("SET"), huge};
    struct sta_buffer out;
    sta_buffer_init(&out, SIZE_MAX);
    assert_int_equal(sta_resp_write_bulk(&out, huge), STRATA_ERR_TOO_BIG);
    assert_int_equal(sta_resp_write_verbatim(&out, "txt", huge, 3), STRATA_ERR_TOO_BIG);
    assert_int_equal(sta_resp_write_bulk_error(&out, huge, 2), STRATA_ERR_TOO_BIG);
    assert_int_equal(sta_resp_write_command(&out, argv, 2), STRATA_ERR_TOO_BIG);
    assert_int_equal(sta_buffer_len(&out), 0);
    sta_buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_written_as_its_protocol_says),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(a_bulk_is_put_together_behind_its_head),
        cmocka_unit_test(headers_that_no_reader_could_take_are_refused),
        cmocka_unit_test(lengths_that_no_sum_can_hold_are_too_big),
        cmocka_unit_test(a_buffer_without_room_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
