/* SPDX-License-Identifier: MIT
 *
 * Of many replies one; see spread.h.
 *
 * What may have been done is never called undone: where a write's parts ended differently, it says
 * so, and where one of them is unknown, so is the whole.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/exchange.h"
#include "daemon/lane.h"
#include "daemon/scan_cursor.h"
#include "daemon/spread_inside.h"
#include "daemon/worker.h"
#include "l2/router.h"
#include "resp/resp.h"
#include "strata/status.h"

static bool is_error(const struct sta_buffer *replies)
{
    uint8_t first = *(const uint8_t *)sta_buffer_bytes(replies).data;
    return first == '-' || first == '!';
}

/* ---- what failed ---- */

static const struct sta_spread_part *first_failed(const struct sta_spread *spread)
{
    const struct sta_spread_part *part;
    for (part = spread->first; part != NULL; part = part->next)
        if (part->status < 0)
            return part;
    for (part = spread->first; part != NULL; part = part->next)
        if (is_error(&part->replies))
            return part;
    return NULL;
}

static int first_unknown(const struct sta_spread *spread)
{
    for (const struct sta_spread_part *part = spread->first; part != NULL; part = part->next)
        if (sta_lane_is_unknown(part->status))
            return part->status;
    return STRATA_OK;
}

static size_t carried_out(const struct sta_spread *spread)
{
    size_t count = 0;
    for (const struct sta_spread_part *part = spread->first; part != NULL; part = part->next)
        count += part->status == STRATA_OK && !is_error(&part->replies);
    return count;
}

/* As the error of `failed` would read: Redis' own words, or ours. */
static int write_partial(struct sta_spread *spread, const struct sta_spread_part *failed,
                         size_t done)
{
    char text[320];
    struct strata_bytes words = strata_text(strata_status_text(failed->status));
    if (failed->status == STRATA_OK) {
        words = sta_buffer_bytes(&failed->replies);
        words = strata_bytes((const uint8_t *)words.data + 1, words.len - 1);
    }
    (void)snprintf(
        text, sizeof text,
        "PARTIAL strata: %zu of %zu parts (%s) were carried out, and the others were not; "
        "one of these says: %.*s",
        done, spread->count,
        spread->key_count > 0 ? "a part is keys of one slot" : "a part is a node",
        (int)(words.len < 128 ? strcspn(words.data, "\r\n") : 128), (const char *)words.data);
    return sta_resp_write_error(&spread->merged, text);
}

static int merge_failed(struct sta_spread *spread, const struct sta_spread_part *failed)
{
    size_t done = carried_out(spread);
    bool writes = !spread->exchange->operation.repeatable;
    int unknown = writes ? first_unknown(spread) : STRATA_OK;
    if (unknown < 0)
        return unknown;
    if (writes && done > 0)
        return sta_spread_told(spread, write_partial(spread, failed, done));
    if (failed->status < 0)
        return failed->status;
    return sta_buffer_append(&spread->merged, sta_buffer_bytes(&failed->replies));
}

/* ---- what did not ---- */

static int merge_sum(struct sta_spread *spread)
{
    int64_t sum = 0;
    for (const struct sta_spread_part *part = spread->first; part != NULL; part = part->next) {
        struct sta_resp_walk walk = sta_resp_walk(sta_buffer_bytes(&part->replies));
        struct sta_resp_value value;
        if (sta_resp_next(&walk, &value) != STRATA_OK || value.type != STA_RESP_INTEGER)
            return STRATA_ERR_PROTOCOL;
        sum += value.integer;
    }
    return sta_resp_write_integer(&spread->merged, sum);
}

/* The walk over the elements of a part's first reply, which is an array. */
static bool part_elements(const struct sta_spread_part *part, struct sta_resp_walk *elements,
                          uint64_t *count)
{
    struct sta_resp_value array;
    *elements = sta_resp_walk(sta_buffer_bytes(&part->replies));
    if (sta_resp_next(elements, &array) != STRATA_OK || array.type != STA_RESP_ARRAY)
        return false;
    *count = array.count;
    return true;
}

static int append_elements(struct sta_buffer *out, struct sta_resp_walk *elements, uint64_t count)
{
    struct strata_bytes frame;
    int status = STRATA_OK;
    while (count-- > 0 && status == STRATA_OK) {
        if (sta_resp_skip(elements, &frame) != STRATA_OK)
            return STRATA_ERR_PROTOCOL;
        status = sta_buffer_append(out, frame);
    }
    return status;
}

static int merge_concat(struct sta_spread *spread)
{
    struct sta_resp_walk elements;
    uint64_t count, sum = 0;
    for (size_t i = 0; i < spread->count; i++) {
        if (!part_elements(&spread->parts[i], &elements, &count))
            return STRATA_ERR_PROTOCOL;
        sum += count;
    }
    int status = sta_resp_write_header(&spread->merged, STA_RESP_ARRAY, sum, 2);
    for (size_t i = 0; i < spread->count && status == STRATA_OK; i++) {
        (void)part_elements(&spread->parts[i], &elements, &count);
        status = append_elements(&spread->merged, &elements, count);
    }
    return status;
}

/* The next elements of all parts. */
static int every_next(struct sta_spread *spread, int64_t *every)
{
    *every = 1;
    for (size_t i = 0; i < spread->count; i++) {
        struct sta_resp_value value;
        if (sta_resp_next(&spread->parts[i].walk, &value) != STRATA_OK ||
            value.type != STA_RESP_INTEGER)
            return STRATA_ERR_PROTOCOL;
        *every &= value.integer != 0;
    }
    return STRATA_OK;
}

static int merge_every(struct sta_spread *spread)
{
    uint64_t count = 0;
    for (size_t i = 0; i < spread->count; i++)
        if (!part_elements(&spread->parts[i], &spread->parts[i].walk, &count))
            return STRATA_ERR_PROTOCOL;
    int status = sta_resp_write_header(&spread->merged, STA_RESP_ARRAY, count, 2);
    for (uint64_t i = 0; i < count && status == STRATA_OK; i++) {
        int64_t every;
        status = every_next(spread, &every);
        if (status == STRATA_OK)
            status = sta_resp_write_integer(&spread->merged, every);
    }
    return status;
}

/* ---- MGET: elements, and maybe PTTLs, in the order of the keys ---- */

struct frames {
    struct strata_bytes element;
    struct strata_bytes pttl; /* "": it was not asked for */
};

static int part_frames(const struct sta_spread *spread, const struct sta_spread_part *part,
                       struct frames *frames)
{
    struct sta_resp_walk elements, rest;
    struct strata_bytes array;
    uint64_t count;
    rest = sta_resp_walk(sta_buffer_bytes(&part->replies));
    if (!part_elements(part, &elements, &count) || count != part->key_count ||
        sta_resp_skip(&rest, &array) != STRATA_OK)
        return STRATA_ERR_PROTOCOL;
    for (size_t i = 0; i < part->key_count; i++) {
        struct frames *of_key = &frames[spread->order[part->first_key + i]];
        if (sta_resp_skip(&elements, &of_key->element) != STRATA_OK)
            return STRATA_ERR_PROTOCOL;
        if (part->operation.request.commands > 1 &&
            sta_resp_skip(&rest, &of_key->pttl) != STRATA_OK)
            return STRATA_ERR_PROTOCOL;
    }
    return STRATA_OK;
}

static int merge_by_key(struct sta_spread *spread)
{
    struct frames *frames = calloc(spread->key_count, sizeof *frames);
    int status = frames != NULL ? STRATA_OK : STRATA_ERR_NOMEM;
    for (const struct sta_spread_part *part = spread->first; part != NULL && status == STRATA_OK;
         part = part->next)
        status = part_frames(spread, part, frames);
    if (status == STRATA_OK)
        status = sta_resp_write_header(&spread->merged, STA_RESP_ARRAY, spread->key_count, 2);
    for (size_t i = 0; i < spread->key_count && status == STRATA_OK; i++)
        status = sta_buffer_append(&spread->merged, frames[i].element);
    for (size_t i = 0; i < spread->key_count && status == STRATA_OK; i++)
        status = sta_buffer_append(&spread->merged, frames[i].pttl);
    free(frames);
    return status;
}

/* A slot that went from one node to another meanwhile was met by both, or by neither. */
static bool has_moved(const struct sta_spread *spread)
{
    const struct sta_slot_map *map = sta_router_map(spread->exchange->worker->router);
    uint64_t digest;
    return spread->over_all && !(sta_scan_cursor_digest(map, &digest) && digest == spread->digest);
}

static int write_moved(struct sta_spread *spread)
{
    return sta_resp_write_error(
        &spread->merged, spread->exchange->operation.repeatable
                             ? "UNAVAILABLE strata: slots went to other nodes meanwhile; try again"
                             : "PARTIAL strata: slots went to other nodes meanwhile, and may have "
                               "been left out; try again");
}

int sta_spread_told(const struct sta_spread *spread, int status)
{
    bool writes = !spread->exchange->operation.repeatable;
    return status < 0 && writes ? STRATA_ERR_LOST : status;
}

static int merge_answered(struct sta_spread *spread)
{
    if (has_moved(spread))
        return write_moved(spread);
    switch (spread->merge) {
    case STA_SLOT_PLAN_FIRST:
        return sta_buffer_append(&spread->merged, sta_buffer_bytes(&spread->first->replies));
    case STA_SLOT_PLAN_SUM:
        return merge_sum(spread);
    case STA_SLOT_PLAN_BY_KEY:
        return merge_by_key(spread);
    case STA_SLOT_PLAN_CONCAT:
        return merge_concat(spread);
    case STA_SLOT_PLAN_EVERY:
        return merge_every(spread);
    }
    return STRATA_ERR_PROTOCOL; /* no way is left */
}

int sta_spread_merge(struct sta_spread *spread)
{
    const struct sta_spread_part *failed = first_failed(spread);
    return failed != NULL ? merge_failed(spread, failed)
                          : sta_spread_told(spread, merge_answered(spread));
}
