/* SPDX-License-Identifier: MIT
 *
 * Asking a cluster for its map. When, whom and whether the answer is believed is l2/refresh.h's;
 * here the question is put and the answer adopted.
 *
 * A question goes to its node past the map: it is no operation of the router's, is not sent
 * again, and has a deadline of its own. A seed is asked over a connection like any other; where
 * its node is in backoff that ends, since the pace of questions is the backoff, and connecting
 * looks its name up anew.
 * Threads: the loop's only.
 */
#include "core/clock.h"
#include "core/random.h"
#include "l2/router_inside.h"
#include "l2/topology.h"
#include "resp/resp.h"
#include "strata/status.h"

static const char question_wire[] = "*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n"
                                    "*2\r\n$7\r\nCLUSTER\r\n$4\r\nINFO\r\n";
#define QUESTION_COMMANDS 2u
#define ADDRESS_CAP       280u

static void router_step_refresh(struct sta_router *router);

/* ---- the answer ---- */

static void router_believe(struct sta_router *router, struct sta_slot_map *map,
                           const struct sta_topology_info *info)
{
    uint64_t now_ns = sta_loop_now_ns(router->loop);
    enum sta_refresh_verdict verdict =
        sta_refresh_answered(&router->refresh, router->map, map, info, now_ns);
    bool first = router->map == NULL;
    if (verdict != STA_REFRESH_ADOPT || sta_router_adopt(router, map) < 0) {
        sta_slot_map_destroy(&map);
        return;
    }
    sta_tracking_mapped(router, router->refresh.asked_ns);
    sta_log_write(router->log, first ? STRATA_LOG_INFO : STRATA_LOG_DEBUG, STA_ROOM_L2,
                  "cluster: %u nodes, %u of %u slots served", map->node_count, map->covered,
                  STA_SLOT_COUNT);
}

static int router_parse(struct sta_router *router, struct strata_bytes replies, const char **reason)
{
    const struct sta_node *node = router->question.node;
    const struct sta_topology_query query = {.asked = &node->url.endpoint, .tls = node->url.tls};
    struct sta_resp_walk walk = sta_resp_walk(replies);
    struct strata_bytes slots, info_frame;
    struct sta_topology_info info;
    struct sta_slot_map *map;
    if (sta_resp_skip(&walk, &slots) != STRATA_OK || sta_resp_skip(&walk, &info_frame) != STRATA_OK)
        return STRATA_ERR_PROTOCOL;
    int status = sta_topology_parse_slots(&map, slots, &query, reason);
    if (status < 0)
        return status;
    bool informed = sta_topology_parse_info(&info, info_frame, NULL) == STRATA_OK;
    router_believe(router, map, informed ? &info : NULL);
    return STRATA_OK;
}

static void on_answer(struct sta_request *request, int status, struct strata_bytes replies)
{
    struct sta_operation *question = STA_CONTAINER(request, struct sta_operation, request);
    struct sta_router *router = question->router;
    const char *reason = strata_status_text(status);
    question->node->under_way--;
    if (router->closing)
        return;
    if (status == STRATA_OK)
        status = router_parse(router, replies, &reason);
    if (status == STRATA_OK)
        router->learned_ns = router->refresh.asked_ns;
    if (status < 0) {
        char address[ADDRESS_CAP];
        sta_endpoint_format(&question->node->url.endpoint, address, sizeof address);
        sta_log_write(router->log, STRATA_LOG_DEBUG, STA_ROOM_L2, "%s: no map of the cluster: %s",
                      address, reason);
        sta_refresh_failed(&router->refresh, sta_loop_now_ns(router->loop));
    }
    router_step_refresh(router);
}

/* ---- the question ---- */

static int router_find_asked(struct sta_router *router, const struct sta_refresh_ask *ask,
                             struct sta_node **out)
{
    if (ask->whom == STA_REFRESH_SENDER)
        return sta_router_node_at(router, &ask->sender, out);
    if (ask->whom == STA_REFRESH_SEED)
        return sta_router_node_at(router, &router->seeds[ask->pick], out);
    *out = sta_router_ready_node(router, ask->pick);
    return *out != NULL ? STRATA_OK : STRATA_ERR_UNAVAILABLE;
}

static void router_ask(struct sta_router *router, const struct sta_refresh_ask *ask)
{
    struct sta_node *node;
    int status = router_find_asked(router, ask, &node);
    if (status == STRATA_OK)
        status = sta_node_try_now(node);
    if (status < 0) {
        sta_refresh_failed(&router->refresh, sta_loop_now_ns(router->loop));
        return;
    }
    router->question = (struct sta_operation){
        .request = {.wire = strata_bytes(question_wire, sizeof question_wire - 1),
                    .commands = QUESTION_COMMANDS,
                    .deadline_ns = ask->at_ns,
                    .done = on_answer},
        .router = router,
        .node = node,
    };
    node->under_way++;
    sta_node_submit_request(node, STA_NODE_MAIN, &router->question.request);
}

/* ---- when ---- */

static void router_set_refresh_timer(struct sta_router *router, uint64_t at_ns)
{
    sta_timer_start(router->loop, &router->refresh_timer, at_ns);
}

/* A question that fails at once is followed by another on the timer, not from within. */
static void router_step_refresh(struct sta_router *router)
{
    uint64_t now_ns = sta_loop_now_ns(router->loop);
    if (router->refresh.state == STA_REFRESH_ASKING)
        return;
    struct sta_refresh_ask ask =
        sta_refresh_step(&router->refresh, sta_router_ready_count(router), now_ns);
    if (ask.whom == STA_REFRESH_NOBODY)
        router_set_refresh_timer(router, ask.at_ns);
    else
        router_ask(router, &ask);
    if (router->refresh.state == STA_REFRESH_WANTED)
        router_set_refresh_timer(router, router->refresh.at_ns);
}

static void on_refresh_timer(struct sta_timer *timer)
{
    router_step_refresh(STA_CONTAINER(timer, struct sta_router, refresh_timer));
}

/* Cheap: may be called for each redirect. The question is put by the timer, at the earliest in the
 * next tick, so that many redirects of one tick make one question. */
void sta_router_demand_map(struct sta_router *router, const struct sta_endpoint *sender)
{
    if (router->only != NULL || router->closing)
        return;
    sta_refresh_demand(&router->refresh, sender, sta_loop_now_ns(router->loop));
    if (router->refresh.state == STA_REFRESH_WANTED &&
        router->refresh_timer.due_ns != router->refresh.at_ns)
        router_set_refresh_timer(router, router->refresh.at_ns);
}

bool sta_router_may_learn(const struct sta_router *router)
{
    const struct sta_refresh *refresh = &router->refresh;
    unsigned failed = refresh->tries - (refresh->state == STA_REFRESH_ASKING);
    return router->map == NULL && failed < refresh->config.seed_count;
}

void sta_router_refresh_start(struct sta_router *router)
{
    struct sta_refresh_config config = router->config.refresh;
    config.seed_count = (unsigned)router->config.seed_count;
    sta_refresh_init(&router->refresh, &config, sta_random_next(&router->random),
                     sta_loop_now_ns(router->loop));
    sta_timer_init(&router->refresh_timer, on_refresh_timer);
    router_set_refresh_timer(router, sta_loop_now_ns(router->loop));
}

void sta_router_refresh_stop(struct sta_router *router)
{
    if (router->refresh_timer.fire != NULL)
        sta_timer_stop(router->loop, &router->refresh_timer);
}
