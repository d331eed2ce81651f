/* SPDX-License-Identifier: MIT
 *
 * Leasing, matching frames to requests, and the end; the drawing is in own_lane.h.
 *
 * Whatever is said to a session may destroy it, and its lane with it: that comes last in each
 * function, or the lane is marked as ending before.
 */
#include "daemon/own_lane.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "daemon/cluster_way.h"
#include "daemon/exchange.h"
#include "daemon/own_rejoin.h"
#include "daemon/session.h"
#include "daemon/stratad.h"
#include "daemon/worker.h"
#include "strata/status.h"

#define IDLE_NS       (10 * STA_NS_SEC)
#define PENDING_BYTES ((size_t)64 << 20) /* beside a request of the largest size */
#define OUTPUT_PAUSE  ((size_t)1 << 20)  /* messages that wait for the client: read no more */

static struct sta_exchange *exchange_of(struct sta_list *node)
{
    return STA_CONTAINER(node, struct sta_exchange, operation.request.link);
}

/* The one whose replies come next; NULL: nothing is under way. */
static struct sta_exchange *lane_first(const struct sta_own_lane *lane)
{
    return sta_list_empty(&lane->requests) ? NULL : exchange_of(lane->requests.next);
}

struct sta_exchange *sta_own_lane_only(const struct sta_own_lane *lane)
{
    const struct sta_list *node = lane->requests.next;
    return node != &lane->requests && node->next == &lane->requests ? lane_first(lane) : NULL;
}

static void lane_remove(struct sta_own_lane *lane, struct sta_exchange *exchange)
{
    sta_list_remove(&exchange->operation.request.link);
    lane->exclusive -= exchange->own != STA_OWN_REPLIES;
}

static void lane_free(struct sta_own_lane *lane)
{
    sta_list_remove(&lane->link);
    sta_timer_stop(lane->worker->loop, &lane->deadline);
    sta_raw_link_close(&lane->raw);
    sta_buffer_fini(&lane->parted);
    sta_own_home_fini(lane);
    atomic_fetch_sub_explicit(&lane->worker->stratad->own_connections, 1, memory_order_relaxed);
    free(lane);
}

/* ---- the end ---- */

/* Only what is sent and has no time left is known to have been too slow. */
static int end_status(const struct sta_own_lane *lane, const struct sta_request *request,
                      bool expired)
{
    if (lane->home.state != STA_OWN_HOME_OPEN || request == lane->refused)
        return STRATA_ERR_UNAVAILABLE;
    return expired && request->deadline_ns <= sta_loop_now_ns(lane->worker->loop)
               ? STRATA_ERR_TIMEOUT
               : STRATA_ERR_LOST;
}

static void lane_tell_lost(struct sta_own_lane *lane, bool told)
{
    struct sta_session *session = lane->session;
    bool closes = lane->monitoring || sta_subscriptions_count(&lane->subscribed) > 0;
    lane->session = NULL;
    if (session == NULL)
        return;
    session->own_lane = NULL;
    if (lane->watching)
        session->watch_lost = told ? STA_WATCH_LOST_TOLD : STA_WATCH_LOST;
    if (closes)
        sta_session_finish(session);
}

/* Everything that is under way ends; the lane is gone. */
static void lane_end(struct sta_own_lane *lane, bool expired, const char *reason)
{
    const bool told = !sta_list_empty(&lane->requests);
    struct sta_list *node;
    lane->ending = true;
    if (reason != lane->reason)
        (void)snprintf(lane->reason, sizeof lane->reason, "%s", reason);
    sta_raw_link_close(&lane->raw);
    while ((node = lane->requests.next) != &lane->requests) {
        struct sta_request *request = &exchange_of(node)->operation.request;
        lane_remove(lane, exchange_of(node));
        request->done(request, end_status(lane, request, expired), strata_bytes(NULL, 0));
    }
    lane_tell_lost(lane, told);
    lane_free(lane);
}

void sta_own_lane_end(struct sta_own_lane *lane, const char *reason)
{
    lane_end(lane, false, reason);
}

void sta_own_lane_refuse(struct sta_own_lane *lane, const char *reason)
{
    const struct sta_exchange *first = lane_first(lane);
    lane->refused = first != NULL ? &first->operation.request : NULL;
    lane_end(lane, false, reason);
}

void sta_own_lane_leave(struct sta_own_lane *lane)
{
    sta_raw_link_close(&lane->raw);
    sta_timer_stop(lane->worker->loop, &lane->home.timer);
    sta_own_shards_end_all(&lane->home.shards);
    sta_buffer_clear(&lane->parted);
    lane->home.state = STA_OWN_HOME_AWAY;
    lane->paused = false;
    lane->replies = 0;
}

void sta_own_lane_drop(struct sta_session *session)
{
    struct sta_own_lane *lane = session->own_lane;
    if (lane == NULL)
        return;
    session->own_lane = NULL;
    lane->session = NULL;
    if (!lane->ending)
        lane_end(lane, false, "the client has gone");
}

void sta_own_lane_interrupt(struct sta_session *session)
{
    if (session->own_lane != NULL && session->own_lane->exclusive > 0)
        lane_end(session->own_lane, false, "stratad is shutting down");
}

static void on_deadline(struct sta_timer *timer)
{
    struct sta_own_lane *lane = STA_CONTAINER(timer, struct sta_own_lane, deadline);
    uint64_t due_ns = STA_NEVER;
    timer->due_ns = STA_NEVER;
    for (struct sta_list *node = lane->requests.next; node != &lane->requests; node = node->next) {
        uint64_t deadline_ns = exchange_of(node)->operation.request.deadline_ns;
        due_ns = deadline_ns < due_ns ? deadline_ns : due_ns;
    }
    if (due_ns > sta_loop_now_ns(lane->worker->loop)) {
        sta_timer_start(lane->worker->loop, timer, due_ns);
        return;
    }
    const bool waits = lane->home.state == STA_OWN_HOME_WAITING; /* it was told why */
    lane->silent |= !waits;
    lane_end(lane, true, waits ? lane->reason : "no answer in time");
}

/* ---- frames ---- */

static void lane_conclude(struct sta_own_lane *lane, struct strata_bytes replies)
{
    if (!sta_own_home_takes(lane, replies))
        return;
    struct sta_exchange *exchange = lane_first(lane);
    struct sta_buffer parted = lane->parted;
    struct sta_request *request = &exchange->operation.request;
    sta_buffer_init(&lane->parted, SIZE_MAX);
    lane->replies = 0;
    lane_remove(lane, exchange);
    if (exchange->own == STA_OWN_LEAVES)
        sta_own_rejoin_settle(lane);
    request->done(request, STRATA_OK, replies);
    sta_buffer_fini(&parted);
}

/* Behind those of the first request that have come. */
static void lane_part(struct sta_own_lane *lane, struct strata_bytes frame, bool last)
{
    if (sta_buffer_append(&lane->parted, frame) < 0)
        lane_end(lane, false, "out of memory");
    else if (last)
        lane_conclude(lane, sta_buffer_bytes(&lane->parted));
}

static void lane_leaves(struct sta_own_lane *lane, const struct sta_exchange *first,
                        struct strata_bytes frame)
{
    int status = sta_own_rejoin_leaves(lane, first, frame);
    if (status < 0)
        lane_end(lane, false, strata_status_text(status));
    else if (status == STRATA_OK)
        lane_conclude(lane, sta_buffer_bytes(&lane->parted));
}

static void lane_reply(struct sta_own_lane *lane, struct strata_bytes frame)
{
    const struct sta_exchange *first = lane_first(lane);
    if (lane->home.state == STA_OWN_HOME_JOINING)
        (void)sta_own_home_takes(lane, frame);
    else if (first == NULL)
        lane_end(lane, false, "a reply that nobody asked for");
    else if (first->operation.asked && lane->replies == 0) /* to ASKING */
        lane->replies = 1;
    else if (first->own == STA_OWN_LEAVES)
        lane_leaves(lane, first, frame);
    else if (first->own == STA_OWN_CONFIRMS) /* an error, instead of them */
        lane_part(lane, frame, true);
    else if (first->operation.request.commands == 1)
        lane_conclude(lane, frame);
    else
        lane_part(lane, frame,
                  ++lane->replies == first->operation.request.commands + first->operation.asked);
}

/* A message must not overtake the confirmations that are kept until all have come. */
static void lane_unasked(struct sta_own_lane *lane, struct strata_bytes frame)
{
    if (lane->session == NULL) {
        lane_end(lane, false, "something that nobody asked for");
    } else if (sta_buffer_len(&lane->parted) > 0 && lane_first(lane)->own == STA_OWN_CONFIRMS) {
        lane_part(lane, frame, false);
    } else {
        if (sta_list_empty(&lane->requests) && sta_buffer_len(lane->session->out) > OUTPUT_PAUSE &&
            !lane->paused) {
            lane->paused = true;
            sta_raw_link_pause(lane->raw, true);
        }
        sta_session_tell(lane->session, frame);
    }
}

static void lane_confirmation(struct sta_own_lane *lane, struct strata_bytes frame,
                              enum sta_subscriptions_word word, uint64_t count)
{
    struct sta_exchange *first = lane_first(lane);
    bool asked_for = first != NULL && first->own == STA_OWN_CONFIRMS && first->own_word == word;
    if (sta_own_rejoin_hears(lane, frame, word))
        return;
    sta_subscriptions_note(&lane->subscribed, word, count);
    if (!asked_for) {
        lane_unasked(lane, frame); /* a shard's slot has moved */
        return;
    }
    bool over = first->own_left == 0 ? sta_subscriptions_is_over(&lane->subscribed, word)
                                     : --first->own_left == 0;
    lane_part(lane, frame, over);
}

/* A line of MONITOR begins with a time: no reply does. */
static bool is_monitored(const struct sta_own_lane *lane, struct strata_bytes frame)
{
    const uint8_t *bytes = frame.data;
    return lane->monitoring && bytes[0] == '+' && bytes[1] >= '0' && bytes[1] <= '9';
}

/* In RESP2 only who is subscribed, or about to be, is told such things; a reply may look so. */
static bool may_be_unasked(const struct sta_own_lane *lane)
{
    const struct sta_exchange *first = lane_first(lane);
    return lane->protocol == 3 || sta_subscriptions_count(&lane->subscribed) > 0 ||
           (first != NULL && (first->own == STA_OWN_CONFIRMS || first->own == STA_OWN_LEAVES));
}

static void on_frame(void *arg, struct strata_bytes frame)
{
    struct sta_own_lane *lane = arg;
    uint64_t count = 0;
    enum sta_subscriptions_word word = STA_SUBSCRIPTIONS_NONE;
    if (may_be_unasked(lane))
        word = sta_subscriptions_read(frame, lane->protocol, &count);
    if (sta_subscriptions_is_confirmation(word))
        lane_confirmation(lane, frame, word, count);
    else if (word != STA_SUBSCRIPTIONS_NONE || is_monitored(lane, frame))
        lane_unasked(lane, frame);
    else
        lane_reply(lane, frame);
}

/* ---- requests ---- */

static int lane_send(struct sta_own_lane *lane, const struct sta_request *request)
{
    struct strata_bytes wire = sta_own_home_wire(lane, request);
    if (lane->paused)
        sta_raw_link_pause(lane->raw, false);
    lane->paused = false;
    return wire.len > 0 ? sta_raw_link_send(lane->raw, wire) : STRATA_ERR_NOMEM;
}

void sta_own_lane_opened(struct sta_own_lane *lane)
{
    int status = STRATA_OK;
    lane->home.state = STA_OWN_HOME_OPEN;
    sta_timer_stop(lane->worker->loop, &lane->home.timer);
    for (struct sta_list *node = lane->requests.next;
         node != &lane->requests && status == STRATA_OK; node = node->next)
        status = lane_send(lane, &exchange_of(node)->operation.request);
    if (status < 0)
        lane_end(lane, false, strata_status_text(status));
}

static void on_opened(void *arg)
{
    struct sta_own_lane *lane = arg;
    if (lane->home.shards.count > 0)
        sta_own_rejoin_join(lane);
    else
        sta_own_lane_opened(lane);
}

static void on_ended(void *arg, int status, const char *reason)
{
    struct sta_own_lane *lane = arg;
    lane->silent = status == STRATA_ERR_TIMEOUT;
    (void)snprintf(lane->reason, sizeof lane->reason, "%s", reason);
    if (lane->home.state == STA_OWN_HOME_OPEN || !sta_own_home_waits(lane))
        lane_end(lane, false, reason);
}

static const struct sta_raw_link_events link_events = {
    .opened = on_opened, .frame = on_frame, .ended = on_ended};

void sta_own_lane_submit(struct sta_own_lane *lane, struct sta_request *request)
{
    const struct sta_exchange *exchange =
        STA_CONTAINER(request, struct sta_exchange, operation.request);
    if (sta_list_empty(&lane->requests))
        sta_own_home_begin(lane);
    sta_list_push_back(&lane->requests, &request->link);
    lane->exclusive += exchange->own != STA_OWN_REPLIES;
    if (request->deadline_ns < lane->deadline.due_ns)
        sta_timer_start(lane->worker->loop, &lane->deadline, request->deadline_ns);
    if (lane->home.state == STA_OWN_HOME_AWAY)
        sta_own_home_go(lane);
    else if (lane->home.state == STA_OWN_HOME_OPEN && lane_send(lane, request) < 0)
        lane_end(lane, false, "out of memory");
}

/* ---- leasing ---- */

static bool lane_is_clean(const struct sta_own_lane *lane)
{
    return sta_list_empty(&lane->requests) && !lane->watching && !lane->monitoring &&
           sta_subscriptions_count(&lane->subscribed) == 0;
}

bool sta_own_lane_binds(const struct sta_own_lane *lane)
{
    return lane->exclusive > 0 || lane->monitoring ||
           sta_subscriptions_count(&lane->subscribed) > 0;
}

/* In the order in which they became idle. */
static struct sta_own_lane *idle_find(const struct sta_worker *worker, int protocol, uint16_t slot)
{
    struct sta_endpoint owner;
    bool any = slot == STA_OPERATION_ANY_NODE;
    if (!any && !sta_cluster_way_owner(worker, slot, &owner))
        return NULL;
    for (struct sta_list *node = worker->idle_own.prev; node != &worker->idle_own;
         node = node->prev) {
        struct sta_own_lane *lane = STA_CONTAINER(node, struct sta_own_lane, link);
        if (lane->protocol == protocol && (any || sta_endpoint_equal(&lane->home.endpoint, &owner)))
            return lane;
    }
    return NULL;
}

static void idle_close_first(struct sta_worker *worker)
{
    lane_free(STA_CONTAINER(worker->idle_own.next, struct sta_own_lane, link));
}

/* Counts one more, in place of an idle one where it has to be. */
static bool lane_admit(struct sta_worker *worker)
{
    struct sta_stratad *stratad = worker->stratad;
    uint64_t most = sta_stratad_live(&stratad->live.own_connections_max);
    if (atomic_load_explicit(&stratad->own_connections, memory_order_relaxed) >= most &&
        !sta_list_empty(&worker->idle_own))
        idle_close_first(worker);
    if (atomic_fetch_add_explicit(&stratad->own_connections, 1, memory_order_relaxed) < most)
        return true;
    atomic_fetch_sub_explicit(&stratad->own_connections, 1, memory_order_relaxed);
    sta_stats_add(&worker->stats.own_refused, 1);
    return false;
}

int sta_own_lane_connect(struct sta_own_lane *lane)
{
    struct sta_worker *worker = lane->worker;
    const struct sta_stratad *stratad = worker->stratad;
    struct sta_redis_url url = stratad->url;
    if (worker->router != NULL)
        url.endpoint = lane->home.endpoint;
    const struct sta_raw_link_config config = {
        .url = &url,
        .tls = stratad->tls,
        .protocol = lane->protocol,
        .name = "stratad",
        .deadline_ns = sta_worker_deadline_ns(worker),
        .max_pending_bytes = PENDING_BYTES + stratad->options.query_limit,
    };
    int status = sta_raw_link_open(&lane->raw, worker->loop, &config, &link_events, lane);
    if (status == STRATA_OK)
        lane->home.state = STA_OWN_HOME_CONNECTING;
    return status;
}

/* What is about a slot is connected when it is sent, and goes where that is then. */
static int lane_open(struct sta_own_lane *lane, uint16_t slot)
{
    struct sta_worker *worker = lane->worker;
    if (slot != STA_OPERATION_ANY_NODE)
        return STRATA_OK;
    if (worker->router != NULL) {
        const struct sta_redis_url *url = sta_cluster_way_any(worker);
        if (url == NULL)
            return STRATA_ERR_UNAVAILABLE;
        lane->home.endpoint = url->endpoint;
    }
    return sta_own_lane_connect(lane);
}

static int lane_create(struct sta_own_lane **out, struct sta_worker *worker, int protocol,
                       uint16_t slot)
{
    if (!lane_admit(worker))
        return STRATA_ERR_BUSY;
    struct sta_own_lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL) {
        atomic_fetch_sub_explicit(&worker->stratad->own_connections, 1, memory_order_relaxed);
        return STRATA_ERR_NOMEM;
    }
    lane->worker = worker;
    lane->protocol = protocol;
    sta_list_init(&lane->link);
    sta_list_init(&lane->requests);
    sta_buffer_init(&lane->parted, SIZE_MAX);
    sta_timer_init(&lane->deadline, on_deadline);
    sta_own_home_init(lane);
    int status = lane_open(lane, slot);
    if (status < 0) {
        lane_free(lane);
        return status;
    }
    sta_stats_add(&worker->stats.own_opened, 1);
    *out = lane;
    return STRATA_OK;
}

int sta_own_lane_lease(struct sta_session *session, uint16_t slot)
{
    if (session->own_lane != NULL)
        return STRATA_OK;
    struct sta_own_lane *lane = idle_find(session->worker, session->protocol, slot);
    if (lane == NULL) {
        int status = lane_create(&lane, session->worker, session->protocol, slot);
        if (status < 0)
            return status;
    }
    sta_list_remove(&lane->link);
    lane->session = session;
    lane->home.slot = slot;
    session->own_lane = lane;
    return STRATA_OK;
}

void sta_own_lane_settle(struct sta_session *session)
{
    struct sta_own_lane *lane = session->own_lane;
    if (lane == NULL || lane->ending)
        return;
    if (sta_list_empty(&lane->requests) &&
        (session->state != STA_SESSION_OPEN || lane->home.state == STA_OWN_HOME_AWAY)) {
        sta_own_lane_drop(session); /* nothing more is to be told, or nothing came of it */
        return;
    }
    if (lane->paused && sta_buffer_len(session->out) <= OUTPUT_PAUSE / 2) {
        lane->paused = false;
        sta_raw_link_pause(lane->raw, false);
    }
    if (!lane_is_clean(lane) || lane->paused)
        return;
    session->own_lane = NULL;
    lane->session = NULL;
    lane->idle_ns = sta_loop_now_ns(lane->worker->loop);
    sta_list_push_back(&lane->worker->idle_own, &lane->link);
}

void sta_own_lane_tick(struct sta_worker *worker)
{
    uint64_t now_ns = sta_loop_now_ns(worker->loop);
    while (!sta_list_empty(&worker->idle_own)) {
        const struct sta_own_lane *lane =
            STA_CONTAINER(worker->idle_own.next, struct sta_own_lane, link);
        if (now_ns - lane->idle_ns < IDLE_NS)
            return;
        idle_close_first(worker);
    }
}

void sta_own_lane_close_idle(struct sta_worker *worker)
{
    while (!sta_list_empty(&worker->idle_own))
        idle_close_first(worker);
}
