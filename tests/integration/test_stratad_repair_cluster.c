/* SPDX-License-Identifier: MIT
 *
 * Before a cluster: what a node has cast doubt on is read again at the rate, counted by Redis, and
 * what came from other nodes is answered as before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "core/clock.h"
#include "core/rate.h"
#include "integration/stratad_cluster_rig.h"
#include "support/wait.h"

#define PATIENT_MS CLUSTER_RIG_PATIENT_MS
#define WORKERS    2u
#define NODES      3u
#define KEYS       500u /* of each of two nodes */
#define RATE       100u
#define ENOUGH     300u
#define PIPELINE   20u

struct bench {
    struct cluster_rig *rig;
    struct stratad_process *stratad;
    redisContext *clients[WORKERS]; /* one for each worker */
    char keys[2][KEYS][24];         /* of nodes 0 and 1; every value is its key */
    long long doubts;
    unsigned next;
};

static void ask(const struct bench *bench, redisContext *client, unsigned node, unsigned from,
                unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(redisAppendCommand(client, "GET %s", bench->keys[node][(from + i) % KEYS]),
                         REDIS_OK);
    for (unsigned i = 0; i < count; i++) {
        redisReply *reply = NULL;
        assert_int_equal(redisGetReply(client, (void **)&reply), REDIS_OK);
        rig_assert_says(reply, bench->keys[node][(from + i) % KEYS]);
    }
}

static bool is_kept(void *arg)
{
    const struct bench *bench = arg;
    long long hits = stratad_cluster_number(bench->clients[0], "hits");
    ask(bench, bench->clients[0], 0, 0, KEYS);
    ask(bench, bench->clients[0], 1, 0, KEYS);
    return stratad_cluster_number(bench->clients[0], "hits") == hits + 2 * KEYS;
}

static void open_full(struct bench *bench, struct cluster_rig *rig)
{
    static const char *const more[] = {
        "--max-staleness", "60", "--repair-rate", "100", "--socket-timeout", "10", NULL};
    bench->rig = rig;
    bench->stratad = stratad_cluster_start(rig, more);
    for (unsigned i = 0; i < WORKERS; i++)
        bench->clients[i] = rig_client(bench->stratad);
    for (unsigned node = 0, n = 0; node < 2; node++)
        for (unsigned i = 0; i < KEYS; i++) {
            char *key = bench->keys[node][i];
            stratad_cluster_key_of(rig->cluster, node, "key", &n, key, sizeof bench->keys[0][0]);
            assert_int_equal(redis_cluster_tell(rig->cluster, node, "SET %s %s", key, key), 0);
        }
    assert_true(wait_until(is_kept, bench, PATIENT_MS));
}

/* The node's connections have been missed, and every worker has one again. */
static bool has_doubted(void *arg)
{
    const struct bench *bench = arg;
    if (stratad_cluster_number(bench->clients[0], "invalidations_of_all") <= bench->doubts)
        return false;
    for (unsigned i = 0; i < WORKERS; i++) {
        redisReply *reply = redisCommand(bench->clients[i], "EXISTS %s", bench->keys[0][0]);
        bool answers = reply != NULL && reply->type == REDIS_REPLY_INTEGER;
        freeReplyObject(reply);
        if (!answers)
            return false;
    }
    return true;
}

static long long repairs(const struct bench *bench)
{
    return stratad_cluster_number(bench->clients[0], "repairs");
}

static bool enough_is_repaired(void *arg)
{
    struct bench *bench = arg;
    for (unsigned i = 0; i < WORKERS; i++)
        ask(bench, bench->clients[i], 0, bench->next += PIPELINE, PIPELINE);
    return repairs(bench) >= ENOUGH;
}

static void a_node_that_was_lost_is_asked_at_the_rate_and_others_are_not_asked(void **state)
{
    struct cluster_rig *rig = *state;
    static struct bench bench;
    open_full(&bench, rig);
    bench.doubts = stratad_cluster_number(bench.clients[0], "invalidations_of_all");
    assert_int_equal(redis_cluster_tell(rig->cluster, 0, "CLIENT KILL TYPE normal SKIPME yes"), 0);
    assert_true(wait_until(has_doubted, &bench, PATIENT_MS));

    uint64_t gets = redis_cluster_calls(rig->cluster, "get:");
    long long canaries = stratad_cluster_number(bench.clients[0], "canaries");
    long long hits = stratad_cluster_number(bench.clients[0], "hits");
    uint64_t since_ns = sta_clock_now_ns();
    ask(&bench, bench.clients[0], 1, 0, KEYS);
    assert_int_equal(stratad_cluster_number(bench.clients[0], "hits"), hits + KEYS);
    assert_int_equal(repairs(&bench), 0);

    assert_true(wait_until(enough_is_repaired, &bench, PATIENT_MS));
    uint64_t seen = redis_cluster_calls(rig->cluster, "get:") - gets;
    uint64_t proofs = (uint64_t)(stratad_cluster_number(bench.clients[0], "canaries") - canaries);
    uint64_t took_ns = sta_clock_now_ns() - since_ns;
    uint64_t most = RATE * (took_ns + STA_RATE_SAVED_NS) / STA_NS_SEC + 1;
    assert_true((uint64_t)repairs(&bench) <= most);
    assert_true(seen <= most + proofs + WORKERS * NODES);
    assert_true(seen >= ENOUGH);
    assert_true(stratad_cluster_number(bench.clients[0], "repairs_delayed") > 0);
    for (unsigned i = 0; i < WORKERS; i++)
        redisFree(bench.clients[i]);
    stratad_process_stop(&bench.stratad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_node_that_was_lost_is_asked_at_the_rate_and_others_are_not_asked,
                               cluster_rig_settle),
    };
    return cmocka_run_group_tests(tests, cluster_rig_start, cluster_rig_stop);
}
