/* SPDX-License-Identifier: MIT
 *
 * The names of keys, in both tiers, on every primary of a cluster, each once.
 *
 *     strata_keys_open(&keys, cache, &options);
 *     while ((status = strata_keys_next(keys, &key, &error)) == STRATA_OK)
 *         ...
 *     strata_keys_close(&keys);
 *
 * Consistency: as Redis' SCAN. A key that is there from open to the end is named, however slots
 * move and primaries fail meanwhile; one that comes, goes or expires in between is named or not.
 * Where that cannot be kept, because a node stays away for longer than the patience or refuses,
 * next() answers an error: what was named until then is not all. Names are those of strata_get():
 * without the configured prefix. Any type of value counts. Keys of strata's own, and those that no
 * call could name (empty, or longer than 65535 bytes), are left out.
 * With write-behind, a key that only the queue has is not named: strata_flush() goes before.
 * L1 is asked first, so a key that was deleted in Redis and that L1 does not know of yet is named.
 * Cost: Redis looks at all of its keys, in pages, at most `share` percent of its time.
 * Threads: an iterator is used by one thread at a time, not from callbacks on the I/O thread;
 * any number of iterators at once. It must be closed before the cache is.
 */
#ifndef STRATA_KEYS_H
#define STRATA_KEYS_H

#include "cache.h"

#ifdef __cplusplus
extern "C" {
#endif

struct strata_keys;

/* Zero fields mean the defaults. */
struct strata_keys_options {
    /* Redis' glob rules: * ? [a-z] [^a-z] \x; any bytes, at most 65535. No bytes: all keys.
     * Copied. */
    struct strata_bytes pattern;
    uint64_t page;        /* keys that Redis looks at at a time, 1 to 100 000; 200 */
    uint64_t share;       /* percent of its time that a node may be busy with it, 1 to 100; 25 */
    uint64_t patience_ms; /* how long a node may answer nothing, 1 to 3 600 000; 30 000 */

    /* That a key is named once takes memory: 32 to 64 bytes for each name, 96 while it grows. More
     * than this is STRATA_ERR_TOO_BIG; 256 MiB, which is enough for 4 million. STRATA_UNLIMITED: no
     * bound. */
    uint64_t max_bytes;
    enum strata_switch repeats; /* STRATA_ON: a name may come twice, and nothing is remembered */
};

/* Asks nothing yet. `options` NULL: all keys. STRATA_ERR_INVALID, STRATA_ERR_TOO_BIG (the pattern),
 * STRATA_ERR_NOMEM. Besides what is remembered, an iterator takes 512 KiB of names, and two pages
 * of each node. */
STRATA_API int strata_keys_open(struct strata_keys **out, struct strata *cache,
                                const struct strata_keys_options *options);

/* STRATA_OK with a name that is readable until the next call with this iterator; STRATA_MISS: that
 * was all. Errors, with which node and why in `error` (may be NULL): STRATA_ERR_UNAVAILABLE,
 * STRATA_ERR_TIMEOUT, STRATA_ERR_LOST (a node that stayed away), STRATA_ERR_DENIED,
 * STRATA_ERR_SERVER (no right to SCAN or, in a cluster, to CLUSTER NODES; or a server without
 * them), STRATA_ERR_PROTOCOL, STRATA_ERR_TOO_BIG (max_bytes), STRATA_ERR_NOMEM; STRATA_ERR_INVALID
 * on the I/O thread. After an end or an error the same is answered again. May wait for Redis, as
 * long as each answer takes less than the patience. */
STRATA_API int strata_keys_next(struct strata_keys *keys, struct strata_bytes *key,
                                struct strata_error *error);

/* At any time; does not wait. NULL is fine. */
STRATA_API void strata_keys_close(struct strata_keys **keys);

#ifdef __cplusplus
}
#endif

#endif
