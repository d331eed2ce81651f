/* SPDX-License-Identifier: MIT
 *
 * See long_form.h.
 */
#include "support/long_form.h"

#include <stdlib.h>
#include <string.h>

bool is_long_form(void)
{
    const char *value = getenv("STRATA_LONG");
    return value != NULL && strcmp(value, "1") == 0;
}
