/* SPDX-License-Identifier: MIT */
#include "integration/raw_redis.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "resp/resp.h"
#include "strata/status.h"

struct raw_redis {
    int fd;
    struct sta_buffer in;
    struct sta_resp_framer framer;
};

struct raw_redis *raw_redis_connect(const char *path, int protocol)
{
    struct raw_redis *redis = calloc(1, sizeof(*redis));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval limit = {.tv_sec = 5};
    assert_non_null(redis);
    sta_buffer_init(&redis->in, 64u << 20);
    redis->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(connect(redis->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(setsockopt(redis->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    if (protocol == 3) {
        struct sta_buffer hello;
        sta_buffer_init(&hello, 65536);
        raw_redis_call(redis, "HELLO 3", &hello);
        assert_int_equal(*(const char *)sta_buffer_bytes(&hello).data, '%');
        sta_buffer_fini(&hello);
    }
    return redis;
}

void raw_redis_close(struct raw_redis **redis)
{
    if (*redis == NULL)
        return;
    close((*redis)->fd);
    sta_buffer_fini(&(*redis)->in);
    free(*redis);
    *redis = NULL;
}

void raw_redis_send(struct raw_redis *redis, struct strata_bytes bytes)
{
    const char *at = bytes.data;
    for (size_t sent = 0; sent < bytes.len;) {
        ssize_t count = send(redis->fd, at + sent, bytes.len - sent, MSG_NOSIGNAL);
        if (count < 0 && errno == EPIPE)
            return; /* it has closed; its last words are still to be received */
        assert_true(count > 0);
        sent += (size_t)count;
    }
}

void raw_redis_finish(struct raw_redis *redis)
{
    shutdown(redis->fd, SHUT_WR); /* fails where the server was first to close */
}

bool raw_redis_receive(struct raw_redis *redis, struct sta_buffer *frame)
{
    for (;;) {
        struct strata_bytes bytes = sta_buffer_bytes(&redis->in);
        const char *reason = NULL;
        size_t len = 0;
        int status = sta_resp_frame(&redis->framer, &sta_resp_reply_limits, bytes, &len, &reason);
        if (status == STRATA_OK) {
            assert_int_equal(sta_buffer_append(frame, strata_bytes(bytes.data, len)), STRATA_OK);
            sta_buffer_consume(&redis->in, len);
            return true;
        }
        if (status < 0)
            fail_msg("%s", reason);
        assert_int_equal(sta_buffer_reserve(&redis->in, 65536), STRATA_OK);
        ssize_t count = recv(redis->fd, sta_buffer_end(&redis->in), 65536, 0);
        if (count == 0 || (count < 0 && errno == ECONNRESET))
            return false;
        assert_true(count > 0);
        sta_buffer_advance(&redis->in, (size_t)count);
    }
}

void raw_redis_call(struct raw_redis *redis, const char *line, struct sta_buffer *frame)
{
    struct strata_bytes argv[64];
    uint8_t *scratch = malloc(strlen(line) + 1);
    struct sta_buffer wire;
    size_t argc = 0;
    sta_buffer_init(&wire, 1u << 20);
    assert_int_equal(sta_resp_request_count(strata_text(line), &argc), STRATA_OK);
    assert_true(argc <= 64);
    assert_int_equal(sta_resp_request_args(strata_text(line), argv, argc, scratch), STRATA_OK);
    assert_int_equal(sta_resp_write_command(&wire, argv, argc), STRATA_OK);
    raw_redis_send(redis, sta_buffer_bytes(&wire));
    assert_true(raw_redis_receive(redis, frame));
    sta_buffer_fini(&wire);
    free(scratch);
}
