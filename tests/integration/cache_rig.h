/* SPDX-License-Identifier: MIT
 *
 * What the tests of the whole cache share: a private Redis for all tests of a program, a foreign
 * client that looks at (and changes) what is stored there, and short ways to say common things.
 * All of them fail the running test where something is not as it must be.
 */
#ifndef TEST_CACHE_RIG_H
#define TEST_CACHE_RIG_H

#include <hiredis/hiredis.h>
#include <stdint.h>

#include "strata/strata.h"

/* cmocka group and test fixtures: start and end the server, empty it. */
int cache_rig_start(void **state);
int cache_rig_stop(void **state);
int cache_rig_flush(void **state);

const char *cache_rig_url(void);
const char *cache_rig_socket(void);
redisContext *cache_rig_foreign(void);

/* Opens a cache in front of the rig's Redis, unless the options name another. */
struct strata *cache_rig_open(struct strata_options options);

void assert_value(struct strata *cache, const char *key, const char *expected);
int set_text(struct strata *cache, const char *key, const char *value, uint64_t ttl_ms);
int get_status(struct strata *cache, const char *key);
struct strata_statistics numbers(struct strata *cache);

/* How often an asynchronous write was answered, and with what. */
struct answer {
    _Atomic int calls;
    int status;
};

/* For its completion; the argument is a struct answer. */
void take_answer(void *arg, int status, struct strata_value *value);

/* The foreign client: `value` may be NULL. `expected` NULL: the key is not there. */
void redis_do(const char *command, const char *key, const char *value);
void assert_in_redis(const char *key, const char *expected);

#endif
