/* SPDX-License-Identifier: MIT
 *
 * See postgresql_server.h. fsync is off: a killed process loses nothing that the kernel has.
 */
#include "support/postgresql_server.h"

#include <ftw.h>
#include <glob.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/child.h"
#include "support/wait.h"

#define ARGS_MAX 32
#define PATIENCE 60000
#define PATH_CAP 256
#define RESTARTS 50
#define CHILDREN 64

struct postgresql_server {
    struct child child;
    char folder[64];
    char data[PATH_CAP];
    char log[PATH_CAP];
    char url[PATH_CAP];
    char programs[PATH_CAP];
};

/* ---- starting programs of PostgreSQL's ---- */

static int find_programs(struct postgresql_server *server)
{
    glob_t found = {0};
    int status = -1;
    if (glob("/usr/lib/postgresql/*/bin/postgres", 0, NULL, &found) == 0 && found.gl_pathc > 0) {
        const char *last = found.gl_pathv[found.gl_pathc - 1];
        (void)snprintf(server->programs, sizeof server->programs, "%.*s",
                       (int)(strrchr(last, '/') - last), last);
        status = 0;
    } else {
        (void)fprintf(stderr, "there is no /usr/lib/postgresql/*/bin/postgres: is Debian's "
                              "postgresql installed?\n");
    }
    globfree(&found);
    return status;
}

/* `name` with `args`, as a user that is not root, who keeps dying with the test. */
static int start(struct postgresql_server *server, struct child *child, const char *name,
                 const char *const *args)
{
    static const char *const as_postgres[] = {"setpriv",          "--reuid=postgres",
                                              "--regid=postgres", "--clear-groups",
                                              "--pdeathsig=KILL", "--"};
    const char *argv[ARGS_MAX];
    char program[PATH_CAP + 32];
    size_t count = 0;
    (void)snprintf(program, sizeof program, "%s/%s", server->programs, name);
    for (size_t i = 0; geteuid() == 0 && i < sizeof as_postgres / sizeof as_postgres[0]; i++)
        argv[count++] = as_postgres[i];
    argv[count++] = program;
    while (*args != NULL && count < ARGS_MAX - 1)
        argv[count++] = *args++;
    argv[count] = NULL;
    return child_start(child, argv, server->log);
}

static void print_log(const struct postgresql_server *server)
{
    char line[512];
    FILE *log = fopen(server->log, "re");
    while (log != NULL && fgets(line, sizeof line, log) != NULL)
        (void)fputs(line, stderr);
    if (log != NULL)
        (void)fclose(log);
}

/* ---- the server ---- */

static bool answers(struct postgresql_server *server)
{
    return PQping(server->url) == PQPING_OK;
}

static bool ready_or_ended(void *arg)
{
    struct postgresql_server *server = arg;
    return !child_is_running(&server->child) || answers(server);
}

static int start_once(struct postgresql_server *server)
{
    const char *const args[] = {"-D", server->data,          "-k", server->folder,
                                "-c", "listen_addresses=",   "-c", "fsync=off",
                                "-c", "shared_buffers=16MB", "-c", "max_connections=64",
                                NULL};
    if (start(server, &server->child, "postgres", args) != 0)
        return -1;
    (void)wait_until(ready_or_ended, server, PATIENCE);
    return child_is_running(&server->child) && answers(server) ? 0 : 1;
}

static int make_cluster(struct postgresql_server *server)
{
    const char *const args[] = {"-D",
                                server->data,
                                "-A",
                                "trust",
                                "-U",
                                "postgres",
                                "-E",
                                "UTF8",
                                "--locale=C",
                                "--no-sync",
                                "--no-instructions",
                                NULL};
    struct child child;
    if (start(server, &child, "initdb", args) != 0)
        return -1;
    return child_wait(&child, PATIENCE) == 0 && child.status == 0 ? 0 : -1;
}

static int make_folder(struct postgresql_server *server)
{
    const struct passwd *postgres = getpwnam("postgres");
    (void)strcpy(server->folder, "/tmp/strata-postgresql-XXXXXX");
    if (mkdtemp(server->folder) == NULL)
        return -1;
    (void)snprintf(server->data, sizeof server->data, "%s/data", server->folder);
    (void)snprintf(server->log, sizeof server->log, "%s/log", server->folder);
    (void)snprintf(server->url, sizeof server->url, "postgresql://postgres@/postgres?host=%s",
                   server->folder);
    if (geteuid() != 0)
        return 0;
    return postgres != NULL ? chown(server->folder, postgres->pw_uid, postgres->pw_gid) : -1;
}

int postgresql_server_start(struct postgresql_server **out)
{
    struct postgresql_server *server = calloc(1, sizeof *server);
    if (server == NULL || find_programs(server) != 0) {
        free(server);
        return -1;
    }
    if (make_folder(server) != 0 || make_cluster(server) != 0 || start_once(server) != 0) {
        print_log(server);
        postgresql_server_stop(&server);
        return -1;
    }
    *out = server;
    return 0;
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    (void)stat;
    (void)type;
    (void)walk;
    return remove(path);
}

void postgresql_server_stop(struct postgresql_server **server)
{
    struct postgresql_server *stopping = *server;
    *server = NULL;
    if (stopping == NULL)
        return;
    postgresql_server_kill9(stopping);
    if (stopping->folder[0] != '\0')
        (void)nftw(stopping->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(stopping);
}

const char *postgresql_server_url(const struct postgresql_server *server)
{
    return server->url;
}

/* ---- faults ---- */

/* The server's processes have sessions of their own, so each is told by itself. */
static void signal_children(const struct postgresql_server *server, int signal)
{
    char path[64];
    int pid;
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", server->child.pid,
                   server->child.pid);
    FILE *children = fopen(path, "re");
    while (children != NULL && fscanf(children, "%d", &pid) == 1)
        (void)kill(pid, signal);
    if (children != NULL)
        (void)fclose(children);
}

void postgresql_server_kill9(struct postgresql_server *server)
{
    if (!child_is_running(&server->child))
        return;
    child_signal(&server->child, SIGSTOP); /* it starts no more */
    signal_children(server, SIGKILL);
    child_kill(&server->child);
}

/* Processes of the one that was killed may still hold its memory: then it is tried again. */
int postgresql_server_restart(struct postgresql_server *server)
{
    postgresql_server_kill9(server);
    for (int tries = 0; tries < RESTARTS; tries++) {
        int status = start_once(server);
        if (status <= 0)
            return status;
        child_kill(&server->child);
        (void)usleep(100000);
    }
    print_log(server);
    return -1;
}

void postgresql_server_freeze(struct postgresql_server *server)
{
    child_signal(&server->child, SIGSTOP);
    signal_children(server, SIGSTOP);
}

void postgresql_server_thaw(struct postgresql_server *server)
{
    signal_children(server, SIGCONT);
    child_signal(&server->child, SIGCONT);
}
