/* SPDX-License-Identifier: MIT
 *
 * What l2 costs beside its peers, in one run, interleaved, against one private redis-server on a
 * unix socket: a synchronous GET beside hiredis, and 64 requests in flight beside hiredis'
 * pipeline and redis-benchmark -P 64. On a shared machine trust the ratios.
 *
 *   bench_l2 [rounds]     default 7
 */
#include <hiredis/hiredis.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "l2/l2.h"
#include "strata/status.h"
#include "support/redis_server.h"

#define VALUE_BYTES 100
#define SYNC_OPS    20000
#define ASYNC_OPS   400000
#define WINDOW      64
#define ROUNDS_MAX  99

static const char get[] = "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n";

struct bench {
    struct redis_server *server;
    redisContext *redis;
    struct sta_redis_url url;
    struct sta_loop *loop;
    struct sta_l2 *l2;
};

/* One way of doing it: its cost per operation in each round. */
struct way {
    const char *name;
    int (*run)(struct bench *bench, unsigned ops);
    unsigned ops;
    unsigned rounds;
    double wall_ns[ROUNDS_MAX];
    double cpu_ns[ROUNDS_MAX]; /* of this process, all threads */
};

/* ---- synchronous ---- */

static int sync_hiredis(struct bench *bench, unsigned ops)
{
    for (unsigned i = 0; i < ops; i++) {
        redisReply *reply = redisCommand(bench->redis, "GET key");
        if (reply == NULL || reply->len != VALUE_BYTES)
            return -1;
        freeReplyObject(reply);
    }
    return 0;
}

static int sync_l2(struct bench *bench, unsigned ops)
{
    for (unsigned i = 0; i < ops; i++) {
        struct strata_bytes replies;
        int status = sta_l2_call(bench->l2, strata_text(get), 1,
                                 sta_clock_now_ns() + 5 * STA_NS_SEC, &replies);
        if (status != STRATA_OK)
            return -1;
        free((void *)(uintptr_t)replies.data);
    }
    return 0;
}

/* ---- 64 in flight ---- */

static int pipeline_hiredis(struct bench *bench, unsigned ops)
{
    for (unsigned i = 0; i < ops; i += WINDOW) {
        for (unsigned j = 0; j < WINDOW; j++)
            redisAppendCommand(bench->redis, "GET key");
        for (unsigned j = 0; j < WINDOW; j++) {
            redisReply *reply;
            if (redisGetReply(bench->redis, (void **)&reply) != REDIS_OK)
                return -1;
            freeReplyObject(reply);
        }
    }
    return 0;
}

struct flight {
    struct sta_operation operation;
    struct flights *all;
};

struct flights {
    struct bench *bench;
    unsigned to_submit; /* of the loop thread once it flies */
    unsigned to_finish;
    bool failed;
    sem_t landed;
    struct flight window[WINDOW];
};

static void on_done(struct sta_operation *operation, int status, struct strata_bytes replies)
{
    struct flights *all = STA_CONTAINER(operation, struct flight, operation)->all;
    all->failed |= status != STRATA_OK || replies.len != VALUE_BYTES + 8;
    if (--all->to_finish == 0) {
        (void)sem_post(&all->landed);
    } else if (all->to_submit > 0) {
        all->to_submit--;
        operation->request.deadline_ns = sta_loop_now_ns(all->bench->loop) + 5 * STA_NS_SEC;
        sta_l2_submit(all->bench->l2, operation);
    }
}

static int pipeline_l2(struct bench *bench, unsigned ops)
{
    struct flights all = {.bench = bench, .to_submit = ops - WINDOW, .to_finish = ops};
    (void)sem_init(&all.landed, 0, 0);
    for (unsigned i = 0; i < WINDOW; i++) {
        all.window[i].all = &all;
        all.window[i].operation = (struct sta_operation){
            .request = {.wire = strata_text(get), .commands = 1, .deadline_ns = STA_NEVER},
            .repeatable = true,
            .done = on_done};
        sta_l2_submit(bench->l2, &all.window[i].operation);
    }
    while (sem_wait(&all.landed) != 0)
        ; /* interrupted */
    (void)sem_destroy(&all.landed);
    return all.failed ? -1 : 0;
}

/* Measures itself; its process' CPU time is not ours. */
static double redis_benchmark_ns(const struct bench *bench)
{
    char command[512];
    char line[256];
    double per_second = 0;
    (void)snprintf(command, sizeof command,
                   "redis-benchmark -s %s -c 1 -P %d -n %d --csv GET key 2>/dev/null",
                   redis_server_socket(bench->server), WINDOW, ASYNC_OPS);
    FILE *pipe = popen(command, "r");
    if (pipe == NULL)
        return 0;
    while (fgets(line, sizeof line, pipe) != NULL)
        (void)sscanf(line, "\"GET key\",\"%lf\"", &per_second);
    (void)pclose(pipe);
    return per_second > 0 ? 1e9 / per_second : 0;
}

/* ---- measuring ---- */

static double cpu_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int way_round(struct way *way, struct bench *bench)
{
    uint64_t wall_ns = sta_clock_now_ns();
    double cpu_ns = cpu_now_ns();
    if (way->run(bench, way->ops) != 0)
        return -1;
    way->wall_ns[way->rounds] = (double)(sta_clock_now_ns() - wall_ns) / way->ops;
    way->cpu_ns[way->rounds] = (cpu_now_ns() - cpu_ns) / way->ops;
    way->rounds++;
    return 0;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts. */
static double median(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

static double way_print(struct way *way)
{
    double wall_ns = median(way->wall_ns, way->rounds);
    double cpu_ns = way->run != NULL ? median(way->cpu_ns, way->rounds) : 0;
    printf("  %-22s %9.0f ns/op  (%.0f .. %.0f)", way->name, wall_ns, way->wall_ns[0],
           way->wall_ns[way->rounds - 1]);
    if (way->run != NULL)
        printf("  client CPU %6.0f ns/op", cpu_ns);
    printf("\n");
    return wall_ns;
}

static int bench_run(struct bench *bench, unsigned rounds)
{
    struct way sync[] = {{.name = "hiredis", .run = sync_hiredis, .ops = SYNC_OPS},
                         {.name = "l2", .run = sync_l2, .ops = SYNC_OPS}};
    struct way async[] = {{.name = "hiredis", .run = pipeline_hiredis, .ops = ASYNC_OPS},
                          {.name = "redis-benchmark -P 64"},
                          {.name = "l2", .run = pipeline_l2, .ops = ASYNC_OPS}};
    for (unsigned i = 0; i < rounds; i++) {
        if (way_round(&sync[0], bench) != 0 || way_round(&sync[1], bench) != 0 ||
            way_round(&async[0], bench) != 0 || way_round(&async[2], bench) != 0)
            return -1;
        async[1].wall_ns[async[1].rounds++] = redis_benchmark_ns(bench);
    }
    printf("GET of %d bytes, one at a time, median of %u rounds (least .. most):\n", VALUE_BYTES,
           rounds);
    double peer_ns = way_print(&sync[0]);
    double own_ns = way_print(&sync[1]);
    printf("  l2 / hiredis = %.2f\n%d in flight:\n", own_ns / peer_ns, WINDOW);
    (void)way_print(&async[0]);
    peer_ns = way_print(&async[1]);
    own_ns = way_print(&async[2]);
    printf("  rate of l2 / rate of redis-benchmark = %.2f\n", peer_ns / own_ns);
    return 0;
}

static int bench_open(struct bench *bench)
{
    char url[256];
    char value[VALUE_BYTES + 1];
    struct sta_l2_config config = {.router.node.connection.url = &bench->url};
    if (redis_server_start(&bench->server, NULL) != 0)
        return -1;
    (void)snprintf(url, sizeof url, "unix://%s", redis_server_socket(bench->server));
    bench->redis = redisConnectUnix(redis_server_socket(bench->server));
    if (bench->redis == NULL || bench->redis->err != 0)
        return -1;
    memset(value, 'v', VALUE_BYTES);
    value[VALUE_BYTES] = 0;
    freeReplyObject(redisCommand(bench->redis, "SET key %s", value));
    if (sta_redis_url_parse(url, &bench->url, NULL) < 0 || sta_loop_create(&bench->loop) < 0 ||
        sta_l2_create(&bench->l2, bench->loop, &config, NULL) < 0 ||
        sta_loop_start(bench->loop, "bench-l2") < 0)
        return -1;
    return 0;
}

static void bench_close(struct bench *bench)
{
    if (bench->loop != NULL) {
        sta_loop_stop(bench->loop);
        sta_loop_join(bench->loop);
    }
    sta_l2_destroy(&bench->l2);
    sta_loop_destroy(&bench->loop);
    if (bench->redis != NULL)
        redisFree(bench->redis);
    redis_server_stop(&bench->server);
}

int main(int argc, char **argv)
{
    struct bench bench = {.server = NULL};
    struct utsname machine;
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 7;
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        (void)fprintf(stderr, "usage: bench_l2 [rounds, 1..%d]\n", ROUNDS_MAX);
        return 2;
    }
    (void)uname(&machine);
    printf("bench_l2 %u: %s %s, %ld cores, redis-server on a unix socket of the same machine\n",
           rounds, machine.sysname, machine.release, sysconf(_SC_NPROCESSORS_ONLN));
    int failed = bench_open(&bench);
    if (failed == 0)
        failed = bench_run(&bench, rounds);
    bench_close(&bench);
    if (failed != 0)
        (void)fprintf(stderr, "bench_l2: failed\n");
    return failed != 0;
}
