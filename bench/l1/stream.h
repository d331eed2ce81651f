/* SPDX-License-Identifier: MIT
 *
 * What is asked for: keys of 16 to 24 bytes and values of 100 that follow from a number, and
 * streams of keys that are prepared, so that making them costs nothing while it is measured.
 */
#ifndef BENCH_L1_STREAM_H
#define BENCH_L1_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/peer.h"

#define STREAM_COUNT (1u << 21) /* requests; a power of two */

struct request {
    uint8_t key[PEER_KEY_MOST];
    uint32_t len;
    uint32_t id;
};

/* The bytes of key `id`; their number. */
uint32_t stream_key(uint64_t id, uint8_t key[PEER_KEY_MOST]);

/* The value of key `id`, and whether these bytes are it. */
void stream_value(uint64_t id, uint8_t value[PEER_VALUE_MOST]);
bool stream_is_value(uint64_t id, const uint8_t *value, int len);

/* STREAM_COUNT requests for `keys` keys: Zipf 0.99, or evenly. NULL where memory ran out. */
struct request *stream_create(uint32_t keys, bool zipf, uint64_t seed);
void stream_destroy(struct request **stream);

#endif
