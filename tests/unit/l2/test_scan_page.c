/* SPDX-License-Identifier: MIT
 *
 * A page of a scan: what is asked, what is read, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/glob.h"
#include "l2/scan_page.h"
#include "strata/status.h"
#include "support/fail_alloc.h"

static void assert_bytes(struct strata_bytes bytes, const char *text)
{
    assert_int_equal(bytes.len, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.len);
}

static void a_page_is_asked_for_with_the_prefix_escaped(void **state)
{
    (void)state;
    struct sta_buffer wire;
    sta_buffer_init(&wire, 1024);
    assert_int_equal(
        sta_scan_page_write(&wire, UINT64_MAX, strata_text("a*[b]:"), strata_text("u?r*"), 1000),
        STRATA_OK);
    assert_bytes(sta_buffer_bytes(&wire),
                 "*6\r\n$4\r\nSCAN\r\n$20\r\n18446744073709551615\r\n$5\r\nMATCH\r\n"
                 "$12\r\na\\*\\[b]:u?r*\r\n$5\r\nCOUNT\r\n$4\r\n1000\r\n");
    sta_buffer_clear(&wire);
    assert_int_equal(sta_scan_page_write(&wire, 0, strata_text(""), strata_text(""), 10),
                     STRATA_OK);
    assert_bytes(sta_buffer_bytes(&wire),
                 "*6\r\n$4\r\nSCAN\r\n$1\r\n0\r\n$5\r\nMATCH\r\n$1\r\n*\r\n$5\r\nCOUNT\r\n"
                 "$2\r\n10\r\n");
    sta_buffer_fini(&wire);
}

/* The fourth argument of the command. */
static struct strata_bytes match_of(const struct sta_buffer *wire)
{
    struct strata_bytes argv[6];
    assert_int_equal(sta_resp_request_args(sta_buffer_bytes(wire), argv, 6, NULL), STRATA_OK);
    return argv[3];
}

static void a_prefix_of_any_bytes_matches_itself_alone(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        const uint8_t prefix[] = {'p', (uint8_t)byte, ':'};
        struct sta_buffer wire;
        struct sta_glob glob;
        sta_buffer_init(&wire, 1024);
        assert_int_equal(
            sta_scan_page_write(&wire, 0, strata_bytes(prefix, 3), strata_text("*"), 1), STRATA_OK);
        assert_int_equal(sta_glob_init(&glob, match_of(&wire)), STRATA_OK);
        for (unsigned other = 0; other < 256; other++) {
            const uint8_t key[] = {'p', (uint8_t)other, ':', 'k'};
            assert_int_equal(sta_glob_match(&glob, strata_bytes(key, 4)), other == byte);
        }
        assert_false(sta_glob_match(&glob, strata_text("p:k")));
        sta_glob_fini(&glob);
        sta_buffer_fini(&wire);
    }
}

static void keys_are_named_in_order_and_may_hold_any_byte(void **state)
{
    (void)state;
    static const char reply[] =
        "*2\r\n$2\r\n77\r\n*3\r\n$3\r\np:a\r\n$5\r\np:\0\r\n\r\n$2\r\np:\r\n";
    struct sta_scan_page page;
    struct strata_bytes key;
    assert_int_equal(
        sta_scan_page_read(&page, strata_bytes(reply, sizeof reply - 1), strata_text("p:")),
        STRATA_OK);
    assert_int_equal(page.cursor, 77);
    assert_int_equal(page.left, 3);
    assert_true(sta_scan_page_next(&page, &key));
    assert_bytes(key, "p:a");
    assert_true(sta_scan_page_next(&page, &key));
    assert_int_equal(key.len, 5);
    assert_memory_equal(key.data, "p:\0\r\n", 5);
    assert_true(sta_scan_page_next(&page, &key));
    assert_bytes(key, "p:");
    assert_false(sta_scan_page_next(&page, &key));
}

static void an_empty_page_may_have_a_next(void **state)
{
    (void)state;
    struct sta_scan_page page;
    struct strata_bytes key;
    assert_int_equal(sta_scan_page_read(&page,
                                        strata_text("*2\r\n$20\r\n18446744073709551615\r\n*0\r\n"),
                                        strata_text("p:")),
                     STRATA_OK);
    assert_true(page.cursor == UINT64_MAX);
    assert_false(sta_scan_page_next(&page, &key));
}

static void what_is_no_page_is_refused_whole(void **state)
{
    (void)state;
    static const char *const replies[] = {
        "",
        "-ERR no\r\n",
        "*-1\r\n",
        "*1\r\n$1\r\n0\r\n",
        "*3\r\n$1\r\n0\r\n*0\r\n*0\r\n",
        "*2\r\n:0\r\n*0\r\n",
        "*2\r\n$0\r\n\r\n*0\r\n",
        "*2\r\n$2\r\n-1\r\n*0\r\n",
        "*2\r\n$20\r\n18446744073709551616\r\n*0\r\n",
        "*2\r\n$1\r\n0\r\n$0\r\n\r\n",
        "*2\r\n$1\r\n0\r\n*1\r\n",
        "*2\r\n$1\r\n0\r\n*1\r\n$-1\r\n",
        "*2\r\n$1\r\n0\r\n*1\r\n*0\r\n",
        "*2\r\n$1\r\n0\r\n*1\r\n$3\r\nq:a\r\n",
        "*2\r\n$1\r\n0\r\n*1\r\n$1\r\np\r\n",
        "*2\r\n$1\r\n0\r\n*0\r\n+OK\r\n",
    };
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct sta_scan_page page = {.cursor = 5};
        if (sta_scan_page_read(&page, strata_text(replies[i]), strata_text("p:")) !=
            STRATA_ERR_PROTOCOL)
            fail_msg("taken for a page: %s", replies[i]);
        assert_int_equal(page.cursor, 5);
    }
}

static void out_of_memory_leaves_the_wire_as_it_was(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct sta_buffer wire;
        sta_buffer_init(&wire, 1024);
        fail_alloc_at(n);
        int status = sta_scan_page_write(&wire, 0, strata_text("p:"), strata_text("*"), 10);
        bool failed = fail_alloc_end();
        assert_int_equal(status, failed ? STRATA_ERR_NOMEM : STRATA_OK);
        assert_int_equal(sta_buffer_len(&wire) == 0, failed);
        sta_buffer_fini(&wire);
        if (!failed) {
            assert_true(n > 2);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_asked_for_with_the_prefix_escaped),
        cmocka_unit_test(a_prefix_of_any_bytes_matches_itself_alone),
        cmocka_unit_test(keys_are_named_in_order_and_may_hold_any_byte),
        cmocka_unit_test(an_empty_page_may_have_a_next),
        cmocka_unit_test(what_is_no_page_is_refused_whole),
        cmocka_unit_test(out_of_memory_leaves_the_wire_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
