/* SPDX-License-Identifier: MIT
 *
 * What the files of the router share: router.c, the way of an operation, and router_answers.c,
 * what becomes of it when it is not simply answered. Loop thread only.
 */
#ifndef STA_ROUTER_INSIDE_H
#define STA_ROUTER_INSIDE_H

#include "l2/delay_wheel.h"
#include "l2/router.h"

struct sta_router {
    /* Fixed at creation. */
    struct sta_loop *loop;
    struct sta_log *log;
    struct sta_router_config config;
    char *name; /* owned; the connections' */
    const struct sta_router_events *events;
    void *arg;

    struct sta_node *only; /* the single Redis */

    /* Operations that wait to be sent again. */
    struct sta_delay_wheel wheel;
    struct sta_timer wheel_timer;
    uint64_t random;
    bool closing;
};

/* Finds the node and sends; done() may be called before this returns. */
void sta_router_send(struct sta_router *router, struct sta_operation *operation);

/* Sends it again at `at_ns`. */
void sta_router_delay(struct sta_router *router, struct sta_operation *operation, uint64_t at_ns);

/* It was answered with an error reply, or failed with `status`. */
void sta_router_judge_reply(struct sta_router *router, struct sta_operation *operation,
                            struct strata_bytes replies);
void sta_router_judge_failure(struct sta_router *router, struct sta_operation *operation,
                              int status);

#endif
