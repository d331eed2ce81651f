/* SPDX-License-Identifier: MIT
 *
 * The tier when memory runs out: every allocation of every call fails once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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

static void creation_unwinds(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct sta_l1 *l1 = NULL;
        fail_alloc_at(n);
        int status = sta_l1_create(&l1, &config);
        if (!fail_alloc_end()) {
            assert_int_equal(status, STRATA_OK);
            assert_true(n > 1);
            sta_l1_destroy(&l1);
            return;
        }
        assert_int_equal(status, STRATA_ERR_NOMEM);
        assert_null(l1);
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creation_unwinds),
        cmocka_unit_test(a_failed_resize_changes_nothing),
        cmocka_unit_test(a_failed_fill_leaves_what_was_there),
        cmocka_unit_test(a_failed_write_leaves_no_entry_and_advances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
