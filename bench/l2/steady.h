/* SPDX-License-Identifier: MIT
 *
 * A server that speaks as much of Redis' protocol as a get needs, with a thread for each
 * connection and its answers ready: whoever fetches a large value holds nobody else up there. What
 * a small get beside it feels is then the client's own doing.
 */
#ifndef BENCH_L2_STEADY_H
#define BENCH_L2_STEADY_H

#include <stddef.h>
#include <sys/types.h>

/* A process of its own, which listens on the unix socket `path`, answers GET big with `big_bytes`
 * and any other GET with `small_bytes`, and ends with the thread that starts it. Its pid, or -1. */
pid_t steady_start(const char *path, size_t small_bytes, size_t big_bytes);

void steady_stop(pid_t pid);

#endif
