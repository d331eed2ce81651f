/* SPDX-License-Identifier: MIT
 *
 * The texts behind upstream_error.h.
 */
#include "daemon/upstream_error.h"

#include <inttypes.h>
#include <stdio.h>

#include "strata/status.h"

static void unavailable_text(const struct sta_upstream_error *error, const char *who, char *text,
                             size_t cap)
{
    if (error->refused)
        (void)snprintf(text, cap, "UNAVAILABLE strata: %s; nothing was carried out", error->reason);
    else if (error->silent_ms > 0)
        (void)snprintf(text, cap,
                       "UNAVAILABLE strata: %s did not answer within %" PRIu64
                       " ms; nothing was carried out",
                       who, error->silent_ms);
    else
        (void)snprintf(text, cap, "UNAVAILABLE strata: %s cannot be reached%s%s", who,
                       error->reason != NULL ? ": " : "",
                       error->reason != NULL ? error->reason : "");
}

void sta_upstream_error_text(int status, const struct sta_upstream_error *error, char *text,
                             size_t cap)
{
    char who[300];
    (void)snprintf(who, sizeof who, "%s%s", error->node != NULL ? "node " : "redis",
                   error->node != NULL ? error->node : "");
    switch (status) {
    case STRATA_ERR_UNAVAILABLE:
        unavailable_text(error, who, text, cap);
        return;
    case STRATA_ERR_CLOSED:
        (void)snprintf(text, cap, "UNAVAILABLE strata: stratad is shutting down");
        return;
    case STRATA_ERR_BUSY:
        (void)snprintf(text, cap, "BUSY strata: too many requests wait for redis; try again later");
        return;
    case STRATA_ERR_TIMEOUT:
        (void)snprintf(text, cap,
                       "TIMEOUT strata: no answer from %s within %" PRIu64
                       " ms; a write may have happened",
                       who, error->timeout_ms);
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
