/* SPDX-License-Identifier: MIT
 *
 * What bench_l1 asks of a cache: six functions. A shared object that exports them under these
 * names takes part in every row that it can, by `bench_l1 --peer PATH.so`; those in bench/peers/
 * are built so, and the first tier and the floor stand behind the same table, so that the call
 * costs each the same.
 *
 *     uint32_t    peer_flags(void);
 *     const char *peer_name(void);                 one word or two, and static
 *     void       *peer_create(uint64_t capacity);  for that many entries; NULL where it cannot
 *     int         peer_get(void *cache, const void *key, size_t key_len, void *out);
 *     void        peer_set(void *cache, const void *key, size_t key_len,
 *                          const void *value, size_t value_len);
 *     void        peer_destroy(void *cache);
 *
 * get() copies the value to `out`, which has room for PEER_VALUE_MOST bytes, and returns its
 * length, or -1 where the key is not there. set() stores or replaces; a cache that is full evicts.
 * Keys have up to PEER_KEY_MOST bytes, values up to PEER_VALUE_MOST: a peer may keep them inline.
 * The peer hashes the key itself. No call fails otherwise: a peer that runs out of memory ends
 * the program.
 *
 * Threads: with PEER_THREADS, get() and set() are called from any thread at any time, and a
 * thread says neither hello nor goodbye.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stddef.h>
#include <stdint.h>

#define PEER_KEY_MOST   24u
#define PEER_VALUE_MOST 100u

#define PEER_THREADS 1u /* safe from any thread */
#define PEER_EVICTS  2u /* keeps to its capacity; else it takes no part in rows that need that */

struct peer {
    const char *name;
    uint32_t flags;
    void *(*create)(uint64_t capacity);
    int (*get)(void *cache, const void *key, size_t key_len, void *out);
    void (*set)(void *cache, const void *key, size_t key_len, const void *value, size_t value_len);
    void (*destroy)(void *cache);
};

#endif
