/* SPDX-License-Identifier: MIT
 *
 * Numbers in files, little-endian: written and read at a moving place. The caller has made sure
 * that there is room, or that there are so many bytes.
 */
#ifndef STA_LITTLE_ENDIAN_H
#define STA_LITTLE_ENDIAN_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "strata/bytes.h"

static inline void sta_little_endian_put(uint8_t **at, uint64_t number, unsigned bytes)
{
    uint64_t ordered = htole64(number);
    memcpy(*at, &ordered, bytes);
    *at += bytes;
}

static inline uint64_t sta_little_endian_take(const uint8_t **at, unsigned bytes)
{
    uint64_t ordered = 0;
    memcpy(&ordered, *at, bytes);
    *at += bytes;
    return le64toh(ordered);
}

static inline void sta_little_endian_put_bytes(uint8_t **at, struct strata_bytes bytes)
{
    if (bytes.len > 0)
        memcpy(*at, bytes.data, bytes.len);
    *at += bytes.len;
}

#endif
