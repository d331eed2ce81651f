/* SPDX-License-Identifier: MIT
 *
 * A private Redis for a test: Debian's redis-server, found in PATH, in a temporary folder of its
 * own, listening on a unix socket there and on a free loopback port, without persistence. It
 * dies with the test (support/child.h) and its folder goes with stop().
 * hiredis is linked with every test: an independent client, to look at what is really stored.
 */
#ifndef TEST_REDIS_SERVER_H
#define TEST_REDIS_SERVER_H

#include <sys/types.h>

struct redis_server;

/* Starts one and waits until it answers. `extra_args` (may be NULL; ends with NULL) are added to
 * its command line: {"--requirepass", "secret", NULL}. 0, or -1 with the reason on stderr. */
int redis_server_start(struct redis_server **out, const char *const *extra_args);

/* Ends it and removes its folder. NULL is fine. */
void redis_server_stop(struct redis_server **server);

const char *redis_server_socket(const struct redis_server *server); /* the path */
int redis_server_port(const struct redis_server *server);           /* on 127.0.0.1 */
const char *redis_server_url(const struct redis_server *server);    /* redis://127.0.0.1:port/0 */
pid_t redis_server_pid(const struct redis_server *server);          /* 0 after kill9() */

/* Kills it as a crash would; its data is gone. */
void redis_server_kill9(struct redis_server *server);

/* Stops it where it stands, with its connections open and silent, and lets it go on. */
void redis_server_freeze(struct redis_server *server);
void redis_server_thaw(struct redis_server *server);

/* Kills it where it still runs and starts an empty one on the same socket and port. 0 or -1. */
int redis_server_restart(struct redis_server *server);

/* ---- the same in steps, for who arranges several (redis_cluster.c) ---- */

/* Its folder and its sockets' names; nothing runs, and it has no port yet. */
int redis_server_create(struct redis_server **out);

void redis_server_set_port(struct redis_server *server, int port);

/* More of its command line, borrowed until stop(); what comes later wins. 0 or -1. */
int redis_server_add_args(struct redis_server *server, const char *const *args);

/* Starts the process: 0 or -1. */
int redis_server_spawn(struct redis_server *server);

/* Waits until it answers: 0, 1 where it ended because its port is taken, else -1. */
int redis_server_await(struct redis_server *server);

/* What it printed, to stderr. */
void redis_server_print_log(const struct redis_server *server);

const char *redis_server_folder(const struct redis_server *server);

#endif
