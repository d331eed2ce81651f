/* SPDX-License-Identifier: MIT
 *
 * Keys and values for C++ peers that keep them inline, at a fixed size: the fastest form that
 * these tables have, and one that a cache for bytes of any length cannot use.
 */
#ifndef BENCH_PEERS_INLINE_BYTES_HH
#define BENCH_PEERS_INLINE_BYTES_HH

#include <cstdint>
#include <cstring>

#include <xxhash.h>

#include "bench/peer.h"

template <std::size_t most> struct inline_bytes {
    std::uint8_t len;
    std::uint8_t bytes[most];

    inline_bytes() : len(0)
    {
    }
    inline_bytes(const void *from, std::size_t size) : len(static_cast<std::uint8_t>(size))
    {
        std::memcpy(bytes, from, size);
    }
    int copy_to(void *out) const
    {
        std::memcpy(out, bytes, len);
        return len;
    }
    std::uint64_t hash() const
    {
        return XXH3_64bits(bytes, len);
    }
    bool operator==(const inline_bytes &other) const
    {
        return len == other.len && std::memcmp(bytes, other.bytes, len) == 0;
    }
    bool operator<(const inline_bytes &other) const
    {
        int order = std::memcmp(bytes, other.bytes, len < other.len ? len : other.len);
        return order != 0 ? order < 0 : len < other.len;
    }
};

using inline_key = inline_bytes<PEER_KEY_MOST>;
using inline_value = inline_bytes<PEER_VALUE_MOST>;

#endif
