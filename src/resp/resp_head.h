/* SPDX-License-Identifier: MIT
 *
 * The grammar of one value's head: its type byte and line. Framing, walking and downgrading all
 * stand on this one reader, so they agree about what is RESP.
 */
#ifndef STA_RESP_HEAD_H
#define STA_RESP_HEAD_H

#include "resp/resp.h"

enum sta_resp_shape {
    STA_RESP_SHAPE_LINE,     /* the line is the whole value */
    STA_RESP_SHAPE_BODY,     /* `number` bytes and CR LF follow */
    STA_RESP_SHAPE_AGGREGATE /* `number` values follow */
};

struct sta_resp_head {
    enum sta_resp_type type;
    enum sta_resp_shape shape;
    uint64_t number;          /* bytes of the body; values of the aggregate, pairs count twice */
    int64_t integer;          /* of INTEGER and BOOLEAN */
    struct strata_bytes text; /* of SIMPLE, ERROR, DOUBLE and BIG_NUMBER, without CR LF */
    size_t len;               /* of type byte, line and CR LF */
};

/* Reads the head at the beginning of `data`. STRATA_OK; STRATA_MORE where it is cut short: call
 * again with more and the same *scanned, which is 0 for a new head and remembers how far the
 * end of a line of text has been looked for; STRATA_ERR_PROTOCOL, or STRATA_ERR_TOO_BIG for a
 * line of more than `line_bytes`, with `*reason`. A verbatim string's head is complete only with
 * the format that its body begins with. */
int sta_resp_head_read(struct strata_bytes data, uint64_t line_bytes, uint64_t *scanned,
                       struct sta_resp_head *head, const char **reason);

#endif
