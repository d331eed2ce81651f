/* SPDX-License-Identifier: MIT
 *
 * Log lines reach the sink where their level is in force, and only there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "core/log_line.h"
#include "core/utf8.h"

struct seen {
    int lines;
    enum strata_log_level level;
    char room[16];
    char line[1024];
};

static void see(void *arg, enum strata_log_level level, const char *room, const char *line)
{
    struct seen *seen = arg;
    seen->lines++;
    seen->level = level;
    (void)snprintf(seen->room, sizeof seen->room, "%s", room);
    (void)snprintf(seen->line, sizeof seen->line, "%s", line);
}

static void a_line_is_formatted_and_given_to_the_sink(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct sta_log log;
    sta_log_init(&log, see, &seen, STRATA_LOG_DEFAULT);
    sta_log_write(&log, STRATA_LOG_WARNING, STA_ROOM_L2, "%d of %s", 3, "many");
    assert_int_equal(seen.lines, 1);
    assert_int_equal(seen.level, STRATA_LOG_WARNING);
    assert_string_equal(seen.room, "l2");
    assert_string_equal(seen.line, "3 of many");
}

static void lines_above_the_level_are_dropped_and_the_level_may_change(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct sta_log log;
    sta_log_init(&log, see, &seen, STRATA_LOG_DEFAULT); /* info */
    sta_log_write(&log, STRATA_LOG_DEBUG, STA_ROOM_L2, "quiet");
    assert_int_equal(seen.lines, 0);
    assert_false(sta_log_enabled(&log, STA_ROOM_L2, STRATA_LOG_DEBUG));
    sta_log_set_level(&log, STRATA_LOG_DEBUG);
    sta_log_write(&log, STRATA_LOG_DEBUG, STA_ROOM_L2, "loud");
    assert_int_equal(seen.lines, 1);
    sta_log_set_level(&log, STRATA_LOG_ERROR);
    sta_log_write(&log, STRATA_LOG_WARNING, STA_ROOM_L2, "quiet");
    assert_int_equal(seen.lines, 1);
}

static void each_room_has_a_level_of_its_own(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct sta_log log;
    sta_log_init(&log, see, &seen, STRATA_LOG_WARNING);
    sta_log_set_room(&log, STA_ROOM_L2, STRATA_LOG_DEBUG);
    sta_log_write(&log, STRATA_LOG_DEBUG, STA_ROOM_CACHE, "quiet");
    assert_int_equal(seen.lines, 0);
    sta_log_write(&log, STRATA_LOG_DEBUG, STA_ROOM_L2, "loud");
    assert_int_equal(seen.lines, 1);
    assert_string_equal(seen.room, "l2");
    sta_log_set_level(&log, STRATA_LOG_ERROR); /* of all rooms */
    sta_log_write(&log, STRATA_LOG_WARNING, STA_ROOM_L2, "quiet");
    assert_int_equal(seen.lines, 1);
}

static void without_a_sink_or_a_log_nothing_happens(void **state)
{
    (void)state;
    struct sta_log log;
    sta_log_init(&log, NULL, NULL, STRATA_LOG_DEBUG);
    sta_log_write(&log, STRATA_LOG_ERROR, STA_ROOM_L2, "nobody hears");
    assert_false(sta_log_enabled(NULL, STA_ROOM_L2, STRATA_LOG_ERROR));
}

static void a_long_line_is_cut(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct sta_log log;
    sta_log_init(&log, see, &seen, STRATA_LOG_INFO);
    sta_log_write(&log, STRATA_LOG_INFO, STA_ROOM_L2, "%2000s", "x");
    assert_int_equal(strlen(seen.line), 511);
}

/* ---- the ready sinks ---- */

/* What a sink writes to stderr, which is led into a pipe. */
static size_t through_stderr(strata_log_sink sink, const char *line, char *text, size_t cap)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int kept = dup(STDERR_FILENO);
    assert_true(kept >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    sink(NULL, STRATA_LOG_WARNING, "net", line);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    (void)close(kept);
    (void)close(ends[1]);
    ssize_t len = read(ends[0], text, cap - 1);
    (void)close(ends[0]);
    assert_true(len > 0);
    text[len] = '\0';
    return (size_t)len;
}

static void they_write_time_level_room_and_line(void **state)
{
    (void)state;
    char text[2048];
    size_t len = through_stderr(strata_log_text, "it rains", text, sizeof text);
    assert_int_equal(text[10], 'T'); /* 2026-11-23T15:04:05.123Z */
    assert_int_equal(text[23], 'Z');
    assert_string_equal(text + 24, " warning net: it rains\n");
    assert_int_equal(len, strlen(text));
    len = through_stderr(strata_log_json, "it rains", text, sizeof text);
    assert_memory_equal(text, "{\"time\":\"20", 11);
    assert_string_equal(text + 32,
                        "Z\",\"level\":\"warning\",\"room\":\"net\",\"message\":\"it rains\"}\n");
    assert_int_equal(len, strlen(text));
}

/* 2026-11-27T20:31:57.009Z */
static const struct timespec moment = {.tv_sec = 1795811517, .tv_nsec = 9999999};

static void a_line_is_one_line_whatever_is_in_it(void **state)
{
    (void)state;
    static const struct {
        const char *line, *text, *json;
    } cases[] = {
        {"", "", ""},
        {"plain", "plain", "plain"},
        {"a\nb", "a b", "a\\nb"},
        {"\"\\\b\f\r\t", "\"\\\b\f\r\t", "\\\"\\\\\\b\\f\\r\\t"},
        {"\x01\x1f\x7f", "\x01\x1f\x7f", "\\u0001\\u001f\\u007f"},
        {"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
         "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"\xff.\xc3", "\xff.\xc3", "\\ufffd.\\ufffd"},
        {"\xed\xa0\x80", "\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[STA_LOG_LINE_CAP], expected[256];
        size_t len = sta_log_line_text(out, &moment, STRATA_LOG_ERROR, "l2", cases[i].line);
        (void)snprintf(expected, sizeof expected, "2026-11-27T20:31:57.009Z error l2: %s\n",
                       cases[i].text);
        assert_int_equal(len, strlen(expected));
        assert_memory_equal(out, expected, len);
        len = sta_log_line_json(out, &moment, STRATA_LOG_DEBUG, "l2", cases[i].line);
        (void)snprintf(expected, sizeof expected,
                       "{\"time\":\"2026-11-27T20:31:57.009Z\",\"level\":\"debug\",\"room\":\"l2\","
                       "\"message\":\"%s\"}\n",
                       cases[i].json);
        assert_int_equal(len, strlen(expected));
        assert_memory_equal(out, expected, len);
    }
}

/* Longer than any that the library writes: cut between characters, and closed. */
static void the_longest_line_is_cut_and_closed(void **state)
{
    (void)state;
    static const char *const characters[] = {"x", "\x01", "\xff", "\"", "\xf0\x9f\x98\x80"};
    for (size_t i = 0; i < sizeof characters / sizeof characters[0]; i++) {
        char line[20000] = "", out[STA_LOG_LINE_CAP];
        size_t step = strlen(characters[i]);
        for (size_t at = 0; at + step < sizeof line; at += step)
            memcpy(line + at, characters[i], step + 1);
        size_t len = sta_log_line_text(out, &moment, STRATA_LOG_ERROR, "l2", line);
        assert_in_range(len, STA_LOG_LINE_CAP - 20, STA_LOG_LINE_CAP);
        assert_int_equal(out[len - 1], '\n');
        len = sta_log_line_json(out, &moment, STRATA_LOG_ERROR, "l2", line);
        assert_in_range(len, STA_LOG_LINE_CAP - 20, STA_LOG_LINE_CAP);
        assert_memory_equal(out + len - 3, "\"}\n", 3);
        assert_true(sta_utf8_valid(strata_bytes(out, len)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_formatted_and_given_to_the_sink),
        cmocka_unit_test(lines_above_the_level_are_dropped_and_the_level_may_change),
        cmocka_unit_test(each_room_has_a_level_of_its_own),
        cmocka_unit_test(without_a_sink_or_a_log_nothing_happens),
        cmocka_unit_test(a_long_line_is_cut),
        cmocka_unit_test(they_write_time_level_room_and_line),
        cmocka_unit_test(a_line_is_one_line_whatever_is_in_it),
        cmocka_unit_test(the_longest_line_is_cut_and_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
