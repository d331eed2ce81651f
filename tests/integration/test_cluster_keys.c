/* SPDX-License-Identifier: MIT
 *
 * The cache before a Redis Cluster that is well: every key finds its node, batches come back in
 * order, and any of the seeds will do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "integration/cluster_rig.h"
#include "strata/l2.h"

#define PATIENT_MS CLUSTER_RIG_PATIENT_MS

static uint64_t keys_on(const struct redis_cluster *cluster, unsigned node)
{
    redisReply *reply = redis_cluster_ask(cluster, node, "DBSIZE");
    assert_non_null(reply);
    uint64_t count = (uint64_t)reply->integer;
    freeReplyObject(reply);
    return count;
}

static void keys_find_their_nodes_whatever_their_slot(void **state)
{
    struct cluster_rig *rig = *state;
    enum { COUNT = 1500 };
    char key[32];
    struct strata *cache = cluster_rig_open_plainly(rig);
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(key, sizeof key, "key:%u", i);
        assert_int_equal(rig_set(cache, key, key), STRATA_OK);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(key, sizeof key, "key:%u", i);
        rig_assert_value(cache, key, key);
    }
    assert_int_equal(rig_get(cache, "none"), STRATA_MISS);
    rig_assert_stored(rig->cluster, "key:7", "key:7"); /* where Redis itself looks for it */
    uint64_t total = 0;
    for (unsigned i = 0; i < 3; i++) {
        unsigned owner = (unsigned)redis_cluster_primary(rig->cluster, i * 5461);
        assert_in_range(keys_on(rig->cluster, owner), COUNT / 4, COUNT / 2);
        total += keys_on(rig->cluster, owner);
    }
    assert_int_equal(total, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(key, sizeof key, "key:%u", i);
        assert_int_equal(strata_delete(cache, strata_text(key)), STRATA_OK);
        assert_int_equal(strata_delete(cache, strata_text(key)), STRATA_MISS);
    }
    strata_close(&cache);
}

/* A map that is right leaves nothing to be redirected: the nodes would have counted it. */
static void no_key_is_sent_to_a_wrong_node_first(void **state)
{
    struct cluster_rig *rig = *state;
    char key[32];
    uint64_t calls[2];
    struct strata *cache = cluster_rig_open_plainly(rig);
    assert_true(rig_answers(cache, "any", PATIENT_MS));
    calls[0] = redis_cluster_calls(rig->cluster, "get:");
    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(key, sizeof key, "direct:%u", i);
        assert_int_equal(rig_get(cache, key), STRATA_MISS);
    }
    calls[1] = redis_cluster_calls(rig->cluster, "get:");
    assert_int_equal(calls[1] - calls[0],
                     300); /* a redirect is a rejected call, and a second one */
    for (unsigned i = 0; i < 6; i++) {
        redisReply *reply = redis_cluster_ask(rig->cluster, i, "INFO errorstats");
        assert_null(strstr(reply->str, "errorstat_MOVED"));
        freeReplyObject(reply);
    }
    strata_close(&cache);
}

static void a_batch_over_all_nodes_comes_back_in_order(void **state)
{
    struct cluster_rig *rig = *state;
    enum { COUNT = 600 };
    struct strata *cache = cluster_rig_open_plainly(rig);
    static char texts[COUNT][32];
    static struct strata_bytes keys[COUNT];
    static struct strata_item items[COUNT];
    static struct strata_value values[COUNT];
    static int statuses[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "batch:%u", i);
        keys[i] = strata_text(texts[i]);
        items[i] = (struct strata_item){.key = keys[i], .value = keys[i]};
    }
    assert_int_equal(strata_set_many(cache, items, COUNT / 2, statuses), STRATA_OK);
    assert_int_equal(strata_get_many(cache, keys, COUNT, values, statuses), STRATA_OK);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(statuses[i], i < COUNT / 2 ? STRATA_OK : STRATA_MISS);
        if (i < COUNT / 2) {
            assert_int_equal(values[i].bytes.len, keys[i].len);
            assert_memory_equal(values[i].bytes.data, texts[i], keys[i].len);
        }
        strata_release(&values[i]);
    }
    assert_int_equal(strata_delete_many(cache, keys, COUNT, statuses), STRATA_OK);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(statuses[i], i < COUNT / 2 ? STRATA_OK : STRATA_MISS);
    strata_close(&cache);
}

static void hash_tags_and_bytes_of_all_kinds_are_hashed_as_redis_does(void **state)
{
    struct cluster_rig *rig = *state;
    static const char *const keys[] = {"{a}1", "{a}2",           "{}x",       "{}",
                                       "a{b",  "a}b{c}d",        "{{a}",      "x{y}{z}",
                                       "{\n}", "\xff\xfe{\x80}", "foo{}{bar}"};
    struct strata *cache =
        cluster_rig_open(rig, NULL, 0, (struct strata_options){.l2_key_prefix = ""});
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        unsigned slot = redis_cluster_slot(rig->cluster, keys[i]);
        unsigned owner = (unsigned)redis_cluster_primary(rig->cluster, slot);
        assert_int_equal(rig_set(cache, keys[i], "tagged"), STRATA_OK);
        redisReply *reply = redis_cluster_ask(rig->cluster, owner, "GET %s", keys[i]);
        assert_string_equal(reply->str, "tagged");
        freeReplyObject(reply);
    }
    strata_close(&cache);
}

static void one_seed_that_lives_is_enough(void **state)
{
    struct cluster_rig *rig = *state;
    const char *seeds[] = {"127.0.0.1:1", "no-such-host.invalid:7000",
                           redis_cluster_address(rig->cluster, 4)};
    struct strata *cache = cluster_rig_open(rig, seeds, 3, (struct strata_options){0});
    assert_true(rig_answers(cache, "any", PATIENT_MS));
    assert_int_equal(rig_set(cache, "a", "1"), STRATA_OK);
    rig_assert_value(cache, "a", "1");
    rig_assert_stored(rig->cluster, "a", "1");
    strata_close(&cache);
}

static void a_seed_may_be_a_name(void **state)
{
    struct cluster_rig *rig = *state;
    char seed[32];
    const char *seeds[] = {seed};
    (void)snprintf(seed, sizeof seed, "localhost:%d", redis_cluster_port(rig->cluster, 1));
    struct strata *cache = cluster_rig_open(rig, seeds, 1, (struct strata_options){0});
    assert_true(rig_answers(cache, "any", PATIENT_MS));
    assert_int_equal(rig_set(cache, "a", "1"), STRATA_OK);
    strata_close(&cache);
}

static void many_threads_read_and_write_on_all_nodes(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache = cluster_rig_open_plainly(rig);
    struct load *load = load_start(
        &(struct load_config){.cache = cache, .prefix = "mixed", .threads = 6, .batch = 50});
    assert_true(load_goes_on(load, 200, PATIENT_MS));
    struct load_result result = load_stop(&load);
    load_assert_right(&result);
    load_assert_none_lost(&result);
    assert_int_equal(result.failed, 0);
    strata_close(&cache);
}

/* The tier by itself, without the cache above it. */
static void l2_alone_reaches_all_nodes(void **state)
{
    struct cluster_rig *rig = *state;
    char key[32];
    const char *seeds[] = {redis_cluster_address(rig->cluster, 2)};
    struct strata_l2 *l2 = NULL;
    struct strata_value value = {0};
    const struct strata_l2_options options = {
        .cluster_enabled = STRATA_ON,
        .cluster_nodes = seeds,
        .cluster_node_count = 1,
    };
    assert_int_equal(strata_l2_open(&l2, &options, NULL), STRATA_OK);
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof key, "alone:%u", i);
        assert_int_equal(strata_l2_set(l2, strata_text(key), strata_text(key), 0), STRATA_OK);
        assert_int_equal(strata_l2_get(l2, strata_text(key), &value), STRATA_OK);
        assert_int_equal(value.bytes.len, strlen(key));
        assert_memory_equal(value.bytes.data, key, value.bytes.len);
        strata_release(&value);
    }
    rig_assert_stored(rig->cluster, "alone:99", "alone:99");
    assert_int_equal(strata_l2_delete(l2, strata_text("alone:99")), STRATA_OK);
    rig_assert_stored(rig->cluster, "alone:99", NULL);
    strata_l2_close(&l2);
}

/* ---- clusters of another kind ---- */

static void assert_serves(const struct redis_cluster_config *config, const char *url)
{
    struct cluster_rig rig = {0};
    char key[32];
    const char *seeds[1];
    log_record_init(&rig.log);
    assert_int_equal(redis_cluster_start(&rig.cluster, config), 0);
    seeds[0] = redis_cluster_address(rig.cluster, 0);
    struct strata *cache =
        cluster_rig_open(&rig, seeds, 1, (struct strata_options){.redis_url = url});
    for (unsigned i = 0; i < 50; i++) {
        (void)snprintf(key, sizeof key, "key:%u", i);
        assert_int_equal(rig_set(cache, key, key), STRATA_OK);
        rig_assert_value(cache, key, key);
    }
    strata_close(&cache);
    redis_cluster_stop(&rig.cluster);
}

static void a_cluster_on_ipv6_is_served(void **state)
{
    (void)state;
    assert_serves(&(struct redis_cluster_config){.no_replicas = true, .host = "::1"}, NULL);
}

static void a_cluster_with_a_password_is_served(void **state)
{
    (void)state;
    assert_serves(&(struct redis_cluster_config){.no_replicas = true, .password = "secret"},
                  "redis://:secret@localhost:6379");
}

static void a_cluster_that_calls_its_nodes_by_name_is_served(void **state)
{
    (void)state;
    assert_serves(&(struct redis_cluster_config){.no_replicas = true, .client_host = "localhost"},
                  NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_key_is_sent_to_a_wrong_node_first),
        cmocka_unit_test_setup(keys_find_their_nodes_whatever_their_slot, cluster_rig_settle),
        cmocka_unit_test_setup(a_batch_over_all_nodes_comes_back_in_order, cluster_rig_settle),
        cmocka_unit_test_setup(hash_tags_and_bytes_of_all_kinds_are_hashed_as_redis_does,
                               cluster_rig_settle),
        cmocka_unit_test_setup(one_seed_that_lives_is_enough, cluster_rig_settle),
        cmocka_unit_test_setup(a_seed_may_be_a_name, cluster_rig_settle),
        cmocka_unit_test_setup(many_threads_read_and_write_on_all_nodes, cluster_rig_settle),
        cmocka_unit_test_setup(l2_alone_reaches_all_nodes, cluster_rig_settle),
        cmocka_unit_test(a_cluster_on_ipv6_is_served),
        cmocka_unit_test(a_cluster_with_a_password_is_served),
        cmocka_unit_test(a_cluster_that_calls_its_nodes_by_name_is_served),
    };
    return cmocka_run_group_tests_name("cluster_keys", tests, cluster_rig_start, cluster_rig_stop);
}
