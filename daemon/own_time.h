/* SPDX-License-Identifier: MIT
 *
 * How long a command that blocks says it may take. Pure: words in, numbers and words out.
 */
#ifndef STA_OWN_TIME_H
#define STA_OWN_TIME_H

#include <stddef.h>
#include <stdint.h>

#include "strata/bytes.h"

#define STA_OWN_TIME_TEXT 24u

struct sta_own_time {
    size_t at;        /* which of its words says so, */
    uint64_t unit_ns; /*   in this unit: a second or a millisecond, */
    uint64_t ns;      /*   and how long; STA_NEVER: without end */
};

/* STRATA_MISS: it does not say, or it is not known where. STRATA_ERR_INVALID: nonsense. */
int sta_own_time_read(struct sta_own_time *time, const struct strata_bytes *argv, size_t argc);

/* The word that says so much in the same unit, and a millisecond at least: 0 has no end. Returns
 * its length. */
size_t sta_own_time_word(const struct sta_own_time *time, uint64_t ns,
                         char text[STA_OWN_TIME_TEXT]);

#endif
