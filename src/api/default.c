/* SPDX-License-Identifier: MIT
 *
 * The one shared instance of a process. This is the only mutable state at file scope in the
 * library: "one per process" can hang from nothing else. A program that opens its own caches
 * never touches it.
 */
#include <pthread.h>

#include "strata/cache.h"

static pthread_mutex_t default_lock = PTHREAD_MUTEX_INITIALIZER;
static struct strata *default_cache; /* guarded by default_lock; never closed */

struct strata *strata_default(struct strata_error *error)
{
    pthread_mutex_lock(&default_lock);
    if (default_cache == NULL)
        (void)strata_open(&default_cache, NULL, error);
    struct strata *cache = default_cache;
    pthread_mutex_unlock(&default_lock);
    return cache;
}
