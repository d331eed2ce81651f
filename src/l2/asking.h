/* SPDX-License-Identifier: MIT
 *
 * Following an ASK: an operation is sent to the node that its slot is moving to, with ASKING before
 * each of its commands (Redis forgets it after one), and the answers to ASKING are taken out of the
 * replies. That takes memory, and a copy of both; it happens to single keys while a slot moves.
 * Threads: the loop's only.
 */
#ifndef STA_ASKING_H
#define STA_ASKING_H

#include "core/buffer.h"
#include "l2/operation.h"

/* Sends it. Then its way goes on as if it had been sent as it is. STRATA_ERR_NOMEM: it was not. */
int sta_asking_send(struct sta_operation *operation, struct sta_node *node);

/* The pure parts. Appends `commands` with ASKING before each: STRATA_ERR_NOMEM, or
 * STRATA_ERR_PROTOCOL where they are none. */
int sta_asking_encode(struct sta_buffer *wire, struct strata_bytes commands);
/* Appends every second one of `replies`. */
int sta_asking_decode(struct sta_buffer *out, struct strata_bytes replies);

#endif
