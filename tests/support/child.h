/* SPDX-License-Identifier: MIT
 *
 * A program that a test starts. It gets no descriptor of the test but a log file for what it
 * prints, an empty standard input, and dies with the test: the kernel kills it when the thread
 * that started it ends, however it ends. So start children from the thread that outlives them.
 */
#ifndef TEST_CHILD_H
#define TEST_CHILD_H

#include <sys/types.h>

struct child {
    pid_t pid;  /* 0: none is running, or it was waited for */
    int status; /* as waitpid() gave it, once it has ended */
};

/* Starts argv[0] (found in PATH), with what it prints appended to the file `log_path`. 0, or -1
 * with a line on stderr that says why. */
int child_start(struct child *child, const char *const *argv, const char *log_path);

/* 1 while it runs; 0 once it has ended (then `status` is set). Does not wait. */
int child_is_running(struct child *child);

/* Sends `signal` where it runs. */
void child_signal(const struct child *child, int signal);

/* Waits until it has ended, `timeout_ms` at most: 0, or -1 where it still runs. */
int child_wait(struct child *child, unsigned timeout_ms);

/* SIGKILL and wait. Fine where it has ended. */
void child_kill(struct child *child);

#endif
