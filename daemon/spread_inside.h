/* SPDX-License-Identifier: MIT
 *
 * What spread.c (parts, there and back) and spread_merge.c (their replies become one) share.
 */
#ifndef STA_SPREAD_INSIDE_H
#define STA_SPREAD_INSIDE_H

#include <stdbool.h>

#include "core/buffer.h"
#include "daemon/spread.h"
#include "l2/operation.h"
#include "resp/resp.h"

struct sta_spread_part {
    struct sta_operation operation;
    struct sta_spread *spread;
    struct sta_spread_part *next; /* NULL: the last */
    size_t wire_at, wire_len;     /* in the exchange's wire, of a piece in its own */
    size_t first_key, key_count;  /* in `order` */
    int status;
    struct sta_buffer replies;
    struct sta_resp_walk walk; /* of the merge */
};

/* What a part was broken into: a piece for each key, in its place. */
struct sta_spread_pieces {
    struct sta_spread_pieces *next;
    struct sta_buffer wire; /* their commands */
    struct sta_spread_part parts[];
};

struct sta_spread {
    struct sta_exchange *exchange;
    enum sta_slot_plan_merge merge;
    size_t *order; /* key_count of them: which of the command's keys stands where, part by part */
    size_t key_count;
    size_t step;     /* words of a key */
    bool over_all;   /* it concerns all nodes that served slots, as this number tells, */
    uint64_t digest; /*   when it was made (scan_cursor.h) */
    size_t waiting;  /* parts that are not answered */
    struct sta_buffer merged;
    struct sta_spread_pieces *pieces; /* owned, a list */
    struct sta_spread_part *first;    /* of all parts and pieces, `count` of them */
    size_t count;
    struct sta_spread_part parts[];
};

/* All parts are answered. STRATA_OK with the replies of the whole in `merged`, or why there are
 * none: the first status of a part. */
int sta_spread_merge(struct sta_spread *spread);

/* What comes of an answer that there was no room for, or no sense in: what it was about, where that
 * was a write, is done all the same, so its answer is lost. */
int sta_spread_told(const struct sta_spread *spread, int status);

#endif
