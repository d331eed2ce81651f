/* SPDX-License-Identifier: MIT
 *
 * What memory the process has, and in pages of which size.
 */
#ifndef BENCH_L1_PAGES_H
#define BENCH_L1_PAGES_H

#include <stdint.h>

struct pages {
    uint64_t resident; /* bytes */
    uint64_t huge;     /* of these, in huge pages */
};

/* Zeros where the kernel does not say. */
struct pages pages_now(void);

/* The part of what came since `before` that is in huge pages: 0..1; NaN where nothing came. */
double pages_huge_since(const struct pages *before);

#endif
