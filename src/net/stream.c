/* SPDX-License-Identifier: MIT
 *
 * Byte streams: one nonblocking socket each, watched through uv_poll. Reads and writes are our
 * own system calls; where a stream has TLS, stream_tls.c makes them, and what is here says when.
 *
 * Budget of a stream in a tick, system calls:
 *   - one recv() where less than the scratch area's 64 KiB had come (a short read means that the
 *     socket is empty; nothing asks it again), at most STREAM_READS_PER_TICK otherwise; of a
 *     message larger than that area, one;
 *   - one send() for all that was appended;
 *   - epoll_ctl() only where the socket takes no more, or after pause() and resume(). Interest is
 *     settled at the tick's end, so pausing and resuming within one tick costs nothing.
 * Input that received() takes whole is neither copied nor allocated for.
 *
 * Memory: `in` exists only while received() has left bytes over; `out` is given back when it is
 * empty and has grown past STA_STREAM_OUT_KEEP. The struct itself goes when libuv has let go of the
 * poll handle in it, so a callback may close its stream and return through our frames.
 * Threads: the loop's only.
 */
#include "net/stream.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "net/dial.h"
#include "net/stream_inside.h"
#include "strata/status.h"

#define STREAM_READS_PER_TICK 4u

static void on_poll(uv_poll_t *poll, int status, int events);

/* ---- the end of a stream ---- */

static bool stream_is_writing(const struct sta_stream *stream)
{
    return stream->state == STA_STREAM_OPEN || stream->state == STA_STREAM_DEAF ||
           stream->state == STA_STREAM_SECURING;
}

void sta_stream_end(struct sta_stream *stream, int status, const char *reason)
{
    bool opening = stream->state == STA_STREAM_SECURING;
    stream->state = STA_STREAM_ENDED;
    stream->interest = 0;
    (void)uv_poll_stop(&stream->poll);
    sta_flush_cancel(&stream->flush);
    if (stream->tls != NULL)
        sta_stream_tls_end(stream);
    (opening ? stream->events->opened : stream->events->closed)(stream->arg, status, reason);
}

void sta_stream_end_errno(struct sta_stream *stream, int error)
{
    char reason[128];
    (void)uv_strerror_r(-error, reason, sizeof reason);
    sta_stream_end(stream, error == ENOMEM ? STRATA_ERR_NOMEM : STRATA_ERR_LOST, reason);
}

/* ---- reading ---- */

/* Keeps what received() left of the scratch area, or drops the memory when nothing is left. */
static int stream_keep(struct sta_stream *stream, struct strata_bytes rest)
{
    if (rest.len > stream->in_limit)
        return STRATA_ERR_TOO_BIG;
    return sta_buffer_append(&stream->in, rest);
}

static void stream_show_scratch(struct sta_stream *stream, size_t len)
{
    const uint8_t *scratch = stream->loop->scratch;
    size_t used = stream->events->received(stream->arg, strata_bytes(scratch, len));
    assert(used <= len);
    if (stream->state != STA_STREAM_OPEN || used == len)
        return;
    int status = stream_keep(stream, strata_bytes(scratch + used, len - used));
    if (status < 0)
        sta_stream_end(stream, status, strata_status_text(status));
}

static void stream_show_kept(struct sta_stream *stream)
{
    struct strata_bytes kept = sta_buffer_bytes(&stream->in);
    stream->showing = true;
    size_t used = stream->events->received(stream->arg, kept);
    stream->showing = false;
    assert(used <= kept.len);
    if (stream->state != STA_STREAM_OPEN)
        return;
    assert(stream->in.data != NULL || used == kept.len);
    if (stream->in.data != NULL) /* else it was taken */
        sta_buffer_consume(&stream->in, used);
    if (sta_buffer_len(&stream->in) == 0)
        sta_buffer_clear(&stream->in);
    else if (sta_buffer_len(&stream->in) > stream->in_limit)
        sta_stream_end(stream, STRATA_ERR_TOO_BIG, strata_status_text(STRATA_ERR_TOO_BIG));
}

/* Behind what is kept: for all that is expected, and a read beyond it; where there is no memory for
 * that, for the read alone. */
static int stream_reserve(struct sta_stream *stream, size_t most)
{
    size_t kept = sta_buffer_len(&stream->in);
    size_t fits = kept < stream->in_limit ? stream->in_limit - kept : 0;
    size_t expected = stream->expected < fits ? stream->expected : fits;
    if (sta_buffer_room(&stream->in) >= most)
        return STRATA_OK;
    if (sta_buffer_reserve(&stream->in, expected + most) == STRATA_OK)
        return STRATA_OK;
    return sta_buffer_reserve(&stream->in, most);
}

uint8_t *sta_stream_room(struct sta_stream *stream, size_t most, size_t *room)
{
    if (sta_buffer_len(&stream->in) < STA_LOOP_SCRATCH_BYTES) {
        *room = most;
        return stream->loop->scratch;
    }
    *room = 0;
    /* And not all there is: other streams have a turn, too. Nor beyond what is expected: then
     * nothing lies behind that, and the owner may take the memory. */
    if (stream_reserve(stream, most) == STRATA_OK)
        *room = stream->expected > 0 && stream->expected < most ? stream->expected : most;
    return sta_buffer_end(&stream->in);
}

void sta_stream_take(struct sta_stream *stream, const uint8_t *area, size_t count)
{
    if (area != stream->loop->scratch) {
        sta_buffer_advance(&stream->in, count);
    } else if (sta_buffer_len(&stream->in) == 0 && !stream->paused) {
        stream_show_scratch(stream, count);
        return;
    } else {
        int status = sta_buffer_append(&stream->in, strata_bytes(area, count));
        if (status < 0) {
            sta_stream_end(stream, status, strata_status_text(status));
            return;
        }
    }
    if (!stream->paused)
        stream_show_kept(stream);
}

/* The owner is shown first what it had asked to see again. */
void sta_stream_peer_ended(struct sta_stream *stream)
{
    if (stream->show_kept && sta_buffer_len(&stream->in) > 0) {
        stream->show_kept = false;
        stream_show_kept(stream);
        if (!sta_stream_is_shown(stream))
            return; /* it will be read again, and end again */
    }
    stream->state = STA_STREAM_DEAF;
    sta_flush_request(stream->loop, &stream->flush);
    stream->events->closed(stream->arg, STRATA_OK, "closed by the peer");
}

/* Reads once. False: there is nothing more to read in this tick. */
static bool stream_read_plain(struct sta_stream *stream)
{
    size_t room;
    uint8_t *area = sta_stream_room(stream, STA_LOOP_SCRATCH_BYTES, &room);
    ssize_t count = room > 0 ? recv(stream->fd, area, room, 0) : (errno = ENOMEM, -1);
    if (count > 0) {
        sta_stream_take(stream, area, (size_t)count);
        return (size_t)count == room;
    }
    if (count == 0) {
        sta_stream_peer_ended(stream);
        return true; /* unless its owner wanted to see something again, this was it */
    }
    if (errno == EINTR)
        return true;
    if (errno != EAGAIN)
        sta_stream_end_errno(stream, errno);
    return false;
}

static bool stream_is_reading(const struct sta_stream *stream)
{
    return sta_stream_is_shown(stream) || stream->state == STA_STREAM_SECURING;
}

/* Of a message that is larger than the scratch area, one piece in a tick: it takes many ticks
 * anyway, and what came for other streams is not to wait for more than a piece of it. */
static bool stream_may_read_on(const struct sta_stream *stream)
{
    return stream_is_reading(stream) && sta_buffer_len(&stream->in) < STA_LOOP_SCRATCH_BYTES;
}

static void stream_read(struct sta_stream *stream)
{
    unsigned turn = 0;
    bool more = stream_is_reading(stream);
    while (more && turn++ < STREAM_READS_PER_TICK) {
        more = stream->tls == NULL ? stream_read_plain(stream) : sta_stream_tls_read(stream);
        more = more && stream_may_read_on(stream);
    }
}

/* ---- writing ---- */

bool sta_stream_send_from(struct sta_stream *stream, struct sta_buffer *buffer)
{
    struct strata_bytes bytes = sta_buffer_bytes(buffer);
    ssize_t count;
    do
        count = send(stream->fd, bytes.data, bytes.len, MSG_NOSIGNAL);
    while (count < 0 && errno == EINTR);
    if (count < 0 && errno != EAGAIN) {
        sta_stream_end_errno(stream, errno);
        return false;
    }
    if (count > 0)
        sta_buffer_consume(buffer, (size_t)count);
    stream->blocked = sta_buffer_len(buffer) > 0;
    if (!stream->blocked && buffer->cap > STA_STREAM_OUT_KEEP)
        sta_buffer_clear(buffer);
    return true;
}

static void stream_send(struct sta_stream *stream)
{
    if (stream->tls != NULL) {
        sta_stream_tls_send(stream);
        return;
    }
    if (sta_stream_send_from(stream, &stream->out) && !stream->blocked &&
        stream->events->drained != NULL)
        stream->events->drained(stream->arg);
}

static bool stream_has_output(const struct sta_stream *stream)
{
    return sta_buffer_len(&stream->out) > 0 ||
           (stream->tls != NULL && sta_stream_tls_has_output(stream));
}

/* ---- the tick ---- */

/* Whether the owner wants to hear that the peer leaves, and has not. */
static bool stream_waits_for_leaving(const struct sta_stream *stream)
{
    return stream->state == STA_STREAM_OPEN && stream->paused && !stream->told_left &&
           stream->tls == NULL && stream->events->left != NULL;
}

static void stream_settle_interest(struct sta_stream *stream)
{
    int wanted = (stream_is_reading(stream) ? UV_READABLE : 0) |
                 (stream->blocked ? UV_WRITABLE : 0) |
                 (stream_waits_for_leaving(stream) ? UV_DISCONNECT : 0);
    if (wanted == stream->interest)
        return;
    int failed =
        wanted == 0 ? uv_poll_stop(&stream->poll) : uv_poll_start(&stream->poll, wanted, on_poll);
    assert(failed == 0); /* only a closing handle is refused */
    (void)failed;
    stream->interest = wanted;
}

static void on_flush(struct sta_flush *flush)
{
    struct sta_stream *stream = STA_CONTAINER(flush, struct sta_stream, flush);
    if (stream->show_kept) {
        stream->show_kept = false;
        if (stream_is_reading(stream) && sta_buffer_len(&stream->in) > 0)
            stream_show_kept(stream);
        if (!stream->show_kept)
            sta_flush_cancel(&stream->flush); /* what that appended leaves now */
    }
    if (stream->tls != NULL && sta_stream_is_shown(stream))
        sta_stream_tls_resume(stream);
    if (stream_is_writing(stream) && !stream->blocked && stream_has_output(stream))
        stream_send(stream);
    if (stream_is_writing(stream))
        stream_settle_interest(stream);
}

/* libuv reports an error (EPOLLERR) once and stops watching. What was received before it is still
 * to be read, and reading ends with the error itself; so interest is settled anew. */
static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct sta_stream *stream = poll->data;
    sta_loop_enter(stream->loop);
    if (status < 0) {
        stream->interest = 0;
        events = UV_READABLE | UV_WRITABLE | UV_DISCONNECT;
        sta_flush_request(stream->loop, &stream->flush);
    }
    if ((events & UV_DISCONNECT) && stream_waits_for_leaving(stream)) {
        stream->told_left = true;
        sta_flush_request(stream->loop, &stream->flush);
        stream->events->left(stream->arg);
        if (!stream_is_writing(stream))
            return;
    }
    if (events & UV_READABLE)
        stream_read(stream);
    if (stream_is_writing(stream) && (events & UV_WRITABLE) && stream->blocked) {
        stream_send(stream);
        if (stream_is_writing(stream))
            sta_flush_request(stream->loop, &stream->flush);
    }
}

struct sta_buffer *sta_stream_out(struct sta_stream *stream)
{
    return &stream->out;
}

void sta_stream_flush(struct sta_stream *stream)
{
    if (stream_is_writing(stream))
        sta_flush_request(stream->loop, &stream->flush);
}

void sta_stream_expect(struct sta_stream *stream, size_t bytes)
{
    stream->expected = bytes;
}

struct sta_buffer *sta_stream_memory(struct sta_stream *stream)
{
    return stream->showing ? &stream->in : NULL;
}

void sta_stream_pause(struct sta_stream *stream)
{
    stream->paused = true;
    stream->told_left = false;
    sta_stream_flush(stream);
}

void sta_stream_resume(struct sta_stream *stream)
{
    if (!stream->paused)
        return;
    stream->paused = false;
    stream->show_kept = true;
    sta_stream_flush(stream);
}

/* ---- life ---- */

static void stream_free(struct sta_stream *stream)
{
    sta_buffer_fini(&stream->in);
    sta_buffer_fini(&stream->out);
    free(stream);
}

static void on_closed(uv_handle_t *handle)
{
    stream_free(handle->data);
}

void sta_stream_close(struct sta_stream **at)
{
    struct sta_stream *stream = *at;
    if (stream == NULL)
        return;
    *at = NULL;
    assert(stream->state != STA_STREAM_CLOSED);
    if (stream->tls != NULL)
        sta_stream_tls_destroy(stream);
    stream->state = STA_STREAM_CLOSED;
    sta_flush_cancel(&stream->flush);
    sta_list_remove(&stream->guest.link);
    sta_dial_cancel(&stream->dial);
    if (!stream->watched) {
        stream_free(stream);
        return;
    }
    /* Closing the handle first takes the socket out of epoll; then its number may be used anew. */
    uv_close((uv_handle_t *)&stream->poll, on_closed);
    (void)close(stream->fd);
}

static void stream_evict(struct sta_loop_guest *guest)
{
    struct sta_stream *stream = STA_CONTAINER(guest, struct sta_stream, guest);
    sta_stream_close(&stream);
}

static int stream_create(struct sta_stream **out, struct sta_loop *loop,
                         const struct sta_stream_config *config,
                         const struct sta_stream_events *events, void *arg)
{
    struct sta_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return STRATA_ERR_NOMEM;
    stream->loop = loop;
    stream->events = events;
    stream->arg = arg;
    stream->in_limit = config->in_limit;
    stream->fd = -1;
    if (stream->in_limit > SIZE_MAX - STA_LOOP_SCRATCH_BYTES)
        stream->in_limit = SIZE_MAX - STA_LOOP_SCRATCH_BYTES;
    /* What has been read on top of the kept bytes is shown before the limit is looked at. */
    sta_buffer_init(&stream->in, stream->in_limit + STA_LOOP_SCRATCH_BYTES);
    sta_buffer_init(&stream->out, config->out_limit);
    sta_flush_init(&stream->flush, on_flush);
    stream->guest.evict = stream_evict;
    sta_loop_add_guest(loop, &stream->guest);
    *out = stream;
    return STRATA_OK;
}

/* Begins to watch `fd`, which is the stream's on success. */
static int stream_open(struct sta_stream *stream, int fd, enum sta_stream_state state)
{
    int failed = uv_poll_init(sta_loop_uv(stream->loop), &stream->poll, fd);
    if (failed != 0)
        return failed == UV_ENOMEM ? STRATA_ERR_NOMEM : STRATA_ERR_SYSTEM;
    stream->poll.data = stream;
    stream->watched = true;
    stream->fd = fd;
    stream->state = state;
    stream_settle_interest(stream);
    return STRATA_OK;
}

static void on_dialed(void *arg, int status, int fd, const char *reason)
{
    struct sta_stream *stream = arg;
    bool secure = stream->tls != NULL;
    stream->dial = NULL;
    if (status == STRATA_OK) {
        status = stream_open(stream, fd, secure ? STA_STREAM_SECURING : STA_STREAM_OPEN);
        if (status < 0) {
            reason = strata_status_text(status);
            (void)close(fd);
        }
    }
    if (status == STRATA_OK && secure) {
        sta_stream_tls_begin(stream);
        return;
    }
    if (status < 0)
        stream->state = STA_STREAM_ENDED;
    else if (sta_buffer_len(&stream->out) > 0)
        sta_flush_request(stream->loop, &stream->flush);
    stream->events->opened(stream->arg, status, reason); /* may close and free the stream */
}

int sta_stream_connect(struct sta_stream **out, struct sta_loop *loop,
                       const struct sta_endpoint *endpoint, uint64_t deadline_ns,
                       const struct sta_stream_config *config,
                       const struct sta_stream_events *events, void *arg)
{
    struct sta_stream *stream;
    int status = stream_create(&stream, loop, config, events, arg);
    if (status < 0)
        return status;
    stream->state = STA_STREAM_CONNECTING;
    if (config->tls != NULL)
        status = sta_stream_tls_create(stream, config, endpoint->address, deadline_ns);
    if (status == STRATA_OK)
        status = sta_dial_start(&stream->dial, loop, endpoint, deadline_ns, on_dialed, stream);
    if (status < 0) {
        sta_stream_close(&stream);
        return status;
    }
    *out = stream;
    return STRATA_OK;
}

int sta_stream_adopt(struct sta_stream **out, struct sta_loop *loop, int fd,
                     const struct sta_stream_config *config, const struct sta_stream_events *events,
                     void *arg)
{
    struct sta_stream *stream = NULL;
    assert(config->tls == NULL); /* we are no TLS server */
    int status = stream_create(&stream, loop, config, events, arg);
    if (status < 0)
        goto close_fd;
    status = stream_open(stream, fd, STA_STREAM_OPEN); /* makes it nonblocking too */
    if (status < 0)
        goto close_stream;
    sta_dial_tune(fd);
    *out = stream;
    return STRATA_OK;
close_stream:
    sta_stream_close(&stream);
close_fd:
    (void)close(fd);
    return status;
}
