/* SPDX-License-Identifier: MIT
 *
 * A byte stream on a socket, owned by one loop's thread. Used for clients that we accepted and
 * for servers that we connect to.
 *
 *     CONNECTING --opened(OK)--> OPEN --closed(STRATA_OK)--> DEAF (the peer sends no more, but
 *      |  ^  \                     \                           \   may read: writing goes on)
 *      v  |   \--opened(error)      \--closed(error)            \--closed(error)
 *    SECURING (with TLS: connected, the handshake is under way)
 *
 * After an error nothing is called any more, and only sta_stream_close() is left.
 *
 * Reading: bytes land in a scratch area that all streams of a loop share, and received() is
 * shown everything that is not yet consumed, contiguous; what it does not consume is kept (in
 * memory that grows with what has arrived, or is expected, up to `in_limit`) and shown again with
 * more. An idle stream holds no input memory. However much there is to read, in a tick it is 256
 * KiB at most, and 64 KiB of a message that is larger than that: then other streams have their
 * turn. Writing: append to sta_stream_out() and call sta_stream_flush(); everything appended in a
 * tick leaves with one system call at the tick's end. What the socket does not take stays in the
 * buffer; drained() tells when it is empty again.
 * TLS changes nothing of this. What is appended before the handshake has ended waits for it. The
 * peer's end is closed(STRATA_OK) where TLS says so too; a connection that is merely cut may have
 * lost bytes, and is closed(STRATA_ERR_LOST).
 * Threads: the loop's only. A callback may close the stream it is called for.
 */
#ifndef STA_STREAM_H
#define STA_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "net/endpoint.h"
#include "net/loop.h"

struct sta_stream;
struct sta_tls;
struct sta_tls_ticket;

struct sta_stream_events {
    /* connect() ended: STRATA_OK, or an error and the stream is dead: close it. `reason` is text
     * for a log line. Not called for adopted streams. */
    void (*opened)(void *arg, int status, const char *reason);
    /* Returns how many bytes it consumed, <= data.len. */
    size_t (*received)(void *arg, struct strata_bytes data);
    /* Everything appended so far is in the kernel's hands. May be NULL. */
    void (*drained)(void *arg);
    /* While paused: the peer has shut its side or is gone, though what it has said before is not
     * read yet; once for each pause. Without TLS. May be NULL. */
    void (*left)(void *arg);
    /* The peer closed or shut its side (STRATA_OK): what is appended still leaves, and where the
     * peer is gone altogether an error follows. Or an error. Not called after
     * sta_stream_close(). */
    void (*closed)(void *arg, int status, const char *reason);
};

struct sta_stream_config {
    size_t in_limit;  /* bytes that may wait unconsumed; more is closed(STRATA_ERR_TOO_BIG) */
    size_t out_limit; /* bytes that may wait unsent; appending more fails */

    /* TLS (net/tls.h). The certificate must name the endpoint's host, unless tls says another. */
    const struct sta_tls *tls;          /* NULL: plain. Outlives the stream */
    struct sta_tls_ticket **tls_ticket; /* the owner's, to come back with sooner; outlives the
                                           stream; NULL: none is kept */
};

/* Begins to connect, with host names resolved off the loop; opened() comes later, at
 * `deadline_ns` at the latest, with the handshake of TLS done. STRATA_ERR_NOMEM,
 * STRATA_ERR_SYSTEM; with TLS also STRATA_ERR_INVALID, where no certificate can name the host. */
int sta_stream_connect(struct sta_stream **out, struct sta_loop *loop,
                       const struct sta_endpoint *endpoint, uint64_t deadline_ns,
                       const struct sta_stream_config *config,
                       const struct sta_stream_events *events, void *arg);

/* Takes over a connected socket `fd` (closed on failure too); reading begins at once. No TLS. */
int sta_stream_adopt(struct sta_stream **out, struct sta_loop *loop, int fd,
                     const struct sta_stream_config *config, const struct sta_stream_events *events,
                     void *arg);

/* Drops what was not sent. Sets the pointer to NULL; no callback comes any more. */
void sta_stream_close(struct sta_stream **stream);

/* The output buffer; call flush() after appending. */
struct sta_buffer *sta_stream_out(struct sta_stream *stream);
void sta_stream_flush(struct sta_stream *stream);

/* From within received(): so many bytes more will come before anything else is consumed. Room for
 * them is made at once, and not again and again as they come; it is memory that is touched only
 * then. Holds until it is said anew. */
void sta_stream_expect(struct sta_stream *stream, size_t bytes);

/* From within received(): the memory that what is shown lies in, where it is the stream's alone;
 * NULL: it is not. Who consumes all of it may take that memory (sta_buffer_take()) instead of
 * copying what lies there. What is expected (above) never has anything behind it. */
struct sta_buffer *sta_stream_memory(struct sta_stream *stream);

/* Stops and starts reading: backpressure. resume() shows again what is already kept, later in
 * the tick, not from within the call. */
void sta_stream_pause(struct sta_stream *stream);
void sta_stream_resume(struct sta_stream *stream);

#endif
