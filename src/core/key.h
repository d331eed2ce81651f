/* SPDX-License-Identifier: MIT
 *
 * A key with its hash. The hash is taken once, where a call enters (XXH3, 64 bits, seeded per
 * cache so that nobody outside can choose keys that collide), and travels down with the bytes.
 */
#ifndef STA_KEY_H
#define STA_KEY_H

#include <stdint.h>

#include "strata/bytes.h"

/* The longest key, bytes. Redis allows 512 MiB; a cache has no use for that. */
#define STA_KEY_MAX 65535u

struct sta_key {
    struct strata_bytes bytes; /* borrowed */
    uint64_t hash;
};

struct sta_key sta_key_make(struct strata_bytes bytes, uint64_t seed);

#endif
