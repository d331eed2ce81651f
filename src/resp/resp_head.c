/* SPDX-License-Identifier: MIT
 *
 * Reads one head: a type byte, then by its kind a number, a line of text, or a fixed letter.
 * Nothing is kept here; what is read lies in the caller's bytes.
 */
#include "resp/resp_head.h"

#include <string.h>

#include "resp/resp_number.h"

enum head_kind {
    HEAD_UNKNOWN,
    HEAD_TEXT,    /* a line of text */
    HEAD_INTEGER, /* a number that is the value */
    HEAD_LENGTH,  /* a number of bytes */
    HEAD_COUNT,   /* a number of values */
    HEAD_PAIRS,   /* a number of pairs */
    HEAD_NULL,
    HEAD_BOOLEAN,
    HEAD_STREAMED
};

struct head_rule {
    uint8_t kind;
    uint8_t type;
};

static const struct head_rule head_rules[256] = {
    ['+'] = {HEAD_TEXT, STA_RESP_SIMPLE},
    ['-'] = {HEAD_TEXT, STA_RESP_ERROR},
    [':'] = {HEAD_INTEGER, STA_RESP_INTEGER},
    ['$'] = {HEAD_LENGTH, STA_RESP_BULK},
    ['!'] = {HEAD_LENGTH, STA_RESP_BULK_ERROR},
    ['='] = {HEAD_LENGTH, STA_RESP_VERBATIM},
    ['_'] = {HEAD_NULL, STA_RESP_NULL},
    ['#'] = {HEAD_BOOLEAN, STA_RESP_BOOLEAN},
    [','] = {HEAD_TEXT, STA_RESP_DOUBLE},
    ['('] = {HEAD_TEXT, STA_RESP_BIG_NUMBER},
    ['*'] = {HEAD_COUNT, STA_RESP_ARRAY},
    ['~'] = {HEAD_COUNT, STA_RESP_SET},
    ['>'] = {HEAD_COUNT, STA_RESP_PUSH},
    ['%'] = {HEAD_PAIRS, STA_RESP_MAP},
    ['|'] = {HEAD_PAIRS, STA_RESP_ATTRIBUTE},
    [';'] = {HEAD_STREAMED, 0},
    ['.'] = {HEAD_STREAMED, 0},
};

static int head_bad(const char **reason, const char *why)
{
    *reason = why;
    return STRATA_ERR_PROTOCOL;
}

static int head_streamed(const char **reason)
{
    return head_bad(reason, "streamed strings and aggregates are not supported");
}

/* Finds the line's end from *scanned on; head->text becomes the line. */
static int head_line(const uint8_t *at, size_t len, uint64_t line_bytes, uint64_t *scanned,
                     struct sta_resp_head *head, const char **reason)
{
    /* The CR may stand behind line_bytes bytes of text, which begin at 1. */
    size_t window = len - 1 > line_bytes ? (size_t)line_bytes + 2 : len;
    size_t from = *scanned > 1 ? (size_t)*scanned : 1;
    const uint8_t *cr = from < window ? memchr(at + from, '\r', window - from) : NULL;
    if (cr == NULL && len - 1 > line_bytes) {
        *reason = "a line is longer than the limit";
        return STRATA_ERR_TOO_BIG;
    }
    if (cr == NULL || cr + 1 == at + len) {
        *scanned = cr == NULL ? len : (size_t)(cr - at);
        return STRATA_MORE;
    }
    if (cr[1] != '\n')
        return head_bad(reason, "a line has a carriage return that is not its end");
    head->text = strata_bytes(at + 1, (size_t)(cr - at) - 1);
    head->len = (size_t)(cr - at) + 2;
    return STRATA_OK;
}

static bool text_is_big_number(struct strata_bytes text)
{
    const uint8_t *at = text.data;
    const uint8_t *end = at + text.len;
    at += text.len > 0 && *at == '-';
    const uint8_t *begin = at;
    while (at < end && (uint8_t)(*at - '0') < 10)
        at++;
    return at == end && at > begin;
}

static int head_text(const uint8_t *at, size_t len, uint64_t line_bytes, uint64_t *scanned,
                     struct sta_resp_head *head, const char **reason)
{
    int status = head_line(at, len, line_bytes, scanned, head, reason);
    if (status != STRATA_OK)
        return status;
    head->shape = STA_RESP_SHAPE_LINE;
    if (head->type == STA_RESP_DOUBLE)
        return sta_resp_number_is_real(head->text) ? STRATA_OK
                                                   : head_bad(reason, "a double is malformed");
    if (head->type == STA_RESP_BIG_NUMBER)
        return text_is_big_number(head->text) ? STRATA_OK
                                              : head_bad(reason, "a big number is malformed");
    if (memchr(head->text.data, '\n', head->text.len) != NULL)
        return head_bad(reason, "a line has a line feed that is not its end");
    return STRATA_OK;
}

/* "_\r\n", "#t\r\n": `letters` are allowed between type and CR LF, exactly one of them. */
static int head_fixed(const uint8_t *at, size_t len, const char *letters,
                      struct sta_resp_head *head, const char **reason)
{
    size_t cr = letters[0] == '\0' ? 1 : 2;
    if (cr == 2 && len > 1 && (at[1] == '\0' || strchr(letters, at[1]) == NULL))
        return head_bad(reason, "a boolean is neither t nor f");
    if (len > cr && at[cr] != '\r')
        return head_bad(reason, "a null or boolean has more bytes than it may");
    if (len > cr + 1 && at[cr + 1] != '\n')
        return head_bad(reason, "a line has a carriage return that is not its end");
    if (len < cr + 2)
        return STRATA_MORE;
    head->shape = STA_RESP_SHAPE_LINE;
    head->integer = cr == 2 && at[1] == 't';
    head->len = cr + 2;
    return STRATA_OK;
}

/* A verbatim string's body begins with a format of three bytes and ':'. */
static int head_verbatim(const uint8_t *body, const uint8_t *end, int64_t length,
                         const char **reason)
{
    if (length < 4)
        return head_bad(reason, "a verbatim string is too short for its format");
    if (end - body < 4)
        return STRATA_MORE;
    return body[3] == ':' ? STRATA_OK : head_bad(reason, "a verbatim string has no format");
}

static int head_length(const uint8_t *body, const uint8_t *end, int64_t length,
                       struct sta_resp_head *head, const char **reason)
{
    if (length == -1 && head->type == STA_RESP_BULK) {
        head->type = STA_RESP_NULL;
        head->shape = STA_RESP_SHAPE_LINE;
        return STRATA_OK;
    }
    if (length < 0)
        return head_bad(reason, "a length is negative");
    head->shape = STA_RESP_SHAPE_BODY;
    head->number = (uint64_t)length;
    return head->type == STA_RESP_VERBATIM ? head_verbatim(body, end, length, reason) : STRATA_OK;
}

static int head_count(int64_t count, bool pairs, struct sta_resp_head *head, const char **reason)
{
    if (count == -1 && head->type == STA_RESP_ARRAY) {
        head->type = STA_RESP_NULL_ARRAY;
        head->shape = STA_RESP_SHAPE_LINE;
        return STRATA_OK;
    }
    if (count < 0)
        return head_bad(reason, "a count is negative");
    head->shape = STA_RESP_SHAPE_AGGREGATE;
    head->number = (uint64_t)count << pairs; /* below 2^63, so this does not overflow */
    return STRATA_OK;
}

/* The kinds that have a number on their line. */
static int head_number(const uint8_t *at, size_t len, enum head_kind kind,
                       struct sta_resp_head *head, const char **reason)
{
    const uint8_t *cursor = at + 1;
    int64_t number = 0;
    if (kind != HEAD_INTEGER && len > 1 && *cursor == '?')
        return head_streamed(reason);
    int status = sta_resp_number_line(&cursor, at + len, &number, reason);
    if (status != STRATA_OK)
        return status;
    head->len = (size_t)(cursor - at);
    if (kind == HEAD_LENGTH)
        return head_length(cursor, at + len, number, head, reason);
    if (kind != HEAD_INTEGER)
        return head_count(number, kind == HEAD_PAIRS, head, reason);
    head->shape = STA_RESP_SHAPE_LINE;
    head->integer = number;
    return STRATA_OK;
}

int sta_resp_head_read(struct strata_bytes data, uint64_t line_bytes, uint64_t *scanned,
                       struct sta_resp_head *head, const char **reason)
{
    if (data.len == 0)
        return STRATA_MORE;
    const uint8_t *at = data.data;
    const struct head_rule *rule = &head_rules[at[0]];
    head->type = (enum sta_resp_type)rule->type;
    switch (rule->kind) {
    case HEAD_LENGTH:
    case HEAD_INTEGER:
    case HEAD_COUNT:
    case HEAD_PAIRS:
        return head_number(at, data.len, (enum head_kind)rule->kind, head, reason);
    case HEAD_TEXT:
        return head_text(at, data.len, line_bytes, scanned, head, reason);
    case HEAD_NULL:
        return head_fixed(at, data.len, "", head, reason);
    case HEAD_BOOLEAN:
        return head_fixed(at, data.len, "tf", head, reason);
    case HEAD_STREAMED:
        return head_streamed(reason);
    default:
        return head_bad(reason, "a value begins with an unknown type");
    }
}
