/* SPDX-License-Identifier: MIT
 *
 * Quoting of what users wrote.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/quote.h"

static void check_quote(const char *text, size_t cap, const char *expected)
{
    char out[200];
    memset(out, '#', sizeof out);
    sta_quote_text(text, strlen(text), out, cap);
    assert_string_equal(out, expected);
    assert_int_equal(out[cap], '#');
}

static void plain_text_is_repeated(void **state)
{
    (void)state;
    check_quote("", 20, "");
    check_quote("abc", 20, "abc");
    check_quote("a:b \"c\" \xc3\xa4", 20, "a:b \"c\" \xc3\xa4");
}

static void control_characters_become_question_marks(void **state)
{
    (void)state;
    check_quote("a\nb\x1b[1m\x7f", 20, "a?b?[1m?");
}

static void text_that_does_not_fit_ends_with_dots(void **state)
{
    (void)state;
    check_quote("1234567", 8, "1234567");
    check_quote("12345678", 8, "1234...");
    check_quote("123456789", 8, "1234...");
}

static void no_character_is_cut(void **state)
{
    (void)state;
    check_quote("abc\xc3\xa4 beyond", 8, "abc..."); /* 4 fit: the second byte does not */
    check_quote("ab\xc3\xa4 beyond", 8, "ab\xc3\xa4...");
    check_quote("ab\xe2\x82\xac beyond", 8, "ab...");
    check_quote("a\xf0\x9f\x98\x80 beyond", 8, "a...");
    check_quote("\xf0\x9f\x98\x80 beyond", 8, "\xf0\x9f\x98\x80...");
    check_quote("\x80\x80\x80\x80\x80\x80\x80\x80\x80", 8, "\x80\x80\x80\x80..."); /* is none */
}

static void text_beyond_the_look_ends_with_dots_too(void **state)
{
    (void)state;
    char text[5000];
    char out[200];
    memset(text, 'x', sizeof text);
    memcpy(text, "redis://:", 9);
    text[4000] = '@';
    sta_quote_text(text, sizeof text, out, sizeof out);
    assert_string_equal(out, "redis://***...");
}

static void secrets_are_masked_wherever_they_stand(void **state)
{
    (void)state;
    check_quote("redis://bob:sEcReT@h/0", 40, "redis://***@h/0");
    check_quote("bob:sEcReT@h", 40, "***@h");
    check_quote("redis://:sEcReT", 40, "redis://***");
}

static void only_the_given_length_is_looked_at(void **state)
{
    (void)state;
    char out[20];
    sta_quote_text("abc=def", 3, out, sizeof out);
    assert_string_equal(out, "abc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_is_repeated),
        cmocka_unit_test(control_characters_become_question_marks),
        cmocka_unit_test(text_that_does_not_fit_ends_with_dots),
        cmocka_unit_test(no_character_is_cut),
        cmocka_unit_test(text_beyond_the_look_ends_with_dots_too),
        cmocka_unit_test(secrets_are_masked_wherever_they_stand),
        cmocka_unit_test(only_the_given_length_is_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
