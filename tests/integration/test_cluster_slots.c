/* SPDX-License-Identifier: MIT
 *
 * Slots on the move: nobody who calls must notice, and the cluster is not asked for its map more
 * often than twenty times a second. Long form (STRATA_LONG=1): three minutes of live moves in place
 * of 10 of them, and a minute of storms in place of one.
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
#include "core/random.h"
#include "integration/cluster_rig.h"
#include "integration/question_meter.h"
#include "support/long_form.h"
#include "support/wait.h"

#define PATIENT_MS    CLUSTER_RIG_PATIENT_MS
#define TRIAL_NS      (180 * STA_NS_SEC)
#define STORM_NS      (60 * STA_NS_SEC)
#define QUESTIONS_MAX 20.0 /* for the map, per second */

/* A primary that is not the owner of the slot. */
static unsigned other_primary(const struct redis_cluster *cluster, unsigned slot, uint64_t *random)
{
    for (;;) {
        unsigned node = (unsigned)sta_random_below(random, 6);
        if ((int)node != redis_cluster_primary(cluster, slot) &&
            redis_cluster_is_primary(cluster, node))
            return node;
    }
}

/* Slots that the load's keys are in, so that each move has something to move. */
static unsigned slot_of_load(const struct redis_cluster *cluster, const char *prefix,
                             uint64_t *random)
{
    char name[96];
    (void)snprintf(name, sizeof name, "atp:cache:%s:%u:%u", prefix,
                   (unsigned)sta_random_below(random, 4), (unsigned)sta_random_below(random, 200));
    return redis_cluster_slot(cluster, name);
}

static void slots_that_move_under_load_cost_no_answer(void **state)
{
    struct cluster_rig *rig = *state;
    uint64_t random = 42;
    struct strata *cache = cluster_rig_open_plainly(rig);
    struct load *load =
        load_start(&(struct load_config){.cache = cache, .prefix = "moving", .batch = 30});
    assert_true(load_recovers(load, 100, PATIENT_MS));
    struct question_meter meter;
    unsigned moves = 0;
    question_meter_start(&meter, rig->cluster);
    uint64_t end_ns = sta_clock_now_ns() + TRIAL_NS;
    for (; moves < 10 || (is_long_form() && sta_clock_now_ns() < end_ns); moves++) {
        unsigned slot = slot_of_load(rig->cluster, "moving", &random);
        unsigned to = other_primary(rig->cluster, slot, &random);
        assert_int_equal(redis_cluster_move_slot(rig->cluster, slot, to), 0);
        assert_true(load_goes_on(load, 20, PATIENT_MS));
        question_meter_look(&meter);
    }
    (void)question_meter_assert(&meter, QUESTIONS_MAX);
    struct load_result result = load_stop(&load);
    print_message("# %u moves, %llu reads, %llu writes\n", moves, (unsigned long long)result.reads,
                  (unsigned long long)result.writes);
    load_assert_right(&result);
    load_assert_none_lost(&result);
    assert_int_equal(result.failed, 0);
    strata_close(&cache);
}

static void a_slot_that_is_half_moved_answers_for_all_its_keys(void **state)
{
    struct cluster_rig *rig = *state;
    enum { COUNT = 40 };
    char texts[COUNT][32];
    struct strata_bytes keys[COUNT];
    struct strata_value values[COUNT];
    int statuses[COUNT];
    uint64_t random = 7;
    struct strata *cache =
        cluster_rig_open(rig, NULL, 0, (struct strata_options){.l2_key_prefix = ""});
    unsigned slot = redis_cluster_slot(rig->cluster, "{half}");
    unsigned to = other_primary(rig->cluster, slot, &random);
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "{half}:%u", i);
        keys[i] = strata_text(texts[i]);
        assert_int_equal(rig_set(cache, texts[i], texts[i]), STRATA_OK);
    }
    assert_int_equal(redis_cluster_begin_move(rig->cluster, slot, to), 0);
    assert_int_equal(redis_cluster_move_keys(rig->cluster, slot, to, COUNT / 2), 0);
    assert_int_equal(strata_get_many(cache, keys, COUNT, values, statuses), STRATA_OK);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(statuses[i], STRATA_OK);
        assert_int_equal(values[i].bytes.len, keys[i].len);
        assert_memory_equal(values[i].bytes.data, texts[i], values[i].bytes.len);
        strata_release(&values[i]);
        assert_int_equal(rig_set(cache, texts[i], "new"), STRATA_OK);
        rig_assert_value(cache, texts[i], "new");
    }
    assert_int_equal(rig_set(cache, "{half}:new", "new"), STRATA_OK); /* goes where the slot goes */
    rig_assert_value(cache, "{half}:new", "new");
    assert_int_equal(rig_get(cache, "{half}:none"), STRATA_MISS);
    assert_int_equal(strata_delete(cache, strata_text("{half}:new")), STRATA_OK);
    assert_int_equal(redis_cluster_move_keys(rig->cluster, slot, to, UINT32_MAX), 0);
    assert_int_equal(redis_cluster_finish_move(rig->cluster, slot, to), 0);
    for (unsigned i = 0; i < COUNT; i++)
        rig_assert_value(cache, texts[i], "new");
    strata_close(&cache);
}

/* Thousands of slots change hands, and every call is redirected until the map is right again. */
static void a_storm_of_redirects_asks_the_cluster_no_more_than_twenty_times_a_second(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache = cluster_rig_open_plainly(rig);
    struct load *load = load_start(&(struct load_config){
        .cache = cache, .prefix = "storm", .threads = 8, .batch = 40, .pause_us = 100});
    assert_true(load_recovers(load, 50, PATIENT_MS));
    struct question_meter meter;
    question_meter_start(&meter, rig->cluster);
    uint64_t end_ns = sta_clock_now_ns() + STORM_NS;
    for (unsigned round = 0; round < 1 || (is_long_form() && sta_clock_now_ns() < end_ns);
         round++) {
        cluster_rig_storm(rig, round);
        question_meter_look(&meter);
    }
    assert_true(load_goes_on(load, 100, PATIENT_MS));
    assert_true(question_meter_assert(&meter, QUESTIONS_MAX) > 0);
    struct load_result result = load_stop(&load);
    print_message("# %llu reads, %llu failed\n", (unsigned long long)result.reads,
                  (unsigned long long)result.failed);
    load_assert_right(&result);
    strata_close(&cache);
}

static void a_node_that_joins_and_leaves_is_served_while_it_is_there(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache =
        cluster_rig_open(rig, NULL, 0, (struct strata_options){.l2_key_prefix = ""});
    unsigned slot = redis_cluster_slot(rig->cluster, "{guest}");
    unsigned home = (unsigned)redis_cluster_primary(rig->cluster, slot);
    assert_int_equal(rig_set(cache, "{guest}1", "one"), STRATA_OK);
    int guest = redis_cluster_add(rig->cluster, -1);
    assert_true(guest >= 6);
    assert_int_equal(redis_cluster_move_slot(rig->cluster, slot, (unsigned)guest), 0);
    rig_assert_value(cache, "{guest}1", "one");
    assert_int_equal(rig_set(cache, "{guest}2", "two"), STRATA_OK);
    assert_int_equal(redis_cluster_move_slot(rig->cluster, slot, home), 0);
    assert_int_equal(redis_cluster_remove(rig->cluster, (unsigned)guest), 0);
    /* Nobody has called since the slot came home, so nobody has heard of it yet. */
    assert_true(rig_answers(cache, "{guest}1", PATIENT_MS));
    rig_assert_value(cache, "{guest}1", "one");
    rig_assert_value(cache, "{guest}2", "two");
    strata_close(&cache);
}

static void a_node_that_comes_back_under_another_port_is_found(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache =
        cluster_rig_open(rig, NULL, 0, (struct strata_options){.socket_timeout_ms = 10000});
    int node = redis_cluster_add(rig->cluster, -1);
    assert_true(node >= 6);
    assert_int_equal(redis_cluster_move_slot(rig->cluster, 99, (unsigned)node), 0);
    assert_int_equal(redis_cluster_settle(rig->cluster, PATIENT_MS), 0);
    char key[64];
    unsigned n = 0;
    do
        (void)snprintf(key, sizeof key, "atp:cache:other:%u", n++);
    while (redis_cluster_slot(rig->cluster, key) != 99);
    const char *name = key + strlen("atp:cache:");
    assert_int_equal(rig_set(cache, name, "before"), STRATA_OK);
    assert_int_equal(redis_cluster_relocate(rig->cluster, (unsigned)node), 0);
    assert_int_equal(redis_cluster_settle(rig->cluster, PATIENT_MS), 0);
    assert_true(rig_answers(cache, name, PATIENT_MS));
    assert_int_equal(rig_set(cache, name, "after"), STRATA_OK);
    rig_assert_value(cache, name, "after");
    unsigned home = (unsigned)redis_cluster_primary(rig->cluster, 100);
    assert_int_equal(redis_cluster_move_slot(rig->cluster, 99, home), 0);
    rig_assert_value(cache, name, "after");
    assert_int_equal(redis_cluster_remove(rig->cluster, (unsigned)node), 0);
    strata_close(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(slots_that_move_under_load_cost_no_answer, cluster_rig_settle),
        cmocka_unit_test_setup(a_slot_that_is_half_moved_answers_for_all_its_keys,
                               cluster_rig_settle),
        cmocka_unit_test_setup(
            a_storm_of_redirects_asks_the_cluster_no_more_than_twenty_times_a_second,
            cluster_rig_settle),
        cmocka_unit_test_setup(a_node_that_joins_and_leaves_is_served_while_it_is_there,
                               cluster_rig_settle),
        cmocka_unit_test_setup(a_node_that_comes_back_under_another_port_is_found,
                               cluster_rig_settle),
    };
    return cmocka_run_group_tests_name("cluster_slots", tests, cluster_rig_start, cluster_rig_stop);
}
