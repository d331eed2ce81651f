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
#include "daemon/slot_plan.h"
#include "daemon/stratad.h"
#include "daemon/transaction.h"
#include "daemon/worker.h"
#include "daemon/write_window.h"
#include "l2/batch.h"
#include "resp/resp.h"
#include "strata/status.h"

/* SET, GET, PTTL where a value is kept, in this order: the TTL is never that of an older value. */
#define SET_READ_COMMANDS 3u

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

/* A client's own connection has ended with what was under way on it: there, what a fence on the
 * shared lane proves is as much as on a new one (lane.h). Of a spread write the parts have told by
 * themselves. */
static void doubt_where_unknown(const struct sta_exchange *exchange, int status)
{
    enum sta_lane_kind lane = exchange->lane == STA_LANE_OWN ? STA_LANE_SHARED : exchange->lane;
    if (sta_lane_is_unknown(status) && exchange->spread == NULL)
        sta_lane_doubt(&exchange->worker->lanes[lane], &exchange->operation);
}

static bool is_ok(struct strata_bytes reply)
{
    return reply.len == 5 && memcmp(reply.data, "+OK\r\n", 5) == 0;
}

static bool is_one(struct strata_bytes reply)
{
    return reply.len == 4 && memcmp(reply.data, ":1\r\n", 4) == 0;
}

/* The client's half of a conclusion: one reply, or the error. */
static int answer(struct sta_exchange *exchange, int status, struct strata_bytes replies,
                  struct sta_buffer *out)
{
    if (status < 0)
        return sta_forward_error(exchange, status, out);
    if (exchange->replaces && (is_ok(replies) || is_one(replies)))
        sta_barrier_watch_wrote(exchange);
    return out != NULL ? sta_forward_reply(exchange, replies, out) : STRATA_OK;
}

static int conclude_keys(struct sta_exchange *exchange, int status, struct strata_bytes replies,
                         struct sta_buffer *out)
{
    doubt_where_unknown(exchange, status);
    keys_end(exchange);
    return answer(exchange, status, replies, out);
}

static int conclude_late(struct sta_exchange *exchange, int status, struct strata_bytes replies,
                         struct sta_buffer *out)
{
    struct sta_l1 *l1 = exchange->worker->stratad->l1;
    uint64_t now_ms = sta_worker_tick_ms(exchange->worker);
    doubt_where_unknown(exchange, status);
    for (size_t i = 0; i < exchange->key_count; i++)
        (void)sta_l1_invalidate(l1, &exchange->keys[i].key, now_ms, NULL);
    return answer(exchange, status, replies, out);
}

void sta_write_path_leave_late(struct sta_exchange *exchange)
{
    exchange->conclude = conclude_late;
}

/* The value's time counts from when the command was sent: at the latest it is over when it is
 * over in Redis. */
static void set_publish(struct sta_exchange *exchange)
{
    struct sta_stratad *stratad = exchange->worker->stratad;
    struct sta_exchange_key *key = &exchange->keys[0];
    uint64_t most_ms = sta_stratad_live(&stratad->live.l1_ttl_ms);
    uint64_t ttl_ms = exchange->ttl_ms < most_ms ? exchange->ttl_ms : most_ms;
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
    const struct sta_exchange_key *key = &exchange->keys[0];
    if (status < 0 || !is_ok(replies) ||
        !sta_write_window_admits_publish(window, key->key.hash, exchange->epoch))
        return conclude_keys(exchange, status, replies, out);
    sta_exchange_stamp(exchange);
    if (key->nobodys)
        return conclude_keys(exchange, status, replies, out);
    set_publish(exchange);
    return answer(exchange, status, replies, out);
}

/* As conclude_set(), with what was read back behind it, which is not the client's. Others may have
 * written, or changed the TTL, before our GET: the shorter one counts. */
static int conclude_set_read(struct sta_exchange *exchange, int status, struct strata_bytes replies,
                             struct sta_buffer *out)
{
    struct sta_resp_walk walk = sta_resp_walk(replies);
    struct strata_bytes set;
    uint64_t left_ms;
    if (status < 0 || sta_resp_skip(&walk, &set) != STRATA_OK)
        return conclude_keys(exchange, status, replies, out);
    if (!sta_batch_read_set_kept(replies, exchange->value, &left_ms))
        return conclude_keys(exchange, status, set, out);
    exchange->ttl_ms = left_ms < exchange->ttl_ms ? left_ms : exchange->ttl_ms;
    return conclude_set(exchange, status, set, out);
}

/* Our own SET, or a write before our GET: what that GET brings is newer. Where nothing but this
 * push has overtaken the token, it goes on; the value is held to be asked for from now on. When
 * the GET's reply has come, the push tells of what is newer. */
void sta_write_path_named(struct sta_exchange *exchange, const struct sta_key *key,
                          struct sta_l1_token token)
{
    if (exchange == NULL || exchange->conclude != conclude_set_read ||
        sta_operation_lacks_last(&exchange->operation))
        return;
    struct sta_exchange_key *set = &exchange->keys[0];
    if (set->key.hash == key->hash && set->token.generation + 1 == token.generation)
        set->token = token;
}

/* L1 was emptied before the command was sent, and the doubt has kept it so. */
static int conclude_clear(struct sta_exchange *exchange, int status, struct strata_bytes replies,
                          struct sta_buffer *out)
{
    struct sta_stratad *stratad = exchange->worker->stratad;
    doubt_where_unknown(exchange, status);
    sta_write_window_doubt_end(stratad->window);
    return answer(exchange, status, replies, out);
}

/* As sta_forward_prepare(), with a GET and a PTTL of the key behind the SET. */
static struct sta_exchange *set_read_prepare(struct sta_session *session,
                                             const struct sta_route *route,
                                             struct strata_bytes *argv, size_t argc)
{
    const struct strata_bytes get[] = {strata_bytes("GET", 3), argv[1]};
    const struct strata_bytes pttl[] = {strata_bytes("PTTL", 4), argv[1]};
    struct sta_exchange *exchange = sta_exchange_create(session->worker, session);
    if (exchange != NULL && route->plan != NULL)
        exchange->operation.slot = route->plan->slot;
    if (exchange != NULL &&
        (sta_exchange_write(exchange, argv, argc) < 0 || sta_exchange_write(exchange, get, 2) < 0 ||
         sta_exchange_write(exchange, pttl, 2) < 0 ||
         sta_exchange_rebase(exchange, argv, argc) < 0))
        sta_exchange_destroy(&exchange);
    return exchange;
}

/* The exchange of a write, with its keys, nothing begun. STRATA_MORE: it has to wait. */
static int write_prepare(struct sta_session *session, const struct sta_route *route,
                         struct strata_bytes *argv, size_t argc, bool set_read,
                         struct sta_exchange **out)
{
    if (!sta_session_may_send(session, route->lane))
        return STRATA_MORE;
    struct sta_exchange *exchange = set_read ? set_read_prepare(session, route, argv, argc)
                                             : sta_forward_prepare(session, route, argv, argc);
    if (exchange == NULL)
        return STRATA_ERR_NOMEM;
    int status = sta_forward_add_keys(exchange, route, argv, argc);
    if (status != STRATA_OK) {
        sta_exchange_destroy(&exchange);
        return status;
    }
    exchange->replaces = sta_set_options_replaces(argv[0]);
    exchange->heeds_barriers = exchange->replaces;
    sta_stats_add(&session->worker->stats.writes, 1);
    sta_stats_add(&session->worker->stats.forwarded, 1);
    *out = exchange;
    return STRATA_OK;
}

int sta_write_path_keys(struct sta_session *session, const struct sta_route *route,
                        struct strata_bytes *argv, size_t argc)
{
    struct sta_exchange *exchange;
    int status = write_prepare(session, route, argv, argc, false, &exchange);
    if (status != STRATA_OK)
        return status;
    exchange->conclude = conclude_keys;
    if (sta_dispatch_word_is(argv[0], "del") || sta_dispatch_word_is(argv[0], "unlink"))
        exchange->timed_as = STA_TIMING_DELETE + 1;
    keys_begin(exchange);
    sta_session_send(session, exchange, route->lane, 1);
    return STRATA_OK;
}

static sta_exchange_conclude *const conclude_set_by[] = {
    [STA_TRACKED_SET_ANY] = conclude_set,
    [STA_TRACKED_SET_READ] = conclude_set_read,
    [STA_TRACKED_SET_NONE] = conclude_keys,
};

int sta_write_path_set(struct sta_session *session, const struct sta_route *route,
                       struct strata_bytes *argv, size_t argc)
{
    struct sta_exchange *exchange;
    struct sta_set_options options = sta_set_options_read(argv, argc);
    enum sta_tracked_set kept = options.known
                                    ? sta_tracked_lane_set(&session->worker->tracked, argv[2])
                                    : STA_TRACKED_SET_NONE;
    bool read = kept == STA_TRACKED_SET_READ;
    int status = write_prepare(session, route, argv, argc, read, &exchange);
    if (status != STRATA_OK)
        return status;
    exchange->conclude = conclude_set_by[kept];
    exchange->timed_as = STA_TIMING_SET + 1;
    exchange->ttl_ms = options.ttl_ms;
    exchange->value = argv[2];
    keys_begin(exchange);
    sta_session_send(session, exchange, route->lane, read ? SET_READ_COMMANDS : 1);
    return STRATA_OK;
}

int sta_write_path_clear(struct sta_session *session, const struct sta_route *route,
                         struct strata_bytes *argv, size_t argc)
{
    struct sta_stratad *stratad = session->worker->stratad;
    if (!sta_session_may_send(session, route->lane))
        return STRATA_MORE;
    struct sta_exchange *exchange = sta_forward_prepare(session, route, argv, argc);
    if (exchange == NULL)
        return STRATA_ERR_NOMEM;
    exchange->conclude = conclude_clear;
    exchange->keys_unknown = true;
    if (!sta_session_may_follow(session, exchange)) {
        sta_exchange_destroy(&exchange);
        return STRATA_MORE;
    }
    sta_stats_add(&session->worker->stats.writes, 1);
    sta_stats_add(&session->worker->stats.forwarded, 1);
    sta_write_window_doubt_begin(stratad->window);
    sta_l1_clear(stratad->l1);
    sta_session_send(session, exchange, route->lane, 1);
    return STRATA_OK;
}

static int answer_transaction(struct sta_exchange *exchange, int status,
                              struct strata_bytes replies, struct sta_buffer *out)
{
    if (status < 0)
        return sta_forward_error(exchange, status, out);
    return out != NULL ? sta_transaction_answer(exchange, replies, out) : STRATA_OK;
}

static int conclude_transaction(struct sta_exchange *exchange, int status,
                                struct strata_bytes replies, struct sta_buffer *out)
{
    if (exchange->worker->stratad->l1 != NULL) {
        doubt_where_unknown(exchange, status);
        keys_end(exchange);
    }
    return answer_transaction(exchange, status, replies, out);
}

static int conclude_transaction_clear(struct sta_exchange *exchange, int status,
                                      struct strata_bytes replies, struct sta_buffer *out)
{
    int written = conclude_transaction(exchange, status, replies, out);
    sta_write_window_doubt_end(exchange->worker->stratad->window);
    return written;
}

void sta_write_path_transaction(struct sta_session *session, struct sta_exchange *exchange,
                                enum sta_lane_kind lane, unsigned commands, bool clears)
{
    struct sta_stratad *stratad = session->worker->stratad;
    bool cached = stratad->l1 != NULL;
    exchange->conclude = cached && clears ? conclude_transaction_clear : conclude_transaction;
    sta_stats_add(&session->worker->stats.writes, 1);
    sta_stats_add(&session->worker->stats.forwarded, 1);
    if (cached) {
        keys_begin(exchange);
        if (clears) {
            sta_write_window_doubt_begin(stratad->window);
            sta_l1_clear(stratad->l1);
        }
    }
    sta_session_send(session, exchange, lane, commands);
}
