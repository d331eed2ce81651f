/* SPDX-License-Identifier: MIT
 *
 * Keeping a transaction until EXEC, and sending it whole.
 */
#include "daemon/transaction.h"

#include <stdio.h>
#include <stdlib.h>

#include "daemon/exchange.h"
#include "daemon/forward.h"
#include "daemon/own_lane.h"
#include "daemon/own_path.h"
#include "daemon/session.h"
#include "daemon/slot_plan.h"
#include "daemon/stratad.h"
#include "daemon/worker.h"
#include "daemon/write_path.h"
#include "resp/resp.h"
#include "strata/status.h"

struct sta_transaction {
    struct sta_buffer commands; /* as they are sent */
    struct sta_buffer probe;    /* before a cluster: a command about their slot, and */
    uint16_t slot;              /*   that; or nothing, and STA_OPERATION_ANY_NODE */
    unsigned count;
    bool aborted;
};

void sta_transaction_destroy(struct sta_transaction **at)
{
    struct sta_transaction *transaction = *at;
    if (transaction == NULL)
        return;
    *at = NULL;
    sta_buffer_fini(&transaction->commands);
    sta_buffer_fini(&transaction->probe);
    free(transaction);
}

void sta_transaction_abort(struct sta_session *session)
{
    session->transaction->aborted = true;
    sta_buffer_clear(&session->transaction->commands);
}

/* ---- MULTI, and what it is followed by ---- */

static bool is_watching(const struct sta_session *session)
{
    return session->own_lane != NULL && session->own_lane->watching;
}

/* Before a cluster what stands behind watched keys is of their slot, and goes where they are
 * watched: no command about the slot is needed, for nothing of it may go elsewhere. */
static int run_multi(struct sta_session *session)
{
    if (session->transaction != NULL)
        return sta_session_say_error(session, "ERR MULTI calls can not be nested");
    struct sta_transaction *transaction = calloc(1, sizeof *transaction);
    if (transaction == NULL)
        return STRATA_ERR_NOMEM;
    sta_buffer_init(&transaction->commands, session->worker->stratad->options.query_limit);
    sta_buffer_init(&transaction->probe, session->worker->stratad->options.query_limit);
    transaction->slot =
        is_watching(session) ? session->own_lane->home.slot : STA_OPERATION_ANY_NODE;
    session->transaction = transaction;
    return sta_session_say(session, "OK");
}

/* Before a cluster: NULL where the command may stand in the transaction, or why not. What begins
 * with a key is known to be about its slot from then on. */
static const char *transaction_place(struct sta_transaction *transaction,
                                     const struct sta_route *route, const struct strata_bytes *argv,
                                     size_t argc)
{
    size_t first;
    const struct sta_slot_plan plan = sta_slot_plan_inside(route, argv, argc, &first);
    const bool is_first = transaction->slot == STA_OPERATION_ANY_NODE;
    const char *refusal = sta_slot_plan_refusal(&plan, transaction->slot);
    if (refusal != NULL || plan.kind == STA_SLOT_PLAN_ANY)
        return refusal;
    const struct strata_bytes probe[] = {strata_bytes("EXISTS", 6), argv[first]};
    if (is_first && sta_resp_write_command(&transaction->probe, probe, 2) < 0)
        return "ERR strata: out of memory";
    transaction->slot = plan.slot;
    return NULL;
}

int sta_transaction_queue(struct sta_session *session, const struct sta_route *route,
                          const struct strata_bytes *argv, size_t argc)
{
    struct sta_transaction *transaction = session->transaction;
    const char *refusal = NULL;
    if (session->worker->router != NULL && route->kind != STA_DISPATCH_LOCAL)
        refusal = transaction_place(transaction, route, argv, argc);
    if (refusal != NULL) {
        sta_transaction_abort(session);
        return sta_session_say_error(session, refusal);
    }
    if (transaction->aborted)
        return sta_session_say(session, "QUEUED");
    int status = sta_resp_write_command(&transaction->commands, argv, argc);
    if (status == STRATA_ERR_TOO_BIG) {
        sta_transaction_abort(session);
        return sta_session_say_error(session,
                                     "ERR strata: the transaction is larger than --query-limit");
    }
    if (status < 0)
        return status;
    transaction->count++;
    return sta_session_say(session, "QUEUED");
}

/* Redis is told of a DISCARD, or of an EXEC that it does not see, where it watches keys. */
static int run_discard(struct sta_session *session)
{
    if (session->transaction == NULL)
        return sta_session_say_error(session, "ERR DISCARD without MULTI");
    if (is_watching(session) && !sta_session_may_send(session, STA_LANE_OWN))
        return STRATA_MORE;
    sta_transaction_destroy(&session->transaction);
    session->watch_lost = STA_WATCH_KEPT;
    return is_watching(session) ? sta_own_path_unwatch(session, NULL)
                                : sta_session_say(session, "OK");
}

/* ---- EXEC ---- */

static bool is_error(struct strata_bytes frame)
{
    return *(const uint8_t *)frame.data == '-';
}

/* Redis did not take a command, and so nothing was carried out: the client has been told QUEUED,
 * and learns here why. */
static int say_discarded(struct strata_bytes why, struct sta_buffer *out)
{
    char text[256];
    int len = why.len - 3 < 160 ? (int)(why.len - 3) : 160;
    (void)snprintf(text, sizeof text, "EXECABORT Transaction discarded because of: %.*s", len,
                   (const char *)why.data + 1);
    return sta_resp_write_error(out, text);
}

int sta_transaction_answer(const struct sta_exchange *exchange, struct strata_bytes replies,
                           struct sta_buffer *out)
{
    struct sta_resp_walk walk = sta_resp_walk(replies);
    struct strata_bytes frame, refused = {0};
    for (unsigned i = 0; i < exchange->operation.request.commands; i++) {
        if (sta_resp_skip(&walk, &frame) != STRATA_OK)
            return sta_resp_write_error(out, "ERR strata: redis answered a transaction otherwise");
        if (refused.len == 0 && is_error(frame))
            refused = frame;
    }
    return is_error(frame) && refused.data != frame.data ? say_discarded(refused, out)
                                                         : sta_forward_reply(exchange, frame, out);
}

static int exec_write(struct sta_exchange *exchange, const struct sta_transaction *transaction)
{
    const struct strata_bytes multi = strata_bytes("MULTI", 5), exec = strata_bytes("EXEC", 4);
    int status = sta_buffer_append(&exchange->wire, sta_buffer_bytes(&transaction->probe));
    if (status == STRATA_OK)
        status = sta_exchange_write(exchange, &multi, 1);
    if (status == STRATA_OK)
        status = sta_buffer_append(&exchange->wire, sta_buffer_bytes(&transaction->commands));
    return status == STRATA_OK ? sta_exchange_write(exchange, &exec, 1) : status;
}

/* One command of the wire, which grows no more. */
static int exec_add_keys(struct sta_exchange *exchange, struct strata_bytes frame, bool *clears)
{
    struct sta_worker *worker = exchange->worker;
    size_t argc = 0;
    int status = sta_resp_request_count(frame, &argc);
    struct strata_bytes *argv = status < 0 ? NULL : sta_worker_argv(worker, argc);
    if (argv == NULL)
        return status < 0 ? status : STRATA_ERR_NOMEM;
    status = sta_resp_request_args(frame, argv, argc, NULL);
    if (status < 0)
        return status;
    struct sta_route route = sta_dispatch(worker->table, exchange->session->protocol, argv, argc);
    if (route.kind == STA_DISPATCH_LOCAL || route.kind == STA_DISPATCH_TRANSACTION)
        return STRATA_OK;
    *clears = *clears || route.kind == STA_DISPATCH_CLEAR;
    return sta_forward_add_keys(exchange, &route, argv, argc);
}

static int exec_add_all_keys(struct sta_exchange *exchange, bool *clears)
{
    struct sta_resp_request_framer framer = {0};
    struct sta_resp_limits limits = sta_resp_request_limits;
    limits.total_bytes = SIZE_MAX; /* they were looked at when they came */
    struct strata_bytes wire = sta_buffer_bytes(&exchange->wire);
    const uint8_t *bytes = wire.data;
    size_t used = 0;
    int status = STRATA_OK;
    while (used < wire.len && status == STRATA_OK) {
        size_t len;
        const char *reason;
        status = sta_resp_frame_request(&framer, &limits, false,
                                        strata_bytes(bytes + used, wire.len - used), &len, &reason);
        if (status == STRATA_OK) {
            status = exec_add_keys(exchange, strata_bytes(bytes + used, len), clears);
            used += len;
        }
    }
    return status;
}

static int exec_send(struct sta_session *session, enum sta_lane_kind lane)
{
    struct sta_exchange *exchange = sta_exchange_create(session->worker, session);
    if (exchange == NULL)
        return STRATA_ERR_NOMEM;
    bool clears = false;
    bool probes = sta_buffer_len(&session->transaction->probe) > 0;
    unsigned commands = session->transaction->count + 2 + probes;
    exchange->operation.slot = session->transaction->slot;
    exchange->operation.whole = probes;
    int status = exec_write(exchange, session->transaction);
    if (status == STRATA_OK)
        status = exec_add_all_keys(exchange, &clears);
    if (status != STRATA_OK) {
        sta_exchange_destroy(&exchange);
        return status;
    }
    sta_transaction_destroy(&session->transaction);
    exchange->keys_unknown = true;
    if (lane == STA_LANE_OWN)
        session->own_lane->watching = false;
    sta_write_path_transaction(session, exchange, lane, commands, clears);
    return STRATA_OK;
}

static int refuse_exec(struct sta_session *session, const char *text)
{
    if (is_watching(session) && !sta_session_may_send(session, STA_LANE_OWN))
        return STRATA_MORE;
    sta_transaction_destroy(&session->transaction);
    session->watch_lost = STA_WATCH_KEPT;
    return is_watching(session) ? sta_own_path_unwatch(session, text)
                                : sta_session_say_error(session, text);
}

static int run_exec(struct sta_session *session)
{
    if (session->transaction == NULL)
        return sta_session_say_error(session, "ERR EXEC without MULTI");
    if (session->transaction->aborted)
        return refuse_exec(session, "EXECABORT Transaction discarded because of previous errors.");
    if (session->watch_lost != STA_WATCH_KEPT)
        return refuse_exec(session, "EXECABORT strata: the connection to redis on which keys were "
                                    "watched is lost; nothing was carried out");
    enum sta_lane_kind lane = session->protocol == 3 ? STA_LANE_PLAIN3 : STA_LANE_PLAIN2;
    if (is_watching(session))
        lane = STA_LANE_OWN;
    return sta_session_may_send(session, lane) ? exec_send(session, lane) : STRATA_MORE;
}

int sta_transaction_control(struct sta_session *session, const struct strata_bytes *argv,
                            size_t argc)
{
    static const struct {
        const char *name, *arity;
        int (*run)(struct sta_session *session);
    } commands[] = {
        {"multi", "ERR wrong number of arguments for 'multi' command", run_multi},
        {"exec", "ERR wrong number of arguments for 'exec' command", run_exec},
        {"discard", "ERR wrong number of arguments for 'discard' command", run_discard},
    };
    size_t i = 0;
    while (!sta_dispatch_word_is(argv[0], commands[i].name))
        i++;
    if (argc == 1)
        return commands[i].run(session);
    if (session->transaction != NULL)
        sta_transaction_abort(session);
    return sta_session_say_error(session, commands[i].arity);
}
