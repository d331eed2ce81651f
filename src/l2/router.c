/* SPDX-License-Identifier: MIT
 *
 * The way of an operation to a node and back; the drawing is in router.h.
 */
#include "l2/router.h"

#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "l2/redirect.h"
#include "l2/router_inside.h"
#include "l2/scanner.h"
#include "strata/status.h"

/* Operations that may wait to be sent again; more are BUSY. */
#define WAITING_MAX 65536u

/* ---- there and back ---- */

static void on_done(struct sta_request *request, int status, struct strata_bytes replies)
{
    struct sta_operation *operation = STA_CONTAINER(request, struct sta_operation, request);
    operation->node->under_way--;
    sta_node_note(operation->node, operation, status);
    if (status == STRATA_OK)
        sta_node_note_size(operation->node, operation, replies.len,
                           sta_tracking_keeps(operation->router, replies.len));
    if (status == STRATA_OK && !sta_redirect_is_error(replies))
        operation->done(operation, STRATA_OK, replies);
    else if (status == STRATA_OK)
        sta_router_judge_reply(operation->router, operation, replies);
    else
        sta_router_judge_failure(operation->router, operation, status);
}

const struct sta_operation *sta_router_operation_of(const struct sta_request *request)
{
    return request != NULL && request->done == on_done
               ? STA_CONTAINER(request, struct sta_operation, request)
               : NULL;
}

void sta_router_send_to(struct sta_operation *operation, struct sta_node *node)
{
    operation->node = node;
    operation->attempts++;
    node->under_way++;
    sta_node_submit(node, operation, &operation->request);
}

void sta_router_send(struct sta_router *router, struct sta_operation *operation)
{
    struct sta_node *node = router->only;
    int status = STRATA_OK;
    if (node == NULL)
        status = sta_router_node_of(router, operation->slot, &node);
    if (status == STRATA_OK && operation->hurried && sta_tracking_is_silent(router, node))
        status = STRATA_ERR_UNAVAILABLE;
    if (status == STRATA_OK)
        sta_router_send_to(operation, node);
    else if (status == STRATA_MISS)
        sta_router_judge_homeless(router, operation);
    else
        operation->done(operation, status, strata_bytes(NULL, 0));
}

void sta_router_submit(struct sta_router *router, struct sta_operation *operation)
{
    operation->router = router;
    operation->attempts = 0;
    operation->asked = false;
    operation->request.done = on_done;
    if (!router->closing)
        sta_router_send(router, operation);
    else
        operation->done(operation, STRATA_ERR_CLOSED, strata_bytes(NULL, 0));
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

static void router_send_all(struct sta_router *router, struct sta_list *operations)
{
    struct sta_list *node;
    while ((node = sta_list_pop_front(operations)) != NULL)
        sta_router_send(router, operation_at(node));
    router_set_wheel_timer(router);
}

static void on_wheel(struct sta_timer *timer)
{
    struct sta_router *router = STA_CONTAINER(timer, struct sta_router, wheel_timer);
    struct sta_list due;
    sta_list_init(&due);
    router->wheel_timer.due_ns = STA_NEVER;
    sta_delay_wheel_take_due(&router->wheel, sta_loop_now_ns(router->loop), &due);
    router_send_all(router, &due);
}

void sta_router_hurry(struct sta_router *router)
{
    struct sta_list all;
    sta_list_init(&all);
    sta_delay_wheel_take_all(&router->wheel, &all);
    router_send_all(router, &all);
}

/* ---- life ---- */

static int router_copy_name(struct sta_router *router)
{
    const char *name = router->config.node.connection.name;
    if (name == NULL)
        return STRATA_OK;
    router->name = strdup(name);
    router->config.node.connection.name = router->name;
    return router->name != NULL ? STRATA_OK : STRATA_ERR_NOMEM;
}

/* Without seeds the url's host is the one. */
static int router_copy_seeds(struct sta_router *router)
{
    size_t count = router->config.seed_count;
    const struct sta_endpoint *seeds = router->config.seeds;
    if (count == 0) {
        count = 1;
        seeds = &router->url.endpoint;
    }
    router->seeds = calloc(count, sizeof *router->seeds);
    if (router->seeds == NULL)
        return STRATA_ERR_NOMEM;
    memcpy(router->seeds, seeds, count * sizeof *seeds);
    router->config.seeds = router->seeds;
    router->config.seed_count = count;
    return STRATA_OK;
}

static int router_open_cluster(struct sta_router *router)
{
    int status = router_copy_seeds(router);
    if (status == STRATA_OK)
        sta_router_refresh_start(router);
    return status;
}

static int router_open_single(struct sta_router *router)
{
    int status = sta_router_node_at(router, &router->url.endpoint, &router->only);
    return status == STRATA_OK ? sta_node_open_lane(router->only, STA_NODE_MAIN) : status;
}

static void router_init(struct sta_router *router, const struct sta_router_config *config)
{
    uint64_t seed = config->node.connection.jitter_seed;
    router->config = *config;
    router->url = *config->node.connection.url;
    router->config.node.connection.url = &router->url;
    router->random = seed != 0 ? seed : sta_random_seed();
    sta_delay_wheel_init(&router->wheel, sta_loop_now_ns(router->loop));
    sta_timer_init(&router->wheel_timer, on_wheel);
    sta_list_init(&router->scans);
    sta_router_nodes_init(router);
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
    router->events = events;
    router->arg = arg;
    router_init(router, config);
    int status = sta_tracking_start(router);
    if (status == STRATA_OK)
        status = router_copy_name(router);
    if (status == STRATA_OK)
        status = config->cluster ? router_open_cluster(router) : router_open_single(router);
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

/* Closing is first of all a state: nothing is sent any more in it. */
void sta_router_destroy(struct sta_router **at)
{
    struct sta_router *router = *at;
    if (router == NULL)
        return;
    *at = NULL;
    router->closing = true;
    sta_timer_stop(router->loop, &router->wheel_timer);
    sta_router_refresh_stop(router);
    sta_scanner_end_all(router);
    router_end_waiting(router);
    sta_router_nodes_fini(router);
    sta_tracking_stop(router);
    free(router->seeds);
    free(router->name);
    free(router);
}

const struct sta_slot_map *sta_router_map(const struct sta_router *router)
{
    return router->map;
}
