/* SPDX-License-Identifier: MIT
 *
 * Programs that tests start: fork and exec, with the reason of a failed exec told through a
 * pipe that a successful one closes.
 */
#include "support/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/wait.h"

/* Between fork and exec, possibly of a process with many threads: system calls only. */
static void become(const char *const *argv, int input, int output, pid_t parent)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before the line above */
        _exit(1);
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    if (dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(output, STDERR_FILENO) < 0)
        return;
    /* Sockets of the test that lack the flag would live on in the child. */
    (void)close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
}

static pid_t spawn(const char *const *argv, int input, int output, int report)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    become(argv, input, output, parent);
    int reason = errno;
    ssize_t told = write(report, &reason, sizeof reason);
    _exit(told > 0 ? 127 : 126);
}

int child_start(struct child *child, const char *const *argv, const char *log_path)
{
    int reason = 0;
    int report[2] = {-1, -1};
    pid_t pid = -1;
    int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int output = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (input >= 0 && output >= 0 && pipe2(report, O_CLOEXEC) == 0)
        pid = spawn(argv, input, output, report[1]);
    if (pid < 0)
        reason = errno;
    if (report[1] >= 0)
        (void)close(report[1]);
    if (pid > 0 && read(report[0], &reason, sizeof reason) > 0)
        (void)waitpid(pid, NULL, 0);
    if (report[0] >= 0)
        (void)close(report[0]);
    if (output >= 0)
        (void)close(output);
    if (input >= 0)
        (void)close(input);
    if (reason != 0) {
        (void)fprintf(stderr, "cannot start %s: %s%s\n", argv[0], strerror(reason),
                      reason == ENOENT ? " (is it installed and in PATH?)" : "");
        return -1;
    }
    *child = (struct child){.pid = pid};
    return 0;
}

int child_is_running(struct child *child)
{
    if (child->pid == 0)
        return 0;
    if (waitpid(child->pid, &child->status, WNOHANG) == 0)
        return 1;
    child->pid = 0;
    return 0;
}

void child_signal(const struct child *child, int signal)
{
    if (child->pid != 0)
        (void)kill(child->pid, signal);
}

static bool has_ended(void *arg)
{
    return !child_is_running(arg);
}

int child_wait(struct child *child, unsigned timeout_ms)
{
    return wait_until(has_ended, child, timeout_ms) ? 0 : -1;
}

void child_kill(struct child *child)
{
    child_signal(child, SIGKILL);
    if (child->pid != 0)
        (void)waitpid(child->pid, &child->status, 0);
    child->pid = 0;
}
