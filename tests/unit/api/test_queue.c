/* SPDX-License-Identifier: MIT
 *
 * The completion queue: order, the file descriptor, and what a callback may add meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>

#include "api/queue.h"

struct entry {
    struct sta_completed completed;
    int number;
    struct strata_queue *again; /* pushed once more when it runs */
};

static int ran[16];
static int ran_count;

static void note(struct sta_completed *completed)
{
    struct entry *entry = STA_CONTAINER(completed, struct entry, completed);
    ran[ran_count++] = entry->number;
    struct strata_queue *again = entry->again;
    entry->again = NULL;
    if (again != NULL)
        sta_queue_push(again, &entry->completed);
}

static int open_queue(void **state)
{
    ran_count = 0;
    return strata_queue_open((struct strata_queue **)state);
}

static int close_queue(void **state)
{
    struct strata_queue *queue = *state;
    strata_queue_close(&queue);
    return queue != NULL;
}

static bool readable(struct strata_queue *queue)
{
    struct pollfd ready = {.fd = strata_queue_fd(queue), .events = POLLIN};
    return poll(&ready, 1, 0) == 1;
}

static void entries_run_in_the_order_of_pushing_and_the_descriptor_follows(void **state)
{
    struct strata_queue *queue = *state;
    struct entry entries[3];
    assert_false(readable(queue));
    for (int i = 0; i < 3; i++) {
        entries[i] = (struct entry){.completed.run = note, .number = i};
        sta_queue_push(queue, &entries[i].completed);
    }
    assert_true(readable(queue));
    assert_int_equal(strata_queue_dispatch(queue, 2), 2);
    assert_true(readable(queue));
    assert_int_equal(strata_queue_dispatch(queue, 0), 1);
    assert_false(readable(queue));
    assert_int_equal(strata_queue_dispatch(queue, 0), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ran[i], i);
}

static void what_a_callback_adds_waits_for_the_next_dispatch(void **state)
{
    struct strata_queue *queue = *state;
    struct entry entry = {.completed.run = note, .number = 7, .again = queue};
    sta_queue_push(queue, &entry.completed);
    assert_int_equal(strata_queue_dispatch(queue, 0), 1);
    assert_true(readable(queue));
    assert_int_equal(strata_queue_dispatch(queue, 0), 1);
    assert_int_equal(ran_count, 2);
}

static void closing_dispatches_what_still_waits(void **state)
{
    struct strata_queue *queue = *state;
    static struct entry entry;
    entry = (struct entry){.completed.run = note, .number = 1, .again = queue};
    sta_queue_push(queue, &entry.completed);
    strata_queue_close(&queue);
    assert_int_equal(ran_count, 2);
    *state = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            entries_run_in_the_order_of_pushing_and_the_descriptor_follows, open_queue,
            close_queue),
        cmocka_unit_test_setup_teardown(what_a_callback_adds_waits_for_the_next_dispatch,
                                        open_queue, close_queue),
        cmocka_unit_test_setup_teardown(closing_dispatches_what_still_waits, open_queue,
                                        close_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
