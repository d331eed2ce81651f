/* SPDX-License-Identifier: MIT
 *
 * The names of leases: in the slot of their key, whatever braces it has. What leases do is in
 * test_load_lease.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "cache/lease.h"
#include "l2/slot.h"
#include "strata/status.h"

static void assert_named(const char *prefix, const char *key, bool cluster)
{
    struct sta_buffer name;
    char whole[128];
    size_t suffix_len = strlen(STA_LEASE_SUFFIX);
    (void)snprintf(whole, sizeof whole, "%s%s", prefix, key);
    sta_buffer_init(&name, 1024);
    assert_int_equal(sta_lease_name(&name, strata_text(prefix), strata_text(key), cluster),
                     STRATA_OK);
    struct strata_bytes bytes = sta_buffer_bytes(&name);
    const char *text = bytes.data;
    assert_true(bytes.len > strlen(whole));
    assert_memory_equal(text, prefix, strlen(prefix));
    assert_true(sta_lease_is_name(bytes));
    assert_false(sta_lease_is_name(strata_text(whole)));
    assert_memory_equal(text + bytes.len - suffix_len, STA_LEASE_SUFFIX, suffix_len);
    if (cluster)
        assert_int_equal(sta_slot_of(bytes), sta_slot_of(strata_text(whole)));
    sta_buffer_fini(&name);
}

static void a_lease_has_the_slot_of_its_key_and_the_prefix_of_all(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "k",       "user:{7}:name", "{tag}", "{}x", "a{b", "a}b", "}a{b",
        "a{}b{c}", "{{x}}",         "{a}{b", "{",   "}",   "{}",  "}{",
        "a}b{",    "x{}}",          "{}{}",  "}}}"};
    static const char *const prefixes[] = {"", "atp:cache:", "app{1}:", "odd{", "odd}", "odd{}"};
    for (size_t p = 0; p < sizeof prefixes / sizeof prefixes[0]; p++)
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
            assert_named(prefixes[p], keys[k], true);
}

static void without_a_cluster_a_name_is_the_key_and_a_suffix(void **state)
{
    (void)state;
    struct sta_buffer name;
    sta_buffer_init(&name, 1024);
    assert_int_equal(sta_lease_name(&name, strata_text("p:"), strata_text("k"), false), STRATA_OK);
    struct strata_bytes bytes = sta_buffer_bytes(&name);
    assert_int_equal(bytes.len, strlen("p:k" STA_LEASE_SUFFIX));
    assert_memory_equal(bytes.data, "p:k" STA_LEASE_SUFFIX, bytes.len);
    sta_buffer_fini(&name);
    assert_named("p:", "a{}b", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lease_has_the_slot_of_its_key_and_the_prefix_of_all),
        cmocka_unit_test(without_a_cluster_a_name_is_the_key_and_a_suffix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
