/* SPDX-License-Identifier: MIT
 *
 * What is subscribed to, as the confirmations say, in both protocols.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/subscriptions.h"

static enum sta_subscriptions_word read_frame(const char *frame, int protocol, uint64_t *count)
{
    return sta_subscriptions_read(strata_text(frame), protocol, count);
}

static void frames_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *frame;
        int protocol;
        enum sta_subscriptions_word word;
        uint64_t count;
    } cases[] = {
        {"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", 2, STA_SUBSCRIPTIONS_SUBSCRIBE, 1},
        {">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", 3, STA_SUBSCRIPTIONS_SUBSCRIBE, 1},
        {"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", 3, STA_SUBSCRIPTIONS_NONE, 9},
        {"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n", 2, STA_SUBSCRIPTIONS_UNSUBSCRIBE, 0},
        {">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n", 3, STA_SUBSCRIPTIONS_UNSUBSCRIBE, 0},
        {"*3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:7\r\n", 2, STA_SUBSCRIPTIONS_SUNSUBSCRIBE, 7},
        {"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n", 2, STA_SUBSCRIPTIONS_MESSAGE, 9},
        {"*4\r\n$8\r\npmessage\r\n$1\r\na\r\n$1\r\na\r\n$1\r\nx\r\n", 2, STA_SUBSCRIPTIONS_MESSAGE,
         9},
        {">3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$1\r\nx\r\n", 3, STA_SUBSCRIPTIONS_MESSAGE, 9},
        {">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n", 3, STA_SUBSCRIPTIONS_OTHER, 9},
        {"*2\r\n$4\r\npong\r\n$0\r\n\r\n", 2, STA_SUBSCRIPTIONS_NONE, 9},
        {"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n$1\r\nb\r\n", 2, STA_SUBSCRIPTIONS_NONE, 9},
        {"*3\r\n:1\r\n:2\r\n:3\r\n", 2, STA_SUBSCRIPTIONS_NONE, 9},
        {"+OK\r\n", 2, STA_SUBSCRIPTIONS_NONE, 9},
        {"$7\r\nmessage\r\n", 2, STA_SUBSCRIPTIONS_NONE, 9},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t count = 9;
        assert_int_equal(read_frame(cases[i].frame, cases[i].protocol, &count), cases[i].word);
        assert_int_equal(count, cases[i].count);
    }
}

static void only_commands_are_commands(void **state)
{
    (void)state;
    assert_int_equal(sta_subscriptions_command(strata_text("SubScribe")),
                     STA_SUBSCRIPTIONS_SUBSCRIBE);
    assert_int_equal(sta_subscriptions_command(strata_text("PUNSUBSCRIBE")),
                     STA_SUBSCRIPTIONS_PUNSUBSCRIBE);
    assert_int_equal(sta_subscriptions_command(strata_text("MESSAGE")), STA_SUBSCRIPTIONS_NONE);
    assert_true(sta_subscriptions_ends(STA_SUBSCRIPTIONS_SUNSUBSCRIBE));
    assert_false(sta_subscriptions_ends(STA_SUBSCRIPTIONS_SSUBSCRIBE));
}

/* Redis counts channels and patterns together; which of them are over is known all the same. */
static void channels_and_patterns_are_counted_apart(void **state)
{
    (void)state;
    struct sta_subscriptions subscribed = {0};
    sta_subscriptions_note(&subscribed, STA_SUBSCRIPTIONS_SUBSCRIBE, 1);
    sta_subscriptions_note(&subscribed, STA_SUBSCRIPTIONS_SUBSCRIBE, 2);
    sta_subscriptions_note(&subscribed, STA_SUBSCRIPTIONS_PSUBSCRIBE, 3);
    sta_subscriptions_note(&subscribed, STA_SUBSCRIPTIONS_SSUBSCRIBE, 1);
    assert_int_equal(subscribed.channels, 2);
    assert_int_equal(subscribed.patterns, 1);
    assert_int_equal(sta_subscriptions_count(&subscribed), 4);
    sta_subscriptions_note(&subscribed, STA_SUBSCRIPTIONS_UNSUBSCRIBE, 2);
    assert_false(sta_subscriptions_is_over(&subscribed, STA_SUBSCRIPTIONS_UNSUBSCRIBE));
    sta_subscriptions_note(&subscribed, STA_SUBSCRIPTIONS_UNSUBSCRIBE, 1);
    assert_true(sta_subscriptions_is_over(&subscribed, STA_SUBSCRIPTIONS_UNSUBSCRIBE));
    assert_false(sta_subscriptions_is_over(&subscribed, STA_SUBSCRIPTIONS_PUNSUBSCRIBE));
    assert_false(sta_subscriptions_is_over(&subscribed, STA_SUBSCRIPTIONS_SUNSUBSCRIBE));
    sta_subscriptions_note(&subscribed, STA_SUBSCRIPTIONS_PUNSUBSCRIBE, 0);
    sta_subscriptions_note(&subscribed, STA_SUBSCRIPTIONS_SUNSUBSCRIBE, 0);
    assert_true(sta_subscriptions_is_over(&subscribed, STA_SUBSCRIPTIONS_PUNSUBSCRIBE));
    assert_true(sta_subscriptions_is_over(&subscribed, STA_SUBSCRIPTIONS_SUNSUBSCRIBE));
    assert_int_equal(sta_subscriptions_count(&subscribed), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_told_apart),
        cmocka_unit_test(only_commands_are_commands),
        cmocka_unit_test(channels_and_patterns_are_counted_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
