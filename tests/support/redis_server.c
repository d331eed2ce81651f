/* SPDX-License-Identifier: MIT
 *
 * Private Redis servers for tests. Another process may take a port between the look and the
 * start; then redis-server ends at once and the next port is tried.
 */
#include "support/redis_server.h"

#include <ftw.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/child.h"
#include "support/port.h"
#include "support/wait.h"

#define PORT_TRIES      20
#define ARGS_MAX        96
#define READY_MS        20000 /* sanitizers and a busy machine included */
#define SOCKET_PATH_CAP 100   /* of 108 in sockaddr_un */

struct redis_server {
    struct child child;
    int port;
    const char *args[ARGS_MAX];
    size_t arg_count;
    char folder[64];
    char socket[SOCKET_PATH_CAP];
    char log[SOCKET_PATH_CAP];
    char url[64];
    char port_text[8];
};

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

int redis_server_spawn(struct redis_server *server)
{
    (void)snprintf(server->port_text, sizeof server->port_text, "%d", server->port);
    (void)snprintf(server->url, sizeof server->url, "redis://127.0.0.1:%d/0", server->port);
    (void)unlink(server->log);
    return child_start(&server->child, server->args, server->log);
}

int redis_server_await(struct redis_server *server)
{
    bool in_time = wait_until(ready_or_ended, server, READY_MS);
    if (!child_is_running(&server->child))
        return log_has(server, "Address already in use", false) ? 1 : -1;
    if (in_time)
        return 0;
    child_kill(&server->child);
    (void)fprintf(stderr, "redis-server does not answer on %s\n", server->socket);
    return -1;
}

/* One attempt on server->port: 0, 1 where the port is taken, else -1. */
static int launch(struct redis_server *server)
{
    return redis_server_spawn(server) == 0 ? redis_server_await(server) : -1;
}

void redis_server_print_log(const struct redis_server *server)
{
    (void)log_has(server, "", true);
}

static void build_args(struct redis_server *server)
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
    memcpy(server->args, fixed, sizeof fixed);
    server->arg_count = sizeof fixed / sizeof fixed[0];
}

int redis_server_add_args(struct redis_server *server, const char *const *args)
{
    for (; args != NULL && *args != NULL; args++) {
        if (server->arg_count == ARGS_MAX - 1) {
            (void)fprintf(stderr, "too many arguments for redis-server\n");
            return -1;
        }
        server->args[server->arg_count++] = *args;
    }
    server->args[server->arg_count] = NULL;
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

int redis_server_create(struct redis_server **out)
{
    struct redis_server *server = calloc(1, sizeof *server);
    if (server == NULL || make_folder(server) != 0) {
        redis_server_stop(&server);
        return -1;
    }
    build_args(server);
    *out = server;
    return 0;
}

void redis_server_set_port(struct redis_server *server, int port)
{
    server->port = port;
}

int redis_server_start(struct redis_server **out, const char *const *extra_args)
{
    int result = 1;
    struct redis_server *server = NULL;
    if (redis_server_create(&server) != 0 || redis_server_add_args(server, extra_args) != 0) {
        redis_server_stop(&server);
        return -1;
    }
    for (int i = 0; i < PORT_TRIES && result == 1; i++) {
        redis_server_set_port(server, port_choose("127.0.0.1"));
        result = server->port > 0 ? launch(server) : -1;
    }
    if (result != 0) {
        redis_server_print_log(server);
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

const char *redis_server_folder(const struct redis_server *server)
{
    return server->folder;
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
        redis_server_print_log(server);
    return result == 0 ? 0 : -1;
}
