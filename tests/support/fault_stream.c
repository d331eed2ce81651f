/* SPDX-License-Identifier: MIT
 *
 * One direction of a connection of the fault proxy.
 */
#include "support/fault_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define READ_BYTES  16384u
#define QUEUED_MOST (8u << 20)
#define RATE_SHARE  50 /* at a limited rate, a send takes a 50th of a second's bytes */
#define NS_PER_MS   INT64_C(1000000)
#define NS_PER_US   INT64_C(1000)
#define NS_PER_S    INT64_C(1000000000)

struct fault_piece {
    struct fault_piece *next;
    int64_t read_ns;
    size_t len;
    size_t sent;
    unsigned char bytes[];
};

void fault_stream_fini(struct fault_stream *stream)
{
    while (stream->first != NULL) {
        struct fault_piece *piece = stream->first;
        stream->first = piece->next;
        free(piece);
    }
    *stream = (struct fault_stream){0};
}

bool fault_stream_wants(const struct fault_stream *stream, const struct fault_way *way)
{
    return !stream->ended && !stream->broken && !stream->cut_short && !way->freeze &&
           stream->queued_bytes < QUEUED_MOST;
}

static void corrupt(struct fault_way *way, unsigned char *bytes, size_t len)
{
    if (way->corrupt_at > 0 && way->corrupt_at <= len) {
        bytes[way->corrupt_at - 1] ^= 0x80;
        way->corrupt_at = 0;
    } else if (way->corrupt_at > 0) {
        way->corrupt_at -= len;
    }
}

/* How many of the bytes pass. */
static size_t cut_short(struct fault_stream *stream, struct fault_way *way, size_t len)
{
    if (way->break_at > len) {
        way->break_at -= len;
    } else if (way->break_at > 0) {
        len = way->break_at - 1;
        way->break_at = 0;
        stream->cut_short = true;
    }
    return len;
}

static void append(struct fault_stream *stream, const unsigned char *bytes, size_t len,
                   int64_t now_ns)
{
    struct fault_piece *piece = malloc(sizeof *piece + len);
    if (piece == NULL)
        abort();
    *piece = (struct fault_piece){.read_ns = now_ns, .len = len};
    memcpy(piece->bytes, bytes, len);
    if (stream->first == NULL)
        stream->first = piece;
    else
        stream->last->next = piece;
    stream->last = piece;
    stream->queued_bytes += len;
}

void fault_stream_read(struct fault_stream *stream, struct fault_way *way, int fd, int64_t now_ns)
{
    unsigned char bytes[READ_BYTES];
    ssize_t len = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (len == 0) {
        stream->ended = true;
    } else if (len < 0) {
        stream->broken = errno != EAGAIN && errno != EINTR;
    } else if (way->drop) {
        stream->dropped_bytes += (uint64_t)len;
    } else {
        corrupt(way, bytes, (size_t)len);
        size_t passes = cut_short(stream, way, (size_t)len);
        if (passes > 0)
            append(stream, bytes, passes, now_ns);
    }
}

int64_t fault_stream_due(const struct fault_stream *stream, const struct fault_way *way)
{
    if (stream->first == NULL || way->freeze || stream->broken)
        return INT64_MAX;
    int64_t due = stream->first->read_ns + way->delay_ms * NS_PER_MS;
    return due > stream->may_send_ns ? due : stream->may_send_ns;
}

/* How many bytes of the first piece go in one send. */
static size_t portion(const struct fault_piece *piece, const struct fault_way *way, uint32_t draw)
{
    size_t len = piece->len - piece->sent;
    size_t chunk = way->chunk_bytes;
    if (way->chunk_random && chunk > 0)
        chunk = 1 + draw % chunk;
    size_t share = (size_t)(way->bytes_per_second / RATE_SHARE) + 1;
    if (chunk > 0 && chunk < len)
        len = chunk;
    return way->bytes_per_second > 0 && share < len ? share : len;
}

static int64_t pause_after(const struct fault_way *way, size_t len)
{
    int64_t pause = way->gap_us * NS_PER_US;
    if (way->bytes_per_second > 0)
        pause += (int64_t)len * NS_PER_S / (int64_t)way->bytes_per_second;
    return pause;
}

static void sent(struct fault_stream *stream, size_t len)
{
    struct fault_piece *piece = stream->first;
    stream->sent_bytes += len;
    stream->queued_bytes -= len;
    piece->sent += len;
    if (piece->sent == piece->len) {
        stream->first = piece->next;
        free(piece);
    }
}

void fault_stream_send(struct fault_stream *stream, const struct fault_way *way, int fd,
                       uint32_t draw, int64_t now_ns)
{
    while (fault_stream_due(stream, way) <= now_ns) {
        struct fault_piece *piece = stream->first;
        size_t want = portion(piece, way, draw);
        ssize_t len = send(fd, piece->bytes + piece->sent, want, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (len < 0) {
            stream->broken = errno != EAGAIN && errno != EINTR;
            return;
        }
        sent(stream, (size_t)len);
        stream->may_send_ns = now_ns + pause_after(way, (size_t)len);
        draw = draw * 1664525u + 1013904223u;
    }
}
