/* SPDX-License-Identifier: MIT
 *
 * What is remembered of questions whose answers were large.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "l2/large_answers.h"

#define QUESTIONS 10000u

static struct strata_bytes question(char text[64], unsigned number)
{
    int len = snprintf(text, 64, "*2\r\n$3\r\nGET\r\n$8\r\nkey%05u\r\n", number);
    return strata_bytes(text, (size_t)len);
}

static unsigned count_expected(const struct sta_large_answers *answers)
{
    unsigned expected = 0;
    char text[64];
    for (unsigned i = 0; i < QUESTIONS; i++)
        expected += sta_large_answers_expects(answers, question(text, i));
    return expected;
}

static void a_large_answer_is_expected_until_a_small_one_came(void **state)
{
    (void)state;
    struct sta_large_answers answers = {0};
    char text[64];
    struct strata_bytes asked = question(text, 7);
    sta_large_answers_note(&answers, asked, false);
    assert_false(sta_large_answers_expects(&answers, asked));
    sta_large_answers_note(&answers, asked, true);
    sta_large_answers_note(&answers, asked, true);
    assert_true(sta_large_answers_expects(&answers, asked));
    assert_int_equal(count_expected(&answers), 1);
    sta_large_answers_note(&answers, asked, false);
    assert_false(sta_large_answers_expects(&answers, asked));
    assert_int_equal(answers.count, 0);
}

static void small_answers_to_others_forget_nothing(void **state)
{
    (void)state;
    struct sta_large_answers answers = {0};
    char text[64];
    sta_large_answers_note(&answers, question(text, 0), true);
    for (unsigned i = 1; i < QUESTIONS; i++)
        sta_large_answers_note(&answers, question(text, i), false);
    assert_int_equal(count_expected(&answers), 1);
    assert_true(sta_large_answers_expects(&answers, question(text, 0)));
}

static void more_than_there_is_room_for_take_the_places_of_others(void **state)
{
    (void)state;
    struct sta_large_answers answers = {0};
    char text[64];
    for (unsigned i = 0; i < QUESTIONS; i++) {
        sta_large_answers_note(&answers, question(text, i), true);
        assert_true(sta_large_answers_expects(&answers, question(text, i)));
    }
    unsigned kept = count_expected(&answers);
    assert_int_equal(kept, answers.count);
    assert_in_range(kept, STA_LARGE_ANSWERS_PLACES * 9 / 10, STA_LARGE_ANSWERS_PLACES);
    for (unsigned i = 0; i < QUESTIONS; i++)
        sta_large_answers_note(&answers, question(text, i), false);
    assert_int_equal(answers.count, 0);
}

static void what_is_long_is_not_looked_at(void **state)
{
    (void)state;
    static char text[4096];
    struct sta_large_answers answers = {0};
    char other[64];
    memset(text, 'x', sizeof text);
    sta_large_answers_note(&answers, strata_bytes(text, sizeof text), true);
    assert_int_equal(answers.count, 0);
    sta_large_answers_note(&answers, question(other, 1), true);
    sta_large_answers_note(&answers, strata_bytes(text, sizeof text), true);
    assert_false(sta_large_answers_expects(&answers, strata_bytes(text, sizeof text)));
    assert_int_equal(answers.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_answer_is_expected_until_a_small_one_came),
        cmocka_unit_test(small_answers_to_others_forget_nothing),
        cmocka_unit_test(more_than_there_is_room_for_take_the_places_of_others),
        cmocka_unit_test(what_is_long_is_not_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
