/* SPDX-License-Identifier: MIT
 *
 * Values past their time: served where the loader fails and that is asked for, shown to the loader,
 * replaced by what it brings, and seen by nobody else. Against a real Redis.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "cache/envelope.h"
#include "integration/cache_rig.h"
#include "support/redis_server.h"
#include "support/wait.h"

#define PATIENT_MS 20000u
#define PREFIX     "atp:cache:"
#define SOON_MS    60u /* a TTL */
#define LONG_MS    600000u
#define OWN_ERROR  (-1234)

/* ---- a source of values ---- */

struct source {
    struct strata_bytes value;
    int error;
    bool unchanged;
    const char *sets; /* what a foreign client writes meanwhile */
    unsigned loads;
    char previous[32]; /* what the loader saw; "-": none */
};

static int load_it(struct strata_load *load, void *arg)
{
    struct source *source = arg;
    struct strata_bytes previous;
    source->loads++;
    if (strata_load_previous(load, &previous) == STRATA_OK)
        (void)snprintf(source->previous, sizeof source->previous, "%.*s", (int)previous.len,
                       (const char *)previous.data);
    else
        (void)snprintf(source->previous, sizeof source->previous, "-");
    if (source->sets != NULL)
        redis_do("SET", PREFIX "k", source->sets);
    if (source->error != 0)
        return source->error;
    return source->unchanged ? strata_load_set_unchanged(load, 0)
                             : strata_load_set(load, source->value, 0);
}

static const struct strata_load_options stale = {
    .ttl_ms = SOON_MS, .stale_ms = LONG_MS, .throttle_ms = LONG_MS};

static void assert_answer(struct strata *cache, struct source *source,
                          const struct strata_load_options *options, int status, const char *got)
{
    struct strata_value value = {0};
    assert_int_equal(strata_get_or_load(cache, strata_text("k"), load_it, source, options, &value),
                     status);
    assert_int_equal(value.bytes.len, strlen(got));
    if (value.bytes.len > 0)
        assert_memory_equal(value.bytes.data, got, value.bytes.len);
    strata_release(&value);
}

static bool is_past_its_time(void *arg)
{
    return get_status(arg, "k") == STRATA_MISS;
}

/* `k` was loaded, and its time is over; only then the source fails. */
static struct strata *open_past(struct strata_options options, struct source *source)
{
    struct strata *cache = cache_rig_open(options);
    source->value = strata_text("old");
    assert_answer(cache, source, &stale, STRATA_OK, "old");
    assert_true(wait_until(is_past_its_time, cache, PATIENT_MS));
    source->error = OWN_ERROR;
    return cache;
}

/* ---- failure ---- */

static void where_the_loader_fails_the_old_value_is_served_and_says_so(
    struct strata_options options)
{
    struct source source = {.loads = 0};
    struct strata *cache = open_past(options, &source);
    assert_answer(cache, &source, &stale, STRATA_STALE, "old");
    assert_int_equal(source.loads, 2);
    assert_answer(cache, &source, &stale, STRATA_STALE, "old"); /* throttled */
    assert_int_equal(source.loads, 2);
    assert_int_equal(numbers(cache).stale_answers, 2);
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    assert_answer(cache, &source, NULL, OWN_ERROR, ""); /* who does not ask for it */
    strata_close(&cache);
}

static void a_failed_load_is_answered_with_the_old_value(void **state)
{
    (void)state;
    where_the_loader_fails_the_old_value_is_served_and_says_so((struct strata_options){0});
}

static void a_failed_load_is_answered_with_the_old_value_without_l2(void **state)
{
    (void)state;
    where_the_loader_fails_the_old_value_is_served_and_says_so(
        (struct strata_options){.l2_enabled = STRATA_OFF});
}

static void a_failed_load_is_answered_with_the_old_value_without_tracking(void **state)
{
    (void)state;
    where_the_loader_fails_the_old_value_is_served_and_says_so(
        (struct strata_options){.tracking = STRATA_TRACKING_OFF});
}

static void when_the_throttle_is_over_it_is_loaded_again(void **state)
{
    (void)state;
    struct source source = {.loads = 0};
    struct strata *cache = open_past((struct strata_options){0}, &source);
    struct strata_load_options often = stale;
    often.throttle_ms = 1;
    assert_answer(cache, &source, &often, STRATA_STALE, "old");
    source.error = 0;
    source.value = strata_text("new");
    struct strata_value value = {0};
    for (int status = STRATA_STALE; status == STRATA_STALE; strata_release(&value))
        status = strata_get_or_load(cache, strata_text("k"), load_it, &source, &often, &value);
    struct strata_load_options lasting = {.ttl_ms = LONG_MS};
    assert_true(wait_until(is_past_its_time, cache, PATIENT_MS));
    assert_answer(cache, &source, &lasting, STRATA_OK, "new");
    assert_value(cache, "k", "new");
    strata_close(&cache);
}

static void another_process_has_the_old_value_from_redis(void **state)
{
    (void)state;
    struct source source = {.loads = 0};
    struct strata *cache = open_past((struct strata_options){0}, &source);
    struct strata *other = cache_rig_open((struct strata_options){0});
    assert_answer(other, &source, &stale, STRATA_STALE, "old");
    assert_int_equal(get_status(other, "k"), STRATA_MISS);
    strata_close(&other);
    strata_close(&cache);
}

static void what_was_deleted_is_not_served(void **state)
{
    (void)state;
    struct source source = {.loads = 0};
    struct strata *cache =
        open_past((struct strata_options){.tracking = STRATA_TRACKING_OFF}, &source);
    redis_do("DEL", PREFIX "k", NULL);
    assert_answer(cache, &source, &stale, OWN_ERROR, "");
    strata_close(&cache);
}

static void without_redis_l1_has_the_old_value(void **state)
{
    (void)state;
    struct redis_server *server = NULL;
    struct source source = {.loads = 0};
    assert_int_equal(redis_server_start(&server, NULL), 0);
    struct strata *cache = open_past(
        (struct strata_options){.redis_url = redis_server_url(server), .socket_timeout_ms = 1000},
        &source);
    redis_server_kill9(server);
    assert_answer(cache, &source, &stale, STRATA_STALE, "old");
    strata_close(&cache);
    redis_server_stop(&server);
}

/* ---- what the loader sees ---- */

static void the_loader_sees_what_it_replaces(void **state)
{
    (void)state;
    struct source source = {.loads = 0};
    struct strata *cache = open_past((struct strata_options){0}, &source);
    assert_string_equal(source.previous, "-");
    source.error = 0;
    source.value = strata_text("new");
    struct strata_load_options lasting = {.ttl_ms = LONG_MS, .stale_ms = LONG_MS};
    assert_answer(cache, &source, &lasting, STRATA_OK, "new");
    assert_string_equal(source.previous, "old");
    assert_value(cache, "k", "new");
    struct strata *other = cache_rig_open((struct strata_options){0});
    assert_value(other, "k", "new");
    strata_close(&other);
    strata_close(&cache);
}

static void what_has_not_changed_lives_on(void **state)
{
    (void)state;
    struct source source = {.loads = 0};
    struct strata *cache = open_past((struct strata_options){0}, &source);
    source.error = 0;
    source.unchanged = true;
    struct strata_load_options lasting = {.ttl_ms = LONG_MS};
    assert_answer(cache, &source, &lasting, STRATA_OK, "old");
    assert_int_equal(source.loads, 2);
    assert_value(cache, "k", "old");
    assert_in_redis(PREFIX "k", "old"); /* plain: nothing of it outlives its time */
    strata_close(&cache);
}

static void nothing_cannot_be_unchanged(void **state)
{
    (void)state;
    struct source source = {.unchanged = true};
    struct strata *cache = cache_rig_open((struct strata_options){0});
    assert_answer(cache, &source, &stale, STRATA_ERR_INVALID, "");
    strata_close(&cache);
}

/* ---- others ---- */

static void what_somebody_else_wrote_meanwhile_is_not_replaced(void **state)
{
    (void)state;
    struct source source = {.loads = 0};
    struct strata *cache =
        open_past((struct strata_options){.tracking = STRATA_TRACKING_OFF}, &source);
    source.error = 0;
    source.value = strata_text("loaded");
    source.sets = "theirs";
    assert_answer(cache, &source, &stale, STRATA_OK, "theirs");
    assert_in_redis(PREFIX "k", "theirs");
    assert_value(cache, "k", "theirs");
    strata_close(&cache);
}

static void every_read_takes_a_value_out_of_its_envelope(void **state)
{
    (void)state;
    struct source source = {.value = strata_text("value")};
    const struct strata_load_options lasting = {.ttl_ms = LONG_MS, .stale_ms = LONG_MS};
    char buffer[8] = {0};
    size_t len = 0;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct strata *other = cache_rig_open((struct strata_options){0});
    assert_answer(cache, &source, &lasting, STRATA_OK, "value");
    for (unsigned i = 0; i < 3; i++) {
        assert_value(cache, "k", "value");
        assert_value(other, "k", "value");
        assert_int_equal(strata_get_copy(cache, strata_text("k"), buffer, 3, &len), STRATA_OK);
        assert_int_equal(len, 5);
        assert_string_equal(buffer, "val");
        assert_answer(other, &source, NULL, STRATA_OK, "value");
    }
    assert_int_equal(source.loads, 1);
    strata_close(&other);
    strata_close(&cache);
}

static void assert_looks(struct strata *cache, const char *looks, size_t len)
{
    struct strata_value value = {0};
    assert_int_equal(strata_get(cache, strata_text("k"), &value), STRATA_OK);
    assert_int_equal(value.bytes.len, len);
    assert_memory_equal(value.bytes.data, looks, len);
    strata_release(&value);
}

static void a_value_that_looks_like_an_envelope_comes_back_as_it_was(void **state)
{
    (void)state;
    static const char looks[] = STA_ENVELOPE_MAGIC "\0\1and so on";
    struct source source = {.value = strata_bytes(looks, sizeof looks)};
    struct strata_value value = {0};
    struct strata *cache = cache_rig_open((struct strata_options){0});
    struct strata *other = cache_rig_open((struct strata_options){0});
    assert_int_equal(strata_get_or_load(cache, strata_text("k"), load_it, &source, NULL, &value),
                     STRATA_OK);
    strata_release(&value);
    assert_looks(other, looks, sizeof looks);
    assert_int_equal(strata_set(cache, strata_text("k"), strata_bytes(looks, sizeof looks), 0),
                     STRATA_OK);
    assert_looks(cache, looks, sizeof looks);
    assert_looks(cache, looks, sizeof looks);
    struct strata *third = cache_rig_open((struct strata_options){0});
    assert_looks(third, looks, sizeof looks);
    strata_close(&third);
    strata_close(&other);
    strata_close(&cache);
}

static void what_begins_as_an_envelope_and_is_none_is_a_miss(void **state)
{
    (void)state;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    freeReplyObject(redisCommand(cache_rig_foreign(), "SET " PREFIX "k %b",
                                 STA_ENVELOPE_MAGIC "\0\7", (size_t)9));
    assert_int_equal(get_status(cache, "k"), STRATA_MISS);
    assert_int_equal(numbers(cache).l2.errors, 1);
    strata_close(&cache);
}

static long long ttl_in_redis(void)
{
    redisReply *reply = redisCommand(cache_rig_foreign(), "PTTL " PREFIX "k");
    long long ttl_ms = reply->integer;
    freeReplyObject(reply);
    return ttl_ms;
}

static void jitter_shortens_the_ttl_and_not_the_time_after_it(void **state)
{
    (void)state;
    struct source source = {.value = strata_text("v")};
    const struct strata_load_options options = {
        .ttl_ms = 100000, .stale_ms = LONG_MS, .ttl_jitter = 0.5};
    struct strata *cache = cache_rig_open((struct strata_options){0});
    bool shortened = false;
    for (unsigned i = 0; i < 20; i++) {
        assert_answer(cache, &source, &options, STRATA_OK, "v");
        assert_in_range(ttl_in_redis(), LONG_MS + 30000, LONG_MS + 100000);
        shortened = shortened || ttl_in_redis() < LONG_MS + 75000;
        assert_int_equal(strata_delete(cache, strata_text("k")), STRATA_OK);
    }
    assert_true(shortened);
    strata_close(&cache);
}

static void no_other_read_serves_it_though_redis_is_away(void **state)
{
    (void)state;
    struct redis_server *server = NULL;
    struct source source = {.loads = 0};
    struct strata_value value = {0};
    assert_int_equal(redis_server_start(&server, NULL), 0);
    struct strata *cache = open_past((struct strata_options){.redis_url = redis_server_url(server),
                                                             .serve_stale = STRATA_SERVE_STALE_ON},
                                     &source);
    assert_int_equal(set_text(cache, "in its time", "v", 0), STRATA_OK);
    assert_value(cache, "in its time", "v");
    redis_server_kill9(server);
    for (unsigned i = 0; i < 3; i++)
        assert_true(get_status(cache, "k") < 0);
    assert_int_equal(strata_get(cache, strata_text("in its time"), &value), STRATA_STALE);
    strata_release(&value);
    source.error = 0;
    source.value = strata_text("new");
    assert_answer(cache, &source, &stale, STRATA_OK, "new"); /* nor is it instead of a load */
    strata_close(&cache);
    redis_server_stop(&server);
}

/* Five calls while the source fails cost one load. */
static void assert_throttled(struct strata *cache, struct source *source,
                             const struct strata_load_options *options)
{
    struct strata_value value = {0};
    unsigned loads = source->loads;
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(
            strata_get_or_load(cache, strata_text("k"), load_it, source, options, &value),
            STRATA_STALE);
        strata_release(&value);
    }
    assert_int_equal(source->loads, loads + 1);
}

static void a_large_value_is_throttled_as_well(void **state)
{
    (void)state;
    static char large[20000];
    static const enum strata_tracking modes[] = {STRATA_TRACKING_AUTO, STRATA_TRACKING_OFF};
    for (unsigned i = 0; i < 2; i++) {
        struct source source = {.value = strata_bytes(large, sizeof large)};
        struct strata_value value = {0};
        struct strata *cache = cache_rig_open((struct strata_options){.tracking = modes[i]});
        assert_int_equal(
            strata_get_or_load(cache, strata_text("k"), load_it, &source, &stale, &value),
            STRATA_OK);
        strata_release(&value);
        assert_true(wait_until(is_past_its_time, cache, PATIENT_MS));
        source.error = OWN_ERROR;
        assert_throttled(cache, &source, &stale);
        strata_close(&cache);
        assert_int_equal(cache_rig_flush(NULL), 0);
    }
}

static void while_redis_is_away_failed_loads_are_throttled_as_well(void **state)
{
    (void)state;
    struct redis_server *server = NULL;
    struct source source = {.loads = 0};
    assert_int_equal(redis_server_start(&server, NULL), 0);
    struct strata *cache =
        open_past((struct strata_options){.redis_url = redis_server_url(server)}, &source);
    redis_server_kill9(server);
    assert_throttled(cache, &source, &stale);
    assert_answer(cache, &source, NULL, OWN_ERROR, ""); /* who does not ask for it */
    assert_true(get_status(cache, "k") < 0);
    strata_close(&cache);
    redis_server_stop(&server);
}

static void however_long_it_may_be_served_its_time_ends(void **state)
{
    (void)state;
    static const uint64_t long_times[] = {STRATA_UNLIMITED, STRATA_UNLIMITED - 1, INT64_MAX};
    for (unsigned i = 0; i < 6; i++) {
        struct strata *cache = cache_rig_open(
            (struct strata_options){.l2_enabled = i % 2 == 0 ? STRATA_ON : STRATA_OFF});
        struct source source = {.value = strata_text("v")};
        struct strata_load_options options = {.ttl_ms = SOON_MS, .stale_ms = long_times[i / 2]};
        assert_answer(cache, &source, &options, STRATA_OK, "v");
        assert_true(wait_until(is_past_its_time, cache, PATIENT_MS));
        assert_answer(cache, &source, &options, STRATA_OK, "v");
        assert_int_equal(source.loads, 2);
        strata_close(&cache);
        assert_int_equal(cache_rig_flush(NULL), 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, cache_rig_flush)
    const struct CMUnitTest tests[] = {
        TEST(a_failed_load_is_answered_with_the_old_value),
        TEST(a_failed_load_is_answered_with_the_old_value_without_l2),
        TEST(a_failed_load_is_answered_with_the_old_value_without_tracking),
        TEST(when_the_throttle_is_over_it_is_loaded_again),
        TEST(another_process_has_the_old_value_from_redis),
        TEST(what_was_deleted_is_not_served),
        TEST(without_redis_l1_has_the_old_value),
        TEST(the_loader_sees_what_it_replaces),
        TEST(what_has_not_changed_lives_on),
        TEST(nothing_cannot_be_unchanged),
        TEST(what_somebody_else_wrote_meanwhile_is_not_replaced),
        TEST(every_read_takes_a_value_out_of_its_envelope),
        TEST(a_value_that_looks_like_an_envelope_comes_back_as_it_was),
        TEST(what_begins_as_an_envelope_and_is_none_is_a_miss),
        TEST(jitter_shortens_the_ttl_and_not_the_time_after_it),
        TEST(no_other_read_serves_it_though_redis_is_away),
        TEST(a_large_value_is_throttled_as_well),
        TEST(while_redis_is_away_failed_loads_are_throttled_as_well),
        TEST(however_long_it_may_be_served_its_time_ends),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
