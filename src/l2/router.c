/* SPDX-License-Identifier: MIT
 *
 * The way of an operation to a node and back; the drawing is in router.h.
 */
#include "l2/router.h"

#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "l2/router_inside.h"
#include "strata/status.h"

/* Operations that may wait to be sent again; more are BUSY. */
#define WAITING_MAX 65536u

/* ---- there and back ---- */

/* An error is told from all other replies by its first byte; RESP3 has two kinds. */
static bool is_error(struct strata_bytes replies)
{
    uint8_t first = *(const uint8_t *)replies.data;
    return first == '-' || first == '!';
}

static void on_done(struct sta_request *request, int status, struct strata_bytes replies)
{
    struct sta_operation *operation = STA_CONTAINER(request, struct sta_operation, request);
    if (status == STRATA_OK && !is_error(replies))
        operation->done(operation, STRATA_OK, replies);
    else if (status == STRATA_OK)
        sta_router_judge_reply(operation->router, operation, replies);
    else
        sta_router_judge_failure(operation->router, operation, status);
}

void sta_router_send(struct sta_router *router, struct sta_operation *operation)
{
    operation->node = router->only;
    operation->attempts++;
    sta_node_submit(router->only, operation);
}

void sta_router_submit(struct sta_router *router, struct sta_operation *operation)
{
    operation->router = router;
    operation->attempts = 0;
    operation->request.done = on_done;
    sta_router_send(router, operation);
}

/* ---- waiting ---- */

static void router_set_wheel_timer(struct sta_router *router)
{
    uint64_t due_ns = sta_delay_wheel_next_ns(&router->wheel);
    if (due_ns != router->wheel_timer.due_ns)
        sta_timer_start(router->loop, &router->wheel_timer, due_ns);
}

void sta_router_delay(struct sta_router *router, struct sta_operation *operation, uint64_t at_ns)
{
    if (router->wheel.count >= WAITING_MAX) {
        operation->done(operation, STRATA_ERR_BUSY, strata_bytes(NULL, 0));
        return;
    }
    sta_delay_wheel_add(&router->wheel, &operation->request, at_ns, sta_loop_now_ns(router->loop));
    router_set_wheel_timer(router);
}

static struct sta_operation *operation_at(struct sta_list *node)
{
    struct sta_request *request = STA_CONTAINER(node, struct sta_request, link);
    return STA_CONTAINER(request, struct sta_operation, request);
}

static void on_wheel(struct sta_timer *timer)
{
    struct sta_router *router = STA_CONTAINER(timer, struct sta_router, wheel_timer);
    struct sta_list due;
    struct sta_list *node;
    sta_list_init(&due);
    router->wheel_timer.due_ns = STA_NEVER;
    sta_delay_wheel_take_due(&router->wheel, sta_loop_now_ns(router->loop), &due);
    while ((node = sta_list_pop_front(&due)) != NULL)
        sta_router_send(router, operation_at(node));
    router_set_wheel_timer(router);
}

/* ---- life ---- */

static void on_node_state(void *arg, struct sta_node_lane *lane, enum sta_connection_state state,
                          const char *reason)
{
    struct sta_router *router = arg;
    if (router->events->state != NULL)
        router->events->state(router->arg, lane, state, reason);
}

static const struct sta_node_events node_events = {.state = on_node_state};

static int router_open(struct sta_router *router)
{
    int status = sta_node_create(&router->only, router->loop, router->log,
                                 &router->config.connection, &node_events, router);
    return status == STRATA_OK ? sta_node_open_lane(router->only, STA_NODE_MAIN) : status;
}

static int router_copy_name(struct sta_router *router)
{
    const char *name = router->config.connection.name;
    if (name == NULL)
        return STRATA_OK;
    router->name = strdup(name);
    router->config.connection.name = router->name;
    return router->name != NULL ? STRATA_OK : STRATA_ERR_NOMEM;
}

int sta_router_create(struct sta_router **out, struct sta_loop *loop, struct sta_log *log,
                      const struct sta_router_config *config,
                      const struct sta_router_events *events, void *arg)
{
    struct sta_router *router = calloc(1, sizeof *router);
    if (router == NULL)
        return STRATA_ERR_NOMEM;
    router->loop = loop;
    router->log = log;
    router->config = *config;
    router->events = events;
    router->arg = arg;
    router->random = sta_random_seed();
    sta_delay_wheel_init(&router->wheel, sta_loop_now_ns(loop));
    sta_timer_init(&router->wheel_timer, on_wheel);
    int status = router_copy_name(router);
    if (status == STRATA_OK)
        status = router_open(router);
    if (status < 0) {
        sta_router_destroy(&router);
        return status;
    }
    *out = router;
    return STRATA_OK;
}

static void router_end_waiting(struct sta_router *router)
{
    struct sta_list all;
    struct sta_list *node;
    sta_list_init(&all);
    sta_delay_wheel_take_all(&router->wheel, &all);
    while ((node = sta_list_pop_front(&all)) != NULL) {
        struct sta_operation *operation = operation_at(node);
        operation->done(operation, STRATA_ERR_CLOSED, strata_bytes(NULL, 0));
    }
}

/* Closing is first of all a state: nothing is sent again in it. */
void sta_router_destroy(struct sta_router **at)
{
    struct sta_router *router = *at;
    if (router == NULL)
        return;
    *at = NULL;
    router->closing = true;
    sta_timer_stop(router->loop, &router->wheel_timer);
    router_end_waiting(router);
    sta_node_destroy(&router->only);
    free(router->name);
    free(router);
}

void sta_router_statistics(const struct sta_router *router, struct sta_connection_statistics *out)
{
    sta_node_statistics(router->only, out);
    out->in_flight += router->wheel.count;
}
