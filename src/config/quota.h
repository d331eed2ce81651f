/* SPDX-License-Identifier: MIT
 *
 * A bound for a part of L1's keys, as it is written in options:
 *
 *     session:=16MiB         keys that begin with "session:": 16 MiB
 *     user:=8MiB/1000        8 MiB and 1000 entries
 *     few:=/100              100 entries
 *
 * What stands before the last = is the prefix.
 */
#ifndef STA_QUOTA_H
#define STA_QUOTA_H

#include <stdint.h>

#include "strata/bytes.h"

struct sta_quota {
    struct strata_bytes prefix; /* borrowed from the text; at least a byte */
    uint64_t max_bytes;         /* 0: no bound */
    uint64_t max_entries;       /* 0: no bound */
};

/* STRATA_OK; STRATA_ERR_INVALID with the reason, a constant. */
int sta_quota_parse(const char *text, struct sta_quota *out, const char **reason);

#endif
