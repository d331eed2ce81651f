/* SPDX-License-Identifier: MIT
 *
 * See calm_herd.h. Each client is what one process of the library has for a Redis: a router with
 * its connection, its backoff and its breaker, over TCP. Flocks of them share a loop, so that a
 * small machine can have a thousand; each asks, waits for the answer, rests, and asks again.
 *
 * Threads: a flock and its clients are its loop's; the thread that runs all this looks at them when
 * the loops have ended, and at what is atomic.
 */
#include "bench/calm_herd.h"

#include <hiredis/hiredis.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/random.h"
#include "l2/router.h"
#include "strata/status.h"
#include "support/redis_server.h"
#include "support/wait.h"

#define FLOCKS     20u
#define FLOCK      50u /* clients of a flock */
#define CLIENTS    (FLOCKS * FLOCK)
#define REST_NS    (100 * STA_NS_MS) /* on average */
#define BUDGET_NS  (500 * STA_NS_MS)
#define LOOK_NS    (20 * STA_NS_MS)
#define WINDOW_NS  (100 * STA_NS_MS)
#define PATIENT_MS 60000u
#define CALM_MS    1000u

static const char get[] = "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n";

struct client {
    struct flock *flock;
    struct sta_router *router;
    struct sta_operation operation;
    struct sta_timer timer;
    struct sta_log log;
    uint64_t tried_ns;   /* when its latest attempt to connect began, */
    uint64_t greeted_ns; /*   and when somebody listened to it */
    uint64_t back_ns;    /* when it was READY last */
    bool well;           /* its latest question was answered */
};

struct flock {
    struct herd *herd;
    struct sta_loop *loop;
    uint64_t random;
    struct sta_timer look;
    struct client clients[FLOCK];
    _Atomic unsigned connecting; /* when it was looked at last */

    /* Since the server was killed. */
    uint64_t calls;
    uint64_t failed;
    uint64_t last_failure_ns;
};

struct herd {
    struct sta_redis_url url;
    struct flock *flocks;
    _Atomic bool killed;
    _Atomic unsigned well;
    _Atomic unsigned under_way;

    /* Since the server was killed. */
    _Atomic unsigned most_under_way;
    _Atomic unsigned most_connecting;
};

static void raise_to(_Atomic unsigned *most, unsigned value)
{
    unsigned before = atomic_load(most);
    while (before < value && !atomic_compare_exchange_weak(most, &before, value))
        continue;
}

/* ---- a client ---- */

static void client_rest(struct client *client)
{
    struct flock *flock = client->flock;
    sta_timer_start(flock->loop, &client->timer,
                    sta_loop_now_ns(flock->loop) + sta_random_below(&flock->random, 2 * REST_NS));
}

static void flock_count(struct flock *flock, bool good)
{
    flock->calls++;
    flock->failed += !good;
    if (!good)
        flock->last_failure_ns = sta_clock_now_ns();
}

static void on_answered(struct sta_operation *operation, int status, struct strata_bytes replies)
{
    struct client *client = STA_CONTAINER(operation, struct client, operation);
    struct herd *herd = client->flock->herd;
    bool good = status == STRATA_OK;
    (void)replies;
    atomic_fetch_sub(&herd->under_way, 1);
    if (atomic_load(&herd->killed))
        flock_count(client->flock, good);
    if (client->well != good)
        atomic_fetch_add(&herd->well, good ? 1u : -1u);
    client->well = good;
    client_rest(client);
}

static void client_ask(struct sta_timer *timer)
{
    struct client *client = STA_CONTAINER(timer, struct client, timer);
    struct herd *herd = client->flock->herd;
    unsigned under_way = atomic_fetch_add(&herd->under_way, 1) + 1;
    if (atomic_load(&herd->killed))
        raise_to(&herd->most_under_way, under_way);
    client->operation = (struct sta_operation){
        .request = {.wire = strata_text(get),
                    .commands = 1,
                    .deadline_ns = sta_loop_now_ns(client->flock->loop) + BUDGET_NS},
        .slot = STA_OPERATION_ANY_NODE,
        .repeatable = true,
        .done = on_answered,
    };
    sta_router_submit(client->router, &client->operation);
}

static void on_state(void *arg, struct sta_node_lane *lane, enum sta_connection_state state,
                     const char *reason)
{
    struct client *client = arg;
    (void)lane;
    (void)reason;
    if (state == STA_CONNECTION_READY)
        client->back_ns = sta_clock_now_ns();
}

static bool ends_with(const char *line, const char *end)
{
    size_t len = strlen(line), end_len = strlen(end);
    return len >= end_len && strcmp(line + len - end_len, end) == 0;
}

/* What nobody but the log is told. */
static void on_line(void *arg, enum strata_log_level level, const char *room, const char *line)
{
    struct client *client = arg;
    (void)level;
    (void)room;
    if (ends_with(line, ": connecting"))
        client->tried_ns = sta_clock_now_ns();
    else if (ends_with(line, ": connected, greeting"))
        client->greeted_ns = sta_clock_now_ns();
}

static const struct sta_router_events router_events = {.state = on_state};

/* ---- a flock ---- */

static void on_look(struct sta_timer *timer)
{
    struct flock *flock = STA_CONTAINER(timer, struct flock, look);
    struct herd *herd = flock->herd;
    unsigned connecting = 0;
    for (unsigned i = 0; i < FLOCK; i++) {
        struct sta_connection_statistics statistics;
        sta_router_statistics(flock->clients[i].router, &statistics);
        connecting += statistics.state == STA_CONNECTION_CONNECTING ||
                      statistics.state == STA_CONNECTION_GREETING;
    }
    atomic_store(&flock->connecting, connecting);
    connecting = 0;
    for (unsigned i = 0; i < FLOCKS; i++)
        connecting += atomic_load(&herd->flocks[i].connecting);
    if (atomic_load(&herd->killed))
        raise_to(&herd->most_connecting, connecting);
    sta_timer_start(flock->loop, timer, sta_loop_now_ns(flock->loop) + LOOK_NS);
}

static int flock_open(struct flock *flock, struct herd *herd)
{
    const struct sta_router_config config = {.node.connection = {.url = &herd->url}};
    flock->herd = herd;
    flock->random = sta_random_seed();
    if (sta_loop_create(&flock->loop) < 0)
        return -1;
    for (unsigned i = 0; i < FLOCK; i++) {
        struct client *client = &flock->clients[i];
        client->flock = flock;
        sta_timer_init(&client->timer, client_ask);
        sta_log_init(&client->log, on_line, client, STRATA_LOG_DEBUG);
        if (sta_router_create(&client->router, flock->loop, &client->log, &config, &router_events,
                              client) < 0)
            return -1;
        client_rest(client);
    }
    sta_timer_init(&flock->look, on_look);
    sta_timer_start(flock->loop, &flock->look, 0);
    return sta_loop_start(flock->loop, "herd") < 0 ? -1 : 0;
}

static void flock_close(struct flock *flock)
{
    for (unsigned i = 0; i < FLOCK; i++) {
        if (flock->clients[i].router == NULL)
            continue;
        sta_router_destroy(&flock->clients[i].router); /* its last question ends with it */
        sta_timer_stop(flock->loop, &flock->clients[i].timer);
    }
    if (flock->loop != NULL)
        sta_loop_destroy(&flock->loop);
}

/* ---- all of them ---- */

static bool are_all_well(void *arg)
{
    struct herd *herd = arg;
    return atomic_load(&herd->well) == CLIENTS;
}

static int herd_open(struct herd *herd, const char *url)
{
    herd->flocks = calloc(FLOCKS, sizeof *herd->flocks);
    if (herd->flocks == NULL || sta_redis_url_parse(url, &herd->url, NULL) < 0)
        return -1;
    for (unsigned i = 0; i < FLOCKS; i++)
        if (flock_open(&herd->flocks[i], herd) != 0)
            return -1;
    return 0;
}

static void herd_stop(struct herd *herd)
{
    for (unsigned i = 0; herd->flocks != NULL && i < FLOCKS; i++) {
        if (herd->flocks[i].loop == NULL)
            continue;
        sta_loop_stop(herd->flocks[i].loop);
        sta_loop_join(herd->flocks[i].loop);
    }
}

static void herd_close(struct herd *herd)
{
    for (unsigned i = 0; herd->flocks != NULL && i < FLOCKS; i++)
        flock_close(&herd->flocks[i]);
    free(herd->flocks);
}

/* ---- looking at them ---- */

static int compare(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one;
    uint64_t b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

/* Sorts times of all clients. The most within any 100 ms, in percent. */
static double most_at_once(uint64_t *times_ns)
{
    unsigned most = 0;
    qsort(times_ns, CLIENTS, sizeof times_ns[0], compare);
    for (unsigned last = 0, first = 0; last < CLIENTS; last++) {
        while (times_ns[last] - times_ns[first] >= WINDOW_NS)
            first++;
        most = last - first + 1 > most ? last - first + 1 : most;
    }
    return 100.0 * most / CLIENTS;
}

static double seconds(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e9 : 0;
}

static double processor_seconds(void)
{
    struct rusage used;
    (void)getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* What the flocks have seen, together. */
struct sums {
    uint64_t tried_ns[CLIENTS];
    uint64_t back_ns[CLIENTS];
    uint64_t attempts; /* in vain */
    uint64_t calls;
    uint64_t failed;
    uint64_t last_failure_ns;
    uint64_t listened_ns; /* to the first who then was answered */
};

static void sums_add(struct sums *sums, const struct flock *flock, unsigned first)
{
    for (unsigned i = 0; i < FLOCK; i++) {
        struct sta_connection_statistics statistics;
        sta_router_statistics(flock->clients[i].router, &statistics);
        sums->attempts += statistics.failures;
        sums->tried_ns[first + i] = flock->clients[i].tried_ns;
        sums->back_ns[first + i] = flock->clients[i].back_ns;
        if (flock->clients[i].greeted_ns < sums->listened_ns)
            sums->listened_ns = flock->clients[i].greeted_ns;
    }
    sums->calls += flock->calls;
    sums->failed += flock->failed;
    if (flock->last_failure_ns > sums->last_failure_ns)
        sums->last_failure_ns = flock->last_failure_ns;
}

static void herd_print(struct herd *herd, uint64_t killed_ns, uint64_t up_ns, bool was_away,
                       double processor)
{
    struct sums sums = {.listened_ns = up_ns};
    for (unsigned i = 0; i < FLOCKS; i++)
        sums_add(&sums, &herd->flocks[i], i * FLOCK);
    double tried = most_at_once(sums.tried_ns);
    double back = most_at_once(sums.back_ns);
    if (was_away)
        printf("%u clients, Redis away for %.2f s, of which it listened for %.2f s: ", CLIENTS,
               seconds(killed_ns, up_ns), seconds(sums.listened_ns, up_ns));
    else
        printf("%u clients, whose links were cut and Redis stayed: ", CLIENTS);
    printf("after that half are back in %.2f s, all in %.2f s, %.1f %% at most within 100 ms, who "
           "began to connect %.1f %% at most; %u connecting at a time; %llu attempts in vain; %llu "
           "of %llu calls failed, the last %.2f s after; at most %u under way; %.2f s of processor "
           "time\n",
           seconds(up_ns, sums.back_ns[CLIENTS / 2]), seconds(up_ns, sums.back_ns[CLIENTS - 1]),
           back, tried, atomic_load(&herd->most_connecting), (unsigned long long)sums.attempts,
           (unsigned long long)sums.failed, (unsigned long long)sums.calls,
           seconds(up_ns, sums.last_failure_ns), atomic_load(&herd->most_under_way), processor);
}

/* ---- one restart ---- */

static void pass_ms(unsigned ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&pause, NULL);
}

static int cut_links(const struct redis_server *server)
{
    redisContext *redis = redisConnectUnix(redis_server_socket(server));
    redisReply *reply = redis != NULL ? redisCommand(redis, "CLIENT KILL TYPE normal") : NULL;
    int status = reply != NULL && reply->type == REDIS_REPLY_INTEGER ? 0 : -1;
    freeReplyObject(reply);
    if (redis != NULL)
        redisFree(redis);
    return status;
}

static int restart(struct redis_server *server, unsigned away_ms)
{
    if (away_ms == 0)
        return cut_links(server);
    redis_server_kill9(server);
    pass_ms(away_ms);
    return redis_server_restart(server);
}

static int herd_restart(struct herd *herd, struct redis_server *server, unsigned away_ms)
{
    if (!wait_until(are_all_well, herd, PATIENT_MS))
        return -1;
    pass_ms(CALM_MS);
    double processor = processor_seconds();
    uint64_t killed_ns = sta_clock_now_ns();
    atomic_store(&herd->killed, true);
    if (restart(server, away_ms) != 0)
        return -1;
    uint64_t up_ns = sta_clock_now_ns();
    pass_ms(CALM_MS); /* no client has missed all of it */
    bool well = wait_until(are_all_well, herd, PATIENT_MS);
    processor = processor_seconds() - processor;
    herd_stop(herd);
    if (well)
        herd_print(herd, killed_ns, up_ns, away_ms > 0, processor);
    return well ? 0 : -1;
}

int calm_herd_run(unsigned away_ms)
{
    static const char *const more[] = {"--tcp-backlog", "4096", NULL};
    struct redis_server *server = NULL;
    struct herd herd = {.flocks = NULL};
    int status = redis_server_start(&server, more);
    if (status == 0)
        status = herd_open(&herd, redis_server_url(server));
    if (status == 0)
        status = herd_restart(&herd, server, away_ms);
    if (status != 0)
        herd_stop(&herd);
    herd_close(&herd);
    redis_server_stop(&server);
    return status;
}
