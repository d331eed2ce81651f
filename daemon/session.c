/* SPDX-License-Identifier: MIT
 *
 * Reading commands, queueing replies, and the end of a client; the drawing is in session.h.
 *
 * Budget of a batch of L1 hits: the loop's one epoll_wait(), one recv() and one send(), however
 * many commands came together; per command one framing pass, one hash, one lookup, one copy of
 * the value into the output. No allocation, no lock of ours, no queue. The memory of GETs that
 * stand in the input together is fetched together (look_ahead.h).
 */
#include "daemon/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "daemon/exchange.h"
#include "daemon/own_lane.h"
#include "daemon/read_turn.h"
#include "daemon/serve.h"
#include "daemon/spread.h"
#include "daemon/stratad.h"
#include "daemon/transaction.h"
#include "daemon/worker.h"
#include "l2/router.h"
#include "strata/status.h"

#define OUTPUT_PAUSE ((size_t)1 << 20) /* bytes that wait for the client: read no more */
#define QUEUE_PAUSE  ((size_t)4 << 20) /* bytes that its queue holds: read no more */
#define INPUT_SPARE  ((size_t)1 << 20) /* pipelined input behind the largest request */
#define LINGER_NS    STA_NS_SEC

/* Before AUTH a client gets no room to speak of (Redis has the same bounds). */
static const struct sta_resp_limits unauthenticated_limits = {
    .bulk_bytes = 16384,
    .elements = 10,
    .line_bytes = 65536,
    .total_bytes = 262144,
};

/* ---- the end ---- */

static void session_linger(struct sta_session *session)
{
    session->state = STA_SESSION_LINGERING;
    if (shutdown(session->fd, SHUT_WR) < 0 && errno == ENOTCONN) {
        session->doomed = true;
        return;
    }
    uint64_t now = sta_loop_now_ns(session->worker->loop);
    sta_timer_start(session->worker->loop, &session->linger, sta_clock_after(now, LINGER_NS));
}

static void linger_over(struct sta_timer *timer)
{
    struct sta_session *session = STA_CONTAINER(timer, struct sta_session, linger);
    sta_session_destroy(&session);
}

static void session_read_on(struct sta_session *session)
{
    session->wait = STA_SESSION_READING;
    sta_stream_resume(session->stream);
}

/* ---- what it waits for ---- */

static bool has_room(const struct sta_session *session, unsigned queue_most, size_t bytes_most)
{
    return session->queue_len <= queue_most &&
           session->in_flight_bytes + session->reply_bytes <= bytes_most;
}

/* What forbids to look at another command now. */
static enum sta_session_wait session_wait(const struct sta_session *session)
{
    uint64_t limit = sta_stratad_live(&session->worker->stratad->live.pipeline_limit);
    if (session->turn != NULL)
        return STA_SESSION_TURN;
    if (!has_room(session, (unsigned)limit - 1, QUEUE_PAUSE))
        return STA_SESSION_ROOM;
    if (sta_buffer_len(session->out) > OUTPUT_PAUSE)
        return STA_SESSION_OUTPUT;
    return STA_SESSION_READING;
}

/* Half of the room must be free again, so that a full queue does not make every reply a wake-up. */
static bool wait_is_over(const struct sta_session *session)
{
    uint64_t limit = sta_stratad_live(&session->worker->stratad->live.pipeline_limit);
    switch (session->wait) {
    case STA_SESSION_READING:
        return false;
    case STA_SESSION_REPLIES:
        return session->in_flight == 0;
    case STA_SESSION_TURN:
        return session->turn == NULL;
    case STA_SESSION_ROOM:
        return has_room(session, (unsigned)limit / 2, QUEUE_PAUSE / 2);
    case STA_SESSION_OUTPUT:
        return sta_buffer_len(session->out) <= OUTPUT_PAUSE / 2;
    }
    return false;
}

/* After anything happened: takes the transitions that are due. May destroy the session. */
static void session_settle(struct sta_session *session)
{
    sta_own_lane_settle(session);
    if (session->inside)
        return;
    if (session->state == STA_SESSION_FINISHING && !session->doomed && session->queue_len == 0 &&
        sta_buffer_len(session->out) == 0) {
        if (session->peer_ended)
            session->doomed = true;
        else
            session_linger(session);
    }
    if (session->doomed)
        sta_session_destroy(&session);
    else if (session->state == STA_SESSION_OPEN && wait_is_over(session))
        session_read_on(session);
}

/* Nothing owed and nothing unread: the socket may be closed without a farewell. */
static bool session_is_idle(const struct sta_session *session)
{
    int unread = 0;
    return session->queue_len == 0 && sta_buffer_len(session->out) == 0 &&
           ioctl(session->fd, FIONREAD, &unread) == 0 && unread == 0;
}

void sta_session_finish(struct sta_session *session)
{
    if (session->state != STA_SESSION_OPEN)
        return;
    session->state = STA_SESSION_FINISHING;
    if (!session->inside && session_is_idle(session))
        session->doomed = true;
    else
        session_read_on(session); /* to drop the input, and to see the client close */
    session_settle(session);
}

void sta_session_drain(struct sta_session *session)
{
    session->inside = true;
    sta_own_lane_interrupt(session);
    session->inside = false;
    if (session->state == STA_SESSION_OPEN)
        sta_session_finish(session);
    else
        session_settle(session);
}

/* An append to the client's output failed with `status`. */
static void session_fail(struct sta_session *session, int status)
{
    struct sta_stats *stats = &session->worker->stats;
    if (status == STRATA_ERR_TOO_BIG && !session->doomed)
        sta_stats_add(&stats->sessions_overrun, 1);
    session->doomed = true;
}

/* ---- replies ---- */

static void queue_push(struct sta_session *session, struct sta_exchange *exchange)
{
    sta_list_push_back(&session->queue, &exchange->link);
    session->queue_len++;
}

/* Its reply is there and waits for others before it. */
static void queue_keep_reply(struct sta_session *session, struct sta_exchange *exchange)
{
    session->reply_bytes += sta_buffer_len(&exchange->reply) - exchange->reply_counted;
    exchange->reply_counted = sta_buffer_len(&exchange->reply);
}

static void queue_drop(struct sta_session *session, struct sta_exchange *exchange)
{
    session->queue_len--;
    session->reply_bytes -= exchange->reply_counted;
    sta_exchange_destroy(&exchange);
}

static struct sta_exchange *queue_head(const struct sta_session *session)
{
    return sta_list_empty(&session->queue)
               ? NULL
               : STA_CONTAINER(session->queue.next, struct sta_exchange, link);
}

/* Gives out the replies that have become next in line. */
static void session_deliver(struct sta_session *session)
{
    struct sta_exchange *head;
    while ((head = queue_head(session)) != NULL && !head->sent) {
        int status = sta_buffer_append(session->out, sta_buffer_bytes(&head->reply));
        if (status < 0)
            session_fail(session, status);
        queue_drop(session, head);
    }
}

void sta_session_tell(struct sta_session *session, struct strata_bytes frame)
{
    int status = sta_buffer_append(session->out, frame);
    if (status < 0)
        session_fail(session, status);
    sta_stream_flush(session->stream);
    session_settle(session);
}

struct sta_buffer *sta_session_reply(struct sta_session *session)
{
    if (session->queue_len == 0)
        return session->out;
    struct sta_exchange *exchange = sta_exchange_create(session->worker, session);
    if (exchange == NULL)
        return NULL;
    queue_push(session, exchange);
    return &exchange->reply;
}

int sta_session_say(struct sta_session *session, const char *text)
{
    struct sta_buffer *out = sta_session_reply(session);
    return out != NULL ? sta_resp_write_simple(out, text) : STRATA_ERR_NOMEM;
}

int sta_session_say_error(struct sta_session *session, const char *text)
{
    struct sta_buffer *out = sta_session_reply(session);
    return out != NULL ? sta_resp_write_error(out, text) : STRATA_ERR_NOMEM;
}

/* ---- requests under way ---- */

/* What an MGET had from L1 waits with its request. */
static size_t flight_bytes(const struct sta_exchange *exchange)
{
    return sta_buffer_len(&exchange->wire) + sta_buffer_len(&exchange->parts);
}

static void flight_enter(struct sta_session *session, const struct sta_exchange *exchange)
{
    session->lane = exchange->lane;
    session->in_flight++;
    session->in_flight_bytes += flight_bytes(exchange);
    session->filter.unknown += exchange->keys_unknown;
    for (size_t i = 0; i < exchange->key_count; i++)
        sta_key_filter_add(&session->filter, exchange->keys[i].key.hash);
}

static void flight_leave(struct sta_session *session, const struct sta_exchange *exchange)
{
    session->in_flight--;
    session->in_flight_bytes -= flight_bytes(exchange);
    session->filter.unknown -= exchange->keys_unknown;
    for (size_t i = 0; i < exchange->key_count; i++)
        sta_key_filter_remove(&session->filter, exchange->keys[i].key.hash);
}

static void session_concluded(struct sta_session *session, struct sta_exchange *exchange,
                              int status, struct strata_bytes replies)
{
    bool is_head = queue_head(session) == exchange;
    flight_leave(session, exchange);
    int written =
        exchange->conclude(exchange, status, replies, is_head ? session->out : &exchange->reply);
    exchange->sent = false;
    if (written < 0)
        session_fail(session, written);
    if (is_head) {
        queue_drop(session, exchange);
        session_deliver(session);
        sta_stream_flush(session->stream);
    } else {
        queue_keep_reply(session, exchange);
    }
    session_settle(session);
}

static void take_time(const struct sta_exchange *exchange, int status)
{
    struct sta_worker *worker = exchange->worker;
    const struct sta_stratad *stratad = worker->stratad;
    uint64_t sent_ns = exchange->sent_ns;
    uint64_t now_ns = sta_loop_now_ns(worker->loop);
    if (exchange->lane == STA_LANE_OWN) /* it may have waited for others */
        return;
    if (status == STRATA_OK && worker->router == NULL) /* which times its nodes */
        sta_node_health_timed(&worker->lanes[exchange->lane].health, now_ns - sent_ns, now_ns);
    if (exchange->timed_as > 0)
        sta_timing_record(stratad->timing, exchange->timed_as - 1u, STA_TIMING_L2, sent_ns, now_ns);
}

void sta_session_conclude(struct sta_exchange *exchange, int status, struct strata_bytes replies)
{
    if (exchange->session != NULL) {
        session_concluded(exchange->session, exchange, status, replies);
        return;
    }
    (void)exchange->conclude(exchange, status, replies, NULL);
    sta_exchange_destroy(&exchange);
}

static void exchange_done(struct sta_exchange *exchange, int status, struct strata_bytes replies)
{
    take_time(exchange, status);
    if (status < 0 || !sta_barrier_watch_defers(exchange, replies))
        sta_session_conclude(exchange, status, replies);
}

static void on_answered(struct sta_request *request, int status, struct strata_bytes replies)
{
    exchange_done(STA_CONTAINER(request, struct sta_exchange, operation.request), status, replies);
}

static void on_operated(struct sta_operation *operation, int status, struct strata_bytes replies)
{
    exchange_done(STA_CONTAINER(operation, struct sta_exchange, operation), status, replies);
}

struct sta_exchange *sta_session_exchange_of(const struct sta_request *request)
{
    return request != NULL && request->done == on_answered
               ? STA_CONTAINER(request, struct sta_exchange, operation.request)
               : NULL;
}

struct sta_exchange *sta_session_exchange_operated(const struct sta_operation *operation)
{
    return operation != NULL && operation->done == on_operated
               ? STA_CONTAINER(operation, struct sta_exchange, operation)
               : NULL;
}

bool sta_session_may_send(const struct sta_session *session, enum sta_lane_kind lane)
{
    return sta_dispatch_may_send(session->lane, session->in_flight, lane);
}

/* Whether a command under way has this key: the filter has said perhaps. */
static bool key_is_under_way(const struct sta_session *session, uint64_t hash)
{
    for (const struct sta_list *node = session->queue.next; node != &session->queue;
         node = node->next) {
        const struct sta_exchange *before = STA_CONTAINER(node, struct sta_exchange, link);
        for (size_t i = 0; before->sent && i < before->key_count; i++)
            if (before->keys[i].key.hash == hash)
                return true;
    }
    return false;
}

bool sta_session_may_ask(struct sta_session *session, uint64_t hash)
{
    if (session->worker->router == NULL || session->in_flight == 0)
        return true;
    return session->filter.unknown == 0 &&
           !(sta_key_filter_may_have(&session->filter, hash) && key_is_under_way(session, hash));
}

bool sta_session_may_follow(struct sta_session *session, const struct sta_exchange *exchange)
{
    if (session->worker->router == NULL || session->in_flight == 0)
        return true;
    bool may = !exchange->keys_unknown && session->filter.unknown == 0;
    for (size_t i = 0; may && i < exchange->key_count; i++)
        may = sta_session_may_ask(session, exchange->keys[i].key.hash);
    return may;
}

void sta_session_submit(struct sta_exchange *exchange)
{
    struct sta_worker *worker = exchange->worker;
    struct sta_operation *operation = &exchange->operation;
    exchange->sent_ns = sta_loop_now_ns(worker->loop);
    if (exchange->lane == STA_LANE_OWN) {
        sta_own_lane_submit(exchange->session->own_lane, &operation->request);
        return;
    }
    if (worker->router == NULL) {
        operation->aside = exchange->lane != STA_LANE_SHARED;
        sta_lane_submit(&worker->lanes[exchange->lane], &operation->request);
        return;
    }
    operation->way =
        (uint8_t)(exchange->by_size ? STA_OPERATION_BY_SIZE : sta_lane_way(exchange->lane));
    operation->done = on_operated;
    if (exchange->spread != NULL)
        sta_spread_send(exchange);
    else
        sta_router_submit(worker->router, operation);
}

void sta_session_go_on(struct sta_exchange *exchange)
{
    struct sta_session *session = exchange->session;
    session->turn = NULL;
    sta_session_submit(exchange);
    session_settle(session);
}

void sta_session_send(struct sta_session *session, struct sta_exchange *exchange,
                      enum sta_lane_kind lane, unsigned commands)
{
    sta_session_enter(session, exchange, lane, commands);
    sta_session_submit(exchange);
}

void sta_session_enter(struct sta_session *session, struct sta_exchange *exchange,
                       enum sta_lane_kind lane, unsigned commands)
{
    exchange->lane = lane;
    exchange->protocol = session->protocol;
    exchange->sent = true;
    exchange->operation.request = (struct sta_request){
        .wire = sta_buffer_bytes(&exchange->wire),
        .commands = commands,
        .deadline_ns = exchange->own_deadline_ns != 0 ? exchange->own_deadline_ns
                                                      : sta_worker_deadline_ns(session->worker),
        .done = on_answered,
    };
    queue_push(session, exchange);
    flight_enter(session, exchange);
}

/* ---- commands ---- */

static void protocol_error(struct sta_session *session, const char *reason)
{
    char text[160];
    (void)snprintf(text, sizeof text, "ERR Protocol error: %s", reason);
    sta_stats_add(&session->worker->stats.protocol_errors, 1);
    int status = sta_session_say_error(session, text);
    if (status < 0)
        session_fail(session, status);
    sta_session_finish(session);
}

/* Takes one request apart and serves it. False: it has to wait. */
static bool session_run(struct sta_session *session, struct strata_bytes frame)
{
    struct sta_worker *worker = session->worker;
    uint8_t *scratch = NULL;
    size_t argc = 0;
    if (sta_resp_request_count(frame, &argc) < 0) {
        protocol_error(session, "unbalanced quotes in request");
        return true;
    }
    if (argc == 0)
        return true;
    struct strata_bytes *argv = sta_worker_argv(worker, argc);
    if (*(const uint8_t *)frame.data != '*')
        scratch = sta_worker_scratch(worker, frame.len);
    if (argv == NULL || (*(const uint8_t *)frame.data != '*' && scratch == NULL)) {
        session_fail(session, STRATA_ERR_NOMEM);
        return true;
    }
    (void)sta_resp_request_args(frame, argv, argc, scratch);
    int status = sta_serve(session, argv, argc);
    if (status < 0)
        session_fail(session, status);
    if (session->queue_len > 0)
        queue_keep_reply(session, STA_CONTAINER(session->queue.prev, struct sta_exchange, link));
    return status != STRATA_MORE;
}

static const struct sta_resp_limits *session_limits(const struct sta_session *session)
{
    return session->authenticated ? &session->worker->stratad->request_limits
                                  : &unauthenticated_limits;
}

/* Serves what is complete in `data`; how many bytes that was. */
static size_t session_run_all(struct sta_session *session, struct strata_bytes data)
{
    const struct sta_l1 *l1 = session->worker->stratad->l1;
    const uint8_t *bytes = data.data;
    size_t used = 0;
    sta_look_ahead_reset(&session->worker->ahead);
    while (used < data.len && !session->doomed && session->state == STA_SESSION_OPEN) {
        size_t frame_len;
        const char *reason;
        session->wait = session_wait(session);
        if (session->wait != STA_SESSION_READING)
            break;
        if (l1 != NULL)
            sta_look_ahead_run(&session->worker->ahead, l1,
                               strata_bytes(bytes + used, data.len - used));
        int status = sta_resp_frame_request(&session->framer, session_limits(session), true,
                                            strata_bytes(bytes + used, data.len - used), &frame_len,
                                            &reason);
        if (status == STRATA_MORE)
            break;
        if (status < 0) {
            protocol_error(session, reason);
            break;
        }
        if (!session_run(session, strata_bytes(bytes + used, frame_len))) {
            session->wait = STA_SESSION_REPLIES;
            break;
        }
        used += frame_len;
    }
    return used;
}

static size_t on_received(void *arg, struct strata_bytes data)
{
    struct sta_session *session = arg;
    if (session->state != STA_SESSION_OPEN)
        return data.len;
    session->worker->now_ms = sta_clock_now_ms();
    session->inside = true;
    size_t used = session_run_all(session, data);
    session->inside = false;
    if (session->state != STA_SESSION_OPEN || session->doomed)
        used = data.len;
    else if (session->wait != STA_SESSION_READING)
        sta_stream_pause(session->stream);
    if (sta_buffer_len(session->out) > 0)
        sta_stream_flush(session->stream);
    session_settle(session);
    return used;
}

static void on_drained(void *arg)
{
    session_settle(arg);
}

/* It has gone, or says no more, while what it has said is not looked at. */
static void on_left(void *arg)
{
    struct sta_session *session = arg;
    if (session->own_lane != NULL && sta_own_lane_binds(session->own_lane))
        sta_session_destroy(&session);
}

static void on_closed(void *arg, int status, const char *reason)
{
    struct sta_session *session = arg;
    (void)reason;
    if (status < 0 || session->state == STA_SESSION_LINGERING ||
        (session->own_lane != NULL && sta_own_lane_binds(session->own_lane))) {
        sta_session_destroy(&session);
        return;
    }
    session->peer_ended = true;
    session->state = STA_SESSION_FINISHING;
    session_settle(session);
}

/* ---- life ---- */

static const struct sta_stream_events session_events = {
    .received = on_received,
    .drained = on_drained,
    .left = on_left,
    .closed = on_closed,
};

int sta_session_create(struct sta_worker *worker, int fd, bool own)
{
    struct sta_stratad *stratad = worker->stratad;
    struct sta_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        (void)close(fd);
        return STRATA_ERR_NOMEM;
    }
    session->worker = worker;
    session->fd = fd;
    session->own = own;
    session->id = atomic_fetch_add_explicit(&stratad->next_session_id, 1, memory_order_relaxed) + 1;
    session->protocol = 2;
    session->authenticated = stratad->options.password == NULL;
    sta_list_init(&session->queue);
    sta_timer_init(&session->linger, linger_over);
    const struct sta_stream_config config = {
        .in_limit = stratad->options.query_limit + INPUT_SPARE,
        .out_limit = stratad->options.output_limit,
    };
    int status =
        sta_stream_adopt(&session->stream, worker->loop, fd, &config, &session_events, session);
    if (status < 0) {
        free(session);
        return status;
    }
    session->out = sta_stream_out(session->stream);
    sta_list_push_back(&worker->sessions, &session->link);
    sta_stats_add(&worker->stats.sessions_opened, own ? 0 : 1);
    return STRATA_OK;
}

/* What was sent is concluded without a client; what only waited for its turn is dropped. */
static void queue_abandon(struct sta_session *session)
{
    struct sta_list *node;
    while ((node = sta_list_pop_front(&session->queue)) != NULL) {
        struct sta_exchange *exchange = STA_CONTAINER(node, struct sta_exchange, link);
        exchange->session = NULL;
        if (!exchange->sent)
            sta_exchange_destroy(&exchange);
    }
}

void sta_session_destroy(struct sta_session **pointer)
{
    struct sta_session *session = *pointer;
    if (session == NULL)
        return;
    *pointer = NULL;
    struct sta_worker *worker = session->worker;
    const bool own = session->own;
    sta_read_turn_give_up(session);
    sta_own_lane_settle(session);
    queue_abandon(session);
    sta_own_lane_drop(session);
    sta_timer_stop(worker->loop, &session->linger);
    sta_stream_close(&session->stream);
    sta_list_remove(&session->link);
    sta_transaction_destroy(&session->transaction);
    free(session->name);
    free(session);
    sta_stats_add(&worker->stats.sessions_closed, own ? 0 : 1);
    sta_worker_session_gone(worker, own);
}
