/* SPDX-License-Identifier: MIT
 *
 * The hash of keys: the one place that knows xxHash.
 */
#include "core/key.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

struct sta_key sta_key_make(struct strata_bytes bytes, uint64_t seed)
{
    return (struct sta_key){
        .bytes = bytes,
        .hash = XXH3_64bits_withSeed(bytes.data, bytes.len, seed),
    };
}
