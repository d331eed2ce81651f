/* SPDX-License-Identifier: MIT
 *
 * The arguments of a complete request. Arrays of bulks are sliced in place. Inline commands are
 * split as Redis does it: at blanks, with "double quotes" that know \n \r \t \b \a \xHH and
 * 'single quotes' that know \', each closed before a blank or the line's end.
 *
 * One splitter serves counting and filling, so both see the same arguments.
 */
#include <string.h>

#include "resp/resp.h"
#include "resp/resp_number.h"
#include "strata/status.h"

/* ---- arrays of bulks ---- */

static bool request_is_array(struct strata_bytes frame)
{
    return frame.len > 0 && *(const uint8_t *)frame.data == '*';
}

/* The least that an argument takes: "$0\r\n\r\n". */
#define ARGUMENT_BYTES_MIN 6

/* "*N\r\n"; *cursor moves behind it. */
static int array_count(const uint8_t **cursor, const uint8_t *end, size_t *argc)
{
    const char *reason = NULL;
    int64_t count = 0;
    ++*cursor;
    if (sta_resp_number_line(cursor, end, &count, &reason) != STRATA_OK)
        return STRATA_ERR_PROTOCOL;
    if (count > (end - *cursor) / ARGUMENT_BYTES_MIN)
        return STRATA_ERR_PROTOCOL;
    *argc = count > 0 ? (size_t)count : 0;
    return STRATA_OK;
}

static int array_args(struct strata_bytes frame, struct strata_bytes *argv, size_t argc)
{
    const uint8_t *cursor = frame.data;
    const uint8_t *end = cursor + frame.len;
    const char *reason = NULL;
    size_t count = 0;
    if (array_count(&cursor, end, &count) < 0 || count != argc)
        return STRATA_ERR_PROTOCOL;
    for (size_t i = 0; i < argc; i++) {
        int64_t length = 0;
        if (cursor == end || *cursor++ != '$')
            return STRATA_ERR_PROTOCOL;
        if (sta_resp_number_line(&cursor, end, &length, &reason) != STRATA_OK || length < 0 ||
            length > end - cursor - 2)
            return STRATA_ERR_PROTOCOL;
        argv[i] = strata_bytes(cursor, (size_t)length);
        cursor += length + 2;
    }
    return STRATA_OK;
}

/* ---- inline commands ---- */

struct inline_split {
    const uint8_t *at;
    const uint8_t *end;
    uint8_t *scratch; /* NULL: count only */
};

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* What ends an argument outside of quotes: fewer than the blanks between them, as in Redis. */
static bool is_end(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static int hex_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    uint8_t lower = byte | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static void inline_put(struct inline_split *split, uint8_t byte)
{
    if (split->scratch != NULL)
        *split->scratch++ = byte;
}

static uint8_t escape_value(uint8_t letter)
{
    switch (letter) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return letter;
    }
}

/* A backslash within double quotes; the last byte of the line is only itself. */
static void inline_escape(struct inline_split *split)
{
    const uint8_t *at = split->at;
    size_t room = (size_t)(split->end - at);
    if (room >= 4 && at[1] == 'x' && hex_value(at[2]) >= 0 && hex_value(at[3]) >= 0) {
        inline_put(split, (uint8_t)(hex_value(at[2]) * 16 + hex_value(at[3])));
        split->at += 4;
    } else if (room >= 2) {
        inline_put(split, escape_value(at[1]));
        split->at += 2;
    } else {
        inline_put(split, *at);
        split->at++;
    }
}

/* From behind an opening quote to behind the closing one. */
static int inline_quoted(struct inline_split *split, uint8_t quote)
{
    while (split->at < split->end) {
        uint8_t byte = *split->at;
        if (byte == quote) {
            split->at++;
            bool closed = split->at == split->end || is_blank(*split->at);
            return closed ? STRATA_OK : STRATA_ERR_PROTOCOL;
        }
        if (byte == '\\' && quote == '"') {
            inline_escape(split);
        } else if (byte == '\\' && split->end - split->at >= 2 && split->at[1] == '\'') {
            inline_put(split, '\'');
            split->at += 2;
        } else {
            inline_put(split, byte);
            split->at++;
        }
    }
    return STRATA_ERR_PROTOCOL;
}

/* Copies an argument with quotes in it to scratch, from the argument's first byte on. A closing
 * quote ends the argument. */
static int inline_unquote(struct inline_split *split)
{
    while (split->at < split->end && !is_end(*split->at)) {
        uint8_t byte = *split->at++;
        if (byte == '"' || byte == '\'')
            return inline_quoted(split, byte);
        inline_put(split, byte);
    }
    return STRATA_OK;
}

/* The next argument: STRATA_OK, STRATA_MISS at the line's end, STRATA_ERR_PROTOCOL. */
static int inline_next(struct inline_split *split, struct strata_bytes *arg)
{
    while (split->at < split->end && is_blank(*split->at))
        split->at++;
    if (split->at == split->end)
        return STRATA_MISS;
    const uint8_t *begin = split->at;
    const uint8_t *at = begin;
    while (at < split->end && !is_end(*at) && *at != '"' && *at != '\'')
        at++;
    if (at == split->end || is_end(*at)) {
        split->at = at;
        *arg = strata_bytes(begin, (size_t)(at - begin));
        return STRATA_OK;
    }
    uint8_t *copy = split->scratch;
    int status = inline_unquote(split);
    if (status == STRATA_OK && copy != NULL)
        *arg = strata_bytes(copy, (size_t)(split->scratch - copy));
    return status;
}

static struct inline_split inline_split(struct strata_bytes frame, uint8_t *scratch)
{
    const uint8_t *begin = frame.data;
    return (struct inline_split){.at = begin, .end = begin + frame.len, .scratch = scratch};
}

/* ---- the door ---- */

int sta_resp_request_count(struct strata_bytes frame, size_t *argc)
{
    const uint8_t *cursor = frame.data;
    if (request_is_array(frame))
        return array_count(&cursor, cursor + frame.len, argc);
    struct inline_split split = inline_split(frame, NULL);
    struct strata_bytes arg;
    size_t count = 0;
    int status;
    while ((status = inline_next(&split, &arg)) == STRATA_OK)
        count++;
    if (status < 0)
        return status;
    *argc = count;
    return STRATA_OK;
}

int sta_resp_request_args(struct strata_bytes frame, struct strata_bytes *argv, size_t argc,
                          uint8_t *scratch)
{
    if (request_is_array(frame))
        return array_args(frame, argv, argc);
    struct inline_split split = inline_split(frame, scratch);
    for (size_t i = 0; i < argc; i++) {
        if (inline_next(&split, &argv[i]) != STRATA_OK)
            return STRATA_ERR_PROTOCOL;
    }
    return STRATA_OK;
}
