/* SPDX-License-Identifier: MIT
 *
 * Numbers in files, little-endian: written and read at a moving place. The caller has made sure that
 * there is room, or that there are so many bytes.
 */
#ifndef STA_LITTLE_ENDIAN_H
#define STA_LITTLE_ENDIAN_H

#include <stdint.h>
#include <string.h>

#include "strata/bytes.h"

static inline void sta_little_endian_put(uint8_t **at, uint64_t number, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        *(*at)++ = (uint8_t)(number >> (8 * i));
}

static inline uint64_t sta_little_endian_take(const uint8_t **at, unsigned bytes)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < bytes; i++)
        number |= (uint64_t) * (*at)++ << (8 * i);
    return number;
}

static inline void sta_little_endian_put_bytes(uint8_t **at, struct strata_bytes bytes)
{
    if (bytes.len > 0)
        memcpy(*at, bytes.data, bytes.len);
    *at += bytes.len;
}

#endif
