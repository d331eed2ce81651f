/* SPDX-License-Identifier: MIT
 *
 * Resolving and connecting, with a deadline.
 */
#include "cli/resp_connect.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/error.h"

bool cli_resp_wait(int fd, short events, uint64_t deadline_ms)
{
    for (;;) {
        uint64_t now_ms = sta_clock_now_ms();
        uint64_t left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
        struct pollfd entry = {.fd = fd, .events = events};
        int count = poll(&entry, 1, left_ms < INT_MAX ? (int)left_ms : INT_MAX);
        if (count > 0 || (count < 0 && errno != EINTR))
            return true; /* what is wrong with the socket, the next call on it says */
        if (count == 0 && left_ms < INT_MAX)
            return false;
    }
}

static int refused(const struct sta_endpoint *endpoint, const char *why, struct strata_error *error)
{
    char name[300];
    sta_endpoint_format(endpoint, name, sizeof name);
    return sta_error_set(error, STRATA_ERR_UNAVAILABLE, "cannot connect to %s: %s", name, why);
}

/* A connected socket, or -1 and errno. */
static int connect_address(const struct sockaddr *address, socklen_t len, uint64_t deadline_ms)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int result = connect(fd, address, len) == 0 ? 0 : errno;
    if (result == EINPROGRESS) {
        socklen_t size = sizeof result;
        if (!cli_resp_wait(fd, POLLOUT, deadline_ms))
            result = ETIMEDOUT;
        else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &size) < 0)
            result = errno;
    }
    if (result == 0)
        return fd;
    (void)close(fd);
    errno = result;
    return -1;
}

static int connect_unix(const struct sta_endpoint *endpoint, uint64_t deadline_ms)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(endpoint->address) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, endpoint->address, strlen(endpoint->address) + 1);
    return connect_address((const struct sockaddr *)&address, sizeof address, deadline_ms);
}

static int connect_tcp(const struct sta_endpoint *endpoint, uint64_t deadline_ms, int *fd,
                       struct strata_error *error)
{
    char port[8];
    (void)snprintf(port, sizeof port, "%u", (unsigned)endpoint->port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    int result = getaddrinfo(endpoint->address, port, &hints, &found);
    if (result != 0)
        return refused(endpoint, gai_strerror(result), error);
    int socket_fd = -1;
    for (struct addrinfo *at = found; at != NULL && socket_fd < 0; at = at->ai_next)
        socket_fd = connect_address(at->ai_addr, at->ai_addrlen, deadline_ms);
    int failed = errno;
    freeaddrinfo(found);
    if (socket_fd < 0)
        return refused(endpoint, strerror(failed), error);
    int on = 1;
    (void)setsockopt(socket_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *fd = socket_fd;
    return STRATA_OK;
}

int cli_resp_connect(const struct sta_endpoint *endpoint, uint64_t timeout_ms, int *fd,
                     struct strata_error *error)
{
    uint64_t deadline_ms = sta_clock_after(sta_clock_now_ms(), timeout_ms);
    if (endpoint->kind == STA_ENDPOINT_TCP)
        return connect_tcp(endpoint, deadline_ms, fd, error);
    int socket_fd = connect_unix(endpoint, deadline_ms);
    if (socket_fd < 0)
        return refused(endpoint, strerror(errno), error);
    *fd = socket_fd;
    return STRATA_OK;
}
