/* SPDX-License-Identifier: MIT
 *
 * A key with its hash. The hash is taken once, where a call enters (XXH3, 64 bits, seeded per
 * cache so that nobody outside can choose keys that collide), and travels down with the bytes.
 *
 * Keys of 17 to 32 bytes are what most applications have, and a hit of L1 is so short that the way
 * into a library's general function and out of it is a tenth of it. So XXH3 for these lengths is
 * written out here, in line: the same numbers (test_random holds them against the library's), from
 * the same two products of 128 bits.
 */
#ifndef STA_KEY_H
#define STA_KEY_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "strata/bytes.h"

/* The longest key, bytes. Redis allows 512 MiB; a cache has no use for that. */
#define STA_KEY_MAX 65535u

/* Lengths that are hashed in line. */
#define STA_KEY_USUAL_LEAST 17u
#define STA_KEY_USUAL_MOST  32u

struct sta_key {
    struct strata_bytes bytes; /* borrowed */
    uint64_t hash;
};

/* XXH3, for any length. */
uint64_t sta_key_hash(struct strata_bytes bytes, uint64_t seed);

static inline uint64_t sta_key_word(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return le64toh(word);
}

/* Sixteen bytes, with words of XXH3's secret. The seed is in both factors: who does not know it
 * cannot make either of them 0. */
static inline uint64_t sta_key_fold(const uint8_t *at, uint64_t low, uint64_t high, uint64_t seed)
{
    unsigned __int128 product = (unsigned __int128)(sta_key_word(at) ^ (low + seed)) *
                                (sta_key_word(at + 8) ^ (high - seed));
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t sta_key_hash_usual(const uint8_t *at, size_t len, uint64_t seed)
{
    uint64_t hash = len * UINT64_C(0x9e3779b185ebca87);
    hash += sta_key_fold(at, UINT64_C(0xbe4ba423396cfeb8), UINT64_C(0x1cad21f72c81017c), seed);
    hash += sta_key_fold(at + len - 16, UINT64_C(0xdb979083e96dd4de), UINT64_C(0x1f67b3b7a4a44072),
                         seed);
    hash ^= hash >> 37;
    hash *= UINT64_C(0x165667919e3779f9);
    return hash ^ hash >> 32;
}

static inline struct sta_key sta_key_make(struct strata_bytes bytes, uint64_t seed)
{
    bool usual = bytes.len - STA_KEY_USUAL_LEAST <= STA_KEY_USUAL_MOST - STA_KEY_USUAL_LEAST;
    return (struct sta_key){
        .bytes = bytes,
        .hash = usual ? sta_key_hash_usual(bytes.data, bytes.len, seed) : sta_key_hash(bytes, seed),
    };
}

#endif
