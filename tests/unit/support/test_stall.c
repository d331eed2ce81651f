/* SPDX-License-Identifier: MIT
 *
 * support/stall.h: a child counts its time while it is stopped and goes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/stall.h"

#define MS UINT64_C(1000000)

static void sleep_ms(long ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

/* What was found is the child's answer, in two bits. */
static int child(int ready)
{
    struct stall_mark start = stall_mark();
    (void)!write(ready, "r", 1);
    sleep_ms(300);
    uint64_t took_ns = stall_took_ns(start);
    return (stall_lost_ns(start) >= 400 * MS) + 2 * (took_ns < 600 * MS);
}

/* The child sleeps 0.3 s and is stopped for a second meanwhile: less than half is its own. */
static void what_a_stopped_process_loses_is_not_its_own_time(void **state)
{
    (void)state;
    int ready[2];
    char byte;
    int status = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(child(ready[1]));
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    sleep_ms(1000);
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 3);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

/* A thread that only sleeps, or works, loses nothing to a stall that is none. */
static void time_that_nobody_took_is_counted(void **state)
{
    (void)state;
    struct stall_mark start = stall_mark();
    sleep_ms(50);
    assert_true(stall_took_ns(start) + stall_lost_ns(start) >= 50 * MS);
    stall_assert_took_ms(start, 50, 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_stopped_process_loses_is_not_its_own_time),
        cmocka_unit_test(time_that_nobody_took_is_counted),
    };
    return cmocka_run_group_tests_name("stall", tests, NULL, NULL);
}
