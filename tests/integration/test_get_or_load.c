/* SPDX-License-Identifier: MIT
 *
 * strata_get_or_load() in one process: one load for all that want a key, what is kept of it and
 * what is not, and what happens to who waits. Against a real Redis.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "integration/cache_rig.h"
#include "support/redis_server.h"
#include "support/wait.h"

#define PATIENT_MS 20000u
#define PREFIX     "atp:cache:"
#define MANY       64u
#define ROUNDS     40u
#define LATE       3u /* of MANY */
#define OWN_ERROR  (-1234)

/* ---- a source of values ---- */

/* What the loader does; `gate` holds it until it is opened. */
struct source {
    const char *value; /* NULL: there is none */
    uint64_t ttl_ms;
    int error;
    bool slow;
    atomic_bool open;
    atomic_uint began, loads;
};

static bool is_open(void *arg)
{
    return atomic_load(&((struct source *)arg)->open);
}

static int load_it(struct strata_load *load, void *arg)
{
    struct source *source = arg;
    atomic_fetch_add(&source->began, 1);
    if (source->slow && !wait_until(is_open, source, PATIENT_MS))
        return STRATA_ERR_TIMEOUT;
    atomic_fetch_add(&source->loads, 1);
    if (source->error != 0)
        return source->error;
    if (source->value == NULL)
        return STRATA_MISS;
    return strata_load_set(load, strata_text(source->value), source->ttl_ms);
}

/* ---- a call of another thread ---- */

struct call {
    struct strata *cache;
    struct source *source;
    struct strata_load_options options;
    const char *key;
    pthread_t thread;
    int status;
    char got[32];
};

static void call_run(struct call *call)
{
    struct strata_value value = {0};
    call->status = strata_get_or_load(call->cache, strata_text(call->key), load_it, call->source,
                                      &call->options, &value);
    (void)snprintf(call->got, sizeof call->got, "%.*s", (int)value.bytes.len,
                   value.bytes.len > 0 ? (const char *)value.bytes.data : "");
    strata_release(&value);
}

static void *call_thread(void *arg)
{
    call_run(arg);
    return NULL;
}

static void call_start(struct call *call)
{
    assert_int_equal(pthread_create(&call->thread, NULL, call_thread, call), 0);
}

static void call_expect(struct call *call, int status, const char *got)
{
    pthread_join(call->thread, NULL);
    assert_int_equal(call->status, status);
    assert_string_equal(call->got, got);
}

static void assert_loads(struct strata *cache, struct source *source, const char *key, int status,
                         const char *got)
{
    struct call call = {.cache = cache, .source = source, .key = key};
    call_run(&call);
    assert_int_equal(call.status, status);
    assert_string_equal(call.got, got);
}

struct beginning {
    struct source *source;
    unsigned loads;
};

static bool has_begun(void *arg)
{
    struct beginning *beginning = arg;
    return atomic_load(&beginning->source->began) >= beginning->loads;
}

static void assert_begins(struct source *source, unsigned loads)
{
    struct beginning beginning = {source, loads};
    assert_true(wait_until(has_begun, &beginning, PATIENT_MS));
}

static bool nobody_waits_yet(void *arg)
{
    (void)arg;
    return false;
}

/* ---- one load ---- */

static void a_miss_is_loaded_once_and_both_tiers_keep_it(void **state)
{
    (void)state;
    struct source source = {.value = "v"};
    struct strata *cache = cache_rig_open((struct strata_options){0});
    assert_loads(cache, &source, "k", STRATA_OK, "v");
    assert_in_redis(PREFIX "k", "v");
    uint64_t asked = numbers(cache).l2.hits + numbers(cache).l2.misses;
    assert_loads(cache, &source, "k", STRATA_OK, "v");
    assert_value(cache, "k", "v");
    assert_int_equal(numbers(cache).l2.hits + numbers(cache).l2.misses, asked); /* L1 had it */
    assert_int_equal(atomic_load(&source.loads), 1);
    assert_int_equal(numbers(cache).loads, 1);
    strata_close(&cache);
}

static void what_redis_has_is_not_loaded(void **state)
{
    (void)state;
    struct source source = {.value = "loaded"};
    struct strata *cache = cache_rig_open((struct strata_options){0});
    redis_do("SET", PREFIX "k", "there");
    assert_loads(cache, &source, "k", STRATA_OK, "there");
    assert_int_equal(atomic_load(&source.loads), 0);
    strata_close(&cache);
}

static void a_storm(struct strata *cache, unsigned round)
{
    struct source source = {.value = "v", .slow = true};
    struct call calls[MANY];
    char key[16];
    (void)snprintf(key, sizeof key, "storm:%u", round);
    uint64_t asked = numbers(cache).l2.misses + numbers(cache).l2.hits;
    for (unsigned i = 0; i < MANY; i++) {
        calls[i] = (struct call){.cache = cache, .source = &source, .key = key};
        call_start(&calls[i]);
    }
    assert_begins(&source, 1);
    atomic_store(&source.open, true);
    for (unsigned i = 0; i < MANY; i++)
        call_expect(&calls[i], STRATA_OK, "v");
    assert_int_equal(atomic_load(&source.loads), 1);
    /* One read, and one for who comes in the moment between Redis' word of our own SET and the
     * fill: to him the load looks overtaken. */
    uint64_t reads = numbers(cache).l2.misses + numbers(cache).l2.hits - asked;
    assert_in_range(reads, 1, LATE + 1);
}

static void many_threads_on_a_cold_key_cost_one_load(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){.socket_timeout_ms = PATIENT_MS});
    for (unsigned round = 0; round < ROUNDS; round++)
        a_storm(cache, round);
    assert_int_equal(numbers(cache).loads, ROUNDS);
    strata_close(&cache);
}

static void an_error_of_the_loader_goes_to_all_that_wait_and_is_not_kept(void **state)
{
    (void)state;
    struct source source = {.error = OWN_ERROR, .slow = true};
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct call first = {.cache = cache, .source = &source, .key = "k"}, second = first;
    call_start(&first);
    assert_begins(&source, 1);
    call_start(&second);
    (void)wait_until(nobody_waits_yet, NULL, 20); /* either way: it waits, or loads by itself */
    atomic_store(&source.open, true);
    call_expect(&first, OWN_ERROR, "");
    call_expect(&second, OWN_ERROR, "");
    source.error = 0;
    source.value = "v";
    assert_loads(cache, &source, "k", STRATA_OK, "v");
    assert_true(numbers(cache).loads_failed >= 1);
    strata_close(&cache);
}

static void who_waits_has_a_budget_of_his_own(void **state)
{
    (void)state;
    struct source source = {.value = "v", .slow = true};
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct call first = {.cache = cache, .source = &source, .key = "k"};
    struct call second = first;
    second.options.wait_ms = 30;
    call_start(&first);
    assert_begins(&source, 1);
    call_start(&second);
    call_expect(&second, STRATA_ERR_TIMEOUT, "");
    assert_int_equal(atomic_load(&source.loads), 0);
    atomic_store(&source.open, true);
    call_expect(&first, STRATA_OK, "v");
    assert_value(cache, "k", "v");
    strata_close(&cache);
}

/* ---- what a loader may do ---- */

struct nested {
    struct strata *cache;
    struct source inside;
    int own_key, other_key, plain;
};

static int load_nested(struct strata_load *load, void *arg)
{
    struct nested *nested = arg;
    struct strata_value value = {0};
    nested->own_key =
        strata_get_or_load(nested->cache, strata_load_key(load), load_nested, nested, NULL, &value);
    nested->plain = strata_get(nested->cache, strata_load_key(load), &value);
    nested->other_key = strata_get_or_load(nested->cache, strata_text("other"), load_it,
                                           &nested->inside, NULL, &value);
    int status = strata_load_set(load, value.bytes, 0);
    strata_release(&value);
    return status;
}

static void a_loader_may_ask_for_other_keys_and_is_told_where_it_asks_for_its_own(void **state)
{
    (void)state;
    struct strata_value value = {0};
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct nested nested = {.cache = cache, .inside = {.value = "inside"}};
    assert_int_equal(
        strata_get_or_load(cache, strata_text("k"), load_nested, &nested, NULL, &value), STRATA_OK);
    assert_int_equal(value.bytes.len, strlen("inside"));
    strata_release(&value);
    assert_int_equal(nested.own_key, STRATA_ERR_DEADLOCK);
    assert_int_equal(nested.plain, STRATA_MISS);
    assert_int_equal(nested.other_key, STRATA_OK);
    assert_value(cache, "k", "inside");
    strata_close(&cache);
}

static int load_nothing(struct strata_load *load, void *arg)
{
    (void)load;
    return *(int *)arg;
}

static void a_loader_that_answers_nothing_is_an_error(void **state)
{
    (void)state;
    struct strata_value value = {0};
    int status = STRATA_OK;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    assert_int_equal(
        strata_get_or_load(cache, strata_text("k"), load_nothing, &status, NULL, &value),
        STRATA_ERR_INVALID);
    assert_int_equal(strata_get_or_load(cache, strata_text("k"), NULL, NULL, NULL, &value),
                     STRATA_ERR_INVALID);
    assert_int_equal(
        strata_get_or_load(cache, strata_text(""), load_nothing, &status, NULL, &value),
        STRATA_ERR_INVALID);
    strata_close(&cache);
}

/* ---- overtaken ---- */

/* A delete comes while the value is loaded: who waits gets it, nobody keeps it, and who comes later
 * loads anew. */
static void an_invalidation_overtakes(struct strata_options options, const char *in_redis)
{
    struct source old = {.value = "old", .slow = true}, new = {.value = "new"};
    struct strata *cache = cache_rig_open(options);
    struct call first = {.cache = cache, .source = &old, .key = "k"};
    call_start(&first);
    assert_begins(&old, 1);
    (void)strata_delete(cache, strata_text("k"));
    assert_loads(cache, &new, "k", STRATA_OK, "new");
    atomic_store(&old.open, true);
    call_expect(&first, STRATA_OK, "old");
    if (options.l2_enabled != STRATA_OFF)
        assert_in_redis(PREFIX "k", in_redis);
    assert_value(cache, "k", "new");
    strata_close(&cache);
}

static void what_an_own_delete_overtook_is_not_kept(void **state)
{
    (void)state;
    an_invalidation_overtakes((struct strata_options){0}, "new");
}

static void what_an_own_delete_overtook_is_not_kept_without_l1(void **state)
{
    (void)state;
    an_invalidation_overtakes((struct strata_options){.l1_enabled = STRATA_OFF}, "new");
}

static void what_an_own_delete_overtook_is_not_kept_without_l2(void **state)
{
    (void)state;
    an_invalidation_overtakes((struct strata_options){.l2_enabled = STRATA_OFF}, NULL);
}

static void what_an_own_delete_overtook_is_not_kept_with_write_through_off(void **state)
{
    (void)state;
    an_invalidation_overtakes((struct strata_options){.write_through = STRATA_OFF}, NULL);
}

static void a_delete_with_no_load_after_it_leaves_both_tiers_empty(void **state)
{
    (void)state;
    struct source old = {.value = "old", .slow = true};
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct call first = {.cache = cache, .source = &old, .key = "k"};
    call_start(&first);
    assert_begins(&old, 1);
    (void)strata_delete(cache, strata_text("k"));
    atomic_store(&old.open, true);
    call_expect(&first, STRATA_OK, "old");
    assert_in_redis(PREFIX "k", NULL);
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    strata_close(&cache);
}

static bool has_heard(void *arg)
{
    return numbers(arg).invalidations > 0;
}

static void what_a_foreign_set_overtook_is_not_kept(void **state)
{
    (void)state;
    struct source old = {.value = "old", .slow = true};
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct call first = {.cache = cache, .source = &old, .key = "k"};
    call_start(&first);
    assert_begins(&old, 1);
    redis_do("SET", PREFIX "k", "theirs");
    assert_true(wait_until(has_heard, cache, PATIENT_MS));
    assert_loads(cache, &old, "k", STRATA_OK, "theirs");
    atomic_store(&old.open, true);
    call_expect(&first, STRATA_OK, "old");
    assert_in_redis(PREFIX "k", "theirs");
    assert_value(cache, "k", "theirs");
    strata_close(&cache);
}

/* Nobody tells of it, but Redis has it. */
static void a_foreign_value_is_not_overwritten_where_nobody_tells_of_it(void **state)
{
    (void)state;
    struct source old = {.value = "old", .slow = true};
    struct strata *cache = cache_rig_open((struct strata_options){.tracking = STRATA_TRACKING_OFF});
    struct call first = {.cache = cache, .source = &old, .key = "k"};
    call_start(&first);
    assert_begins(&old, 1);
    redis_do("SET", PREFIX "k", "theirs");
    atomic_store(&old.open, true);
    call_expect(&first, STRATA_OK, "theirs");
    assert_in_redis(PREFIX "k", "theirs");
    assert_value(cache, "k", "theirs");
    strata_close(&cache);
}

/* ---- how long ---- */

static long long ttl_in_redis(const char *key)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), "PTTL %s", key);
    long long ttl_ms = reply->integer;
    freeReplyObject(reply);
    return ttl_ms;
}

static void the_loader_the_options_and_the_cache_say_in_this_order_how_long(void **state)
{
    (void)state;
    struct source source = {.value = "v", .ttl_ms = 50000};
    struct strata *cache = cache_rig_open((struct strata_options){.l2_ttl_ms = 3000000});
    struct call call = {.cache = cache, .source = &source, .key = "a"};
    call.options.ttl_ms = 400000;
    call_run(&call);
    assert_in_range(ttl_in_redis(PREFIX "a"), 20000, 50000);
    source.ttl_ms = 0;
    call.key = "b";
    call_run(&call);
    assert_in_range(ttl_in_redis(PREFIX "b"), 350000, 400000);
    call.key = "c";
    call.options.ttl_ms = 0;
    call_run(&call);
    assert_in_range(ttl_in_redis(PREFIX "c"), 2900000, 3000000);
    strata_close(&cache);
}

static bool is_there(void *arg)
{
    struct source none = {0};
    struct call call = {.cache = arg, .source = &none, .key = "k"};
    call_run(&call);
    return call.status == STRATA_OK && strcmp(call.got, "theirs") == 0;
}

static void that_there_is_none_is_known_where_that_is_asked_for(void **state)
{
    (void)state;
    struct source none = {0};
    struct strata *cache = cache_rig_open((struct strata_options){0});
    assert_loads(cache, &none, "k", STRATA_MISS, "");
    assert_loads(cache, &none, "k", STRATA_MISS, "");
    assert_int_equal(atomic_load(&none.loads), 2);
    struct call call = {.cache = cache, .source = &none, .key = "k"};
    call.options.null_ttl_ms = STRATA_UNLIMITED;
    call_run(&call);
    call_run(&call);
    assert_int_equal(call.status, STRATA_MISS);
    assert_int_equal(atomic_load(&none.loads), 3);
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    redis_do("SET", PREFIX "k", "theirs");
    assert_true(wait_until(is_there, cache, PATIENT_MS));
    strata_close(&cache);
}

/* With null values on, L1 knows that Redis has none; the source may have one all the same. */
static void that_redis_has_none_does_not_say_that_there_is_none(void **state)
{
    (void)state;
    struct source source = {.value = "v"};
    struct strata *cache = cache_rig_open((struct strata_options){.null_values = STRATA_ON});
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    assert_loads(cache, &source, "k", STRATA_OK, "v");
    assert_value(cache, "k", "v");
    strata_close(&cache);
}

/* ---- sizes and outages ---- */

static void a_large_value_is_loaded_and_goes_to_redis(void **state)
{
    (void)state;
    static char large[100000];
    struct source source = {.value = large};
    struct strata_value value = {0};
    struct strata *cache = cache_rig_open((struct strata_options){0});
    memset(large, 'x', sizeof large - 1);
    assert_int_equal(strata_get_or_load(cache, strata_text("k"), load_it, &source, NULL, &value),
                     STRATA_OK);
    assert_int_equal(value.bytes.len, sizeof large - 1);
    strata_release(&value);
    assert_in_redis(PREFIX "k", large);
    assert_value(cache, "k", large);
    strata_close(&cache);
}

static void without_redis_values_are_loaded_and_not_kept(void **state)
{
    (void)state;
    struct source source = {.value = "v"};
    struct redis_server *server = NULL;
    assert_int_equal(redis_server_start(&server, NULL), 0);
    struct strata *cache = cache_rig_open(
        (struct strata_options){.redis_url = redis_server_url(server), .socket_timeout_ms = 500});
    redis_server_kill9(server);
    assert_loads(cache, &source, "k", STRATA_OK, "v");
    assert_loads(cache, &source, "k", STRATA_OK, "v");
    assert_int_equal(atomic_load(&source.loads), 2);
    assert_int_equal(redis_server_restart(server), 0);
    struct strata *again =
        cache_rig_open((struct strata_options){.redis_url = redis_server_url(server)});
    assert_int_equal(get_status(again, "k"), STRATA_MISS);
    strata_close(&again);
    strata_close(&cache);
    redis_server_stop(&server);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, cache_rig_flush)
    const struct CMUnitTest tests[] = {
        TEST(a_miss_is_loaded_once_and_both_tiers_keep_it),
        TEST(what_redis_has_is_not_loaded),
        TEST(many_threads_on_a_cold_key_cost_one_load),
        TEST(an_error_of_the_loader_goes_to_all_that_wait_and_is_not_kept),
        TEST(who_waits_has_a_budget_of_his_own),
        TEST(a_loader_may_ask_for_other_keys_and_is_told_where_it_asks_for_its_own),
        TEST(a_loader_that_answers_nothing_is_an_error),
        TEST(what_an_own_delete_overtook_is_not_kept),
        TEST(what_an_own_delete_overtook_is_not_kept_without_l1),
        TEST(what_an_own_delete_overtook_is_not_kept_without_l2),
        TEST(what_an_own_delete_overtook_is_not_kept_with_write_through_off),
        TEST(a_delete_with_no_load_after_it_leaves_both_tiers_empty),
        TEST(what_a_foreign_set_overtook_is_not_kept),
        TEST(a_foreign_value_is_not_overwritten_where_nobody_tells_of_it),
        TEST(the_loader_the_options_and_the_cache_say_in_this_order_how_long),
        TEST(that_there_is_none_is_known_where_that_is_asked_for),
        TEST(that_redis_has_none_does_not_say_that_there_is_none),
        TEST(a_large_value_is_loaded_and_goes_to_redis),
        TEST(without_redis_values_are_loaded_and_not_kept),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
