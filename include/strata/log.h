/* SPDX-License-Identifier: MIT
 *
 * The log. The library prints nothing by itself: a line goes to the sink that the caller gave in
 * its options, or nowhere. Keys and values are never logged.
 */
#ifndef STRATA_LOG_H
#define STRATA_LOG_H

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

#ifdef __cplusplus
}
#endif

#endif
