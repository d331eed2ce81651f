/* SPDX-License-Identifier: MIT
 *
 * stratad's warm start: the hot set is saved when it ends, and read again before it is ready.
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
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "integration/stratad_rig.h"
#include "support/wait.h"

#define KEYS 200

/* Keys of one pipeline that share a generation cost each other their place in L1 (l1/l1.h): with so
 * many keys most often none, rarely one. */
#define FEW 5

/* On a machine that stands still for a while, L1 goes on answering. */
#define PATIENT "--max-staleness", "60", "--socket-timeout", "30"

static char folder[] = "/tmp/strata-warm-XXXXXX";
static char path[64], admin[80];

static int start_all(void **state)
{
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/hot", folder);
    (void)snprintf(admin, sizeof admin, "unix:%s/admin", folder);
    return rig_start_server(state);
}

static int stop_all(void **state)
{
    (void)unlink(path);
    (void)unlink(admin + 5);
    (void)rmdir(folder);
    return rig_stop_server(state);
}

static redisReply *redis(const char *command, int i)
{
    redisContext *context = rig_connect(redis_server_socket(rig_server));
    redisReply *reply = redisCommand(context, command, i, i);
    assert_non_null(reply);
    redisFree(context);
    return reply;
}

static int empty(void **state)
{
    (void)state;
    (void)unlink(path);
    freeReplyObject(redis("FLUSHALL", 0));
    return 0;
}

static json_int_t number_in(redisContext *client, const char *object, const char *name)
{
    redisReply *reply = redisCommand(client, "STRATA STATS");
    json_t *document = json_loadb(reply->str, reply->len, 0, NULL);
    assert_non_null(document);
    json_int_t got = json_integer_value(json_object_get(json_object_get(document, object), name));
    json_decref(document);
    freeReplyObject(reply);
    return got;
}

static json_int_t number(redisContext *client, const char *name)
{
    return number_in(client, "l1", name);
}

static void get_all(redisContext *client, int count)
{
    char expected[32];
    for (int i = 0; i < count; i++) {
        (void)snprintf(expected, sizeof expected, "value:%d", i);
        ASSERT_SAYS(client, expected, "GET key:%d", i);
    }
}

static void terminate(struct stratad_process **stratad)
{
    assert_int_equal(stratad_process_terminate(*stratad, 20000), 0);
}

/* Keys in Redis, read through a stratad, which saves them when it ends. */
static void save_keys(int count)
{
    const char *const args[] = {PATIENT, "--hot-file", path, NULL};
    for (int i = 0; i < count; i++)
        freeReplyObject(redis("SET key:%d value:%d", i));
    struct stratad_process *stratad = rig_start(args);
    assert_true(stratad_process_said(stratad, "nothing to warm from"));
    redisContext *client = rig_client(stratad);
    get_all(client, count);
    redisFree(client);
    terminate(&stratad);
    assert_true(stratad_process_said(stratad, "the hot set is saved: "));
    stratad_process_stop(&stratad);
}

static void it_is_warm_before_it_is_ready(void **state)
{
    (void)state;
    const char *const args[] = {PATIENT, "--hot-file", path, NULL};
    save_keys(KEYS);
    struct stratad_process *stratad = rig_start(args); /* it has said that it is ready */
    assert_true(stratad_process_said(stratad, "is ready"));
    assert_true(stratad_process_said(stratad, "warming: 200 keys of "));
    assert_true(stratad_process_said(stratad, "warmed 200 of 200 keys"));
    redisContext *client = rig_client(stratad);
    json_int_t misses = number(client, "misses"), hits = number(client, "hits");
    assert_in_range(number(client, "entries"), KEYS - FEW, KEYS);
    get_all(client, KEYS);
    assert_in_range(number(client, "misses"), misses, misses + FEW);
    assert_in_range(number(client, "hits"), hits + KEYS - FEW, hits + KEYS);
    redisFree(client);
    stratad_process_stop(&stratad);
}

static bool has_new_value(void *arg)
{
    redisReply *reply = redisCommand(arg, "GET key:2");
    bool new = reply != NULL && reply->type == REDIS_REPLY_STRING &&strcmp(reply->str, "new") == 0;
    freeReplyObject(reply);
    return new;
}

static void what_others_wrote_meanwhile_is_what_it_answers(void **state)
{
    (void)state;
    const char *const args[] = {PATIENT, "--hot-file", path, NULL};
    save_keys(10);
    freeReplyObject(redis("SET key:0 changed", 0));
    freeReplyObject(redis("DEL key:1", 0));
    struct stratad_process *stratad = rig_start(args);
    assert_true(stratad_process_said(stratad, "warmed 9 of 10 keys"));
    assert_true(stratad_process_said(stratad, "1 are not in Redis"));
    redisContext *client = rig_client(stratad);
    ASSERT_SAYS(client, "changed", "GET key:0");
    redisReply *reply = redisCommand(client, "GET key:1");
    assert_int_equal(reply->type, REDIS_REPLY_NIL);
    freeReplyObject(reply);
    freeReplyObject(redis("SET key:2 new", 0)); /* what was warmed is tracked */
    assert_true(wait_until(has_new_value, client, 20000));
    redisFree(client);
    stratad_process_stop(&stratad);
}

/* ---- while it is warming ---- */

/* Whether /readyz answers so. */
static bool readyz_says(void *arg)
{
    static const char request[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char text[1024];
    size_t len = 0;
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", admin + 5);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0) {
        for (ssize_t got;
             len + 1 < sizeof text && (got = recv(fd, text + len, sizeof text - 1 - len, 0)) > 0;)
            len += (size_t)got;
    }
    (void)close(fd);
    text[len] = '\0';
    return strstr(text, arg) != NULL;
}

static char *file_bytes(size_t *len)
{
    struct stat found;
    assert_int_equal(stat(path, &found), 0);
    *len = (size_t)found.st_size;
    char *bytes = malloc(*len + 1);
    FILE *file = fopen(path, "rb");
    assert_true(bytes != NULL && file != NULL);
    assert_int_equal(fread(bytes, 1, *len, file), *len);
    (void)fclose(file);
    return bytes;
}

/* One key a second: it is warming for as long as we look. Redis is away at the start, or the rig
 * would wait for it to be ready. */
static void until_then_it_serves_and_is_not_ready(void **state)
{
    (void)state;
    const char *const args[] = {
        "--hot-file",     path,  "--warm-rate", "1", "--warm-timeout", "3600",
        "--admin-listen", admin, NULL};
    save_keys(KEYS);
    size_t before_len, after_len;
    char *before = file_bytes(&before_len);
    redis_server_kill9(rig_server);
    struct stratad_process *stratad = rig_start(args);
    assert_false(stratad_process_said(stratad, "warming:"));
    assert_int_equal(redis_server_restart(rig_server), 0);
    freeReplyObject(redis("SET key:%d value:%d", 0));
    assert_true(stratad_process_says(stratad, "warming: 200 keys of "));
    assert_true(wait_until(readyz_says, (void *)"HTTP/1.1 503", 20000));
    assert_true(wait_until(readyz_says, (void *)"warming\n", 20000));
    redisContext *client = rig_client(stratad);
    get_all(client, 1);
    redisFree(client);
    assert_false(stratad_process_said(stratad, "is ready"));
    /* What it has now is less than what was saved. */
    terminate(&stratad);
    assert_false(stratad_process_said(stratad, "the hot set is saved"));
    stratad_process_stop(&stratad);
    char *after = file_bytes(&after_len);
    assert_int_equal(after_len, before_len);
    assert_memory_equal(after, before, before_len);
    free(after);
    free(before);
}

/* The whole of what is allowed is there for clients, and is told so. */
static void its_own_client_counts_for_none(void **state)
{
    (void)state;
    const char *const args[] = {
        "--hot-file",     path,  "--warm-rate", "1", "--warm-timeout", "3600", "--clients-max", "1",
        "--admin-listen", admin, NULL};
    save_keys(KEYS);
    redis_server_kill9(rig_server);
    struct stratad_process *stratad = rig_start(args);
    assert_int_equal(redis_server_restart(rig_server), 0);
    freeReplyObject(redis("SET key:%d value:%d", 0));
    assert_true(stratad_process_says(stratad, "warming: 200 keys of "));
    assert_true(wait_until(readyz_says, (void *)"warming\n", 20000));
    redisContext *client = rig_client(stratad);
    get_all(client, 1);
    assert_int_equal(number_in(client, "sessions", "open"), 1);
    assert_int_equal(number_in(client, "sessions", "opened"), 1);
    redisContext *second = rig_client(stratad);
    void *refusal = NULL; /* comes unasked */
    assert_int_equal(redisGetReply(second, &refusal), REDIS_OK);
    rig_assert_says(refusal, "ERR max number of clients");
    redisFree(second);
    redisFree(client);
    stratad_process_stop(&stratad);
}

/* Clients that were there before it do not keep it out. */
static void it_is_warmed_where_there_is_room_for_no_more_clients(void **state)
{
    (void)state;
    const char *const args[] = {PATIENT, "--hot-file", path, "--clients-max", "1", NULL};
    save_keys(KEYS);
    redis_server_kill9(rig_server);
    struct stratad_process *stratad = rig_start(args);
    redisContext *client = rig_client(stratad);
    ASSERT_SAYS(client, "PONG", "PING");
    assert_int_equal(redis_server_restart(rig_server), 0);
    for (int i = 0; i < KEYS; i++)
        freeReplyObject(redis("SET key:%d value:%d", i));
    assert_true(stratad_process_says(stratad, "warmed "));
    assert_false(stratad_process_said(stratad, "cut off"));
    redisFree(client);
    stratad_process_stop(&stratad);
}

static void when_the_time_is_over_it_is_ready_without_the_rest(void **state)
{
    (void)state;
    const char *const args[] = {
        "--hot-file",     path,  "--warm-rate", "1", "--warm-timeout", "0.3",
        "--admin-listen", admin, NULL};
    save_keys(KEYS);
    struct stratad_process *stratad = rig_start(args);
    assert_true(stratad_process_said(stratad, "the time for it is over (warm_timeout)"));
    assert_true(stratad_process_said(stratad, "is ready"));
    assert_true(wait_until(readyz_says, (void *)"HTTP/1.1 200", 20000));
    redisContext *client = rig_client(stratad);
    assert_in_range(number(client, "entries"), 0, KEYS / 2);
    get_all(client, KEYS);
    redisFree(client);
    terminate(&stratad);
    assert_true(stratad_process_said(stratad, "the hot set is saved: "));
    stratad_process_stop(&stratad);
}

static void nothing_is_evicted_for_it(void **state)
{
    (void)state;
    const char *const args[] = {PATIENT, "--hot-file", path, "--l1-max-size", "120", NULL};
    save_keys(KEYS);
    struct stratad_process *stratad = rig_start(args);
    assert_true(stratad_process_said(stratad, "; L1 is full"));
    redisContext *client = rig_client(stratad);
    assert_int_equal(number(client, "evictions"), 0);
    assert_in_range(number(client, "entries"), 20, 120);
    redisFree(client);
    stratad_process_stop(&stratad);
}

static void its_own_password_is_no_hindrance(void **state)
{
    (void)state;
    const char *const args[] = {PATIENT, "--hot-file", path, NULL};
    save_keys(20);
    assert_int_equal(setenv("STRATA_PASSWORD", "of a client", 1), 0);
    struct stratad_process *stratad = rig_start(args);
    (void)unsetenv("STRATA_PASSWORD");
    assert_true(stratad_process_said(stratad, "warmed 20 of 20 keys"));
    assert_true(stratad_process_said(stratad, " 0 failed"));
    stratad_process_stop(&stratad);
}

/* ---- files ---- */

static void a_file_that_is_not_ours_is_neither_read_nor_written(void **state)
{
    (void)state;
    const char *const args[] = {PATIENT, "--hot-file", path, NULL};
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("somebody's letters", file);
    (void)fclose(file);
    freeReplyObject(redis("SET key:%d value:%d", 0));
    struct stratad_process *stratad = rig_start(args);
    assert_true(stratad_process_said(stratad, "not a saved hot set; nor is it written over"));
    redisContext *client = rig_client(stratad);
    get_all(client, 1);
    redisFree(client);
    terminate(&stratad);
    assert_false(stratad_process_said(stratad, "the hot set is saved"));
    stratad_process_stop(&stratad);
    size_t len;
    char *bytes = file_bytes(&len);
    assert_int_equal(len, 18);
    assert_memory_equal(bytes, "somebody's letters", 18);
    free(bytes);
}

/* A link to itself: nobody can open it, whatever his rights. It serves, and leaves it alone. */
static void a_file_that_cannot_be_read_is_said_and_left_alone(void **state)
{
    (void)state;
    const char *const args[] = {PATIENT, "--hot-file", path, "--admin-listen", admin, NULL};
    struct stat found;
    assert_int_equal(symlink(path, path), 0);
    freeReplyObject(redis("SET key:%d value:%d", 0));
    struct stratad_process *stratad = rig_start(args);
    assert_true(wait_until(readyz_says, (void *)"HTTP/1.1 200", 20000));
    assert_true(stratad_process_said(stratad, "cannot be opened: Too many levels of symbolic "
                                              "links; nor is it written over: remove it"));
    redisContext *client = rig_client(stratad);
    get_all(client, 1);
    redisFree(client);
    terminate(&stratad);
    assert_false(stratad_process_said(stratad, "the hot set is saved"));
    stratad_process_stop(&stratad);
    assert_int_equal(lstat(path, &found), 0);
    assert_true(S_ISLNK(found.st_mode));
}

static void a_torn_file_warms_up_to_the_tear(void **state)
{
    (void)state;
    const char *const args[] = {PATIENT, "--hot-file", path, NULL};
    save_keys(20);
    size_t len;
    free(file_bytes(&len));
    assert_int_equal(truncate(path, (off_t)len - 1), 0);
    struct stratad_process *stratad = rig_start(args);
    assert_true(stratad_process_said(stratad, "warmed 19 of 20 keys"));
    assert_true(stratad_process_said(stratad, "; the file is torn there"));
    stratad_process_stop(&stratad);
}

static void where_it_cannot_be_saved_it_is_said(void **state)
{
    (void)state;
    const char *const args[] = {PATIENT, "--hot-file", "/nowhere/hot", NULL};
    freeReplyObject(redis("SET key:%d value:%d", 0));
    struct stratad_process *stratad = rig_start(args);
    assert_true(stratad_process_said(
        stratad, "warning daemon: the hot set could not be saved as it is "
                 "now (hot_file): /nowhere/hot: cannot be written: No such file"));
    redisContext *client = rig_client(stratad);
    get_all(client, 1);
    redisFree(client);
    terminate(&stratad);
    assert_true(stratad_process_said(
        stratad, "the hot set is not saved: /nowhere/hot: cannot be written: No such file"));
    stratad_process_stop(&stratad);
}

/* Without having ended: what is in the way is known at the start. */
static void what_is_in_the_way_is_said_at_the_start(void **state)
{
    (void)state;
    char below[80];
    const char *const a_folder[] = {PATIENT, "--hot-file", folder, NULL};
    const char *const no_folder[] = {PATIENT, "--hot-file", below, NULL};
    const char *const fine[] = {PATIENT, "--hot-file", path, NULL};
    struct stratad_process *stratad = rig_start(a_folder);
    assert_true(stratad_process_said(
        stratad, "cannot be opened: Is a directory; nor is it written over: remove it"));
    stratad_process_stop(&stratad);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fclose(file);
    (void)snprintf(below, sizeof below, "%s/hot", path);
    stratad = rig_start(no_folder);
    assert_true(stratad_process_said(stratad, "cannot be opened: Not a directory"));
    stratad_process_stop(&stratad);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody will write it, and nothing waits for that */
    stratad = rig_start(fine);
    assert_true(stratad_process_said(stratad, "cannot be opened: Not a regular file"));
    stratad_process_stop(&stratad);
    assert_int_equal(unlink(path), 0);
    stratad = rig_start(fine);
    assert_false(stratad_process_said(stratad, "cannot be written"));
    assert_int_equal(access(path, F_OK), -1); /* nor is it made */
    stratad_process_stop(&stratad);
}

static void without_l1_there_is_nothing_to_save(void **state)
{
    (void)state;
    char text[1024];
    const char *const args[] = {PATIENT, "--hot-file", path, "--l1-enabled", "false", NULL};
    assert_int_equal(stratad_process_run(args, text, sizeof text), 2);
    assert_non_null(strstr(text, "hot_file: it is what L1 has, and L1 is off"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(it_is_warm_before_it_is_ready, empty),
        cmocka_unit_test_setup(what_others_wrote_meanwhile_is_what_it_answers, empty),
        cmocka_unit_test_setup(until_then_it_serves_and_is_not_ready, empty),
        cmocka_unit_test_setup(its_own_client_counts_for_none, empty),
        cmocka_unit_test_setup(it_is_warmed_where_there_is_room_for_no_more_clients, empty),
        cmocka_unit_test_setup(when_the_time_is_over_it_is_ready_without_the_rest, empty),
        cmocka_unit_test_setup(nothing_is_evicted_for_it, empty),
        cmocka_unit_test_setup(its_own_password_is_no_hindrance, empty),
        cmocka_unit_test_setup(a_file_that_is_not_ours_is_neither_read_nor_written, empty),
        cmocka_unit_test_setup(a_file_that_cannot_be_read_is_said_and_left_alone, empty),
        cmocka_unit_test_setup(a_torn_file_warms_up_to_the_tear, empty),
        cmocka_unit_test_setup(where_it_cannot_be_saved_it_is_said, empty),
        cmocka_unit_test_setup(what_is_in_the_way_is_said_at_the_start, empty),
        cmocka_unit_test_setup(without_l1_there_is_nothing_to_save, empty),
    };
    return cmocka_run_group_tests(tests, start_all, stop_all);
}
