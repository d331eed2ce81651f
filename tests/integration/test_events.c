/* SPDX-License-Identifier: MIT
 *
 * The event hook before real Redis servers: what happens is told, both ways, once, in order and on
 * a thread from which the cache may be called; and nothing is told when the hook has been taken
 * away.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "integration/cache_rig.h"
#include "support/redis_cluster.h"
#include "support/redis_server.h"
#include "support/wait.h"

#define PATIENT_MS 60000u
#define PREFIX     "atp:cache:"

/* ---- what was told ---- */

struct record {
    struct strata *cache;
    pthread_mutex_t lock;
    char told[16384]; /* "health l2_cache healthy>unhealthy silent;" one after another */
    const char *wanted;
    size_t from; /* where it is looked for */
    int within;  /* what calls from the hook answered */
    int again;
};

static void describe(const struct strata_event *event, char *text, size_t cap)
{
    switch (event->kind) {
    case STRATA_EVENT_HEALTH:
        (void)snprintf(text, cap, "health %s %s>%s %s;", event->part,
                       strata_health_state_name(event->before),
                       strata_health_state_name(event->state), event->reason);
        return;
    case STRATA_EVENT_COHERENCE:
        (void)snprintf(text, cap, "coherence %d>%d;", (int)event->coherence_before,
                       (int)event->coherence);
        return;
    case STRATA_EVENT_CLUSTER:
        (void)snprintf(text, cap, "cluster %s %s<%s;",
                       strata_cluster_event_name(event->cluster->kind), event->cluster->node,
                       event->cluster->from);
        return;
    default:
        (void)snprintf(text, cap, "%s %llu;", strata_event_name(event->kind),
                       (unsigned long long)event->keys);
    }
}

static void on_event(void *arg, const struct strata_event *event)
{
    struct record *record = arg;
    char text[700];
    describe(event, text, sizeof text);
    assert_true(event->text != NULL && event->text[0] != '\0' && strchr(event->text, '\n') == NULL);
    assert_true(event->part != NULL && event->reason != NULL);
    pthread_mutex_lock(&record->lock);
    size_t len = strlen(record->told);
    (void)snprintf(record->told + len, sizeof record->told - len, "%s", text);
    pthread_mutex_unlock(&record->lock);
}

static bool was_told(void *arg)
{
    struct record *record = arg;
    pthread_mutex_lock(&record->lock);
    const char *at = strstr(record->told + record->from, record->wanted);
    if (at != NULL)
        record->from = (size_t)(at - record->told) + 1;
    pthread_mutex_unlock(&record->lock);
    return at != NULL;
}

/* After what was expected before. */
static void expect(struct record *record, const char *wanted)
{
    record->wanted = wanted;
    if (!wait_until(was_told, record, PATIENT_MS))
        fail_msg("\"%s\" was not told, but: %s", wanted, record->told);
}

static size_t told_len(struct record *record)
{
    pthread_mutex_lock(&record->lock);
    size_t len = strlen(record->told);
    pthread_mutex_unlock(&record->lock);
    return len;
}

static void record_init(struct record *record, struct strata *cache)
{
    memset(record, 0, sizeof *record);
    record->cache = cache;
    pthread_mutex_init(&record->lock, NULL);
}

static struct record record;

static void watch(struct strata *cache)
{
    record_init(&record, cache);
    assert_int_equal(strata_set_event_hook(cache, on_event, &record), STRATA_OK);
}

/* ---- health and coherence ---- */

static void states_are_told_both_ways(void **state)
{
    (void)state;
    struct redis_server *server;
    assert_int_equal(redis_server_start(&server, NULL), 0);
    struct strata *cache =
        cache_rig_open((struct strata_options){.redis_url = redis_server_url(server)});
    assert_int_equal(set_text(cache, "k", "v", 0), STRATA_OK);
    watch(cache);
    expect(&record, "health l1_cache healthy>healthy ;");
    expect(&record, "health l2_cache healthy>healthy ;");
    expect(&record, "health overall healthy>healthy ;");
    expect(&record, "coherence 2>2;");
    redis_server_freeze(server);
    expect(&record, "health l1_cache healthy>unhealthy in_doubt;");
    expect(&record, "health l2_cache healthy>unhealthy silent;");
    expect(&record, "health overall healthy>unhealthy silent;");
    redis_server_thaw(server);
    expect(&record, "health l1_cache unhealthy>healthy ;");
    expect(&record, "health overall unhealthy>healthy ;");
    redis_server_kill9(server);
    expect(&record, ">unhealthy unreachable;"); /* by way of "connecting", or at once */
    assert_int_equal(redis_server_restart(server), 0);
    expect(&record, "health overall unhealthy>healthy ;");
    strata_close(&cache);
    redis_server_stop(&server);
}

static void a_coherence_that_comes_is_told(void **state)
{
    (void)state;
    struct redis_server *server;
    assert_int_equal(redis_server_start(&server, NULL), 0);
    redis_server_kill9(server);
    struct strata *cache =
        cache_rig_open((struct strata_options){.redis_url = redis_server_url(server)});
    watch(cache);
    expect(&record, "coherence 1>1;"); /* not that it is refused: nobody knows yet */
    assert_int_equal(redis_server_restart(server), 0);
    expect(&record, "coherence 1>2;");
    strata_close(&cache);
    redis_server_stop(&server);
}

/* ---- the hook ---- */

static void on_event_calling(void *arg, const struct strata_event *event)
{
    struct record *mine = arg;
    char buffer[8];
    size_t len;
    struct strata_health health;
    on_event(arg, event);
    mine->within = strata_set(mine->cache, strata_text("k"), strata_text("v"), 0);
    if (mine->within == STRATA_OK)
        mine->within = strata_get_copy(mine->cache, strata_text("k"), buffer, sizeof buffer, &len);
    if (mine->within == STRATA_OK)
        mine->within = strata_health(mine->cache, &health);
    mine->again = strata_set_event_hook(mine->cache, NULL, NULL);
}

static void the_cache_may_be_called_from_the_hook(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    record_init(&record, cache);
    record.within = 1;
    assert_int_equal(strata_set_event_hook(cache, on_event_calling, &record), STRATA_OK);
    expect(&record, "coherence ");
    assert_int_equal(strata_set_event_hook(cache, NULL, NULL), STRATA_OK); /* it has returned */
    assert_int_equal(record.within, STRATA_OK);
    assert_int_equal(record.again, STRATA_ERR_INVALID);
    strata_close(&cache);
}

static bool is_healthy(void *arg)
{
    struct strata_health health;
    assert_int_equal(strata_health(arg, &health), STRATA_OK);
    return health.overall.state == STRATA_HEALTHY;
}

static void a_hook_that_was_taken_away_hears_nothing(void **state)
{
    (void)state;
    struct redis_server *server;
    assert_int_equal(redis_server_start(&server, NULL), 0);
    struct strata *cache =
        cache_rig_open((struct strata_options){.redis_url = redis_server_url(server)});
    struct strata *witness_cache =
        cache_rig_open((struct strata_options){.redis_url = redis_server_url(server)});
    static struct record other, witness;
    watch(cache);
    expect(&record, "coherence ");
    record_init(&other, cache);
    assert_int_equal(strata_set_event_hook(cache, on_event, &other), STRATA_OK);
    size_t len = told_len(&record);
    redis_server_kill9(server);
    expect(&other, ">unhealthy ");
    assert_int_equal(told_len(&record), len);
    assert_int_equal(strata_set_event_hook(cache, NULL, NULL), STRATA_OK);
    len = told_len(&other);
    /* Two of another cache, one after the other, hear what it would have heard. */
    record_init(&witness, witness_cache);
    assert_int_equal(strata_set_event_hook(witness_cache, on_event, &witness), STRATA_OK);
    expect(&witness, "health overall unhealthy>unhealthy ");
    assert_int_equal(redis_server_restart(server), 0);
    expect(&witness, "health overall unhealthy>healthy ");
    assert_true(wait_until(is_healthy, cache, PATIENT_MS));
    assert_int_equal(strata_set_event_hook(witness_cache, NULL, NULL), STRATA_OK);
    record_init(&witness, witness_cache);
    assert_int_equal(strata_set_event_hook(witness_cache, on_event, &witness), STRATA_OK);
    expect(&witness, "coherence ");
    redis_server_freeze(
        server); /* which is seen after a second, so that the health before is, too */
    expect(&witness, "health overall healthy>unhealthy ");
    assert_int_equal(told_len(&other), len);
    redis_server_thaw(server);
    strata_close(&witness_cache);
    strata_close(&cache);
    redis_server_stop(&server);
}

static void count_event(void *arg, const struct strata_event *event)
{
    (void)event;
    atomic_fetch_add((_Atomic unsigned *)arg, 1);
}

static void *set_often(void *arg)
{
    _Atomic unsigned count = 0;
    for (int i = 0; i < 50; i++) {
        if (strata_set_event_hook(arg, count_event, &count) != STRATA_OK)
            return NULL;
        if (strata_set_event_hook(arg, NULL, NULL) != STRATA_OK)
            return NULL;
    }
    return arg;
}

static void hooks_are_set_by_several_threads(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, set_often, cache), 0);
    for (int i = 0; i < 4; i++) {
        void *done = NULL;
        assert_int_equal(pthread_join(threads[i], &done), 0);
        assert_non_null(done);
    }
    strata_close(&cache);
}

/* ---- write-behind ---- */

static void writes_that_redis_refuses_are_told_and_when_it_takes_them(void **state)
{
    (void)state;
    char url[256];
    redisReply *reply =
        redisCommand(cache_rig_foreign(), "ACL SETUSER some on >secret ~" PREFIX "ok:* &* +@all");
    assert_string_equal(reply->str, "OK");
    freeReplyObject(reply);
    (void)snprintf(url, sizeof url, "redis://some:secret@%s", cache_rig_url() + strlen("redis://"));
    struct strata *cache = cache_rig_open((struct strata_options){
        .redis_url = url,
        .tracking = STRATA_TRACKING_OFF,
        .write_through = STRATA_OFF,
        .write_behind = STRATA_ON,
        .write_behind_interval_ms = 10,
    });
    watch(cache);
    assert_int_equal(set_text(cache, "bad", "1", 0), STRATA_OK);
    expect(&record, "parked 1;");
    reply = redisCommand(cache_rig_foreign(), "ACL SETUSER some ~*");
    assert_string_equal(reply->str, "OK");
    freeReplyObject(reply);
    expect(&record, "parked 0;"); /* it is tried again after ten seconds */
    assert_int_equal(strata_flush(cache, PATIENT_MS), STRATA_OK);
    strata_close(&cache);
    record.wanted = "lost";
    assert_false(was_told(&record));
}

static void writes_that_others_have_overtaken_are_told(void **state)
{
    (void)cache_rig_flush(state);
    struct strata *cache = cache_rig_open((struct strata_options){
        .write_through = STRATA_OFF,
        .write_behind = STRATA_ON,
        .write_behind_interval_ms = 3600000,
        .write_behind_guard = STRATA_GUARD_ON,
    });
    watch(cache);
    expect(&record, "health overall"); /* it has looked */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(set_text(cache, "a", "ours", 0), STRATA_OK);
        redis_do("SET", PREFIX "a", i == 0 ? "theirs" : "and theirs");
        assert_int_equal(strata_flush(cache, PATIENT_MS), STRATA_OK);
        expect(&record, "overtaken 1;");
    }
    strata_close(&cache);
}

static void writes_that_are_lost_at_the_close_are_told(void **state)
{
    (void)state;
    struct redis_server *server;
    assert_int_equal(redis_server_start(&server, NULL), 0);
    struct strata *cache = cache_rig_open((struct strata_options){
        .redis_url = redis_server_url(server),
        .write_through = STRATA_OFF,
        .write_behind = STRATA_ON,
        .write_behind_interval_ms = 3600000,
        .write_behind_drain_timeout_ms = 1,
    });
    watch(cache);
    redis_server_kill9(server);
    assert_int_equal(set_text(cache, "a", "1", 0), STRATA_OK);
    assert_int_equal(set_text(cache, "b", "1", 0), STRATA_OK);
    strata_close(&cache);
    record.wanted = "lost 2;";
    if (!was_told(&record))
        fail_msg("%s", record.told);
    redis_server_stop(&server);
}

/* ---- a cluster ---- */

static void a_primary_that_dies_and_its_heir_are_told(void **state)
{
    (void)state;
    struct redis_cluster *servers;
    char wanted[300];
    assert_int_equal(redis_cluster_start(&servers, NULL), 0);
    const char *const seeds[] = {redis_cluster_address(servers, 0)};
    struct strata *cache =
        cache_rig_open((struct strata_options){.redis_url = "redis://127.0.0.1:1/0",
                                               .cluster_enabled = STRATA_ON,
                                               .cluster_nodes = seeds,
                                               .cluster_node_count = 1});
    for (int i = 0; i < 100; i++) {
        (void)snprintf(wanted, sizeof wanted, "k%d", i);
        assert_int_equal(set_text(cache, wanted, "v", 0), STRATA_OK);
    }
    watch(cache);
    expect(&record, "health overall healthy>healthy ;");
    record.from = 0;
    expect(&record, "cluster state <;"); /* it is watched */
    record.from = 0;
    unsigned dies = (unsigned)redis_cluster_primary(servers, 0);
    unsigned heir = (unsigned)redis_cluster_replica(servers, dies);
    const char *address = redis_cluster_address(servers, dies);
    size_t start = record.from;
    redis_cluster_kill9(servers, dies);
    expect(&record, "health l2_cache healthy>degraded ");
    record.from = start; /* one thread tells, but of two things that are seen apart */
    (void)snprintf(wanted, sizeof wanted, "cluster node_down %s<;", address);
    expect(&record, wanted);
    (void)snprintf(wanted, sizeof wanted, "cluster failover %s<%s;",
                   redis_cluster_address(servers, heir), address);
    expect(&record, wanted);
    assert_int_equal(redis_cluster_restart(servers, dies), 0);
    (void)snprintf(wanted, sizeof wanted, "cluster node_up %s<;", address);
    expect(&record, wanted);
    strata_close(&cache);
    redis_cluster_stop(&servers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_are_told_both_ways),
        cmocka_unit_test(a_coherence_that_comes_is_told),
        cmocka_unit_test(the_cache_may_be_called_from_the_hook),
        cmocka_unit_test(a_hook_that_was_taken_away_hears_nothing),
        cmocka_unit_test(hooks_are_set_by_several_threads),
        cmocka_unit_test(writes_that_redis_refuses_are_told_and_when_it_takes_them),
        cmocka_unit_test(writes_that_others_have_overtaken_are_told),
        cmocka_unit_test(writes_that_are_lost_at_the_close_are_told),
        cmocka_unit_test(a_primary_that_dies_and_its_heir_are_told),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
