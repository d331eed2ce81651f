/* SPDX-License-Identifier: MIT
 *
 * Running a program with its input and output in temporary files: no pipes that could fill up
 * while nobody reads. A terminal is a pty whose output is read while the program runs.
 */
#include "support/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/wait.h"

#define COMMAND_TIMEOUT_MS 60000u
#define TERMINAL_MOST      (1u << 20)

struct files {
    int in;
    int out;
    int err;
};

static int open_temporary(const void *data, size_t len)
{
    char path[] = "/tmp/strata-test-command-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    for (size_t done = 0; done < len;) {
        ssize_t count = write(fd, (const char *)data + done, len - done);
        assert_true(count > 0);
        done += (size_t)count;
    }
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static char *read_back(int fd, size_t *len)
{
    off_t size = lseek(fd, 0, SEEK_END);
    assert_true(size >= 0);
    char *text = malloc((size_t)size + 1);
    assert_non_null(text);
    assert_int_equal(pread(fd, text, (size_t)size, 0), size);
    text[size] = '\0';
    *len = (size_t)size;
    return text;
}

/* The child's part. */
static void become(const struct files *files, const struct command_input *input,
                   const char *const *argv, pid_t parent)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(126);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)unsetenv("STRATA_URL");
    if (input->environment != NULL)
        (void)putenv((char *)(uintptr_t)input->environment);
    if (dup2(files->in, STDIN_FILENO) < 0 || dup2(files->out, STDOUT_FILENO) < 0 ||
        dup2(files->err, STDERR_FILENO) < 0)
        _exit(126);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

struct waited {
    pid_t pid;
    int status;
};

static bool has_ended(void *arg)
{
    struct waited *waited = arg;
    return waitpid(waited->pid, &waited->status, WNOHANG) == waited->pid;
}

static int wait_for_end(pid_t pid)
{
    struct waited waited = {.pid = pid};
    if (!wait_until(has_ended, &waited, COMMAND_TIMEOUT_MS)) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &waited.status, 0);
    }
    return WIFEXITED(waited.status) ? WEXITSTATUS(waited.status) : 128 + WTERMSIG(waited.status);
}

/* Everything that the program writes to its terminal, until it has closed it (EIO). */
static char *read_terminal(int fd, size_t *len)
{
    char *text = malloc(TERMINAL_MOST);
    assert_non_null(text);
    *len = 0;
    for (;;) {
        struct pollfd entry = {.fd = fd, .events = POLLIN};
        assert_true(poll(&entry, 1, (int)COMMAND_TIMEOUT_MS) > 0);
        ssize_t count = read(fd, text + *len, TERMINAL_MOST - 1 - *len);
        if (count <= 0)
            break;
        *len += (size_t)count;
    }
    text[*len] = '\0';
    return text;
}

static void run_on_terminal(struct command_result *result, const struct command_input *input,
                            const char *const *argv, struct files files)
{
    int terminal;
    pid_t parent = getpid();
    assert_int_equal(openpty(&terminal, &files.out, NULL, NULL, NULL), 0);
    (void)fcntl(terminal, F_SETFD, FD_CLOEXEC);
    files.err = files.out;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        become(&files, input, argv, parent);
    (void)close(files.out);
    result->out = read_terminal(terminal, &result->len);
    result->code = wait_for_end(pid);
    result->err = strdup("");
    (void)close(terminal);
}

static void run_on_files(struct command_result *result, const struct command_input *input,
                         const char *const *argv, struct files files)
{
    size_t err_len;
    pid_t parent = getpid();
    files.err = open_temporary(NULL, 0);
    files.out = input->out_path != NULL ? open(input->out_path, O_RDWR | O_CLOEXEC)
                                        : open_temporary(NULL, 0);
    assert_true(files.out >= 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        become(&files, input, argv, parent);
    result->code = wait_for_end(pid);
    result->err = read_back(files.err, &err_len);
    result->out = input->out_path != NULL ? strdup("") : read_back(files.out, &result->len);
    (void)close(files.out);
    (void)close(files.err);
}

void command_run(struct command_result *result, const struct command_input *input,
                 const char *const *argv)
{
    static const struct command_input nothing;
    input = input != NULL ? input : &nothing;
    *result = (struct command_result){0};
    struct files files = {.in = open_temporary(input->data, input->len)};
    if (input->terminal)
        run_on_terminal(result, input, argv, files);
    else
        run_on_files(result, input, argv, files);
    (void)close(files.in);
}

void command_result_fini(struct command_result *result)
{
    free(result->out);
    free(result->err);
    *result = (struct command_result){0};
}
