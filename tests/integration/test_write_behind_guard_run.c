/* SPDX-License-Identifier: MIT
 *
 * Write-behind with a version guard beside writers that know nothing of it, at random: the versions
 * of a key rise in the order in which its writes were accepted, by us or by Redis, and what an
 * observer reads from Redis never falls.
 *
 *   a lock per key   we: version, strata_set, acknowledged      they: version, SET
 *   the loop                 '-- some time later, a flush
 *   an observer      GET, without the lock
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "integration/cache_rig.h"

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/random.h"
#include "support/fault_proxy.h"

#define LONG_MS       60000u
#define PREFIX        "atp:cache:"
#define KEYS          8
#define STEPS         4000
#define VERSIONS_MOST 4000000

struct run {
    struct strata *cache;
    struct fault_proxy *proxy;
    bool faults;
    pthread_mutex_t locks[KEYS];
    atomic_uint version;
    atomic_bool over;
    atomic_uint fallen; /* versions that were seen after newer ones */
    atomic_bool
        *unanswered; /* writes of ours that were not acknowledged: nothing is promised of them */
};

static void key_name(char *out, size_t cap, unsigned key)
{
    (void)snprintf(out, cap, PREFIX "k%u", key);
}

static void *write_ours(void *arg)
{
    struct run *run = arg;
    uint64_t random = 5;
    while (!atomic_load(&run->over)) {
        unsigned key = (unsigned)sta_random_below(&random, KEYS);
        char name[32], value[16];
        struct strata_value found = {0};
        key_name(name, sizeof name, key);
        if (sta_random_below(&random, 3) == 0) { /* known then, and not a blind write */
            (void)strata_get(run->cache, strata_text(name + strlen(PREFIX)), &found);
            strata_release(&found);
        }
        pthread_mutex_lock(&run->locks[key]);
        unsigned version = atomic_fetch_add(&run->version, 1) + 1;
        (void)snprintf(value, sizeof value, "%u", version);
        int status = set_text(run->cache, name + strlen(PREFIX), value, 0);
        if (status != STRATA_OK)
            atomic_store(&run->unanswered[version], true);
        pthread_mutex_unlock(&run->locks[key]);
        struct timespec pause = {.tv_nsec = 200000};
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void *observe(void *arg)
{
    struct run *run = arg;
    unsigned newest[KEYS] = {0};
    redisContext *redis = redisConnectUnix(cache_rig_socket());
    char name[32];
    for (unsigned key = 0; !atomic_load(&run->over); key = (key + 1) % KEYS) {
        key_name(name, sizeof name, key);
        redisReply *reply = redisCommand(redis, "GET %s", name);
        unsigned seen = reply->type == REDIS_REPLY_STRING ? (unsigned)atoi(reply->str) : 0;
        freeReplyObject(reply);
        if (seen >= newest[key])
            newest[key] = seen;
        else if (!atomic_load(&run->unanswered[seen]))
            atomic_fetch_add(&run->fallen, 1);
    }
    redisFree(redis);
    return NULL;
}

static void disturb(struct run *run, uint64_t *random)
{
    switch (sta_random_below(random, 4)) {
    case 0:
        fault_proxy_reset(run->proxy);
        break;
    case 1:
        fault_proxy_set_way(run->proxy, FAULT_DOWN, (struct fault_way){.drop = true});
        break;
    default:
        fault_proxy_cut(run->proxy);
        fault_proxy_heal(run->proxy);
        break;
    }
}

static void write_theirs(struct run *run, unsigned steps)
{
    uint64_t random = 9;
    char name[32];
    for (unsigned i = 0; i < steps; i++) {
        unsigned key = (unsigned)sta_random_below(&random, KEYS);
        key_name(name, sizeof name, key);
        pthread_mutex_lock(&run->locks[key]);
        unsigned version = atomic_fetch_add(&run->version, 1) + 1;
        freeReplyObject(redisCommand(cache_rig_foreign(), "SET %s %u", name, version));
        pthread_mutex_unlock(&run->locks[key]);
        if (run->faults && i % 50 == 0)
            disturb(run, &random);
        struct timespec pause = {.tv_nsec = (long)sta_random_below(&random, 1500000)};
        nanosleep(&pause, NULL);
    }
}

/* They write STEPS times, or until a version has fallen. */
static void run_with(struct run *run, enum strata_guard guard, bool until_fallen)
{
    char target[256], url[64];
    pthread_t threads[2];
    struct strata_options options = {
        .write_through = STRATA_OFF,
        .write_behind = STRATA_ON,
        .write_behind_interval_ms = 5,
        .write_behind_guard = guard,
        .socket_timeout_ms = 300,
    };
    (void)snprintf(target, sizeof target, "unix:%s", cache_rig_socket());
    run->proxy = fault_proxy_start(NULL, target);
    (void)snprintf(url, sizeof url, "redis://%s", fault_proxy_address(run->proxy));
    options.redis_url = url;
    run->cache = cache_rig_open(options);
    run->unanswered = calloc(VERSIONS_MOST, sizeof *run->unanswered);
    for (int i = 0; i < KEYS; i++)
        pthread_mutex_init(&run->locks[i], NULL);
    assert_int_equal(pthread_create(&threads[0], NULL, write_ours, run), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, observe, run), 0);
    if (!until_fallen)
        write_theirs(run, STEPS);
    for (uint64_t end = sta_clock_now_ms() + LONG_MS;
         until_fallen && atomic_load(&run->fallen) == 0;) {
        assert_true(sta_clock_now_ms() < end);
        write_theirs(run, 20);
    }
    fault_proxy_cut(run->proxy);
    fault_proxy_heal(run->proxy);
    assert_int_equal(strata_flush(run->cache, LONG_MS), STRATA_OK);
    atomic_store(&run->over, true);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    assert_true(atomic_load(&run->version) < VERSIONS_MOST);
}

static void end_run(struct run *run)
{
    strata_close(&run->cache);
    fault_proxy_stop(&run->proxy);
    for (int i = 0; i < KEYS; i++)
        pthread_mutex_destroy(&run->locks[i]);
    free(run->unanswered);
}

static void redis_never_goes_back_from_what_others_wrote(void **state)
{
    (void)state;
    struct run run = {0};
    run_with(&run, STRATA_GUARD_ON, false);
    struct strata_statistics seen = numbers(run.cache);
    print_message("%u versions; of ours %llu flushed, %llu overtaken\n", atomic_load(&run.version),
                  (unsigned long long)seen.write_behind.flushed,
                  (unsigned long long)seen.write_behind.overtaken);
    assert_int_equal(atomic_load(&run.fallen), 0);
    assert_true(seen.write_behind.flushed > 0);
    assert_true(seen.write_behind.overtaken > 0);
    end_run(&run);
}

static void nor_does_it_while_answers_are_lost(void **state)
{
    (void)state;
    struct run run = {.faults = true};
    run_with(&run, STRATA_GUARD_ON, false);
    struct strata_statistics seen = numbers(run.cache);
    print_message("%u versions; of ours %llu flushed, %llu sent again, %llu overtaken\n",
                  atomic_load(&run.version), (unsigned long long)seen.write_behind.flushed,
                  (unsigned long long)seen.write_behind.retried,
                  (unsigned long long)seen.write_behind.overtaken);
    assert_int_equal(atomic_load(&run.fallen), 0);
    assert_true(seen.write_behind.retried > 0);
    end_run(&run);
}

/* Or the two above would prove nothing. */
static void without_a_guard_it_does(void **state)
{
    (void)state;
    struct run run = {0};
    run_with(&run, STRATA_GUARD_OFF, true);
    assert_true(atomic_load(&run.fallen) > 0);
    end_run(&run);
}

#define CASE(name) cmocka_unit_test_setup(name, cache_rig_flush)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(redis_never_goes_back_from_what_others_wrote),
        CASE(nor_does_it_while_answers_are_lost),
        CASE(without_a_guard_it_does),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
