/* SPDX-License-Identifier: MIT
 *
 * oneTBB's concurrent_hash_map: a lock per bucket and one per element, each element a node with
 * its key and value inline. No eviction.
 */
#include <memory>

#include <tbb/concurrent_hash_map.h>

#include "bench/peers/export.h"
#include "bench/peers/inline_bytes.hh"

namespace
{

struct hash_compare {
    static std::size_t hash(const inline_key &key)
    {
        return key.hash();
    }
    static bool equal(const inline_key &a, const inline_key &b)
    {
        return a == b;
    }
};

/* malloc's memory, so that all peers have pages of one size. */
using table = tbb::concurrent_hash_map<inline_key, inline_value, hash_compare,
                                       std::allocator<std::pair<const inline_key, inline_value>>>;

} // namespace

std::uint32_t peer_flags()
{
    return PEER_THREADS;
}

const char *peer_name()
{
    return "tbb-hash-map";
}

void *peer_create(std::uint64_t capacity)
{
    return new table(capacity);
}

void peer_destroy(void *at)
{
    delete static_cast<table *>(at);
}

int peer_get(void *at, const void *key, std::size_t key_len, void *out)
{
    table::const_accessor found;
    if (!static_cast<table *>(at)->find(found, inline_key(key, key_len)))
        return -1;
    return found->second.copy_to(out);
}

void peer_set(void *at, const void *key, std::size_t key_len, const void *value,
              std::size_t value_len)
{
    table::accessor there;
    static_cast<table *>(at)->insert(there, inline_key(key, key_len));
    there->second = inline_value(value, value_len);
}
