/* SPDX-License-Identifier: MIT
 *
 * strata's own code where memory runs out: every allocation fails once, nothing leaks (under
 * ASan), and the answer is the code for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/output.h"
#include "cli/replay.h"
#include "cli/replay_report.h"
#include "cli/tally.h"
#include "cli/target.h"
#include "cli/trace.h"
#include "integration/strata_program.h"
#include "support/fail_alloc.h"

#define TRACE STRATA_SOURCE_DIR "/bench/traces/orm_busy.rks.zst"

static int replay_a_little(const struct cli_replay_options *options, struct strata_error *error)
{
    struct cli_replay *replay = NULL;
    int status = cli_replay_open(&replay, options, error);
    if (status == STRATA_OK)
        status = cli_replay_run(replay, error);
    cli_replay_close(&replay);
    return status;
}

static void a_replay_ends_with_the_code_for_it(void **state)
{
    struct strata_fixture *f = *state;
    struct cli_target target;
    struct strata_error error;
    assert_int_equal(cli_target_parse("test", f->url, &target, &error), STRATA_OK);
    const struct cli_replay_options options = {
        .path = TRACE,
        .through = &target,
        .direct = &target,
        .prefix = "p:",
        .limit = 30,
        .duration_ms = UINT64_MAX,
        .lanes = 2,
        .pipeline = 4,
        .value_bytes = 2000,
        .ttl_ms = 1000,
        .timeout_ms = 5000,
    };
    for (uint64_t n = 1;; n++) {
        error = (struct strata_error){0};
        fail_alloc_at(n);
        int status = replay_a_little(&options, &error);
        if (!fail_alloc_end()) {
            assert_int_equal(status, STRATA_OK);
            assert_true(n > 10);
            break;
        }
        assert_int_equal(status, STRATA_ERR_NOMEM);
        assert_int_equal(error.status, STRATA_ERR_NOMEM);
        assert_non_null(strstr(error.text, "out of memory"));
    }
}

static int count_reply(void *arg, const char *key, const struct sta_resp_value *reply, int status,
                       const struct strata_error *error)
{
    size_t *count = arg;
    (void)key;
    (void)reply;
    (void)error;
    ++*count;
    return status;
}

static void asking_for_keys_ends_with_the_code_for_it(void **state)
{
    struct strata_fixture *f = *state;
    struct strata_error error;
    char *operands[] = {"a", "b", "c"};
    struct cli_run run = {.operands = operands, .count = 3, .timeout_ms = 5000};
    assert_int_equal(cli_target_parse("test", f->url, &run.target, &error), STRATA_OK);
    for (uint64_t n = 1;; n++) {
        size_t count = 0;
        fail_alloc_at(n);
        int status = cli_tally_ask(&run, "GET", count_reply, &count, &error);
        if (!fail_alloc_end()) {
            assert_int_equal(status, STRATA_OK);
            assert_int_equal(count, 3);
            assert_true(n > 1);
            break;
        }
        assert_int_equal(status, STRATA_ERR_NOMEM);
        assert_int_equal(error.status, STRATA_ERR_NOMEM);
    }
}

static void rendering_a_value_ends_with_the_code_for_it(void **state)
{
    (void)state;
    char value[3000];
    memset(value, 0xff, sizeof value);
    for (uint64_t n = 1;; n++) {
        struct sta_buffer out;
        sta_buffer_init(&out, 1 << 20);
        fail_alloc_at(n);
        int status = cli_output_escape(&out, strata_bytes(value, sizeof value));
        bool failed = fail_alloc_end();
        sta_buffer_fini(&out);
        assert_int_equal(status, failed ? STRATA_ERR_NOMEM : STRATA_OK);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replay_ends_with_the_code_for_it),
        cmocka_unit_test(asking_for_keys_ends_with_the_code_for_it),
        cmocka_unit_test(rendering_a_value_ends_with_the_code_for_it),
    };
    return cmocka_run_group_tests(tests, strata_fixture_open, strata_fixture_close);
}
