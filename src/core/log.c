/* SPDX-License-Identifier: MIT
 *
 * Levels, formatting, and the ready sinks.
 */
#include "core/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "core/log_line.h"

#define LOG_LINE_CAP 512

void sta_log_init(struct sta_log *log, strata_log_sink sink, void *arg, enum strata_log_level level)
{
    log->sink = sink;
    log->arg = arg;
    for (unsigned room = 0; room < STA_ROOMS; room++)
        atomic_init(&log->levels[room], 0);
    sta_log_set_level(log, level);
}

void sta_log_set_room(struct sta_log *log, enum sta_room room, enum strata_log_level level)
{
    int wanted = level == STRATA_LOG_DEFAULT ? (int)STRATA_LOG_INFO : (int)level;
    atomic_store_explicit(&log->levels[room], wanted, memory_order_relaxed);
}

void sta_log_set_level(struct sta_log *log, enum strata_log_level level)
{
    for (unsigned room = 0; room < STA_ROOMS; room++)
        sta_log_set_room(log, (enum sta_room)room, level);
}

void sta_log_write(const struct sta_log *log, enum strata_log_level level, enum sta_room room,
                   const char *format, ...)
{
    static const char *const names[STA_ROOMS] = {
#define ROOM_NAME(NAME, name) [STA_ROOM_##NAME] = (name),
        STA_ROOM_LIST(ROOM_NAME)
#undef ROOM_NAME
    };
    if (!sta_log_enabled(log, room, level))
        return;
    char line[LOG_LINE_CAP];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    log->sink(log->arg, level, names[room], line);
}

typedef size_t (*log_format)(char out[STA_LOG_LINE_CAP], const struct timespec *at,
                             enum strata_log_level level, const char *room, const char *line);

/* One write for each line: lines of several threads, and processes, do not mix. */
static void to_stderr(log_format format, enum strata_log_level level, const char *room,
                      const char *line)
{
    char text[STA_LOG_LINE_CAP];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    ssize_t written = write(STDERR_FILENO, text, format(text, &now, level, room, line));
    (void)written; /* nowhere to report that the log cannot be written */
}

void strata_log_text(void *arg, enum strata_log_level level, const char *room, const char *line)
{
    (void)arg;
    to_stderr(sta_log_line_text, level, room, line);
}

void strata_log_json(void *arg, enum strata_log_level level, const char *room, const char *line)
{
    (void)arg;
    to_stderr(sta_log_line_json, level, room, line);
}
