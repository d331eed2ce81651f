/* SPDX-License-Identifier: MIT
 *
 * The tier when memory runs out: every allocation of every call fails once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/clock.h"
#include "l1/l1.h"
#include "strata/status.h"
#include "support/fail_alloc.h"

#define NOW 1000u
#define BIG 50000u /* beyond what lies in a segment */

static uint8_t big[BIG];

static const struct sta_l1_config config = {.max_bytes = 16 << 20, .hash_seed = 3};

static struct sta_l1 *tier_with(const char *key, const char *value)
{
    struct sta_l1 *l1 = NULL;
    assert_int_equal(sta_l1_create(&l1, &config), STRATA_OK);
    struct sta_key k = sta_l1_key(l1, strata_text(key));
    struct sta_l1_entry entry = {.value = strata_text(value), .deadline_ms = STA_NEVER};
    assert_int_equal(sta_l1_set(l1, &k, &entry, NOW), STRATA_OK);
    return l1;
}

static bool there(struct sta_l1 *l1, const char *key)
{
    struct sta_key k = sta_l1_key(l1, strata_text(key));
    struct sta_l1_lease lease = {0};
    if (sta_l1_get(l1, &k, NOW, &lease) != STRATA_OK)
        return false;
    sta_l1_release(l1, &lease);
    return true;
}

/* The number of allocations that a creation takes, each of which has failed. */
static uint64_t creation_ladder(const struct sta_l1_config *of)
{
    for (uint64_t n = 1;; n++) {
        struct sta_l1 *l1 = NULL;
        fail_alloc_at(n);
        int status = sta_l1_create(&l1, of);
        if (!fail_alloc_end()) {
            assert_int_equal(status, STRATA_OK);
            assert_true(sta_l1_valid(l1));
            sta_l1_destroy(&l1);
            return n - 1;
        }
        assert_int_equal(status, STRATA_ERR_NOMEM);
        assert_null(l1);
    }
}

static void creation_unwinds(void **state)
{
    (void)state;
    uint64_t plain = creation_ladder(&config);
    assert_true(plain > 0);
    struct sta_l1_quota quotas[] = {
        {strata_text("a:"), 1 << 20, 0}, {strata_text("b:"), 0, 10}, {strata_text("c:"), 5000, 5}};
    struct sta_l1_config more = config;
    more.quotas = quotas;
    more.quota_count = 3;
    more.sources = 100;
    assert_int_equal(creation_ladder(&more), plain + 4); /* a prefix each, and the sources */
}

static void a_failed_step_of_a_scan_leaves_everything_as_it_was(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier_with("k", "v");
    char name[64];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "a key of some length, number %d", i);
        struct sta_key key = sta_l1_key(l1, strata_text(name));
        struct sta_l1_entry entry = {.value = strata_text("v"), .deadline_ms = STA_NEVER};
        assert_int_equal(sta_l1_set(l1, &key, &entry, NOW), STRATA_OK);
    }
    struct sta_buffer names;
    struct sta_glob glob;
    uint64_t cursor = 0;
    uint64_t failures = 0;
    uint64_t count = 0;
    struct strata_bytes name_at;
    sta_buffer_init(&names, 1 << 20);
    assert_int_equal(sta_glob_init(&glob, strata_text("*")), STRATA_OK);
    do {
        uint64_t before = cursor;
        size_t len = sta_buffer_len(&names);
        fail_alloc_at(1);
        int status = sta_l1_scan(l1, &cursor, &glob, NOW, &names);
        if (fail_alloc_end()) {
            failures++;
            assert_int_equal(status, STRATA_ERR_NOMEM);
            assert_int_equal(cursor, before);
            assert_int_equal(sta_buffer_len(&names), len);
            status = sta_l1_scan(l1, &cursor, &glob, NOW, &names);
        }
        assert_int_equal(status, STRATA_OK);
    } while (cursor != 0);
    assert_true(failures > 1);
    struct strata_bytes rest = sta_buffer_bytes(&names);
    while (sta_l1_scan_next(&rest, &name_at))
        count++;
    assert_int_equal(count, 101);
    sta_glob_fini(&glob);
    sta_buffer_fini(&names);
    sta_l1_destroy(&l1);
}

static void a_pattern_unwinds(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct sta_glob glob = {0};
        fail_alloc_at(n);
        int status = sta_glob_init(&glob, strata_text("a[bc]*"));
        if (!fail_alloc_end()) {
            assert_int_equal(status, STRATA_OK);
            assert_int_equal(n, 3);
            sta_glob_fini(&glob);
            return;
        }
        assert_int_equal(status, STRATA_ERR_NOMEM);
        assert_null(glob.tokens);
        assert_null(glob.classes);
    }
}

/* What is written anew lies in the arena; a block is changed where it is. */
static void a_new_deadline_allocates_nothing(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier_with("k", "v");
    struct sta_key small = sta_l1_key(l1, strata_text("k"));
    struct sta_key large = sta_l1_key(l1, strata_text("large"));
    struct sta_l1_entry entry = {.value = strata_bytes(big, BIG), .deadline_ms = STA_NEVER};
    assert_int_equal(sta_l1_set(l1, &large, &entry, NOW), STRATA_OK);
    fail_alloc_at(1);
    assert_int_equal(sta_l1_set_deadline(l1, &small, NOW + 5, NOW), STRATA_OK);
    assert_int_equal(sta_l1_set_deadline(l1, &large, NOW + 5, NOW), STRATA_OK);
    assert_false(fail_alloc_end());
    sta_l1_destroy(&l1);
}

static void a_failed_resize_changes_nothing(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier_with("k", "v");
    struct sta_l1_statistics numbers;
    for (uint64_t n = 1;; n++) {
        fail_alloc_at(n);
        int status = sta_l1_resize(l1, 32 << 20, 77);
        if (!fail_alloc_end()) {
            assert_int_equal(status, STRATA_OK);
            break;
        }
        assert_int_equal(status, STRATA_ERR_NOMEM);
        sta_l1_statistics(l1, &numbers);
        assert_int_equal(numbers.max_bytes, 16 << 20);
        assert_int_equal(numbers.max_entries, 0);
        assert_true(there(l1, "k"));
        assert_true(sta_l1_valid(l1));
    }
    assert_true(there(l1, "k"));
    sta_l1_destroy(&l1);
}

static void a_failed_fill_leaves_what_was_there(void **state)
{
    (void)state;
    struct sta_l1 *l1 = tier_with("k", "v");
    struct sta_key key = sta_l1_key(l1, strata_text("k"));
    struct sta_l1_entry entry = {.value = strata_bytes(big, BIG), .deadline_ms = STA_NEVER};
    for (uint64_t n = 1;; n++) {
        fail_alloc_at(n);
        int status = sta_l1_fill(l1, &key, &entry, sta_l1_token(l1, &key), NOW);
        if (!fail_alloc_end()) {
            assert_int_equal(status, STRATA_OK);
            break;
        }
        assert_int_equal(status, STRATA_ERR_NOMEM);
        assert_true(there(l1, "k"));
        assert_true(sta_l1_valid(l1));
    }
    sta_l1_destroy(&l1);
}

/* An old value after a write would be a wrong answer. */
static void a_failed_write_leaves_no_entry_and_advances(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct sta_l1 *l1 = tier_with("k", "old");
        struct sta_key key = sta_l1_key(l1, strata_text("k"));
        struct sta_l1_entry entry = {.value = strata_bytes(big, BIG), .deadline_ms = STA_NEVER};
        struct sta_l1_token before = sta_l1_token(l1, &key);
        fail_alloc_at(n);
        int status = sta_l1_set(l1, &key, &entry, NOW);
        bool failed = fail_alloc_end();
        assert_int_equal(status, failed ? STRATA_ERR_NOMEM : STRATA_OK);
        assert_int_equal(there(l1, "k"), !failed);
        assert_true(sta_l1_token(l1, &key).generation > before.generation);
        struct sta_l1_token token = sta_l1_invalidate(l1, &key, NOW, NULL);
        fail_alloc_at(n);
        status = sta_l1_publish(l1, &key, &entry, token, NOW);
        bool failed_too = fail_alloc_end();
        assert_int_equal(status, failed_too ? STRATA_ERR_NOMEM : STRATA_OK);
        assert_int_equal(there(l1, "k"), !failed_too);
        assert_true(sta_l1_token(l1, &key).generation > token.generation);
        assert_true(sta_l1_valid(l1));
        sta_l1_destroy(&l1);
        if (!failed && !failed_too)
            return;
    }
}

struct write {
    struct sta_l1 *l1;
    struct sta_key key;
};

static void invalidate(void *arg)
{
    struct write *write = arg;
    sta_l1_invalidate(write->l1, &write->key, NOW, NULL);
}

/* The token was current when the call began. */
static void a_store_that_is_overtaken_while_it_runs_is_refused(void **state)
{
    (void)state;
    struct sta_l1_entry entry = {.value = strata_bytes(big, BIG), .deadline_ms = STA_NEVER};
    for (int publish = 0; publish < 2; publish++) {
        struct write write = {.l1 = tier_with("k", "v")};
        struct sta_l1_statistics numbers;
        write.key = sta_l1_key(write.l1, strata_text("k"));
        struct sta_l1_token token = sta_l1_token(write.l1, &write.key);
        fail_alloc_meanwhile(BIG, invalidate, &write);
        int status = publish ? sta_l1_publish(write.l1, &write.key, &entry, token, NOW)
                             : sta_l1_fill(write.l1, &write.key, &entry, token, NOW);
        assert_int_equal(status, STRATA_SKIPPED);
        assert_int_equal(sta_l1_token(write.l1, &write.key).generation,
                         token.generation + 1 + (unsigned)publish);
        assert_false(there(write.l1, "k"));
        sta_l1_statistics(write.l1, &numbers);
        assert_int_equal(numbers.fills_refused, 1);
        assert_int_equal(numbers.block_bytes, 0);
        assert_true(sta_l1_valid(write.l1));
        sta_l1_destroy(&write.l1);
    }
}

/* Around 64 KiB a block's memory comes from elsewhere, and must go back to where it came from. */
static void values_of_each_length_around_a_mapping_come_and_go(void **state)
{
    (void)state;
    struct sta_l1_statistics numbers;
    struct sta_l1 *l1 = NULL;
    assert_int_equal(sta_l1_create(&l1, &config), STRATA_OK);
    uint8_t *bytes = calloc(1, 66000);
    struct sta_key key = sta_l1_key(l1, strata_text("k"));
    for (size_t len = 65000; len <= 66000; len++) {
        struct sta_l1_entry entry = {.value = strata_bytes(bytes, len), .deadline_ms = STA_NEVER};
        assert_int_equal(sta_l1_set(l1, &key, &entry, NOW), STRATA_OK);
        sta_l1_statistics(l1, &numbers);
        assert_true(numbers.block_bytes >= len);
        sta_l1_invalidate(l1, &key, NOW, NULL);
        sta_l1_statistics(l1, &numbers);
        assert_int_equal(numbers.block_bytes, 0);
    }
    free(bytes);
    assert_true(sta_l1_valid(l1));
    sta_l1_destroy(&l1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creation_unwinds),
        cmocka_unit_test(a_pattern_unwinds),
        cmocka_unit_test(a_failed_step_of_a_scan_leaves_everything_as_it_was),
        cmocka_unit_test(a_new_deadline_allocates_nothing),
        cmocka_unit_test(a_failed_resize_changes_nothing),
        cmocka_unit_test(a_failed_fill_leaves_what_was_there),
        cmocka_unit_test(a_failed_write_leaves_no_entry_and_advances),
        cmocka_unit_test(values_of_each_length_around_a_mapping_come_and_go),
        cmocka_unit_test(a_store_that_is_overtaken_while_it_runs_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
