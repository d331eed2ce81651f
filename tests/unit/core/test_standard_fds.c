/* SPDX-License-Identifier: MIT
 *
 * Closed standard descriptors, in a child of the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/standard_fds.h"
#include "strata/status.h"

/* 0 where all is as it should be, else the number of what is not. */
static int with_closed(int first, int second)
{
    char byte = 0;
    (void)close(first);
    (void)close(second);
    if (sta_standard_fds_open() != STRATA_OK)
        return 1;
    if (open("/dev/null", O_RDWR) <= STDERR_FILENO)
        return 2;
    if (read(first, &byte, 1) >= 0 || errno != EBADF)
        return 3;
    if (write(second, &byte, 1) >= 0 || errno != EBADF)
        return 4;
    return 0;
}

static int in_a_child(int first, int second)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(with_closed(first, second));
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void closed_ones_are_filled_and_using_them_still_fails(void **state)
{
    (void)state;
    for (int first = 0; first <= 2; first++)
        for (int second = 0; second <= 2; second++)
            assert_int_equal(in_a_child(first, second), 0);
}

static void open_ones_are_left_alone(void **state)
{
    (void)state;
    assert_int_equal(sta_standard_fds_open(), STRATA_OK);
    int next = open("/dev/null", O_RDWR);
    assert_true(next > STDERR_FILENO);
    assert_int_equal(close(next), 0);
    assert_int_equal(sta_standard_fds_open(), STRATA_OK);
    assert_int_equal(open("/dev/null", O_RDWR), next);
    assert_int_equal(close(next), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_ones_are_filled_and_using_them_still_fails),
        cmocka_unit_test(open_ones_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
