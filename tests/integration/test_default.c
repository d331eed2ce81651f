/* SPDX-License-Identifier: MIT
 *
 * The one shared cache of a process, from its environment.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "integration/cache_rig.h"

#define THREADS 8

static void *open_default(void *arg)
{
    (void)arg;
    return strata_default(NULL);
}

/* First of all: what could not be opened is tried again by the next call. */
static void a_wrong_environment_is_named_and_may_be_mended(void **state)
{
    (void)state;
    struct strata_error error = {0};
    (void)setenv("CACHE_L1_TTL", "soon", 1);
    assert_null(strata_default(&error));
    assert_int_equal(error.status, STRATA_ERR_CONFIG);
    assert_non_null(strstr(error.text, "CACHE_L1_TTL"));
    (void)unsetenv("CACHE_L1_TTL");
}

static void all_threads_get_the_same_one(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    void *caches[THREADS];
    (void)setenv("ROUTER_REDIS_URL", cache_rig_url(), 1);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_default, NULL), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], &caches[i]), 0);
    assert_non_null(caches[0]);
    for (size_t i = 1; i < THREADS; i++)
        assert_ptr_equal(caches[i], caches[0]);
    assert_int_equal(set_text(caches[0], "key", "value", 0), STRATA_OK);
    assert_in_redis("atp:cache:key", "value");
    assert_value(strata_default(NULL), "key", "value");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_environment_is_named_and_may_be_mended),
        cmocka_unit_test(all_threads_get_the_same_one),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
