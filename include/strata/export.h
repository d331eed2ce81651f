/* SPDX-License-Identifier: MIT
 *
 * What libstrata exports. Everything else is compiled with hidden visibility; the list of what
 * is visible is kept in tests/abi/ and checked by the build.
 */
#ifndef STRATA_EXPORT_H
#define STRATA_EXPORT_H

#if defined(__GNUC__) || defined(__clang__)
#define STRATA_API __attribute__((visibility("default")))
#else
#define STRATA_API
#endif

#endif
