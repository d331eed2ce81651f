/* SPDX-License-Identifier: MIT
 *
 * A slice: borrowed bytes with a length. Keys and values are binary; they need no terminating
 * zero and may hold any byte. A slice owns nothing; whoever hands one over says how long its
 * bytes stay readable.
 */
#ifndef STRATA_BYTES_H
#define STRATA_BYTES_H

#include <stddef.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

struct strata_bytes {
    const void *data; /* may be NULL only where len is 0 */
    size_t len;       /* bytes */
};

/* The slice of `len` bytes at `data`. */
static inline struct strata_bytes strata_bytes(const void *data, size_t len)
{
    struct strata_bytes slice;
    slice.data = data;
    slice.len = len;
    return slice;
}

/* The slice of a C string, without its terminating zero. */
static inline struct strata_bytes strata_text(const char *text)
{
    return strata_bytes(text, strlen(text));
}

#ifdef __cplusplus
}
#endif

#endif
