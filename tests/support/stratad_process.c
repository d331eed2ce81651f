/* SPDX-License-Identifier: MIT
 *
 * Private daemons for tests. STRATAD_PATH is the binary, given by the build.
 */
#include "support/stratad_process.h"

#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/child.h"
#include "support/wait.h"

#define ARGS_MAX 64
#define READY_MS 20000 /* sanitizers and a busy machine included */
#define END_MS   20000
#define PATH_CAP 100

struct stratad_process {
    struct child child;
    int port;
    char folder[64];
    char socket[PATH_CAP];
    char listen[PATH_CAP + 8];
    char log[PATH_CAP];
    const char *args[ARGS_MAX];
};

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    (void)remove(path);
    return 0;
}

/* The whole log, to be freed; an empty text where there is none. */
static char *read_log(const char *path)
{
    char *text = calloc(1, 1u << 20);
    FILE *log = fopen(path, "r");
    assert_non_null(text);
    if (log != NULL) {
        size_t len = fread(text, 1, (1u << 20) - 1, log);
        text[len] = '\0';
        (void)fclose(log);
    }
    return text;
}

char *stratad_process_log(const struct stratad_process *stratad)
{
    return read_log(stratad->log);
}

unsigned stratad_process_times_said(const struct stratad_process *stratad, const char *text)
{
    char *log = read_log(stratad->log);
    unsigned times = 0;
    for (const char *at = log; (at = strstr(at, text)) != NULL; at++)
        times++;
    free(log);
    return times;
}

bool stratad_process_said(const struct stratad_process *stratad, const char *text)
{
    return stratad_process_times_said(stratad, text) > 0;
}

struct saying {
    const struct stratad_process *stratad;
    const char *text;
};

static bool has_said(void *arg)
{
    const struct saying *saying = arg;
    return stratad_process_said(saying->stratad, saying->text);
}

bool stratad_process_says(const struct stratad_process *stratad, const char *text)
{
    struct saying saying = {.stratad = stratad, .text = text};
    return wait_until(has_said, &saying, 10000);
}

static bool listens_or_ended(void *arg)
{
    struct stratad_process *stratad = arg;
    return !child_is_running(&stratad->child) || stratad_process_said(stratad, "listening on");
}

static int read_port(const struct stratad_process *stratad)
{
    char *log = read_log(stratad->log);
    static const char before[] = "listening on 127.0.0.1:";
    const char *found = strstr(log, before);
    int port = found != NULL ? atoi(found + sizeof before - 1) : 0;
    free(log);
    return port;
}

static void print_log(const struct stratad_process *stratad)
{
    char *log = read_log(stratad->log);
    (void)fprintf(stderr, "---- stratad's log\n%s----\n", log);
    free(log);
}

static int make_folder(struct stratad_process *stratad)
{
    (void)snprintf(stratad->folder, sizeof stratad->folder, "/tmp/strata-daemon-XXXXXX");
    if (mkdtemp(stratad->folder) == NULL) {
        perror(stratad->folder);
        stratad->folder[0] = '\0';
        return -1;
    }
    (void)snprintf(stratad->socket, sizeof stratad->socket, "%s/strata.sock", stratad->folder);
    (void)snprintf(stratad->listen, sizeof stratad->listen, "unix:%s", stratad->socket);
    (void)snprintf(stratad->log, sizeof stratad->log, "%s/strata.log", stratad->folder);
    return 0;
}

static void remove_folder(struct stratad_process *stratad)
{
    if (stratad->folder[0] != '\0')
        (void)nftw(stratad->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(stratad);
}

int stratad_process_start(struct stratad_process **out, const char *redis_url,
                          const char *const *extra_args)
{
    struct stratad_process *stratad = calloc(1, sizeof *stratad);
    assert_non_null(stratad);
    size_t count = 0;
    if (make_folder(stratad) != 0)
        goto undo;
    const char *const fixed[] = {STRATAD_PATH,    "--listen",    "127.0.0.1:0", "--listen",
                                 stratad->listen, "--redis-url", redis_url};
    for (; count < sizeof fixed / sizeof fixed[0]; count++)
        stratad->args[count] = fixed[count];
    for (; extra_args != NULL && *extra_args != NULL && count < ARGS_MAX - 1; extra_args++)
        stratad->args[count++] = *extra_args;
    if (child_start(&stratad->child, stratad->args, stratad->log) != 0)
        goto undo;
    if (wait_until(listens_or_ended, stratad, READY_MS) && child_is_running(&stratad->child)) {
        stratad->port = read_port(stratad);
        *out = stratad;
        return 0;
    }
    print_log(stratad);
    child_kill(&stratad->child);
undo:
    remove_folder(stratad);
    return -1;
}

static bool has_ended(struct stratad_process *stratad, unsigned timeout_ms)
{
    return child_wait(&stratad->child, timeout_ms) == 0;
}

int stratad_process_terminate(struct stratad_process *stratad, unsigned timeout_ms)
{
    child_signal(&stratad->child, SIGTERM);
    if (!has_ended(stratad, timeout_ms) || !WIFEXITED(stratad->child.status))
        return -1;
    return WEXITSTATUS(stratad->child.status);
}

static bool is_sound(struct stratad_process *stratad)
{
    char *log = read_log(stratad->log);
    bool sound = WIFEXITED(stratad->child.status) && WEXITSTATUS(stratad->child.status) == 0 &&
                 strstr(log, "Sanitizer") == NULL && strstr(log, "runtime error") == NULL;
    free(log);
    return sound;
}

void stratad_process_stop(struct stratad_process **pointer)
{
    struct stratad_process *stratad = *pointer;
    if (stratad == NULL)
        return;
    *pointer = NULL;
    if (child_is_running(&stratad->child))
        (void)stratad_process_terminate(stratad, END_MS);
    bool sound = !child_is_running(&stratad->child) && is_sound(stratad);
    if (!sound) {
        print_log(stratad);
        (void)fprintf(stderr, "stratad: wait status %d\n", stratad->child.status);
        child_kill(&stratad->child);
    }
    remove_folder(stratad);
    assert_true(sound);
}

const char *stratad_process_socket(const struct stratad_process *stratad)
{
    return stratad->socket;
}

int stratad_process_port(const struct stratad_process *stratad)
{
    return stratad->port;
}

pid_t stratad_process_pid(const struct stratad_process *stratad)
{
    return stratad->child.pid;
}

const char *stratad_process_program(void)
{
    return STRATAD_PATH;
}

int stratad_process_run(const char *const *args, char *text, unsigned cap)
{
    const char *argv[ARGS_MAX] = {STRATAD_PATH};
    char path[] = "/tmp/strata-run-XXXXXX";
    struct child child = {0};
    size_t count = 1;
    for (; *args != NULL && count < ARGS_MAX - 1; args++)
        argv[count++] = *args;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(child_start(&child, argv, path), 0);
    bool ended = child_wait(&child, 10000) == 0;
    if (!ended)
        child_kill(&child);
    char *log = read_log(path);
    (void)snprintf(text, cap, "%s", log);
    free(log);
    (void)unlink(path);
    return ended && WIFEXITED(child.status) ? WEXITSTATUS(child.status) : -1;
}
