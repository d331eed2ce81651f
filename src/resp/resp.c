/* SPDX-License-Identifier: MIT
 *
 * Walking over complete frames, and the limits that suit Redis.
 *
 * A walk is a slice that gets shorter: aggregates are told by their heads, their elements are
 * the values that follow, so nothing nests here and nothing is kept.
 */
#include "resp/resp.h"

#include "resp/resp_head.h"
#include "resp/resp_number.h"
#include "strata/status.h"

const struct sta_resp_limits sta_resp_reply_limits = {
    .depth = STA_RESP_DEPTH_MAX,
    .bulk_bytes = 512ull << 20,
    .elements = 1ull << 28,
    .line_bytes = 1ull << 20,
    .total_bytes = 1ull << 30,
};

const struct sta_resp_limits sta_resp_request_limits = {
    .depth = 1,
    .bulk_bytes = 512ull << 20,
    .elements = 1ull << 20,
    .line_bytes = 64ull << 10,
    .total_bytes = 1ull << 30,
};

/* The least that any value takes: "_\r\n". */
#define VALUE_BYTES_MIN 3u

struct sta_resp_walk sta_resp_walk(struct strata_bytes frames)
{
    return (struct sta_resp_walk){.rest = frames};
}

/* The body behind the head; `rest` holds all that is left. */
static int walk_body(struct strata_bytes rest, const struct sta_resp_head *head,
                     struct sta_resp_value *value)
{
    const uint8_t *body = (const uint8_t *)rest.data + head->len;
    size_t room = rest.len - head->len;
    if (room < 2 || head->number > room - 2)
        return STRATA_ERR_PROTOCOL;
    size_t len = (size_t)head->number;
    if (memcmp(body + len, "\r\n", 2) != 0)
        return STRATA_ERR_PROTOCOL;
    value->raw.len += len + 2;
    if (head->type == STA_RESP_VERBATIM) {
        memcpy(value->format, body, 3);
        body += 4;
        len -= 4;
    }
    value->bytes = strata_bytes(body, len);
    return STRATA_OK;
}

/* What only a walk wants to know of a head. */
static int walk_fill(struct strata_bytes rest, const struct sta_resp_head *head,
                     struct sta_resp_value *value)
{
    switch (head->shape) {
    case STA_RESP_SHAPE_BODY:
        return walk_body(rest, head, value);
    case STA_RESP_SHAPE_AGGREGATE:
        if (head->number > (rest.len - head->len) / VALUE_BYTES_MIN)
            return STRATA_ERR_PROTOCOL;
        bool pairs = head->type == STA_RESP_MAP || head->type == STA_RESP_ATTRIBUTE;
        value->count = head->number >> pairs;
        return STRATA_OK;
    case STA_RESP_SHAPE_LINE:
        break;
    }
    value->bytes = head->text;
    value->integer = head->integer;
    if (head->type == STA_RESP_DOUBLE)
        value->real = sta_resp_number_real(head->text);
    return STRATA_OK;
}

int sta_resp_next(struct sta_resp_walk *walk, struct sta_resp_value *value)
{
    struct strata_bytes rest = walk->rest;
    if (rest.len == 0)
        return STRATA_MISS;
    struct sta_resp_head head = {0};
    const char *reason = NULL;
    uint64_t scanned = 0;
    if (sta_resp_head_read(rest, UINT64_MAX, &scanned, &head, &reason) != STRATA_OK)
        return STRATA_ERR_PROTOCOL;
    struct sta_resp_value found = {.type = head.type, .raw = strata_bytes(rest.data, head.len)};
    int status = walk_fill(rest, &head, &found);
    if (status != STRATA_OK)
        return status;
    *value = found;
    walk->rest = strata_bytes((const uint8_t *)rest.data + found.raw.len, rest.len - found.raw.len);
    return STRATA_OK;
}

/* How many values must follow this one for it to be whole. No sum of these overflows: each
 * count is bounded by the bytes that are left, and every step takes at least three of them. */
static uint64_t walk_owed(const struct sta_resp_value *value)
{
    switch (value->type) {
    case STA_RESP_ARRAY:
    case STA_RESP_SET:
    case STA_RESP_PUSH:
        return value->count;
    case STA_RESP_MAP:
        return value->count * 2;
    case STA_RESP_ATTRIBUTE:
        return value->count * 2 + 1;
    default:
        return 0;
    }
}

int sta_resp_skip(struct sta_resp_walk *walk, struct strata_bytes *raw)
{
    if (walk->rest.len == 0)
        return STRATA_MISS;
    struct sta_resp_walk ahead = *walk;
    for (uint64_t owed = 1; owed > 0; owed--) {
        struct sta_resp_value value;
        if (sta_resp_next(&ahead, &value) != STRATA_OK)
            return STRATA_ERR_PROTOCOL;
        owed += walk_owed(&value);
    }
    if (raw != NULL)
        *raw = strata_bytes(walk->rest.data, walk->rest.len - ahead.rest.len);
    *walk = ahead;
    return STRATA_OK;
}
