/* SPDX-License-Identifier: MIT
 *
 * Warming a stratad before a Redis Cluster: from its hot file at the start, and by strata warm;
 * keys of all primaries, and of a slot that has moved since the file was written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "integration/strata_program.h"
#include "integration/stratad_cluster_rig.h"
#include "support/folder.h"

#define KEYS 150

/* Keys of one pipeline that share a generation cost each other their place in L1 (l1/l1.h): with so
 * many keys most often none, rarely one. */
#define FEW 5

static char folder[FOLDER_CAP], hot[FOLDER_CAP + 8];

static int start(void **state)
{
    if (folder_make(folder, "strata-warm-cluster") != 0)
        return -1;
    (void)snprintf(hot, sizeof hot, "%s/hot", folder);
    return cluster_rig_start(state);
}

static int stop(void **state)
{
    int status = cluster_rig_stop(state);
    return folder_remove(folder) == 0 ? status : -1;
}

static struct stratad_process *stratad_start(struct cluster_rig *rig, const char *file)
{
    const char *const args[] = {"--max-staleness",
                                "60",
                                "--socket-timeout",
                                "30",
                                file != NULL ? "--hot-file" : NULL,
                                file,
                                NULL};
    return stratad_cluster_start(rig, args);
}

static void fill(redisContext *client)
{
    for (int i = 0; i < KEYS; i++)
        ASSERT_SAYS(client, "OK", "SET key:%d value:%d", i, i);
}

/* Almost all keys are answered from memory, and each with its value. */
static void assert_warm(const struct stratad_process *stratad)
{
    char expected[32];
    redisContext *client = rig_client(stratad);
    long long misses = stratad_cluster_number(client, "misses");
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(expected, sizeof expected, "value:%d", i);
        ASSERT_SAYS(client, expected, "GET key:%d", i);
    }
    assert_in_range(stratad_cluster_number(client, "misses"), misses, misses + FEW);
    redisFree(client);
}

static void what_was_hot_on_all_nodes_is_warm_after_a_restart(void **state)
{
    struct cluster_rig *rig = *state;
    struct stratad_process *stratad = stratad_start(rig, hot);
    redisContext *client = rig_client(stratad);
    fill(client);
    for (int i = 0; i < KEYS; i++)
        freeReplyObject(redisCommand(client, "GET key:%d", i));
    redisFree(client);
    assert_int_equal(stratad_process_terminate(stratad, 20000), 0);
    stratad_process_stop(&stratad);

    unsigned slot = redis_cluster_slot(rig->cluster, "key:7");
    unsigned owner = (unsigned)redis_cluster_primary(rig->cluster, slot);
    unsigned to = owner == 0 ? 1 : 0;
    assert_int_equal(redis_cluster_move_slot(rig->cluster, slot, to), 0);
    stratad = stratad_start(rig, hot);
    assert_warm(stratad);
    assert_int_equal(stratad_process_terminate(stratad, 20000), 0);
    stratad_process_stop(&stratad);
    assert_int_equal(redis_cluster_move_slot(rig->cluster, slot, owner), 0);
}

static void warm(const struct stratad_process *stratad, const char *option, const char *value)
{
    struct command_result result = {0};
    char url[64]; /* by TCP: for the pattern the nodes are asked, to which no socket leads */
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", stratad_process_port(stratad));
    if (strata_run(&result, NULL, url, "--timeout", "30", "warm", option, value, NULL) != 0)
        fail_msg("%s %s: %s", option, value, result.err);
    if (strstr(result.out, "warmed 150 of 150 keys in ") == NULL)
        fail_msg("%s %s: %s", option, value, result.out);
    command_result_fini(&result);
}

static void strata_warm_has_keys_of_all_nodes_read(void **state)
{
    struct cluster_rig *rig = *state;
    char list[FOLDER_CAP + 8];
    (void)snprintf(list, sizeof list, "%s/list", folder);
    FILE *file = fopen(list, "w");
    assert_non_null(file);
    for (int i = 0; i < KEYS; i++)
        (void)fprintf(file, "key:%d\n", i);
    assert_int_equal(fclose(file), 0);

    struct stratad_process *stratad = stratad_start(rig, hot);
    redisContext *client = rig_client(stratad);
    fill(client);
    for (int i = 0; i < KEYS; i++)
        freeReplyObject(redisCommand(client, "GET key:%d", i));
    redisFree(client);
    assert_int_equal(stratad_process_terminate(stratad, 20000), 0); /* writes the hot file */
    stratad_process_stop(&stratad);

    const char *const ways[][2] = {{"--keys-from", list}, {"--pattern", "key:*"}, {"--hot", hot}};
    for (size_t i = 0; i < 3; i++) {
        stratad = stratad_start(rig, NULL);
        warm(stratad, ways[i][0], ways[i][1]);
        assert_warm(stratad);
        stratad_process_stop(&stratad);
    }
}

/* To its clients it is one Redis: keys of all nodes are listed and deleted through it. */
static void strata_lists_and_deletes_the_keys_of_all_nodes(void **state)
{
    struct cluster_rig *rig = *state;
    struct command_result result = {0};
    char url[160];
    struct stratad_process *stratad = stratad_start(rig, NULL);
    redisContext *client = rig_client(stratad);
    fill(client);
    (void)snprintf(url, sizeof url, "unix://%s", stratad_process_socket(stratad));
    assert_int_equal(
        strata_run(&result, NULL, url, "--timeout", "30", "keys", "key:*", "--json", NULL), 0);
    for (int i = 0; i < KEYS; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "\"key:%d\"", i);
        assert_non_null(strstr(result.out, name));
    }
    command_result_fini(&result);
    int code =
        strata_run(&result, NULL, url, "--timeout", "30", "invalidate", "--pattern", "key:*", NULL);
    if (code != 0)
        fail_msg("%s", result.err);
    command_result_fini(&result);
    for (int i = 0; i < KEYS; i++) {
        redisReply *reply = redisCommand(client, "GET key:%d", i);
        assert_int_equal(reply->type, REDIS_REPLY_NIL);
        freeReplyObject(reply);
    }
    redisFree(client);
    stratad_process_stop(&stratad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_was_hot_on_all_nodes_is_warm_after_a_restart,
                               cluster_rig_settle),
        cmocka_unit_test_setup(strata_warm_has_keys_of_all_nodes_read, cluster_rig_settle),
        cmocka_unit_test_setup(strata_lists_and_deletes_the_keys_of_all_nodes, cluster_rig_settle),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
