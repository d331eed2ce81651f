/* SPDX-License-Identifier: MIT
 *
 * See sha1.h.
 */
#include "core/sha1.h"

#include <endian.h>
#include <string.h>

#define BLOCK 64u
#define WORDS 80u

static uint32_t rotate(uint32_t word, unsigned bits)
{
    return word << bits | word >> (32 - bits);
}

/* Of each round of twenty: how three words are mixed, and what is added. */
static uint32_t mix(unsigned step, uint32_t b, uint32_t c, uint32_t d)
{
    switch (step / 20) {
    case 0:
        return ((b & c) | (~b & d)) + 0x5a827999u;
    case 1:
        return (b ^ c ^ d) + 0x6ed9eba1u;
    case 2:
        return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdcu;
    default:
        return (b ^ c ^ d) + 0xca62c1d6u;
    }
}

static void take_block(uint32_t hash[5], const uint8_t *block)
{
    uint32_t words[WORDS];
    uint32_t a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4];
    memcpy(words, block, BLOCK);
    for (unsigned i = 0; i < 16; i++)
        words[i] = be32toh(words[i]);
    for (unsigned i = 16; i < WORDS; i++)
        words[i] = rotate(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    for (unsigned i = 0; i < WORDS; i++) {
        uint32_t next = rotate(a, 5) + mix(i, b, c, d) + e + words[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    hash[0] += a;
    hash[1] += b;
    hash[2] += c;
    hash[3] += d;
    hash[4] += e;
}

/* What does not fill a block, a one bit, and how many bits there were. */
static void take_tail(uint32_t hash[5], const uint8_t *rest, size_t len, uint64_t all)
{
    uint8_t tail[2 * BLOCK] = {0};
    size_t blocks = len < BLOCK - 8 ? 1 : 2;
    uint64_t bits = htobe64(all * 8);
    if (len > 0)
        memcpy(tail, rest, len);
    tail[len] = 0x80;
    memcpy(tail + blocks * BLOCK - sizeof bits, &bits, sizeof bits);
    for (size_t i = 0; i < blocks; i++)
        take_block(hash, tail + i * BLOCK);
}

void sta_sha1(struct strata_bytes bytes, uint8_t digest[STA_SHA1_LEN])
{
    uint32_t hash[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    const uint8_t *at = bytes.data;
    size_t left = bytes.len;
    for (; left >= BLOCK; left -= BLOCK, at += BLOCK)
        take_block(hash, at);
    take_tail(hash, at, left, bytes.len);
    for (unsigned i = 0; i < 5; i++)
        hash[i] = htobe32(hash[i]);
    memcpy(digest, hash, STA_SHA1_LEN);
}
