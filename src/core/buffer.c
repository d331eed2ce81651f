/* SPDX-License-Identifier: MIT
 *
 * The slow halves of buffer.h: growing, moving the content to the front, giving memory back.
 */
#include "core/buffer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "strata/status.h"

#define BUFFER_FIRST 512u

void sta_buffer_init(struct sta_buffer *buffer, size_t limit)
{
    *buffer = (struct sta_buffer){.limit = limit};
}

void sta_buffer_fini(struct sta_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct sta_buffer){0};
}

/* The next capacity that holds `need` bytes: half again as much as now, within the limit. */
static size_t buffer_next_cap(const struct sta_buffer *buffer, size_t need)
{
    size_t cap = buffer->cap + buffer->cap / 2;
    if (cap < BUFFER_FIRST)
        cap = BUFFER_FIRST;
    if (cap < need)
        cap = need;
    return cap < buffer->limit ? cap : buffer->limit;
}

int sta_buffer_reserve_slow(struct sta_buffer *buffer, size_t more)
{
    size_t len = sta_buffer_len(buffer);
    if (more > buffer->limit || len > buffer->limit - more)
        return STRATA_ERR_TOO_BIG;
    size_t need = len + more;
    /* Moving the content down is cheaper than growing while at most half of it is content. */
    if (need <= buffer->cap && len <= buffer->cap / 2) {
        memmove(buffer->data, buffer->data + buffer->head, len);
        buffer->head = 0;
        buffer->tail = len;
        return STRATA_OK;
    }
    size_t cap = buffer_next_cap(buffer, need);
    uint8_t *data = malloc(cap);
    if (data == NULL)
        return STRATA_ERR_NOMEM;
    if (len > 0)
        memcpy(data, buffer->data + buffer->head, len);
    free(buffer->data);
    buffer->data = data;
    buffer->head = 0;
    buffer->tail = len;
    buffer->cap = cap;
    return STRATA_OK;
}

int sta_buffer_append(struct sta_buffer *buffer, struct strata_bytes bytes)
{
    int status = sta_buffer_reserve(buffer, bytes.len);
    if (status < 0)
        return status;
    if (bytes.len > 0)
        memcpy(sta_buffer_end(buffer), bytes.data, bytes.len);
    sta_buffer_advance(buffer, bytes.len);
    return STRATA_OK;
}

void sta_buffer_consume(struct sta_buffer *buffer, size_t count)
{
    assert(count <= sta_buffer_len(buffer));
    buffer->head += count;
    if (buffer->head < buffer->tail)
        return;
    buffer->head = 0;
    buffer->tail = 0;
    if (buffer->cap > STA_BUFFER_KEEP)
        sta_buffer_clear(buffer);
}

void *sta_buffer_take(struct sta_buffer *buffer)
{
    void *data = buffer->data;
    *buffer = (struct sta_buffer){.limit = buffer->limit};
    return data;
}

void sta_buffer_clear(struct sta_buffer *buffer)
{
    free(sta_buffer_take(buffer));
}
