/* SPDX-License-Identifier: MIT
 *
 * A proxy before a Redis that passes everything on, but takes RESP3 pushes out of what the server
 * sends while it is told to: as one that knows requests and replies, and thinks that there is
 * nothing else. It runs on a thread of its own. Calls fail the process where the system fails.
 */
#ifndef TEST_PUSH_THIEF_H
#define TEST_PUSH_THIEF_H

#include <stdbool.h>
#include <stdint.h>

struct push_thief;

/* Before a server on this loopback port. */
struct push_thief *push_thief_start(int port);
void push_thief_stop(struct push_thief **thief);

int push_thief_port(const struct push_thief *thief);

/* From any thread. Who has lost a push gets none any more, also when stealing has ended: one that
 * loses some and passes the canary's is not noticed by anybody (docs/GUARANTEES.md). */
void push_thief_steal(struct push_thief *thief, bool steal);
uint64_t push_thief_stolen(struct push_thief *thief);

/* What the server sends to the n-th open connection, in the order in which they came, is kept until
 * it is let go; stealing goes on. How many frames are kept now. */
void push_thief_hold(struct push_thief *thief, unsigned connection, bool hold);
unsigned push_thief_held(const struct push_thief *thief, unsigned connection);

#endif
