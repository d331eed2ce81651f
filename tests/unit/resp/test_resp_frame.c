/* SPDX-License-Identifier: MIT
 *
 * Framing, of replies and of requests: where does a message end, and what is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/random.h"
#include "resp/resp.h"
#include "strata/status.h"
#include "unit/resp/examples.h"

/* Framing of either kind behind one face, so that every test runs over both. */
struct framing {
    bool requests;
    struct sta_resp_framer reply;
    struct sta_resp_request_framer request;
    const struct sta_resp_limits *limits;
    const char *reason;
};

static int frame(struct framing *framing, const void *data, size_t len, size_t *frame_len)
{
    struct strata_bytes bytes = strata_bytes(data, len);
    if (framing->requests)
        return sta_resp_frame_request(&framing->request, framing->limits, true, bytes, frame_len,
                                      &framing->reason);
    return sta_resp_frame(&framing->reply, framing->limits, bytes, frame_len, &framing->reason);
}

/* Shows the first `len` bytes of `wire` in a heap block of exactly that size, so that reading
 * past what has come is an error under ASan. */
static int frame_copy(struct framing *framing, const char *wire, size_t len, size_t *frame_len)
{
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, wire, len);
    int status = frame(framing, copy, len, frame_len);
    free(copy);
    return status;
}

static struct framing framing_make(bool requests, const struct sta_resp_limits *limits)
{
    return (struct framing){.requests = requests, .limits = limits};
}

static void expect_cut_anywhere(bool requests, const char *wire, size_t len)
{
    struct framing framing = framing_make(requests, &example_limits);
    for (size_t cut = 0; cut <= len; cut++) {
        size_t frame_len = 0;
        if (cut < len)
            assert_int_equal(frame_copy(&framing, wire, cut, &frame_len), STRATA_MORE);
        assert_int_equal(frame_copy(&framing, wire, len, &frame_len), STRATA_OK);
        assert_int_equal(frame_len, len);
    }
    size_t frame_len = 0;
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(frame_copy(&framing, wire, cut, &frame_len), STRATA_MORE);
    assert_int_equal(frame_copy(&framing, wire, len, &frame_len), STRATA_OK);
    assert_int_equal(frame_len, len);
}

static void every_example_is_one_frame_wherever_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < reply_example_count; i++)
        expect_cut_anywhere(false, reply_examples[i].wire, reply_examples[i].len);
    for (size_t i = 0; i < request_example_count; i++)
        expect_cut_anywhere(true, request_examples[i].wire, request_examples[i].len);
}

/* The answer to a malformed message does not depend on how it came, except that it may come
 * before the rest of the message has. */
static void expect_refused(bool requests, const struct bad_example *bad)
{
    for (size_t step = 1; step <= bad->len; step++) {
        struct framing framing = framing_make(requests, &example_limits);
        size_t frame_len = 4711;
        int status = STRATA_MORE;
        for (size_t len = step; status == STRATA_MORE; len += step) {
            size_t shown = len < bad->len ? len : bad->len;
            status = frame_copy(&framing, bad->wire, shown, &frame_len);
            if (shown == bad->len)
                break;
        }
        if (status != bad->status)
            fail_msg("%s: status %d", bad->wire, status);
        assert_string_equal(framing.reason, bad->reason);
        assert_int_equal(frame_len, 4711);
    }
}

static void every_malformed_message_is_refused_with_its_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < bad_reply_count; i++)
        expect_refused(false, &bad_replies[i]);
    for (size_t i = 0; i < bad_request_count; i++)
        expect_refused(true, &bad_requests[i]);
}

/* All examples in one stream; `ends` are the offsets where frames end. */
static char *stream_of_examples(bool requests, size_t *len, size_t *ends, size_t *count)
{
    char *stream = malloc(65536);
    assert_non_null(stream);
    *len = 0;
    *count = requests ? request_example_count : reply_example_count;
    for (size_t i = 0; i < *count; i++) {
        const char *wire = requests ? request_examples[i].wire : reply_examples[i].wire;
        size_t wire_len = requests ? request_examples[i].len : reply_examples[i].len;
        memcpy(stream + *len, wire, wire_len);
        *len += wire_len;
        ends[i] = *len;
    }
    return stream;
}

static void expect_stream(bool requests, uint64_t seed)
{
    size_t ends[256], len, count;
    char *stream = stream_of_examples(requests, &len, ends, &count);
    struct framing framing = framing_make(requests, &example_limits);
    for (unsigned splits = 0; splits < 10000;) {
        size_t arrived = 0, begin = 0, next = 0;
        while (next < count) {
            size_t frame_len = 0;
            int status = frame(&framing, stream + begin, arrived - begin, &frame_len);
            if (status == STRATA_OK) {
                begin += frame_len;
                assert_int_equal(begin, ends[next++]);
                continue;
            }
            assert_int_equal(status, STRATA_MORE);
            assert_true(arrived < ends[next]);
            size_t more = 1 + (size_t)(sta_random_below(&seed, 17));
            arrived = arrived + more < len ? arrived + more : len;
            splits++;
        }
    }
    free(stream);
}

/* 10,000 ways to cut one message into pieces. */
static void expect_split(bool requests, const char *wire, size_t len, uint64_t *seed)
{
    struct framing framing = framing_make(requests, &example_limits);
    for (int i = 0; i < 10000; i++) {
        size_t frame_len = 0;
        for (size_t arrived = sta_random_below(seed, len); arrived < len;
             arrived += 1 + sta_random_below(seed, len))
            assert_int_equal(frame(&framing, wire, arrived, &frame_len), STRATA_MORE);
        assert_int_equal(frame(&framing, wire, len, &frame_len), STRATA_OK);
        assert_int_equal(frame_len, len);
    }
}

static void ten_thousand_random_splits_of_each_example_find_it(void **state)
{
    (void)state;
    uint64_t seed = 20240516;
    for (size_t i = 0; i < reply_example_count; i++)
        expect_split(false, reply_examples[i].wire, reply_examples[i].len, &seed);
    for (size_t i = 0; i < request_example_count; i++)
        expect_split(true, request_examples[i].wire, request_examples[i].len, &seed);
}

static void ten_thousand_random_splits_of_a_stream_find_the_same_frames(void **state)
{
    (void)state;
    expect_stream(false, 20240517);
    expect_stream(true, 20240518);
}

static void a_frame_at_a_limit_passes_and_one_beyond_does_not(void **state)
{
    (void)state;
    static char wire[2048];
    struct framing framing = framing_make(false, &example_limits);
    size_t frame_len = 0;
    int head = snprintf(wire, sizeof(wire), "$1000\r\n");
    memset(wire + head, 'x', 1000);
    memcpy(wire + head + 1000, "\r\n", 2);
    assert_int_equal(frame(&framing, wire, (size_t)head + 1002, &frame_len), STRATA_OK);
    assert_int_equal(frame_len, head + 1002);

    memset(wire, 'x', sizeof(wire));
    wire[0] = '+';
    memcpy(wire + 41, "\r\n", 2);
    assert_int_equal(frame(&framing, wire, 43, &frame_len), STRATA_OK);
    assert_int_equal(frame_len, 43);

    memset(wire, 'x', sizeof(wire));
    wire[40] = '\n';
    framing = framing_make(true, &example_limits);
    assert_int_equal(frame(&framing, wire, 41, &frame_len), STRATA_OK);
    assert_int_equal(frame_len, 41);
}

static void the_whole_frame_has_a_limit_too(void **state)
{
    (void)state;
    static char wire[2048];
    for (int requests = 0; requests <= 1; requests++) {
        struct framing framing = framing_make(requests, &example_limits);
        size_t frame_len = 0;
        int head = snprintf(wire, sizeof(wire), "*2\r\n$600\r\n");
        memset(wire + head, 'x', 600);
        size_t len = (size_t)head + 600;
        len += (size_t)snprintf(wire + len, sizeof(wire) - len, "\r\n$600\r\n");
        assert_int_equal(frame(&framing, wire, len, &frame_len), STRATA_ERR_TOO_BIG);
        assert_string_equal(framing.reason,
                            requests ? "too big request" : "a message is longer than the limit");
    }
}

static void an_announced_giant_costs_nothing_and_waits(void **state)
{
    (void)state;
    struct framing framing = framing_make(false, &sta_resp_reply_limits);
    size_t frame_len = 0;
    const char *giant = "*268435456\r\n$536870912\r\nx";
    assert_int_equal(frame(&framing, giant, strlen(giant), &frame_len), STRATA_MORE);
    assert_true(sizeof(struct sta_resp_framer) < 1024);
}

static void aggregates_nest_as_deep_as_the_limit_says(void **state)
{
    (void)state;
    char wire[STA_RESP_DEPTH_MAX * 4 + 16] = "";
    for (unsigned i = 0; i < STA_RESP_DEPTH_MAX; i++)
        memcpy(wire + 4 * i, "*1\r\n", 4);
    struct framing framing = framing_make(false, &sta_resp_reply_limits);
    size_t frame_len = 0;
    memcpy(wire + 4 * STA_RESP_DEPTH_MAX, "*0\r\n", 4);
    size_t len = 4 * STA_RESP_DEPTH_MAX + 4;
    assert_int_equal(frame(&framing, wire, len, &frame_len), STRATA_OK);
    assert_int_equal(frame_len, len);
    memcpy(wire + 4 * STA_RESP_DEPTH_MAX, "*1\r\n", 4);
    assert_int_equal(frame(&framing, wire, len, &frame_len), STRATA_ERR_TOO_BIG);
}

static void inline_commands_are_refused_where_the_caller_does_not_want_them(void **state)
{
    (void)state;
    struct sta_resp_request_framer framer = {0};
    size_t frame_len = 0;
    const char *reason = NULL;
    assert_int_equal(sta_resp_frame_request(&framer, &sta_resp_request_limits, false,
                                            strata_text("PING\r\n"), &frame_len, &reason),
                     STRATA_ERR_PROTOCOL);
    assert_string_equal(reason, "expected '*'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_is_one_frame_wherever_it_is_cut),
        cmocka_unit_test(every_malformed_message_is_refused_with_its_reason),
        cmocka_unit_test(ten_thousand_random_splits_of_each_example_find_it),
        cmocka_unit_test(ten_thousand_random_splits_of_a_stream_find_the_same_frames),
        cmocka_unit_test(a_frame_at_a_limit_passes_and_one_beyond_does_not),
        cmocka_unit_test(the_whole_frame_has_a_limit_too),
        cmocka_unit_test(an_announced_giant_costs_nothing_and_waits),
        cmocka_unit_test(aggregates_nest_as_deep_as_the_limit_says),
        cmocka_unit_test(inline_commands_are_refused_where_the_caller_does_not_want_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
