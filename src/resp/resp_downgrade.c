/* SPDX-License-Identifier: MIT
 *
 * RESP3 replies in the words of RESP2, by type alone. Flat: each head is rewritten where it
 * stands, elements follow by themselves, and only attributes are passed over.
 *
 * A frame grows by at most 7 bytes for 4 ("," with one digit), so the output is less than twice
 * the input.
 */
#include "resp/resp.h"
#include "strata/status.h"

static int downgrade_line(struct sta_buffer *out, const struct sta_resp_value *value)
{
    switch (value->type) {
    case STA_RESP_NULL:
        return sta_resp_write_null(out, 2);
    case STA_RESP_BOOLEAN:
        return sta_resp_write_boolean(out, value->integer != 0, 2);
    case STA_RESP_DOUBLE:
        return sta_resp_write_bulk(out, value->bytes); /* the text: no digit is lost */
    case STA_RESP_BIG_NUMBER:
        return sta_resp_write_big_number(out, value->bytes, 2);
    default: /* the same in both: simple, error, integer, null array */
        return sta_buffer_append(out, value->raw);
    }
}

static int downgrade_value(struct sta_buffer *out, struct sta_resp_walk *walk,
                           const struct sta_resp_value *value)
{
    switch (value->type) {
    case STA_RESP_BULK:
        return sta_buffer_append(out, value->raw);
    case STA_RESP_VERBATIM:
        return sta_resp_write_verbatim(out, value->format, value->bytes, 2);
    case STA_RESP_BULK_ERROR:
        return sta_resp_write_bulk_error(out, value->bytes, 2);
    case STA_RESP_ARRAY:
    case STA_RESP_SET:
    case STA_RESP_PUSH:
    case STA_RESP_MAP:
        return sta_resp_write_header(out, value->type, value->count, 2);
    case STA_RESP_ATTRIBUTE:
        for (uint64_t i = 0; i < value->count * 2; i++) {
            if (sta_resp_skip(walk, NULL) != STRATA_OK)
                return STRATA_ERR_PROTOCOL;
        }
        return STRATA_OK;
    default:
        return downgrade_line(out, value);
    }
}

int sta_resp_downgrade(struct sta_buffer *out, struct strata_bytes frame)
{
    const size_t before = sta_buffer_len(out);
    struct sta_resp_walk walk = sta_resp_walk(frame);
    struct sta_resp_value value;
    int status;
    while ((status = sta_resp_next(&walk, &value)) == STRATA_OK) {
        status = downgrade_value(out, &walk, &value);
        if (status < 0)
            break;
    }
    if (status != STRATA_MISS) {
        out->tail = out->head + before;
        return status;
    }
    return STRATA_OK;
}
