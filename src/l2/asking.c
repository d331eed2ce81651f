/* SPDX-License-Identifier: MIT
 *
 * See asking.h.
 */
#include "l2/asking.h"

#include <stdlib.h>

#include "l2/node.h"
#include "resp/resp.h"
#include "strata/status.h"

#define ASKING "*1\r\n$6\r\nASKING\r\n"

struct asking {
    struct sta_request request;
    struct sta_operation *operation;
    struct sta_buffer wire;
    struct sta_buffer replies;
};

int sta_asking_encode(struct sta_buffer *wire, struct strata_bytes commands)
{
    struct sta_resp_request_framer framer = {0};
    const char *reason;
    int status = STRATA_OK;
    while (commands.len > 0 && status == STRATA_OK) {
        size_t len;
        if (sta_resp_frame_request(&framer, &sta_resp_request_limits, true, commands, &len,
                                   &reason) != STRATA_OK)
            return STRATA_ERR_PROTOCOL;
        status = sta_buffer_append(wire, strata_bytes(ASKING, sizeof ASKING - 1));
        if (status == STRATA_OK)
            status = sta_buffer_append(wire, strata_bytes(commands.data, len));
        commands = strata_bytes((const uint8_t *)commands.data + len, commands.len - len);
    }
    return status;
}

int sta_asking_decode(struct sta_buffer *out, struct strata_bytes replies)
{
    struct sta_resp_walk walk = sta_resp_walk(replies);
    struct strata_bytes asking, reply;
    int status = STRATA_OK;
    while (status == STRATA_OK && walk.rest.len > 0) {
        if (sta_resp_skip(&walk, &asking) != STRATA_OK || sta_resp_skip(&walk, &reply) != STRATA_OK)
            return STRATA_ERR_PROTOCOL;
        status = sta_buffer_append(out, reply);
    }
    return status;
}

static void asking_destroy(struct asking *asking)
{
    sta_buffer_fini(&asking->wire);
    sta_buffer_fini(&asking->replies);
    free(asking);
}

/* The operation may be freed by done(), and the replies are read until then. */
static void on_done(struct sta_request *request, int status, struct strata_bytes replies)
{
    struct asking *asking = STA_CONTAINER(request, struct asking, request);
    struct sta_operation *operation = asking->operation;
    if (status == STRATA_OK)
        status = sta_asking_decode(&asking->replies, replies);
    replies = status == STRATA_OK ? sta_buffer_bytes(&asking->replies) : strata_bytes(NULL, 0);
    operation->request.memory = &asking->replies;
    operation->request.done(&operation->request, status, replies);
    asking_destroy(asking);
}

int sta_asking_send(struct sta_operation *operation, struct sta_node *node)
{
    struct asking *asking = calloc(1, sizeof *asking);
    if (asking == NULL)
        return STRATA_ERR_NOMEM;
    asking->operation = operation;
    sta_buffer_init(&asking->wire, SIZE_MAX);
    sta_buffer_init(&asking->replies, SIZE_MAX);
    int status = sta_asking_encode(&asking->wire, operation->request.wire);
    if (status < 0) {
        asking_destroy(asking);
        return status;
    }
    asking->request = (struct sta_request){
        .wire = sta_buffer_bytes(&asking->wire),
        .commands = 2 * operation->request.commands,
        .deadline_ns = operation->request.deadline_ns,
        .done = on_done,
    };
    operation->asked = true;
    operation->node = node;
    operation->attempts++;
    node->under_way++;
    sta_node_submit(node, operation, &asking->request);
    return STRATA_OK;
}
