/* SPDX-License-Identifier: MIT
 *
 * What a client reads when Redis could not be asked. The first word is for programs:
 *
 *     UNAVAILABLE  Redis, or the node, cannot be reached, does not answer, or has refused;
 *                  nothing was carried out; trying again is safe
 *     BUSY         too much waits for Redis already; nothing was sent
 *     TIMEOUT      no answer within the budget; a write may have happened
 *     LOST         the connection broke before the answer; a write may have happened
 *     ERR          out of memory, or a request that is too large; nothing was sent
 */
#ifndef STA_UPSTREAM_ERROR_H
#define STA_UPSTREAM_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is known of it; zeroed: nothing. */
struct sta_upstream_error {
    const char *node;    /* before a cluster, whose it is: its address; NULL: nobody knows */
    const char *reason;  /* why it cannot be reached; NULL: nobody knows */
    bool refused;        /* it can, and the reason is what was said there */
    uint64_t silent_ms;  /* it can, but has not answered for so long; 0: it is not that */
    uint64_t timeout_ms; /* the budget */
};

/* The error line without '-' and CR LF. `status` is one of sta_request.done's. */
void sta_upstream_error_text(int status, const struct sta_upstream_error *error, char *text,
                             size_t cap);

#endif
