/* SPDX-License-Identifier: MIT
 *
 * A stream's TLS: what comes from the socket is decrypted before the owner sees it, what the owner
 * appends is encrypted before it leaves. stream.c says when; the session (net/tls.h) does no I/O.
 *
 *     recv --> scratch, upper half --decrypt--> scratch, lower half --> received()
 *              (or behind what is kept)
 *     out --encrypt--> cipher --send--> socket
 *
 * Everything that one recv() brought is decrypted before the next, so a session never holds more
 * than one record that is not yet whole. Where the owner pauses in the middle, the rest is kept
 * with what he left over.
 *
 * Budget of a tick beyond a plain stream's: a record for each 16 KiB, and one send() for each
 * TLS_CHUNK of output instead of one for all.
 * Memory: a session; `cipher` holds at most CIPHER_LIMIT, and nothing where nothing waits but what
 * STA_STREAM_OUT_KEEP allows.
 * Threads: the loop's only.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "net/stream_inside.h"
#include "net/tls.h"
#include "strata/status.h"

#define HALF         (STA_LOOP_SCRATCH_BYTES / 2)
#define TLS_CHUNK    (64u * 1024u)
#define CIPHER_LIMIT (256u * 1024u) /* a chunk and its frames, a handshake's certificates */

/* In a tick, so that a peer that reads as fast as we encrypt leaves room for others. */
#define TLS_SENDS_PER_TICK 16u

static const char handshake_late[] =
    "no answer to the TLS handshake in time: is this a TLS port, and not a plain one?";
static const char handshake_cut[] = "closed by the peer during the TLS handshake";
static const char stream_cut[] = "cut off: closed by the peer without the end that TLS demands";

struct sta_stream_tls {
    /* Fixed at creation. */
    struct sta_stream *stream;
    const struct strata_tls_provider *provider;
    struct sta_tls_session *session;
    uint64_t deadline_ns; /* of the handshake */

    struct sta_timer timer;
    struct sta_buffer cipher; /* on its way to the socket */

    /* The end of the peer's bytes, while the owner has paused: STA_TLS_END or an error. */
    int over; /* 0: there may be more */
    char reason[STA_TLS_REASON_CAP];
};

static int on_put(void *arg, struct strata_bytes bytes)
{
    struct sta_stream *stream = arg;
    return sta_buffer_append(&stream->tls->cipher, bytes);
}

static struct sta_tls_wire stream_wire(struct sta_stream *stream, struct strata_bytes in)
{
    return (struct sta_tls_wire){.in = in, .arg = stream, .put = on_put};
}

/* ---- the end ---- */

/* The alert that tells the peer why, or a goodbye; there is no waiting for it to leave. Behind
 * half a record nothing can follow. */
static void stream_send_last_words(struct sta_stream *stream)
{
    struct strata_bytes bytes = sta_buffer_bytes(&stream->tls->cipher);
    if (bytes.len > 0 && !stream->blocked)
        (void)send(stream->fd, bytes.data, bytes.len, MSG_NOSIGNAL);
    sta_buffer_clear(&stream->tls->cipher);
}

void sta_stream_tls_end(struct sta_stream *stream)
{
    sta_timer_stop(stream->loop, &stream->tls->timer);
    stream_send_last_words(stream);
}

/* With the session's reason, where it gave one. The owner may close the stream while he reads
 * it. */
static void stream_fail(struct sta_stream *stream, int status)
{
    char reason[STA_TLS_REASON_CAP];
    const char *given = stream->tls->reason;
    (void)snprintf(reason, sizeof reason, "%s",
                   *given != '\0' ? given : strata_status_text(status));
    sta_stream_end(stream, status, reason);
}

static void on_timer(struct sta_timer *timer)
{
    struct sta_stream_tls *tls = STA_CONTAINER(timer, struct sta_stream_tls, timer);
    sta_stream_end(tls->stream, STRATA_ERR_TIMEOUT, handshake_late);
}

void sta_stream_tls_resume(struct sta_stream *stream)
{
    int over = stream->tls->over;
    if (over == STA_TLS_END)
        sta_stream_peer_ended(stream);
    else if (over < 0)
        stream_fail(stream, over);
}

/* ---- reading ---- */

/* Says what the peer has said last, or keeps it until the owner wants to hear it. */
static void stream_over(struct sta_stream *stream, int over)
{
    stream->tls->over = over;
    if (sta_stream_is_shown(stream))
        sta_stream_tls_resume(stream);
}

/* Decrypts all of the wire's input, and shows it. */
static void stream_decrypt(struct sta_stream *stream, struct sta_tls_wire *wire)
{
    struct sta_stream_tls *tls = stream->tls;
    int status = STRATA_OK;
    while (status == STRATA_OK && stream->state == STA_STREAM_OPEN) {
        size_t room, len = 0;
        uint8_t *area = sta_stream_room(stream, HALF, &room);
        if (room == 0) {
            stream_fail(stream, STRATA_ERR_NOMEM);
            return;
        }
        status = tls->provider->decrypt(tls->session, wire, area, room, &len, tls->reason);
        if (sta_buffer_len(&tls->cipher) > 0)
            sta_flush_request(stream->loop, &stream->flush);
        if (len > 0)
            sta_stream_take(stream, area, len);
    }
    if (stream->state == STA_STREAM_OPEN && status != STA_TLS_MORE)
        stream_over(stream, status);
}

/* False: the handshake is not complete, or has failed, or the owner has closed the stream. */
static bool stream_shake_hands(struct sta_stream *stream, struct sta_tls_wire *wire)
{
    struct sta_stream_tls *tls = stream->tls;
    int status = tls->provider->handshake(tls->session, wire, tls->reason);
    if (status < 0) {
        stream_fail(stream, status);
        return false;
    }
    sta_flush_request(stream->loop, &stream->flush);
    if (status != STRATA_OK)
        return false;
    sta_timer_stop(stream->loop, &tls->timer);
    stream->state = STA_STREAM_OPEN;
    stream->events->opened(stream->arg, STRATA_OK, "connected");
    return stream->state == STA_STREAM_OPEN;
}

bool sta_stream_tls_read(struct sta_stream *stream)
{
    uint8_t *area = stream->loop->scratch + HALF;
    if (stream->tls->over != 0)
        return false;
    ssize_t count = recv(stream->fd, area, HALF, 0);
    if (count > 0) {
        struct sta_tls_wire wire = stream_wire(stream, strata_bytes(area, (size_t)count));
        if (stream->state == STA_STREAM_OPEN || stream_shake_hands(stream, &wire))
            stream_decrypt(stream, &wire);
        return count == HALF;
    }
    if (count == 0) {
        bool early = stream->state == STA_STREAM_SECURING;
        sta_stream_end(stream, STRATA_ERR_LOST, early ? handshake_cut : stream_cut);
        return false;
    }
    if (errno == EINTR)
        return true;
    if (errno != EAGAIN)
        sta_stream_end_errno(stream, errno);
    return false;
}

/* ---- writing ---- */

/* Encrypts the next part of what was appended, unless it has to wait for the handshake. */
static int stream_encrypt(struct sta_stream *stream)
{
    struct sta_stream_tls *tls = stream->tls;
    struct strata_bytes bytes = sta_buffer_bytes(&stream->out);
    struct sta_tls_wire wire = stream_wire(stream, strata_bytes(NULL, 0));
    if (stream->state == STA_STREAM_SECURING || bytes.len == 0)
        return STRATA_OK;
    if (bytes.len > TLS_CHUNK)
        bytes.len = TLS_CHUNK;
    int status = tls->provider->encrypt(tls->session, &wire, bytes, tls->reason);
    if (status < 0)
        return status;
    sta_buffer_consume(&stream->out, bytes.len);
    if (sta_buffer_len(&stream->out) == 0 && stream->out.cap > STA_STREAM_OUT_KEEP)
        sta_buffer_clear(&stream->out);
    return STRATA_OK;
}

/* What a handshake or an answer put there leaves together with the first chunk. */
static bool stream_fill_cipher(struct sta_stream *stream)
{
    if (sta_buffer_len(&stream->tls->cipher) >= TLS_CHUNK)
        return true;
    int status = stream_encrypt(stream);
    if (status < 0)
        stream_fail(stream, status);
    return status == STRATA_OK;
}

void sta_stream_tls_send(struct sta_stream *stream)
{
    struct sta_buffer *cipher = &stream->tls->cipher;
    for (unsigned turn = 0; turn < TLS_SENDS_PER_TICK; turn++) {
        if (!stream_fill_cipher(stream))
            return;
        if (sta_buffer_len(cipher) == 0)
            return; /* the rest waits for the handshake */
        if (!sta_stream_send_from(stream, cipher) || stream->blocked)
            return;
        if (sta_buffer_len(&stream->out) == 0) {
            if (stream->state != STA_STREAM_SECURING && stream->events->drained != NULL)
                stream->events->drained(stream->arg);
            return;
        }
    }
    sta_flush_request(stream->loop, &stream->flush);
}

bool sta_stream_tls_has_output(const struct sta_stream *stream)
{
    return sta_buffer_len(&stream->tls->cipher) > 0;
}

/* ---- life ---- */

int sta_stream_tls_create(struct sta_stream *stream, const struct sta_stream_config *config,
                          const char *host, uint64_t deadline_ns)
{
    const struct sta_tls *tls = config->tls;
    struct sta_stream_tls *side = calloc(1, sizeof *side);
    if (side == NULL)
        return STRATA_ERR_NOMEM;
    int status =
        tls->provider->session_create(&side->session, tls->context, host, config->tls_ticket);
    if (status < 0) {
        free(side);
        return status;
    }
    side->stream = stream;
    side->provider = tls->provider;
    side->deadline_ns = deadline_ns;
    sta_buffer_init(&side->cipher, CIPHER_LIMIT);
    sta_timer_init(&side->timer, on_timer);
    stream->tls = side;
    return STRATA_OK;
}

void sta_stream_tls_begin(struct sta_stream *stream)
{
    struct sta_tls_wire wire = stream_wire(stream, strata_bytes(NULL, 0));
    if (stream->tls->deadline_ns != STA_NEVER)
        sta_timer_start(stream->loop, &stream->tls->timer, stream->tls->deadline_ns);
    (void)stream_shake_hands(stream, &wire);
}

static void stream_say_goodbye(struct sta_stream *stream)
{
    struct sta_stream_tls *tls = stream->tls;
    struct sta_tls_wire wire = stream_wire(stream, strata_bytes(NULL, 0));
    if (stream->state != STA_STREAM_OPEN && stream->state != STA_STREAM_DEAF)
        return;
    if (sta_buffer_len(&tls->cipher) > 0)
        return;
    tls->provider->goodbye(tls->session, &wire);
    stream_send_last_words(stream);
}

void sta_stream_tls_destroy(struct sta_stream *stream)
{
    struct sta_stream_tls *tls = stream->tls;
    stream_say_goodbye(stream);
    sta_timer_stop(stream->loop, &tls->timer);
    tls->provider->session_destroy(&tls->session);
    sta_buffer_fini(&tls->cipher);
    free(tls);
    stream->tls = NULL;
}
