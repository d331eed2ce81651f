/* SPDX-License-Identifier: MIT
 *
 * See l2_health.h.
 */
#include "l2/l2_health.h"

#include <stdlib.h>

#include "l2/router_inside.h"
#include "net/waiter.h"
#include "strata/status.h"

struct question {
    struct sta_task task;
    struct sta_waiter waiter;
    struct sta_l2 *l2;
    struct sta_l2_health health;
    int status;
};

static void count_node(const struct sta_node *node, void *arg)
{
    (void)node;
    ++*(size_t *)arg;
}

static unsigned slots_of(const struct sta_slot_map *map, const struct sta_node *node)
{
    uint16_t index = map != NULL ? sta_slot_map_find(map, &node->url.endpoint) : STA_SLOT_MAP_NONE;
    return index == STA_SLOT_MAP_NONE ? 0 : map->nodes[index].slots;
}

/* A node that was asked by another way alone has no main connection. */
static enum sta_connection_state state_of(const struct sta_node *node)
{
    for (unsigned kind = 0; kind < STA_NODE_LANE_KINDS; kind++)
        if (node->lanes[kind].connection != NULL)
            return sta_connection_state(node->lanes[kind].connection);
    return STA_CONNECTION_CLOSED;
}

struct copying {
    struct sta_l2_health *health;
    const struct sta_slot_map *map;
};

static void copy_node(const struct sta_node *node, void *arg)
{
    const struct copying *copying = arg;
    copying->health->nodes[copying->health->count++] = (struct sta_l2_node_health){
        .url = node->url,
        .state = state_of(node),
        .refusing = node->breaker.state != STA_BREAKER_CLOSED,
        .slots = slots_of(copying->map, node),
        .health = node->health,
    };
}

static unsigned slots_assigned(const struct sta_router *router)
{
    if (!router->config.cluster)
        return STA_SLOT_COUNT;
    return router->map != NULL ? router->map->covered : 0;
}

int sta_l2_health_copy(struct sta_l2_health *out, const struct sta_router *router)
{
    struct sta_l2_health health = {.slots_assigned = slots_assigned(router)};
    struct copying copying = {&health, router->map};
    size_t count = 0;
    sta_router_each_node(router, count_node, &count);
    health.nodes = calloc(count > 0 ? count : 1, sizeof *health.nodes);
    if (health.nodes == NULL)
        return STRATA_ERR_NOMEM;
    sta_router_each_node(router, copy_node, &copying);
    *out = health;
    return STRATA_OK;
}

static void question_answer(struct question *question)
{
    const struct sta_router *router = sta_l2_router(question->l2);
    question->status =
        router != NULL ? sta_l2_health_copy(&question->health, router) : STRATA_ERR_CLOSED;
}

static void on_question(struct sta_task *task)
{
    struct question *question = STA_CONTAINER(task, struct question, task);
    question_answer(question);
    sta_waiter_signal(&question->waiter);
}

int sta_l2_health(struct sta_l2 *l2, struct sta_l2_health *out)
{
    struct question question = {.task = {.run = on_question}, .l2 = l2};
    if (sta_loop_is_own_thread(sta_l2_loop(l2))) {
        question_answer(&question);
    } else {
        sta_waiter_init(&question.waiter, sta_l2_loop(l2));
        sta_l2_post(l2, &question.task);
        sta_waiter_wait(&question.waiter);
    }
    if (question.status == STRATA_OK)
        *out = question.health;
    return question.status;
}
