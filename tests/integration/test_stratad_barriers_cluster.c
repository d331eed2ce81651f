/* SPDX-License-Identifier: MIT
 *
 * What the fleet deletes by pattern is hidden from the clients of a stratad before a Redis Cluster:
 * the hash is on one node, what it hides on all of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "integration/cluster_pattern.h"
#include "integration/held_pattern.h"
#include "integration/stratad_cluster_rig.h"
#include "support/wait.h"

#define PATIENT_MS CLUSTER_RIG_PATIENT_MS
#define PREFIX     CLUSTER_PATTERN_PREFIX
#define HASH       CLUSTER_PATTERN_HASH
#define WARM       CLUSTER_PATTERN_WARM

struct bench {
    struct cluster_rig *rig;
    struct strata *cache; /* that deletes */
    struct stratad_process *stratad;
    redisContext *clients[2]; /* one for each worker */
};

static struct bench open_bench(struct cluster_rig *rig)
{
    struct bench bench = {.rig = rig,
                          .cache = cluster_rig_open_plainly(rig),
                          .stratad = stratad_cluster_start(rig, NULL)};
    bench.clients[0] = rig_client(bench.stratad);
    bench.clients[1] = rig_client(bench.stratad);
    return bench;
}

static void close_bench(struct bench *bench)
{
    redisFree(bench->clients[0]);
    redisFree(bench->clients[1]);
    stratad_process_stop(&bench->stratad);
    strata_close(&bench->cache);
}

/* Whether a GET is answered so; NULL: with none. */
static bool gets(redisContext *client, const char *key, const char *expected)
{
    redisReply *reply = redisCommand(client, "GET " PREFIX "%s", key);
    assert_non_null(reply);
    bool so = expected == NULL
                  ? reply->type == REDIS_REPLY_NIL
                  : reply->type == REDIS_REPLY_STRING && strcmp(reply->str, expected) == 0;
    freeReplyObject(reply);
    return so;
}

static void warm(struct bench *bench)
{
    for (unsigned n = 0; n < WARM; n++)
        assert_true(gets(bench->clients[n % 2], cluster_pattern_key(n), "old"));
}

static bool all_are_hidden(void *arg)
{
    const struct bench *bench = arg;
    for (unsigned n = 0; n < WARM; n++)
        if (!gets(bench->clients[n % 2], cluster_pattern_key(n), NULL))
            return false;
    return true;
}

/* One command for keys of several nodes. */
static void assert_mget_hides(redisContext *client)
{
    redisReply *reply =
        redisCommand(client, "MGET " PREFIX "s:0 " PREFIX "s:1 " PREFIX "other " PREFIX "s:2");
    assert_non_null(reply);
    assert_int_equal(reply->elements, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(reply->element[i]->type, i == 2 ? REDIS_REPLY_STRING : REDIS_REPLY_NIL);
    freeReplyObject(reply);
}

/* Held, something happens, and what matches stays hidden: from who knew, and from who comes. */
static void hide_while(struct cluster_rig *rig, void (*happens)(struct cluster_rig *rig))
{
    struct bench bench = open_bench(rig);
    struct held_pattern held = {.cache = bench.cache, .pattern = "s:*"};
    cluster_pattern_fill(bench.cache);
    warm(&bench);
    held_pattern_begin(&held);
    assert_true(wait_until(all_are_hidden, &bench, PATIENT_MS));
    happens(rig);
    assert_true(wait_until(all_are_hidden, &bench, PATIENT_MS));
    assert_mget_hides(bench.clients[0]);
    struct bench late = open_bench(rig);
    assert_true(wait_until(all_are_hidden, &late, PATIENT_MS));
    assert_mget_hides(late.clients[1]);
    freeReplyObject(redisCommand(bench.clients[0], "SET " PREFIX "s:1 mine"));
    assert_true(gets(bench.clients[1], "s:1", "mine"));
    assert_true(gets(late.clients[0], "s:1", NULL));
    assert_true(gets(late.clients[0], "other", "x"));
    assert_true(cluster_pattern_left(rig) > 0);
    held_pattern_end(&held);
    assert_int_equal(held.status, STRATA_OK);
    close_bench(&late);
    close_bench(&bench);
}

static void nothing_happens(struct cluster_rig *rig)
{
    (void)rig;
}

static void what_matches_is_hidden_on_every_node(void **state)
{
    hide_while(*state, nothing_happens);
}

static void it_goes_along_when_its_slot_moves(void **state)
{
    hide_while(*state, cluster_pattern_move_hash);
}

/* A key of this namespace on another node than the hash's. */
static void name_elsewhere(struct cluster_rig *rig, char name[static 32])
{
    char whole[48];
    unsigned n = 0;
    do {
        (void)snprintf(name, 32, "k:%u", n++);
        (void)snprintf(whole, sizeof whole, PREFIX "%s", name);
    } while (cluster_pattern_owner(rig, whole) == cluster_pattern_owner(rig, HASH) ||
             cluster_pattern_owner(rig, whole) == cluster_pattern_owner(rig, "strata:barriers"));
}

struct l1_question {
    redisContext *client;
    const char *key;
    bool answers;
};

static bool l1_answers_or_not(void *arg)
{
    const struct l1_question *question = arg;
    long long hits = stratad_cluster_number(question->client, "hits");
    if (!gets(question->client, question->key, "v"))
        return false;
    return (stratad_cluster_number(question->client, "hits") > hits) == question->answers;
}

static void while_its_node_hangs_l1_is_closed_and_other_nodes_answer(void **state)
{
    struct cluster_rig *rig = *state;
    struct bench bench = open_bench(rig);
    char key[32];
    unsigned node = cluster_pattern_owner(rig, HASH);
    name_elsewhere(rig, key);
    assert_int_equal(rig_set(bench.cache, key, "v"), STRATA_OK);
    struct l1_question question = {bench.clients[0], key, true};
    assert_true(wait_until(l1_answers_or_not, &question, PATIENT_MS));
    redis_cluster_freeze(rig->cluster, node);
    question.answers = false;
    assert_true(wait_until(l1_answers_or_not, &question, PATIENT_MS));
    redis_cluster_thaw(rig->cluster, node);
    question.answers = true;
    assert_true(wait_until(l1_answers_or_not, &question, PATIENT_MS));
    close_bench(&bench);
}

struct idle {
    const struct redis_cluster *cluster;
    uint64_t until; /* so many SETs */
};

static bool has_proven_for_a_while(void *arg)
{
    const struct idle *idle = arg;
    return redis_cluster_calls(idle->cluster, "set:") >= idle->until;
}

/* The hashes of its two namespaces are on two nodes. Each is read a few times in a second, as
 * canaries are set: answers of one node make it doubt nothing of the other's. */
static void who_has_nothing_to_do_asks_little(void **state)
{
    struct cluster_rig *rig = *state;
    struct bench bench = open_bench(rig);
    assert_int_not_equal(cluster_pattern_owner(rig, HASH),
                         cluster_pattern_owner(rig, "strata:barriers"));
    assert_int_equal(rig_set(bench.cache, "k", "v"), STRATA_OK);
    assert_true(gets(bench.clients[0], "k", "v"));
    uint64_t before = redis_cluster_calls(rig->cluster, "hgetall:");
    struct idle idle = {rig->cluster, redis_cluster_calls(rig->cluster, "set:") + 10};
    assert_true(wait_until(has_proven_for_a_while, &idle, PATIENT_MS));
    uint64_t asked = redis_cluster_calls(rig->cluster, "hgetall:") - before;
    print_message("# %" PRIu64 " readings of barriers in the time of 10 canaries\n", asked);
    assert_true(asked <= 100);
    close_bench(&bench);
}

#define CASE(name) cmocka_unit_test_setup(name, cluster_rig_settle)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_matches_is_hidden_on_every_node),
        CASE(it_goes_along_when_its_slot_moves),
        CASE(who_has_nothing_to_do_asks_little),
        CASE(while_its_node_hangs_l1_is_closed_and_other_nodes_answer),
    };
    return cmocka_run_group_tests(tests, cluster_rig_start, cluster_rig_stop);
}
