/* SPDX-License-Identifier: MIT
 *
 * The stream of net/stream.h over a simulated link. What arrives is kept until its loop turns.
 * Not modelled: TLS, adopted sockets, a kernel that takes only a part of what is sent.
 */
#include <assert.h>
#include <stdlib.h>

#include "core/clock.h"
#include "sim/sim_net.h"
#include "strata/status.h"

#define LOOK_MOST_NS (100u * 1000u) /* a thread that has something to read is run so much later */

enum stream_state { CONNECTING, OPEN, ENDED };

struct sta_stream {
    struct sta_loop *loop;
    const struct sta_stream_events *events;
    void *arg;
    size_t in_limit;
    enum stream_state state;
    struct sim_link *link; /* NULL: there is none (any more) */
    struct sta_list ready;
    struct sta_flush flush;
    struct sta_timer patience; /* CONNECTING */
    struct sta_buffer in, out;
    uint64_t consumed;

    /* What has happened and was not told yet. */
    bool opened, lost;
    int opened_status;

    bool told;   /* a callback is under way */
    bool closed; /* by its owner, in it */
};

static void stream_note(struct sta_stream *stream)
{
    struct sta_loop *loop = stream->loop;
    if (sta_list_empty(&stream->ready))
        sta_list_push_back(&loop->streams, &stream->ready);
    sim_loop_wake(loop, sim_now_ns(loop->sim) + sim_below(loop->sim, LOOK_MOST_NS));
}

void sim_stream_opened(struct sta_stream *stream, int status)
{
    stream->opened = true;
    stream->opened_status = status;
    stream_note(stream);
}

void sim_stream_arrived(struct sta_stream *stream, const uint8_t *bytes, size_t len)
{
    int status = sta_buffer_append(&stream->in, strata_bytes(bytes, len));
    assert(status == STRATA_OK);
    (void)status;
    stream_note(stream);
}

void sim_stream_lost(struct sta_stream *stream)
{
    stream->lost = true;
    stream->link = NULL;
    stream_note(stream);
}

bool sim_stream_is_of(const struct sta_stream *stream, const struct sta_loop *loop)
{
    return stream->loop == loop;
}

static void stream_free(struct sta_stream *stream)
{
    sta_buffer_fini(&stream->in);
    sta_buffer_fini(&stream->out);
    free(stream);
}

/* ---- telling the owner ---- */

static void tell_opened(struct sta_stream *stream)
{
    stream->opened = false;
    sta_timer_stop(stream->loop, &stream->patience);
    stream->state = stream->opened_status == STRATA_OK ? OPEN : ENDED;
    stream->events->opened(stream->arg, stream->opened_status,
                           stream->opened_status == STRATA_OK ? "connected" : "cannot connect");
}

static void tell_received(struct sta_stream *stream)
{
    size_t used = stream->events->received(stream->arg, sta_buffer_bytes(&stream->in));
    if (stream->closed)
        return;
    stream->consumed += used;
    sta_buffer_consume(&stream->in, used);
    if (stream->link != NULL)
        sim_link_consumed(stream->link, stream->consumed);
}

static void tell_lost(struct sta_stream *stream)
{
    stream->state = ENDED;
    stream->events->closed(stream->arg, STRATA_ERR_LOST, "connection reset");
}

void sim_stream_turn(struct sta_list *node)
{
    struct sta_stream *stream = STA_CONTAINER(node, struct sta_stream, ready);
    stream->told = true;
    if (stream->opened)
        tell_opened(stream);
    if (!stream->closed && stream->state == OPEN && sta_buffer_len(&stream->in) > 0)
        tell_received(stream);
    if (!stream->closed && stream->state == OPEN && stream->lost)
        tell_lost(stream);
    stream->told = false;
    if (stream->closed)
        stream_free(stream);
}

/* ---- the door: net/stream.h ---- */

static void on_flush(struct sta_flush *flush)
{
    struct sta_stream *stream = STA_CONTAINER(flush, struct sta_stream, flush);
    struct strata_bytes out = sta_buffer_bytes(&stream->out);
    if (stream->state != OPEN)
        return;
    if (stream->link != NULL)
        sim_link_send(stream->link, SIM_TO_SERVER, out.data, out.len);
    sta_buffer_consume(&stream->out, out.len);
}

static void on_patience(struct sta_timer *timer)
{
    struct sta_stream *stream = STA_CONTAINER(timer, struct sta_stream, patience);
    if (stream->link != NULL)
        sim_link_leave(stream->link);
    stream->link = NULL;
    sim_stream_opened(stream, STRATA_ERR_TIMEOUT);
}

int sta_stream_connect(struct sta_stream **out, struct sta_loop *loop,
                       const struct sta_endpoint *endpoint, uint64_t deadline_ns,
                       const struct sta_stream_config *config,
                       const struct sta_stream_events *events, void *arg)
{
    struct sta_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return STRATA_ERR_NOMEM;
    stream->loop = loop;
    stream->events = events;
    stream->arg = arg;
    sta_list_init(&stream->ready);
    sta_flush_init(&stream->flush, on_flush);
    sta_timer_init(&stream->patience, on_patience);
    sta_buffer_init(&stream->in, config->in_limit);
    sta_buffer_init(&stream->out, config->out_limit);
    sta_timer_start(loop, &stream->patience, deadline_ns);
    stream->link = sim_link_open(sim_net_current(), endpoint->port, stream);
    *out = stream;
    return STRATA_OK;
}

void sta_stream_close(struct sta_stream **at)
{
    struct sta_stream *stream = *at;
    if (stream == NULL)
        return;
    *at = NULL;
    if (stream->link != NULL)
        sim_link_leave(stream->link);
    sta_list_remove(&stream->ready);
    sta_flush_cancel(&stream->flush);
    sta_timer_stop(stream->loop, &stream->patience);
    stream->closed = true;
    if (!stream->told)
        stream_free(stream);
}

struct sta_buffer *sta_stream_out(struct sta_stream *stream)
{
    return &stream->out;
}

/* Room is no matter here: what has come is shown as it lies. */
void sta_stream_expect(struct sta_stream *stream, size_t bytes)
{
    (void)stream;
    (void)bytes;
}

/* Nor is who has it: it is copied. */
struct sta_buffer *sta_stream_memory(struct sta_stream *stream)
{
    (void)stream;
    return NULL;
}

void sta_stream_flush(struct sta_stream *stream)
{
    sta_flush_request(stream->loop, &stream->flush);
}
