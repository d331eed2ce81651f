/* SPDX-License-Identifier: MIT
 *
 * Glob patterns: what they match, and how far a bad one goes (core/glob.h). Beside a real Redis:
 * tests/integration/test_glob_parity.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/glob.h"
#include "core/random.h"
#include "strata/status.h"

static struct sta_glob glob_of(struct strata_bytes pattern)
{
    struct sta_glob glob;
    assert_int_equal(sta_glob_init(&glob, pattern), STRATA_OK);
    return glob;
}

static bool matches(struct strata_bytes pattern, struct strata_bytes text)
{
    struct sta_glob glob = glob_of(pattern);
    bool answer = sta_glob_match(&glob, text);
    sta_glob_fini(&glob);
    return answer;
}

static const struct {
    const char *pattern;
    const char *text;
    bool match;
} table[] = {
    {"", "", true},
    {"", "a", false},
    {"a", "", false},
    {"abc", "abc", true},
    {"abc", "abd", false},
    {"abc", "abcd", false},
    {"abc", "ab", false},
    {"*", "", true},
    {"*", "anything", true},
    {"***", "", true},
    {"a*", "a", true},
    {"a*", "ba", false},
    {"*a", "ba", true},
    {"*a", "ab", false},
    {"a*c", "abbbc", true},
    {"a*c", "abbb", false},
    {"a*b*c", "aXbYbZc", true},
    {"a*b*c", "acb", false},
    {"*aab", "aaaab", true},
    {"*ab*ab", "abab", true},
    {"*ab*ab", "aab", false},
    {"?", "a", true},
    {"?", "", false},
    {"?", "ab", false},
    {"a?c", "abc", true},
    {"a?c", "ac", false},
    {"?*", "", false},
    {"?*?", "ab", true},
    {"?*?", "a", false},
    {"[abc]", "b", true},
    {"[abc]", "d", false},
    {"[abc]", "", false},
    {"[a-c]x", "bx", true},
    {"[a-c]x", "dx", false},
    {"[c-a]", "b", true},   /* backwards */
    {"[^a-c]", "d", true},  /* none of them */
    {"[^a-c]", "b", false}, /* */
    {"[a^]", "^", true},    /* ^ only at the beginning */
    {"[a-]", "^", true},    /* the range ends with the ], and the class with the pattern */
    {"[a-]", "-", false},   /* */
    {"[-a]", "-", true},    /* */
    {"[]", "]", false},     /* closed at once: nothing */
    {"[]a]", "a]", false},  /* likewise */
    {"[^]", "x", true},     /* closed at once: all */
    {"[abc", "b", true},    /* not closed: to the end of the pattern */
    {"[abc", "bx", false},  /* */
    {"[a-", "-", true},     /* */
    {"[", "[", false},      /* */
    {"[^", "x", true},      /* */
    {"[\\]]", "]", true},   /* escaped in a class */
    {"[\\]]", "\\", false}, /* */
    {"[\\-a]", "-", true},  /* */
    {"[\\", "\\", true},    /* nothing behind it */
    {"\\*", "*", true},     /* */
    {"\\*", "a", false},    /* */
    {"\\?", "?", true},     /* */
    {"\\?", "a", false},    /* */
    {"\\[a]", "[a]", true}, /* */
    {"\\a", "a", true},     /* */
    {"\\\\", "\\", true},   /* */
    {"a\\", "a\\", true},   /* nothing behind it */
    {"a]", "a]", true},     /* nothing to close */
    {"user:*:name", "user:7:name", true},
    {"user:*:name", "user:7:names", false},
    {"h[^e]llo", "hallo", true},
    {"h[^e]llo", "hello", false},
};

static void patterns_mean_what_redis_means_by_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        bool answer = matches(strata_text(table[i].pattern), strata_text(table[i].text));
        if (answer != table[i].match)
            print_error("'%s' on '%s': %d\n", table[i].pattern, table[i].text, answer);
        assert_int_equal(answer, table[i].match);
    }
}

static void any_byte_is_a_byte(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            uint8_t pattern[2] = {'\\', (uint8_t)a};
            uint8_t class[6] = {'[', '\\', (uint8_t)a, ']', 0, 0};
            uint8_t text = (uint8_t)b;
            assert_int_equal(matches(strata_bytes(pattern, 2), strata_bytes(&text, 1)), a == b);
            assert_int_equal(matches(strata_bytes(class, 4), strata_bytes(&text, 1)), a == b);
        }
    }
}

/* What is escaped is meant as it stands. */
static void a_text_with_each_byte_escaped_matches_itself_only(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (int round = 0; round < 2000; round++) {
        uint8_t text[12];
        uint8_t pattern[24];
        size_t len = 1 + sta_random_below(&random, sizeof text);
        for (size_t i = 0; i < len; i++) {
            text[i] = (uint8_t) "*?[]^-\\ab"[sta_random_below(&random, 9)];
            pattern[2 * i] = '\\';
            pattern[2 * i + 1] = text[i];
        }
        assert_true(matches(strata_bytes(pattern, 2 * len), strata_bytes(text, len)));
        assert_false(matches(strata_bytes(pattern, 2 * len), strata_bytes(text, len - 1)));
        text[sta_random_below(&random, len)]++;
        assert_false(matches(strata_bytes(pattern, 2 * len), strata_bytes(text, len)));
    }
}

/* Whatever part of a text a * stands for, and whichever byte a ?. */
static void a_text_with_parts_left_open_is_still_matched(void **state)
{
    (void)state;
    uint64_t random = 2;
    for (int round = 0; round < 5000; round++) {
        uint8_t text[40];
        uint8_t pattern[2 * sizeof text];
        size_t len = sta_random_below(&random, sizeof text);
        size_t used = 0;
        for (size_t i = 0; i < len; i++)
            text[i] = (uint8_t)('a' + sta_random_below(&random, 2));
        for (size_t at = 0; at < len;) {
            uint64_t what = sta_random_below(&random, 4);
            if (what == 0) {
                pattern[used++] = '*';
                at += sta_random_below(&random, len - at + 1);
            } else {
                pattern[used++] = what == 1 ? '?' : text[at];
                at++;
            }
        }
        assert_true(matches(strata_bytes(pattern, used), strata_bytes(text, len)));
    }
}

/* A matcher that tries every division of the text does not end within the age of the world here:
 * 100 stars, 60,000 bytes, and no match. */
static void many_stars_on_a_long_text_end(void **state)
{
    (void)state;
    enum { STARS = 100, TEXT = 60000 };
    char pattern[2 * STARS + 1];
    char *text = malloc(TEXT);
    memset(text, 'a', TEXT);
    for (size_t i = 0; i < STARS; i++)
        memcpy(pattern + 2 * i, "a*", 2);
    pattern[2 * STARS] = 'b';
    assert_false(matches(strata_bytes(pattern, sizeof pattern), strata_bytes(text, TEXT)));
    text[TEXT - 1] = 'b';
    assert_true(matches(strata_bytes(pattern, sizeof pattern), strata_bytes(text, TEXT)));
    free(text);
}

static void a_pattern_longer_than_the_longest_is_refused(void **state)
{
    (void)state;
    struct sta_glob glob;
    char *pattern = malloc(STA_GLOB_MAX + 1);
    memset(pattern, '[', STA_GLOB_MAX + 1);
    assert_int_equal(sta_glob_init(&glob, strata_bytes(pattern, STA_GLOB_MAX + 1)),
                     STRATA_ERR_TOO_BIG);
    glob = glob_of(strata_bytes(pattern, STA_GLOB_MAX)); /* one class */
    assert_true(sta_glob_match(&glob, strata_text("[")));
    assert_false(sta_glob_match(&glob, strata_text("a")));
    sta_glob_fini(&glob);
    free(pattern);
}

static void the_literal_part_is_what_every_match_begins_with(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        size_t literal;
    } parts[] = {{"", 0}, {"abc", 3}, {"ab*", 2}, {"*", 0}, {"a\\*b?", 3}, {"a[b]", 1}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct sta_glob glob = glob_of(strata_text(parts[i].pattern));
        assert_int_equal(sta_glob_literal(&glob), parts[i].literal);
        sta_glob_fini(&glob);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_mean_what_redis_means_by_them),
        cmocka_unit_test(any_byte_is_a_byte),
        cmocka_unit_test(a_text_with_each_byte_escaped_matches_itself_only),
        cmocka_unit_test(a_text_with_parts_left_open_is_still_matched),
        cmocka_unit_test(many_stars_on_a_long_text_end),
        cmocka_unit_test(a_pattern_longer_than_the_longest_is_refused),
        cmocka_unit_test(the_literal_part_is_what_every_match_begins_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
