/* SPDX-License-Identifier: MIT
 *
 * A router before a cluster of up to five nodes that the test plays: finding them, redirects, nodes
 * that die, come and go, and what the cluster is asked meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "router_rig.h"
#include "strata/status.h"

#define LONG (20 * STA_NS_SEC)

/* Slots of the three nodes that most tests have: 0.., 5000.., 10000... */
static const unsigned thirds[] = {0, 5000, 10000};

static void rig_begin(struct rig *rig, unsigned fakes)
{
    rig_init(rig, fakes);
    rig->config.cluster = true;
    rig->config.node.connection.backoff_max_ns = 20 * STA_NS_MS;
    rig->config.refresh.floor_ns = 20 * STA_NS_MS;
    rig->config.refresh.backoff_ns = 20 * STA_NS_MS;
    rig->config.refresh.timeout_ns = 300 * STA_NS_MS;
}

/* All nodes say so from now on. */
static void rig_is_split(struct rig *rig, const unsigned *from)
{
    const char *topology = rig_topology(rig, from);
    for (unsigned i = 0; i < rig->fake_count; i++)
        rig->fakes[i].topology = topology;
}

static void rig_begin_thirds(struct rig *rig)
{
    rig_begin(rig, 3);
    rig_is_split(rig, thirds);
    rig_open(rig);
}

static void assert_answer(struct ask *ask, const char *replies)
{
    rig_run_until(ask->rig, rig_all_done);
    assert_int_equal(ask->status, STRATA_OK);
    assert_string_equal(ask->replies, replies);
}

static void assert_failure(struct ask *ask, int status)
{
    rig_run_until(ask->rig, rig_all_done);
    assert_int_equal(ask->status, status);
}

/* "-MOVED 42 127.0.0.1:7000\r\n" with the port of a fake. */
static const char *redirect(const struct rig *rig, const char *word, unsigned slot, unsigned fake,
                            char *text, size_t cap)
{
    (void)snprintf(text, cap, "-%s %u 127.0.0.1:%d\r\n", word, slot, rig->fakes[fake].port);
    return text;
}

static unsigned topologies(const struct rig *rig)
{
    unsigned count = 0;
    for (unsigned i = 0; i < rig->fake_count; i++)
        count += rig->fakes[i].topologies;
    return count;
}

/* ---- the map ---- */

static void each_slot_goes_to_its_node(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin_thirds(&rig);
    fake_answers(&rig.fakes[0], "GET a", "+0\r\n", 2);
    fake_answers(&rig.fakes[1], "GET a", "+1\r\n", 2);
    fake_answers(&rig.fakes[2], "GET a", "+2\r\n", 2);
    assert_answer(rig_ask(&rig, 0, true, "GET a"), "+0\r\n");
    assert_answer(rig_ask(&rig, 4999, true, "GET a"), "+0\r\n");
    assert_answer(rig_ask(&rig, 5000, true, "GET a"), "+1\r\n");
    assert_answer(rig_ask(&rig, 9999, true, "GET a"), "+1\r\n");
    assert_answer(rig_ask(&rig, 10000, true, "GET a"), "+2\r\n");
    assert_answer(rig_ask(&rig, 16383, true, "GET a"), "+2\r\n");
    assert_int_equal(topologies(&rig), 1);
    assert_int_equal(rig.changed_slots, 0); /* the first map is no change */
    rig_fini(&rig);
}

static void many_wait_for_the_first_map_and_nobody_is_forgotten(void **state)
{
    (void)state;
    struct rig rig;
    struct ask *asks[100];
    rig_begin_thirds(&rig);
    fake_answers(&rig.fakes[0], "GET a", "+0\r\n", 100);
    fake_answers(&rig.fakes[1], "GET a", "+1\r\n", 100);
    fake_answers(&rig.fakes[2], "GET a", "+2\r\n", 100);
    for (unsigned i = 0; i < 100; i++)
        asks[i] = rig_ask(&rig, i * 163, true, "GET a");
    rig_run_until(&rig, rig_all_done);
    for (unsigned i = 0; i < 100; i++)
        assert_string_equal(asks[i]->replies, i * 163 < 5000    ? "+0\r\n"
                                              : i * 163 < 10000 ? "+1\r\n"
                                                                : "+2\r\n");
    rig_fini(&rig);
}

static void what_has_no_key_goes_to_any_node(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin_thirds(&rig);
    for (unsigned i = 0; i < 3; i++)
        fake_answers(&rig.fakes[i], "TIME", "+now\r\n", 100);
    assert_answer(rig_ask(&rig, STA_OPERATION_ANY_NODE, true, "TIME"), "+now\r\n");
    rig_fini(&rig);
}

static void seeds_are_tried_in_turn_until_one_answers(void **state)
{
    (void)state;
    struct rig rig;
    struct sta_endpoint seeds[3];
    rig_begin(&rig, 3);
    rig_is_split(&rig, thirds);
    for (unsigned i = 0; i < 3; i++) {
        seeds[i] = rig.url.endpoint;
        seeds[i].port = (uint16_t)rig.fakes[i].port;
    }
    rig.config.seeds = seeds;
    rig.config.seed_count = 3;
    rig.fakes[0].topology = "-ERR This instance has cluster support disabled\r\n";
    fake_leaves(&rig.fakes[1]);
    rig_open(&rig);
    fake_answers(&rig.fakes[2], "GET a", "+2\r\n", 1);
    assert_answer(rig_ask(&rig, 12000, true, "GET a"), "+2\r\n");
    rig_fini(&rig);
}

static void where_no_seed_answers_calls_fail_at_once_until_one_does(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin(&rig, 3);
    rig_is_split(&rig, thirds);
    fake_leaves(&rig.fakes[0]);
    rig_open(&rig);
    assert_failure(rig_ask(&rig, 1, true, "GET a"), STRATA_ERR_UNAVAILABLE);
    struct ask *at_once = rig_ask(&rig, 1, true, "GET a");
    assert_int_equal(at_once->done, 1);
    assert_int_equal(at_once->status, STRATA_ERR_UNAVAILABLE);
    fake_returns(&rig.fakes[0]);
    fake_answers(&rig.fakes[1], "GET a", "+1\r\n", 1);
    struct ask *ask;
    do {
        rig_run_ms(&rig, 5);
        ask = rig_ask(&rig, 6000, true, "GET a");
        rig_run_until(&rig, rig_all_done);
    } while (ask->status == STRATA_ERR_UNAVAILABLE);
    assert_answer(ask, "+1\r\n");
    rig_fini(&rig);
}

static void a_slot_that_nobody_serves_is_waited_for(void **state)
{
    (void)state;
    static const unsigned from[] = {1000, 5000, 10000};
    struct rig rig;
    rig_begin(&rig, 3);
    rig_is_split(&rig, from);
    rig_open(&rig);
    assert_failure(rig_ask_within(&rig, 1, true, "GET a", 100 * STA_NS_MS), STRATA_ERR_UNAVAILABLE);
    struct ask *waits = rig_ask(&rig, 1, true, "GET a");
    rig_run_ms(&rig, 50);
    assert_int_equal(waits->done, 0);
    rig_is_split(&rig, thirds);
    fake_answers(&rig.fakes[0], "GET a", "+0\r\n", 1);
    assert_answer(waits, "+0\r\n");
    assert_int_equal(rig.changed_slots, 1000);
    rig_fini(&rig);
}

/* ---- redirects ---- */

static void a_moved_is_followed_at_once_and_remembered(void **state)
{
    (void)state;
    static const unsigned after[] = {0, 4000, 10000};
    char moved[64];
    struct rig rig;
    rig_begin_thirds(&rig);
    fake_answers(&rig.fakes[0], "SET a 1", "+OK\r\n", 1);
    assert_answer(rig_ask(&rig, 4000, false, "SET a 1"), "+OK\r\n");
    rig_is_split(&rig, after);
    fake_answers(&rig.fakes[0], "SET a 1", redirect(&rig, "MOVED", 4000, 1, moved, sizeof moved),
                 10);
    fake_answers(&rig.fakes[1], "SET a 1", "+OK\r\n", 10);
    assert_answer(rig_ask(&rig, 4000, false, "SET a 1"), "+OK\r\n");
    assert_true(rig.changed_slots >= 1);
    assert_answer(rig_ask(&rig, 4000, false, "SET a 1"), "+OK\r\n"); /* straight there */
    assert_string_equal(rig.fakes[0].heard, "SET a 1;SET a 1;");
    assert_string_equal(rig.fakes[1].heard, "SET a 1;SET a 1;");
    rig_run_ms(&rig, 100);
    assert_int_equal(topologies(&rig), 2); /* and one question, of which nobody waited */
    assert_int_equal(rig.changed_slots, 1000);
    rig_fini(&rig);
}

static void a_moved_without_a_host_means_the_one_that_answered(void **state)
{
    (void)state;
    char moved[64];
    struct rig rig;
    rig_begin_thirds(&rig);
    (void)snprintf(moved, sizeof moved, "-MOVED 1 :%d\r\n", rig.fakes[2].port);
    fake_answers(&rig.fakes[0], "GET a", moved, 1);
    fake_answers(&rig.fakes[2], "GET a", "+2\r\n", 1);
    assert_answer(rig_ask(&rig, 1, true, "GET a"), "+2\r\n");
    rig_fini(&rig);
}

static void a_moved_may_name_a_node_that_no_map_has(void **state)
{
    (void)state;
    static const unsigned from[] = {0, 5000, 10000, 16384};
    char moved[64];
    struct rig rig;
    rig_begin(&rig, 4);
    rig_is_split(&rig, from);
    rig_open(&rig);
    fake_answers(&rig.fakes[2], "GET a", redirect(&rig, "MOVED", 16000, 3, moved, sizeof moved), 1);
    fake_answers(&rig.fakes[3], "GET a", "+3\r\n", 2);
    assert_answer(rig_ask(&rig, 16000, true, "GET a"), "+3\r\n");
    assert_answer(rig_ask(&rig, 16000, true, "GET a"), "+3\r\n");
    rig_fini(&rig);
}

static void an_ask_is_followed_once_with_asking_before_each_command(void **state)
{
    (void)state;
    char ask[64];
    struct rig rig;
    rig_begin_thirds(&rig);
    redirect(&rig, "ASK", 1, 2, ask, sizeof ask);
    fake_answers(&rig.fakes[0], "GET a", ask, 1);
    fake_answers(&rig.fakes[0], "PTTL a", ask, 1);
    fake_answers(&rig.fakes[0], "GET a", "+0\r\n", 1);
    fake_answers(&rig.fakes[0], "PTTL a", ":0\r\n", 1);
    fake_answers(&rig.fakes[2], "GET a", "$1\r\nx\r\n", 1);
    fake_answers(&rig.fakes[2], "PTTL a", ":77\r\n", 1);
    struct ask *first = rig_ask(&rig, 1, true, "GET a;PTTL a");
    assert_answer(first, "$1\r\nx\r\n:77\r\n");
    assert_true(first->operation.asked);
    assert_string_equal(rig.fakes[2].heard, "ASKING;GET a;ASKING;PTTL a;");
    struct ask *second = rig_ask(&rig, 1, true, "GET a;PTTL a"); /* the map is as it was */
    assert_answer(second, "+0\r\n:0\r\n");
    assert_false(second->operation.asked);
    assert_int_equal(rig.changed_slots, 0);
    rig_fini(&rig);
}

static void an_ask_may_be_answered_with_a_redirect_or_a_loss(void **state)
{
    (void)state;
    char ask[64];
    char moved[64];
    struct rig rig;
    rig_begin_thirds(&rig);
    fake_answers(&rig.fakes[0], "GET a", redirect(&rig, "ASK", 1, 1, ask, sizeof ask), 2);
    fake_answers(&rig.fakes[1], "GET a", redirect(&rig, "MOVED", 1, 2, moved, sizeof moved), 1);
    fake_answers(&rig.fakes[2], "GET a", "+2\r\n", 1);
    assert_answer(rig_ask(&rig, 1, true, "GET a"), "+2\r\n");
    fake_answers(&rig.fakes[0], "SET b 1", ask, 1);
    fake_answers(&rig.fakes[1], "SET b 1", NULL, 1);
    assert_failure(rig_ask(&rig, 2, false, "SET b 1"), STRATA_ERR_LOST);
    rig_fini(&rig);
}

static void two_nodes_that_point_at_each_other_cost_a_few_requests(void **state)
{
    (void)state;
    char to_1[64];
    char to_0[64];
    struct rig rig;
    rig_begin_thirds(&rig);
    fake_answers(&rig.fakes[0], "GET a", redirect(&rig, "MOVED", 1, 1, to_1, sizeof to_1), 1000);
    fake_answers(&rig.fakes[1], "GET a", redirect(&rig, "MOVED", 1, 0, to_0, sizeof to_0), 1000);
    struct ask *ask;
    unsigned tries = 0;
    do { /* again where the machine stood still until the time was over */
        ask = rig_ask_within(&rig, 1, true, "GET a", 300 * STA_NS_MS);
        rig_run_until(&rig, rig_all_done);
        assert_true(ask->operation.attempts < 15);
    } while (ask->status == STRATA_ERR_TIMEOUT && ++tries < 20);
    assert_int_equal(ask->status, STRATA_ERR_UNAVAILABLE);
    rig_fini(&rig);
}

static void a_storm_of_moved_makes_a_few_questions(void **state)
{
    (void)state;
    static char moved[400][64];
    struct rig rig;
    rig_begin_thirds(&rig);
    for (unsigned i = 0; i < 60; i++) {
        char *command = moved[200 + i];
        (void)snprintf(command, sizeof moved[0], "GET %u", i);
        fake_answers(&rig.fakes[0], command, redirect(&rig, "MOVED", i, 1, moved[i], 64), 1);
        fake_answers(&rig.fakes[1], command, "+1\r\n", 1);
    }
    uint64_t began_ns = sta_clock_now_ns();
    for (unsigned i = 0; i < 60; i++) {
        (void)rig_ask(&rig, i, true, moved[200 + i]);
        rig_run_ms(&rig, 2);
    }
    rig_run_until(&rig, rig_all_done);
    uint64_t floors = (sta_clock_now_ns() - began_ns) / (20 * STA_NS_MS);
    assert_true(topologies(&rig) >= 2);
    assert_true(topologies(&rig) <= floors + 2);
    for (unsigned i = 0; i < 60; i++)
        assert_string_equal(rig.asks[i].replies, "+1\r\n");
    rig_fini(&rig);
}

/* ---- nodes that die, come and go ---- */

static void a_dead_node_fails_its_keys_and_no_others(void **state)
{
    (void)state;
    struct rig rig;
    rig_begin_thirds(&rig);
    fake_answers(&rig.fakes[0], "GET a", "+0\r\n", 100);
    fake_answers(&rig.fakes[1], "GET a", "+1\r\n", 100);
    assert_answer(rig_ask(&rig, 1, true, "GET a"), "+0\r\n");
    assert_answer(rig_ask(&rig, 5001, true, "GET a"), "+1\r\n");
    fake_leaves(&rig.fakes[1]);
    for (unsigned i = 0; i < 20; i++) {
        struct ask *dead = rig_ask(&rig, 5001, true, "GET a");
        struct ask *alive = rig_ask(&rig, 1, true, "GET a");
        rig_run_until(&rig, rig_all_done);
        assert_int_equal(dead->status, STRATA_ERR_UNAVAILABLE);
        assert_string_equal(alive->replies, "+0\r\n");
    }
    rig_fini(&rig);
}

/* Its slots have been another's for a while, and nobody has told us. */
static void what_a_dead_node_served_waits_for_news_of_its_successor(void **state)
{
    (void)state;
    static const unsigned after[] = {0, 10000, 10000};
    struct rig rig;
    rig_begin_thirds(&rig);
    fake_answers(&rig.fakes[1], "GET b", "+1\r\n", 1);
    assert_answer(rig_ask(&rig, 5001, true, "GET b"), "+1\r\n");
    rig_is_split(&rig, after); /* node 0 took over */
    fake_answers(&rig.fakes[0], "SET a 1", "+OK\r\n", 1);
    fake_leaves(&rig.fakes[1]);
    rig_run_ms(&rig, 5);
    assert_answer(rig_ask(&rig, 5001, false, "SET a 1"), "+OK\r\n");
    rig_fini(&rig);
}

static void what_a_dying_node_left_open_is_read_from_its_successor(void **state)
{
    (void)state;
    static const unsigned after[] = {0, 10000, 10000};
    struct rig rig;
    rig_begin_thirds(&rig);
    fake_answers(&rig.fakes[1], "GET b", "+1\r\n", 1);
    assert_answer(rig_ask(&rig, 5001, true, "GET b"), "+1\r\n");
    struct ask *read = rig_ask(&rig, 5001, true, "GET a"); /* not in its script */
    struct ask *write = rig_ask(&rig, 5001, false, "SET a 1");
    rig_run_ms(&rig, 20);
    rig_is_split(&rig, after); /* node 0 took over */
    fake_answers(&rig.fakes[0], "GET a", "+0\r\n", 100);
    fake_hangs_up(&rig.fakes[1]);
    fake_answers(&rig.fakes[1], "GET a", "-LOADING as a replica\r\n", 100);
    rig_run_until(&rig, rig_all_done);
    assert_string_equal(read->replies, "+0\r\n");
    assert_int_equal(write->status, STRATA_ERR_LOST);
    assert_true(rig.changed_slots >= 5000);
    rig_fini(&rig);
}

static bool all_slots_are_one_nodes(struct rig *rig)
{
    return rig->changed_slots >= 11384;
}

static bool node_0_is_alone(struct rig *rig)
{
    unsigned peers = 0;
    for (unsigned i = 1; i < rig->fake_count; i++)
        for (unsigned p = 0; p < PEERS_MAX; p++)
            peers += rig->fakes[i].peers[p].fd >= 0;
    return peers == 0;
}

static void nodes_that_serve_nothing_any_more_are_left_when_they_have_answered(void **state)
{
    (void)state;
    static const unsigned after[] = {0, 16384, 16384};
    struct rig rig;
    rig_begin_thirds(&rig);
    struct ask *in_flight = rig_ask(&rig, 5001, true, "GET late");
    (void)rig_ask_within(&rig, 10001, true, "GET never", 400 * STA_NS_MS);
    rig_run_ms(&rig, 30);
    rig_is_split(&rig, after);
    fake_answers(&rig.fakes[0], "GET x", "-CLUSTERDOWN it is being rebuilt\r\n", 1);
    fake_answers(&rig.fakes[0], "GET x", "+0\r\n", 2);
    struct ask *demands = rig_ask(&rig, 1, true, "GET x");
    rig_run_until(&rig, all_slots_are_one_nodes);
    (void)rig_ask(&rig, 5001, true, "GET x"); /* to node 0 now */
    fake_says(&rig.fakes[1], "+late\r\n");
    rig_run_until(&rig, rig_all_done);
    assert_string_equal(demands->replies, "+0\r\n");
    assert_string_equal(in_flight->replies, "+late\r\n");
    assert_string_equal(rig.fakes[1].heard, "GET late;");
    rig_run_until(&rig, node_0_is_alone);
    rig_fini(&rig);
}

/* Only the seed's address stays as it was. */
static void when_all_addresses_have_changed_the_seeds_lead_back(void **state)
{
    (void)state;
    static const unsigned before[] = {16384, 0, 8000, 16384, 16384};
    static const unsigned after[] = {16384, 16384, 16384, 0, 8000};
    struct rig rig;
    rig_begin(&rig, 5);
    rig_is_split(&rig, before);
    rig_open(&rig);
    fake_answers(&rig.fakes[1], "GET a", "+1\r\n", 1);
    fake_answers(&rig.fakes[4], "GET a", "+4\r\n", 1);
    assert_answer(rig_ask(&rig, 1, true, "GET a"), "+1\r\n");
    fake_hangs_up(&rig.fakes[0]);
    fake_leaves(&rig.fakes[1]);
    fake_leaves(&rig.fakes[2]);
    rig_is_split(&rig, after);
    struct ask *ask;
    do {
        ask = rig_ask(&rig, 9000, true, "GET a");
        rig_run_until(&rig, rig_all_done);
        rig_run_ms(&rig, 5);
    } while (ask->status == STRATA_ERR_UNAVAILABLE && rig.asked < ASKS_MAX);
    assert_string_equal(ask->replies, "+4\r\n");
    rig_fini(&rig);
}

/* ---- the end ---- */

static void destroying_ends_everything_at_any_point(void **state)
{
    (void)state;
    for (unsigned ms = 0; ms < 20; ms++) {
        char moved[64];
        struct rig rig;
        rig_begin_thirds(&rig);
        fake_answers(&rig.fakes[0], "GET a", redirect(&rig, "MOVED", 1, 1, moved, sizeof moved), 9);
        fake_answers(&rig.fakes[2], "GET a", "-TRYAGAIN later\r\n", 1000);
        (void)rig_ask(&rig, 1, true, "GET a");
        (void)rig_ask(&rig, 12000, true, "GET a");
        rig_run_ms(&rig, ms);
        sta_router_destroy(&rig.router);
        for (unsigned i = 0; i < 2; i++)
            assert_int_equal(rig.asks[i].status, STRATA_ERR_CLOSED);
        rig_fini(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_slot_goes_to_its_node),
        cmocka_unit_test(many_wait_for_the_first_map_and_nobody_is_forgotten),
        cmocka_unit_test(what_has_no_key_goes_to_any_node),
        cmocka_unit_test(seeds_are_tried_in_turn_until_one_answers),
        cmocka_unit_test(where_no_seed_answers_calls_fail_at_once_until_one_does),
        cmocka_unit_test(a_slot_that_nobody_serves_is_waited_for),
        cmocka_unit_test(a_moved_is_followed_at_once_and_remembered),
        cmocka_unit_test(a_moved_without_a_host_means_the_one_that_answered),
        cmocka_unit_test(a_moved_may_name_a_node_that_no_map_has),
        cmocka_unit_test(an_ask_is_followed_once_with_asking_before_each_command),
        cmocka_unit_test(an_ask_may_be_answered_with_a_redirect_or_a_loss),
        cmocka_unit_test(two_nodes_that_point_at_each_other_cost_a_few_requests),
        cmocka_unit_test(a_storm_of_moved_makes_a_few_questions),
        cmocka_unit_test(a_dead_node_fails_its_keys_and_no_others),
        cmocka_unit_test(what_a_dead_node_served_waits_for_news_of_its_successor),
        cmocka_unit_test(what_a_dying_node_left_open_is_read_from_its_successor),
        cmocka_unit_test(nodes_that_serve_nothing_any_more_are_left_when_they_have_answered),
        cmocka_unit_test(when_all_addresses_have_changed_the_seeds_lead_back),
        cmocka_unit_test(destroying_ends_everything_at_any_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
