/* SPDX-License-Identifier: MIT
 *
 * stratad as its operators meet it: options, addresses, who is let in, which Redis, the end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "integration/stratad_rig.h"
#include "support/child.h"
#include "support/fault_proxy.h"
#include "support/wait.h"

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
    const char *const nowhere[] = {"--listen=", NULL};
    const char *const few[] = {"--workers", "4", "--max-connections", "12", NULL};
    assert_int_equal(stratad_process_run(unknown, text, sizeof text), 2);
    assert_non_null(strstr(text, "nonsense"));
    assert_int_equal(stratad_process_run(bad, text, sizeof text), 2);
    assert_non_null(strstr(text, "--workers"));
    assert_int_equal(stratad_process_run(nowhere, text, sizeof text), 2);
    assert_non_null(strstr(text, "listen"));
    assert_int_equal(stratad_process_run(few, text, sizeof text), 2);
    assert_non_null(strstr(text, "max_connections: 12 is not enough for workers: 4"));
    assert_non_null(strstr(text, "allowed: 13 or more"));
}

static void a_busy_port_is_one_clear_line(void **state)
{
    (void)state;
    char text[4096], listen_text[32];
    (void)snprintf(listen_text, sizeof listen_text, "127.0.0.1:%d", redis_server_port(rig_server));
    const char *const args[] = {"--listen", listen_text, NULL};
    assert_int_equal(stratad_process_run(args, text, sizeof text), 1);
    assert_non_null(strstr(text, listen_text));
    assert_non_null(strstr(text, "another process listens there"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void a_socket_in_use_is_refused_and_one_left_behind_is_taken_over(void **state)
{
    (void)state;
    struct stratad_process *stratad = rig_start(NULL);
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
    struct stratad_process *second = rig_start(behind);
    redisContext *client = rig_connect(left);
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
                                redis_server_url(rig_server),
                                NULL};
    struct child child = {0};
    assert_int_equal(child_start(&child, argv, log), 0);
    assert_true(wait_until(takes_clients, path, 20000));
    redisContext *client = rig_connect(path);
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
    struct stratad_process *stratad = rig_start(args);
    assert_true(stratad_process_said(stratad, "no client password is set"));
    stratad_process_stop(&stratad);
    stratad = rig_start(NULL);
    assert_false(stratad_process_said(stratad, "no client password is set"));
    stratad_process_stop(&stratad);
}

/* Each line is an object with the four texts, and nothing else. How many say `wanted`. */
static unsigned lines_of_json(char *text, const char *wanted)
{
    unsigned found = 0;
    assert_true(*text != '\0');
    for (char *line = text, *end; *line != '\0'; line = end + 1) {
        static const char *const names[] = {"time", "level", "room", "message"};
        end = strchr(line, '\n');
        assert_non_null(end);
        json_t *object = json_loadb(line, (size_t)(end - line), 0, NULL);
        assert_int_equal(json_object_size(object), 4);
        for (size_t i = 0; i < 4; i++)
            assert_true(json_is_string(json_object_get(object, names[i])));
        found += strstr(json_string_value(json_object_get(object, "message")), wanted) != NULL;
        json_decref(object);
    }
    return found;
}

/* From the first line, which comes while options are read, to the last. */
static void its_log_is_json_where_that_is_wanted(void **state)
{
    (void)state;
    const char *const args[] = {"--log-format", "json", "--log-level", "debug", NULL};
    assert_int_equal(setenv("STRATA_WORKRES\n\"\xff", "1", 1), 0);
    struct stratad_process *stratad = rig_start(args);
    assert_int_equal(unsetenv("STRATA_WORKRES\n\"\xff"), 0);
    redisContext *client = rig_client(stratad);
    ASSERT_SAYS(client, "OK", "SET k v");
    assert_int_equal(stratad_process_terminate(stratad, 10000), 0);
    redisFree(client);
    static const char *const messages[] = {"is not an option of stratad", "listening on",
                                           "stopped"};
    for (size_t i = 0; i < 3; i++) {
        char *log = stratad_process_log(stratad);
        assert_int_not_equal(lines_of_json(log, messages[i]), 0);
        free(log);
    }
    stratad_process_stop(&stratad);

    char text[4096], listen_text[32];
    (void)snprintf(listen_text, sizeof listen_text, "127.0.0.1:%d", redis_server_port(rig_server));
    const char *const busy[] = {"--listen", listen_text, "--log-format=json", NULL};
    assert_int_equal(stratad_process_run(busy, text, sizeof text), 1);
    assert_int_equal(lines_of_json(text, "another process listens there"), 1);
    const char *const unknown[] = {"--log-format", "xml", NULL};
    assert_int_equal(stratad_process_run(unknown, text, sizeof text), 2);
    assert_non_null(strstr(text, "--log-format=\"xml\""));
    assert_non_null(strstr(text, "text, json"));
}

static void it_serves_on_tcp_and_on_a_socket(void **state)
{
    (void)state;
    struct stratad_process *stratad = rig_start(NULL);
    assert_true(stratad_process_says(stratad, "is ready"));
    redisContext *tcp = redisConnect("127.0.0.1", stratad_process_port(stratad));
    assert_non_null(tcp);
    assert_int_equal(tcp->err, 0);
    ASSERT_SAYS(tcp, "OK", "SET where tcp");
    redisContext *local = rig_client(stratad);
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
    struct stratad_process *stratad = rig_start(NULL);
    (void)unsetenv("STRATA_PASSWORD");
    (void)unsetenv("STRATA_USER");
    redisContext *client = rig_client(stratad);
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
    struct stratad_process *stratad = rig_start(NULL);
    redisContext *client = rig_client(stratad);
    redisContext *direct = rig_connect(redis_server_socket(rig_server));
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

static void what_concerns_shared_connections_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const lines[] = {"CLIENT LIST", "CLIENT TRACKING on", "READONLY",
                                        "PSYNC ? -1", "ASKING"};
    struct stratad_process *stratad = rig_start(NULL);
    redisContext *client = rig_client(stratad);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        ASSERT_SAYS(client, "ERR strata: '", lines[i]);
    ASSERT_SAYS(client, "ERR strata: 'psync' would change a connection", "Psync ? -1");
    ASSERT_SAYS(client, "ERR strata: 'shutdown' is not passed on", "SHUTDOWN NOSAVE");
    ASSERT_SAYS(client, "ERR strata: only database 0", "SELECT 1");
    ASSERT_SAYS(client, "PONG", "PING");
    redisFree(client);
    stratad_process_stop(&stratad);
}

/* ---- Redis with users ---- */

static void it_comes_in_with_the_user_of_the_url(void **state)
{
    (void)state;
    struct redis_server *guarded = NULL;
    struct stratad_process *stratad = NULL;
    char url[160];
    assert_int_equal(redis_server_start(&guarded, NULL), 0);
    redisContext *direct = rig_connect(redis_server_socket(guarded));
    ASSERT_SAYS(direct, "OK", "ACL SETUSER app on >pw ~* &* +@all");
    ASSERT_SAYS(direct, "OK", "ACL SETUSER default off");
    (void)snprintf(url, sizeof url, "redis://app:wrong@127.0.0.1:%d", redis_server_port(guarded));
    assert_int_equal(stratad_process_start(&stratad, url, NULL), 0);
    assert_true(stratad_process_says(stratad, "cannot be reached: "));
    assert_true(stratad_process_said(stratad, "WRONGPASS"));
    assert_false(stratad_process_said(stratad, "app:wrong"));
    redisContext *client = rig_client(stratad);
    ASSERT_SAYS(client, "UNAVAILABLE strata: redis cannot be reached: ", "GET k");
    redisFree(client);
    stratad_process_stop(&stratad);

    (void)snprintf(url, sizeof url, "redis://app:pw@127.0.0.1:%d/3", redis_server_port(guarded));
    assert_int_equal(stratad_process_start(&stratad, url, NULL), 0);
    client = rig_client(stratad);
    ASSERT_SAYS(client, "OK", "SET k v");
    ASSERT_SAYS(client, "OK", "SELECT 0");
    ASSERT_SAYS(client, "v", "GET k");
    ASSERT_SAYS(direct, "OK", "AUTH app pw");
    ASSERT_SAYS(direct, "OK", "SELECT 3");
    ASSERT_SAYS(direct, "v", "GET k");
    redisFree(direct);
    redisFree(client);
    stratad_process_stop(&stratad);
    redis_server_stop(&guarded);
}

static void a_redis_that_does_not_tell_its_commands_is_served_all_the_same(void **state)
{
    (void)state;
    struct redis_server *secretive = NULL;
    struct stratad_process *stratad = NULL;
    assert_int_equal(redis_server_start(&secretive, NULL), 0);
    redisContext *direct = rig_connect(redis_server_socket(secretive));
    ASSERT_SAYS(direct, "OK", "ACL SETUSER default -command");
    static const char *const args[] = {"--tracking", "off", NULL};
    assert_int_equal(stratad_process_start(&stratad, redis_server_url(secretive), args), 0);
    assert_true(stratad_process_says(stratad, "redis does not tell its commands"));
    assert_true(stratad_process_says(stratad, "is ready"));
    redisContext *client = rig_client(stratad);
    ASSERT_SAYS(client, "OK", "SET k old");
    ASSERT_SAYS(direct, "OK", "SET k new");
    ASSERT_SAYS(client, "old", "GET k");
    freeReplyObject(redisCommand(client, "HLEN k")); /* reads, but who knows? */
    ASSERT_SAYS(client, "new", "GET k");
    redisFree(direct);
    redisFree(client);
    stratad_process_stop(&stratad);
    redis_server_stop(&secretive);
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
    redisContext *direct = rig_connect(redis_server_socket(rig_server));
    for (unsigned round = 0; round < 5; round++) {
        enum { CLIENTS = 8, COMMANDS = 20000 };
        struct stratad_process *stratad = rig_start(NULL);
        int fds[CLIENTS];
        for (unsigned i = 0; i < CLIENTS; i++) {
            char request[64];
            int len = snprintf(request, sizeof request, "INCR drain:%u:%u\r\n", round, i);
            fds[i] = rig_socket(stratad);
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
            char *replies = rig_read_to_end(fds[i], &len);
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

static bool is_answered_by_redis(void *client)
{
    redisReply *reply = redisCommand(client, "INCR paced");
    bool so = reply != NULL && reply->type == REDIS_REPLY_INTEGER;
    freeReplyObject(reply);
    return so;
}

/* However often it goes and comes back: a line a second of the connection, and one of Redis. */
static void a_redis_that_comes_and_goes_does_not_fill_the_log(void **state)
{
    (void)state;
    char target[32], url[64];
    const char *const args[] = {"--workers", "1", NULL};
    struct stratad_process *stratad = NULL;
    (void)snprintf(target, sizeof target, "127.0.0.1:%d", redis_server_port(rig_server));
    struct fault_proxy *proxy = fault_proxy_start(NULL, target);
    (void)snprintf(url, sizeof url, "redis://%s", fault_proxy_address(proxy));
    assert_int_equal(stratad_process_start(&stratad, url, args), 0);
    redisContext *client = rig_client(stratad);
    assert_true(wait_until(is_answered_by_redis, client, 30000));
    uint64_t begun_ns = sta_clock_now_ns();
    for (unsigned i = 0; i < 40; i++) {
        fault_proxy_cut(proxy);
        assert_true(wait_until(is_answered_by_redis, client, 30000));
    }
    unsigned of_connection = stratad_process_times_said(stratad, "connection lost") +
                             stratad_process_times_said(stratad, "ready (protocol");
    unsigned of_redis = stratad_process_times_said(stratad, "redis cannot be reached") +
                        stratad_process_times_said(stratad, "redis is reachable again");
    uint64_t most = (sta_clock_now_ns() - begun_ns) / STA_NS_SEC + 4;
    if (of_connection > most || of_redis > most)
        fail_msg("%u and %u lines, %u at most", of_connection, of_redis, (unsigned)most);
    assert_true(stratad_process_says(stratad, "lines before it left out"));
    assert_true(stratad_process_says(stratad, "redis is reachable again"));
    redisFree(client);
    stratad_process_stop(&stratad);
    fault_proxy_stop(&proxy);
}

static void idle_clients_do_not_delay_the_end(void **state)
{
    (void)state;
    const char *const args[] = {"--drain-timeout", "3600", NULL};
    struct stratad_process *stratad = rig_start(args);
    redisContext *idle = rig_client(stratad);
    ASSERT_SAYS(idle, "PONG", "PING");
    assert_int_equal(stratad_process_terminate(stratad, 20000), 0);
    redisFree(idle);
    stratad_process_stop(&stratad);
}

static void the_drain_timeout_ends_it_though_redis_is_silent(void **state)
{
    (void)state;
    const char *const args[] = {"--drain-timeout", "0.3", "--socket-timeout", "3600", NULL};
    struct stratad_process *stratad = rig_start(args);
    assert_true(stratad_process_says(stratad, "is ready"));
    redis_server_freeze(rig_server);
    int fd = rig_socket(stratad);
    rig_send(fd, "GET k\r\n", 7);
    int ended = stratad_process_terminate(stratad, 20000);
    redis_server_thaw(rig_server);
    assert_int_equal(ended, 0);
    (void)close(fd);
    stratad_process_stop(&stratad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_and_version_are_printed),
        cmocka_unit_test(a_wrong_option_ends_it_with_a_reason),
        cmocka_unit_test(a_busy_port_is_one_clear_line),
        cmocka_unit_test(a_socket_in_use_is_refused_and_one_left_behind_is_taken_over),
        cmocka_unit_test(it_can_be_started_with_all_standard_descriptors_closed),
        cmocka_unit_test(it_warns_where_anybody_may_come_in),
        cmocka_unit_test(its_log_is_json_where_that_is_wanted),
        cmocka_unit_test(it_serves_on_tcp_and_on_a_socket),
        cmocka_unit_test(without_the_password_nothing_is_answered),
        cmocka_unit_test(hello_describes_the_server_behind),
        cmocka_unit_test(what_concerns_shared_connections_is_refused_by_name),
        cmocka_unit_test(it_comes_in_with_the_user_of_the_url),
        cmocka_unit_test(a_redis_that_does_not_tell_its_commands_is_served_all_the_same),
        cmocka_unit_test(draining_answers_whatever_has_taken_effect),
        cmocka_unit_test(a_redis_that_comes_and_goes_does_not_fill_the_log),
        cmocka_unit_test(idle_clients_do_not_delay_the_end),
        cmocka_unit_test(the_drain_timeout_ends_it_though_redis_is_silent),
    };
    return cmocka_run_group_tests(tests, rig_start_server, rig_stop_server);
}
