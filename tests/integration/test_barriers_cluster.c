/* SPDX-License-Identifier: MIT
 *
 * Barriers before a cluster: the hash is on one node, what it hides on all of them, and its slot
 * may go elsewhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "integration/cluster_pattern.h"
#include "integration/cluster_rig.h"
#include "integration/held_pattern.h"
#include "support/wait.h"

#define PATIENT_MS CLUSTER_RIG_PATIENT_MS
#define HASH       CLUSTER_PATTERN_HASH
#define WARM       CLUSTER_PATTERN_WARM

static struct strata *open_with_l1(struct cluster_rig *rig)
{
    return cluster_rig_open(rig, NULL, 0, (struct strata_options){.l1_enabled = STRATA_ON});
}

static void warm(struct strata *cache)
{
    for (unsigned n = 0; n < WARM; n++)
        rig_assert_value(cache, cluster_pattern_key(n), "old");
}

static bool misses_all(void *arg)
{
    for (unsigned n = 0; n < WARM; n++)
        if (rig_get(arg, cluster_pattern_key(n)) != STRATA_MISS)
            return false;
    return true;
}

/* Held, something happens, and what matches stays hidden: from who knew, and from who comes. */
static void hide_while(struct cluster_rig *rig, void (*happens)(struct cluster_rig *rig))
{
    struct strata *cache = open_with_l1(rig), *other = open_with_l1(rig);
    struct held_pattern held = {.cache = cache, .pattern = "s:*"};
    cluster_pattern_fill(cache);
    warm(other);
    held_pattern_begin(&held);
    assert_true(wait_until(misses_all, other, PATIENT_MS));
    happens(rig);
    assert_true(wait_until(misses_all, other, PATIENT_MS));
    struct strata *late = open_with_l1(rig);
    assert_true(wait_until(misses_all, late, PATIENT_MS));
    assert_true(cluster_pattern_left(rig) > 0);
    rig_assert_value(late, "other", "x");
    held_pattern_end(&held);
    assert_int_equal(held.status, STRATA_OK);
    assert_int_equal(cluster_pattern_left(rig), 0);
    strata_close(&late);
    strata_close(&other);
    strata_close(&cache);
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

static bool hash_is_there(void *arg)
{
    struct cluster_rig *rig = arg;
    redisReply *reply =
        redis_cluster_ask(rig->cluster, cluster_pattern_owner(rig, HASH), "EXISTS " HASH);
    bool there = reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
    if (reply != NULL)
        freeReplyObject(reply);
    return there;
}

static void its_node_fails_over_and_loses_it(struct cluster_rig *rig)
{
    int replica = redis_cluster_replica(rig->cluster, cluster_pattern_owner(rig, HASH));
    assert_true(replica >= 0);
    assert_int_equal(redis_cluster_failover(rig->cluster, (unsigned)replica, "TAKEOVER"), 0);
    assert_int_equal(
        redis_cluster_tell(rig->cluster, cluster_pattern_owner(rig, HASH), "DEL " HASH), 0);
    assert_true(wait_until(hash_is_there, rig, PATIENT_MS));
}

static void it_is_put_up_again_where_a_failover_lost_it(void **state)
{
    hide_while(*state, its_node_fails_over_and_loses_it);
}

struct question {
    struct strata *cache;
    const char *key;
};

/* A get is answered, and not from L1. */
static bool asks_redis(void *arg)
{
    const struct question *question = arg;
    struct strata_statistics before, after;
    strata_statistics(question->cache, &before);
    int status = rig_get(question->cache, question->key);
    strata_statistics(question->cache, &after);
    return status == STRATA_OK && after.l1.hits == before.l1.hits;
}

static bool asks_l1(void *arg)
{
    return !asks_redis(arg);
}

static void while_its_node_hangs_l1_is_closed_and_other_nodes_answer(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache = open_with_l1(rig);
    char key[32];
    unsigned n = 0, hangs = cluster_pattern_owner(rig, HASH), elsewhere = (hangs + 1) % 3;
    assert_true(redis_cluster_is_primary(rig->cluster, elsewhere));
    cluster_rig_key_of(rig->cluster, elsewhere, "k", &n, key, sizeof key);
    assert_int_equal(rig_set(cache, key, "v"), STRATA_OK);
    struct question question = {cache, key};
    assert_true(wait_until(asks_l1, &question, PATIENT_MS));
    redis_cluster_freeze(rig->cluster, hangs);
    assert_true(wait_until(asks_redis, &question, PATIENT_MS));
    redis_cluster_thaw(rig->cluster, hangs);
    assert_int_equal(redis_cluster_settle(rig->cluster, PATIENT_MS), 0);
    assert_true(wait_until(asks_l1, &question, PATIENT_MS));
    strata_close(&cache);
}

#define CASE(name) cmocka_unit_test_setup(name, cluster_rig_settle)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_matches_is_hidden_on_every_node),
        CASE(while_its_node_hangs_l1_is_closed_and_other_nodes_answer),
        CASE(it_goes_along_when_its_slot_moves),
        CASE(it_is_put_up_again_where_a_failover_lost_it),
    };
    return cmocka_run_group_tests(tests, cluster_rig_start, cluster_rig_stop);
}
