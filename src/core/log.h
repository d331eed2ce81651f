/* SPDX-License-Identifier: MIT
 *
 * A log handle: a sink, its argument, and the level in force in each room. Each cache or daemon
 * owns one and hands it down by pointer; there is no global log. Levels may change while others
 * write: whether a line is written costs one relaxed load.
 */
#ifndef STA_LOG_H
#define STA_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "strata/log.h"

/* X(NAME, name): the parts that have something to say. */
#define STA_ROOM_LIST(X)                                                                           \
    X(CACHE, "cache")                                                                              \
    X(CONFIG, "config")                                                                            \
    X(DAEMON, "daemon")                                                                            \
    X(L2, "l2")

enum sta_room {
#define STA_ROOM_ENUM(NAME, name) STA_ROOM_##NAME,
    STA_ROOM_LIST(STA_ROOM_ENUM)
#undef STA_ROOM_ENUM
        STA_ROOMS /* how many there are */
};

struct sta_log {
    strata_log_sink sink; /* fixed at creation; NULL: nothing is written */
    void *arg;            /* fixed at creation */
    /* By room; relaxed: a line more or less at the moment of a change is fine. */
    _Atomic int levels[STA_ROOMS];
};

void sta_log_init(struct sta_log *log, strata_log_sink sink, void *arg,
                  enum strata_log_level level);

/* In one room, or in all of them; STRATA_LOG_DEFAULT is info. */
void sta_log_set_room(struct sta_log *log, enum sta_room room, enum strata_log_level level);
void sta_log_set_level(struct sta_log *log, enum strata_log_level level);

static inline bool sta_log_enabled(const struct sta_log *log, enum sta_room room,
                                   enum strata_log_level level)
{
    return log != NULL && log->sink != NULL &&
           (int)level <= atomic_load_explicit(&log->levels[room], memory_order_relaxed);
}

/* Formats one line (cut at 511 bytes) and gives it to the sink where `level` is in force in the
 * room. */
void sta_log_write(const struct sta_log *log, enum strata_log_level level, enum sta_room room,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
