/* SPDX-License-Identifier: MIT
 *
 * A connection to a test's Redis that shows bytes as they come, in either protocol: for tests of
 * what a server really sends. Failures fail the test.
 */
#ifndef TEST_RAW_REDIS_H
#define TEST_RAW_REDIS_H

#include <stdbool.h>

#include "core/buffer.h"
#include "strata/bytes.h"

struct raw_redis;

/* Connects to the unix socket and, for protocol 3, greets with HELLO 3. */
struct raw_redis *raw_redis_connect(const char *path, int protocol);
void raw_redis_close(struct raw_redis **redis);

/* Sends bytes as they are. */
void raw_redis_send(struct raw_redis *redis, struct strata_bytes bytes);

/* Says that no more will be sent; what was sent is still answered. */
void raw_redis_finish(struct raw_redis *redis);

/* Appends the next frame to `frame`, waiting 5 s at most; false where the server closed. */
bool raw_redis_receive(struct raw_redis *redis, struct sta_buffer *frame);

/* Sends `line` (split like an inline command) as an array of bulks and receives its reply. */
void raw_redis_call(struct raw_redis *redis, const char *line, struct sta_buffer *frame);

#endif
