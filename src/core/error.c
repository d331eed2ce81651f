/* SPDX-License-Identifier: MIT
 *
 * Filling strata_error. Also compiled into libstrata_tls, so it needs nothing else.
 */
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>

int sta_error_set(struct strata_error *error, int status, const char *format, ...)
{
    if (error == NULL)
        return status;
    va_list args;
    va_start(args, format);
    error->status = status;
    (void)vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    for (char *c = error->text; *c != '\0'; c++) { /* parts may be what a user or a peer wrote */
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    }
    return status;
}
