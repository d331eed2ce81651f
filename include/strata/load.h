/* SPDX-License-Identifier: MIT
 *
 * Read-through to the source of values: where neither tier has a key, a function of yours loads it,
 * once for all that want it at the same time, and both tiers keep what it brought.
 * docs/strategies.md says when to use it.
 *
 * What is kept: a loaded value goes to Redis where nobody has set the key there meanwhile, and into
 * L1 under the same rule as what is read. Where the key is invalidated during the load (a set or a
 * delete through this cache, or a change in Redis that tracking tells of), the value is handed to
 * the calls that wait for that load already, and not kept; calls that begin later load anew.
 * Threads: as in cache.h. A loader may call the cache for other keys, get_or_load included. One
 * that asks for its own key, or for one whose load waits for this one, gets STRATA_ERR_DEADLOCK
 * from that inner call.
 */
#ifndef STRATA_LOAD_H
#define STRATA_LOAD_H

#include "cache.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A load under way, as its loader sees it. Dies when the loader returns. */
struct strata_load;

/* Loads one key: the answer goes into `load` by one of the calls below, and STRATA_OK is returned.
 * STRATA_MISS says that there is none, as strata_load_set_none(load, 0) does. A negative number is
 * an error, and goes to every call that waits for this load as it is; numbers below -1000 are free
 * for your own. STRATA_OK without an answer is STRATA_ERR_INVALID. It runs on the thread of the
 * call that loads, unless options say otherwise, may block, and must return: no longjmp, no
 * exception, no end of the thread. */
typedef int (*strata_loader)(struct strata_load *load, void *arg);

/* Loads several keys, each with a load of its own, which is answered as above. What is returned is
 * the answer of those that were given none: STRATA_MISS, there are none; a negative number, that
 * error; STRATA_OK, STRATA_ERR_INVALID. */
typedef int (*strata_loader_many)(struct strata_load *const *loads, size_t count, void *arg);

/* The key to be loaded, without the configured prefix; readable until the loader returns. */
STRATA_API struct strata_bytes strata_load_key(const struct strata_load *load);

/* The value (copied), and for how long it is good; `ttl_ms` 0: as the options say.
 * STRATA_ERR_NOMEM, STRATA_ERR_TOO_BIG, STRATA_ERR_INVALID, with what was set before still set. */
STRATA_API int strata_load_set(struct strata_load *load, struct strata_bytes value,
                               uint64_t ttl_ms);

/* There is no such key: the calls get STRATA_MISS, and so do later ones for `ttl_ms` (0: as the
 * options say), in this process. */
STRATA_API void strata_load_set_none(struct strata_load *load, uint64_t ttl_ms);

/* This key failed, as if the loader of one had returned `error`, a negative number; else
 * STRATA_ERR_INVALID. */
STRATA_API int strata_load_set_error(struct strata_load *load, int error);

/* STRATA_OK with the value that is past its time and about to be replaced, readable until the
 * loader returns; STRATA_MISS: there is none, or it is not known. Only with stale_ms does a value
 * outlive its time. */
STRATA_API int strata_load_previous(const struct strata_load *load, struct strata_bytes *value);

/* That value is still right (a source that answered "not modified"), and good for `ttl_ms` more (0:
 * as the options say). STRATA_ERR_INVALID where there is none; STRATA_ERR_NOMEM. */
STRATA_API int strata_load_set_unchanged(struct strata_load *load, uint64_t ttl_ms);

/* Zeroed: all defaults. */
struct strata_load_options {
    /* Of values for which the loader names none. 0: the cache's l2_ttl_ms. */
    uint64_t ttl_ms;
    /* For how long "there is none" is known without asking again. 0: the cache's null_ttl_ms where
     * its null_values is on, else not at all. */
    uint64_t null_ttl_ms;
    /* The longest that a call waits for a load that another call runs; then STRATA_ERR_TIMEOUT, and
     * the load goes on. 0: the cache's socket_timeout_ms; STRATA_UNLIMITED. */
    uint64_t wait_ms;
    /* Not 0: one load for all processes. Who loads holds a lease in Redis, for this long at most,
     * and the others wait for it as for a load of their own process. To be longer than a load
     * takes: a load that takes longer is not kept, and another may begin meanwhile. Needs the right
     * to EVAL. */
    uint64_t lease_ms;
    /* Not 0: for so long after its TTL a value is kept, for the loader to see, and to be served
     * where the loader fails; the answer is STRATA_STALE then. Other reads do not see it, with
     * serve_stale neither. A hundred years at most, STRATA_UNLIMITED too. It goes to Redis behind a
     * head (docs/strategies.md) that strata understands and other clients do not. */
    uint64_t stale_ms;
    /* After a failed load the stale value is served without another load for so long, as long as L1
     * has it. 0: 1000. */
    uint64_t throttle_ms;
    /* 0 to 1: TTLs are shortened by up to this share, evenly, so that what was loaded together does
     * not end together. Those of "there is none" are not. */
    double ttl_jitter;

    /* With any of those that follow, and in asynchronous calls, loaders run on threads of the
     * cache, too: at most four, made when they are needed. Then `arg` must stay valid until the
     * loader has ended, and at the latest until strata_close() returns, which waits for loaders
     * that run and begins no others: calls that wait for one get STRATA_ERR_CLOSED. A call from
     * within a loader that finds all threads busy runs its load itself, and takes as long as
     * that. */

    /* 0 to 1: after this share of the time for which L1 has a value, the next call that gets it has
     * it loaded anew in the background. 0: not. Values with tags (tags.h) are not loaded early:
     * what a loader brings has none. */
    double refresh_ahead;
    /* The same by chance, the likelier the nearer the end and the longer a load takes, so that of
     * many processes few load (XFetch). 1 is a good start, more is earlier. 0: not. The time that
     * the load took goes to Redis behind a head, as with stale_ms. */
    double xfetch_beta;
    /* How long a call waits for a load, its own included, where L1 has an old value (stale_ms) to
     * answer with: then STRATA_STALE. 0, or there is none: as long as the next one says. */
    uint64_t soft_timeout_ms;
    /* How long a call waits for a load in any case: then STRATA_STALE or STRATA_ERR_TIMEOUT. 0: own
     * loads as long as they take, those of others for wait_ms, which does not count where this one
     * is given. In both cases the load goes on, and is kept. With either, STRATA_ERR_BUSY: 256
     * loads wait to begin. */
    uint64_t hard_timeout_ms;
};

/* STRATA_OK with a value to release: from L1, from Redis, or loaded. STRATA_MISS: the loader says
 * that there is none. Else the loader's error, or that of waiting for it. STRATA_STALE as
 * strata_get(), and with stale_ms where the loader failed: of those that wait for one load, each as
 * its own options say.
 * Where Redis does not answer, the value is loaded and not kept. `options` may be NULL. A hit costs
 * what strata_get() costs; the call that runs the loader takes as long as the loader, and as Redis
 * before and after it, each within socket_timeout_ms. */
STRATA_API int strata_get_or_load(struct strata *cache, struct strata_bytes key,
                                  strata_loader loader, void *arg,
                                  const struct strata_load_options *options,
                                  struct strata_value *value);

/* As strata_get_or_load(), with a completion as of the asynchronous twins (cache.h): called once
 * where this returned STRATA_OK, and not from within it. It blocks neither the caller nor the I/O
 * thread, and may be called from callbacks and loaders: Redis is asked by the I/O thread, the
 * loader runs on a thread of the cache, also without time-outs; `arg` must stay valid as above. Key
 * and options are copied. One load for all that want a key, whichever way they ask; who waits for
 * the load of another does so for wait_ms, and here, too, own loads are waited for as long as they
 * take but for hard_timeout_ms. STRATA_ERR_BUSY: 256 loads wait to begin; STRATA_ERR_CLOSED: the
 * cache is closed, and the load had not begun. A loader must not wait for a completion: four that
 * do so would hold all threads. */
STRATA_API int strata_get_or_load_async(struct strata *cache, struct strata_bytes key,
                                        strata_loader loader, void *arg,
                                        const struct strata_load_options *options,
                                        struct strata_completion completion);

/* The same as strata_get_or_load() for many keys: L1, then one round trip to Redis for those that
 * it has not, then one call of the loader for all that are missing still, and one round trip to
 * store what it brought. Keys that other calls load are not loaded again, but waited for once the
 * own ones are there, so that batches of the same keys in any order do not wait for one another;
 * where such a call gives up, the loader is called once more for its keys. A key that is named
 * several times is loaded once. Loads that become due before their time is over are loaded
 * together, too. values[i] and statuses[i] (`statuses` may be NULL) are what the single call would
 * have answered for key i, values zeroed where there is none; the result is that of batches
 * (cache.h). Time-outs count for the whole call: keys that are answered by then have their values.
 * STRATA_ERR_UNSUPPORTED with lease_ms: who waits for one key's lease would hold those of the
 * others, and two processes could wait for each other until these end. */
STRATA_API int strata_get_or_load_many(struct strata *cache, const struct strata_bytes *keys,
                                       size_t count, strata_loader_many loader, void *arg,
                                       const struct strata_load_options *options,
                                       struct strata_value *values, int *statuses);

#ifdef __cplusplus
}
#endif

#endif
