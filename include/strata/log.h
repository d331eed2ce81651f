/* SPDX-License-Identifier: MIT
 *
 * The log. The library prints nothing by itself: a line goes to the sink that the caller gave in
 * its options, or nowhere. Two sinks are ready. Keys and values are never logged.
 */
#ifndef STRATA_LOG_H
#define STRATA_LOG_H

#include "export.h"

#ifdef __cplusplus
extern "C" {
#endif

enum strata_log_level {
    STRATA_LOG_DEFAULT = 0, /* in options: info */
    STRATA_LOG_ERROR = 1,
    STRATA_LOG_WARNING = 2,
    STRATA_LOG_INFO = 3,
    STRATA_LOG_DEBUG = 4
};

/* Called from any thread, several at a time, with no lock of the library held; must not call
 * the cache that logs. `room` names the part ("cache", "l2", ...); `line` ends with a zero byte,
 * has no newline, and dies when the sink returns. */
typedef void (*strata_log_sink)(void *arg, enum strata_log_level level, const char *room,
                                const char *line);

/* Ready sinks, for the options' `log_sink`: each line goes to standard error in one write. `arg` is
 * not looked at. In text and in JSON:
 *
 *   2026-11-23T15:04:05.123Z warning l2: 127.0.0.1:6379: connection lost
 *   {"time":"2026-11-23T15:04:05.123Z","level":"warning","room":"l2","message":"127.0.0.1:6379:
 *   ..."} */
STRATA_API void strata_log_text(void *arg, enum strata_log_level level, const char *room,
                                const char *line);
STRATA_API void strata_log_json(void *arg, enum strata_log_level level, const char *room,
                                const char *line);

#ifdef __cplusplus
}
#endif

#endif
