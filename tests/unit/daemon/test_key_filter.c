/* SPDX-License-Identifier: MIT
 *
 * The filter of keys under way never forgets one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/random.h"
#include "daemon/key_filter.h"

static void an_empty_filter_has_nothing(void **state)
{
    (void)state;
    struct sta_key_filter filter = {0};
    uint64_t random = 1;
    for (unsigned i = 0; i < 1000; i++)
        assert_false(sta_key_filter_may_have(&filter, sta_random_next(&random)));
}

static void every_key_under_way_is_found_until_it_has_left(void **state)
{
    (void)state;
    struct sta_key_filter filter = {0};
    uint64_t hashes[500], random = 2;
    for (unsigned i = 0; i < 500; i++) {
        hashes[i] = sta_random_next(&random);
        sta_key_filter_add(&filter, hashes[i]);
    }
    for (unsigned i = 0; i < 500; i++) {
        for (unsigned j = i; j < 500; j++)
            assert_true(sta_key_filter_may_have(&filter, hashes[j]));
        sta_key_filter_remove(&filter, hashes[i]);
    }
    for (unsigned i = 0; i < 500; i++)
        assert_false(sta_key_filter_may_have(&filter, hashes[i]));
}

static void a_key_twice_under_way_stays_until_both_have_left(void **state)
{
    (void)state;
    struct sta_key_filter filter = {0};
    sta_key_filter_add(&filter, 42);
    sta_key_filter_add(&filter, 42);
    sta_key_filter_remove(&filter, 42);
    assert_true(sta_key_filter_may_have(&filter, 42));
    sta_key_filter_remove(&filter, 42);
    assert_false(sta_key_filter_may_have(&filter, 42));
}

static void unknown_keys_may_be_any(void **state)
{
    (void)state;
    struct sta_key_filter filter = {.unknown = 1};
    assert_true(sta_key_filter_may_have(&filter, 42));
    filter.unknown--;
    assert_false(sta_key_filter_may_have(&filter, 42));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_filter_has_nothing),
        cmocka_unit_test(every_key_under_way_is_found_until_it_has_left),
        cmocka_unit_test(a_key_twice_under_way_stays_until_both_have_left),
        cmocka_unit_test(unknown_keys_may_be_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
