/* SPDX-License-Identifier: MIT
 *
 * Framing of replies: where does the value that begins here end?
 *
 * The framer counts, per open aggregate, the values still to come. A value takes one from the
 * innermost aggregate when its head is read; an attribute takes none, because the value that it
 * belongs to will. Aggregates with nothing left to come are closed at once, so the frame ends
 * where its own value has begun, no aggregate is open and no body is under way.
 *
 *   *2 [ $3 foo, |1 { +k, +v } :7 ]       depth  remaining
 *   ^                                       1    2
 *      ^                                    1    1
 *              ^                            2    1, 2
 *                    ^   ^                  1    1
 *                            ^              0
 *
 * Memory: the framer, whatever is announced. A body is an addition to `offset`, not a loop.
 */
#include <string.h>

#include "resp/resp.h"
#include "resp/resp_head.h"
#include "strata/status.h"

_Static_assert(sizeof(struct sta_resp_framer) <= 24 + 4 * STA_RESP_DEPTH_MAX, "framer grew");
_Static_assert(sizeof(struct sta_resp_request_framer) <= 24, "request framer grew");

static int frame_too_big(const char **reason, const char *why)
{
    *reason = why;
    return STRATA_ERR_TOO_BIG;
}

/* Takes the value from the aggregate that it stands in, and opens the one that it is. */
static int frame_count(struct sta_resp_framer *framer, const struct sta_resp_limits *limits,
                       const struct sta_resp_head *head, const char **reason)
{
    bool opens = head->shape == STA_RESP_SHAPE_AGGREGATE && head->number > 0;
    if (opens && (head->number > limits->elements || head->number > UINT32_MAX))
        return frame_too_big(reason, "an aggregate has more elements than the limit");
    if (opens && (framer->depth >= limits->depth || framer->depth >= STA_RESP_DEPTH_MAX))
        return frame_too_big(reason, "aggregates are nested deeper than the limit");
    if (head->type != STA_RESP_ATTRIBUTE) {
        if (framer->depth == 0)
            framer->taken = true;
        else
            framer->remaining[framer->depth - 1]--;
    }
    if (opens)
        framer->remaining[framer->depth++] = (uint32_t)head->number;
    while (framer->depth > 0 && framer->remaining[framer->depth - 1] == 0)
        framer->depth--;
    return STRATA_OK;
}

static int frame_head(struct sta_resp_framer *framer, const struct sta_resp_limits *limits,
                      struct strata_bytes data, const char **reason)
{
    if (data.len <= framer->offset)
        return STRATA_MORE;
    struct strata_bytes rest = strata_bytes((const uint8_t *)data.data + framer->offset,
                                            data.len - (size_t)framer->offset);
    struct sta_resp_head head = {0};
    int status = sta_resp_head_read(rest, limits->line_bytes, &framer->scanned, &head, reason);
    if (status != STRATA_OK)
        return status;
    bool body = head.shape == STA_RESP_SHAPE_BODY;
    if (body && head.number > limits->bulk_bytes)
        return frame_too_big(reason, "a string is longer than the limit");
    /* No overflow: lengths are below 2^63, and what has come is far from it. */
    uint64_t end = framer->offset + head.len + (body ? head.number + 2 : 0);
    if (end > limits->total_bytes)
        return frame_too_big(reason, "a message is longer than the limit");
    status = frame_count(framer, limits, &head, reason);
    if (status != STRATA_OK)
        return status;
    framer->offset = end;
    framer->scanned = 0;
    framer->body = body;
    return STRATA_OK;
}

static int frame_body(struct sta_resp_framer *framer, struct strata_bytes data, const char **reason)
{
    if (data.len < framer->offset)
        return STRATA_MORE;
    if (memcmp((const uint8_t *)data.data + framer->offset - 2, "\r\n", 2) != 0) {
        *reason = "a string does not end with CR LF";
        return STRATA_ERR_PROTOCOL;
    }
    framer->body = false;
    return STRATA_OK;
}

int sta_resp_frame(struct sta_resp_framer *framer, const struct sta_resp_limits *limits,
                   struct strata_bytes data, size_t *frame_len, const char **reason)
{
    do {
        int status = framer->body ? STRATA_OK : frame_head(framer, limits, data, reason);
        if (status == STRATA_OK && framer->body)
            status = frame_body(framer, data, reason);
        if (status != STRATA_OK)
            return status;
    } while (framer->depth > 0 || !framer->taken);
    *frame_len = (size_t)framer->offset;
    framer->offset = 0;
    framer->taken = false;
    return STRATA_OK;
}
