/* SPDX-License-Identifier: MIT
 *
 * Large values before the version guard: who writes one hashes it, and others write meanwhile.
 * Every digest of a large value comes by here (--wrap), and is not made before another thread has
 * written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/cache_rig.h"

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/sha1.h"
#include "support/fault_proxy.h"
#include "support/wait.h"

#define LONG_MS    60000u
#define PATIENT_MS 20000u
#define PREFIX     "atp:cache:"
#define LARGE      ((size_t)1 << 20)

/* What hash() and the thread beside it know of each other. */
static struct {
    struct strata *cache;
    atomic_uint wanted; /* writes that a hash waits for */
    atomic_uint done;
    atomic_uint hashed; /* large values */
    atomic_uint alone;  /* of these, without a write of others meanwhile */
    atomic_bool ends;
} other;

void __real_sta_sha1(struct strata_bytes bytes, uint8_t digest[STA_SHA1_LEN]);
void __wrap_sta_sha1(struct strata_bytes bytes, uint8_t digest[STA_SHA1_LEN]);

static bool has_written(void *arg)
{
    return atomic_load(&other.done) >= *(const unsigned *)arg;
}

void __wrap_sta_sha1(struct strata_bytes bytes, uint8_t digest[STA_SHA1_LEN])
{
    if (bytes.len >= LARGE) {
        unsigned number = atomic_fetch_add(&other.wanted, 1) + 1;
        if (!wait_until(has_written, &number, PATIENT_MS))
            atomic_fetch_add(&other.alone, 1);
        atomic_fetch_add(&other.hashed, 1);
    }
    __real_sta_sha1(bytes, digest);
}

static bool is_wanted(void *arg)
{
    (void)arg;
    return atomic_load(&other.ends) || atomic_load(&other.wanted) > atomic_load(&other.done);
}

static void *write_beside(void *arg)
{
    (void)arg;
    while (wait_until(is_wanted, NULL, LONG_MS) && !atomic_load(&other.ends)) {
        if (set_text(other.cache, "small", "s", 0) == STRATA_OK)
            atomic_fetch_add(&other.done, 1);
    }
    return NULL;
}

static bool is_on_its_way(void *proxy)
{
    return fault_proxy_statistics(proxy).up_bytes >= LARGE / 8; /* nothing else is so much */
}

static void set_large(struct strata *cache, char first)
{
    char *value = malloc(LARGE);
    assert_non_null(value);
    memset(value, 'v', LARGE);
    value[0] = first;
    assert_int_equal(strata_set(cache, strata_text("large"), strata_bytes(value, LARGE), 0),
                     STRATA_OK);
    free(value);
}

static void assert_large(const char *name, char first)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), "GET %s", name);
    assert_int_equal(reply->type, REDIS_REPLY_STRING);
    assert_int_equal(reply->len, LARGE);
    assert_int_equal(reply->str[0], first);
    freeReplyObject(reply);
}

static void others_write_while_a_large_value_is_hashed(void **state)
{
    (void)state;
    pthread_t thread;
    char target[256], url[64];
    (void)snprintf(target, sizeof target, "unix:%s", cache_rig_socket());
    struct fault_proxy *proxy = fault_proxy_start(NULL, target);
    (void)snprintf(url, sizeof url, "redis://%s", fault_proxy_address(proxy));
    struct strata *cache = cache_rig_open((struct strata_options){
        .redis_url = url,
        .write_through = STRATA_OFF,
        .write_behind = STRATA_ON,
        .write_behind_interval_ms = 1,
        .write_behind_guard = STRATA_GUARD_LAX,
        .socket_timeout_ms = PATIENT_MS,
    });
    other.cache = cache;
    assert_int_equal(pthread_create(&thread, NULL, write_beside, NULL), 0);
    /* The first is on its way, and stays there, when the second takes its place. */
    fault_proxy_set_way(proxy, FAULT_UP, (struct fault_way){.bytes_per_second = LARGE});
    set_large(cache, '1');
    assert_true(wait_until(is_on_its_way, proxy, PATIENT_MS));
    fault_proxy_set_way(proxy, FAULT_UP, (struct fault_way){.freeze = true});
    set_large(cache, '2');
    fault_proxy_heal(proxy);
    assert_int_equal(strata_flush(cache, LONG_MS), STRATA_OK);
    assert_large(PREFIX "large", '2');
    assert_int_equal(numbers(cache).write_behind.overtaken, 0);
    assert_int_equal(atomic_load(&other.hashed), 2);
    assert_int_equal(atomic_load(&other.alone), 0);
    atomic_store(&other.ends, true);
    (void)pthread_join(thread, NULL);
    strata_close(&cache);
    fault_proxy_stop(&proxy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(others_write_while_a_large_value_is_hashed, cache_rig_flush),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
