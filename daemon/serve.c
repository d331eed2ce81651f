/* SPDX-License-Identifier: MIT
 *
 * The way of a command. The commonest one goes first, past the table.
 */
#include "daemon/serve.h"

#include <stdio.h>

#include "daemon/dispatch.h"
#include "daemon/forward.h"
#include "daemon/local_commands.h"
#include "daemon/own_path.h"
#include "daemon/read_path.h"
#include "daemon/scan_path.h"
#include "daemon/session.h"
#include "daemon/slot_plan.h"
#include "daemon/stratad.h"
#include "daemon/subscriptions.h"
#include "daemon/transaction.h"
#include "daemon/worker.h"
#include "daemon/write_path.h"
#include "l2/router.h"
#include "strata/status.h"

static int serve_refusal(struct sta_session *session, enum sta_refusal refusal,
                         const struct strata_bytes *argv)
{
    char name[32], text[192];
    sta_dispatch_name(argv[0], name, sizeof name);
    if (refusal == STA_REFUSAL_NOT_PASSED_ON)
        (void)snprintf(text, sizeof text,
                       "ERR strata: '%s' is not passed on; send it to Redis itself", name);
    else if (refusal == STA_REFUSAL_EACH_NODE)
        (void)snprintf(text, sizeof text,
                       "ERR strata: '%s' shows what one node of the cluster is told; send it to "
                       "each of them itself",
                       name);
    else if (refusal == STA_REFUSAL_WRITES)
        (void)snprintf(text, sizeof text,
                       "ERR strata: before a Redis Cluster '%s' has nothing to count: what a "
                       "client writes goes to several nodes, on shared connections",
                       name);
    else
        (void)snprintf(text, sizeof text,
                       "ERR strata: '%s' would change a connection to Redis, and stratad shares "
                       "these among its clients",
                       name);
    sta_stats_add(&session->worker->stats.commands_refused, 1);
    return sta_session_say_error(session, text);
}

/* Before a cluster: what nobody there can do. */
static int serve_nowhere(struct sta_session *session, const struct sta_slot_plan *plan,
                         const struct strata_bytes *argv)
{
    char name[32], text[160];
    sta_dispatch_name(argv[0], name, sizeof name);
    if (plan->kind == STA_SLOT_PLAN_CROSS)
        (void)snprintf(text, sizeof text, "CROSSSLOT Keys in request don't hash to the same slot");
    else if (plan->kind == STA_SLOT_PLAN_ALONE)
        (void)snprintf(text, sizeof text,
                       "ERR strata: '%s' concerns one node of the cluster; send it to that one "
                       "itself",
                       name);
    else
        (void)snprintf(text, sizeof text,
                       "UNAVAILABLE strata: '%s' concerns all slots of the cluster, and some have "
                       "no node that serves them",
                       name);
    sta_stats_add(&session->worker->stats.commands_refused, 1);
    return sta_session_say_error(session, text);
}

static bool is_for_nobody(const struct sta_worker *worker, const struct sta_slot_plan *plan)
{
    const struct sta_slot_map *map = sta_router_map(worker->router);
    bool needs_all = plan->kind == STA_SLOT_PLAN_ALL || plan->kind == STA_SLOT_PLAN_SCAN;
    return plan->kind == STA_SLOT_PLAN_CROSS || plan->kind == STA_SLOT_PLAN_ALONE ||
           (needs_all && (map == NULL || map->covered < STA_SLOT_COUNT));
}

/* Before a cluster: what is published on one node all others tell, but not what is a shard's. */
static bool any_node_does(const struct sta_route *route, struct strata_bytes name)
{
    enum sta_subscriptions_word word = sta_subscriptions_command(name);
    return route->own == STA_OWN_SUBSCRIPTION && word != STA_SUBSCRIPTIONS_SSUBSCRIBE &&
           word != STA_SUBSCRIPTIONS_SUNSUBSCRIBE;
}

/* Before a cluster: by the owner of the slot of its keys, where they have one. */
static int serve_own_by_slot(struct sta_session *session, struct sta_route *route,
                             struct strata_bytes *argv, size_t argc)
{
    size_t first;
    const struct sta_slot_plan plan = sta_slot_plan_inside(route, argv, argc, &first);
    route->plan = &plan;
    return plan.kind == STA_SLOT_PLAN_CROSS ? serve_nowhere(session, &plan, argv)
                                            : sta_own_path(session, route, argv, argc);
}

static int serve_own(struct sta_session *session, struct sta_route *route,
                     struct strata_bytes *argv, size_t argc)
{
    if (session->worker->router == NULL || any_node_does(route, argv[0]))
        return sta_own_path(session, route, argv, argc);
    if (route->own == STA_OWN_MONITOR)
        return serve_refusal(session, STA_REFUSAL_EACH_NODE, argv);
    if (route->own == STA_OWN_WAIT)
        return serve_refusal(session, STA_REFUSAL_WRITES, argv);
    return serve_own_by_slot(session, route, argv, argc);
}

static int serve_route(struct sta_session *session, struct sta_route *route,
                       struct strata_bytes *argv, size_t argc)
{
    bool cached = session->worker->stratad->l1 != NULL;
    switch (route->kind) {
    case STA_DISPATCH_LOCAL:
        return sta_local_commands_run(session, route->local, argv, argc);
    case STA_DISPATCH_REFUSED:
        return serve_refusal(session, route->refusal, argv);
    case STA_DISPATCH_TRANSACTION:
        return sta_transaction_control(session, argv, argc);
    case STA_DISPATCH_OWN:
        return serve_own(session, route, argv, argc);
    case STA_DISPATCH_GET:
        return cached ? sta_read_path_get(session, argv) : sta_read_path_pass(session, route, argv);
    case STA_DISPATCH_MGET:
        return cached ? sta_read_path_mget(session, route, argv, argc)
                      : sta_forward(session, route, argv, argc);
    case STA_DISPATCH_SET:
        return cached ? sta_write_path_set(session, route, argv, argc)
                      : sta_forward(session, route, argv, argc);
    case STA_DISPATCH_CLEAR:
        return cached ? sta_write_path_clear(session, route, argv, argc)
                      : sta_forward(session, route, argv, argc);
    case STA_DISPATCH_FORWARD:
        return cached && route->writes ? sta_write_path_keys(session, route, argv, argc)
                                       : sta_forward(session, route, argv, argc);
    }
    return STRATA_ERR_INVALID; /* no kind is left */
}

static int serve_planned(struct sta_session *session, struct sta_route *route,
                         struct strata_bytes *argv, size_t argc)
{
    const struct sta_slot_plan plan = sta_slot_plan_make(route, argv, argc);
    route->plan = &plan;
    if (is_for_nobody(session->worker, &plan))
        return serve_nowhere(session, &plan, argv);
    return plan.kind == STA_SLOT_PLAN_SCAN && argc > 1 ? sta_scan_path(session, route, argv, argc)
                                                       : serve_route(session, route, argv, argc);
}

static bool is_get(const struct strata_bytes *argv, size_t argc)
{
    return argc == 2 && argv[0].len == 3 && sta_dispatch_word_is(argv[0], "get");
}

/* What the commands of clients' own connections are between MULTI and EXEC: there, nothing
 * blocks. */
static int serve_own_inside(struct sta_session *session, const struct sta_route *route,
                            const struct strata_bytes *argv, size_t argc)
{
    if (route->own == STA_OWN_WATCH)
        return sta_session_say_error(session, "ERR WATCH inside MULTI is not allowed");
    if (route->own != STA_OWN_MONITOR && route->own != STA_OWN_SUBSCRIPTION)
        return sta_transaction_queue(session, route, argv, argc);
    sta_transaction_abort(session);
    return sta_session_say_error(session, "ERR Command not allowed inside a transaction");
}

/* Between MULTI and EXEC. */
static int serve_inside(struct sta_session *session, const struct strata_bytes *argv, size_t argc)
{
    struct sta_route route = sta_dispatch(session->worker->table, session->protocol, argv, argc);
    if (route.kind == STA_DISPATCH_TRANSACTION)
        return sta_transaction_control(session, argv, argc);
    if (route.kind == STA_DISPATCH_OWN)
        return serve_own_inside(session, &route, argv, argc);
    if (route.kind == STA_DISPATCH_REFUSED) {
        sta_transaction_abort(session);
        return serve_refusal(session, route.refusal, argv);
    }
    if (route.kind != STA_DISPATCH_LOCAL || route.local == STA_LOCAL_PING ||
        route.local == STA_LOCAL_ECHO)
        return sta_transaction_queue(session, &route, argv, argc);
    if (route.local == STA_LOCAL_QUIT || route.local == STA_LOCAL_RESET ||
        route.local == STA_LOCAL_HTTP)
        return sta_local_commands_run(session, route.local, argv, argc);
    sta_transaction_abort(session);
    return sta_session_say_error(session, "ERR Command not allowed inside a transaction");
}

/* Nothing of the client is held, or this command does not mind. */
static int serve_free(struct sta_session *session, struct strata_bytes *argv, size_t argc)
{
    struct sta_worker *worker = session->worker;
    if (session->transaction != NULL)
        return serve_inside(session, argv, argc);
    if (is_get(argv, argc) && worker->stratad->l1 != NULL)
        return sta_read_path_get(session, argv);
    struct sta_route route = sta_dispatch(worker->table, session->protocol, argv, argc);
    bool planned = worker->router != NULL && route.kind != STA_DISPATCH_LOCAL &&
                   route.kind != STA_DISPATCH_REFUSED && route.kind != STA_DISPATCH_TRANSACTION &&
                   route.kind != STA_DISPATCH_OWN;
    return planned ? serve_planned(session, &route, argv, argc)
                   : serve_route(session, &route, argv, argc);
}

int sta_serve(struct sta_session *session, struct strata_bytes *argv, size_t argc)
{
    int status = STRATA_OK;
    bool done = false;
    if (!session->authenticated && !sta_local_commands_open_to_all(argv, argc)) {
        status = sta_session_say_error(session, "NOAUTH Authentication required.");
        done = true;
    } else if (session->own_lane != NULL) {
        status = sta_own_path_held(session, argv, argc, &done);
    }
    if (!done)
        status = serve_free(session, argv, argc);
    if (status != STRATA_MORE)
        sta_stats_add(&session->worker->stats.commands, 1);
    return status;
}
