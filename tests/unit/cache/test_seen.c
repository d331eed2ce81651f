/* SPDX-License-Identifier: MIT
 *
 * The set of keys that have been seen: against what was put in, at its bound, and out of memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cache/seen.h"
#include "strata/status.h"
#include "support/fail_alloc.h"

static struct strata_bytes key_text(unsigned n, char text[static 32])
{
    int len = snprintf(text, 32, "key:%u", n);
    return strata_bytes(text, (size_t)len);
}

static void each_key_is_new_once(void **state)
{
    (void)state;
    struct sta_seen seen;
    char text[32];
    sta_seen_init(&seen, 7, UINT64_MAX);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned n = 0; n < 100000; n++)
            assert_int_equal(sta_seen_add(&seen, key_text(n, text)),
                             round == 0 ? STRATA_OK : STRATA_SKIPPED);
    assert_int_equal(seen.count, 100000);
    assert_true(seen.cap * sizeof *seen.marks <= 64 * seen.count);
    assert_int_equal(sta_seen_add(&seen, strata_bytes("\0", 1)), STRATA_OK);
    assert_int_equal(sta_seen_add(&seen, strata_bytes("\0\0", 2)), STRATA_OK);
    assert_int_equal(sta_seen_add(&seen, strata_bytes("\0", 1)), STRATA_SKIPPED);
    sta_seen_fini(&seen);
}

/* What it knows it goes on to know. */
static void more_than_the_bound_is_refused(void **state)
{
    (void)state;
    struct sta_seen seen;
    char text[32];
    unsigned n = 0;
    int status;
    sta_seen_init(&seen, 7, 100000);
    while ((status = sta_seen_add(&seen, key_text(n, text))) == STRATA_OK)
        n++;
    assert_int_equal(status, STRATA_ERR_TOO_BIG);
    assert_true(n >= 100000 / 96 && seen.cap * sizeof *seen.marks <= 100000);
    assert_int_equal(sta_seen_add(&seen, key_text(0, text)), STRATA_SKIPPED);
    assert_int_equal(sta_seen_add(&seen, key_text(n, text)), STRATA_ERR_TOO_BIG);
    sta_seen_fini(&seen);
}

static void out_of_memory_leaves_it_as_it_was(void **state)
{
    (void)state;
    struct sta_seen seen;
    char text[32];
    sta_seen_init(&seen, 7, UINT64_MAX);
    fail_alloc_at(1);
    assert_int_equal(sta_seen_add(&seen, key_text(0, text)), STRATA_ERR_NOMEM);
    assert_true(fail_alloc_end());
    unsigned n = 0;
    while (2 * (seen.count + 1) <= seen.cap || n == 0)
        assert_int_equal(sta_seen_add(&seen, key_text(n++, text)), STRATA_OK);
    fail_alloc_at(1);
    assert_int_equal(sta_seen_add(&seen, key_text(n, text)), STRATA_ERR_NOMEM);
    assert_true(fail_alloc_end());
    assert_int_equal(seen.count, n);
    assert_int_equal(sta_seen_add(&seen, key_text(n - 1, text)), STRATA_SKIPPED);
    assert_int_equal(sta_seen_add(&seen, key_text(n, text)), STRATA_OK);
    sta_seen_fini(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_is_new_once),
        cmocka_unit_test(more_than_the_bound_is_refused),
        cmocka_unit_test(out_of_memory_leaves_it_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
