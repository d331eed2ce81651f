/* SPDX-License-Identifier: MIT
 *
 * When the hash of barriers is read, for how long that is good, and who waits for it how long:
 * barriers.c over a clock and a Redis that the test is itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/barriers.h"
#include "cache/cache.h"
#include "strata/status.h"

#define START_NS     (UINT64_C(1000) * STA_NS_SEC)
#define STALENESS_NS (3 * STA_NS_SEC)
#define L1_BYTES     (UINT64_C(1) << 20)

struct sta_loop {
    uint64_t now_ns;
    struct sta_list timers;
};

/* The world: barriers of one owner, and what they ask of Redis. */
static struct {
    struct sta_loop loop;
    struct sta_l1 *l1;
    struct sta_barriers barriers;
    struct sta_command *asked; /* NULL: nothing is under way */
    unsigned readings;
    bool tracked, cluster;
} world;

/* ---- what barriers.c stands on ---- */

uint64_t sta_loop_now_ns(struct sta_loop *loop)
{
    return loop->now_ns;
}

void sta_timer_init(struct sta_timer *timer, void (*fire)(struct sta_timer *timer))
{
    sta_list_init(&timer->link);
    timer->fire = fire;
}

void sta_timer_stop(struct sta_loop *loop, struct sta_timer *timer)
{
    (void)loop;
    sta_list_remove(&timer->link);
}

void sta_timer_start(struct sta_loop *loop, struct sta_timer *timer, uint64_t due_ns)
{
    sta_list_remove(&timer->link);
    timer->due_ns = due_ns;
    sta_list_push_back(&loop->timers, &timer->link);
}

void sta_command_init(struct sta_command *command, struct sta_l2 *l2,
                      void (*done)(struct sta_command *, int, struct strata_bytes))
{
    *command = (struct sta_command){.done = done, .l2 = l2};
}

void sta_command_fini(struct sta_command *command)
{
    (void)command;
}

int sta_command_add(struct sta_command *command, const struct strata_bytes *argv, size_t argc)
{
    (void)command;
    (void)argv;
    assert_int_equal(argc, 2);
    return STRATA_OK;
}

void sta_command_start(struct sta_command *command, struct strata_bytes key, uint64_t deadline_ns)
{
    (void)key;
    (void)deadline_ns;
    assert_null(world.asked);
    world.asked = command;
    world.readings++;
}

bool sta_l2_is_tracked(const struct sta_l2 *l2)
{
    (void)l2;
    return world.tracked;
}

bool sta_l2_is_cluster(const struct sta_l2 *l2)
{
    (void)l2;
    return world.cluster;
}

void sta_barriers_renew_all(struct sta_barriers *barriers, uint64_t now_ns)
{
    (void)barriers;
    (void)now_ns;
}

/* ---- time, and answers ---- */

static struct sta_timer *next_due(uint64_t until_ns)
{
    struct sta_timer *next = NULL;
    for (struct sta_list *node = world.loop.timers.next; node != &world.loop.timers;
         node = node->next) {
        struct sta_timer *timer = STA_CONTAINER(node, struct sta_timer, link);
        if (timer->due_ns <= until_ns && (next == NULL || timer->due_ns < next->due_ns))
            next = timer;
    }
    return next;
}

static void pass(uint64_t ns)
{
    uint64_t until_ns = world.loop.now_ns + ns;
    struct sta_timer *timer;
    while ((timer = next_due(until_ns)) != NULL) {
        if (timer->due_ns > world.loop.now_ns)
            world.loop.now_ns = timer->due_ns;
        sta_list_remove(&timer->link);
        timer->fire(timer);
    }
    world.loop.now_ns = until_ns;
}

/* The reading that is under way ends so. */
static void answer(int status, const char *reply)
{
    struct sta_command *command = world.asked;
    assert_non_null(command);
    world.asked = NULL;
    command->done(command, status, strata_text(reply));
}

static void answer_nothing_is_up(void)
{
    answer(STRATA_OK, "%0\r\n");
}

static bool l1_is_open(void)
{
    return !sta_barriers_veils(&world.barriers, strata_text("k"), world.loop.now_ns / STA_NS_MS);
}

struct reader {
    struct sta_barriers_waiter waiter;
    bool released;
};

static void on_known(struct sta_barriers_waiter *waiter)
{
    STA_CONTAINER(waiter, struct reader, waiter)->released = true;
}

/* Redis has answered somebody, who has so much time left. */
static bool waits(struct reader *reader, uint64_t left_ns)
{
    *reader = (struct reader){.waiter.known = on_known,
                              .waiter.deadline_ns = world.loop.now_ns + left_ns};
    return sta_barriers_defer(&world.barriers, &reader->waiter);
}

static void read_for_the_first_time(void)
{
    struct reader reader;
    assert_false(l1_is_open());
    assert_true(waits(&reader, STA_NS_SEC));
    answer_nothing_is_up();
    assert_true(reader.released);
    assert_true(l1_is_open());
}

/* ---- for how long a reading is good ---- */

static void l1_is_open_for_as_long_as_a_reading_is_good(void **state)
{
    (void)state;
    read_for_the_first_time();
    pass(STALENESS_NS / 2);
    answer_nothing_is_up();
    pass(STALENESS_NS / 3 * 2);
    assert_true(l1_is_open());
    answer(STRATA_ERR_TIMEOUT, "");
    pass(STALENESS_NS / 3);
    assert_false(l1_is_open());
}

static void who_may_not_read_is_served_and_waits_for_nothing(void **state)
{
    (void)state;
    struct reader reader;
    assert_true(waits(&reader, STA_NS_SEC));
    answer(STRATA_OK, "-NOPERM no\r\n");
    assert_true(reader.released);
    for (unsigned i = 0; i < 10; i++) {
        assert_true(l1_is_open());
        assert_false(waits(&reader, STA_NS_SEC));
        pass(STALENESS_NS / 3);
        answer(STRATA_OK, "-NOPERM no\r\n");
    }
}

/* Once he was refused; whether he is still nobody knows, so L1 does not stay open for that. */
static void a_refusal_is_good_for_no_longer_than_another_answer(void **state)
{
    (void)state;
    struct reader reader;
    assert_true(waits(&reader, STA_NS_SEC));
    answer(STRATA_OK, "-NOPERM no\r\n");
    assert_true(l1_is_open());
    for (unsigned i = 0; i < 4; i++) {
        pass(STALENESS_NS / 3);
        answer(STRATA_ERR_TIMEOUT, "");
    }
    assert_false(l1_is_open());
    assert_true(waits(&reader, STA_NS_SEC));
    answer_nothing_is_up();
    assert_true(reader.released);
    assert_true(l1_is_open());
}

static void without_tracking_l1_is_open_until_there_is_some(void **state)
{
    (void)state;
    struct reader reader;
    world.tracked = false;
    read_for_the_first_time();
    for (unsigned i = 0; i < 6; i++) {
        pass(STALENESS_NS / 3);
        assert_true(l1_is_open());
        answer(STRATA_ERR_TIMEOUT, "");
    }
    assert_true(l1_is_open());
    world.tracked = true;
    for (unsigned i = 0; i < 4; i++) {
        pass(STALENESS_NS / 3);
        answer(STRATA_ERR_TIMEOUT, "");
    }
    assert_false(l1_is_open());
    assert_true(waits(&reader, STA_NS_SEC));
}

/* ---- when it is read ---- */

static void a_hash_that_was_named_is_read_at_once(void **state)
{
    (void)state;
    read_for_the_first_time();
    unsigned before = world.readings;
    sta_barriers_named(&world.barriers);
    pass(0);
    assert_int_equal(world.readings, before + 1);
}

/* Nothing that is due later puts off what is due before: a hash that was named, or its turn by the
 * clock. */
static void what_is_due_later_does_not_put_that_off(void **state)
{
    (void)state;
    read_for_the_first_time();
    unsigned before = world.readings;
    sta_barriers_named(&world.barriers);
    sta_barriers_look(&world.barriers, world.loop.now_ns + STALENESS_NS);
    pass(0);
    assert_int_equal(world.readings, before + 1);
    answer_nothing_is_up();
    for (unsigned i = 0; i < 4; i++) {
        sta_barriers_look(&world.barriers, world.loop.now_ns + STALENESS_NS / 3);
        pass(STALENESS_NS / 12);
    }
    assert_int_equal(world.readings, before + 2);
    answer_nothing_is_up();
}

static void a_hash_that_is_named_while_it_is_read_is_read_again(void **state)
{
    (void)state;
    read_for_the_first_time();
    sta_barriers_named(&world.barriers);
    pass(0);
    unsigned before = world.readings;
    sta_barriers_named(&world.barriers);
    pass(0);
    assert_int_equal(world.readings, before);
    answer_nothing_is_up();
    assert_int_equal(world.readings, before + 1);
    answer_nothing_is_up();
    assert_int_equal(world.readings, before + 1);
}

/* ---- what others have put there ---- */

/* The reply to a reading of so many fields, with patterns of so many bytes. */
static char *hash_of(unsigned fields, size_t pattern_len)
{
    size_t each = pattern_len + 100, at;
    char *reply = malloc(fields * each + 32);
    assert_non_null(reply);
    at = (size_t)sprintf(reply, "%%%u\r\n", fields);
    for (unsigned i = 0; i < fields; i++) {
        at += (size_t)sprintf(reply + at, "$16\r\n%016x\r\n$%zu\r\n1 ", i + 1, pattern_len + 2);
        memset(reply + at, 'x', pattern_len);
        at += pattern_len;
        at += (size_t)sprintf(reply + at, "\r\n");
    }
    return reply;
}

static void answer_fields(unsigned fields, size_t pattern_len)
{
    char *reply = hash_of(fields, pattern_len);
    answer(STRATA_OK, reply);
    free(reply);
}

static void a_pattern_that_none_of_us_has_put_there_is_passed_over(void **state)
{
    (void)state;
    struct reader reader;
    assert_true(waits(&reader, STA_NS_SEC));
    answer_fields(1, STA_GLOB_MAX + 1);
    assert_true(reader.released);
    assert_true(l1_is_open());
    assert_int_equal(world.barriers.veil.count, 0);
}

static void more_than_can_be_of_us_is_not_taken_in(void **state)
{
    (void)state;
    struct reader reader;
    assert_true(waits(&reader, STA_NS_SEC));
    answer_fields(STA_BARRIERS_READ_MOST, 4);
    assert_int_equal(world.barriers.veil.count, STA_BARRIERS_READ_MOST);
    pass(STALENESS_NS / 3);
    answer_fields(STA_BARRIERS_READ_MOST + 1, 5);
    assert_int_equal(world.barriers.veil.count, STA_BARRIERS_READ_MOST);
    assert_false(waits(&reader, STA_NS_SEC));
}

/* ---- who waits ---- */

static void each_waits_for_as_long_as_he_may(void **state)
{
    (void)state;
    static const uint64_t left_ns[] = {900 * STA_NS_MS, 300 * STA_NS_MS, 600 * STA_NS_MS,
                                       300 * STA_NS_MS};
    struct reader readers[4];
    for (unsigned i = 0; i < 4; i++)
        assert_true(waits(&readers[i], left_ns[i]));
    for (unsigned ms = 100; ms <= 900; ms += 100) {
        pass(100 * STA_NS_MS);
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(readers[i].released, ms * STA_NS_MS >= left_ns[i]);
    }
    answer_nothing_is_up();
}

static void what_becomes_known_releases_all(void **state)
{
    (void)state;
    struct reader readers[3];
    for (unsigned i = 0; i < 3; i++)
        assert_true(waits(&readers[i], (3 - i) * STA_NS_SEC));
    assert_int_equal(world.readings, 1);
    answer_nothing_is_up();
    for (unsigned i = 0; i < 3; i++)
        assert_true(readers[i].released);
}

/* ---- */

static int set_up(void **state)
{
    (void)state;
    const struct sta_l1_config config = {
        .max_bytes = L1_BYTES,
        .veil = {.hides = sta_barriers_veils, .arg = &world.barriers},
    };
    struct sta_barriers_owner owner = {
        .loop = &world.loop,
        .l2 = (void *)&world,
        .hears = true,
        .closes = true,
        .staleness_ns = STALENESS_NS,
        .budget_ns = STA_NS_SEC,
    };
    world.loop.now_ns = START_NS;
    sta_list_init(&world.loop.timers);
    world.asked = NULL;
    world.readings = 0;
    world.tracked = true;
    world.cluster = false;
    int status = sta_l1_create(&world.l1, &config);
    owner.l1 = world.l1;
    world.barriers = (struct sta_barriers){.owner = owner};
    return status < 0 ? status : sta_barriers_init(&world.barriers, &owner);
}

static int tear_down(void **state)
{
    (void)state;
    sta_barriers_fini(&world.barriers);
    sta_l1_destroy(&world.l1);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(l1_is_open_for_as_long_as_a_reading_is_good),
        TEST(who_may_not_read_is_served_and_waits_for_nothing),
        TEST(a_refusal_is_good_for_no_longer_than_another_answer),
        TEST(without_tracking_l1_is_open_until_there_is_some),
        TEST(a_hash_that_was_named_is_read_at_once),
        TEST(what_is_due_later_does_not_put_that_off),
        TEST(a_hash_that_is_named_while_it_is_read_is_read_again),
        TEST(a_pattern_that_none_of_us_has_put_there_is_passed_over),
        TEST(more_than_can_be_of_us_is_not_taken_in),
        TEST(each_waits_for_as_long_as_he_may),
        TEST(what_becomes_known_releases_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
