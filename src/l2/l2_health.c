/* SPDX-License-Identifier: MIT
 *
 * See l2_health.h.
 */
#include "l2/l2_health.h"

#include <stdlib.h>

#include "l2/node.h"
#include "l2/slot_map.h"
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

static void copy_node(const struct sta_node *node, void *arg)
{
    struct question *question = arg;
    const struct sta_slot_map *map = sta_router_map(sta_l2_router(question->l2));
    question->health.nodes[question->health.count++] = (struct sta_l2_node_health){
        .url = node->url,
        .state = sta_node_state(node),
        .refusing = node->breaker.state != STA_BREAKER_CLOSED,
        .slots = slots_of(map, node),
        .health = node->health,
    };
}

static unsigned slots_assigned(const struct sta_l2 *l2, const struct sta_slot_map *map)
{
    if (!sta_l2_is_cluster(l2))
        return STA_SLOT_COUNT;
    return map != NULL ? map->covered : 0;
}

static void question_answer(struct question *question)
{
    const struct sta_router *router = sta_l2_router(question->l2);
    struct sta_l2_health *health = &question->health;
    size_t count = 0;
    question->status = STRATA_ERR_CLOSED;
    if (router == NULL)
        return;
    sta_router_each_node(router, count_node, &count);
    health->nodes = calloc(count > 0 ? count : 1, sizeof *health->nodes);
    question->status = health->nodes != NULL ? STRATA_OK : STRATA_ERR_NOMEM;
    if (health->nodes == NULL)
        return;
    sta_router_each_node(router, copy_node, question);
    health->slots_assigned = slots_assigned(question->l2, sta_router_map(router));
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
