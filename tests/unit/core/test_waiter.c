/* SPDX-License-Identifier: MIT
 *
 * The waiter: an announcement is never missed, whichever side comes first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "core/waiter.h"

struct call {
    struct sta_waiter waiter;
    int answer; /* written before the signal, read after the wait */
};

static void *answer(void *arg)
{
    struct call *call = arg;
    call->answer = 42;
    sta_waiter_signal(&call->waiter);
    return NULL;
}

static void what_was_announced_before_is_not_waited_for(void **state)
{
    (void)state;
    struct call call = {0};
    sta_waiter_init(&call.waiter);
    (void)answer(&call);
    sta_waiter_wait(&call.waiter);
    assert_int_equal(call.answer, 42);
    sta_waiter_fini(&call.waiter);
}

/* The call lives on the stack, as synchronous calls have it, and dies right after the wait. */
static void the_waiting_thread_may_leave_as_soon_as_it_is_told(void **state)
{
    (void)state;
    for (int i = 0; i < 500; i++) {
        struct call call = {0};
        pthread_t thread;
        sta_waiter_init(&call.waiter);
        assert_int_equal(pthread_create(&thread, NULL, answer, &call), 0);
        sta_waiter_wait(&call.waiter);
        assert_int_equal(call.answer, 42);
        sta_waiter_fini(&call.waiter);
        assert_int_equal(pthread_detach(thread), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_announced_before_is_not_waited_for),
        cmocka_unit_test(the_waiting_thread_may_leave_as_soon_as_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
