/* SPDX-License-Identifier: MIT
 *
 * Names and texts of the status codes, from the list in strata/status.h; filling strata_error.
 */
#include "strata/status.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/error.h"

const char *strata_status_name(int status)
{
    switch (status) {
#define STATUS_NAME(name, value, text)                                                             \
    case value:                                                                                    \
        return "STRATA_" #name;
        STRATA_STATUS_LIST(STATUS_NAME)
#undef STATUS_NAME
    default:
        return "unknown";
    }
}

const char *strata_status_text(int status)
{
    switch (status) {
#define STATUS_TEXT(name, value, text)                                                             \
    case value:                                                                                    \
        return text;
        STRATA_STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
    default:
        return "unknown";
    }
}

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
