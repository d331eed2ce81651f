/* SPDX-License-Identifier: MIT
 *
 * What a resize leaves to others while it goes down (l1/l1.c): how much it does under one hold of a
 * lane's lock, and who rests until it is over. Its steps are redirected (ld --wrap); what a store
 * does is not, since eviction.c calls itself.
 */
#include "tier_rig.h"

#include <pthread.h>

#include "l1/tier.h"

#define MIB UINT64_C(1048576)

/* ---- one hold of a lane's lock ---- */

static struct {
    uint64_t bytes;   /* that the hold at hand has gone through, */
    uint64_t largest; /*   all but its last step: the most of any hold */
    unsigned holds, steps;
} seen;

void __real_sta_lane_let_in(const struct sta_lane *lane);
void __wrap_sta_lane_let_in(const struct sta_lane *lane);
uint64_t __real_sta_eviction_step(struct sta_l1 *l1, struct sta_lane *lane,
                                  enum sta_queue_name turn, uint64_t now_ms);
uint64_t __wrap_sta_eviction_step(struct sta_l1 *l1, struct sta_lane *lane,
                                  enum sta_queue_name turn, uint64_t now_ms);

/* Before each hold of a resize. */
void __wrap_sta_lane_let_in(const struct sta_lane *lane)
{
    seen.bytes = 0;
    seen.holds++;
    __real_sta_lane_let_in(lane);
}

uint64_t __wrap_sta_eviction_step(struct sta_l1 *l1, struct sta_lane *lane,
                                  enum sta_queue_name turn, uint64_t now_ms)
{
    if (seen.bytes > seen.largest)
        seen.largest = seen.bytes;
    seen.steps++;
    uint64_t more = __real_sta_eviction_step(l1, lane, turn, now_ms);
    seen.bytes += more;
    return more;
}

static struct sta_l1 *tier_of_large_values(uint64_t max_bytes, size_t len)
{
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = max_bytes});
    for (uint64_t i = 0; i < max_bytes / len; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "%llu", (unsigned long long)i);
        assert_int_equal(rig_set_len(l1, key, len), STRATA_OK);
    }
    return l1;
}

/* Freeing a value takes as long as it is large: by steps alone a hold would last as long as for 128
 * of them. */
static void a_resize_lets_go_of_a_lane_within_a_mebibyte(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier_of_large_values(128 * MIB, 256 * 1024);
    seen.largest = seen.holds = seen.steps = 0;
    assert_int_equal(sta_l1_resize(l1, 8 * MIB, 0), STRATA_OK);
    assert_in_range(seen.holds, 100, 1000);
    assert_in_range(seen.steps, 2 * seen.holds, UINT32_MAX); /* and does not do so for each */
    assert_in_range(seen.largest, MIB / 2, MIB);
    rig_destroy(l1);
}

/* ---- who rests ---- */

static void store(struct sta_l1 *l1, uint64_t from, uint64_t count)
{
    for (uint64_t id = from; id < from + count; id++) {
        struct sta_key key = sta_l1_key(l1, strata_bytes(&id, sizeof id));
        struct sta_l1_entry entry = {.value = strata_text("value"), .deadline_ms = STA_NEVER};
        (void)sta_l1_set(l1, &key, &entry, RIG_NOW);
    }
}

/* Ghosts, shadows and a wider index would take the room that the resize is making. */
static void upkeep_rests_until_a_resize_is_over(void **state)
{
    (void)state;
    struct sta_l1 *l1 = rig_create((struct sta_l1_config){.max_bytes = MIB, .max_entries = 1000});
    store(l1, 0, 3000);
    assert_true(l1->ghost_entries > 0 && l1->duel.entries > 0);
    sta_upkeep_forget(l1); /* as a resize begins */
    sta_budget_set_most(&l1->places, 100000);
    uint64_t buckets = sta_tier_load(&l1->index.bucket_count);
    atomic_fetch_add(&l1->resizes, 1);
    store(l1, 3000, 3000);
    assert_int_equal(l1->ghost_entries, 0);
    assert_int_equal(sta_tier_load(&l1->ghost_claimed), 0);
    assert_int_equal(l1->duel.entries, 0);
    assert_int_equal(sta_tier_load(&l1->index.bucket_count), buckets);
    atomic_fetch_sub(&l1->resizes, 1);
    store(l1, 6000, 3000);
    assert_true(l1->ghost_entries > 0 && l1->duel.entries > 0);
    assert_true(sta_tier_load(&l1->index.bucket_count) > buckets);
    rig_destroy(l1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resize_lets_go_of_a_lane_within_a_mebibyte),
        cmocka_unit_test(upkeep_rests_until_a_resize_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
