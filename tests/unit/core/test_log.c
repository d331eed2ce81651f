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

/* Runs the sink with stderr led into a pipe. */
static size_t through_stderr(const char *line, char *text, size_t cap)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int kept = dup(STDERR_FILENO);
    assert_true(kept >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    sta_log_stderr(NULL, STRATA_LOG_WARNING, "net", line);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    (void)close(kept);
    (void)close(ends[1]);
    ssize_t len = read(ends[0], text, cap - 1);
    (void)close(ends[0]);
    assert_true(len > 0);
    text[len] = '\0';
    return (size_t)len;
}

static void the_stderr_sink_writes_time_level_room_and_line(void **state)
{
    (void)state;
    char text[2048];
    size_t len = through_stderr("it rains", text, sizeof text);
    assert_int_equal(text[10], 'T'); /* 2026-11-23T15:04:05.123Z */
    assert_int_equal(text[23], 'Z');
    assert_string_equal(text + 24, " warning net: it rains\n");
    assert_int_equal(len, strlen(text));
}

static void the_stderr_sink_keeps_the_newline_of_the_longest_line(void **state)
{
    (void)state;
    char line[600];
    char text[2048];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    size_t len = through_stderr(line, text, sizeof text);
    assert_int_equal(text[len - 1], '\n');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_formatted_and_given_to_the_sink),
        cmocka_unit_test(lines_above_the_level_are_dropped_and_the_level_may_change),
        cmocka_unit_test(each_room_has_a_level_of_its_own),
        cmocka_unit_test(without_a_sink_or_a_log_nothing_happens),
        cmocka_unit_test(a_long_line_is_cut),
        cmocka_unit_test(the_stderr_sink_writes_time_level_room_and_line),
        cmocka_unit_test(the_stderr_sink_keeps_the_newline_of_the_longest_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
