/* SPDX-License-Identifier: MIT
 *
 * What is in doubt is read again at a bounded rate: after the connection was lost everything in L1
 * is suspect, threads ask for it, and what reaches Redis is counted. No answer may be wrong.
 * Against a real Redis.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/rate.h"
#include "integration/cache_rig.h"
#include "support/fake_redis.h"
#include "support/redis_server.h"
#include "support/wait.h"

#define PATIENT_MS 20000u
#define PREFIX     "atp:cache:"
#define KEYS       1500u
#define RATE       400u
#define THREADS    4u
#define WAITERS    8u
#define AT_ONCE    10u

static void foreign_do(const char *command)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), command);
    assert_non_null(reply);
    assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
    freeReplyObject(reply);
}

static struct strata *open_with(struct strata_options options)
{
    options.l1_max_size = 10 * KEYS;
    return cache_rig_open(options);
}

static void key_of(unsigned i, char *key, size_t cap)
{
    (void)snprintf(key, cap, "key:%u", i);
}

/* The value is the key. */
static int get_checked(struct strata *cache, unsigned i)
{
    char key[32];
    struct strata_value value = {0};
    key_of(i, key, sizeof key);
    int status = strata_get(cache, strata_text(key), &value);
    if (status == STRATA_OK || status == STRATA_STALE)
        assert_memory_equal(value.bytes.data, key, value.bytes.len);
    strata_release(&value);
    return status;
}

struct target {
    struct strata *cache;
    unsigned count;
};

/* Whether all of them are answered by L1. */
static bool is_kept(void *arg)
{
    const struct target *target = arg;
    uint64_t hits = numbers(target->cache).l1.hits;
    for (unsigned i = 0; i < target->count; i++)
        assert_int_equal(get_checked(target->cache, i), STRATA_OK);
    return numbers(target->cache).l1.hits - hits == target->count;
}

static void fill(struct strata *cache, unsigned count)
{
    struct target target = {cache, count};
    char key[32];
    for (unsigned i = 0; i < count; i++) {
        key_of(i, key, sizeof key);
        freeReplyObject(redisCommand(cache_rig_foreign(), "SET " PREFIX "%s %s", key, key));
    }
    assert_true(wait_until(is_kept, &target, PATIENT_MS));
}

static bool has_doubted(void *arg)
{
    const struct strata_statistics now = numbers(arg);
    return now.invalidations_of_all > 0 && now.l2_connected == 1;
}

static void cast_doubt(struct strata *cache)
{
    foreign_do("CLIENT KILL TYPE normal SKIPME yes");
    assert_true(wait_until(has_doubted, cache, PATIENT_MS));
    assert_int_equal(numbers(cache).repairs, 0);
}

/* By Redis' own count. */
static uint64_t gets_seen_by_redis(void)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), "INFO commandstats");
    assert_non_null(reply);
    const char *at = strstr(reply->str, "cmdstat_get:calls=");
    uint64_t calls = at != NULL ? strtoull(strchr(at, '=') + 1, NULL, 10) : 0;
    freeReplyObject(reply);
    return calls;
}

/* Asks for so many at once that the next turn is far away. */
static void use_up_from(struct strata *cache, unsigned from)
{
    uint64_t repairs = numbers(cache).repairs;
    char names[AT_ONCE][32];
    struct strata_bytes keys[AT_ONCE];
    struct strata_value values[AT_ONCE];
    int statuses[AT_ONCE];
    for (unsigned i = 0; i < AT_ONCE; i++) {
        key_of(from + i, names[i], sizeof names[i]);
        keys[i] = strata_text(names[i]);
    }
    assert_int_equal(strata_get_many(cache, keys, AT_ONCE, values, statuses), STRATA_OK);
    for (unsigned i = 0; i < AT_ONCE; i++)
        strata_release(&values[i]);
    assert_int_equal(numbers(cache).repairs, repairs + AT_ONCE);
}

static void use_up(struct strata *cache)
{
    use_up_from(cache, 0);
}

/* ---- readers ---- */

struct readers {
    struct strata *cache;
    pthread_t threads[WAITERS];
    unsigned count;
    atomic_bool stop;
    atomic_uint next;
    _Atomic uint64_t by_status[3]; /* OK, BUSY, another */
};

static void note(struct readers *readers, int status)
{
    unsigned which = status == STRATA_OK ? 0 : status == STRATA_ERR_BUSY ? 1 : 2;
    atomic_fetch_add(&readers->by_status[which], 1);
}

static void *read_all(void *arg)
{
    struct readers *readers = arg;
    while (!atomic_load(&readers->stop))
        note(readers, get_checked(readers->cache, atomic_fetch_add(&readers->next, 7) % KEYS));
    return NULL;
}

static void *read_key_1(void *arg)
{
    note(arg, get_checked(((struct readers *)arg)->cache, 1));
    return NULL;
}

static void *read_another_key(void *arg)
{
    struct readers *readers = arg;
    note(readers, get_checked(readers->cache, atomic_fetch_add(&readers->next, 1)));
    return NULL;
}

static void start(struct readers *readers, struct strata *cache, unsigned count,
                  void *(*run)(void *))
{
    *readers = (struct readers){.cache = cache, .count = count, .next = AT_ONCE};
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(pthread_create(&readers->threads[i], NULL, run, readers), 0);
}

static void join(struct readers *readers)
{
    atomic_store(&readers->stop, true);
    for (unsigned i = 0; i < readers->count; i++)
        assert_int_equal(pthread_join(readers->threads[i], NULL), 0);
}

static bool half_is_repaired(void *arg)
{
    return numbers(arg).repairs >= KEYS / 2;
}

/* ---- */

static void what_is_in_doubt_is_read_again_no_faster_than_the_rate(void **state)
{
    (void)state;
    struct readers readers;
    struct strata *cache = open_with((struct strata_options){.repair_rate = RATE});
    fill(cache, KEYS);
    uint64_t gets = gets_seen_by_redis(), canaries = numbers(cache).canaries;
    uint64_t since_ns = sta_clock_now_ns();
    cast_doubt(cache);
    start(&readers, cache, THREADS, read_all);
    assert_true(wait_until(half_is_repaired, cache, PATIENT_MS));
    uint64_t seen = gets_seen_by_redis() - gets;
    struct strata_statistics now = numbers(cache);
    uint64_t took_ns = sta_clock_now_ns() - since_ns;
    join(&readers);
    uint64_t most = RATE * (took_ns + STA_RATE_SAVED_NS) / STA_NS_SEC + 1;
    uint64_t proofs = now.canaries - canaries + took_ns / (STA_NS_SEC / 2) + 2;
    assert_true(now.repairs <= most);
    assert_true(seen <= most + proofs);
    assert_true(now.repairs_delayed > 0);
    assert_int_equal(readers.by_status[1], 0); /* the time of a call is far more than a turn */
    assert_int_equal(readers.by_status[2], 0);
    strata_close(&cache);
}

static void without_a_bound_nobody_waits(void **state)
{
    (void)state;
    struct strata *cache = open_with((struct strata_options){.repair_rate = STRATA_UNLIMITED});
    struct target target = {cache, KEYS};
    fill(cache, KEYS);
    cast_doubt(cache);
    (void)is_kept(&target);
    assert_true(numbers(cache).repairs >= KEYS);
    assert_int_equal(numbers(cache).repairs_delayed, 0);
    strata_close(&cache);
}

static void change_rate(struct strata *cache, const char *rate)
{
    const struct strata_setting setting = {"repair_rate", rate};
    assert_int_equal(strata_reconfigure(cache, &setting, 1, NULL), STRATA_OK);
}

/* By the old rate the next turn would be ten seconds away; and by the new one again. */
static void the_rate_is_another_one_at_once(void **state)
{
    (void)state;
    struct strata *cache =
        open_with((struct strata_options){.repair_rate = 1, .socket_timeout_ms = 2500});
    fill(cache, 4 * AT_ONCE + 1);
    cast_doubt(cache);
    use_up(cache);
    assert_int_equal(get_checked(cache, AT_ONCE), STRATA_ERR_BUSY);
    change_rate(cache, "unlimited");
    for (unsigned i = AT_ONCE; i < 3 * AT_ONCE; i++)
        assert_int_equal(get_checked(cache, i), STRATA_OK);
    change_rate(cache, "1");
    use_up_from(cache, 3 * AT_ONCE);
    assert_int_equal(get_checked(cache, 4 * AT_ONCE), STRATA_ERR_BUSY);
    strata_close(&cache);
}

static void all_that_wait_for_one_key_cost_one_question(void **state)
{
    (void)state;
    struct readers readers;
    struct strata *cache = open_with((struct strata_options){.repair_rate = 1});
    fill(cache, 2);
    cast_doubt(cache);
    assert_int_equal(get_checked(cache, 0), STRATA_OK); /* and the rate is used up */
    start(&readers, cache, WAITERS, read_key_1);
    join(&readers);
    assert_int_equal(readers.by_status[0], WAITERS);
    assert_int_equal(numbers(cache).repairs, 2);
    assert_true(numbers(cache).repairs_delayed > 0);
    strata_close(&cache);
}

static void whose_turn_would_come_too_late_is_told_at_once(struct strata_options options,
                                                           int expected)
{
    struct strata *cache;
    struct readers readers;
    options.repair_rate = 1;
    options.socket_timeout_ms = 2500;
    cache = open_with(options);
    fill(cache, AT_ONCE + WAITERS);
    cast_doubt(cache);
    use_up(cache);
    start(&readers, cache, WAITERS, read_another_key);
    join(&readers);
    struct strata_statistics now = numbers(cache);
    assert_true(now.repairs_refused > 0);
    assert_int_equal(readers.by_status[expected == STRATA_ERR_BUSY ? 1 : 2], now.repairs_refused);
    assert_int_equal(now.stale_answers, expected == STRATA_STALE ? now.repairs_refused : 0);
    strata_close(&cache);
}

static void whose_turn_would_come_too_late_is_busy(void **state)
{
    (void)state;
    whose_turn_would_come_too_late_is_told_at_once((struct strata_options){0}, STRATA_ERR_BUSY);
}

static void or_gets_what_is_stale_where_that_is_wanted(void **state)
{
    (void)state;
    whose_turn_would_come_too_late_is_told_at_once(
        (struct strata_options){.serve_stale = STRATA_SERVE_STALE_ON}, STRATA_STALE);
}

static void or_an_error_where_that_is_wanted(void **state)
{
    (void)state;
    whose_turn_would_come_too_late_is_told_at_once(
        (struct strata_options){.serve_stale = STRATA_SERVE_STALE_ERROR}, STRATA_ERR_UNPROVEN);
}

static void reads_of_other_keys_do_not_wait(void **state)
{
    (void)state;
    struct strata *cache = open_with((struct strata_options){.repair_rate = 1});
    fill(cache, 2);
    cast_doubt(cache);
    assert_int_equal(get_checked(cache, 0), STRATA_OK); /* and the rate is used up */
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(get_checked(cache, KEYS + i), STRATA_MISS);
        assert_int_equal(set_text(cache, "own", "value", 0), STRATA_OK);
    }
    assert_int_equal(numbers(cache).repairs_delayed, 0);
    strata_close(&cache);
}

static bool is_away(void *arg)
{
    return get_checked(arg, 0) == STRATA_ERR_UNAVAILABLE;
}

static void while_redis_is_away_nobody_waits_for_a_turn(void **state)
{
    (void)state;
    struct redis_server *mortal = NULL;
    assert_int_equal(redis_server_start(&mortal, NULL), 0);
    struct strata *cache = open_with((struct strata_options){
        .redis_url = redis_server_url(mortal), .repair_rate = 1, .socket_timeout_ms = 20000});
    for (unsigned i = 0; i < WAITERS; i++) {
        char key[32];
        key_of(i, key, sizeof key);
        assert_int_equal(set_text(cache, key, key, 0), STRATA_OK);
    }
    redis_server_kill9(mortal);
    assert_true(wait_until(is_away, cache, PATIENT_MS));
    struct strata_statistics before = numbers(cache);
    for (unsigned i = 0; i < 20 * WAITERS; i++)
        assert_int_equal(get_checked(cache, i % WAITERS), STRATA_ERR_UNAVAILABLE);
    assert_int_equal(numbers(cache).repairs_delayed, before.repairs_delayed);
    assert_int_equal(numbers(cache).repairs, before.repairs);
    strata_close(&cache);
    redis_server_stop(&mortal);
}

static bool has_delayed(void *arg)
{
    return numbers(arg).repairs_delayed > 0;
}

/* A key in doubt, and many of which L1 has nothing. */
static void *read_among_others(void *arg)
{
    enum { COUNT = 300 };
    struct readers *readers = arg;
    char names[COUNT][32];
    struct strata_bytes keys[COUNT];
    struct strata_value values[COUNT];
    int statuses[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        key_of(i == 0 ? AT_ONCE : KEYS + i, names[i], sizeof names[i]);
        keys[i] = strata_text(names[i]);
    }
    note(readers, strata_get_many(readers->cache, keys, COUNT, values, statuses));
    strata_release(&values[0]);
    return NULL;
}

static void who_waits_is_reckoned_by_what_is_in_doubt_alone(void **state)
{
    (void)state;
    struct readers readers;
    struct strata *cache =
        open_with((struct strata_options){.repair_rate = 10, .socket_timeout_ms = 20000});
    fill(cache, AT_ONCE + 2);
    cast_doubt(cache);
    use_up(cache);
    start(&readers, cache, 1, read_among_others);
    assert_true(wait_until(has_delayed, cache, PATIENT_MS));
    assert_int_equal(get_checked(cache, AT_ONCE + 1), STRATA_OK);
    join(&readers);
    assert_int_equal(readers.by_status[0], 1);
    assert_int_equal(numbers(cache).repairs_refused, 0);
    strata_close(&cache);
}

/* ---- what was asked ---- */

/* Redis has a value of this key, and no barriers. */
static struct fake_redis *start_fake(void)
{
    struct fake_redis *fake = fake_redis_start(NULL);
    fake_redis_say(fake, "HGETALL *", 0, "%0\r\n");
    fake_redis_say(fake, "GET " PREFIX "*", 1, "$1\r\nv\r\n");
    fake_redis_say(fake, "PTTL *", 1, ":-1\r\n");
    return fake;
}

static struct strata *open_fake(struct fake_redis *fake, struct strata_options options)
{
    char url[64];
    (void)snprintf(url, sizeof url, "redis://%s", fake_redis_address(fake));
    options.redis_url = url;
    options.repair_rate = 1;
    options.socket_timeout_ms = 500;
    return open_with(options);
}

static void lose_connections(struct strata *cache, struct fake_redis *fake)
{
    fake_redis_drop(fake, false);
    assert_true(wait_until(has_doubted, cache, PATIENT_MS));
}

/* That it is loading is an answer, though not to the question. */
static void what_redis_has_answered_in_any_way_has_had_its_turn(void **state)
{
    (void)state;
    struct fake_redis *fake = start_fake();
    struct strata *cache = open_fake(fake, (struct strata_options){0});
    assert_int_equal(get_status(cache, "k"), STRATA_OK);
    fake_redis_say(fake, "GET " PREFIX "*", 0, "-LOADING Redis is loading\r\n");
    fake_redis_say(fake, "PTTL *", 0, "-LOADING Redis is loading\r\n");
    lose_connections(cache, fake);
    uint64_t seen = fake_redis_seen(fake, "GET " PREFIX "k");
    int status = get_status(cache, "k"); /* it was asked again and again, until its time was over */
    assert_true(status == STRATA_ERR_UNAVAILABLE || status == STRATA_ERR_TIMEOUT);
    assert_true(fake_redis_seen(fake, "GET " PREFIX "k") > seen);
    assert_int_equal(numbers(cache).repairs, 1);
    strata_close(&cache);
    fake_redis_stop(&fake);
}

/* Of a batch only what is in doubt had a turn to be given back. */
static void what_was_not_in_doubt_gives_no_turn_back(void **state)
{
    (void)state;
    struct fake_redis *fake = start_fake(), *gone = fake_redis_start(NULL);
    const char *seed = fake_redis_address(fake);
    const struct fake_range ranges[] = {
        {.first = 0, .last = 8191, .host = "127.0.0.1", .port = fake_redis_port(fake)},
        {.first = 8192, .last = 16383, .host = "127.0.0.1", .port = fake_redis_port(gone)},
    };
    const struct strata_bytes keys[] = {strata_text("{b}"), strata_text("{a}")}; /* 3300, 15495 */
    struct strata_value values[2];
    int statuses[2];
    fake_redis_set_slots(fake, ranges, 2);
    fake_redis_stop(&gone);
    struct strata *cache = open_fake(fake, (struct strata_options){.cluster_enabled = STRATA_ON,
                                                                   .cluster_nodes = &seed,
                                                                   .cluster_node_count = 1});
    assert_int_equal(get_status(cache, "{b}"), STRATA_OK);
    fake_redis_say(fake, "GET " PREFIX "*", 0, "$1\r\nw\r\n");
    fake_redis_say(fake, "PTTL *", 0, ":-1\r\n");
    lose_connections(cache, fake);
    assert_int_equal(strata_get_many(cache, keys, 2, values, statuses), STRATA_ERR_PARTIAL);
    assert_int_equal(statuses[0], STRATA_OK);
    assert_int_equal(statuses[1], STRATA_ERR_UNAVAILABLE);
    assert_int_equal(numbers(cache).repairs, 1);
    strata_release(&values[0]);
    strata_close(&cache);
    fake_redis_stop(&fake);
}

struct late {
    atomic_int status;
};

static void on_got(void *arg, int status, struct strata_value *value)
{
    struct late *late = arg;
    (void)value;
    atomic_store(&late->status, status);
}

static void what_waits_ends_when_the_cache_is_closed(void **state)
{
    (void)state;
    struct late late = {.status = STRATA_MORE};
    struct strata_completion completion = {.call = on_got, .arg = &late};
    struct strata *cache =
        open_with((struct strata_options){.repair_rate = 1, .socket_timeout_ms = 60000});
    fill(cache, AT_ONCE + 2);
    cast_doubt(cache);
    use_up(cache);
    assert_int_equal(strata_get_async(cache, strata_text("key:11"), completion), STRATA_OK);
    assert_true(wait_until(has_delayed, cache, PATIENT_MS));
    strata_close(&cache);
    assert_int_equal(late.status, STRATA_ERR_CLOSED);
}

#define TEST(name) cmocka_unit_test_setup(name, cache_rig_flush)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_in_doubt_is_read_again_no_faster_than_the_rate),
        TEST(without_a_bound_nobody_waits),
        TEST(the_rate_is_another_one_at_once),
        TEST(all_that_wait_for_one_key_cost_one_question),
        TEST(whose_turn_would_come_too_late_is_busy),
        TEST(or_gets_what_is_stale_where_that_is_wanted),
        TEST(or_an_error_where_that_is_wanted),
        TEST(reads_of_other_keys_do_not_wait),
        TEST(while_redis_is_away_nobody_waits_for_a_turn),
        TEST(who_waits_is_reckoned_by_what_is_in_doubt_alone),
        TEST(what_redis_has_answered_in_any_way_has_had_its_turn),
        TEST(what_was_not_in_doubt_gives_no_turn_back),
        TEST(what_waits_ends_when_the_cache_is_closed),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
