/* SPDX-License-Identifier: MIT
 *
 * Tags before a cluster: the version of a tag is on one node, what has the tag on all of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "integration/cluster_rig.h"
#include "support/wait.h"

#define PATIENT_MS    CLUSTER_RIG_PATIENT_MS
#define STALE_MOST_MS 2000u
#define KEYS          60u

static struct strata *open_with_l1(struct cluster_rig *rig)
{
    return cluster_rig_open(rig, NULL, 0, (struct strata_options){.l1_enabled = STRATA_ON});
}

static const char *name_of(unsigned i)
{
    static char name[16];
    (void)snprintf(name, sizeof name, "k:%u", i);
    return name;
}

static void set_all(struct strata *cache, const char *value)
{
    struct strata_bytes tag = strata_text("x");
    for (unsigned i = 0; i < KEYS; i++)
        assert_int_equal(
            strata_set_tagged(cache, strata_text(name_of(i)), strata_text(value), 0, &tag, 1),
            STRATA_OK);
}

static bool l1_has_all(void *arg)
{
    struct strata *cache = arg;
    struct strata_statistics before, after;
    strata_statistics(cache, &before);
    for (unsigned i = 0; i < KEYS; i++)
        if (rig_get(cache, name_of(i)) != STRATA_OK)
            return false;
    strata_statistics(cache, &after);
    return after.l2.hits == before.l2.hits;
}

struct invalidation {
    struct strata *cache;
};

static bool is_invalidated(void *arg)
{
    const struct invalidation *invalidation = arg;
    return strata_invalidate_tag(invalidation->cache, strata_text("x")) == STRATA_OK;
}

/* No value is answered that was asked for later than the bound after the acknowledgement. */
static void assert_none_later(struct strata *cache, uint64_t acked_ms)
{
    bool missing = false;
    uint64_t begin_ms = sta_clock_now_ms();
    while (!missing) {
        missing = true;
        for (unsigned i = 0; i < KEYS; i++) {
            uint64_t asked_ms = sta_clock_now_ms();
            int status = rig_get(cache, name_of(i));
            if (status == STRATA_OK && asked_ms > acked_ms + STALE_MOST_MS)
                fail_msg("%s is answered %u ms after its tag fell", name_of(i),
                         (unsigned)(asked_ms - acked_ms));
            missing = missing && status == STRATA_MISS;
        }
        assert_true(sta_clock_now_ms() < begin_ms + PATIENT_MS);
    }
}

static void a_tag_takes_its_values_on_every_node(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *one = open_with_l1(rig), *other = open_with_l1(rig);
    set_all(one, "1");
    assert_true(wait_until(l1_has_all, one, PATIENT_MS));
    assert_true(wait_until(l1_has_all, other, PATIENT_MS));
    assert_int_equal(strata_invalidate_tag(one, strata_text("x")), STRATA_OK);
    uint64_t acked_ms = sta_clock_now_ms();
    for (unsigned i = 0; i < KEYS; i++)
        assert_int_equal(rig_get(one, name_of(i)), STRATA_MISS);
    assert_none_later(other, acked_ms);
    set_all(other, "2");
    for (unsigned i = 0; i < KEYS; i++)
        rig_assert_value(other, name_of(i), "2");
    strata_close(&one);
    strata_close(&other);
}

/* The node that has the version hangs and can tell nobody; its replica takes over. */
static void a_tag_whose_node_hangs_and_is_replaced_takes_its_values(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *one = open_with_l1(rig), *other = open_with_l1(rig);
    set_all(one, "1");
    assert_true(wait_until(l1_has_all, other, PATIENT_MS));
    char stored[] = "atp:cache:strata:tag:x";
    int owner = redis_cluster_primary(rig->cluster, redis_cluster_slot(rig->cluster, stored));
    redis_cluster_freeze(rig->cluster, (unsigned)owner);
    struct invalidation invalidation = {one};
    assert_true(wait_until(is_invalidated, &invalidation, PATIENT_MS));
    assert_none_later(other, sta_clock_now_ms());
    strata_close(&one);
    strata_close(&other);
}

#define CASE(name) cmocka_unit_test_setup(name, cluster_rig_settle)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_tag_takes_its_values_on_every_node),
        CASE(a_tag_whose_node_hangs_and_is_replaced_takes_its_values),
    };
    return cmocka_run_group_tests(tests, cluster_rig_start, cluster_rig_stop);
}
