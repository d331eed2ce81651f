/* SPDX-License-Identifier: MIT
 *
 * The in-memory tier by itself, through the public calls that only it has (strata/l1.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "strata/l1.h"
#include "strata/options.h"
#include "strata/strata.h"

static struct strata_l1 *tier(struct strata_l1_options options)
{
    struct strata_l1 *l1 = NULL;
    assert_int_equal(strata_l1_open(&l1, &options, NULL), STRATA_OK);
    return l1;
}

static int set(struct strata_l1 *l1, const char *key, const char *value, uint64_t ttl_ms)
{
    return strata_l1_set(l1, strata_text(key), strata_text(value), ttl_ms);
}

static bool peeks(struct strata_l1 *l1, const char *key, const char *expected)
{
    struct strata_value value = {0};
    if (strata_l1_peek(l1, strata_text(key), &value) != STRATA_OK)
        return false;
    bool same = value.bytes.len == strlen(expected) &&
                memcmp(value.bytes.data, expected, value.bytes.len) == 0;
    strata_release(&value);
    return same;
}

static void a_peek_answers_and_counts_nothing(void **state)
{
    (void)state;
    struct strata_l1 *l1 = tier((struct strata_l1_options){0});
    struct strata_l1_statistics numbers;
    struct strata_value value = {0};
    set(l1, "k", "value", 0);
    assert_true(peeks(l1, "k", "value"));
    assert_int_equal(strata_l1_peek(l1, strata_text("other"), &value), STRATA_MISS);
    assert_int_equal(strata_l1_peek(l1, strata_text(""), &value), STRATA_ERR_INVALID);
    strata_l1_statistics(l1, &numbers);
    assert_int_equal(numbers.hits + numbers.misses, 0);
    strata_l1_close(&l1);
}

static void an_entry_takes_another_ttl(void **state)
{
    (void)state;
    struct strata_l1 *l1 = tier((struct strata_l1_options){.default_ttl_ms = STRATA_UNLIMITED});
    struct strata_value value = {0};
    set(l1, "k", "value", 0);
    assert_int_equal(strata_l1_expire(l1, strata_text("nothing"), 5), STRATA_MISS);
    assert_int_equal(strata_l1_expire(l1, strata_text(""), 5), STRATA_ERR_INVALID);
    assert_int_equal(strata_l1_expire(l1, strata_text("k"), 60000), STRATA_OK);
    assert_true(peeks(l1, "k", "value"));
    assert_int_equal(strata_l1_expire(l1, strata_text("k"), STRATA_UNLIMITED), STRATA_OK);
    assert_true(peeks(l1, "k", "value"));
    assert_int_equal(strata_l1_expire(l1, strata_text("k"), 1), STRATA_OK);
    while (strata_l1_get(l1, strata_text("k"), &value) == STRATA_OK) /* a millisecond */
        strata_release(&value);
    assert_int_equal(strata_l1_expire(l1, strata_text("k"), 60000), STRATA_MISS);
    strata_l1_close(&l1);
}

/* How many keys "<prefix><number>" below 1000 the scan named, each once. */
static unsigned scan(struct strata_l1 *l1, const char *match, const char *prefix)
{
    struct strata_l1_scan *scan = NULL;
    struct strata_bytes key;
    bool named[1000] = {false};
    unsigned count = 0;
    int status;
    assert_int_equal(strata_l1_scan_open(l1, strata_text(match), &scan), STRATA_OK);
    while ((status = strata_l1_scan_next(scan, &key)) == STRATA_OK) {
        unsigned number = 0;
        char text[32] = {0};
        memcpy(text, key.data, key.len);
        if (strncmp(text, prefix, strlen(prefix)) != 0)
            continue;
        assert_int_equal(sscanf(text + strlen(prefix), "%u", &number), 1);
        assert_false(named[number]);
        named[number] = true;
        count++;
    }
    assert_int_equal(status, STRATA_MISS);
    assert_int_equal(strata_l1_scan_next(scan, &key), STRATA_MISS); /* and stays there */
    strata_l1_scan_close(&scan);
    assert_null(scan);
    return count;
}

static void a_scan_names_the_keys_that_match(void **state)
{
    (void)state;
    struct strata_l1 *l1 = tier((struct strata_l1_options){.max_size = STRATA_UNLIMITED});
    char name[32];
    assert_int_equal(scan(l1, "", ""), 0);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "a:%u", i);
        set(l1, name, "v", 0);
        snprintf(name, sizeof name, "b:%u", i);
        set(l1, name, "v", 0);
    }
    assert_int_equal(scan(l1, "", "a:"), 1000);
    assert_int_equal(scan(l1, "", "b:"), 1000);
    assert_int_equal(scan(l1, "a:*", "a:"), 1000);
    assert_int_equal(scan(l1, "a:*", "b:"), 0);
    assert_int_equal(scan(l1, "?:[12]?", "b:"), 20);
    strata_l1_clear(l1);
    assert_int_equal(scan(l1, "", ""), 0);
    strata_l1_scan_close(NULL);
    strata_l1_close(&l1);
}

static void a_namespace_keeps_to_its_quota_and_the_others_keep_theirs(void **state)
{
    (void)state;
    static const char *const quotas[] = {"few:=/10", "small:=10KiB"};
    struct strata_l1 *l1 = tier((struct strata_l1_options){
        .max_size = STRATA_UNLIMITED, .quotas = quotas, .quota_count = 2});
    char name[32];
    for (unsigned i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "few:%u", i);
        set(l1, name, "v", 0);
        snprintf(name, sizeof name, "small:%u", i);
        set(l1, name,
            "a value of a hundred bytes, more or less, which is to say that it is not "
            "as long as it could be",
            0);
        snprintf(name, sizeof name, "free:%u", i);
        set(l1, name, "v", 0);
    }
    assert_int_equal(scan(l1, "", "few:"), 10);
    unsigned small = scan(l1, "", "small:");
    assert_true(small > 60 && small < 100);
    assert_int_equal(scan(l1, "", "free:"), 500);
    strata_l1_close(&l1);
}

static void a_quota_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *quota;
        const char *reason;
    } bad[] = {
        {"session:", "the = between"}, {"=5", "the prefix"},    {"a=", "the bound"},
        {"a=x", "the bytes"},          {"a=0", "the bytes"},    {"a=5MB", "the bytes"},
        {"a=5/", "the entries"},       {"a=/0", "the entries"}, {"a=/5KiB", "the entries"},
        {"a=1/2/3", "the entries"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct strata_l1 *l1 = NULL;
        struct strata_error error;
        struct strata_l1_options options = {.quotas = &bad[i].quota, .quota_count = 1};
        assert_int_equal(strata_l1_open(&l1, &options, &error), STRATA_ERR_CONFIG);
        assert_null(l1);
        assert_non_null(strstr(error.text, "l1_quotas"));
        assert_non_null(strstr(error.text, bad[i].quota));
        assert_non_null(strstr(error.text, bad[i].reason));
    }
}

static void two_quotas_for_one_prefix_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const quotas[] = {"few:=/10", "small:=10KiB", "few:=1MiB"};
    struct strata_l1 *l1 = NULL;
    struct strata_error error;
    struct strata_l1_options options = {.quotas = quotas, .quota_count = 3};
    assert_int_equal(strata_l1_open(&l1, &options, &error), STRATA_ERR_CONFIG);
    assert_null(l1);
    assert_non_null(strstr(error.text, "l1_quotas"));
    assert_non_null(strstr(error.text, "\"few:\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peek_answers_and_counts_nothing),
        cmocka_unit_test(an_entry_takes_another_ttl),
        cmocka_unit_test(a_scan_names_the_keys_that_match),
        cmocka_unit_test(a_namespace_keeps_to_its_quota_and_the_others_keep_theirs),
        cmocka_unit_test(a_quota_that_cannot_be_read_is_named),
        cmocka_unit_test(two_quotas_for_one_prefix_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
