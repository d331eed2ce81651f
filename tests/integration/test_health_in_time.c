/* SPDX-License-Identifier: MIT
 *
 * That the health follows what happens to Redis within two seconds, both ways, and nobody asks the
 * cache for anything meanwhile: as the library's event hook tells it, and as stratad's
 * administration answers, before a single Redis and a cluster.
 *
 * A machine that is busy makes it later, and never earlier. So each fact is brought about again
 * until it was seen in time once: what takes longer by itself is late every time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "integration/admin_rig.h"
#include "integration/cache_rig.h"
#include "integration/stratad_cluster_rig.h"
#include "support/port.h"
#include "support/wait.h"

#define BOUND_NS   (2 * STA_NS_SEC)
#define ATTEMPTS   12u
#define PATIENT_MS 60000u

enum fact { FROZEN, THAWED, KILLED, STARTED, FACTS };

static const char *const fact_names[FACTS] = {"frozen", "thawed", "killed", "started"};

/* A place where health is seen, and the Redis that it is of. */
struct place {
    const char *name;
    struct redis_server *server;   /* a single Redis, or */
    struct redis_cluster *cluster; /* the first node of a cluster */
    int port;                      /* of stratad's administration; 0: the hook tells */
    uint64_t least_ns[FACTS];
};

/* ---- facts ---- */

static void bring_about(const struct place *place, enum fact fact)
{
    struct redis_server *server = place->server;
    struct redis_cluster *cluster = place->cluster;
    switch (fact) {
    case FROZEN:
        server != NULL ? redis_server_freeze(server) : redis_cluster_freeze(cluster, 0);
        return;
    case THAWED:
        server != NULL ? redis_server_thaw(server) : redis_cluster_thaw(cluster, 0);
        return;
    case KILLED:
        server != NULL ? redis_server_kill9(server) : redis_cluster_kill9(cluster, 0);
        return;
    default: /* it answers when this is done */
        if (server != NULL)
            assert_int_equal(redis_server_restart(server), 0);
        else
            assert_true(redis_cluster_restart(cluster, 0) == 0 &&
                        redis_cluster_settle(cluster, PATIENT_MS) == 0);
    }
}

/* ---- seeing ---- */

/* What the hook has told last, and when. */
static struct told {
    _Atomic int overall;
    _Atomic uint64_t at_ns;
} told;

static void on_event(void *arg, const struct strata_event *event)
{
    (void)arg;
    if (event->kind != STRATA_EVENT_HEALTH || strcmp(event->part, "overall") != 0)
        return;
    atomic_store(&told.at_ns, sta_clock_now_ns());
    atomic_store(&told.overall, (int)event->state);
}

struct wanted {
    const struct place *place;
    bool well;
    uint64_t seen_ns;
};

static bool is_seen(void *arg)
{
    struct wanted *wanted = arg;
    if (wanted->place->port == 0) {
        bool well = atomic_load(&told.overall) == STRATA_HEALTHY;
        wanted->seen_ns = atomic_load(&told.at_ns);
        return well == wanted->well;
    }
    char *answer =
        admin_rig_exchange(wanted->place->port, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    bool well = strstr(answer, "\"overall\":{\"state\":\"healthy\"") != NULL;
    free(answer);
    wanted->seen_ns = sta_clock_now_ns();
    return well == wanted->well;
}

static void see(struct place *place, enum fact fact)
{
    struct wanted wanted = {.place = place, .well = fact == THAWED || fact == STARTED};
    uint64_t begun_ns = sta_clock_now_ns();
    bring_about(place, fact);
    if (fact == STARTED)
        begun_ns = sta_clock_now_ns();
    if (!wait_until(is_seen, &wanted, PATIENT_MS))
        fail_msg("%s: that Redis was %s is not seen", place->name, fact_names[fact]);
    uint64_t took_ns = wanted.seen_ns > begun_ns ? wanted.seen_ns - begun_ns : 0;
    if (took_ns < place->least_ns[fact])
        place->least_ns[fact] = took_ns;
}

static bool all_in_time(const struct place *place)
{
    for (unsigned fact = 0; fact < FACTS; fact++)
        if (place->least_ns[fact] > BOUND_NS)
            return false;
    return true;
}

static void assert_seen_in_time(struct place *place)
{
    struct wanted well = {.place = place, .well = true};
    assert_true(wait_until(is_seen, &well, PATIENT_MS));
    for (unsigned fact = 0; fact < FACTS; fact++)
        place->least_ns[fact] = UINT64_MAX;
    for (unsigned i = 0; i < ATTEMPTS && !all_in_time(place); i++)
        for (unsigned fact = 0; fact < FACTS; fact++)
            see(place, (enum fact)fact);
    for (unsigned fact = 0; fact < FACTS; fact++)
        print_message("%s: %s, seen after %.3f s\n", place->name, fact_names[fact],
                      (double)place->least_ns[fact] / (double)STA_NS_SEC);
    assert_true(all_in_time(place));
}

/* ---- */

static void the_hook_tells_in_time(void **state)
{
    (void)state;
    struct place place = {.name = "hook"};
    assert_int_equal(redis_server_start(&place.server, NULL), 0);
    struct strata *cache =
        cache_rig_open((struct strata_options){.redis_url = redis_server_url(place.server)});
    atomic_store(&told.overall, STRATA_UNHEALTHY);
    assert_int_equal(strata_set_event_hook(cache, on_event, NULL), STRATA_OK);
    assert_seen_in_time(&place);
    strata_close(&cache);
    redis_server_stop(&place.server);
}

static void stratad_answers_in_time(void **state)
{
    (void)state;
    struct admin_daemon daemon;
    struct place place = {.name = "stratad"};
    assert_int_equal(redis_server_start(&place.server, NULL), 0);
    admin_rig_start(&daemon, redis_server_url(place.server));
    place.port = daemon.port;
    assert_seen_in_time(&place);
    stratad_process_stop(&daemon.stratad);
    redis_server_stop(&place.server);
}

static void stratad_before_a_cluster_answers_in_time(void **state)
{
    (void)state;
    /* Without replicas, and slow to give up a node: it is to be the same one afterwards. */
    const struct redis_cluster_config config = {.no_replicas = true, .node_timeout_ms = 60000};
    struct place place = {.name = "stratad before a cluster", .port = port_choose("127.0.0.1")};
    void *fixture = NULL;
    char address[64], key[64];
    const char *const args[] = {"--admin-listen", address, NULL};
    unsigned n = 0;
    (void)snprintf(address, sizeof address, "127.0.0.1:%d", place.port);
    assert_int_equal(cluster_rig_start_with(&fixture, &config), 0);
    struct cluster_rig *rig = fixture;
    place.cluster = rig->cluster;
    struct stratad_process *stratad = stratad_cluster_start(rig, args);
    redisContext *client = rig_client(stratad);
    stratad_cluster_key_of(rig->cluster, 0, "key", &n, key, sizeof key);
    freeReplyObject(redisCommand(client, "GET %s", key)); /* now there is need for that node */
    assert_seen_in_time(&place);
    redisFree(client);
    stratad_process_stop(&stratad);
    assert_int_equal(cluster_rig_stop(&fixture), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hook_tells_in_time),
        cmocka_unit_test(stratad_answers_in_time),
        cmocka_unit_test(stratad_before_a_cluster_answers_in_time),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
