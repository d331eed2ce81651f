/* SPDX-License-Identifier: MIT
 *
 * strata against a real Redis: what each command prints, and every exit code.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "integration/strata_program.h"

static void redis(struct strata_fixture *fixture, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = redisvCommand(fixture->redis, format, arguments);
    va_end(arguments);
    assert_non_null(reply);
    assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
    freeReplyObject(reply);
}

/* Runs strata against the fixture's server; what the last run left is gone. */
#define RUN(fixture, input, ...)                                                                   \
    (command_result_fini(&(fixture)->result),                                                      \
     strata_run(&(fixture)->result, input, (fixture)->url, __VA_ARGS__, NULL))
#define OUT(fixture) ((fixture)->result.out)
#define ERR(fixture) ((fixture)->result.err)

/* ---- get, set, del ---- */

static void a_value_is_printed_exactly_as_it_was_set(void **state)
{
    struct strata_fixture *f = *state;
    assert_int_equal(RUN(f, NULL, "set", "k", "two words"), 0);
    assert_string_equal(OUT(f), "OK\n");
    assert_int_equal(RUN(f, NULL, "get", "k"), 0);
    assert_string_equal(OUT(f), "two words");
    assert_string_equal(ERR(f), "");
}

/* A socket that got the number of the closed output would carry the value to the server. */
static void with_closed_output_a_value_is_not_sent_back_as_commands(void **state)
{
    struct strata_fixture *f = *state;
    char value[32768] = "";
    for (size_t at = 0; at + 32 < sizeof value; at += 20)
        (void)snprintf(value + at, sizeof value - at, "\r\nSET trace of-it\r\n ");
    redis(f, "SET k %s", value);
    const char *const argv[] = {
        "sh", "-c", "exec \"$@\" >&-", "sh", STRATA_PROGRAM, "--url", f->url, "get", "k", NULL};
    command_result_fini(&f->result);
    command_run(&f->result, NULL, argv);
    assert_int_equal(f->result.code, 1);
    assert_non_null(strstr(ERR(f), "cannot write"));
    redisReply *reply = redisCommand(f->redis, "EXISTS trace");
    assert_non_null(reply);
    assert_int_equal(reply->integer, 0);
    freeReplyObject(reply);
}

static void any_bytes_go_in_through_standard_input_and_come_out_the_same(void **state)
{
    struct strata_fixture *f = *state;
    const size_t len = 20000003;
    char *value = malloc(len);
    assert_non_null(value);
    for (size_t i = 0; i < len; i++)
        value[i] = (char)(i * 7 ^ i >> 9);
    const struct command_input input = {.data = value, .len = len};
    assert_int_equal(RUN(f, &input, "set", "big", "-"), 0);
    assert_int_equal(RUN(f, NULL, "get", "big"), 0);
    assert_int_equal(f->result.len, len);
    assert_memory_equal(OUT(f), value, len);
    free(value);
}

static void an_empty_value_is_a_value(void **state)
{
    struct strata_fixture *f = *state;
    assert_int_equal(RUN(f, NULL, "set", "empty", "-"), 0);
    assert_int_equal(RUN(f, NULL, "get", "empty"), 0);
    assert_int_equal(f->result.len, 0);
}

static void what_looks_like_an_option_can_be_stored(void **state)
{
    struct strata_fixture *f = *state;
    assert_int_equal(RUN(f, NULL, "set", "--", "k", "--json"), 0);
    assert_int_equal(RUN(f, NULL, "get", "k"), 0);
    assert_string_equal(OUT(f), "--json");
    assert_int_equal(RUN(f, NULL, "set", "k", "-5"), 0);
    assert_int_equal(RUN(f, NULL, "get", "k"), 0);
    assert_string_equal(OUT(f), "-5");
}

static void a_time_to_live_reaches_redis(void **state)
{
    struct strata_fixture *f = *state;
    assert_int_equal(RUN(f, NULL, "set", "k", "v", "--ttl", "90.5"), 0);
    redisReply *reply = redisCommand(f->redis, "PTTL k");
    assert_in_range(reply->integer, 30000, 90500);
    freeReplyObject(reply);
    assert_int_equal(RUN(f, NULL, "set", "k", "v", "--ttl", "0"), 2);
}

static void several_values_end_with_a_newline_each(void **state)
{
    struct strata_fixture *f = *state;
    redis(f, "MSET a 1 b 2");
    assert_int_equal(RUN(f, NULL, "get", "a", "b"), 0);
    assert_string_equal(OUT(f), "1\n2\n");
    assert_int_equal(RUN(f, NULL, "get", "a", "none", "b"), 6);
    assert_string_equal(OUT(f), "1\n\n2\n");
    assert_string_equal(ERR(f), "strata: none: not there\n");
}

static void a_key_that_is_not_there_is_a_negative_answer(void **state)
{
    struct strata_fixture *f = *state;
    assert_int_equal(RUN(f, NULL, "get", "none"), 1);
    assert_string_equal(OUT(f), "");
    assert_string_equal(ERR(f), "strata: none: not there\n");
    assert_int_equal(RUN(f, NULL, "get", "none", "neither"), 1);
}

static void an_error_of_one_key_is_that_keys_alone(void **state)
{
    struct strata_fixture *f = *state;
    redis(f, "SET a 1");
    redis(f, "LPUSH list x");
    assert_int_equal(RUN(f, NULL, "get", "list"), 1);
    assert_non_null(strstr(ERR(f), "list: WRONGTYPE"));
    assert_int_equal(RUN(f, NULL, "get", "list", "a"), 6);
    assert_string_equal(OUT(f), "\n1\n");
}

static void deleting_says_how_many_were_there(void **state)
{
    struct strata_fixture *f = *state;
    redis(f, "MSET a 1 b 2 c 3");
    assert_int_equal(RUN(f, NULL, "del", "a", "b"), 0);
    assert_string_equal(OUT(f), "2\n");
    assert_int_equal(RUN(f, NULL, "del", "a", "c"), 6);
    assert_string_equal(OUT(f), "1\n");
    assert_int_equal(RUN(f, NULL, "del", "a"), 1);
    assert_string_equal(OUT(f), "0\n");
}

static void thousands_of_keys_go_in_one_call(void **state)
{
    struct strata_fixture *f = *state;
    enum { KEYS = 3000 };
    const char **argv = calloc(KEYS + 6, sizeof *argv);
    char(*names)[16] = calloc(KEYS, sizeof *names);
    assert_true(argv != NULL && names != NULL);
    size_t argc = 0;
    argv[argc++] = STRATA_PROGRAM;
    argv[argc++] = "--url";
    argv[argc++] = f->url;
    argv[argc++] = "del";
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(names[i], sizeof names[i], "key:%d", i);
        redis(f, "SET %s v", names[i]);
        argv[argc++] = names[i];
    }
    command_run(&f->result, NULL, argv);
    assert_int_equal(f->result.code, 0);
    assert_string_equal(OUT(f), "3000\n");
    free(names);
    free(argv);
}

static void a_terminal_is_shown_values_it_will_not_obey(void **state)
{
    struct strata_fixture *f = *state;
    const struct command_input input = {.terminal = true};
    redis(f, "SET k %b", "\x1b[2J\xff ok", (size_t)8);
    assert_int_equal(RUN(f, &input, "get", "k"), 0);
    assert_string_equal(OUT(f), "\\x1b[2J\\xff ok\r\n");
    assert_int_equal(RUN(f, NULL, "get", "k"), 0);
    assert_string_equal(OUT(f), "\x1b[2J\xff ok");
}

/* ---- JSON ---- */

static void json_tells_every_key_apart(void **state)
{
    struct strata_fixture *f = *state;
    const char *first;
    const char *second;
    int found[3];
    redis(f, "MSET a 1 b %b", "\xff\n", (size_t)2);
    assert_int_equal(RUN(f, NULL, "get", "a", "b", "none", "--json"), 6);
    json_t *document = strata_json(&f->result);
    assert_int_equal(json_unpack(document, "{s:[{s:b,s:s},{s:b,s:s},{s:b}]}", "keys", "found",
                                 &found[0], "value", &first, "found", &found[1], "value_base64",
                                 &second, "found", &found[2]),
                     0);
    assert_true(found[0] && found[1] && !found[2]);
    assert_string_equal(first, "1");
    assert_string_equal(second, "/wo=");
    json_decref(document);
    assert_string_equal(ERR(f), "");
}

static void every_command_answers_in_json(void **state)
{
    struct strata_fixture *f = *state;
    assert_int_equal(RUN(f, NULL, "--json", "set", "k", "v"), 0);
    json_decref(strata_json(&f->result));
    assert_int_equal(RUN(f, NULL, "del", "--json", "k", "none"), 6);
    json_t *document = strata_json(&f->result);
    int deleted[2];
    assert_int_equal(json_unpack(document, "{s:[{s:b},{s:b}]}", "keys", "deleted", &deleted[0],
                                 "deleted", &deleted[1]),
                     0);
    assert_true(deleted[0] && !deleted[1]);
    json_decref(document);
    assert_int_equal(RUN(f, NULL, "ping", "--json"), 0);
    document = strata_json(&f->result);
    assert_string_equal(json_string_value(json_object_get(document, "reply")), "PONG");
    json_decref(document);
}

static void failures_are_json_too_and_a_line_for_people(void **state)
{
    struct strata_fixture *f = *state;
    f->url = "redis://127.0.0.1:1";
    assert_int_equal(RUN(f, NULL, "get", "k", "--json"), 3);
    json_t *document = strata_json(&f->result);
    assert_string_equal(json_string_value(json_object_get(document, "error")),
                        "cannot connect to 127.0.0.1:1: Connection refused");
    json_decref(document);
    assert_string_equal(ERR(f), "strata: cannot connect to 127.0.0.1:1: Connection refused\n");
    assert_int_equal(RUN(f, NULL, "--json", "get"), 2);
    json_decref(strata_json(&f->result));
    f->url = redis_server_url(f->server);
}

/* ---- ping, stats, help ---- */

static void ping_names_the_server_and_the_time(void **state)
{
    struct strata_fixture *f = *state;
    assert_int_equal(RUN(f, NULL, "ping"), 0);
    assert_int_equal(strncmp(OUT(f), "PONG from redis://127.0.0.1:", 28), 0);
    assert_non_null(strstr(OUT(f), " ms\n"));
}

static void the_server_may_come_from_the_environment(void **state)
{
    struct strata_fixture *f = *state;
    char variable[128];
    (void)snprintf(variable, sizeof variable, "STRATA_URL=unix://%s",
                   redis_server_socket(f->server));
    const struct command_input input = {.environment = variable};
    command_result_fini(&f->result);
    assert_int_equal(strata_run(&f->result, &input, NULL, "ping", NULL), 0);
}

static void a_database_is_selected(void **state)
{
    struct strata_fixture *f = *state;
    char url[128];
    (void)snprintf(url, sizeof url, "unix://%s?db=3", redis_server_socket(f->server));
    f->url = url;
    assert_int_equal(RUN(f, NULL, "set", "k", "v"), 0);
    f->url = redis_server_url(f->server);
    assert_int_equal(RUN(f, NULL, "get", "k"), 1);
    redis(f, "SELECT 3");
    redis(f, "DEL k");
    redis(f, "SELECT 0");
}

static void stats_of_a_plain_redis_are_refused_with_the_reason(void **state)
{
    struct strata_fixture *f = *state;
    assert_int_equal(RUN(f, NULL, "stats"), 1);
    assert_string_equal(OUT(f), "");
    assert_non_null(strstr(ERR(f), "the server is not stratad"));
    assert_int_equal(RUN(f, NULL, "stats", "--json"), 1);
    json_decref(strata_json(&f->result));
}

static void help_explains_every_command(void **state)
{
    static const char *const commands[] = {"get",   "set",    "del",    "ping",
                                           "stats", "config", "replay", "help"};
    struct strata_fixture *f = *state;
    assert_int_equal(RUN(f, NULL, "help"), 0);
    char *all = strdup(OUT(f));
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        assert_non_null(strstr(all, commands[i]));
        assert_int_equal(RUN(f, NULL, "help", commands[i]), 0);
        char *page = strdup(OUT(f));
        assert_int_equal(RUN(f, NULL, commands[i], "--help"), 0);
        assert_string_equal(OUT(f), page);
        free(page);
    }
    free(all);
    assert_int_equal(RUN(f, NULL, "--version"), 0);
    assert_int_equal(strncmp(OUT(f), "strata ", 7), 0);
}

/* ---- config ---- */

static void config_tells_each_value_and_its_origin(void **state)
{
    const struct command_input input = {.environment = "CACHE_L1_TTL=5.5"};
    struct strata_fixture *f = *state;
    double ttl;
    const char *origin;
    const char *default_origin;
    const char *url_origin;
    assert_int_equal(RUN(f, &input, "config", "--json"), 0);
    json_t *document = strata_json(&f->result);
    assert_int_equal(json_unpack(document, "{s:{s:{s:F,s:s},s:{s:s},s:{s:s}}}", "options", "l1_ttl",
                                 "value", &ttl, "origin", &origin, "l2_ttl", "origin",
                                 &default_origin, "url", "origin", &url_origin),
                     0);
    assert_true(ttl == 5.5);
    assert_string_equal(origin, "environment CACHE_L1_TTL");
    assert_string_equal(default_origin, "default");
    json_decref(document);
    assert_int_equal(RUN(f, &input, "config"), 0);
    assert_non_null(strstr(OUT(f), "5.5 seconds"));
    assert_non_null(strstr(OUT(f), "environment CACHE_L1_TTL\n"));
}

static void a_configuration_that_is_not_valid_is_code_2(void **state)
{
    const struct command_input bad = {.environment = "CACHE_L1_TTL=soon"};
    const struct command_input unknown = {.environment = "CACHE_L1_TTTL=5"};
    const struct command_input together = {.environment = "CACHE_WRITE_BEHIND=true"};
    struct strata_fixture *f = *state;
    assert_int_equal(RUN(f, &bad, "config"), 2);
    assert_string_equal(OUT(f), "");
    assert_non_null(strstr(ERR(f), "strata: CACHE_L1_TTL=\"soon\": "));
    assert_int_equal(RUN(f, &unknown, "config"), 0);
    assert_non_null(strstr(ERR(f), "did you mean CACHE_L1_TTL?"));
    assert_int_equal(RUN(f, &together, "config"), 2);
    assert_string_equal(OUT(f), "");
    assert_non_null(strstr(ERR(f), "set CACHE_WRITE_THROUGH=false as well"));
    assert_int_equal(RUN(f, NULL, "config", "--config", "/nonexistent.conf", "--json"), 2);
    json_decref(strata_json(&f->result));
}

static void the_reference_of_options_is_printed_as_markdown(void **state)
{
    struct strata_fixture *f = *state;
    assert_int_equal(RUN(f, NULL, "config", "--markdown"), 0);
    assert_non_null(strstr(OUT(f), "| `CACHE_L1_TTL` |"));
}

/* ---- exit codes ---- */

static void a_wrong_command_line_is_code_2_and_nothing_is_done(void **state)
{
    struct strata_fixture *f = *state;
    assert_int_equal(RUN(f, NULL, "gte", "k"), 2);
    assert_string_equal(ERR(f), "strata: unknown command gte; did you mean get?\n");
    assert_int_equal(RUN(f, NULL, "get"), 2);
    assert_string_equal(ERR(f), "strata: usage: strata get KEY...\n");
    assert_int_equal(RUN(f, NULL, "set", "k", "v", "extra"), 2);
    assert_int_equal(RUN(f, NULL, "set", "k", "v", "--ttll", "5"), 2);
    assert_int_equal(RUN(f, NULL, "get", "k", "--timeout", "never"), 2);
    assert_int_equal(RUN(f, NULL, "--json"), 2);
    command_result_fini(&f->result);
    assert_int_equal(strata_run(&f->result, NULL, "http://x", "ping", NULL), 2);
    redisReply *reply = redisCommand(f->redis, "DBSIZE");
    assert_int_equal(reply->integer, 0);
    freeReplyObject(reply);
}

static void nobody_there_is_code_3(void **state)
{
    struct strata_fixture *f = *state;
    command_result_fini(&f->result);
    assert_int_equal(strata_run(&f->result, NULL, "redis://127.0.0.1:1", "ping", NULL), 3);
    command_result_fini(&f->result);
    assert_int_equal(strata_run(&f->result, NULL, "unix:///nonexistent.sock", "ping", NULL), 3);
    assert_non_null(strstr(ERR(f), "No such file or directory"));
}

/* Starts a process that answers the one client that comes with `answer`, and closes. */
static pid_t start_impostor(const char *answer, char url[64])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(url, 64, "redis://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char request[256];
        int client = accept(fd, NULL, NULL);
        bool asked = read(client, request, sizeof request) > 0;
        bool told = send(client, answer, strlen(answer), MSG_NOSIGNAL) >= 0;
        (void)shutdown(client, SHUT_RDWR);
        _exit(asked && told ? 0 : 1);
    }
    (void)close(fd);
    return pid;
}

static void a_server_that_speaks_something_else_or_goes_away_is_code_3(void **state)
{
    static const struct {
        const char *answer;
        const char *said;
    } cases[] = {
        {"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak RESP"},
        {"", "connection lost: closed by the server"},
        {"$100\r\ncut short", "connection lost: closed by the server"},
    };
    struct strata_fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char url[64];
        int status;
        pid_t pid = start_impostor(cases[i].answer, url);
        command_result_fini(&f->result);
        assert_int_equal(strata_run(&f->result, NULL, url, "ping", NULL), 3);
        assert_non_null(strstr(ERR(f), cases[i].said));
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
}

/* No Redis answers so; what was stored there is anybody's guess. */
static void an_answer_of_another_kind_is_no_success(void **state)
{
    static const char *const answers[] = {"*2\r\n:1\r\n:2\r\n", ":1\r\n", "$-1\r\n", "_\r\n"};
    struct strata_fixture *f = *state;
    for (size_t i = 0; i < 2 * (sizeof answers / sizeof answers[0]); i++) {
        char url[64];
        int status;
        pid_t pid = start_impostor(answers[i / 2], url);
        command_result_fini(&f->result);
        if (i % 2 == 0)
            assert_int_equal(strata_run(&f->result, NULL, url, "ping", NULL), 3);
        else
            assert_int_equal(strata_run(&f->result, NULL, url, "set", "k", "v", NULL), 3);
        assert_non_null(strstr(ERR(f), "no text"));
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
}

static void a_password_that_is_missing_or_wrong_is_code_4(void **state)
{
    struct strata_fixture *f = *state;
    char url[128];
    redis(f, "CONFIG SET requirepass secret");
    redis(f, "AUTH secret");
    assert_int_equal(RUN(f, NULL, "ping"), 4);
    assert_int_equal(RUN(f, NULL, "get", "k"), 4);
    assert_int_equal(RUN(f, NULL, "set", "k", "v"), 4);
    assert_int_equal(RUN(f, NULL, "get", "a", "b", "--json"), 4);
    json_decref(strata_json(&f->result));
    (void)snprintf(url, sizeof url, "redis://:nonsense@127.0.0.1:%d", redis_server_port(f->server));
    f->url = url;
    assert_int_equal(RUN(f, NULL, "ping"), 4);
    assert_null(strstr(ERR(f), "nonsense"));
    (void)snprintf(url, sizeof url, "redis://:secret@127.0.0.1:%d", redis_server_port(f->server));
    assert_int_equal(RUN(f, NULL, "ping"), 0);
    assert_null(strstr(OUT(f), "secret"));
    redis(f, "CONFIG SET requirepass %s", "");
    assert_int_equal(RUN(f, NULL, "ping"), 4); /* a password that nobody asked for */
    f->url = redis_server_url(f->server);
}

static void keys_that_a_user_may_not_touch_are_code_4_or_partial(void **state)
{
    struct strata_fixture *f = *state;
    char url[128];
    redis(f, "ACL SETUSER guest on >pw ~open:* +get +del +select");
    redis(f, "MSET open:a 1 shut:a 2");
    (void)snprintf(url, sizeof url, "redis://guest:pw@127.0.0.1:%d", redis_server_port(f->server));
    f->url = url;
    assert_int_equal(RUN(f, NULL, "get", "open:a"), 0);
    assert_int_equal(RUN(f, NULL, "get", "shut:a"), 4);
    assert_int_equal(RUN(f, NULL, "get", "open:a", "shut:a"), 6);
    assert_int_equal(RUN(f, NULL, "set", "open:a", "v"), 4);
    assert_int_equal(RUN(f, NULL, "del", "open:a", "shut:a"), 6);
    f->url = redis_server_url(f->server);
    redis(f, "ACL DELUSER guest");
}

static void a_server_that_does_not_answer_in_time_is_code_5(void **state)
{
    struct strata_fixture *f = *state;
    redis_server_freeze(f->server);
    int ping = RUN(f, NULL, "ping", "--timeout", "0.2");
    char *said = strdup(ERR(f));
    int get = RUN(f, NULL, "get", "a", "b", "--timeout", "0.2", "--json");
    redis_server_thaw(f->server);
    assert_int_equal(ping, 5);
    assert_non_null(strstr(said, "no answer within 0.2 s"));
    assert_int_equal(get, 5);
    json_decref(strata_json(&f->result));
    free(said);
}

static void output_that_cannot_be_written_is_not_success(void **state)
{
    struct strata_fixture *f = *state;
    const struct command_input input = {.out_path = "/dev/full"};
    redis(f, "SET k v");
    assert_int_equal(RUN(f, &input, "get", "k"), 1);
    assert_string_equal(ERR(f), "strata: cannot write: No space left on device\n");
    assert_int_equal(RUN(f, &input, "ping", "--json"), 1);
}

int main(void)
{
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, strata_fixture_empty, strata_fixture_discard)
    const struct CMUnitTest tests[] = {
        TEST(a_value_is_printed_exactly_as_it_was_set),
        TEST(with_closed_output_a_value_is_not_sent_back_as_commands),
        TEST(any_bytes_go_in_through_standard_input_and_come_out_the_same),
        TEST(an_empty_value_is_a_value),
        TEST(what_looks_like_an_option_can_be_stored),
        TEST(a_time_to_live_reaches_redis),
        TEST(several_values_end_with_a_newline_each),
        TEST(a_key_that_is_not_there_is_a_negative_answer),
        TEST(an_error_of_one_key_is_that_keys_alone),
        TEST(deleting_says_how_many_were_there),
        TEST(thousands_of_keys_go_in_one_call),
        TEST(a_terminal_is_shown_values_it_will_not_obey),
        TEST(json_tells_every_key_apart),
        TEST(every_command_answers_in_json),
        TEST(failures_are_json_too_and_a_line_for_people),
        TEST(ping_names_the_server_and_the_time),
        TEST(the_server_may_come_from_the_environment),
        TEST(a_database_is_selected),
        TEST(stats_of_a_plain_redis_are_refused_with_the_reason),
        TEST(help_explains_every_command),
        TEST(config_tells_each_value_and_its_origin),
        TEST(a_configuration_that_is_not_valid_is_code_2),
        TEST(the_reference_of_options_is_printed_as_markdown),
        TEST(a_wrong_command_line_is_code_2_and_nothing_is_done),
        TEST(nobody_there_is_code_3),
        TEST(a_server_that_speaks_something_else_or_goes_away_is_code_3),
        TEST(an_answer_of_another_kind_is_no_success),
        TEST(a_password_that_is_missing_or_wrong_is_code_4),
        TEST(keys_that_a_user_may_not_touch_are_code_4_or_partial),
        TEST(a_server_that_does_not_answer_in_time_is_code_5),
        TEST(output_that_cannot_be_written_is_not_success),
    };
#undef TEST
    return cmocka_run_group_tests(tests, strata_fixture_open, strata_fixture_close);
}
