/* SPDX-License-Identifier: MIT
 *
 * A request to Redis on its way: encoded commands out, their raw replies back. The caller owns
 * the struct and keeps it in place until done() is called, which happens exactly once.
 *
 *     submit --> QUEUED --> SENT --> done(STRATA_OK, replies)
 *                  |          |----> done(STRATA_ERR_TIMEOUT | STRATA_ERR_LOST)
 *                  '----------'----> done(STRATA_ERR_TIMEOUT | UNAVAILABLE | BUSY | CLOSED)
 *
 * UNAVAILABLE, BUSY and CLOSED say that nothing was sent; TIMEOUT and LOST that the commands may
 * have been carried out.
 */
#ifndef STA_REQUEST_H
#define STA_REQUEST_H

#include <stdint.h>

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
    size_t reply_bytes;
};

#endif
