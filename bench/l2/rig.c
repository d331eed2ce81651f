/* SPDX-License-Identifier: MIT
 *
 * See ways.h: the server, the connections, and what they cost.
 */
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "bench/l2/ways.h"
#include "strata/status.h"

/* ---- opening ---- */

static int rig_connect_peers(struct rig *rig)
{
    char value[VALUE_BYTES + 1];
    memset(value, 'v', VALUE_BYTES);
    value[VALUE_BYTES] = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        rig->redis[i] = redisConnectUnix(rig->socket);
        if (rig->redis[i] == NULL || rig->redis[i]->err != 0)
            return -1;
    }
    redisReply *reply = redisCommand(rig->redis[0], "SET key %s", value);
    int failed = reply == NULL || reply->type != REDIS_REPLY_STATUS;
    freeReplyObject(reply);
    return failed ? -1 : 0;
}

static int rig_open_engines(struct rig *rig, const char *url)
{
    struct sta_l2_config config = {.router.node.connection.url = &rig->url};
    struct strata_l2_options options = {.redis_url = url, .key_prefix = ""};
    if (strata_l2_open(&rig->public_l2, &options, NULL) < 0)
        return -1;
    if (sta_redis_url_parse(url, &rig->url, NULL) < 0 || sta_loop_create(&rig->loop) < 0 ||
        sta_l2_create(&rig->l2, rig->loop, &config, NULL) < 0)
        return -1;
    return sta_loop_start(rig->loop, "bench-l2") < 0 ? -1 : 0;
}

int rig_open(struct rig *rig)
{
    char url[256];
    *rig = (struct rig){.server = NULL};
    if (redis_server_start(&rig->server, NULL) != 0)
        return -1;
    rig->socket = redis_server_socket(rig->server);
    (void)snprintf(url, sizeof url, "unix://%s", rig->socket);
    return rig_connect_peers(rig) != 0 ? -1 : rig_open_engines(rig, url);
}

void rig_close(struct rig *rig)
{
    strata_l2_close(&rig->public_l2);
    if (rig->loop != NULL) {
        sta_loop_stop(rig->loop);
        sta_loop_join(rig->loop);
    }
    sta_l2_destroy(&rig->l2);
    sta_loop_destroy(&rig->loop);
    for (unsigned i = 0; i < THREADS; i++) {
        if (rig->redis[i] != NULL)
            redisFree(rig->redis[i]);
    }
    steady_bench_close(rig->steady);
    cluster_bench_close(rig->clustered);
    redis_server_stop(&rig->server);
}

/* ---- processors ---- */

static void pin_task(pid_t task, unsigned mask)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (unsigned i = 0; i < 32; i++) {
        if (mask == 0 || (mask >> i & 1u) != 0)
            CPU_SET(i, &set);
    }
    (void)sched_setaffinity(task, sizeof set, &set); /* the figures tell if it did not work */
}

/* Of a process, every thread; new ones follow the one that makes them. */
static void pin_process(const char *tasks_path, unsigned mask)
{
    DIR *tasks = opendir(tasks_path);
    struct dirent *entry;
    while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
        if (entry->d_name[0] != '.')
            pin_task((pid_t)strtol(entry->d_name, NULL, 10), mask);
    }
    if (tasks != NULL)
        (void)closedir(tasks);
}

void rig_pin(const struct rig *rig, unsigned client_mask, unsigned server_mask)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)redis_server_pid(rig->server));
    pin_process("/proc/self/task", client_mask);
    pin_process(path, server_mask);
}

/* ---- costs ---- */

static double clock_ns(clockid_t clock)
{
    struct timespec now = {0};
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double process_ns(pid_t pid)
{
    clockid_t clock = CLOCK_MONOTONIC;
    (void)clock_getcpuclockid(pid, &clock);
    return clock_ns(clock);
}

struct usage rig_usage(const struct rig *rig)
{
    struct rusage used;
    double server_ns = process_ns(redis_server_pid(rig->server));
    pid_t pid;
    (void)getrusage(RUSAGE_SELF, &used);
    for (unsigned i = 0; (pid = cluster_bench_pid(rig->clustered, i)) != 0; i++)
        server_ns += process_ns(pid);
    if ((pid = steady_bench_pid(rig->steady)) != 0)
        server_ns += process_ns(pid);
    return (struct usage){
        .wall_ns = clock_ns(CLOCK_MONOTONIC),
        .client_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID),
        .server_ns = server_ns,
        .switches = (double)used.ru_nvcsw + (double)used.ru_nivcsw,
    };
}
