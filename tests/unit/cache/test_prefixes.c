/* SPDX-License-Identifier: MIT
 *
 * Numbers by prefix: what a key's prefix is, who has a row, that no count is lost, and that the
 * rows stay bounded and fit for labels whatever the keys are.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cache/prefixes.h"
#include "core/key.h"
#include "strata/status.h"

static struct sta_prefixes *prefixes_with(const char *const *configured, size_t count,
                                          char delimiter)
{
    const struct sta_prefixes_config config = {configured, count, delimiter};
    struct sta_prefixes *prefixes = NULL;
    assert_int_equal(sta_prefixes_create(&prefixes, &config), STRATA_OK);
    return prefixes;
}

struct table {
    struct sta_prefixes_row rows[STA_PREFIXES_ROWS];
    size_t count;
};

static struct table read_rows(struct sta_prefixes *prefixes)
{
    static struct table table;
    assert_int_equal(sta_prefixes_read(prefixes, table.rows, &table.count), STRATA_OK);
    assert_in_range(table.count, 1, STA_PREFIXES_ROWS);
    assert_string_equal(table.rows[table.count - 1].prefix, "other");
    for (size_t i = 0; i < table.count; i++) {
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(table.rows[i].prefix, table.rows[j].prefix);
    }
    return table;
}

static const struct sta_prefix_numbers *row(const struct table *table, const char *prefix)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->rows[i].prefix, prefix) == 0)
            return &table->rows[i].numbers;
    }
    return NULL;
}

static uint64_t hits_of(const struct table *table, const char *prefix)
{
    const struct sta_prefix_numbers *numbers = row(table, prefix);
    if (numbers == NULL)
        fail_msg("%s has no row", prefix);
    return numbers->hits[STA_TIMING_L1];
}

static uint64_t sum_of_hits(const struct table *table)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < table->count; i++)
        sum += table->rows[i].numbers.hits[STA_TIMING_L1];
    return sum;
}

static void hit(struct sta_prefixes *prefixes, const char *key)
{
    sta_prefixes_hit(prefixes, STA_TIMING_L1, strata_text(key), 10);
}

static void hit_often(struct sta_prefixes *prefixes, const char *key, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        hit(prefixes, key);
}

/* ---- */

static void a_prefix_ends_with_the_first_delimiter(void **state)
{
    (void)state;
    struct sta_prefixes *prefixes = prefixes_with(NULL, 0, ':');
    hit(prefixes, "user:1:name");
    hit(prefixes, "user:2");
    hit(prefixes, "session:x");
    sta_prefixes_miss(prefixes, STA_TIMING_L1, strata_text("user:3"));
    sta_prefixes_hit(prefixes, STA_TIMING_L2, strata_text("user:4"), 7);
    sta_prefixes_miss(prefixes, STA_TIMING_L2, strata_text("user:5"));
    struct table table = read_rows(prefixes);
    assert_int_equal(table.count, 3);
    const struct sta_prefix_numbers *user = row(&table, "user:");
    assert_non_null(user);
    assert_int_equal(user->hits[STA_TIMING_L1], 2);
    assert_int_equal(user->bytes[STA_TIMING_L1], 20);
    assert_int_equal(user->misses[STA_TIMING_L1], 1);
    assert_int_equal(user->hits[STA_TIMING_L2], 1);
    assert_int_equal(user->bytes[STA_TIMING_L2], 7);
    assert_int_equal(user->misses[STA_TIMING_L2], 1);
    assert_int_equal(hits_of(&table, "session:"), 1);
    sta_prefixes_destroy(&prefixes);
    assert_null(prefixes);
}

/* Whoever has no delimiter would show itself. */
static void keys_are_never_shown(void **state)
{
    (void)state;
    struct sta_prefixes *prefixes = prefixes_with(NULL, 0, ':');
    hit(prefixes, "secret");
    hit(prefixes, "a-prefix-that-is-longer-than-32-b:1");
    hit(prefixes, "0123456789012345678901234567890:x"); /* 32 bytes with it */
    sta_prefixes_hit(prefixes, STA_TIMING_L1, strata_bytes("", 0), 1);
    struct table table = read_rows(prefixes);
    assert_int_equal(table.count, 2);
    assert_int_equal(hits_of(&table, "0123456789012345678901234567890:"), 1);
    assert_int_equal(hits_of(&table, "other"), 3);
    sta_prefixes_destroy(&prefixes);
}

static void labels_are_plain_and_what_looks_alike_is_one(void **state)
{
    (void)state;
    struct sta_prefixes *prefixes = prefixes_with(NULL, 0, ':');
    hit(prefixes, "a\"b\\\n\x01\xc3\xa4:1");
    hit(prefixes, "a?b:1");
    hit(prefixes, "a b:1");
    sta_prefixes_hit(prefixes, STA_TIMING_L1, strata_bytes("\0\0:x", 4), 1);
    struct table table = read_rows(prefixes);
    assert_int_equal(hits_of(&table, "a_b_____:"), 1);
    assert_int_equal(hits_of(&table, "a_b:"), 2);
    assert_int_equal(hits_of(&table, "__:"), 1);
    sta_prefixes_destroy(&prefixes);
    /* Nor may one look as the rest does. */
    prefixes = prefixes_with(NULL, 0, 'r');
    hit(prefixes, "other");
    table = read_rows(prefixes);
    assert_int_equal(table.count, 1);
    assert_int_equal(hits_of(&table, "other"), 1);
    sta_prefixes_destroy(&prefixes);
}

static void configured_prefixes_always_have_a_row(void **state)
{
    (void)state;
    const char *const configured[] = {"user:", "user:admin:", "plain", "a_b:"};
    struct sta_prefixes *prefixes = prefixes_with(configured, 4, ':');
    struct table table = read_rows(prefixes);
    assert_int_equal(table.count, 5);
    assert_int_equal(hits_of(&table, "plain"), 0);
    hit(prefixes, "user:1");
    hit(prefixes, "user:admin:1"); /* the longest that fits */
    hit(prefixes, "plainly");
    hit(prefixes, "a b:x"); /* looks like a configured one */
    hit(prefixes, "z:1");
    table = read_rows(prefixes);
    assert_int_equal(table.count, 6);
    assert_string_equal(table.rows[0].prefix, "user:");
    assert_int_equal(hits_of(&table, "user:"), 1);
    assert_int_equal(hits_of(&table, "user:admin:"), 1);
    assert_int_equal(hits_of(&table, "plain"), 1);
    assert_int_equal(hits_of(&table, "a_b:"), 1);
    assert_int_equal(hits_of(&table, "z:"), 1);
    sta_prefixes_destroy(&prefixes);
}

static void the_most_met_have_rows_and_the_rest_is_other(void **state)
{
    (void)state;
    struct sta_prefixes *prefixes = prefixes_with(NULL, 0, ':');
    char key[32];
    uint64_t met = 0;
    for (unsigned round = 0; round < 1000; round++) {
        for (unsigned i = 0; i < 20; i++, met++) {
            (void)snprintf(key, sizeof key, "hot%u:%u", i, round);
            hit(prefixes, key);
        }
        for (unsigned i = 0; i < 5; i++, met++) { /* no prefix twice */
            (void)snprintf(key, sizeof key, "cold%u-%u:1", round, i);
            hit(prefixes, key);
        }
    }
    struct table table = read_rows(prefixes);
    assert_in_range(table.count, 21, STA_PREFIXES_TOP + 1);
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(key, sizeof key, "hot%u:", i);
        assert_int_equal(hits_of(&table, key), 1000);
    }
    assert_int_equal(sum_of_hits(&table), met);
    sta_prefixes_destroy(&prefixes);
}

/* As far as it is shown: what a prefix has counted before its row ended is not counted anew. */
static void who_is_met_more_takes_the_place_of_who_is_met_no_more(void **state)
{
    (void)state;
    struct sta_prefixes *prefixes = prefixes_with(NULL, 0, ':');
    char key[32];
    for (unsigned i = 0; i < STA_PREFIXES_TOP; i++) {
        (void)snprintf(key, sizeof key, "old%u:", i);
        hit_often(prefixes, key, i == 0 ? 100 : 200);
    }
    struct table table = read_rows(prefixes);
    assert_int_equal(hits_of(&table, "old0:"), 100);
    hit_often(prefixes, "new:", 110); /* not yet by a quarter */
    table = read_rows(prefixes);
    assert_null(row(&table, "new:"));
    assert_int_equal(hits_of(&table, "other"), 110);
    hit_often(prefixes, "new:", 50);
    hit(prefixes, "old0:");
    table = read_rows(prefixes);
    assert_int_equal(hits_of(&table, "new:"), 50);
    assert_null(row(&table, "old0:"));
    assert_int_equal(hits_of(&table, "other"), 111);
    assert_int_equal(hits_of(&table, "old1:"), 200);
    sta_prefixes_destroy(&prefixes);
}

/* Of one that had its time long ago nothing is left. */
static void what_was_hot_once_cools_down(void **state)
{
    (void)state;
    struct sta_prefix_summary *summary = calloc(1, sizeof *summary);
    assert_non_null(summary);
    struct strata_bytes old = strata_text("old:"), now = strata_text("now:");
    uint64_t old_hash = sta_key_make(old, 1).hash, now_hash = sta_key_make(now, 1).hash;
    for (unsigned i = 0; i < 1000; i++)
        (void)sta_prefix_summary_meet(summary, old, old_hash);
    for (uint64_t i = 0; i < 12 * STA_PREFIX_HALVED_AT; i++)
        (void)sta_prefix_summary_meet(summary, now, now_hash);
    assert_int_equal(summary->count, 2);
    assert_int_equal(summary->weights[0], 0);
    assert_true(summary->weights[1] >= STA_PREFIX_HALVED_AT / 2);
    free(summary);
}

/* Entries come and go by chance; each is found again, and nothing is lost. */
static void a_summary_loses_no_count(void **state)
{
    (void)state;
    struct sta_prefix_summary *summary = calloc(1, sizeof *summary);
    assert_non_null(summary);
    uint64_t random = 88172645463325252u;
    for (unsigned i = 0; i < 200000; i++) {
        char text[16];
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (void)snprintf(text, sizeof text, "p%u:", (unsigned)(random % (i % 3 == 0 ? 1000 : 40)));
        struct strata_bytes prefix = strata_text(text);
        /* Few values of the hash: they stand in each other's way. */
        uint64_t hash = sta_key_make(prefix, 1).hash % 97;
        sta_prefix_summary_meet(summary, prefix, hash)->hits[0]++;
    }
    uint64_t sum = summary->other.hits[0];
    unsigned placed = 0;
    for (unsigned i = 0; i < summary->count; i++) {
        const struct sta_prefix_entry *entry = &summary->entries[i];
        sum += entry->numbers.hits[0];
        for (unsigned j = 0; j < i; j++)
            assert_false(summary->entries[j].len == entry->len &&
                         memcmp(summary->entries[j].bytes, entry->bytes, entry->len) == 0);
    }
    for (unsigned i = 0; i < STA_PREFIX_PLACES; i++)
        placed += summary->places[i] != 0;
    assert_int_equal(sum, 200000);
    assert_int_equal(placed, STA_PREFIX_ENTRIES);
    free(summary);
}

/* ---- threads ---- */

#define THREADS 8u
#define EACH    20000u

static void *count_much(void *arg)
{
    struct sta_prefixes *prefixes = arg;
    char key[32];
    for (unsigned i = 0; i < EACH; i++) {
        (void)snprintf(key, sizeof key, "p%u:%u", i % 10, i);
        hit(prefixes, key);
    }
    return NULL;
}

static void threads_count_while_others_read(void **state)
{
    (void)state;
    struct sta_prefixes *prefixes = prefixes_with(NULL, 0, ':');
    pthread_t threads[THREADS];
    uint64_t before = 0;
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_much, prefixes), 0);
    for (unsigned i = 0; i < 50; i++) {
        struct table table = read_rows(prefixes);
        assert_true(sum_of_hits(&table) >= before);
        before = sum_of_hits(&table);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    struct table table = read_rows(prefixes);
    assert_int_equal(sum_of_hits(&table), THREADS * EACH);
    assert_int_equal(hits_of(&table, "p3:"), THREADS * EACH / 10);
    sta_prefixes_destroy(&prefixes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prefix_ends_with_the_first_delimiter),
        cmocka_unit_test(keys_are_never_shown),
        cmocka_unit_test(labels_are_plain_and_what_looks_alike_is_one),
        cmocka_unit_test(configured_prefixes_always_have_a_row),
        cmocka_unit_test(the_most_met_have_rows_and_the_rest_is_other),
        cmocka_unit_test(who_is_met_more_takes_the_place_of_who_is_met_no_more),
        cmocka_unit_test(what_was_hot_once_cools_down),
        cmocka_unit_test(a_summary_loses_no_count),
        cmocka_unit_test(threads_count_while_others_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
