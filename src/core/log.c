/* SPDX-License-Identifier: MIT
 *
 * Formatting of log lines and the stderr sink of the programs.
 */
#include "core/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

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

static const char *log_level_name(enum strata_log_level level)
{
    static const char *const names[] = {"info", "error", "warning", "info", "debug"};
    return names[level];
}

void sta_log_stderr(void *arg, enum strata_log_level level, const char *room, const char *line)
{
    (void)arg;
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    char stamp[32];
    (void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    char text[LOG_LINE_CAP + 96];
    int len = snprintf(text, sizeof text, "%s.%03ldZ %s %s: %s\n", stamp, now.tv_nsec / 1000000,
                       log_level_name(level), room, line);
    if (len > (int)sizeof text - 1) {
        len = (int)sizeof text - 1;
        text[len - 1] = '\n';
    }
    ssize_t written = write(STDERR_FILENO, text, (size_t)len);
    (void)written; /* nowhere to report that the log cannot be written */
}
