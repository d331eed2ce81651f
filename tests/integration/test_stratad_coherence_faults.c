/* SPDX-License-Identifier: MIT
 *
 * stratad under load before a writer who knows nothing of it, while things break. The writer goes
 * directly to Redis with rising versions and notes when each was acknowledged; clients read through
 * the workers, whose way to Redis leads through a proxy. Of each answer is asked:
 *   - is it older than the bound: had a newer version been acknowledged so long before the
 *   question?
 *   - is it older than what this client has seen before?
 *   - is it older than what this client has written (a key of its own, through stratad)?
 * None may be, whatever breaks. One clock measures all of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "integration/push_thief.h"
#include "integration/stratad_rig.h"
#include "support/wait.h"

#define PATIENT_MS    20000u
#define STALE_MOST_MS 2000u
#define KEYS          16u
#define VERSIONS      (1u << 19) /* of all keys together */
#define CLIENTS       4u         /* over two workers */
#define DEPTH         6u
#define USUAL_PACE_US 300u

struct world {
    struct redis_server *server;
    struct push_thief *thief;
    struct stratad_process *stratad;
    unsigned pace_us;
    redisContext
        *through[2]; /* the writer's clients of stratad, for part of what it writes; or NULL */
    _Atomic bool stopping;
    _Atomic uint64_t acked_ms[KEYS][VERSIONS / KEYS];
    _Atomic uint64_t answers, stale, back, unwritten;
    pthread_t writer;
    pthread_t clients[CLIENTS];
};

struct client {
    redisContext *redis;
    unsigned number;
    int seen[KEYS];
    unsigned version; /* of its own key, the latest begun, */
    int written;      /*   and acknowledged */
};

static struct world world;
static struct client clients[CLIENTS];

/* ---- the writer ---- */

static redisContext *writer_connect(void)
{
    redisContext *redis = redisConnectUnix(redis_server_socket(world.server));
    if (redis->err == 0)
        return redis;
    redisFree(redis);
    return NULL;
}

/* Where it writes through stratad as well, each key comes by each way in turn. */
static redisContext *writer_way(redisContext *direct, unsigned n)
{
    return world.through[0] == NULL || n % 3 == 0 ? direct : world.through[n % 3 - 1];
}

/* Without a time-out: a write that nobody waits for any more could be carried out after a newer. */
static void *write_rising_versions(void *arg)
{
    (void)arg;
    redisContext *redis = NULL;
    for (unsigned n = 0; n < VERSIONS && !atomic_load(&world.stopping); n++) {
        unsigned key = n % KEYS, version = n / KEYS;
        if (redis == NULL)
            redis = writer_connect();
        redisReply *reply =
            redis == NULL ? NULL : redisCommand(writer_way(redis, n), "SET k%u %u", key, version);
        if (reply != NULL && reply->type == REDIS_REPLY_STATUS)
            atomic_store(&world.acked_ms[key][version], sta_clock_now_ms());
        if (reply == NULL && redis != NULL) {
            redisFree(redis);
            redis = NULL;
        }
        if (reply != NULL)
            freeReplyObject(reply);
        if (world.pace_us > 0)
            usleep(world.pace_us);
    }
    if (redis != NULL)
        redisFree(redis);
    return NULL;
}

/* ---- clients ---- */

/* The version in an answer; -1: none. */
static int version_of(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING ? atoi(reply->str) : -1;
}

/* Whether any newer version had been acknowledged long before. */
static bool is_stale(unsigned key, unsigned version, uint64_t asked_ms)
{
    for (unsigned v = version + 1; v < VERSIONS / KEYS; v++) {
        uint64_t acked_ms = atomic_load(&world.acked_ms[key][v]);
        if (acked_ms != 0)
            return acked_ms + STALE_MOST_MS < asked_ms;
        if (v > version + 64) /* others were lost, or none was written yet */
            break;
    }
    return false;
}

static void look(struct client *client, unsigned key, const redisReply *reply, uint64_t asked_ms)
{
    int version = version_of(reply);
    if (version < 0)
        return;
    atomic_fetch_add(&world.answers, 1);
    if (version < client->seen[key])
        atomic_fetch_add(&world.back, 1);
    if (is_stale(key, (unsigned)version, asked_ms))
        atomic_fetch_add(&world.stale, 1);
    client->seen[key] = version;
}

static redisReply *next_reply(struct client *client)
{
    void *reply = NULL;
    if (redisGetReply(client->redis, &reply) == REDIS_OK)
        return reply;
    (void)fprintf(stderr, "stratad has closed: %s\n", client->redis->errstr);
    abort();
}

/* GETs in one pipeline, of neighbours and of one key several times. */
static void read_pipeline(struct client *client, unsigned first)
{
    uint64_t asked_ms = sta_clock_now_ms();
    for (unsigned i = 0; i < DEPTH; i++)
        (void)redisAppendCommand(client->redis, "GET k%u", (first + i / 2) % KEYS);
    for (unsigned i = 0; i < DEPTH; i++) {
        redisReply *reply = next_reply(client);
        look(client, (first + i / 2) % KEYS, reply, asked_ms);
        freeReplyObject(reply);
    }
}

static void read_together(struct client *client, unsigned first)
{
    uint64_t asked_ms = sta_clock_now_ms();
    unsigned second = (first + 1) % KEYS;
    (void)redisAppendCommand(client->redis, "MGET k%u k%u", first, second);
    redisReply *reply = next_reply(client);
    if (reply->type == REDIS_REPLY_ARRAY) {
        look(client, first, reply->element[0], asked_ms);
        look(client, second, reply->element[1], asked_ms);
    }
    freeReplyObject(reply);
}

static void write_own(struct client *client)
{
    unsigned version = ++client->version;
    (void)redisAppendCommand(client->redis, "SET own%u %u", client->number, version);
    redisReply *reply = next_reply(client);
    if (reply->type == REDIS_REPLY_STATUS)
        client->written = (int)version;
    freeReplyObject(reply);
    for (unsigned i = 0; i < 3; i++) {
        (void)redisAppendCommand(client->redis, "GET own%u", client->number);
        reply = next_reply(client);
        int got = version_of(reply);
        if (got >= 0 && got < client->written)
            atomic_fetch_add(&world.unwritten, 1);
        freeReplyObject(reply);
    }
}

static void *be_client(void *arg)
{
    struct client *client = arg;
    for (unsigned n = client->number; !atomic_load(&world.stopping); n++) {
        if (n % 16 == 0)
            write_own(client);
        else if (n % 3 == 0)
            read_together(client, n % KEYS);
        else
            read_pipeline(client, n % KEYS);
    }
    return NULL;
}

/* ---- the frame ---- */

static void open_world(void)
{
    static const char *const args[] = {"--workers", "2", "--socket-timeout", "0.5", NULL};
    char url[64];
    memset(&world, 0, sizeof world);
    assert_int_equal(redis_server_start(&world.server, NULL), 0);
    world.thief = push_thief_start(redis_server_port(world.server));
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d/0", push_thief_port(world.thief));
    assert_int_equal(stratad_process_start(&world.stratad, url, args), 0);
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] =
            (struct client){.redis = rig_client(world.stratad), .number = i, .written = -1};
        for (unsigned key = 0; key < KEYS; key++)
            clients[i].seen[key] = -1;
    }
}

static void close_world(void)
{
    for (unsigned i = 0; i < 2; i++)
        redisFree(world.through[i]);
    for (unsigned i = 0; i < CLIENTS; i++)
        redisFree(clients[i].redis);
    stratad_process_stop(&world.stratad);
    push_thief_stop(&world.thief);
    redis_server_stop(&world.server);
}

static void start_threads(unsigned pace_us)
{
    world.pace_us = pace_us;
    assert_int_equal(pthread_create(&world.writer, NULL, write_rising_versions, NULL), 0);
    for (unsigned i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&world.clients[i], NULL, be_client, &clients[i]), 0);
}

static void start_load(unsigned pace_us)
{
    open_world();
    start_threads(pace_us);
}

static void end_load(void)
{
    atomic_store(&world.stopping, true);
    pthread_join(world.writer, NULL);
    for (unsigned i = 0; i < CLIENTS; i++)
        pthread_join(world.clients[i], NULL);
    close_world();
    print_message("%" PRIu64 " answers: %" PRIu64 " stale, %" PRIu64 " back, %" PRIu64
                  " before an own write\n",
                  atomic_load(&world.answers), atomic_load(&world.stale), atomic_load(&world.back),
                  atomic_load(&world.unwritten));
    assert_int_equal(atomic_load(&world.stale), 0);
    assert_int_equal(atomic_load(&world.back), 0);
    assert_int_equal(atomic_load(&world.unwritten), 0);
}

static bool goes_on(void *arg)
{
    return atomic_load(&world.answers) > *(const uint64_t *)arg;
}

/* Waits for so many answers more, and at least this long. */
static void await_answers(uint64_t more, unsigned ms)
{
    uint64_t goal = atomic_load(&world.answers) + more;
    uint64_t end_ms = sta_clock_now_ms() + ms;
    assert_true(wait_until(goes_on, &goal, PATIENT_MS));
    while (sta_clock_now_ms() < end_ms)
        usleep(1000);
}

static void foreign(const char *command)
{
    redisContext *redis = redisConnectUnix(redis_server_socket(world.server));
    assert_int_equal(redis->err, 0);
    freeReplyObject(redisCommand(redis, command));
    redisFree(redis);
}

static long long number_of(const char *name)
{
    redisContext *probe = rig_client(world.stratad);
    redisReply *reply = redisCommand(probe, "STRATA STATS");
    const char *at = strstr(reply->str, name);
    assert_non_null(at);
    long long number = atoll(at + strlen(name));
    freeReplyObject(reply);
    redisFree(probe);
    return number;
}

#define HITS     "\"l1\":{\"enabled\":true,\"hits\":"
#define PROVEN   "\"canaries\":"
#define GIVEN_UP "\"canaries_lost\":"

/* ---- what breaks ---- */

/* A writer without a pause: answers and pushes of two connections overtake each other all the
 * time. */
static void nothing_old_is_answered_while_others_write_at_full_speed(void **state)
{
    (void)state;
    start_load(0);
    await_answers(20000, 4000);
    end_load();
}

/* One key's writes come from outside, and by clients of both workers, whose SETs leave values. */
static void nothing_old_is_answered_while_others_and_clients_write_the_same_keys(void **state)
{
    (void)state;
    open_world();
    for (unsigned i = 0; i < 2; i++)
        world.through[i] = rig_client(world.stratad);
    start_threads(0);
    await_answers(20000, 4000);
    end_load();
}

static void nothing_old_is_answered_while_nothing_breaks(void **state)
{
    (void)state;
    start_load(USUAL_PACE_US);
    await_answers(20000, 1000);
    assert_true(number_of(HITS) > 1000);
    end_load();
}

static void nothing_old_is_answered_while_connections_are_killed(void **state)
{
    (void)state;
    start_load(USUAL_PACE_US);
    for (unsigned i = 0; i < 20; i++) {
        await_answers(500, 50);
        foreign("CLIENT KILL TYPE normal SKIPME yes");
    }
    await_answers(2000, STALE_MOST_MS + 500);
    end_load();
}

static void nothing_old_is_answered_while_databases_are_flushed(void **state)
{
    (void)state;
    start_load(USUAL_PACE_US);
    for (unsigned i = 0; i < 20; i++) {
        await_answers(500, 50);
        foreign(i % 2 == 0 ? "FLUSHALL" : "FLUSHDB");
    }
    await_answers(2000, STALE_MOST_MS + 500);
    end_load();
}

static void nothing_old_is_answered_while_redis_hangs(void **state)
{
    (void)state;
    start_load(USUAL_PACE_US);
    for (unsigned i = 0; i < 2; i++) {
        await_answers(2000, 700);
        redis_server_freeze(world.server);
        usleep((STALE_MOST_MS + 500) * 1000);
        redis_server_thaw(world.server);
    }
    await_answers(2000, STALE_MOST_MS + 500);
    end_load();
}

static void nothing_old_is_answered_while_clients_are_paused(void **state)
{
    (void)state;
    start_load(USUAL_PACE_US);
    for (unsigned i = 0; i < 4; i++) {
        await_answers(1000, 200);
        foreign(i % 2 == 0 ? "CLIENT PAUSE 700 ALL" : "CLIENT PAUSE 700 WRITE");
    }
    await_answers(2000, STALE_MOST_MS + 500);
    end_load();
}

static void nothing_old_is_answered_while_redis_restarts(void **state)
{
    (void)state;
    start_load(USUAL_PACE_US);
    for (unsigned i = 0; i < 3; i++) {
        await_answers(1000, 200);
        assert_int_equal(redis_server_restart(world.server), 0);
    }
    await_answers(2000, STALE_MOST_MS + 500);
    end_load();
}

static bool both_gave_up(void *arg)
{
    (void)arg;
    return number_of(GIVEN_UP) >= 2;
}

static bool is_proven_again(void *arg)
{
    return number_of(PROVEN) > *(const long long *)arg;
}

/* Replies come as ever: only a canary can tell. */
static void nothing_old_is_answered_while_a_proxy_swallows_invalidations(void **state)
{
    (void)state;
    start_load(USUAL_PACE_US);
    await_answers(2000, 700);
    push_thief_steal(world.thief, true);
    assert_true(wait_until(both_gave_up, NULL, PATIENT_MS));
    await_answers(1000, STALE_MOST_MS);
    assert_true(push_thief_stolen(world.thief) > 0);
    long long proofs = number_of(PROVEN);
    push_thief_steal(world.thief, false);
    assert_true(wait_until(is_proven_again, &proofs, PATIENT_MS));
    await_answers(2000, STALE_MOST_MS + 500);
    end_load();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_old_is_answered_while_others_write_at_full_speed),
        cmocka_unit_test(nothing_old_is_answered_while_others_and_clients_write_the_same_keys),
        cmocka_unit_test(nothing_old_is_answered_while_nothing_breaks),
        cmocka_unit_test(nothing_old_is_answered_while_connections_are_killed),
        cmocka_unit_test(nothing_old_is_answered_while_databases_are_flushed),
        cmocka_unit_test(nothing_old_is_answered_while_redis_hangs),
        cmocka_unit_test(nothing_old_is_answered_while_clients_are_paused),
        cmocka_unit_test(nothing_old_is_answered_while_redis_restarts),
        cmocka_unit_test(nothing_old_is_answered_while_a_proxy_swallows_invalidations),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* hiredis writes to connections that were killed */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
