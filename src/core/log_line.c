/* SPDX-License-Identifier: MIT
 *
 * Writing lines (log_line.h). Whatever bytes the text has, a line is one line, and JSON is JSON:
 * what is no UTF-8 becomes U+FFFD there, byte by byte.
 */
#include "core/log_line.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/utf8.h"

#define ESCAPED_MOST 6u  /* bytes that one byte of the text becomes */
#define END_ROOM     8u  /* for what closes the line */
#define STAMP_CAP    40u /* 2026-11-23T15:04:05.123Z */

static const char *level_name(enum strata_log_level level)
{
    static const char *const names[] = {"info", "error", "warning", "info", "debug"};
    return names[level];
}

static void stamp_write(char out[STAMP_CAP], const struct timespec *at)
{
    struct tm utc;
    gmtime_r(&at->tv_sec, &utc);
    size_t len = strftime(out, STAMP_CAP, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(out + len, STAMP_CAP - len, ".%03dZ", (int)(at->tv_nsec / 1000000));
}

/* Where there is no room for another character, the text ends. */
static bool has_room(size_t len)
{
    return len + ESCAPED_MOST + END_ROOM <= STA_LOG_LINE_CAP;
}

size_t sta_log_line_text(char out[STA_LOG_LINE_CAP], const struct timespec *at,
                         enum strata_log_level level, const char *room, const char *line)
{
    char stamp[STAMP_CAP];
    stamp_write(stamp, at);
    size_t len =
        (size_t)snprintf(out, STA_LOG_LINE_CAP, "%s %s %.64s: ", stamp, level_name(level), room);
    for (; *line != '\0' && has_room(len); line++)
        out[len++] = *line == '\n' ? ' ' : *line;
    out[len++] = '\n';
    return len;
}

/* One character of JSON's string, of those that may not stand there as they are. */
static size_t escape(char *out, uint32_t character)
{
    static const char shorts[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *found = memchr(shorts, (int)character, sizeof shorts - 1);
    if (found == NULL)
        return (size_t)snprintf(out, ESCAPED_MOST + 1, "\\u%04x", (unsigned)character);
    out[0] = '\\';
    out[1] = letters[found - shorts];
    return 2;
}

static bool must_escape(uint32_t character)
{
    return character < 0x20 || character == '"' || character == '\\' || character == 0x7f;
}

size_t sta_log_line_json(char out[STA_LOG_LINE_CAP], const struct timespec *at,
                         enum strata_log_level level, const char *room, const char *line)
{
    char stamp[STAMP_CAP];
    stamp_write(stamp, at);
    size_t len =
        (size_t)snprintf(out, STA_LOG_LINE_CAP,
                         "{\"time\":\"%s\",\"level\":\"%s\",\"room\":\"%.64s\",\"message\":\"",
                         stamp, level_name(level), room);
    struct strata_bytes rest = strata_text(line);
    while (rest.len > 0 && has_room(len)) {
        uint32_t character = 0xfffd;
        size_t taken = sta_utf8_next(rest, &character);
        if (taken == 0 || must_escape(character)) {
            len += escape(out + len, character);
            taken = 1;
        } else {
            memcpy(out + len, rest.data, taken);
            len += taken;
        }
        rest = strata_bytes((const uint8_t *)rest.data + taken, rest.len - taken);
    }
    memcpy(out + len, "\"}\n", 3);
    return len + 3;
}
