/* SPDX-License-Identifier: MIT
 *
 * What is in doubt, stratad reads again at a bounded rate, over all its workers: connections are
 * killed while clients ask, and what reaches Redis is counted by Redis. No answer may be wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/rate.h"
#include "integration/stratad_rig.h"
#include "support/wait.h"

#define PATIENT_MS 20000u
#define WORKERS    3u
#define KEYS       1500u
#define RATE       100u
#define ENOUGH     300u /* read again: a bound that were none would be past this in no time */
#define PIPELINE   20u  /* GETs of a client at a time */

struct bench {
    struct stratad_process *stratad;
    redisContext *direct;
    redisContext *clients[WORKERS]; /* one for each worker: sockets are given out by turns */
    unsigned next;
};

static void run(redisContext *context, const char *command)
{
    redisReply *reply = redisCommand(context, command);
    assert_non_null(reply);
    if (reply->type == REDIS_REPLY_ERROR)
        fail_msg("%s: %s", command, reply->str);
    freeReplyObject(reply);
}

static json_int_t statistic(const struct bench *bench, const char *group, const char *name)
{
    redisReply *reply = redisCommand(bench->clients[0], "STRATA STATS");
    assert_non_null(reply);
    json_t *root = json_loadb(reply->str, reply->len, 0, NULL);
    freeReplyObject(reply);
    json_t *value = json_object_get(json_object_get(root, group), name);
    assert_true(json_is_integer(value));
    json_int_t number = json_integer_value(value);
    json_decref(root);
    return number;
}

static json_int_t repairs(const struct bench *bench)
{
    return statistic(bench, "coherence", "repairs");
}

/* Asks for so many keys in one pipeline, through this client; every value is its key. */
static void ask(redisContext *client, unsigned from, unsigned count)
{
    char key[32];
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(redisAppendCommand(client, "GET key:%u", (from + i) % KEYS), REDIS_OK);
    for (unsigned i = 0; i < count; i++) {
        redisReply *reply = NULL;
        assert_int_equal(redisGetReply(client, (void **)&reply), REDIS_OK);
        (void)snprintf(key, sizeof key, "key:%u", (from + i) % KEYS);
        rig_assert_says(reply, key);
    }
}

static bool is_kept(void *arg)
{
    const struct bench *bench = arg;
    json_int_t hits = statistic(bench, "l1", "hits");
    ask(bench->clients[0], 0, KEYS);
    return statistic(bench, "l1", "hits") == hits + KEYS;
}

static void fill(const struct bench *bench)
{
    for (unsigned i = 0; i < KEYS; i++) {
        redisReply *reply = redisCommand(bench->direct, "SET key:%u key:%u", i, i);
        rig_assert_says(reply, "OK");
    }
}

/* L1 has all keys, and believes in them for as long as no connection is lost. */
static struct bench open_full_by(const char *option, const char *value)
{
    const char *const args[] = {
        "--workers", "3", "--max-staleness", "60", option, value, "--socket-timeout", "10", NULL};
    struct bench bench = {.stratad = rig_start(args),
                          .direct = rig_connect(redis_server_socket(rig_server))};
    for (unsigned i = 0; i < WORKERS; i++)
        bench.clients[i] = rig_client(bench.stratad);
    fill(&bench);
    assert_true(wait_until(is_kept, &bench, PATIENT_MS));
    return bench;
}

static struct bench open_full(const char *rate)
{
    return open_full_by("--repair-rate", rate);
}

static void close_bench(struct bench *bench)
{
    for (unsigned i = 0; i < WORKERS; i++)
        redisFree(bench->clients[i]);
    redisFree(bench->direct);
    stratad_process_stop(&bench->stratad);
}

/* Every worker has a connection again. */
static bool all_answer(void *arg)
{
    struct bench *bench = arg;
    for (unsigned i = 0; i < WORKERS; i++) {
        redisReply *reply = redisCommand(bench->clients[i], "EXISTS none");
        bool answers = reply != NULL && reply->type == REDIS_REPLY_INTEGER;
        freeReplyObject(reply);
        if (!answers)
            return false;
    }
    return true;
}

static bool has_doubted(void *arg)
{
    return statistic(arg, "coherence", "invalidations_of_all") > 0 && all_answer(arg);
}

static void cast_doubt(struct bench *bench)
{
    run(bench->direct, "CLIENT KILL TYPE normal SKIPME yes");
    assert_true(wait_until(has_doubted, bench, PATIENT_MS));
}

/* By Redis' own count. */
static uint64_t gets_seen_by_redis(const struct bench *bench)
{
    redisReply *reply = redisCommand(bench->direct, "INFO commandstats");
    assert_non_null(reply);
    const char *at = strstr(reply->str, "cmdstat_get:calls=");
    uint64_t calls = at != NULL ? strtoull(strchr(at, '=') + 1, NULL, 10) : 0;
    freeReplyObject(reply);
    return calls;
}

static bool enough_is_repaired(void *arg)
{
    struct bench *bench = arg;
    for (unsigned i = 0; i < WORKERS; i++) /* each through another worker */
        ask(bench->clients[i], bench->next += PIPELINE, PIPELINE);
    return repairs(bench) >= ENOUGH;
}

/* Nobody asks before all is in doubt: what is asked from then on begins with no more than is saved
 * up. */
static void repair_at_the_rate(void (*cast)(struct bench *bench))
{
    struct bench bench = open_full("100");
    cast(&bench);
    uint64_t gets = gets_seen_by_redis(&bench);
    json_int_t canaries = statistic(&bench, "coherence", "canaries");
    uint64_t since_ns = sta_clock_now_ns();
    assert_true(wait_until(enough_is_repaired, &bench, PATIENT_MS));
    uint64_t seen = gets_seen_by_redis(&bench) - gets;
    uint64_t proofs = (uint64_t)(statistic(&bench, "coherence", "canaries") - canaries);
    uint64_t took_ns = sta_clock_now_ns() - since_ns;
    uint64_t most = RATE * (took_ns + STA_RATE_SAVED_NS) / STA_NS_SEC + 1;
    assert_true((uint64_t)repairs(&bench) <= most);
    assert_true(seen <= most + proofs + WORKERS);
    assert_true(seen >= ENOUGH);
    assert_true(statistic(&bench, "coherence", "repairs_delayed") > 0);
    assert_int_equal(statistic(&bench, "coherence", "repairs_refused"), 0);
    close_bench(&bench);
}

static void what_is_in_doubt_is_read_again_no_faster_than_the_rate_over_all_workers(void **state)
{
    (void)state;
    repair_at_the_rate(cast_doubt);
}

/* What is there afterwards somebody has written before Redis was asked for it. */
static void flush_and_fill(struct bench *bench)
{
    run(bench->direct, "FLUSHALL");
    fill(bench);
    assert_true(wait_until(has_doubted, bench, PATIENT_MS));
}

static void nor_is_what_a_flush_has_cast_doubt_on(void **state)
{
    (void)state;
    repair_at_the_rate(flush_and_fill);
}

static void without_a_bound_nobody_waits(void **state)
{
    (void)state;
    struct bench bench = open_full("unlimited");
    cast_doubt(&bench);
    assert_true(wait_until(enough_is_repaired, &bench, PATIENT_MS));
    assert_int_equal(statistic(&bench, "coherence", "repairs_delayed"), 0);
    close_bench(&bench);
}

/* One a second: the first spends what there is, the others ask for one key, and wait. */
static void all_that_wait_for_one_key_cost_one_question(void **state)
{
    (void)state;
    struct bench bench = open_full("1");
    cast_doubt(&bench);
    ask(bench.clients[0], 0, 1);
    json_int_t before = repairs(&bench);
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(redisAppendCommand(bench.clients[i], "GET key:1"), REDIS_OK);
    for (unsigned i = 0; i < WORKERS; i++) {
        redisReply *reply = NULL;
        assert_int_equal(redisGetReply(bench.clients[i], (void **)&reply), REDIS_OK);
        rig_assert_says(reply, "key:1");
    }
    assert_true(repairs(&bench) <= before + 2); /* two workers may look in the same moment */
    assert_true(statistic(&bench, "coherence", "repairs_delayed") > 0);
    close_bench(&bench);
}

struct delayed_since {
    const struct bench *bench;
    json_int_t delayed;
};

static bool somebody_waits(void *arg)
{
    const struct delayed_since *since = arg;
    return statistic(since->bench, "coherence", "repairs_delayed") > since->delayed;
}

static void reads_of_other_keys_do_not_wait(void **state)
{
    (void)state;
    struct bench bench = open_full("1");
    cast_doubt(&bench);
    run(bench.clients[0], "MGET key:2 key:3 key:4 key:5"); /* owed for as many seconds */
    json_int_t delayed = statistic(&bench, "coherence", "repairs_delayed");
    assert_int_equal(redisAppendCommand(bench.clients[2], "GET key:1"), REDIS_OK);
    int done = 0;
    assert_int_equal(redisBufferWrite(bench.clients[2], &done), REDIS_OK);
    struct delayed_since since = {&bench, delayed};
    assert_true(wait_until(somebody_waits, &since, PATIENT_MS));
    for (unsigned i = 0; i < 100; i++) {
        ASSERT_SAYS(bench.direct, "OK", "SET other:%u value", i);
        ASSERT_SAYS(bench.clients[1], "value", "GET other:%u", i);
    }
    assert_int_equal(statistic(&bench, "coherence", "repairs_delayed"), delayed + 1);
    redisReply *reply = NULL;
    assert_int_equal(redisGetReply(bench.clients[2], (void **)&reply), REDIS_OK);
    rig_assert_says(reply, "key:1");
    close_bench(&bench);
}

/* A client's commands keep their order: what he sets behind a get that waits, the get does not
 * see. */
static void what_follows_a_get_that_waits_stays_behind_it(void **state)
{
    (void)state;
    struct bench bench = open_full("1");
    cast_doubt(&bench);
    ask(bench.clients[0], 0, 1);
    assert_int_equal(redisAppendCommand(bench.clients[0], "GET key:1"), REDIS_OK);
    assert_int_equal(redisAppendCommand(bench.clients[0], "SET key:1 new"), REDIS_OK);
    assert_int_equal(redisAppendCommand(bench.clients[0], "MGET key:1 key:2"), REDIS_OK);
    redisReply *reply = NULL;
    assert_int_equal(redisGetReply(bench.clients[0], (void **)&reply), REDIS_OK);
    rig_assert_says(reply, "key:1");
    assert_int_equal(redisGetReply(bench.clients[0], (void **)&reply), REDIS_OK);
    rig_assert_says(reply, "OK");
    assert_int_equal(redisGetReply(bench.clients[0], (void **)&reply), REDIS_OK);
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    assert_string_equal(reply->element[0]->str, "new");
    assert_string_equal(reply->element[1]->str, "key:2");
    freeReplyObject(reply);
    assert_true(statistic(&bench, "coherence", "repairs_delayed") > 0);
    close_bench(&bench);
}

/* Ten keys are owed for, so the next turn is ten seconds away, which is the time of a command. */
static void whose_turn_would_come_too_late_is_busy(void **state)
{
    (void)state;
    struct bench bench = open_full("1");
    cast_doubt(&bench);
    run(bench.clients[0], "MGET key:0 key:1 key:2 key:3 key:4 key:5 key:6 key:7 key:8 key:9 key:10 "
                          "key:11 key:12 key:13 key:14 key:15 key:16 key:17 key:18 key:19");
    ASSERT_SAYS(bench.clients[1], "BUSY", "GET key:30");
    assert_true(statistic(&bench, "coherence", "repairs_refused") > 0);
    ASSERT_SAYS(bench.clients[2], "OK", "SET key:30 key:30"); /* writes do not wait */
    close_bench(&bench);
}

static void write_rate(const char *path, const char *rate)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fprintf(file, "repair_rate = %s\n", rate) > 0);
    assert_int_equal(fclose(file), 0);
}

/* By the old rate all of it would take hours. */
static void a_hangup_brings_another_rate(void **state)
{
    (void)state;
    char path[] = "/tmp/stratad-rate-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    write_rate(path, "1");
    struct bench bench = open_full_by("--config", path);
    cast_doubt(&bench);
    write_rate(path, "unlimited");
    assert_int_equal(kill(stratad_process_pid(bench.stratad), SIGHUP), 0);
    assert_true(stratad_process_says(bench.stratad, "SIGHUP: repair_rate: 1 -> unlimited ("));
    assert_true(wait_until(enough_is_repaired, &bench, PATIENT_MS));
    assert_int_equal(statistic(&bench, "coherence", "repairs_delayed"), 0);
    close_bench(&bench);
    assert_int_equal(unlink(path), 0);
}

/* The turn of a client that has gone is nobody's, and stratad ends. */
static void a_client_that_goes_while_it_waits_leaves_nothing(void **state)
{
    (void)state;
    struct bench bench = open_full("1");
    cast_doubt(&bench);
    ask(bench.clients[0], 0, 1);
    redisContext *gone = rig_client(bench.stratad);
    json_int_t before = repairs(&bench);
    assert_int_equal(redisAppendCommand(gone, "GET key:1"), REDIS_OK);
    int done = 0;
    assert_int_equal(redisBufferWrite(gone, &done), REDIS_OK);
    redisFree(gone);
    ask(bench.clients[1], 2, 1);
    assert_true(repairs(&bench) <= before + 2);
    close_bench(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_doubt_is_read_again_no_faster_than_the_rate_over_all_workers),
        cmocka_unit_test(nor_is_what_a_flush_has_cast_doubt_on),
        cmocka_unit_test(without_a_bound_nobody_waits),
        cmocka_unit_test(all_that_wait_for_one_key_cost_one_question),
        cmocka_unit_test(reads_of_other_keys_do_not_wait),
        cmocka_unit_test(what_follows_a_get_that_waits_stays_behind_it),
        cmocka_unit_test(whose_turn_would_come_too_late_is_busy),
        cmocka_unit_test(a_hangup_brings_another_rate),
        cmocka_unit_test(a_client_that_goes_while_it_waits_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, rig_start_server, rig_stop_server);
}
