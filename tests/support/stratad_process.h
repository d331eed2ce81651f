/* SPDX-License-Identifier: MIT
 *
 * A private stratad for a test: the binary of this build, in a temporary folder of its own,
 * listening on a unix socket there and on a free loopback port. It dies with the test
 * (support/child.h) and its folder goes with stop().
 */
#ifndef TEST_STRATAD_PROCESS_H
#define TEST_STRATAD_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct stratad_process;

/* Starts one in front of the Redis at `redis_url` and waits until it says that it is ready, or
 * that it listens but cannot reach Redis. `extra_args` (may be NULL; ends with NULL) are added to
 * its command line. 0, or -1 with its log on stderr. */
int stratad_process_start(struct stratad_process **out, const char *redis_url,
                          const char *const *extra_args);

/* Ends it and removes its folder. Fails the test where it has crashed, or a sanitizer has found
 * something. NULL is fine. */
void stratad_process_stop(struct stratad_process **stratad);

const char *stratad_process_socket(const struct stratad_process *stratad); /* the path */
int stratad_process_port(const struct stratad_process *stratad);           /* on 127.0.0.1 */
pid_t stratad_process_pid(const struct stratad_process *stratad);

/* SIGTERM and wait: its exit code, or -1 where it has not ended after `timeout_ms` or has been
 * killed. */
int stratad_process_terminate(struct stratad_process *stratad, unsigned timeout_ms);

/* All of its log until now; to be freed. */
char *stratad_process_log(const struct stratad_process *stratad);

/* Whether its log holds `text` by now. */
bool stratad_process_said(const struct stratad_process *stratad, const char *text);

/* How often. */
unsigned stratad_process_times_said(const struct stratad_process *stratad, const char *text);

/* Whether it does so within 10 s. */
bool stratad_process_says(const struct stratad_process *stratad, const char *text);

/* The binary's path. */
const char *stratad_process_program(void);

/* Runs the binary with these arguments (after argv[0]; ends with NULL) until it ends by itself,
 * 10 s at most; what it printed goes to `text`. Its exit code, or -1. */
int stratad_process_run(const char *const *args, char *text, unsigned cap);

#endif
