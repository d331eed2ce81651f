/* SPDX-License-Identifier: MIT
 *
 * See own_rejoin.h.
 */
#include "daemon/own_rejoin.h"

#include "core/clock.h"
#include "daemon/exchange.h"
#include "daemon/own_lane.h"
#include "daemon/worker.h"
#include "l2/redirect.h"
#include "l2/router.h"
#include "resp/resp.h"
#include "strata/status.h"

/* ---- where the slot goes ---- */

/* What subscribes, and PING; but in RESP3 not EXEC, whose watched keys would not be watched. */
static bool may_say_again(const struct sta_own_lane *lane)
{
    bool may = true;
    for (const struct sta_list *node = lane->requests.next; may && node != &lane->requests;
         node = node->next) {
        const unsigned own = STA_CONTAINER(node, struct sta_exchange, operation.request.link)->own;
        may = own == STA_OWN_CONFIRMS || own == STA_OWN_LEAVES ||
              (own == STA_OWN_REPLIES && sta_own_lane_only_subscribes(lane));
    }
    return may;
}

/* What else is held cannot be taken along: then the client has to begin anew. */
static bool may_rejoin(const struct sta_own_lane *lane)
{
    return !lane->watching && lane->subscribed.channels == 0 && lane->subscribed.patterns == 0 &&
           may_say_again(lane);
}

/* Nothing is sent behind it. */
static bool is_leaving(const struct sta_own_lane *lane)
{
    struct sta_list *last = lane->requests.prev;
    return last != &lane->requests &&
           STA_CONTAINER(last, struct sta_exchange, operation.request.link)->own == STA_OWN_LEAVES;
}

void sta_own_rejoin_settle(struct sta_own_lane *lane)
{
    struct sta_own_home *home = &lane->home;
    if (home->state != STA_OWN_HOME_OPEN || !sta_own_shards_have_ended(&home->shards))
        return;
    if (!may_rejoin(lane)) {
        sta_own_lane_end(lane, "the slot of what it was subscribed to has moved");
        return;
    }
    sta_own_lane_leave(lane);
    sta_own_home_begin(lane);
    sta_router_hear(lane->worker->router, NULL, NULL);
    home->way = STA_OWN_HOME_AGAIN;
    sta_own_home_go(lane);
}

void sta_own_rejoin_join(struct sta_own_lane *lane)
{
    struct sta_own_home *home = &lane->home;
    sta_buffer_clear(&home->wire);
    int status = sta_own_shards_write(&home->shards, &home->wire);
    if (status == STRATA_OK)
        status = sta_raw_link_send(lane->raw, sta_buffer_bytes(&home->wire));
    if (status < 0) {
        sta_own_lane_end(lane, strata_status_text(status));
        return;
    }
    home->state = STA_OWN_HOME_JOINING;
    home->attempts++;
    home->sent_ns = sta_loop_now_ns(lane->worker->loop);
    sta_timer_start(lane->worker->loop, &home->timer, home->until_ns);
}

/* ---- what Redis says of them ---- */

static bool hears_of_one(struct sta_own_lane *lane, struct strata_bytes name)
{
    struct sta_own_home *home = &lane->home;
    const bool joining = home->state == STA_OWN_HOME_JOINING;
    if (sta_own_shards_add(&home->shards, name) < 0) {
        sta_own_lane_end(lane, "out of memory");
        return true;
    }
    if (joining && home->shards.ended == 0)
        sta_own_lane_opened(lane);
    return joining;
}

bool sta_own_rejoin_hears(struct sta_own_lane *lane, struct strata_bytes frame,
                          enum sta_subscriptions_word word)
{
    struct strata_bytes name;
    if (lane->worker->router == NULL)
        return false;
    const bool named = sta_subscriptions_channel(frame, &name);
    if (word == STA_SUBSCRIPTIONS_SSUBSCRIBE)
        return named && hears_of_one(lane, name);
    if (word != STA_SUBSCRIPTIONS_SUNSUBSCRIBE)
        return false;
    if (named)
        sta_own_shards_end(&lane->home.shards, name);
    if (!is_leaving(lane))
        sta_own_rejoin_settle(lane);
    return true;
}

/* ---- SUNSUBSCRIBE ---- */

struct confirmations {
    struct sta_buffer *out;
    int protocol;
    size_t left; /* that are still subscribed to, behind it */
};

/* NULL: of nothing. */
static int confirm(const struct confirmations *to, const struct strata_bytes *name)
{
    const enum sta_resp_type type = to->protocol == 3 ? STA_RESP_PUSH : STA_RESP_ARRAY;
    int status = sta_resp_write_header(to->out, type, 3, to->protocol);
    if (status == STRATA_OK)
        status = sta_resp_write_bulk(to->out, strata_bytes("sunsubscribe", 12));
    if (status == STRATA_OK)
        status = name != NULL ? sta_resp_write_bulk(to->out, *name)
                              : sta_resp_write_null(to->out, to->protocol);
    return status == STRATA_OK ? sta_resp_write_integer(to->out, (int64_t)to->left) : status;
}

static int confirm_next(void *arg, struct strata_bytes name)
{
    struct confirmations *to = arg;
    to->left--;
    return confirm(to, &name);
}

/* Of none is of all. */
static int leave_all(struct sta_own_shards *shards, struct confirmations *to)
{
    int status = shards->count == 0 ? confirm(to, NULL) : STRATA_OK;
    if (status == STRATA_OK)
        status = sta_own_shards_each(shards, confirm_next, to);
    sta_own_shards_clear(shards);
    return status;
}

static int leave_named(struct sta_own_shards *shards, struct confirmations *to,
                       const struct strata_bytes *names, size_t count)
{
    int status = STRATA_OK;
    for (size_t i = 0; i < count && status == STRATA_OK; i++) {
        sta_own_shards_remove(shards, names[i]);
        to->left = shards->count;
        status = confirm(to, &names[i]);
    }
    return status;
}

static int leave(struct sta_own_lane *lane, const struct sta_exchange *exchange)
{
    struct sta_own_shards *shards = &lane->home.shards;
    struct confirmations to = {&lane->parted, lane->protocol, shards->count};
    size_t argc = 0;
    int status = sta_resp_request_count(exchange->operation.request.wire, &argc);
    struct strata_bytes *argv = status < 0 ? NULL : sta_worker_argv(lane->worker, argc);
    if (argv == NULL)
        return STRATA_ERR_NOMEM;
    status = sta_resp_request_args(exchange->operation.request.wire, argv, argc, NULL);
    if (status == STRATA_OK)
        status = argc == 1 ? leave_all(shards, &to) : leave_named(shards, &to, argv + 1, argc - 1);
    lane->subscribed.shards = shards->count;
    return status;
}

/* An error that is not of the slot's leaving is the client's to hear: nothing has ended. */
int sta_own_rejoin_leaves(struct sta_own_lane *lane, const struct sta_exchange *exchange,
                          struct strata_bytes reply)
{
    struct sta_redirect redirect;
    if (!sta_redirect_is_error(reply))
        return sta_buffer_len(&lane->parted) > 0 ? STRATA_OK : leave(lane, exchange);
    sta_redirect_read(&redirect, reply, &lane->home.endpoint);
    int status = STRATA_OK;
    if (redirect.kind != STA_REDIRECT_MOVED)
        status = sta_buffer_append(&lane->parted, reply);
    return status < 0 ? status : STRATA_MORE;
}
