/* SPDX-License-Identifier: MIT
 *
 * What is hot in an L1, saved to a file (cache/hot_file.h): keys, and values where nobody else has
 * them, in order of heat.
 * Memory: what will be in the file, max_bytes at the most.
 */
#ifndef STA_HOT_SET_H
#define STA_HOT_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "l1/l1.h"
#include "strata/status.h"

struct sta_hot_bounds {
    uint64_t max_keys;
    uint64_t max_bytes; /* of records */
    bool values;        /* of entries without flags, and no others; else keys alone */
    uint8_t no_flags;   /* entries with any of these are left out */
};

#define STA_HOT_BYTES_DEFAULT ((uint64_t)64 << 20)

/* One pass over L1, beside whoever uses it. Past a bound the coldest go. *saved: keys.
 * STRATA_ERR_NOMEM, STRATA_ERR_SYSTEM with the particulars in `error` (may be NULL); the file is as
 * it was then. */
int sta_hot_set_save(struct sta_l1 *l1, const char *path, const struct sta_hot_bounds *bounds,
                     uint64_t *saved, struct strata_error *error);

#endif
