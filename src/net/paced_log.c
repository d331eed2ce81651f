/* SPDX-License-Identifier: MIT
 *
 * See paced_log.h. It is a sink that stands before the real log, so that those who write need not
 * know of it.
 */
#include "net/paced_log.h"

#include <stdio.h>

#include "core/clock.h"

static void log_pass(struct sta_paced_log *log, enum strata_log_level level, const char *line,
                     unsigned left_out)
{
    if (left_out > 0)
        sta_log_write(log->real, level, log->room, "%s (%u lines before it left out)", line,
                      left_out);
    else
        sta_log_write(log->real, level, log->room, "%s", line);
    log->free_ns = sta_clock_after(sta_loop_now_ns(log->loop), STA_PACED_LOG_NS);
}

static void log_release(struct sta_paced_log *log)
{
    if (log->held > 0)
        log_pass(log, log->level, log->line, log->held - 1);
    log->held = 0;
}

static void on_timer(struct sta_timer *timer)
{
    log_release(STA_CONTAINER(timer, struct sta_paced_log, timer));
}

static void log_hold(struct sta_paced_log *log, enum strata_log_level level, const char *line)
{
    if (log->held++ == 0)
        sta_timer_start(log->loop, &log->timer, log->free_ns);
    log->level = level;
    (void)snprintf(log->line, sizeof log->line, "%s", line);
}

static void on_line(void *arg, enum strata_log_level level, const char *room, const char *line)
{
    struct sta_paced_log *log = arg;
    (void)room;
    if (!sta_log_enabled(log->real, log->room, level))
        return;
    if (level == STRATA_LOG_DEBUG)
        sta_log_write(log->real, level, log->room, "%s", line);
    else if (log->held == 0 && sta_loop_now_ns(log->loop) >= log->free_ns)
        log_pass(log, level, line, 0);
    else
        log_hold(log, level, line);
}

void sta_paced_log_init(struct sta_paced_log *log, struct sta_log *real, enum sta_room room,
                        struct sta_loop *loop)
{
    *log = (struct sta_paced_log){.real = real, .room = room, .loop = loop};
    sta_timer_init(&log->timer, on_timer);
    sta_log_init(&log->log, real != NULL ? on_line : NULL, log, STRATA_LOG_DEBUG);
}

void sta_paced_log_fini(struct sta_paced_log *log)
{
    sta_timer_stop(log->loop, &log->timer);
    log_release(log);
}
