/* SPDX-License-Identifier: MIT
 *
 * See own_home.h.
 */
#include "daemon/own_home.h"

#include <string.h>

#include "core/clock.h"
#include "core/random.h"
#include "daemon/cluster_way.h"
#include "daemon/exchange.h"
#include "daemon/own_lane.h"
#include "daemon/own_time.h"
#include "daemon/stratad.h"
#include "daemon/worker.h"
#include "l2/redirect.h"
#include "l2/router.h"
#include "resp/resp.h"
#include "strata/status.h"

#define AGAIN_NS (50 * STA_NS_MS)  /* a node that cannot be had is looked for again */
#define TAKEN_NS (100 * STA_NS_MS) /* who has answered so late had taken the command in */

/* What may be said elsewhere: nothing is held here but by it. NULL: nothing may. */
static struct sta_exchange *home_wanderer(const struct sta_own_lane *lane)
{
    struct sta_exchange *only = sta_own_lane_only(lane);
    bool may = only != NULL && only->own != STA_OWN_REPLIES && !lane->watching &&
               sta_subscriptions_count(&lane->subscribed) == 0;
    return may ? only : NULL;
}

static uint64_t until_ns(const struct sta_own_lane *lane, const struct sta_exchange *exchange)
{
    uint64_t deadline_ns = exchange != NULL ? exchange->operation.request.deadline_ns : STA_NEVER;
    return deadline_ns < lane->home.until_ns ? deadline_ns : lane->home.until_ns;
}

/* ---- going ---- */

void sta_own_home_begin(struct sta_own_lane *lane)
{
    lane->home.way = STA_OWN_HOME_FIRST;
    lane->home.attempts = 0;
    lane->home.until_ns = sta_worker_deadline_ns(lane->worker);
}

static void home_wait(struct sta_own_lane *lane, uint64_t at_ns)
{
    lane->home.state = STA_OWN_HOME_WAITING;
    sta_timer_start(lane->worker->loop, &lane->home.timer, at_ns);
}

bool sta_own_home_waits(struct sta_own_lane *lane)
{
    struct sta_own_home *home = &lane->home;
    const struct sta_exchange *exchange = home_wanderer(lane);
    uint64_t now_ns = sta_loop_now_ns(lane->worker->loop);
    if (lane->worker->router == NULL || home->slot == STA_OPERATION_ANY_NODE ||
        (exchange == NULL && home->shards.count == 0))
        return false;
    sta_router_hear(lane->worker->router, NULL, NULL);
    sta_own_lane_leave(lane);
    home->way = STA_OWN_HOME_AGAIN;
    if (now_ns >= until_ns(lane, exchange))
        return false;
    home_wait(lane, sta_clock_after(now_ns, AGAIN_NS));
    return true;
}

void sta_own_home_go(struct sta_own_lane *lane)
{
    struct sta_own_home *home = &lane->home;
    const bool named = home->way == STA_OWN_HOME_MOVED || home->way == STA_OWN_HOME_ASK;
    const char *reason = "nobody serves the slot";
    int status = STRATA_ERR_UNAVAILABLE;
    if (named || sta_cluster_way_owner(lane->worker, home->slot, &home->endpoint)) {
        status = sta_own_lane_connect(lane);
        reason = strata_status_text(status);
    }
    if (status < 0 && !sta_own_home_waits(lane))
        sta_own_lane_refuse(lane, reason);
}

static void on_timer(struct sta_timer *timer)
{
    struct sta_own_lane *lane = STA_CONTAINER(timer, struct sta_own_lane, home.timer);
    if (lane->home.state == STA_OWN_HOME_WAITING)
        sta_own_home_go(lane);
    else
        sta_own_lane_end(lane, "no answer in time");
}

/* ---- saying it otherwise ---- */

/* With the time that is left of its own. */
static int home_renew(struct sta_own_lane *lane, const struct sta_request *request)
{
    struct sta_worker *worker = lane->worker;
    struct sta_own_time time;
    char text[STA_OWN_TIME_TEXT];
    size_t argc = 0;
    if (sta_resp_request_count(request->wire, &argc) < 0)
        return STRATA_ERR_PROTOCOL;
    struct strata_bytes *argv = sta_worker_argv(worker, argc);
    if (argv == NULL)
        return STRATA_ERR_NOMEM;
    int status = sta_resp_request_args(request->wire, argv, argc, NULL);
    if (status < 0)
        return status;
    if (sta_own_time_read(&time, argv, argc) == STRATA_OK && time.ns != STA_NEVER) {
        uint64_t budget_ns = sta_worker_deadline_ns(worker);
        uint64_t left_ns = request->deadline_ns > budget_ns ? request->deadline_ns - budget_ns : 0;
        argv[time.at] = strata_bytes(text, sta_own_time_word(&time, left_ns, text));
    }
    return sta_resp_write_command(&lane->home.wire, argv, argc);
}

struct strata_bytes sta_own_home_wire(struct sta_own_lane *lane, const struct sta_request *request)
{
    static const struct strata_bytes asking = {"ASKING", 6};
    struct sta_own_home *home = &lane->home;
    struct sta_exchange *wanderer = home_wanderer(lane);
    const bool asks = wanderer != NULL && home->way == STA_OWN_HOME_ASK;
    const bool renews =
        wanderer != NULL && home->way != STA_OWN_HOME_FIRST && wanderer->own == STA_OWN_BLOCKS;
    int status = STRATA_OK;
    home->sent_ns = sta_loop_now_ns(lane->worker->loop);
    home->attempts++;
    if (wanderer != NULL)
        wanderer->operation.asked = asks;
    if (!asks && !renews)
        return request->wire;
    sta_buffer_clear(&home->wire);
    if (asks)
        status = sta_resp_write_command(&home->wire, &asking, 1);
    if (status == STRATA_OK)
        status = renews ? home_renew(lane, request) : sta_buffer_append(&home->wire, request->wire);
    return status == STRATA_OK ? sta_buffer_bytes(&home->wire) : strata_bytes(NULL, 0);
}

/* ---- what Redis says ---- */

/* The blocked are sent away where their node is no primary any more; some versions do not say where
 * to. What CLIENT UNBLOCK does is the client's to hear. */
static bool is_sent_away(struct strata_bytes replies)
{
    static const char text[] = "-UNBLOCKED force";
    return replies.len >= sizeof text && memcmp(replies.data, text, sizeof text - 1) == 0;
}

static bool leads_away(enum sta_redirect_kind kind)
{
    return kind == STA_REDIRECT_MOVED || kind == STA_REDIRECT_ASKED ||
           kind == STA_REDIRECT_MALFORMED;
}

/* What is watched where an ASK leads is watched for nothing: of what is said behind WATCH, nobody
 * but the nodes knows which of them has its key. It is waited for until the slot has one owner. */
static bool waits_for_owner(const struct sta_exchange *exchange, enum sta_redirect_kind kind)
{
    return kind == STA_REDIRECT_ASKED && exchange != NULL && exchange->own == STA_OWN_WATCHES;
}

static struct sta_redirect_decision home_decide(struct sta_own_lane *lane,
                                                const struct sta_exchange *exchange,
                                                const struct sta_redirect *redirect)
{
    struct sta_own_home *home = &lane->home;
    uint64_t now_ns = sta_loop_now_ns(lane->worker->loop);
    if (now_ns - home->sent_ns >= TAKEN_NS) {
        home->attempts = 1;
        home->until_ns = sta_worker_deadline_ns(lane->worker);
    }
    const struct sta_redirect_call call = {.deadline_ns = until_ns(lane, exchange),
                                           .attempts = home->attempts};
    return sta_redirect_decide(redirect, &call, now_ns, &home->random);
}

static enum sta_own_home_way way_of(enum sta_redirect_action action)
{
    if (action == STA_REDIRECT_ASK)
        return STA_OWN_HOME_ASK;
    return action == STA_REDIRECT_GO ? STA_OWN_HOME_MOVED : STA_OWN_HOME_AGAIN;
}

static void home_follow(struct sta_own_lane *lane, struct sta_exchange *exchange,
                        const struct sta_redirect *redirect,
                        const struct sta_redirect_decision *decision)
{
    struct sta_own_home *home = &lane->home;
    bool later = decision->at_ns > sta_loop_now_ns(lane->worker->loop);
    if (leads_away(redirect->kind))
        home->slot = redirect->slot;
    if (leads_away(redirect->kind) && exchange != NULL)
        exchange->operation.slot = redirect->slot;
    sta_own_lane_leave(lane);
    home->way = later ? STA_OWN_HOME_AGAIN : way_of(decision->action);
    if (home->way == STA_OWN_HOME_MOVED || home->way == STA_OWN_HOME_ASK)
        home->endpoint = redirect->endpoint;
    if (later)
        home_wait(lane, decision->at_ns);
    else
        sta_own_home_go(lane);
}

bool sta_own_home_takes(struct sta_own_lane *lane, struct strata_bytes replies)
{
    struct sta_router *router = lane->worker->router;
    struct sta_redirect redirect;
    if (router == NULL || !sta_redirect_is_error(replies))
        return true;
    sta_redirect_read(&redirect, replies, &lane->home.endpoint);
    const bool joins = lane->home.state == STA_OWN_HOME_JOINING;
    struct sta_exchange *exchange = joins ? NULL : home_wanderer(lane);
    const bool on_its_way = waits_for_owner(exchange, redirect.kind);
    if (on_its_way)
        redirect.kind = STA_REDIRECT_TRYAGAIN;
    else if (is_sent_away(replies))
        redirect.kind = STA_REDIRECT_READONLY;
    struct sta_redirect_decision decision = {.action = STA_REDIRECT_GIVE_UP};
    if (exchange != NULL || joins)
        decision = home_decide(lane, exchange, &redirect);
    if (decision.refresh || leads_away(redirect.kind))
        sta_router_hear(router, &redirect, &lane->home.endpoint);
    if (decision.action != STA_REDIRECT_GIVE_UP)
        home_follow(lane, exchange, &redirect, &decision);
    else if (joins)
        sta_own_lane_end(lane, "what it was subscribed to cannot be subscribed to anew");
    else if (on_its_way)
        sta_own_lane_refuse(lane, "the slot is on its way to another node");
    else if (leads_away(redirect.kind))
        sta_own_lane_refuse(lane, "the slot is served by another node");
    else
        return true;
    return false;
}

/* ---- life ---- */

void sta_own_home_init(struct sta_own_lane *lane)
{
    struct sta_own_home *home = &lane->home;
    home->slot = STA_OPERATION_ANY_NODE;
    home->random = sta_random_seed();
    sta_timer_init(&home->timer, on_timer);
    sta_buffer_init(&home->wire, SIZE_MAX);
    sta_own_shards_init(&home->shards, sta_random_next(&home->random));
}

void sta_own_home_fini(struct sta_own_lane *lane)
{
    sta_timer_stop(lane->worker->loop, &lane->home.timer);
    sta_buffer_fini(&lane->home.wire);
    sta_own_shards_fini(&lane->home.shards);
}
