/* SPDX-License-Identifier: MIT
 *
 * SCAN over all primaries of a cluster with one cursor: they are walked one after the other, in the
 * order of their first slots, and the cursor that the client is given tells which one, and where in
 * it.
 *
 *     client's cursor   = (digest of who serves what, number of the primary) << 35 | its own cursor
 *
 * It stays below 2^53, so that clients which count in doubles can hold it. A primary's own cursor
 * means something to that process only, and a slot that moves between two of them may be seen by
 * neither walk: so a cursor whose digest is not that of the map any more is refused, and the client
 * has to begin again. Pure: a map and numbers.
 */
#ifndef STA_SCAN_CURSOR_H
#define STA_SCAN_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "l2/slot_map.h"
#include "strata/bytes.h"

struct sta_scan_cursor {
    uint64_t digest;  /* of the map at the scan's beginning */
    unsigned primary; /* which of them, in the order of their first slots */
    unsigned count;   /* how many there are */
    uint16_t slot;    /* one of its slots */
    uint64_t own;     /* the primary's own cursor */
};

/* A number for who serves what; another where a slot has another owner. False: some have none. */
bool sta_scan_cursor_digest(const struct sta_slot_map *map, uint64_t *digest);

/* The place that a client's cursor tells. STRATA_OK; STRATA_ERR_INVALID: it is no number;
 * STRATA_ERR_UNAVAILABLE: slots have another owner since, or none. */
int sta_scan_cursor_read(struct sta_scan_cursor *out, const struct sta_slot_map *map,
                         struct strata_bytes text);

/* What the client is given when its primary has answered with `own`: *next, 0 at the end of the
 * last one. STRATA_ERR_UNAVAILABLE as above; STRATA_ERR_TOO_BIG: there is no room for `own` in
 * it. */
int sta_scan_cursor_next(const struct sta_scan_cursor *cursor, const struct sta_slot_map *map,
                         uint64_t own, uint64_t *next);

#endif
