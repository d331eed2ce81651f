/* SPDX-License-Identifier: MIT
 *
 * A few commands about one slot, written word by word, as one operation (l2/operation.h): for what
 * batches (l2/batch.h) have no words for. They are sent together and answered together, never sent
 * twice.
 *
 *     init --> add, add, ... --> submit (any thread) or start (who leads) --> done, once --> fini
 */
#ifndef STA_COMMAND_H
#define STA_COMMAND_H

#include "core/buffer.h"
#include "l2/l2.h"
#include "resp/resp.h"

struct sta_command {
    /* On the loop's thread: status and replies as in l2/request.h, and the source that they came
     * from (sta_tracking_source()). */
    void (*done)(struct sta_command *command, int status, struct strata_bytes replies);
    int source;

    /* the room's own */
    struct sta_l2 *l2;
    struct sta_buffer wire;
    struct sta_operation operation;
};

void sta_command_init(struct sta_command *command, struct sta_l2 *l2,
                      void (*done)(struct sta_command *, int, struct strata_bytes));
void sta_command_fini(struct sta_command *command);

/* STRATA_OK; STRATA_ERR_NOMEM, STRATA_ERR_TOO_BIG. */
int sta_command_add(struct sta_command *command, const struct strata_bytes *argv, size_t argc);

/* `key` as Redis has it: its slot is that of all keys in the commands. */
void sta_command_submit(struct sta_command *command, struct strata_bytes key, uint64_t deadline_ns);
/* The same by who leads the loop, at once: done() may be called before this returns. */
void sta_command_start(struct sta_command *command, struct strata_bytes key, uint64_t deadline_ns);

#endif
