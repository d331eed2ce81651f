/* SPDX-License-Identifier: MIT
 *
 * UTF-8 as RFC 3629 defines it: what may be printed and what may stand in JSON.
 */
#ifndef STA_UTF8_H
#define STA_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "strata/bytes.h"

/* The length of the character that `text` begins with, 1 to 4, and the character itself; 0 where
 * there is none: an overlong form, a surrogate, more than U+10FFFF, cut short, or no text. */
size_t sta_utf8_next(struct strata_bytes text, uint32_t *character);

bool sta_utf8_valid(struct strata_bytes text);

/* For JSON, which has no other texts: where it is none, every byte that is not ASCII becomes
 * '?'. */
void sta_utf8_mend(char *text);

#endif
