/* SPDX-License-Identifier: MIT
 *
 * libcuckoo: a cuckoo hash table with a lock per stripe of buckets; keys and values inline. No
 * eviction.
 */
#include <libcuckoo/cuckoohash_map.hh>

#include "bench/peers/export.h"
#include "bench/peers/inline_bytes.hh"

namespace
{

struct hash_key {
    std::size_t operator()(const inline_key &key) const
    {
        return key.hash();
    }
};

using table = libcuckoo::cuckoohash_map<inline_key, inline_value, hash_key>;

} // namespace

std::uint32_t peer_flags()
{
    return PEER_THREADS;
}

const char *peer_name()
{
    return "libcuckoo";
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
    int len = -1;
    static_cast<table *>(at)->find_fn(inline_key(key, key_len),
                                      [&](const inline_value &value) { len = value.copy_to(out); });
    return len;
}

void peer_set(void *at, const void *key, std::size_t key_len, const void *value,
              std::size_t value_len)
{
    static_cast<table *>(at)->insert_or_assign(inline_key(key, key_len),
                                               inline_value(value, value_len));
}
