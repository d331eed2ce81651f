/* SPDX-License-Identifier: MIT
 *
 * Ports are drawn from below the range that the kernel gives to outgoing connections: there, a
 * client that reconnects while the server is down could be given the very port it connects to,
 * and then talks to itself.
 */
#include "support/port.h"

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT_FIRST 20000
#define PORT_COUNT 12000

static bool can_bind(const struct addrinfo *address)
{
    int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool is_free = bind(fd, address->ai_addr, address->ai_addrlen) == 0;
    (void)close(fd);
    return is_free;
}

static bool port_is_free(const char *host, int port)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char service[8];
    (void)snprintf(service, sizeof service, "%d", port);
    if (getaddrinfo(host, service, &hints, &found) != 0)
        return false;
    bool is_free = can_bind(found);
    freeaddrinfo(found);
    return is_free;
}

int port_choose(const char *host)
{
    for (int i = 0; i < PORT_COUNT; i++) {
        uint32_t draw = 0;
        (void)getrandom(&draw, sizeof draw, 0);
        int port = PORT_FIRST + (int)(draw % PORT_COUNT);
        if (port_is_free(host, port))
            return port;
    }
    return -1;
}
