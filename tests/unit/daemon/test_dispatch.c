/* SPDX-License-Identifier: MIT
 *
 * What is done with which command, on which lane, and with which keys.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/dispatch.h"
#include "resp/resp.h"
#include "unit/daemon/words.h"

/* A server that knows three commands: HSET writes its first key, HGETALL reads it, BLTHING of
 * some module blocks. */
static const char commands_reply[] = "*3\r\n"
                                     "*6\r\n$4\r\nhset\r\n:-4\r\n*1\r\n+write\r\n:1\r\n:1\r\n:1\r\n"
                                     "*6\r\n$7\r\nhgetall\r\n:2\r\n*1\r\n+readonly\r\n"
                                     ":1\r\n:1\r\n:1\r\n"
                                     "*6\r\n$7\r\nblthing\r\n:-2\r\n*2\r\n+write\r\n+blocking\r\n"
                                     ":1\r\n:1\r\n:1\r\n";

static int make_table(void **state)
{
    struct sta_command_table *table = NULL;
    if (sta_command_table_create(&table, strata_text(commands_reply)) != 0)
        return -1;
    *state = table;
    return 0;
}

static int drop_table(void **state)
{
    sta_command_table_destroy((struct sta_command_table **)state);
    return 0;
}

static struct sta_route route_of(void **state, int protocol, const char *line)
{
    struct words words = words_of(line);
    return sta_dispatch(*state, protocol, words.argv, words.argc);
}

struct visited {
    char text[64]; /* the indexes, one digit each */
    size_t count;
};

static void visit(void *arg, size_t index)
{
    struct visited *visited = arg;
    visited->text[visited->count++] = (char)('0' + index);
}

static struct visited keys_of(void **state, const char *line)
{
    struct words words = words_of(line);
    struct visited visited = {.count = 0};
    struct sta_route route = sta_dispatch(*state, 2, words.argv, words.argc);
    sta_dispatch_keys(&route, words.argv, words.argc, visit, &visited);
    return visited;
}

static void the_table_is_sorted(void **state)
{
    (void)state;
    assert_true(sta_dispatch_valid());
}

static void names_are_known_in_any_case(void **state)
{
    assert_int_equal(route_of(state, 2, "get k").kind, STA_DISPATCH_GET);
    assert_int_equal(route_of(state, 2, "GET k").kind, STA_DISPATCH_GET);
    assert_int_equal(route_of(state, 2, "gEt k").kind, STA_DISPATCH_GET);
    assert_int_equal(route_of(state, 2, "getx k").kind, STA_DISPATCH_FORWARD);
    assert_int_equal(route_of(state, 2, "ge k").kind, STA_DISPATCH_FORWARD);
}

static void reads_and_writes_of_strings_share_a_lane_in_both_protocols(void **state)
{
    static const char *const lines[] = {"GET k",      "MGET a b",   "SET k v",       "DEL a b",
                                        "EXPIRE k 5", "INCRBY k 4", "GETEX k",       "PTTL k",
                                        "MSET a 1",   "TYPE k",     "STRLEN k",      "UNLINK k",
                                        "EXISTS k",   "GETSET k v", "SETRANGE k 1 v"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        for (int protocol = 2; protocol <= 3; protocol++)
            assert_int_equal(route_of(state, protocol, lines[i]).lane, STA_LANE_SHARED);
}

/* What the codec cannot turn into a RESP2 reply must never share the lane that speaks RESP3. */
static void what_cannot_be_downgraded_stays_off_the_shared_lane(void **state)
{
    static const char *const lines[] = {"ZRANGE z 0 1 WITHSCORES",
                                        "ZRANDMEMBER z 1 WITHSCORES",
                                        "HRANDFIELD h 1 WITHVALUES",
                                        "ZPOPMIN z 1",
                                        "ZUNION 1 z WITHSCORES",
                                        "LPOP l 1",
                                        "RPOP l 1",
                                        "GEOPOS g m",
                                        "XPENDING s g",
                                        "XREAD STREAMS s 0",
                                        "LMPOP 1 l LEFT",
                                        "ZMPOP 1 z MIN"};
    static const char *const shared[] = {"GET k",  "MGET a b",        "SET k v",
                                         "DEL a",  "INCRBYFLOAT k 1", "TTL k",
                                         "TYPE k", "GETEX k",         "TOUCH k"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct words words = words_of(lines[i]);
        assert_false(sta_resp_downgrade_is_exact(words.argv, words.argc));
        assert_int_equal(route_of(state, 2, lines[i]).lane, STA_LANE_PLAIN2);
    }
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++) {
        struct words words = words_of(shared[i]);
        assert_true(sta_resp_downgrade_is_exact(words.argv, words.argc));
        assert_int_equal(route_of(state, 2, shared[i]).lane, STA_LANE_SHARED);
    }
}

static void other_commands_go_on_the_lane_of_their_protocol(void **state)
{
    assert_int_equal(route_of(state, 2, "HGETALL h").lane, STA_LANE_PLAIN2);
    assert_int_equal(route_of(state, 3, "HGETALL h").lane, STA_LANE_PLAIN3);
    assert_int_equal(route_of(state, 2, "NOSUCH h").lane, STA_LANE_PLAIN2);
}

static void only_whole_reads_go_through_l1(void **state)
{
    assert_int_equal(route_of(state, 2, "GET").kind, STA_DISPATCH_FORWARD);
    assert_int_equal(route_of(state, 2, "GET a b").kind, STA_DISPATCH_FORWARD);
    assert_int_equal(route_of(state, 2, "MGET").kind, STA_DISPATCH_FORWARD);
    assert_int_equal(route_of(state, 2, "SET k").kind, STA_DISPATCH_FORWARD);
}

static void the_servers_flags_say_what_writes(void **state)
{
    assert_true(route_of(state, 2, "HSET h f v").writes);
    assert_false(route_of(state, 2, "HGETALL h").writes);
    assert_false(route_of(state, 2, "STRLEN k").writes);
    assert_true(route_of(state, 2, "APPEND k v").writes);
}

static void what_the_server_does_not_describe_may_write(void **state)
{
    assert_true(route_of(state, 2, "NOSUCH a b").writes);
    void *none = NULL;
    assert_true(route_of(&none, 2, "HGETALL h").writes);
    assert_string_equal(keys_of(&none, "HGETALL h x").text, "12");
}

static void pfcount_counts_as_a_write(void **state)
{
    assert_true(route_of(state, 2, "PFCOUNT k").writes);
}

static void keys_stand_where_the_table_says(void **state)
{
    assert_string_equal(keys_of(state, "DEL a b c").text, "123");
    assert_string_equal(keys_of(state, "MSET a 1 b 2").text, "13");
    assert_string_equal(keys_of(state, "INCRBY a 1").text, "1");
    assert_string_equal(keys_of(state, "HSET h f v").text, "1");
    assert_string_equal(keys_of(state, "NOSUCH a b").text, "12");
    assert_string_equal(keys_of(state, "DEL").text, "");
    assert_string_equal(keys_of(state, "NOSUCH").text, "");
}

static void commands_that_need_a_connection_of_their_own_are_told_apart(void **state)
{
    static const struct {
        const char *line;
        enum sta_own_command own;
    } cases[] = {{"WATCH k", STA_OWN_WATCH},
                 {"UNWATCH", STA_OWN_UNWATCH},
                 {"SUBSCRIBE c", STA_OWN_SUBSCRIPTION},
                 {"PSUBSCRIBE p", STA_OWN_SUBSCRIPTION},
                 {"SSUBSCRIBE c", STA_OWN_SUBSCRIPTION},
                 {"Unsubscribe", STA_OWN_SUBSCRIPTION},
                 {"PUNSUBSCRIBE", STA_OWN_SUBSCRIPTION},
                 {"SUNSUBSCRIBE", STA_OWN_SUBSCRIPTION},
                 {"BLPOP k 0", STA_OWN_BLOCKING},
                 {"BZPOPMIN k 0", STA_OWN_BLOCKING},
                 {"MONITOR", STA_OWN_MONITOR},
                 {"WAIT 1 0", STA_OWN_WAIT},
                 {"WAITAOF 1 0 0", STA_OWN_WAIT},
                 {"XREAD BLOCK 0 STREAMS s $", STA_OWN_BLOCKING},
                 {"XREADGROUP GROUP g c COUNT 1 BLOCK 5 STREAMS s >", STA_OWN_BLOCKING},
                 {"BLTHING k", STA_OWN_BLOCKING}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sta_route route = route_of(state, 2, cases[i].line);
        assert_int_equal(route.kind, STA_DISPATCH_OWN);
        assert_int_equal(route.own, cases[i].own);
        assert_int_equal(route.lane, STA_LANE_OWN);
    }
}

static void what_would_change_a_shared_connection_is_refused(void **state)
{
    static const char *const lines[] = {"SYNC",      "PSYNC ? -1", "SCRIPT DEBUG YES", "READONLY",
                                        "READWRITE", "ASKING",     "REPLCONF ACK 1"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct sta_route route = route_of(state, 2, lines[i]);
        assert_int_equal(route.kind, STA_DISPATCH_REFUSED);
        assert_int_equal(route.refusal, STA_REFUSAL_CONNECTION);
    }
    assert_int_equal(route_of(state, 2, "SHUTDOWN").refusal, STA_REFUSAL_NOT_PASSED_ON);
    assert_int_equal(route_of(state, 2, "MULTI").kind, STA_DISPATCH_TRANSACTION);
    assert_int_equal(route_of(state, 2, "EXEC").kind, STA_DISPATCH_TRANSACTION);
    assert_int_equal(route_of(state, 2, "DISCARD").kind, STA_DISPATCH_TRANSACTION);
}

static void stream_reads_that_do_not_block_pass(void **state)
{
    static const char *const lines[] = {
        "XREAD COUNT 2 STREAMS s 0",
        "XREAD STREAMS block 0",
        "XREADGROUP GROUP block block NOACK STREAMS s >",
        "XREADGROUP GROUP g c COUNT block STREAMS s >",
        "XREAD",
        "SCRIPT LOAD x",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_int_equal(route_of(state, 2, lines[i]).kind, STA_DISPATCH_FORWARD);
}

static void commands_of_the_whole_keyspace_clear(void **state)
{
    static const char *const lines[] = {"FLUSHALL", "FLUSHDB ASYNC", "SWAPDB 0 1",
                                        "REPLICAOF NO ONE", "DEBUG RELOAD"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_int_equal(route_of(state, 3, lines[i]).kind, STA_DISPATCH_CLEAR);
}

static void one_lane_at_a_time(void **state)
{
    (void)state;
    assert_true(sta_dispatch_may_send(STA_LANE_PLAIN2, 0, STA_LANE_SHARED));
    assert_true(sta_dispatch_may_send(STA_LANE_SHARED, 7, STA_LANE_SHARED));
    assert_false(sta_dispatch_may_send(STA_LANE_PLAIN2, 1, STA_LANE_SHARED));
    assert_false(sta_dispatch_may_send(STA_LANE_SHARED, 1, STA_LANE_PLAIN3));
}

static void words_are_compared_whole(void **state)
{
    (void)state;
    assert_true(sta_dispatch_word_is(strata_text("NoAck"), "noack"));
    assert_false(sta_dispatch_word_is(strata_text("noac"), "noack"));
    assert_false(sta_dispatch_word_is(strata_text("noackk"), "noack"));
    assert_false(sta_dispatch_word_is(strata_bytes("no\0ack", 6), "no"));
    assert_true(sta_dispatch_word_is(strata_text(""), ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sorted),
        cmocka_unit_test(names_are_known_in_any_case),
        cmocka_unit_test(reads_and_writes_of_strings_share_a_lane_in_both_protocols),
        cmocka_unit_test(what_cannot_be_downgraded_stays_off_the_shared_lane),
        cmocka_unit_test(other_commands_go_on_the_lane_of_their_protocol),
        cmocka_unit_test(only_whole_reads_go_through_l1),
        cmocka_unit_test(the_servers_flags_say_what_writes),
        cmocka_unit_test(what_the_server_does_not_describe_may_write),
        cmocka_unit_test(pfcount_counts_as_a_write),
        cmocka_unit_test(keys_stand_where_the_table_says),
        cmocka_unit_test(commands_that_need_a_connection_of_their_own_are_told_apart),
        cmocka_unit_test(what_would_change_a_shared_connection_is_refused),
        cmocka_unit_test(stream_reads_that_do_not_block_pass),
        cmocka_unit_test(commands_of_the_whole_keyspace_clear),
        cmocka_unit_test(one_lane_at_a_time),
        cmocka_unit_test(words_are_compared_whole),
    };
    return cmocka_run_group_tests(tests, make_table, drop_table);
}
