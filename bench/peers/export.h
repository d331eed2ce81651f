/* SPDX-License-Identifier: MIT
 *
 * The six functions of peer.h, as a peer's shared object defines them; for C and C++.
 */
#ifndef BENCH_PEERS_EXPORT_H
#define BENCH_PEERS_EXPORT_H

#include <stddef.h>
#include <stdint.h>

#include "bench/peer.h"

#ifdef __cplusplus
#define PEER_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define PEER_EXPORT __attribute__((visibility("default")))
#endif

PEER_EXPORT uint32_t peer_flags(void);
PEER_EXPORT const char *peer_name(void);
PEER_EXPORT void *peer_create(uint64_t capacity);
PEER_EXPORT int peer_get(void *cache, const void *key, size_t key_len, void *out);
PEER_EXPORT void peer_set(void *cache, const void *key, size_t key_len, const void *value,
                          size_t value_len);
PEER_EXPORT void peer_destroy(void *cache);

#endif
