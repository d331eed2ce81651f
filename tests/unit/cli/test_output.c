/* SPDX-License-Identifier: MIT
 *
 * cli/output, cli/utf8: what a terminal is shown of binary values, and what JSON holds of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/output.h"
#include "core/random.h"
#include "core/utf8.h"

/* Whether `value` is rendered as `expected`. */
static void assert_rendered(int (*render)(struct sta_buffer *, struct strata_bytes),
                            struct strata_bytes value, const char *expected)
{
    struct sta_buffer out;
    sta_buffer_init(&out, 1 << 20);
    assert_int_equal(render(&out, value), STRATA_OK);
    assert_int_equal(sta_buffer_len(&out), strlen(expected));
    if (sta_buffer_len(&out) > 0)
        assert_memory_equal(sta_buffer_bytes(&out).data, expected, strlen(expected));
    sta_buffer_fini(&out);
}
#define BYTES(literal)             strata_bytes(literal, sizeof(literal) - 1)
#define ESCAPED(value, expected)   assert_rendered(cli_output_escape, BYTES(value), expected)
#define IN_BASE64(value, expected) assert_rendered(cli_output_base64, BYTES(value), expected)

static void printable_text_of_any_script_is_shown_as_it_is(void **state)
{
    (void)state;
    ESCAPED("", "");
    ESCAPED("plain text, 100 %", "plain text, 100 %");
    ESCAPED("gr\xc3\xbc\xc3\x9f dich \xe2\x82\xac \xf0\x9f\x8c\x8d",
            "gr\xc3\xbc\xc3\x9f dich \xe2\x82\xac \xf0\x9f\x8c\x8d");
}

static void what_controls_a_terminal_is_escaped(void **state)
{
    (void)state;
    ESCAPED("a\nb\rc\td\\", "a\\nb\\rc\\td\\\\");
    ESCAPED("\x1b[2J\x07\x7f", "\\x1b[2J\\x07\\x7f");
    ESCAPED("a\0b", "a\\x00b");
    ESCAPED("\xc2\x9b", "\\xc2\\x9b");            /* CSI as one C1 character */
    ESCAPED("\xe2\x80\xae", "\\xe2\\x80\\xae");   /* right-to-left override */
    ESCAPED("\xef\xbb\xbfx", "\\xef\\xbb\\xbfx"); /* byte order mark */
}

static void what_is_not_utf8_is_escaped_byte_by_byte(void **state)
{
    (void)state;
    ESCAPED("\xff\xfe", "\\xff\\xfe");
    ESCAPED("\xc3", "\\xc3");
    ESCAPED("\xe2\x82x", "\\xe2\\x82x");
    ESCAPED("\xc0\xaf", "\\xc0\\xaf");
    ESCAPED("\xed\xa0\x80", "\\xed\\xa0\\x80");
}

static void base64_is_that_of_rfc_4648(void **state)
{
    (void)state;
    IN_BASE64("", "");
    IN_BASE64("f", "Zg==");
    IN_BASE64("fo", "Zm8=");
    IN_BASE64("foo", "Zm9v");
    IN_BASE64("foob", "Zm9vYg==");
    IN_BASE64("fooba", "Zm9vYmE=");
    IN_BASE64("foobar", "Zm9vYmFy");
    IN_BASE64("\xff\xef\xbe\x00", "/+++AA==");
}

static void json_has_text_as_text_and_everything_else_in_base64(void **state)
{
    (void)state;
    json_t *object = json_object();
    assert_int_equal(cli_output_member(object, "a", BYTES("x\0y")), 0);
    assert_int_equal(cli_output_member(object, "b", BYTES("x\xffy")), 0);
    assert_int_equal(cli_output_member(object, "c", strata_bytes(NULL, 0)), 0);
    assert_int_equal(json_string_length(json_object_get(object, "a")), 3);
    assert_string_equal(json_string_value(json_object_get(object, "b_base64")), "eP95");
    assert_null(json_object_get(object, "b"));
    assert_string_equal(json_string_value(json_object_get(object, "c")), "");
    json_decref(object);
}

static void any_bytes_can_be_shown_and_put_into_json(void **state)
{
    (void)state;
    uint64_t random = 3;
    for (int round = 0; round < 2000; round++) {
        uint8_t bytes[24];
        size_t len = sta_random_below(&random, sizeof bytes + 1);
        for (size_t i = 0; i < len; i++)
            bytes[i] =
                (uint8_t)(sta_random_next(&random) >> (sta_random_next(&random) & 1 ? 8 : 57));
        json_t *object = json_object();
        assert_int_equal(cli_output_member(object, "v", strata_bytes(bytes, len)), 0);
        assert_int_equal(json_object_size(object), 1);
        json_decref(object);
        struct sta_buffer out;
        sta_buffer_init(&out, 1 << 20);
        assert_int_equal(cli_output_escape(&out, strata_bytes(bytes, len)), STRATA_OK);
        assert_true(sta_utf8_valid(sta_buffer_bytes(&out)));
        sta_buffer_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printable_text_of_any_script_is_shown_as_it_is),
        cmocka_unit_test(what_controls_a_terminal_is_escaped),
        cmocka_unit_test(what_is_not_utf8_is_escaped_byte_by_byte),
        cmocka_unit_test(base64_is_that_of_rfc_4648),
        cmocka_unit_test(json_has_text_as_text_and_everything_else_in_base64),
        cmocka_unit_test(any_bytes_can_be_shown_and_put_into_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
