/* SPDX-License-Identifier: MIT
 *
 * One table of the protocol: every type well formed, and every way to get it wrong with the
 * answer that is due. All tests of resp go over the same tables.
 */
#ifndef TEST_RESP_EXAMPLES_H
#define TEST_RESP_EXAMPLES_H

#include <stddef.h>

#include "strata/bytes.h"

struct reply_example {
    const char *wire; /* one complete frame */
    size_t len;
    const char *downgraded; /* the same in RESP2 */
    size_t downgraded_len;
};

struct bad_example {
    const char *wire;
    size_t len;
    int status;
    const char *reason;
};

/* argv ends with a slice without data. */
struct request_example {
    const char *wire;
    size_t len;
    size_t argc;
    struct strata_bytes argv[8];
};

extern const struct reply_example reply_examples[];
extern const size_t reply_example_count;

/* With sta_resp_reply_limits, but bulk_bytes 1000, elements 100, line_bytes 40, depth 4,
 * total_bytes 1200. */
extern const struct bad_example bad_replies[];
extern const size_t bad_reply_count;

extern const struct request_example request_examples[];
extern const size_t request_example_count;

/* With the same limits; inline commands allowed. */
extern const struct bad_example bad_requests[];
extern const size_t bad_request_count;

extern const struct sta_resp_limits example_limits;

#endif
