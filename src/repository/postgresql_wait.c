/* SPDX-License-Identifier: MIT
 *
 * See postgresql_wait.h. The connection is not blocking: what is to be sent is sent, and what
 * comes is taken, as poll() says.
 */
#include "repository/postgresql_wait.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>

#include "core/clock.h"

/* Until something can be read, or also written, or it is too late. */
static int wait_ready(PGconn *handle, bool writing, uint64_t end_ms)
{
    struct pollfd ready = {.fd = PQsocket(handle),
                           .events = (short)(POLLIN | (writing ? POLLOUT : 0))};
    uint64_t now_ms = sta_clock_now_ms();
    if (now_ms >= end_ms)
        return STRATA_ERR_TIMEOUT;
    int left_ms = end_ms - now_ms < INT32_MAX ? (int)(end_ms - now_ms) : INT32_MAX;
    int count = poll(&ready, 1, left_ms);
    if (count < 0 && errno != EINTR)
        return STRATA_ERR_LOST;
    return STRATA_OK;
}

/* The next result is there. Of many queries it may be so before all of them have left. */
static int wait_result(PGconn *handle, uint64_t end_ms)
{
    int left;
    while ((left = PQflush(handle)) >= 0 && PQisBusy(handle) != 0) {
        int status = wait_ready(handle, left == 1, end_ms);
        if (status != STRATA_OK)
            return status;
        if (PQconsumeInput(handle) == 0)
            return STRATA_ERR_LOST;
    }
    return left >= 0 ? STRATA_OK : STRATA_ERR_LOST;
}

int sta_postgresql_wait(PGconn *handle, uint64_t timeout_ms, PGresult **out)
{
    uint64_t end_ms = sta_clock_after(sta_clock_now_ms(), timeout_ms);
    PGresult *last = NULL, *next;
    int status;
    while ((status = wait_result(handle, end_ms)) == STRATA_OK &&
           (next = PQgetResult(handle)) != NULL) {
        PQclear(last);
        last = next;
    }
    if (PQstatus(handle) != CONNECTION_OK && status == STRATA_OK)
        status = STRATA_ERR_LOST;
    if (last == NULL && status == STRATA_OK)
        status = STRATA_ERR_LOST;
    if (status != STRATA_OK) {
        PQclear(last);
        return status;
    }
    *out = last;
    return STRATA_OK;
}
