/* SPDX-License-Identifier: MIT
 *
 * The version guard of write-behind before a cluster: keys of all nodes, and slots on their way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "integration/cluster_rig.h"

#define PATIENT_MS CLUSTER_RIG_PATIENT_MS
#define PREFIX     "atp:cache:"
#define KEYS       30u

static struct strata *open_guarded(struct cluster_rig *rig)
{
    return cluster_rig_open(rig, NULL, 0,
                            (struct strata_options){
                                .l1_enabled = STRATA_ON,
                                .write_through = STRATA_OFF,
                                .write_behind = STRATA_ON,
                                .write_behind_interval_ms = 3600000,
                                .write_behind_guard = STRATA_GUARD_ON,
                            });
}

static const char *name_of(unsigned i)
{
    static char name[32];
    (void)snprintf(name, sizeof name, PREFIX "k:%u", i);
    return name;
}

static const char *short_name_of(unsigned i)
{
    return name_of(i) + strlen(PREFIX);
}

static void set_foreign(const struct redis_cluster *cluster, const char *name)
{
    int node = redis_cluster_primary(cluster, redis_cluster_slot(cluster, name));
    assert_true(node >= 0);
    redisContext *redis = redis_cluster_connect(cluster, (unsigned)node);
    redisReply *reply = redisCommand(redis, "SET %s theirs", name);
    assert_string_equal(reply->str, "OK");
    freeReplyObject(reply);
    redisFree(redis);
}

static void set_all(struct strata *cache, const char *value)
{
    for (unsigned i = 0; i < KEYS; i++)
        assert_int_equal(rig_set(cache, short_name_of(i), value), STRATA_OK);
}

/* Every other key. */
static void assert_outcome(struct cluster_rig *rig, struct strata *cache, const char *ours)
{
    struct strata_statistics numbers;
    assert_int_equal(strata_flush(cache, PATIENT_MS), STRATA_OK);
    for (unsigned i = 0; i < KEYS; i++)
        rig_assert_stored(rig->cluster, short_name_of(i), i % 2 == 0 ? "theirs" : ours);
    for (unsigned i = 0; i < KEYS; i++)
        rig_assert_value(cache, short_name_of(i), i % 2 == 0 ? "theirs" : ours);
    strata_statistics(cache, &numbers);
    assert_int_equal(numbers.write_behind.overtaken, KEYS / 2);
}

static void on_every_node_what_others_write_stays_and_ours_gets_there(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache = open_guarded(rig);
    set_all(cache, "one");
    assert_int_equal(strata_flush(cache, PATIENT_MS), STRATA_OK);
    set_all(cache, "two");
    for (unsigned i = 0; i < KEYS; i += 2)
        set_foreign(rig->cluster, name_of(i));
    assert_outcome(rig, cache, "two");
    strata_close(&cache);
}

static void slots_that_move_meanwhile_change_nothing(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache = open_guarded(rig);
    set_all(cache, "one");
    for (unsigned i = 0; i < KEYS; i += 2)
        set_foreign(rig->cluster, name_of(i));
    for (unsigned i = 0; i < 8; i++) {
        unsigned slot = redis_cluster_slot(rig->cluster, name_of(i));
        int owner = redis_cluster_primary(rig->cluster, slot);
        assert_int_equal(redis_cluster_move_slot(rig->cluster, slot, owner == 0 ? 1 : 0), 0);
    }
    assert_outcome(rig, cache, "one");
    strata_close(&cache);
}

#define CASE(name) cmocka_unit_test_setup(name, cluster_rig_settle)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(on_every_node_what_others_write_stays_and_ours_gets_there),
        CASE(slots_that_move_meanwhile_change_nothing),
    };
    return cmocka_run_group_tests(tests, cluster_rig_start, cluster_rig_stop);
}
