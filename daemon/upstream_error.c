/* SPDX-License-Identifier: MIT
 *
 * The texts behind upstream_error.h.
 */
#include "daemon/upstream_error.h"

#include <inttypes.h>
#include <stdio.h>

#include "strata/status.h"

void sta_upstream_error_text(int status, const char *reason, uint64_t timeout_ms, char *text,
                             size_t cap)
{
    switch (status) {
    case STRATA_ERR_UNAVAILABLE:
        (void)snprintf(text, cap, "UNAVAILABLE strata: redis cannot be reached%s%s",
                       reason != NULL ? ": " : "", reason != NULL ? reason : "");
        return;
    case STRATA_ERR_CLOSED:
        (void)snprintf(text, cap, "UNAVAILABLE strata: stratad is shutting down");
        return;
    case STRATA_ERR_BUSY:
        (void)snprintf(text, cap, "BUSY strata: too many requests wait for redis; try again later");
        return;
    case STRATA_ERR_TIMEOUT:
        (void)snprintf(text, cap,
                       "TIMEOUT strata: no answer from redis within %" PRIu64
                       " ms; a write may have happened",
                       timeout_ms);
        return;
    case STRATA_ERR_LOST:
        (void)snprintf(text, cap,
                       "LOST strata: the connection to redis broke before the answer; "
                       "a write may have happened");
        return;
    case STRATA_ERR_UNPROVEN:
        (void)snprintf(text, cap, "UNPROVEN strata: %s", strata_status_text(status));
        return;
    default:
        (void)snprintf(text, cap, "ERR strata: %s", strata_status_text(status));
        return;
    }
}
