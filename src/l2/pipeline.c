/* SPDX-License-Identifier: MIT
 *
 * Matching replies to requests; see pipeline.h.
 *
 * Budget of a reply: the framer looks at each byte once, one slot is read and given up, and done()
 * sees the bytes where the socket put them; nothing is copied or allocated. The exception is a
 * push that arrives between two replies of one request: what came before it is copied to `parted`,
 * so that done() still sees all replies in one piece.
 */
#include "l2/pipeline.h"

#include <assert.h>
#include <stdlib.h>

#include "core/clock.h"
#include "strata/status.h"

#define PIPELINE_FIRST_SLOTS 64u

static struct sta_pipeline_slot *pipeline_slot(const struct sta_pipeline *pipeline, unsigned i)
{
    return &pipeline->slots[(pipeline->head + i) & (pipeline->cap - 1)];
}

/* ---- replies ---- */

/* Copies whole replies of the first slot out of the way. */
static int pipeline_part(struct sta_pipeline *pipeline, struct strata_bytes replies,
                         const char **reason)
{
    int status = sta_buffer_append(&pipeline->parted, replies);
    if (status < 0)
        *reason = "the replies to one request are larger than the limit";
    return status;
}

/* The first slot has all its replies: the parted ones and `rest`, which lies in `memory`. */
static int pipeline_complete(struct sta_pipeline *pipeline, struct strata_bytes rest,
                             struct sta_buffer *memory, const char **reason)
{
    struct sta_request *request = pipeline_slot(pipeline, 0)->request;
    if (request != NULL && sta_buffer_len(&pipeline->parted) > 0) {
        int status = pipeline_part(pipeline, rest, reason);
        if (status < 0)
            return status;
        rest = sta_buffer_bytes(&pipeline->parted);
        memory = NULL;
    }
    /* Taken away first: done() may feed nothing, but it may push, or end everything. */
    struct sta_buffer parted = pipeline->parted;
    sta_buffer_init(&pipeline->parted, pipeline->max_reply_bytes);
    pipeline->head++;
    pipeline->count--;
    if (request != NULL) {
        pipeline->replies++;
        request->memory = memory;
        request->done(request, STRATA_OK, rest);
    } else {
        pipeline->late++;
    }
    sta_buffer_fini(&parted);
    return STRATA_OK;
}

/* One more reply of the first slot is there; `replies` are all that have not been parted. Sets
 * *taken where the caller need not keep them. `memory`: as for feed(); NULL where more follows. */
static int pipeline_reply(struct sta_pipeline *pipeline, struct strata_bytes replies,
                          struct sta_buffer *memory, bool *taken, const char **reason)
{
    if (pipeline->count == 0) {
        *reason = "a reply that nobody asked for";
        return STRATA_ERR_PROTOCOL;
    }
    struct sta_pipeline_slot *slot = pipeline_slot(pipeline, 0);
    /* Nobody keeps those of a request that timed out: each is within the limit, which will do. */
    if (slot->request != NULL &&
        replies.len > pipeline->max_reply_bytes - sta_buffer_len(&pipeline->parted)) {
        *reason = "the replies to one request are larger than the limit";
        return STRATA_ERR_TOO_BIG;
    }
    slot->replies_left--;
    if (slot->request != NULL)
        slot->request->replies_left = slot->replies_left;
    *taken = slot->replies_left == 0 || slot->request == NULL;
    return slot->replies_left == 0 ? pipeline_complete(pipeline, replies, memory, reason)
                                   : STRATA_OK;
}

int sta_pipeline_feed(struct sta_pipeline *pipeline, struct strata_bytes data,
                      struct sta_buffer *memory, size_t *used, const char **reason)
{
    const uint8_t *bytes = data.data;
    const unsigned life = pipeline->life;
    size_t begin = 0; /* of the first slot's replies */
    size_t at = pipeline->settled;
    int status = STRATA_OK;
    while (at < data.len && status == STRATA_OK) {
        size_t len;
        status = sta_resp_frame(&pipeline->framer, &pipeline->limits,
                                strata_bytes(bytes + at, data.len - at), &len, reason);
        if (status != STRATA_OK)
            break;
        bool is_push = bytes[at] == '>';
        bool taken = is_push;
        if (!is_push)
            status = pipeline_reply(pipeline, strata_bytes(bytes + begin, at + len - begin),
                                    at + len == data.len ? memory : NULL, &taken, reason);
        else if (at > begin)
            status = pipeline_part(pipeline, strata_bytes(bytes + begin, at - begin), reason);
        if (is_push && status == STRATA_OK) {
            pipeline->pushes++;
            pipeline->on_push(pipeline->arg, strata_bytes(bytes + at, len));
        }
        if (pipeline->life != life)
            return STRATA_OK; /* a callback ended everything */
        at += len;
        if (taken)
            begin = at;
    }
    pipeline->settled = at - begin;
    *used = begin;
    return status == STRATA_MORE ? STRATA_OK : status;
}

size_t sta_pipeline_missing(const struct sta_pipeline *pipeline, size_t len)
{
    uint64_t known = pipeline->settled + pipeline->framer.offset;
    return known > len ? (size_t)(known - len) : 0;
}

/* ---- requests ---- */

const struct sta_request *sta_pipeline_head(const struct sta_pipeline *pipeline)
{
    return pipeline->count > 0 ? pipeline->slots[pipeline->head & (pipeline->cap - 1)].request
                               : NULL;
}

/* The ring moves to one of twice the size, straightened. */
static int pipeline_grow(struct sta_pipeline *pipeline)
{
    unsigned cap = pipeline->cap == 0 ? PIPELINE_FIRST_SLOTS : pipeline->cap * 2;
    struct sta_pipeline_slot *slots = calloc(cap, sizeof *slots);
    if (slots == NULL)
        return STRATA_ERR_NOMEM;
    for (unsigned i = 0; i < pipeline->count; i++)
        slots[i] = *pipeline_slot(pipeline, i);
    free(pipeline->slots);
    pipeline->slots = slots;
    pipeline->cap = cap;
    pipeline->head = 0;
    return STRATA_OK;
}

int sta_pipeline_push(struct sta_pipeline *pipeline, struct sta_request *request,
                      uint64_t wire_begin)
{
    assert(request->commands > 0);
    if (pipeline->count >= pipeline->limit)
        return STRATA_ERR_BUSY;
    if (pipeline->count == pipeline->cap) {
        int status = pipeline_grow(pipeline);
        if (status < 0)
            return status;
    }
    request->replies_left = request->commands;
    *pipeline_slot(pipeline, pipeline->count++) = (struct sta_pipeline_slot){
        .request = request,
        .deadline_ns = request->deadline_ns,
        .wire_begin = wire_begin,
        .replies_left = request->commands,
    };
    return STRATA_OK;
}

/* Positions are looked up anew after each done(), which may have moved the ring. */
uint64_t sta_pipeline_expire(struct sta_pipeline *pipeline, uint64_t now_ns)
{
    const unsigned life = pipeline->life;
    uint64_t earliest_ns = STA_NEVER;
    for (unsigned i = 0; i < pipeline->count; i++) {
        struct sta_pipeline_slot *slot = pipeline_slot(pipeline, i);
        struct sta_request *request = slot->request;
        if (request == NULL)
            continue;
        if (slot->deadline_ns > now_ns) {
            earliest_ns = slot->deadline_ns < earliest_ns ? slot->deadline_ns : earliest_ns;
            continue;
        }
        slot->request = NULL;
        pipeline->timeouts++;
        request->done(request, STRATA_ERR_TIMEOUT, strata_bytes(NULL, 0));
        if (pipeline->life != life)
            return STA_NEVER;
    }
    return earliest_ns;
}

void sta_pipeline_end(struct sta_pipeline *pipeline, uint64_t wire_sent, int sent, int unsent)
{
    struct sta_pipeline_slot *slots = pipeline->slots;
    const unsigned cap = pipeline->cap;
    const unsigned head = pipeline->head;
    const unsigned count = pipeline->count;
    /* The ring is taken away as a whole first: done() may push into the next life. */
    pipeline->life++;
    pipeline->slots = NULL;
    pipeline->cap = 0;
    pipeline->head = 0;
    pipeline->count = 0;
    pipeline->framer = (struct sta_resp_framer){0};
    pipeline->settled = 0;
    sta_buffer_clear(&pipeline->parted);
    for (unsigned i = 0; i < count; i++) {
        const struct sta_pipeline_slot *slot = &slots[(head + i) & (cap - 1)];
        bool was_sent = slot->wire_begin < wire_sent;
        if (slot->request == NULL)
            continue;
        pipeline->sent_ended += was_sent;
        pipeline->unsent_ended += !was_sent;
        slot->request->done(slot->request, was_sent ? sent : unsent, strata_bytes(NULL, 0));
    }
    free(slots);
}

void sta_pipeline_init(struct sta_pipeline *pipeline, unsigned limit, size_t max_reply_bytes,
                       void (*on_push)(void *arg, struct strata_bytes frame), void *arg)
{
    *pipeline = (struct sta_pipeline){
        .limit = limit,
        .limits = sta_resp_reply_limits,
        .max_reply_bytes = max_reply_bytes,
        .on_push = on_push,
        .arg = arg,
    };
    if (pipeline->limits.total_bytes > max_reply_bytes)
        pipeline->limits.total_bytes = max_reply_bytes;
    sta_buffer_init(&pipeline->parted, max_reply_bytes);
}

void sta_pipeline_fini(struct sta_pipeline *pipeline)
{
    assert(pipeline->count == 0);
    free(pipeline->slots);
    pipeline->slots = NULL;
    sta_buffer_fini(&pipeline->parted);
}
