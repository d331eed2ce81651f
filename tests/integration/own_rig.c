/* SPDX-License-Identifier: MIT
 *
 * See own_rig.h.
 */
#include "integration/own_rig.h"

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
#include <unistd.h>

#include "support/wait.h"

redisContext *direct_client(void)
{
    return rig_connect(redis_server_socket(rig_server));
}

/* ---- plain sockets ---- */

void say(int fd, const char *lines)
{
    char *wire = malloc(2 * strlen(lines) + 1);
    size_t len = 0;
    assert_non_null(wire);
    for (; *lines != '\0'; lines++) {
        if (*lines == '\n')
            wire[len++] = '\r';
        wire[len++] = *lines;
    }
    rig_send(fd, wire, len);
    free(wire);
}

void expect(int fd, const char *lines)
{
    char got[4096], wanted[4096];
    size_t len = 0, have = 0;
    for (const char *at = lines; *at != '\0'; at++) {
        if (*at == '\n')
            wanted[len++] = '\r';
        wanted[len++] = *at;
    }
    wanted[len] = '\0';
    while (have < len) {
        ssize_t count = recv(fd, got + have, len - have, 0);
        assert_true(count > 0);
        have += (size_t)count;
        got[have] = '\0';
        if (memcmp(got, wanted, have) != 0)
            assert_string_equal(got, wanted);
    }
}

void expect_until(int fd, const char *end)
{
    char got[1024];
    size_t len = 0, wanted = strlen(end);
    do {
        assert_true(len < sizeof got);
        assert_int_equal(recv(fd, got + len, 1, 0), 1);
        len++;
    } while (len < wanted || memcmp(got + len - wanted, end, wanted) != 0);
}

void expect_closed(int fd)
{
    size_t len;
    char *rest = rig_read_to_end(fd, &len);
    assert_string_equal(rest, "");
    free(rest);
    (void)close(fd);
}

/* ---- what Redis and stratad say of themselves ---- */

long long own_number(redisContext *client, const char *name)
{
    redisReply *reply = redisCommand(client, "STRATA STATS");
    assert_non_null(reply);
    json_t *root = json_loads(reply->str, 0, NULL);
    json_t *number = json_object_get(json_object_get(root, "own_connections"), name);
    assert_true(json_is_integer(number));
    json_int_t value = json_integer_value(number);
    json_decref(root);
    freeReplyObject(reply);
    return value;
}

static bool info_is(void *arg)
{
    const struct fact *fact = arg;
    char field[64];
    redisReply *reply = redisCommand(fact->client, "INFO clients");
    assert_non_null(reply);
    (void)snprintf(field, sizeof field, "%s:%ld\r", fact->name, fact->wanted);
    bool is = strstr(reply->str, field) != NULL;
    freeReplyObject(reply);
    return is;
}

void wait_for_blocked(redisContext *direct, long clients)
{
    struct fact fact = {direct, "blocked_clients", clients};
    assert_true(wait_until(info_is, &fact, OWN_RIG_PATIENCE_MS));
}

static bool subscribers_are(void *arg)
{
    const struct fact *fact = arg;
    redisReply *reply = redisCommand(fact->client, "PUBSUB NUMSUB %s", fact->name);
    assert_non_null(reply);
    bool is = reply->element[1]->integer == fact->wanted;
    freeReplyObject(reply);
    return is;
}

void wait_for_subscribers(redisContext *direct, const char *channel, long clients)
{
    struct fact fact = {direct, channel, clients};
    assert_true(wait_until(subscribers_are, &fact, OWN_RIG_PATIENCE_MS));
}

bool own_is(void *arg)
{
    const struct fact *fact = arg;
    return own_number(fact->client, fact->name) == fact->wanted;
}

bool answers_ok(void *arg)
{
    redisReply *reply = redisCommand(arg, "SET is:back yes");
    bool ok = reply != NULL && reply->str != NULL && strcmp(reply->str, "OK") == 0;
    freeReplyObject(reply);
    return ok;
}
