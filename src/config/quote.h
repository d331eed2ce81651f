/* SPDX-License-Identifier: MIT
 *
 * How what a user wrote is repeated in error texts and listings: on one line, not too long, and
 * without passwords, which may stand in any value by mistake.
 */
#ifndef STA_QUOTE_H
#define STA_QUOTE_H

#include <stddef.h>

#include "config/option_table.h"

/* Room for a quoted text with its zero. */
#define STA_QUOTE_CAP 128u

/* Copies `len` bytes: control bytes become '?', what looks like user:password of a URL becomes
 * ***, and a text that does not fit ends with "...", behind a whole character of UTF-8. `cap` is 8
 * at least. */
void sta_quote_text(const char *text, size_t len, char *out, size_t cap);

/* The same for a value of `option`: a secret one becomes *** as a whole. */
void sta_quote_value(const struct sta_option *option, const char *text, char *out, size_t cap);

#endif
