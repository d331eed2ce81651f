/* SPDX-License-Identifier: MIT
 *
 * L1 before writers who know nothing of it, in a cluster whose slots change hands. Each test fills
 * L1 with keys of all primaries, does something to the cluster, lets somebody else write them, and
 * asks until the new values come: an old one must not be answered to a question that was put more
 * than the bound after the write was acknowledged. The TTL of L1 is far beyond all that.
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

static void name_of(char *name, size_t cap, unsigned i)
{
    (void)snprintf(name, cap, "k:%u", i);
}

static struct strata *open_with_l1(struct cluster_rig *rig)
{
    return cluster_rig_open(rig, NULL, 0, (struct strata_options){.l1_enabled = STRATA_ON});
}

/* ---- somebody else ---- */

struct foreign_write {
    struct cluster_rig *rig;
    unsigned key;
    unsigned version;
};

static bool is_written(void *arg)
{
    const struct foreign_write *write = arg;
    struct redis_cluster *cluster = write->rig->cluster;
    char stored[64];
    (void)snprintf(stored, sizeof stored, "atp:cache:k:%u", write->key);
    int owner = redis_cluster_primary(cluster, redis_cluster_slot(cluster, stored));
    return owner >= 0 &&
           redis_cluster_tell(cluster, (unsigned)owner, "SET %s %u", stored, write->version) == 0;
}

static void foreign_write_all(struct cluster_rig *rig, unsigned version, uint64_t *acked_ms)
{
    for (unsigned i = 0; i < KEYS; i++) {
        struct foreign_write write = {rig, i, version};
        assert_true(wait_until(is_written, &write, PATIENT_MS));
        acked_ms[i] = sta_clock_now_ms();
    }
}

/* ---- we ---- */

/* The version that is answered; 0: none. */
static unsigned version_of(struct strata *cache, unsigned i)
{
    char name[32], text[16] = "";
    size_t len = 0;
    name_of(name, sizeof name, i);
    if (strata_get_copy(cache, strata_text(name), text, sizeof text - 1, &len) != STRATA_OK)
        return 0;
    unsigned version = 0;
    (void)sscanf(text, "%u", &version);
    return version;
}

/* All are the new ones, and none was the old one for too long; never an older one after a newer. */
static void assert_all_become(struct strata *cache, unsigned version, const uint64_t *acked_ms)
{
    bool seen[KEYS] = {false};
    unsigned left = KEYS;
    uint64_t end_ms = sta_clock_now_ms() + PATIENT_MS;
    while (left > 0 && sta_clock_now_ms() < end_ms) {
        for (unsigned i = 0; i < KEYS; i++) {
            uint64_t asked_ms = sta_clock_now_ms();
            unsigned got = version_of(cache, i);
            if (got != 0 && got < version) {
                assert_false(seen[i]);
                assert_true(asked_ms < acked_ms[i] + STALE_MOST_MS);
            } else if (got == version && !seen[i]) {
                seen[i] = true;
                left--;
            }
        }
    }
    assert_int_equal(left, 0);
}

static bool l1_has_all(void *arg)
{
    struct strata *cache = arg;
    struct strata_statistics before, after;
    strata_statistics(cache, &before);
    for (unsigned i = 0; i < KEYS; i++)
        (void)version_of(cache, i);
    strata_statistics(cache, &after);
    return after.l1.hits - before.l1.hits == KEYS;
}

/* ---- the tests ---- */

static void what_others_write_is_seen_on_every_node(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache = open_with_l1(rig);
    uint64_t acked_ms[KEYS];
    for (unsigned version = 1; version <= 3; version++) {
        foreign_write_all(rig, version, acked_ms);
        assert_all_become(cache, version, acked_ms);
        assert_true(wait_until(l1_has_all, cache, PATIENT_MS));
    }
    struct strata_statistics numbers;
    strata_statistics(cache, &numbers);
    assert_int_equal(numbers.coherence, STRATA_COHERENCE_TRACKING);
    strata_close(&cache);
}

static void after_a_slot_has_moved_what_others_write_is_seen(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache = open_with_l1(rig);
    uint64_t acked_ms[KEYS];
    foreign_write_all(rig, 1, acked_ms);
    assert_all_become(cache, 1, acked_ms);
    assert_true(wait_until(l1_has_all, cache, PATIENT_MS));
    for (unsigned i = 0; i < 6; i++) {
        char stored[64];
        (void)snprintf(stored, sizeof stored, "atp:cache:k:%u", i);
        unsigned slot = redis_cluster_slot(rig->cluster, stored);
        int owner = redis_cluster_primary(rig->cluster, slot);
        unsigned to = ((unsigned)owner + 1) % 3;
        assert_int_equal(redis_cluster_move_slot(rig->cluster, slot, to), 0);
    }
    foreign_write_all(rig, 2, acked_ms);
    assert_all_become(cache, 2, acked_ms);
    strata_close(&cache);
}

static void assert_seen_after_failover(struct cluster_rig *rig, const char *kind)
{
    struct strata *cache = open_with_l1(rig);
    uint64_t acked_ms[KEYS];
    foreign_write_all(rig, 1, acked_ms);
    assert_all_become(cache, 1, acked_ms);
    assert_true(wait_until(l1_has_all, cache, PATIENT_MS));
    char stored[] = "atp:cache:k:0";
    int owner = redis_cluster_primary(rig->cluster, redis_cluster_slot(rig->cluster, stored));
    int replica = redis_cluster_replica(rig->cluster, (unsigned)owner);
    assert_true(replica >= 0);
    assert_int_equal(redis_cluster_failover(rig->cluster, (unsigned)replica, kind), 0);
    foreign_write_all(rig, 2, acked_ms);
    assert_all_become(cache, 2, acked_ms);
    strata_close(&cache);
}

static void after_a_failover_what_others_write_is_seen(void **state)
{
    assert_seen_after_failover(*state, "");
}

static void after_a_takeover_what_others_write_is_seen(void **state)
{
    assert_seen_after_failover(*state, "TAKEOVER");
}

/* The old primary hangs and cannot tell us anything; its replica takes over and is written to. */
static void a_frozen_primary_is_not_believed_after_its_replica_took_over(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata *cache = open_with_l1(rig);
    uint64_t acked_ms[KEYS];
    foreign_write_all(rig, 1, acked_ms);
    assert_all_become(cache, 1, acked_ms);
    assert_true(wait_until(l1_has_all, cache, PATIENT_MS));
    char stored[] = "atp:cache:k:0";
    int owner = redis_cluster_primary(rig->cluster, redis_cluster_slot(rig->cluster, stored));
    redis_cluster_freeze(rig->cluster, (unsigned)owner);
    foreign_write_all(rig, 2, acked_ms);
    assert_all_become(cache, 2, acked_ms);
    strata_close(&cache);
}

static unsigned absent_seen(struct strata *cache, const char *key)
{
    char byte;
    size_t len;
    return strata_get_copy(cache, strata_text(key), &byte, 1, &len) == STRATA_OK;
}

static bool has_proofs(void *arg)
{
    struct strata_statistics numbers;
    strata_statistics(arg, &numbers);
    return numbers.canaries >= 3;
}

/* The old owner never had the key, so it has nothing to name; it lives, and its canaries come
 * back. */
static void a_key_that_is_made_where_its_slot_went_is_seen(void **state)
{
    struct cluster_rig *rig = *state;
    struct strata_statistics before, after;
    struct strata *cache = cluster_rig_open(
        rig, NULL, 0, (struct strata_options){.l1_enabled = STRATA_ON, .null_values = STRATA_ON});
    unsigned slot = redis_cluster_slot(rig->cluster, "atp:cache:absent");
    int owner = redis_cluster_primary(rig->cluster, slot);
    unsigned to = 0;
    while ((int)to == owner || !redis_cluster_is_primary(rig->cluster, to))
        to++;
    uint64_t end_ms = sta_clock_now_ms() + PATIENT_MS;
    do { /* until L1 knows that it is not there */
        strata_statistics(cache, &before);
        assert_false(absent_seen(cache, "absent"));
        strata_statistics(cache, &after);
    } while (after.l1.hits == before.l1.hits && sta_clock_now_ms() < end_ms);
    assert_true(after.l1.hits > before.l1.hits);
    assert_true(wait_until(has_proofs, cache, PATIENT_MS)); /* the first questions are over */
    assert_int_equal(redis_cluster_move_slot(rig->cluster, slot, to), 0);
    assert_int_equal(redis_cluster_tell(rig->cluster, to, "SET atp:cache:absent 1"), 0);
    uint64_t acked_ms = sta_clock_now_ms(), asked_ms = acked_ms;
    while (!absent_seen(cache, "absent") && asked_ms < acked_ms + PATIENT_MS)
        asked_ms = sta_clock_now_ms();
    assert_true(asked_ms < acked_ms + STALE_MOST_MS);
    strata_close(&cache);
}

#define TEST(name) cmocka_unit_test_setup(name, cluster_rig_settle)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_others_write_is_seen_on_every_node),
        TEST(after_a_slot_has_moved_what_others_write_is_seen),
        TEST(after_a_failover_what_others_write_is_seen),
        TEST(after_a_takeover_what_others_write_is_seen),
        TEST(a_key_that_is_made_where_its_slot_went_is_seen),
        TEST(a_frozen_primary_is_not_believed_after_its_replica_took_over),
    };
    return cmocka_run_group_tests(tests, cluster_rig_start, cluster_rig_stop);
}
