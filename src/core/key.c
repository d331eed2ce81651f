/* SPDX-License-Identifier: MIT
 *
 * The hash of keys: the one place that includes xxHash.
 */
#include "core/key.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t sta_key_hash(struct strata_bytes bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.len, seed);
}
