/* SPDX-License-Identifier: MIT
 *
 * What strata_l2_get_health() says of real servers: well, frozen, gone, busy with errors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "strata/l2.h"
#include "support/redis_cluster.h"
#include "support/redis_server.h"
#include "support/wait.h"

#define PATIENT_MS 30000u

struct world {
    struct strata_l2 *l2;
    enum strata_l2_state wanted;
};

static struct strata_l2_health *health_of(struct strata_l2 *l2)
{
    struct strata_l2_health *health = NULL;
    assert_int_equal(strata_l2_get_health(l2, &health), STRATA_OK);
    assert_non_null(health);
    return health;
}

static int get(struct strata_l2 *l2, const char *key)
{
    struct strata_value value = {0};
    int status = strata_l2_get(l2, strata_text(key), &value);
    strata_release(&value);
    return status;
}

/* Something is asked each time: silence is noticed only of who owes an answer. */
static bool is_as_wanted(void *arg)
{
    struct world *world = arg;
    (void)get(world->l2, "key");
    struct strata_l2_health *health = health_of(world->l2);
    bool so = health->state == world->wanted;
    strata_l2_health_free(&health);
    return so;
}

static void becomes(struct strata_l2 *l2, enum strata_l2_state wanted)
{
    struct world world = {l2, wanted};
    if (!wait_until(is_as_wanted, &world, PATIENT_MS)) {
        struct strata_l2_health *health = health_of(l2);
        fail_msg("%s, not %s", strata_l2_state_name(health->state), strata_l2_state_name(wanted));
    }
}

static struct strata_l2 *open_at(const char *url)
{
    struct strata_l2 *l2 = NULL;
    struct strata_error error;
    const struct strata_l2_options options = {.redis_url = url, .socket_timeout_ms = 300};
    if (strata_l2_open(&l2, &options, &error) != STRATA_OK)
        fail_msg("%s", error.text);
    return l2;
}

static void a_server_is_up_sick_up_again_and_down(void **state)
{
    (void)state;
    struct redis_server *server;
    char url[64];
    assert_int_equal(redis_server_start(&server, NULL), 0);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", redis_server_port(server));
    struct strata_l2 *l2 = open_at(url);
    becomes(l2, STRATA_L2_UP);
    for (int i = 0; i < 100; i++)
        assert_int_equal(get(l2, "key"), STRATA_MISS);
    static char large[100000]; /* for which there is a second connection */
    assert_int_equal(strata_l2_set(l2, strata_text("large"), strata_bytes(large, sizeof large), 0),
                     STRATA_OK);
    struct strata_l2_health *health = health_of(l2);
    assert_int_equal(health->total_nodes, 1);
    assert_int_equal(health->healthy_nodes, 1);
    assert_string_equal(health->nodes[0].address, url + strlen("redis://"));
    assert_in_range(health->nodes[0].latency_ns, 1000, 1000000000);
    assert_in_range(health->nodes[0].latency_p99_ns, 1000, 20000000000);
    assert_true(health->nodes[0].replies >= 100);
    assert_true(health->nodes[0].requests >= health->nodes[0].replies);
    assert_int_equal(health->nodes[0].in_flight, 0);
    assert_int_equal(health->nodes[0].reconnects, 0);
    strata_l2_health_free(&health);

    redis_server_freeze(server);
    becomes(l2, STRATA_L2_SICK);
    redis_server_thaw(server);
    becomes(l2, STRATA_L2_UP);
    redis_server_kill9(server);
    becomes(l2, STRATA_L2_DOWN);
    health = health_of(l2);
    assert_int_equal(health->healthy_nodes, 0);
    assert_true(health->nodes[0].timeouts > 0);
    assert_true(health->nodes[0].refused > 0);
    strata_l2_health_free(&health);
    strata_l2_close(&l2);
    redis_server_stop(&server);
}

static void errors_are_told_by_kind(void **state)
{
    (void)state;
    struct redis_server *server;
    char url[128];
    assert_int_equal(redis_server_start(&server, NULL), 0);
    redisContext *redis = redisConnectUnix(redis_server_socket(server));
    freeReplyObject(redisCommand(redis, "ACL SETUSER reader on nopass ~* +@all -set"));
    freeReplyObject(redisCommand(redis, "LPUSH atp:cache:list x"));
    (void)snprintf(url, sizeof url, "redis://reader:x@127.0.0.1:%d", redis_server_port(server));
    struct strata_l2 *l2 = open_at(url);
    becomes(l2, STRATA_L2_UP);
    assert_int_equal(get(l2, "list"), STRATA_ERR_SERVER);
    assert_int_equal(strata_l2_set(l2, strata_text("k"), strata_text("v"), 0), STRATA_ERR_DENIED);
    struct strata_l2_health *health = health_of(l2);
    assert_int_equal(health->nodes[0].server, 1);
    assert_int_equal(health->nodes[0].denied, 1);
    strata_l2_health_free(&health);
    strata_l2_close(&l2);
    redisFree(redis);
    redis_server_stop(&server);
}

static void each_node_of_a_cluster_is_told(void **state)
{
    (void)state;
    struct redis_cluster *cluster;
    struct strata_l2 *l2 = NULL;
    struct strata_error error;
    char key[16];
    assert_int_equal(redis_cluster_start(&cluster, NULL), 0);
    const char *seed = redis_cluster_address(cluster, 0);
    const struct strata_l2_options options = {.cluster_enabled = STRATA_ON,
                                              .cluster_nodes = &seed,
                                              .cluster_node_count = 1,
                                              .socket_timeout_ms = 5000};
    assert_int_equal(strata_l2_open(&l2, &options, &error), STRATA_OK);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof key, "key:%d", i);
        assert_int_equal(get(l2, key), STRATA_MISS);
    }
    struct strata_l2_health *health = health_of(l2);
    assert_int_equal(health->total_nodes, 3);
    assert_int_equal(health->healthy_nodes, 3);
    assert_int_equal(health->state, STRATA_L2_UP);
    for (size_t i = 0; i < 3; i++)
        assert_true(health->nodes[i].replies > 10);
    strata_l2_health_free(&health);
    strata_l2_close(&l2);
    redis_cluster_stop(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_is_up_sick_up_again_and_down),
        cmocka_unit_test(errors_are_told_by_kind),
        cmocka_unit_test(each_node_of_a_cluster_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
