/* SPDX-License-Identifier: MIT
 *
 * So many a second, with a clock of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/random.h"
#include "core/rate.h"

#define BEGIN_NS (1000 * STA_NS_SEC)

static void without_a_rate_there_is_always_some(void **state)
{
    (void)state;
    struct sta_rate rate = {.per_second = 0};
    for (unsigned i = 0; i < 1000; i++)
        sta_rate_spend(&rate, 1000, BEGIN_NS);
    assert_true(sta_rate_due_ns(&rate) <= BEGIN_NS);
    assert_int_equal(sta_rate_takes_ns(&rate, 1000), 0);
}

static void what_was_spent_at_once_is_owed(void **state)
{
    (void)state;
    struct sta_rate rate = {.per_second = 10};
    assert_true(sta_rate_due_ns(&rate) <= BEGIN_NS);
    sta_rate_spend(&rate, 30, BEGIN_NS);
    assert_int_equal(sta_rate_due_ns(&rate), BEGIN_NS - STA_RATE_SAVED_NS + 3 * STA_NS_SEC);
}

static void what_is_not_used_is_saved_up_for_a_short_while(void **state)
{
    (void)state;
    struct sta_rate rate = {.per_second = 1000};
    uint64_t now_ns = BEGIN_NS;
    for (unsigned round = 0; round < 3; round++) {
        unsigned spent = 0;
        now_ns += 3600 * STA_NS_SEC;
        while (sta_rate_due_ns(&rate) <= now_ns) {
            sta_rate_spend(&rate, 1, now_ns);
            spent++;
        }
        assert_int_equal(spent, 1000 * STA_RATE_SAVED_NS / STA_NS_SEC + 1);
    }
}

static void what_is_given_back_may_be_spent_again(void **state)
{
    (void)state;
    struct sta_rate rate = {.per_second = 10};
    sta_rate_give_back(&rate, 5);
    sta_rate_spend(&rate, 1, BEGIN_NS);
    uint64_t due_ns = sta_rate_due_ns(&rate);
    sta_rate_spend(&rate, 3, BEGIN_NS);
    sta_rate_give_back(&rate, 3);
    assert_int_equal(sta_rate_due_ns(&rate), due_ns);
}

static void in_any_time_no_more_begin_than_the_rate_allows(void **state)
{
    (void)state;
    uint64_t random = 7;
    for (unsigned run = 0; run < 200; run++) {
        struct sta_rate rate = {.per_second = 1 + sta_random_below(&random, 5000)};
        uint64_t now_ns = BEGIN_NS, spent = 0, last = 0;
        for (unsigned i = 0; i < 2000; i++) {
            now_ns += sta_random_below(&random, 10 * STA_NS_MS);
            if (sta_rate_due_ns(&rate) > now_ns)
                continue;
            last = 1 + sta_random_below(&random, 3);
            sta_rate_spend(&rate, last, now_ns);
            spent += last;
        }
        uint64_t most = rate.per_second * (now_ns - BEGIN_NS + STA_RATE_SAVED_NS) / STA_NS_SEC + 1;
        assert_true(spent - last <= most + most / 1000); /* whole nanoseconds are spent */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_rate_there_is_always_some),
        cmocka_unit_test(what_was_spent_at_once_is_owed),
        cmocka_unit_test(what_is_not_used_is_saved_up_for_a_short_while),
        cmocka_unit_test(what_is_given_back_may_be_spent_again),
        cmocka_unit_test(in_any_time_no_more_begin_than_the_rate_allows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
