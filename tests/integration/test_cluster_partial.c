/* SPDX-License-Identifier: MIT
 *
 * A node that is away takes its own keys with it, and no others: a batch brings
 * what the other nodes have, in time, and what could not be asked is neither a
 * miss nor remembered as one. The cluster has no replicas, and serves what it
 * can (cluster-require-full-coverage no).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "integration/cluster_rig.h"
#include "support/stall.h"
#include "support/wait.h"

#define PATIENT_MS CLUSTER_RIG_PATIENT_MS
#define BUDGET_MS  500u
#define SLACK_MS   250u
#define PER_NODE   20u
#define COUNT      (3 * PER_NODE)

/* Keys of all three nodes, one after the other: keys[i] lives on node i % 3. */
struct batch {
    char texts[COUNT][32];
    struct strata_bytes keys[COUNT];
    struct strata_value values[COUNT];
    int statuses[COUNT];
};

static int start(void **state)
{
    static const char *const args[] = {"--cluster-require-full-coverage", "no", NULL};
    static const struct redis_cluster_config config = {.no_replicas = true, .more_args = args};
    return cluster_rig_start_with(state, &config);
}

static int mend(void **state)
{
    struct cluster_rig *rig = *state;
    for (unsigned i = 0; i < 3; i++) {
        if (redis_cluster_pid(rig->cluster, i) != 0)
            redis_cluster_thaw(rig->cluster, i);
        else if (redis_cluster_restart(rig->cluster, i) != 0)
            return -1;
    }
    if (redis_cluster_settle(rig->cluster, PATIENT_MS) != 0)
        return -1;
    for (unsigned i = 0; i < 3; i++)
        if (redis_cluster_tell(rig->cluster, i, "FLUSHALL") != 0)
            return -1;
    return 0;
}

static struct strata *open_cache(struct cluster_rig *rig, struct strata_options options)
{
    const char *seeds[3];
    for (unsigned i = 0; i < 3; i++)
        seeds[i] = redis_cluster_address(rig->cluster, i);
    options.socket_timeout_ms = BUDGET_MS;
    struct strata *cache = cluster_rig_open(rig, seeds, 3, options);
    for (unsigned i = 0; i < 3; i++) {
        char key[32];
        unsigned n = 0;
        cluster_rig_key_of(rig->cluster, i, "warm", &n, key, sizeof key);
        assert_true(rig_answers(cache, key, PATIENT_MS)); /* there is a connection to each */
    }
    return cache;
}

static void fill(struct cluster_rig *rig, struct strata *cache, struct batch *batch,
                 const char *prefix)
{
    unsigned n[3] = {0};
    for (unsigned i = 0; i < COUNT; i++) {
        cluster_rig_key_of(rig->cluster, i % 3, prefix, &n[i % 3], batch->texts[i],
                           sizeof batch->texts[i]);
        n[i % 3]++;
        batch->keys[i] = strata_text(batch->texts[i]);
        assert_int_equal(rig_set(cache, batch->texts[i], batch->texts[i]), STRATA_OK);
    }
}

static uint64_t get_all(struct strata *cache, struct batch *batch, int *status)
{
    struct stall_mark start = stall_mark();
    *status = strata_get_many(cache, batch->keys, COUNT, batch->values, batch->statuses);
    return stall_took_ns(start) / STA_NS_MS;
}

/* What node `away` has is an error, the rest is right. */
static void assert_others_are_there(struct batch *batch, unsigned away)
{
    for (unsigned i = 0; i < COUNT; i++) {
        if (i % 3 == away) {
            assert_true(batch->statuses[i] < 0);
            assert_int_equal(batch->values[i].bytes.len, 0);
        } else {
            assert_int_equal(batch->statuses[i], STRATA_OK);
            assert_int_equal(batch->values[i].bytes.len, batch->keys[i].len);
            assert_memory_equal(batch->values[i].bytes.data, batch->texts[i], batch->keys[i].len);
        }
        strata_release(&batch->values[i]);
    }
}

static void a_dead_node_fails_its_own_keys_only(void **state)
{
    struct cluster_rig *rig = *state;
    static struct batch batch;
    int status;
    struct strata *cache = open_cache(rig, (struct strata_options){0});
    fill(rig, cache, &batch, "dead");
    redis_cluster_kill9(rig->cluster, 1);
    for (int i = 0; i < 5; i++) {
        assert_in_range(get_all(cache, &batch, &status), 0, BUDGET_MS + SLACK_MS);
        assert_int_equal(status, STRATA_ERR_PARTIAL);
        assert_others_are_there(&batch, 1);
    }
    strata_close(&cache);
}

static void a_frozen_node_delays_a_batch_by_its_budget_and_soon_by_nothing(void **state)
{
    struct cluster_rig *rig = *state;
    static struct batch batch;
    int status;
    uint64_t took_ms = 0;
    struct strata *cache = open_cache(rig, (struct strata_options){0});
    fill(rig, cache, &batch, "frozen");
    redis_cluster_freeze(rig->cluster, 2);
    for (int i = 0; i < 8; i++) {
        took_ms = get_all(cache, &batch, &status);
        assert_in_range(took_ms, 0, BUDGET_MS + SLACK_MS);
        assert_int_equal(status, STRATA_ERR_PARTIAL);
        assert_others_are_there(&batch, 2);
    }
    assert_in_range(took_ms, 0, BUDGET_MS / 2); /* nobody waits any more */
    redis_cluster_thaw(rig->cluster, 2);
    assert_true(rig_answers(cache, batch.texts[2], PATIENT_MS));
    strata_close(&cache);
}

static void what_could_not_be_asked_is_not_remembered_as_missing(void **state)
{
    struct cluster_rig *rig = *state;
    static struct batch batch;
    int status;
    char name[64];
    struct strata *cache =
        open_cache(rig, (struct strata_options){.l1_enabled = STRATA_ON, .null_values = STRATA_ON});
    for (unsigned i = 0; i < COUNT; i++)
        batch.texts[i][0] = '\0';
    fill(rig, cache, &batch, "absent");
    struct strata *other =
        open_cache(rig, (struct strata_options){.l1_enabled = STRATA_ON, .null_values = STRATA_ON});
    redis_cluster_kill9(rig->cluster, 0);
    (void)get_all(other, &batch, &status);
    assert_int_equal(status, STRATA_ERR_PARTIAL);
    assert_others_are_there(&batch, 0);
    assert_int_equal(redis_cluster_restart(rig->cluster, 0), 0);
    assert_int_equal(redis_cluster_settle(rig->cluster, PATIENT_MS), 0);
    for (unsigned i = 0; i < COUNT; i += 3) { /* somebody else puts them there again */
        (void)snprintf(name, sizeof name, "atp:cache:%s", batch.texts[i]);
        assert_int_equal(redis_cluster_tell(rig->cluster, 0, "SET %s %s", name, batch.texts[i]), 0);
    }
    char key[32];
    unsigned n = 0;
    cluster_rig_key_of(rig->cluster, 0, "back", &n, key, sizeof key);
    assert_true(rig_answers(other, key, PATIENT_MS));
    (void)get_all(other, &batch, &status);
    assert_int_equal(status, STRATA_OK);
    assert_others_are_there(&batch, 3);
    strata_close(&other);
    strata_close(&cache);
}

static void l1_goes_on_answering_for_a_node_that_is_away(void **state)
{
    struct cluster_rig *rig = *state;
    static struct batch batch;
    int status;
    struct strata *cache = open_cache(rig, (struct strata_options){.l1_enabled = STRATA_ON});
    fill(rig, cache, &batch, "kept");
    redis_cluster_freeze(rig->cluster, 1);
    assert_in_range(get_all(cache, &batch, &status), 0, BUDGET_MS / 2);
    assert_int_equal(status, STRATA_OK);
    assert_others_are_there(&batch, 3);
    strata_close(&cache);
}

static void writes_to_other_nodes_go_on(void **state)
{
    struct cluster_rig *rig = *state;
    static struct batch batch;
    static struct strata_item items[COUNT];
    struct strata *cache = open_cache(rig, (struct strata_options){0});
    fill(rig, cache, &batch, "write");
    redis_cluster_freeze(rig->cluster, 0);
    for (unsigned i = 0; i < COUNT; i++)
        items[i] = (struct strata_item){.key = batch.keys[i], .value = strata_text("new")};
    assert_int_equal(strata_set_many(cache, items, COUNT, batch.statuses), STRATA_ERR_PARTIAL);
    for (unsigned i = 0; i < COUNT; i++)
        assert_true(i % 3 == 0 ? batch.statuses[i] < 0 : batch.statuses[i] == STRATA_OK);
    rig_assert_value(cache, batch.texts[1], "new");
    strata_close(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_dead_node_fails_its_own_keys_only, mend),
        cmocka_unit_test_setup(a_frozen_node_delays_a_batch_by_its_budget_and_soon_by_nothing,
                               mend),
        cmocka_unit_test_setup(what_could_not_be_asked_is_not_remembered_as_missing, mend),
        cmocka_unit_test_setup(l1_goes_on_answering_for_a_node_that_is_away, mend),
        cmocka_unit_test_setup(writes_to_other_nodes_go_on, mend),
    };
    return cmocka_run_group_tests_name("cluster_partial", tests, start, cluster_rig_stop);
}
