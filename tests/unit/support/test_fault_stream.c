/* SPDX-License-Identifier: MIT
 *
 * One direction of the fault proxy, at times that the test names. SOCK_SEQPACKET keeps the sends
 * apart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/fault_stream.h"

#define MS INT64_C(1000000)

struct world {
    int in[2];  /* the test writes to [1] */
    int out[2]; /* and reads from [1] */
    struct fault_stream stream;
    struct fault_way way;
};

static void init(struct world *world, struct fault_way way)
{
    *world = (struct world){.way = way};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, world->in), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, world->out), 0);
}

static void fini(struct world *world)
{
    fault_stream_fini(&world->stream);
    for (int i = 0; i < 2; i++) {
        (void)close(world->in[i]);
        (void)close(world->out[i]);
    }
}

static void arrives(struct world *world, const char *text, int64_t now)
{
    size_t len = strlen(text);
    assert_int_equal(write(world->in[1], text, len), len);
    assert_true(fault_stream_wants(&world->stream, &world->way));
    fault_stream_read(&world->stream, &world->way, world->in[0], now);
}

/* What leaves now, a blank between the sends. */
static void assert_sends(struct world *world, int64_t now, const char *expected)
{
    char text[256] = "";
    size_t used = 0;
    fault_stream_send(&world->stream, &world->way, world->out[0], 12345, now);
    for (;;) {
        ssize_t len = recv(world->out[1], text + used, sizeof text - used - 2, MSG_DONTWAIT);
        if (len <= 0)
            break;
        used += (size_t)len;
        text[used++] = ' ';
    }
    text[used > 0 ? used - 1 : 0] = '\0';
    assert_string_equal(text, expected);
}

static void bytes_pass_as_they_come(void **state)
{
    (void)state;
    struct world world;
    init(&world, (struct fault_way){0});
    assert_int_equal(fault_stream_due(&world.stream, &world.way), INT64_MAX);
    arrives(&world, "one", 5);
    arrives(&world, "two", 6);
    assert_sends(&world, 6, "one two");
    assert_int_equal(world.stream.sent_bytes, 6);
    assert_int_equal(world.stream.queued_bytes, 0);
    fini(&world);
}

static void a_delay_holds_each_piece_for_its_time(void **state)
{
    (void)state;
    struct world world;
    init(&world, (struct fault_way){.delay_ms = 10});
    arrives(&world, "one", 0);
    arrives(&world, "two", 3 * MS);
    assert_int_equal(fault_stream_due(&world.stream, &world.way), 10 * MS);
    assert_sends(&world, 10 * MS - 1, "");
    assert_sends(&world, 10 * MS, "one");
    assert_sends(&world, 13 * MS - 1, "");
    assert_sends(&world, 13 * MS, "two");
    fini(&world);
}

static void pieces_are_as_small_as_wanted(void **state)
{
    (void)state;
    struct world world;
    init(&world, (struct fault_way){.chunk_bytes = 2});
    arrives(&world, "abcde", 0);
    assert_sends(&world, 0, "ab cd e");
    fini(&world);
}

static void drawn_pieces_are_of_all_sizes_up_to_the_largest(void **state)
{
    (void)state;
    struct world world;
    char text[64] = "";
    bool sizes[4] = {false};
    init(&world, (struct fault_way){.chunk_bytes = 3, .chunk_random = true});
    for (int i = 0; i < 32; i++)
        strcat(text, "x");
    arrives(&world, text, 0);
    fault_stream_send(&world.stream, &world.way, world.out[0], 7, 0);
    for (ssize_t len; (len = recv(world.out[1], text, sizeof text, MSG_DONTWAIT)) > 0;) {
        assert_in_range(len, 1, 3);
        sizes[len] = true;
    }
    assert_true(sizes[1] && sizes[2] && sizes[3]);
    fini(&world);
}

static void a_gap_lies_between_two_sends(void **state)
{
    (void)state;
    struct world world;
    init(&world, (struct fault_way){.chunk_bytes = 1, .gap_us = 1000});
    arrives(&world, "abc", 0);
    assert_sends(&world, 0, "a");
    assert_int_equal(fault_stream_due(&world.stream, &world.way), MS);
    assert_sends(&world, MS - 1, "");
    assert_sends(&world, MS, "b");
    assert_sends(&world, 5 * MS, "c");
    fini(&world);
}

static void a_rate_spreads_bytes_over_time(void **state)
{
    (void)state;
    struct world world;
    init(&world, (struct fault_way){.bytes_per_second = 100});
    arrives(&world, "abcdef", 0);
    assert_sends(&world, 0, "abc"); /* a 50th of a second's bytes, and one */
    assert_sends(&world, 30 * MS - 1, "");
    assert_sends(&world, 30 * MS, "def");
    fini(&world);
}

static void a_frozen_way_neither_reads_nor_sends(void **state)
{
    (void)state;
    struct world world;
    init(&world, (struct fault_way){0});
    arrives(&world, "before", 0);
    world.way.freeze = true;
    assert_false(fault_stream_wants(&world.stream, &world.way));
    assert_int_equal(fault_stream_due(&world.stream, &world.way), INT64_MAX);
    assert_sends(&world, MS, "");
    world.way.freeze = false;
    assert_sends(&world, MS, "before");
    fini(&world);
}

static void dropped_bytes_are_read_and_counted(void **state)
{
    (void)state;
    struct world world;
    init(&world, (struct fault_way){.drop = true});
    arrives(&world, "gone", 0);
    assert_sends(&world, MS, "");
    assert_int_equal(world.stream.dropped_bytes, 4);
    fini(&world);
}

static void one_byte_is_corrupted_once(void **state)
{
    (void)state;
    struct world world;
    init(&world, (struct fault_way){.corrupt_at = 5});
    arrives(&world, "aaa", 0);
    arrives(&world, "aaa", 0);
    arrives(&world, "aaa", 0);
    assert_sends(&world, 0,
                 "aaa a\xe1"
                 "a aaa");
    fini(&world);
}

static void an_end_and_a_failure_are_told_apart(void **state)
{
    (void)state;
    struct world world;
    init(&world, (struct fault_way){0});
    arrives(&world, "last", 0);
    assert_int_equal(shutdown(world.in[1], SHUT_WR), 0);
    fault_stream_read(&world.stream, &world.way, world.in[0], 0);
    assert_true(world.stream.ended);
    assert_false(world.stream.broken);
    assert_false(fault_stream_wants(&world.stream, &world.way));
    (void)close(world.out[1]);
    fault_stream_send(&world.stream, &world.way, world.out[0], 0, 0);
    assert_true(world.stream.broken);
    fini(&world);
}

static void what_waits_is_bounded(void **state)
{
    (void)state;
    static char block[8192];
    struct world world;
    size_t total = 0;
    init(&world, (struct fault_way){.delay_ms = 1000});
    while (fault_stream_wants(&world.stream, &world.way)) {
        assert_int_equal(write(world.in[1], block, sizeof block), sizeof block);
        fault_stream_read(&world.stream, &world.way, world.in[0], 0);
        total += sizeof block;
        assert_true(total <= 16u << 20);
    }
    assert_int_equal(world.stream.queued_bytes, total);
    fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass_as_they_come),
        cmocka_unit_test(a_delay_holds_each_piece_for_its_time),
        cmocka_unit_test(pieces_are_as_small_as_wanted),
        cmocka_unit_test(drawn_pieces_are_of_all_sizes_up_to_the_largest),
        cmocka_unit_test(a_gap_lies_between_two_sends),
        cmocka_unit_test(a_rate_spreads_bytes_over_time),
        cmocka_unit_test(a_frozen_way_neither_reads_nor_sends),
        cmocka_unit_test(dropped_bytes_are_read_and_counted),
        cmocka_unit_test(one_byte_is_corrupted_once),
        cmocka_unit_test(an_end_and_a_failure_are_told_apart),
        cmocka_unit_test(what_waits_is_bounded),
    };
    return cmocka_run_group_tests_name("fault_stream", tests, NULL, NULL);
}
