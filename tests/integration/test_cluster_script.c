/* SPDX-License-Identifier: MIT
 *
 * What a cluster rarely says, said by servers that play a script: redirects that lead nowhere, in
 * circles, or without a host; "try again" in all its forms; replies that are cut, missing or more
 * than were asked for. Each call ends, within its budget, with the right answer or an error; and a
 * node that talks nonsense is not asked a thousand times a second.
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
#include "integration/log_record.h"
#include "strata/strata.h"
#include "support/fake_redis.h"
#include "support/stall.h"
#include "support/wait.h"

#define BUDGET_MS  1000u
#define SLACK_MS   500u
#define PATIENT_MS 20000u

/* Two nodes: `a` owns all slots until the test says otherwise. The key is "k". */
struct world {
    struct fake_redis *a;
    struct fake_redis *b;
    struct log_record log;
    struct strata *cache;
};

static void slots_to(struct fake_redis *teller, struct fake_redis *owner)
{
    const struct fake_range all = {
        .first = 0,
        .last = 16383,
        .host = "127.0.0.1",
        .port = fake_redis_port(owner),
    };
    fake_redis_set_slots(teller, &all, 1);
}

static void open_cache(struct world *world)
{
    const char *seeds[] = {fake_redis_address(world->a)};
    struct strata_error error;
    const struct strata_options options = {
        .l1_enabled = STRATA_OFF,
        .l2_key_prefix = "",
        .cluster_enabled = STRATA_ON,
        .cluster_nodes = seeds,
        .cluster_node_count = 1,
        .socket_timeout_ms = BUDGET_MS,
        .log_sink = log_record_sink,
        .log_arg = &world->log,
    };
    if (strata_open(&world->cache, &options, &error) != STRATA_OK)
        fail_msg("%s", error.text);
}

static int start(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    if (world == NULL)
        return -1;
    log_record_init(&world->log);
    world->a = fake_redis_start(NULL);
    world->b = fake_redis_start(NULL);
    slots_to(world->a, world->a);
    slots_to(world->b, world->a);
    *state = world;
    return 0;
}

static int stop(void **state)
{
    struct world *world = *state;
    strata_close(&world->cache);
    fake_redis_stop(&world->a);
    fake_redis_stop(&world->b);
    free(world);
    return 0;
}

static int get(struct world *world, char *text, size_t cap)
{
    struct strata_value value = {0};
    int status = strata_get(world->cache, strata_text("k"), &value);
    if (status == STRATA_OK)
        (void)snprintf(text, cap, "%.*s", (int)value.bytes.len, (const char *)value.bytes.data);
    strata_release(&value);
    return status;
}

static bool is_answered(void *arg)
{
    char text[32];
    return get(arg, text, sizeof text) >= 0;
}

/* Opens, and waits until the cluster is known. */
static void be_ready(struct world *world)
{
    open_cache(world);
    assert_true(wait_until(is_answered, world, PATIENT_MS));
}

/* What the first GET from now on is answered with in the end. */
static void assert_gets(struct world *world, const char *expected)
{
    char text[64] = "";
    struct stall_mark start = stall_mark();
    int status = get(world, text, sizeof text);
    if (status != STRATA_OK)
        fail_msg("%s", strata_status_name(status));
    assert_string_equal(text, expected);
    stall_assert_took_ms(start, 0, BUDGET_MS + SLACK_MS);
}

/* An error that comes in time; how many GETs that took. */
static uint64_t assert_fails(struct world *world)
{
    char text[64];
    uint64_t before = fake_redis_seen(world->a, "GET *") + fake_redis_seen(world->b, "GET *");
    struct stall_mark start = stall_mark();
    assert_true(get(world, text, sizeof text) < 0);
    stall_assert_took_ms(start, 0, BUDGET_MS + SLACK_MS);
    return fake_redis_seen(world->a, "GET *") + fake_redis_seen(world->b, "GET *") - before;
}

static void say_moved(struct fake_redis *teller, const char *host, int port, unsigned times)
{
    char text[96];
    (void)snprintf(text, sizeof text, "-MOVED 7629 %s:%d\r\n", host, port); /* the slot of "k" */
    fake_redis_say(teller, "GET *", times, text);
}

static void say_ask(struct fake_redis *teller, struct fake_redis *other, unsigned times)
{
    char text[96];
    (void)snprintf(text, sizeof text, "-ASK 7629 %s\r\n", fake_redis_address(other));
    fake_redis_say(teller, "GET *", times, text);
}

/* ---- MOVED ---- */

static void a_redirect_to_a_node_that_nobody_knew_is_followed(void **state)
{
    struct world *world = *state;
    be_ready(world);
    slots_to(world->a, world->b);
    slots_to(world->b, world->b);
    say_moved(world->a, "127.0.0.1", fake_redis_port(world->b), 1);
    fake_redis_say(world->b, "GET *", 0, "$4\r\nthat\r\n");
    assert_gets(world, "that");
    uint64_t at_a = fake_redis_seen(world->a, "GET *");
    assert_gets(world, "that"); /* and the next goes there at once */
    assert_int_equal(fake_redis_seen(world->a, "GET *"), at_a);
}

static void a_redirect_without_a_host_means_the_same_host(void **state)
{
    struct world *world = *state;
    be_ready(world);
    say_moved(world->a, "", fake_redis_port(world->b), 1);
    fake_redis_say(world->b, "GET *", 0, "$4\r\nthat\r\n");
    assert_gets(world, "that");
}

static void a_map_without_hosts_means_the_node_that_was_asked(void **state)
{
    struct world *world = *state;
    const struct fake_range range = {.first = 0, .last = 16383, .port = fake_redis_port(world->a)};
    fake_redis_set_slots(world->a, &range, 1);
    fake_redis_say(world->a, "GET *", 0, "$4\r\nthis\r\n");
    be_ready(world);
    assert_gets(world, "this");
}

static void a_redirect_to_oneself_ends_in_time_and_in_calm(void **state)
{
    struct world *world = *state;
    be_ready(world);
    say_moved(world->a, "127.0.0.1", fake_redis_port(world->a), 0);
    assert_in_range(assert_fails(world), 1, 100);
    fake_redis_forget(world->a);
    fake_redis_say(world->a, "GET *", 0, "$4\r\nthis\r\n");
    assert_gets(world, "this");
}

static void a_circle_of_redirects_ends_in_time_and_in_calm(void **state)
{
    struct world *world = *state;
    be_ready(world);
    say_moved(world->a, "127.0.0.1", fake_redis_port(world->b), 0);
    say_moved(world->b, "127.0.0.1", fake_redis_port(world->a), 0);
    uint64_t asked =
        fake_redis_seen(world->a, "CLUSTER SLOTS") + fake_redis_seen(world->b, "CLUSTER SLOTS");
    assert_in_range(assert_fails(world), 2, 100);
    asked = fake_redis_seen(world->a, "CLUSTER SLOTS") +
            fake_redis_seen(world->b, "CLUSTER SLOTS") - asked;
    assert_in_range(asked, 0, 30);
}

/* The call that is sent there may fail, for that costs nobody any time; the map mends it. */
static void a_redirect_to_where_nobody_listens_is_soon_forgotten(void **state)
{
    struct world *world = *state;
    char text[64];
    be_ready(world);
    say_moved(world->a, "127.0.0.1", 1, 1);
    fake_redis_say(world->a, "GET *", 0, "$4\r\nthis\r\n");
    (void)get(world, text, sizeof text);
    assert_true(wait_until(is_answered, world, 3000));
    assert_gets(world, "this");
}

static void redirects_that_are_none_are_errors(void **state)
{
    struct world *world = *state;
    static const char *const odd[] = {
        "-MOVED\r\n",
        "-MOVED 7629\r\n",
        "-MOVED x 127.0.0.1:7000\r\n",
        "-MOVED 99999 127.0.0.1:7000\r\n",
        "-MOVED 7629 127.0.0.1:99999\r\n",
        "-MOVED 7629 ?:7000\r\n",
        "-ASK 7629 \r\n",
        "-ASK -1 127.0.0.1:7000\r\n",
    };
    be_ready(world);
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        fake_redis_forget(world->a);
        fake_redis_say(world->a, "GET *", 0, odd[i]);
        assert_in_range(assert_fails(world), 1, 100);
    }
    fake_redis_forget(world->a);
    fake_redis_say(world->a, "GET *", 0, "$4\r\nthis\r\n");
    assert_true(wait_until(is_answered, world, PATIENT_MS));
}

/* ---- ASK ---- */

static void an_ask_is_followed_once_with_asking_before_the_command(void **state)
{
    struct world *world = *state;
    char text[64] = "";
    be_ready(world);
    say_ask(world->a, world->b, 1);
    fake_redis_say(world->a, "GET *", 0, "$4\r\nthis\r\n");
    fake_redis_say(world->b, "GET *", 0, "$4\r\nthat\r\n");
    assert_gets(world, "that");
    assert_int_equal(fake_redis_seen(world->b, "ASKING"),
                     fake_redis_seen(world->b, "GET *") + fake_redis_seen(world->b, "PTTL *"));
    int connection = -1;
    bool right = false;
    for (size_t i = 0; (connection = fake_redis_command(world->b, i, text, sizeof text)) >= 0; i++)
        if (strcmp(text, "ASKING") == 0) {
            assert_int_equal(fake_redis_command(world->b, i + 1, text, sizeof text), connection);
            right = strncmp(text, "GET ", 4) == 0 || strncmp(text, "PTTL ", 5) == 0;
            assert_true(right);
        }
    assert_true(right);
    assert_gets(world, "this"); /* the map did not change */
}

static void two_nodes_that_ask_each_other_end_in_time_and_in_calm(void **state)
{
    struct world *world = *state;
    be_ready(world);
    say_ask(world->a, world->b, 0);
    say_ask(world->b, world->a, 0);
    assert_in_range(assert_fails(world), 2, 100);
}

/* ---- not now ---- */

static void what_passes_is_waited_for(void **state)
{
    struct world *world = *state;
    static const char *const not_now[] = {
        "-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
        "-CLUSTERDOWN The cluster is down\r\n",
        "-CLUSTERDOWN Hash slot not served\r\n",
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
        "!9\r\nTRYAGAIN \r\n",
    };
    be_ready(world);
    for (size_t i = 0; i < sizeof not_now / sizeof not_now[0]; i++) {
        fake_redis_forget(world->a);
        fake_redis_say(world->a, "GET *", 3, not_now[i]);
        fake_redis_say(world->a, "GET *", 0, "$4\r\nthis\r\n");
        assert_gets(world, "this");
    }
}

static void what_does_not_pass_is_an_error_in_time_and_in_calm(void **state)
{
    struct world *world = *state;
    be_ready(world);
    fake_redis_say(world->a, "GET *", 0, "-CLUSTERDOWN The cluster is down\r\n");
    assert_in_range(assert_fails(world), 2, 100);
    fake_redis_say(world->a, "SET *", 1,
                   "-READONLY You can't write against a read only replica.\r\n");
    assert_int_equal(strata_set(world->cache, strata_text("k"), strata_text("v"), 0), STRATA_OK);
    assert_int_equal(fake_redis_seen(world->a, "SET *"), 2);
}

static void an_error_of_the_command_is_told_at_once(void **state)
{
    struct world *world = *state;
    be_ready(world);
    fake_redis_say(world->a, "GET *", 0, "-WRONGTYPE Operation against a key\r\n");
    assert_int_equal(assert_fails(world), 1);
    fake_redis_forget(world->a);
    fake_redis_say(world->a, "GET *", 0, "-NOPERM this user has no permissions\r\n");
    assert_int_equal(assert_fails(world), 1);
}

/* ---- replies that are wrong ---- */

static bool half(struct world *world, enum fake_deed deed)
{
    fake_redis_forget(world->a);
    fake_redis_rule(world->a, &(struct fake_rule){.pattern = "GET *",
                                                  .times = 1,
                                                  .reply = "$10\r\n0123456789\r\n",
                                                  .cut_after = 8,
                                                  .deed = deed});
    fake_redis_say(world->a, "GET *", 0, "$4\r\nthis\r\n");
    char text[64] = "";
    struct stall_mark start = stall_mark();
    int status = get(world, text, sizeof text);
    stall_assert_took_ms(start, 0, BUDGET_MS + SLACK_MS);
    assert_true(status < 0 || strcmp(text, "this") == 0);
    assert_true(wait_until(is_answered, world, PATIENT_MS));
    assert_gets(world, "this");
    return status == STRATA_OK;
}

static void half_a_reply_is_none(void **state)
{
    struct world *world = *state;
    be_ready(world);
    assert_true(half(world, FAKE_CLOSE)); /* a read may be sent again, and was */
    assert_true(half(world, FAKE_RESET));
    (void)half(world, FAKE_HANG);
}

static void more_replies_than_questions_end_the_connection(void **state)
{
    struct world *world = *state;
    be_ready(world);
    uint64_t before = fake_redis_connections(world->a);
    fake_redis_say(world->a, "GET *", 1, "$5\r\nfirst\r\n$6\r\nsecond\r\n$5\r\nthird\r\n");
    fake_redis_say(world->a, "GET *", 0, "$4\r\nthis\r\n");
    char text[64] = "this";
    (void)get(world, text, sizeof text);
    assert_true(wait_until(is_answered, world, PATIENT_MS));
    for (int i = 0; i < 10; i++)
        assert_gets(world, "this"); /* nobody got "second" or "third" */
    assert_true(fake_redis_connections(world->a) > before);
}

struct again {
    struct fake_redis *fake;
    uint64_t before;
};

static bool has_come_again(void *arg)
{
    const struct again *again = arg;
    return fake_redis_connections(again->fake) > again->before;
}

/* Nobody calls meanwhile: a call might take it for its own answer. */
static void a_reply_that_nobody_asked_for_ends_the_connection(void **state)
{
    struct world *world = *state;
    be_ready(world);
    fake_redis_say(world->a, "GET *", 0, "$4\r\nthis\r\n");
    assert_gets(world, "this");
    uint64_t before = fake_redis_connections(world->a);
    fake_redis_push(world->a, "+hello\r\n");
    assert_true(wait_until(has_come_again, &(struct again){world->a, before}, PATIENT_MS));
    assert_true(wait_until(is_answered, world, PATIENT_MS));
    assert_gets(world, "this");
}

static void pushes_of_any_form_do_not_reach_an_answer(void **state)
{
    struct world *world = *state;
    static const char *const pushes[] = {
        ">0\r\n",
        ">1\r\n+alone\r\n",
        ">2\r\n:1\r\n:2\r\n",
        ">2\r\n$10\r\ninvalidate\r\n$1\r\nk\r\n",
        ">2\r\n$10\r\ninvalidate\r\n_\r\n",
        ">3\r\n$7\r\nmessage\r\n*1\r\n>1\r\n+x\r\n$1\r\ny\r\n",
        ">4\r\n*0\r\n%0\r\n~0\r\n#t\r\n",
    };
    be_ready(world);
    fake_redis_say(world->a, "GET *", 0, "$4\r\nthis\r\n");
    for (size_t i = 0; i < sizeof pushes / sizeof pushes[0]; i++) {
        fake_redis_push(world->a, pushes[i]);
        assert_true(wait_until(is_answered, world, PATIENT_MS));
        for (int k = 0; k < 5; k++)
            assert_gets(world, "this");
    }
}

static void replies_of_another_kind_are_errors_and_no_values(void **state)
{
    struct world *world = *state;
    static const char *const odd[] = {":5\r\n", "*2\r\n+a\r\n+b\r\n", "%1\r\n+a\r\n+b\r\n",
                                      "#t\r\n", ",1.5\r\n",           "+OK\r\n"};
    be_ready(world);
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        fake_redis_forget(world->a);
        fake_redis_say(world->a, "GET *", 1, odd[i]);
        fake_redis_say(world->a, "GET *", 0, "$4\r\nthis\r\n");
        char text[64] = "none";
        int status = get(world, text, sizeof text);
        assert_true(status < 0 || strcmp(text, "this") == 0);
        assert_true(wait_until(is_answered, world, PATIENT_MS));
    }
}

/* The server has lost count: from here on each reply is that of the question before. */
static void a_reply_of_another_kind_ends_the_connection(void **state)
{
    struct world *world = *state;
    be_ready(world);
    uint64_t before = fake_redis_connections(world->a);
    fake_redis_say(world->a, "SET *", 1, "$5\r\nstray\r\n+OK\r\n");
    fake_redis_say(world->a, "GET *", 0, "$4\r\nthis\r\n");
    assert_int_equal(strata_set(world->cache, strata_text("k"), strata_text("v"), 0),
                     STRATA_ERR_PROTOCOL);
    assert_true(wait_until(is_answered, world, PATIENT_MS));
    for (int i = 0; i < 10; i++)
        assert_gets(world, "this");
    assert_int_equal(fake_redis_connections(world->a), before + 1);
    fake_redis_say(world->a, "UNLINK *", 1, "+OK\r\n");
    assert_int_equal(strata_delete(world->cache, strata_text("k")), STRATA_ERR_PROTOCOL);
    assert_true(wait_until(is_answered, world, PATIENT_MS));
    assert_int_equal(fake_redis_connections(world->a), before + 2);
}

/* ---- greetings and maps ---- */

static void a_greeting_that_is_refused_is_said_once_in_a_while(void **state)
{
    struct world *world = *state;
    char text[32];
    fake_redis_say(world->a, "HELLO*", 0, "-NOAUTH HELLO must be called with the client\r\n");
    open_cache(world);
    for (int i = 0; i < 20; i++)
        assert_true(get(world, text, sizeof text) < 0);
    assert_in_range(log_record_count(&world->log, "", 0), 1, 25);
    assert_in_range(log_record_peak(&world->log, 0, STA_NS_SEC), 1, 3);
    fake_redis_forget(world->a);
    assert_true(wait_until(is_answered, world, PATIENT_MS));
}

static void maps_that_are_none_are_not_believed(void **state)
{
    struct world *world = *state;
    static const char *const odd[] = {
        "-ERR This instance has cluster support disabled\r\n",
        "*0\r\n",
        "+OK\r\n",
        "_\r\n",
        "*1\r\n*3\r\n:0\r\n:99999\r\n*2\r\n$1\r\nx\r\n:1\r\n",
        "*1\r\n*3\r\n:5\r\n:1\r\n*2\r\n$9\r\n127.0.0.1\r\n:1\r\n",
        "*1\r\n*2\r\n:0\r\n:16383\r\n",
        "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:0\r\n",
    };
    char text[32];
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        fake_redis_forget(world->a);
        fake_redis_say(world->a, "CLUSTER SLOTS", 0, odd[i]);
        open_cache(world);
        struct stall_mark start = stall_mark();
        assert_true(get(world, text, sizeof text) < 0);
        stall_assert_took_ms(start, 0, BUDGET_MS + SLACK_MS);
        fake_redis_forget(world->a);
        assert_true(wait_until(is_answered, world, PATIENT_MS));
        strata_close(&world->cache);
    }
}

/* The map is wrong for ever and each call is redirected: calls are served, the cluster is asked in
 * calm. */
static void a_map_that_stays_wrong_is_asked_for_in_calm(void **state)
{
    struct world *world = *state;
    be_ready(world);
    say_moved(world->a, "127.0.0.1", fake_redis_port(world->b), 0);
    fake_redis_say(world->b, "GET *", 0, "$4\r\nthat\r\n");
    uint64_t before =
        fake_redis_seen(world->a, "CLUSTER SLOTS") + fake_redis_seen(world->b, "CLUSTER SLOTS");
    uint64_t begun_ns = sta_clock_now_ns();
    uint64_t took_ns = 0;
    for (; took_ns < 2 * STA_NS_SEC; took_ns = sta_clock_now_ns() - begun_ns)
        assert_gets(world, "that");
    uint64_t asked = fake_redis_seen(world->a, "CLUSTER SLOTS") +
                     fake_redis_seen(world->b, "CLUSTER SLOTS") - before;
    assert_in_range(asked, 1, 20 * took_ns / STA_NS_SEC + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_redirect_to_a_node_that_nobody_knew_is_followed, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_redirect_without_a_host_means_the_same_host, start, stop),
        cmocka_unit_test_setup_teardown(a_map_without_hosts_means_the_node_that_was_asked, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_redirect_to_oneself_ends_in_time_and_in_calm, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_circle_of_redirects_ends_in_time_and_in_calm, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_redirect_to_where_nobody_listens_is_soon_forgotten, start,
                                        stop),
        cmocka_unit_test_setup_teardown(redirects_that_are_none_are_errors, start, stop),
        cmocka_unit_test_setup_teardown(an_ask_is_followed_once_with_asking_before_the_command,
                                        start, stop),
        cmocka_unit_test_setup_teardown(two_nodes_that_ask_each_other_end_in_time_and_in_calm,
                                        start, stop),
        cmocka_unit_test_setup_teardown(what_passes_is_waited_for, start, stop),
        cmocka_unit_test_setup_teardown(what_does_not_pass_is_an_error_in_time_and_in_calm, start,
                                        stop),
        cmocka_unit_test_setup_teardown(an_error_of_the_command_is_told_at_once, start, stop),
        cmocka_unit_test_setup_teardown(half_a_reply_is_none, start, stop),
        cmocka_unit_test_setup_teardown(more_replies_than_questions_end_the_connection, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_reply_that_nobody_asked_for_ends_the_connection, start,
                                        stop),
        cmocka_unit_test_setup_teardown(pushes_of_any_form_do_not_reach_an_answer, start, stop),
        cmocka_unit_test_setup_teardown(replies_of_another_kind_are_errors_and_no_values, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_reply_of_another_kind_ends_the_connection, start, stop),
        cmocka_unit_test_setup_teardown(a_greeting_that_is_refused_is_said_once_in_a_while, start,
                                        stop),
        cmocka_unit_test_setup_teardown(maps_that_are_none_are_not_believed, start, stop),
        cmocka_unit_test_setup_teardown(a_map_that_stays_wrong_is_asked_for_in_calm, start, stop),
    };
    return cmocka_run_group_tests_name("cluster_script", tests, NULL, NULL);
}
