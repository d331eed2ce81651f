/* SPDX-License-Identifier: MIT
 *
 * Matching replies to requests, without sockets: every split, pushes in between, requests that
 * time out, ends in the middle; and a long seeded run against a plain model.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/random.h"
#include "l2/pipeline.h"
#include "strata/status.h"

#define ASKS 200

struct ask {
    struct sta_request request;
    struct bench *bench;
    unsigned done;
    int status;
    char replies[256];
};

/* A pipeline and what has come out of it. */
struct bench {
    struct sta_pipeline pipeline;
    struct sta_buffer in; /* as a stream keeps it: what has come and was not consumed */
    const char *reason;
    struct ask asks[ASKS];
    unsigned asked;
    char story[4096]; /* what was called, in order: "<push>" and "[replies]" */
    size_t story_len;
    unsigned end_after_dones; /* 0: never */
    unsigned end_after_pushes;
    unsigned dones;
    unsigned pushes;
    unsigned ask_again; /* how many more done() shall push */
};

static struct ask *ask(struct bench *bench, unsigned commands, uint64_t deadline_ns,
                       uint64_t wire_begin);

static void tell(struct bench *bench, char open, struct strata_bytes bytes, char close)
{
    int len = snprintf(bench->story + bench->story_len, sizeof bench->story - bench->story_len,
                       "%c%.*s%c", open, (int)bytes.len, (const char *)bytes.data, close);
    bench->story_len += (size_t)len;
}

static void on_done(struct sta_request *request, int status, struct strata_bytes replies)
{
    struct ask *one = STA_CONTAINER(request, struct ask, request);
    struct bench *bench = one->bench;
    one->done++;
    one->status = status;
    assert_true(status == STRATA_OK || replies.len == 0);
    (void)snprintf(one->replies, sizeof one->replies, "%.*s", (int)replies.len,
                   (const char *)replies.data);
    if (status == STRATA_OK)
        tell(bench, '[', replies, ']');
    if (++bench->dones == bench->end_after_dones)
        sta_pipeline_end(&bench->pipeline, UINT64_MAX, STRATA_ERR_CLOSED, STRATA_ERR_CLOSED);
    if (bench->ask_again > 0) {
        bench->ask_again--;
        ask(bench, 1, STA_NEVER, 0);
    }
}

static void on_push(void *arg, struct strata_bytes frame)
{
    struct bench *bench = arg;
    tell(bench, '<', frame, '>');
    if (++bench->pushes == bench->end_after_pushes)
        sta_pipeline_end(&bench->pipeline, UINT64_MAX, STRATA_ERR_CLOSED, STRATA_ERR_CLOSED);
}

static struct ask *ask(struct bench *bench, unsigned commands, uint64_t deadline_ns,
                       uint64_t wire_begin)
{
    assert_true(bench->asked < ASKS);
    struct ask *one = &bench->asks[bench->asked++];
    *one = (struct ask){
        .request = {.commands = commands, .deadline_ns = deadline_ns, .done = on_done},
        .bench = bench,
    };
    assert_int_equal(sta_pipeline_push(&bench->pipeline, &one->request, wire_begin), STRATA_OK);
    return one;
}

static void bench_init(struct bench *bench, unsigned limit, size_t max_reply_bytes)
{
    *bench = (struct bench){.asked = 0};
    sta_pipeline_init(&bench->pipeline, limit, max_reply_bytes, on_push, bench);
    sta_buffer_init(&bench->in, 1u << 20);
}

static void bench_fini(struct bench *bench)
{
    bench->end_after_dones = 0;
    sta_pipeline_end(&bench->pipeline, 0, STRATA_ERR_LOST, STRATA_ERR_CLOSED);
    sta_pipeline_fini(&bench->pipeline);
    sta_buffer_fini(&bench->in);
    for (unsigned i = 0; i < bench->asked; i++)
        assert_int_equal(bench->asks[i].done, 1);
}

/* More bytes have come. */
static int feed(struct bench *bench, const void *bytes, size_t len)
{
    size_t used = 0;
    unsigned life = bench->pipeline.life;
    assert_int_equal(sta_buffer_append(&bench->in, strata_bytes(bytes, len)), 0);
    /* A copy of exactly the bytes that there are, so that a sanitizer sees reads beyond. */
    struct strata_bytes kept = sta_buffer_bytes(&bench->in);
    void *exact = malloc(kept.len);
    assert_non_null(exact);
    if (kept.len > 0)
        memcpy(exact, kept.data, kept.len);
    int status = sta_pipeline_feed(&bench->pipeline, strata_bytes(exact, kept.len), NULL, &used,
                                   &bench->reason);
    free(exact);
    if (bench->pipeline.life != life)
        sta_buffer_clear(&bench->in);
    else
        sta_buffer_consume(&bench->in, used);
    return status;
}

static int feed_text(struct bench *bench, const char *text)
{
    return feed(bench, text, strlen(text));
}

/* ---- matching ---- */

static const char mixed[] =
    "+a\r\n"
    "$2\r\nb1\r\n>1\r\n+p1\r\n:2\r\n>2\r\n+p2\r\n$1\r\nx\r\n*2\r\n+b\r\n_\r\n"
    ">1\r\n+p3\r\n"
    "-ERR c\r\n"
    "%1\r\n+k\r\n$0\r\n\r\n"
    ">1\r\n+p4\r\n";
static const char mixed_story[] = "[+a\r\n]<>1\r\n+p1\r\n><>2\r\n+p2\r\n$1\r\nx\r\n>"
                                  "[$2\r\nb1\r\n:2\r\n*2\r\n+b\r\n_\r\n]<>1\r\n+p3\r\n>"
                                  "[-ERR c\r\n%1\r\n+k\r\n$0\r\n\r\n]<>1\r\n+p4\r\n>";

static void ask_mixed(struct bench *bench)
{
    bench_init(bench, 10, 1u << 20);
    ask(bench, 1, STA_NEVER, 0);
    ask(bench, 3, STA_NEVER, 0);
    ask(bench, 2, STA_NEVER, 0);
}

static void replies_and_pushes_come_out_alike_whatever_the_split(void **state)
{
    (void)state;
    const size_t len = sizeof mixed - 1;
    for (size_t first = 0; first <= len; first++) {
        for (size_t second = first; second <= len; second++) {
            struct bench bench;
            ask_mixed(&bench);
            assert_int_equal(feed(&bench, mixed, first), STRATA_OK);
            assert_int_equal(feed(&bench, mixed + first, second - first), STRATA_OK);
            assert_int_equal(feed(&bench, mixed + second, len - second), STRATA_OK);
            assert_string_equal(bench.story, mixed_story);
            assert_int_equal(sta_buffer_len(&bench.in), 0);
            assert_int_equal(bench.pipeline.replies, 3);
            assert_int_equal(bench.pipeline.pushes, 4);
            bench_fini(&bench);
        }
    }
}

static void replies_and_pushes_come_out_alike_byte_by_byte(void **state)
{
    (void)state;
    struct bench bench;
    ask_mixed(&bench);
    for (size_t i = 0; i < sizeof mixed - 1; i++)
        assert_int_equal(feed(&bench, mixed + i, 1), STRATA_OK);
    assert_string_equal(bench.story, mixed_story);
    bench_fini(&bench);
}

static void a_reply_that_nobody_asked_for_breaks_the_protocol(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench, 10, 1u << 20);
    assert_int_equal(feed_text(&bench, ">1\r\n+push\r\n"), STRATA_OK);
    ask(&bench, 1, STA_NEVER, 0);
    assert_int_equal(feed_text(&bench, "+a\r\n+b\r\n"), STRATA_ERR_PROTOCOL);
    assert_string_equal(bench.reason, "a reply that nobody asked for");
    assert_string_equal(bench.asks[0].replies, "+a\r\n");
    bench_fini(&bench);
}

static void what_is_no_resp_breaks_the_protocol(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench, 10, 1u << 20);
    ask(&bench, 1, STA_NEVER, 0);
    assert_int_equal(feed_text(&bench, "HTTP/1.1 400 Bad Request\r\n"), STRATA_ERR_PROTOCOL);
    assert_true(strlen(bench.reason) > 0);
    bench_fini(&bench);
}

static void replies_beyond_the_limit_are_too_big(void **state)
{
    (void)state;
    static const struct {
        unsigned commands;
        const char *text;
        int status;
    } rows[] = {
        {1, "$14\r\n01234567890123\r\n", STRATA_ERR_TOO_BIG}, /* 21 bytes */
        {1, "$13\r\n0123456789012\r\n", STRATA_OK},           /* 20 */
        {2, "+01234567\r\n+0123456\r\n", STRATA_ERR_TOO_BIG}, /* together 21 */
        {2, "+01234567\r\n+012345\r\n", STRATA_OK},
        {2, "+01234567\r\n>1\r\n_\r\n+0123456\r\n", STRATA_ERR_TOO_BIG},
        {2, "+01234567\r\n>1\r\n_\r\n+012345\r\n", STRATA_OK}, /* the push does not count */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bench bench;
        bench_init(&bench, 10, 20);
        ask(&bench, rows[i].commands, STA_NEVER, 0);
        assert_int_equal(feed_text(&bench, rows[i].text), rows[i].status);
        bench_fini(&bench);
    }
}

/* ---- deadlines ---- */

static void a_request_that_timed_out_keeps_its_place(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench, 10, 1u << 20);
    struct ask *first = ask(&bench, 1, 100, 0);
    struct ask *gone = ask(&bench, 2, 50, 0);
    struct ask *last = ask(&bench, 1, 200, 0);
    assert_int_equal(sta_pipeline_expire(&bench.pipeline, 49), 50);
    assert_int_equal(gone->done, 0);
    assert_int_equal(sta_pipeline_expire(&bench.pipeline, 50), 100);
    assert_int_equal(gone->status, STRATA_ERR_TIMEOUT);
    memset(&gone->request, 0x5a, sizeof gone->request); /* its owner may do what he likes */
    assert_int_equal(feed_text(&bench, "+first\r\n+late1\r\n"), STRATA_OK);
    assert_int_equal(sta_buffer_len(&bench.in), 0); /* not kept for anybody */
    assert_int_equal(feed_text(&bench, "+late2\r\n+last\r\n"), STRATA_OK);
    assert_string_equal(first->replies, "+first\r\n");
    assert_string_equal(last->replies, "+last\r\n");
    assert_int_equal(bench.pipeline.late, 1);
    assert_int_equal(bench.pipeline.timeouts, 1);
    assert_int_equal(bench.pipeline.replies, 2);
    assert_int_equal(sta_pipeline_expire(&bench.pipeline, 1000), STA_NEVER);
    bench_fini(&bench);
}

static void a_request_may_time_out_between_its_replies(void **state)
{
    (void)state;
    for (unsigned parted = 0; parted <= 1; parted++) {
        struct bench bench;
        bench_init(&bench, 10, 1u << 20);
        struct ask *gone = ask(&bench, 3, 50, 0);
        struct ask *last = ask(&bench, 1, 200, 0);
        assert_int_equal(feed_text(&bench, parted ? "+g1\r\n>1\r\n_\r\n+g" : "+g1\r\n+g"), 0);
        (void)sta_pipeline_expire(&bench.pipeline, 50);
        assert_int_equal(feed_text(&bench, "2\r\n>1\r\n_\r\n+g3\r\n+last\r\n"), STRATA_OK);
        assert_int_equal(gone->status, STRATA_ERR_TIMEOUT);
        assert_string_equal(last->replies, "+last\r\n");
        assert_int_equal(bench.pipeline.pushes, parted + 1);
        bench_fini(&bench);
    }
}

/* Late replies are dropped one by one: it is no matter how many bytes they are together, whenever
 * the time was over. */
/* The body may not be read: a framer that looked at it again with each piece would end here. */
static void a_large_reply_is_not_looked_at_until_it_is_whole(void **state)
{
    (void)state;
    static const char head[] = "$10485760\r\n";
    const size_t page = 4096, body = 10u << 20, total = sizeof head - 1 + body + 2;
    const size_t mapped = (total + page - 1) / page * page;
    struct bench bench;
    size_t used = 0;
    bench_init(&bench, ASKS, SIZE_MAX);
    struct ask *one = ask(&bench, 1, STA_NEVER, 0);
    char *bytes = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(bytes != MAP_FAILED);
    memcpy(bytes, head, sizeof head - 1);
    memcpy(bytes + total - 2, "\r\n", 2);
    assert_int_equal(mprotect(bytes + page, mapped - page, PROT_NONE), 0);
    assert_int_equal(sta_pipeline_missing(&bench.pipeline, 0), 0);
    for (size_t len = 16384; len < total; len += 16384) {
        assert_int_equal(sta_pipeline_feed(&bench.pipeline, strata_bytes(bytes, len), NULL, &used,
                                           &bench.reason),
                         STRATA_OK);
        assert_int_equal(used, 0);
        assert_int_equal(sta_pipeline_missing(&bench.pipeline, len), total - len);
    }
    assert_int_equal(one->done, 0);
    assert_int_equal(mprotect(bytes, mapped, PROT_READ), 0);
    assert_int_equal(
        sta_pipeline_feed(&bench.pipeline, strata_bytes(bytes, total), NULL, &used, &bench.reason),
        STRATA_OK);
    assert_int_equal(used, total);
    assert_int_equal(one->status, STRATA_OK);
    assert_int_equal(sta_pipeline_missing(&bench.pipeline, 0), 0);
    assert_int_equal(munmap(bytes, mapped), 0);
    bench_fini(&bench);
}

/* To who is answered last: what others would still have to be shown lies in it, too. */
static void the_memory_of_what_came_is_given_to_who_is_answered_last(void **state)
{
    (void)state;
    static const char *const texts[] = {"+a\r\n+b\r\n", "+a\r\n+b\r\n+c", "+a\r\n:1\r\n"};
    for (size_t i = 0; i < 3; i++) {
        struct bench bench;
        size_t used = 0;
        bench_init(&bench, ASKS, SIZE_MAX);
        const struct ask *first = ask(&bench, 1, STA_NEVER, 0);
        const struct ask *second = ask(&bench, 1, STA_NEVER, 0);
        (void)ask(&bench, 1, STA_NEVER, 0);
        assert_int_equal(sta_buffer_append(&bench.in, strata_text(texts[i])), STRATA_OK);
        assert_int_equal(sta_pipeline_feed(&bench.pipeline, sta_buffer_bytes(&bench.in), &bench.in,
                                           &used, &bench.reason),
                         STRATA_OK);
        assert_null(first->request.memory);
        assert_int_equal(second->done, 1);
        assert_ptr_equal(second->request.memory, i == 1 ? NULL : &bench.in);
        bench_fini(&bench);
    }
}

static void replies_that_a_push_parted_have_no_memory_to_give(void **state)
{
    (void)state;
    struct bench bench;
    size_t used = 0;
    bench_init(&bench, ASKS, SIZE_MAX);
    const struct ask *one = ask(&bench, 2, STA_NEVER, 0);
    assert_int_equal(sta_buffer_append(&bench.in, strata_text("+a\r\n>1\r\n_\r\n+b\r\n")),
                     STRATA_OK);
    assert_int_equal(sta_pipeline_feed(&bench.pipeline, sta_buffer_bytes(&bench.in), &bench.in,
                                       &used, &bench.reason),
                     STRATA_OK);
    assert_string_equal(one->replies, "+a\r\n+b\r\n");
    assert_null(one->request.memory);
    bench_fini(&bench);
}

static void late_replies_may_be_larger_together_than_the_limit(void **state)
{
    (void)state;
    static const char *const before[] = {"", "+g1234567\r\n", "+g1234567\r\n>1\r\n_\r\n+g1234"};
    static const char *const after[] = {"+g1234567\r\n+g1234567\r\n+g1234567\r\n",
                                        "+g1234567\r\n+g1234567\r\n", "567\r\n+g1234567\r\n"};
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
        struct bench bench;
        bench_init(&bench, 10, 20);
        struct ask *gone = ask(&bench, 3, 50, 0);
        struct ask *last = ask(&bench, 1, 200, 0);
        assert_int_equal(feed_text(&bench, before[i]), STRATA_OK);
        (void)sta_pipeline_expire(&bench.pipeline, 50);
        assert_int_equal(feed_text(&bench, after[i]), STRATA_OK);
        assert_int_equal(feed_text(&bench, "+last\r\n"), STRATA_OK);
        assert_int_equal(gone->status, STRATA_ERR_TIMEOUT);
        assert_string_equal(last->replies, "+last\r\n");
        bench_fini(&bench);
    }
}

static void done_may_ask_again_while_others_time_out(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench, 1000, 1u << 20);
    for (unsigned i = 0; i < 64; i++) /* the ring is full, so the first push moves it */
        ask(&bench, 1, i % 2 == 0 ? 10 : 1000 + i, 0);
    bench.ask_again = 32;
    assert_int_equal(sta_pipeline_expire(&bench.pipeline, 10), 1001);
    assert_int_equal(bench.pipeline.timeouts, 32);
    assert_int_equal(bench.pipeline.count, 96);
    bench_fini(&bench);
}

/* ---- bounds and ends ---- */

static void more_than_the_limit_in_flight_is_busy(void **state)
{
    (void)state;
    struct bench bench;
    struct sta_request one_more = {.commands = 1, .deadline_ns = STA_NEVER, .done = on_done};
    bench_init(&bench, 3, 1u << 20);
    for (unsigned i = 0; i < 3; i++)
        ask(&bench, 1, i == 0 ? 1 : STA_NEVER, 0);
    (void)sta_pipeline_expire(&bench.pipeline, 1); /* a slot that waits for late replies counts */
    assert_int_equal(sta_pipeline_push(&bench.pipeline, &one_more, 0), STRATA_ERR_BUSY);
    assert_int_equal(feed_text(&bench, "+late\r\n"), STRATA_OK);
    ask(&bench, 1, STA_NEVER, 0);
    bench_fini(&bench);
}

static void at_the_end_requests_are_known_as_sent_or_not(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench, 10, 1u << 20);
    ask(&bench, 1, 1, 0);
    ask(&bench, 1, STA_NEVER, 10);
    ask(&bench, 1, STA_NEVER, 20);
    ask(&bench, 1, STA_NEVER, 30);
    (void)sta_pipeline_expire(&bench.pipeline, 1);
    sta_pipeline_end(&bench.pipeline, 21, STRATA_ERR_LOST, STRATA_ERR_UNAVAILABLE);
    assert_int_equal(bench.asks[0].status, STRATA_ERR_TIMEOUT);
    assert_int_equal(bench.asks[1].status, STRATA_ERR_LOST);
    assert_int_equal(bench.asks[2].status, STRATA_ERR_LOST); /* its first byte has gone */
    assert_int_equal(bench.asks[3].status, STRATA_ERR_UNAVAILABLE);
    assert_int_equal(bench.pipeline.sent_ended, 2);
    assert_int_equal(bench.pipeline.unsent_ended, 1);
    bench_fini(&bench);
}

static void a_new_life_begins_without_traces_of_the_last(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench, 10, 1u << 20);
    ask(&bench, 3, STA_NEVER, 0);
    assert_int_equal(feed_text(&bench, "+a\r\n>1\r\n_\r\n+b\r\n$100\r\nhalf"), STRATA_OK);
    sta_pipeline_end(&bench.pipeline, 1, STRATA_ERR_LOST, STRATA_ERR_UNAVAILABLE);
    sta_buffer_clear(&bench.in); /* another stream */
    struct ask *next = ask(&bench, 1, STA_NEVER, 0);
    assert_int_equal(feed_text(&bench, "+next\r\n"), STRATA_OK);
    assert_string_equal(next->replies, "+next\r\n");
    bench_fini(&bench);
}

static void callbacks_may_end_everything_from_within_feed(void **state)
{
    (void)state;
    for (unsigned by_push = 0; by_push <= 1; by_push++) {
        struct bench bench;
        bench_init(&bench, 10, 1u << 20);
        bench.end_after_dones = by_push ? 0 : 1;
        bench.end_after_pushes = by_push ? 1 : 0;
        ask(&bench, 2, STA_NEVER, 0);
        ask(&bench, 1, STA_NEVER, 0);
        assert_int_equal(feed_text(&bench, "+a\r\n>1\r\n_\r\n+b\r\n+c\r\n!!!"), STRATA_OK);
        assert_int_equal(bench.asks[0].status, by_push ? STRATA_ERR_CLOSED : STRATA_OK);
        assert_int_equal(bench.asks[1].status, STRATA_ERR_CLOSED);
        bench_fini(&bench);
    }
}

static void callbacks_may_end_everything_from_within_expire(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench, 10, 1u << 20);
    bench.end_after_dones = 1;
    ask(&bench, 1, 1, 0);
    ask(&bench, 1, 1, 0);
    assert_int_equal(sta_pipeline_expire(&bench.pipeline, 1), STA_NEVER);
    assert_int_equal(bench.asks[0].status, STRATA_ERR_TIMEOUT);
    assert_int_equal(bench.asks[1].status, STRATA_ERR_CLOSED);
    bench_fini(&bench);
}

/* ---- a long run ---- */

#define LONG_STEPS 200000
#define LONG_ASKS  64

struct long_ask {
    struct sta_request request;
    struct long_run *run;
    uint64_t number; /* what its replies must name; 0: free */
    bool timed_out;
};

/* The server answers in the order of `asked`, naming number and command of each. */
struct long_run {
    struct sta_pipeline pipeline;
    struct sta_buffer wire; /* from the server, not fed yet */
    struct sta_buffer in;
    struct long_ask asks[LONG_ASKS];
    uint64_t random;
    uint64_t asked;
    uint64_t answered;
    uint64_t pushes_said;
    uint64_t pushes_heard;
    unsigned commands[4096]; /* of number, in a ring */
    unsigned answered_commands;
    uint64_t now_ns;
    uint64_t dones;
};

static void on_long_push(void *arg, struct strata_bytes frame)
{
    struct long_run *run = arg;
    char expected[64];
    (void)snprintf(expected, sizeof expected, ">1\r\n:%llu\r\n",
                   (unsigned long long)run->pushes_heard++);
    assert_int_equal(frame.len, strlen(expected));
    assert_memory_equal(frame.data, expected, frame.len);
}

static void on_long_done(struct sta_request *request, int status, struct strata_bytes replies)
{
    struct long_ask *one = STA_CONTAINER(request, struct long_ask, request);
    char expected[1024];
    size_t len = 0;
    assert_true(one->number != 0);
    for (unsigned i = 0; i < request->commands; i++)
        len += (size_t)snprintf(expected + len, sizeof expected - len,
                                "*2\r\n:%llu\r\n$1\r\n%u\r\n", (unsigned long long)one->number, i);
    if (status == STRATA_OK) {
        assert_int_equal(replies.len, len);
        assert_memory_equal(replies.data, expected, len);
    } else {
        assert_int_equal(status, STRATA_ERR_TIMEOUT);
        assert_true(request->deadline_ns <= one->run->now_ns);
    }
    one->run->dones++;
    memset(request, 0x5a, sizeof *request);
    one->number = 0;
}

static void long_ask(struct long_run *run)
{
    for (unsigned i = 0; i < LONG_ASKS; i++) {
        struct long_ask *one = &run->asks[i];
        if (one->number != 0)
            continue;
        one->run = run;
        one->number = ++run->asked;
        one->request = (struct sta_request){
            .commands = 1 + (unsigned)sta_random_below(&run->random, 4),
            .deadline_ns = run->now_ns + 1 + sta_random_below(&run->random, 50),
            .done = on_long_done,
        };
        run->commands[one->number % 4096] = one->request.commands;
        assert_int_equal(sta_pipeline_push(&run->pipeline, &one->request, 0), STRATA_OK);
        return;
    }
}

/* One more reply, or a push. */
static void long_answer(struct long_run *run)
{
    char text[64];
    if (sta_random_below(&run->random, 4) == 0) {
        (void)snprintf(text, sizeof text, ">1\r\n:%llu\r\n",
                       (unsigned long long)run->pushes_said++);
    } else if (run->answered < run->asked) {
        (void)snprintf(text, sizeof text, "*2\r\n:%llu\r\n$1\r\n%u\r\n",
                       (unsigned long long)run->answered + 1, run->answered_commands);
        if (++run->answered_commands == run->commands[(run->answered + 1) % 4096]) {
            run->answered++;
            run->answered_commands = 0;
        }
    } else {
        return;
    }
    assert_int_equal(sta_buffer_append(&run->wire, strata_text(text)), 0);
}

static void long_feed(struct long_run *run, size_t len)
{
    size_t used = 0;
    const char *reason = "";
    struct strata_bytes wire = sta_buffer_bytes(&run->wire);
    len = len < wire.len ? len : wire.len;
    assert_int_equal(sta_buffer_append(&run->in, strata_bytes(wire.data, len)), 0);
    sta_buffer_consume(&run->wire, len);
    assert_int_equal(
        sta_pipeline_feed(&run->pipeline, sta_buffer_bytes(&run->in), NULL, &used, &reason),
        STRATA_OK);
    sta_buffer_consume(&run->in, used);
}

static void a_long_run_gives_every_request_its_own_replies(void **state)
{
    (void)state;
    struct long_run *run = calloc(1, sizeof *run);
    assert_non_null(run);
    run->random = 2026;
    run->now_ns = 1;
    sta_pipeline_init(&run->pipeline, 2048, 1u << 20, on_long_push, run);
    sta_buffer_init(&run->wire, 1u << 24);
    sta_buffer_init(&run->in, 1u << 24);
    for (unsigned step = 0; step < LONG_STEPS; step++) {
        switch (sta_random_below(&run->random, 4)) {
        case 0:
            if (run->pipeline.count < 2000)
                long_ask(run);
            break;
        case 1:
            for (unsigned i = 0; i < 5; i++)
                long_answer(run);
            break;
        case 2:
            long_feed(run, (size_t)sta_random_below(&run->random, 300));
            break;
        default:
            run->now_ns++;
            (void)sta_pipeline_expire(&run->pipeline, run->now_ns);
        }
    }
    while (run->answered < run->asked)
        long_answer(run);
    long_feed(run, SIZE_MAX);
    assert_int_equal(run->pipeline.count, 0);
    assert_int_equal(run->dones, run->asked);
    assert_int_equal(run->pipeline.replies + run->pipeline.timeouts, run->asked);
    assert_int_equal(run->pipeline.late, run->pipeline.timeouts);
    assert_int_equal(run->pushes_heard, run->pushes_said);
    assert_true(run->pipeline.replies > 1000); /* the run was worth something */
    assert_true(run->pipeline.timeouts > 1000);
    sta_pipeline_fini(&run->pipeline);
    sta_buffer_fini(&run->wire);
    sta_buffer_fini(&run->in);
    free(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_and_pushes_come_out_alike_whatever_the_split),
        cmocka_unit_test(replies_and_pushes_come_out_alike_byte_by_byte),
        cmocka_unit_test(a_reply_that_nobody_asked_for_breaks_the_protocol),
        cmocka_unit_test(what_is_no_resp_breaks_the_protocol),
        cmocka_unit_test(replies_beyond_the_limit_are_too_big),
        cmocka_unit_test(a_request_that_timed_out_keeps_its_place),
        cmocka_unit_test(a_request_may_time_out_between_its_replies),
        cmocka_unit_test(a_large_reply_is_not_looked_at_until_it_is_whole),
        cmocka_unit_test(the_memory_of_what_came_is_given_to_who_is_answered_last),
        cmocka_unit_test(replies_that_a_push_parted_have_no_memory_to_give),
        cmocka_unit_test(late_replies_may_be_larger_together_than_the_limit),
        cmocka_unit_test(done_may_ask_again_while_others_time_out),
        cmocka_unit_test(more_than_the_limit_in_flight_is_busy),
        cmocka_unit_test(at_the_end_requests_are_known_as_sent_or_not),
        cmocka_unit_test(a_new_life_begins_without_traces_of_the_last),
        cmocka_unit_test(callbacks_may_end_everything_from_within_feed),
        cmocka_unit_test(callbacks_may_end_everything_from_within_expire),
        cmocka_unit_test(a_long_run_gives_every_request_its_own_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
