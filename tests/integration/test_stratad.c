/* SPDX-License-Identifier: MIT
 *
 * stratad as its operators and clients meet it: start and end, who is let in, limits, clients
 * that behave badly, many clients, draining.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/child.h"
#include "support/redis_server.h"
#include "support/stratad_process.h"
#include "support/wait.h"

static struct redis_server *server;

static int start_server(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN); /* hiredis writes to whoever has closed */
    return redis_server_start(&server, NULL);
}

static int stop_server(void **state)
{
    (void)state;
    redis_server_stop(&server);
    return 0;
}

static struct stratad_process *start(const char *const *args)
{
    struct stratad_process *stratad = NULL;
    assert_int_equal(stratad_process_start(&stratad, redis_server_url(server), args), 0);
    return stratad;
}

static redisContext *connect_to(const char *path)
{
    const struct timeval patience = {.tv_sec = 20};
    redisContext *context = redisConnectUnix(path);
    assert_non_null(context);
    assert_int_equal(context->err, 0);
    assert_int_equal(redisSetTimeout(context, patience), REDIS_OK);
    return context;
}

static redisContext *client_of(const struct stratad_process *stratad)
{
    return connect_to(stratad_process_socket(stratad));
}

/* The reply's text begins with `expected`. */
static void assert_says(redisReply *reply, const char *expected)
{
    assert_non_null(reply);
    assert_non_null(reply->str);
    if (strncmp(reply->str, expected, strlen(expected)) != 0)
        fail_msg("\"%s\", not \"%s\"", reply->str, expected);
    freeReplyObject(reply);
}

#define ASSERT_SAYS(context, expected, ...)                                                        \
    assert_says(redisCommand(context, __VA_ARGS__), expected)

/* ---- start ---- */

static void help_and_version_are_printed(void **state)
{
    (void)state;
    char text[32768];
    const char *const help[] = {"--help", NULL};
    const char *const version[] = {"--version", NULL};
    assert_int_equal(stratad_process_run(help, text, sizeof text), 0);
    assert_non_null(strstr(text, "--listen"));
    assert_non_null(strstr(text, "--l1-max-bytes"));
    assert_non_null(strstr(text, "STRATA_PASSWORD"));
    assert_int_equal(stratad_process_run(version, text, sizeof text), 0);
    assert_memory_equal(text, "stratad ", 8);
}

static void a_wrong_option_ends_it_with_a_reason(void **state)
{
    (void)state;
    char text[4096];
    const char *const unknown[] = {"--nonsense", NULL};
    const char *const bad[] = {"--workers", "none", NULL};
    const char *const few[] = {"--workers", "4", "--max-connections", "11", NULL};
    assert_int_equal(stratad_process_run(unknown, text, sizeof text), 2);
    assert_non_null(strstr(text, "nonsense"));
    assert_int_equal(stratad_process_run(bad, text, sizeof text), 2);
    assert_non_null(strstr(text, "--workers"));
    assert_int_equal(stratad_process_run(few, text, sizeof text), 2);
    assert_non_null(strstr(text, "max_connections"));
}

static void a_key_prefix_is_warned_about_and_not_used(void **state)
{
    (void)state;
    char text[4096], listen_text[32];
    (void)snprintf(listen_text, sizeof listen_text, "127.0.0.1:%d", redis_server_port(server));
    const char *const busy[] = {"--key-prefix", "mine:", "--listen", listen_text, NULL};
    assert_int_equal(stratad_process_run(busy, text, sizeof text), 1); /* it got to the port */
    assert_non_null(strstr(text, "key_prefix: not used"));
    assert_non_null(strstr(text, "another process listens there"));
}

static void a_busy_port_is_one_clear_line(void **state)
{
    (void)state;
    char text[4096], listen_text[32];
    (void)snprintf(listen_text, sizeof listen_text, "127.0.0.1:%d", redis_server_port(server));
    const char *const args[] = {"--listen", listen_text, NULL};
    assert_int_equal(stratad_process_run(args, text, sizeof text), 1);
    assert_non_null(strstr(text, listen_text));
    assert_non_null(strstr(text, "another process listens there"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void a_socket_in_use_is_refused_and_one_left_behind_is_taken_over(void **state)
{
    (void)state;
    struct stratad_process *stratad = start(NULL);
    char text[4096], path[160];
    (void)snprintf(path, sizeof path, "unix:%s", stratad_process_socket(stratad));
    const char *const in_use[] = {"--listen", path, NULL};
    assert_int_equal(stratad_process_run(in_use, text, sizeof text), 1);
    assert_non_null(strstr(text, "another process listens there"));

    char left[100];
    (void)snprintf(left, sizeof left, "%s.left", stratad_process_socket(stratad));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, left, strlen(left) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    (void)close(fd);
    (void)snprintf(path, sizeof path, "unix:%s", left);
    const char *const behind[] = {"--listen", path, NULL};
    struct stratad_process *second = start(behind);
    redisContext *client = connect_to(left);
    ASSERT_SAYS(client, "PONG", "PING");
    redisFree(client);
    stratad_process_stop(&second);
    assert_int_equal(access(left, F_OK), -1);
    stratad_process_stop(&stratad);
}

/* The path alone is there before anybody listens. */
static bool takes_clients(void *path)
{
    redisContext *context = redisConnectUnix(path);
    bool connected = context != NULL && context->err == 0;
    redisFree(context);
    return connected;
}

/* libuv ends the process where one of its own descriptors is below 3. */
static void it_can_be_started_with_all_standard_descriptors_closed(void **state)
{
    (void)state;
    char folder[] = "/tmp/strata-closed-XXXXXX";
    char log[64], path[64], address[80];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(log, sizeof log, "%s/log", folder);
    (void)snprintf(path, sizeof path, "%s/sock", folder);
    (void)snprintf(address, sizeof address, "unix:%s", path);
    const char *const argv[] = {"sh",
                                "-c",
                                "exec \"$@\" <&- >&- 2>&-",
                                "sh",
                                stratad_process_program(),
                                "--listen",
                                address,
                                "--redis-url",
                                redis_server_url(server),
                                NULL};
    struct child child = {0};
    assert_int_equal(child_start(&child, argv, log), 0);
    assert_true(wait_until(takes_clients, path, 20000));
    redisContext *client = connect_to(path);
    ASSERT_SAYS(client, "OK", "SET k v");
    redisFree(client);
    child_signal(&child, SIGTERM);
    assert_int_equal(child_wait(&child, 20000), 0);
    assert_true(WIFEXITED(child.status));
    assert_int_equal(WEXITSTATUS(child.status), 0);
    (void)unlink(log);
    assert_int_equal(rmdir(folder), 0);
}

static void it_warns_where_anybody_may_come_in(void **state)
{
    (void)state;
    const char *const args[] = {"--listen", "0.0.0.0:0", NULL};
    struct stratad_process *stratad = start(args);
    assert_true(stratad_process_said(stratad, "no client password is set"));
    stratad_process_stop(&stratad);
    stratad = start(NULL);
    assert_false(stratad_process_said(stratad, "no client password is set"));
    stratad_process_stop(&stratad);
}

static void it_serves_on_tcp_and_on_a_socket(void **state)
{
    (void)state;
    struct stratad_process *stratad = start(NULL);
    assert_true(stratad_process_says(stratad, "is ready"));
    redisContext *tcp = redisConnect("127.0.0.1", stratad_process_port(stratad));
    assert_non_null(tcp);
    assert_int_equal(tcp->err, 0);
    ASSERT_SAYS(tcp, "OK", "SET where tcp");
    redisContext *local = client_of(stratad);
    ASSERT_SAYS(local, "tcp", "GET where");
    redisFree(tcp);
    redisFree(local);
    stratad_process_stop(&stratad);
}

/* ---- who is let in ---- */

static void without_the_password_nothing_is_answered(void **state)
{
    (void)state;
    assert_int_equal(setenv("STRATA_PASSWORD", "s3cret", 1), 0);
    assert_int_equal(setenv("STRATA_USER", "app", 1), 0);
    struct stratad_process *stratad = start(NULL);
    (void)unsetenv("STRATA_PASSWORD");
    (void)unsetenv("STRATA_USER");
    redisContext *client = client_of(stratad);
    ASSERT_SAYS(client, "NOAUTH", "GET k");
    ASSERT_SAYS(client, "NOAUTH", "PING");
    ASSERT_SAYS(client, "NOAUTH", "STRATA STATS");
    ASSERT_SAYS(client, "NOAUTH", "HELLO 3");
    ASSERT_SAYS(client, "WRONGPASS", "AUTH s3cret");
    ASSERT_SAYS(client, "WRONGPASS", "AUTH app wrong");
    ASSERT_SAYS(client, "WRONGPASS", "HELLO 2 AUTH app wrong");
    ASSERT_SAYS(client, "NOAUTH", "GET k");
    ASSERT_SAYS(client, "OK", "AUTH app s3cret");
    ASSERT_SAYS(client, "PONG", "PING");
    ASSERT_SAYS(client, "RESET", "RESET");
    ASSERT_SAYS(client, "NOAUTH", "PING");
    redisReply *hello = redisCommand(client, "HELLO 2 AUTH app s3cret SETNAME me");
    assert_int_equal(hello->type, REDIS_REPLY_ARRAY);
    assert_int_equal(hello->elements, 14);
    freeReplyObject(hello);
    ASSERT_SAYS(client, "me", "CLIENT GETNAME");
    redisFree(client);
    stratad_process_stop(&stratad);
}

static void hello_describes_the_server_behind(void **state)
{
    (void)state;
    static const char *const fields[] = {"server", "version", "proto",  "id",
                                         "mode",   "role",    "modules"};
    struct stratad_process *stratad = start(NULL);
    redisContext *client = client_of(stratad);
    redisContext *direct = connect_to(redis_server_socket(server));
    redisReply *hello = redisCommand(client, "HELLO 2");
    redisReply *truth = redisCommand(direct, "HELLO 2");
    assert_int_equal(hello->elements, 14);
    for (size_t i = 0; i < 7; i++)
        assert_string_equal(hello->element[2 * i]->str, fields[i]);
    assert_string_equal(hello->element[3]->str, truth->element[3]->str);
    freeReplyObject(hello);
    freeReplyObject(truth);
    redisFree(client);
    redisFree(direct);
    stratad_process_stop(&stratad);
}

static void what_needs_a_connection_of_its_own_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const lines[] = {"MULTI",
                                        "SUBSCRIBE c",
                                        "BLPOP k 0",
                                        "CLIENT LIST",
                                        "CLIENT TRACKING on",
                                        "XREAD BLOCK 0 STREAMS s $",
                                        "MONITOR",
                                        "WAIT 0 0"};
    struct stratad_process *stratad = start(NULL);
    redisContext *client = client_of(stratad);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        ASSERT_SAYS(client, "ERR strata: '", lines[i]);
    ASSERT_SAYS(client, "ERR strata: 'multi' needs a connection of its own", "multi");
    ASSERT_SAYS(client, "ERR strata: 'shutdown' is not passed on", "SHUTDOWN NOSAVE");
    ASSERT_SAYS(client, "ERR strata: only database 0", "SELECT 1");
    ASSERT_SAYS(client, "PONG", "PING");
    redisFree(client);
    stratad_process_stop(&stratad);
}

/* ---- limits ---- */

static void more_clients_than_the_limit_are_told_and_closed(void **state)
{
    (void)state;
    const char *const args[] = {"--clients-max", "2", NULL};
    struct stratad_process *stratad = start(args);
    redisContext *one = client_of(stratad);
    redisContext *two = client_of(stratad);
    ASSERT_SAYS(one, "PONG", "PING");
    ASSERT_SAYS(two, "PONG", "PING");
    redisContext *three = client_of(stratad);
    void *reply = NULL;
    assert_int_equal(redisGetReply(three, &reply), REDIS_OK);
    assert_says(reply, "ERR max number of clients reached");
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
    struct stratad_process *stratad = start(args);
    redisContext *client = client_of(stratad);
    size_t len = (size_t)900 << 10;
    char *value = calloc(1, 2 * len);
    assert_non_null(value);
    ASSERT_SAYS(client, "OK", "SET large %b", value, len);
    redisReply *reply = redisCommand(client, "SET large %b", value, 2 * len);
    if (reply != NULL) /* else the connection was closed while we wrote, which is as good */
        assert_says(reply, "ERR Protocol error");
    redisFree(client);
    free(value);
    stratad_process_stop(&stratad);
}

/* ---- bytes ---- */

static int socket_to(const struct stratad_process *stratad)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)stratad_process_port(stratad)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const struct timeval patience = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

static void send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        assert_true(sent > 0);
        bytes += sent;
        len -= (size_t)sent;
    }
}

/* Reads until the peer closes; to be freed. */
static char *read_to_end(int fd, size_t *len)
{
    size_t cap = 1u << 16;
    char *text = malloc(cap);
    ssize_t count;
    *len = 0;
    assert_non_null(text);
    while ((count = recv(fd, text + *len, cap - *len - 1, 0)) > 0) {
        *len += (size_t)count;
        if (*len + 1 == cap) {
            cap *= 2;
            text = realloc(text, cap);
            assert_non_null(text);
        }
    }
    assert_int_equal(count, 0);
    text[*len] = '\0';
    return text;
}

static void a_client_that_only_stops_sending_gets_all_its_replies(void **state)
{
    (void)state;
    static const char requests[] = "SET half 1\r\nINCR half\r\nHSET halves f v\r\nGET half\r\n"
                                   "DBSIZE\r\nPING\r\n";
    struct stratad_process *stratad = start(NULL);
    redisContext *direct = connect_to(redis_server_socket(server));
    freeReplyObject(redisCommand(direct, "FLUSHALL"));
    redisFree(direct);
    int fd = socket_to(stratad);
    send_all(fd, requests, sizeof requests - 1);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    size_t len;
    char *replies = read_to_end(fd, &len);
    assert_string_equal(replies, "+OK\r\n:2\r\n:1\r\n$1\r\n2\r\n:2\r\n+PONG\r\n");
    free(replies);
    (void)close(fd);
    stratad_process_stop(&stratad);
}

static void quit_answers_what_came_before_it(void **state)
{
    (void)state;
    static const char requests[] = "SET q 1\r\nINCR q\r\nQUIT\r\nINCR q\r\nINCR q\r\n";
    struct stratad_process *stratad = start(NULL);
    int fd = socket_to(stratad);
    send_all(fd, requests, sizeof requests - 1);
    size_t len;
    char *replies = read_to_end(fd, &len);
    assert_string_equal(replies, "+OK\r\n:2\r\n+OK\r\n");
    free(replies);
    (void)close(fd);
    stratad_process_stop(&stratad);
}

static void who_goes_on_talking_after_quit_still_gets_the_reply(void **state)
{
    (void)state;
    struct stratad_process *stratad = start(NULL);
    int fd = socket_to(stratad);
    const size_t len = (size_t)8 << 20;
    char *request = malloc(len);
    assert_non_null(request);
    memset(request, 'x', len);
    memcpy(request, "QUIT\r\n", 6);
    send_all(fd, request, len); /* a reset would end this early */
    char *replies = read_to_end(fd, &(size_t){0});
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
    struct stratad_process *stratad = start(NULL);
    int fd = socket_to(stratad);
    send_all(fd, requests, sizeof requests - 1);
    char *replies = read_to_end(fd, &(size_t){0});
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
    struct stratad_process *stratad = start(NULL);
    int fd = socket_to(stratad);
    send_all(fd, request, sizeof request - 1);
    size_t len;
    char *replies = read_to_end(fd, &len);
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
    struct stratad_process *stratad = start(NULL);
    redisContext *client = client_of(stratad);
    const size_t len = (size_t)100 << 10;
    char *value = calloc(1, len);
    assert_non_null(value);
    ASSERT_SAYS(client, "OK", "SET fat %b", value, len);
    long before = memory_kib(stratad_process_pid(stratad));

    int fd = socket_to(stratad);
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
    struct stratad_process *stratad = start(NULL);
    redisContext *client = client_of(stratad);
    char requests[2048] = "";
    for (unsigned i = 0; i < 20; i++)
        strcat(requests,
               "SET leave 1\r\nGET leave\r\nGET none\r\nHSET leaves f v\r\nINCR leave\r\n");
    for (size_t i = 0; i < 300; i++) {
        int fd = socket_to(stratad);
        send_all(fd, requests, 1 + i * 7 % strlen(requests));
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
    struct stratad_process *stratad = start(NULL);
    static redisContext *clients[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = client_of(stratad);
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
        assert_says(reply, "OK");
        assert_int_equal(redisGetReply(clients[i], &reply), REDIS_OK);
        assert_says(reply, expected);
    }
    assert_int_equal(open_sessions(clients[0]), CLIENTS);
    for (unsigned i = 0; i < CLIENTS; i++)
        redisFree(clients[i]);
    stratad_process_stop(&stratad);
}

/* ---- the end ---- */

/* Counts the complete replies ":n\r\n" and checks that they are 1, 2, 3... */
static long long last_integer(const char *replies)
{
    long long expected = 0;
    while (*replies == ':') {
        char *end;
        long long number = strtoll(replies + 1, &end, 10);
        if (strncmp(end, "\r\n", 2) != 0)
            break;
        assert_int_equal(number, expected + 1);
        expected = number;
        replies = end + 2;
    }
    assert_int_equal(*replies, '\0');
    return expected;
}

static void draining_answers_whatever_has_taken_effect(void **state)
{
    (void)state;
    redisContext *direct = connect_to(redis_server_socket(server));
    for (unsigned round = 0; round < 5; round++) {
        enum { CLIENTS = 8, COMMANDS = 20000 };
        struct stratad_process *stratad = start(NULL);
        int fds[CLIENTS];
        for (unsigned i = 0; i < CLIENTS; i++) {
            char request[64];
            int len = snprintf(request, sizeof request, "INCR drain:%u:%u\r\n", round, i);
            fds[i] = socket_to(stratad);
            char *all = malloc((size_t)len * COMMANDS);
            assert_non_null(all);
            for (size_t c = 0; c < COMMANDS; c++)
                memcpy(all + c * (size_t)len, request, (size_t)len);
            ssize_t sent = send(fds[i], all, (size_t)len * COMMANDS, MSG_NOSIGNAL | MSG_DONTWAIT);
            assert_true(sent > 0);
            free(all);
        }
        assert_int_equal(stratad_process_terminate(stratad, 20000), 0);
        for (unsigned i = 0; i < CLIENTS; i++) {
            size_t len;
            char *replies = read_to_end(fds[i], &len);
            redisReply *truth = redisCommand(direct, "GET drain:%u:%u", round, i);
            assert_int_equal(last_integer(replies), truth->str != NULL ? atoll(truth->str) : 0);
            freeReplyObject(truth);
            free(replies);
            (void)close(fds[i]);
        }
        stratad_process_stop(&stratad);
    }
    redisFree(direct);
}

static void idle_clients_do_not_delay_the_end(void **state)
{
    (void)state;
    const char *const args[] = {"--drain-timeout", "3600", NULL};
    struct stratad_process *stratad = start(args);
    redisContext *idle = client_of(stratad);
    ASSERT_SAYS(idle, "PONG", "PING");
    assert_int_equal(stratad_process_terminate(stratad, 20000), 0);
    redisFree(idle);
    stratad_process_stop(&stratad);
}

static void the_drain_timeout_ends_it_though_redis_is_silent(void **state)
{
    (void)state;
    const char *const args[] = {"--drain-timeout", "0.3", "--socket-timeout", "3600", NULL};
    struct stratad_process *stratad = start(args);
    assert_true(stratad_process_says(stratad, "is ready"));
    redis_server_freeze(server);
    int fd = socket_to(stratad);
    send_all(fd, "GET k\r\n", 7);
    int ended = stratad_process_terminate(stratad, 20000);
    redis_server_thaw(server);
    assert_int_equal(ended, 0);
    (void)close(fd);
    stratad_process_stop(&stratad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_and_version_are_printed),
        cmocka_unit_test(a_wrong_option_ends_it_with_a_reason),
        cmocka_unit_test(a_key_prefix_is_warned_about_and_not_used),
        cmocka_unit_test(a_busy_port_is_one_clear_line),
        cmocka_unit_test(a_socket_in_use_is_refused_and_one_left_behind_is_taken_over),
        cmocka_unit_test(it_can_be_started_with_all_standard_descriptors_closed),
        cmocka_unit_test(it_warns_where_anybody_may_come_in),
        cmocka_unit_test(it_serves_on_tcp_and_on_a_socket),
        cmocka_unit_test(without_the_password_nothing_is_answered),
        cmocka_unit_test(hello_describes_the_server_behind),
        cmocka_unit_test(what_needs_a_connection_of_its_own_is_refused_by_name),
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
        cmocka_unit_test(draining_answers_whatever_has_taken_effect),
        cmocka_unit_test(idle_clients_do_not_delay_the_end),
        cmocka_unit_test(the_drain_timeout_ends_it_though_redis_is_silent),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
