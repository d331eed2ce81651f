/* SPDX-License-Identifier: MIT
 *
 * How long commands that block say they may take, and what they are made to say instead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/clock.h"
#include "daemon/own_time.h"
#include "strata/status.h"
#include "unit/daemon/words.h"

static int read_line(struct sta_own_time *time, const char *line)
{
    struct words words = words_of(line);
    return sta_own_time_read(time, words.argv, words.argc);
}

static void assert_time(const char *line, size_t at, uint64_t ns)
{
    struct sta_own_time time;
    int status = read_line(&time, line);
    if (status != STRATA_OK || time.at != at || time.ns != ns)
        fail_msg("%s: status %d, word %zu, %llu ns", line, status, time.at,
                 (unsigned long long)time.ns);
}

static void each_command_says_it_in_its_place(void **state)
{
    (void)state;
    assert_time("BLPOP a b 5", 3, 5 * STA_NS_SEC);
    assert_time("brpop a 0.25", 2, 250 * STA_NS_MS);
    assert_time("BLMOVE a b LEFT RIGHT 1.5", 5, 1500 * STA_NS_MS);
    assert_time("BRPOPLPUSH a b 0", 3, STA_NEVER);
    assert_time("BLMPOP 2 1 a LEFT", 1, 2 * STA_NS_SEC);
    assert_time("BZMPOP 0 1 a MIN", 1, STA_NEVER);
    assert_time("BZPOPMAX a 7", 2, 7 * STA_NS_SEC);
    assert_time("WAIT 1 30", 2, 30 * STA_NS_MS);
    assert_time("WAITAOF 1 1 30", 3, 30 * STA_NS_MS);
    assert_time("XREAD COUNT 2 BLOCK 40 STREAMS s $", 4, 40 * STA_NS_MS);
    assert_time("BLPOP a 1e15", 2, STA_NEVER);
}

/* Names of groups and consumers may be words that mean something elsewhere. */
static void what_only_looks_like_it_is_none(void **state)
{
    (void)state;
    struct sta_own_time time;
    assert_time("XREADGROUP GROUP block 5 BLOCK 30 STREAMS s >", 5, 30 * STA_NS_MS);
    assert_int_equal(read_line(&time, "XREAD STREAMS block 0"), STRATA_MISS);
    assert_int_equal(read_line(&time, "MODULE.BLOCKS a b"), STRATA_MISS);
    assert_int_equal(read_line(&time, "WATCH block 5"), STRATA_MISS);
}

static void nonsense_is_nonsense(void **state)
{
    (void)state;
    static const char *const lines[] = {"BLPOP",       "BLPOP a x",   "BLPOP a -1",   "BLPOP a 1x",
                                        "BLPOP a inf", "BLPOP a nan", "BLPOP a 1e300"};
    struct sta_own_time time;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (read_line(&time, lines[i]) != STRATA_ERR_INVALID)
            fail_msg("%s is understood", lines[i]);
}

static void assert_word(uint64_t unit_ns, uint64_t ns, const char *expected)
{
    const struct sta_own_time time = {.at = 1, .unit_ns = unit_ns};
    char text[STA_OWN_TIME_TEXT];
    assert_int_equal(sta_own_time_word(&time, ns, text), strlen(expected));
    assert_memory_equal(text, expected, strlen(expected));
}

/* Nothing that is left is no end, and never none at all. */
static void what_is_left_is_said_in_the_same_unit(void **state)
{
    (void)state;
    assert_word(STA_NS_SEC, 12345 * STA_NS_MS, "12.345");
    assert_word(STA_NS_SEC, 5 * STA_NS_MS, "0.005");
    assert_word(STA_NS_SEC, 0, "0.001");
    assert_word(STA_NS_MS, 12345 * STA_NS_MS, "12345");
    assert_word(STA_NS_MS, 0, "1");
    assert_word(STA_NS_SEC, UINT64_MAX, "18446744073.709");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_command_says_it_in_its_place),
        cmocka_unit_test(what_only_looks_like_it_is_none),
        cmocka_unit_test(nonsense_is_nonsense),
        cmocka_unit_test(what_is_left_is_said_in_the_same_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
