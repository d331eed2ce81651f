/* SPDX-License-Identifier: MIT
 *
 * Passing on. What Redis is sent was written by us from the arguments, never the client's own
 * bytes: on a connection that many clients share, one client's malformed header would end all
 * of theirs.
 */
#include "daemon/forward.h"

#include "daemon/cluster_way.h"
#include "daemon/exchange.h"
#include "daemon/own_lane.h"
#include "daemon/session.h"
#include "daemon/slot_plan.h"
#include "daemon/spread.h"
#include "daemon/stratad.h"
#include "daemon/upstream_error.h"
#include "daemon/worker.h"
#include "l2/router.h"
#include "resp/resp.h"
#include "strata/status.h"

/* These look alike in RESP2 and RESP3: status, error, integer; a bulk that is none of the nulls. */
static bool is_alike(struct strata_bytes frame)
{
    const uint8_t *bytes = frame.data;
    return bytes[0] == '$' || bytes[0] == '+' || bytes[0] == ':' || bytes[0] == '-';
}

int sta_forward_reply(const struct sta_exchange *exchange, struct strata_bytes frame,
                      struct sta_buffer *out)
{
    bool is_resp3 = exchange->lane == STA_LANE_SHARED || exchange->lane == STA_LANE_PLAIN3;
    bool as_it_is = exchange->protocol == 3 || !is_resp3;
    if (as_it_is || is_alike(frame))
        return sta_buffer_append(out, frame);
    return sta_resp_downgrade(out, frame);
}

static void count_error(struct sta_stats *stats, int status)
{
    if (status == STRATA_ERR_TIMEOUT)
        sta_stats_add(&stats->errors_timeout, 1);
    else if (status == STRATA_ERR_LOST)
        sta_stats_add(&stats->errors_lost, 1);
    else if (status == STRATA_ERR_BUSY)
        sta_stats_add(&stats->errors_busy, 1);
    else
        sta_stats_add(&stats->errors_unavailable, 1);
}

/* On a connection of the client's own. */
static void blame_own(const struct sta_exchange *exchange, struct sta_upstream_error *error,
                      struct sta_endpoint *whose)
{
    const struct sta_own_lane *own = exchange->session->own_lane;
    if (own == NULL)
        return;
    *whose = own->home.endpoint;
    error->reason = own->reason;
    error->refused = own->refused == &exchange->operation.request;
    error->silent_ms = own->silent ? error->timeout_ms : 0;
}

/* Before a cluster what is known is the node's; which one said what stands in its lane's reason,
 * nobody knows. */
static void blame_node(const struct sta_exchange *exchange, struct sta_upstream_error *error,
                       struct sta_endpoint *whose)
{
    const struct sta_worker *worker = exchange->worker;
    const uint16_t slot = exchange->operation.slot;
    if (slot == STA_OPERATION_ANY_NODE || !sta_cluster_way_owner(worker, slot, whose)) {
        error->reason = worker->lanes[exchange->lane].reason;
        return;
    }
    error->silent_ms = sta_cluster_way_silent_ms(worker, whose);
}

int sta_forward_error(const struct sta_exchange *exchange, int status, struct sta_buffer *out)
{
    struct sta_worker *worker = exchange->worker;
    struct sta_endpoint whose = {0};
    struct sta_upstream_error error = {.timeout_ms =
                                           sta_stratad_live(&worker->stratad->live.timeout_ms)};
    char text[512], address[288];
    count_error(&worker->stats, status);
    if (out == NULL)
        return STRATA_OK;
    if (exchange->lane == STA_LANE_OWN)
        blame_own(exchange, &error, &whose);
    else if (worker->router != NULL)
        blame_node(exchange, &error, &whose);
    else
        error.reason = worker->lanes[exchange->lane].reason;
    if (error.reason != NULL && error.reason[0] == '\0')
        error.reason = NULL;
    if (worker->router != NULL && whose.address[0] != '\0') {
        sta_endpoint_format(&whose, address, sizeof address);
        error.node = address;
    }
    sta_upstream_error_text(status, &error, text, sizeof text);
    return sta_resp_write_error(out, text);
}

static int conclude_forward(struct sta_exchange *exchange, int status, struct strata_bytes replies,
                            struct sta_buffer *out)
{
    if (status < 0)
        return sta_forward_error(exchange, status, out);
    return out != NULL ? sta_forward_reply(exchange, replies, out) : STRATA_OK;
}

/* Before a cluster: whose it is, and the parts where several nodes have to answer. */
static int forward_plan(struct sta_exchange *exchange, const struct sta_route *route,
                        const struct strata_bytes *argv, size_t argc)
{
    const struct sta_slot_plan *plan = route->plan;
    if (plan == NULL)
        return STRATA_OK;
    exchange->operation.slot = plan->slot;
    if (plan->kind == STA_SLOT_PLAN_SPLIT)
        return sta_spread_split(exchange, argv, argc, (size_t)route->keys.step, plan->merge, false);
    if (plan->kind == STA_SLOT_PLAN_ALL)
        return sta_spread_over_all(exchange, sta_router_map(exchange->worker->router), plan->merge);
    return STRATA_OK;
}

struct sta_exchange *sta_forward_prepare(struct sta_session *session, const struct sta_route *route,
                                         struct strata_bytes *argv, size_t argc)
{
    struct sta_exchange *exchange = sta_exchange_create(session->worker, session);
    if (exchange == NULL)
        return NULL;
    exchange->operation.repeatable = route->repeatable;
    exchange->by_size = route->kind == STA_DISPATCH_GET || route->kind == STA_DISPATCH_MGET;
    exchange->keys_unknown = route->plan != NULL ? route->plan->keys_unknown : !route->keys_known;
    if (sta_exchange_write(exchange, argv, argc) < 0 ||
        forward_plan(exchange, route, argv, argc) < 0 ||
        sta_exchange_rebase(exchange, argv, argc) < 0)
        sta_exchange_destroy(&exchange);
    return exchange;
}

struct key_collection {
    struct sta_exchange *exchange;
    const struct strata_bytes *argv;
    int status;
};

static void collect_key(void *arg, size_t index)
{
    struct key_collection *keys = arg;
    struct sta_key key = sta_stratad_key(keys->exchange->worker->stratad, keys->argv[index]);
    if (keys->status == STRATA_OK)
        keys->status = sta_exchange_add_key(keys->exchange, &key);
}

int sta_forward_add_keys(struct sta_exchange *exchange, const struct sta_route *route,
                         const struct strata_bytes *argv, size_t argc)
{
    struct key_collection keys = {.exchange = exchange, .argv = argv};
    sta_dispatch_keys(route, argv, argc, collect_key, &keys);
    if (keys.status == STRATA_OK && !sta_session_may_follow(exchange->session, exchange))
        return STRATA_MORE;
    return keys.status;
}

/* Before a single Redis, which keys a read on a plain lane looks at is not worth finding out: reads
 * behind it that L1 could answer go to Redis as well. */
static bool wants_keys(const struct sta_worker *worker, const struct sta_route *route)
{
    return worker->router != NULL || (worker->stratad->l1 != NULL && route->keys_known);
}

int sta_forward_to(struct sta_session *session, const struct sta_route *route,
                   struct strata_bytes *argv, size_t argc, sta_exchange_conclude *conclude)
{
    struct sta_worker *worker = session->worker;
    if (!sta_session_may_send(session, route->lane))
        return STRATA_MORE;
    struct sta_exchange *exchange = sta_forward_prepare(session, route, argv, argc);
    if (exchange == NULL)
        return STRATA_ERR_NOMEM;
    exchange->conclude = conclude;
    if (wants_keys(worker, route)) {
        int status = sta_forward_add_keys(exchange, route, argv, argc);
        if (status != STRATA_OK) {
            sta_exchange_destroy(&exchange);
            return status;
        }
    }
    sta_stats_add(&worker->stats.forwarded, 1);
    sta_session_send(session, exchange, route->lane, 1);
    return STRATA_OK;
}

int sta_forward(struct sta_session *session, const struct sta_route *route,
                struct strata_bytes *argv, size_t argc)
{
    return sta_forward_to(session, route, argv, argc, conclude_forward);
}
