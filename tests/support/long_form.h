/* SPDX-License-Identifier: MIT
 *
 * Tests with a long form: the same facts, more often or for longer. `scripts/test long` runs these.
 */
#ifndef TEST_LONG_FORM_H
#define TEST_LONG_FORM_H

#include <stdbool.h>

/* Whether it is asked for: STRATA_LONG=1. */
bool is_long_form(void);

#endif
