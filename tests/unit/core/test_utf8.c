/* SPDX-License-Identifier: MIT
 *
 * What is UTF-8 and what is not, and texts that are made to be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/utf8.h"

#define BYTES(text) strata_bytes(text, sizeof(text) - 1)

static void utf8_is_that_of_rfc_3629(void **state)
{
    (void)state;
    uint32_t character;
    assert_int_equal(sta_utf8_next(BYTES("\xf4\x8f\xbf\xbf"), &character), 4);
    assert_int_equal(character, 0x10ffff);
    assert_int_equal(sta_utf8_next(BYTES("\xed\x9f\xbf"), &character), 3);
    assert_int_equal(character, 0xd7ff);
    assert_int_equal(sta_utf8_next(BYTES("\x7f"), &character), 1);
    assert_int_equal(sta_utf8_next(BYTES(""), &character), 0);
    assert_int_equal(sta_utf8_next(BYTES("\xf4\x90\x80\x80"), &character), 0); /* > U+10FFFF */
    assert_int_equal(sta_utf8_next(BYTES("\xe0\x9f\xbf"), &character), 0);     /* overlong */
    assert_int_equal(sta_utf8_next(BYTES("\xf0\x8f\xbf\xbf"), &character), 0); /* overlong */
    assert_int_equal(sta_utf8_next(BYTES("\xf8\x88\x80\x80\x80"), &character), 0);
    assert_int_equal(sta_utf8_next(BYTES("\x80"), &character), 0);
    assert_true(sta_utf8_valid(BYTES("a\xc3\xbc")));
    assert_false(sta_utf8_valid(BYTES("a\xc3\xbc\xc3")));
}

static void assert_mended(const char *text, const char *expected)
{
    char copy[64];
    (void)snprintf(copy, sizeof copy, "%s", text);
    sta_utf8_mend(copy);
    assert_string_equal(copy, expected);
}

static void what_is_none_becomes_ascii_as_a_whole(void **state)
{
    (void)state;
    assert_mended("", "");
    assert_mended("/run/x.sock", "/run/x.sock");
    assert_mended("/run/\xc3\xa4.sock", "/run/\xc3\xa4.sock");
    assert_mended("/run/\xc3\xa4\xff.sock", "/run/???.sock");
    assert_mended("\xe2\x82", "??");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_that_of_rfc_3629),
        cmocka_unit_test(what_is_none_becomes_ascii_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
