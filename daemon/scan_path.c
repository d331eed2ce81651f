/* SPDX-License-Identifier: MIT
 *
 * See scan_path.h.
 */
#include "daemon/scan_path.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/exchange.h"
#include "daemon/forward.h"
#include "daemon/session.h"
#include "daemon/slot_plan.h"
#include "daemon/worker.h"
#include "l2/router.h"
#include "resp/resp.h"
#include "strata/status.h"

#define NUMBER_CAP 24u

static int write_failure(struct sta_buffer *out, int status)
{
    if (out == NULL)
        return STRATA_OK;
    if (status == STRATA_ERR_INVALID)
        return sta_resp_write_error(out, "ERR invalid cursor");
    if (status == STRATA_ERR_TOO_BIG)
        return sta_resp_write_error(out, "ERR strata: a node of the cluster has told a cursor that "
                                         "stratad cannot hand on; scan the nodes themselves");
    return sta_resp_write_error(out, "UNAVAILABLE strata: slots have another owner than when this "
                                     "scan began, or none; begin again with cursor 0");
}

/* The reply is an array of a cursor and an array; only the cursor becomes another. */
static int write_page(const struct sta_exchange *exchange, struct strata_bytes reply,
                      struct sta_buffer *out)
{
    char own[NUMBER_CAP], text[NUMBER_CAP];
    struct sta_resp_walk walk = sta_resp_walk(reply);
    struct sta_resp_value page, cursor;
    if (sta_resp_next(&walk, &page) != STRATA_OK || page.type != STA_RESP_ARRAY ||
        page.count != 2 || sta_resp_next(&walk, &cursor) != STRATA_OK ||
        cursor.type != STA_RESP_BULK || cursor.bytes.len >= NUMBER_CAP)
        return sta_buffer_append(out, reply); /* an error, most likely */
    (void)snprintf(own, sizeof own, "%.*s", (int)cursor.bytes.len, (const char *)cursor.bytes.data);
    uint64_t next;
    int status = sta_scan_cursor_next(&exchange->scan, sta_router_map(exchange->worker->router),
                                      strtoull(own, NULL, 10), &next);
    if (status < 0)
        return write_failure(out, status);
    (void)snprintf(text, sizeof text, "%" PRIu64, next);
    status = sta_resp_write_header(out, STA_RESP_ARRAY, 2, exchange->protocol);
    if (status == STRATA_OK)
        status = sta_resp_write_bulk(out, strata_text(text));
    return status == STRATA_OK ? sta_buffer_append(out, walk.rest) : status;
}

static int conclude_scan(struct sta_exchange *exchange, int status, struct strata_bytes replies,
                         struct sta_buffer *out)
{
    if (status < 0)
        return sta_forward_error(exchange, status, out);
    return out != NULL ? write_page(exchange, replies, out) : STRATA_OK;
}

int sta_scan_path(struct sta_session *session, const struct sta_route *route,
                  struct strata_bytes *argv, size_t argc)
{
    char own[NUMBER_CAP];
    struct sta_scan_cursor cursor;
    struct sta_slot_plan plan = *route->plan;
    struct sta_route at = *route;
    int status = sta_scan_cursor_read(&cursor, sta_router_map(session->worker->router), argv[1]);
    if (status < 0) {
        struct sta_buffer *out = sta_session_reply(session);
        return out != NULL ? write_failure(out, status) : STRATA_ERR_NOMEM;
    }
    (void)snprintf(own, sizeof own, "%" PRIu64, cursor.own);
    argv[1] = strata_text(own);
    plan.slot = cursor.slot;
    at.plan = &plan;
    if (!sta_session_may_send(session, route->lane))
        return STRATA_MORE;
    struct sta_exchange *exchange = sta_forward_prepare(session, &at, argv, argc);
    if (exchange == NULL)
        return STRATA_ERR_NOMEM;
    if (!sta_session_may_follow(session, exchange)) {
        sta_exchange_destroy(&exchange);
        return STRATA_MORE;
    }
    exchange->conclude = conclude_scan;
    exchange->scan = cursor;
    sta_session_send(session, exchange, route->lane, 1);
    return STRATA_OK;
}
