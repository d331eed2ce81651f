/* SPDX-License-Identifier: MIT
 *
 * Failures with their particulars (strata/status.h): what, where, and what is allowed.
 */
#ifndef STA_ERROR_H
#define STA_ERROR_H

#include "strata/status.h"

/* Fills `error` (which may be NULL) and returns `status`, so that a failing function can end
 * with it. Text that does not fit is cut, control characters become '?'. */
int sta_error_set(struct strata_error *error, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
