/* SPDX-License-Identifier: MIT
 *
 * Which of Redis Cluster's 16384 hash slots a key belongs to: CRC16 of the key, or of its hash
 * tag, modulo 16384 (Redis Cluster specification, "Key distribution model" and "Hash tags").
 * Pure.
 */
#ifndef STA_SLOT_H
#define STA_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "strata/bytes.h"

#define STA_SLOT_COUNT 16384u

/* CRC-16/XMODEM: polynomial 0x1021, begins at 0, nothing reflected. */
uint16_t sta_slot_crc16(struct strata_bytes bytes);

/* The slot of a key, 0..16383. What stands between the first '{' and the first '}' after it, where
 * that is at least one byte, is hashed instead of the whole: "{user1}.a" and "{user1}.b" meet.
 * The key is the one that Redis sees, prefix and all: a '{' in the prefix counts. */
uint16_t sta_slot_of(struct strata_bytes key);

/* A set of slots, by value. */
struct sta_slot_set {
    uint64_t words[STA_SLOT_COUNT / 64];
};

static inline void sta_slot_set_add(struct sta_slot_set *set, unsigned slot)
{
    set->words[slot / 64] |= UINT64_C(1) << slot % 64;
}

static inline bool sta_slot_set_has(const struct sta_slot_set *set, unsigned slot)
{
    return (set->words[slot / 64] >> slot % 64 & 1) != 0;
}

#endif
