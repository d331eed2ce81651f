/* SPDX-License-Identifier: MIT
 *
 * One statement for all that ask the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/single_flight.h"

#include <cmocka.h>
#include <string.h>

#include "support/wait.h"

#define FOLLOWERS 6

static struct sta_flights flights;

struct follower {
    pthread_t thread;
    int status;
    struct sta_answer *answer;
    struct strata_error error;
    bool led;
};

static void *follow(void *arg)
{
    struct follower *follower = arg;
    struct sta_flight mine = {.key = strata_text("key"), .version = 1};
    follower->led = sta_single_flight_begin(&flights, &mine, &follower->status, &follower->answer,
                                            &follower->error);
    return NULL;
}

static bool all_follow(void *arg)
{
    (void)pthread_mutex_lock(&flights.lock);
    bool all = ((struct sta_flight *)arg)->followers == FOLLOWERS;
    (void)pthread_mutex_unlock(&flights.lock);
    return all;
}

/* A leader, followers that wait, and what lands for all of them. */
static void fly(struct follower *followers, int status, struct sta_answer *answer,
                const struct strata_error *error)
{
    struct sta_flight leader = {.key = strata_text("key"), .version = 1};
    assert_true(sta_single_flight_begin(&flights, &leader, NULL, NULL, NULL));
    for (int i = 0; i < FOLLOWERS; i++)
        assert_int_equal(pthread_create(&followers[i].thread, NULL, follow, &followers[i]), 0);
    assert_true(wait_until(all_follow, &leader, 20000));
    sta_single_flight_land(&flights, &leader, status, answer, error);
    for (int i = 0; i < FOLLOWERS; i++)
        assert_int_equal(pthread_join(followers[i].thread, NULL), 0);
}

static void what_lands_goes_to_all(void **state)
{
    (void)state;
    struct follower followers[FOLLOWERS] = {0};
    struct sta_buffer bytes;
    sta_buffer_init(&bytes, 100);
    assert_int_equal(sta_buffer_append(&bytes, strata_text("rows")), STRATA_OK);
    struct sta_answer *answer = sta_single_flight_answer(&bytes);
    fly(followers, STRATA_OK, answer, NULL);
    sta_single_flight_unref(answer);
    for (int i = 0; i < FOLLOWERS; i++) {
        assert_false(followers[i].led);
        assert_int_equal(followers[i].status, STRATA_OK);
        assert_memory_equal(sta_buffer_bytes(&followers[i].answer->bytes).data, "rows", 4);
        sta_single_flight_unref(followers[i].answer);
    }
}

static void a_failure_goes_to_all_with_its_particulars(void **state)
{
    (void)state;
    struct follower followers[FOLLOWERS] = {0};
    const struct strata_error error = {STRATA_ERR_DATABASE, "no such table"};
    fly(followers, STRATA_ERR_DATABASE, NULL, &error);
    for (int i = 0; i < FOLLOWERS; i++) {
        assert_int_equal(followers[i].status, STRATA_ERR_DATABASE);
        assert_null(followers[i].answer);
        assert_string_equal(followers[i].error.text, "no such table");
    }
}

static void another_key_or_version_is_another_flight(void **state)
{
    (void)state;
    struct sta_flight mine[3] = {{.key = strata_text("key"), .version = 1},
                                 {.key = strata_text("key"), .version = 2},
                                 {.key = strata_text("kex"), .version = 1}};
    for (int i = 0; i < 3; i++)
        assert_true(sta_single_flight_begin(&flights, &mine[i], NULL, NULL, NULL));
    for (int i = 0; i < 3; i++)
        sta_single_flight_land(&flights, &mine[i], STRATA_ERR_DATABASE, NULL, NULL);
    assert_true(sta_list_empty(&flights.under_way));
}

static void who_only_tries_does_not_wait(void **state)
{
    (void)state;
    struct sta_flight mine = {.key = strata_text("key"), .version = 1}, same = mine;
    struct sta_flight other = {.key = strata_text("key"), .version = 2};
    assert_true(sta_single_flight_try(&flights, &mine));
    assert_false(sta_single_flight_try(&flights, &same));
    assert_true(sta_single_flight_try(&flights, &other));
    sta_single_flight_land(&flights, &mine, STRATA_ERR_DATABASE, NULL, NULL);
    assert_true(sta_single_flight_try(&flights, &same));
    sta_single_flight_land(&flights, &same, STRATA_ERR_DATABASE, NULL, NULL);
    sta_single_flight_land(&flights, &other, STRATA_ERR_DATABASE, NULL, NULL);
    assert_true(sta_list_empty(&flights.under_way));
}

static int set_up(void **state)
{
    (void)state;
    sta_single_flight_init(&flights);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sta_single_flight_fini(&flights);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_lands_goes_to_all),
        cmocka_unit_test(a_failure_goes_to_all_with_its_particulars),
        cmocka_unit_test(another_key_or_version_is_another_flight),
        cmocka_unit_test(who_only_tries_does_not_wait),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
