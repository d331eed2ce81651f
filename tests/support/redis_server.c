/* SPDX-License-Identifier: MIT
 *
 * Private Redis servers for tests.
 *
 * Ports are drawn from below the range that the kernel gives to outgoing connections: there, a
 * client that reconnects while the server is down could be given the very port it connects to,
 * and then talks to itself. Another process may still take a port between the look and the
 * start; then redis-server ends at once and the next port is tried.
 */
#include "support/redis_server.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/child.h"
#include "support/wait.h"

#define PORT_FIRST      20000
#define PORT_COUNT      12000
#define PORT_TRIES      20
#define ARGS_MAX        64
#define READY_MS        20000 /* sanitizers and a busy machine included */
#define SOCKET_PATH_CAP 100   /* of 108 in sockaddr_un */

struct redis_server {
    struct child child;
    int port;
    const char *args[ARGS_MAX];
    char folder[64];
    char socket[SOCKET_PATH_CAP];
    char log[SOCKET_PATH_CAP];
    char url[64];
    char port_text[8];
};

static bool port_is_free(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool is_free = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    (void)close(fd);
    return is_free;
}

static int choose_port(void)
{
    for (int i = 0; i < PORT_COUNT; i++) {
        uint32_t draw = 0;
        (void)getrandom(&draw, sizeof draw, 0);
        int port = PORT_FIRST + (int)(draw % PORT_COUNT);
        if (port_is_free(port))
            return port;
    }
    return -1;
}

/* Any answer will do, an error too (a password may be wanted), but not "still loading". */
static bool answers(const char *socket)
{
    const struct timeval patience = {.tv_sec = 1};
    bool yes = false;
    redisContext *redis = redisConnectUnixWithTimeout(socket, patience);
    if (redis != NULL && redis->err == 0) {
        (void)redisSetTimeout(redis, patience);
        redisReply *reply = redisCommand(redis, "PING");
        yes = reply != NULL && strncmp(reply->str, "LOADING", 7) != 0;
        freeReplyObject(reply);
    }
    if (redis != NULL)
        redisFree(redis);
    return yes;
}

static bool ready_or_ended(void *arg)
{
    struct redis_server *server = arg;
    return !child_is_running(&server->child) || answers(server->socket);
}

/* Looks through what the server printed for `text`, and prints it on the way where `echo`. */
static bool log_has(const struct redis_server *server, const char *text, bool echo)
{
    bool found = false;
    char line[512];
    FILE *log = fopen(server->log, "r");
    while (log != NULL && fgets(line, sizeof line, log) != NULL) {
        found = found || strstr(line, text) != NULL;
        if (echo)
            (void)fprintf(stderr, "redis-server: %s", line);
    }
    if (log != NULL)
        (void)fclose(log);
    return found;
}

/* One attempt on server->port: 0, 1 where the port is taken, else -1. */
static int launch(struct redis_server *server)
{
    (void)snprintf(server->port_text, sizeof server->port_text, "%d", server->port);
    (void)snprintf(server->url, sizeof server->url, "redis://127.0.0.1:%d/0", server->port);
    (void)unlink(server->log);
    if (child_start(&server->child, server->args, server->log) != 0)
        return -1;
    bool in_time = wait_until(ready_or_ended, server, READY_MS);
    if (!child_is_running(&server->child))
        return log_has(server, "Address already in use", false) ? 1 : -1;
    if (in_time)
        return 0;
    child_kill(&server->child);
    (void)fprintf(stderr, "redis-server does not answer on %s\n", server->socket);
    return -1;
}

static void print_log(const struct redis_server *server)
{
    (void)log_has(server, "", true);
}

static int build_args(struct redis_server *server, const char *const *extra_args)
{
    const char *const fixed[] = {
        "redis-server",
        "--port",
        server->port_text,
        "--bind",
        "127.0.0.1",
        "--unixsocket",
        server->socket,
        "--dir",
        server->folder,
        "--save",
        "",
        "--appendonly",
        "no",
        "--daemonize",
        "no",
        "--loglevel",
        "warning",
    };
    size_t count = sizeof fixed / sizeof fixed[0];
    memcpy(server->args, fixed, sizeof fixed);
    for (; extra_args != NULL && *extra_args != NULL; extra_args++) {
        if (count == ARGS_MAX - 1) {
            (void)fprintf(stderr, "too many arguments for redis-server\n");
            return -1;
        }
        server->args[count++] = *extra_args;
    }
    server->args[count] = NULL;
    return 0;
}

static int make_folder(struct redis_server *server)
{
    const char *parent = getenv("TMPDIR");
    if (parent == NULL || strlen(parent) > 32) /* a socket's path is short */
        parent = "/tmp";
    (void)snprintf(server->folder, sizeof server->folder, "%s/strata-redis-XXXXXX", parent);
    if (mkdtemp(server->folder) == NULL) {
        perror(server->folder);
        server->folder[0] = '\0';
        return -1;
    }
    (void)snprintf(server->socket, sizeof server->socket, "%s/redis.sock", server->folder);
    (void)snprintf(server->log, sizeof server->log, "%s/redis.log", server->folder);
    return 0;
}

int redis_server_start(struct redis_server **out, const char *const *extra_args)
{
    int result = 1;
    struct redis_server *server = calloc(1, sizeof *server);
    if (server == NULL || make_folder(server) != 0 || build_args(server, extra_args) != 0) {
        redis_server_stop(&server);
        return -1;
    }
    for (int i = 0; i < PORT_TRIES && result == 1; i++) {
        server->port = choose_port();
        result = server->port < 0 ? -1 : launch(server);
    }
    if (result != 0) {
        print_log(server);
        redis_server_stop(&server);
        return -1;
    }
    *out = server;
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    (void)remove(path);
    return 0;
}

void redis_server_stop(struct redis_server **server)
{
    if (*server == NULL)
        return;
    child_kill(&(*server)->child);
    if ((*server)->folder[0] != '\0')
        (void)nftw((*server)->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(*server);
    *server = NULL;
}

const char *redis_server_socket(const struct redis_server *server)
{
    return server->socket;
}

int redis_server_port(const struct redis_server *server)
{
    return server->port;
}

const char *redis_server_url(const struct redis_server *server)
{
    return server->url;
}

pid_t redis_server_pid(const struct redis_server *server)
{
    return server->child.pid;
}

void redis_server_kill9(struct redis_server *server)
{
    child_kill(&server->child);
}

void redis_server_freeze(struct redis_server *server)
{
    child_signal(&server->child, SIGSTOP);
}

void redis_server_thaw(struct redis_server *server)
{
    child_signal(&server->child, SIGCONT);
}

int redis_server_restart(struct redis_server *server)
{
    int result = 1;
    child_kill(&server->child);
    for (int i = 0; i < PORT_TRIES && result == 1; i++)
        result = launch(server);
    if (result != 0)
        print_log(server);
    return result == 0 ? 0 : -1;
}
