/* SPDX-License-Identifier: MIT
 *
 * The command table from replies made by hand: the shapes of Redis 6.2 and 7, what is refused,
 * and running out of memory. A real server's reply is in tests/integration.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "resp/command_table.h"
#include "strata/status.h"
#include "support/fail_alloc.h"

/* Redis 6.2, RESP2: flags are simple strings in an array; no specifications. */
#define ENTRY_62(name, arity, flags, keys)                                                         \
    "*7\r\n$" name "\r\n:" arity "\r\n" flags keys "*1\r\n+@fast\r\n"
#define GET_62  ENTRY_62("3\r\nget", "2", "*2\r\n+readonly\r\n+fast\r\n", ":1\r\n:1\r\n:1\r\n")
#define MSET_62 ENTRY_62("4\r\nmset", "-3", "*1\r\n+write\r\n", ":1\r\n:-1\r\n:2\r\n")
#define EVAL_62                                                                                    \
    ENTRY_62("4\r\neval", "-3", "*2\r\n+noscript\r\n+movablekeys\r\n", ":0\r\n:0\r\n:0\r\n")
#define PING_62 ENTRY_62("4\r\nping", "-1", "*0\r\n", ":0\r\n:0\r\n:0\r\n")

/* Redis 7, RESP3: sets and maps. */
#define SPEC_7(flags, begin, find)                                                                 \
    "%3\r\n+flags\r\n" flags "+begin_search\r\n" begin "+find_keys\r\n" find
#define BEGIN_INDEX(index) "%2\r\n+type\r\n+index\r\n+spec\r\n%1\r\n+index\r\n:" index "\r\n"
#define BEGIN_KEYWORD(word, from)                                                                  \
    "%2\r\n+type\r\n+keyword\r\n+spec\r\n%2\r\n+keyword\r\n+" word "\r\n+startfrom\r\n:" from "\r" \
    "\n"
#define BEGIN_UNKNOWN "%2\r\n+type\r\n+unknown\r\n+spec\r\n%0\r\n"
#define FIND_RANGE(last, step, limit)                                                              \
    "%2\r\n+type\r\n+range\r\n+spec\r\n%3\r\n+lastkey\r\n:" last "\r\n+keystep\r\n:" step          \
    "\r\n+limit\r\n:" limit "\r\n"
#define FIND_KEYNUM(at, first, step)                                                               \
    "%2\r\n+type\r\n+keynum\r\n+spec\r\n%3\r\n+keynumidx\r\n:" at "\r\n+firstkey\r\n:" first       \
    "\r\n+keystep\r\n:" step "\r\n"
#define ENTRY_7(name, flags, specs, subs)                                                          \
    "*10\r\n+" name "\r\n:-2\r\n" flags ":1\r\n:1\r\n:1\r\n~0\r\n*0\r\n" specs subs
#define RW "~1\r\n+RW\r\n"

static struct sta_command_table *table_of(const char *reply)
{
    struct sta_command_table *table = NULL;
    assert_int_equal(sta_command_table_create(&table, strata_text(reply)), STRATA_OK);
    return table;
}

struct words {
    struct strata_bytes argv[16];
    size_t argc;
};

static struct words words(const char *line)
{
    struct words words = {.argc = 0};
    for (const char *at = line; *at != '\0';) {
        size_t len = strcspn(at, " ");
        words.argv[words.argc++] = strata_bytes(at, len);
        at += len + (at[len] == ' ');
    }
    return words;
}

static void visit(void *arg, size_t index)
{
    char *text = arg;
    size_t at = strlen(text);
    snprintf(text + at, 64 - at, " %zu", index);
}

static void expect_keys(const struct sta_command_table *table, const char *line, const char *keys)
{
    struct words call = words(line);
    char found[64] = "";
    const struct sta_known_command *command = sta_command_find(table, call.argv, call.argc);
    assert_non_null(command);
    int status = sta_command_keys(command, call.argv, call.argc, visit, found);
    assert_int_equal(status, keys == NULL ? STRATA_SKIPPED : STRATA_OK);
    assert_string_equal(found, keys == NULL ? "" : keys);
}

static void a_reply_of_redis_6_gives_ranges_and_movable_keys(void **state)
{
    (void)state;
    struct sta_command_table *table = table_of("*4\r\n" GET_62 MSET_62 EVAL_62 PING_62);
    expect_keys(table, "get k", " 1");
    expect_keys(table, "GET", NULL);
    expect_keys(table, "get a b", NULL);
    expect_keys(table, "mset a 1 b 2", " 1 3");
    expect_keys(table, "eval s 1 k", NULL);
    expect_keys(table, "ping", "");
    expect_keys(table, "ping hello", "");
    assert_null(sta_command_find(table, words("set k v").argv, 3));
    assert_null(sta_command_find(table, NULL, 0));
    sta_command_table_destroy(&table);
    assert_null(table);
    sta_command_table_destroy(&table);
}

static void each_kind_of_specification_finds_its_keys(void **state)
{
    (void)state;
    static const struct {
        const char *specs;
        const char *line;
        const char *keys;
    } cases[] = {
        {"*1\r\n" SPEC_7(RW, BEGIN_INDEX("1"), FIND_RANGE("0", "1", "0")), "x a b", " 1"},
        {"*1\r\n" SPEC_7(RW, BEGIN_INDEX("2"), FIND_RANGE("1", "1", "0")), "x a b c d", " 2 3"},
        {"*1\r\n" SPEC_7(RW, BEGIN_INDEX("1"), FIND_RANGE("-1", "2", "0")), "x a 1 b 2", " 1 3"},
        {"*1\r\n" SPEC_7(RW, BEGIN_INDEX("1"), FIND_RANGE("-2", "1", "0")), "x a b 0", " 1 2"},
        {"*1\r\n" SPEC_7(RW, BEGIN_INDEX("1"), FIND_RANGE("-1", "1", "2")), "x a b 0 0", " 1 2"},
        {"*1\r\n" SPEC_7(RW, BEGIN_INDEX("1"), FIND_RANGE("-1", "1", "1")), "x a b", " 1 2"},
        {"*1\r\n" SPEC_7(RW, BEGIN_INDEX("4"), FIND_RANGE("0", "1", "0")), "x a b", NULL},
        {"*1\r\n" SPEC_7(RW, BEGIN_INDEX("1"), FIND_RANGE("5", "1", "0")), "x a b", NULL},
        {"*1\r\n" SPEC_7(RW, BEGIN_INDEX("0"), FIND_RANGE("0", "1", "0")), "x a b", NULL},
        {"*1\r\n" SPEC_7(RW, BEGIN_INDEX("1"), FIND_RANGE("-1", "0", "0")), "x a b", NULL},
        {"*1\r\n" SPEC_7(RW, BEGIN_INDEX("1"), FIND_KEYNUM("0", "1", "1")), "x 2 a b", " 2 3"},
        {"*1\r\n" SPEC_7(RW, BEGIN_INDEX("1"), FIND_KEYNUM("0", "1", "2")), "x 2 a 1 b", " 2 4"},
        {"*1\r\n" SPEC_7(RW, BEGIN_INDEX("1"), FIND_KEYNUM("0", "1", "0")), "x 0 a 1 b", ""},
        {"*1\r\n" SPEC_7(RW, BEGIN_INDEX("1"), FIND_KEYNUM("1", "2", "1")), "x s 1 a b", " 3"},
        {"*1\r\n" SPEC_7(RW, BEGIN_INDEX("1"), FIND_KEYNUM("9", "1", "1")), "x 1 a", NULL},
        {"*1\r\n" SPEC_7(RW, BEGIN_INDEX("1"), FIND_KEYNUM("0", "1", "1")), "x 01 a", NULL},
        {"*1\r\n" SPEC_7(RW, BEGIN_INDEX("1"), FIND_KEYNUM("0", "1", "1")), "x 3 a b", NULL},
        {"*1\r\n" SPEC_7(RW, BEGIN_KEYWORD("STORE", "1"), FIND_RANGE("0", "1", "0")), "x a Store d",
         " 3"},
        {"*1\r\n" SPEC_7(RW, BEGIN_KEYWORD("STORE", "2"), FIND_RANGE("0", "1", "0")), "x store d",
         ""},
        {"*1\r\n" SPEC_7(RW, BEGIN_KEYWORD("STORE", "1"), FIND_RANGE("0", "1", "0")), "x a store",
         NULL},
        {"*1\r\n" SPEC_7(RW, BEGIN_KEYWORD("KEYS", "-2"), FIND_RANGE("-1", "1", "0")),
         "x a keys k l", " 3 4"},
        {"*1\r\n" SPEC_7(RW, BEGIN_KEYWORD("KEYS", "-2"), FIND_RANGE("-1", "1", "0")), "x a b keys",
         ""},
        {"*1\r\n" SPEC_7(RW, BEGIN_KEYWORD("KEYS", "-9"), FIND_RANGE("-1", "1", "0")), "x keys b",
         ""},
        {"*1\r\n" SPEC_7(RW, BEGIN_UNKNOWN, FIND_RANGE("0", "1", "0")), "x a b", NULL},
        {"*1\r\n" SPEC_7("~2\r\n+RW\r\n+incomplete\r\n", BEGIN_INDEX("1"),
                         FIND_RANGE("0", "1", "0")),
         "x a b", NULL},
        {"*1\r\n" SPEC_7("~1\r\n+not_key\r\n", BEGIN_INDEX("1"), FIND_RANGE("0", "1", "0")),
         "x a b", ""},
        {"*1\r\n" SPEC_7(RW, BEGIN_KEYWORD("KEYS", "0"), FIND_RANGE("0", "1", "0")), "x keys a",
         NULL},
        {"*1\r\n" SPEC_7(RW, BEGIN_INDEX("1"), "%2\r\n+type\r\n+new\r\n+spec\r\n%0\r\n"), "x a",
         NULL},
        /* what a newer server adds is passed over */
        {"*1\r\n%4\r\n+notes\r\n+n\r\n+flags\r\n" RW "+begin_search\r\n"
         "%3\r\n+type\r\n+index\r\n+new\r\n*1\r\n:1\r\n+spec\r\n"
         "%2\r\n+new\r\n_\r\n+index\r\n:2\r\n"
         "+find_keys\r\n" FIND_RANGE("0", "1", "0"),
         "x a b", " 2"},
        /* several: in ascending order, none twice */
        {"*2\r\n" SPEC_7(RW, BEGIN_INDEX("3"), FIND_RANGE("-1", "1", "0"))
             SPEC_7(RW, BEGIN_INDEX("1"), FIND_RANGE("0", "1", "0")),
         "x a b c d", " 1 3 4"},
        {"*2\r\n" SPEC_7(RW, BEGIN_INDEX("1"), FIND_RANGE("-1", "2", "0"))
             SPEC_7(RW, BEGIN_INDEX("1"), FIND_RANGE("-1", "3", "0")),
         "x a b c d e f g", " 1 3 4 5 7"},
        /* more than are followed */
        {"*9\r\n%0\r\n%0\r\n%0\r\n%0\r\n%0\r\n%0\r\n%0\r\n%0\r\n%0\r\n", "x a b", NULL},
        {"*1\r\n" SPEC_7(RW, BEGIN_KEYWORD("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "1"),
                         FIND_RANGE("0", "1", "0")),
         "x a b", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char reply[1024];
        snprintf(reply, sizeof(reply), "*1\r\n" ENTRY_7("x", "~1\r\n+write\r\n", "%s", "*0\r\n"),
                 cases[i].specs);
        struct sta_command_table *table = table_of(reply);
        expect_keys(table, cases[i].line, cases[i].keys);
        sta_command_table_destroy(&table);
    }
}

static void a_module_that_finds_its_keys_by_code_is_not_guessed(void **state)
{
    (void)state;
    struct sta_command_table *table = table_of("*1\r\n" ENTRY_7(
        "m.x", "~2\r\n+module\r\n+movablekeys\r\n",
        "*1\r\n" SPEC_7(RW, BEGIN_INDEX("1"), FIND_RANGE("0", "1", "0")), "*0\r\n"));
    expect_keys(table, "m.x a b", NULL);
    sta_command_table_destroy(&table);
}

static void subcommands_are_found_under_their_container(void **state)
{
    (void)state;
    struct sta_command_table *table = table_of("*2\r\n" ENTRY_7(
        "Object", "~0\r\n", "*0\r\n",
        "*1\r\n" ENTRY_7("object|FREQ", "~1\r\n+readonly\r\n",
                         "*1\r\n" SPEC_7(RW, BEGIN_INDEX("2"), FIND_RANGE("0", "1", "0")),
                         "*0\r\n")) PING_62);
    expect_keys(table, "OBJECT freq k", " 2");
    assert_string_equal(sta_command_find(table, words("object Freq k").argv, 3)->name,
                        "object|freq");
    assert_string_equal(sta_command_find(table, words("object other k").argv, 3)->name, "object");
    assert_string_equal(sta_command_find(table, words("object").argv, 1)->name, "object");
    assert_string_equal(sta_command_find(table, words("ping freq").argv, 2)->name, "ping");
    sta_command_table_destroy(&table);
}

static void what_has_no_usable_name_is_left_out(void **state)
{
    (void)state;
    char reply[512];
    snprintf(reply, sizeof(reply),
             "*5\r\n$-1\r\n*-1\r\n_\r\n*6\r\n$64\r\n%064d\r\n:1\r\n*0\r\n:0\r\n:0\r\n:0\r\n" GET_62,
             7);
    struct sta_command_table *table = table_of(reply);
    expect_keys(table, "get k", " 1");
    char name[65];
    snprintf(name, sizeof(name), "%064d", 7);
    assert_null(sta_command_find(table, words(name).argv, 1));
    sta_command_table_destroy(&table);
}

static void of_two_commands_with_one_name_the_first_counts(void **state)
{
    (void)state;
    struct sta_command_table *table = table_of(
        "*3\r\n" GET_62 ENTRY_62("3\r\nGET", "-1", "*0\r\n", ":0\r\n:0\r\n:0\r\n") PING_62);
    expect_keys(table, "get k", " 1");
    expect_keys(table, "ping", "");
    sta_command_table_destroy(&table);
}

static void what_is_no_reply_of_command_is_a_protocol_error(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "+OK\r\n",
        "-NOPERM no\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n*2\r\n+get\r\n:2\r\n",
        "*1\r\n*6\r\n+get\r\n+2\r\n*0\r\n:1\r\n:1\r\n:1\r\n",
        "*1\r\n*6\r\n:5\r\n:2\r\n*0\r\n:1\r\n:1\r\n:1\r\n",
        "*1\r\n*6\r\n+get\r\n:2147483648\r\n*0\r\n:1\r\n:1\r\n:1\r\n",
        "*1\r\n*6\r\n+get\r\n:2\r\n+flags\r\n:1\r\n:1\r\n:1\r\n",
        "*1\r\n*6\r\n+get\r\n:2\r\n*1\r\n:5\r\n:1\r\n:1\r\n:1\r\n",
        "*1\r\n" ENTRY_7("x", "~0\r\n", "*1\r\n*3\r\n+a\r\n+b\r\n+c\r\n", "*0\r\n"),
        "*1\r\n" ENTRY_7("x", "~0\r\n", "*1\r\n%1\r\n+flags\r\n:1\r\n", "*0\r\n"),
        "*1\r\n" ENTRY_7("x", "~0\r\n", "*1\r\n%1\r\n+find_keys\r\n:1\r\n", "*0\r\n"),
        "*1\r\n" ENTRY_7("x", "~0\r\n", "*0\r\n", "+none\r\n"),
        "*1\r\n" ENTRY_7("x", "~0\r\n", "*1\r\n:1\r\n", "*0\r\n"),
        "*1\r\n" ENTRY_7("x", "~0\r\n", "*1\r\n%1\r\n:1\r\n:1\r\n", "*0\r\n"),
        "*1\r\n" ENTRY_7("x", "~0\r\n", "*1\r\n%1\r\n+find_keys\r\n%1\r\n:1\r\n:1\r\n", "*0\r\n"),
        "*1\r\n" ENTRY_7("x", "~0\r\n", "*1\r\n%1\r\n+find_keys\r\n%1\r\n+type\r\n:1\r\n",
                         "*0\r\n"),
        "*1\r\n" ENTRY_7("x", "~0\r\n",
                         "*1\r\n%1\r\n+find_keys\r\n%1\r\n+spec\r\n%1\r\n:1\r\n:1\r\n", "*0\r\n"),
        "*1\r\n" ENTRY_7("x", "~0\r\n",
                         "*1\r\n%1\r\n+find_keys\r\n%1\r\n+spec\r\n%1\r\n+keyword\r\n:1\r\n",
                         "*0\r\n"),
        "*1\r\n" ENTRY_7("x", "~0\r\n", "*1\r\n%1\r\n+flags\r\n~1\r\n:1\r\n", "*0\r\n"),
        "*2\r\n" GET_62,
        "*1\r\n" GET_62 "+more\r\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct sta_command_table *table = NULL;
        assert_int_equal(sta_command_table_create(&table, strata_text(bad[i])),
                         STRATA_ERR_PROTOCOL);
        assert_null(table);
    }
}

static void running_out_of_memory_is_a_code(void **state)
{
    (void)state;
    const char *reply = "*2\r\n" GET_62 MSET_62;
    for (uint64_t n = 1;; n++) {
        struct sta_command_table *table = NULL;
        fail_alloc_at(n);
        int status = sta_command_table_create(&table, strata_text(reply));
        if (!fail_alloc_end()) {
            assert_int_equal(status, STRATA_OK);
            assert_int_equal(n, 2);
            sta_command_table_destroy(&table);
            return;
        }
        assert_int_equal(status, STRATA_ERR_NOMEM);
        assert_null(table);
    }
}

static void more_commands_than_the_ceiling_are_too_big(void **state)
{
    (void)state;
    const size_t count = 16385;
    char *reply = malloc(count * 64);
    size_t len = (size_t)sprintf(reply, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++)
        len += (size_t)sprintf(reply + len, "*6\r\n+c%zu\r\n:1\r\n*0\r\n:0\r\n:0\r\n:0\r\n", i);
    struct sta_command_table *table = NULL;
    assert_int_equal(sta_command_table_create(&table, strata_bytes(reply, len)),
                     STRATA_ERR_TOO_BIG);
    memcpy(reply, "*16384", 6);
    len = (size_t)(strstr(reply, "*6\r\n+c16384\r\n") - reply);
    assert_int_equal(sta_command_table_create(&table, strata_bytes(reply, len)), STRATA_OK);
    assert_non_null(sta_command_find(table, words("C16383").argv, 1));
    sta_command_table_destroy(&table);
    free(reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_of_redis_6_gives_ranges_and_movable_keys),
        cmocka_unit_test(each_kind_of_specification_finds_its_keys),
        cmocka_unit_test(a_module_that_finds_its_keys_by_code_is_not_guessed),
        cmocka_unit_test(subcommands_are_found_under_their_container),
        cmocka_unit_test(what_has_no_usable_name_is_left_out),
        cmocka_unit_test(of_two_commands_with_one_name_the_first_counts),
        cmocka_unit_test(what_is_no_reply_of_command_is_a_protocol_error),
        cmocka_unit_test(running_out_of_memory_is_a_code),
        cmocka_unit_test(more_commands_than_the_ceiling_are_too_big),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
