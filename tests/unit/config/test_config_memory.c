/* SPDX-License-Identifier: MIT
 *
 * Every allocation of a load and of what is rendered from it fails once: a code comes back,
 * nothing has changed, and (under ASan) nothing has leaked.
 */
#include "unit/config/loading.h"

#include <jansson.h>
#include <stdlib.h>

#include "config/options.h"
#include "support/fail_alloc.h"

/* jansson is a shared library: its allocations go through ours, which can fail. */
static void *json_memory(size_t size)
{
    return malloc(size);
}

static void json_free(void *memory)
{
    free(memory);
}

static int setup(void **state)
{
    (void)state;
    json_set_alloc_funcs(json_memory, json_free);
    return clearenv();
}

static void loading_survives_every_failure(void **state)
{
    (void)state;
    char *environment[] = {"REDIS_CLUSTER_NODES=[\"a:1\",\"b:2\"]",
                           "CACHE_L2_KEY_PREFIX=p:", "STRATA_CONFIG_FILE=/dev/null", NULL};
    char *argv[] = {"program", "--listen",    "a:1",       "--listen",
                    "b:2,c:3", "--redis-url", "redis://h", NULL};
    uint64_t n = 1;
    for (;; n++) {
        struct loading loading = {0};
        struct sta_option_set sets[LOADING_SET_COUNT];
        struct loading_own untouched = {0};
        loading_sets(&loading, sets);
        struct sta_config_input input = {.program = "program",
                                         .sets = sets,
                                         .set_count = LOADING_SET_COUNT,
                                         .environment = environment,
                                         .argc = 7,
                                         .argv = argv};
        fail_alloc_at(n);
        int status = sta_config_load(&loading.config, &input, &loading.error);
        bool failed = fail_alloc_end();
        if (!failed) {
            assert_int_equal(status, STRATA_OK);
            assert_int_equal(loading.own.listen_count, 3);
            sta_config_destroy(&loading.config);
            break;
        }
        /* fopen()'s own memory is the C library's affair: it ends as a file that cannot be read. */
        assert_true(status == STRATA_ERR_NOMEM || status == STRATA_ERR_CONFIG);
        assert_null(loading.config);
        assert_memory_equal(&loading.own, &untouched, sizeof untouched);
    }
    assert_true(n > 10);
}

static void listing_survives_every_failure(void **state)
{
    (void)state;
    struct loading loading = {.environment = {"CACHE_L2_KEY_PREFIX=\xff", "STRATA_LISTEN=a:1,b:2"}};
    loading_must(&loading);
    json_t *whole = sta_config_json(loading.config);
    assert_non_null(whole);
    uint64_t n = 1;
    for (;; n++) {
        fail_alloc_at(n);
        json_t *root = sta_config_json(loading.config);
        bool failed = fail_alloc_end();
        /* Nothing, or all of it: a text is tried a second time. */
        assert_true(root == NULL ? failed : json_equal(root, whole));
        json_decref(root);
        if (!failed)
            break;
    }
    assert_true(n > 100);
    json_decref(whole);
    loading_end(&loading);
}

static void check_render(int (*render)(const struct sta_option_set *, size_t, struct sta_buffer *))
{
    struct loading loading = {0};
    struct sta_option_set sets[LOADING_SET_COUNT];
    loading_sets(&loading, sets);
    for (uint64_t n = 1;; n++) {
        struct sta_buffer out;
        sta_buffer_init(&out, 1 << 20);
        fail_alloc_at(n);
        int status = render(sets, LOADING_SET_COUNT, &out);
        bool failed = fail_alloc_end();
        assert_int_equal(status, failed ? STRATA_ERR_NOMEM : STRATA_OK);
        assert_true(failed == (sta_buffer_len(&out) == 0));
        sta_buffer_fini(&out);
        if (!failed)
            break;
    }
}

static void rendering_survives_every_failure(void **state)
{
    (void)state;
    check_render(sta_config_help);
    check_render(sta_config_markdown);
}

static void options_from_the_environment_survive_every_failure(void **state)
{
    (void)state;
    setenv("REDIS_CLUSTER_NODES", "a:1", 1);
    for (uint64_t n = 1;; n++) {
        struct strata_options options = {0};
        struct strata_options untouched = {0};
        fail_alloc_at(n);
        int status = strata_options_from_environment(&options, NULL);
        bool failed = fail_alloc_end();
        assert_int_equal(status, failed ? STRATA_ERR_NOMEM : STRATA_OK);
        if (failed)
            assert_memory_equal(&options, &untouched, sizeof untouched);
        strata_options_fini(&options);
        if (!failed)
            break;
    }
}

static void resolving_allocates_nothing(void **state)
{
    (void)state;
    struct strata_options options = {0};
    fail_alloc_at(1);
    int status = sta_options_resolve(&options, &options, NULL);
    assert_false(fail_alloc_end());
    assert_int_equal(status, STRATA_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(loading_survives_every_failure, setup),
        cmocka_unit_test_setup(listing_survives_every_failure, setup),
        cmocka_unit_test_setup(rendering_survives_every_failure, setup),
        cmocka_unit_test_setup(options_from_the_environment_survive_every_failure, setup),
        cmocka_unit_test_setup(resolving_allocates_nothing, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
