/* SPDX-License-Identifier: MIT
 *
 * Writers. Each finds out how long its value is, reserves that much once, and then cannot fail:
 * so a buffer never holds half a value.
 */
#include <string.h>

#include "resp/resp.h"
#include "resp/resp_number.h"
#include "strata/status.h"

/* A type byte, a number of at most 20 bytes, CR LF. */
#define HEAD_MAX (STA_RESP_NUMBER_MAX + 3)

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t len)
{
    if (len > 0)
        memcpy(at, bytes, len);
    return at + len;
}

static uint8_t *put_end(uint8_t *at)
{
    at[0] = '\r';
    at[1] = '\n';
    return at + 2;
}

static uint8_t *put_head(uint8_t *at, char type, uint64_t number)
{
    *at++ = (uint8_t)type;
    at += sta_resp_number_format_unsigned(at, number);
    return put_end(at);
}

static uint8_t *put_bulk(uint8_t *at, char type, struct strata_bytes bytes)
{
    at = put_head(at, type, bytes.len);
    at = put_bytes(at, bytes.data, bytes.len);
    return put_end(at);
}

static void advance_to(struct sta_buffer *out, const uint8_t *end)
{
    sta_buffer_advance(out, (size_t)(end - sta_buffer_end(out)));
}

/* Room for `text` bytes with a head and CR LF. */
static int reserve_text(struct sta_buffer *out, size_t text)
{
    if (text > SIZE_MAX - HEAD_MAX - 2)
        return STRATA_ERR_TOO_BIG;
    return sta_buffer_reserve(out, text + HEAD_MAX + 2);
}

static int write_bulk(struct sta_buffer *out, char type, struct strata_bytes bytes)
{
    int status = reserve_text(out, bytes.len);
    if (status < 0)
        return status;
    advance_to(out, put_bulk(sta_buffer_end(out), type, bytes));
    return STRATA_OK;
}

/* One line; CR and LF within it become spaces, for they would end it. */
static int write_line(struct sta_buffer *out, char type, struct strata_bytes text)
{
    int status = reserve_text(out, text.len);
    if (status < 0)
        return status;
    uint8_t *at = sta_buffer_end(out);
    *at++ = (uint8_t)type;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = ((const uint8_t *)text.data)[i];
        *at++ = byte == '\r' || byte == '\n' ? ' ' : byte;
    }
    advance_to(out, put_end(at));
    return STRATA_OK;
}

static int write_constant(struct sta_buffer *out, const char *text)
{
    return sta_buffer_append(out, strata_text(text));
}

int sta_resp_write_command(struct sta_buffer *out, const struct strata_bytes *argv, size_t argc)
{
    size_t need = HEAD_MAX;
    for (size_t i = 0; i < argc; i++) {
        if (argv[i].len > SIZE_MAX - need - HEAD_MAX - 2)
            return STRATA_ERR_TOO_BIG;
        need += argv[i].len + HEAD_MAX + 2;
    }
    int status = sta_buffer_reserve(out, need);
    if (status < 0)
        return status;
    uint8_t *at = put_head(sta_buffer_end(out), '*', argc);
    for (size_t i = 0; i < argc; i++)
        at = put_bulk(at, '$', argv[i]);
    advance_to(out, at);
    return STRATA_OK;
}

int sta_resp_write_simple(struct sta_buffer *out, const char *text)
{
    return write_line(out, '+', strata_text(text));
}

int sta_resp_write_error(struct sta_buffer *out, const char *text)
{
    return write_line(out, '-', strata_text(text));
}

int sta_resp_write_integer(struct sta_buffer *out, int64_t value)
{
    int status = sta_buffer_reserve(out, HEAD_MAX);
    if (status < 0)
        return status;
    uint8_t *at = sta_buffer_end(out);
    *at++ = ':';
    at += sta_resp_number_format(at, value);
    advance_to(out, put_end(at));
    return STRATA_OK;
}

int sta_resp_write_bulk(struct sta_buffer *out, struct strata_bytes bytes)
{
    return write_bulk(out, '$', bytes);
}

/* A header for a length of three digits is expected; for another, the bytes move a little. */
#define LIKELY_HEAD 6u /* $100 and the end of the line */

uint8_t *sta_resp_open_bulk(struct sta_buffer *out, size_t most)
{
    if (sta_buffer_reserve(out, HEAD_MAX + most + 2) < 0)
        return NULL;
    return sta_buffer_end(out) + LIKELY_HEAD;
}

void sta_resp_close_bulk(struct sta_buffer *out, size_t len)
{
    uint8_t head[HEAD_MAX] = {'$'};
    uint8_t *at = sta_buffer_end(out);
    size_t head_len =
        (size_t)(put_end(head + 1 + sta_resp_number_format_unsigned(head + 1, len)) - head);
    if (head_len != LIKELY_HEAD)
        memmove(at + head_len, at + LIKELY_HEAD, len);
    memcpy(at, head, head_len);
    advance_to(out, put_end(at + head_len + len));
}

void sta_resp_put_bulk_head(struct sta_buffer *out, size_t len)
{
    uint8_t *at = sta_buffer_end(out);
    *at = '$';
    advance_to(out, put_end(at + 1 + sta_resp_number_format_unsigned(at + 1, len)));
}

int sta_resp_write_null(struct sta_buffer *out, int protocol)
{
    return write_constant(out, protocol >= 3 ? "_\r\n" : "$-1\r\n");
}

int sta_resp_write_null_array(struct sta_buffer *out, int protocol)
{
    return write_constant(out, protocol >= 3 ? "_\r\n" : "*-1\r\n");
}

int sta_resp_write_boolean(struct sta_buffer *out, bool value, int protocol)
{
    if (protocol >= 3)
        return write_constant(out, value ? "#t\r\n" : "#f\r\n");
    return write_constant(out, value ? ":1\r\n" : ":0\r\n");
}

int sta_resp_write_double(struct sta_buffer *out, double value, int protocol)
{
    char text[32];
    struct strata_bytes bytes = strata_bytes(text, sta_resp_number_format_real(text, value));
    return protocol >= 3 ? write_line(out, ',', bytes) : write_bulk(out, '$', bytes);
}

int sta_resp_write_verbatim(struct sta_buffer *out, const char format[4], struct strata_bytes bytes,
                            int protocol)
{
    if (protocol < 3)
        return write_bulk(out, '$', bytes);
    if (bytes.len > SIZE_MAX - HEAD_MAX - 6)
        return STRATA_ERR_TOO_BIG;
    int status = reserve_text(out, bytes.len + 4);
    if (status < 0)
        return status;
    uint8_t *at = put_head(sta_buffer_end(out), '=', bytes.len + 4);
    at = put_bytes(at, format, 3);
    *at++ = ':';
    at = put_bytes(at, bytes.data, bytes.len);
    advance_to(out, put_end(at));
    return STRATA_OK;
}

int sta_resp_write_big_number(struct sta_buffer *out, struct strata_bytes digits, int protocol)
{
    return protocol >= 3 ? write_line(out, '(', digits) : write_bulk(out, '$', digits);
}

int sta_resp_write_bulk_error(struct sta_buffer *out, struct strata_bytes text, int protocol)
{
    return protocol >= 3 ? write_bulk(out, '!', text) : write_line(out, '-', text);
}

/* 0 where `type` is no aggregate of this protocol. */
static char header_byte(enum sta_resp_type type, int protocol)
{
    switch (type) {
    case STA_RESP_ARRAY:
        return '*';
    case STA_RESP_SET:
        return protocol >= 3 ? '~' : '*';
    case STA_RESP_PUSH:
        return protocol >= 3 ? '>' : '*';
    case STA_RESP_MAP:
        return protocol >= 3 ? '%' : '*';
    case STA_RESP_ATTRIBUTE:
        return protocol >= 3 ? '|' : '\0';
    default:
        return '\0';
    }
}

int sta_resp_write_header(struct sta_buffer *out, enum sta_resp_type type, uint64_t count,
                          int protocol)
{
    char byte = header_byte(type, protocol);
    bool doubles = type == STA_RESP_MAP && protocol < 3;
    if (byte == '\0' || count > (uint64_t)INT64_MAX >> doubles)
        return STRATA_ERR_INVALID;
    int status = sta_buffer_reserve(out, HEAD_MAX);
    if (status < 0)
        return status;
    advance_to(out, put_head(sta_buffer_end(out), byte, count << doubles));
    return STRATA_OK;
}
