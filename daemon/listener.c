/* SPDX-License-Identifier: MIT
 *
 * Sockets that wait for clients, over TCP and unix paths.
 */
#include "daemon/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/error.h"
#include "net/endpoint.h"

#define BACKLOG      4096
#define SOCKET_FLAGS (SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)

static int fail(struct strata_error *error, const char *address, const char *why)
{
    return sta_error_set(error, STRATA_ERR_SYSTEM, "cannot listen on %s: %s", address, why);
}

static int fail_errno(struct strata_error *error, const char *address, int number)
{
    if (number == EADDRINUSE)
        return fail(error, address, "another process listens there");
    return fail(error, address, strerror(number));
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

/* Reads back what the kernel made of it: the port, where 0 was asked for. */
static int tcp_describe(struct sta_listener *listener)
{
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    struct sta_endpoint endpoint = {.kind = STA_ENDPOINT_TCP};
    char port[8];
    if (getsockname(listener->fd, (struct sockaddr *)&bound, &len) < 0 ||
        getnameinfo((struct sockaddr *)&bound, len, endpoint.address, sizeof endpoint.address, port,
                    sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return -1;
    endpoint.port = ntohs(bound.ss_family == AF_INET ? ((struct sockaddr_in *)&bound)->sin_port
                                                     : ((struct sockaddr_in6 *)&bound)->sin6_port);
    sta_endpoint_format(&endpoint, listener->address, sizeof listener->address);
    listener->exposed = !is_loopback((struct sockaddr *)&bound);
    return 0;
}

static int tcp_bind(struct sta_listener *listener, const struct addrinfo *where)
{
    const int on = 1;
    listener->fd = socket(where->ai_family, SOCKET_FLAGS, 0);
    if (listener->fd < 0)
        return -1;
    if (setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(listener->fd, where->ai_addr, where->ai_addrlen) == 0 &&
        listen(listener->fd, BACKLOG) == 0 && tcp_describe(listener) == 0)
        return 0;
    int number = errno;
    (void)close(listener->fd);
    errno = number;
    return -1;
}

static int tcp_open(struct sta_listener *listener, const struct sta_endpoint *endpoint,
                    const char *address, struct strata_error *error)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char port[8];
    (void)snprintf(port, sizeof port, "%u", endpoint->port);
    int failed = getaddrinfo(endpoint->address, port, &hints, &found);
    if (failed != 0)
        return fail(error, address, gai_strerror(failed));
    int status = tcp_bind(listener, found) == 0 ? STRATA_OK : fail_errno(error, address, errno);
    freeaddrinfo(found);
    return status;
}

/* Whether the path is a socket that its listener has left behind. */
static bool is_left_behind(const struct sockaddr_un *path)
{
    struct stat found;
    if (lstat(path->sun_path, &found) < 0 || !S_ISSOCK(found.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCKET_FLAGS, 0);
    if (fd < 0)
        return false;
    bool refused =
        connect(fd, (const struct sockaddr *)path, sizeof *path) < 0 && errno == ECONNREFUSED;
    (void)close(fd);
    return refused;
}

static int unix_open(struct sta_listener *listener, const struct sta_endpoint *endpoint,
                     const char *address, struct strata_error *error)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    memcpy(path.sun_path, endpoint->address, strnlen(endpoint->address, sizeof path.sun_path - 1));
    if (is_left_behind(&path))
        (void)unlink(path.sun_path);
    listener->fd = socket(AF_UNIX, SOCKET_FLAGS, 0);
    if (listener->fd < 0)
        return fail_errno(error, address, errno);
    if (bind(listener->fd, (struct sockaddr *)&path, sizeof path) < 0) {
        int status = fail_errno(error, address, errno);
        (void)close(listener->fd);
        return status;
    }
    (void)snprintf(listener->unlink_path, sizeof listener->unlink_path, "%s", path.sun_path);
    if (listen(listener->fd, BACKLOG) < 0) {
        int status = fail_errno(error, address, errno);
        sta_listener_close(listener);
        return status;
    }
    sta_endpoint_format(endpoint, listener->address, sizeof listener->address);
    return STRATA_OK;
}

int sta_listener_open(struct sta_listener *out, const char *address, struct strata_error *error)
{
    struct sta_endpoint endpoint;
    struct sta_listener listener = {.fd = -1};
    const char *reason;
    if (sta_endpoint_parse(address, &endpoint, &reason) < 0)
        return sta_error_set(error, STRATA_ERR_INVALID, "cannot listen on \"%s\": %s", address,
                             reason);
    int status = endpoint.kind == STA_ENDPOINT_UNIX
                     ? unix_open(&listener, &endpoint, address, error)
                     : tcp_open(&listener, &endpoint, address, error);
    if (status == STRATA_OK)
        *out = listener;
    return status;
}

void sta_listener_close(struct sta_listener *listener)
{
    if (listener->unlink_path[0] != '\0')
        (void)unlink(listener->unlink_path);
    listener->unlink_path[0] = '\0';
    if (listener->fd >= 0)
        (void)close(listener->fd);
    listener->fd = -1;
}
