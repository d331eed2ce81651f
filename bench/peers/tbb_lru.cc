/* SPDX-License-Identifier: MIT
 *
 * oneTBB's concurrent_lru_cache (a preview): a std::map and a list behind an aggregator. It has no
 * way to ask without storing, nor to replace a value: what is asked for and is not there is stored
 * as absent. So it takes part where every key is there, and not where a cache must evict.
 */
#define TBB_PREVIEW_CONCURRENT_LRU_CACHE 1
#include <tbb/concurrent_lru_cache.h>

#include "bench/peers/export.h"
#include "bench/peers/inline_bytes.hh"

namespace
{

/* What the cache asks for the value of a new key, in the thread that asked for the key. */
thread_local const inline_value *offered;

inline_value offer(inline_key)
{
    return offered != nullptr ? *offered : inline_value();
}

using table = tbb::concurrent_lru_cache<inline_key, inline_value, inline_value (*)(inline_key)>;

} // namespace

std::uint32_t peer_flags()
{
    return PEER_THREADS;
}

const char *peer_name()
{
    return "tbb-lru";
}

void *peer_create(std::uint64_t capacity)
{
    return new table(offer, capacity);
}

void peer_destroy(void *at)
{
    delete static_cast<table *>(at);
}

int peer_get(void *at, const void *key, std::size_t key_len, void *out)
{
    offered = nullptr;
    table::handle found = (*static_cast<table *>(at))[inline_key(key, key_len)];
    return found.value().len != 0 ? found.value().copy_to(out) : -1;
}

void peer_set(void *at, const void *key, std::size_t key_len, const void *value,
              std::size_t value_len)
{
    inline_value given(value, value_len);
    offered = &given;
    table::handle there = (*static_cast<table *>(at))[inline_key(key, key_len)];
    offered = nullptr;
}
