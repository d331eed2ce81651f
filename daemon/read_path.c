/* SPDX-License-Identifier: MIT
 *
 * GET and MGET. The hit is at the top; its budget is in session.c.
 */
#include "daemon/read_path.h"

#include "core/clock.h"
#include "daemon/exchange.h"
#include "daemon/forward.h"
#include "daemon/read_turn.h"
#include "daemon/session.h"
#include "daemon/spread.h"
#include "daemon/stratad.h"
#include "daemon/worker.h"
#include "daemon/write_window.h"
#include "resp/resp.h"
#include "strata/status.h"

/* More keys than this in one MGET go to Redis whole and leave nothing in L1. */
#define MGET_MOST 1024u

/* Values up to this size are copied without a lease. */
#define COPY_MOST 4096u

/* Keys of an MGET whose memory is fetched together. */
#define MGET_AT_ONCE 32u

static int get_slow(struct sta_session *session, struct strata_bytes *argv,
                    const struct sta_key *key);

/* ---- what is large ----
 *
 * Before a single Redis a GET whose answer was large the last time goes by the plain lane of RESP3,
 * and so does one while something large comes in on the shared lane: nothing small waits for it,
 * or it for that. There nobody tracks what is read, so L1 keeps nothing of it; what it would keep
 * is not large in this sense. Before a cluster the router does the same for each node.
 */

static enum sta_lane_kind get_lane(const struct sta_session *session, struct strata_bytes key)
{
    const struct sta_worker *worker = session->worker;
    const struct sta_lane *shared = &worker->lanes[STA_LANE_SHARED],
                          *plain = &worker->lanes[STA_LANE_PLAIN3];
    if (worker->router != NULL || sta_lane_speaks_only_2(shared))
        return STA_LANE_SHARED;
    bool aside = sta_large_answers_expects(&worker->large, key) ||
                 (session->in_flight == 0 && sta_connection_is_clogged(shared->connection) &&
                  !sta_connection_is_clogged(plain->connection));
    return aside ? STA_LANE_PLAIN3 : STA_LANE_SHARED;
}

static void note_size(struct sta_worker *worker, struct strata_bytes key, size_t len)
{
    const struct sta_l1 *l1 = worker->stratad->l1;
    bool is_large = len >= STA_LARGE_ANSWERS_BYTES && (l1 == NULL || !sta_l1_takes(l1, len));
    if (worker->router == NULL)
        sta_large_answers_note(&worker->large, key, is_large);
}

/* L1's answer, where nothing unanswered may concern the key. The lease must be released. */
static bool read_l1(struct sta_session *session, const struct sta_key *key, uint64_t now_ms,
                    struct sta_l1_lease *lease)
{
    struct sta_stratad *stratad = session->worker->stratad;
    if (sta_key_filter_may_have(&session->filter, key->hash)) {
        sta_stats_add(&session->worker->stats.reads_unasked, 1);
        return false;
    }
    if (sta_l1_get(stratad->l1, key, now_ms, lease) != STRATA_OK) {
        sta_prefixes_miss(stratad->prefixes, STA_TIMING_L1, key->bytes);
        return false;
    }
    sta_prefixes_hit(stratad->prefixes, STA_TIMING_L1, key->bytes, lease->value.len);
    return true;
}

/* Behind others that wait for Redis, or too large for a copy: from a lease. */
static int answer_from_lease(struct sta_session *session, struct sta_l1_lease *lease)
{
    struct sta_buffer *out = sta_session_reply(session);
    int status = out != NULL ? sta_resp_write_bulk(out, lease->value) : STRATA_ERR_NOMEM;
    sta_l1_release(session->worker->stratad->l1, lease);
    sta_stats_add(&session->worker->stats.reads_l1, 1);
    return status;
}

/* The value goes straight to where it will stand in the output. */
static int get_next_in_line(struct sta_session *session, struct strata_bytes *argv,
                            const struct sta_key *key)
{
    struct sta_worker *worker = session->worker;
    struct sta_l1 *l1 = worker->stratad->l1;
    struct sta_prefixes *prefixes = worker->stratad->prefixes;
    struct sta_l1_copy copy = {.buffer = sta_resp_open_bulk(session->out, COPY_MOST),
                               .cap = COPY_MOST};
    struct sta_l1_lease lease;
    if (copy.buffer == NULL)
        copy.cap = 0;
    if (sta_l1_copy(l1, key, worker->now_ms, &copy) != STRATA_OK) {
        sta_prefixes_miss(prefixes, STA_TIMING_L1, key->bytes);
        return get_slow(session, argv, key);
    }
    sta_prefixes_hit(prefixes, STA_TIMING_L1, key->bytes, copy.len);
    if (copy.buffer != NULL && copy.len <= COPY_MOST) {
        sta_resp_close_bulk(session->out, copy.len);
        sta_stats_add(&worker->stats.reads_l1, 1);
        return STRATA_OK;
    }
    if (sta_l1_peek(l1, key, worker->now_ms, &lease) != STRATA_OK)
        return get_slow(session, argv, key); /* gone meanwhile */
    if (lease.suspect) {
        sta_l1_release(l1, &lease);
        return get_slow(session, argv, key);
    }
    return answer_from_lease(session, &lease);
}

/* The same, timed: from the look into L1 until the reply is written. */
static int get_timed(struct sta_session *session, struct strata_bytes *argv,
                     const struct sta_key *key)
{
    struct sta_worker *worker = session->worker;
    uint64_t hits = atomic_load_explicit(&worker->stats.reads_l1, memory_order_relaxed);
    uint64_t begun_ns = sta_clock_now_ns();
    int status = get_next_in_line(session, argv, key);
    if (atomic_load_explicit(&worker->stats.reads_l1, memory_order_relaxed) != hits)
        sta_timing_sample(worker->stratad->timing, STA_TIMING_GET, begun_ns);
    return status;
}

/* Whether this one is timed, if it is a hit: one in STA_TIMING_ONE_OF. */
static inline bool is_sampled(const struct sta_worker *worker)
{
    uint64_t hits = atomic_load_explicit(&worker->stats.reads_l1, memory_order_relaxed);
    return hits % STA_TIMING_ONE_OF == 0 && worker->stratad->timing != NULL;
}

int sta_read_path_get(struct sta_session *session, struct strata_bytes *argv)
{
    struct sta_worker *worker = session->worker;
    struct sta_key key = sta_look_ahead_key(&worker->ahead, worker->stratad->l1, argv[1]);
    struct sta_l1_lease lease;
    if (session->queue_len == 0)
        return is_sampled(worker) ? get_timed(session, argv, &key)
                                  : get_next_in_line(session, argv, &key);
    if (!sta_session_may_send(session, get_lane(session, argv[1])) ||
        !sta_session_may_ask(session, key.hash))
        return STRATA_MORE; /* before L1 is asked: it is served again, and is one get */
    if (!read_l1(session, &key, worker->now_ms, &lease))
        return get_slow(session, argv, &key);
    return answer_from_lease(session, &lease);
}

/* What L1 may keep of what Redis said about a key: the frames of its value and of its PTTL. False:
 * nothing. */
static bool read_entry(const struct sta_exchange *exchange, struct strata_bytes value_frame,
                       struct strata_bytes pttl_frame, struct sta_l1_entry *entry)
{
    struct sta_resp_walk value_walk = sta_resp_walk(value_frame);
    struct sta_resp_walk pttl_walk = sta_resp_walk(pttl_frame);
    struct sta_resp_value value, pttl;
    if (sta_resp_next(&value_walk, &value) != STRATA_OK || value.type != STA_RESP_BULK ||
        sta_resp_next(&pttl_walk, &pttl) != STRATA_OK || pttl.type != STA_RESP_INTEGER)
        return false;
    uint64_t ttl_ms = sta_stratad_live(&exchange->worker->stratad->live.l1_ttl_ms);
    if (pttl.integer >= 0 && (uint64_t)pttl.integer < ttl_ms)
        ttl_ms = (uint64_t)pttl.integer;
    else if (pttl.integer < -1) /* gone, or nothing that we know */
        return false;
    *entry = (struct sta_l1_entry){
        .value = value.bytes,
        .deadline_ms = sta_clock_after(exchange->asked_ms, ttl_ms),
    };
    return true;
}

static bool stamp(struct sta_exchange *exchange, const struct sta_exchange_key *key)
{
    sta_exchange_stamp(exchange);
    return !key->nobodys;
}

/* Before the client sees what Redis said about a key, L1 has it, or has nothing that is older. */
static void deliver(struct sta_exchange *exchange, struct sta_exchange_key *key,
                    struct strata_bytes value_frame, struct strata_bytes pttl_frame)
{
    struct sta_worker *worker = exchange->worker;
    struct sta_stratad *stratad = worker->stratad;
    struct sta_l1_entry entry;
    uint64_t now_ms = sta_worker_tick_ms(worker);
    if (!read_entry(exchange, value_frame, pttl_frame, &entry) ||
        !sta_write_window_admits_fill(stratad->window, key->key.hash, exchange->epoch) ||
        !stamp(exchange, key)) {
        (void)sta_l1_invalidate(stratad->l1, &key->key, now_ms, NULL);
        return;
    }
    (void)sta_l1_deliver(stratad->l1, &key->key, &entry, key->token, now_ms);
}

/* What a barrier hides is as if Redis did not have it; errors it is not. */
static struct strata_bytes behind_barriers(const struct sta_exchange *exchange,
                                           struct sta_exchange_key *key,
                                           struct strata_bytes value_frame)
{
    key->hidden = *(const char *)value_frame.data == '$' &&
                  sta_barrier_watch_hides(exchange->worker->stratad, key->key.bytes, key->asked_ns);
    return key->hidden ? strata_text("_\r\n") : value_frame;
}

/* ---- where Redis does not answer, and that is wanted ---- */

static bool is_hidden(const struct sta_exchange *exchange, const struct sta_exchange_key *key)
{
    return sta_barrier_watch_hides(exchange->worker->stratad, key->key.bytes, sta_clock_now_ns());
}

/* Appends what L1 has of the exchange's keys, in doubt or not as is wanted; false where one of them
 * is not there. */
static bool l1_values(const struct sta_exchange *exchange, bool stale, struct sta_buffer *values)
{
    struct sta_worker *worker = exchange->worker;
    struct sta_l1 *l1 = worker->stratad->l1;
    for (size_t i = 0; i < exchange->key_count; i++) {
        struct sta_l1_lease lease = {0};
        if (is_hidden(exchange, &exchange->keys[i]) ||
            sta_l1_peek(l1, &exchange->keys[i].key, sta_worker_tick_ms(worker), &lease) !=
                STRATA_OK)
            return false;
        int status = STRATA_MISS;
        if (stale || !lease.suspect)
            status = sta_resp_write_bulk(values, lease.value);
        sta_l1_release(l1, &lease);
        if (status != STRATA_OK)
            return false;
    }
    return true;
}

static enum strata_serve_stale stale_policy(const struct sta_worker *worker)
{
    return (enum strata_serve_stale)sta_stratad_live(&worker->stratad->live.serve_stale);
}

/* Whether the values are in worker->parts, which the caller empties in any case. */
static bool read_stale(struct sta_exchange *exchange, const struct sta_buffer *out)
{
    struct sta_worker *worker = exchange->worker;
    if (out == NULL || stale_policy(worker) != STRATA_SERVE_STALE_ON ||
        !l1_values(exchange, true, &worker->parts))
        return false;
    sta_stats_add(&worker->stats.reads_stale, exchange->key_count);
    return true;
}

/* L1 has something of one of the keys, and does not answer it because nobody vouches for it. */
static bool is_unproven(const struct sta_exchange *exchange)
{
    struct sta_worker *worker = exchange->worker;
    struct sta_l1 *l1 = worker->stratad->l1;
    bool found = false;
    for (size_t i = 0; i < exchange->key_count && !found; i++) {
        struct sta_l1_lease lease = {0};
        if (sta_l1_peek(l1, &exchange->keys[i].key, sta_worker_tick_ms(worker), &lease) ==
            STRATA_OK) {
            found = lease.suspect && !is_hidden(exchange, &exchange->keys[i]);
            sta_l1_release(l1, &lease);
        }
    }
    return found;
}

static int read_failed(struct sta_exchange *exchange, int status, struct sta_buffer *out)
{
    if (stale_policy(exchange->worker) == STRATA_SERVE_STALE_ERROR && is_unproven(exchange))
        status = STRATA_ERR_UNPROVEN;
    return sta_forward_error(exchange, status, out);
}

static void empty_parts(struct sta_worker *worker)
{
    sta_buffer_consume(&worker->parts, sta_buffer_len(&worker->parts)); /* much goes back at once */
}

static int get_failed(struct sta_exchange *exchange, int status, struct sta_buffer *out)
{
    struct sta_worker *worker = exchange->worker;
    if (status == STRATA_ERR_UNAVAILABLE)
        sta_read_turn_give_back(exchange);
    status = read_stale(exchange, out) ? sta_buffer_append(out, sta_buffer_bytes(&worker->parts))
                                       : read_failed(exchange, status, out);
    empty_parts(worker);
    return status;
}

/* Whether Redis had the key: its reply is a null where it had not. */
static void count_answer(struct sta_worker *worker, struct strata_bytes key,
                         struct strata_bytes value_frame)
{
    struct sta_prefixes *prefixes = worker->stratad->prefixes;
    struct sta_resp_walk walk = sta_resp_walk(value_frame);
    struct sta_resp_value value;
    if (sta_resp_next(&walk, &value) != STRATA_OK)
        return;
    if (value.type == STA_RESP_NULL) {
        sta_stats_add(&worker->stats.reads_l2_absent, 1);
        sta_prefixes_miss(prefixes, STA_TIMING_L2, key);
    } else if (value.type == STA_RESP_BULK) {
        sta_stats_add(&worker->stats.reads_l2_found, 1);
        sta_prefixes_hit(prefixes, STA_TIMING_L2, key, value.bytes.len);
    }
}

static int conclude_get(struct sta_exchange *exchange, int status, struct strata_bytes replies,
                        struct sta_buffer *out)
{
    if (status < 0)
        return get_failed(exchange, status, out);
    struct sta_resp_walk walk = sta_resp_walk(replies);
    struct strata_bytes value_frame, pttl_frame;
    if (sta_resp_skip(&walk, &value_frame) != STRATA_OK ||
        sta_resp_skip(&walk, &pttl_frame) != STRATA_OK)
        return STRATA_ERR_PROTOCOL; /* the connection counted two replies */
    note_size(exchange->worker, exchange->keys[0].key.bytes, value_frame.len);
    value_frame = behind_barriers(exchange, &exchange->keys[0], value_frame);
    count_answer(exchange->worker, exchange->keys[0].key.bytes, value_frame);
    deliver(exchange, &exchange->keys[0], value_frame, pttl_frame);
    return out != NULL ? sta_forward_reply(exchange, value_frame, out) : STRATA_OK;
}

/* Whoever wants an error instead of what nobody vouches for does not wait for it. */
static int read_refuse(struct sta_session *session, struct sta_exchange *exchange)
{
    struct sta_buffer *out = sta_session_reply(session);
    int status = STRATA_ERR_NOMEM;
    if (out != NULL)
        status = sta_forward_error(exchange, STRATA_ERR_UNPROVEN, out);
    sta_exchange_destroy(&exchange);
    return status;
}

/* Before a cluster: the slot of the key in argv[1], or the parts where there are several. */
static int read_place(struct sta_exchange *exchange, const struct strata_bytes *argv, size_t argc)
{
    if (exchange->worker->router == NULL)
        return STRATA_OK;
    exchange->operation.slot = sta_slot_of(argv[1]);
    return argc > 2 ? sta_spread_split(exchange, argv, argc, 1, STA_SLOT_PLAN_BY_KEY, true)
                    : STRATA_OK;
}

void sta_read_path_ask(struct sta_exchange *exchange, uint64_t now_ms)
{
    const struct sta_stratad *stratad = exchange->worker->stratad;
    const uint64_t asked_ns = sta_barrier_watch_asked_ns(stratad, now_ms);
    exchange->asked_ms = now_ms;
    exchange->epoch = sta_write_window_epoch(stratad->window);
    for (size_t i = 0; i < exchange->key_count; i++) {
        struct sta_exchange_key *key = &exchange->keys[i];
        key->token = sta_l1_token(stratad->l1, &key->key);
        key->asked_ns = asked_ns;
    }
}

/* Completes the wire of a read of the keys in argv[1..], which the exchange has already, and
 * sends it on the lane: the command and a PTTL for each key. The tokens are read before Redis is
 * asked. Takes the exchange, also on failure. */
static int read_send(struct sta_session *session, struct sta_exchange *exchange,
                     enum sta_lane_kind lane, struct strata_bytes *argv, size_t argc)
{
    struct strata_bytes pttl[2] = {strata_bytes("PTTL", 4), {0}};
    const size_t suspects = sta_read_turn_mark(exchange);
    const bool hurried = suspects > 0 &&
                         stale_policy(session->worker) == STRATA_SERVE_STALE_ERROR &&
                         is_unproven(exchange);
    if (hurried && sta_tracked_lane_is_silent(&session->worker->tracked))
        return read_refuse(session, exchange);
    int status = sta_exchange_write(exchange, argv, argc);
    if (status == STRATA_OK)
        status = read_place(exchange, argv, argc);
    for (size_t i = 1; i < argc && status == STRATA_OK && exchange->spread == NULL; i++) {
        pttl[1] = argv[i];
        status = sta_exchange_write(exchange, pttl, 2);
    }
    if (status == STRATA_OK)
        status = sta_exchange_rebase(exchange, argv, argc);
    if (status < 0) {
        sta_exchange_destroy(&exchange);
        return status;
    }
    exchange->heeds_barriers = true;
    exchange->by_size = true;
    exchange->operation.repeatable = true;
    exchange->operation.hurried = hurried;
    exchange->timed_as = STA_TIMING_GET + 1;
    for (size_t i = 1; i < argc; i++)
        exchange->keys[i - 1].key.bytes = argv[i];
    sta_read_path_ask(exchange, session->worker->now_ms);
    sta_session_enter(session, exchange, lane, (unsigned)argc);
    sta_read_turn_submit(exchange, suspects);
    return STRATA_OK;
}

static int get_slow(struct sta_session *session, struct strata_bytes *argv,
                    const struct sta_key *key)
{
    struct sta_exchange *exchange = sta_exchange_create(session->worker, session);
    if (exchange == NULL)
        return STRATA_ERR_NOMEM;
    exchange->conclude = conclude_get;
    exchange->part_count = 0;
    int status = sta_exchange_add_key(exchange, key);
    if (status != STRATA_OK) {
        sta_exchange_destroy(&exchange);
        return status;
    }
    return read_send(session, exchange, get_lane(session, argv[1]), argv, 2);
}

/* ---- MGET ----
 *
 * The parts are the elements of the reply in order: a bulk for what L1 had, a null for what Redis
 * is to be asked for. L1 has no nulls, so a null part can mean that.
 */

/* One key of an MGET: what L1 has of it goes into the parts; else it is one more of those that are
 * moved to the front of argv, for the exchange, which is created for the first. */
static int mget_key(struct sta_session *session, struct strata_bytes *argv,
                    const struct sta_key *key, struct sta_exchange **exchange, size_t *missing)
{
    struct sta_worker *worker = session->worker;
    struct sta_buffer *parts = &worker->parts;
    struct sta_l1_lease lease;
    if (read_l1(session, key, worker->now_ms, &lease)) {
        int status = sta_resp_write_bulk(parts, lease.value);
        sta_l1_release(worker->stratad->l1, &lease);
        return status;
    }
    if (*exchange == NULL)
        *exchange = sta_exchange_create(worker, session);
    if (*exchange == NULL)
        return STRATA_ERR_NOMEM;
    argv[++*missing] = key->bytes;
    int status = sta_exchange_add_key(*exchange, key);
    return status == STRATA_OK ? sta_resp_write_null(parts, 3) : status;
}

/* Asked before L1 is, for every key: it is served again, and each key of it is one get. */
static bool mget_may_ask(struct sta_session *session, const struct strata_bytes *argv, size_t argc)
{
    const struct sta_l1 *l1 = session->worker->stratad->l1;
    const bool all = session->worker->router == NULL || session->in_flight == 0;
    bool may = sta_session_may_send(session, STA_LANE_SHARED);
    for (size_t i = 1; may && !all && i < argc; i++)
        may = sta_session_may_ask(session, sta_l1_key(l1, argv[i]).hash);
    return may;
}

/* All keys, some at a time. *missing: how many L1 had not. */
static int mget_look_up(struct sta_session *session, struct strata_bytes *argv, size_t argc,
                        struct sta_exchange **exchange, size_t *missing)
{
    struct sta_l1 *l1 = session->worker->stratad->l1;
    struct sta_key keys[MGET_AT_ONCE];
    int status = STRATA_OK;
    for (size_t from = 1; from < argc && status == STRATA_OK; from += MGET_AT_ONCE) {
        size_t count = argc - from < MGET_AT_ONCE ? argc - from : MGET_AT_ONCE;
        for (size_t i = 0; i < count; i++)
            keys[i] = sta_l1_key(l1, argv[from + i]);
        sta_l1_prefetch(l1, keys, count);
        for (size_t i = 0; i < count && status == STRATA_OK; i++)
            status = mget_key(session, argv, &keys[i], exchange, missing);
    }
    return status;
}

static int mget_reply_from_l1(struct sta_session *session, size_t count)
{
    struct sta_buffer *out = sta_session_reply(session);
    if (out == NULL)
        return STRATA_ERR_NOMEM;
    int status = sta_resp_write_header(out, STA_RESP_ARRAY, count, session->protocol);
    if (status == STRATA_OK)
        status = sta_buffer_append(out, sta_buffer_bytes(&session->worker->parts));
    return status;
}

/* Merges the parts with the elements of Redis' array. */
static int mget_write(const struct sta_exchange *exchange, struct sta_resp_walk elements,
                      struct sta_buffer *out)
{
    struct sta_resp_walk parts = sta_resp_walk(sta_buffer_bytes(&exchange->parts));
    struct strata_bytes part, element;
    size_t key = 0;
    int status =
        sta_resp_write_header(out, STA_RESP_ARRAY, exchange->part_count, exchange->protocol);
    while (status == STRATA_OK && sta_resp_skip(&parts, &part) == STRATA_OK) {
        if (*(const char *)part.data != '_')
            status = sta_buffer_append(out, part);
        else if (sta_resp_skip(&elements, &element) == STRATA_OK)
            status = sta_forward_reply(
                exchange, exchange->keys[key++].hidden ? strata_text("_\r\n") : element, out);
        else
            status = STRATA_ERR_PROTOCOL; /* mget_elements() has counted them */
    }
    return status;
}

/* Where Redis' reply to the MGET is an array of as many elements as keys were asked for, the walk
 * over its elements. */
static bool mget_elements(const struct sta_exchange *exchange, struct strata_bytes frame,
                          struct sta_resp_walk *elements)
{
    struct sta_resp_value array;
    *elements = sta_resp_walk(frame);
    return sta_resp_next(elements, &array) == STRATA_OK && array.type == STA_RESP_ARRAY &&
           array.count == exchange->key_count;
}

static int mget_failed(struct sta_exchange *exchange, int status, struct sta_buffer *out)
{
    struct sta_worker *worker = exchange->worker;
    if (status == STRATA_ERR_UNAVAILABLE)
        sta_read_turn_give_back(exchange);
    status = read_stale(exchange, out)
                 ? mget_write(exchange, sta_resp_walk(sta_buffer_bytes(&worker->parts)), out)
                 : read_failed(exchange, status, out);
    empty_parts(worker);
    return status;
}

static int conclude_mget(struct sta_exchange *exchange, int status, struct strata_bytes replies,
                         struct sta_buffer *out)
{
    if (status < 0)
        return mget_failed(exchange, status, out);
    struct sta_resp_walk walk = sta_resp_walk(replies);
    struct sta_resp_walk elements, rest;
    struct strata_bytes array, value, pttl;
    if (sta_resp_skip(&walk, &array) != STRATA_OK)
        return STRATA_ERR_PROTOCOL; /* the connection counted the replies */
    if (!mget_elements(exchange, array, &elements))
        return out != NULL ? sta_forward_reply(exchange, array, out) : STRATA_OK;
    rest = elements;
    for (size_t i = 0; i < exchange->key_count; i++)
        if (sta_resp_skip(&rest, &value) == STRATA_OK && sta_resp_skip(&walk, &pttl) == STRATA_OK) {
            value = behind_barriers(exchange, &exchange->keys[i], value);
            count_answer(exchange->worker, exchange->keys[i].key.bytes, value);
            deliver(exchange, &exchange->keys[i], value, pttl);
        }
    return out != NULL ? mget_write(exchange, elements, out) : STRATA_OK;
}

/* Of a read of either kind, after take_from_l1(): the values are in worker->parts. */
static int conclude_from_l1(struct sta_exchange *exchange, int status, struct strata_bytes replies,
                            struct sta_buffer *out)
{
    struct sta_worker *worker = exchange->worker;
    struct strata_bytes values = sta_buffer_bytes(&worker->parts);
    (void)replies;
    if (out != NULL && exchange->part_count > 0)
        status = mget_write(exchange, sta_resp_walk(values), out);
    else if (out != NULL)
        status = sta_buffer_append(out, values);
    empty_parts(worker);
    return status;
}

bool sta_read_path_take_from_l1(struct sta_exchange *exchange)
{
    struct sta_worker *worker = exchange->worker;
    if (!l1_values(exchange, false, &worker->parts)) {
        empty_parts(worker);
        return false;
    }
    exchange->conclude = conclude_from_l1;
    sta_stats_add(&worker->stats.reads_l1, exchange->key_count);
    return true;
}

/* Of an MGET that L1 did not look at: it keeps nothing of it, and nothing that is older. */
static int conclude_mget_whole(struct sta_exchange *exchange, int status,
                               struct strata_bytes replies, struct sta_buffer *out)
{
    struct sta_worker *worker = exchange->worker;
    if (status < 0)
        return sta_forward_error(exchange, status, out);
    for (size_t i = 0; i < exchange->key_count; i++)
        (void)sta_l1_invalidate(worker->stratad->l1, &exchange->keys[i].key,
                                sta_worker_tick_ms(worker), NULL);
    return out != NULL ? sta_forward_reply(exchange, replies, out) : STRATA_OK;
}

int sta_read_path_mget(struct sta_session *session, const struct sta_route *route,
                       struct strata_bytes *argv, size_t argc)
{
    struct sta_buffer *parts = &session->worker->parts;
    struct sta_exchange *exchange = NULL;
    size_t missing = 0;
    if (argc - 1 > MGET_MOST)
        return sta_forward_to(session, route, argv, argc, conclude_mget_whole);
    if (!mget_may_ask(session, argv, argc))
        return STRATA_MORE;
    int status = mget_look_up(session, argv, argc, &exchange, &missing);
    if (status == STRATA_OK && exchange == NULL)
        status = mget_reply_from_l1(session, argc - 1);
    else if (status == STRATA_OK)
        status = sta_buffer_append(&exchange->parts, sta_buffer_bytes(parts));
    empty_parts(session->worker);
    if (status == STRATA_OK)
        sta_stats_add(&session->worker->stats.reads_l1, argc - 1 - missing);
    if (status != STRATA_OK || exchange == NULL) {
        sta_exchange_destroy(&exchange);
        return status;
    }
    exchange->conclude = conclude_mget;
    exchange->part_count = argc - 1;
    return read_send(session, exchange, STA_LANE_SHARED, argv, missing + 1);
}

/* ---- without L1 ---- */

static int conclude_passed(struct sta_exchange *exchange, int status, struct strata_bytes replies,
                           struct sta_buffer *out)
{
    struct strata_bytes argv[2];
    if (status < 0)
        return sta_forward_error(exchange, status, out);
    if (sta_exchange_rebase(exchange, argv, 2) == STRATA_OK)
        note_size(exchange->worker, argv[1], replies.len);
    return out != NULL ? sta_forward_reply(exchange, replies, out) : STRATA_OK;
}

int sta_read_path_pass(struct sta_session *session, struct sta_route *route,
                       struct strata_bytes *argv)
{
    route->lane = get_lane(session, argv[1]);
    return sta_forward_to(session, route, argv, 2, conclude_passed);
}
