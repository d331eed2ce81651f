/* SPDX-License-Identifier: MIT
 *
 * The 1st, 2nd, ... allocation of each public call fails, against a real Redis: the call answers
 * with a code, nothing leaks (run under ASan), and the cache works on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "strata/strata.h"
#include "support/fail_alloc.h"
#include "support/redis_server.h"
#include "support/wait.h"

/* More steps than any call here has allocations; a ladder that gets there hangs on something. */
#define LADDER_MAX 500u

static struct redis_server *server;

static int start_server(void **state)
{
    (void)state;
    return redis_server_start(&server, NULL);
}

static int stop_server(void **state)
{
    (void)state;
    redis_server_stop(&server);
    return 0;
}

static struct strata_options options(void)
{
    return (struct strata_options){.redis_url = redis_server_url(server)};
}

static struct strata *open_cache(void)
{
    struct strata *cache = NULL;
    struct strata_options given = options();
    assert_int_equal(strata_open(&cache, &given, NULL), STRATA_OK);
    assert_int_equal(strata_set(cache, strata_text("k"), strata_text("v"), 0), STRATA_OK);
    return cache;
}

/* An out-of-memory code, or one that says that a connection could not be had for the same
 * reason. */
static void assert_clean_failure(int status)
{
    assert_true(status == STRATA_ERR_NOMEM || status == STRATA_ERR_UNAVAILABLE ||
                status == STRATA_ERR_LOST || status == STRATA_ERR_PARTIAL ||
                status == STRATA_ERR_SYSTEM || status >= 0);
}

static bool get_works(void *arg)
{
    struct strata_value value = {0};
    bool works = strata_get(arg, strata_text("k"), &value) == STRATA_OK && value.bytes.len == 1 &&
                 memcmp(value.bytes.data, "v", 1) == 0;
    strata_release(&value);
    return works;
}

static void opening_fails_cleanly_at_every_allocation(void **state)
{
    (void)state;
    struct strata_options given = options();
    for (uint64_t n = 1; n < LADDER_MAX; n++) {
        struct strata *cache = NULL;
        struct strata_error error = {0};
        fail_alloc_at(n);
        int status = strata_open(&cache, &given, &error);
        bool failed = fail_alloc_end();
        if (status < 0) {
            assert_null(cache);
            assert_clean_failure(status);
        }
        strata_close(&cache);
        if (!failed && status == STRATA_OK)
            return;
    }
    fail_msg("opening never got through");
}

static void hear_nothing(void *arg, const struct strata_event *event)
{
    (void)arg;
    (void)event;
}

enum call {
    GET_HIT,
    GET_MISS,
    SET,
    DELETE,
    GET_MANY,
    SET_MANY,
    SET_HOOK,
    LOAD,
    LOAD_MANY,
    LOAD_WAITED,
    LOAD_ASYNC
};

static int load_one(struct strata_load *load, void *arg)
{
    (void)arg;
    return strata_load_set(load, strata_load_key(load), 0);
}

static int load_many(struct strata_load *const *loads, size_t count, void *arg)
{
    int status = STRATA_OK;
    for (size_t i = 0; i < count && status == STRATA_OK; i++)
        status = load_one(loads[i], arg);
    return status;
}

static void note_end(void *arg, int status, struct strata_value *value)
{
    (void)status;
    (void)value;
    atomic_fetch_add((atomic_uint *)arg, 1);
}

static bool have_all_ended(void *arg)
{
    return atomic_load((atomic_uint *)arg) == 0;
}

/* Three calls, two of one key: each that began ends once. */
static int load_async(struct strata *cache, const struct strata_bytes *keys)
{
    atomic_uint open = 0;
    int status = STRATA_OK;
    for (int i = 1; i < 4; i++) {
        int begun = strata_get_or_load_async(cache, keys[i], load_one, NULL, NULL,
                                             (struct strata_completion){note_end, &open, NULL});
        if (begun == STRATA_OK)
            atomic_fetch_sub(&open, 1);
        else
            status = begun;
    }
    assert_true(wait_until(have_all_ended, &open, 20000));
    return status;
}

/* What was loaded the last time is not there. */
static int load_afresh(struct strata *cache, enum call call, struct strata_value *values)
{
    static unsigned round;
    const struct strata_load_options options = {.hard_timeout_ms = call == LOAD_WAITED ? 20000 : 0};
    char names[4][16];
    struct strata_bytes keys[4] = {strata_text("k")};
    round++;
    for (int i = 1; i < 4; i++) {
        (void)snprintf(names[i], sizeof names[i], "%u:%u", round, i % 3); /* one twice */
        keys[i] = strata_text(names[i]);
    }
    if (call == LOAD_ASYNC)
        return load_async(cache, keys);
    if (call == LOAD)
        return strata_get_or_load(cache, keys[1], load_one, NULL, &options, values);
    return strata_get_or_load_many(cache, keys, 4, load_many, NULL, &options, values, NULL);
}

static int run(struct strata *cache, enum call call)
{
    struct strata_bytes keys[] = {strata_text("k"), strata_text("absent"), strata_text("k2")};
    struct strata_item items[] = {{strata_text("k2"), strata_text("w"), 0},
                                  {strata_text("k3"), strata_text("w"), 0}};
    struct strata_value values[4] = {{{0}, {0}}};
    int status = STRATA_OK;
    switch (call) {
    case LOAD:
    case LOAD_MANY:
    case LOAD_WAITED:
    case LOAD_ASYNC:
        status = load_afresh(cache, call, values);
        break;
    case GET_HIT:
        status = strata_get(cache, keys[0], &values[0]);
        break;
    case GET_MISS:
        status = strata_get(cache, keys[1], &values[1]);
        break;
    case SET:
        return strata_set(cache, keys[2], strata_text("w"), 0);
    case DELETE:
        return strata_delete(cache, keys[2]);
    case GET_MANY:
        status = strata_get_many(cache, keys, 3, values, NULL);
        break;
    case SET_MANY:
        return strata_set_many(cache, items, 2, NULL);
    case SET_HOOK:
        status = strata_set_event_hook(cache, hear_nothing, NULL);
        (void)strata_set_event_hook(cache, NULL, NULL);
        return status;
    }
    for (int i = 0; i < 4; i++)
        strata_release(&values[i]);
    return status;
}

static void every_call_fails_cleanly_at_every_allocation_and_the_cache_works_on(void **state)
{
    (void)state;
    for (enum call call = GET_HIT; call <= LOAD_ASYNC; call++) {
        struct strata *cache = open_cache();
        bool through = false;
        for (uint64_t n = 1; n < LADDER_MAX && !through; n++) {
            fail_alloc_at(n);
            int status = run(cache, call);
            through = !fail_alloc_end();
            assert_clean_failure(status);
            assert_true(wait_until(get_works, cache, 10000));
        }
        assert_true(through);
        strata_close(&cache);
    }
}

/* The queue, the version guard and the journal; each write is of a key of which nothing is known,
 * so that it waits for a look and for what the journal has of that. */
static void what_write_behind_guards_fails_cleanly_and_no_one_waits_in_vain(void **state)
{
    (void)state;
    char directory[] = "/tmp/test_cache_memory.XXXXXX", command[64], name[32];
    struct strata_options given = options();
    struct strata_statistics statistics;
    struct strata *cache = NULL;
    assert_non_null(mkdtemp(directory));
    given.write_through = STRATA_OFF;
    given.write_behind = STRATA_ON;
    given.write_behind_interval_ms = 3600000; /* of which no test waits */
    given.write_behind_guard = STRATA_GUARD_ON;
    given.write_behind_journal = directory;
    given.socket_timeout_ms = 20000;
    assert_int_equal(strata_open(&cache, &given, NULL), STRATA_OK);
    bool through = false;
    for (uint64_t n = 1; n < LADDER_MAX && !through; n++) {
        (void)snprintf(name, sizeof name, "guarded%u", (unsigned)n);
        fail_alloc_at(n);
        int status = strata_set(cache, strata_text(name), strata_text("v"), 0);
        through = !fail_alloc_end();
        assert_clean_failure(status);
    }
    assert_true(through);
    assert_int_equal(strata_flush(cache, 60000), STRATA_OK);
    strata_statistics(cache, &statistics);
    assert_int_equal(statistics.write_behind.entries, 0);
    assert_int_equal(statistics.write_behind.overtaken, 0);
    strata_close(&cache);
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    assert_int_equal(system(command), 0);
}

/* A value too large for a segment of a small L1 has a block of its own, which may fail. */
static void what_l1_has_no_memory_for_is_counted_as_its_error(void **state)
{
    (void)state;
    struct strata *cache = NULL;
    struct strata_options given = {.l1_max_bytes = 1 << 20, .l2_enabled = STRATA_OFF};
    static char value[50000];
    struct strata_statistics statistics;
    assert_int_equal(strata_open(&cache, &given, NULL), STRATA_OK);
    fail_alloc_at(1);
    int status = strata_set(cache, strata_text("k"), strata_bytes(value, sizeof value), 0);
    assert_true(fail_alloc_end());
    assert_int_equal(status, STRATA_ERR_NOMEM);
    strata_statistics(cache, &statistics);
    assert_int_equal(statistics.l1.errors, 1);
    strata_close(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_fails_cleanly_at_every_allocation),
        cmocka_unit_test(every_call_fails_cleanly_at_every_allocation_and_the_cache_works_on),
        cmocka_unit_test(what_write_behind_guards_fails_cleanly_and_no_one_waits_in_vain),
        cmocka_unit_test(what_l1_has_no_memory_for_is_counted_as_its_error),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
