/* SPDX-License-Identifier: MIT
 *
 * What the tests of stratad share: one Redis for a program, daemons before it, clients of these,
 * and what they are expected to be told.
 */
#ifndef TEST_STRATAD_RIG_H
#define TEST_STRATAD_RIG_H

#include <hiredis/hiredis.h>

#include "support/redis_server.h"
#include "support/stratad_process.h"

/* Group fixtures: the program's Redis. */
extern struct redis_server *rig_server;
int rig_start_server(void **state);
int rig_stop_server(void **state);

/* A daemon before it. */
struct stratad_process *rig_start(const char *const *args);

/* Clients by hiredis, which wait 20 s for a reply. */
redisContext *rig_connect(const char *path);
redisContext *rig_client(const struct stratad_process *stratad);

/* The reply's text begins with `expected`; frees it. */
void rig_assert_says(redisReply *reply, const char *expected);
#define ASSERT_SAYS(context, expected, ...)                                                        \
    rig_assert_says(redisCommand(context, __VA_ARGS__), expected)

/* Plain sockets over TCP, with the same patience. */
int rig_socket(const struct stratad_process *stratad);
void rig_send(int fd, const char *bytes, size_t len);

/* Reads until the peer closes, which it must do without an error; to be freed. */
char *rig_read_to_end(int fd, size_t *len);

#endif
