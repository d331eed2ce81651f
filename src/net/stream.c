/* SPDX-License-Identifier: MIT
 *
 * Byte streams: one nonblocking socket each, watched through uv_poll. Reads and writes are our
 * own system calls, so that TLS can later stand between them and the same socket.
 *
 * Budget of a stream in a tick, system calls:
 *   - one recv() where less than the scratch area's 64 KiB had come (a short read means that the
 *     socket is empty; nothing asks it again), at most STREAM_READS_PER_TICK otherwise;
 *   - one send() for all that was appended;
 *   - epoll_ctl() only where the socket takes no more, or after pause() and resume(). Interest is
 *     settled at the tick's end, so pausing and resuming within one tick costs nothing.
 * Input that received() takes whole is neither copied nor allocated for.
 *
 * Memory: `in` exists only while received() has left bytes over; `out` is given back when it is
 * empty and has grown past STREAM_OUT_KEEP. The struct itself goes when libuv has let go of the
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
#include "net/loop_inside.h"
#include "strata/status.h"

#define STREAM_READS_PER_TICK 4u
#define STREAM_OUT_KEEP       (16u * 1024u)

enum stream_state {
    STREAM_CONNECTING, /* `dial` is at work */
    STREAM_OPEN,
    STREAM_DEAF,  /* closed(STRATA_OK) was called: the peer sends no more, writing goes on */
    STREAM_ENDED, /* opened(error) or closed() was called; only close() is left */
    STREAM_CLOSED /* by its owner; waits for libuv */
};

struct sta_stream {
    /* Fixed at creation. */
    struct sta_loop *loop;
    const struct sta_stream_events *events;
    void *arg;
    size_t in_limit;

    enum stream_state state;
    int fd;         /* -1 while connecting */
    int interest;   /* what the poll handle waits for: UV_READABLE, UV_WRITABLE, or 0 */
    bool watched;   /* the poll handle exists */
    bool paused;    /* by the owner */
    bool blocked;   /* the socket takes no more: wait for UV_WRITABLE */
    bool show_kept; /* resumed: show what is kept at the tick's end */
    struct sta_buffer in;
    struct sta_buffer out;
    struct sta_flush flush;
    struct sta_loop_guest guest;
    struct sta_dial *dial;
    uv_poll_t poll;
};

static void on_poll(uv_poll_t *poll, int status, int events);

/* ---- the end of a stream ---- */

static bool stream_is_writing(const struct sta_stream *stream)
{
    return stream->state == STREAM_OPEN || stream->state == STREAM_DEAF;
}

static void stream_end(struct sta_stream *stream, int status, const char *reason)
{
    stream->state = STREAM_ENDED;
    stream->interest = 0;
    (void)uv_poll_stop(&stream->poll);
    sta_flush_cancel(&stream->flush);
    stream->events->closed(stream->arg, status, reason);
}

static void stream_end_errno(struct sta_stream *stream, int error)
{
    char reason[128];
    (void)uv_strerror_r(-error, reason, sizeof reason);
    stream_end(stream, error == ENOMEM ? STRATA_ERR_NOMEM : STRATA_ERR_LOST, reason);
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
    if (stream->state != STREAM_OPEN || used == len)
        return;
    int status = stream_keep(stream, strata_bytes(scratch + used, len - used));
    if (status < 0)
        stream_end(stream, status, strata_status_text(status));
}

static void stream_show_kept(struct sta_stream *stream)
{
    size_t used = stream->events->received(stream->arg, sta_buffer_bytes(&stream->in));
    assert(used <= sta_buffer_len(&stream->in));
    if (stream->state != STREAM_OPEN)
        return;
    sta_buffer_consume(&stream->in, used);
    if (sta_buffer_len(&stream->in) == 0)
        sta_buffer_clear(&stream->in);
    else if (sta_buffer_len(&stream->in) > stream->in_limit)
        stream_end(stream, STRATA_ERR_TOO_BIG, strata_status_text(STRATA_ERR_TOO_BIG));
}

/* Where the next bytes go: the scratch area; behind what is kept, once that is as large and a copy
 * would cost more than room held for nothing. *room is 0 where there is no memory. */
static uint8_t *stream_room(struct sta_stream *stream, size_t *room)
{
    if (sta_buffer_len(&stream->in) < STA_LOOP_SCRATCH_BYTES) {
        *room = STA_LOOP_SCRATCH_BYTES;
        return stream->loop->scratch;
    }
    *room = 0;
    if (sta_buffer_reserve(&stream->in, STA_LOOP_SCRATCH_BYTES) == STRATA_OK)
        *room = stream->in.cap - stream->in.tail;
    return sta_buffer_end(&stream->in);
}

/* `count` bytes have been read to `area`: shows them together with what is kept. */
static void stream_take(struct sta_stream *stream, const uint8_t *area, size_t count)
{
    if (area != stream->loop->scratch) {
        sta_buffer_advance(&stream->in, count);
    } else if (sta_buffer_len(&stream->in) == 0) {
        stream_show_scratch(stream, count);
        return;
    } else if (sta_buffer_append(&stream->in, strata_bytes(area, count)) < 0) {
        stream_end(stream, STRATA_ERR_NOMEM, strata_status_text(STRATA_ERR_NOMEM));
        return;
    }
    stream_show_kept(stream);
}

static bool stream_is_reading(const struct sta_stream *stream)
{
    return stream->state == STREAM_OPEN && !stream->paused;
}

/* The owner is shown first what it had asked to see again. */
static void stream_peer_ended(struct sta_stream *stream)
{
    if (stream->show_kept && sta_buffer_len(&stream->in) > 0) {
        stream->show_kept = false;
        stream_show_kept(stream);
        if (!stream_is_reading(stream))
            return; /* it will be read again, and end again */
    }
    stream->state = STREAM_DEAF;
    sta_flush_request(stream->loop, &stream->flush);
    stream->events->closed(stream->arg, STRATA_OK, "closed by the peer");
}

static void stream_read(struct sta_stream *stream)
{
    for (unsigned turn = 0; turn < STREAM_READS_PER_TICK && stream_is_reading(stream); turn++) {
        size_t room;
        uint8_t *area = stream_room(stream, &room);
        ssize_t count = room > 0 ? recv(stream->fd, area, room, 0) : (errno = ENOMEM, -1);
        if (count > 0) {
            stream_take(stream, area, (size_t)count);
            if ((size_t)count < room)
                return;
        } else if (count == 0) {
            stream_peer_ended(stream);
        } else if (errno != EINTR) {
            if (errno != EAGAIN)
                stream_end_errno(stream, errno);
            return;
        }
    }
}

/* ---- writing ---- */

static void stream_sent(struct sta_stream *stream, size_t count)
{
    sta_buffer_consume(&stream->out, count);
    stream->blocked = sta_buffer_len(&stream->out) > 0;
    if (stream->blocked)
        return;
    if (stream->out.cap > STREAM_OUT_KEEP)
        sta_buffer_clear(&stream->out);
    if (stream->events->drained != NULL)
        stream->events->drained(stream->arg);
}

static void stream_send(struct sta_stream *stream)
{
    struct strata_bytes out = sta_buffer_bytes(&stream->out);
    ssize_t count;
    do
        count = send(stream->fd, out.data, out.len, MSG_NOSIGNAL);
    while (count < 0 && errno == EINTR);
    if (count >= 0)
        stream_sent(stream, (size_t)count);
    else if (errno == EAGAIN)
        stream->blocked = true;
    else
        stream_end_errno(stream, errno);
}

/* ---- the tick ---- */

static void stream_settle_interest(struct sta_stream *stream)
{
    int wanted =
        (stream_is_reading(stream) ? UV_READABLE : 0) | (stream->blocked ? UV_WRITABLE : 0);
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
    if (stream_is_writing(stream) && !stream->blocked && sta_buffer_len(&stream->out) > 0)
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
        events = UV_READABLE | UV_WRITABLE;
        sta_flush_request(stream->loop, &stream->flush);
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

void sta_stream_pause(struct sta_stream *stream)
{
    stream->paused = true;
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
    assert(stream->state != STREAM_CLOSED);
    stream->state = STREAM_CLOSED;
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
static int stream_open(struct sta_stream *stream, int fd)
{
    int failed = uv_poll_init(sta_loop_uv(stream->loop), &stream->poll, fd);
    if (failed != 0)
        return failed == UV_ENOMEM ? STRATA_ERR_NOMEM : STRATA_ERR_SYSTEM;
    stream->poll.data = stream;
    stream->watched = true;
    stream->fd = fd;
    stream->state = STREAM_OPEN;
    stream_settle_interest(stream);
    return STRATA_OK;
}

static void on_dialed(void *arg, int status, int fd, const char *reason)
{
    struct sta_stream *stream = arg;
    stream->dial = NULL;
    if (status == STRATA_OK) {
        status = stream_open(stream, fd);
        if (status < 0) {
            reason = strata_status_text(status);
            (void)close(fd);
        }
    }
    if (status < 0)
        stream->state = STREAM_ENDED;
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
    stream->state = STREAM_CONNECTING;
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
    int status = stream_create(&stream, loop, config, events, arg);
    if (status < 0)
        goto close_fd;
    status = stream_open(stream, fd); /* makes it nonblocking too */
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
