/* SPDX-License-Identifier: MIT
 *
 * The private Redis of the tests keeps its promises, so that other tests may trust them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/child.h"
#include "support/redis_server.h"
#include "support/wait.h"

static int start(void **state)
{
    return redis_server_start((struct redis_server **)state, NULL);
}

static int stop(void **state)
{
    redis_server_stop((struct redis_server **)state);
    return 0;
}

static void assert_answers(redisContext *redis, const char *expected)
{
    assert_non_null(redis);
    redisReply *reply = redisCommand(redis, "PING");
    if (expected == NULL) {
        assert_null(reply);
    } else {
        assert_non_null(reply);
        assert_memory_equal(reply->str, expected, strlen(expected));
    }
    freeReplyObject(reply);
    redisFree(redis);
}

static void answers_on_its_port_and_on_its_socket(void **state)
{
    struct redis_server *server = *state;
    assert_answers(redisConnect("127.0.0.1", redis_server_port(server)), "PONG");
    assert_answers(redisConnectUnix(redis_server_socket(server)), "PONG");
}

static void two_servers_do_not_share_anything(void **state)
{
    struct redis_server *one = *state;
    struct redis_server *two = NULL;
    assert_int_equal(redis_server_start(&two, NULL), 0);
    assert_int_not_equal(redis_server_port(one), redis_server_port(two));
    assert_string_not_equal(redis_server_socket(one), redis_server_socket(two));
    redis_server_stop(&two);
    assert_null(two);
}

static void passes_extra_arguments_on(void **state)
{
    (void)state;
    const char *const args[] = {"--requirepass", "secret", NULL};
    struct redis_server *server = NULL;
    assert_int_equal(redis_server_start(&server, args), 0);
    assert_answers(redisConnectUnix(redis_server_socket(server)), "NOAUTH");
    redis_server_stop(&server);
}

static void a_wrong_argument_is_a_failure_not_a_hang(void **state)
{
    (void)state;
    const char *const args[] = {"--no-such-option", "1", NULL};
    struct redis_server *server = NULL;
    assert_int_equal(redis_server_start(&server, args), -1);
    assert_null(server);
}

static void restarts_empty_on_the_same_port_after_a_crash(void **state)
{
    struct redis_server *server = *state;
    int port = redis_server_port(server);
    redis_server_kill9(server);
    assert_int_equal(redis_server_pid(server), 0);
    redisContext *refused = redisConnect("127.0.0.1", port);
    assert_int_not_equal(refused->err, 0);
    redisFree(refused);
    assert_int_equal(redis_server_restart(server), 0);
    assert_int_equal(redis_server_port(server), port);
    assert_answers(redisConnect("127.0.0.1", port), "PONG");
}

static void does_not_restart_on_a_port_that_is_taken(void **state)
{
    struct redis_server *server = *state;
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)redis_server_port(server)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    redis_server_kill9(server);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(redis_server_restart(server), -1);
    (void)close(fd);
    assert_int_equal(redis_server_restart(server), 0);
}

static void is_silent_while_frozen_and_goes_on_when_thawed(void **state)
{
    struct redis_server *server = *state;
    const struct timeval patience = {.tv_usec = 100000};
    redis_server_freeze(server);
    redisContext *redis = redisConnectUnix(redis_server_socket(server));
    assert_non_null(redis);
    (void)redisSetTimeout(redis, patience);
    assert_answers(redis, NULL);
    redis_server_thaw(server);
    assert_answers(redisConnectUnix(redis_server_socket(server)), "PONG");
}

static void leaves_no_folder_behind(void **state)
{
    (void)state;
    struct redis_server *server = NULL;
    assert_int_equal(redis_server_start(&server, NULL), 0);
    char *socket = strdup(redis_server_socket(server));
    *strrchr(socket, '/') = '\0';
    assert_int_equal(access(socket, F_OK), 0);
    redis_server_stop(&server);
    assert_int_equal(access(socket, F_OK), -1);
    free(socket);
}

static bool is_gone(void *arg)
{
    return kill(*(pid_t *)arg, 0) == -1 && errno == ESRCH;
}

/* The grandchild is waited for by whoever inherits it; where that is a process that does not
 * reap, it stays as a zombie, which is as dead as we need it. */
static bool is_gone_or_zombie(void *arg)
{
    char path[64];
    char state = '?';
    (void)snprintf(path, sizeof path, "/proc/%d/stat", *(pid_t *)arg);
    FILE *stat = fopen(path, "r");
    if (stat == NULL)
        return is_gone(arg);
    if (fscanf(stat, "%*d %*s %c", &state) != 1)
        state = '?';
    (void)fclose(stat);
    return state == 'Z' || state == 'X';
}

static void dies_with_a_test_that_crashes(void **state)
{
    (void)state;
    int pipe_fds[2];
    pid_t server_pid = 0;
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t test = fork();
    if (test == 0) {
        struct child child;
        const char *const argv[] = {"sleep", "600", NULL};
        if (child_start(&child, argv, "/dev/null") == 0 &&
            write(pipe_fds[1], &child.pid, sizeof child.pid) > 0)
            (void)raise(SIGKILL);
        _exit(1);
    }
    assert_int_equal(waitpid(test, NULL, 0), test);
    assert_int_equal(read(pipe_fds[0], &server_pid, sizeof server_pid), sizeof server_pid);
    assert_true(wait_until(is_gone_or_zombie, &server_pid, 10000));
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
}

static void a_missing_program_is_said_so(void **state)
{
    (void)state;
    struct child child;
    const char *const argv[] = {"strata-no-such-program", NULL};
    assert_int_equal(child_start(&child, argv, "/dev/null"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_on_its_port_and_on_its_socket, start, stop),
        cmocka_unit_test_setup_teardown(two_servers_do_not_share_anything, start, stop),
        cmocka_unit_test(passes_extra_arguments_on),
        cmocka_unit_test(a_wrong_argument_is_a_failure_not_a_hang),
        cmocka_unit_test_setup_teardown(restarts_empty_on_the_same_port_after_a_crash, start, stop),
        cmocka_unit_test_setup_teardown(does_not_restart_on_a_port_that_is_taken, start, stop),
        cmocka_unit_test_setup_teardown(is_silent_while_frozen_and_goes_on_when_thawed, start,
                                        stop),
        cmocka_unit_test(leaves_no_folder_behind),
        cmocka_unit_test(dies_with_a_test_that_crashes),
        cmocka_unit_test(a_missing_program_is_said_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
