/* SPDX-License-Identifier: MIT
 *
 * The version of these headers, and of the library that was linked.
 */
#ifndef STRATA_VERSION_H
#define STRATA_VERSION_H

#include "export.h"

#ifdef __cplusplus
extern "C" {
#endif

#define STRATA_VERSION "0.1.0"

/* The library's own version, "0.1.0". Constant, from any thread. */
STRATA_API const char *strata_version(void);

#ifdef __cplusplus
}
#endif

#endif
