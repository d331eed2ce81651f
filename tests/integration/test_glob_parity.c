/* SPDX-License-Identifier: MIT
 *
 * core/glob.h beside a real Redis: random patterns over an alphabet that is mostly syntax, on keys
 * of the same bytes. `KEYS pattern` must name exactly those that we match. Another seed:
 * STRATA_SEED=n. The empty key is left out: Redis has it match "" and "*" but not "**", and we have
 * no such keys.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "core/glob.h"
#include "core/random.h"
#include "strata/status.h"
#include "support/redis_server.h"

#define KEYS     1500
#define PATTERNS 6000
#define LEN_MOST 7

static const char alphabet[] = "*?[]^-\\abc";

struct text {
    char bytes[2 * LEN_MOST];
    size_t len;
};

static struct redis_server *server;
static redisContext *redis;
static struct text keys[KEYS];

static int start(void **state)
{
    (void)state;
    if (redis_server_start(&server, NULL) != 0)
        return -1;
    redis = redisConnectUnix(redis_server_socket(server));
    return redis != NULL && redis->err == 0 ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    redisFree(redis);
    redis_server_stop(&server);
    return 0;
}

static struct text text_make(uint64_t *random, size_t least)
{
    struct text text = {.len = least + sta_random_below(random, LEN_MOST + 1 - least)};
    for (size_t i = 0; i < text.len; i++)
        text.bytes[i] = alphabet[sta_random_below(random, sizeof alphabet - 1)];
    return text;
}

/* Half of the patterns come from a key, so that some match more than by chance. */
static struct text pattern_make(uint64_t *random)
{
    struct text text = text_make(random, 0);
    if (sta_random_below(random, 2) == 0)
        return text;
    const struct text *key = &keys[sta_random_below(random, KEYS)];
    struct text pattern = {0};
    for (size_t i = 0; i < key->len; i++) {
        uint64_t what = sta_random_below(random, 8);
        if (what == 0 || what == 1)
            pattern.bytes[pattern.len++] = what == 0 ? '*' : '?';
        else if (what == 2)
            pattern.bytes[pattern.len++] = '\\';
        if (what > 1)
            pattern.bytes[pattern.len++] = key->bytes[i];
    }
    return pattern;
}

static bool set_keys(uint64_t *random)
{
    for (size_t i = 0; i < KEYS; i++) {
        keys[i] = text_make(random, 1);
        redisReply *reply = redisCommand(redis, "SET %b %s", keys[i].bytes, keys[i].len, "v");
        bool good = reply != NULL && reply->type == REDIS_REPLY_STATUS;
        freeReplyObject(reply);
        if (!good)
            return false;
    }
    return true;
}

static bool names(const redisReply *reply, const struct text *key)
{
    for (size_t i = 0; i < reply->elements; i++) {
        if (reply->element[i]->len == key->len &&
            memcmp(reply->element[i]->str, key->bytes, key->len) == 0)
            return true;
    }
    return false;
}

/* The number of keys on which we differ. */
static unsigned differences(const struct text *pattern, const redisReply *reply, uint64_t *matched)
{
    struct sta_glob glob;
    unsigned different = 0;
    assert_int_equal(sta_glob_init(&glob, strata_bytes(pattern->bytes, pattern->len)), STRATA_OK);
    for (size_t i = 0; i < KEYS; i++) {
        bool ours = sta_glob_match(&glob, strata_bytes(keys[i].bytes, keys[i].len));
        *matched += ours;
        if (ours == names(reply, &keys[i]))
            continue;
        different++;
        print_error("pattern '%.*s' key '%.*s': we say %d\n", (int)pattern->len, pattern->bytes,
                    (int)keys[i].len, keys[i].bytes, ours);
    }
    sta_glob_fini(&glob);
    return different;
}

static void every_pattern_matches_the_keys_that_redis_says(void **state)
{
    (void)state;
    const char *given = getenv("STRATA_SEED");
    uint64_t random = given != NULL ? strtoull(given, NULL, 10) : sta_random_seed();
    print_message("STRATA_SEED=%llu\n", (unsigned long long)random);
    assert_true(set_keys(&random));
    unsigned different = 0;
    uint64_t matched = 0;
    for (int i = 0; i < PATTERNS; i++) {
        struct text pattern = pattern_make(&random);
        redisReply *reply = redisCommand(redis, "KEYS %b", pattern.bytes, pattern.len);
        assert_non_null(reply);
        assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
        different += differences(&pattern, reply, &matched);
        freeReplyObject(reply);
    }
    print_message("%llu matches\n", (unsigned long long)matched);
    assert_int_equal(different, 0);
    assert_true(matched > PATTERNS); /* it was not all about nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pattern_matches_the_keys_that_redis_says),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
