/* SPDX-License-Identifier: MIT
 *
 * That the numbers of a cache before a real Redis add up: each get is one hit or one miss of L1,
 * and each miss has one reason, by whatever calls and from however many threads; and so by prefix.
 */
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "integration/cache_rig.h"
#include "support/command.h"
#include "support/wait.h"

/* ---- reading ---- */

static json_t *statistics(struct strata *cache)
{
    char *text = NULL;
    json_error_t error;
    assert_int_equal(strata_statistics_json(cache, &text), STRATA_OK);
    json_t *document = json_loads(text, 0, &error);
    assert_non_null(document);
    strata_text_free(&text);
    return document;
}

static uint64_t at(const json_t *object, const char *path)
{
    char copy[128], *rest = copy;
    (void)snprintf(copy, sizeof copy, "%s", path);
    for (char *name; (name = strsep(&rest, ".")) != NULL;)
        object = json_object_get(object, name);
    if (!json_is_integer(object))
        fail_msg("no number at %s", path);
    return (uint64_t)json_integer_value(object);
}

static uint64_t sum_of_reasons(const json_t *document)
{
    const char *reason;
    json_t *value, *l1 = json_object_get(json_object_get(document, "metrics"), "l1");
    uint64_t sum = 0;
    json_object_foreach(json_object_get(l1, "misses_by_reason"), reason, value)
    {
        sum += (uint64_t)json_integer_value(value);
    }
    return sum;
}

static uint64_t sum_of_prefixes(const json_t *document, const char *path)
{
    size_t i;
    json_t *row;
    uint64_t sum = 0;
    json_array_foreach(json_object_get(document, "prefixes"), i, row)
    {
        sum += at(row, path);
    }
    return sum;
}

/* `gets` keys were asked for in all. */
static void assert_adds_up(struct strata *cache, uint64_t gets)
{
    json_t *document = statistics(cache);
    uint64_t hits = at(document, "metrics.l1.hits"), misses = at(document, "metrics.l1.misses");
    assert_int_equal(hits + misses, gets);
    assert_int_equal(sum_of_reasons(document), misses);
    assert_int_equal(sum_of_prefixes(document, "l1.hits"), hits);
    assert_int_equal(sum_of_prefixes(document, "l1.misses"), misses);
    assert_int_equal(sum_of_prefixes(document, "l2.hits"), at(document, "metrics.l2.hits"));
    assert_int_equal(sum_of_prefixes(document, "l2.misses"), at(document, "metrics.l2.misses"));
    json_decref(document);
}

static struct strata *open_detailed(struct strata_options options)
{
    options.metrics_detailed = STRATA_ON;
    return cache_rig_open(options);
}

/* ---- one call after another ---- */

static int load_some(struct strata_load *load, void *arg)
{
    ++*(unsigned *)arg;
    return strata_load_set(load, strata_text("loaded"), 0);
}

static void a_load_is_one_get(void **state)
{
    (void)state;
    unsigned loads = 0;
    struct strata *cache = open_detailed((struct strata_options){0});
    for (int i = 0; i < 3; i++) {
        struct strata_value value = {0};
        assert_int_equal(
            strata_get_or_load(cache, strata_text("load:1"), load_some, &loads, NULL, &value),
            STRATA_OK);
        strata_release(&value);
    }
    assert_int_equal(loads, 1);
    json_t *document = statistics(cache);
    assert_int_equal(at(document, "metrics.l1.misses"), 1);
    assert_int_equal(at(document, "metrics.l1.hits"), 2);
    json_decref(document);
    assert_adds_up(cache, 3);
    strata_close(&cache);
}

/* What L1 has and may not answer with is no hit: the value's tag is not known to be current. */
static void a_value_whose_tag_has_fallen_is_no_hit(void **state)
{
    (void)state;
    struct strata *cache = open_detailed((struct strata_options){0});
    const struct strata_bytes tag = strata_text("t");
    assert_int_equal(strata_set_tagged(cache, strata_text("k:1"), strata_text("v"), 0, &tag, 1),
                     STRATA_OK);
    assert_value(cache, "k:1", "v"); /* whatever of it is in L1 now, */
    assert_value(cache, "k:1", "v");
    json_t *before = statistics(cache);
    assert_int_equal(strata_invalidate_tag(cache, tag), STRATA_OK);
    assert_int_equal(get_status(cache, "k:1"), STRATA_MISS);
    json_t *after = statistics(cache);
    json_t *rows = json_object_get(after, "prefixes");
    assert_int_equal(json_array_size(rows), json_array_size(json_object_get(before, "prefixes")));
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        const json_t *old = json_array_get(json_object_get(before, "prefixes"), i);
        if (strcmp(json_string_value(json_object_get(row, "prefix")), "k:") != 0)
            continue;
        assert_int_equal(at(row, "l1.hits"), at(old, "l1.hits"));
        assert_int_equal(at(row, "l1.misses"), at(old, "l1.misses") + 1);
    }
    assert_int_equal(sum_of_reasons(after), at(after, "metrics.l1.misses"));
    json_decref(before);
    json_decref(after);
    strata_close(&cache);
}

static void null_values_are_hits(void **state)
{
    (void)state;
    struct strata *cache = open_detailed((struct strata_options){.null_values = STRATA_ON});
    char buffer[8];
    size_t len;
    for (int i = 0; i < 5; i++)
        assert_int_equal(get_status(cache, "none:1"), STRATA_MISS);
    for (int i = 0; i < 5; i++)
        assert_int_equal(strata_get_copy(cache, strata_text("none:1"), buffer, sizeof buffer, &len),
                         STRATA_MISS);
    json_t *document = statistics(cache);
    assert_int_equal(at(document, "metrics.l1.misses"), 1);
    json_decref(document);
    assert_adds_up(cache, 10);
    strata_close(&cache);
}

static bool tells(struct strata *cache, const char *series)
{
    char *text = NULL;
    assert_int_equal(strata_metrics_text(cache, &text), STRATA_OK);
    bool told = strstr(text, series) != NULL;
    strata_text_free(&text);
    return told;
}

/* A tier that is not there misses nothing: there are no series of it, and no reason for that. */
static void without_l1_gets_are_l2s(void **state)
{
    (void)state;
    unsigned loads = 0;
    struct strata_value value = {0};
    struct strata *cache = open_detailed((struct strata_options){.l1_enabled = STRATA_OFF});
    assert_int_equal(set_text(cache, "k:1", "v", 0), STRATA_OK);
    for (int i = 0; i < 3; i++)
        assert_value(cache, "k:1", "v");
    for (int i = 0; i < 2; i++)
        assert_int_equal(get_status(cache, "k:2"), STRATA_MISS);
    assert_int_equal(strata_get_or_load(cache, strata_text("k:3"), load_some, &loads, NULL, &value),
                     STRATA_OK);
    strata_release(&value);
    struct strata_statistics all = numbers(cache);
    assert_int_equal(all.l1.hits + all.l1.misses, 0);
    assert_int_equal(all.l2.hits, 3);
    assert_int_equal(all.l2.misses, 3);
    assert_true(all.combined_hit_ratio == 0.5);
    json_t *document = statistics(cache);
    json_t *l1 = json_object_get(json_object_get(document, "metrics"), "l1");
    assert_null(json_object_get(l1, "misses_by_reason"));
    assert_int_equal(sum_of_prefixes(document, "l1.misses"), 0);
    assert_int_equal(sum_of_prefixes(document, "l2.hits"), 3);
    assert_int_equal(sum_of_prefixes(document, "l2.misses"), 3);
    json_decref(document);
    assert_true(tells(cache, "cache_l2_misses_total 3"));
    assert_false(tells(cache, "cache_l1_misses_total"));
    assert_false(tells(cache, "strata_l1_misses_total"));
    strata_close(&cache);
}

/* ---- threads ---- */

#define THREADS 6u
#define BATCH   16u
#define KEYS    500u

struct reader {
    struct strata *cache;
    unsigned seed;
    uint64_t gets;
    const _Atomic bool *over;
};

static struct strata_bytes some_key(struct reader *reader, char *text, size_t cap)
{
    unsigned number = (unsigned)rand_r(&reader->seed) % KEYS;
    (void)snprintf(text, cap, "p%u:%u", number % 7, number);
    return strata_text(text);
}

static void get_one(struct reader *reader)
{
    char text[32], buffer[64];
    struct strata_value value = {0};
    size_t len;
    struct strata_bytes key = some_key(reader, text, sizeof text);
    if (strata_get(reader->cache, key, &value) == STRATA_OK)
        strata_release(&value);
    (void)strata_get_copy(reader->cache, key, buffer, sizeof buffer, &len);
    reader->gets += 2;
}

static void get_batch(struct reader *reader)
{
    char texts[BATCH][32];
    struct strata_bytes keys[BATCH];
    struct strata_value values[BATCH];
    int statuses[BATCH];
    for (unsigned i = 0; i < BATCH; i++)
        keys[i] = some_key(reader, texts[i], sizeof texts[i]);
    (void)strata_get_many(reader->cache, keys, BATCH, values, statuses);
    for (unsigned i = 0; i < BATCH; i++) {
        if (statuses[i] == STRATA_OK || statuses[i] == STRATA_STALE)
            strata_release(&values[i]);
    }
    reader->gets += BATCH;
}

static void load_one(struct reader *reader)
{
    char text[32];
    unsigned loads = 0;
    struct strata_value value = {0};
    const struct strata_load_options options = {.ttl_ms = 50, .stale_ms = 50};
    int status = strata_get_or_load(reader->cache, some_key(reader, text, sizeof text), load_some,
                                    &loads, &options, &value);
    if (status == STRATA_OK || status == STRATA_STALE)
        strata_release(&value);
    reader->gets++;
}

static void write_one(struct reader *reader)
{
    char text[32];
    struct strata_bytes key = some_key(reader, text, sizeof text);
    if (rand_r(&reader->seed) % 4 == 0)
        (void)strata_delete(reader->cache, key);
    else
        (void)strata_set(reader->cache, key, strata_text("value"),
                         rand_r(&reader->seed) % 4 == 0 ? 5 : 0);
}

static void *read_much(void *arg)
{
    struct reader *reader = arg;
    while (!atomic_load(reader->over)) {
        get_one(reader);
        get_batch(reader);
        load_one(reader);
        write_one(reader);
    }
    return NULL;
}

struct watch {
    struct strata *cache;
    unsigned looks;
};

/* Now and then its connections are killed: then nobody tells of changes, and what L1 has is in
 * doubt. */
static bool all_reasons_were_met(void *arg)
{
    static const char *const reasons[] = {"cold", "expired", "evicted", "invalidated", "suspect"};
    struct watch *watch = arg;
    bool all = true;
    if (watch->looks++ % 64 == 0)
        freeReplyObject(redisCommand(cache_rig_foreign(), "CLIENT KILL TYPE normal SKIPME yes"));
    json_t *document = statistics(watch->cache);
    json_t *l1 = json_object_get(json_object_get(document, "metrics"), "l1");
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        all = all && at(json_object_get(l1, "misses_by_reason"), reasons[i]) > 0;
    json_decref(document);
    return all;
}

/* L1 is too small for the keys, they expire soon, and are written and deleted. */
static void each_miss_has_one_reason_from_all_threads(void **state)
{
    (void)state;
    struct strata *cache = open_detailed((struct strata_options){.l1_max_size = KEYS / 3});
    struct reader readers[THREADS];
    struct watch watch = {.cache = cache};
    pthread_t threads[THREADS];
    _Atomic bool over = false;
    uint64_t gets = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        readers[i] = (struct reader){.cache = cache, .seed = i + 1, .over = &over};
        assert_int_equal(pthread_create(&threads[i], NULL, read_much, &readers[i]), 0);
    }
    bool met = wait_until(all_reasons_were_met, &watch, 60000);
    atomic_store(&over, true);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        gets += readers[i].gets;
    }
    assert_true(met);
    assert_adds_up(cache, gets);
    strata_close(&cache);
}

/* ---- prefixes ---- */

static size_t series_in(const char *text)
{
    size_t count = 0;
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
        count += *line != '#';
    return count;
}

static void promtool_finds_nothing_wrong(const char *text)
{
    struct command_result result;
    const char *const argv[] = {"promtool", "check", "metrics", NULL};
    const struct command_input input = {.data = text, .len = strlen(text)};
    command_run(&result, &input, argv);
    if (result.code != 0 || result.len != 0 || result.err[0] != '\0')
        fail_msg("promtool: %d\n%s%s", result.code, result.out, result.err);
    command_result_fini(&result);
}

static void assert_has(const char *text, const char *line, bool has)
{
    if ((strstr(text, line) != NULL) != has)
        fail_msg("%s %s in\n%s", has ? "no" : "there is", line, text);
}

static void series_by_prefix_are_few_whatever_the_keys_are(void **state)
{
    (void)state;
    const char *const configured[] = {"mine", "none:"};
    struct strata *cache = open_detailed(
        (struct strata_options){.metrics_prefixes = configured, .metrics_prefix_count = 2});
    char key[64], *text = NULL;
    assert_int_equal(set_text(cache, "user:1", "12345", 0), STRATA_OK);
    assert_value(cache, "user:1", "12345"); /* whatever of this is L1's */
    for (int i = 0; i < 100; i++) {
        assert_value(cache, "user:1", "12345");
        (void)get_status(cache, "mine/secret");
        (void)snprintf(key, sizeof key, "odd\"\n%d:secret", i % 10);
        (void)get_status(cache, key);
        (void)snprintf(key, sizeof key, "secret%d", i);
        (void)get_status(cache, key);
    }
    assert_int_equal(strata_metrics_text(cache, &text), STRATA_OK);
    promtool_finds_nothing_wrong(text);
    assert_has(text, "secret", false);
    assert_has(text, "strata_prefix_hits_total{prefix=\"user:\",tier=\"l1\"} 10", true);
    assert_has(text, "strata_prefix_misses_total{prefix=\"mine\",tier=\"l1\"} 100\n", true);
    assert_has(text, "strata_prefix_misses_total{prefix=\"mine\",tier=\"l2\"} 100\n", true);
    assert_has(text, "strata_prefix_hits_total{prefix=\"none:\",tier=\"l1\"} 0\n", true);
    assert_has(text, "strata_prefix_hit_bytes_total{prefix=\"user:\",tier=\"l1\"} 50", true);
    assert_has(text, "strata_prefix_misses_total{prefix=\"other\",tier=\"l1\"} ", true);
    assert_has(text, "prefix=\"odd__7:\"", true);
    assert_in_range(series_in(text), 200, 500);
    strata_text_free(&text);
    strata_close(&cache);
}

static void without_detail_there_are_none(void **state)
{
    (void)state;
    char *text = NULL;
    struct strata *cache = cache_rig_open((struct strata_options){0});
    (void)get_status(cache, "user:1");
    assert_int_equal(strata_metrics_text(cache, &text), STRATA_OK);
    assert_has(text, "strata_prefix_", false);
    strata_text_free(&text);
    strata_close(&cache);
    cache = open_detailed((struct strata_options){.metrics_enabled = STRATA_OFF});
    assert_int_equal(strata_metrics_text(cache, &text), STRATA_OK);
    assert_has(text, "strata_prefix_", false);
    strata_text_free(&text);
    strata_close(&cache);
}

/* Only its age tells a reader that forgot to release from one that is slow. */
static void what_a_reader_keeps_has_an_age(void **state)
{
    (void)state;
    struct strata *cache = open_detailed((struct strata_options){
        .l1_max_size = STRATA_UNLIMITED, .l1_max_bytes = 1 << 20, .l2_enabled = STRATA_OFF});
    struct strata_value value = {0};
    static char large[1000];
    char key[32];
    assert_int_equal(set_text(cache, "kept", "v", 0), STRATA_OK);
    assert_int_equal(strata_get(cache, strata_text("kept"), &value), STRATA_OK);
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        (void)strata_set(cache, strata_text(key), strata_bytes(large, sizeof large), 0);
    }
    for (bool aged = false; !aged;) {
        json_t *document = statistics(cache);
        json_t *l1 = json_object_get(document, "l1_cache");
        assert_int_equal(json_integer_value(json_object_get(l1, "held_segments")), 1);
        aged = json_number_value(json_object_get(l1, "held_seconds")) > 0;
        json_decref(document);
    }
    strata_release(&value);
    json_t *document = statistics(cache);
    assert_true(json_number_value(
                    json_object_get(json_object_get(document, "l1_cache"), "held_seconds")) == 0);
    json_decref(document);
    strata_close(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_load_is_one_get, cache_rig_flush),
        cmocka_unit_test_setup(a_value_whose_tag_has_fallen_is_no_hit, cache_rig_flush),
        cmocka_unit_test_setup(null_values_are_hits, cache_rig_flush),
        cmocka_unit_test_setup(without_l1_gets_are_l2s, cache_rig_flush),
        cmocka_unit_test_setup(each_miss_has_one_reason_from_all_threads, cache_rig_flush),
        cmocka_unit_test_setup(series_by_prefix_are_few_whatever_the_keys_are, cache_rig_flush),
        cmocka_unit_test_setup(without_detail_there_are_none, cache_rig_flush),
        cmocka_unit_test(what_a_reader_keeps_has_an_age),
    };
    return cmocka_run_group_tests(tests, cache_rig_start, cache_rig_stop);
}
