/* SPDX-License-Identifier: MIT
 *
 * The coherence of own writes; the rule is in write_path.h, its reasons in write_window.h.
 */
#include "daemon/write_path.h"

#include "core/clock.h"
#include "daemon/exchange.h"
#include "daemon/forward.h"
#include "daemon/session.h"
#include "daemon/set_options.h"
#include "daemon/stratad.h"
#include "daemon/worker.h"
#include "daemon/write_window.h"
#include "strata/status.h"

static void keys_begin(struct sta_exchange *exchange)
{
    struct sta_stratad *stratad = exchange->worker->stratad;
    exchange->asked_ms = exchange->worker->now_ms;
    exchange->epoch = sta_write_window_epoch(stratad->window);
    for (size_t i = 0; i < exchange->key_count; i++) {
        struct sta_exchange_key *key = &exchange->keys[i];
        sta_write_window_begin(stratad->window, key->key.hash);
        key->token = sta_l1_invalidate(stratad->l1, &key->key, exchange->asked_ms, NULL);
    }
}

static void keys_end(struct sta_exchange *exchange)
{
    struct sta_stratad *stratad = exchange->worker->stratad;
    uint64_t now_ms = sta_worker_tick_ms(exchange->worker);
    for (size_t i = 0; i < exchange->key_count; i++) {
        const struct sta_exchange_key *key = &exchange->keys[i];
        (void)sta_l1_invalidate(stratad->l1, &key->key, now_ms, NULL);
        sta_write_window_end(stratad->window, key->key.hash);
    }
}

/* It may have been carried out, or may yet be. */
static bool is_unknown(int status)
{
    return status == STRATA_ERR_TIMEOUT || status == STRATA_ERR_LOST;
}

/* The client's half of a conclusion: one reply, or the error. */
static int answer(struct sta_exchange *exchange, int status, struct strata_bytes replies,
                  struct sta_buffer *out)
{
    if (status < 0)
        return sta_forward_error(exchange, status, out);
    return out != NULL ? sta_forward_reply(exchange, replies, out) : STRATA_OK;
}

static int conclude_keys(struct sta_exchange *exchange, int status, struct strata_bytes replies,
                         struct sta_buffer *out)
{
    if (is_unknown(status))
        sta_lane_doubt(&exchange->worker->lanes[exchange->lane]);
    keys_end(exchange);
    return answer(exchange, status, replies, out);
}

static bool is_ok(struct strata_bytes reply)
{
    return reply.len == 5 && memcmp(reply.data, "+OK\r\n", 5) == 0;
}

/* The value's time counts from when the command was sent: at the latest it is over when it is
 * over in Redis. */
static void set_publish(struct sta_exchange *exchange)
{
    struct sta_stratad *stratad = exchange->worker->stratad;
    const struct sta_exchange_key *key = &exchange->keys[0];
    uint64_t ttl_ms = exchange->ttl_ms < stratad->l1_ttl_ms ? exchange->ttl_ms : stratad->l1_ttl_ms;
    const struct sta_l1_entry entry = {
        .value = exchange->value,
        .deadline_ms = sta_clock_after(exchange->asked_ms, ttl_ms),
    };
    (void)sta_l1_publish(stratad->l1, &key->key, &entry, key->token,
                         sta_worker_tick_ms(exchange->worker));
    sta_write_window_end(stratad->window, key->key.hash);
}

static int conclude_set(struct sta_exchange *exchange, int status, struct strata_bytes replies,
                        struct sta_buffer *out)
{
    const struct sta_write_window *window = exchange->worker->stratad->window;
    if (status == STRATA_OK && is_ok(replies) &&
        sta_write_window_admits_publish(window, exchange->keys[0].key.hash, exchange->epoch)) {
        set_publish(exchange);
        return answer(exchange, status, replies, out);
    }
    return conclude_keys(exchange, status, replies, out);
}

/* L1 was emptied before the command was sent, and the doubt has kept it so. */
static int conclude_clear(struct sta_exchange *exchange, int status, struct strata_bytes replies,
                          struct sta_buffer *out)
{
    struct sta_stratad *stratad = exchange->worker->stratad;
    if (is_unknown(status))
        sta_lane_doubt(&exchange->worker->lanes[exchange->lane]);
    sta_write_window_doubt_end(stratad->window);
    return answer(exchange, status, replies, out);
}

/* The exchange of a write, with its keys, nothing begun. *out is NULL where it has to wait. */
static int write_prepare(struct sta_session *session, const struct sta_route *route,
                         struct strata_bytes *argv, size_t argc, struct sta_exchange **out)
{
    if (!sta_session_may_send(session, route->lane))
        return STRATA_MORE;
    struct sta_exchange *exchange = sta_forward_prepare(session, argv, argc);
    if (exchange == NULL)
        return STRATA_ERR_NOMEM;
    int status = sta_forward_add_keys(exchange, route, argv, argc);
    if (status < 0) {
        sta_exchange_destroy(&exchange);
        return status;
    }
    sta_stats_add(&session->worker->stats.writes, 1);
    sta_stats_add(&session->worker->stats.forwarded, 1);
    *out = exchange;
    return STRATA_OK;
}

int sta_write_path_keys(struct sta_session *session, const struct sta_route *route,
                        struct strata_bytes *argv, size_t argc)
{
    struct sta_exchange *exchange;
    int status = write_prepare(session, route, argv, argc, &exchange);
    if (status != STRATA_OK)
        return status;
    exchange->conclude = conclude_keys;
    exchange->keys_unknown = !route->keys_known;
    keys_begin(exchange);
    sta_session_send(session, exchange, route->lane, 1);
    return STRATA_OK;
}

int sta_write_path_set(struct sta_session *session, const struct sta_route *route,
                       struct strata_bytes *argv, size_t argc)
{
    struct sta_exchange *exchange;
    int status = write_prepare(session, route, argv, argc, &exchange);
    if (status != STRATA_OK)
        return status;
    struct sta_set_options options = sta_set_options_read(argv, argc);
    exchange->conclude = options.known ? conclude_set : conclude_keys;
    exchange->ttl_ms = options.ttl_ms;
    exchange->value = argv[2];
    keys_begin(exchange);
    sta_session_send(session, exchange, route->lane, 1);
    return STRATA_OK;
}

int sta_write_path_clear(struct sta_session *session, const struct sta_route *route,
                         struct strata_bytes *argv, size_t argc)
{
    struct sta_stratad *stratad = session->worker->stratad;
    if (!sta_session_may_send(session, route->lane))
        return STRATA_MORE;
    struct sta_exchange *exchange = sta_forward_prepare(session, argv, argc);
    if (exchange == NULL)
        return STRATA_ERR_NOMEM;
    exchange->conclude = conclude_clear;
    exchange->keys_unknown = true;
    sta_stats_add(&session->worker->stats.writes, 1);
    sta_stats_add(&session->worker->stats.forwarded, 1);
    sta_write_window_doubt_begin(stratad->window);
    sta_l1_clear(stratad->l1);
    sta_session_send(session, exchange, route->lane, 1);
    return STRATA_OK;
}
