/* SPDX-License-Identifier: MIT
 *
 * See l2_health.h.
 */
#include "l2/l2_health.h"

#include <stdlib.h>

#include "l2/node.h"
#include "net/waiter.h"
#include "strata/status.h"

struct question {
    struct sta_task task;
    struct sta_waiter waiter;
    struct sta_l2 *l2;
    struct sta_l2_node_health *nodes;
    size_t count;
    int status;
};

static void count_node(const struct sta_node *node, void *arg)
{
    (void)node;
    ++*(size_t *)arg;
}

static void copy_node(const struct sta_node *node, void *arg)
{
    struct question *question = arg;
    question->nodes[question->count++] = (struct sta_l2_node_health){
        .url = node->url,
        .state = sta_node_state(node),
        .refusing = node->breaker.state != STA_BREAKER_CLOSED,
        .health = node->health,
    };
}

static void question_answer(struct question *question)
{
    const struct sta_router *router = sta_l2_router(question->l2);
    size_t count = 0;
    question->status = STRATA_ERR_CLOSED;
    if (router == NULL)
        return;
    sta_router_each_node(router, count_node, &count);
    question->nodes = calloc(count > 0 ? count : 1, sizeof *question->nodes);
    question->status = question->nodes != NULL ? STRATA_OK : STRATA_ERR_NOMEM;
    if (question->nodes != NULL)
        sta_router_each_node(router, copy_node, question);
}

static void on_question(struct sta_task *task)
{
    struct question *question = STA_CONTAINER(task, struct question, task);
    question_answer(question);
    sta_waiter_signal(&question->waiter);
}

int sta_l2_health(struct sta_l2 *l2, struct sta_l2_node_health **nodes, size_t *count)
{
    struct question question = {.task = {.run = on_question}, .l2 = l2};
    if (sta_loop_is_own_thread(sta_l2_loop(l2))) {
        question_answer(&question);
    } else {
        sta_waiter_init(&question.waiter, sta_l2_loop(l2));
        sta_l2_post(l2, &question.task);
        sta_waiter_wait(&question.waiter);
    }
    *nodes = question.nodes;
    *count = question.count;
    return question.status;
}
