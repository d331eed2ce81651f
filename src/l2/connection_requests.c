/* SPDX-License-Identifier: MIT
 *
 * Requests on a connection: admitted, waiting, sent, timed out, dropped. What happens with their
 * replies is the pipeline's part.
 *
 * Where a request is:
 *   waiting    in the list `waiting`, while there is hope: until the first attempt to connect
 *              after open or after READY has failed; or while a connection that is to be renewed
 *              is drained. Nothing of it is written.
 *   in flight  in the pipeline; its commands are in the stream's output or gone out.
 * `written` counts all bytes that were ever appended to the stream at hand; what is still in the
 * stream's buffer at its end was not sent, so each request is known as sent or not.
 *
 * Deadlines: one timer for the earliest; when it fires, all that wait are looked at, at most
 * once in EXPIRY_GRAIN_NS.
 * Budget of a submit when READY: a copy of the commands, one slot; no allocation but for growth,
 * no system call (the stream sends at the tick's end).
 * Threads: the loop's only. Memory: waiting requests are the callers'; slots, see pipeline.h.
 */
#include "core/clock.h"
#include "l2/connection_inside.h"
#include "strata/status.h"

#define EXPIRY_GRAIN_NS (5 * STA_NS_MS)

static size_t connection_unsent(const struct sta_connection *connection)
{
    size_t queued =
        connection->stream == NULL ? 0 : sta_buffer_len(sta_stream_out(connection->stream));
    return queued + connection->waiting_bytes;
}

bool sta_connection_is_open(const struct sta_connection *connection)
{
    return connection->state == STA_CONNECTION_READY ||
           (connection->hopeful && connection->state != STA_CONNECTION_CLOSED);
}

static int connection_admit(struct sta_connection *connection, const struct sta_request *request)
{
    const struct sta_connection_config *config = &connection->config;
    if (request->commands == 0 || request->wire.len == 0)
        return STRATA_ERR_INVALID;
    if (connection->state == STA_CONNECTION_CLOSED)
        return STRATA_ERR_CLOSED;
    if (!sta_connection_is_open(connection))
        return STRATA_ERR_UNAVAILABLE;
    if (request->wire.len > config->max_pending_bytes)
        return STRATA_ERR_TOO_BIG;
    if (connection_unsent(connection) > config->max_pending_bytes - request->wire.len ||
        connection->waiting_count + connection->pipeline.count >= config->max_pending_requests)
        return STRATA_ERR_BUSY;
    if (request->deadline_ns <= sta_loop_now_ns(connection->loop))
        return STRATA_ERR_TIMEOUT;
    return STRATA_OK;
}

int sta_connection_send(struct sta_connection *connection, struct sta_request *request)
{
    struct sta_buffer *out = sta_stream_out(connection->stream);
    if (connection->pipeline.count == 0)
        connection->heard_ns = sta_loop_now_ns(connection->loop);
    int status = sta_buffer_reserve(out, request->wire.len);
    if (status == STRATA_OK)
        status = sta_pipeline_push(&connection->pipeline, request, connection->written);
    if (status < 0)
        return status;
    (void)sta_buffer_append(out, request->wire); /* room was made */
    connection->written += request->wire.len;
    sta_stream_flush(connection->stream);
    return STRATA_OK;
}

static void connection_wait(struct sta_connection *connection, struct sta_request *request)
{
    sta_list_push_back(&connection->waiting, &request->link);
    connection->waiting_count++;
    connection->waiting_bytes += request->wire.len;
}

/* Wakes up for this deadline too. */
static void connection_mind_deadline(struct sta_connection *connection, uint64_t deadline_ns)
{
    uint64_t soonest_ns = connection->expired_ns + EXPIRY_GRAIN_NS;
    uint64_t due_ns = deadline_ns > soonest_ns ? deadline_ns : soonest_ns;
    if (deadline_ns != STA_NEVER && due_ns < connection->expiry.due_ns)
        sta_timer_start(connection->loop, &connection->expiry, due_ns);
}

static void connection_refuse(struct sta_connection *connection, struct sta_request *request,
                              int status)
{
    if (status == STRATA_ERR_TIMEOUT)
        connection->counts.timeouts++;
    else
        connection->counts.refused++;
    request->done(request, status, strata_bytes(NULL, 0));
}

void sta_connection_submit(struct sta_connection *connection, struct sta_request *request)
{
    int status = connection_admit(connection, request);
    if (status == STRATA_OK) {
        if (connection->state == STA_CONNECTION_READY && connection->drained_for == NULL)
            status = sta_connection_send(connection, request);
        else
            connection_wait(connection, request);
    }
    if (status < 0) {
        connection_refuse(connection, request, status);
        return;
    }
    connection->counts.requests++;
    connection_mind_deadline(connection, request->deadline_ns);
}

/* ---- deadlines ---- */

static struct sta_request *connection_unwait(struct sta_connection *connection,
                                             struct sta_list *node)
{
    struct sta_request *request = STA_CONTAINER(node, struct sta_request, link);
    sta_list_remove(node);
    connection->waiting_count--;
    connection->waiting_bytes -= request->wire.len;
    return request;
}

/* The due ones leave the list before the first done(), which may change it at will. */
static uint64_t connection_expire_waiting(struct sta_connection *connection, uint64_t now_ns)
{
    uint64_t earliest_ns = STA_NEVER;
    struct sta_list due;
    struct sta_list *node = connection->waiting.next;
    sta_list_init(&due);
    while (node != &connection->waiting) {
        struct sta_list *next = node->next;
        uint64_t deadline_ns = STA_CONTAINER(node, struct sta_request, link)->deadline_ns;
        if (deadline_ns <= now_ns)
            sta_list_push_back(&due, &connection_unwait(connection, node)->link);
        else if (deadline_ns < earliest_ns)
            earliest_ns = deadline_ns;
        node = next;
    }
    while ((node = sta_list_pop_front(&due)) != NULL)
        connection_refuse(connection, STA_CONTAINER(node, struct sta_request, link),
                          STRATA_ERR_TIMEOUT);
    return earliest_ns;
}

void sta_connection_expire(struct sta_timer *timer)
{
    struct sta_connection *connection = STA_CONTAINER(timer, struct sta_connection, expiry);
    uint64_t now_ns = sta_loop_now_ns(connection->loop);
    sta_connection_enter(connection);
    connection->expired_ns = now_ns;
    connection->expiry.due_ns = STA_NEVER; /* what done() submits now minds its own deadline */
    uint64_t waiting_ns = connection_expire_waiting(connection, now_ns);
    uint64_t flying_ns = sta_pipeline_expire(&connection->pipeline, now_ns);
    if (connection->state != STA_CONNECTION_CLOSED)
        connection_mind_deadline(connection, waiting_ns < flying_ns ? waiting_ns : flying_ns);
    sta_connection_leave(connection);
}

/* ---- READY, and the end of it ---- */

void sta_connection_send_waiting(struct sta_connection *connection)
{
    while (connection->state == STA_CONNECTION_READY && !sta_list_empty(&connection->waiting)) {
        struct sta_request *request = connection_unwait(connection, connection->waiting.next);
        int status = sta_connection_send(connection, request);
        if (status < 0)
            connection_refuse(connection, request, status);
    }
}

void sta_connection_drop(struct sta_connection *connection, int sent, int unsent)
{
    struct sta_list waiting;
    struct sta_list *node;
    uint64_t wire_sent = 0;
    if (connection->stream != NULL) {
        size_t left = sta_buffer_len(sta_stream_out(connection->stream));
        wire_sent = connection->written - left;
        connection->counts.bytes_out += wire_sent;
        sta_stream_close(&connection->stream);
    }
    /* What the callbacks below submit, and what another attempt lets wait, is not meant. */
    sta_list_init(&waiting);
    sta_list_splice_back(&waiting, &connection->waiting);
    connection->waiting_count = 0;
    connection->waiting_bytes = 0;
    sta_pipeline_end(&connection->pipeline, wire_sent, sent, unsent);
    while ((node = sta_list_pop_front(&waiting)) != NULL)
        connection_refuse(connection, STA_CONTAINER(node, struct sta_request, link), unsent);
}
