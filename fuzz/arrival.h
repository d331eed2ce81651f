/* SPDX-License-Identifier: MIT
 *
 * What the fuzzers of resp share: bytes that arrive piece by piece, with everything beyond them
 * poisoned, so that a read of what has not come ends the run; and a meter of the heap.
 */
#ifndef FUZZ_ARRIVAL_H
#define FUZZ_ARRIVAL_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "strata/bytes.h"

/* A fact that must hold for every input. */
#define CHECK(fact)                                                                                \
    do {                                                                                           \
        if (!(fact))                                                                               \
            abort();                                                                               \
    } while (0)

struct arrival {
    uint8_t *bytes; /* a copy of the input, of exactly its size */
    size_t size;
    size_t begin;   /* what was consumed */
    size_t arrived; /* what can be read */
    uint64_t seed;  /* where the pieces end */
};

/* Nothing has arrived yet. */
void arrival_init(struct arrival *arrival, const uint8_t *data, size_t size, uint64_t seed);
void arrival_fini(struct arrival *arrival);

/* One piece more, of 1 to 16 bytes, rarely a large one; 0 where everything has come. */
size_t arrival_more(struct arrival *arrival);

/* Everything at once. */
void arrival_all(struct arrival *arrival);

/* What has arrived and was not consumed. */
struct strata_bytes arrival_bytes(const struct arrival *arrival);

/* Bytes that were asked of the heap since heap_meter_start(), freed or not. */
void heap_meter_start(void);
size_t heap_meter_stop(void);

/* What a parser may hold for so many bytes received, beside its fixed state. */
static inline size_t memory_bound(size_t received)
{
    return 64 + 2 * received;
}

#endif
