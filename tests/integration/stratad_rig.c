/* SPDX-License-Identifier: MIT */
#include "integration/stratad_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct redis_server *rig_server;

int rig_start_server(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN); /* hiredis writes to whoever has closed */
    return redis_server_start(&rig_server, NULL);
}

int rig_stop_server(void **state)
{
    (void)state;
    redis_server_stop(&rig_server);
    return 0;
}

struct stratad_process *rig_start(const char *const *args)
{
    struct stratad_process *stratad = NULL;
    assert_int_equal(stratad_process_start(&stratad, redis_server_url(rig_server), args), 0);
    return stratad;
}

redisContext *rig_connect(const char *path)
{
    const struct timeval patience = {.tv_sec = 20};
    redisContext *context = redisConnectUnix(path);
    assert_non_null(context);
    assert_int_equal(context->err, 0);
    assert_int_equal(redisSetTimeout(context, patience), REDIS_OK);
    return context;
}

redisContext *rig_client(const struct stratad_process *stratad)
{
    return rig_connect(stratad_process_socket(stratad));
}

/* The reply's text begins with `expected`. */
void rig_assert_says(redisReply *reply, const char *expected)
{
    assert_non_null(reply);
    assert_non_null(reply->str);
    if (strncmp(reply->str, expected, strlen(expected)) != 0)
        fail_msg("\"%s\", not \"%s\"", reply->str, expected);
    freeReplyObject(reply);
}

int rig_socket(const struct stratad_process *stratad)
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

void rig_send(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        assert_true(sent > 0);
        bytes += sent;
        len -= (size_t)sent;
    }
}

/* Reads until the peer closes; to be freed. */
char *rig_read_to_end(int fd, size_t *len)
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
