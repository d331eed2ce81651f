/* SPDX-License-Identifier: MIT
 *
 * Abseil: a flat_hash_set of nodes in each of 16 shards, with a mutex and an exact LRU list. What
 * C++ programs put together, well done: one lookup and one list move per get, no allocation.
 */
#include <cstdlib>
#include <cstring>

#include <absl/container/flat_hash_set.h>
#include <absl/hash/hash.h>
#include <absl/strings/string_view.h>
#include <absl/synchronization/mutex.h>

#include "bench/peers/export.h"

namespace
{

constexpr std::size_t shard_count = 16;

struct node {
    node *newer;
    node *older;
    std::uint32_t key_len;
    std::uint32_t value_len;

    char *bytes()
    {
        return reinterpret_cast<char *>(this + 1);
    }
    absl::string_view key() const
    {
        return {reinterpret_cast<const char *>(this + 1), key_len};
    }
};

struct hash_key {
    using is_transparent = void;
    std::size_t operator()(absl::string_view key) const
    {
        return absl::Hash<absl::string_view>()(key);
    }
    std::size_t operator()(const node *at) const
    {
        return (*this)(at->key());
    }
};

struct same_key {
    using is_transparent = void;
    static absl::string_view key(absl::string_view key)
    {
        return key;
    }
    static absl::string_view key(const node *at)
    {
        return at->key();
    }
    template <typename A, typename B> bool operator()(const A &a, const B &b) const
    {
        return key(a) == key(b);
    }
};

struct alignas(64) shard {
    absl::Mutex lock;
    absl::flat_hash_set<node *, hash_key, same_key> table;
    node ends; /* of a ring: newer is the oldest, older the newest */
    std::size_t capacity;

    void unlink(node *at)
    {
        at->newer->older = at->older;
        at->older->newer = at->newer;
    }
    void push(node *at)
    {
        at->newer = &ends;
        at->older = ends.older;
        ends.older->newer = at;
        ends.older = at;
    }
    void drop(node *at)
    {
        table.erase(at);
        unlink(at);
        std::free(at);
    }
};

struct cache {
    shard shards[shard_count];

    shard &of(std::size_t hash)
    {
        return shards[hash >> 58 & (shard_count - 1)];
    }
};

node *make(absl::string_view key, const void *value, std::size_t value_len)
{
    auto *made = static_cast<node *>(std::malloc(sizeof(node) + key.size() + value_len));
    if (made == nullptr)
        std::abort();
    made->key_len = static_cast<std::uint32_t>(key.size());
    made->value_len = static_cast<std::uint32_t>(value_len);
    std::memcpy(made->bytes(), key.data(), key.size());
    std::memcpy(made->bytes() + key.size(), value, value_len);
    return made;
}

} // namespace

std::uint32_t peer_flags()
{
    return PEER_THREADS | PEER_EVICTS;
}

const char *peer_name()
{
    return "absl-lru-16";
}

void *peer_create(std::uint64_t capacity)
{
    auto *made = new cache;
    for (shard &one : made->shards) {
        one.ends.newer = one.ends.older = &one.ends;
        one.capacity = (capacity + shard_count - 1) / shard_count;
    }
    return made;
}

void peer_destroy(void *at)
{
    auto *made = static_cast<cache *>(at);
    for (shard &one : made->shards) {
        for (node *each : one.table)
            std::free(each);
    }
    delete made;
}

int peer_get(void *at, const void *key, std::size_t key_len, void *out)
{
    absl::string_view asked(static_cast<const char *>(key), key_len);
    std::size_t hash = hash_key()(asked);
    shard &one = static_cast<cache *>(at)->of(hash);
    absl::MutexLock hold(&one.lock);
    auto found = one.table.find(asked, hash);
    if (found == one.table.end())
        return -1;
    node *there = *found;
    one.unlink(there);
    one.push(there);
    std::memcpy(out, there->bytes() + there->key_len, there->value_len);
    return static_cast<int>(there->value_len);
}

void peer_set(void *at, const void *key, std::size_t key_len, const void *value,
              std::size_t value_len)
{
    absl::string_view asked(static_cast<const char *>(key), key_len);
    std::size_t hash = hash_key()(asked);
    shard &one = static_cast<cache *>(at)->of(hash);
    node *made = make(asked, value, value_len);
    absl::MutexLock hold(&one.lock);
    auto found = one.table.find(asked, hash);
    if (found != one.table.end())
        one.drop(*found);
    else if (one.table.size() >= one.capacity)
        one.drop(one.ends.newer);
    one.table.insert(made);
    one.push(made);
}
