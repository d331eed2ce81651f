/* SPDX-License-Identifier: MIT
 *
 * The connection's state machine (drawing in connection.h) around its parts, which do no I/O:
 * greeting (what to say first), pipeline (who gets which reply), backoff (when to try again).
 * The way of a request is in connection_requests.c.
 *
 * All changes of state go through connection_step(). A callback of the caller's may submit and
 * may close: after each one the state is looked at anew, and `entered` keeps the struct until
 * the outermost frame of ours is left.
 * Threads: the loop's only.
 */
#include "l2/connection.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/random.h"
#include "l2/connection_inside.h"
#include "l2/large_answers.h"
#include "strata/status.h"

#define CONNECT_TIMEOUT_NS   STA_NS_SEC
#define BACKOFF_MIN_NS       (10 * STA_NS_MS)
#define BACKOFF_MAX_NS       (2 * STA_NS_SEC)
#define MAX_PENDING_BYTES    ((size_t)64 << 20)
#define MAX_PENDING_REQUESTS 65536u
#define MAX_REPLY_BYTES      (((size_t)512 << 20) + ((size_t)1 << 20)) /* a bulk and its frame */
#define PING_NS              (750 * STA_NS_MS)
#define SILENCE_NS           STA_NS_SEC
#define DEAD_NS              (6 * STA_NS_SEC)

/* A server that hangs is known to hang within two seconds, though nobody asks it for anything: the
 * watch (connection_watch.c) may come an eighth of the silence late, both times. */
_Static_assert(PING_NS + SILENCE_NS + SILENCE_NS / 4 <= 2 * STA_NS_SEC, "health would be late");

/* Beyond what pending requests take: the greeting in the output; a push behind an unfinished reply
 * in the input. */
#define SLACK_BYTES ((size_t)64 << 10)

enum connection_event {
    EVENT_OPEN,      /* the owner wants it */
    EVENT_RETRY,     /* the backoff is over */
    EVENT_CONNECTED, /* the stream is open */
    EVENT_GREETED,   /* Redis answered all of the greeting well */
    EVENT_FAILED,    /* refused, lost, broken, time over */
    EVENT_CLOSE      /* the owner does not want it any more */
};

static void connection_step(struct sta_connection *connection, enum connection_event event,
                            int status, const char *reason);

/* ---- frames of ours ---- */

static void connection_free(struct sta_connection *connection)
{
    sta_pipeline_fini(&connection->pipeline);
    sta_greeting_fini(&connection->greeting);
    sta_greeting_fini(&connection->plain);
    sta_tls_drop_ticket(connection->config.tls, &connection->ticket);
    free(connection);
}

void sta_connection_enter(struct sta_connection *connection)
{
    connection->entered++;
}

void sta_connection_leave(struct sta_connection *connection)
{
    if (--connection->entered == 0 && connection->state == STA_CONNECTION_CLOSED)
        connection_free(connection);
}

/* ---- log ---- */

static void connection_log_failure(struct sta_connection *connection, bool was_ready, int status,
                                   const char *reason)
{
    bool repeated = !was_ready && connection->failure == status &&
                    strncmp(connection->reason, reason, STA_CONNECTION_REASON_CAP - 1) == 0;
    bool hopeless = status == STRATA_ERR_DENIED || status == STRATA_ERR_UNTRUSTED;
    enum strata_log_level level = hopeless ? STRATA_LOG_ERROR : STRATA_LOG_WARNING;
    sta_log_write(connection->log, repeated ? STRATA_LOG_DEBUG : level, STA_ROOM_L2, "%s: %s: %s",
                  connection->address, was_ready ? "connection lost" : "cannot connect", reason);
    connection->failure = status;
    if (reason != connection->reason)
        (void)snprintf(connection->reason, sizeof connection->reason, "%s", reason);
}

static void connection_tell(struct sta_connection *connection, const char *reason)
{
    if (connection->events.state != NULL)
        connection->events.state(connection->arg, connection->state, reason);
}

/* ---- the stream ---- */

static void on_opened(void *arg, int status, const char *reason)
{
    struct sta_connection *connection = arg;
    sta_connection_enter(connection);
    connection_step(connection, status == STRATA_OK ? EVENT_CONNECTED : EVENT_FAILED, status,
                    reason);
    sta_connection_leave(connection);
}

static void connection_end_drained(struct sta_connection *connection)
{
    if (connection->drained_for != NULL && connection->state == STA_CONNECTION_READY &&
        connection->pipeline.count == 0)
        connection_step(connection, EVENT_FAILED, STRATA_ERR_UNAVAILABLE, connection->drained_for);
}

static size_t on_received(void *arg, struct strata_bytes data)
{
    struct sta_connection *connection = arg;
    size_t used = 0;
    const char *reason = "";
    sta_connection_enter(connection);
    int status = sta_pipeline_feed(&connection->pipeline, data,
                                   sta_stream_memory(connection->stream), &used, &reason);
    connection->counts.bytes_in += used;
    connection->partial_bytes = data.len - used;
    if (status >= 0 && connection->stream != NULL)
        sta_stream_expect(connection->stream,
                          sta_pipeline_missing(&connection->pipeline, data.len - used));
    if (status < 0)
        connection_step(connection, EVENT_FAILED, status, reason);
    else if (connection->state == STA_CONNECTION_READY)
        sta_connection_watch_heard(connection);
    connection_end_drained(connection);
    sta_connection_leave(connection);
    return used;
}

static void on_closed(void *arg, int status, const char *reason)
{
    struct sta_connection *connection = arg;
    sta_connection_enter(connection);
    connection_step(connection, EVENT_FAILED, status == STRATA_OK ? STRATA_ERR_LOST : status,
                    reason);
    sta_connection_leave(connection);
}

static void on_push(void *arg, struct strata_bytes frame)
{
    struct sta_connection *connection = arg;
    if (connection->events.push != NULL)
        connection->events.push(connection->arg, frame);
}

static const struct sta_stream_events stream_events = {
    .opened = on_opened,
    .received = on_received,
    .closed = on_closed,
};

/* ---- the greeting ---- */

static void on_greeting_done(struct sta_request *request, int status, struct strata_bytes replies);

static int connection_send_greeting(struct sta_connection *connection,
                                    const struct sta_greeting *greeting)
{
    int status = STRATA_OK;
    connection->said = greeting;
    connection->turned_away = false;
    for (unsigned i = 0; i < greeting->count && status == STRATA_OK; i++) {
        struct sta_request *request = &connection->greetings[i];
        *request = (struct sta_request){
            .wire = sta_greeting_wire(greeting, i),
            .commands = 1,
            .deadline_ns = STA_NEVER, /* the state's timer minds it */
            .done = on_greeting_done,
            .engine = connection,
        };
        status = sta_connection_send(connection, request);
    }
    return status;
}

static bool wants_tracking(const struct sta_connection *connection)
{
    return connection->config.tracking.mode != STA_TRACKING_OFF;
}

static void connection_note_untracked(struct sta_connection *connection, const char *what,
                                      const char *reason)
{
    (void)snprintf(connection->reason, sizeof connection->reason, "%s", reason);
    sta_log_write(connection->log,
                  wants_tracking(connection) ? STRATA_LOG_WARNING : STRATA_LOG_DEBUG, STA_ROOM_L2,
                  "%s: %s, so what is cached is only as good as its TTL: %s", connection->address,
                  what, reason);
}

/* Of HELLO. What proxies and renamed commands say has no code of its own. */
static bool is_about_protocol(int status, const char *reason)
{
    return status == STRATA_ERR_UNSUPPORTED || status == STRATA_ERR_SERVER ||
           (status == STRATA_ERR_DENIED && strncmp(reason, "NOPERM", strlen("NOPERM")) == 0);
}

/* Judges one answer, and says whether the greeting may go on. */
static int connection_judge_greeting(struct sta_connection *connection, enum sta_greeting_kind kind,
                                     struct strata_bytes replies, char *reason)
{
    if (connection->turned_away)
        return STRATA_OK;
    int status = sta_greeting_judge(kind, replies, reason, STA_CONNECTION_REASON_CAP);
    if (kind == STA_GREETING_HELLO && connection->config.or_protocol_2 &&
        is_about_protocol(status, reason)) {
        connection->turned_away = true;
        connection_note_untracked(connection, "it does not speak RESP3", reason);
        return STRATA_OK;
    }
    if (kind == STA_GREETING_TRACKING) {
        connection->tracked = status == STRATA_OK;
        if (status == STRATA_SKIPPED)
            connection_note_untracked(connection, "it does not track reads", reason);
    }
    return status;
}

static void on_greeting_done(struct sta_request *request, int status, struct strata_bytes replies)
{
    struct sta_connection *connection = request->engine;
    unsigned step = (unsigned)(request - connection->greetings);
    char reason[STA_CONNECTION_REASON_CAP] = "";
    if (status != STRATA_OK)
        return;                     /* the attempt has ended already */
    connection->pipeline.replies--; /* nobody asked for it */
    bool last = step + 1 == connection->said->count;
    status =
        connection_judge_greeting(connection, connection->said->steps[step].kind, replies, reason);
    if (status >= 0 && last && connection->turned_away) {
        status = connection_send_greeting(connection, &connection->plain);
        (void)snprintf(reason, sizeof reason, "%s", strata_status_text(status));
        last = false;
    }
    if (status < 0)
        connection_step(connection, EVENT_FAILED, status, reason);
    else if (last)
        connection_step(connection, EVENT_GREETED, STRATA_OK, "ready");
}

/* ---- the state machine ---- */

static void on_timer(struct sta_timer *timer)
{
    struct sta_connection *connection = STA_CONTAINER(timer, struct sta_connection, timer);
    sta_connection_enter(connection);
    if (connection->state == STA_CONNECTION_BACKOFF)
        connection_step(connection, EVENT_RETRY, STRATA_OK, "trying again");
    else
        connection_step(connection, EVENT_FAILED, STRATA_ERR_TIMEOUT,
                        "no answer to the greeting in time");
    sta_connection_leave(connection);
}

static void enter_connecting(struct sta_connection *connection)
{
    const struct sta_connection_config *config = &connection->config;
    const struct sta_stream_config stream_config = {
        .in_limit = config->max_reply_bytes + SLACK_BYTES,
        .out_limit = config->max_pending_bytes + SLACK_BYTES,
        .tls = config->tls,
        .tls_ticket = &connection->ticket,
    };
    uint64_t now_ns = sta_loop_now_ns(connection->loop);
    connection->state = STA_CONNECTION_CONNECTING;
    connection->written = 0;
    connection->tracked = false;
    connection->attempt_began_ns = now_ns;
    connection->attempt_ends_ns = sta_clock_after(now_ns, config->connect_timeout_ns);
    sta_log_write(connection->log, STRATA_LOG_DEBUG, STA_ROOM_L2, "%s: connecting",
                  connection->address);
    int status =
        sta_stream_connect(&connection->stream, connection->loop, &config->url->endpoint,
                           connection->attempt_ends_ns, &stream_config, &stream_events, connection);
    if (status < 0)
        connection_step(connection, EVENT_FAILED, status, strata_status_text(status));
}

static void enter_greeting(struct sta_connection *connection)
{
    connection->state = STA_CONNECTION_GREETING;
    sta_timer_start(connection->loop, &connection->timer, connection->attempt_ends_ns);
    sta_log_write(connection->log, STRATA_LOG_DEBUG, STA_ROOM_L2, "%s: connected, greeting",
                  connection->address);
    int status = connection_send_greeting(connection, &connection->greeting);
    if (status < 0)
        connection_step(connection, EVENT_FAILED, status, strata_status_text(status));
}

/* The owner hears of it before what waited is sent, so that it may send something first. */
static void enter_ready(struct sta_connection *connection)
{
    connection->state = STA_CONNECTION_READY;
    connection->hopeful = true;
    connection->failure = STRATA_OK;
    connection->counts.reconnects += connection->counts.connects > 0;
    connection->counts.connects++;
    sta_backoff_reset(&connection->backoff);
    sta_timer_stop(connection->loop, &connection->timer);
    connection->partial_bytes = 0;
    connection->drained_for = NULL;
    sta_connection_watch_start(connection);
    sta_log_write(connection->log, STRATA_LOG_INFO, STA_ROOM_L2, "%s: ready (protocol %d)",
                  connection->address, sta_connection_protocol(connection));
    connection_tell(connection, "ready");
    sta_connection_send_waiting(connection);
}

static void enter_backoff(struct sta_connection *connection, int status, const char *reason)
{
    bool was_ready = connection->state == STA_CONNECTION_READY;
    uint64_t now_ns = sta_loop_now_ns(connection->loop);
    uint64_t spent_ns = was_ready ? 0 : now_ns - connection->attempt_began_ns;
    uint64_t delay_ns = sta_backoff_next(&connection->backoff, spent_ns);
    connection->state = STA_CONNECTION_BACKOFF;
    connection->hopeful = was_ready;
    connection->counts.failures += !was_ready;
    sta_connection_watch_stop(connection);
    sta_timer_start(connection->loop, &connection->timer, sta_clock_after(now_ns, delay_ns));
    connection_log_failure(connection, was_ready, status, reason);
    connection_tell(connection, connection->reason);
    if (connection->state == STA_CONNECTION_BACKOFF)
        sta_connection_drop(connection, STRATA_ERR_LOST, STRATA_ERR_UNAVAILABLE);
}

static void enter_closed(struct sta_connection *connection)
{
    connection->state = STA_CONNECTION_CLOSED;
    sta_timer_stop(connection->loop, &connection->timer);
    sta_timer_stop(connection->loop, &connection->expiry);
    sta_connection_watch_stop(connection);
    sta_log_write(connection->log, STRATA_LOG_DEBUG, STA_ROOM_L2, "%s: closed",
                  connection->address);
    sta_connection_drop(connection, STRATA_ERR_CLOSED, STRATA_ERR_CLOSED);
}

/* The only place where the state changes. */
static void connection_step(struct sta_connection *connection, enum connection_event event,
                            int status, const char *reason)
{
    switch (event) {
    case EVENT_OPEN:
        assert(connection->state == STA_CONNECTION_CLOSED);
        enter_connecting(connection);
        break;
    case EVENT_RETRY:
        assert(connection->state == STA_CONNECTION_BACKOFF);
        enter_connecting(connection);
        break;
    case EVENT_CONNECTED:
        assert(connection->state == STA_CONNECTION_CONNECTING);
        enter_greeting(connection);
        break;
    case EVENT_GREETED:
        assert(connection->state == STA_CONNECTION_GREETING);
        enter_ready(connection);
        break;
    case EVENT_FAILED:
        assert(connection->state != STA_CONNECTION_BACKOFF &&
               connection->state != STA_CONNECTION_CLOSED);
        enter_backoff(connection, status, reason);
        break;
    case EVENT_CLOSE:
        enter_closed(connection);
        break;
    }
}

/* ---- the door ---- */

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
    return value != 0 ? value : otherwise;
}

static void connection_fill_defaults(struct sta_connection_config *config)
{
    config->protocol = config->protocol != 0 ? config->protocol : 3;
    config->connect_timeout_ns = or_default(config->connect_timeout_ns, CONNECT_TIMEOUT_NS);
    config->backoff_min_ns = or_default(config->backoff_min_ns, BACKOFF_MIN_NS);
    config->backoff_max_ns = or_default(config->backoff_max_ns, BACKOFF_MAX_NS);
    config->max_pending_bytes = or_default(config->max_pending_bytes, MAX_PENDING_BYTES);
    config->max_reply_bytes = or_default(config->max_reply_bytes, MAX_REPLY_BYTES);
    config->ping_ns = or_default(config->ping_ns, PING_NS);
    config->silence_ns = or_default(config->silence_ns, SILENCE_NS);
    config->dead_ns = or_default(config->dead_ns, DEAD_NS);
    if (config->max_pending_requests == 0)
        config->max_pending_requests = MAX_PENDING_REQUESTS;
    if (config->jitter_seed == 0)
        config->jitter_seed = sta_random_seed();
}

static void connection_init(struct sta_connection *connection,
                            const struct sta_connection_config *config)
{
    connection->config = *config;
    connection_fill_defaults(&connection->config);
    config = &connection->config;
    connection->backoff = (struct sta_backoff){.min_ns = config->backoff_min_ns,
                                               .max_ns = config->backoff_max_ns,
                                               .random = config->jitter_seed};
    connection->state = STA_CONNECTION_CLOSED;
    connection->hopeful = true;
    sta_redis_url_format(config->url, connection->address, sizeof connection->address);
    sta_list_init(&connection->waiting);
    sta_timer_init(&connection->timer, on_timer);
    sta_timer_init(&connection->expiry, sta_connection_expire);
    sta_timer_init(&connection->watch, sta_connection_watch_look);
    sta_pipeline_init(&connection->pipeline,
                      config->max_pending_requests + STA_GREETING_STEPS + 1 /* a ping */,
                      config->max_reply_bytes, on_push, connection);
}

int sta_connection_open(struct sta_connection **out, struct sta_loop *loop, struct sta_log *log,
                        const struct sta_connection_config *config,
                        const struct sta_connection_events *events, void *arg)
{
    if (config->url->tls && config->tls == NULL)
        return STRATA_ERR_UNSUPPORTED; /* never in the clear by mistake */
    struct sta_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return STRATA_ERR_NOMEM;
    connection->loop = loop;
    connection->log = log;
    connection->events = *events;
    connection->arg = arg;
    connection_init(connection, config);
    int status = sta_greeting_init(&connection->greeting, config->url, connection->config.protocol,
                                   config->name);
    if (status == STRATA_OK)
        status = sta_greeting_track(&connection->greeting, &config->tracking);
    if (status == STRATA_OK && config->or_protocol_2)
        status = sta_greeting_init(&connection->plain, config->url, 2, config->name);
    if (status < 0) {
        connection_free(connection);
        return status;
    }
    *out = connection;
    connection_step(connection, EVENT_OPEN, STRATA_OK, "opened");
    return STRATA_OK;
}

void sta_connection_fail(struct sta_connection *connection, int status, const char *reason)
{
    connection_step(connection, EVENT_FAILED, status, reason);
}

void sta_connection_renew(struct sta_connection *connection, int status, const char *reason)
{
    if (connection->state != STA_CONNECTION_READY)
        return;
    sta_connection_enter(connection);
    sta_connection_fail(connection, status, reason);
    sta_connection_leave(connection);
}

void sta_connection_renew_gently(struct sta_connection *connection, const char *reason)
{
    if (connection->state != STA_CONNECTION_READY)
        return;
    sta_connection_enter(connection);
    connection->drained_for = reason;
    connection_end_drained(connection);
    sta_connection_leave(connection);
}

bool sta_connection_is_clogged(const struct sta_connection *connection)
{
    return connection != NULL && connection->state == STA_CONNECTION_READY &&
           connection->partial_bytes >= STA_LARGE_ANSWERS_BYTES;
}

bool sta_connection_is_tracked(const struct sta_connection *connection)
{
    return connection->state == STA_CONNECTION_READY && connection->tracked;
}

int sta_connection_protocol(const struct sta_connection *connection)
{
    return connection->said == &connection->plain ? 2 : connection->config.protocol;
}

const char *sta_connection_untracked_reason(const struct sta_connection *connection)
{
    return connection->reason;
}

const struct sta_request *sta_connection_answering(const struct sta_connection *connection)
{
    return sta_pipeline_head(&connection->pipeline);
}

void sta_connection_try_now(struct sta_connection *connection)
{
    if (connection->state != STA_CONNECTION_BACKOFF)
        return;
    sta_connection_enter(connection);
    connection->hopeful = true;
    sta_timer_stop(connection->loop, &connection->timer);
    connection_step(connection, EVENT_RETRY, STRATA_OK, "trying again");
    sta_connection_leave(connection);
}

void sta_connection_close(struct sta_connection **at)
{
    struct sta_connection *connection = *at;
    if (connection == NULL)
        return;
    *at = NULL;
    sta_connection_enter(connection);
    connection_step(connection, EVENT_CLOSE, STRATA_ERR_CLOSED, "closed");
    sta_connection_leave(connection);
}

enum sta_connection_state sta_connection_state(const struct sta_connection *connection)
{
    return connection->state;
}

void sta_connection_statistics(const struct sta_connection *connection,
                               struct sta_connection_statistics *out)
{
    const struct sta_pipeline *pipeline = &connection->pipeline;
    *out = connection->counts;
    out->state = connection->state;
    out->replies = pipeline->replies;
    out->late = pipeline->late;
    out->timeouts += pipeline->timeouts;
    out->lost = pipeline->sent_ended;
    out->refused += pipeline->unsent_ended;
    out->pushes = pipeline->pushes;
    out->in_flight = pipeline->count + connection->waiting_count;
    out->last_failure = connection->failure;
    if (connection->stream != NULL)
        out->bytes_out += connection->written - sta_buffer_len(sta_stream_out(connection->stream));
}

void sta_connection_statistics_add(struct sta_connection_statistics *sum,
                                   const struct sta_connection_statistics *one)
{
    sum->requests += one->requests;
    sum->replies += one->replies;
    sum->late += one->late;
    sum->timeouts += one->timeouts;
    sum->lost += one->lost;
    sum->refused += one->refused;
    sum->connects += one->connects;
    sum->reconnects += one->reconnects;
    sum->failures += one->failures;
    sum->pushes += one->pushes;
    sum->bytes_out += one->bytes_out;
    sum->bytes_in += one->bytes_in;
    sum->in_flight += one->in_flight;
}
