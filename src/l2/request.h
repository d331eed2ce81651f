/* SPDX-License-Identifier: MIT
 *
 * A request to Redis on its way: encoded commands out, their raw replies back. The caller owns
 * the struct and keeps it in place until done() is called, which happens exactly once.
 *
 *     submit --> QUEUED --> SENT --> done(STRATA_OK, replies)
 *       |          |          '----> done(STRATA_ERR_TIMEOUT | LOST | CLOSED)
 *       |          '---------------> done(STRATA_ERR_TIMEOUT | UNAVAILABLE | CLOSED)
 *       '--------------------------> done(STRATA_ERR_TIMEOUT | UNAVAILABLE | CLOSED | BUSY |
 *                                         TOO_BIG | INVALID | NOMEM)
 *
 * TIMEOUT, LOST and CLOSED leave open whether the commands have been carried out; the others say
 * that nothing was sent. TOO_BIG: larger than all that may ever be queued; INVALID: no commands.
 */
#ifndef STA_REQUEST_H
#define STA_REQUEST_H

#include <stdint.h>

#include "core/buffer.h"
#include "core/list.h"
#include "net/loop.h"
#include "strata/bytes.h"

struct sta_request {
    /* The caller's, set before submit. */
    struct strata_bytes wire; /* RESP commands, one after another; readable until done() */
    unsigned commands;        /* how many they are: as many replies belong to this request */
    uint64_t deadline_ns;     /* done() is called at this time at the latest (plus one tick) */

    /* Called on the loop's thread. `replies`: on STRATA_OK the raw frames of all replies, one
     * after another, readable until done() returns; else empty. An error reply of Redis is a
     * reply (STRATA_OK). May free the request or submit it again. */
    void (*done)(struct sta_request *request, int status, struct strata_bytes replies);

    /* The engine's, from submit to done(). */
    struct sta_list link;
    struct sta_task task;
    void *engine;
    unsigned replies_left; /* once it is sent: how many have not come yet */

    /* In done(), where the status is STRATA_OK: the memory that the replies lie in, which may be
     * taken (sta_buffer_take()) instead of copying them; NULL: it may not. */
    struct sta_buffer *memory;
};

#endif
