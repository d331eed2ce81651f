/* SPDX-License-Identifier: MIT
 *
 * The refresh policy: when, whom, and what is believed; and days of it in virtual time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/random.h"
#include "l2/refresh.h"
#include "strata/status.h"

#define MS STA_NS_MS

static const struct sta_refresh_config three_seeds = {.seed_count = 3};
static const struct sta_endpoint sender = {
    .kind = STA_ENDPOINT_TCP, .port = 7001, .address = "10.0.0.1"};

/* A map that serves the first so many slots. */
static struct sta_slot_map *map_of(unsigned slots)
{
    struct sta_slot_map *map = NULL;
    struct sta_slot_node node = {.endpoint = sender, .primary = STA_SLOT_MAP_NONE};
    uint16_t index;
    assert_int_equal(sta_slot_map_create(&map), STRATA_OK);
    assert_int_equal(sta_slot_map_add(map, &node, &index), STRATA_OK);
    if (slots > 0)
        sta_slot_map_assign(map, 0, slots - 1, index);
    return map;
}

struct rig {
    struct sta_refresh refresh;
    struct sta_slot_map *map;
    uint64_t now_ns;
};

static void begin(struct rig *rig, uint64_t random)
{
    rig->now_ns = 1000 * MS;
    rig->map = map_of(16384);
    sta_refresh_init(&rig->refresh, &three_seeds, random, rig->now_ns);
}

static void end(struct rig *rig)
{
    sta_slot_map_destroy(&rig->map);
}

/* Waits for the next question. */
static struct sta_refresh_ask next(struct rig *rig, unsigned alive)
{
    struct sta_refresh_ask ask = sta_refresh_step(&rig->refresh, alive, rig->now_ns);
    if (ask.whom == STA_REFRESH_NOBODY) {
        assert_true(ask.at_ns != STA_NEVER && ask.at_ns > rig->now_ns);
        assert_int_equal(sta_refresh_step(&rig->refresh, alive, ask.at_ns - 1).whom,
                         STA_REFRESH_NOBODY);
        rig->now_ns = ask.at_ns;
        ask = sta_refresh_step(&rig->refresh, alive, rig->now_ns);
    }
    assert_true(ask.whom != STA_REFRESH_NOBODY);
    return ask;
}

static void believe(struct rig *rig)
{
    assert_int_equal(sta_refresh_answered(&rig->refresh, rig->map, rig->map, NULL, rig->now_ns),
                     STA_REFRESH_ADOPT);
}

/* ---- when ---- */

static void the_first_question_is_put_at_once_to_a_seed(void **state)
{
    (void)state;
    bool seen[3] = {false};
    for (uint64_t random = 0; random < 50; random++) { /* clients do not all begin with the first */
        struct rig rig;
        begin(&rig, random);
        struct sta_refresh_ask ask = sta_refresh_step(&rig.refresh, 0, rig.now_ns);
        assert_int_equal(ask.whom, STA_REFRESH_SEED);
        assert_in_range(ask.pick, 0, 2);
        assert_int_equal(ask.at_ns, rig.now_ns + 1000 * MS);
        seen[ask.pick] = true;
        end(&rig);
    }
    assert_true(seen[0] && seen[1] && seen[2]);
}

static void there_is_one_question_at_a_time(void **state)
{
    (void)state;
    struct rig rig;
    begin(&rig, 1);
    next(&rig, 3);
    for (unsigned i = 0; i < 100; i++) {
        sta_refresh_demand(&rig.refresh, &sender, rig.now_ns + i * 100 * MS);
        struct sta_refresh_ask ask = sta_refresh_step(&rig.refresh, 3, rig.now_ns + i * 100 * MS);
        assert_int_equal(ask.whom, STA_REFRESH_NOBODY);
        assert_int_equal(ask.at_ns, STA_NEVER);
    }
    end(&rig);
}

static void without_demand_it_rests_for_a_period(void **state)
{
    (void)state;
    uint64_t least = UINT64_MAX, most = 0;
    for (uint64_t random = 0; random < 200; random++) {
        struct rig rig;
        begin(&rig, random);
        next(&rig, 3);
        believe(&rig);
        assert_int_equal(rig.refresh.state, STA_REFRESH_IDLE);
        uint64_t rest_ns = sta_refresh_step(&rig.refresh, 3, rig.now_ns).at_ns - rig.now_ns;
        least = rest_ns < least ? rest_ns : least;
        most = rest_ns > most ? rest_ns : most;
        next(&rig, 3);
        end(&rig);
    }
    assert_in_range(least, 7500 * MS, 7700 * MS);
    assert_in_range(most, 9800 * MS, 10000 * MS);
}

static void a_demand_waits_for_the_floor_and_no_longer(void **state)
{
    (void)state;
    for (uint64_t random = 0; random < 200; random++) {
        struct rig rig;
        begin(&rig, random);
        next(&rig, 3);
        uint64_t asked_ns = rig.now_ns;
        rig.now_ns += 1 * MS;
        believe(&rig);
        sta_refresh_demand(&rig.refresh, NULL, rig.now_ns);
        next(&rig, 3);
        assert_in_range(rig.now_ns - asked_ns, 100 * MS, 200 * MS);
        believe(&rig);
        rig.now_ns += 5000 * MS; /* long after, at once */
        uint64_t demanded_ns = rig.now_ns;
        sta_refresh_demand(&rig.refresh, NULL, rig.now_ns);
        next(&rig, 3);
        assert_int_equal(rig.now_ns, demanded_ns);
        end(&rig);
    }
}

static void a_demand_during_a_question_makes_another(void **state)
{
    (void)state;
    struct rig rig;
    begin(&rig, 1);
    next(&rig, 3);
    uint64_t asked_ns = rig.now_ns;
    sta_refresh_demand(&rig.refresh, &sender, rig.now_ns + 1);
    rig.now_ns += 2 * MS;
    believe(&rig);
    assert_int_equal(rig.refresh.state, STA_REFRESH_WANTED);
    struct sta_refresh_ask ask = next(&rig, 3);
    assert_int_equal(ask.whom, STA_REFRESH_SENDER);
    assert_in_range(rig.now_ns - asked_ns, 100 * MS, 200 * MS);
    believe(&rig); /* and no third */
    assert_int_equal(rig.refresh.state, STA_REFRESH_IDLE);
    end(&rig);
}

static void a_storm_of_moved_makes_ten_questions_a_second_at_most(void **state)
{
    (void)state;
    struct rig rig;
    begin(&rig, 1);
    uint64_t begin_ns = rig.now_ns, questions = 0, answer_ns = 0, last_ns = 0;
    for (unsigned i = 0; i < 16384 * 10; i++) { /* 10 s, a MOVED each 61 us, answers after 1 ms */
        rig.now_ns = begin_ns + i * UINT64_C(61035);
        if (rig.refresh.state == STA_REFRESH_ASKING && rig.now_ns >= answer_ns)
            believe(&rig);
        sta_refresh_demand(&rig.refresh, &sender, rig.now_ns);
        if (sta_refresh_step(&rig.refresh, 3, rig.now_ns).whom == STA_REFRESH_NOBODY)
            continue;
        assert_true(questions == 0 || rig.now_ns - last_ns >= 100 * MS);
        last_ns = rig.now_ns;
        answer_ns = rig.now_ns + 1 * MS;
        questions++;
    }
    assert_in_range(questions, 55, 80);
    end(&rig);
}

static void failures_space_the_questions_out(void **state)
{
    (void)state;
    static const uint64_t ceilings_ms[] = {200, 400, 800, 1000, 1000, 1000};
    for (uint64_t random = 0; random < 200; random++) {
        struct rig rig;
        begin(&rig, random);
        for (size_t i = 0; i < sizeof ceilings_ms / sizeof ceilings_ms[0]; i++) {
            next(&rig, 3);
            rig.now_ns += 1 * MS; /* refused at once */
            sta_refresh_failed(&rig.refresh, rig.now_ns);
            uint64_t wait_ns = sta_refresh_step(&rig.refresh, 3, rig.now_ns).at_ns - rig.now_ns;
            assert_in_range(wait_ns, ceilings_ms[i] * MS / 2 - 1 * MS, ceilings_ms[i] * MS);
        }
        /* Demands do not hurry it, and success resets it. */
        uint64_t at_ns = rig.refresh.at_ns;
        sta_refresh_demand(&rig.refresh, NULL, rig.now_ns);
        assert_int_equal(rig.refresh.at_ns, at_ns);
        next(&rig, 3);
        believe(&rig);
        sta_refresh_demand(&rig.refresh, NULL, rig.now_ns);
        next(&rig, 3);
        sta_refresh_failed(&rig.refresh, rig.now_ns);
        assert_in_range(rig.refresh.at_ns - rig.now_ns, 100 * MS, 200 * MS);
        assert_int_equal(rig.refresh.failures, 7);
        end(&rig);
    }
}

/* ---- whom ---- */

/* S: the sender of a MOVED, n: a node that is alive, 0..2: a seed, relative to the first. */
static void expect_turns(bool moved, unsigned alive, const char *wanted)
{
    struct rig rig;
    char turns[16] = "";
    begin(&rig, 5);
    next(&rig, alive);
    believe(&rig);
    unsigned first = rig.refresh.seed;
    sta_refresh_demand(&rig.refresh, moved ? &sender : NULL, rig.now_ns);
    for (size_t i = 0; i < strlen(wanted); i++) {
        struct sta_refresh_ask ask = next(&rig, alive);
        turns[i] = ask.whom == STA_REFRESH_SENDER ? 'S'
                   : ask.whom == STA_REFRESH_NODE ? 'n'
                                                  : (char)('0' + (ask.pick + 3 - first) % 3);
        if (ask.whom == STA_REFRESH_SENDER)
            assert_true(sta_endpoint_equal(&ask.sender, &sender));
        if (ask.whom == STA_REFRESH_NODE)
            assert_true(ask.pick < alive);
        sta_refresh_failed(&rig.refresh, rig.now_ns);
    }
    assert_string_equal(turns, wanted);
    end(&rig);
}

static void the_sender_comes_first_then_nodes_and_seeds_by_turns(void **state)
{
    (void)state;
    expect_turns(true, 3, "Sn0n1n2n0");
    expect_turns(false, 3, "n0n1n2n0");
    expect_turns(true, 0, "S0120");
    expect_turns(false, 0, "01201");
}

static void the_first_sender_since_the_last_question_is_asked(void **state)
{
    (void)state;
    struct rig rig;
    struct sta_endpoint other = sender;
    other.port++;
    begin(&rig, 1);
    next(&rig, 3);
    believe(&rig);
    sta_refresh_demand(&rig.refresh, NULL, rig.now_ns);
    sta_refresh_demand(&rig.refresh, &other, rig.now_ns);
    sta_refresh_demand(&rig.refresh, &sender, rig.now_ns);
    struct sta_refresh_ask ask = next(&rig, 3);
    assert_int_equal(ask.whom, STA_REFRESH_SENDER);
    assert_true(sta_endpoint_equal(&ask.sender, &other));
    believe(&rig); /* and not a second time */
    sta_refresh_demand(&rig.refresh, NULL, rig.now_ns);
    assert_int_equal(next(&rig, 3).whom, STA_REFRESH_NODE);
    end(&rig);
}

static void every_node_that_is_alive_gets_its_turn(void **state)
{
    (void)state;
    struct rig rig;
    unsigned seen[6] = {0};
    begin(&rig, 1);
    next(&rig, 6);
    for (unsigned i = 0; i < 600; i++) {
        believe(&rig);
        sta_refresh_demand(&rig.refresh, NULL, rig.now_ns);
        struct sta_refresh_ask ask = next(&rig, 6);
        assert_int_equal(ask.whom, STA_REFRESH_NODE);
        seen[ask.pick]++;
    }
    for (unsigned i = 0; i < 6; i++)
        assert_in_range(seen[i], 70, 130);
    end(&rig);
}

/* All nodes hang, behind new addresses of the same seeds: how long until a seed is asked? */
static void when_all_addresses_have_changed_a_seed_is_asked_within_two_time_outs(void **state)
{
    (void)state;
    for (uint64_t random = 0; random < 200; random++) {
        struct rig rig;
        begin(&rig, random);
        next(&rig, 6);
        believe(&rig);
        uint64_t lost_ns = rig.now_ns;
        sta_refresh_demand(&rig.refresh, &sender, rig.now_ns);
        while (next(&rig, 6).whom != STA_REFRESH_SEED) {
            rig.now_ns += 1000 * MS; /* the time-out */
            sta_refresh_failed(&rig.refresh, rig.now_ns);
        }
        assert_true(rig.now_ns - lost_ns <= 3000 * MS);
        end(&rig);
    }
}

/* ---- what is believed ---- */

static void answers_are_judged(void **state)
{
    (void)state;
    static const struct {
        unsigned now_slots; /* of the map in use; 99999: none */
        uint64_t now_epoch;
        unsigned slots;
        enum sta_topology_state state;
        uint64_t epoch;
        enum sta_refresh_verdict verdict;
    } rows[] = {
        {99999, 0, 16384, STA_TOPOLOGY_OK, 5, STA_REFRESH_ADOPT},
        {99999, 0, 6, STA_TOPOLOGY_FAIL, 0, STA_REFRESH_ADOPT}, /* better than nothing */
        {99999, 0, 0, STA_TOPOLOGY_FAIL, 0, STA_REFRESH_EMPTY},
        {16384, 5, 0, STA_TOPOLOGY_OK, 9, STA_REFRESH_EMPTY},
        {16384, 5, 16384, STA_TOPOLOGY_OK, 5, STA_REFRESH_ADOPT},
        {16384, 5, 16384, STA_TOPOLOGY_OK, 6, STA_REFRESH_ADOPT},
        {16384, 5, 16384, STA_TOPOLOGY_OK, 4, STA_REFRESH_OLDER},
        {16384, 5, 16384, STA_TOPOLOGY_FAIL, 4, STA_REFRESH_OLDER},
        {16384, 5, 16384, STA_TOPOLOGY_OK, 0, STA_REFRESH_ADOPT}, /* it does not say */
        {16384, 0, 16384, STA_TOPOLOGY_OK, 1, STA_REFRESH_ADOPT},
        {16384, 5, 16384, STA_TOPOLOGY_FAIL, 5,
         STA_REFRESH_ADOPT}, /* down, and it says who serves what */
        {16384, 5, 16383, STA_TOPOLOGY_FAIL, 5, STA_REFRESH_SMALLER},
        {16384, 5, 16383, STA_TOPOLOGY_FAIL, 0, STA_REFRESH_SMALLER},
        {16384, 5, 16383, STA_TOPOLOGY_FAIL, 6, STA_REFRESH_ADOPT}, /* something has happened */
        {16384, 5, 16383, STA_TOPOLOGY_OK, 5, STA_REFRESH_ADOPT},   /* slots were taken away */
        {6, 5, 16384, STA_TOPOLOGY_FAIL, 5, STA_REFRESH_ADOPT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rig rig;
        begin(&rig, 1);
        struct sta_slot_map *now = rows[i].now_slots > 16384 ? NULL : map_of(rows[i].now_slots);
        struct sta_slot_map *answer = map_of(rows[i].slots);
        struct sta_topology_info info = {.state = rows[i].state, .current_epoch = rows[i].epoch};
        rig.refresh.epoch = rows[i].now_epoch;
        next(&rig, 3);
        enum sta_refresh_verdict verdict =
            sta_refresh_answered(&rig.refresh, now, answer, &info, rig.now_ns);
        if (verdict != rows[i].verdict)
            fail_msg("row %zu: verdict %d", i, (int)verdict);
        bool adopted = verdict == STA_REFRESH_ADOPT;
        assert_int_equal(rig.refresh.state, adopted ? STA_REFRESH_IDLE : STA_REFRESH_WANTED);
        assert_int_equal(rig.refresh.refusals, !adopted);
        assert_int_equal(rig.refresh.epoch,
                         adopted && rows[i].epoch != 0 ? rows[i].epoch : rows[i].now_epoch);
        sta_slot_map_destroy(&now);
        sta_slot_map_destroy(&answer);
        end(&rig);
    }
}

static enum sta_refresh_verdict answer_with(struct rig *rig, unsigned slots, uint64_t epoch)
{
    struct sta_slot_map *answer = map_of(slots);
    struct sta_topology_info info = {.state = STA_TOPOLOGY_OK, .current_epoch = epoch};
    next(rig, 3);
    enum sta_refresh_verdict verdict =
        sta_refresh_answered(&rig->refresh, rig->map, answer, &info, rig->now_ns);
    sta_slot_map_destroy(&answer);
    return verdict;
}

static void what_three_answers_in_a_row_say_is_believed(void **state)
{
    (void)state;
    struct rig rig;
    begin(&rig, 1);
    assert_int_equal(answer_with(&rig, 16384, 9), STA_REFRESH_ADOPT);
    assert_int_equal(answer_with(&rig, 16384, 2), STA_REFRESH_OLDER);
    assert_int_equal(answer_with(&rig, 16384, 2), STA_REFRESH_OLDER);
    assert_int_equal(answer_with(&rig, 16384, 9), STA_REFRESH_ADOPT); /* one was cut off */
    assert_int_equal(answer_with(&rig, 16384, 2), STA_REFRESH_OLDER);
    assert_int_equal(answer_with(&rig, 16384, 3), STA_REFRESH_OLDER);
    assert_int_equal(answer_with(&rig, 16384, 2), STA_REFRESH_ADOPT); /* it was made anew */
    assert_int_equal(rig.refresh.epoch, 2);
    assert_int_equal(answer_with(&rig, 16384, 2), STA_REFRESH_ADOPT);
    end(&rig);
}

static void an_answer_without_slots_is_never_believed(void **state)
{
    (void)state;
    struct rig rig;
    begin(&rig, 1);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(answer_with(&rig, 0, 9), STA_REFRESH_EMPTY);
    assert_int_equal(rig.refresh.doubts, 0);
    assert_int_equal(answer_with(&rig, 1, 9), STA_REFRESH_ADOPT);
    end(&rig);
}

static void whom_is_not_believed_is_not_asked_again_first(void **state)
{
    (void)state;
    struct rig rig;
    begin(&rig, 1);
    assert_int_equal(answer_with(&rig, 16384, 9), STA_REFRESH_ADOPT);
    sta_refresh_demand(&rig.refresh, &sender, rig.now_ns);
    assert_int_equal(answer_with(&rig, 16384, 2), STA_REFRESH_OLDER);
    assert_int_equal(next(&rig, 3).whom, STA_REFRESH_NODE);
    end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_question_is_put_at_once_to_a_seed),
        cmocka_unit_test(there_is_one_question_at_a_time),
        cmocka_unit_test(without_demand_it_rests_for_a_period),
        cmocka_unit_test(a_demand_waits_for_the_floor_and_no_longer),
        cmocka_unit_test(a_demand_during_a_question_makes_another),
        cmocka_unit_test(a_storm_of_moved_makes_ten_questions_a_second_at_most),
        cmocka_unit_test(failures_space_the_questions_out),
        cmocka_unit_test(the_sender_comes_first_then_nodes_and_seeds_by_turns),
        cmocka_unit_test(the_first_sender_since_the_last_question_is_asked),
        cmocka_unit_test(every_node_that_is_alive_gets_its_turn),
        cmocka_unit_test(when_all_addresses_have_changed_a_seed_is_asked_within_two_time_outs),
        cmocka_unit_test(answers_are_judged),
        cmocka_unit_test(what_three_answers_in_a_row_say_is_believed),
        cmocka_unit_test(an_answer_without_slots_is_never_believed),
        cmocka_unit_test(whom_is_not_believed_is_not_asked_again_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
