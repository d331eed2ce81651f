/* SPDX-License-Identifier: MIT
 *
 * See steady.h.
 */
#include "bench/l2/steady.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "resp/resp.h"
#include "strata/status.h"

#define INPUT_CAP 4096u
#define BACKLOG   64

static struct strata_bytes small_answer;
static struct strata_bytes big_answer;

/* ---- answers ---- */

static struct strata_bytes make_answer(size_t len)
{
    char head[32];
    size_t head_len = (size_t)snprintf(head, sizeof head, "$%zu\r\n", len);
    char *answer = malloc(head_len + len + 2);
    if (answer == NULL)
        abort();
    memcpy(answer, head, head_len);
    memset(answer + head_len, 'v', len);
    memcpy(answer + head_len + len, "\r\n", 2);
    return strata_bytes(answer, head_len + len + 2);
}

static bool is_word(struct strata_bytes word, const char *text)
{
    return word.len == strlen(text) && strncasecmp(word.data, text, word.len) == 0;
}

static struct strata_bytes answer_to(const struct strata_bytes *argv, size_t argc)
{
    if (is_word(argv[0], "GET") && argc == 2)
        return is_word(argv[1], "big") ? big_answer : small_answer;
    if (is_word(argv[0], "HELLO"))
        return strata_text("%1\r\n$5\r\nproto\r\n:3\r\n");
    return strata_text(is_word(argv[0], "PING") ? "+PONG\r\n" : "+OK\r\n");
}

/* ---- a connection ---- */

static bool send_all(int fd, struct strata_bytes bytes)
{
    const char *at = bytes.data;
    while (bytes.len > 0) {
        ssize_t sent = send(fd, at, bytes.len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        bytes.len -= (size_t)sent;
    }
    return true;
}

/* Answers the commands that are whole. The number of their bytes; -1: this is the end. */
static ssize_t answer_all(int fd, const char *input, size_t len)
{
    size_t at = 0;
    for (;;) {
        struct sta_resp_request_framer framer = {0};
        struct strata_bytes argv[8];
        const char *reason;
        size_t frame, argc;
        int status = sta_resp_frame_request(&framer, &sta_resp_request_limits, false,
                                            strata_bytes(input + at, len - at), &frame, &reason);
        if (status == STRATA_MORE)
            return (ssize_t)at;
        struct strata_bytes command = strata_bytes(input + at, frame);
        if (status != STRATA_OK || sta_resp_request_count(command, &argc) != STRATA_OK ||
            argc == 0 || argc > sizeof argv / sizeof argv[0] ||
            sta_resp_request_args(command, argv, argc, NULL) != STRATA_OK ||
            !send_all(fd, answer_to(argv, argc)))
            return -1;
        at += frame;
    }
}

static void *serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char input[INPUT_CAP];
    size_t len = 0;
    ssize_t got, used = 0;
    while (used >= 0 && (got = recv(fd, input + len, sizeof input - len, 0)) > 0) {
        len += (size_t)got;
        used = answer_all(fd, input, len);
        if (used > 0) {
            len -= (size_t)used;
            memmove(input, input + used, len);
        }
    }
    (void)close(fd);
    return NULL;
}

static _Noreturn void serve_all(int listener, size_t small_bytes, size_t big_bytes)
{
    small_answer = make_answer(small_bytes);
    big_answer = make_answer(big_bytes);
    for (;;) {
        pthread_t thread;
        int fd = accept(listener, NULL, NULL);
        if (fd < 0 || pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) != 0)
            _exit(1);
        (void)pthread_detach(thread);
    }
}

/* ---- the process ---- */

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

pid_t steady_start(const char *path, size_t small_bytes, size_t big_bytes)
{
    int listener = listen_at(path);
    if (listener < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve_all(listener, small_bytes, big_bytes);
    }
    (void)close(listener);
    return pid;
}

void steady_stop(pid_t pid)
{
    if (pid <= 0)
        return;
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}
