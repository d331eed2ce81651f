/* SPDX-License-Identifier: MIT
 *
 * A growable run of bytes with a ceiling: bytes are appended at the end and consumed at the
 * front. The content is always contiguous.
 *
 *     data          head               tail              cap
 *      |   consumed   |     content      |     room        |
 *
 * Invariants: head <= tail <= cap; cap <= limit; data is NULL exactly where cap is 0.
 * Memory: grows by half again or to what is asked, never beyond `limit`; consuming everything
 * resets head, and gives the memory back where more than STA_BUFFER_KEEP bytes were held.
 * Pointers into a buffer die with the next reserve, append or consume.
 * Threads: one owner.
 */
#ifndef STA_BUFFER_H
#define STA_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "strata/bytes.h"

#define STA_BUFFER_KEEP (64u * 1024u)

struct sta_buffer {
    uint8_t *data;
    size_t head;
    size_t tail;
    size_t cap;
    size_t limit; /* bytes; the most that the content may be */
};

void sta_buffer_init(struct sta_buffer *buffer, size_t limit);
void sta_buffer_fini(struct sta_buffer *buffer);

/* Makes room for `more` bytes after the content. STRATA_ERR_TOO_BIG where the content would pass
 * the limit, STRATA_ERR_NOMEM; the content is unchanged either way. */
int sta_buffer_reserve_slow(struct sta_buffer *buffer, size_t more);

static inline int sta_buffer_reserve(struct sta_buffer *buffer, size_t more)
{
    if (buffer->cap - buffer->tail >= more)
        return 0;
    return sta_buffer_reserve_slow(buffer, more);
}

/* Appends a copy of `bytes`, whole or not at all; errors as reserve. */
int sta_buffer_append(struct sta_buffer *buffer, struct strata_bytes bytes);

/* Drops the first `count` bytes; count <= len. */
void sta_buffer_consume(struct sta_buffer *buffer, size_t count);

/* Drops the content and gives the memory back. */
void sta_buffer_clear(struct sta_buffer *buffer);

/* The same, but the memory is the caller's from here on (free()). NULL: there is none. */
void *sta_buffer_take(struct sta_buffer *buffer);

static inline size_t sta_buffer_len(const struct sta_buffer *buffer)
{
    return buffer->tail - buffer->head;
}

/* The content. */
static inline struct strata_bytes sta_buffer_bytes(const struct sta_buffer *buffer)
{
    if (buffer->data == NULL) /* C knows no NULL + 0 */
        return strata_bytes(NULL, 0);
    return strata_bytes(buffer->data + buffer->head, buffer->tail - buffer->head);
}

/* Where reserved room begins; after writing n bytes there, call advance(n). */
static inline uint8_t *sta_buffer_end(struct sta_buffer *buffer)
{
    return buffer->data + buffer->tail;
}

/* What may be written there now. */
static inline size_t sta_buffer_room(const struct sta_buffer *buffer)
{
    return buffer->cap - buffer->tail;
}

/* Drops all but the first `len` bytes; the memory stays. */
static inline void sta_buffer_truncate(struct sta_buffer *buffer, size_t len)
{
    buffer->tail = buffer->head + len;
}

static inline void sta_buffer_advance(struct sta_buffer *buffer, size_t count)
{
    buffer->tail += count;
}

#endif
