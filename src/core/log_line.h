/* SPDX-License-Identifier: MIT
 *
 * How a line of the log looks, in each format: what the ready sinks of strata/log.h write.
 */
#ifndef STA_LOG_LINE_H
#define STA_LOG_LINE_H

#include <stddef.h>
#include <time.h>

#include "strata/log.h"

/* A sink's line is cut so that it fits here in either format, whatever is in it. */
#define STA_LOG_LINE_CAP 4096u

/* Each returns the length, which ends with the line's only newline; no zero byte is behind it. `at`
 * is the time by the wall clock. */
size_t sta_log_line_text(char out[STA_LOG_LINE_CAP], const struct timespec *at,
                         enum strata_log_level level, const char *room, const char *line);
size_t sta_log_line_json(char out[STA_LOG_LINE_CAP], const struct timespec *at,
                         enum strata_log_level level, const char *room, const char *line);

#endif
