/* SPDX-License-Identifier: MIT
 *
 * What becomes of an operation that was answered with an error, or not at all. The rule which of
 * them may be sent again stands in operation.h; what error replies mean, in redirect.h.
 * Threads: the loop's only.
 */
#include "core/clock.h"
#include "l2/asking.h"
#include "l2/redirect.h"
#include "l2/router_inside.h"
#include "resp/resp.h"
#include "strata/status.h"

/* Connections that may break under a repeatable operation before it ends with LOST: whatever breaks
 * them, it may be the operation itself. */
#define ATTEMPTS_LOST_MAX 3u

/* How often an operation looks for a node that is not there yet. A new map wakes it, too. */
#define HOMELESS_WAIT_NS (50 * STA_NS_MS)

/* How long operations of a node that is down wait at most for news of the cluster. */
#define NEWS_WAIT_NS (500 * STA_NS_MS)

static void operation_end(struct sta_operation *operation, int status)
{
    operation->done(operation, status, strata_bytes(NULL, 0));
}

/* ---- error replies ---- */

/* Redirects are for us: who asked knows of one Redis. Everything else that Redis says, he may
 * hear. */
static void operation_pass_on(struct sta_router *router, struct sta_operation *operation,
                              enum sta_redirect_kind kind, int status, struct strata_bytes replies)
{
    bool ours =
        kind == STA_REDIRECT_MOVED || kind == STA_REDIRECT_ASKED || kind == STA_REDIRECT_MALFORMED;
    if (ours && router->only == NULL)
        operation_end(operation, status);
    else
        operation->done(operation, STRATA_OK, replies);
}

static void operation_go(struct sta_router *router, struct sta_operation *operation,
                         const struct sta_endpoint *endpoint, bool asking)
{
    struct sta_node *node;
    int status = sta_router_node_at(router, endpoint, &node);
    if (status == STRATA_OK && asking)
        status = sta_asking_send(operation, node);
    else if (status == STRATA_OK)
        sta_router_send_to(operation, node);
    if (status < 0)
        operation_end(operation, status);
}

static void operation_follow(struct sta_router *router, struct sta_operation *operation,
                             const struct sta_redirect *redirect,
                             const struct sta_redirect_decision *decision)
{
    bool later = decision->at_ns > sta_loop_now_ns(router->loop);
    if (decision->patch)
        sta_router_patch(router, redirect->slot, &redirect->endpoint);
    if (later || decision->action == STA_REDIRECT_RETRY)
        sta_router_delay(router, operation, decision->at_ns);
    else
        operation_go(router, operation, &redirect->endpoint, decision->action == STA_REDIRECT_ASK);
}

static enum sta_node_health_error health_error(enum sta_redirect_kind kind)
{
    switch (kind) {
    case STA_REDIRECT_MOVED:
    case STA_REDIRECT_ASKED:
        return STA_NODE_HEALTH_REDIRECT;
    case STA_REDIRECT_TRYAGAIN:
    case STA_REDIRECT_CLUSTERDOWN:
    case STA_REDIRECT_LOADING:
    case STA_REDIRECT_MASTERDOWN:
    case STA_REDIRECT_READONLY:
        return STA_NODE_HEALTH_RETRY;
    case STA_REDIRECT_DENIED:
        return STA_NODE_HEALTH_DENIED;
    default:
        return STA_NODE_HEALTH_SERVER;
    }
}

/* Whether the transaction behind the command that was refused was refused as well, and may go where
 * that is sent. */
static bool may_follow_whole(enum sta_redirect_kind kind, struct strata_bytes replies)
{
    struct sta_resp_walk walk = sta_resp_walk(replies);
    struct strata_bytes last = replies;
    while (sta_resp_skip(&walk, &last) == STRATA_OK) {
    }
    return kind != STA_REDIRECT_ASKED && sta_redirect_is_error(last);
}

void sta_router_judge_reply(struct sta_router *router, struct sta_operation *operation,
                            struct strata_bytes replies)
{
    const struct sta_endpoint *from = &operation->node->url.endpoint;
    const struct sta_redirect_call call = {.deadline_ns = operation->request.deadline_ns,
                                           .attempts = operation->attempts,
                                           .splittable = operation->splittable};
    struct sta_redirect redirect;
    sta_redirect_read(&redirect, replies, from);
    sta_node_health_count(&operation->node->health, health_error(redirect.kind));
    struct sta_redirect_decision decision =
        sta_redirect_decide(&redirect, &call, sta_loop_now_ns(router->loop), &router->random);
    bool redirected = redirect.kind == STA_REDIRECT_MOVED || redirect.kind == STA_REDIRECT_ASKED;
    if (decision.reconnect && router->only != NULL)
        sta_node_look_up_again(router->only);
    if (decision.refresh)
        sta_router_demand_map(router, redirect.kind == STA_REDIRECT_MOVED ? from : NULL);
    if (operation->whole && !may_follow_whole(redirect.kind, replies))
        operation->done(operation, STRATA_OK, replies);
    else if (decision.action == STA_REDIRECT_GIVE_UP || decision.action == STA_REDIRECT_SPLIT ||
             router->closing || (redirected && router->only != NULL))
        operation_pass_on(router, operation, redirect.kind, decision.status, replies);
    else
        operation_follow(router, operation, &redirect, &decision);
}

void sta_router_hear(struct sta_router *router, const struct sta_redirect *redirect,
                     const struct sta_endpoint *from)
{
    bool moved = redirect != NULL && redirect->kind == STA_REDIRECT_MOVED;
    if (moved && redirect->endpoint.address[0] != '\0')
        sta_router_patch(router, redirect->slot, &redirect->endpoint);
    sta_router_demand_map(router, moved ? from : NULL);
}

/* ---- no reply ---- */

/* Whether another node, or this one, would take it now: else this would go round without end. */
static bool has_somewhere_to_go(struct sta_router *router, const struct sta_operation *operation)
{
    struct sta_node *node = router->only;
    if (node == NULL && sta_router_node_of(router, operation->slot, &node) != STRATA_OK)
        return false;
    return sta_node_is_open(node);
}

static bool may_go_again(struct sta_router *router, const struct sta_operation *operation,
                         int status)
{
    if (status == STRATA_ERR_UNAVAILABLE)
        return operation->attempts < STA_REDIRECT_ATTEMPTS_MAX &&
               has_somewhere_to_go(router, operation);
    return status == STRATA_ERR_LOST && operation->repeatable &&
           operation->attempts < ATTEMPTS_LOST_MAX && has_somewhere_to_go(router, operation);
}

/* The node is down, and nobody has told us since who serves its slots now. One that hangs is
 * another matter: its breaker is open, and calls fail at once. */
static bool expects_news(const struct sta_router *router, const struct sta_operation *operation,
                         int status, uint64_t now_ns)
{
    const struct sta_node *node = operation->node;
    bool unsent = status == STRATA_ERR_UNAVAILABLE;
    return router->only == NULL &&
           (unsent || (status == STRATA_ERR_LOST && operation->repeatable)) &&
           node->breaker.state == STA_BREAKER_CLOSED && node->down_ns != 0 &&
           router->learned_ns <= node->down_ns && now_ns - node->down_ns < NEWS_WAIT_NS &&
           now_ns < operation->request.deadline_ns;
}

static void operation_wait(struct sta_router *router, struct sta_operation *operation,
                           uint64_t now_ns)
{
    uint64_t again_ns = sta_clock_after(now_ns, HOMELESS_WAIT_NS);
    uint64_t deadline_ns = operation->request.deadline_ns;
    sta_router_delay(router, operation, again_ns < deadline_ns ? again_ns : deadline_ns);
}

void sta_router_judge_failure(struct sta_router *router, struct sta_operation *operation,
                              int status)
{
    if (router->closing) {
        operation_end(operation, status);
        return;
    }
    if (status == STRATA_ERR_CLOSED) /* not by our owner: the node has gone */
        status = STRATA_ERR_LOST;
    if (status == STRATA_ERR_UNAVAILABLE || status == STRATA_ERR_LOST)
        sta_router_demand_map(router, NULL);
    uint64_t now_ns = sta_loop_now_ns(router->loop);
    if (may_go_again(router, operation, status))
        sta_router_send(router, operation);
    else if (expects_news(router, operation, status, now_ns))
        operation_wait(router, operation, now_ns);
    else
        operation_end(operation, status);
}

void sta_router_judge_homeless(struct sta_router *router, struct sta_operation *operation)
{
    uint64_t now_ns = sta_loop_now_ns(router->loop);
    bool hopeless = router->map == NULL && !sta_router_may_learn(router);
    if (router->map != NULL) /* a first one is being asked for anyhow */
        sta_router_demand_map(router, NULL);
    if (hopeless || operation->request.deadline_ns <= now_ns)
        operation_end(operation, STRATA_ERR_UNAVAILABLE);
    else
        operation_wait(router, operation, now_ns);
}
