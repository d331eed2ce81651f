/* SPDX-License-Identifier: MIT
 *
 * The floor of a lookup: buckets of one cache line, 12 x (8-bit tag, 32-bit slot number), over a
 * dense array of 128-byte entries. Two dependent lines per get, and nothing else: no eviction,
 * deadlines, locks or versions; what does not fit in a bucket goes to the next one. Filled by one
 * thread; then only read. Memory asks for huge pages.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/key.h"

#define FLOOR_SLOTS 12u
#define FLOOR_KEY   24u
#define FLOOR_VALUE 100u

struct floor_bucket {
    uint8_t tag[FLOOR_SLOTS];
    uint32_t slot[FLOOR_SLOTS];
    uint32_t spare;
};

struct floor_entry {
    uint8_t key_len;
    uint8_t value_len;
    uint8_t key[FLOOR_KEY];
    uint8_t value[FLOOR_VALUE];
    uint8_t spare[2];
};

_Static_assert(sizeof(struct floor_bucket) == 64, "one line");
_Static_assert(sizeof(struct floor_entry) == 128, "two lines, next to each other");

struct floor {
    struct floor_bucket *buckets;
    struct floor_entry *entries;
    uint64_t mask;
    uint32_t count;
    uint32_t cap;
};

bool floor_init(struct floor *floor, uint32_t cap);
void floor_fini(struct floor *floor);
void floor_add(struct floor *floor, const struct sta_key *key, struct strata_bytes value);

/* Copies the value to `out`; its length, or -1. */
int floor_get(const struct floor *floor, const struct sta_key *key, uint8_t *out);

#endif
