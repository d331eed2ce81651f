/* SPDX-License-Identifier: MIT
 *
 * Waiting before another attempt, with a clock of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/random.h"
#include "l2/delay_wheel.h"

#define BEGIN_NS (1000 * STA_NS_SEC)
#define GRAIN_NS STA_DELAY_WHEEL_GRAIN_NS

static unsigned count_list(struct sta_list *list)
{
    unsigned count = 0;
    while (sta_list_pop_front(list) != NULL)
        count++;
    return count;
}

static void nothing_comes_out_early_or_more_than_a_grain_late(void **state)
{
    (void)state;
    uint64_t random = 1;
    struct sta_delay_wheel wheel;
    sta_delay_wheel_init(&wheel, BEGIN_NS);
    for (unsigned i = 0; i < 2000; i++) {
        struct sta_request request;
        struct sta_list out;
        uint64_t now_ns = BEGIN_NS + sta_random_below(&random, 100 * STA_NS_SEC);
        uint64_t due_ns = now_ns + sta_random_below(&random, STA_DELAY_WHEEL_SPAN_NS - GRAIN_NS);
        sta_list_init(&out);
        sta_delay_wheel_add(&wheel, &request, due_ns, now_ns);
        uint64_t next_ns = sta_delay_wheel_next_ns(&wheel);
        assert_true(next_ns >= due_ns && next_ns <= due_ns + GRAIN_NS);
        sta_delay_wheel_take_due(&wheel, next_ns - 1, &out);
        assert_int_equal(count_list(&out), 0);
        sta_delay_wheel_take_due(&wheel, next_ns, &out);
        assert_int_equal(count_list(&out), 1);
        assert_int_equal(wheel.count, 0);
        assert_int_equal(sta_delay_wheel_next_ns(&wheel), STA_NEVER);
    }
}

static void those_of_one_grain_keep_their_order(void **state)
{
    (void)state;
    struct sta_request requests[5];
    struct sta_delay_wheel wheel;
    struct sta_list out;
    sta_list_init(&out);
    sta_delay_wheel_init(&wheel, BEGIN_NS);
    for (unsigned i = 0; i < 5; i++)
        sta_delay_wheel_add(&wheel, &requests[i], BEGIN_NS + 100 * GRAIN_NS, BEGIN_NS);
    sta_delay_wheel_take_due(&wheel, BEGIN_NS + 200 * GRAIN_NS, &out);
    for (unsigned i = 0; i < 5; i++)
        assert_ptr_equal(sta_list_pop_front(&out), &requests[i].link);
}

static void the_earliest_come_first_however_long_nobody_looked(void **state)
{
    (void)state;
    struct sta_request early, late;
    struct sta_delay_wheel wheel;
    struct sta_list out;
    sta_list_init(&out);
    sta_delay_wheel_init(&wheel, BEGIN_NS);
    sta_delay_wheel_add(&wheel, &late, BEGIN_NS + 50 * GRAIN_NS, BEGIN_NS);
    sta_delay_wheel_add(&wheel, &early, BEGIN_NS + 10 * GRAIN_NS, BEGIN_NS);
    sta_delay_wheel_take_due(&wheel, BEGIN_NS + 3600 * STA_NS_SEC, &out);
    assert_ptr_equal(sta_list_pop_front(&out), &early.link);
    assert_ptr_equal(sta_list_pop_front(&out), &late.link);
}

static void what_is_due_is_due_in_the_next_grain_and_what_never_is_in_a_span(void **state)
{
    (void)state;
    struct sta_request past, never;
    struct sta_delay_wheel wheel;
    struct sta_list out;
    sta_list_init(&out);
    sta_delay_wheel_init(&wheel, BEGIN_NS);
    sta_delay_wheel_add(&wheel, &past, 0, BEGIN_NS);
    assert_true(sta_delay_wheel_next_ns(&wheel) <= BEGIN_NS + GRAIN_NS);
    sta_delay_wheel_add(&wheel, &never, STA_NEVER, BEGIN_NS);
    sta_delay_wheel_take_due(&wheel, BEGIN_NS + GRAIN_NS, &out);
    assert_int_equal(count_list(&out), 1);
    sta_delay_wheel_take_due(&wheel, BEGIN_NS + STA_DELAY_WHEEL_SPAN_NS, &out);
    assert_int_equal(count_list(&out), 1);
}

static void all_can_be_taken_at_once(void **state)
{
    (void)state;
    struct sta_request requests[STA_DELAY_WHEEL_BUCKETS];
    struct sta_delay_wheel wheel;
    struct sta_list out;
    sta_list_init(&out);
    sta_delay_wheel_init(&wheel, BEGIN_NS);
    for (unsigned i = 0; i < STA_DELAY_WHEEL_BUCKETS; i++)
        sta_delay_wheel_add(&wheel, &requests[i], BEGIN_NS + i * GRAIN_NS, BEGIN_NS);
    sta_delay_wheel_take_all(&wheel, &out);
    assert_int_equal(count_list(&out), STA_DELAY_WHEEL_BUCKETS);
    assert_int_equal(wheel.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_comes_out_early_or_more_than_a_grain_late),
        cmocka_unit_test(those_of_one_grain_keep_their_order),
        cmocka_unit_test(the_earliest_come_first_however_long_nobody_looked),
        cmocka_unit_test(what_is_due_is_due_in_the_next_grain_and_what_never_is_in_a_span),
        cmocka_unit_test(all_can_be_taken_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
