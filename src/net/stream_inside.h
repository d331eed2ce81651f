/* SPDX-License-Identifier: MIT
 *
 * What the two files of a stream share: stream.c, and stream_tls.c for streams that have TLS.
 * Loop thread only.
 */
#ifndef STA_STREAM_INSIDE_H
#define STA_STREAM_INSIDE_H

#include <uv.h>

#include "net/loop_inside.h"
#include "net/stream.h"

/* What an idle stream keeps of its output buffers. */
#define STA_STREAM_OUT_KEEP (16u * 1024u)

enum sta_stream_state {
    STA_STREAM_CONNECTING, /* `dial` is at work */
    STA_STREAM_SECURING,   /* TLS: the handshake is under way */
    STA_STREAM_OPEN,
    STA_STREAM_DEAF,  /* closed(STRATA_OK) was called: the peer sends no more, writing goes on */
    STA_STREAM_ENDED, /* opened(error) or closed() was called; only close() is left */
    STA_STREAM_CLOSED /* by its owner; waits for libuv */
};

struct sta_stream_tls;

struct sta_stream {
    /* Fixed at creation. */
    struct sta_loop *loop;
    const struct sta_stream_events *events;
    void *arg;
    size_t in_limit;
    size_t expected;            /* by the owner, behind what he has been shown */
    struct sta_stream_tls *tls; /* NULL: plain */

    enum sta_stream_state state;
    int fd;         /* -1 while connecting */
    int interest;   /* what the poll handle waits for: UV_READABLE, ..., or 0 */
    bool watched;   /* the poll handle exists */
    bool paused;    /* by the owner */
    bool told_left; /* in this pause */
    bool blocked;   /* the socket takes no more: wait for UV_WRITABLE */
    bool show_kept; /* resumed: show what is kept at the tick's end */
    bool showing;   /* received() is at work, and what it is shown is kept in `in` */
    struct sta_buffer in;
    struct sta_buffer out; /* plain */
    struct sta_flush flush;
    struct sta_loop_guest guest;
    struct sta_dial *dial;
    uv_poll_t poll;
};

/* ---- stream.c ---- */

/* Whether the owner is to be shown what comes. */
static inline bool sta_stream_is_shown(const struct sta_stream *stream)
{
    return stream->state == STA_STREAM_OPEN && !stream->paused;
}

/* The end: opened() or closed() is called with it, whichever is due. */
void sta_stream_end(struct sta_stream *stream, int status, const char *reason);
void sta_stream_end_errno(struct sta_stream *stream, int error);
void sta_stream_peer_ended(struct sta_stream *stream);

/* Where the next bytes of the owner go: the scratch area, `most` of it; behind what is kept, once
 * that is as large and a copy would cost more than room held for nothing. *room is 0 where there
 * is no memory. */
uint8_t *sta_stream_room(struct sta_stream *stream, size_t most, size_t *room);

/* `count` bytes stand at `area`: shows them together with what is kept, or keeps them where the
 * owner has paused. May end the stream, and the owner may close it. */
void sta_stream_take(struct sta_stream *stream, const uint8_t *area, size_t count);

/* Sends from the front of `buffer` what the socket takes. False: that ended the stream. */
bool sta_stream_send_from(struct sta_stream *stream, struct sta_buffer *buffer);

/* ---- stream_tls.c ---- */

/* STRATA_ERR_NOMEM, STRATA_ERR_INVALID. */
int sta_stream_tls_create(struct sta_stream *stream, const struct sta_stream_config *config,
                          const char *host, uint64_t deadline_ns);

/* Before the socket is closed: tells the peer that this is the end, likewise without waiting. */
void sta_stream_tls_destroy(struct sta_stream *stream);

/* The socket is connected: says the first word. opened() is called when the handshake has ended. */
void sta_stream_tls_begin(struct sta_stream *stream);

/* Reads once. False: there is nothing more to read in this tick. */
bool sta_stream_tls_read(struct sta_stream *stream);

/* Encrypts what was appended, and sends. */
void sta_stream_tls_send(struct sta_stream *stream);
bool sta_stream_tls_has_output(const struct sta_stream *stream);

/* The owner listens: says the peer's end, where it came while he had paused. */
void sta_stream_tls_resume(struct sta_stream *stream);

/* The stream has ended: what the peer is to be told is sent, where that costs no waiting. */
void sta_stream_tls_end(struct sta_stream *stream);

#endif
