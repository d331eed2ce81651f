/* SPDX-License-Identifier: MIT
 *
 * See command.h.
 */
#include "l2/command.h"

#include "l2/batch.h"
#include "l2/slot.h"
#include "strata/status.h"

static void on_done(struct sta_operation *operation, int status, struct strata_bytes replies)
{
    struct sta_command *command = STA_CONTAINER(operation, struct sta_command, operation);
    command->source = status == STRATA_OK ? sta_tracking_source(operation) : STA_TRACKING_NOBODY;
    command->done(command, status, replies);
}

void sta_command_init(struct sta_command *command, struct sta_l2 *l2,
                      void (*done)(struct sta_command *, int, struct strata_bytes))
{
    *command = (struct sta_command){.done = done, .l2 = l2};
    sta_buffer_init(&command->wire, STA_BATCH_WIRE_MAX);
}

void sta_command_fini(struct sta_command *command)
{
    sta_buffer_fini(&command->wire);
}

int sta_command_add(struct sta_command *command, const struct strata_bytes *argv, size_t argc)
{
    int status = sta_resp_write_command(&command->wire, argv, argc);
    if (status == STRATA_OK)
        command->operation.request.commands++;
    return status;
}

static void prepare(struct sta_command *command, struct strata_bytes key, uint64_t deadline_ns)
{
    struct sta_operation *operation = &command->operation;
    operation->request.wire = sta_buffer_bytes(&command->wire);
    operation->request.deadline_ns = deadline_ns;
    operation->slot = sta_l2_is_cluster(command->l2) ? sta_slot_of(key) : STA_OPERATION_ANY_NODE;
    operation->done = on_done;
}

void sta_command_submit(struct sta_command *command, struct strata_bytes key, uint64_t deadline_ns)
{
    prepare(command, key, deadline_ns);
    sta_l2_submit(command->l2, &command->operation);
}

void sta_command_start(struct sta_command *command, struct strata_bytes key, uint64_t deadline_ns)
{
    struct sta_router *router = sta_l2_router(command->l2);
    prepare(command, key, deadline_ns);
    if (router != NULL)
        sta_router_submit(router, &command->operation);
    else
        command->done(command, STRATA_ERR_CLOSED, strata_bytes(NULL, 0));
}
