/* SPDX-License-Identifier: MIT
 *
 * What a router tells of the sources of answers, before servers that the test plays: which answers
 * may be kept, what is forgotten, doubted and trusted, and when, in the order in which the servers
 * said it.
 */
#include "router_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "l2/router_inside.h"
#include "strata/status.h"

#define PREFIX   "t:"
#define FIRST    100 /* the number of the first source */
#define LONG_NS  (1000 * STA_NS_SEC)
#define SHORT_NS (150 * STA_NS_MS)

#define PUSH(key, len) ">2\r\n$10\r\ninvalidate\r\n*1\r\n$" len "\r\n" key "\r\n"
#define PUSH_ALL       ">2\r\n$10\r\ninvalidate\r\n_\r\n"

static char told[1024]; /* "forget k;doubt 100;trust 100;" */
static uint64_t until_ns;

static void tell(const char *what, unsigned long number)
{
    size_t len = strlen(told);
    (void)snprintf(told + len, sizeof told - len, "%s %lu;", what, number);
}

static void on_forget(void *arg, struct strata_bytes key, const struct sta_operation *answering)
{
    (void)answering;
    size_t len = strlen(told);
    (void)arg;
    (void)snprintf(told + len, sizeof told - len, "forget %.*s;", (int)key.len,
                   (const char *)key.data);
}

static void on_doubt(void *arg, uint16_t source)
{
    (void)arg;
    tell("doubt", source);
}

static void on_trust(void *arg, uint16_t source, uint64_t until)
{
    (void)arg;
    until_ns = until;
    tell(until == STA_NEVER ? "always" : "trust", source);
}

static size_t keeps_most = SIZE_MAX;

static bool on_keeps(void *arg, size_t len)
{
    (void)arg;
    return len <= keeps_most;
}

static const struct sta_tracking_sink sink = {
    .forget = on_forget, .doubt = on_doubt, .trust = on_trust, .keeps = on_keeps};

static void begin(struct rig *rig, unsigned fakes, uint64_t max_staleness_ns)
{
    rig_init(rig, fakes);
    told[0] = 0;
    rig->config.tracking = (struct sta_tracking_config){
        .mode = STA_TRACKING_READS,
        .prefix = strata_text(PREFIX),
        .max_staleness_ns = max_staleness_ns,
        .first_source = FIRST,
        .sources = 1,
        .sink = &sink,
    };
    rig->config.node.connection.backoff_max_ns = 20 * STA_NS_MS;
}

static struct sta_tracking_statistics numbers(const struct rig *rig)
{
    struct sta_tracking_statistics out;
    sta_tracking_statistics(rig->router, &out);
    return out;
}

/* What was told since the last time is this. */
static void assert_told(const char *expected)
{
    assert_string_equal(told, expected);
    told[0] = 0;
}

static bool has_told(struct rig *rig)
{
    (void)rig;
    return told[0] != 0;
}

/* One command, answered. */
static const struct ask *ask(struct rig *rig, unsigned slot, const char *command)
{
    const struct ask *asked = rig_ask(rig, slot, true, command);
    rig_run_until(rig, rig_all_done);
    assert_int_equal(asked->status, STRATA_OK);
    return asked;
}

/* GET k is answered as often as it is asked, and the canary's read, which follows the first one, is
 * left to the test. */
static void begin_single(struct rig *rig, uint64_t max_staleness_ns)
{
    begin(rig, 1, max_staleness_ns);
    fake_answers(&rig->fakes[0], "GET k", "$1\r\nv\r\n", 100);
    rig_open(rig);
}

/* ---- the canary, as the server sees it ---- */

static bool heard(const struct rig *rig, const char *text)
{
    return strstr(rig->fakes[0].heard, text) != NULL;
}

static bool canary_was_read(struct rig *rig)
{
    return heard(rig, "GET " PREFIX "strata:canary:");
}

static bool canary_was_written(struct rig *rig)
{
    return heard(rig, "DEL " PREFIX "strata:canary:");
}

/* Reads and writes it; what the write is answered is the test's. */
static void canary_goes_out(struct rig *rig, const char *written)
{
    rig_run_until(rig, canary_was_read);
    fake_says(&rig->fakes[0], "_\r\n");
    rig_run_until(rig, canary_was_written);
    fake_says(&rig->fakes[0], written);
}

static void canary_push(const struct rig *rig, char *push, size_t cap)
{
    const char *name = strstr(rig->fakes[0].heard, PREFIX "strata:canary:");
    assert_non_null(name);
    int len = (int)strcspn(name, ";");
    (void)snprintf(push, cap, ">2\r\n$10\r\ninvalidate\r\n*1\r\n$%d\r\n%.*s\r\n", len, len, name);
}

/* ---- what may be kept ---- */

static void an_answer_of_the_main_connection_has_a_source(void **state)
{
    (void)state;
    struct rig rig;
    begin_single(&rig, LONG_NS);
    uint64_t before_ns = sta_loop_now_ns(rig.loop);
    struct ask *asked = rig_ask(&rig, 0, true, "GET k");
    rig_run_until(&rig, rig_all_done);
    assert_int_equal(asked->source, FIRST);
    assert_told("trust 100;");
    assert_true(until_ns >= before_ns + LONG_NS);
    assert_int_equal(numbers(&rig).state, STA_TRACKING_IN_FORCE);

    asked->operation.aside = true; /* it came by the other lane */
    assert_int_equal(sta_tracking_source(&asked->operation), STA_TRACKING_NOBODY);
    asked->operation.aside = false;
    asked->operation.asked = true;
    assert_int_equal(sta_tracking_source(&asked->operation), STA_TRACKING_NOBODY);
    asked->operation.asked = false;
    asked->operation.node->canary.up = false; /* it is lost by now */
    assert_int_equal(sta_tracking_source(&asked->operation), STA_TRACKING_NOBODY);
    asked->operation.node->canary.up = true;
    assert_int_equal(sta_tracking_source(&asked->operation), FIRST);
    assert_told("");
    rig_fini(&rig);
}

static int source_of(struct rig *rig, const char *command)
{
    struct ask *asked = rig_ask(rig, 0, true, command);
    rig_run_until(rig, rig_all_done);
    assert_int_equal(asked->status, STRATA_OK);
    return asked->source;
}

/* What comes by another connection than the main one cannot be. */
static void a_large_answer_that_is_kept_comes_on_the_main_connection(void **state)
{
    (void)state;
    static char large[100000 + 16];
    struct rig rig;
    size_t head = (size_t)snprintf(large, sizeof large, "$100000\r\n");
    memset(large + head, 'x', 100000);
    memcpy(large + head + 100000, "\r\n", 3);
    begin_single(&rig, LONG_NS);
    rig.fakes[0].canaries = true;
    fake_answers(rig.fakes, "GET large", large, 7);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(source_of(&rig, "GET large"), FIRST);
    keeps_most = 99999;
    assert_int_equal(source_of(&rig, "GET large"), FIRST);
    assert_int_equal(source_of(&rig, "GET large"), STA_TRACKING_NOBODY);
    keeps_most = SIZE_MAX;
    assert_int_equal(source_of(&rig, "GET large"), STA_TRACKING_NOBODY); /* for the last time */
    assert_int_equal(source_of(&rig, "GET large"), FIRST);
    rig_fini(&rig);
}

static void where_nothing_is_to_be_tracked_there_is_no_source(void **state)
{
    (void)state;
    struct rig rig;
    begin(&rig, 1, LONG_NS);
    rig.config.tracking.mode = STA_TRACKING_OFF;
    fake_answers(&rig.fakes[0], "GET k", "$1\r\nv\r\n", 1);
    rig_open(&rig);
    assert_int_equal(ask(&rig, 0, "GET k")->source, 0);
    assert_told("");
    assert_int_equal(numbers(&rig).state, STA_TRACKING_DISABLED);
    assert_false(canary_was_read(&rig));
    rig_fini(&rig);
}

static void a_server_that_refuses_is_trusted_without_end_and_not_asked_for_proof(void **state)
{
    (void)state;
    struct rig rig;
    begin_single(&rig, SHORT_NS);
    rig.fakes[0].tracks_with = "-NOPERM no\r\n";
    assert_int_equal(ask(&rig, 0, "GET k")->source, FIRST);
    assert_told("always 100;");
    assert_int_equal(numbers(&rig).state, STA_TRACKING_REFUSED);
    rig_run_ms(&rig, 300); /* rounds have gone by */
    assert_false(canary_was_read(&rig));
    assert_told("");
    rig_fini(&rig);
}

/* ---- pushes ---- */

static void pushes_are_told_in_order(void **state)
{
    (void)state;
    struct rig rig;
    begin_single(&rig, LONG_NS);
    (void)ask(&rig, 0, "GET k");
    told[0] = 0;
    canary_goes_out(&rig, "+OK\r\n:1\r\n" PUSH("t:k", "3") PUSH("other", "5") PUSH_ALL);
    rig_run_until(&rig, has_told);
    assert_told("forget t:k;forget other;doubt 100;");
    assert_int_equal(numbers(&rig).forgotten, 2);
    assert_int_equal(numbers(&rig).flushes, 1);
    rig_fini(&rig);
}

static void what_comes_after_a_flush_is_fine(void **state)
{
    (void)state;
    struct rig rig;
    begin_single(&rig, LONG_NS);
    (void)ask(&rig, 0, "GET k");
    told[0] = 0;
    canary_goes_out(&rig, "+OK\r\n:1\r\n" PUSH_ALL PUSH_ALL);
    rig_run_until(&rig, has_told);
    assert_told("doubt 100;"); /* once: there is nothing left to doubt */
    assert_int_equal(ask(&rig, 0, "GET k")->source, FIRST);
    assert_told("trust 100;");
    rig_fini(&rig);
}

/* ---- proof ---- */

static bool is_proven(struct rig *rig)
{
    return numbers(rig).proofs > 0;
}

static void a_canary_that_comes_back_moves_the_end_of_trust(void **state)
{
    (void)state;
    struct rig rig;
    char push[256];
    begin_single(&rig, LONG_NS);
    (void)ask(&rig, 0, "GET k");
    uint64_t first_ns = until_ns;
    canary_goes_out(&rig, "+OK\r\n:1\r\n");
    told[0] = 0;
    canary_push(&rig, push, sizeof push);
    fake_says(&rig.fakes[0], push);
    rig_run_until(&rig, is_proven);
    assert_told("trust 100;"); /* and nobody is told to forget it */
    assert_true(until_ns > first_ns);
    assert_true(until_ns <=
                sta_loop_now_ns(rig.loop) + LONG_NS); /* no more than from its read on */
    assert_int_equal(numbers(&rig).forgotten, 0);
    rig_fini(&rig);
}

static bool is_silent(struct rig *rig)
{
    return sta_tracking_is_silent(rig->router, rig->router->only);
}

static void who_is_in_a_hurry_is_refused_by_a_node_that_proves_nothing(void **state)
{
    (void)state;
    struct rig rig;
    begin_single(&rig, SHORT_NS);
    struct ask *asked = rig_ask(&rig, 0, true, "GET k");
    rig_run_until(&rig, rig_all_done);
    rig_run_until(&rig, canary_was_read); /* and is not answered */
    assert_false(is_silent(&rig));
    rig_run_until(&rig, is_silent);
    size_t heard_len = strlen(rig.fakes[0].heard);
    asked->operation.hurried = true;
    asked->done = 0;
    sta_router_submit(rig.router, &asked->operation);
    assert_int_equal(asked->done, 1);
    assert_int_equal(asked->status, STRATA_ERR_UNAVAILABLE);
    asked->operation.hurried = false; /* others wait */
    asked->done = 0;
    sta_router_submit(rig.router, &asked->operation);
    assert_int_equal(asked->done, 0);
    fake_says(&rig.fakes[0], "_\r\n$1\r\nv\r\n");
    rig_run_until(&rig, rig_all_done);
    assert_non_null(strstr(rig.fakes[0].heard + heard_len, "GET k;"));
    rig_fini(&rig);
}

static bool is_given_up(struct rig *rig)
{
    return numbers(rig).silent > 0 && told[0] != 0;
}

static void a_connection_whose_canary_does_not_come_back_is_given_up(void **state)
{
    (void)state;
    struct rig rig;
    begin_single(&rig, SHORT_NS);
    (void)ask(&rig, 0, "GET k");
    told[0] = 0;
    canary_goes_out(&rig, "+OK\r\n:1\r\n");
    rig_run_until(&rig, is_given_up);
    assert_told("doubt 100;");
    rig_fini(&rig);
}

static bool is_refused_and_said(struct rig *rig)
{
    return strstr(rig->logged, "a canary cannot be read and written") != NULL;
}

static void a_canary_that_may_not_be_written_is_told_and_proves_nothing(void **state)
{
    (void)state;
    struct rig rig;
    begin_single(&rig, LONG_NS);
    (void)ask(&rig, 0, "GET k");
    told[0] = 0;
    canary_goes_out(&rig, "-NOPERM no\r\n-NOPERM no\r\n");
    rig_run_until(&rig, is_refused_and_said);
    assert_told("");
    rig.router->only->canary.proven_ns = 1; /* long ago: it answers all the same */
    assert_false(sta_tracking_is_silent(rig.router, rig.router->only));
    assert_int_equal(numbers(&rig).proofs, 0);
    assert_int_equal(numbers(&rig).silent, 0);
    rig_fini(&rig);
}

/* ---- losses ---- */

static bool is_back(struct rig *rig)
{
    return numbers(rig).doubts > 0 && rig->router->only->canary.up;
}

static void a_lost_connection_is_doubted_and_the_next_one_is_another(void **state)
{
    (void)state;
    struct rig rig;
    begin_single(&rig, LONG_NS);
    (void)ask(&rig, 0, "GET k");
    told[0] = 0;
    rig_run_until(&rig, canary_was_read);
    fake_hangs_up(&rig.fakes[0]);
    rig_run_until(&rig, is_back);
    assert_told("doubt 100;");
    assert_false(rig.router->only->canary.used); /* nothing of it is kept yet */
    assert_int_equal(ask(&rig, 0, "GET k")->source, FIRST);
    assert_told("trust 100;");
    rig_fini(&rig);
}

/* ---- a cluster ---- */

#define SLOT_A 0u
#define SLOT_B 10000u

static void begin_cluster(struct rig *rig, const char *topology)
{
    rig->config.cluster = true;
    rig->config.tracking.sources = STA_SLOT_COUNT;
    rig->config.refresh.floor_ns = 20 * STA_NS_MS;
    for (unsigned i = 0; i < rig->fake_count; i++) {
        rig->fakes[i].topology = topology;
        rig->fakes[i].canaries = rig->fake_count > 1;
        fake_answers(&rig->fakes[i], "GET k", "$1\r\nv\r\n", 100);
    }
    rig_open(rig);
}

static void each_slot_is_a_source(void **state)
{
    (void)state;
    struct rig rig;
    begin(&rig, 2, LONG_NS);
    begin_cluster(&rig, rig_topology(&rig, (unsigned[]){0, 8192}));
    assert_int_equal(ask(&rig, SLOT_A, "GET k")->source, FIRST + SLOT_A);
    assert_int_equal(ask(&rig, SLOT_B, "GET k")->source, FIRST + SLOT_B);
    assert_non_null(strstr(told, "trust 100;"));
    assert_non_null(strstr(told, "trust 10100;"));
    rig_fini(&rig);
}

static bool doubts_b(struct rig *rig)
{
    (void)rig;
    return strstr(told, "doubt 10100;") != NULL;
}

static void a_slot_that_has_another_owner_is_doubted_alone(void **state)
{
    (void)state;
    struct rig rig;
    begin(&rig, 2, LONG_NS);
    begin_cluster(&rig, rig_topology(&rig, (unsigned[]){0, 8192}));
    (void)ask(&rig, SLOT_A, "GET k");
    (void)ask(&rig, SLOT_B, "GET k");
    told[0] = 0;
    const char *moved = rig_topology(&rig, (unsigned[]){0, 12000});
    rig.fakes[0].topology = rig.fakes[1].topology = moved;
    sta_router_demand_map(rig.router, NULL);
    rig_run_until(&rig, doubts_b);
    assert_null(strstr(told, "doubt 100;"));
    rig_fini(&rig);
}

static void an_epoch_that_grew_doubts_all_slots(void **state)
{
    (void)state;
    struct rig rig;
    begin(&rig, 2, LONG_NS);
    begin_cluster(&rig, rig_topology(&rig, (unsigned[]){0, 8192}));
    (void)ask(&rig, SLOT_A, "GET k");
    (void)ask(&rig, SLOT_B, "GET k");
    told[0] = 0;
    rig.router->tracking.epoch = 1; /* that the map in use came with */
    rig.router->refresh.epoch = 2;
    sta_tracking_mapped(rig.router, sta_loop_now_ns(rig.loop));
    assert_non_null(strstr(told, "doubt 100;"));
    assert_non_null(strstr(told, "doubt 10100;"));
    rig_fini(&rig);
}

static void a_proof_is_worth_no_more_than_the_map_is_young(void **state)
{
    (void)state;
    struct rig rig;
    char push[256];
    begin(&rig, 1, LONG_NS);
    begin_cluster(&rig, rig_topology(&rig, (unsigned[]){0}));
    (void)ask(&rig, SLOT_A, "GET k");
    canary_goes_out(&rig, "+OK\r\n:1\r\n");
    struct sta_node *node = STA_CONTAINER(rig.router->nodes.next, struct sta_node, link);
    rig.router->tracking.mapped_ns = node->canary.read_ns - STA_NS_SEC;
    canary_push(&rig, push, sizeof push);
    sta_tracking_pushed(rig.router, &node->lanes[STA_NODE_MAIN], strata_text(push));
    assert_int_equal(numbers(&rig).proofs, 1);
    assert_int_equal(until_ns, node->canary.read_ns - STA_NS_SEC + LONG_NS);
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_of_the_main_connection_has_a_source),
        cmocka_unit_test(a_large_answer_that_is_kept_comes_on_the_main_connection),
        cmocka_unit_test(where_nothing_is_to_be_tracked_there_is_no_source),
        cmocka_unit_test(a_server_that_refuses_is_trusted_without_end_and_not_asked_for_proof),
        cmocka_unit_test(pushes_are_told_in_order),
        cmocka_unit_test(what_comes_after_a_flush_is_fine),
        cmocka_unit_test(a_canary_that_comes_back_moves_the_end_of_trust),
        cmocka_unit_test(a_connection_whose_canary_does_not_come_back_is_given_up),
        cmocka_unit_test(who_is_in_a_hurry_is_refused_by_a_node_that_proves_nothing),
        cmocka_unit_test(a_canary_that_may_not_be_written_is_told_and_proves_nothing),
        cmocka_unit_test(a_lost_connection_is_doubted_and_the_next_one_is_another),
        cmocka_unit_test(each_slot_is_a_source),
        cmocka_unit_test(a_slot_that_has_another_owner_is_doubted_alone),
        cmocka_unit_test(an_epoch_that_grew_doubts_all_slots),
        cmocka_unit_test(a_proof_is_worth_no_more_than_the_map_is_young),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
