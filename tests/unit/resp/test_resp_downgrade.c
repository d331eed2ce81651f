/* SPDX-License-Identifier: MIT
 *
 * RESP3 in the words of RESP2. What a server really answers is in tests/integration.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "resp/resp.h"
#include "strata/status.h"
#include "unit/resp/examples.h"

static void every_example_is_downgraded_by_its_types(void **state)
{
    (void)state;
    for (size_t i = 0; i < reply_example_count; i++) {
        const struct reply_example *example = &reply_examples[i];
        struct sta_buffer out;
        sta_buffer_init(&out, 4096);
        assert_int_equal(sta_resp_downgrade(&out, strata_bytes(example->wire, example->len)),
                         STRATA_OK);
        struct strata_bytes bytes = sta_buffer_bytes(&out);
        assert_int_equal(bytes.len, example->downgraded_len);
        assert_memory_equal(bytes.data, example->downgraded, bytes.len);
        sta_buffer_fini(&out);
    }
}

static void a_downgraded_frame_downgrades_to_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < reply_example_count; i++) {
        const struct reply_example *example = &reply_examples[i];
        struct strata_bytes down = strata_bytes(example->downgraded, example->downgraded_len);
        struct sta_buffer out;
        sta_buffer_init(&out, 4096);
        assert_int_equal(sta_resp_downgrade(&out, down), STRATA_OK);
        assert_int_equal(sta_buffer_len(&out), down.len);
        assert_memory_equal(sta_buffer_bytes(&out).data, down.data, down.len);
        sta_buffer_fini(&out);
    }
}

static void a_failed_downgrade_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    struct sta_buffer out;
    sta_buffer_init(&out, 64);
    assert_int_equal(sta_buffer_append(&out, strata_text("abc")), STRATA_OK);
    const char *frame = "~2\r\n:1\r\n$50\r\n"
                        "01234567890123456789012345678901234567890123456789\r\n";
    assert_int_equal(sta_resp_downgrade(&out, strata_text(frame)), STRATA_ERR_TOO_BIG);
    assert_int_equal(sta_resp_downgrade(&out, strata_text(":1\r\nx\r\n")), STRATA_ERR_PROTOCOL);
    const char *cut = "|2\r\n+a\r\n+b\r\n+c\r\n";
    assert_int_equal(sta_resp_downgrade(&out, strata_text(cut)), STRATA_ERR_PROTOCOL);
    assert_int_equal(sta_buffer_len(&out), 3);
    assert_memory_equal(sta_buffer_bytes(&out).data, "abc", 3);
    sta_buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_is_downgraded_by_its_types),
        cmocka_unit_test(a_downgraded_frame_downgrades_to_itself),
        cmocka_unit_test(a_failed_downgrade_leaves_the_buffer_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
