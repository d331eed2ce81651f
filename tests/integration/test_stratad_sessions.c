/* SPDX-License-Identifier: MIT
 *
 * stratad as its clients meet it: limits, the protocol at its edges, clients that do not read or
 * leave in the middle, a thousand of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "integration/stratad_rig.h"
#include "support/wait.h"

/* ---- limits ---- */

static void clients_beyond_the_limit_of_open_files_are_not_promised(void **state)
{
    (void)state;
    const char *const args[] = {"--clients-max", "1000000", NULL};
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit low = {.rlim_cur = 300, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    struct stratad_process *stratad = rig_start(args);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit raised;
    assert_int_equal(prlimit(stratad_process_pid(stratad), RLIMIT_NOFILE, NULL, &raised), 0);
    assert_true(raised.rlim_cur > 300 || before.rlim_max <= 300);
    assert_int_equal(stratad_process_said(stratad, "the limit of open files has room for"),
                     raised.rlim_cur < 1000064);
    stratad_process_stop(&stratad);
}

static void more_clients_than_the_limit_are_told_and_closed(void **state)
{
    (void)state;
    const char *const args[] = {"--clients-max", "2", NULL};
    struct stratad_process *stratad = rig_start(args);
    redisContext *one = rig_client(stratad);
    redisContext *two = rig_client(stratad);
    ASSERT_SAYS(one, "PONG", "PING");
    ASSERT_SAYS(two, "PONG", "PING");
    redisContext *three = rig_client(stratad);
    void *reply = NULL;
    assert_int_equal(redisGetReply(three, &reply), REDIS_OK);
    rig_assert_says(reply, "ERR max number of clients reached");
    redisFree(three);
    ASSERT_SAYS(one, "PONG", "PING");
    redisFree(one);
    redisFree(two);
    stratad_process_stop(&stratad);
}

static void a_request_beyond_the_limit_is_refused_before_it_is_held(void **state)
{
    (void)state;
    const char *const args[] = {"--query-limit", "1MiB", NULL};
    struct stratad_process *stratad = rig_start(args);
    redisContext *client = rig_client(stratad);
    size_t len = (size_t)900 << 10;
    char *value = calloc(1, 2 * len);
    assert_non_null(value);
    ASSERT_SAYS(client, "OK", "SET large %b", value, len);
    redisReply *reply = redisCommand(client, "SET large %b", value, 2 * len);
    if (reply != NULL) /* else the connection was closed while we wrote, which is as good */
        rig_assert_says(reply, "ERR Protocol error");
    redisFree(client);
    free(value);
    stratad_process_stop(&stratad);
}

static void a_client_that_only_stops_sending_gets_all_its_replies(void **state)
{
    (void)state;
    static const char requests[] = "SET half 1\r\nINCR half\r\nHSET halves f v\r\nGET half\r\n"
                                   "DBSIZE\r\nPING\r\n";
    struct stratad_process *stratad = rig_start(NULL);
    redisContext *direct = rig_connect(redis_server_socket(rig_server));
    freeReplyObject(redisCommand(direct, "FLUSHALL"));
    redisFree(direct);
    int fd = rig_socket(stratad);
    rig_send(fd, requests, sizeof requests - 1);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    size_t len;
    char *replies = rig_read_to_end(fd, &len);
    assert_string_equal(replies, "+OK\r\n:2\r\n:1\r\n$1\r\n2\r\n:2\r\n+PONG\r\n");
    free(replies);
    (void)close(fd);
    stratad_process_stop(&stratad);
}

static void quit_answers_what_came_before_it(void **state)
{
    (void)state;
    static const char requests[] = "SET q 1\r\nINCR q\r\nQUIT\r\nINCR q\r\nINCR q\r\n";
    struct stratad_process *stratad = rig_start(NULL);
    int fd = rig_socket(stratad);
    rig_send(fd, requests, sizeof requests - 1);
    size_t len;
    char *replies = rig_read_to_end(fd, &len);
    assert_string_equal(replies, "+OK\r\n:2\r\n+OK\r\n");
    free(replies);
    (void)close(fd);
    stratad_process_stop(&stratad);
}

static void who_goes_on_talking_after_quit_still_gets_the_reply(void **state)
{
    (void)state;
    struct stratad_process *stratad = rig_start(NULL);
    int fd = rig_socket(stratad);
    const size_t len = (size_t)8 << 20;
    char *request = malloc(len);
    assert_non_null(request);
    memset(request, 'x', len);
    memcpy(request, "QUIT\r\n", 6);
    rig_send(fd, request, len); /* a reset would end this early */
    char *replies = rig_read_to_end(fd, &(size_t){0});
    assert_string_equal(replies, "+OK\r\n");
    free(replies);
    free(request);
    (void)close(fd);
    stratad_process_stop(&stratad);
}

static void hello_changes_the_protocol_of_what_comes_after_it(void **state)
{
    (void)state;
    static const char requests[] = "GET none\r\nHELLO 3\r\nGET none\r\nHELLO 2\r\nGET none\r\n"
                                   "QUIT\r\n";
    struct stratad_process *stratad = rig_start(NULL);
    int fd = rig_socket(stratad);
    rig_send(fd, requests, sizeof requests - 1);
    char *replies = rig_read_to_end(fd, &(size_t){0});
    assert_memory_equal(replies, "$-1\r\n%7\r\n", 9);
    const char *in_resp3 = strstr(replies, "_\r\n*14\r\n");
    assert_non_null(in_resp3);
    const char *in_resp2 = strstr(in_resp3, "$-1\r\n+OK\r\n");
    assert_non_null(in_resp2);
    assert_null(strstr(in_resp2, "_"));
    free(replies);
    (void)close(fd);
    stratad_process_stop(&stratad);
}

static void http_is_answered_with_an_error_and_closed(void **state)
{
    (void)state;
    static const char request[] = "POST / HTTP/1.1\r\nHost: x\r\n\r\nSET pwned 1\r\n";
    struct stratad_process *stratad = rig_start(NULL);
    int fd = rig_socket(stratad);
    rig_send(fd, request, sizeof request - 1);
    size_t len;
    char *replies = rig_read_to_end(fd, &len);
    assert_memory_equal(replies, "-ERR strata:", 12);
    assert_null(strstr(replies, "+OK"));
    free(replies);
    (void)close(fd);
    stratad_process_stop(&stratad);
}

/* ---- clients that behave badly ---- */

static long memory_kib(pid_t pid)
{
    char path[64], line[256];
    long kib = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "VmRSS: %ld", &kib) == 1)
            break;
    (void)fclose(file);
    return kib;
}

/* Writes requests until neither side takes any more. */
static size_t stuff(int fd, const char *request, size_t len)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    size_t sent = 0;
    while (poll(&poll_fd, 1, 1000) == 1 && sent < (size_t)64 << 20) {
        ssize_t count =
            send(fd, request + sent % len, len - sent % len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count > 0)
            sent += (size_t)count;
    }
    return sent;
}

static void who_does_not_read_is_not_read_from(void **state)
{
    (void)state;
    static char request[4096]; /* mostly blanks, so that few of them fill the sockets */
    memset(request, ' ', sizeof request);
    memcpy(request, "GET fat", 7);
    memcpy(request + sizeof request - 2, "\r\n", 2);
    struct stratad_process *stratad = rig_start(NULL);
    redisContext *client = rig_client(stratad);
    const size_t len = (size_t)100 << 10;
    char *value = calloc(1, len);
    assert_non_null(value);
    ASSERT_SAYS(client, "OK", "SET fat %b", value, len);
    freeReplyObject(redisCommand(client, "GET fat")); /* L1 has it */
    long before = memory_kib(stratad_process_pid(stratad));

    int fd = rig_socket(stratad);
    size_t sent = stuff(fd, request, sizeof request);
    assert_true(sent < (size_t)64 << 20);
    ASSERT_SAYS(client, "PONG", "PING"); /* others are served */
    assert_true(memory_kib(stratad_process_pid(stratad)) - before < 64 * 1024);

    /* It comes back: what it is owed is all there. */
    size_t owed = sent / sizeof request * (len + strlen("$102400\r\n\r\n"));
    for (size_t got = 0; got < owed;) {
        static char sink[1 << 16];
        ssize_t count = recv(fd, sink, sizeof sink, 0);
        assert_true(count > 0);
        got += (size_t)count;
    }
    (void)close(fd);
    free(value);
    redisFree(client);
    stratad_process_stop(&stratad);
}

static json_int_t open_sessions(redisContext *client)
{
    redisReply *reply = redisCommand(client, "STRATA STATS");
    assert_non_null(reply);
    json_t *root = json_loadb(reply->str, reply->len, 0, NULL);
    json_int_t open =
        json_integer_value(json_object_get(json_object_get(root, "sessions"), "open"));
    json_decref(root);
    freeReplyObject(reply);
    return open;
}

static bool is_alone(void *arg)
{
    return open_sessions(arg) == 1;
}

static void clients_may_leave_in_the_middle_of_a_pipeline(void **state)
{
    (void)state;
    struct stratad_process *stratad = rig_start(NULL);
    redisContext *client = rig_client(stratad);
    char requests[2048] = "";
    for (unsigned i = 0; i < 20; i++)
        strcat(requests,
               "SET leave 1\r\nGET leave\r\nGET none\r\nHSET leaves f v\r\nINCR leave\r\n");
    for (size_t i = 0; i < 300; i++) {
        int fd = rig_socket(stratad);
        rig_send(fd, requests, 1 + i * 7 % strlen(requests));
        (void)close(fd);
    }
    assert_true(wait_until(is_alone, client, 20000));
    ASSERT_SAYS(client, "OK", "SET leave 1");
    ASSERT_SAYS(client, "1", "GET leave");
    redisFree(client);
    stratad_process_stop(&stratad);
}

static void a_thousand_clients_are_served(void **state)
{
    (void)state;
    enum { CLIENTS = 1000 };
    struct stratad_process *stratad = rig_start(NULL);
    static redisContext *clients[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = rig_client(stratad);
        (void)redisAppendCommand(clients[i], "SET many:%u %u", i, i);
        (void)redisAppendCommand(clients[i], "GET many:%u", i);
        int done = 0;
        while (!done)
            assert_int_equal(redisBufferWrite(clients[i], &done), REDIS_OK);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        char expected[16];
        void *reply = NULL;
        (void)snprintf(expected, sizeof expected, "%u", i);
        assert_int_equal(redisGetReply(clients[i], &reply), REDIS_OK);
        rig_assert_says(reply, "OK");
        assert_int_equal(redisGetReply(clients[i], &reply), REDIS_OK);
        rig_assert_says(reply, expected);
    }
    assert_int_equal(open_sessions(clients[0]), CLIENTS);
    for (unsigned i = 0; i < CLIENTS; i++)
        redisFree(clients[i]);
    stratad_process_stop(&stratad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_beyond_the_limit_of_open_files_are_not_promised),
        cmocka_unit_test(more_clients_than_the_limit_are_told_and_closed),
        cmocka_unit_test(a_request_beyond_the_limit_is_refused_before_it_is_held),
        cmocka_unit_test(a_client_that_only_stops_sending_gets_all_its_replies),
        cmocka_unit_test(quit_answers_what_came_before_it),
        cmocka_unit_test(who_goes_on_talking_after_quit_still_gets_the_reply),
        cmocka_unit_test(hello_changes_the_protocol_of_what_comes_after_it),
        cmocka_unit_test(http_is_answered_with_an_error_and_closed),
        cmocka_unit_test(who_does_not_read_is_not_read_from),
        cmocka_unit_test(clients_may_leave_in_the_middle_of_a_pipeline),
        cmocka_unit_test(a_thousand_clients_are_served),
    };
    return cmocka_run_group_tests(tests, rig_start_server, rig_stop_server);
}
