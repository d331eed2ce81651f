/* SPDX-License-Identifier: MIT
 *
 * What becomes of an operation that was answered with an error, or not at all. The rule which of
 * them may be sent again stands in operation.h; what error replies mean, in redirect.h.
 */
#include "l2/redirect.h"
#include "l2/router_inside.h"
#include "resp/resp.h"
#include "strata/status.h"

/* Connections that may break under a repeatable operation before it ends with LOST: whatever breaks
 * them, it may be the operation itself. */
#define ATTEMPTS_LOST_MAX 3u

static struct strata_bytes error_text(struct strata_bytes replies)
{
    struct sta_resp_walk walk = sta_resp_walk(replies);
    struct sta_resp_value value;
    if (sta_resp_next(&walk, &value) != STRATA_OK)
        return strata_bytes(NULL, 0);
    return value.bytes;
}

void sta_router_judge_reply(struct sta_router *router, struct sta_operation *operation,
                            struct strata_bytes replies)
{
    struct sta_redirect redirect;
    const struct sta_redirect_call call = {
        .deadline_ns = operation->request.deadline_ns,
        .attempts = operation->attempts,
    };
    sta_redirect_parse(&redirect, error_text(replies), &operation->node->url.endpoint);
    struct sta_redirect_decision decision =
        sta_redirect_decide(&redirect, &call, sta_loop_now_ns(router->loop), &router->random);
    if (decision.action == STA_REDIRECT_RETRY && !router->closing)
        sta_router_delay(router, operation, decision.at_ns);
    else
        operation->done(operation, STRATA_OK, replies);
}

/* Once more where the node takes it: else this would go round without end. */
static bool may_go_again(const struct sta_router *router, const struct sta_operation *operation,
                         int status)
{
    if (router->closing || !sta_node_is_open(operation->node))
        return false;
    if (status == STRATA_ERR_UNAVAILABLE)
        return operation->attempts < STA_REDIRECT_ATTEMPTS_MAX;
    return status == STRATA_ERR_LOST && operation->repeatable &&
           operation->attempts < ATTEMPTS_LOST_MAX;
}

void sta_router_judge_failure(struct sta_router *router, struct sta_operation *operation,
                              int status)
{
    if (may_go_again(router, operation, status))
        sta_router_send(router, operation);
    else
        operation->done(operation, status, strata_bytes(NULL, 0));
}
