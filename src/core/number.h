/* SPDX-License-Identifier: MIT
 *
 * Numbers as people write them in configurations and URLs: decimal, the whole text, no sign, no
 * spaces, no locale. (Numbers of the wire are resp's.)
 */
#ifndef STA_NUMBER_H
#define STA_NUMBER_H

#include <stdint.h>

#include "strata/bytes.h"

/* A whole number from 0 to `most`. STRATA_OK; STRATA_ERR_INVALID where `text` is empty or has
 * anything but digits; STRATA_ERR_TOO_BIG where it is more than `most`. */
int sta_number_parse(struct strata_bytes text, uint64_t most, uint64_t *out);

/* The same with KiB, MiB or GiB right behind, in upper or lower case, or without: bytes. */
int sta_number_parse_bytes(struct strata_bytes text, uint64_t *out);

/* Seconds with an optional fraction ("5", "0.25"), as milliseconds; what is finer than that is
 * dropped. Errors as above, TOO_BIG where the milliseconds do not fit 64 bits. */
int sta_number_parse_seconds(struct strata_bytes text, uint64_t *out_ms);

#endif
