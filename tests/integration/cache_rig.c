/* SPDX-License-Identifier: MIT
 *
 * See cache_rig.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/cache_rig.h"

#include <cmocka.h>
#include <string.h>

#include "support/redis_server.h"

static struct redis_server *server;
static redisContext *foreign;

int cache_rig_start(void **state)
{
    (void)state;
    if (redis_server_start(&server, NULL) != 0)
        return -1;
    foreign = redisConnectUnix(redis_server_socket(server));
    return foreign->err;
}

int cache_rig_stop(void **state)
{
    (void)state;
    redisFree(foreign);
    redis_server_stop(&server);
    return 0;
}

int cache_rig_flush(void **state)
{
    (void)state;
    freeReplyObject(redisCommand(foreign, "FLUSHALL"));
    return 0;
}

const char *cache_rig_url(void)
{
    return redis_server_url(server);
}

const char *cache_rig_socket(void)
{
    return redis_server_socket(server);
}

redisContext *cache_rig_foreign(void)
{
    return foreign;
}

struct strata *cache_rig_open(struct strata_options options)
{
    struct strata *cache = NULL;
    struct strata_error error = {0};
    if (options.redis_url == NULL)
        options.redis_url = redis_server_url(server);
    int status = strata_open(&cache, &options, &error);
    if (status != STRATA_OK)
        fail_msg("strata_open: %s", error.text);
    return cache;
}

void assert_value(struct strata *cache, const char *key, const char *expected)
{
    struct strata_value value = {0};
    assert_int_equal(strata_get(cache, strata_text(key), &value), STRATA_OK);
    assert_int_equal(value.bytes.len, strlen(expected));
    assert_memory_equal(value.bytes.data, expected, value.bytes.len);
    strata_release(&value);
}

int set_text(struct strata *cache, const char *key, const char *value, uint64_t ttl_ms)
{
    return strata_set(cache, strata_text(key), strata_text(value), ttl_ms);
}

int get_status(struct strata *cache, const char *key)
{
    struct strata_value value = {0};
    int status = strata_get(cache, strata_text(key), &value);
    strata_release(&value);
    return status;
}

void take_answer(void *arg, int status, struct strata_value *value)
{
    struct answer *answer = arg;
    (void)value;
    answer->status = status;
    answer->calls++;
}

struct strata_statistics numbers(struct strata *cache)
{
    struct strata_statistics statistics;
    strata_statistics(cache, &statistics);
    return statistics;
}

void redis_do(const char *command, const char *key, const char *value)
{
    redisReply *reply = value != NULL ? redisCommand(foreign, "%s %s %s", command, key, value)
                                      : redisCommand(foreign, "%s %s", command, key);
    assert_non_null(reply);
    assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
    freeReplyObject(reply);
}

void assert_in_redis(const char *key, const char *expected)
{
    redisReply *reply = redisCommand(foreign, "GET %s", key);
    if (expected == NULL) {
        assert_int_equal(reply->type, REDIS_REPLY_NIL);
    } else {
        assert_int_equal(reply->type, REDIS_REPLY_STRING);
        assert_string_equal(reply->str, expected);
    }
    freeReplyObject(reply);
}
