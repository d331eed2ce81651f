/* SPDX-License-Identifier: MIT
 *
 * Which nodes of a cluster a command goes to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/slot_plan.h"
#include "l2/operation.h"
#include "l2/slot.h"
#include "unit/daemon/words.h"

/* A server that knows some commands with keys, and some without. */
static const char commands_reply[] =
    "*6\r\n"
    "*6\r\n$4\r\nhset\r\n:-4\r\n*1\r\n+write\r\n:1\r\n:1\r\n:1\r\n"
    "*6\r\n$6\r\nrename\r\n:3\r\n*1\r\n+write\r\n:1\r\n:2\r\n:1\r\n"
    "*6\r\n$6\r\ndbsize\r\n:1\r\n*1\r\n+readonly\r\n:0\r\n:0\r\n:0\r\n"
    "*6\r\n$6\r\nconfig\r\n:-2\r\n*1\r\n+admin\r\n:0\r\n:0\r\n:0\r\n"
    "*6\r\n$4\r\ntime\r\n:1\r\n*1\r\n+fast\r\n:0\r\n:0\r\n:0\r\n"
    "*6\r\n$5\r\nxread\r\n:-4\r\n*2\r\n+readonly\r\n+movablekeys\r\n:0\r\n:0\r\n:0\r\n";

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

static struct sta_slot_plan plan_by(const struct sta_command_table *table, const char *line)
{
    struct words words = words_of(line);
    struct sta_route route = sta_dispatch(table, 2, words.argv, words.argc);
    return sta_slot_plan_make(&route, words.argv, words.argc);
}

static struct sta_slot_plan plan_of(void **state, const char *line)
{
    return plan_by(*state, line);
}

static void assert_one(void **state, const char *line, const char *key)
{
    struct sta_slot_plan plan = plan_of(state, line);
    assert_int_equal(plan.kind, STA_SLOT_PLAN_ONE);
    assert_int_equal(plan.slot, sta_slot_of(strata_text(key)));
    assert_false(plan.keys_unknown);
}

static void assert_plan(void **state, const char *line, enum sta_slot_plan_kind kind,
                        enum sta_slot_plan_merge merge)
{
    struct sta_slot_plan plan = plan_of(state, line);
    assert_int_equal(plan.kind, kind);
    assert_int_equal(plan.merge, merge);
    if (kind != STA_SLOT_PLAN_ONE)
        assert_int_equal(plan.slot, STA_OPERATION_ANY_NODE);
}

static void the_tables_are_sorted(void **state)
{
    (void)state;
    assert_true(sta_slot_plan_valid());
}

static void assert_inside(void **state, const char *line, enum sta_slot_plan_kind kind,
                          size_t first)
{
    struct words words = words_of(line);
    struct sta_route route = sta_dispatch(*state, 2, words.argv, words.argc);
    size_t at = 0;
    struct sta_slot_plan plan = sta_slot_plan_inside(&route, words.argv, words.argc, &at);
    assert_int_equal(plan.kind, kind);
    if (kind != STA_SLOT_PLAN_ONE)
        return;
    assert_int_equal(at, first);
    assert_int_equal(plan.slot, sta_slot_of(words.argv[first]));
}

/* What would be split outside stays whole there, or is refused. */
static void inside_a_transaction_all_is_of_one_slot(void **state)
{
    assert_inside(state, "GET a", STA_SLOT_PLAN_ONE, 1);
    assert_inside(state, "DEL {a}b {a}c", STA_SLOT_PLAN_ONE, 1);
    assert_inside(state, "MSET {a}b 1 {a}c 2", STA_SLOT_PLAN_ONE, 1);
    assert_inside(state, "SPUBLISH channel hello", STA_SLOT_PLAN_ONE, 1);
    assert_inside(state, "DEL a b", STA_SLOT_PLAN_CROSS, 0);
    assert_inside(state, "RENAME a b", STA_SLOT_PLAN_CROSS, 0);
    assert_inside(state, "TIME", STA_SLOT_PLAN_ANY, 0);
    assert_inside(state, "DBSIZE", STA_SLOT_PLAN_ALL, 0);
    assert_inside(state, "CONFIG GET x", STA_SLOT_PLAN_ALONE, 0);
}

static void keys_of_one_slot_go_to_its_owner(void **state)
{
    assert_one(state, "GET a", "a");
    assert_one(state, "set k v", "k");
    assert_one(state, "MGET {a}1", "a");
    assert_one(state, "DEL a", "a");
    assert_one(state, "MSETNX {a}1 1 {a}2 2", "a");
    assert_one(state, "HSET h f v", "h");
    assert_one(state, "RENAME {a}b a", "a");
    assert_one(state, "SPUBLISH channel message", "channel");
}

static void what_is_a_matter_of_each_key_is_split(void **state)
{
    assert_plan(state, "MGET a b", STA_SLOT_PLAN_SPLIT, STA_SLOT_PLAN_BY_KEY);
    assert_plan(state, "mset a 1 b 2", STA_SLOT_PLAN_SPLIT, STA_SLOT_PLAN_FIRST);
    assert_plan(state, "DEL a b", STA_SLOT_PLAN_SPLIT, STA_SLOT_PLAN_SUM);
    assert_plan(state, "UNLINK a b", STA_SLOT_PLAN_SPLIT, STA_SLOT_PLAN_SUM);
    assert_plan(state, "EXISTS a b", STA_SLOT_PLAN_SPLIT, STA_SLOT_PLAN_SUM);
    assert_plan(state, "TOUCH a b", STA_SLOT_PLAN_SPLIT, STA_SLOT_PLAN_SUM);
    assert_plan(state, "MGET {a}1 {a}2", STA_SLOT_PLAN_SPLIT, STA_SLOT_PLAN_BY_KEY);
    assert_plan(state, "MSET {a}1 1 {a}2 2", STA_SLOT_PLAN_SPLIT, STA_SLOT_PLAN_FIRST);
    assert_plan(state, "DEL a a a", STA_SLOT_PLAN_SPLIT, STA_SLOT_PLAN_SUM);
}

static void what_is_not_is_crossed(void **state)
{
    assert_plan(state, "RENAME a b", STA_SLOT_PLAN_CROSS, STA_SLOT_PLAN_FIRST);
    assert_plan(state, "MSETNX a 1 b 2", STA_SLOT_PLAN_CROSS, STA_SLOT_PLAN_FIRST);
}

static void without_keys_it_depends_on_what_it_concerns(void **state)
{
    assert_plan(state, "TIME", STA_SLOT_PLAN_ANY, STA_SLOT_PLAN_FIRST);
    assert_plan(state, "DBSIZE", STA_SLOT_PLAN_ALL, STA_SLOT_PLAN_SUM);
    assert_plan(state, "FLUSHALL", STA_SLOT_PLAN_ALL, STA_SLOT_PLAN_FIRST);
    assert_plan(state, "KEYS *", STA_SLOT_PLAN_ALL, STA_SLOT_PLAN_CONCAT);
    assert_plan(state, "SCRIPT EXISTS x", STA_SLOT_PLAN_ALL, STA_SLOT_PLAN_EVERY);
    assert_plan(state, "SCAN 0", STA_SLOT_PLAN_SCAN, STA_SLOT_PLAN_FIRST);
    assert_plan(state, "CONFIG GET x", STA_SLOT_PLAN_ALONE, STA_SLOT_PLAN_FIRST);
    assert_plan(state, "SWAPDB 0 1", STA_SLOT_PLAN_ALONE, STA_SLOT_PLAN_FIRST);
    assert_true(plan_of(state, "DBSIZE").keys_unknown);
    assert_true(plan_of(state, "TIME").keys_unknown);
}

static void what_nobody_knows_is_left_to_any_node(void **state)
{
    struct sta_slot_plan plan = plan_of(state, "NOSUCH a b");
    assert_int_equal(plan.kind, STA_SLOT_PLAN_ANY);
    assert_true(plan.keys_unknown);
    assert_plan(state, "GET", STA_SLOT_PLAN_ANY, STA_SLOT_PLAN_FIRST);
    assert_plan(state, "MSET a 1 b", STA_SLOT_PLAN_ANY, STA_SLOT_PLAN_FIRST);
    assert_plan(state, "XREAD STREAMS s 0", STA_SLOT_PLAN_ANY, STA_SLOT_PLAN_FIRST);
}

static void names_hold_without_the_servers_word(void **state)
{
    (void)state;
    assert_int_equal(plan_by(NULL, "DBSIZE").kind, STA_SLOT_PLAN_ALL);
    assert_int_equal(plan_by(NULL, "FLUSHDB").kind, STA_SLOT_PLAN_ALL);
    assert_int_equal(plan_by(NULL, "SWAPDB 0 1").kind, STA_SLOT_PLAN_ALONE);
    assert_int_equal(plan_by(NULL, "GET a").kind, STA_SLOT_PLAN_ONE);
    assert_int_equal(plan_by(NULL, "HSET h f v").kind, STA_SLOT_PLAN_ANY); /* Redis says MOVED */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tables_are_sorted),
        cmocka_unit_test(keys_of_one_slot_go_to_its_owner),
        cmocka_unit_test(inside_a_transaction_all_is_of_one_slot),
        cmocka_unit_test(what_is_a_matter_of_each_key_is_split),
        cmocka_unit_test(what_is_not_is_crossed),
        cmocka_unit_test(without_keys_it_depends_on_what_it_concerns),
        cmocka_unit_test(what_nobody_knows_is_left_to_any_node),
        cmocka_unit_test(names_hold_without_the_servers_word),
    };
    return cmocka_run_group_tests(tests, make_table, drop_table);
}
