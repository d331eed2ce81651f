/* SPDX-License-Identifier: MIT
 *
 * The door of resp: Redis' serialization protocol, versions 2 and 3, both directions. No
 * sockets, no clocks, no heap: framing keeps a fixed state, decoding walks a frame in place, and
 * only writing appends to a buffer of the caller's.
 *
 * Reading has two halves.
 *   Framing  finds where a message ends. It is incremental at any byte boundary and looks at
 *            each byte once, however the bytes come in (only a number that was cut is read
 *            again, 22 bytes at most); bodies are jumped over.
 *   Walking  goes over one complete frame, value by value, without recursion.
 *
 * Specification: the RESP3 document of antirez (2018) and the protocol page of Redis 7.
 * Streamed strings and aggregates ("$?", "*?") are refused: no Redis sends them.
 */
#ifndef STA_RESP_H
#define STA_RESP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "strata/bytes.h"

enum sta_resp_type {
    STA_RESP_SIMPLE,     /* +   bytes */
    STA_RESP_ERROR,      /* -   bytes, without the '-' */
    STA_RESP_INTEGER,    /* :   integer */
    STA_RESP_BULK,       /* $   bytes */
    STA_RESP_BULK_ERROR, /* !   bytes */
    STA_RESP_VERBATIM,   /* =   bytes after the "txt:" that `format` keeps */
    STA_RESP_NULL,       /* _   and "$-1" */
    STA_RESP_NULL_ARRAY, /* "*-1" */
    STA_RESP_BOOLEAN,    /* #   integer 0 or 1 */
    STA_RESP_DOUBLE,     /* ,   real; `bytes` is the text as sent */
    STA_RESP_BIG_NUMBER, /* (   bytes, the digits */
    STA_RESP_ARRAY,      /* *   count */
    STA_RESP_SET,        /* ~   count */
    STA_RESP_PUSH,       /* >   count */
    STA_RESP_MAP,        /* %   count of pairs */
    STA_RESP_ATTRIBUTE   /* |   count of pairs; the value that it belongs to follows */
};

/* Most deeply nested aggregates that framing follows; what limits.depth may be at most. */
#define STA_RESP_DEPTH_MAX 128

struct sta_resp_limits {
    unsigned depth;       /* aggregates within one another, 1..STA_RESP_DEPTH_MAX */
    uint64_t bulk_bytes;  /* of one bulk, verbatim or bulk error */
    uint64_t elements;    /* of one aggregate (pairs count twice) */
    uint64_t line_bytes;  /* of a simple string, error, number or header line */
    uint64_t total_bytes; /* of one frame */
};

/* What we accept of a server, and of clients (Redis' own limits: 512 MiB bulks, 1 Mi arguments,
 * 64 KiB inline). Requests never nest, so that their depth is not asked for. */
extern const struct sta_resp_limits sta_resp_reply_limits;
extern const struct sta_resp_limits sta_resp_request_limits;

/* ---- framing ---- */

/* Zeroed is ready for the next frame. Fields are the engine's own. */
struct sta_resp_framer {
    uint64_t offset;  /* where the next head begins: ahead of what has come, inside a body */
    uint64_t scanned; /* bytes of that head in which no line end was found */
    uint32_t depth;
    bool body;                              /* a body ends at `offset`; its CR LF is unchecked */
    bool taken;                             /* the frame's own value has begun: no attribute */
    uint32_t remaining[STA_RESP_DEPTH_MAX]; /* values still to come, per level */
};

/* The same for requests, which never nest: one per client is cheap. */
struct sta_resp_request_framer {
    uint64_t offset;
    uint64_t scanned;
    uint32_t remaining; /* arguments still to come */
    bool inside;        /* the array's head has been read */
    bool body;
};

/* Looks at `data`, which begins where the frame begins and holds what has come so far (the same
 * bytes again, and more). STRATA_OK: the frame is complete, its length is in *frame_len, and the
 * framer is ready for the next. STRATA_MORE: call again with more. STRATA_ERR_PROTOCOL or
 * STRATA_ERR_TOO_BIG: `*reason` (constant text) says why; the stream cannot be followed any
 * further. An attribute and the value it belongs to are one frame; a push within another value
 * (SUBSCRIBE inside MULTI) is an element of it. */
int sta_resp_frame(struct sta_resp_framer *framer, const struct sta_resp_limits *limits,
                   struct strata_bytes data, size_t *frame_len, const char **reason);

/* The same for what clients send: arrays of bulks only and, where `allow_inline`, inline
 * commands (one frame up to LF). An empty array ("*0", "*-1") or an empty line is a frame. The
 * reasons are Redis' own words ("invalid bulk length"), fit for "-ERR Protocol error: %s". */
int sta_resp_frame_request(struct sta_resp_request_framer *framer,
                           const struct sta_resp_limits *limits, bool allow_inline,
                           struct strata_bytes data, size_t *frame_len, const char **reason);

/* ---- walking ---- */

struct sta_resp_value {
    enum sta_resp_type type;
    struct strata_bytes bytes; /* in the frame */
    int64_t integer;
    double real;
    uint64_t count;          /* of elements; of pairs for maps and attributes */
    char format[4];          /* of a verbatim string, zero-terminated */
    struct strata_bytes raw; /* this value's own bytes: for an aggregate, its header only */
};

struct sta_resp_walk {
    struct strata_bytes rest; /* what has not been walked */
};

/* Begins at complete frames, one or more. */
struct sta_resp_walk sta_resp_walk(struct strata_bytes frames);

/* The next value: an aggregate comes first, then its elements, each by a call of its own.
 * STRATA_OK; STRATA_MISS at the end; STRATA_ERR_PROTOCOL where the bytes are no RESP or end
 * early (never reads past them). */
int sta_resp_next(struct sta_resp_walk *walk, struct sta_resp_value *value);

/* Passes over the next value with all that is in it (an attribute: with the value that follows);
 * `raw` (may be NULL) is what was passed. */
int sta_resp_skip(struct sta_resp_walk *walk, struct strata_bytes *raw);

/* ---- requests ---- */

/* The number of arguments of a complete request frame, inline ones split as Redis splits them
 * (quotes and escapes): *argc. STRATA_ERR_PROTOCOL for unbalanced quotes. */
int sta_resp_request_count(struct strata_bytes frame, size_t *argc);

/* Fills argv[0..argc-1] with slices of `frame`. Arguments of inline commands that need unescaping
 * are written to `scratch`, which holds at least frame.len bytes (it may be NULL for frames that
 * begin with '*'). */
int sta_resp_request_args(struct strata_bytes frame, struct strata_bytes *argv, size_t argc,
                          uint8_t *scratch);

/* ---- writing: each appends one value; STRATA_OK, STRATA_ERR_NOMEM or STRATA_ERR_TOO_BIG, and
 * on failure the buffer is as it was ---- */

int sta_resp_write_command(struct sta_buffer *out, const struct strata_bytes *argv, size_t argc);
int sta_resp_write_simple(struct sta_buffer *out, const char *text);
int sta_resp_write_error(struct sta_buffer *out, const char *text); /* CR and LF become spaces */
int sta_resp_write_integer(struct sta_buffer *out, int64_t value);
int sta_resp_write_bulk(struct sta_buffer *out, struct strata_bytes bytes);
int sta_resp_write_null(struct sta_buffer *out, int protocol); /* $-1 or _ */

/* A bulk whose bytes the caller puts where they will stand: first room for up to `most` of them
 * (NULL: there is none), then how many they became. What is not closed was not written. */
uint8_t *sta_resp_open_bulk(struct sta_buffer *out, size_t most);
void sta_resp_close_bulk(struct sta_buffer *out, size_t len);

/* The head of a bulk of `len` bytes, into room that was made (24 bytes): these bytes, and CR LF
 * behind them, are still to be appended. */
void sta_resp_put_bulk_head(struct sta_buffer *out, size_t len);

int sta_resp_write_null_array(struct sta_buffer *out, int protocol); /* *-1 or _ */
int sta_resp_write_boolean(struct sta_buffer *out, bool value, int protocol);
int sta_resp_write_double(struct sta_buffer *out, double value, int protocol);
int sta_resp_write_verbatim(struct sta_buffer *out, const char format[4], struct strata_bytes bytes,
                            int protocol);
int sta_resp_write_big_number(struct sta_buffer *out, struct strata_bytes digits, int protocol);
int sta_resp_write_bulk_error(struct sta_buffer *out, struct strata_bytes text, int protocol);
/* Headers of aggregates; the elements follow by calls of their own. In protocol 2 a map is an
 * array of twice as many, a set and a push are arrays; attributes exist in 3 only. */
int sta_resp_write_header(struct sta_buffer *out, enum sta_resp_type type, uint64_t count,
                          int protocol);

/* Appends a complete RESP3 frame as Redis would have sent it to a RESP2 client, by the rules of
 * types alone (maps become flat arrays, doubles bulks, booleans 0 and 1, nulls "$-1"; attributes
 * are left out). Right for commands whose replies have one shape in both protocols.
 * STRATA_OK, or what writing fails with; STRATA_ERR_PROTOCOL where the frame is none. */
int sta_resp_downgrade(struct sta_buffer *out, struct strata_bytes frame);

/* Whether the reply to this command may be downgraded so. False where Redis may give RESP2 another
 * shape that types do not tell: ZRANGE and its kin with WITHSCORES, HRANDFIELD WITHVALUES, ZPOPMIN
 * with a count (pairs nested or flat), XREAD (map or pairs), and where an array is missing ("_" or
 * "*-1"): LPOP with a count, blocking pops, LMPOP, GEOPOS, XPENDING, EXEC; and HELLO. The
 * whole list: docs/internals/resp.md. */
bool sta_resp_downgrade_is_exact(const struct strata_bytes *argv, size_t argc);

#endif
