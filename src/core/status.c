/* SPDX-License-Identifier: MIT
 *
 * Names and texts of the status codes, from the list in strata/status.h.
 */
#include "strata/status.h"

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
