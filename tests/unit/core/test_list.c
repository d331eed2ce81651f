/* SPDX-License-Identifier: MIT
 *
 * The intrusive list.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/list.h"

struct item {
    int number;
    struct sta_list link;
};

static int pop(struct sta_list *list)
{
    struct sta_list *node = sta_list_pop_front(list);
    return node == NULL ? -1 : STA_CONTAINER(node, struct item, link)->number;
}

static void nodes_come_out_in_the_order_of_the_list(void **state)
{
    (void)state;
    struct sta_list list;
    struct item items[] = {{.number = 0}, {.number = 1}, {.number = 2}};
    sta_list_init(&list);
    assert_true(sta_list_empty(&list));
    sta_list_push_back(&list, &items[1].link);
    sta_list_push_back(&list, &items[2].link);
    sta_list_push_front(&list, &items[0].link);
    assert_false(sta_list_empty(&list));
    for (int i = 0; i < 3; i++)
        assert_int_equal(pop(&list), i);
    assert_int_equal(pop(&list), -1);
}

static void a_node_may_be_removed_twice(void **state)
{
    (void)state;
    struct sta_list list;
    struct item items[] = {{.number = 0}, {.number = 1}, {.number = 2}};
    sta_list_init(&list);
    for (int i = 0; i < 3; i++)
        sta_list_push_back(&list, &items[i].link);
    sta_list_remove(&items[1].link);
    sta_list_remove(&items[1].link);
    assert_int_equal(pop(&list), 0);
    assert_int_equal(pop(&list), 2);
    assert_true(sta_list_empty(&list));
}

static void splicing_moves_everything_to_the_end(void **state)
{
    (void)state;
    struct sta_list to, from;
    struct item items[] = {{.number = 0}, {.number = 1}, {.number = 2}};
    sta_list_init(&to);
    sta_list_init(&from);
    sta_list_splice_back(&to, &from);
    assert_true(sta_list_empty(&to));
    sta_list_push_back(&to, &items[0].link);
    sta_list_push_back(&from, &items[1].link);
    sta_list_push_back(&from, &items[2].link);
    sta_list_splice_back(&to, &from);
    assert_true(sta_list_empty(&from));
    for (int i = 0; i < 3; i++)
        assert_int_equal(pop(&to), i);
    assert_int_equal(pop(&to), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_come_out_in_the_order_of_the_list),
        cmocka_unit_test(a_node_may_be_removed_twice),
        cmocka_unit_test(splicing_moves_everything_to_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
