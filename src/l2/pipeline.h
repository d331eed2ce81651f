/* SPDX-License-Identifier: MIT
 *
 * The requests that are in flight on one connection, in the order in which they were sent, and
 * the matching of replies to them. No sockets, no clocks: bytes and `now` are arguments.
 *
 *     slots    [ A: 1 reply ][ B: 3 replies ][ (timed out): 2 replies ][ C: 1 reply ] ...
 *     input    +a            *b *b >push *b    +x +y                     $c
 *
 * A slot belongs to the pipeline, not to the request: a request that timed out is done and gone,
 * and its slot stays until its replies have come and been dropped. So the n-th reply on the wire
 * always meets the n-th command, whatever became of who asked.
 * done() and on_push() may push new requests and may end() the pipeline; end() from within feed()
 * makes feed() return at once.
 * Threads: one owner. Memory: slots grow to `limit` of them, 32 bytes each.
 */
#ifndef STA_PIPELINE_H
#define STA_PIPELINE_H

#include <stdint.h>

#include "core/buffer.h"
#include "l2/request.h"
#include "resp/resp.h"

struct sta_pipeline_slot {
    struct sta_request *request; /* NULL: timed out, drop its replies */
    uint64_t deadline_ns;
    uint64_t wire_begin; /* where its commands begin in all that was written */
    unsigned replies_left;
};

struct sta_pipeline {
    /* Fixed. */
    unsigned limit; /* slots */
    struct sta_resp_limits limits;
    size_t max_reply_bytes; /* of one request */
    void (*on_push)(void *arg, struct strata_bytes frame);
    void *arg;

    /* A ring: slots[(head + i) & (cap - 1)] for i < count. cap is 0 or a power of two. */
    struct sta_pipeline_slot *slots;
    unsigned cap;
    unsigned head;
    unsigned count;

    unsigned life; /* of which end() begins a new one */
    struct sta_resp_framer framer;
    size_t settled;           /* bytes at the input's front: whole replies of the first slot */
    struct sta_buffer parted; /* replies of the first slot that a push cut off from the rest */

    uint64_t replies;
    uint64_t late;
    uint64_t timeouts;
    uint64_t pushes;
    uint64_t sent_ended; /* by end() */
    uint64_t unsent_ended;
};

void sta_pipeline_init(struct sta_pipeline *pipeline, unsigned limit, size_t max_reply_bytes,
                       void (*on_push)(void *arg, struct strata_bytes frame), void *arg);
void sta_pipeline_fini(struct sta_pipeline *pipeline);

/* The request of the first slot; NULL: none is in flight, or it has timed out. */
const struct sta_request *sta_pipeline_head(const struct sta_pipeline *pipeline);

/* `request` has been written at `wire_begin`; its deadline and number of commands (not 0) are
 * taken from it. STRATA_ERR_BUSY where `limit` are in flight, STRATA_ERR_NOMEM. */
int sta_pipeline_push(struct sta_pipeline *pipeline, struct sta_request *request,
                      uint64_t wire_begin);

/* Matches what has come. `memory` (may be NULL) is what `data` lies in, and may be taken by who is
 * answered last. `data` begins where the last call stopped consuming and holds all that
 * has come since. *used: how much is consumed. STRATA_ERR_PROTOCOL, STRATA_ERR_TOO_BIG, ERR_NOMEM:
 * the connection cannot be followed any more, `*reason` (constant) says why; end() it. */
int sta_pipeline_feed(struct sta_pipeline *pipeline, struct strata_bytes data,
                      struct sta_buffer *memory, size_t *used, const char **reason);

/* After feed(): how many bytes are known to be missing of the reply that has begun, of `len` bytes
 * that were left over. */
size_t sta_pipeline_missing(const struct sta_pipeline *pipeline, size_t len);

/* Ends requests whose deadline has come with STRATA_ERR_TIMEOUT. Returns the earliest deadline
 * of those that wait on; STA_NEVER: there is none. */
uint64_t sta_pipeline_expire(struct sta_pipeline *pipeline, uint64_t now_ns);

/* Ends all: with `sent` those that begin before `wire_sent`, with `unsent` the others. The
 * pipeline is empty then and ready for a new connection. */
void sta_pipeline_end(struct sta_pipeline *pipeline, uint64_t wire_sent, int sent, int unsent);

#endif
