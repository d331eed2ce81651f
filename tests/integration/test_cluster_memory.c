/* SPDX-License-Identifier: MIT
 *
 * The 1st, 2nd, ... allocation of watching a cluster fails, on whichever thread: each call
 * answers with a code, nothing leaks (run under ASan), and what is seen at last is right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "strata/strata.h"
#include "support/fail_alloc.h"
#include "support/redis_cluster.h"
#include "support/redis_server.h"

/* More steps than there are allocations until all has been seen; a ladder that gets there hangs
 * on something. */
#define LADDER_MAX 2000u

static void assert_clean_failure(int status)
{
    assert_true(status == STRATA_ERR_NOMEM || status == STRATA_ERR_UNAVAILABLE ||
                status == STRATA_ERR_LOST || status == STRATA_ERR_TIMEOUT ||
                status == STRATA_ERR_SYSTEM || status == STRATA_ERR_CLOSED);
}

/* Opens, looks, and closes, while the n-th allocation fails. Whether that happened. */
static bool watch_with_failure(const struct strata_cluster_options *options, unsigned nodes,
                               uint64_t n)
{
    struct strata_cluster *cluster = NULL;
    struct strata_cluster_info *info = NULL;
    struct strata_error error;
    fail_alloc_at(n);
    int status = strata_cluster_open(&cluster, options, &error);
    if (status == STRATA_OK)
        status = strata_cluster_get_info(cluster, &info);
    else
        assert_null(cluster);
    bool failed = fail_alloc_end();
    if (status < 0) {
        assert_clean_failure(status);
        assert_null(info);
    } else {
        assert_int_equal(info->total_nodes, nodes);
    }
    strata_cluster_info_free(&info);
    strata_cluster_close(&cluster);
    assert_true(failed || status == STRATA_OK);
    return failed;
}

static void climb(const struct strata_cluster_options *options, unsigned nodes, unsigned step)
{
    for (uint64_t n = 1; n < LADDER_MAX; n += step) {
        if (!watch_with_failure(options, nodes, n))
            return;
    }
    fail_msg("it never got through");
}

static void a_single_redis_is_watched_whatever_allocation_fails(void **state)
{
    (void)state;
    struct redis_server *server = NULL;
    assert_int_equal(redis_server_start(&server, NULL), 0);
    const struct strata_cluster_options options = {.redis_url = redis_server_url(server),
                                                   .interval_ms = 100};
    climb(&options, 1, 1);
    redis_server_stop(&server);
}

static void a_cluster_is_watched_whatever_allocation_fails(void **state)
{
    (void)state;
    struct redis_cluster *servers = NULL;
    assert_int_equal(redis_cluster_start(&servers, NULL), 0);
    const char *seeds[] = {redis_cluster_address(servers, 0), redis_cluster_address(servers, 1)};
    const struct strata_cluster_options options = {
        .cluster_nodes = seeds, .cluster_node_count = 2, .interval_ms = 100};
    climb(&options, 6, 1);
    redis_cluster_stop(&servers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_single_redis_is_watched_whatever_allocation_fails),
        cmocka_unit_test(a_cluster_is_watched_whatever_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
