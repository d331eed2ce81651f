/* SPDX-License-Identifier: MIT
 *
 * A log handle: a sink, its argument, and the level in force. Each cache or daemon owns one and
 * hands it down by pointer; there is no global log. The level may change while others write.
 */
#ifndef STA_LOG_H
#define STA_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "strata/log.h"

struct sta_log {
    strata_log_sink sink; /* fixed at creation; NULL: nothing is written */
    void *arg;            /* fixed at creation */
    _Atomic int level;    /* relaxed: a line more or less at the moment of a change is fine */
};

void sta_log_init(struct sta_log *log, strata_log_sink sink, void *arg,
                  enum strata_log_level level);
void sta_log_set_level(struct sta_log *log, enum strata_log_level level);

static inline bool sta_log_enabled(const struct sta_log *log, enum strata_log_level level)
{
    return log != NULL && log->sink != NULL &&
           (int)level <= atomic_load_explicit(&log->level, memory_order_relaxed);
}

/* Formats one line (cut at 511 bytes) and gives it to the sink where `level` is in force. */
void sta_log_write(const struct sta_log *log, enum strata_log_level level, const char *room,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A ready sink: "2026-11-23T15:04:05.123Z warning l2: text" on stderr, one write per line. */
void sta_log_stderr(void *arg, enum strata_log_level level, const char *room, const char *line);

#endif
