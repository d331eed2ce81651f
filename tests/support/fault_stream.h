/* SPDX-License-Identifier: MIT
 *
 * One direction of a connection of the fault proxy: bytes that were read and wait to be sent, each
 * piece with the time before which it may not leave. The time is an argument.
 */
#ifndef TEST_FAULT_STREAM_H
#define TEST_FAULT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support/fault_proxy.h"

struct fault_piece;

struct fault_stream {
    struct fault_piece *first;
    struct fault_piece *last;
    size_t queued_bytes;
    int64_t may_send_ns; /* gaps and rates: not before */
    bool ended;          /* the sender has closed; what is queued still leaves */
    bool broken;         /* a socket has failed */
    bool cut_short;      /* the byte of break_at was read: what is queued leaves, and no more */
    uint64_t sent_bytes;
    uint64_t dropped_bytes;
};

void fault_stream_fini(struct fault_stream *stream);

/* Whether there is room for more, and `way` lets it be read. */
bool fault_stream_wants(const struct fault_stream *stream, const struct fault_way *way);

/* Reads once from `fd`. `way->corrupt_at` and `way->break_at` count down. */
void fault_stream_read(struct fault_stream *stream, struct fault_way *way, int fd, int64_t now_ns);

/* When the next piece may leave, INT64_MAX where there is none or `way` holds it back. */
int64_t fault_stream_due(const struct fault_stream *stream, const struct fault_way *way);

/* Sends what is due to `fd`, until it takes no more or the way wants a pause; what is not due
 * stays. `draw` is a random number. */
void fault_stream_send(struct fault_stream *stream, const struct fault_way *way, int fd,
                       uint32_t draw, int64_t now_ns);

#endif
