/* SPDX-License-Identifier: MIT
 *
 * See own_path.h.
 */
#include "daemon/own_path.h"

#include <stdio.h>

#include "core/clock.h"
#include "daemon/exchange.h"
#include "daemon/forward.h"
#include "daemon/local_commands.h"
#include "daemon/own_lane.h"
#include "daemon/own_time.h"
#include "daemon/session.h"
#include "daemon/slot_plan.h"
#include "daemon/stratad.h"
#include "daemon/upstream_error.h"
#include "daemon/worker.h"
#include "daemon/write_path.h"
#include "resp/resp.h"
#include "strata/status.h"

/* ---- a lane ---- */

static int say_no_lane(struct sta_session *session, int status)
{
    char text[256];
    if (status == STRATA_ERR_BUSY)
        return sta_session_say_error(session,
                                     "BUSY strata: no more connections of clients' own are allowed "
                                     "(own_connections_max); try again later");
    sta_upstream_error_text(status, &(struct sta_upstream_error){0}, text, sizeof text);
    return sta_session_say_error(session, text);
}

static int conclude_as_it_is(struct sta_exchange *exchange, int status, struct strata_bytes replies,
                             struct sta_buffer *out)
{
    if (status < 0)
        return sta_forward_error(exchange, status, out);
    return out != NULL ? sta_buffer_append(out, replies) : STRATA_OK;
}

/* Sends what is in the exchange's wire: so many commands. */
static int own_send(struct sta_session *session, struct sta_exchange *exchange, unsigned commands)
{
    sta_stats_add(&session->worker->stats.forwarded, 1);
    sta_session_send(session, exchange, STA_LANE_OWN, commands);
    return STRATA_OK;
}

/* An exchange with the command, or NULL: out of memory. */
static struct sta_exchange *own_prepare(struct sta_session *session, const struct sta_route *route,
                                        struct strata_bytes *argv, size_t argc)
{
    struct sta_exchange *exchange = sta_forward_prepare(session, route, argv, argc);
    if (exchange != NULL)
        exchange->conclude = conclude_as_it_is;
    return exchange;
}

/* ---- WATCH and its end ---- */

/* Before a cluster the first one looks for its node, and nothing is sent behind it meanwhile. Where
 * it fails, EXEC is not carried out unwatched. */
static int conclude_first_watch(struct sta_exchange *exchange, int status,
                                struct strata_bytes replies, struct sta_buffer *out)
{
    struct sta_session *session = exchange->session;
    bool watched = status == STRATA_OK && *(const char *)replies.data == '+';
    if (session != NULL && watched)
        session->own_lane->watching = true;
    else if (session != NULL && session->watch_lost == STA_WATCH_KEPT)
        session->watch_lost = STA_WATCH_LOST_TOLD;
    return conclude_as_it_is(exchange, status, replies, out);
}

static int run_watch(struct sta_session *session, const struct sta_route *route,
                     struct strata_bytes *argv, size_t argc)
{
    struct sta_exchange *exchange = own_prepare(session, route, argv, argc);
    if (exchange == NULL)
        return STRATA_ERR_NOMEM;
    if (session->watch_lost == STA_WATCH_LOST_TOLD && session->queue_len == 0)
        session->watch_lost = STA_WATCH_KEPT;
    if (session->worker->router != NULL && !session->own_lane->watching) {
        exchange->conclude = conclude_first_watch;
        exchange->own = STA_OWN_WATCHES;
    } else {
        session->own_lane->watching = true;
    }
    return own_send(session, exchange, 1);
}

static int conclude_unwatched(struct sta_exchange *exchange, int status,
                              struct strata_bytes replies, struct sta_buffer *out)
{
    (void)status;
    (void)replies;
    return out != NULL ? sta_resp_write_error(out, exchange->value.data) : STRATA_OK;
}

int sta_own_path_unwatch(struct sta_session *session, const char *error)
{
    struct strata_bytes unwatch = strata_bytes("UNWATCH", 7);
    const struct sta_route route = {.keys_known = true};
    struct sta_exchange *exchange = own_prepare(session, &route, &unwatch, 1);
    if (exchange == NULL)
        return STRATA_ERR_NOMEM;
    if (error != NULL) {
        exchange->conclude = conclude_unwatched;
        exchange->value = strata_text(error);
    }
    session->own_lane->watching = false;
    return own_send(session, exchange, 1);
}

static int run_unwatch(struct sta_session *session)
{
    session->watch_lost = STA_WATCH_KEPT;
    return session->own_lane != NULL && session->own_lane->watching
               ? sta_own_path_unwatch(session, NULL)
               : sta_session_say(session, "OK");
}

/* ---- HELLO ---- */

static int conclude_hello(struct sta_exchange *exchange, int status, struct strata_bytes replies,
                          struct sta_buffer *out)
{
    struct sta_session *session = exchange->session;
    struct strata_bytes argv[2];
    if (status < 0 || session == NULL || *(const char *)replies.data == '-')
        return conclude_as_it_is(exchange, status, replies, out);
    status = sta_exchange_rebase(exchange, argv, 2);
    if (status < 0)
        return status;
    session->protocol = *(const char *)argv[1].data - '0';
    session->own_lane->protocol = session->protocol;
    return sta_local_commands_hello(session, out);
}

int sta_own_path_hello(struct sta_session *session, int protocol)
{
    const struct strata_bytes argv[] = {strata_bytes("HELLO", 5),
                                        strata_bytes(protocol == 2 ? "2" : "3", 1)};
    struct sta_exchange *exchange = sta_exchange_create(session->worker, session);
    if (exchange == NULL || sta_exchange_write(exchange, argv, 2) < 0) {
        sta_exchange_destroy(&exchange);
        return STRATA_ERR_NOMEM;
    }
    exchange->conclude = conclude_hello;
    exchange->own = STA_OWN_BLOCKS;
    return own_send(session, exchange, 1);
}

/* ---- subscriptions, MONITOR ---- */

/* Before a cluster a PING goes behind SUNSUBSCRIBE (own_rejoin.h). */
static int run_subscription(struct sta_session *session, const struct sta_route *route,
                            struct strata_bytes *argv, size_t argc)
{
    const struct strata_bytes ping = strata_bytes("PING", 4);
    const enum sta_subscriptions_word word = sta_subscriptions_command(argv[0]);
    const bool leaves = session->worker->router != NULL && word == STA_SUBSCRIPTIONS_SUNSUBSCRIBE;
    struct sta_exchange *exchange = own_prepare(session, route, argv, argc);
    if (exchange != NULL && leaves && sta_exchange_write(exchange, &ping, 1) < 0)
        sta_exchange_destroy(&exchange);
    if (exchange == NULL)
        return STRATA_ERR_NOMEM;
    exchange->own = leaves ? STA_OWN_LEAVES : STA_OWN_CONFIRMS;
    exchange->own_word = (uint8_t)word;
    exchange->own_left = argc - 1;
    return own_send(session, exchange, leaves ? 2 : 1);
}

static int conclude_monitor(struct sta_exchange *exchange, int status, struct strata_bytes replies,
                            struct sta_buffer *out)
{
    const struct sta_session *session = exchange->session;
    if (status == STRATA_OK && session != NULL && session->own_lane != NULL &&
        *(const char *)replies.data == '-')
        session->own_lane->monitoring = false;
    return conclude_as_it_is(exchange, status, replies, out);
}

static int run_monitor(struct sta_session *session, const struct sta_route *route,
                       struct strata_bytes *argv, size_t argc)
{
    struct sta_exchange *exchange = own_prepare(session, route, argv, argc);
    if (exchange == NULL)
        return STRATA_ERR_NOMEM;
    exchange->conclude = conclude_monitor;
    exchange->own = STA_OWN_BLOCKS;
    session->own_lane->monitoring = true;
    return own_send(session, exchange, 1);
}

/* ---- what blocks ---- */

/* What Redis' answer must be there by: the command's own time and the budget of any other. Without
 * end where it says so, or where it is not known how it says; where it says nonsense, Redis answers
 * so at once. */
static uint64_t own_deadline(struct sta_worker *worker, const struct strata_bytes *argv,
                             size_t argc)
{
    struct sta_own_time time;
    int status = sta_own_time_read(&time, argv, argc);
    if (status == STRATA_MISS || (status == STRATA_OK && time.ns == STA_NEVER))
        return STA_NEVER;
    return sta_clock_after(sta_worker_deadline_ns(worker), status == STRATA_OK ? time.ns : 0);
}

/* The reply to WAIT, behind that to PING. */
static int conclude_wait(struct sta_exchange *exchange, int status, struct strata_bytes replies,
                         struct sta_buffer *out)
{
    struct sta_resp_walk walk = sta_resp_walk(replies);
    if (status == STRATA_OK)
        (void)sta_resp_skip(&walk, NULL);
    return conclude_as_it_is(exchange, status, walk.rest, out);
}

/* Redis waits for what its connection has written, and takes the state of the server at its last
 * command for that: the PING makes it the state behind all that the client has been answered. */
static int run_wait(struct sta_session *session, struct strata_bytes *argv, size_t argc)
{
    const struct strata_bytes ping = strata_bytes("PING", 4);
    struct sta_exchange *exchange = sta_exchange_create(session->worker, session);
    if (exchange == NULL)
        return STRATA_ERR_NOMEM;
    if (sta_exchange_write(exchange, &ping, 1) < 0 ||
        sta_exchange_write(exchange, argv, argc) < 0) {
        sta_exchange_destroy(&exchange);
        return STRATA_ERR_NOMEM;
    }
    exchange->conclude = conclude_wait;
    exchange->own = STA_OWN_BLOCKS;
    exchange->own_deadline_ns = own_deadline(session->worker, argv, argc);
    return own_send(session, exchange, 2);
}

static int run_blocking(struct sta_session *session, const struct sta_route *route,
                        struct strata_bytes *argv, size_t argc)
{
    struct sta_worker *worker = session->worker;
    struct sta_exchange *exchange = own_prepare(session, route, argv, argc);
    if (exchange == NULL)
        return STRATA_ERR_NOMEM;
    exchange->own = STA_OWN_BLOCKS;
    exchange->own_deadline_ns = own_deadline(worker, argv, argc);
    if (worker->stratad->l1 != NULL) {
        int status = sta_forward_add_keys(exchange, route, argv, argc);
        if (status != STRATA_OK) {
            sta_exchange_destroy(&exchange);
            return status;
        }
        sta_write_path_leave_late(exchange);
    }
    sta_stats_add(&worker->stats.writes, 1);
    return own_send(session, exchange, 1);
}

/* ---- */

static bool has_arguments(const struct sta_route *route, const struct strata_bytes *argv,
                          size_t argc)
{
    enum sta_subscriptions_word word = sta_subscriptions_command(argv[0]);
    return argc > 1 || (route->own != STA_OWN_WATCH &&
                        (route->own != STA_OWN_SUBSCRIPTION || sta_subscriptions_ends(word)));
}

static int say_arity(struct sta_session *session, struct strata_bytes word)
{
    char name[32], text[128];
    sta_dispatch_name(word, name, sizeof name);
    (void)snprintf(text, sizeof text, "ERR wrong number of arguments for '%s' command", name);
    return sta_session_say_error(session, text);
}

/* Before a cluster: what the client holds, it holds at another node. */
static int say_elsewhere(struct sta_session *session, struct strata_bytes word)
{
    char name[32], text[192];
    if (session->own_lane->watching)
        return sta_session_say_error(session,
                                     "CROSSSLOT Keys in request don't hash to the same slot");
    sta_dispatch_name(word, name, sizeof name);
    (void)snprintf(text, sizeof text,
                   "ERR strata: before a Redis Cluster '%s' and what the client is subscribed to "
                   "need a connection each",
                   name);
    return sta_session_say_error(session, text);
}

int sta_own_path(struct sta_session *session, const struct sta_route *route,
                 struct strata_bytes *argv, size_t argc)
{
    if (!has_arguments(route, argv, argc))
        return say_arity(session, argv[0]);
    if (!sta_session_may_send(session, STA_LANE_OWN))
        return STRATA_MORE;
    if (route->own == STA_OWN_UNWATCH)
        return run_unwatch(session);
    const uint16_t slot = route->plan != NULL ? route->plan->slot : STA_OPERATION_ANY_NODE;
    if (session->own_lane != NULL && !sta_own_lane_serves(session->own_lane, slot))
        return say_elsewhere(session, argv[0]);
    int status = sta_own_lane_lease(session, slot);
    if (status < 0)
        return say_no_lane(session, status);
    switch (route->own) {
    case STA_OWN_WATCH:
        return run_watch(session, route, argv, argc);
    case STA_OWN_SUBSCRIPTION:
        return run_subscription(session, route, argv, argc);
    case STA_OWN_MONITOR:
        return run_monitor(session, route, argv, argc);
    case STA_OWN_WAIT:
        return run_wait(session, argv, argc);
    default:
        return run_blocking(session, route, argv, argc);
    }
}

/* ---- while something is held ---- */

static int say_only_subscribes(struct sta_session *session, struct strata_bytes word)
{
    char name[32], text[192];
    sta_dispatch_name(word, name, sizeof name);
    (void)snprintf(text, sizeof text,
                   "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / "
                   "RESET are allowed in this context",
                   name);
    return sta_session_say_error(session, text);
}

static bool ends_session_state(const struct sta_route *route)
{
    return route->kind == STA_DISPATCH_LOCAL &&
           (route->local == STA_LOCAL_QUIT || route->local == STA_LOCAL_RESET);
}

static int held_by_subscriptions(struct sta_session *session, struct sta_route *route,
                                 struct strata_bytes *argv, size_t argc, bool *done)
{
    if (ends_session_state(route) ||
        (route->kind == STA_DISPATCH_OWN && route->own == STA_OWN_SUBSCRIPTION)) {
        *done = false;
        return STRATA_OK;
    }
    if (route->kind != STA_DISPATCH_LOCAL || route->local != STA_LOCAL_PING)
        return say_only_subscribes(session, argv[0]);
    route->lane = STA_LANE_OWN;
    route->keys_known = true;
    return sta_forward(session, route, argv, argc);
}

/* Goes to Redis where the keys are watched. */
static int watching_send(struct sta_session *session, struct sta_route *route,
                         struct strata_bytes *argv, size_t argc, bool *done)
{
    bool cached = session->worker->stratad->l1 != NULL;
    route->lane = STA_LANE_OWN;
    switch (route->kind) {
    case STA_DISPATCH_GET:
    case STA_DISPATCH_MGET:
    case STA_DISPATCH_SET:
    case STA_DISPATCH_FORWARD:
        return cached ? sta_write_path_keys(session, route, argv, argc)
                      : sta_forward(session, route, argv, argc);
    case STA_DISPATCH_CLEAR:
        return cached ? sta_write_path_clear(session, route, argv, argc)
                      : sta_forward(session, route, argv, argc);
    default:
        *done = false;
        return STRATA_OK;
    }
}

/* Before a cluster only what is of the same slot can be said there, or of none. */
static int held_by_watching(struct sta_session *session, struct sta_route *route,
                            struct strata_bytes *argv, size_t argc, bool *done)
{
    size_t first;
    if (session->worker->router == NULL || route->kind == STA_DISPATCH_LOCAL ||
        route->kind == STA_DISPATCH_REFUSED || route->kind == STA_DISPATCH_TRANSACTION ||
        route->kind == STA_DISPATCH_OWN)
        return watching_send(session, route, argv, argc, done);
    const struct sta_slot_plan plan = sta_slot_plan_inside(route, argv, argc, &first);
    const char *refusal = sta_slot_plan_refusal(&plan, session->own_lane->home.slot);
    route->plan = &plan;
    return refusal != NULL ? sta_session_say_error(session, refusal)
                           : watching_send(session, route, argv, argc, done);
}

int sta_own_path_held(struct sta_session *session, struct strata_bytes *argv, size_t argc,
                      bool *done)
{
    const struct sta_own_lane *lane = session->own_lane;
    *done = true;
    if (lane->exclusive > 0)
        return STRATA_MORE;
    *done = session->transaction == NULL && sta_own_lane_holds(lane);
    if (!*done)
        return STRATA_OK;
    struct sta_route route = sta_dispatch(session->worker->table, session->protocol, argv, argc);
    if (sta_own_lane_only_subscribes(lane))
        return held_by_subscriptions(session, &route, argv, argc, done);
    if (!lane->monitoring)
        return held_by_watching(session, &route, argv, argc, done);
    *done = route.kind != STA_DISPATCH_LOCAL;
    return *done ? sta_session_say_error(session,
                                         "ERR strata: only PING, RESET and QUIT behind MONITOR")
                 : STRATA_OK;
}
