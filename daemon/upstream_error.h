/* SPDX-License-Identifier: MIT
 *
 * What a client reads when Redis could not be asked. The first word is for programs:
 *
 *     UNAVAILABLE  Redis cannot be reached; nothing was sent; trying again is safe
 *     BUSY         too much waits for Redis already; nothing was sent
 *     TIMEOUT      no answer within the budget; a write may have happened
 *     LOST         the connection broke before the answer; a write may have happened
 *     ERR          out of memory, or a request that is too large; nothing was sent
 */
#ifndef STA_UPSTREAM_ERROR_H
#define STA_UPSTREAM_ERROR_H

#include <stddef.h>
#include <stdint.h>

/* The error line without '-' and CR LF. `status` is one of sta_request.done's; `reason` (may be
 * NULL) says why Redis cannot be reached; `timeout_ms` is the budget. */
void sta_upstream_error_text(int status, const char *reason, uint64_t timeout_ms, char *text,
                             size_t cap);

#endif
