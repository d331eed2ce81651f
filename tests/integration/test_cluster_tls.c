/* SPDX-License-Identifier: MIT
 *
 * A cluster that speaks TLS only: the cache before it, the monitor, and `strata cluster`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "strata/strata.h"
#include "strata/tls.h"
#include "strata_program.h"
#include "support/certificates.h"
#include "support/redis_cluster.h"
#include "support/wait.h"

#define PATIENT_MS 60000u
#define KEYS       60u

struct world {
    struct certificate_folder files;
    char node_file[96];
    char node_key[96];
    const char *tls_args[9]; /* ends with NULL */
    struct redis_cluster *servers;
    char url[256];
    struct strata *cache;
    struct strata_cluster *cluster;
};

/* Nodes are servers to clients and clients to each other, so theirs is a certificate for both. */
static void make_node_certificate(struct world *world)
{
    struct certificate node;
    const struct certificate *chain = &node;
    certificate_make(&node, &(struct certificate_plan){.cn = "Test Node",
                                                       .names = "DNS:localhost,IP:127.0.0.1",
                                                       .usage = "serverAuth,clientAuth",
                                                       .issuer = &world->files.root});
    (void)snprintf(world->node_file, sizeof world->node_file, "%s/node.crt", world->files.folder);
    (void)snprintf(world->node_key, sizeof world->node_key, "%s/node.key", world->files.folder);
    certificate_write(world->node_file, &chain, 1);
    certificate_write_key(world->node_key, &node, NULL);
    certificate_fini(&node);
}

static int start(void **state)
{
    static struct world world;
    certificate_folder_open(&world.files);
    make_node_certificate(&world);
    const char *const args[] = {
        "--tls-cert-file",    world.node_file,     "--tls-key-file",     world.node_key,
        "--tls-ca-cert-file", world.files.ca_file, "--tls-auth-clients", "no"};
    memcpy(world.tls_args, args, sizeof args);
    const struct redis_cluster_config config = {.tls_args = world.tls_args};
    *state = &world;
    if (redis_cluster_start(&world.servers, &config) != 0)
        return -1;
    (void)snprintf(world.url, sizeof world.url, "rediss://%s?cacert=%s",
                   redis_cluster_address(world.servers, 0), world.files.ca_file);
    return 0;
}

static int stop(void **state)
{
    struct world *world = *state;
    redis_cluster_stop(&world->servers);
    certificate_folder_close(&world->files);
    return 0;
}

static int settle(void **state)
{
    struct world *world = *state;
    return redis_cluster_settle(world->servers, PATIENT_MS);
}

static int end(void **state)
{
    struct world *world = *state;
    strata_close(&world->cache);
    strata_cluster_close(&world->cluster);
    return 0;
}

/* ---- the cache ---- */

static void open_cache(struct world *world)
{
    struct strata_error error = {0};
    const struct strata_options options = {
        .l1_enabled = STRATA_OFF,
        .l2_key_prefix = "",
        .redis_url = world->url,
        .cluster_enabled = STRATA_ON,
        .socket_timeout_ms = 20000,
        .tls_provider = strata_tls_openssl(),
    };
    if (strata_open(&world->cache, &options, &error) != STRATA_OK)
        fail_msg("strata_open: %s", error.text);
}

static const char *key_text(unsigned i)
{
    static char text[32];
    (void)snprintf(text, sizeof text, "key:%u", i);
    return text;
}

static int write_all(struct strata *cache)
{
    for (unsigned i = 0; i < KEYS; i++) {
        struct strata_bytes key = strata_text(key_text(i));
        int status = strata_set(cache, key, key, 0);
        if (status != STRATA_OK)
            return status;
    }
    return STRATA_OK;
}

static bool takes_writes(void *arg)
{
    return write_all(arg) == STRATA_OK;
}

static void check_all(struct strata *cache)
{
    for (unsigned i = 0; i < KEYS; i++) {
        struct strata_bytes key = strata_text(key_text(i));
        struct strata_value value = {0};
        assert_int_equal(strata_get(cache, key, &value), STRATA_OK);
        assert_int_equal(value.bytes.len, key.len);
        assert_memory_equal(value.bytes.data, key.data, key.len);
        strata_release(&value);
    }
}

static void all_nodes_are_reached_from_one_seed(void **state)
{
    struct world *world = *state;
    bool met[6] = {false};
    open_cache(world);
    assert_true(wait_until(takes_writes, world->cache, PATIENT_MS));
    check_all(world->cache);
    for (unsigned i = 0; i < KEYS; i++)
        met[redis_cluster_primary(world->servers,
                                  redis_cluster_slot(world->servers, key_text(i)))] = true;
    unsigned nodes = 0;
    for (unsigned i = 0; i < 6; i++)
        nodes += met[i];
    assert_int_equal(nodes, 3); /* or the keys above prove nothing */
}

static void a_slot_that_moves_is_followed(void **state)
{
    struct world *world = *state;
    open_cache(world);
    assert_true(wait_until(takes_writes, world->cache, PATIENT_MS));
    unsigned slot = redis_cluster_slot(world->servers, key_text(0));
    unsigned home = (unsigned)redis_cluster_primary(world->servers, slot);
    unsigned to = 0;
    while (to == home || !redis_cluster_is_primary(world->servers, to))
        to++;
    assert_int_equal(redis_cluster_begin_move(world->servers, slot, to), 0);
    assert_int_equal(redis_cluster_move_keys(world->servers, slot, to, UINT32_MAX), 0);
    check_all(world->cache); /* ASK */
    assert_int_equal(redis_cluster_finish_move(world->servers, slot, to), 0);
    check_all(world->cache); /* MOVED */
}

static void a_failover_is_followed(void **state)
{
    struct world *world = *state;
    open_cache(world);
    assert_true(wait_until(takes_writes, world->cache, PATIENT_MS));
    int replica = -1;
    for (unsigned i = 0; i < 6 && replica < 0; i++)
        if (redis_cluster_is_primary(world->servers, i))
            replica = redis_cluster_replica(world->servers, i);
    assert_true(replica >= 0);
    assert_int_equal(redis_cluster_failover(world->servers, (unsigned)replica, ""), 0);
    assert_true(wait_until(takes_writes, world->cache, PATIENT_MS));
    check_all(world->cache);
}

/* ---- the monitor ---- */

static int open_monitor(struct world *world, struct strata_cluster_options options)
{
    struct strata_error error = {0};
    options.interval_ms = 100;
    options.timeout_ms = 20000;
    return strata_cluster_open(&world->cluster, &options, &error);
}

static bool all_are_well(void *arg)
{
    struct strata_cluster_info *info = NULL;
    if (strata_cluster_get_info(arg, &info) != STRATA_OK)
        return false;
    bool well = strcmp(info->cluster_state, "ok") == 0 && info->total_nodes == 6 &&
                info->healthy_nodes == 6 && info->slots_ok == REDIS_CLUSTER_SLOTS;
    strata_cluster_info_free(&info);
    return well;
}

static void the_monitor_hears_of_every_node(void **state)
{
    struct world *world = *state;
    const struct strata_cluster_options in_url = {.redis_url = world->url,
                                                  .tls_provider = strata_tls_openssl()};
    assert_int_equal(open_monitor(world, in_url), STRATA_OK);
    assert_true(wait_until(all_are_well, world->cluster, PATIENT_MS));
    strata_cluster_close(&world->cluster);

    char plain[128];
    (void)snprintf(plain, sizeof plain, "rediss://%s", redis_cluster_address(world->servers, 0));
    const struct strata_cluster_options in_options = {.redis_url = plain,
                                                      .tls_provider = strata_tls_openssl(),
                                                      .tls_ca_file = world->files.ca_file,
                                                      .tls_server_name = "localhost"};
    assert_int_equal(open_monitor(world, in_options), STRATA_OK);
    assert_true(wait_until(all_are_well, world->cluster, PATIENT_MS));
}

static void a_server_that_cannot_prove_itself_is_not_listened_to(void **state)
{
    struct world *world = *state;
    struct strata_cluster_info *info = NULL;
    const struct strata_cluster_options options = {.redis_url = world->url,
                                                   .tls_provider = strata_tls_openssl(),
                                                   .tls_server_name = "elsewhere.example"};
    assert_int_equal(open_monitor(world, options), STRATA_OK);
    assert_int_equal(strata_cluster_get_info(world->cluster, &info), STRATA_ERR_UNTRUSTED);
    assert_null(info);
}

static void what_cannot_be_opened_is_refused(void **state)
{
    struct world *world = *state;
    const struct strata_cluster_options without = {.redis_url = world->url};
    assert_int_equal(open_monitor(world, without), STRATA_ERR_UNSUPPORTED);
    const struct strata_cluster_options no_file = {.redis_url = "rediss://localhost",
                                                   .tls_provider = strata_tls_openssl(),
                                                   .tls_ca_file = "/no/such/file"};
    assert_int_equal(open_monitor(world, no_file), STRATA_ERR_CONFIG);
    assert_null(world->cluster);
}

/* ---- the command ---- */

static bool command_shows_it(void *arg)
{
    struct world *world = arg;
    char variable[160];
    char url[128];
    struct command_result result = {0};
    (void)snprintf(variable, sizeof variable, "STRATA_TLS_CA_FILE=%s", world->files.ca_file);
    (void)snprintf(url, sizeof url, "rediss://%s", redis_cluster_address(world->servers, 0));
    int code = strata_run(&result, &(struct command_input){.environment = variable}, url, "cluster",
                          "info", NULL);
    bool shown = code == 0 && strstr(result.out, "healthy nodes  6 of 6\n") != NULL;
    command_result_fini(&result);
    return shown;
}

static void the_command_takes_its_files_from_the_environment(void **state)
{
    assert_true(wait_until(command_shows_it, *state, PATIENT_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_nodes_are_reached_from_one_seed, settle, end),
        cmocka_unit_test_setup_teardown(a_slot_that_moves_is_followed, settle, end),
        cmocka_unit_test_setup_teardown(a_failover_is_followed, settle, end),
        cmocka_unit_test_setup_teardown(the_monitor_hears_of_every_node, settle, end),
        cmocka_unit_test_setup_teardown(a_server_that_cannot_prove_itself_is_not_listened_to,
                                        settle, end),
        cmocka_unit_test_setup_teardown(what_cannot_be_opened_is_refused, settle, end),
        cmocka_unit_test_setup_teardown(the_command_takes_its_files_from_the_environment, settle,
                                        end),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
