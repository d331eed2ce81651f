/* SPDX-License-Identifier: MIT
 *
 * That stratad's numbers add up: each key that clients read is one hit or one miss of L1, or L1 was
 * not asked; each miss has one reason; and so by prefix.
 */
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "integration/stratad_rig.h"
#include "support/wait.h"

static json_t *statistics(redisContext *client)
{
    json_error_t error;
    redisReply *reply = redisCommand(client, "STRATA STATS");
    assert_non_null(reply);
    json_t *document = json_loadb(reply->str, reply->len, 0, &error);
    if (document == NULL)
        fail_msg("%s in %s", error.text, reply->str);
    freeReplyObject(reply);
    return document;
}

static uint64_t at(const json_t *object, const char *path)
{
    char copy[128], *rest = copy;
    (void)snprintf(copy, sizeof copy, "%s", path);
    for (char *name; (name = strsep(&rest, ".")) != NULL;)
        object = json_object_get(object, name);
    if (!json_is_integer(object))
        fail_msg("no number at %s", path);
    return (uint64_t)json_integer_value(object);
}

static uint64_t sum_of_reasons(const json_t *document)
{
    const char *reason;
    json_t *value, *l1 = json_object_get(json_object_get(document, "metrics"), "l1");
    uint64_t sum = 0;
    json_object_foreach(json_object_get(l1, "misses_by_reason"), reason, value)
    {
        sum += (uint64_t)json_integer_value(value);
    }
    return sum;
}

static uint64_t sum_of_prefixes(const json_t *document, const char *path)
{
    size_t i;
    json_t *row;
    uint64_t sum = 0;
    json_array_foreach(json_object_get(document, "prefixes"), i, row)
    {
        sum += at(row, path);
    }
    return sum;
}

/* ---- clients ---- */

#define CLIENTS 4u
#define KEYS    300u

struct reader {
    redisContext *client;
    unsigned seed;
    uint64_t keys;
    const _Atomic bool *over;
};

static unsigned choose(struct reader *reader, unsigned among)
{
    return (unsigned)rand_r(&reader->seed) % among;
}

/* Several commands at once, reads right behind writes of the same keys among them. */
static unsigned send_some(struct reader *reader)
{
    unsigned key = choose(reader, KEYS), other = choose(reader, KEYS);
    redisAppendCommand(reader->client, "GET p%u:%u", key % 5, key);
    redisAppendCommand(reader->client, "SET p%u:%u value PX %d", other % 5, other,
                       choose(reader, 3) == 0 ? 20 : 100000);
    redisAppendCommand(reader->client, "GET p%u:%u", other % 5, other);
    redisAppendCommand(reader->client, "MGET p%u:%u p%u:%u p0:%u", key % 5, key, other % 5, other,
                       choose(reader, KEYS) / 5 * 5);
    redisAppendCommand(reader->client, "DEL p1:%u", choose(reader, KEYS) / 5 * 5 + 1);
    redisAppendCommand(reader->client, "GET p1:%u", choose(reader, KEYS) / 5 * 5 + 1);
    reader->keys += 6;
    return 6;
}

static void *read_much(void *arg)
{
    struct reader *reader = arg;
    while (!atomic_load(reader->over)) {
        for (unsigned left = send_some(reader); left > 0; left--) {
            void *reply = NULL;
            if (redisGetReply(reader->client, &reply) != REDIS_OK)
                return NULL;
            freeReplyObject(reply);
        }
    }
    return arg;
}

/* Now and then stratad's connections are killed: what L1 has is in doubt then. */
static bool all_reasons_were_met(void *arg)
{
    static const char *const reasons[] = {"cold", "expired", "evicted", "invalidated", "suspect"};
    static unsigned looks;
    bool all = true;
    if (looks++ % 64 == 0) {
        redisContext *direct = rig_connect(redis_server_socket(rig_server));
        freeReplyObject(redisCommand(direct, "CLIENT KILL TYPE normal SKIPME yes"));
        redisFree(direct);
    }
    json_t *document = statistics(arg);
    json_t *l1 = json_object_get(json_object_get(document, "metrics"), "l1");
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        all = all && at(json_object_get(l1, "misses_by_reason"), reasons[i]) > 0;
    all = all && at(document, "l1.unasked") > 0;
    json_decref(document);
    return all;
}

/* Until each reason was met. */
static void run_clients(const struct stratad_process *stratad, uint64_t *keys)
{
    struct reader readers[CLIENTS];
    pthread_t threads[CLIENTS];
    _Atomic bool over = false;
    redisContext *watch = rig_client(stratad);
    for (unsigned i = 0; i < CLIENTS; i++) {
        readers[i] = (struct reader){.client = rig_client(stratad), .seed = i + 1, .over = &over};
        assert_int_equal(pthread_create(&threads[i], NULL, read_much, &readers[i]), 0);
    }
    bool met = wait_until(all_reasons_were_met, watch, 60000);
    atomic_store(&over, true);
    for (unsigned i = 0; i < CLIENTS; i++) {
        void *done = NULL;
        assert_int_equal(pthread_join(threads[i], &done), 0);
        assert_non_null(done);
        *keys += readers[i].keys;
        redisFree(readers[i].client);
    }
    redisFree(watch);
    assert_true(met);
}

static void each_key_read_is_a_hit_or_a_miss_with_a_reason(void **state)
{
    (void)state;
    const char *const args[] = {
        "--metrics-detailed", "on",         "--workers", "2", "--l1-max-size", "100",
        "--metrics-prefixes", "p0:,never:", NULL};
    struct stratad_process *stratad = rig_start(args);
    uint64_t keys = 0;
    run_clients(stratad, &keys);
    redisContext *client = rig_client(stratad);
    json_t *document = statistics(client);
    uint64_t hits = at(document, "metrics.l1.hits"), misses = at(document, "metrics.l1.misses");
    assert_int_equal(hits, at(document, "l1.hits"));
    assert_int_equal(hits + misses + at(document, "l1.unasked"), keys);
    assert_int_equal(at(document, "l1.misses"), misses + at(document, "l1.unasked"));
    assert_int_equal(sum_of_reasons(document), misses);
    assert_int_equal(sum_of_prefixes(document, "l1.hits"), hits);
    assert_int_equal(sum_of_prefixes(document, "l1.misses"), misses);
    assert_int_equal(sum_of_prefixes(document, "l2.hits"), at(document, "metrics.l2.hits"));
    assert_int_equal(sum_of_prefixes(document, "l2.misses"), at(document, "metrics.l2.misses"));
    assert_int_equal(json_array_size(json_object_get(document, "prefixes")), 7);
    json_decref(document);
    redisFree(client);
    stratad_process_stop(&stratad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_read_is_a_hit_or_a_miss_with_a_reason),
    };
    return cmocka_run_group_tests(tests, rig_start_server, rig_stop_server);
}
