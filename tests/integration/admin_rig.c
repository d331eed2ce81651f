/* SPDX-License-Identifier: MIT
 *
 * See admin_rig.h.
 */
#include "integration/admin_rig.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/port.h"

/* Somebody else may have taken the port meanwhile. */
void admin_rig_start_with(struct admin_daemon *daemon, const char *redis_url,
                          const char *l1_enabled)
{
    char address[64];
    const char *const args[] = {"--admin-listen",
                                address,
                                "--l1-enabled",
                                l1_enabled,
                                "--metrics-detailed",
                                "true",
                                "--socket-timeout",
                                "1.2",
                                "--workers",
                                "2",
                                NULL};
    for (int i = 0; i < 5; i++) {
        daemon->port = port_choose("127.0.0.1");
        assert_true(daemon->port > 0);
        (void)snprintf(address, sizeof address, "127.0.0.1:%d", daemon->port);
        if (stratad_process_start(&daemon->stratad, redis_url, args) == 0)
            return;
    }
    fail_msg("stratad does not start");
}

void admin_rig_start(struct admin_daemon *daemon, const char *redis_url)
{
    admin_rig_start_with(daemon, redis_url, "true");
}

int admin_rig_ask(int port, const char *bytes, size_t len)
{
    const struct timeval patience = {.tv_sec = 30};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        (void)close(fd);
        return -1;
    }
    (void)send(fd, bytes, len, MSG_NOSIGNAL);
    return fd;
}

char *admin_rig_read_all(int fd)
{
    size_t len = 0, cap = (size_t)1 << 20;
    char *text = malloc(cap);
    assert_non_null(text);
    for (ssize_t got; len + 1 < cap && (got = recv(fd, text + len, cap - 1 - len, 0)) > 0;)
        len += (size_t)got;
    text[len] = '\0';
    (void)close(fd);
    return text;
}

char *admin_rig_exchange(int port, const char *request)
{
    int fd = admin_rig_ask(port, request, strlen(request));
    assert_true(fd >= 0);
    return admin_rig_read_all(fd);
}

int admin_rig_status_of(const char *answer)
{
    int status = 0;
    (void)sscanf(answer, "HTTP/1.1 %d ", &status);
    return status;
}

int admin_rig_status(int port, const char *request)
{
    char *answer = admin_rig_exchange(port, request);
    int code = admin_rig_status_of(answer);
    free(answer);
    return code;
}

char *admin_rig_page(int port, const char *path, int expected)
{
    char request[256];
    (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    char *answer = admin_rig_exchange(port, request);
    if (admin_rig_status_of(answer) != expected)
        fail_msg("%s: %s", path, answer);
    char *body = strstr(answer, "\r\n\r\n");
    assert_non_null(body);
    char *copy = strdup(body + 4);
    free(answer);
    return copy;
}

void admin_rig_assert_page_has(int port, const char *path, int expected, const char *text)
{
    char *body = admin_rig_page(port, path, expected);
    if (strstr(body, text) == NULL)
        fail_msg("%s has no %s:\n%s", path, text, body);
    free(body);
}
