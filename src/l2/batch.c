/* SPDX-License-Identifier: MIT
 *
 * See batch.h. The wire is written once, straight into the buffer that the connection sends
 * from; keys are never joined with their prefix anywhere else.
 */
#include "l2/batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "strata/status.h"

#define COMMAND_OVERHEAD 128u /* headers, names and numbers of one command, generously */
#define TTL_TEXT_CAP     24u
#define TTL_MOST_MS      ((uint64_t)INT64_MAX / 2) /* Redis adds the wall clock, in 63 bits */

/* ---- encoding ---- */

/* The appenders below write into room that append_room() made; they cannot fail. */
static void append_bytes(struct sta_buffer *wire, const void *data, size_t len)
{
    if (len > 0)
        memcpy(sta_buffer_end(wire), data, len);
    sta_buffer_advance(wire, len);
}

static void append_text(struct sta_buffer *wire, const char *text)
{
    append_bytes(wire, text, strlen(text));
}

/* One bulk made of two parts. */
static void append_bulk(struct sta_buffer *wire, struct strata_bytes head, struct strata_bytes tail)
{
    char header[TTL_TEXT_CAP];
    int len = snprintf(header, sizeof header, "$%zu\r\n", head.len + tail.len);
    append_bytes(wire, header, (size_t)len);
    append_bytes(wire, head.data, head.len);
    append_bytes(wire, tail.data, tail.len);
    append_text(wire, "\r\n");
}

static int append_room(struct sta_batch *batch, size_t keys, struct strata_bytes key,
                       size_t value_len)
{
    size_t per_key = batch->prefix.len + key.len + COMMAND_OVERHEAD;
    if (value_len > batch->wire.limit || per_key > batch->wire.limit)
        return STRATA_ERR_TOO_BIG;
    return sta_buffer_reserve(&batch->wire, keys * per_key + value_len);
}

void sta_batch_init(struct sta_batch *batch, struct strata_bytes prefix,
                    void (*done)(struct sta_batch *, int, struct strata_bytes))
{
    *batch = (struct sta_batch){.prefix = prefix, .done = done};
    sta_buffer_init(&batch->wire, STA_BATCH_WIRE_MAX);
}

void sta_batch_fini(struct sta_batch *batch)
{
    sta_buffer_fini(&batch->wire);
}

int sta_batch_get(struct sta_batch *batch, struct strata_bytes key)
{
    int status = append_room(batch, 2, key, 0);
    if (status < 0)
        return status;
    append_text(&batch->wire, "*2\r\n$3\r\nGET\r\n");
    append_bulk(&batch->wire, batch->prefix, key);
    append_text(&batch->wire, "*2\r\n$4\r\nPTTL\r\n");
    append_bulk(&batch->wire, batch->prefix, key);
    batch->request.commands += 2;
    return STRATA_OK;
}

int sta_batch_set(struct sta_batch *batch, struct strata_bytes key, struct strata_bytes value,
                  uint64_t ttl_ms)
{
    int status = append_room(batch, 1, key, value.len);
    if (status < 0)
        return status;
    bool expires = ttl_ms <= TTL_MOST_MS;
    append_text(&batch->wire, expires ? "*5\r\n$3\r\nSET\r\n" : "*3\r\n$3\r\nSET\r\n");
    append_bulk(&batch->wire, batch->prefix, key);
    append_bulk(&batch->wire, value, strata_bytes(NULL, 0));
    if (expires) {
        char text[TTL_TEXT_CAP];
        int len = snprintf(text, sizeof text, "%" PRIu64, ttl_ms);
        append_text(&batch->wire, "$2\r\nPX\r\n");
        append_bulk(&batch->wire, strata_bytes(text, (size_t)len), strata_bytes(NULL, 0));
    }
    batch->request.commands += 1;
    return STRATA_OK;
}

int sta_batch_delete(struct sta_batch *batch, struct strata_bytes key)
{
    int status = append_room(batch, 1, key, 0);
    if (status < 0)
        return status;
    append_text(&batch->wire, "*2\r\n$6\r\nUNLINK\r\n");
    append_bulk(&batch->wire, batch->prefix, key);
    batch->request.commands += 1;
    return STRATA_OK;
}

static void batch_done(struct sta_request *request, int status, struct strata_bytes replies)
{
    struct sta_batch *batch = STA_CONTAINER(request, struct sta_batch, request);
    batch->done(batch, status, replies);
}

void sta_batch_submit(struct sta_batch *batch, struct sta_l2 *l2, uint64_t deadline_ns)
{
    batch->request.wire = sta_buffer_bytes(&batch->wire);
    batch->request.deadline_ns = deadline_ns;
    batch->request.done = batch_done;
    sta_l2_submit(l2, &batch->request);
}

/* ---- decoding ---- */

static bool error_begins(const struct sta_resp_value *value, const char *code)
{
    size_t len = strlen(code);
    return value->bytes.len >= len && memcmp(value->bytes.data, code, len) == 0;
}

/* The next reply, which is one value; errors of Redis become codes. */
static int next_value(struct sta_resp_walk *replies, struct sta_resp_value *value)
{
    if (sta_resp_next(replies, value) != STRATA_OK)
        return STRATA_ERR_PROTOCOL;
    if (value->type != STA_RESP_ERROR && value->type != STA_RESP_BULK_ERROR)
        return STRATA_OK;
    if (error_begins(value, "NOAUTH") || error_begins(value, "NOPERM"))
        return STRATA_ERR_DENIED;
    return STRATA_ERR_SERVER;
}

int sta_batch_next_get(struct sta_resp_walk *replies, struct strata_bytes *value, uint64_t *ttl_ms)
{
    struct sta_resp_value got, ttl;
    int got_status = next_value(replies, &got);
    int ttl_status = next_value(replies, &ttl);
    if (got_status < 0)
        return got_status;
    if (got.type == STA_RESP_NULL)
        return STRATA_MISS;
    if (got.type != STA_RESP_BULK)
        return STRATA_ERR_PROTOCOL;
    *value = got.bytes;
    /* Where the TTL is refused (a user without rights to PTTL), the value is still right: only
     * nobody may keep it. Redis answers -1 for "no expiry" and -2 for "gone meanwhile". */
    if (ttl_status < 0 || ttl.type != STA_RESP_INTEGER || ttl.integer < -1)
        *ttl_ms = 0;
    else
        *ttl_ms = ttl.integer == -1 ? UINT64_MAX : (uint64_t)ttl.integer;
    return STRATA_OK;
}

int sta_batch_next_set(struct sta_resp_walk *replies)
{
    struct sta_resp_value value;
    int status = next_value(replies, &value);
    if (status < 0)
        return status;
    return value.type == STA_RESP_SIMPLE ? STRATA_OK : STRATA_ERR_PROTOCOL;
}

int sta_batch_next_delete(struct sta_resp_walk *replies)
{
    struct sta_resp_value value;
    int status = next_value(replies, &value);
    if (status < 0)
        return status;
    if (value.type != STA_RESP_INTEGER)
        return STRATA_ERR_PROTOCOL;
    return value.integer > 0 ? STRATA_OK : STRATA_MISS;
}
