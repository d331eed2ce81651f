/* SPDX-License-Identifier: MIT
 *
 * See read_turn.h.
 */
#include "daemon/read_turn.h"

#include "daemon/exchange.h"
#include "daemon/read_path.h"
#include "daemon/session.h"
#include "daemon/stratad.h"
#include "daemon/worker.h"
#include "strata/status.h"

static struct sta_exchange *exchange_of(const struct sta_turn *turn)
{
    return STA_CONTAINER(turn, struct sta_exchange, turn);
}

static bool doubts(const struct sta_turn *turn, size_t i, uint64_t *hash)
{
    const struct sta_exchange_key *key = &exchange_of(turn)->keys[i];
    *hash = key->key.hash;
    return key->suspect;
}

static size_t count_suspects(const struct sta_exchange *exchange)
{
    size_t count = 0;
    for (size_t i = 0; i < exchange->key_count; i++)
        count += exchange->keys[i].suspect;
    return count;
}

/* L1 is asked where nothing else of the client is under way that may concern the keys. */
static void take(struct sta_turns *turns, struct sta_turn *turn, uint64_t now_ns)
{
    struct sta_exchange *exchange = exchange_of(turn);
    struct sta_session *session = exchange->session;
    if (session->in_flight == 1 && sta_read_path_take_from_l1(exchange)) {
        session->turn = NULL;
        sta_session_conclude(exchange, STRATA_OK, strata_bytes(NULL, 0));
        return;
    }
    sta_stats_add(&session->worker->stats.reads_l2, exchange->key_count);
    sta_turns_pace_spend(turns->pace, count_suspects(exchange), now_ns);
    sta_read_path_ask(exchange, sta_worker_tick_ms(session->worker));
    sta_session_go_on(exchange);
}

static void refuse(struct sta_turns *turns, struct sta_turn *turn)
{
    struct sta_exchange *exchange = exchange_of(turn);
    (void)turns;
    exchange->session->turn = NULL;
    sta_stats_add(&exchange->worker->stats.reads_l2, exchange->key_count);
    sta_session_conclude(exchange, STRATA_ERR_BUSY, strata_bytes(NULL, 0));
}

static const struct sta_turns_owner owner = {.doubts = doubts, .take = take, .refuse = refuse};

void sta_read_turn_init(struct sta_worker *worker)
{
    sta_turns_init(&worker->turns, &worker->stratad->pace, worker->loop, &owner);
}

size_t sta_read_turn_mark(struct sta_exchange *exchange)
{
    const struct sta_stratad *stratad = exchange->worker->stratad;
    size_t count = 0;
    for (size_t i = 0; stratad->tracking != STA_TRACKING_OFF && i < exchange->key_count; i++) {
        struct sta_exchange_key *key = &exchange->keys[i];
        struct sta_l1_lease lease = {0};
        if (sta_l1_peek(stratad->l1, &key->key, exchange->worker->now_ms, &lease) != STRATA_OK)
            continue;
        key->suspect = lease.suspect;
        count += key->suspect;
        sta_l1_release(stratad->l1, &lease);
    }
    return count;
}

void sta_read_turn_submit(struct sta_exchange *exchange, size_t suspects)
{
    struct sta_worker *worker = exchange->worker;
    int status = STRATA_OK;
    if (suspects > 0) {
        exchange->turn.keys = exchange->key_count;
        exchange->turn.end_ns = exchange->operation.request.deadline_ns;
        status =
            sta_turns_ask(&worker->turns, &exchange->turn, suspects, sta_loop_now_ns(worker->loop));
    }
    if (status == STRATA_MORE) {
        exchange->session->turn = exchange;
        return;
    }
    sta_stats_add(&worker->stats.reads_l2, exchange->key_count);
    if (status < 0)
        sta_session_conclude(exchange, status, strata_bytes(NULL, 0));
    else
        sta_session_submit(exchange);
}

void sta_read_turn_give_back(const struct sta_exchange *exchange)
{
    size_t count = count_suspects(exchange);
    if (count > 0)
        sta_turns_pace_give_back(&exchange->worker->stratad->pace, count);
}

void sta_read_turn_give_up(struct sta_session *session)
{
    struct sta_exchange *exchange = session->turn;
    if (exchange == NULL)
        return;
    session->turn = NULL;
    exchange->sent = false;
    sta_turns_remove(&session->worker->turns, &exchange->turn);
}
