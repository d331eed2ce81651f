/* SPDX-License-Identifier: MIT
 *
 * stratad before a cluster on which things happen, while clients write and read through it and
 * check each answer (stratad_cluster_rig.h): slots move, a replica takes over, a primary dies, a
 * primary hangs. Long form (STRATA_LONG=1): three minutes of moves in place of 4 of them, 12
 * replicas in place of 3, a minute of storms in place of one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/random.h"
#include "integration/question_meter.h"
#include "integration/stratad_cluster_rig.h"
#include "support/long_form.h"
#include "support/wait.h"

#define PATIENT_MS CLUSTER_RIG_PATIENT_MS
#define ENOUGH     300u
#define TRIAL_NS   (180 * STA_NS_SEC)
#define STORM_NS   (60 * STA_NS_SEC)

#define QUESTIONS_MAX                                                                              \
    22.0 /* for the map, per second: of all workers 20, of what hears of barriers 2 */

static struct stratad_cluster_load load; /* outlives a test that fails */

static unsigned slot_of_load(const struct redis_cluster *cluster, unsigned key)
{
    char name[32];
    (void)snprintf(name, sizeof name, "load:%u", key);
    return redis_cluster_slot(cluster, name);
}

static void slots_move_under_load(void **state)
{
    struct cluster_rig *rig = *state;
    struct stratad_process *stratad = stratad_cluster_start(rig, NULL);
    struct question_meter meter;
    unsigned moves = 0;
    stratad_cluster_load_start(&load, stratad);
    question_meter_start(&meter, rig->cluster);
    uint64_t end_ns = sta_clock_now_ns() + TRIAL_NS;
    for (; moves < 4 || (is_long_form() && sta_clock_now_ns() < end_ns); moves++) {
        unsigned slot = slot_of_load(rig->cluster, moves % STRATAD_CLUSTER_KEYS);
        int owner = redis_cluster_primary(rig->cluster, slot);
        assert_true(owner >= 0);
        unsigned to = (unsigned)(owner + 1) % 3;
        while (!redis_cluster_is_primary(rig->cluster, to) || (int)to == owner)
            to = (to + 1) % 6;
        assert_int_equal(redis_cluster_begin_move(rig->cluster, slot, to), 0);
        stratad_cluster_load_goes_on(&load, ENOUGH);
        assert_int_equal(redis_cluster_move_keys(rig->cluster, slot, to, 100), 0);
        stratad_cluster_load_goes_on(&load, ENOUGH);
        assert_int_equal(redis_cluster_finish_move(rig->cluster, slot, to), 0);
        stratad_cluster_load_goes_on(&load, ENOUGH);
        assert_int_equal(redis_cluster_settle(rig->cluster, PATIENT_MS), 0);
        assert_int_equal(redis_cluster_move_slot(rig->cluster, slot, (unsigned)owner), 0);
        question_meter_look(&meter);
    }
    (void)question_meter_assert(&meter, QUESTIONS_MAX);
    stratad_cluster_load_goes_on(&load, ENOUGH);
    stratad_cluster_load_stop(&load);
    print_message("# %u slots moved and came back, %u writes, %u reads\n", moves,
                  (unsigned)load.written, (unsigned)load.read);
    assert_int_equal(atomic_load(&load.errors), 0);
    stratad_process_stop(&stratad);
}

/* ---- storms ---- */

#define STORM_CLIENTS 16u /* some for each worker */
#define STORM_KEYS    20000u

/* Who write whatever there is and do not care for answers. */
struct storm {
    _Atomic bool stop;
    _Atomic unsigned turn;
    _Atomic unsigned long answered, errors;
    redisContext *clients[STORM_CLIENTS];
    char first_error[128]; /* of the first client */
    pthread_t threads[STORM_CLIENTS];
};

static void *write_whatever(void *arg)
{
    struct storm *storm = arg;
    unsigned turn = atomic_fetch_add(&storm->turn, 1);
    uint64_t random = turn;
    while (!atomic_load(&storm->stop)) {
        unsigned key = (unsigned)sta_random_below(&random, STORM_KEYS);
        redisReply *reply = redisCommand(storm->clients[turn], "SET storm:%u x", key);
        atomic_fetch_add(&storm->answered, reply != NULL);
        if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
            atomic_fetch_add(&storm->errors, 1);
            if (turn == 0 && storm->first_error[0] == '\0')
                (void)snprintf(storm->first_error, sizeof storm->first_error, "%s", reply->str);
        }
        freeReplyObject(reply);
    }
    return NULL;
}

static void storm_start(struct storm *storm, const struct stratad_process *stratad)
{
    memset(storm, 0, sizeof *storm);
    for (unsigned i = 0; i < STORM_CLIENTS; i++)
        storm->clients[i] = rig_client(stratad);
    for (unsigned i = 0; i < STORM_CLIENTS; i++)
        assert_int_equal(pthread_create(&storm->threads[i], NULL, write_whatever, storm), 0);
}

static void storm_stop(struct storm *storm)
{
    atomic_store(&storm->stop, true);
    for (unsigned i = 0; i < STORM_CLIENTS; i++)
        (void)pthread_join(storm->threads[i], NULL);
    for (unsigned i = 0; i < STORM_CLIENTS; i++)
        redisFree(storm->clients[i]);
    print_message("# %lu answers, %lu of them errors: %s\n", atomic_load(&storm->answered),
                  atomic_load(&storm->errors), storm->first_error);
}

/* Every worker is redirected all the time, and asks for the map by itself. */
static void storms_before(struct cluster_rig *rig, const char *workers)
{
    static struct storm storm;
    const char *const args[] = {"--workers", workers, "--max-connections", "100", NULL};
    struct stratad_process *stratad = stratad_cluster_start(rig, args);
    struct question_meter meter;
    storm_start(&storm, stratad);
    question_meter_start(&meter, rig->cluster);
    uint64_t end_ns = sta_clock_now_ns() + STORM_NS;
    for (unsigned round = 0; round < 1 || (is_long_form() && sta_clock_now_ns() < end_ns);
         round++) {
        cluster_rig_storm(rig, round);
        question_meter_look(&meter);
    }
    assert_true(question_meter_assert(&meter, QUESTIONS_MAX) > 0);
    storm_stop(&storm);
    stratad_process_stop(&stratad);
}

static void a_storm_of_redirects_asks_no_more_than_twenty_times_a_second(void **state)
{
    storms_before(*state, "8");
    if (is_long_form())
        storms_before(*state, "2");
}

/* ---- replicas ---- */

/* Without a loss: the old primary holds its clients until the new one has all of its writes. */
static void replicas_take_over_under_load(void **state)
{
    struct cluster_rig *rig = *state;
    struct stratad_process *stratad = stratad_cluster_start(rig, NULL);
    stratad_cluster_load_start(&load, stratad);
    for (unsigned round = 0; round < (is_long_form() ? 12u : 3u); round++) {
        unsigned slot = slot_of_load(rig->cluster, round);
        int owner = redis_cluster_primary(rig->cluster, slot);
        assert_true(owner >= 0);
        int replica = redis_cluster_replica(rig->cluster, (unsigned)owner);
        assert_true(replica >= 0);
        assert_int_equal(redis_cluster_failover(rig->cluster, (unsigned)replica, ""), 0);
        stratad_cluster_load_goes_on(&load, ENOUGH);
    }
    stratad_cluster_load_stop(&load);
    stratad_process_stop(&stratad);
}

/* ---- a primary dies ---- */

struct asked {
    struct cluster_rig *rig;
    redisContext *client;
    unsigned key;
};

/* Through stratad it is what the slot's owner has. */
static bool is_as_stored(void *arg)
{
    const struct asked *asked = arg;
    const struct redis_cluster *cluster = asked->rig->cluster;
    int owner = redis_cluster_primary(cluster, slot_of_load(cluster, asked->key));
    if (owner < 0)
        return false;
    redisReply *stored = redis_cluster_ask(cluster, (unsigned)owner, "GET load:%u", asked->key);
    redisReply *got = redisCommand(asked->client, "GET load:%u", asked->key);
    bool same = stored != NULL && got != NULL && stored->type == got->type &&
                (stored->str == NULL || strcmp(stored->str, got->str) == 0) &&
                stored->type != REDIS_REPLY_ERROR;
    freeReplyObject(stored);
    freeReplyObject(got);
    return same;
}

static void assert_all_as_stored(struct cluster_rig *rig, const struct stratad_process *stratad)
{
    struct asked asked = {rig, rig_client(stratad), 0};
    for (; asked.key < STRATAD_CLUSTER_KEYS; asked.key++)
        if (!wait_until(is_as_stored, &asked, PATIENT_MS))
            fail_msg("load:%u is not what is stored", asked.key);
    redisFree(asked.client);
}

static bool goes_on_without_errors(void)
{
    unsigned errors = atomic_load(&load.errors);
    stratad_cluster_load_goes_on(&load, ENOUGH);
    return atomic_load(&load.errors) == errors;
}

static void a_primary_dies_under_load(void **state)
{
    struct cluster_rig *rig = *state;
    struct stratad_process *stratad = stratad_cluster_start(rig, NULL);
    stratad_cluster_load_start(&load, stratad);
    int owner = redis_cluster_primary(rig->cluster, slot_of_load(rig->cluster, 0));
    assert_true(owner >= 0);
    atomic_store(&load.lossy, true);
    redis_cluster_kill9(rig->cluster, (unsigned)owner);
    unsigned before = atomic_load(&load.acked[0]);
    uint64_t end_ms = sta_clock_now_ms() + PATIENT_MS;
    while (atomic_load(&load.acked[0]) <= before + 1 && sta_clock_now_ms() < end_ms)
        stratad_cluster_load_goes_on(&load, 1);
    assert_true(atomic_load(&load.acked[0]) > before + 1);
    bool over = false; /* for the other worker as well */
    while (!over && sta_clock_now_ms() < end_ms)
        over = goes_on_without_errors();
    assert_true(over);
    assert_true(goes_on_without_errors());
    stratad_cluster_load_stop(&load);
    assert_all_as_stored(rig, stratad);
    stratad_process_stop(&stratad);
}

/* ---- a primary hangs ---- */

static bool is_kept_again(void *arg)
{
    redisContext *client = arg;
    ASSERT_SAYS(client, "OK", "SET kept v");
    ASSERT_SAYS(client, "v", "GET kept");
    long long before = stratad_cluster_number(client, "misses");
    ASSERT_SAYS(client, "v", "GET kept");
    return stratad_cluster_number(client, "misses") == before;
}

struct hope {
    redisContext *client;
    const char *key;
};

static bool is_unavailable(void *arg)
{
    const struct hope *hope = arg;
    redisReply *reply = redisCommand(hope->client, "SET %s 4", hope->key);
    bool is = reply != NULL && reply->type == REDIS_REPLY_ERROR &&
              strncmp(reply->str, "UNAVAILABLE strata: ", 20) == 0;
    freeReplyObject(reply);
    return is;
}

/* A write to it is unknown then, and L1 takes nothing in until its node has answered. */
static void a_primary_that_hangs_or_is_gone_leaves_the_others_alone(void **state)
{
    static const char *const args[] = {"--socket-timeout", "0.5", "--max-staleness", "60", NULL};
    static const struct redis_cluster_config config = {.no_replicas = true,
                                                       .node_timeout_ms = 60000};
    struct cluster_rig rig = {0};
    char dead[32], well[32];
    unsigned n = 0;
    (void)state;
    assert_int_equal(redis_cluster_start(&rig.cluster, &config), 0);
    struct stratad_process *stratad = stratad_cluster_start(&rig, args);
    redisContext *client = rig_client(stratad);
    stratad_cluster_key_of(rig.cluster, 1, "x", &n, dead, sizeof dead);
    stratad_cluster_key_of(rig.cluster, 0, "kept", &n, well, sizeof well);
    ASSERT_SAYS(client, "OK", "SET %s 1", dead);
    ASSERT_SAYS(client, "OK", "SET %s 1", well);
    assert_true(wait_until(is_kept_again, client, PATIENT_MS));
    redis_cluster_freeze(rig.cluster, 1);
    ASSERT_SAYS(client, "TIMEOUT strata: ", "SET %s 2", dead);
    long long before = stratad_cluster_number(client, "misses");
    ASSERT_SAYS(client, "OK", "SET %s 2", well);
    ASSERT_SAYS(client, "2", "GET %s", well);
    ASSERT_SAYS(client, "2", "GET %s", well);
    assert_int_equal(stratad_cluster_number(client, "misses"), before + 2); /* in doubt */
    redisReply *reply = redisCommand(client, "MGET %s %s", dead, well);
    assert_int_equal(reply->type, REDIS_REPLY_ERROR);
    freeReplyObject(reply);
    redis_cluster_thaw(rig.cluster, 1);
    assert_true(wait_until(is_kept_again, client, PATIENT_MS));
    ASSERT_SAYS(client, "OK", "SET %s 3", well);
    redis_cluster_kill9(rig.cluster, 1);
    struct hope hope = {client, dead};
    assert_true(wait_until(is_unavailable, &hope, PATIENT_MS));
    ASSERT_SAYS(client, "PARTIAL strata: 1 of 2", "DEL %s %s", dead, well);
    ASSERT_SAYS(client, "UNAVAILABLE strata: ", "EXISTS %s %s", dead, well);
    reply = redisCommand(client, "EXISTS %s", well);
    assert_int_equal(reply->integer, 0);
    freeReplyObject(reply);
    redisFree(client);
    stratad_process_stop(&stratad);
    redis_cluster_stop(&rig.cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(slots_move_under_load, cluster_rig_settle),
        cmocka_unit_test_setup(replicas_take_over_under_load, cluster_rig_settle),
        cmocka_unit_test_setup(a_primary_dies_under_load, cluster_rig_settle),
        cmocka_unit_test(a_primary_that_hangs_or_is_gone_leaves_the_others_alone),
        cmocka_unit_test_setup(a_storm_of_redirects_asks_no_more_than_twenty_times_a_second,
                               cluster_rig_settle),
    };
    return cmocka_run_group_tests(tests, cluster_rig_start, cluster_rig_stop);
}
