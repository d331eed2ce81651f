/* SPDX-License-Identifier: MIT
 *
 * Whether the peer of a READY connection is still there. TCP tells of a host that is gone only when
 * nothing is acknowledged (net/dial.c bounds that), and never of a process that hangs, or of
 * something in between that takes bytes and delivers none. So what counts here is that what is owed
 * comes.
 *
 *   quiet, nothing owed   for ping_ns     a PING, so that something is owed
 *   owed, nothing heard   for silence_ns  the owner hears of it, once; and when it speaks again
 *                         for dead_ns     the connection is lost
 *
 * A backlog that shrinks is a sign of life, too: a large value on a slow line. Bytes that the
 * kernel only takes into its buffers are none.
 *
 * The watch looks eight times per silence_ns: so much later than it might a PING goes out. Where it
 * finds that it was kept from looking (this process was stopped, its host suspended), answers may
 * be on their way that nobody has read: that time is no silence. What was before counts on, or a
 * peer that is gone would never be given up on a host that stands still now and then.
 * Cost: a time is stored per received chunk, and per request on an idle connection.
 */
#include <stdio.h>

#include "core/clock.h"
#include "l2/connection_inside.h"
#include "strata/status.h"

static const char ping_wire[] = "*1\r\n$4\r\nPING\r\n";

static uint64_t watch_interval_ns(const struct sta_connection *connection)
{
    return connection->config.silence_ns / 8;
}

static void connection_watch_again(struct sta_connection *connection, uint64_t now_ns)
{
    connection->watched_ns = now_ns;
    sta_timer_start(connection->loop, &connection->watch,
                    sta_clock_after(now_ns, watch_interval_ns(connection)));
}

/* Whether the peer has taken something of what the socket would not take before. */
static bool connection_gets_rid_of_bytes(struct sta_connection *connection)
{
    size_t backlog = sta_buffer_len(sta_stream_out(connection->stream));
    uint64_t sent = connection->written - backlog;
    bool progress = connection->watched_backlog > 0 && sent > connection->watched_sent;
    connection->watched_sent = sent;
    connection->watched_backlog = backlog;
    return progress;
}

static void connection_tell_silent(struct sta_connection *connection, bool silent)
{
    connection->silent = silent;
    if (connection->events.silent != NULL)
        connection->events.silent(connection->arg, silent);
}

/* Nobody asked for it: it is not counted. */
static void on_ping_done(struct sta_request *request, int status, struct strata_bytes replies)
{
    struct sta_connection *connection = request->engine;
    struct sta_pipeline *pipeline = &connection->pipeline;
    (void)replies;
    connection->pinged = false;
    if (status == STRATA_OK)
        pipeline->replies--;
    else
        pipeline->sent_ended--; /* it was sent long ago, or nothing was owed when it was made */
}

static void connection_ping(struct sta_connection *connection)
{
    if (connection->pinged)
        return;
    connection->ping = (struct sta_request){
        .wire = strata_bytes(ping_wire, sizeof ping_wire - 1),
        .commands = 1,
        .deadline_ns = STA_NEVER,
        .done = on_ping_done,
        .engine = connection,
    };
    connection->pinged = sta_connection_send(connection, &connection->ping) == STRATA_OK;
}

static void connection_give_up(struct sta_connection *connection, uint64_t quiet_ns)
{
    char reason[STA_CONNECTION_REASON_CAP];
    (void)snprintf(reason, sizeof reason, "no answer for %.1f s",
                   (double)quiet_ns / (double)STA_NS_SEC);
    sta_connection_fail(connection, STRATA_ERR_TIMEOUT, reason);
}

void sta_connection_watch_look(struct sta_timer *timer)
{
    struct sta_connection *connection = STA_CONTAINER(timer, struct sta_connection, watch);
    const struct sta_connection_config *config = &connection->config;
    uint64_t now_ns = sta_loop_now_ns(connection->loop);
    uint64_t passed_ns = now_ns - connection->watched_ns;
    uint64_t quiet_ns = now_ns - connection->heard_ns;
    if (connection_gets_rid_of_bytes(connection))
        quiet_ns = 0;
    else if (passed_ns > config->silence_ns / 2)
        quiet_ns -= quiet_ns < passed_ns ? quiet_ns : passed_ns;
    connection->heard_ns = now_ns - quiet_ns;
    connection_watch_again(connection, now_ns);
    sta_connection_enter(connection);
    if (connection->pipeline.count == 0) {
        if (quiet_ns >= config->ping_ns)
            connection_ping(connection);
    } else if (quiet_ns >= config->dead_ns) {
        connection_give_up(connection, quiet_ns);
    } else if (quiet_ns >= config->silence_ns && !connection->silent) {
        connection_tell_silent(connection, true);
    }
    sta_connection_leave(connection);
}

void sta_connection_watch_heard(struct sta_connection *connection)
{
    connection->heard_ns = sta_loop_now_ns(connection->loop);
    if (connection->silent)
        connection_tell_silent(connection, false);
}

void sta_connection_watch_start(struct sta_connection *connection)
{
    uint64_t now_ns = sta_loop_now_ns(connection->loop);
    connection->heard_ns = now_ns;
    connection->silent = false;
    connection->watched_backlog = 0;
    connection_watch_again(connection, now_ns);
}

void sta_connection_watch_stop(struct sta_connection *connection)
{
    sta_timer_stop(connection->loop, &connection->watch);
    connection->silent = false;
}
